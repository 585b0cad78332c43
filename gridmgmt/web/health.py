"""How the system is, in words with what to do: for the administrator, and as JSON for machines."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from flask import Blueprint, current_app, render_template
from sqlalchemy import Connection

from gridmgmt.calendar import CHINA, china_today
from gridmgmt.config import Settings
from gridmgmt.db import accounts, jobs, migrations
from gridmgmt.db.models import JobStatus, Role
from gridmgmt.db.server import server
from gridmgmt.grids import staffing
from gridmgmt.hotspots import stored as hotspots
from gridmgmt.importing import uploads
from gridmgmt.incidents import holidays
from gridmgmt.incidents import service as incidents
from gridmgmt.seasonal import record
from gridmgmt.web import records
from gridmgmt.web.access import allow
from gridmgmt.web.databases import databases, reader

pages = Blueprint("health", __name__, url_prefix="/admin/health")

GIB = 1 << 30
LEAST_FREE, LOW_FREE = 2 * GIB, 10 * GIB
OLD_MATTER_DAYS, OLD_BACKUP_DAYS, FAILED_DAYS = 14, 7, 7
# From this month on the days off of the next year are known, and limits of its first weeks need them.
HOLIDAY_MONTH = 12
# Imports after which an analysis is no longer what it would be now.
RESTS_ON = ("incidents", "grids", "categories")


class State(StrEnum):
    """How a thing is; each has its word and its sign, so that no colour stands alone."""

    OK = "ok"
    WATCH = "watch"
    BAD = "bad"


STATE_NAMES = {State.OK: "正常", State.WATCH: "留意", State.BAD: "要处理"}
STATE_SIGNS = {State.OK: "✓", State.WATCH: "!", State.BAD: "✕"}


@dataclass(frozen=True)
class Line:
    """One thing that is watched: how it is, what it says, what to do about it and on which page."""

    key: str
    name: str
    state: State
    says: str
    todo: str = ""
    endpoint: str = ""


@pages.get("")
@allow(Role.ADMIN)
def page() -> Any:
    """Every line, what is to be done first."""
    return render_template("health.html", lines=lines(), names=STATE_NAMES, signs=STATE_SIGNS)


def as_json() -> dict[str, Any]:
    """Return the lines and the worst of their states, for a program that watches."""
    found = lines()
    return {
        "status": worst(found).value,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "lines": [
            {"key": line.key, "name": line.name, "state": line.state.value, "says": line.says,
             "todo": line.todo}
            for line in found
        ],
    }  # fmt: skip


def worst(found: list[Line]) -> State:
    """Return the worst state of some lines."""
    return max((line.state for line in found), key=list(State).index, default=State.OK)


def lines() -> list[Line]:
    """Return how everything is, the worst first."""
    chosen: Settings = current_app.config["SETTINGS"]
    jobs.clear_stale(databases().accounts)
    with reader().connect() as connection:
        found = [
            *_server(connection), *_files(chosen), *_data(connection), *_analyses(connection),
            *_calendar(connection), *_people(connection), *_work(chosen),
        ]  # fmt: skip
    return sorted(found, key=lambda line: -list(State).index(line.state))


def _server(connection: Connection) -> Iterator[Line]:
    found = server(connection)
    used = f"{found.connections} / {found.most_connections}"
    many = found.connections > 0.8 * found.most_connections
    yield Line(
        "database", "数据库", State.WATCH if many else State.OK,
        f"PostgreSQL {found.version.split()[0]}，PostGIS {found.postgis}，{_size(found.size)}，连接 {used}",
        "连接快用完了：减少 serve 的 --workers 或 --threads，或调大 max_connections。" if many else "",
    )  # fmt: skip
    schema = migrations.status(databases().accounts)
    yield Line(
        "schema", "数据库结构", State.OK if schema.up_to_date else State.BAD,
        f"版本 {schema.current or '无'}" + ("" if schema.up_to_date else f"，程序需要 {schema.head}"),
        "" if schema.up_to_date else "在服务器上运行 gridmgmt db up，然后重启服务。",
    )  # fmt: skip


def _files(chosen: Settings) -> Iterator[Line]:
    disk = shutil.disk_usage(chosen.home)
    state = State.BAD if disk.free < LEAST_FREE else State.WATCH if disk.free < LOW_FREE else State.OK
    yield Line(
        "disk", "磁盘", state, f"剩余 {_size(disk.free)}，共 {_size(disk.total)}",
        "" if state is State.OK else "清理磁盘或扩容；空间用完后不能再登记和导入。",
    )  # fmt: skip
    made = backup(chosen.home)
    old = made is not None and datetime.now(UTC) - made.at > timedelta(days=OLD_BACKUP_DAYS)
    says = f"最近一次 {made.at.astimezone(CHINA):%Y-%m-%d %H:%M}，{made.how}" if made else "还没有备份"
    yield Line(
        "backup", "备份", State.OK if made and not old else State.BAD,
        says, "" if made and not old else "见“备份”一页：做什么、放在哪里。", "admin.backups",
    )  # fmt: skip


def _data(connection: Connection) -> Iterator[Line]:
    version, known = hotspots.data_version(connection), incidents.period(connection)
    age = (china_today() - known[1]).days if known else None
    old = age is None or age > OLD_MATTER_DAYS
    says = f"第 {version} 版；最新一件诉求发生在 {known[1]}，{_ago(age)}" if known else "还没有诉求"
    yield Line(
        "data", "数据", State.WATCH if old else State.OK, says,
        "导入最近的诉求；若热线平台应当自动送来，检查接口。" if old else "", "admin.imports",
    )  # fmt: skip


def _analyses(connection: Connection) -> Iterator[Line]:
    newest = record.newest(connection)
    for kind, name in (("hotspots", "热点分析"), ("clusters", "近期聚集"), ("seasonal", "时令清单")):
        run = newest.get(kind)
        behind = records.imports_since(connection, run.data_version, RESTS_ON) if run else 0
        when = f"{run.finished_at.astimezone(CHINA):%Y-%m-%d} 编制" if run else "还没有"
        says = f"{when}，依据第 {run.data_version} 版数据" if run else when
        if behind:
            says += f"，比数据旧：之后又导入了 {behind} 次"
        stands = run is not None and not behind
        yield Line(
            kind, name, State.OK if stands else State.WATCH, says,
            "" if stands else "到“分析”一页重新编制。", "admin.analyses",
        )  # fmt: skip


def _calendar(connection: Connection) -> Iterator[Line]:
    today, known = china_today(), holidays.years(connection)
    wanted = [today.year, *([today.year + 1] if today.month >= HOLIDAY_MONTH else [])]
    missing = [year for year in wanted if year not in known]
    later = today.year + 1 not in known and not missing
    state = State.BAD if missing else State.WATCH if later else State.OK
    says = f"缺 {'、'.join(map(str, missing))} 年" if missing else f"填到 {max(known, default=today.year)} 年"
    todo = (
        f"国务院办公厅公布 {today.year + 1} 年放假安排后填写。" if later else "办理期限会算错，请现在填写。"
    )
    yield Line("holidays", "节假日", state, says, "" if state is State.OK else todo, "matter_admin.holidays")


def _people(connection: Connection) -> Iterator[Line]:
    vacant = len(staffing.vacancies(connection))
    yield Line(
        "chiefs", "网格长", State.WATCH if vacant else State.OK,
        f"{vacant} 个网格没有网格长" if vacant else "每个网格都有网格长",
        "导入网格员名册，或请镇街补齐。" if vacant else "", "admin.areas",
    )  # fmt: skip
    active = accounts.listed(databases().accounts, accounts.Filter(state="on"), page=None)[0]
    plain = sum(not each.second_factor for each in active if each.role is Role.ADMIN)
    first = sum(each.must_change for each in active)
    says = f"在用 {len(active)} 个；管理员未开两步验证 {plain} 个，初始密码未改 {first} 个"
    yield Line(
        "accounts", "账号", State.WATCH if plain else State.OK, says,
        "请管理员在“我的账号”里开启两步验证。" if plain else "", "accounts.listed",
    )  # fmt: skip


def _work(chosen: Settings) -> Iterator[Line]:
    engine = databases().accounts
    since = datetime.now(UTC) - timedelta(days=FAILED_DAYS)
    failed = [job for job in jobs.ended_since(engine, since) if job.status == JobStatus.FAILED]
    yield Line(
        "jobs", "后台工作", State.WATCH if failed else State.OK,
        f"最近 {FAILED_DAYS} 天有 {len(failed)} 项没有办成" if failed else f"最近 {FAILED_DAYS} 天没有失败的",
        "逐项看原因，改好后重新发起。" if failed else "", "jobs.listed",
    )  # fmt: skip
    needed = {str(job.parameters.get("folder", "")) for job in jobs.under_way(engine)}
    left = uploads.left_over(chosen.home, needed)
    yield Line(
        "uploads", "上传的文件", State.WATCH if left else State.OK,
        f"{len(left)} 份超过一天没有导入" if left else "没有遗留",
        "下次上传时自动删除；也可在那项工作的页面删除。" if left else "", "admin.imports",
    )  # fmt: skip


@dataclass(frozen=True)
class Backup:
    """The newest backup: when it was made, and how in words."""

    at: datetime
    how: str


def backup(home: Path) -> Backup | None:
    """Return the newest backup that left its note in GRIDMGMT_HOME/backups, None when there is none.

    A note is a JSON file; `at` (ISO, with its zone) and `how` are read from it where they stand, the time of
    the file where they do not.
    """
    notes = sorted((home / "backups").glob("*.json"), key=lambda path: path.stat().st_mtime)
    if not notes:
        return None
    when = datetime.fromtimestamp(notes[-1].stat().st_mtime, UTC)
    try:
        said = json.loads(notes[-1].read_text(encoding="utf-8"))
        at = datetime.fromisoformat(said["at"])
        return Backup(at if at.tzinfo else at.replace(tzinfo=CHINA), str(said.get("how", "")) or "已记录")
    except (ValueError, KeyError, TypeError):
        return Backup(when, "记录读不全，按文件时间计")


def _ago(days: int | None) -> str:
    return "今天" if not days else f"{days} 天前"


def _size(amount: int) -> str:
    for unit, size in (("TB", 1 << 40), ("GB", GIB), ("MB", 1 << 20)):
        if amount >= size:
            return f"{amount / size:.1f} {unit}"
    return f"{amount / 1024:.0f} KB"

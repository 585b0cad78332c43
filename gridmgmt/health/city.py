"""What stands in the database of a city: data, analyses, days off, matters, chiefs, accounts."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, func, select

from gridmgmt.calendar import CHINA, china_today
from gridmgmt.db import accounts
from gridmgmt.db.models import ImportRun, Role
from gridmgmt.grids import staffing
from gridmgmt.health.line import Line, Number, State
from gridmgmt.hotspots import stored as hotspots
from gridmgmt.incidents import holidays
from gridmgmt.incidents import service as incidents
from gridmgmt.incidents.handling import counts
from gridmgmt.seasonal import record

OLD_MATTER_DAYS = 14
# From this month on the days off of the next year are known, and limits of its first weeks need them.
HOLIDAY_MONTH = 12
ANALYSES = {"hotspots": "热点分析", "clusters": "近期聚集", "seasonal": "时令清单"}
# Imports after which an analysis is no longer what it would be now.
RESTS_ON = ("incidents", "grids", "categories")


def lines(owner: Engine, reader: Engine) -> Iterator[Line]:
    """Give the lines of the city; what needs no personal data is read by who cannot see any."""
    with reader.connect() as connection:
        yield _data(connection)
        yield from _analyses(connection)
        yield _calendar(connection)
        yield _matters(connection)
        yield _chiefs(connection)
    yield _accounts(owner)


def _data(connection: Connection) -> Line:
    version, known = hotspots.data_version(connection), incidents.period(connection)
    age = (china_today() - known[1]).days if known else None
    old = age is None or age > OLD_MATTER_DAYS
    says = f"第 {version} 版；最新一件诉求发生在 {known[1]}，{_ago(age)}" if known else "还没有诉求"
    return Line(
        "data", "数据", State.WATCH if old else State.OK, says,
        "导入最近的诉求；若热线平台应当自动送来，检查接口。" if old else "", "admin.imports",
        numbers=(
            Number("data_version", version), *([] if age is None else [Number("newest_matter_days", age)])
        ),
    )  # fmt: skip


def _analyses(connection: Connection) -> Iterator[Line]:
    newest = record.newest(connection)
    for kind, name in ANALYSES.items():
        run = newest.get(kind)
        behind = _imports_since(connection, run.data_version, RESTS_ON) if run else 0
        when = f"{run.finished_at.astimezone(CHINA):%Y-%m-%d} 编制" if run else "还没有"
        says = f"{when}，依据第 {run.data_version} 版数据" if run else when
        if behind:
            says += f"，比数据旧：之后又导入了 {behind} 次"
        stands = run is not None and not behind
        age = (datetime.now(UTC) - run.finished_at).total_seconds() if run else None
        yield Line(
            kind, name, State.OK if stands else State.WATCH, says,
            "" if stands else "到“分析”一页重新编制。", "admin.analyses",
            numbers=() if age is None else (Number("analysis_age_seconds", round(age), ("kind", kind)),),
        )  # fmt: skip


def _imports_since(connection: Connection, version: int, kinds: Iterable[str]) -> int:
    query = select(func.count()).where(ImportRun.id > version, ImportRun.kind.in_(list(kinds)))
    return int(connection.execute(query).scalar_one())


def _calendar(connection: Connection) -> Line:
    today, known = china_today(), holidays.years(connection)
    wanted = [today.year, *([today.year + 1] if today.month >= HOLIDAY_MONTH else [])]
    missing = [year for year in wanted if year not in known]
    later = today.year + 1 not in known and not missing
    state = State.BAD if missing else State.WATCH if later else State.OK
    says = f"缺 {'、'.join(map(str, missing))} 年" if missing else f"填到 {max(known, default=today.year)} 年"
    todo = (
        f"国务院办公厅公布 {today.year + 1} 年放假安排后填写。" if later else "办理期限会算错，请现在填写。"
    )
    return Line("holidays", "节假日", state, says, "" if state is State.OK else todo, "matter_admin.holidays")


def _matters(connection: Connection) -> Line:
    found = counts.open_in(connection, "", datetime.now(UTC))
    return Line(
        "matters", "诉求办理", State.OK, f"{found.count} 件在办，其中 {found.overdue} 件超期",
        numbers=(Number("matters_open", found.count), Number("matters_overdue", found.overdue)),
    )  # fmt: skip


def _chiefs(connection: Connection) -> Line:
    vacant = len(staffing.vacancies(connection))
    return Line(
        "chiefs", "网格长", State.WATCH if vacant else State.OK,
        f"{vacant} 个网格没有网格长" if vacant else "每个网格都有网格长",
        "导入网格员名册，或请镇街补齐。" if vacant else "", "admin.areas",
        numbers=(Number("grids_without_chief", vacant),),
    )  # fmt: skip


def _accounts(owner: Engine) -> Line:
    active = accounts.listed(owner, accounts.Filter(state="on"), page=None)[0]
    plain = sum(not each.second_factor for each in active if each.role is Role.ADMIN)
    first = sum(each.must_change for each in active)
    says = f"在用 {len(active)} 个；管理员未开两步验证 {plain} 个，初始密码未改 {first} 个"
    return Line(
        "accounts", "账号", State.WATCH if plain else State.OK, says,
        "请管理员在“我的账号”里开启两步验证。" if plain else "", "accounts.listed",
    )  # fmt: skip


def _ago(days: int | None) -> str:
    return "今天" if not days else f"{days} 天前"

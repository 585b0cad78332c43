"""The plan: what is done by itself, and when by China's clock; jobs like any other."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

from croniter import croniter  # type: ignore[import-untyped,unused-ignore]
from procrastinate.periodic import PeriodicTask
from sqlalchemy import Engine

from gridmgmt.calendar import CHINA
from gridmgmt.config import Settings
from gridmgmt.db import jobs
from gridmgmt.db.jobs import JOB_NAMES, Asked
from gridmgmt.db.models import JobKind
from gridmgmt.importing import inbox
from gridmgmt.importing.uploads import KIND_NAMES

# Seconds after which a work counts as late: its moment passed while no worker ran.
LATE = 600
LEVELS = {"grid": "网格", "village": "村社区", "town": "镇街"}


@dataclass(frozen=True)
class Turn:
    """One work of the plan: when it is due (cron, China's time) and what is asked for then, if anything."""

    work: str
    name: str
    cron: str
    asked: Callable[[Engine, Settings, date], list[Asked]]

    def next(self, after: float) -> datetime:
        """Return the first moment after some seconds since 1970 at which it is due."""
        start = datetime.fromtimestamp(after, CHINA)
        found: datetime = croniter(self.cron, start_time=start).get_next(datetime)
        return found


def due(engine: Engine, chosen: Settings, work: str, timestamp: int) -> list[int]:
    """Return the jobs asked for by a work that was due at a moment (seconds since 1970).

    None when a later moment of it has passed as well: what was missed for a week is caught up once.
    """
    turn, now = TURNS[work], time.time()
    if turn.next(timestamp).timestamp() <= now:
        return []
    moment = datetime.fromtimestamp(timestamp, CHINA)
    asked = turn.asked(engine, chosen, moment.date())
    return jobs.ask_due(engine, work, moment, asked, late=now - timestamp > LATE)


class InChina(PeriodicTask[..., Any, ...]):
    """A periodic task of procrastinate whose cron is read on China's clock, not on UTC."""

    @cached_property
    def croniter(self) -> croniter:
        return croniter(self.cron, start_time=datetime.now(CHINA))


# --- what is asked for


def _inbox(engine: Engine, chosen: Settings, day: date) -> list[Asked]:
    """Ask for an import of every complete file of the inbox that no job is about to take."""
    waits = {
        (job.parameters["kind"], job.parameters["files"][0])
        for job in jobs.under_way(engine) if job.parameters.get("inbox")
    }  # fmt: skip
    return [
        Asked(JobKind.IMPORT, f"导入{KIND_NAMES[kind]}（收件夹）", {
            "kind": kind, "files": [name], "inbox": True, "mapping": False, "crs": None, "dry_run": False,
        })
        for kind, name in inbox.complete(chosen.home) if (kind, name) not in waits
    ]  # fmt: skip


def _hotspots(engine: Engine, chosen: Settings, day: date) -> list[Asked]:
    """Ask for the hotspots of the year up to the newest matter, unless they are known of these data."""
    last = _new_matters(engine, "hotspots")
    if last is None:
        return []
    asked = {"from": (last - timedelta(days=364)).isoformat(), "to": last.isoformat()}
    return [
        Asked(JobKind.HOTSPOTS, f"热点分析（{name}，到 {last}）", {**asked, "level": level})
        for level, name in LEVELS.items()
    ]


def _clusters(engine: Engine, chosen: Settings, day: date) -> list[Asked]:
    last = _new_matters(engine, "clusters")
    return [Asked(JobKind.CLUSTERS, f"近期聚集（到 {last}）", {"to": last.isoformat()})] if last else []


def _new_matters(engine: Engine, kind: str) -> date | None:
    """Return the day of the newest matter; None when the newest run of a kind rests on the same data."""
    from gridmgmt.hotspots import stored
    from gridmgmt.incidents import service
    from gridmgmt.seasonal import record

    with engine.connect() as connection:
        known, version = service.period(connection), stored.data_version(connection)
        run = record.newest(connection).get(kind)
    if known is None:
        return None
    same = run and run.data_version == version and run.parameters.get("to") == known[1].isoformat()
    return None if same else known[1]


def _seasonal(engine: Engine, chosen: Settings, day: date) -> list[Asked]:
    return [Asked(JobKind.SEASONAL, f"编制 {day.year + 1} 年时令清单", {"year": day.year + 1})]


def _index(engine: Engine, chosen: Settings, day: date) -> list[Asked]:
    month = f"{day.replace(day=1) - timedelta(days=1):%Y-%m}"
    return [Asked(JobKind.INDEX, f"计算 {month} 平安指数", {"months": [month]})]


def _delivery(engine: Engine, chosen: Settings, day: date) -> list[Asked]:
    """Ask for a delivery when an address waits for one and none is under way."""
    from gridmgmt.incidents.opening import webhooks

    now = datetime.now(UTC)
    due_now = any(
        hook.active and hook.waiting and hook.next_try_at <= now for hook in webhooks.listed(engine)
    )
    busy = any(job.kind == JobKind.DELIVERY for job in jobs.under_way(engine))
    return _plain(JobKind.DELIVERY)(engine, chosen, day) if due_now and not busy else []


def _plain(kind: JobKind) -> Callable[[Engine, Settings, date], list[Asked]]:
    return lambda engine, chosen, day: [Asked(kind, JOB_NAMES[kind], {})]


# The list of the next year is made on 20 December: the year counts as whole from its December on, and the
# towns still have ten days to take work on. The index is calculated again while late entries come in.
PLAN = (
    Turn("settle", "方案落实", "10 0 * * *", _plain(JobKind.SETTLE)),
    Turn("inbox", "导入收件夹的文件", "0 1 * * *", _inbox),
    Turn("retention", "到期清理", "30 1 * * *", _plain(JobKind.RETENTION)),
    Turn("hotspots", "热点分析（近一年）", "0 2 * * *", _hotspots),
    Turn("clusters", "近期聚集", "0 2 * * *", _clusters),
    Turn("seasonal", "下一年时令清单", "0 3 20 12 *", _seasonal),
    Turn("index", "上月平安指数", "30 3 2-5 * *", _index),
    Turn("learn", "学习分类", "0 4 * * *", _plain(JobKind.LEARN)),
    Turn("verify", "核验日志", "30 4 * * *", _plain(JobKind.VERIFY)),
    Turn("backup", "数据备份", "0 5 * * *", _plain(JobKind.BACKUP)),
    Turn("tidy", "清理记录", "45 5 * * *", _plain(JobKind.TIDY)),
    Turn("tick", "超期督办", "5 * * * *", _plain(JobKind.TICK)),
    Turn("delivery", "消息推送", "* * * * *", _delivery),
)
TURNS = {turn.work: turn for turn in PLAN}

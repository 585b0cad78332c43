"""Long work as it stands: asked for, begun, followed, ended. The row of a job is what everybody reads.

Who works on it and when is the queue's (`db.queue`): a job goes into it in the transaction that writes its
row. A service that a job calls is one transaction, so that killed work leaves nothing half-done, and does
no harm when it is done again.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, column, func, insert, select, table, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from gridmgmt.db.engine import acting
from gridmgmt.db.models import Job, JobKind, JobPlan, JobStatus
from gridmgmt.errors import ConflictError, InputError, NotFoundError

JOB_NAMES = {
    JobKind.IMPORT: "导入", JobKind.HOTSPOTS: "热点分析", JobKind.CLUSTERS: "近期聚集",
    JobKind.SEASONAL: "时令清单", JobKind.INDEX: "平安指数", JobKind.SETTLE: "方案落实",
    JobKind.RETENTION: "到期清理", JobKind.TICK: "超期督办", JobKind.DELIVERY: "消息推送",
    JobKind.LEARN: "学习分类", JobKind.VERIFY: "核验日志", JobKind.BACKUP: "数据备份",
    JobKind.TIDY: "清理记录",
}  # fmt: skip
STATUS_NAMES = {
    JobStatus.WAITING: "排队", JobStatus.RUNNING: "进行中", JobStatus.DONE: "完成",
    JobStatus.FAILED: "没有办成", JobStatus.STOPPED: "已停止",
}  # fmt: skip
INTERRUPTED = "已中断，请重新发起。没有做完的部分没有留下任何改动。"
AGAIN = "中断过，稍后自动再试。"
# Who asks for what the plan says.
SCHEDULE = "schedule"
# Small work that the plan asks for many times a day: no line in the audit log, and one row a day.
LIGHT = frozenset({JobKind.TICK, JobKind.DELIVERY})
# What the queue calls the one task that does jobs, and where it waits.
TASK, QUEUE = "work", "jobs"
LATEST = 200
# First number of the lock of a kind, held by whoever works on it.
_KIND_LOCK = 7_340_022
_UNDER_WAY = (JobStatus.WAITING, JobStatus.RUNNING)
_ASKED = {
    JobKind.IMPORT: "import.ask", JobKind.HOTSPOTS: "analysis.ask", JobKind.CLUSTERS: "analysis.ask",
    JobKind.SEASONAL: "analysis.ask", JobKind.INDEX: "analysis.ask",
}  # fmt: skip
_queued = table("procrastinate_jobs", column("id"), column("scheduled_at"), column("status"), schema="queue")
_DEFER = text("""
    SELECT (queue.procrastinate_defer_jobs_v1(ARRAY[
        ROW(:queue, :task, :priority, :lock, NULL, CAST(:args AS jsonb), NULL)
    ]::queue.procrastinate_job_to_defer_v1[]))[1]
""")
_ALIVE = text(
    "SELECT count(*) FROM queue.procrastinate_workers WHERE last_heartbeat > now() - interval '30 s'"
)


@dataclass(frozen=True)
class Asked:
    """What a job is to do; the title stands in the audit log: it names no file and no person."""

    kind: JobKind
    title: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class JobLine:
    """One job as it stands; `at` of `total` is None where nobody knows how much there is.

    `attempt` is how often it was begun, `next_at` when it will be tried again where that is not at once.
    """

    id: int
    kind: str
    title: str
    parameters: dict[str, Any]
    asked_by: str
    asked_at: datetime
    status: str
    doing: str | None
    at: int | None
    total: int | None
    started_at: datetime | None
    beat_at: datetime | None
    finished_at: datetime | None
    result: dict[str, Any] | None
    error: str | None
    queue_id: int | None
    attempt: int
    stopped_by: str | None
    next_at: datetime | None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status not in _UNDER_WAY

    @property
    def told_at(self) -> datetime:
        """When something was last heard of it."""
        return max(each for each in (self.asked_at, self.beat_at, self.finished_at) if each)

    @property
    def percent(self) -> int | None:
        """How far it is, 0 to 100; None where nobody knows."""
        if self.status == JobStatus.DONE:
            return 100
        if not self.total or self.at is None:
            return None
        return min(100, 100 * self.at // self.total)

    def seconds(self, now: datetime) -> int:
        """Return for how long it has been, or was, worked on."""
        if self.started_at is None:
            return 0
        return max(0, int(((self.finished_at or now) - self.started_at).total_seconds()))


def ask(engine: Engine, kind: str, title: str, parameters: Mapping[str, Any], who: str) -> int:
    """Return the number of a new job: its row, its line in the audit log and its place in the queue, or none.

    `engine` is the owner's. The title stands in the log: it names what is done, and no file or person.
    InputError for a kind that does not exist.
    """
    if kind not in set(JobKind):
        raise InputError("kind", kind, " | ".join(JobKind))
    with acting(engine, who, "") as connection:
        return _ask(connection, Asked(JobKind(kind), title, parameters), who)


def ask_due(
    engine: Engine, work: str, due_at: datetime, asked: Sequence[Asked], *, late: bool = False
) -> list[int]:
    """Return the numbers of the jobs that the plan asks for by one of its works, due at a moment.

    None when that moment, or a later one, was asked for before. A work that was never due before is not
    caught up (`late`): a new installation does not begin with all that the night would have done.
    """
    seen = upsert(JobPlan).values(work=work, due_at=due_at)
    seen = seen.on_conflict_do_update(
        index_elements=[JobPlan.work], set_={"due_at": due_at}, where=JobPlan.due_at < due_at
    )
    with acting(engine, SCHEDULE, "") as connection:
        first = connection.scalar(select(JobPlan.due_at).where(JobPlan.work == work)) is None
        taken = connection.scalar(seen.returning(JobPlan.work)) is None
        if taken or (first and late):
            return []
        return [_ask(connection, each, SCHEDULE) for each in asked]


def _ask(connection: Connection, asked: Asked, who: str) -> int:
    if asked.kind not in LIGHT:
        _record(connection, _ASKED.get(asked.kind, "job.ask"), {"kind": asked.title})
    row = insert(Job).values(
        kind=asked.kind, title=asked.title, parameters=dict(asked.parameters), asked_by=who
    )
    number = int(connection.execute(row.returning(Job.id)).scalar_one())
    place = {
        "queue": QUEUE, "task": TASK, "lock": asked.kind, "priority": int(asked.kind in LIGHT),
        "args": json.dumps({"number": number}),
    }  # fmt: skip
    queued = connection.execute(_DEFER, place).scalar_one()
    connection.execute(update(Job).where(Job.id == number).values(queue_id=queued))
    return number


def _record(connection: Connection, what: str, detail: Mapping[str, Any]) -> None:
    connection.execute(
        text("SELECT audit(:what, detail => CAST(:detail AS jsonb))"),
        {"what": what, "detail": json.dumps(detail, ensure_ascii=False)},
    )


def stop(engine: Engine, number: int, who: str) -> None:
    """Stop a job: at once where it waits; where it runs its process is ended, which takes some seconds.

    What came of it before that is undone, as with any killed work. ConflictError when it is over,
    NotFoundError when there is none of this number.
    """
    with acting(engine, who, "") as connection:
        row = connection.execute(
            select(Job.status, Job.title, Job.queue_id).where(Job.id == number).with_for_update()
        ).one_or_none()
        if row is None:
            raise NotFoundError(f"no job {number}")
        if row.status not in _UNDER_WAY:
            raise ConflictError(f"job {number} is over: {row.status}")
        _record(connection, "job.stop", {"kind": row.title, "job": number})
        connection.execute(
            text("SELECT queue.procrastinate_cancel_job_v1(:id, true, false)"), {"id": row.queue_id}
        )
        held = connection.scalar(select(_queued.c.status).where(_queued.c.id == row.queue_id)) == "doing"
        values: dict[str, Any] = {"stopped_by": who, "beat_at": func.clock_timestamp()}
        if not held:
            values |= {"status": JobStatus.STOPPED, "error": None, "finished_at": func.clock_timestamp()}
        connection.execute(update(Job).where(Job.id == number).values(values))


# --- read


def of(engine: Engine, number: int) -> JobLine:
    """Return a job; NotFoundError when there is none of this number."""
    with engine.connect() as connection:
        found = _lines(connection, Job.id == number)
    if not found:
        raise NotFoundError(f"no job {number}")
    return found[0]


def listed(engine: Engine, kind: str | None = None, most: int = LATEST) -> list[JobLine]:
    """Return the latest jobs, of one kind or of all, newest first."""
    with engine.connect() as connection:
        return _lines(connection, *([Job.kind == kind] if kind else []), most=most)


def under_way(engine: Engine) -> list[JobLine]:
    """Return the jobs that wait or are worked on, newest first."""
    with engine.connect() as connection:
        return _lines(connection, Job.status.in_(_UNDER_WAY))


def ended_since(engine: Engine, moment: datetime) -> list[JobLine]:
    """Return the jobs that ended after a moment, newest first."""
    with engine.connect() as connection:
        return _lines(connection, Job.finished_at > moment)


def workers(engine: Engine) -> int:
    """Return how many workers (`gridmgmt jobs work`) said within half a minute that they live."""
    with engine.connect() as connection:
        return int(connection.execute(_ALIVE).scalar_one())


def last_due(engine: Engine) -> dict[str, datetime]:
    """Return when each work of the plan was last asked for, or seen to be due."""
    with engine.connect() as connection:
        found = connection.execute(select(JobPlan.work, JobPlan.due_at))
        return {row.work: row.due_at for row in found}


def _lines(connection: Connection, *conditions: ColumnElement[bool], most: int = LATEST) -> list[JobLine]:
    waits = (_queued.c.id == Job.queue_id) & (Job.status == JobStatus.WAITING)
    query = select(Job.__table__, _queued.c.scheduled_at.label("next_at")).outerjoin(_queued, waits)
    rows = connection.execute(query.where(*conditions).order_by(Job.id.desc()).limit(most))
    return [JobLine(**row._mapping) for row in rows]


# --- for whoever does the work


@contextmanager
def held(engine: Engine, kind: str) -> Iterator[None]:
    """Hold a kind as the one process that works on it; ConflictError when another does.

    The queue gives out one of a kind at a time; this holds even where a worker is thought dead and is not.
    """
    lock = {"lock": _KIND_LOCK, "kind": kind}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:lock, hashtext(:kind))"), lock):
            raise ConflictError(f"another process works on a job of this kind: {kind}")
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock, hashtext(:kind))"), lock)


def begin(engine: Engine, number: int) -> JobLine | None:
    """Return the job, begun, or begun anew after it was interrupted; None when it is over.

    For whoever holds its kind (`held`). NotFoundError when there is none of this number.
    """
    with engine.begin() as connection:
        status = connection.scalar(select(Job.status).where(Job.id == number).with_for_update())
        if status is None:
            raise NotFoundError(f"no job {number}")
        if status not in _UNDER_WAY:
            return None
        now = func.statement_timestamp()  # one moment for both, and not that of the transaction
        values = {
            "status": JobStatus.RUNNING, "started_at": now, "beat_at": now, "error": None,
            "attempt": Job.attempt + 1,
        }  # fmt: skip
        connection.execute(update(Job).where(Job.id == number).values(values))
        return _lines(connection, Job.id == number)[0]


def beat(
    connection: Connection, number: int, doing: str | None = None, at: int | None = None,
    total: int | None = None,
) -> None:  # fmt: skip
    """Say that a job lives, what it does now and how far it is."""
    values = {"beat_at": func.clock_timestamp(), "doing": doing, "at": at, "total": total}
    connection.execute(update(Job).where(Job.id == number, Job.status.in_(_UNDER_WAY)).values(values))
    connection.commit()


def finish(engine: Engine, number: int, result: Mapping[str, Any]) -> None:
    """Say that a job is done and what came of it."""
    _end(engine, number, status=JobStatus.DONE, result=dict(result), error=None)


def fail(engine: Engine, number: int, error: str, result: Mapping[str, Any] | None = None) -> None:
    """Say why a job came to nothing, or what came of it before."""
    _end(engine, number, status=JobStatus.FAILED, result=dict(result) if result else None, error=error)


def interrupted(engine: Engine, number: int, *, again: bool) -> None:
    """Say that nobody works on a job any more: it waits to be tried again, has failed, or was stopped."""
    with engine.connect() as connection:
        stopped = connection.scalar(select(Job.stopped_by).where(Job.id == number))
    if stopped:
        _end(engine, number, status=JobStatus.STOPPED, error=None)
    elif not again:
        _end(engine, number, status=JobStatus.FAILED, error=INTERRUPTED)
    else:
        waits = {
            "status": JobStatus.WAITING, "doing": None, "at": None, "total": None, "error": AGAIN,
            "beat_at": func.clock_timestamp(),
        }  # fmt: skip
        with engine.begin() as connection:
            mine = update(Job).where(Job.id == number, Job.status.in_(_UNDER_WAY))
            connection.execute(mine.values(waits))


def _end(engine: Engine, number: int, **values: Any) -> None:
    with engine.begin() as connection:
        ended = update(Job).where(Job.id == number, Job.status.in_(_UNDER_WAY))
        connection.execute(ended.values(**values, doing=None, finished_at=func.clock_timestamp()))


# --- what is not kept


def keep_newest(engine: Engine, job: JobLine) -> None:
    """Remove the jobs of the plan of the same kind and day (China's) that were done before this one."""
    with engine.begin() as connection:
        connection.execute(
            text("""
            DELETE FROM job WHERE kind = :kind AND asked_by = :who AND status = 'done' AND id < :id
                AND asked_at >= date_trunc('day', CAST(:at AS timestamptz), 'Asia/Shanghai')
            """),
            {"kind": job.kind, "who": SCHEDULE, "id": job.id, "at": job.asked_at},
        )


def forget(engine: Engine, before: datetime) -> int:
    """Remove the jobs that ended before a moment, and return how many there were."""
    with engine.begin() as connection:
        return connection.execute(
            text("DELETE FROM job WHERE finished_at < :before"), {"before": before}
        ).rowcount

"""Long work that was asked for on a page: asked, begun, followed, ended. One of a kind runs at a time.

Whoever runs a job holds a lock of its number (`held`) and says every few seconds that it lives (`beat`). Work
that is silent and whose lock nobody holds was killed: `clear_stale` says so. A service that a job calls is
one transaction, so that killed work left nothing half-done.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, func, insert, select, text, update

from gridmgmt.db.engine import acting
from gridmgmt.db.models import Job, JobKind, JobStatus
from gridmgmt.errors import ConflictError, InputError, NotFoundError

JOB_NAMES = {
    JobKind.IMPORT: "导入", JobKind.HOTSPOTS: "热点分析", JobKind.CLUSTERS: "近期聚集",
    JobKind.SEASONAL: "时令清单", JobKind.INDEX: "平安指数",
}  # fmt: skip
STATUS_NAMES = {
    JobStatus.WAITING: "排队", JobStatus.RUNNING: "进行中", JobStatus.DONE: "完成",
    JobStatus.FAILED: "没有办成",
}  # fmt: skip
INTERRUPTED = "已中断，请重新发起。没有做完的部分没有留下任何改动。"
# Silent for so long, work without a holder is over.
SILENT = timedelta(seconds=60)
LATEST = 200
# Two kinds of locks, by their first number: of one job while it is worked on, of a kind while one is begun.
_JOB_LOCK, _KIND_LOCK = 7_340_021, 7_340_022
_UNDER_WAY = (JobStatus.WAITING, JobStatus.RUNNING)


@dataclass(frozen=True)
class JobLine:
    """One job as it stands; `at` of `total` is None where nobody knows how much there is."""

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
    """Return the number of a new job that waits to be begun, with its line in the audit log.

    `engine` is the owner's. The title stands in the log: it names what is done, and no file or person.
    InputError for a kind that does not exist.
    """
    if kind not in set(JobKind):
        raise InputError("kind", kind, " | ".join(JobKind))
    what = "import.ask" if kind == JobKind.IMPORT else "analysis.ask"
    row = insert(Job).values(kind=kind, title=title, parameters=dict(parameters), asked_by=who)
    with acting(engine, who, "") as connection:
        detail = json.dumps({"kind": title}, ensure_ascii=False)
        connection.execute(
            text("SELECT audit(:what, detail => CAST(:detail AS jsonb))"), {"what": what, "detail": detail}
        )
        return int(connection.execute(row.returning(Job.id)).scalar_one())


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


def _lines(connection: Connection, *conditions: ColumnElement[bool], most: int = LATEST) -> list[JobLine]:
    query = select(Job.__table__).where(*conditions).order_by(Job.id.desc()).limit(most)
    return [JobLine(**row._mapping) for row in connection.execute(query)]


# --- for whoever does the work


@contextmanager
def held(engine: Engine, number: int) -> Iterator[None]:
    """Hold a job as the one process that works on it; ConflictError when another does."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not _lock(connection, "pg_try_advisory_lock", number):
            raise ConflictError(f"job {number} is worked on by another process")
        try:
            yield
        finally:
            _lock(connection, "pg_advisory_unlock", number)


def begin(engine: Engine, number: int) -> JobLine | None:
    """Return the job, begun; None while another of its kind runs. For whoever holds it (`held`).

    NotFoundError when there is none of this number, ConflictError when it does not wait any more.
    """
    clear_stale(engine)
    with engine.begin() as connection:
        wanted = select(Job.kind, Job.status).where(Job.id == number)
        row = connection.execute(wanted.with_for_update(skip_locked=True)).one_or_none()
        if row is None:  # no such job, or somebody writes it at this moment
            if connection.execute(wanted).first() is None:
                raise NotFoundError(f"no job {number}")
            return None
        if row.status != JobStatus.WAITING:
            raise ConflictError(f"job {number} does not wait any more: {row.status}")
        # Two jobs of a kind begun at the same moment must see each other.
        connection.execute(
            text("SELECT pg_advisory_xact_lock(:lock, hashtext(:kind))"),
            {"lock": _KIND_LOCK, "kind": row.kind},
        )
        if not _turn(connection, number, row.kind):
            return None
        now = func.statement_timestamp()  # one moment for both, and not that of the transaction
        values = {"status": JobStatus.RUNNING, "started_at": now, "beat_at": now}
        connection.execute(update(Job).where(Job.id == number).values(values))
        return _lines(connection, Job.id == number)[0]


def _turn(connection: Connection, number: int, kind: str) -> bool:
    """Say whether no other of the kind runs or has waited longer."""
    before = (Job.status == JobStatus.RUNNING) | ((Job.status == JobStatus.WAITING) & (Job.id < number))
    query = select(Job.id).where(Job.kind == kind, Job.id != number, before).limit(1)
    return connection.execute(query).first() is None


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


def _end(engine: Engine, number: int, **values: Any) -> None:
    with engine.begin() as connection:
        ended = update(Job).where(Job.id == number)
        connection.execute(ended.values(**values, doing=None, finished_at=func.clock_timestamp()))


def clear_stale(engine: Engine, silent: timedelta = SILENT) -> int:
    """Mark the jobs whose process is gone as interrupted, and return how many there were.

    Gone is what nobody holds and what has said nothing for so long: a process that hangs still holds its job,
    one that has lost its holding connection still says that it lives.
    """
    heard = func.greatest(Job.asked_at, func.coalesce(Job.beat_at, Job.asked_at))
    query = select(Job.id).where(Job.status.in_(_UNDER_WAY), heard < func.now() - silent)
    with engine.begin() as connection:
        found = connection.scalars(query.with_for_update(skip_locked=True)).all()
        gone = [number for number in found if _lock(connection, "pg_try_advisory_xact_lock", number)]
        if gone:
            values = {"status": JobStatus.FAILED, "error": INTERRUPTED, "doing": None}
            ended = update(Job).where(Job.id.in_(gone))
            connection.execute(ended.values(**values, finished_at=func.clock_timestamp()))
    return len(gone)


def _lock(connection: Connection, function: str, number: int) -> bool:
    asked = text(f"SELECT {function}(:lock, :number)")
    return bool(connection.execute(asked, {"lock": _JOB_LOCK, "number": number}).scalar_one())

"""Closes the stops of a round, each once."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.households.actor import Actor
from gridmgmt.households.visits.models import OUTCOME_NAMES, Outcome, StopStatus

# A list, because what somebody writes freely is kept sealed, in the note of a visit.
REASONS = (
    OUTCOME_NAMES[Outcome.ABSENT],
    OUTCOME_NAMES[Outcome.DECLINED],
    "外出或已搬走",
    "已由他人办理",
    "其他",
)


@dataclass(frozen=True)
class Report:
    """What became of a stop: done, or not and for which of `REASONS`."""

    done: bool
    reason: str | None = None

    @staticmethod
    def of_visit(outcome: Outcome) -> "Report":
        """Return what a visit means for its stop: done when somebody was met."""
        met = outcome is Outcome.MET
        return Report(met, None if met else OUTCOME_NAMES[outcome])

    @property
    def status(self) -> StopStatus:
        return StopStatus.DONE if self.done else StopStatus.NOT_DONE

    def check(self) -> None:
        """Raise InputError unless a stop that was not done says why."""
        if not self.done and self.reason not in REASONS:
            raise InputError("reason", self.reason, " | ".join(REASONS))


@dataclass(frozen=True)
class Stop:
    """A stop as it stands: its household, the code of its grid, its status and who closed it."""

    id: int
    round_id: int
    household_id: int
    area: str
    status: str
    closed_by: str | None


def locked(connection: Connection, stop_id: int) -> Stop:
    """Return a stop that nobody else changes until the end; NotFoundError outside the actor's area."""
    row = connection.execute(
        text("""
        SELECT s.id, s.round_id, s.household_id, g.code15, s.status, s.closed_by FROM visit_stop s
        JOIN household h ON h.id = s.household_id JOIN grid g ON g.id = h.grid_id WHERE s.id = :stop
        FOR UPDATE OF s
        """),
        {"stop": stop_id},
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"no stop {stop_id} here")
    return Stop(*row)


def locked_open(connection: Connection, stop_id: int) -> Stop:
    """Return a stop as `locked` does; ConflictError when it is done. One that failed may be tried again."""
    stop = locked(connection, stop_id)
    if stop.status == StopStatus.DONE:
        raise ConflictError(f"stop {stop_id} was done by {stop.closed_by}")
    return stop


def household_of(connection: Connection, stop_id: int) -> int:
    """Return the household of a stop; NotFoundError when it is not in the actor's area."""
    found = connection.execute(
        text("SELECT household_id FROM visit_stop WHERE id = :stop"), {"stop": stop_id}
    ).scalar_one_or_none()
    if found is None:
        raise NotFoundError(f"no stop {stop_id} here")
    return int(found)


def close(
    connection: Connection, actor: Actor, stop_id: int, report: Report, visit_id: int | None = None
) -> None:
    """Write what became of a stop that is locked; the audit line stands already."""
    connection.execute(
        text("""
        UPDATE visit_stop SET status = :status, reason = :reason, visit_id = coalesce(:visit, visit_id),
            closed_at = now(), closed_by = :user WHERE id = :stop
        """),
        {
            "status": report.status, "reason": report.reason, "visit": visit_id, "user": actor.username,
            "stop": stop_id,
        },
    )  # fmt: skip

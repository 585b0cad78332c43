"""What time does to matters: those long over their limit come under supervision; keys of retries expire.

Run often (a timer, or `gridmgmt matters tick`); running it twice changes nothing more.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from sqlalchemy import Connection, Engine, delete, select

from gridmgmt.calendar import CHINA
from gridmgmt.errors import ConflictError, NotFoundError
from gridmgmt.incidents import holidays
from gridmgmt.incidents.actor import CLOCK, Actor
from gridmgmt.incidents.flows import stored as flows
from gridmgmt.incidents.handling.acts import Act
from gridmgmt.incidents.handling.models import IncidentCase, IncidentKey
from gridmgmt.incidents.handling.work import Work, moment_of, on_case

# So long after a form was sent, nobody sends it again.
KEYS_KEPT = timedelta(days=30)
ACTOR = Actor(CLOCK, None, "")


@dataclass(frozen=True)
class Ticked:
    """How many matters came under supervision, how many keys of retries went, what years are missing."""

    escalated: int
    keys: int
    missing: tuple[int, ...]


def tick(engine: Engine, now: datetime | None = None) -> Ticked:
    """Put matters under supervision that are over their limit by the working days that their flow allows.

    A matter is escalated once until its limits are moved or it is reopened; one that is suspended or goes
    along with another waits. Each is a transaction of its own, so that one that somebody holds does not keep
    the others. `engine` is the owner's; `now` is the server's clock unless given.
    """
    with engine.begin() as connection:
        moment = now or moment_of(connection)
        old = delete(IncidentKey).where(IncidentKey.made_at < moment - KEYS_KEPT)
        keys = connection.execute(old).rowcount
        numbers = list(_late(connection, moment))
        days = holidays.working_days(connection)
    escalated = sum(_escalate(engine, number, moment) for number in numbers)
    # The limits of new matters reach into the next year from autumn on.
    ahead = moment.astimezone(CHINA).date() + timedelta(days=120)
    return Ticked(escalated, keys, tuple(days.missing(moment.astimezone(CHINA).date(), ahead)))


def _late(connection: Connection, now: datetime) -> Iterator[int]:
    """Give the cases that may be over their limit by what their flow allows."""
    days = holidays.working_days(connection)
    today = now.astimezone(CHINA).date()
    for flow_id in connection.scalars(select(IncidentCase.flow_id).where(IncidentCase.open).distinct()).all():
        flow = flows.flow_of(connection, flow_id)
        last = days.back(today, flow.escalates_after) + timedelta(days=1)
        yield from connection.scalars(
            select(IncidentCase.id)
            .where(
                IncidentCase.open,
                IncidentCase.flow_id == flow_id,
                IncidentCase.next_due_at < datetime.combine(last, time(), CHINA),
                IncidentCase.escalated_at.is_(None),
                IncidentCase.suspended_at.is_(None),
                IncidentCase.duplicate_of.is_(None),
            )
            .order_by(IncidentCase.next_due_at)
        ).all()


def _escalate(engine: Engine, number: int, now: datetime) -> bool:
    """Escalate one matter if it still is as it was found; False when somebody was quicker."""
    try:
        with on_case(engine, ACTOR, number, now=now) as work:
            if not is_late(work):
                return False
            over = work.days.between(work.case.next_due_at, now)
            work.write(
                Act.ESCALATE,
                due_at=work.case.next_due_at,
                detail={"over": over},
                case={"supervised_at": work.case.supervised_at or now, "escalated_at": now},
            )
    except (ConflictError, NotFoundError):
        return False
    return True


def is_late(work: Work) -> bool:
    """Say whether a matter is to be escalated now: over its limit by what its flow allows, and not yet."""
    case = work.case
    waits = case.suspended_at or case.duplicate_of or case.escalated_at
    if not case.open or waits or case.next_due_at is None or work.now <= case.next_due_at:
        return False
    return work.days.between(case.next_due_at, work.now) >= work.flow.escalates_after

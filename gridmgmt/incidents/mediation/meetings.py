"""民心沟通会: a town or the city reports back to residents what became of their matters."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, insert, select, text, update

from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.incidents.actor import Actor, on_matters
from gridmgmt.incidents.handling.models import IncidentCase
from gridmgmt.incidents.handling.work import moment_of
from gridmgmt.incidents.mediation.mediators import check_staff
from gridmgmt.incidents.mediation.models import Held, MatterMeeting, MatterMeetingItem
from gridmgmt.incidents.mediation.words import YEAR, moment_near, named, open_words

MOST_MATTERS = 60
MOST_ATTENDED = 5_000


@dataclass(frozen=True)
class MeetingTold:
    """A meeting to be held: `area` is the own one or a village of it, `matters` the numbers on the agenda."""

    title: str
    place: str
    held_at: datetime
    matters: tuple[str, ...] = ()
    area: str | None = None


def plan(engine: Engine, actor: Actor, told: MeetingTold, *, now: datetime | None = None) -> int:
    """Plan a meeting with its agenda, and return its number.

    Raises NotAllowedError unless the actor is of a town office or the centre, InputError for a field; a
    matter on the agenda must be one of the area.
    """
    check_staff(actor)
    with on_matters(engine, actor) as connection:
        moment = now or moment_of(connection)
        area = actor.area if told.area is None else told.area
        _check_area(connection, actor, area)
        row = {
            "area": area, "title": named("title", told.title, 60), "place": named("place", told.place),
            "held_at": moment_near("held_at", told.held_at, moment - YEAR, moment + YEAR),
            "status": Held.PLANNED, "made_at": moment, "made_by": actor.username,
        }  # fmt: skip
        cases = _cases(connection, area, told.matters)
        number = int(
            connection.execute(insert(MatterMeeting).values(row).returning(MatterMeeting.id)).scalar_one()
        )
        if cases:
            items = [{"meeting_id": number, "case_id": each} for each in cases]
            connection.execute(insert(MatterMeetingItem), items)
        return number


def _check_area(connection: Connection, actor: Actor, area: str) -> None:
    known = area == actor.area or connection.scalar(
        text("SELECT true FROM division WHERE code = :code AND level IN ('town', 'village')"), {"code": area}
    )
    if not known or not area.startswith(actor.area):
        raise InputError("area", area, "the own area, or a village or town of it")


def _cases(connection: Connection, area: str, numbers: tuple[str, ...]) -> list[int]:
    wanted = tuple(dict.fromkeys(each.strip() for each in numbers if each.strip()))
    if len(wanted) > MOST_MATTERS:
        raise InputError("matters", len(wanted), f"at most {MOST_MATTERS}")
    rows = connection.execute(
        select(IncidentCase.number, IncidentCase.id).where(
            IncidentCase.number.in_(wanted),
            func.coalesce(IncidentCase.village, "").startswith(area, autoescape=True),
        )
    )
    found = {row.number: int(row.id) for row in rows}
    for each in wanted:
        if each not in found:
            raise InputError("matters", each, "the number of a matter of this area")
    return [found[each] for each in wanted]


def hold(
    engine: Engine, actor: Actor, meeting_id: int, attended: int, report: str, *, now: datetime | None = None
) -> None:
    """Write down how many came to a planned meeting and what was said, for everybody to read."""
    if not 1 <= attended <= MOST_ATTENDED:
        raise InputError("attended", attended, f"1 to {MOST_ATTENDED} people")
    words = open_words("report", report)
    if not words:
        raise InputError("report", "nothing", "what was reported and asked")
    with on_matters(engine, actor) as connection:
        row = _planned(connection, actor, meeting_id)
        if row.held_at > (now or moment_of(connection)):
            raise ConflictError(f"meeting {row.id} is planned for {row.held_at}")
        _change(connection, row.id, {"status": Held.HELD, "attended": attended, "report": words})


def call_off(engine: Engine, actor: Actor, meeting_id: int) -> None:
    """Call a planned meeting off."""
    with on_matters(engine, actor) as connection:
        row = _planned(connection, actor, meeting_id)
        _change(connection, row.id, {"status": Held.CALLED_OFF})


def _planned(connection: Connection, actor: Actor, meeting_id: int) -> Row[Any]:
    """Return a planned meeting, held; the office's rows alone, whatever the engine's role sees."""
    check_staff(actor)
    statement = select(MatterMeeting.__table__).where(
        MatterMeeting.id == meeting_id, MatterMeeting.area.startswith(actor.area, autoescape=True)
    )
    row = connection.execute(statement.with_for_update()).one_or_none()
    if row is None:
        raise NotFoundError(f"no meeting {meeting_id} here")
    if row.status != Held.PLANNED:
        raise ConflictError(f"meeting {row.id} is over")
    return row


def _change(connection: Connection, number: int, columns: dict[str, Any]) -> None:
    connection.execute(update(MatterMeeting).where(MatterMeeting.id == number).values(**columns))

"""Days on which an office goes to people: the Friday legal service day, visits to enterprises."""

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, text

from gridmgmt.calendar import CHINA
from gridmgmt.db.models import Role
from gridmgmt.errors import InputError, NotAllowedError
from gridmgmt.incidents.actor import Actor, on_matters
from gridmgmt.incidents.handling.intake import OLDEST
from gridmgmt.incidents.handling.models import IncidentVisit, VisitKind
from gridmgmt.incidents.handling.work import moment_of
from gridmgmt.incidents.intake import check_words

# The kind of such a day -> the channel of the matters that come of it.
CHANNELS = {VisitKind.LEGAL_DAY: "legal_day", VisitKind.ENTERPRISE: "enterprise_visit"}
LONGEST_PLACE = 80
MOST = 500
LISTED = 100


@dataclass(frozen=True)
class ServiceDay:
    """One such day: `heard` people or matters were heard, `taken_in` matters were taken in by its channel."""

    id: int
    kind: VisitKind
    area: str
    held_at: datetime
    place: str
    heard: int
    taken_in: int
    note: str | None
    made_by: str


def add(
    engine: Engine,
    actor: Actor,
    kind: str,
    day: date,
    place: str,
    heard: int,
    note: str = "",
    now: datetime | None = None,
) -> int:
    """Write down such a day of a town office or the centre, and return its number.

    Raises NotAllowedError for anybody else, InputError for a field that is not allowed.
    """
    if actor.role not in (Role.TOWN_OFFICER, Role.COMMAND):
        raise NotAllowedError(f"{actor.username} holds no service days")
    if kind not in {each.value for each in CHANNELS}:
        raise InputError("kind", kind, ", ".join(CHANNELS))
    where = place.strip()
    if not where or len(where) > LONGEST_PLACE:
        raise InputError("place", place, f"1 to {LONGEST_PLACE} characters")
    check_words(where)
    if not 0 <= heard <= MOST:
        raise InputError("heard", heard, f"0 to {MOST}")
    if note.strip():
        check_words(note)
    held_at = datetime.combine(day, time(9), CHINA)
    with on_matters(engine, actor) as connection:
        moment = now or moment_of(connection)
        if not moment - OLDEST <= held_at or day > moment.astimezone(CHINA).date():
            raise InputError("day", day.isoformat(), "a day of the last year")
        statement = insert(IncidentVisit).values(
            kind=kind, area=actor.area, held_at=min(held_at, moment), made_by=actor.username, place=where,
            matters=heard, note=note.strip() or None,
        )  # fmt: skip
        return int(connection.execute(statement.returning(IncidentVisit.id)).scalar_one())


def listed(connection: Connection, actor: Actor) -> list[ServiceDay]:
    """Return the latest such days of an actor's area, the newest first."""
    rows = connection.execute(
        text("""
        SELECT v.id, v.kind, v.area, v.held_at, v.place, coalesce(v.matters, 0) AS heard, v.note, v.made_by,
            (SELECT count(*) FROM incident i
                WHERE i.channel = CASE v.kind WHEN 'legal_day' THEN 'legal_day' ELSE 'enterprise_visit' END
                AND i.reported_at >= date_trunc('day', v.held_at, 'Asia/Shanghai')
                AND i.reported_at < date_trunc('day', v.held_at, 'Asia/Shanghai') + interval '1 day'
                AND (v.area = '' OR starts_with(i.village, v.area))) AS taken_in
        FROM incident_visit v
        WHERE v.case_id IS NULL AND v.kind IN ('legal_day', 'enterprise') AND starts_with(v.area, :area)
        ORDER BY v.held_at DESC, v.id DESC LIMIT :limit
        """),
        {"area": actor.area, "limit": LISTED},
    )
    return [_day(row) for row in rows]


def _day(row: Row[Any]) -> ServiceDay:
    columns = dict(row._mapping)
    return ServiceDay(**columns | {"kind": VisitKind(row.kind), "place": row.place or ""})

"""Records visits, once each however often a phone sends them, and reads the notebook of them."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import IntegrityError

from gridmgmt.calendar import CHINA
from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.households.visits import stops, stored
from gridmgmt.households.visits.models import Outcome, Purpose
from gridmgmt.households.visits.stored import VisitLine
from gridmgmt.privacy import audit
from gridmgmt.privacy.cipher import new_salts, seal
from gridmgmt.privacy.keyring import KeyRing

LONGEST_NOTE = 1000
OLDEST = timedelta(days=30)
# A phone's clock may be a little fast; what it calls the near future is now.
CLOCK_SKEW = timedelta(minutes=10)


@dataclass(frozen=True)
class Seen:
    """What somebody saw at a door. `key` is made on the phone; `matter` is the category of what is reported
    besides; `stop_id` is the stop of a round that this visit was for.
    """

    key: UUID
    dwelling_id: int
    purpose: Purpose
    outcome: Outcome
    visited_at: datetime
    household_id: int | None = None
    note: str = ""
    matter: str | None = None
    stop_id: int | None = None


@dataclass(frozen=True)
class Place:
    """Where a visit was: the code of the grid, and the household if it is one that lives there."""

    area: str
    household_id: int | None

    @property
    def households(self) -> list[int]:
        return [self.household_id] if self.household_id else []


def record(engine: Engine, ring: KeyRing, actor: Actor, seen: Seen, now: datetime | None = None) -> int:
    """Keep a visit and return its number; the same key again gives the same number and writes nothing.

    Somebody met to verify makes the dwelling verified on that day. A stop of a round is closed with it, done
    when somebody was met.

    Raises
    ------
    InputError
        When the moment is in the future or over 30 days ago, or the note is too long.
    NotFoundError
        When the dwelling, household or stop is not in the actor's area, or they do not belong together.
    ConflictError
        When the key is another's, or the stop was done already.
    """
    with on_roster(engine, actor) as connection:
        known = kept(connection, actor, seen.key)
        if known is not None:
            return known
        at = checked_moment(connection, seen, now)
        place = place_of(connection, seen)
        if seen.stop_id is not None:
            stops.locked_open(connection, seen.stop_id)
        detail = {"dwelling": seen.dwelling_id} | ({"stop": seen.stop_id} if seen.stop_id else {})
        audit.record(
            connection, "visit.record", area=place.area, households=place.households, purpose=seen.purpose,
            detail=detail,
        )  # fmt: skip
        number = write(connection, ring, actor, seen, place, at)
        if seen.stop_id is not None:
            stops.close(connection, actor, seen.stop_id, stops.Report.of_visit(seen.outcome), number)
    return number


def notebook(
    engine: Engine, ring: KeyRing, actor: Actor, first: date, last: date, *, own: bool = False
) -> list[VisitLine]:
    """Return the visits of some days in the actor's area, newest first; with `own` the actor's alone."""
    with on_roster(engine, actor) as connection:
        lines = stored.book(connection, ring, first, last, actor.username if own else None)
        households = {line.household_id for line in lines if line.household_id}
        detail = {"from": first.isoformat(), "to": last.isoformat()}
        audit.record(connection, "visit.list", area=actor.area, households=households, detail=detail)
    return lines


def checked_moment(connection: Connection, seen: Seen, now: datetime | None = None) -> datetime:
    """Return when the visit was, at most `now`; InputError for what no clock roughly right would say.

    Now is what the database says: one web server of several may have its clock off, and phones would lose
    what they have waiting.
    """
    now = now or connection.execute(select(func.now())).scalar_one()
    if len(seen.note) > LONGEST_NOTE:
        raise InputError("note", "a longer text", f"up to {LONGEST_NOTE} characters")
    if seen.visited_at.tzinfo is None:
        raise InputError("visited_at", seen.visited_at.isoformat(), "a moment with its offset from UTC")
    if not now - OLDEST <= seen.visited_at <= now + CLOCK_SKEW:
        raise InputError("visited_at", seen.visited_at.isoformat(), "a moment of the last 30 days")
    return min(seen.visited_at, now)


def kept(connection: Connection, actor: Actor, key: UUID) -> int | None:
    """Return the number of the visit with this key, None when there is none; no other asks until the end."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 64))"), {"key": str(key)})
    row = connection.execute(
        text("SELECT id, made_by FROM visit WHERE key = :key"), {"key": key}
    ).one_or_none()
    if row is None:
        return None
    if row.made_by != actor.username:
        raise ConflictError("the key of this visit is another's")
    return int(row.id)


def place_of(connection: Connection, seen: Seen) -> Place:
    """Return where a visit was; a household that lives alone behind the door need not be named."""
    area = stored.grid_of(connection, seen.dwelling_id)
    if area is None:
        raise NotFoundError(f"no dwelling {seen.dwelling_id} here")
    rows = connection.execute(
        text("SELECT id FROM household WHERE dwelling_id = :dwelling AND ended_on IS NULL"),
        {"dwelling": seen.dwelling_id},
    )
    living = list(rows.scalars())
    household = seen.household_id
    if household is None and seen.stop_id is not None:
        household = stops.household_of(connection, seen.stop_id)
    if household is None:
        return Place(area, living[0] if len(living) == 1 else None)
    if household not in living:
        raise NotFoundError(f"household {household} does not live in dwelling {seen.dwelling_id}")
    if seen.stop_id is not None and stops.household_of(connection, seen.stop_id) != household:
        raise NotFoundError(f"stop {seen.stop_id} is another household's")
    return Place(area, household)


def write(connection: Connection, ring: KeyRing, actor: Actor, seen: Seen, place: Place, at: datetime) -> int:
    """Write a visit and what follows for its dwelling, and return its number; its audit line stands."""
    note = seen.note.strip()
    salt = new_salts(1)[0] if note else None
    values = {
        "key": seen.key, "dwelling": seen.dwelling_id, "household": place.household_id,
        "purpose": seen.purpose, "outcome": seen.outcome, "at": at, "user": actor.username, "salt": salt,
        "note": seal(ring, salt, "note", note) if salt else None, "matter": seen.matter,
    }  # fmt: skip
    try:
        number = connection.execute(
            text("""
            INSERT INTO visit (key, dwelling_id, household_id, purpose, outcome, visited_at, made_by, salt,
                note, matter)
            VALUES (:key, :dwelling, :household, :purpose, :outcome, :at, :user, :salt, :note, :matter)
            RETURNING id
            """),
            values,
        ).scalar_one()
    except IntegrityError as why:  # a visit of another area has the key
        raise ConflictError("the key of this visit is another's") from why
    if (seen.purpose, seen.outcome) == (Purpose.VERIFY, Outcome.MET):
        _verify(connection, actor, seen.dwelling_id, at)
    return int(number)


def _verify(connection: Connection, actor: Actor, dwelling_id: int, at: datetime) -> None:
    # What was entered without signal may arrive after a later visit: the later day stands.
    connection.execute(
        text("""
        UPDATE dwelling SET verified_on = :day, verified_by = :user
        WHERE id = :dwelling AND (verified_on IS NULL OR verified_on < :day)
        """),
        {"day": at.astimezone(CHINA).date(), "user": actor.username, "dwelling": dwelling_id},
    )

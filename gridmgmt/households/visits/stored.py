"""Reads visits and what is due at the door; whoever calls leaves the line in the audit log."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from gridmgmt.calendar import CHINA
from gridmgmt.errors import NotFoundError
from gridmgmt.households.visits.models import OUTCOME_NAMES, PURPOSE_NAMES, Outcome, Purpose
from gridmgmt.privacy.cipher import unseal
from gridmgmt.privacy.keyring import KeyRing

# Care that ends within this many days is looked at again before it does.
CARE_SOON = timedelta(days=30)


@dataclass(frozen=True)
class VisitLine:
    """One visit as the notebook (民情笔记本) shows it; `matter` is the category of what was reported."""

    id: int
    dwelling_id: int
    household_id: int | None
    place: str
    purpose: str
    outcome: str
    visited_at: datetime
    recorded_at: datetime
    made_by: str
    note: str
    matter: str | None

    @property
    def purpose_name(self) -> str:
        return PURPOSE_NAMES[Purpose(self.purpose)]

    @property
    def outcome_name(self) -> str:
        return OUTCOME_NAMES[Outcome(self.outcome)]

    @property
    def day(self) -> date:
        return self.visited_at.astimezone(CHINA).date()


@dataclass(frozen=True)
class Scene:
    """Where and when a visit was: degrees, the building's address, the moment."""

    lon: float
    lat: float
    address: str
    visited_at: datetime


def scene(connection: Connection, key: UUID) -> Scene:
    """Return where and when the actor's own visit was; NotFoundError when there is none under the key."""
    row = connection.execute(
        text("""
        SELECT ST_X(b.geom), ST_Y(b.geom), b.address, v.visited_at
        FROM visit v JOIN dwelling d ON d.id = v.dwelling_id JOIN building b ON b.id = d.building_id
        WHERE v.key = :key AND v.made_by = current_setting('app.user', true)
        """),
        {"key": key},
    ).one_or_none()
    if row is None:
        raise NotFoundError("no such visit here")
    return Scene(*row)


_LINES = """
    SELECT v.id, v.dwelling_id, v.household_id, b.address, d.door, v.purpose, v.outcome, v.visited_at,
        v.recorded_at, v.made_by, v.salt, v.note, c.name AS matter
    FROM visit v JOIN dwelling d ON d.id = v.dwelling_id JOIN building b ON b.id = d.building_id
    LEFT JOIN category c ON c.code = v.matter
"""


def of_household(connection: Connection, ring: KeyRing, household_id: int) -> list[VisitLine]:
    """Return the visits to a household, newest first, those to its door that name no household too."""
    where = """
        WHERE v.household_id = :household OR (v.household_id IS NULL
            AND v.dwelling_id = (SELECT dwelling_id FROM household WHERE id = :household))
        ORDER BY v.visited_at DESC, v.id DESC
    """
    return _read(connection.execute(text(_LINES + where), {"household": household_id}), ring)


def book(
    connection: Connection, ring: KeyRing, first: date, last: date, by: str | None = None
) -> list[VisitLine]:
    """Return the visits of China's days `first` to `last` that the actor may see, newest first; `by` whom."""
    where = """
        WHERE v.visited_at >= :first AND v.visited_at < :after AND (:by IS NULL OR v.made_by = :by)
        ORDER BY v.visited_at DESC, v.id DESC
    """
    values = {"first": _midnight(first), "after": _midnight(last + timedelta(days=1)), "by": by}
    return _read(connection.execute(text(_LINES + where), values), ring)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=CHINA)


def _read(rows: Iterable[Row[Any]], ring: KeyRing) -> list[VisitLine]:
    return [
        VisitLine(
            row.id, row.dwelling_id, row.household_id, f"{row.address} {row.door}", row.purpose, row.outcome,
            row.visited_at, row.recorded_at, row.made_by,
            unseal(ring, bytes(row.salt), "note", bytes(row.note)) if row.note and row.salt else "",
            row.matter,
        )
        for row in rows
    ]  # fmt: skip


@dataclass(frozen=True)
class Door:
    """A dwelling as the visit form lists it: a place and when it was verified, no names."""

    id: int
    building_id: int
    address: str
    door: str
    verified_on: date | None


def doors(connection: Connection, grid: str) -> list[Door]:
    """Return the dwellings of a grid that the actor may see, in the order of address and door."""
    rows = connection.execute(
        text("""
        SELECT d.id, b.id, b.address, d.door, d.verified_on FROM grid g JOIN building b ON b.grid_id = g.id
        JOIN dwelling d ON d.building_id = b.id WHERE g.code15 = :grid
        ORDER BY length(b.address), b.address, b.id, length(d.door), d.door
        """),
        {"grid": grid},
    )
    return [Door(*row) for row in rows]


def grid_of(connection: Connection, dwelling_id: int) -> str | None:
    """Return the code of a dwelling's grid, None where the actor may not see it."""
    found: str | None = connection.execute(
        text("""
        SELECT g.code15 FROM dwelling d JOIN building b ON b.id = d.building_id
        JOIN grid g ON g.id = b.grid_id WHERE d.id = :dwelling
        """),
        {"dwelling": dwelling_id},
    ).scalar_one_or_none()
    return found


@dataclass(frozen=True)
class RoundDue:
    """A round with stops that are still open."""

    id: int
    title: str
    due_on: date
    open: int
    stops: int


@dataclass(frozen=True)
class Due:
    """What waits at the doors of the actor's area, as numbers."""

    rounds: tuple[RoundDue, ...]
    care: int  # categories that end within CARE_SOON, or ended and nobody said so
    today: int  # the actor's visits of today


def due(connection: Connection, username: str, today: date) -> Due:
    """Return what is due in the actor's area; numbers and titles only, so it is no reading of a person."""
    rounds = connection.execute(
        text("""
        SELECT r.id, r.title, r.due_on, (count(*) FILTER (WHERE s.status = 'open'))::integer,
            count(*)::integer
        FROM visit_round r JOIN visit_stop s ON s.round_id = r.id
        GROUP BY r.id HAVING count(*) FILTER (WHERE s.status = 'open') > 0 ORDER BY r.due_on, r.id
        """)
    )
    care = text("SELECT count(*) FROM household_care WHERE ended_on IS NULL AND expires <= :soon")
    made = text("SELECT count(*) FROM visit WHERE made_by = :user AND visited_at >= :midnight")
    return Due(
        tuple(RoundDue(*row) for row in rounds),
        int(connection.execute(care, {"soon": today + CARE_SOON}).scalar_one()),
        int(connection.execute(made, {"user": username, "midnight": _midnight(today)}).scalar_one()),
    )

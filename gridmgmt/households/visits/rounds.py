"""Rounds of visits (微服务): whom to see, what to say, until when, and what became of each stop.

"Flood warning: see the elderly who live alone in low-lying or dilapidated buildings of these villages."
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from gridmgmt.calendar import china_today
from gridmgmt.errors import InputError, NotFoundError
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.households.visits import service, stops
from gridmgmt.households.visits.criteria import Criteria, chosen
from gridmgmt.households.visits.models import StopStatus
from gridmgmt.households.visits.service import Seen
from gridmgmt.privacy import audit
from gridmgmt.privacy.keyring import KeyRing

LONGEST_TITLE, LONGEST_MESSAGE = 40, 300


def preview(engine: Engine, actor: Actor, criteria: Criteria, today: date | None = None) -> dict[str, int]:
    """Return how many households a round would see, by grid; as `begin` would choose them now."""
    actor.check_office("a town office begins rounds")
    criteria.check(actor)
    with on_roster(engine, actor) as connection:
        found = Counter(chosen(connection, criteria, today or china_today()).values())
        audit.record(connection, "round.view", area=actor.area, detail={"preview": asdict(criteria)})
    return dict(sorted(found.items()))


def begin(
    engine: Engine, actor: Actor, title: str, message: str, criteria: Criteria, due_on: date,
    today: date | None = None,
) -> int:  # fmt: skip
    """Begin a round of all households that the criteria fit today, and return its number.

    Raises NotAllowedError for grid staff, InputError for a text, a day or criteria that are not allowed, or
    when they fit nobody.
    """
    actor.check_office("a town office begins rounds")
    day = today or china_today()
    criteria.check(actor)
    for field, words, longest in (("title", title, LONGEST_TITLE), ("message", message, LONGEST_MESSAGE)):
        if not 1 <= len(words.strip()) <= longest:
            raise InputError(field, "another length", f"1 to {longest} characters")
    if not 0 <= (due_on - day).days <= 366:
        raise InputError("due_on", due_on.isoformat(), "a day within a year from today")
    with on_roster(engine, actor) as connection:
        households = list(chosen(connection, criteria, day))
        if not households:
            raise InputError("criteria", "nobody", "criteria that fit some household")
        detail = asdict(criteria)
        audit.record(connection, "round.begin", area=actor.area, households=households, detail=detail)
        number = connection.execute(
            text("""
            INSERT INTO visit_round (area, title, message, criteria, due_on, created_by)
            VALUES (:area, :title, :message, CAST(:criteria AS jsonb), :due, :user) RETURNING id
            """),
            {
                "area": actor.area, "title": title.strip(), "message": message.strip(), "due": due_on,
                "criteria": json.dumps(detail), "user": actor.username,
            },
        ).scalar_one()  # fmt: skip
        connection.execute(
            text("INSERT INTO visit_stop (round_id, household_id) SELECT :round, unnest(:households)"),
            {"round": number, "households": households},
        )
    return int(number)


# --- how rounds stand


@dataclass(frozen=True)
class RoundLine:
    """A round and how many of its stops are closed; no numbers where the reader may not know them."""

    id: int
    area: str
    title: str
    due_on: date
    stops: int | None
    done: int | None
    not_done: int | None

    @property
    def open(self) -> int | None:
        """How many stops nobody has closed."""
        return None if self.stops is None else self.stops - (self.done or 0) - (self.not_done or 0)


_COUNTED = """
    SELECT r.id, r.area, r.title, r.due_on, count(*)::integer,
        (count(*) FILTER (WHERE s.status = 'done'))::integer,
        (count(*) FILTER (WHERE s.status = 'not_done'))::integer
    FROM visit_round r JOIN visit_stop s ON s.round_id = r.id
    GROUP BY r.id ORDER BY r.due_on DESC, r.id DESC
"""


def of_area(connection: Connection) -> list[RoundLine]:
    """Return the rounds with stops in the actor's area, the last due first, counted there alone."""
    return [RoundLine(*row) for row in connection.execute(text(_COUNTED))]


def counts(connection: Connection, area: str = "") -> list[RoundLine]:
    """Return all rounds inside an area, for the command centre; no numbers of one with under 5 stops."""
    return [
        RoundLine(*row)
        for row in connection.execute(text("SELECT * FROM round_counts(:area)"), {"area": area})
    ]


@dataclass(frozen=True)
class StopLine:
    """A stop as whoever goes there needs it; `name` is the head's, empty when restricted."""

    id: int
    household_id: int
    dwelling_id: int
    area: str
    address: str
    door: str
    name: str
    persons: int
    care: tuple[str, ...]
    flags: tuple[str, ...]
    status: str
    reason: str | None
    closed_at: datetime | None
    closed_by: str | None

    @property
    def is_open(self) -> bool:
        return self.status == StopStatus.OPEN


@dataclass(frozen=True)
class RoundView:
    """A round with the stops that the actor may see, in the order of grid, address and door."""

    id: int
    area: str
    title: str
    message: str
    criteria: Criteria
    due_on: date
    created_by: str
    stops: tuple[StopLine, ...]


_STOPS = """
    SELECT s.id, h.id, d.id, g.code15, b.address, d.door,
        coalesce((SELECT p.name FROM person p WHERE p.household_id = h.id AND p.left_on IS NULL
            AND p.relation = 'head' AND p.restricted_on IS NULL), ''), h.persons,
        ARRAY(SELECT DISTINCT c.category FROM household_care c LEFT JOIN person p ON p.id = c.person_id
            WHERE c.household_id = h.id AND c.ended_on IS NULL AND p.restricted_on IS NULL
                AND p.left_on IS NULL ORDER BY 1),
        array_remove(ARRAY[CASE WHEN b.low_lying THEN 'low_lying' END,
            CASE WHEN b.dilapidated THEN 'dilapidated' END,
            CASE WHEN b.self_built THEN 'self_built' END], NULL),
        s.status, s.reason, s.closed_at, s.closed_by
    FROM visit_stop s JOIN household h ON h.id = s.household_id JOIN dwelling d ON d.id = h.dwelling_id
    JOIN building b ON b.id = d.building_id JOIN grid g ON g.id = h.grid_id
    WHERE s.round_id = :round
    ORDER BY g.code15, length(b.address), b.address, length(d.door), d.door, h.id
"""


def view(engine: Engine, actor: Actor, round_id: int) -> RoundView:
    """Return a round with its stops; NotFoundError when it has none in the actor's area."""
    columns = "id, area, title, message, criteria, due_on, created_by"
    with on_roster(engine, actor) as connection:
        rows = connection.execute(
            text(f"SELECT {columns} FROM visit_round WHERE id = :round"), {"round": round_id}
        )
        row = rows.one_or_none()
        found = tuple(_stop_line(each) for each in connection.execute(text(_STOPS), {"round": round_id}))
        if row is None or not found:
            raise NotFoundError(f"no round {round_id} here")
        households = [stop.household_id for stop in found]
        detail = {"round": round_id}
        audit.record(connection, "round.view", area=actor.area, households=households, detail=detail)
    return RoundView(
        row.id, row.area, row.title, row.message, Criteria.of(row.criteria), row.due_on, row.created_by, found
    )


def _stop_line(row: Row[Any]) -> StopLine:
    values: list[Any] = [tuple(value) if isinstance(value, list) else value for value in row]
    return StopLine(*values)


def report(
    engine: Engine, ring: KeyRing, actor: Actor, stop_id: int, done: bool, reason: str | None = None,
    visit: Seen | None = None, now: datetime | None = None,
) -> None:  # fmt: skip
    """Close a stop, done or not and why, and keep the visit that it took; the same again writes nothing.

    Raises
    ------
    InputError
        When a stop is not done without one of `stops.REASONS`, or the visit is not allowed.
    NotFoundError
        When the stop is not in the actor's area, or the visit was elsewhere.
    ConflictError
        When somebody has done it already.
    """
    told = stops.Report(done, None if done else reason)
    told.check()
    with on_roster(engine, actor) as connection:
        if visit and service.kept(connection, actor, visit.key) is not None:
            return
        at = service.checked_moment(connection, visit, now) if visit else None
        stop = stops.locked(connection, stop_id)
        if visit is None and (stop.status, stop.closed_by) == (told.status, actor.username):
            return
        stops.locked_open(connection, stop_id)
        place = service.place_of(connection, visit) if visit else None
        if place and place.household_id != stop.household_id:
            raise NotFoundError(f"stop {stop_id} is another household's")
        audit.record(
            connection, "round.report", area=stop.area, households=[stop.household_id],
            detail={"round": stop.round_id, "stop": stop_id, "status": told.status},
        )  # fmt: skip
        number = service.write(connection, ring, actor, visit, place, at) if visit and place and at else None
        stops.close(connection, actor, stop_id, told, number)

"""A grid's roster by building and floor, and what is due in it.

Grid staff and the town office read with their own rights (`actor.on_roster`); numbers are masked.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text

from gridmgmt.calendar import china_today
from gridmgmt.errors import NotFoundError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.households.models import CARE_NAMES, RELATION_NAMES, Care, Relation, Tenure
from gridmgmt.households.reading.lines import (
    FLAGS,
    BuildingLine,
    CareLine,
    DoorLine,
    Due,
    GridRoster,
    HomeLine,
    Resident,
)
from gridmgmt.households.reading.residents import age_on, floor_of, in_order, masked
from gridmgmt.privacy import audit
from gridmgmt.privacy.keyring import KeyRing

EXPIRES_SOON = timedelta(days=30)


def grid_roster(
    engine: Engine, ring: KeyRing, actor: Actor, grid: str, *, today: date | None = None
) -> GridRoster:
    """Return the roster of a grid of the actor's area; NotFoundError for another's. Leaves one audit line."""
    day = today or china_today()
    with on_roster(engine, actor) as connection:
        ids, name = grid_of(connection, actor, grid)
        since = survey_since(connection, grid, day)
        homes = _homes(connection, ring, ids, day)
        buildings = _buildings(connection, ids, homes, since)
        found = GridRoster(grid, name, since, buildings, _due(connection, ids, buildings, day))
        audit.record(
            connection, "roster.grid", area=grid,
            households=[home.id for lines in homes.values() for home in lines],
        )  # fmt: skip
    return found


def grid_of(connection: Connection, actor: Actor, grid: str) -> tuple[list[int], str]:
    """Return the ids of a grid's rows (it has one for each shape it had) and its name now."""
    rows = connection.execute(
        text("SELECT id, name FROM grid WHERE code15 = :grid ORDER BY valid_from DESC"), {"grid": grid}
    ).all()
    if not rows or len(actor.area) < DIGITS["town"] or not grid.startswith(actor.area):
        raise NotFoundError(f"no grid {grid} in the area of {actor.username}")
    return [int(row.id) for row in rows], str(rows[0].name)


def survey_since(connection: Connection, area: str, today: date) -> date | None:
    """Return the first day of the newest survey of an area, None where none has begun."""
    found: date | None = connection.execute(
        text("SELECT max(start_on) FROM survey WHERE start_on <= :today AND starts_with(:area, area)"),
        {"today": today, "area": area},
    ).scalar()
    return found


def is_verified(verified_on: date | None, since: date | None) -> bool:
    """Say whether a dwelling was checked, in the running survey where there is one."""
    return verified_on is not None and (since is None or verified_on >= since)


_PEOPLE = text("""
SELECT p.id, p.household_id, p.relation, p.name, p.birth_on, p.restricted_on,
    CASE WHEN p.relation = 'head' THEN p.phone END AS phone, p.salt,
    r.relation AS tenure, p.registered_dwelling_id IS DISTINCT FROM r.dwelling_id AS apart
FROM person p LEFT JOIN residency r ON r.person_id = p.id AND r.valid_to IS NULL
WHERE p.grid_id = ANY (:ids) AND p.left_on IS NULL
ORDER BY p.household_id, p.relation <> 'head', p.birth_on, p.id
""")
_CARE = text("""
SELECT c.household_id, c.category, c.person_id, c.expires
FROM household_care c JOIN household h ON h.id = c.household_id
WHERE h.grid_id = ANY (:ids) AND h.ended_on IS NULL AND c.ended_on IS NULL ORDER BY c.id
""")
_CHANGES = text("""
SELECT c.household_id, count(*) AS n FROM roster_change c JOIN household h ON h.id = c.household_id
WHERE h.grid_id = ANY (:ids) AND c.status = 'open' GROUP BY 1
""")
_HOMES = text("""
SELECT id, dwelling_id FROM household WHERE grid_id = ANY (:ids) AND ended_on IS NULL ORDER BY id
""")
_BUILDINGS = text("""
SELECT id, address, low_lying, dilapidated, self_built, ST_X(geom) AS lon, ST_Y(geom) AS lat
FROM building WHERE grid_id = ANY (:ids)
""")
_DOORS = text("""
SELECT d.id, d.building_id, d.door, d.verified_on
FROM dwelling d JOIN building b ON b.id = d.building_id WHERE b.grid_id = ANY (:ids)
""")
_STOPS = text("""
SELECT s.household_id, r.title, r.due_on
FROM visit_stop s JOIN visit_round r ON r.id = s.round_id JOIN household h ON h.id = s.household_id
WHERE h.grid_id = ANY (:ids) AND h.ended_on IS NULL AND s.status = 'open'
""")


def _homes(connection: Connection, ring: KeyRing, ids: list[int], today: date) -> dict[int, list[HomeLine]]:
    """Return the households of each dwelling."""
    people: dict[int, list[Resident]] = defaultdict(list)
    for row in connection.execute(_PEOPLE, {"ids": ids}):
        people[row.household_id].append(_resident(ring, row, today))
    care: dict[int, list[CareLine]] = defaultdict(list)
    for row in connection.execute(_CARE, {"ids": ids}):
        line = CareLine(row.category, CARE_NAMES[Care(row.category)], row.person_id, row.expires)
        care[row.household_id].append(line)
    changes = {row.household_id: row.n for row in connection.execute(_CHANGES, {"ids": ids})}
    homes: dict[int, list[HomeLine]] = defaultdict(list)
    for row in connection.execute(_HOMES, {"ids": ids}):
        home = HomeLine(row.id, tuple(people[row.id]), tuple(care[row.id]), changes.get(row.id, 0))
        homes[row.dwelling_id].append(home)
    return homes


def _resident(ring: KeyRing, row: Any, today: date) -> Resident:
    return Resident(
        row.id, row.name, RELATION_NAMES[Relation(row.relation)], age_on(row.birth_on, today),
        tenant=row.tenure == Tenure.TENANT, apart=row.apart, is_head=row.relation == Relation.HEAD,
        phone=None if row.restricted_on else masked(ring, "phone", row.salt, row.phone),
    )  # fmt: skip


def _buildings(
    connection: Connection, ids: list[int], homes: dict[int, list[HomeLine]], since: date | None
) -> tuple[BuildingLine, ...]:
    doors: dict[int, list[DoorLine]] = defaultdict(list)
    for row in connection.execute(_DOORS, {"ids": ids}):
        verified = is_verified(row.verified_on, since)
        doors[row.building_id] += [
            DoorLine(row.id, row.door, floor_of(row.door), row.verified_on, verified, home)
            for home in (*homes.get(row.id, ()),) or (None,)
        ]
    found = [
        BuildingLine(
            row.id, row.address, tuple(flag for flag in FLAGS if getattr(row, flag)),
            None if row.lon is None else (row.lon, row.lat),
            tuple(sorted(doors[row.id], key=lambda line: (line.floor or 0, in_order(line.door)))),
        )
        for row in connection.execute(_BUILDINGS, {"ids": ids})
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda building: in_order(building.address)))


def _due(
    connection: Connection, ids: list[int], buildings: Iterable[BuildingLine], today: date
) -> tuple[Due, ...]:
    """Return what waits in the grid, by day: stops of rounds, care that ends soon, then requests."""
    lines = [(b, door, door.home) for b in buildings for door in b.doors if door.home]
    where = {home.id: f"{building.address} {door.door}" for building, door, home in lines}
    found = [
        Due("stop", row.household_id, where[row.household_id], row.title, row.due_on)
        for row in connection.execute(_STOPS, {"ids": ids})
        if row.household_id in where
    ]
    for _, _, home in lines:
        for care in home.care:
            if care.expires <= today + EXPIRES_SOON:
                found.append(Due("care", home.id, where[home.id], care.name, care.expires))
        if home.changes:
            found.append(Due("change", home.id, where[home.id], f"{home.changes} 项变动", None))
    return tuple(sorted(found, key=lambda due: (due.day or date.max, due.household_id)))

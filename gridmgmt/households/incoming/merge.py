"""Brings buildings, dwellings and households of a checked roster into the database: only what changed."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from sqlalchemy import Connection, text

from gridmgmt.db.copy import Points, copy_rows
from gridmgmt.grids.by_day import GridsByDay
from gridmgmt.importing.report import Report

Numbers = NDArray[np.int64]

# What a row can be, in the order in which a later one outweighs an earlier.
UNCHANGED, UPDATED, NEW = 0, 1, 2

STAGES = """
CREATE TEMP TABLE building_in (n integer, code text, address text, geom geometry(Point, 4490),
    low_lying boolean, dilapidated boolean, self_built boolean, grid_id integer) ON COMMIT DROP;
CREATE TEMP TABLE door_in (n integer, building_id integer, door text, verified_on date, verified_by text)
    ON COMMIT DROP;
CREATE TEMP TABLE home_in (n integer, code text, dwelling_id integer, grid_id integer, persons integer)
    ON COMMIT DROP;
"""
KEEP_PLACE = """
UPDATE building_in x SET geom = b.geom, grid_id = b.grid_id FROM building b
WHERE b.code = x.code AND x.geom IS NULL AND b.geom IS NOT NULL RETURNING x.n, x.grid_id
"""
KEEP_FLAGS = """
UPDATE building_in x SET low_lying = b.low_lying, dilapidated = b.dilapidated, self_built = b.self_built
FROM building b WHERE b.code = x.code
"""


@dataclass(frozen=True)
class Roster:
    """What good rows speak of: things one row each, and for every good row its dwelling and its household.

    `buildings` has code, address, lon, lat and flags; `dwellings` building (number), door, verified_on and
    verified_by; `households` code and dwelling (number). `household_of_row` is -1 for an empty dwelling.
    `named`: people are given by name, so their number is counted from them. `flagged`: flags are given.
    """

    buildings: pd.DataFrame
    dwellings: pd.DataFrame
    households: pd.DataFrame
    dwelling_of_row: Numbers
    household_of_row: Numbers
    named: bool = False
    flagged: bool = True


@dataclass(frozen=True)
class Merged:
    """By number of the thing in the file: its id (0 where no good row speaks of it) and what became of it."""

    building: Numbers
    dwelling: Numbers
    household: Numbers
    grid_of_building: Numbers  # id of the grid now, -1 outside every grid
    building_state: Numbers
    dwelling_state: Numbers
    household_state: Numbers

    def states(self, roster: Roster) -> Numbers:
        """Return what became of every row, as far as its home says."""
        home, family = roster.dwelling_of_row, roster.household_of_row
        behind = self.dwelling_state[home]
        state = (
            behind
            if not len(self.household_state)
            else np.where(family >= 0, self.household_state[family], behind)
        )
        place = self.building_state[roster.dwellings["building"].to_numpy()[home]]
        return np.where(state == UNCHANGED, np.minimum(np.maximum(place, behind), UPDATED), state)


def merge_homes(connection: Connection, roster: Roster, report: Report) -> Merged:
    """Write what is new or has changed of buildings, dwellings and households, and return their ids."""
    connection.execute(text(STAGES))
    buildings, building_state, grid = _merge_buildings(connection, roster, report)
    dwellings, dwelling_state = _merge_dwellings(connection, roster, buildings)
    of_dwelling = roster.dwellings["building"].to_numpy()
    households, household_state = _merge_households(connection, roster, dwellings, grid[of_dwelling])
    return Merged(buildings, dwellings, households, grid, building_state, dwelling_state, household_state)


def _distinct(numbers: Numbers) -> Numbers:
    """Return the numbers that occur, in order: for numbers from 0 far quicker than `np.unique`."""
    return np.flatnonzero(np.bincount(numbers))


def int4(numbers: ArrayLike) -> NDArray[np.int32]:
    """Return numbers as PostgreSQL's integer."""
    return np.asarray(numbers, dtype=np.int32)


def nullable(ids: ArrayLike, none: int = 0) -> np.ma.MaskedArray:
    """Return ids as PostgreSQL's integer, NULL where there is none."""
    return np.ma.masked_equal(int4(ids), none)


def reserve(connection: Connection, table: str, count: int) -> Numbers:
    """Return so many new ids of a table, one after the other.

    Nobody else may draw from them now: imports wait for each other, and the web's writers for the import's
    line in the audit log.
    """
    if not count:
        return np.empty(0, np.int64)
    query = "SELECT setval(s, nextval(s) + :more) FROM pg_get_serial_sequence(:table, 'id') AS s"
    last = connection.execute(text(query), {"table": table, "more": count - 1}).scalar_one()
    return np.arange(last - count + 1, last + 1)


def _merge_buildings(
    connection: Connection, roster: Roster, report: Report
) -> tuple[Numbers, Numbers, Numbers]:
    """Return ids, states and grids (-1: none) of all buildings of the file."""
    used = _distinct(roster.dwellings["building"].to_numpy()[_distinct(roster.dwelling_of_row)])
    buildings, count = roster.buildings.loc[used], len(roster.buildings)
    columns = ("address", "geom", "low_lying", "dilapidated", "self_built")
    grid = _stage_buildings(connection, buildings, roster.flagged, report)
    before = ", ".join(f"b.{name}" for name in columns).replace("b.geom", "b.geom::bytea")
    after = before.replace("b.", "x.")
    ids = _known(connection, count, "building_in x JOIN building b ON b.code = x.code", "b.id")
    states = np.where(ids > 0, UNCHANGED, NEW)
    values = ", ".join(f"{name} = x.{name}" for name in (*columns, "grid_id"))
    updated = f"""
        UPDATE building b SET {values} FROM building_in x
        WHERE b.code = x.code AND ({before}, b.grid_id) IS DISTINCT FROM ({after}, x.grid_id) RETURNING x.n
        """
    states[list(connection.execute(text(updated)).scalars())] = UPDATED
    fresh = ids[used] == 0
    ids[used[fresh]] = reserve(connection, "building", int(fresh.sum()))
    written = {name: buildings[name] for name in ("code", "address")}
    written |= {flag: buildings[flag].astype(bool) for flag in columns[2:]}
    lon, lat = buildings["lon"].to_numpy()[fresh], buildings["lat"].to_numpy()[fresh]
    if fresh.any():
        chosen = {name: values[fresh] for name, values in written.items()}
        of_grid = {"geom": Points(lon, lat), "grid_id": nullable(grid[fresh], -1)}
        _copy(connection, "building", {"id": int4(ids[used[fresh]]), **chosen, **of_grid})
    every = np.full(count, -1)
    every[used] = grid
    return ids, states, every


def _stage_buildings(
    connection: Connection, buildings: pd.DataFrame, flagged: bool, report: Report
) -> Numbers:
    """Copy buildings under their numbers, and return the id of each one's grid, -1 where it has none.

    What the file does not say of a known building, its place or its flags, stays as it is known.
    """
    lon, lat = buildings["lon"].to_numpy(), buildings["lat"].to_numpy()
    today = connection.execute(text("SELECT current_date")).scalar_one()
    grid = GridsByDay(connection).assign(np.full(len(buildings), today, "datetime64[D]"), lon, lat)
    flags = {flag: buildings[flag].to_numpy(bool) for flag in ("low_lying", "dilapidated", "self_built")}
    place = {"geom": Points(lon, lat), "grid_id": nullable(grid, -1)}
    texts = {name: buildings[name] for name in ("code", "address")}
    _copy(connection, "building_in", {"n": int4(buildings.index), **texts, **place, **flags})
    connection.execute(text("ANALYZE building_in"))
    placed, at = ~np.isnan(lon), dict(zip(buildings.index.tolist(), range(len(buildings)), strict=True))
    for number, of_grid in connection.execute(text(KEEP_PLACE)).all():
        placed[at[number]], grid[at[number]] = True, -1 if of_grid is None else of_grid
    if not flagged:
        connection.execute(text(KEEP_FLAGS))
    report.extra["without_place"] = int((~placed).sum())
    report.extra["outside"] = int(((grid == -1) & placed).sum())
    return np.asarray(grid, np.int64)


def _merge_dwellings(connection: Connection, roster: Roster, building: Numbers) -> tuple[Numbers, Numbers]:
    used = _distinct(roster.dwelling_of_row)
    dwellings = roster.dwellings.loc[used]
    columns = {
        "building_id": int4(building[dwellings["building"].to_numpy()]),
        "door": dwellings["door"],
        "verified_on": dwellings["verified_on"].to_numpy("datetime64[D]"),
        "verified_by": dwellings["verified_by"],
    }
    ids, states = np.zeros(len(roster.dwellings), np.int64), np.full(len(roster.dwellings), NEW)
    if _any(connection, "dwelling"):
        _copy(connection, "door_in", {"n": int4(used), **columns})
        connection.execute(text("ANALYZE door_in"))
        same = "door_in x JOIN dwelling d ON d.building_id = x.building_id AND d.door = x.door"
        ids = _known(connection, len(ids), same, "d.id")
        states[ids > 0] = UNCHANGED
        updated = connection.execute(
            text("""
            UPDATE dwelling d SET verified_on = x.verified_on,
                verified_by = coalesce(nullif(x.verified_by, ''), d.verified_by)
            FROM door_in x WHERE d.building_id = x.building_id AND d.door = x.door
                AND x.verified_on > coalesce(d.verified_on, '-infinity') RETURNING x.n
            """)
        )
        states[list(updated.scalars())] = UPDATED
    fresh = ids[used] == 0
    ids[used[fresh]] = reserve(connection, "dwelling", int(fresh.sum()))
    columns["verified_by"] = dwellings["verified_by"].where(dwellings["verified_by"] != "", None)
    _copy_new(connection, "dwelling", ids[used], columns, fresh)
    return ids, states


def _merge_households(
    connection: Connection, roster: Roster, dwelling: Numbers, grid_of_dwelling: Numbers
) -> tuple[Numbers, Numbers]:
    family = roster.household_of_row
    used = _distinct(family[family >= 0])
    households = roster.households.loc[used]
    at = households["dwelling"].to_numpy(np.int64)
    persons = np.bincount(family[family >= 0], minlength=len(roster.households))
    columns = {
        "code": households["code"],
        "dwelling_id": int4(dwelling[at]),
        "grid_id": nullable(grid_of_dwelling[at], -1),
        "persons": int4(persons[used]),
    }
    ids, states = np.zeros(len(roster.households), np.int64), np.full(len(roster.households), NEW)
    if _any(connection, "household"):
        _copy(connection, "home_in", {"n": int4(used), **columns})
        connection.execute(text("ANALYZE home_in"))
        ids = _known(connection, len(ids), "home_in x JOIN household h ON h.code = x.code", "h.id")
        states[ids > 0] = UNCHANGED
        states[_update_households(connection, roster.named)] = UPDATED
    fresh = ids[used] == 0
    ids[used[fresh]] = reserve(connection, "household", int(fresh.sum()))
    _copy_new(connection, "household", ids[used], columns, fresh)
    return ids, states


def _update_households(connection: Connection, named: bool) -> list[int]:
    """Write where households live now, and how many they are where nobody of them is known by name."""
    same = "x.code = h.code AND (h.dwelling_id <> x.dwelling_id OR h.ended_on IS NOT NULL)"
    changed = list(
        connection.execute(
            text(f"""
            UPDATE household h SET dwelling_id = x.dwelling_id, ended_on = NULL FROM home_in x
            WHERE {same} RETURNING x.n
            """)
        ).scalars()
    )
    connection.execute(  # a building that was drawn into another grid takes its households along
        text("""
        UPDATE household h SET grid_id = b.grid_id FROM building_in x JOIN building b ON b.code = x.code
        JOIN dwelling d ON d.building_id = b.id
        WHERE h.dwelling_id = d.id AND h.grid_id IS DISTINCT FROM b.grid_id
        """)
    )
    connection.execute(
        text("""
        UPDATE person p SET grid_id = h.grid_id FROM household h
        JOIN dwelling d ON d.id = h.dwelling_id JOIN building b ON b.id = d.building_id
        JOIN building_in x ON x.code = b.code
        WHERE p.household_id = h.id AND p.grid_id IS DISTINCT FROM h.grid_id
        """)
    )
    if named:
        return changed
    counted = connection.execute(
        text("""
        UPDATE household h SET persons = x.persons FROM home_in x
        WHERE h.code = x.code AND h.persons <> x.persons
            AND NOT EXISTS (SELECT FROM person p WHERE p.household_id = h.id AND p.left_on IS NULL)
        RETURNING x.n
        """)
    )
    return changed + list(counted.scalars())


def _any(connection: Connection, table: str) -> bool:
    return bool(connection.execute(text(f"SELECT EXISTS (SELECT FROM {table})")).scalar_one())


def _known(connection: Connection, count: int, found: str, id_of: str) -> Numbers:
    """Return the id of each number that finds its like, 0 for the others."""
    ids = np.zeros(count, np.int64)
    pairs = connection.execute(text(f"SELECT x.n, {id_of} FROM {found}")).all()
    if pairs:
        places, values = np.array(pairs, np.int64).T
        ids[places] = values
    return ids


def _copy(connection: Connection, table: str, columns: dict[str, object]) -> None:
    copy_rows(connection.connection.cursor(), table, columns)


def _copy_new(
    connection: Connection, table: str, ids: Numbers, columns: dict[str, object], fresh: NDArray[np.bool_]
) -> None:
    """Copy the fresh ones of some rows straight into their table."""
    if fresh.any():
        chosen = {name: _chosen(values, fresh) for name, values in columns.items()}
        _copy(connection, table, {"id": int4(ids[fresh]), **chosen})


def _chosen(values: object, which: NDArray[np.bool_]) -> object:
    return values.filter(pa.array(which)) if isinstance(values, pa.Array) else values[which]  # type: ignore[index]

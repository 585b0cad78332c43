"""Brings a checked roster into the database: set-based, and only what changed."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sqlalchemy import Connection, text

from gridmgmt.db.copy import Points, copy_rows
from gridmgmt.grids.by_day import GridsByDay
from gridmgmt.importing.report import Report

# What a row can be, in the order in which a later one outweighs an earlier.
UNCHANGED, UPDATED, NEW = 0, 1, 2

STAGES = """
CREATE TEMP TABLE building_in (n integer, code text, address text, geom geometry(Point, 4490),
    low_lying boolean, dilapidated boolean, self_built boolean, grid_id integer) ON COMMIT DROP;
CREATE TEMP TABLE dwelling_in (n integer, building integer, door text) ON COMMIT DROP;
CREATE TEMP TABLE household_in (n integer, code text, dwelling integer, persons integer) ON COMMIT DROP;
"""


@dataclass(frozen=True)
class Roster:
    """What good rows speak of: things one row each, and for every good row its dwelling and its household.

    `buildings` has code, address, lon, lat and flags; `dwellings` building (number) and door; `households`
    code and dwelling (number). `household_of_row` is -1 for an empty dwelling.
    """

    buildings: pd.DataFrame
    dwellings: pd.DataFrame
    households: pd.DataFrame
    dwelling_of_row: NDArray[np.int64]
    household_of_row: NDArray[np.int64]


def merge(connection: Connection, roster: Roster, report: Report) -> None:
    """Write what is new or has changed, and count the rows by what came of them."""
    report.extra = {"outside": 0, "without_place": 0}
    if not len(roster.dwelling_of_row):
        return
    connection.execute(text(STAGES))
    _stage(connection, roster, report)
    building = _merge_buildings(connection, len(roster.buildings))
    dwelling = _merge_dwellings(connection, len(roster.dwellings))
    household = _merge_households(connection, len(roster.households))
    home, family = roster.dwelling_of_row, roster.household_of_row
    state = np.where(family >= 0, household[family], dwelling[home])
    place = building[roster.dwellings["building"].to_numpy()[home]]
    state = np.where(state == UNCHANGED, np.minimum(place, UPDATED), state)
    report.new = int((state == NEW).sum())
    report.updated = int((state == UPDATED).sum())
    report.unchanged = int((state == UNCHANGED).sum())


def _stage(connection: Connection, roster: Roster, report: Report) -> None:
    """Copy the things that good rows speak of, under their numbers."""
    dwellings = roster.dwellings.loc[_distinct(roster.dwelling_of_row)]
    buildings = roster.buildings.loc[_distinct(dwellings["building"].to_numpy())]
    family = roster.household_of_row
    households = roster.households.loc[_distinct(family[family >= 0])]
    persons = np.bincount(family[family >= 0], minlength=len(roster.households))
    lon, lat = buildings["lon"].to_numpy(), buildings["lat"].to_numpy()
    today = connection.execute(text("SELECT current_date")).scalar_one()
    grid = GridsByDay(connection).assign(np.full(len(buildings), today, "datetime64[D]"), lon, lat)
    report.extra["without_place"] = int(np.isnan(lon).sum())
    report.extra["outside"] = int(((grid == -1) & ~np.isnan(lon)).sum())
    flags = {flag: buildings[flag].to_numpy(bool) for flag in ("low_lying", "dilapidated", "self_built")}
    place = {"geom": Points(lon, lat), "grid_id": np.ma.masked_equal(grid, -1)}
    texts = {name: buildings[name] for name in ("code", "address")}
    cursor = connection.connection.cursor()
    copy_rows(cursor, "building_in", {"n": _int4(buildings.index), **texts, **place, **flags})
    homes = {"building": _int4(dwellings["building"]), "door": dwellings["door"]}
    copy_rows(cursor, "dwelling_in", {"n": _int4(dwellings.index), **homes})
    families = {"code": households["code"], "dwelling": _int4(households["dwelling"])}
    counts = {"persons": _int4(persons[households.index])}
    copy_rows(cursor, "household_in", {"n": _int4(households.index), **families, **counts})
    connection.execute(text("ANALYZE building_in; ANALYZE dwelling_in; ANALYZE household_in"))


def _distinct(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers that occur, in order: for numbers from 0 far quicker than `np.unique`."""
    return np.flatnonzero(np.bincount(numbers))


def _int4(numbers: ArrayLike) -> NDArray[np.int32]:
    return np.asarray(numbers, dtype=np.int32)


def _merge_buildings(connection: Connection, count: int) -> NDArray[np.int64]:
    columns = ("address", "geom", "low_lying", "dilapidated", "self_built")
    before = ", ".join(f"b.{name}" for name in columns).replace("b.geom", "b.geom::bytea")
    after = before.replace("b.", "x.")
    states = _states(connection, count, "building_in x", "building b ON b.code = x.code")
    values = ", ".join(f"{name} = x.{name}" for name in (*columns, "grid_id"))
    updated = f"""
        UPDATE building b SET {values} FROM building_in x
        WHERE b.code = x.code AND ({before}) IS DISTINCT FROM ({after}) RETURNING x.n
        """
    states[list(connection.execute(text(updated)).scalars())] = UPDATED
    if (states == NEW).any():
        names = ", ".join(("code", *columns, "grid_id"))
        connection.execute(
            text(f"""
            INSERT INTO building ({names}) SELECT {names} FROM building_in x
            WHERE NOT EXISTS (SELECT FROM building b WHERE b.code = x.code) ORDER BY n
            """)
        )
    return states


def _merge_dwellings(connection: Connection, count: int) -> NDArray[np.int64]:
    connection.execute(
        text("""
        CREATE TEMP TABLE door_in ON COMMIT DROP AS
        SELECT d.n, b.id AS building_id, d.door
        FROM dwelling_in d JOIN building_in x ON x.n = d.building JOIN building b ON b.code = x.code
        ORDER BY d.n
        """)
    )
    same = "dwelling d ON d.building_id = x.building_id AND d.door = x.door"
    states = _states(connection, count, "door_in x", same)
    if (states == NEW).any():
        connection.execute(
            text("""
            INSERT INTO dwelling (building_id, door) SELECT building_id, door FROM door_in x
            WHERE NOT EXISTS (
                SELECT FROM dwelling d WHERE d.building_id = x.building_id AND d.door = x.door
            ) ORDER BY n
            """)
        )
    return states


def _merge_households(connection: Connection, count: int) -> NDArray[np.int64]:
    connection.execute(
        text("""
        CREATE TEMP TABLE home_in ON COMMIT DROP AS
        SELECT h.n, h.code, h.persons, w.id AS dwelling_id
        FROM household_in h JOIN door_in d ON d.n = h.dwelling
        JOIN dwelling w ON w.building_id = d.building_id AND w.door = d.door ORDER BY h.n
        """)
    )
    states = _states(connection, count, "home_in x", "household h ON h.code = x.code")
    updated = connection.execute(
        text("""
        UPDATE household h SET persons = x.persons, dwelling_id = x.dwelling_id FROM home_in x
        WHERE h.code = x.code AND (h.persons, h.dwelling_id) <> (x.persons, x.dwelling_id) RETURNING x.n
        """)
    )
    states[list(updated.scalars())] = UPDATED
    if (states == NEW).any():
        connection.execute(
            text("""
            INSERT INTO household (code, dwelling_id, persons)
            SELECT code, dwelling_id, persons FROM home_in x
            WHERE NOT EXISTS (SELECT FROM household h WHERE h.code = x.code) ORDER BY n
            """)
        )
    return states


def _states(connection: Connection, count: int, staged: str, standing: str) -> NDArray[np.int64]:
    """Return NEW for each number, UNCHANGED for those of `staged` that find their like in `standing`."""
    states = np.full(count, NEW)
    states[list(connection.execute(text(f"SELECT x.n FROM {staged} JOIN {standing}")).scalars())] = UNCHANGED
    return states

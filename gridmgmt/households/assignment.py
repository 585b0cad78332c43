"""Which grid a building stands in, anew when grids have changed."""

from collections.abc import Collection

import numpy as np
from sqlalchemy import Connection, Engine, text

from gridmgmt.db.copy import copy_rows
from gridmgmt.grids.by_day import GridsByDay
from gridmgmt.importing.run import LOCK

# People follow their building; for all at once, so the triggers that do it row by row stand aside.
MOVE = """
SET LOCAL app.bulk = 'place';
UPDATE building b SET grid_id = p.grid_id FROM placed_building p WHERE b.id = p.id;
UPDATE household h SET grid_id = p.grid_id FROM placed_building p JOIN dwelling d ON d.building_id = p.id
    WHERE h.dwelling_id = d.id;
UPDATE person x SET grid_id = p.grid_id FROM placed_building p JOIN dwelling d ON d.building_id = p.id
    JOIN household h ON h.dwelling_id = d.id WHERE x.household_id = h.id;
SET LOCAL app.bulk = '';
"""


def reassign_buildings(engine: Engine) -> int:
    """Give every building the base grid in force today, and return how many changed. One transaction."""
    with engine.begin() as connection:
        return place_buildings(connection)


def place_buildings(connection: Connection) -> int:
    """Give every building the base grid in force today, and return how many changed. Commits nothing."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    rows = connection.execute(
        text("""
        SELECT id, ST_X(geom), ST_Y(geom), coalesce(grid_id, -1), current_date - DATE '1970-01-01'
        FROM building WHERE geom IS NOT NULL
        """)
    ).all()
    if not rows:
        return 0
    ids, lon, lat, now, today = (np.array(column) for column in zip(*rows, strict=True))
    grid = GridsByDay(connection).assign(today.astype("datetime64[D]"), lon, lat)
    moved = grid != now
    connection.execute(text("CREATE TEMP TABLE placed_building (id integer, grid_id integer) ON COMMIT DROP"))
    columns = {"id": ids[moved].astype(np.int32), "grid_id": np.ma.masked_equal(grid[moved], -1)}
    copy_rows(connection.connection.cursor(), "placed_building", columns)
    connection.execute(text(MOVE))
    return int(moved.sum())


def households_at(connection: Connection, grids: Collection[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the buildings of some grids, degrees (n, 2), and the households of each, (n,)."""
    rows = connection.execute(
        text("""
        SELECT ST_X(b.geom), ST_Y(b.geom), count(h.id) FROM building b
        JOIN dwelling d ON d.building_id = b.id JOIN household h ON h.dwelling_id = d.id
        WHERE b.geom IS NOT NULL AND b.grid_id = ANY(:grids) AND h.ended_on IS NULL GROUP BY b.id
        """),
        {"grids": list(grids)},
    ).all()
    table = np.array(rows, dtype=float).reshape(-1, 3)
    return table[:, :2], table[:, 2]

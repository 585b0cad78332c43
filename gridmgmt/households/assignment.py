"""Which grid a building stands in, anew when grids have changed."""

import numpy as np
from sqlalchemy import Engine, text

from gridmgmt.db.copy import copy_rows
from gridmgmt.grids.by_day import GridsByDay
from gridmgmt.importing.run import LOCK


def reassign_buildings(engine: Engine) -> int:
    """Give every building the base grid in force today, and return how many changed. One transaction."""
    with engine.begin() as connection:
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
        connection.execute(
            text("CREATE TEMP TABLE placed_building (id integer, grid_id integer) ON COMMIT DROP")
        )
        columns = {"id": ids[moved].astype(np.int32), "grid_id": np.ma.masked_equal(grid[moved], -1)}
        copy_rows(connection.connection.cursor(), "placed_building", columns)
        connection.execute(
            text("UPDATE building b SET grid_id = p.grid_id FROM placed_building p WHERE b.id = p.id")
        )
        return int(moved.sum())

"""Which grid a matter belongs to, when matters are imported and again when grids have changed."""

from collections.abc import Collection

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sqlalchemy import Connection, Engine, text

from gridmgmt.db.copy import copy_rows
from gridmgmt.grids.by_day import GridsByDay
from gridmgmt.importing.run import LOCK

# China has one clock, UTC+8 without summer time; matters do not remember the clock of their file.
CLOCK = np.timedelta64(8, "h")


def grid_days(
    occurred_at: ArrayLike, occurred_on: ArrayLike, reported_at: ArrayLike
) -> NDArray[np.datetime64]:
    """Return the local day on which each matter was reported, which decides the grid it belongs to.

    A matter without a reporting time of its own (`reported_at` equals `occurred_at`) takes the local day it
    occurred on, right in any time zone; the others take China's day.
    """
    occurred, reported = np.asarray(occurred_at, "datetime64[us]"), np.asarray(reported_at, "datetime64[us]")
    days: NDArray[np.datetime64] = np.where(
        occurred == reported,
        np.asarray(occurred_on, "datetime64[D]"),
        (reported + CLOCK).astype("datetime64[D]"),
    )
    return days


def reassign(engine: Engine) -> int:
    """Give every matter the base grid in force at its place on its day, and return how many changed.

    One transaction; matters are read a year at a time.
    """
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        grids = GridsByDay(connection)
        connection.execute(
            text("CREATE TEMP TABLE placed (id bigint, occurred_on date, grid_id integer) ON COMMIT DROP")
        )
        years = connection.execute(
            text("SELECT DISTINCT extract(year FROM occurred_on)::integer FROM incident ORDER BY 1")
        ).scalars()
        for year in years.all():
            _place(connection, grids, year)
        connection.execute(text("ANALYZE placed"))
        changed = connection.execute(
            text("""
            UPDATE incident i SET grid_id = p.grid_id FROM placed p
            WHERE i.id = p.id AND i.occurred_on = p.occurred_on
            """)
        )
        return changed.rowcount


def rehome_open(connection: Connection, grids: Collection[int]) -> int:
    """Give the open matters of some grids the base grid in force today at their place; how many moved.

    What is closed keeps the grid that it was reported in. Commits nothing.
    """
    rows = connection.execute(
        text("""
        SELECT id, occurred_on - DATE '1970-01-01', ST_X(geom), ST_Y(geom), current_date - DATE '1970-01-01'
        FROM incident WHERE status = 'open' AND geom IS NOT NULL AND grid_id = ANY(:grids)
        """),
        {"grids": list(grids)},
    ).all()
    if not rows:
        return 0
    ids, on, lon, lat, today = (np.array(column) for column in zip(*rows, strict=True))
    grid = GridsByDay(connection).assign(today.astype("datetime64[D]"), lon, lat)
    connection.execute(
        text("CREATE TEMP TABLE moved (id bigint, occurred_on date, grid_id integer) ON COMMIT DROP")
    )
    columns = {
        "id": ids, "occurred_on": on.astype("datetime64[D]"), "grid_id": np.ma.masked_equal(grid, -1)
    }  # fmt: skip
    copy_rows(connection.connection.cursor(), "moved", columns)
    changed = connection.execute(
        text("""
        UPDATE incident i SET grid_id = m.grid_id FROM moved m
        WHERE i.id = m.id AND i.occurred_on = m.occurred_on AND i.grid_id IS DISTINCT FROM m.grid_id
        """)
    )
    return changed.rowcount


def _place(connection: Connection, grids: GridsByDay, year: int) -> None:
    """Write those of a year's matters into `placed` whose grid is not the one they have."""
    rows = connection.execute(
        text("""
        SELECT id, occurred_on - DATE '1970-01-01', (extract(epoch FROM occurred_at) * 1000000)::bigint,
            (extract(epoch FROM reported_at) * 1000000)::bigint, ST_X(geom), ST_Y(geom), coalesce(grid_id, -1)
        FROM incident WHERE geom IS NOT NULL AND occurred_on >= make_date(:year, 1, 1)
            AND occurred_on < make_date(:year + 1, 1, 1)
        """),
        {"year": year},
    ).all()
    if not rows:
        return
    ids, on, occurred, reported, lon, lat, now = (np.array(column) for column in zip(*rows, strict=True))
    on = on.astype("datetime64[D]")
    days = grid_days(occurred.astype("datetime64[us]"), on, reported.astype("datetime64[us]"))
    grid = grids.assign(days, lon, lat)
    moved = grid != now
    copy_rows(
        connection.connection.cursor(),
        "placed",
        {"id": ids[moved], "occurred_on": on[moved], "grid_id": np.ma.masked_equal(grid[moved], -1)},
    )

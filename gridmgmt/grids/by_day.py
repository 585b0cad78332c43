"""Which base grid held a point on a given day: grids are redrawn, matters belong to those of their time."""

from datetime import date

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sqlalchemy import Connection, text

from gridmgmt.grids.assign import PointAssigner
from gridmgmt.grids.service import grids_in_force

Bounds = tuple[float, float, float, float]


class GridsByDay:
    """Base grids of all days; each set that was in force together is read once, when first needed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        changes = connection.execute(
            text("""
            SELECT valid_from AS day FROM grid WHERE kind = 'base'
            UNION SELECT valid_to FROM grid WHERE kind = 'base' AND valid_to IS NOT NULL ORDER BY day
            """)
        ).scalars()
        self._changes = np.array(list(changes), dtype="datetime64[D]")
        self._sets: dict[int, tuple[NDArray[np.int32], PointAssigner]] = {}

    @property
    def first_day(self) -> date | None:
        """The first day on which any base grid was in force."""
        return self._changes[0].item() if len(self._changes) else None

    def assign(self, days: ArrayLike, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.int32]:
        """Return the id of the base grid in force on each day at each point (EPSG:4490), -1 for none."""
        when = np.asarray(days, dtype="datetime64[D]")
        x, y = np.asarray(lon, dtype=float), np.asarray(lat, dtype=float)
        found = np.full(len(when), -1, np.int32)
        era = np.searchsorted(self._changes, when, side="right")
        for number in np.unique(era[~np.isnat(when) & (era > 0)]):
            rows = np.flatnonzero((era == number) & ~np.isnat(when))
            ids, assigner = self._set(int(number))
            index = assigner.assign(x[rows], y[rows])
            found[rows] = np.where(index >= 0, ids[index], -1) if len(ids) else -1
        return found

    def _set(self, era: int) -> tuple[NDArray[np.int32], PointAssigner]:
        if era not in self._sets:
            grids = grids_in_force(self._connection, self._changes[era - 1].item())
            assigner = PointAssigner(grids.codes, grids.geometries)
            self._sets[era] = np.asarray(grids.ids, dtype=np.int32), assigner
        return self._sets[era]


def territory_bounds(connection: Connection) -> Bounds | None:
    """Return west, south, east, north of all divisions and grids in degrees, or None when there are none."""
    row = connection.execute(
        text("""
        WITH shapes AS (SELECT geom FROM division UNION ALL SELECT geom FROM grid),
            extent AS (SELECT ST_Extent(geom) AS box FROM shapes)
        SELECT ST_XMin(box), ST_YMin(box), ST_XMax(box), ST_YMax(box) FROM extent
        """)
    ).one()
    return None if row[0] is None else (row[0], row[1], row[2], row[3])

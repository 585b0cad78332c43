"""The matters of one area by year and 旬 and by category, on the boundaries of today.

A matter reported in a grid that still stands as it was is counted by that grid, inside the database. Only one
whose grid has ended since, or that had none, is looked up by its place. So a card of a grid opens at once,
however many matters the city has, and adds up to what a run counted there.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Connection, text

from gridmgmt import calendar
from gridmgmt.grids.assign import PointAssigner
from gridmgmt.grids.service import GridSet
from gridmgmt.hotspots.statistics.kernels import FloatArray


@dataclass(frozen=True, eq=False)
class Years:
    """Matters of an area by year and 旬: `counts` has shape (years, 36), a row for each of `years`."""

    years: range
    counts: FloatArray


class Place:
    """One area on the boundaries of `today`, the grids in force; reads with the reader's rights."""

    def __init__(self, connection: Connection, area: str, today: GridSet) -> None:
        self.connection = connection
        self._mine = np.array([code.startswith(area) for code in today.codes], dtype=bool)
        self._today = today
        self._ids = today.ids[self._mine].tolist()

    def years(self, years: range, categories: Collection[str] | None = None) -> Years:
        """Return the area's matters of these years; of these categories, or of all when None."""
        counts = np.zeros((len(years), calendar.XUN_COUNT))
        asked = _Asked(date(years.start, 1, 1), date(years.stop - 1, 12, 31), categories)
        for row in self._counted("date_part('year', occurred_on)::int AS year, " + _XUN, "year, xun", asked):
            counts[row.year - years.start, row.xun] += row.n
        moved = [row.occurred_on for row in self._moved(asked)]
        if moved:
            year = np.array([day.year for day in moved]) - years.start
            np.add.at(counts, (year, calendar.xun_of(moved)), 1)
        return Years(years, counts)

    def categories(self, start: date, end: date, within: Collection[str] | None = None) -> dict[str, int]:
        """Return how many matters of each category occurred from `start` to `end`, the most first."""
        asked = _Asked(start, end, within)
        found = Counter({row.category: row.n for row in self._counted("category", "category", asked)})
        found.update(row.category for row in self._moved(asked))
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))

    def _counted(self, columns: str, groups: str, asked: "_Asked") -> Any:
        """Count the matters whose grid stands today as it stood then."""
        query = f"""
            SELECT {columns}, count(*) AS n FROM incident
            WHERE grid_id = ANY(:grids) AND {asked.condition} GROUP BY {groups}
            """
        return self.connection.execute(text(query), {"grids": self._ids} | asked.bound)

    def _moved(self, asked: "_Asked") -> list[Any]:
        """Return the matters inside the area whose grid has ended since they were reported, or was none."""
        if not self._ids:
            return []
        bounds: list[float] = shapely.total_bounds(self._today.geometries[self._mine]).tolist()
        box = dict(zip(("west", "south", "east", "north"), bounds, strict=True))
        query = f"""
            SELECT occurred_on, category, ST_X(geom) AS lon, ST_Y(geom) AS lat FROM incident
            WHERE (grid_id IS NULL OR grid_id = ANY(:ended)) AND {asked.condition}
                AND geom && ST_MakeEnvelope(:west, :south, :east, :north, 4490)
            """
        bound = {"ended": self._ended(box)} | box | asked.bound
        rows = list(self.connection.execute(text(query), bound))
        return [row for row, inside in zip(rows, self._inside(rows, box), strict=True) if inside]

    def _ended(self, box: dict[str, float]) -> list[int]:
        query = text("""
            SELECT id FROM grid WHERE kind = 'base' AND valid_to IS NOT NULL
                AND geom && ST_MakeEnvelope(:west, :south, :east, :north, 4490)
            """)
        return sorted(set(self.connection.scalars(query, box)) - set(self._today.ids.tolist()))

    def _inside(self, rows: list[Any], box: dict[str, float]) -> list[bool]:
        """Say of each row whether it lies in the area; on a shared edge the lower code has it, as in runs."""
        if not rows:
            return []
        around = shapely.box(box["west"], box["south"], box["east"], box["north"])
        near = shapely.intersects(self._today.geometries, around)
        codes = [code for code, chosen in zip(self._today.codes, near, strict=True) if chosen]
        assigner = PointAssigner(codes, self._today.geometries[near])
        found = assigner.assign([row.lon for row in rows], [row.lat for row in rows])
        mine = np.append(self._mine[near], False)  # a place outside every grid is number -1
        return [bool(each) for each in mine[found]]


_XUN = (
    "((date_part('month', occurred_on) - 1) * 3"
    " + least((date_part('day', occurred_on)::int - 1) / 10, 2))::int AS xun"
)


class _Asked:
    """A period and categories, as a condition on matters and its bound values."""

    def __init__(self, start: date, end: date, categories: Collection[str] | None) -> None:
        self.condition = "occurred_on BETWEEN :start AND :end"
        self.bound: dict[str, Any] = {"start": start, "end": end}
        if categories is not None:
            self.condition += " AND category = ANY(:categories)"
            self.bound["categories"] = sorted(categories)

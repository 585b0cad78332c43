"""Matters laid on today's grids: which area, which category, which day.

History is always counted on the grids in force today, whatever grid a matter was reported in, so that a
boundary that moved cannot look like a change.
"""

from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

import numpy as np
from sqlalchemy import Connection

from gridmgmt.errors import InputError, SetupError
from gridmgmt.grids import service as grids
from gridmgmt.grids.adjacency import contiguity
from gridmgmt.grids.assign import PointAssigner
from gridmgmt.grids.codes import DIGITS
from gridmgmt.hotspots.statistics.weights import Weights
from gridmgmt.incidents import pool
from gridmgmt.incidents import service as incidents

LEVELS = ("grid", "village", "town", "county")


@dataclass(frozen=True)
class Located:
    """Matters with the index of the grid in force today that holds them (-1: no place or outside)."""

    grids: grids.GridSet
    grid: np.ndarray  # (n,)
    recorded: np.ndarray  # (n,) id of the grid it was recorded in when it was reported, -1 for none
    category: np.ndarray  # (n,) index into `categories`
    day: np.ndarray  # (n,) datetime64[D]
    categories: tuple[str, ...]
    lon: np.ndarray  # (n,) degrees, NaN without a place
    lat: np.ndarray  # (n,)

    @cached_property
    def first(self) -> np.ndarray:
        """Which matters opened a problem of their own, (n,) bool; the others tell of one that stands."""
        opened = pool.problems(self.lon, self.lat, self.category, self.day)
        return opened == np.arange(len(opened))

    def problems(self) -> "Located":
        """Return the issue pool: the matters that opened a problem."""
        return self.taken(self.first)

    def areas(self, level: str) -> tuple[list[str], np.ndarray]:
        """Return the codes of a level's areas and, for every grid, the index of its area."""
        codes, index = np.unique(
            [code[: DIGITS[check_level(level)]] for code in self.grids.codes], return_inverse=True
        )
        return codes.tolist(), index

    def between(self, start: date, end: date) -> "Located":
        """Return the matters of a part of the period, both days included."""
        kept = (self.day >= np.datetime64(start, "D")) & (self.day <= np.datetime64(end, "D"))
        return self.taken(kept)

    def taken(self, kept: np.ndarray) -> "Located":
        """Return the chosen matters, `kept` a mask or rows."""
        names = ("grid", "recorded", "category", "day", "lon", "lat")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})


def check_level(level: str) -> str:
    """Return `level` when it is one we know; raises InputError otherwise."""
    if level not in LEVELS:
        raise InputError("level", level, " | ".join(LEVELS))
    return level


def locate(connection: Connection, start: date, end: date) -> Located:
    """Return the matters of a period on the base grids in force today.

    Raises SetupError when there are no grids.
    """
    today = grids.grids_in_force(connection)
    if not len(today.codes):
        raise SetupError("there are no grids yet; import them with: gridmgmt import grids FILE")
    found = incidents.matters(connection, start, end)
    assigner = PointAssigner(today.codes, today.geometries)
    grid = assigner.assign(found.lon, found.lat)
    return Located(
        today, grid, found.recorded, found.category, found.day, found.categories, found.lon, found.lat
    )


def neighbours(connection: Connection, located: Located, level: str, codes: list[str]) -> Weights:
    """Return who is whose neighbour among a level's areas (queen), none with itself."""
    geometries = located.grids.geometries
    if level != "grid":
        found = grids.divisions(connection, level)
        shape = dict(zip(found.codes, found.geometries, strict=True))
        geometries = np.array([shape[code] for code in codes], dtype=object)
    return Weights.from_pairs(len(codes), *contiguity(geometries))


def count(area: np.ndarray, column: np.ndarray, n_areas: int, n_columns: int) -> np.ndarray:
    """Return counts[area, column]; rows whose area or column is negative do not count."""
    valid = (area >= 0) & (column >= 0)
    flat = np.bincount(area[valid] * n_columns + column[valid], minlength=n_areas * n_columns)
    return flat.reshape(n_areas, n_columns)

"""Matters of whole years as arrays, counted by area, category, year and bin of a clock."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gridmgmt.errors import InputError
from gridmgmt.hotspots.cube import Located
from gridmgmt.hotspots.statistics.kernels import FloatArray, IntArray
from gridmgmt.seasonal.clocks import BINS, place
from gridmgmt.seasonal.models import Clock

XUN = BINS[Clock.GREGORIAN]


@dataclass(frozen=True, eq=False)
class History:
    """Matters of whole years, one row each.

    Attributes
    ----------
    area, category : indices, shape (n,)
    day : datetime64[D], shape (n,)
    n_areas, n_categories : how many there are
    years : the Gregorian years that are fully known; every day lies in one of them
    """

    area: IntArray
    category: IntArray
    day: np.ndarray
    n_areas: int
    n_categories: int
    years: range

    def __post_init__(self) -> None:
        if not (np.shape(self.area) == np.shape(self.category) == np.shape(self.day)):
            found = np.shape(self.area), np.shape(self.category), np.shape(self.day)
            raise InputError("area, category, day", found, "one length for all")
        for field, values, n in (
            ("area", self.area, self.n_areas),
            ("category", self.category, self.n_categories),
            ("day", self._year_row, len(self.years)),
        ):
            if values.size and not 0 <= values.min() <= values.max() < n:
                raise InputError(field, (int(values.min()), int(values.max())), f"0 to {n - 1}")

    def before(self, year: int) -> "History":
        """Return the years before one of this history's, and their matters."""
        kept = self.day < np.datetime64(f"{year}-01-01")
        return History(
            self.area[kept],
            self.category[kept],
            self.day[kept],
            self.n_areas,
            self.n_categories,
            range(self.years.start, year),
        )

    @cached_property
    def _place(self) -> dict[Clock, tuple[IntArray, IntArray]]:
        return {clock: place(clock, self.day) for clock in Clock}

    @property
    def _year_row(self) -> IntArray:
        return self._place[Clock.GREGORIAN][0] - self.years.start

    def by_clock(self, clock: Clock) -> FloatArray:
        """Return the city's counts, shape (years, categories, bins of the clock)."""
        shape = (len(self.years), self.n_categories, BINS[clock])
        return _counted((self._year_row, self.category, self._place[clock][1]), shape)

    @cached_property
    def yearly(self) -> FloatArray:
        """Counts of shape (years, areas, categories)."""
        shape = (len(self.years), self.n_areas, self.n_categories)
        return _counted((self._year_row, self.area, self.category), shape)

    @cached_property
    def _order(self) -> tuple[IntArray, IntArray]:
        order = np.argsort(self.category, kind="stable")
        return order, np.searchsorted(self.category[order], np.arange(self.n_categories + 1))

    def cube(self, category: int) -> FloatArray:
        """Return the counts of a category, shape (years, areas, 36)."""
        order, ends = self._order
        rows = order[ends[category] : ends[category + 1]]
        index = self._year_row[rows], self.area[rows], self._place[Clock.GREGORIAN][1][rows]
        return _counted(index, (len(self.years), self.n_areas, XUN))


def _counted(index: tuple[IntArray, ...], shape: tuple[int, ...]) -> FloatArray:
    flat = np.ravel_multi_index(index, shape)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)


def history_of(located: Located, level: str, years: range) -> History:
    """Return the matters of whole years that lie in a grid, by area of a level in order of code."""
    codes, of_grid = located.areas(level)
    placed = located.grid >= 0
    return History(
        area=of_grid[located.grid[placed]],
        category=located.category[placed],
        day=located.day[placed],
        n_areas=len(codes),
        n_categories=len(located.categories),
        years=years,
    )

"""One hotspot run as arrays: from matters laid on areas to everything that its tables hold."""

from dataclasses import dataclass
from datetime import date

import numpy as np

from gridmgmt import calendar
from gridmgmt.grids import service as grids
from gridmgmt.hotspots.areas import Columns, Exposure, assess_areas
from gridmgmt.hotspots.cube import Located, count
from gridmgmt.hotspots.fields import Fields, hot_fields
from gridmgmt.hotspots.patterns import Patterns, city_trends, find_patterns
from gridmgmt.hotspots.peaks import XUN, Peak, find_peaks
from gridmgmt.hotspots.statistics.trend import MannKendall
from gridmgmt.hotspots.statistics.weights import Weights

PERMUTATIONS = 999
PER_HOUSEHOLDS = 1000

Period = tuple[date, date]  # first and last day


@dataclass(frozen=True, eq=False)
class Ground:
    """The areas of a level: what they are called, which grids make them, what rates are taken over."""

    level: str
    codes: list[str]
    area_of_grid: np.ndarray  # (grids,) index of each grid's area
    exposure: Exposure
    neighbours: Weights  # each with itself

    def area(self, located: Located) -> np.ndarray:
        """Return the index of each matter's area, -1 for none."""
        return np.where(located.grid >= 0, self.area_of_grid[located.grid], -1)

    def counts(self, located: Located, columns: Columns) -> np.ndarray:
        """Return counts[area, column]."""
        n = len(located.categories)
        return columns.sums(count(self.area(located), located.category, len(self.codes), n))


@dataclass(frozen=True, eq=False)
class Found:
    """What a run found.

    `areas` holds arrays (areas, columns) by the name of their column in `hotspot_result`; `by_year` holds
    counts[area, column] of each calendar year; `patterns` and `trends` are None where the months are too few.
    """

    ground: Ground
    columns: Columns
    areas: dict[str, np.ndarray]
    by_year: dict[int, np.ndarray]
    fields: Fields
    patterns: Patterns | None
    trends: MannKendall | None
    peaks: list[Peak]
    first_year: int


def exposure_of(households: np.ndarray, geometries: np.ndarray, area_of_grid: np.ndarray, n: int) -> Exposure:
    """Return the households of n areas from those of grids, or where no household is known their km2."""
    if households.sum():
        total = np.bincount(area_of_grid, weights=households, minlength=n)
        return Exposure("households", total / PER_HOUSEHOLDS, total.astype(int))
    km2 = grids.areas_m2(geometries) / 1e6
    return Exposure("area", np.bincount(area_of_grid, weights=km2, minlength=n), None)


def analyse(located: Located, ground: Ground, columns: Columns, period: Period, seed: int) -> Found:
    """Return what the matters of a period say of areas, fields and times. Nothing of the time before it."""
    start, end = period
    years = ((end - start).days + 1) / 365.25
    areas = assess_areas(
        ground.counts(located, columns),
        ground.exposure,
        ground.neighbours,
        years,
        permutations=PERMUTATIONS,
        seed=seed,
    )
    others = ground.neighbours.without_self()
    around = others.row_standardised().sparse @ areas["smoothed"]
    around[others.islands] = np.nan
    return Found(
        ground=ground,
        columns=columns,
        areas=areas | {"around": around},
        by_year=_by_year(located, ground, columns),
        fields=hot_fields(areas, ground.exposure.size, years),
        patterns=find_patterns(
            located, ground.area(located), columns, ground.exposure, ground.neighbours, period, seed
        ),
        trends=city_trends(located, columns, period),
        peaks=_peaks(located, columns, period),
        first_year=start.year,
    )


def _by_year(located: Located, ground: Ground, columns: Columns) -> dict[int, np.ndarray]:
    year = located.day.astype("datetime64[Y]").astype(int) + 1970
    return {
        each: ground.counts(located.between(date(each, 1, 1), date(each, 12, 31)), columns)
        for each in np.unique(year).tolist()
    }


def _peaks(located: Located, columns: Columns, period: Period) -> list[Peak]:
    start, end = period
    bins = (end.year - start.year + 1) * XUN

    def place(days: np.ndarray) -> np.ndarray:
        year = days.astype("datetime64[Y]").astype(int) + 1970 - start.year
        return year * XUN + calendar.xun_of(days)

    days = np.arange(np.datetime64(start, "D"), np.datetime64(end, "D") + 1)
    single = count(place(located.day), located.category, bins, len(located.categories))
    counts = columns.sums(single).T.reshape(len(columns.codes), -1, XUN)
    return find_peaks(counts, np.bincount(place(days), minlength=bins).reshape(-1, XUN))

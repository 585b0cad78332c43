"""What is expected of one category in a year: by 旬, over any days, of areas together, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from scipy import stats

from gridmgmt.hotspots.statistics.kernels import FloatArray
from gridmgmt.seasonal import clocks
from gridmgmt.seasonal.city_season import CitySeason
from gridmgmt.seasonal.clocks import days_between, place
from gridmgmt.seasonal.models import Clock

# How much of a year's weight the year before has. Forecasts under all of them are mixed: by these shares
# before anything is known, and more by those that predicted the held years better.
DECAYS = (1.0, 0.7, 0.5, 0.25)
BEFOREHAND = (0.4, 0.3, 0.2, 0.1)


@dataclass(frozen=True)
class Choices:
    """What the years before were best predicted with; the defaults are the plainest.

    Attributes
    ----------
    mix : share of each of DECAYS in the forecast, together 1
    town_spread, area_spread : how far amplitudes of the season stray; 0: all as the city
    cell_stiffness : matters that hold against a cell's own past; infinite: it is not used
    """

    mix: tuple[float, ...] = BEFOREHAND
    town_spread: float = 0.0
    area_spread: float = 0.0
    cell_stiffness: float = np.inf


@dataclass(frozen=True, eq=False)
class Expected:
    """Expected matters of one category in the target year.

    Attributes
    ----------
    target : the year
    expected : shape (areas, 36)
    certain : shape of each area's own gamma factor: how sure its rate is, (areas,)
    between : variance of the gamma factor that a year brings to all areas, relative to its mean squared
    season : the city's
    profile : matters a day in each bin of the season's clock, over their mean
    amplitude : how strongly each area follows it, (areas,)
    choices : what was found to predict best
    """

    target: int
    expected: FloatArray
    certain: FloatArray
    between: float
    season: CitySeason
    profile: FloatArray
    amplitude: FloatArray
    choices: Choices

    @property
    def shape(self) -> FloatArray:
        """Of the gamma variable that multiplies all of an area's year, shape (areas,)."""
        certain: FloatArray = 1.0 / (1.0 / self.certain + self.between)
        return certain

    def interval(self, bins: Sequence[int], points: Sequence[float] = (0.05, 0.95)) -> FloatArray:
        """Return points of the negative-binomial prediction of every area's matters in some 旬 together.

        Shape (points, areas). The factor that an area's whole year shares is in it; weather in one 旬 is not.
        """
        mean = self.expected[:, list(bins)].sum(axis=1)
        return np.stack([_point(point, self.shape, mean) for point in points])

    def over(self, first: date, last: date) -> FloatArray:
        """Return the expected matters of every area from `first` to `last`, both included, shape (areas,).

        A 旬 is shared out among its days as the season goes by day; days outside the target year have what
        the same 旬 of it has a day, moved as its clock moves.
        """
        days = days_between(first, last)
        year, xun = place(Clock.GREGORIAN, days)
        total = np.zeros(len(self.expected))
        for each in np.unique(np.stack([year, xun]), axis=1).T.tolist():
            of_cell = days[(year == each[0]) & (xun == each[1])]
            base = clocks.bin_days(Clock.GREGORIAN, self.target, each[1])
            whole = self._mass(days_between(base.start, base.end))
            total += self.expected[:, each[1]] * self._mass(of_cell) / whole
        return total

    def _mass(self, days: np.ndarray) -> FloatArray:
        """Sum of the profile over days, to the power of each area's amplitude, shape (areas,)."""
        values, often = np.unique(self.profile[place(self.season.clock, days)[1]], return_counts=True)
        mass: FloatArray = np.exp(self.amplitude[:, None] * np.log(values)) @ often
        return mass

    def together(
        self, mean: FloatArray, points: Sequence[float] = (0.05, 0.95), between: float = 0.0
    ) -> FloatArray:
        """Return points of the prediction of several areas' matters together, shape (points,).

        `mean` is what each area expects, (areas,), 0 for those left out. Their own factors are independent,
        the year's is common; `between` is its relative variance where that of the window in question is
        known to be larger.
        """
        total = float(mean.sum())
        own = float((mean**2 / self.certain).sum()) / max(total, 1e-12) ** 2
        shape = 1.0 / max(own + max(self.between, between), 1e-9)
        return np.array([_point(point, shape, total) for point in points])


def _point(point: float, shape: Any, mean: Any) -> Any:
    return stats.nbinom.ppf(point, shape, shape / (shape + mean))

"""The season of a whole city: on which clock, how smooth, and whether it pays at all.

A profile is matters a day in every bin of a clock. A wave of 0 to 4 harmonics is fitted, and the counts of
the bins then draw it towards themselves, more or less. Which clock, how many harmonics and how much is
what predicts each year best from the others; when nothing does so clearly, there is no season.

Method and limits: docs/methods/expected.md
"""

from dataclasses import dataclass
from datetime import date

import numpy as np

from gridmgmt.hotspots.statistics.kernels import FloatArray
from gridmgmt.seasonal.clocks import BINS, days_between, place
from gridmgmt.seasonal.models import Clock

HARMONICS = (0, 1, 2, 3, 4)
STIFFNESS = (np.inf, 1000.0, 100.0, 10.0, 1.0)  # matters that the wave weighs against a bin's own
PAYS = 5.0  # nats by which a season must predict better than none: 75 profiles are tried, and log 75 is 4.3
_LOWEST = 0.05  # a wave never goes below this share of the mean


@dataclass(frozen=True)
class CitySeason:
    """How a category's matters are spread over the year.

    Attributes
    ----------
    clock : the year it follows; Gregorian when there is no season
    harmonics, stiffness : of its profile
    gain : log-likelihood of all held-out years over that of no season, in nats; 0 when there is no season
    """

    clock: Clock = Clock.GREGORIAN
    harmonics: int = 0
    stiffness: float = np.inf
    gain: float = 0.0

    @property
    def seasonal(self) -> bool:
        """Whether a season predicts better than none."""
        return self.gain > 0


def overlaps(clock: Clock, years: range) -> FloatArray:
    """Return the days that 旬 and bins of a clock have in common, shape (years, 36, bins)."""
    days = np.zeros((len(years), BINS[Clock.GREGORIAN], BINS[clock]))
    for row, year in enumerate(years):
        each = days_between(date(year, 1, 1), date(year, 12, 31))
        np.add.at(days[row], (place(Clock.GREGORIAN, each)[1], place(clock, each)[1]), 1)
    return days


def choose(counts: dict[Clock, FloatArray], days: dict[Clock, FloatArray]) -> list[CitySeason]:
    """Return the season of every category that predicts each year best from the others.

    It must beat "every day alike" by `PAYS`, and a season on a plainer clock by as much.

    Parameters
    ----------
    counts : by clock, shape (years, categories, bins of the clock); at least 2 years
    days : by clock, as `overlaps` returns them for the same years
    """
    held = counts[Clock.GREGORIAN]
    flat = _held_out(counts[Clock.GREGORIAN], days[Clock.GREGORIAN], held, 0, np.inf)
    best = [CitySeason() for _ in flat]
    for clock in Clock:  # the plainest stands first
        wanted = np.array([season.gain + PAYS for season in best])
        for harmonics in HARMONICS:
            for stiffness in STIFFNESS:
                gain = _held_out(counts[clock], days[clock], held, harmonics, stiffness) - flat
                for category in np.flatnonzero(gain > wanted):
                    best[category] = CitySeason(clock, harmonics, stiffness, float(gain[category]))
                wanted = np.maximum(wanted, gain)
    return best


def _held_out(
    counts: FloatArray, days: FloatArray, held: FloatArray, harmonics: int, stiffness: float
) -> FloatArray:
    """Log-likelihood of the 旬 in which each year's matters fell, given the other years; (categories,)."""
    score = np.zeros(counts.shape[1])
    for year in range(len(counts)):
        others = np.arange(len(counts)) != year
        rate = profiles(counts[others].sum(axis=0), days[others].sum(axis=(0, 1)), harmonics, stiffness)
        share = rate @ days[year].T
        share /= share.sum(axis=1, keepdims=True)
        score += (held[year] * np.log(share)).sum(axis=1)
    return score


def profiles(counts: FloatArray, days: FloatArray, harmonics: int, stiffness: float) -> FloatArray:
    """Return matters a day in every bin, each row scaled to mean 1; a row without matters is flat.

    Parameters
    ----------
    counts : shape (rows, bins)
    days : observed days of each bin, shape (bins,)
    """
    total = counts.sum(axis=1, keepdims=True)
    mean = np.where(total > 0, total, 1.0) / days.sum()
    middle = 2 * np.pi * (np.arange(len(days)) + 0.5) / len(days)
    waves = [np.ones(len(days))]
    for k in range(1, harmonics + 1):
        waves += [np.sin(k * middle), np.cos(k * middle)]
    basis = np.stack(waves, axis=1)
    # Least squares on daily rates, each bin weighing its days: basis' days basis . b = basis' counts.
    fitted = np.linalg.solve((basis * days[:, None]).T @ basis, basis.T @ counts.T).T @ basis.T
    wave = np.maximum(np.where(total > 0, fitted, mean), _LOWEST * mean)
    if np.isfinite(stiffness):
        wave = wave * (stiffness + counts) / (stiffness + wave * days)
    rate: FloatArray = wave / ((wave @ days)[:, None] / days.sum())
    return rate

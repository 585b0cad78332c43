"""Finds what comes back every year: arrays in, seasons out. Knows nothing of databases or maps.

1. Every pair of area and category with enough matters is scanned for a window on the 36 旬 (Monte Carlo,
   exact level); Benjamini-Hochberg over all pairs together says which categories have a season at all.
2. For such a category the matters of its significant areas are pooled. The clock is the one that best
   predicts held-out years from the others; the window is scanned anew on that clock.
3. Every area is then tested against that window, and the finest areas that carry the evidence are kept: a
   town is listed only for what its listed grids leave unexplained, the county for what its towns leave.

Method and limits: docs/methods/seasonal-list.md
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from gridmgmt.config import ALPHA
from gridmgmt.hotspots.statistics import significance
from gridmgmt.seasonal import windows
from gridmgmt.seasonal.clocks import BINS, place, window_days
from gridmgmt.seasonal.models import Clock

MIN_MATTERS = 8  # fewer in all years together cannot show a season in one area
MIN_RATIO = 1.5  # a window in which matters are less than half as frequent again is not worth a visit
MIN_YEARS = 2
LONGEST = 1 / 3  # of the year: what lasts longer cannot be treated by a day beforehand
RECURS_IN = 0.75  # share of the years in which the window must stand out
SECOND_WINDOW_SHARE = 0.1  # a second window must hold this share of the category's matters
RESIDUAL_P = 0.001  # a wider area is listed when what is left of it is as clear as this
PSEUDO_DAYS = 30.0  # held-out prediction: this many days at the mean rate are added to every bin


@dataclass(frozen=True)
class Season:
    """A window on a clock; `start` and `peak` are bins, `length` is in bins."""

    clock: Clock
    start: int
    length: int
    peak: int


def significant_pairs(
    counts: np.ndarray, category: np.ndarray, exposure: np.ndarray, *, replications: int, seed: int
) -> np.ndarray:
    """Return which pairs of area and category show a season, a mask of shape (k,).

    Two gates. A category must show a season somewhere: Simes' p over its pairs, Benjamini-Hochberg over the
    categories. A pair must be among the clear ones of all pairs. Without the first gate, one pair in twenty
    of those called is chance, and lends a category without any season a lonely item.

    Parameters
    ----------
    counts : ndarray, shape (k, b)
        Matters of each pair in the bins of the year.
    category : ndarray of int, shape (k,)
    exposure : ndarray, shape (b,)
        Observed days in each bin.

    Source: Simes 1986, Biometrika 73(3); Yekutieli 2008, JASA 103 (hierarchical testing).
    """
    found = windows.circular_scan_many(
        counts, exposure, replications=replications, seed=seed, max_length=int(counts.shape[1] * LONGEST)
    )
    known, of_pair = np.unique(category, return_inverse=True)
    by_category = np.array([simes(found.p[of_pair == index]) for index in range(len(known))])
    seasonal = adjusted(by_category) <= ALPHA
    return seasonal[of_pair] & (adjusted(found.p) <= ALPHA) & (found.ratio >= MIN_RATIO)


def simes(p: np.ndarray) -> float:
    """Return one p-value for "at least one of these is no chance"."""
    ordered = np.sort(p)
    return float((ordered * len(p) / np.arange(1, len(p) + 1)).min())


def exposure_of(clock: Clock, days: np.ndarray) -> np.ndarray:
    """Return how many of the observed days fall into each bin of a clock."""
    return np.bincount(place(clock, days)[1], minlength=BINS[clock]).astype(float)


def choose_clock(events: np.ndarray, days: np.ndarray) -> Clock:
    """Return the clock whose bins best predict each calendar year from the others.

    The score is the log-likelihood of the days on which a held-out year's matters fell, given their number
    and the rates of the other years: so clocks with different bins compare on the same days.
    """
    daily = np.bincount((events - days[0]).astype(int), minlength=len(days)).astype(float)
    year = days.astype("datetime64[Y]").astype(int)
    # Ties go to the plainer clock: it stands first.
    return max(
        Clock, key=lambda clock: round(_held_out_score(daily, place(clock, days)[1], year, BINS[clock]), 6)
    )


def _held_out_score(daily: np.ndarray, bins: np.ndarray, year: np.ndarray, n_bins: int) -> float:
    score = 0.0
    for held in np.unique(year):
        rest = year != held
        mean = daily[rest].mean() if rest.any() else 1.0
        matters = np.bincount(bins[rest], weights=daily[rest], minlength=n_bins) + PSEUDO_DAYS * mean
        rate = matters / (np.bincount(bins[rest], minlength=n_bins) + PSEUDO_DAYS)
        chance = np.maximum(rate[bins[~rest]], 1e-12)
        score += float(daily[~rest] @ np.log(chance / chance.sum()))
    return score


def find_seasons(events: np.ndarray, days: np.ndarray, seed: int) -> list[Season]:
    """Return the one or two windows of pooled matters on the clock that predicts them best.

    The second window is scanned with the first one's bins taken out; it is kept when it is significant by
    itself and holds a fair share of the matters (land rent is settled after wheat and again after maize).
    """
    clock = choose_clock(events, days)
    counts = np.bincount(place(clock, events)[1], minlength=BINS[clock])
    exposure = exposure_of(clock, days)
    seasons = []
    for _ in range(2):
        window = windows.circular_scan(
            counts, exposure, replications=999, seed=seed, max_length=int(BINS[clock] * LONGEST)
        )
        inside = (window.start + np.arange(window.length)) % BINS[clock]
        enough = counts[inside].sum() >= SECOND_WINDOW_SHARE * len(events)
        if window.p > ALPHA or window.ratio < MIN_RATIO or not enough:
            break
        rate = counts[inside] / np.maximum(exposure[inside], 1)
        seasons.append(Season(clock, window.start, window.length, int(inside[rate.argmax()])))
        counts, exposure = counts.copy(), exposure.copy()
        counts[inside] = 0
        exposure[inside] = 0
        if not counts.sum():
            break
    return seasons


def season_spans(season: Season, days: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return season years, first and last days of every occurrence of a window that the data fully hold."""
    first, last = days[0], days[-1]
    years = np.unique(place(season.clock, days)[0])
    spans = [window_days(season.clock, int(year), season.start, season.length) for year in years]
    starts = np.array([span.start for span in spans], dtype="datetime64[D]")
    ends = np.array([span.end for span in spans], dtype="datetime64[D]")
    whole = (starts >= first) & (ends <= last)
    return years[whole], starts[whole], ends[whole]


def counts_by_season(
    area: np.ndarray, day: np.ndarray, n: int, season: Season, days: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return inside[n, y], outside[n, y] of every area, the days of each window (y,) and the season years.

    A season's "outside" is what happened from half a year before the window's middle to half a year after,
    as far as the data reach; it is scaled to the days of the window.
    """
    years, starts, ends = season_spans(season, days)
    inside = np.zeros((n, len(years)))
    outside = np.zeros((n, len(years)))
    length = (ends - starts).astype(int) + 1
    for y, (start, end) in enumerate(zip(starts, ends, strict=True)):
        middle = start + (end - start) // 2
        low, high = max(middle - 182, days[0]), min(middle + 182, days[-1])
        within = (day >= start) & (day <= end)
        around = (day >= low) & (day <= high) & ~within
        rest = int((high - low).astype(int)) + 1 - length[y]
        inside[:, y] = np.bincount(area[within], minlength=n)
        outside[:, y] = np.bincount(area[around], minlength=n) * (length[y] / max(rest, 1))
    return inside, outside, length, years


@dataclass(frozen=True)
class AreaTest:
    """Every area of a level held against one window."""

    inside: np.ndarray  # (n, y)
    outside: np.ndarray  # (n, y) scaled to the window's days
    years: np.ndarray  # (y,)
    p: np.ndarray  # (n,)
    ratio: np.ndarray  # (n,)
    recurs: np.ndarray  # (n,) bool

    @cached_property
    def expected(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Next season's matters of every area: mean, 5 % and 95 % point, each (n,)."""
        return expected_next(self.inside)


def compare(inside: np.ndarray, outside: np.ndarray, years: np.ndarray, share: float) -> AreaTest:
    """Return the one-sided binomial test of each area: are matters denser inside the window than `share`?

    `share` is the window's share of the days that were looked at. Half a matter is added to both sides of
    the ratio, so that an area without any matter outside is not infinitely seasonal.
    """
    n_in = inside.sum(axis=1)
    n_out = outside.sum(axis=1)
    total = np.rint(n_in + n_out * (1 - share) / share)
    p = stats.binom.sf(n_in - 1, total, share)
    ratio = (n_in + 0.5) / (n_out + 0.5)
    wanted = max(MIN_YEARS, int(np.ceil(RECURS_IN * len(years))))
    recurs = (inside > outside).sum(axis=1) >= wanted
    return AreaTest(inside, outside, years, p, ratio, recurs)


def expected_next(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, 5 % and 95 % point of next season's matters, given inside[n, y] of past seasons.

    A gamma-Poisson model with the Jeffreys prior, so that its prediction is negative binomial.
    """
    seasons = inside.shape[1]
    shape = inside.sum(axis=1) + 0.5
    chance = seasons / (seasons + 1.0)
    low, high = (stats.nbinom.ppf(point, shape, chance) for point in (0.05, 0.95))
    return inside.mean(axis=1), low, high


def adjusted(p: np.ndarray) -> np.ndarray:
    """Return Benjamini-Hochberg q-values; an empty array stays empty."""
    return significance.q_values(p) if p.size else p

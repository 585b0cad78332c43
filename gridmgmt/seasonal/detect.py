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

import numpy as np
from scipy import stats

from gridmgmt.config import ALPHA
from gridmgmt.hotspots.statistics import significance
from gridmgmt.seasonal import city_season, windows
from gridmgmt.seasonal.clocks import BINS, place, window_days
from gridmgmt.seasonal.models import Clock

MIN_MATTERS = 8  # fewer in all years together cannot show a season in one area
MIN_RATIO = 1.5  # a window in which matters are less than half as frequent again is not worth a visit
MIN_YEARS = 2
LONGEST = 1 / 3  # of the year: what lasts longer cannot be treated by a day beforehand
RECURS_IN = 0.75  # share of the years in which the window must stand out
SECOND_WINDOW_SHARE = 0.1  # a second window must hold this share of the category's matters
RESIDUAL_P = 0.001  # a wider area is listed when what is left of it is as clear as this


@dataclass(frozen=True)
class Season:
    """A window on a clock.

    Attributes
    ----------
    start, length, peak : in bins
    stable : years without any one of which the window is still found
    """

    clock: Clock
    start: int
    length: int
    peak: int
    stable: int = 0

    @property
    def bins(self) -> np.ndarray:
        """The bins of the window, in order."""
        return (self.start + np.arange(self.length)) % BINS[self.clock]

    def overlaps(self, window: windows.Window) -> bool:
        """Say whether half of the bins of either window together are in both."""
        other = (window.start + np.arange(window.length)) % BINS[self.clock]
        both = len(np.intersect1d(self.bins, other))
        return both >= 0.5 * (self.length + window.length - both)


def significant_pairs(
    counts: np.ndarray,
    category: np.ndarray,
    level: np.ndarray,
    exposure: np.ndarray,
    *,
    replications: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return which pairs of area and category show a season, a mask of shape (k,), and each category's q.

    Two gates. A category must show a season somewhere: Simes' p over its pairs of each level, the least of
    the levels times their number (so that a season of the whole city is not weighed against a thousand grids
    that each have too little), Benjamini-Hochberg over the categories. A pair must be among the clear ones of
    all pairs. Without the first gate, one pair in twenty
    of those called is chance, and lends a category without any season a lonely item.

    Parameters
    ----------
    counts : ndarray, shape (k, b)
        Matters of each pair in the bins of the year.
    category, level : ndarray of int, shape (k,)
    exposure : ndarray, shape (b,)
        Observed days in each bin.

    The q-values, of a category's having a season somewhere, come in the order of `np.unique(category)`.

    Source: Simes 1986, Biometrika 73(3); Yekutieli 2008, JASA 103 (hierarchical testing).
    """
    found = windows.circular_scan_many(
        counts,
        exposure,
        replications=replications,
        seed=seed,
        max_length=int(counts.shape[1] * LONGEST),
        bounded_tail=True,
    )
    known, of_pair = np.unique(category, return_inverse=True)
    by_category = np.array(
        [_anywhere(found.p[of_pair == index], level[of_pair == index]) for index in range(len(known))]
    )
    q = adjusted(by_category)
    stands_out = (q[of_pair] <= ALPHA) & (adjusted(found.p) <= ALPHA) & (found.ratio >= MIN_RATIO)
    return stands_out, q


def _anywhere(p: np.ndarray, level: np.ndarray) -> float:
    levels = np.unique(level)
    return min(1.0, len(levels) * min(simes(p[level == each]) for each in levels))


def simes(p: np.ndarray) -> float:
    """Return one p-value for "at least one of these is no chance"."""
    ordered = np.sort(p)
    return float((ordered * len(p) / np.arange(1, len(p) + 1)).min())


def exposure_of(clock: Clock, days: np.ndarray) -> np.ndarray:
    """Return how many of the observed days fall into each bin of a clock."""
    return np.bincount(place(clock, days)[1], minlength=BINS[clock]).astype(float)


def choose_clock(events: np.ndarray, days: np.ndarray) -> Clock | None:
    """Return the clock on which each calendar year is best predicted from the others; None when on none.

    On every clock the profiles of `city_season` are tried. The score is the log-likelihood of the days on
    which a held-out year's matters fell, given their number: so clocks with different bins compare on the
    same days. It must beat "every day alike" by `city_season.PAYS`, and a plainer clock by as much: half a
    year of summer is told nearly as well by the moon.
    """
    daily = np.bincount((events - days[0]).astype(int), minlength=len(days)).astype(float)
    year = np.unique(days.astype("datetime64[Y]"), return_inverse=True)[1]
    best = _held_out_score(daily, year, np.zeros(len(days), dtype=int), 1, 0, np.inf)
    chosen = None
    for clock in Clock:  # the plainest stands first
        bins = place(clock, days)[1]
        score = max(
            _held_out_score(daily, year, bins, BINS[clock], harmonics, stiffness)
            for harmonics in city_season.HARMONICS
            for stiffness in city_season.STIFFNESS
        )
        if score > best + city_season.PAYS:
            best, chosen = score, clock
    return chosen


def _held_out_score(
    daily: np.ndarray, year: np.ndarray, bins: np.ndarray, n_bins: int, harmonics: int, stiffness: float
) -> float:
    """Log-likelihood of the days of each year's matters, given the profile of the other years."""
    shape = (int(year.max()) + 1, n_bins)
    flat = np.ravel_multi_index((year, bins), shape)
    n = int(np.prod(shape))
    counts = np.bincount(flat, weights=daily, minlength=n).reshape(shape)
    length = np.bincount(flat, minlength=n).reshape(shape).astype(float)
    score = 0.0
    for held in range(len(counts)):
        # Half a day everywhere: a bin of the moon that the other years do not hold has their mean.
        others = length.sum(axis=0) - length[held] + 0.5
        seen = counts.sum(axis=0) - counts[held]
        seen += 0.5 * seen.sum() / others.sum()
        rate = city_season.profiles(seen[None], others, harmonics, stiffness)[0]
        score += counts[held] @ np.log(rate) - counts[held].sum() * np.log(length[held] @ rate)
    return float(score)


def find_seasons(events: np.ndarray, days: np.ndarray, seed: int) -> list[Season]:
    """Return the one or two windows of pooled matters on the clock that predicts them best.

    None when no clock predicts them. The second window is scanned with the first one's bins taken out; it is
    kept when it is significant by itself and holds a fair share of the matters (land rent is settled after
    wheat and again after maize). A window must come back: it is kept when, of the years, at least three
    quarters may be left out one by one and it is still found.
    """
    clock = choose_clock(events, days)
    if clock is None:
        return []
    counts = by_year(clock, events, days)
    exposure = by_year(clock, days, days)
    seasons = []
    for _ in range(2):
        season = _scanned(clock, counts, exposure, len(events), seed)
        if season is None:
            break
        if season.stable >= RECURS_IN * len(counts):
            seasons.append(season)
        inside = season.bins
        counts, exposure = counts.copy(), exposure.copy()
        counts[:, inside] = 0
        exposure[:, inside] = 0
        if not counts.sum():
            break
    return seasons


def by_year(clock: Clock, events: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Return how many events fall into each calendar year and bin, shape (years, bins)."""
    first = days[0].astype("datetime64[Y]")
    year = (events.astype("datetime64[Y]") - first).astype(int)
    n = int((days[-1].astype("datetime64[Y]") - first).astype(int)) + 1
    flat = year * BINS[clock] + place(clock, events)[1]
    return np.bincount(flat, minlength=n * BINS[clock]).reshape(n, BINS[clock]).astype(float)


def _scanned(clock: Clock, counts: np.ndarray, exposure: np.ndarray, n: int, seed: int) -> Season | None:
    """Return the window of counts[y, b], when it is significant, dense enough and holds its share of n."""
    longest = int(BINS[clock] * LONGEST)
    total, of_bin = counts.sum(axis=0), exposure.sum(axis=0)
    window = windows.circular_scan(total, of_bin, replications=999, seed=seed, max_length=longest)
    season = Season(clock, window.start, window.length, window.start, 0)
    enough = total[season.bins].sum() >= SECOND_WINDOW_SHARE * n
    if window.p > ALPHA or window.ratio < MIN_RATIO or not enough:
        return None
    rate = total[season.bins] / np.maximum(of_bin[season.bins], 1)
    rest = [(total - counts[year], of_bin - exposure[year]) for year in range(len(counts))]
    found = [
        windows.circular_scan(*each, replications=99, seed=seed, max_length=longest)
        for each in rest
        if each[0].sum()
    ]
    stable = sum(each.p <= ALPHA and season.overlaps(each) for each in found)
    return Season(clock, window.start, window.length, int(season.bins[rate.argmax()]), stable)


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

    stable: np.ndarray  # (n,) past seasons without any one of which p and ratio would still pass


def quiet_days(seasons: list[Season], days: np.ndarray) -> np.ndarray:
    """Return which days lie in no window of any of the seasons, (d,) bool."""
    inside = [np.isin(place(season.clock, days)[1], season.bins) for season in seasons]
    return ~np.logical_or.reduce(inside)


def clumping(area: np.ndarray, day: np.ndarray, n: int, quiet: np.ndarray, days: np.ndarray) -> float:
    """Return how many matters come for each that comes by itself, at least 1.

    Pearson's dispersion of the counts of the quiet days by area, year and 旬, each against the mean of its
    area and year: 1 when matters come singly, about 10 when one event brings ten calls.

    Parameters
    ----------
    area, day : of each matter, (k,); only those on quiet days are looked at
    n : how many areas there are
    quiet, days : which of the days are quiet, (d,) each
    """
    cell = np.unique(days.astype("datetime64[Y]"), return_inverse=True)[1] * BINS[Clock.GREGORIAN]
    cell += place(Clock.GREGORIAN, days)[1]
    cells = int(cell.max()) + 1
    length = np.bincount(cell[quiet], minlength=cells).astype(float)
    at = (day - days[0]).astype(int)
    kept = quiet[at]
    flat = area[kept] * cells + cell[at[kept]]
    counts = np.bincount(flat, minlength=n * cells).reshape(n, -1, BINS[Clock.GREGORIAN])
    length = length.reshape(1, -1, BINS[Clock.GREGORIAN])
    total, of_year = counts.sum(axis=2, keepdims=True), np.maximum(length.sum(axis=2, keepdims=True), 1.0)
    mean = total * length / of_year
    squares = np.divide((counts - mean) ** 2, mean, out=np.zeros_like(mean), where=mean > 0).sum()
    freedom = np.where(total[:, :, 0] > 0, np.maximum((length > 0).sum(axis=2) - 1, 0), 0).sum()
    return max(1.0, float(squares / freedom)) if freedom else 1.0


def compare(
    inside: np.ndarray, outside: np.ndarray, years: np.ndarray, share: float, clumps: float = 1.0
) -> AreaTest:
    """Return the one-sided binomial test of each area: are matters denser inside the window than `share`?

    `share` is the window's share of the days that were looked at; `clumps` matters count as one, because they
    do not come by themselves. Half a matter is added to both sides of the ratio, so that an area without any
    matter outside is not infinitely seasonal.
    """
    p, ratio = _denser(inside, outside, share, clumps)
    wanted = max(MIN_YEARS, int(np.ceil(RECURS_IN * len(years))))
    recurs = (inside > outside).sum(axis=1) >= wanted
    without = [np.arange(len(years)) != year for year in range(len(years))]
    left = [_denser(inside[:, kept], outside[:, kept], share, clumps) for kept in without]
    stable = sum(((p_left <= ALPHA) & (r_left >= MIN_RATIO)).astype(int) for p_left, r_left in left)
    return AreaTest(inside, outside, years, p, ratio, recurs, stable + np.zeros(len(p), dtype=int))


def _denser(
    inside: np.ndarray, outside: np.ndarray, share: float, clumps: float
) -> tuple[np.ndarray, np.ndarray]:
    n_in, n_out = inside.sum(axis=1), outside.sum(axis=1)
    alone = np.floor(n_in / clumps)
    total = alone + np.rint(n_out / clumps * (1 - share) / share)
    return stats.binom.sf(alone - 1, total, share), (n_in + 0.5) / (n_out + 0.5)


def adjusted(p: np.ndarray) -> np.ndarray:
    """Return Benjamini-Hochberg q-values; an empty array stays empty."""
    return significance.q_values(p) if p.size else p

"""Is there a season? Circular scan for the window, Walter-Elwood for any yearly wave.

A year is b bins in a circle (36 xun, 24 solar terms, 12 months); the last bin is followed by the first.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike
from scipy.special import xlogy
from scipy.stats import chi2

from gridmgmt.errors import InputError, NotEnoughDataError
from gridmgmt.hotspots.statistics.kernels import (
    FloatArray,
    IntArray,
    alias_table,
    checked_count,
    checked_seed,
    extend_key,
    in_blocks,
    multinomial,
)

_ROWS = 16
# n log n is looked up to here (32 MiB at the most) and computed beyond.
_TABLE = 1 << 22


@dataclass(frozen=True)
class Window:
    """The window of bins in which matters come most above their share.

    Attributes
    ----------
    start : first bin, 0 to b - 1; -1 when no window is above its share
    length : bins; start + length may pass the end of the year; 0 when there is none
    ratio : rate inside over rate outside; infinite when nothing happened outside, 1 when there is no window
    p : Monte Carlo p-value of the best window, the search over all windows included
    """

    start: int
    length: int
    ratio: float
    p: float


@dataclass(frozen=True, eq=False)
class Windows:
    """One `Window` a row, as arrays of shape (k,); `draws` says how many replications each p rests on.

    A row without matters has start -1, length 0, ratio NaN, p 1 and no draws: nothing can be said about it.
    """

    start: IntArray
    length: IntArray
    ratio: FloatArray
    p: FloatArray
    draws: IntArray


def circular_scan(
    counts: ArrayLike,
    exposure: ArrayLike,
    replications: int = 999,
    seed: int = 0,
    max_length: int | None = None,
    min_length: int = 1,
) -> Window:
    """Return the window of the year with the most significant excess, and its p-value.

    Over all circular windows of min_length to max_length bins the Poisson log-likelihood ratio

        c log(c / e) + (C - c) log((C - c) / (C - e))    when c > e, else 0

    is maximised: c matters inside, C in all, e expected inside by exposure. Of equal windows the shortest,
    then the earliest, is returned. The null spreads C matters over the bins in proportion to exposure
    (multinomial), and p = (1 + #(replicated maximum >= observed)) / (R + 1), exact at its level for any C,
    however small.

    Parameters
    ----------
    counts : matters a bin, whole numbers, shape (b,), b at least 2
    exposure : what matters are proportional to without a season (days x years, households), shape (b,)
    replications : R, at least 1
    seed : in [0, 2**64); the same seed gives the same bytes
    max_length, min_length : bins; b // 2 and 1 when absent

    Raises
    ------
    NotEnoughDataError
        When there are no matters.
    InputError
        When counts are not whole and not negative, exposure is negative or not finite, or matters stand in
        a bin without exposure.

    >>> circular_scan([9, 1, 1, 1, 1, 8], [1] * 6).start
    5

    Source: Wallenstein, Weinberg & Gould 1989, Biometrics 45(3) (circular scan); Kulldorff 1997,
    Communications in Statistics 26(6) (likelihood ratio); docs/methods/circular-scan.md.
    """
    row = np.asarray(counts)
    if row.ndim != 1:
        raise InputError("counts", f"shape {row.shape}", "shape (b,)")
    found = circular_scan_many(
        row[None, :], exposure, replications, seed, max_length, min_length, stop_after=None
    )
    if found.draws[0] == 0:
        raise NotEnoughDataError("counts", "no matters", "at least one")
    return Window(int(found.start[0]), int(found.length[0]), float(found.ratio[0]), float(found.p[0]))


def circular_scan_many(
    counts: ArrayLike,
    exposure: ArrayLike,
    replications: int = 999,
    seed: int = 0,
    max_length: int | None = None,
    min_length: int = 1,
    stop_after: int | None = 10,
    bounded_tail: bool = False,
) -> Windows:
    """Return the best window of every row, as `circular_scan` would, quickly for thousands of rows.

    A row stops drawing once `stop_after` = h replications reached its own maximum, at draw l, and then has
    p = h / l (Besag & Clifford 1991: a valid p-value, coarser where it is large). Other rows have (1 + #) /
    (R + 1). With stop_after=None every row draws R times and has exactly the p of `circular_scan`. A row's
    random numbers come from the seed and its own counts: they depend neither on other rows, nor on its
    place, nor on the number of threads.

    Parameters
    ----------
    counts : shape (k, b)
    exposure : shape (b,) for all rows, or (k, b)
    replications, seed, max_length, min_length : as `circular_scan`
    stop_after : h, at least 1, or None
    bounded_tail : where no replication reached a row's maximum, p is 1 / (R + 1), however clear the row. With
        this it is less when a bound that needs no drawing says so: the chances of all windows to be as
        extreme, added up (Bonferroni), each by a geometric bound on its binomial tail. It is never too small.

    Raises
    ------
    InputError
        As `circular_scan`. A row without matters is no error here but says so, see `Windows`.
    """
    table, shares, outside = _checked(counts, exposure)
    k, bins = table.shape
    longest = checked_count("max_length", bins // 2 if max_length is None else max_length)
    shortest = checked_count("min_length", min_length)
    if not shortest <= longest < bins:
        raise InputError(
            "min_length, max_length", (shortest, longest), f"1 <= min_length <= max_length < {bins}"
        )
    replications = checked_count("replications", replications)
    stop = replications + 1 if stop_after is None else checked_count("stop_after", stop_after)
    key = checked_seed(seed)
    most = int(min(table.sum(axis=1).max(initial=0), _TABLE))
    logs = xlogy(np.arange(most + 1.0), np.arange(most + 1.0))
    start, length, draws = (np.zeros(k, dtype=np.int64) for _ in range(3))
    ratio, p = np.full(k, np.nan), np.ones(k)

    def work(first: int, last: int) -> None:
        _scan_rows(
            first, last, table, shares, outside, shortest, longest, replications, stop, bounded_tail, key,
            logs, start, length, ratio, p, draws,
        )  # fmt: skip

    in_blocks(work, k, _ROWS)
    return Windows(start, length, ratio, p, draws)


def walter_elwood(counts: ArrayLike, exposure: ArrayLike) -> tuple[float, float]:
    """Return the Walter-Elwood statistic of a yearly wave and its p-value.

    The square roots of the counts stand as masses on a circle, each in the middle of its bin; the statistic
    is the squared distance of their centre from where the exposures would put it, in standard deviations:
    chi-squared with 2 degrees of freedom without a season.

    Parameters
    ----------
    counts : matters a bin, whole numbers, shape (b,), b at least 3, bins of equal width
    exposure : population at risk a bin, any unit, shape (b,)

    Raises
    ------
    NotEnoughDataError
        When there are no matters or fewer than 3 bins.
    InputError
        As `circular_scan`.

    Source: Walter & Elwood 1975, British Journal of Preventive and Social Medicine 29(1).
    """
    row, population = np.asarray(counts), np.asarray(exposure, dtype=np.float64)
    if row.ndim != 1 or population.shape != row.shape:
        raise InputError("counts, exposure", (row.shape, population.shape), "one shape (b,)")
    checked, _, _ = _checked(row[None, :], population)
    bins, total = len(row), int(checked.sum())
    if total == 0 or bins < 3:
        raise NotEnoughDataError("counts", f"{total} matters in {bins} bins", "matters in at least 3 bins")
    middle = 2 * np.pi * (np.arange(bins) + 0.5) / bins
    ring = np.stack([np.cos(middle), np.sin(middle)])
    mass, expected = np.sqrt(checked[0]), np.sqrt(population)
    shift = ring @ mass / mass.sum() - ring @ expected / expected.sum()
    variance = population.sum() * (ring**2).sum(axis=1) / (4 * total * expected.sum() ** 2)
    statistic = float((shift**2 / variance).sum())
    return statistic, float(chi2.sf(statistic, 2))


def warm_up() -> None:
    """Load the compiled kernel from the cache on disk, or compile it, so that the next call is quick."""
    circular_scan([2, 1, 0, 0], [1.0, 1.0, 1.0, 1.0], replications=1)


def _checked(counts: ArrayLike, exposure: ArrayLike) -> tuple[IntArray, FloatArray, IntArray]:
    """Counts (k, b); shares of exposure (1 or k, b), each row of sum 1; and which of them each row has."""
    given = np.asarray(counts)
    if given.ndim != 2 or given.shape[1] < 2 or not np.issubdtype(given.dtype, np.number):
        raise InputError(
            "counts", f"{given.dtype} of shape {given.shape}", "numbers of shape (k, b), b at least 2"
        )
    if not (np.isfinite(given).all() and (given >= 0).all() and (given == np.floor(given)).all()):
        raise InputError("counts", "negative, broken or missing numbers", "whole numbers, not negative")
    # A copy, since a read-only array would be a new type to the compiler, and compiled anew.
    table = np.array(given, dtype=np.int64, order="C")
    weights = np.asarray(exposure, dtype=np.float64)
    if weights.shape not in (table.shape[1:], table.shape):
        raise InputError("exposure", f"shape {weights.shape}", f"shape {table.shape[1:]} or {table.shape}")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise InputError("exposure", "negative or not finite", "finite numbers, not negative")
    weights = weights.reshape(-1, table.shape[1])
    sums = weights.sum(axis=1, keepdims=True)
    if not (sums > 0).all():
        raise InputError("exposure", "a sum of zero", "some exposure in every row")
    if ((table > 0) & (weights == 0)).any():
        raise InputError("exposure", "zero where there are matters", "exposure in every bin with matters")
    which = np.arange(len(table)) if len(weights) == len(table) else np.zeros(len(table), dtype=np.int64)
    return table, np.ascontiguousarray(weights / sums), which


@njit(cache=True, nogil=True)
def _scan_rows(
    first: Any,
    last: Any,
    counts: Any,
    shares: Any,
    share_of: Any,
    shortest: Any,
    longest: Any,
    replications: Any,
    stop: Any,
    bounded_tail: Any,
    key: Any,
    logs: Any,
    start: Any,
    length: Any,
    ratio: Any,
    p: Any,
    draws: Any,
) -> None:
    bins = counts.shape[1]
    inside = np.empty((longest + 1, bins))
    needed = np.empty((longest + 1, bins), dtype=np.int64)
    running = np.zeros(2 * bins + 1, dtype=np.int64)
    drawn = np.empty(bins, dtype=np.int64)
    keep, other, rest = np.empty(bins), np.empty(bins, dtype=np.int64), np.zeros(bins + 1)
    for row in range(first, last):
        total = counts[row].sum()
        share = shares[share_of[row]]
        start[row], length[row] = -1, 0
        if total == 0:
            continue
        _window_shares(share, shortest, longest, inside)
        _accumulate(counts[row], running)
        best = _best_window(running, total, inside, shortest, longest, logs, row, start, length)
        draws[row] = replications
        if length[row] == 0:
            ratio[row] = 1.0  # nowhere above its share: every replication is at least as extreme
            continue
        c = running[start[row] + length[row]] - running[start[row]]
        e = inside[length[row], start[row]]
        ratio[row] = np.inf if c == total else (c / e) / ((total - c) / (1.0 - e))
        _needed_counts(total, inside, shortest, longest, logs, best, needed)
        alias_table(share, keep, other)
        for b in range(bins - 1, -1, -1):  # summed from the end, so the last bin takes exactly what is left
            rest[b] = rest[b + 1] + share[b]
        row_key = key
        for b in range(bins):
            row_key = extend_key(row_key, counts[row, b])
        reached, done = 0, 0
        while done < replications and reached < stop:
            multinomial(extend_key(row_key, done), total, share, rest, keep, other, drawn)
            _accumulate(drawn, running)
            done += 1
            if _reaches(running, needed, shortest, longest):
                reached += 1
        draws[row] = done
        # Stopped early, also at the very last draw: h / l. Otherwise (1 + #) / (R + 1).
        p[row] = reached / done if reached == stop else (1.0 + reached) / (replications + 1.0)
        if bounded_tail and reached == 0:
            p[row] = min(p[row], _tail_bound(total, inside, needed, shortest, longest))


@njit(cache=True, nogil=True)
def _accumulate(counts: Any, running: Any) -> None:
    """Running sums over the year twice, so that a window past its end needs no wrapping."""
    bins = len(counts)
    for b in range(2 * bins):
        running[b + 1] = running[b] + counts[b % bins]


@njit(cache=True, nogil=True)
def _window_shares(share: Any, shortest: Any, longest: Any, inside: Any) -> None:
    bins = len(share)
    for first in range(bins):
        total = 0.0
        for size in range(1, longest + 1):
            total += share[(first + size - 1) % bins]
            inside[size, first] = total


@njit(cache=True, nogil=True)
def _n_log_n(n: Any, logs: Any) -> Any:
    if n < len(logs):
        return logs[n]
    return n * np.log(np.float64(n))


@njit(cache=True, nogil=True)
def _likelihood_ratio(c: Any, total: Any, share: Any, logs: Any) -> Any:
    """Logarithm, in the form whose only costly parts do not depend on c."""
    outside = total - c
    value = _n_log_n(c, logs) + _n_log_n(outside, logs) - _n_log_n(total, logs) - c * np.log(share)
    return value - outside * np.log(1.0 - share) if outside > 0 else value


@njit(cache=True, nogil=True)
def _tolerance(total: Any, logs: Any) -> Any:
    """What rounding may do to a ratio that is a difference of terms of size n log n."""
    return 1e-12 * (1.0 + _n_log_n(total, logs))


@njit(cache=True, nogil=True)
def _tail_bound(total: Any, inside: Any, needed: Any, shortest: Any, longest: Any) -> Any:
    """No less than the chance that any window reaches its needed count without a season.

    Of a binomial, P(X >= c) <= P(X = c) / (1 - r) with r = P(X = c + 1) / P(X = c), for c above the mean.
    """
    bound = 0.0
    for size in range(shortest, longest + 1):
        for first in range(inside.shape[1]):
            c, share = needed[size, first], inside[size, first]
            if c > total or not _scannable(share):
                continue
            ways = math.lgamma(total + 1.0) - math.lgamma(c + 1.0) - math.lgamma(total - c + 1.0)
            at_c = np.exp(ways + c * np.log(share) + (total - c) * np.log(1.0 - share))
            shrinks = (total - c) * share / ((c + 1.0) * (1.0 - share))
            bound += at_c / (1.0 - shrinks) if shrinks < 1.0 else 1.0
    return max(bound, 1e-300)  # a chance may be too small for a number, but it is not nothing


@njit(cache=True, nogil=True)
def _scannable(share: Any) -> Any:
    """A window without exposure, or with all of it, has nothing to be compared with."""
    return 1e-12 < share < 1.0 - 1e-12


@njit(cache=True, nogil=True)
def _best_window(
    running: Any,
    total: Any,
    inside: Any,
    shortest: Any,
    longest: Any,
    logs: Any,
    row: Any,
    start: Any,
    length: Any,
) -> Any:
    best = _tolerance(total, logs)
    for size in range(shortest, longest + 1):
        for first in range(inside.shape[1]):
            c = running[first + size] - running[first]
            share = inside[size, first]
            if not _scannable(share) or c <= share * total:
                continue
            value = _likelihood_ratio(c, total, share, logs)
            if value > best + _tolerance(total, logs):
                best = value
                start[row], length[row] = first, size
    return best


@njit(cache=True, nogil=True)
def _needed_counts(
    total: Any, inside: Any, shortest: Any, longest: Any, logs: Any, best: Any, needed: Any
) -> None:
    """The least count at which each window reaches `best`.

    The ratio grows with c above the expectation, so a replication is compared by whole numbers alone, which
    spares 648 pairs of logarithms for each of it.
    """
    goal = best - _tolerance(total, logs)
    for size in range(shortest, longest + 1):
        for first in range(inside.shape[1]):
            share = inside[size, first]
            needed[size, first] = total + 1
            if not _scannable(share) or -total * np.log(share) < goal:
                continue
            log_in, log_out = np.log(share), np.log(1.0 - share)
            low, high = np.int64(np.floor(share * total)), total  # low fails, high reaches
            while high - low > 1:
                c = (low + high) // 2
                value = _n_log_n(c, logs) + _n_log_n(total - c, logs) - _n_log_n(total, logs)
                if value - c * log_in - (total - c) * log_out >= goal:
                    high = c
                else:
                    low = c
            needed[size, first] = high


@njit(cache=True, nogil=True)
def _reaches(running: Any, needed: Any, shortest: Any, longest: Any) -> Any:
    bins = needed.shape[1]
    for size in range(shortest, longest + 1):
        hits = 0
        for first in range(bins):
            hits += running[first + size] - running[first] >= needed[size, first]
        if hits > 0:
            return True
    return False

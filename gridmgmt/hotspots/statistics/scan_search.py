"""The search through zones and time windows: in what was observed, and in worlds without clusters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from gridmgmt.hotspots.statistics.kernels import FloatArray, IntArray, alias_table, in_blocks
from gridmgmt.hotspots.statistics.scan_kernels import (
    GRID,
    WORLDS,
    draw_cases,
    fill_thresholds,
    permute_times,
    search_observed,
    search_worlds,
)
from gridmgmt.hotspots.statistics.scan_zones import Zones

Worlds = NDArray[np.int32]
# Best ratios at which a new table of thresholds is taken; dense where random worlds end up.
_LEVELS = np.array([0, 1, 2, 3, 4, *np.arange(4.5, 12.1, 0.5), 13, 14, 16, 20], dtype=np.float64)
_ROWS = 64
# Worlds of all threads together; beyond, one block of them at a time.
_MOST_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class Null:
    """What would be expected without clusters, and how to draw it. Bins are those that some window touches.

    observed : cases summed over the bins before each, shape (bins + 1, n)
    size : what zones are made of, summed likewise; or shape (1, n) when it is the same for every window
    windows : first bin and the one after the last, shape (w, 2)
    factor : expected cases for a size of 1, shape (w,)
    total, controls : cases and controls in all (controls 0 unless Bernoulli)
    least : the fewest cases of a cluster
    draw : draw(first, last, worlds) fills worlds[:, :, r] as `observed` would be in replication first + r
    """

    observed: IntArray
    size: FloatArray
    windows: IntArray
    factor: FloatArray
    total: int
    controls: float
    least: int
    draw: Callable[[int, int, Worlds], None]

    def size_in(self, window: int) -> FloatArray:
        """What each site adds to a zone in a window, shape (n,)."""
        if len(self.size) == 1:
            return self.size[0]
        start, stop = self.windows[window]
        return np.ascontiguousarray(self.size[stop] - self.size[start])

    @property
    def largest_expected(self) -> float:
        """An upper bound of what any zone expects."""
        return float(max(self.size_in(w).sum() * self.factor[w] for w in range(len(self.windows))))


@dataclass(frozen=True, eq=False)
class Best:
    """The largest statistic about every centre, and its row of zones, the place in members after its last
    member, and its window. Arrays of shape (n,)."""

    statistic: FloatArray
    row: IntArray
    end: IntArray
    window: IntArray


def search(null: Null, zones: Zones) -> Best:
    """Return the best zone and window about every centre, among all its shapes; of equal ones the first."""
    rows = len(zones.centre)
    best = np.zeros(rows), np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
    cases = [np.ascontiguousarray(null.observed[b] - null.observed[a]) for a, b in null.windows]

    def work(first: int, last: int) -> None:
        for w, counts in enumerate(cases):
            search_observed(
                first, last, counts, null.size_in(w), null.factor[w], zones.members, zones.indptr, zones.form,
                zones.penalties, float(null.total), null.controls, null.least, w, *best,
            )  # fmt: skip

    in_blocks(work, rows, _ROWS)
    forms = best[0].reshape(-1, null.observed.shape[1])
    row = forms.argmax(axis=0) * forms.shape[1] + np.arange(forms.shape[1])
    return Best(best[0][row], row, best[1][row], best[2][row])


def largest_statistics(null: Null, zones: Zones, replications: int, begin: int = 0) -> FloatArray:
    """Return the largest statistic of every replication from number `begin`, shape (replications,).

    A replication is drawn by its number, so parts together are what one call gives.
    """
    result = np.zeros(replications)
    thresholds = _thresholds(null, zones)
    sizes = [null.size_in(w) for w in range(len(null.windows))] if len(null.size) > 1 else None
    bins, n = null.observed.shape

    def work(first: int, last: int) -> None:
        worlds = np.zeros((bins, n, WORLDS), dtype=np.int32)
        null.draw(begin + first, begin + last, worlds)
        # Columns beyond the last replication hold no cases; they must not hold back the others.
        best = np.where(np.arange(WORLDS) < last - first, 0.0, np.inf)
        for w, (opens, ends) in enumerate(null.windows):
            search_worlds(
                worlds[ends] - worlds[opens], sizes[w] if sizes else null.size[0], null.factor[w],
                zones.members, zones.indptr, zones.form, zones.penalties, _LEVELS, thresholds,
                float(null.total), null.controls, null.least, best,
            )  # fmt: skip
        result[first:last] = best[: last - first]

    allowed: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    if 4 * bins * n * WORLDS * allowed <= _MOST_BYTES:
        in_blocks(work, replications, WORLDS)
    else:
        for first in range(0, replications, WORLDS):
            work(first, min(first + WORLDS, replications))
    return result


def permutation_draw(cases: IntArray, in_bin: IntArray, key: np.uint64) -> Callable[[int, int, Worlds], None]:
    """Draw worlds that keep how many cases each site and each bin has; cases has shape (n,)."""
    places = np.repeat(np.arange(len(cases), dtype=np.int32), cases)

    def draw(first: int, last: int, worlds: Worlds) -> None:
        drawn = np.zeros((len(in_bin), len(cases)), dtype=np.int32)
        permute_times(first, last, key, places, in_bin, drawn, worlds)

    return draw


def proportional_draw(
    cases: int, people: FloatArray, elsewhere: float, key: np.uint64, again: bool
) -> Callable[[int, int, Worlds], None]:
    """Draw worlds in which the cases fall on people (bins, n), or elsewhere, at random.

    again : whether the same person may be a case twice (Poisson) or not (Bernoulli)
    """
    cells = np.append(people.ravel(), elsewhere) if elsewhere > 0 else people.ravel().astype(np.float64)
    share = cells / cells.sum()
    rest = np.cumsum(share[::-1])[::-1].copy()
    keep, other = np.empty(len(share)), np.empty(len(share), dtype=np.int64)
    alias_table(share, keep, other)
    only_once = np.empty(0) if again else cells

    def draw(first: int, last: int, worlds: Worlds) -> None:
        drawn = np.zeros(people.shape, dtype=np.int32)
        draw_cases(first, last, key, cases, share, rest, keep, other, only_once, drawn, worlds)

    return draw


def _thresholds(null: Null, zones: Zones) -> Any:
    steps = int(np.sqrt(null.largest_expected) * GRID) + 2
    thresholds = np.zeros((len(zones.shapes), len(_LEVELS), steps), dtype=np.int32)

    def work(first: int, last: int) -> None:
        fill_thresholds(
            first, last, _LEVELS, zones.penalties, float(null.total), null.controls, null.least, thresholds
        )

    in_blocks(work, len(_LEVELS), 4)
    return thresholds

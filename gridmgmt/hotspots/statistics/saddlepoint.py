"""Tail of a permuted weighted sum, finer than permutations can count.

Lugannani & Rice 1980, Advances in Applied Probability 12(2), with the lattice correction of Daniels 1987,
International Statistical Review 55(1). Limits: docs/methods/getis-ord.md.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gridmgmt.hotspots.statistics.kernels import FloatArray, in_blocks
from gridmgmt.hotspots.statistics.weights import Weights

_PAIRS = 32
# Steps between values smaller than this share of a standard deviation do not matter.
_FINE = 1e-3


def upper_tail(
    x: FloatArray,
    neighbours: Weights,
    score: FloatArray,
    cells: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> FloatArray:
    """P(permuted sum >= observed) of the given cells and columns, whose scores are positive."""
    by_column = np.ascontiguousarray(x.T)
    steps = np.array([_lattice_step(column) for column in by_column])
    scores, found = score[cells, columns], np.empty(len(cells))

    def work(first: int, last: int) -> None:
        _saddle(
            first, last, by_column, neighbours.indptr, neighbours.data, cells, columns, scores, steps, found
        )

    in_blocks(work, len(cells), _PAIRS)
    return found


def _lattice_step(column: FloatArray) -> float:
    """The step of values that are whole multiples of one step (counts), 0 for other values (rates)."""
    apart = np.diff(np.unique(column))
    apart = apart[apart > 1e-10]  # values equal up to rounding are one
    if apart.size == 0 or apart.min() < _FINE:
        return 0.0  # so fine that it does not matter
    steps = apart / apart.min()
    return float(apart.min()) if np.all(np.abs(steps - np.round(steps)) < 1e-6) else 0.0


@njit(cache=True, nogil=True)
def _tilted(s: Any, x: Any, cell: Any, weights: Any) -> Any:
    """Cumulant generating function at s, and two derivatives, of weighted draws from the other cells."""
    others = len(x) - 1
    # Without the cell itself: were it the highest by far, the shares of all others would be 0.
    top = -np.inf
    for j in range(len(x)):
        if j != cell:
            top = max(top, x[j])
    value, slope, bend = 0.0, 0.0, 0.0
    before, logarithm, mean, variance = -1.0, 0.0, 0.0, 0.0
    for w in weights:
        if w != before:  # equal weights, the usual case, cost one pass together
            before = w
            mass, first, second = 0.0, 0.0, 0.0
            for j in range(len(x)):
                if j != cell:
                    share = np.exp(s * w * (x[j] - top))
                    mass += share
                    first += share * x[j]
                    second += share * x[j] * x[j]
            mean = first / mass
            variance = second / mass - mean * mean
            logarithm = np.log(mass / others) + s * w * top
        value += logarithm
        slope += w * mean
        bend += w * w * variance
    return value, slope, bend


@njit(cache=True, nogil=True)
def _saddle(
    first: Any,
    last: Any,
    x: Any,
    indptr: Any,
    data: Any,
    cells: Any,
    columns: Any,
    scores: Any,
    steps: Any,
    found: Any,
) -> None:
    for pair in range(first, last):
        cell, values = cells[pair], x[columns[pair]]
        weights = np.sort(data[indptr[cell] : indptr[cell + 1]])
        _, centre, variance = _tilted(0.0, values, cell, weights)
        # Draws with replacement spread a little more than those without: compare at the same score.
        deviation = np.sqrt(variance)
        step = steps[columns[pair]] * weights[0] if weights[0] == weights[-1] else 0.0
        target = centre + scores[pair] * deviation - step / 2
        low, high, s = 0.0, np.inf, scores[pair] / deviation
        value, slope, bend = 0.0, 0.0, 0.0
        for _ in range(100):
            value, slope, bend = _tilted(s, values, cell, weights)
            if abs(slope - target) <= 1e-9 * deviation or bend <= 1e-12 * variance:
                break
            if slope < target:
                low = s
            else:
                high = s
            s += (target - slope) / bend
            if not low < s < high or s > 4.0 * max(low, 1.0 / deviation):
                s = 0.5 * (low + high) if high < np.inf else 2.0 * low
        r = np.sqrt(max(2.0 * (s * target - value), 1e-12))
        v = s if step == 0.0 else 2.0 * np.sinh(min(s * step / 2, 300.0)) / step
        v *= np.sqrt(max(bend, 1e-300))
        tail = 0.5 * math.erfc(r / math.sqrt(2.0))
        density = np.exp(-r * r / 2) / np.sqrt(2 * np.pi)
        found[pair] = min(max(tail + density * (1.0 / v - 1.0 / r), 0.0), 1.0)

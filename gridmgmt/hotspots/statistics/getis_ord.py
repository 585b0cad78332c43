"""Getis-Ord Gi and Gi*: where high values stand together, and where low ones do."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, ndtr
from scipy.stats import beta

from gridmgmt.errors import FlatFieldError, InputError, NotEnoughDataError
from gridmgmt.hotspots.statistics.kernels import (
    GOLDEN,
    FloatArray,
    below,
    checked_count,
    checked_seed,
    extend_key,
    in_blocks,
    mix,
)
from gridmgmt.hotspots.statistics.saddlepoint import upper_tail
from gridmgmt.hotspots.statistics.weights import Weights

Alternative = Literal["two-sided", "greater", "less"]

# Columns permuted together: 1001 cells x 32 columns of float64 stay in a core's second-level cache.
_COLUMNS = 32
_CELLS = 32
# From this many draws on, the permutations tell a tail better than a fitted curve (Knijnenburg et al. 2009).
_ENOUGH_DRAWS = 10
# Values are standardised first, so sums that differ by less than this are the same sum in another order.
_SAME = 1e-10


@dataclass(frozen=True, eq=False)
class GiStarTest:
    """Gi* of every cell with its tests. Arrays have the shape of the values, (n,) or (n, m).

    Attributes
    ----------
    z : analytic z-score, as `gi_star` gives it
    z_sim : observed sum less the mean of the permuted ones, over their standard deviation; NaN without one
    p : from the permutations; at the least 1 / (R + 1) one-sided and 2 / (R + 1) two-sided
    p_analytic : from z and the normal distribution; wrong for skewed values, shown for comparison
    p_tail : `p` where at least 10 draws are as extreme; beyond that an approximation, for use with `fdr`
    flat : bool, shape () or (m,); columns without variation, whose z is NaN and whose p are 1
    islands : cells without neighbours; their p and p_tail are 1, their z rests on themselves alone
    permutations, seed, alternative : as asked
    """

    z: FloatArray
    z_sim: FloatArray
    p: FloatArray
    p_analytic: FloatArray
    p_tail: FloatArray
    flat: NDArray[np.bool_]
    islands: NDArray[np.int64]
    permutations: int
    seed: int
    alternative: Alternative

    @property
    def convention(self) -> str:
        """One sentence that says how p was made, to be printed with every result."""
        sides = {
            "two-sided": "p = min(1, 2 min(p_greater, p_less))",
            "greater": "p = p_greater",
            "less": "p = p_less",
        }[self.alternative]
        return (
            f"Gi*, conditional permutation with the cell itself fixed, R = {self.permutations}, "
            f"seed {self.seed}, {self.alternative}: {sides}, "
            "p_greater = (1 + #(permuted >= observed)) / (R + 1), p_less likewise."
        )


def gi(values: ArrayLike, weights: Weights) -> FloatArray:
    """Return the Getis-Ord Gi z-score of every cell: its neighbours without itself.

    The weighted sum of the neighbours, less its expectation when the other n - 1 values are exchangeable,
    over its standard deviation. Self-weights are left out; scaling a row of weights changes nothing.

    Parameters
    ----------
    values : finite numbers, shape (n,), or (n, m) for m columns at once
    weights : Weights, n cells

    Returns
    -------
    ndarray, the shape of values
        Standard deviations from the mean. NaN for an island, for a cell whose other values do not vary or
        whose neighbours are all others equally, and (only when m columns are given) in a flat column.

    Raises
    ------
    FlatFieldError
        When the values do not vary: the one column of shape (n,), or all m columns.
    NotEnoughDataError
        When there are fewer than 4 cells.
    InputError
        When values are NaN or infinite, or their number is not that of the weights.

    >>> gi([1.0, 2.0, 9.0, 8.0], Weights.knn([[0, 0], [1, 0], [5, 0], [6, 0]], 1)).round(2)
    array([-1.4, -1.4,  1.4,  1.4])

    Source: Ord & Getis 1995, Geographical Analysis 27(4), eq. 14.
    """
    field = _Field.of(values, weights)
    return field.shaped(field.standard_score(weights.without_self()))


def gi_star(values: ArrayLike, weights: Weights) -> FloatArray:
    """Return the Getis-Ord Gi* z-score of every cell: its neighbours and itself.

    The weighted sum of a cell and its neighbours, less its expectation when all n values are exchangeable,
    over its standard deviation. A missing self-weight is added by `Weights.with_self`; scaling a row of
    weights changes nothing.

    Parameters
    ----------
    values : finite numbers, shape (n,), or (n, m) for m columns at once
    weights : Weights, n cells

    Returns
    -------
    ndarray, the shape of values
        Standard deviations from the mean; above +1.96 hot, below -1.96 cold, before correction. An island
        has the score of its own value. NaN where the neighbours are all cells equally, and in a flat column
        of m.

    Raises
    ------
    FlatFieldError, NotEnoughDataError, InputError
        As `gi`.

    >>> gi_star([1.0, 2.0, 9.0, 8.0], Weights.knn([[0, 0], [1, 0], [5, 0], [6, 0]], 1)).round(2)
    array([-1.71, -1.71,  1.71,  1.71])

    Source: Ord & Getis 1995, Geographical Analysis 27(4), eq. 15.
    """
    field = _Field.of(values, weights)
    return field.shaped(field.standard_score_star(weights.with_self()))


def gi_star_test(
    values: ArrayLike,
    weights: Weights,
    permutations: int = 999,
    seed: int = 0,
    alternative: Alternative = "two-sided",
) -> GiStarTest:
    """Return Gi* of every cell with p-values by conditional permutation.

    For each cell the cell itself stays and its neighbours' places are filled R times with values drawn
    without replacement from the other n - 1 cells. With T the weighted sum,

        p_greater = (1 + #(T_permuted >= T_observed)) / (R + 1)
        p_less = (1 + #(T_permuted <= T_observed)) / (R + 1)
        p = min(1, 2 min(p_greater, p_less))    when two-sided (the default)

    Sums equal up to rounding are ties and count on both sides. The cell's own value is on both sides of the
    comparison, so the p of Gi and of Gi* are the same number; a lone extreme cell among ordinary neighbours
    is not hot. A cell draws the same permutations for every column and on any number of threads.

    `p_tail` is built as `p`, but a side with fewer than 10 draws as extreme is computed by the saddlepoint
    method from the other cells' values, held inside the 99.9 % interval that the draws leave for it, and
    never below one over the number of ways to choose the neighbours. An approximation, made for `fdr` over
    more tests than R can resolve.

    Parameters
    ----------
    values : finite numbers, shape (n,), or (n, m) for m columns at once
    weights : Weights, n cells
    permutations : R, at least 1
    seed : in [0, 2**64); the same seed gives the same bytes
    alternative : "two-sided", "greater" (hot only) or "less" (cold only); choose before looking

    Raises
    ------
    FlatFieldError, NotEnoughDataError, InputError
        As `gi`.

    Source: Anselin 1995, Geographical Analysis 27(2) (conditional permutation); Phipson & Smyth 2010, SAGMB
    9(1) (the 1 in p); Lugannani & Rice 1980, Advances in Applied Probability 12(2) (tail);
    docs/methods/getis-ord.md.
    """
    field = _Field.of(values, weights)
    permutations = checked_count("permutations", permutations)
    key = checked_seed(seed)
    if alternative not in ("two-sided", "greater", "less"):
        raise InputError("alternative", alternative, '"two-sided", "greater" or "less"')
    neighbours = weights.without_self()
    z = field.standard_score_star(weights.with_self())
    mean, deviation = field.permutation_moments(neighbours)
    surplus = neighbours.sparse @ field.x - mean
    draws = _draw(field.x, neighbours, mean, surplus, permutations, key)
    z_sim = _ratio(surplus - draws.mean, draws.deviation)
    exact = (1 + draws.greater) / (permutations + 1), (1 + draws.less) / (permutations + 1)
    score = _ratio(surplus, deviation)
    tails = (
        _tail(exact[0], draws.greater, permutations, field.x, neighbours, score),
        _tail(exact[1], draws.less, permutations, -field.x, neighbours, -score),
    )
    normal = ndtr(-z), ndtr(z)
    return GiStarTest(
        z=field.shaped(z),
        z_sim=field.shaped(z_sim),
        p=field.shaped(_p_value(*exact, alternative)),
        p_analytic=field.shaped(np.where(np.isnan(z), 1.0, _p_value(*normal, alternative))),
        p_tail=field.shaped(_p_value(*tails, alternative)),
        flat=field.flat if field.many else field.flat.reshape(()),
        islands=weights.islands,
        permutations=permutations,
        seed=int(seed),
        alternative=alternative,
    )


def warm_up() -> None:
    """Load the compiled kernel from the cache on disk, or compile it, so that the next call is quick."""
    gi_star_test([0.0, 1.0, 0.0, 2.0], Weights.knn([[0, 0], [0, 1], [1, 0], [1, 1]], 1), permutations=1)


@dataclass(frozen=True, eq=False)
class _Field:
    """Values at the door: checked, two-dimensional, each column of mean 0 and variance 1 (0 when flat)."""

    x: FloatArray
    flat: NDArray[np.bool_]
    many: bool

    @classmethod
    def of(cls, values: ArrayLike, weights: Weights) -> "_Field":
        given = np.asarray(values, dtype=np.float64)
        if given.ndim not in (1, 2) or given.shape[0] != weights.n or given.size == 0:
            raise InputError("values", f"shape {given.shape}", f"shape ({weights.n},) or ({weights.n}, m)")
        if not np.isfinite(given).all():
            raise InputError(
                "values", f"{int((~np.isfinite(given)).sum())} NaN or infinite", "finite numbers"
            )
        if weights.n < 4:
            raise NotEnoughDataError("values", f"{weights.n} cells", "at least 4 cells")
        columns = given.reshape(weights.n, -1)
        largest = np.abs(columns).max(axis=0)
        flat = np.ptp(columns, axis=0) <= 1e-12 * largest
        if flat.all():
            raise FlatFieldError("values", "no variation", "at least two different values")
        # Dividing by the largest first keeps the squares of 1e200 finite.
        scaled = columns / np.where(largest > 0, largest, 1.0)
        centred = scaled - scaled.mean(axis=0)
        x = np.where(flat, 0.0, centred / np.where(flat, 1.0, scaled.std(axis=0)))
        return cls(np.ascontiguousarray(x), flat, given.ndim == 2)

    @property
    def n(self) -> int:
        return self.x.shape[0]

    def shaped(self, result: FloatArray) -> FloatArray:
        return result if self.many else result[:, 0]

    def standard_score(self, neighbours: Weights) -> FloatArray:
        mean, deviation = self.permutation_moments(neighbours)
        return _ratio(neighbours.sparse @ self.x - mean, deviation)

    def standard_score_star(self, weights: Weights) -> FloatArray:
        n = self.n
        total, squares = _power_sums(weights)
        spread = _not_negative((n * squares - total**2) / (n - 1), n * squares)
        mean, variance = self.x.mean(axis=0), self.x.var(axis=0)
        return _ratio(weights.sparse @ self.x - total * mean, np.sqrt(spread * variance))

    def permutation_moments(self, neighbours: Weights) -> tuple[FloatArray, FloatArray]:
        """Exact mean and standard deviation of the permuted sums of each cell, shapes (n, m).

        With N = n - 1 others of mean and squared deviations M1, M2, and weights (zeros included) of squared
        deviations A2, the variance is A2 M2 / (N - 1).
        """
        x, others = self.x, self.n - 1
        total, squares = _power_sums(neighbours)
        a2 = _not_negative(squares - total**2 / others, squares)
        mean = (x.sum(axis=0) - x) / others
        m2 = _not_negative((x**2).sum(axis=0) - x**2 - others * mean**2, self.n)
        return total * mean, np.sqrt(a2 * m2 / (others - 1))


@dataclass(frozen=True, eq=False)
class _Draws:
    greater: FloatArray
    less: FloatArray
    mean: FloatArray
    deviation: FloatArray


def _power_sums(weights: Weights) -> tuple[FloatArray, FloatArray]:
    """Sums of w and w**2 of each row, as columns of shape (n, 1)."""
    rows = np.repeat(np.arange(weights.n), np.diff(weights.indptr))
    total = np.bincount(rows, weights.data, weights.n).astype(np.float64)
    squares = np.bincount(rows, weights.data**2, weights.n).astype(np.float64)
    return total[:, None], squares[:, None]


def _not_negative(difference: FloatArray, scale: FloatArray | float) -> FloatArray:
    """The difference of two sums of size `scale`, with what is only rounding made zero."""
    return np.where(difference > 1e-12 * scale, difference, 0.0)


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """above / below, NaN where below is zero."""
    result: FloatArray = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    return np.divide(above, below, out=result, where=below > 0)


def _p_value(greater: FloatArray, less: FloatArray, alternative: Alternative) -> FloatArray:
    if alternative == "greater":
        return greater
    if alternative == "less":
        return less
    return np.minimum(1.0, 2.0 * np.minimum(greater, less))


def _tail(
    exact: FloatArray,
    draws: FloatArray,
    permutations: int,
    x: FloatArray,
    neighbours: Weights,
    score: FloatArray,
) -> FloatArray:
    """One side of p_tail: the permutations where they can tell, the saddlepoint beyond."""
    # Nearer than half a deviation to the mean there is no tail; few draws there mean that R is tiny.
    chosen = np.nonzero((draws < _ENOUGH_DRAWS) & (score > 0.5))
    # numpy hands out strided views, which the kernel would be compiled for once more.
    cells, columns = (np.ascontiguousarray(number) for number in chosen)
    if cells.size == 0:
        return exact
    found = upper_tail(x, neighbours, score, cells, columns)
    lowest, highest = _clopper_pearson(permutations)
    which = draws[cells, columns].astype(np.int64)
    least = np.maximum(lowest[which], _smallest_p(len(x), neighbours.cardinalities)[cells])
    result = exact.copy()
    result[cells, columns] = np.clip(found, least, highest[which])
    return result


def _clopper_pearson(permutations: int) -> tuple[FloatArray, FloatArray]:
    """The 99.9 % interval of a probability of which 0, 1, ... 9 of R draws were hits."""
    hits = np.arange(_ENOUGH_DRAWS)
    misses = np.maximum(permutations - hits, 0)
    lowest = np.where(hits > 0, beta.ppf(0.0005, np.maximum(hits, 1), misses + 1), 0.0)
    highest = np.where(misses > 0, beta.ppf(0.9995, hits + 1, np.maximum(misses, 1)), 1.0)
    return lowest, highest


def _smallest_p(n: int, cardinalities: NDArray[np.int64]) -> FloatArray:
    """One over the number of ways to choose the neighbours of each cell among the n - 1 others."""
    k = cardinalities.astype(np.float64)
    smallest: FloatArray = np.exp(gammaln(k + 1) + gammaln(n - k) - gammaln(n))
    return np.maximum(smallest, np.finfo(np.float64).tiny)


def _draw(
    x: FloatArray,
    neighbours: Weights,
    mean: FloatArray,
    surplus: FloatArray,
    permutations: int,
    key: np.uint64,
) -> _Draws:
    """Permute every cell R times; columns in blocks, with the same draws for every block."""
    n, m = x.shape
    counts = [np.zeros((n, m)) for _ in range(4)]
    slack = _SAME * np.maximum(1.0, _power_sums(neighbours)[0])
    for left in range(0, m, _COLUMNS):
        part = slice(left, min(left + _COLUMNS, m))
        block, centre = np.ascontiguousarray(x[:, part]), np.ascontiguousarray(mean[:, part])
        high, low = surplus[:, part] - slack, surplus[:, part] + slack
        sums = [np.zeros(block.shape) for _ in counts]
        row = neighbours.indptr, neighbours.data

        def work(
            first: int, last: int, args: Any = (block, *row, centre, high, low), sums: Any = sums
        ) -> None:
            _permute(first, last, *args, key, permutations, *sums)  # type: ignore[call-arg]

        in_blocks(work, n, _CELLS)
        for whole, piece in zip(counts, sums, strict=True):
            whole[:, part] = piece
    greater, less, first, second = counts
    average = first / permutations
    variance = _not_negative(second / permutations - average**2, slack)
    return _Draws(greater, less, average, np.sqrt(variance))


@njit(cache=True, nogil=True)
def _permute(
    first: Any,
    last: Any,
    x: Any,
    indptr: Any,
    data: Any,
    centre: Any,
    high: Any,
    low: Any,
    key: Any,
    permutations: Any,
    greater: Any,
    less: Any,
    sums: Any,
    squares: Any,
) -> None:
    n, m = x.shape
    others = n - 1
    order = np.arange(others)  # places of the others; restored after every draw
    chosen = np.empty(others, dtype=np.int64)
    total = np.empty(m)
    for cell in range(first, last):
        start, stop = indptr[cell], indptr[cell + 1]
        k = stop - start
        cell_key = extend_key(key, cell)
        for permutation in range(permutations):
            state = extend_key(cell_key, permutation)
            for d in range(k):  # Fisher-Yates, the first k places only
                state += GOLDEN
                pick = d + below(mix(state), others - d)
                chosen[d] = pick
                order[d], order[pick] = order[pick], order[d]
            for c in range(m):
                total[c] = -centre[cell, c]
            for d in range(k):
                other = order[d]
                if other >= cell:  # the cell itself is not among the others
                    other += 1
                w = data[start + d]
                for c in range(m):
                    total[c] += w * x[other, c]
            for d in range(k - 1, -1, -1):
                pick = chosen[d]
                order[d], order[pick] = order[pick], order[d]
            for c in range(m):
                t = total[c]
                sums[cell, c] += t
                squares[cell, c] += t * t
                greater[cell, c] += 1.0 if t >= high[cell, c] else 0.0
                less[cell, c] += 1.0 if t <= low[cell, c] else 0.0

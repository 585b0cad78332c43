"""Is there any yearly wave? A harmonic negative-binomial test whose p-value comes from its own model.

Where one event brings many calls, counts vary more than Poisson counts do, and a test that does not know it
calls a season where there is none.
"""

import numpy as np

from gridmgmt.errors import InputError, NotEnoughDataError
from gridmgmt.hotspots.statistics.kernels import FloatArray

HARMONICS = 4
_LARGEST = 50.0  # of the dispersion; beyond, one bin holds nearly everything


def harmonic_test(
    counts: FloatArray, exposure: FloatArray, replications: int = 199, seed: int = 0
) -> tuple[float, float]:
    """Return the score statistic of a yearly wave in overdispersed counts, and its p-value.

    Without a season the count of a bin is negative binomial: mean m_y e_yb with a rate m_y of each year,
    variance mean + d mean^2 with one dispersion d for all. The statistic is the score test of four harmonics
    of the year added to the log mean, year effects projected out:

        S = U' I^-1 U,   U = X' (n - m) / (1 + d m)
        I = X' W X - X' W Z (Z' W Z)^-1 Z' W X,   W = m / (1 + d m)

    where X are the waves and Z says which year a bin is in. p = (1 + #(S* >= S)) / (R + 1), where each S*
    comes from counts drawn from the fitted model and fitted anew (parametric bootstrap), so that it holds for
    few matters too.

    Parameters
    ----------
    counts : whole numbers, shape (years, bins)
    exposure : days (or any population at risk) of each, the same shape; a bin with none must hold nothing
    replications : R, at least 1
    seed : the same seed gives the same numbers

    Raises
    ------
    NotEnoughDataError
        When there are no matters, or fewer than two years.
    InputError
        When shapes differ or matters stand in a bin without exposure.

    Source: Dean & Lawless 1989, JASA 84(406) (score tests with overdispersion); Davison & Hinkley 1997,
    Bootstrap Methods, ch. 4; docs/methods/seasonal-list.md.
    """
    n, e = np.asarray(counts, dtype=float), np.asarray(exposure, dtype=float)
    if n.ndim != 2 or n.shape != e.shape:
        raise InputError("counts, exposure", (n.shape, e.shape), "one shape (years, bins)")
    if ((n > 0) & (e <= 0)).any() or (n < 0).any() or (e < 0).any():
        raise InputError("counts", "matters where there is no exposure", "not negative, exposure under each")
    if len(n) < 2 or n.sum() == 0:
        raise NotEnoughDataError("counts", f"{int(n.sum())} matters in {len(n)} years", "some in two years")
    rng = np.random.default_rng(seed)
    mean, dispersion = _without_season(n[None], e)
    if dispersion[0] > 0:
        size = 1.0 / dispersion[0]
        drawn = rng.negative_binomial(size, size / (size + mean[0]), (replications, *n.shape))
    else:
        drawn = rng.poisson(mean[0], (replications, *n.shape))
    found = _statistic(n[None], e)[0]
    reached = int((_statistic(drawn.astype(float), e) >= found * (1 - 1e-12)).sum())
    return float(found), (1 + reached) / (replications + 1)


def _without_season(n: FloatArray, e: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean[r, y, b] and dispersion[r] of tables n[r, y, b] without a season."""
    mean = n.sum(axis=2, keepdims=True) * (e / e.sum(axis=1, keepdims=True))
    beyond = ((n - mean) ** 2 - mean).sum(axis=(1, 2))
    squares = np.maximum((mean**2).sum(axis=(1, 2)), 1e-12)
    return mean, np.clip(beyond / squares, 0.0, _LARGEST)


def _statistic(n: FloatArray, e: FloatArray) -> FloatArray:
    mean, dispersion = _without_season(n, e)
    spread = 1.0 + dispersion[:, None, None] * mean
    weight, residual = mean / spread, (n - mean) / spread
    x = _waves(n.shape[2])
    score = np.einsum("ryb,bk->rk", residual, x)
    by_year = np.einsum("ryb,bk->ryk", weight, x)
    total = weight.sum(axis=2)
    information = np.einsum("ryb,bk,bl->rkl", weight, x, x, optimize=True)
    centred = by_year / np.where(total > 0, total, 1.0)[:, :, None]
    information -= np.einsum("ryk,ryl->rkl", by_year, centred)
    information += 1e-9 * np.eye(x.shape[1])
    solved = np.linalg.solve(information, score[:, :, None])[:, :, 0]
    values: FloatArray = (score * solved).sum(axis=1)
    return values


def _waves(bins: int) -> FloatArray:
    """Sines and cosines of 1 to 4 waves a year in the middle of each bin, fewer where there are few bins."""
    middle = 2 * np.pi * (np.arange(bins) + 0.5) / bins
    orders = range(1, min(HARMONICS, (bins - 1) // 2) + 1)
    return np.stack([wave(k * middle) for k in orders for wave in (np.sin, np.cos)], axis=1)

"""Rates that can be compared: a small grid's rate is noisy, so it is drawn towards the city's."""

import numpy as np

from gridmgmt.errors import InputError


def empirical_bayes(counts: np.ndarray, exposure: np.ndarray) -> np.ndarray:
    """Return rates smoothed towards the mean of all areas, the more the smaller an area's exposure.

    rate_i = w_i x_i + (1 - w_i) m with m the overall rate, x_i = counts_i / exposure_i, and
    w_i = s / (s + m / exposure_i), where s is the variance between areas by the method of moments,
    taken as 0 when negative.

    Parameters
    ----------
    counts : ndarray, shape (n,) or (n, m)
        Matters an area (and column).
    exposure : ndarray, shape (n,)
        What a rate is taken over, for instance households; at least 0. An area with none gets the mean.

    Raises InputError when an exposure is negative or all are 0.

    Source: Marshall 1991, Applied Statistics 40(2), the global estimator.
    """
    exposure = np.asarray(exposure, dtype=float)
    if (exposure < 0).any() or not exposure.sum():
        raise InputError("exposure", float(exposure.min()), "at least 0 everywhere, above 0 somewhere")
    counts = np.asarray(counts, dtype=float)
    size = exposure if counts.ndim == 1 else exposure[:, None]
    total = size.sum()
    mean = counts.sum(axis=0) / total
    raw = np.divide(counts, size, out=np.broadcast_to(mean, counts.shape).copy(), where=size > 0)
    between = (size * (raw - mean) ** 2).sum(axis=0) / total - mean / (total / len(exposure))
    between = np.maximum(between, 0.0)
    weight = np.divide(
        between * size, between * size + mean, out=np.zeros_like(raw), where=(between * size + mean) > 0
    )
    return weight * raw + (1 - weight) * mean

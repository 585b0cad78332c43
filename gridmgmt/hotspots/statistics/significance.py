"""Correction for many tests: which of them stand when all were looked at together."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control

from gridmgmt.errors import InputError
from gridmgmt.hotspots.statistics.kernels import FloatArray


def fdr(p: ArrayLike, alpha: float = 0.05) -> NDArray[np.bool_]:
    """Return which tests stand when at most a share `alpha` of those named may be false (Benjamini-Hochberg).

    Holds for independent tests and for the positive dependence of neighbouring cells.
    Give all cells x categories x periods that were tested together in one array.

    Parameters
    ----------
    p : p-values in [0, 1], any shape
    alpha : in (0, 1)

    Returns
    -------
    ndarray of bool, the shape of p

    Raises
    ------
    InputError
        When a p is NaN or outside [0, 1], or alpha outside (0, 1).

    >>> fdr([0.01, 0.02, 0.9])
    array([ True,  True, False])

    Source: Benjamini & Hochberg 1995, JRSS B 57(1).
    """
    return q_values(p) <= _level(alpha)


def benjamini_yekutieli(p: ArrayLike, alpha: float = 0.05) -> NDArray[np.bool_]:
    """Return which tests stand under any dependence between them (Benjamini-Yekutieli); stricter than `fdr`.

    Parameters, result and errors as `fdr`.

    Source: Benjamini & Yekutieli 2001, Annals of Statistics 29(4).
    """
    return _adjusted(p, "by") <= _level(alpha)


def q_values(p: ArrayLike) -> FloatArray:
    """Return the smallest alpha at which `fdr` would name each test, shape of p.

    Errors and source as `fdr`.
    """
    return _adjusted(p, "bh")


def _adjusted(p: ArrayLike, method: str) -> FloatArray:
    values = np.asarray(p, dtype=np.float64)
    bad = ~((values >= 0) & (values <= 1))  # NaN is bad too
    if bad.any():
        raise InputError("p", float(values[bad][0]), "p-values in [0, 1]")
    if values.size == 0:
        return values.copy()
    adjusted: FloatArray = false_discovery_control(values.ravel(), method=method).reshape(values.shape)
    return adjusted


def _level(alpha: float) -> float:
    if not 0 < alpha < 1:
        raise InputError("alpha", alpha, "a number in (0, 1)")
    return float(alpha)

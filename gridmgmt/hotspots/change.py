"""Whether areas changed between two periods by more than chance: arrays in, arrays out.

Method and limits: docs/methods/compare.md
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gridmgmt.errors import InputError
from gridmgmt.hotspots.areas import two_sided
from gridmgmt.hotspots.statistics import significance
from gridmgmt.hotspots.statistics.kernels import FloatArray


@dataclass(frozen=True, eq=False)
class Changes:
    """How n areas changed from an earlier to a later period.

    Attributes
    ----------
    expected : later matters if the earlier rate had lasted, shape (n,)
    p : two-sided, of the later count given both together, shape (n,)
    q : `p` corrected for all the areas (Benjamini-Hochberg), shape (n,)
    """

    expected: FloatArray
    p: FloatArray
    q: FloatArray


def changes(before: ArrayLike, after: ArrayLike, days_before: float, days_after: float) -> Changes:
    """Return whether counts of areas in two periods differ by more than chance.

    Given an area's matters of both periods together, those of the later are binomial with the share of its
    days, if the rate is the same in both; p is twice the smaller tail, at most 1. Households are those of
    today in both, so they cancel.

    Parameters
    ----------
    before, after : whole numbers of 0 and more, shape (n,)
    days_before, days_after : above 0

    Raises
    ------
    InputError
        When counts differ in length or are negative, or a period has no length.

    >>> found = changes([20, 20], [40, 21], 365, 365)
    >>> found.p.round(4).tolist(), (found.q <= 0.05).tolist()
    ([0.0135, 1.0], [True, False])

    Source: Przyborowski & Wilenski 1940, Biometrika 31.
    """
    first, second = np.asarray(before), np.asarray(after)
    if first.shape != second.shape or (first < 0).any() or (second < 0).any():
        raise InputError("before, after", (first.shape, second.shape), "as many counts of 0 or more in both")
    if min(days_before, days_after) <= 0:
        raise InputError("days", (days_before, days_after), "above 0")
    share = days_after / (days_before + days_after)
    total = first + second
    p = two_sided(second, total, np.full(first.shape, share), above=second > total * share)
    return Changes(first * (days_after / days_before), p, significance.q_values(p))

"""What next year may count on: effects of categories, each drawn towards what they have in common.

Method and limits: docs/methods/effect.md
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from gridmgmt.config import ALPHA
from gridmgmt.seasonal.effects.estimate import Change

# Before anything is measured: treating does nothing, give or take this (log scale); and so far apart are
# the effects of categories.
OVERALL_SPREAD, CATEGORY_SPREAD = 0.5, 0.3
OTHERS = ""  # key of what to expect of a category that was not measured
_SURE = float(stats.norm.ppf(1 - ALPHA / 2))
_TAU = np.linspace(0.0, 1.5, 301)[:, None]


@dataclass(frozen=True)
class Learnt:
    """The effect to expect of treating a category next year, -0.3 being 30 % fewer, with a 95 % interval."""

    mean: float
    low: float
    high: float


def learn(found: dict[str, Change]) -> dict[str, Learnt]:
    """Return the effects of categories, each drawn towards what all have in common.

    Logarithms of effects are normal about a common mean, which is normal about 0 (treating does nothing)
    with deviation `OVERALL_SPREAD`; how far apart they are is half-normal with `CATEGORY_SPREAD` and is
    summed over. `OTHERS` is what to expect of a category that was not measured.
    """
    log = np.array([float(each.log) for each in found.values()])
    error = np.array([float(each.error) for each in found.values()])
    variance = error**2 + _TAU**2  # (taus, categories)
    precision = OVERALL_SPREAD**-2 + (1 / variance).sum(axis=1, keepdims=True)
    common = (log / variance).sum(axis=1, keepdims=True) / precision
    evidence = -0.5 * (
        np.log(variance).sum(axis=1) + (log**2 / variance).sum(axis=1)
        - (common**2 * precision)[:, 0] + np.log(precision)[:, 0] + (_TAU[:, 0] / CATEGORY_SPREAD) ** 2
    )  # fmt: skip
    weight = np.exp(evidence - evidence.max())
    weight /= weight.sum()
    own = _TAU**2 / variance
    means = np.append(own * log + (1 - own) * common, common, axis=1)
    spreads = np.append(own * error**2 + (1 - own) ** 2 / precision, 1 / precision + _TAU**2, axis=1)
    mean = weight @ means
    deviation = np.sqrt(weight @ (spreads + means**2) - mean**2)
    points = np.expm1(mean + np.array([[0.0], [-_SURE], [_SURE]]) * deviation)
    return {key: Learnt(*row) for key, row in zip([*found, OTHERS], points.T.tolist(), strict=True)}

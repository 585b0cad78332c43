"""Did treating beforehand help? Observed over expected, treated over untreated: arrays in, results out.

    effect = (observed / expected of treated grids) / (observed / expected of untreated grids) - 1

What is expected rests on the years before alone and is shrunk, so that a grid picked because last year was
bad is not credited with falling back to its usual; what the whole city did cancels between the two groups.

Method and limits: docs/methods/effect.md
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from scipy import special, stats

from gridmgmt.config import ALPHA
from gridmgmt.errors import InputError
from gridmgmt.hotspots.statistics.kernels import FloatArray

FEWEST_MATTERS = 10.0  # expected, on either side: fewer say nothing
FEWEST_GRIDS = 3  # on either side: one or two have histories of their own
PLACEBO_MATTERS = 3.0  # expected in treated grids, for a placebo window to be looked at by itself
KNOWN_GRIDS = 4.0  # what the expectation knows of how grids stray, in degrees of freedom
_SURE = float(stats.norm.ppf(1 - ALPHA / 2))
_NONE = 1e-12


class EffectVerdict(StrEnum):
    """What may be said of a treatment."""

    HELPED = "helped"
    NO_EFFECT_SEEN = "no_effect_seen"
    WORSE = "worse"
    CANNOT_SAY = "cannot_say"


class Reason(StrEnum):
    """Why nothing can be said."""

    NOT_OVER = "not_over"
    NO_TREATED = "no_treated"
    NO_UNTREATED = "no_untreated"
    FEW_GRIDS = "few_grids"
    FEW_MATTERS = "few_matters"
    PLACEBO = "placebo"


# --- the arithmetic; all of it over the last axis, so that many windows or worlds are one call


@dataclass(frozen=True, eq=False)
class Side:
    """Treated or untreated grids together; every field has one shape, () or that of many comparisons.

    Attributes
    ----------
    n : grids of which something is expected
    observed, expected : matters
    inflation : variance of `observed` over that of a Poisson number
    """

    n: Any
    observed: Any
    expected: Any
    inflation: Any

    @property
    def centre(self) -> Any:
        """Observed over expected with half an (inflated) matter more, so that none does not mean never."""
        return (self.observed + self.inflation / 2) / np.maximum(self.expected, _NONE)


Pair = tuple[Side, Side]


@dataclass(frozen=True, eq=False)
class Change:
    """Treated against untreated, -0.3 being 30 % fewer; fields have the shape of the sides.

    Attributes
    ----------
    mean, low, high : the ratio less 1, and its 95 % interval; the mean is NaN where the untreated had none
    p : two-sided, of no effect
    log, error : mean and deviation of the logarithm of the ratio
    """

    mean: Any
    low: Any
    high: Any
    p: Any
    log: Any
    error: Any

    @property
    def found(self) -> Any:
        """Whether the interval leaves out 0."""
        return (self.low > 0) | (self.high < 0)


def sides(observed: Any, expected: Any, shape: Any, treated: Any, inside: Any = True) -> Pair:
    """Return treated and untreated grids, each together.

    How far grids stray beyond what their expectation knows is learnt from all of them, about their own
    group's level: the moment estimate of a relative variance that is added to 1 / shape. Its few degrees of
    freedom widen both sides as Student's t is wider than the normal.

    Parameters
    ----------
    observed, expected : matters, shape (..., n)
    shape : of the gamma factor of each grid's expectation, (n,) or (..., n)
    treated : bool, (n,) or (..., n)
    inside : which of the treated are asked for, such as those of one town
    """
    arrays = np.broadcast_arrays(observed, expected, shape, treated, treated & inside)
    seen, mean, shape, treated, asked = arrays
    used = mean > 0
    about = np.where(treated, _rate(seen, mean, treated), _rate(seen, mean, ~treated)) * mean
    n = used.sum(axis=-1)
    squares = ((seen - about) ** 2 * used).sum(axis=-1) * n / np.maximum(n - 2, 1)
    known = (about + about**2 / shape).sum(axis=-1)
    stray = np.maximum(squares - known, 0.0) / np.maximum((about**2).sum(axis=-1), _NONE)
    freedom = KNOWN_GRIDS + np.maximum(n - 2.0, 0.0)
    wider = (stats.t.ppf(1 - ALPHA / 2, freedom) / _SURE) ** 2
    variance = about + about**2 * (1.0 / shape + stray[..., None])
    return _side(seen, mean, about, variance, wider, asked), _side(
        seen, mean, about, variance, wider, ~treated
    )


def _rate(observed: FloatArray, expected: FloatArray, members: np.ndarray) -> FloatArray:
    """Observed over expected of a group; half a matter more keeps a variance above 0."""
    seen = (observed * members).sum(axis=-1, keepdims=True)
    rate: FloatArray = (seen + 0.5) / np.maximum((expected * members).sum(axis=-1, keepdims=True), _NONE)
    return rate


def _side(
    observed: FloatArray,
    expected: FloatArray,
    about: FloatArray,
    variance: FloatArray,
    wider: FloatArray,
    members: np.ndarray,
) -> Side:
    total = (about * members).sum(axis=-1)
    inflation = (variance * members).sum(axis=-1) / np.maximum(total, _NONE) * wider
    return Side(
        n=((expected > 0) & members).sum(axis=-1),
        observed=(observed * members).sum(axis=-1),
        expected=(expected * members).sum(axis=-1),
        inflation=np.maximum(inflation, 1.0),
    )


def change(pairs: Sequence[Pair]) -> Change:
    """Return the effect in one pair of treated and untreated, or in those of several categories together.

    Each category's treated are held against its own untreated. A count over its inflation is gamma about
    what it stands for, so the ratio of two is an F variable: the interval holds when nothing was observed.
    """
    without = [treated.expected * untreated.centre for treated, untreated in pairs]
    total = np.maximum(sum(without), _NONE)
    inflation = sum(w * t.inflation for w, (t, _) in zip(without, pairs, strict=True)) / total
    inflation = np.maximum(inflation, 1.0)
    variance = sum(
        w**2 * u.inflation / (u.observed + u.inflation / 2) for w, (_, u) in zip(without, pairs, strict=True)
    )
    observed = sum(treated.observed for treated, _ in pairs)
    plain = sum(t.expected * u.observed / np.maximum(u.expected, _NONE) for t, u in pairs)
    above = (observed + inflation / 2) / inflation
    below = total**2 / np.maximum(variance, _NONE)
    centre = (observed + inflation / 2) / total
    law = stats.f(2 * above, 2 * below)
    less = law.cdf(1.0 / centre)
    return Change(
        mean=np.where(plain > 0, observed / np.maximum(plain, _NONE) - 1.0, np.nan),
        low=centre * law.ppf(ALPHA / 2) - 1.0,
        high=centre * law.ppf(1 - ALPHA / 2) - 1.0,
        p=np.minimum(1.0, 2 * np.minimum(less, 1 - less)),
        log=np.log(centre / above * below) + special.digamma(above) - special.digamma(below),
        error=np.sqrt(special.polygamma(1, above) + special.polygamma(1, below)),
    )


# --- one category


@dataclass(frozen=True, eq=False)
class Units:
    """The grids that a list names for one category, a row each.

    Attributes
    ----------
    treated : whether it was acted on in time, (n,)
    observed, expected : matters in the window, and without action, (n,)
    shape : of each grid's gamma factor, (n,)
    last_year : matters in the window of the year before, (n,); None where that is not known
    elsewhere, elsewhere_expected : in other windows of the same year and length, (w, n)
    early : which of these were over before anything was treated, (w,)
    before : observed, expected, shape in the window of the year before, from the years before that; or None
    """

    treated: np.ndarray
    observed: FloatArray
    expected: FloatArray
    shape: FloatArray
    last_year: FloatArray | None
    elsewhere: FloatArray
    elsewhere_expected: FloatArray
    early: np.ndarray
    before: tuple[FloatArray, FloatArray, FloatArray] | None = None

    def __post_init__(self) -> None:
        n = np.shape(self.treated)
        wanted = {"observed": n, "expected": n, "shape": n, "elsewhere_expected": self.elsewhere.shape}
        for name, shape in wanted.items():
            if np.shape(getattr(self, name)) != shape:
                raise InputError(name, np.shape(getattr(self, name)), f"shape {shape}")
        if self.elsewhere.shape != (len(self.early), *n):
            raise InputError("elsewhere", self.elsewhere.shape, f"shape {(len(self.early), *n)}")


@dataclass(frozen=True, eq=False)
class Placebo:
    """What the same comparison says where nothing was treated.

    Attributes
    ----------
    windows : of each other window of the year, (w,)
    usable : which of them expect enough to be looked at by themselves, (w,)
    pooled : of all windows before the treatment together, or of all when those hold too little; or None
    share : of the usable windows, those that stand out as much as the treatment does; None without any
    before : of the same window of the year before
    failed : the groups were not comparable
    """

    windows: Change
    usable: np.ndarray
    pooled: Change | None
    share: float | None
    before: Change | None
    failed: bool


@dataclass(frozen=True, eq=False)
class Estimate:
    """What treating did, for a category, a town or all together.

    Attributes
    ----------
    treated, untreated : what was compared
    change : the honest figure; None where nothing can be compared
    published : the year-on-year change of the treated grids; None without a year before
    verdict, reason : what may be said, and why not more
    placebo : None where there was nothing to compare
    """

    treated: Side
    untreated: Side
    change: Change | None
    published: float | None
    verdict: EffectVerdict
    reason: Reason | None
    placebo: Placebo | None


def estimate(units: Units, *, over: bool = True) -> Estimate:
    """Return what treating did in one category; `over` says whether the matters reach the window's end."""
    pair = sides(units.observed, units.expected, units.shape, units.treated)
    reason = _reason(pair) if over else Reason.NOT_OVER
    if over and reason in (None, Reason.FEW_GRIDS, Reason.FEW_MATTERS):
        placebo = _placebo(units, change([pair]))
        reason = reason or (Reason.PLACEBO if placebo.failed else None)
        return _concluded([pair], _published([units]), reason, placebo)
    return _concluded([pair], _published([units]) if over else None, reason, None)


def together(parts: Sequence[Units], insides: Sequence[Any] | None = None) -> Estimate:
    """Return what treating did in several comparable categories together.

    `insides` keeps of each category the treated grids of one place; their comparison stays the whole city's.
    """
    if not parts:
        nothing = Side(0, 0.0, 0.0, 1.0)
        return Estimate(nothing, nothing, None, None, EffectVerdict.CANNOT_SAY, Reason.NO_TREATED, None)
    asked = insides or [True] * len(parts)
    pairs = [
        sides(u.observed, u.expected, u.shape, u.treated, inside)
        for u, inside in zip(parts, asked, strict=True)
    ]
    held = [row for row, (treated, _) in enumerate(pairs) if treated.n > 0] or [0]
    pairs = [pairs[row] for row in held]
    reason = _reason(_summed(pairs))
    return _concluded(
        pairs, _published([parts[row] for row in held], [asked[row] for row in held]), reason, None
    )


def comparable(found: Estimate) -> bool:
    """Say whether a category may count in figures of several categories together."""
    alone = (None, Reason.FEW_GRIDS, Reason.FEW_MATTERS)
    failed = found.placebo is not None and found.placebo.failed
    enough = found.untreated.n >= FEWEST_GRIDS and found.untreated.expected >= FEWEST_MATTERS
    return found.reason in alone and not failed and bool(enough)


def _summed(pairs: Sequence[Pair]) -> Pair:
    def both(which: int) -> Side:
        return Side(
            n=sum(pair[which].n for pair in pairs),
            observed=sum(pair[which].observed for pair in pairs),
            expected=sum(pair[which].expected for pair in pairs),
            inflation=max(pair[which].inflation for pair in pairs),
        )

    return both(0), both(1)


def _reason(pair: Pair) -> Reason | None:
    treated, untreated = pair
    if not treated.n:
        return Reason.NO_TREATED
    if not untreated.n:
        return Reason.NO_UNTREATED
    if min(treated.n, untreated.n) < FEWEST_GRIDS:
        return Reason.FEW_GRIDS
    return Reason.FEW_MATTERS if min(treated.expected, untreated.expected) < FEWEST_MATTERS else None


def _published(parts: Sequence[Units], insides: Sequence[Any] | None = None) -> float | None:
    """Return what a town publishes: matters of the treated grids over those of the year before, less 1."""
    asked = [u.treated & inside for u, inside in zip(parts, insides or [True] * len(parts), strict=True)]
    if any(u.last_year is None for u in parts):
        return None
    last = sum(float((u.last_year * rows).sum()) for u, rows in zip(parts, asked, strict=True))
    now = sum(float((u.observed * rows).sum()) for u, rows in zip(parts, asked, strict=True))
    return now / last - 1.0 if last > 0 else None


def _concluded(
    pairs: Sequence[Pair], published: float | None, reason: Reason | None, placebo: Placebo | None
) -> Estimate:
    treated, untreated = _summed(pairs)
    shown = reason not in (Reason.NOT_OVER, Reason.NO_TREATED, Reason.NO_UNTREATED)
    found = change(pairs) if shown else None
    verdict = EffectVerdict.CANNOT_SAY if reason or found is None else _verdict(found)
    return Estimate(treated, untreated, found, published, verdict, reason, placebo)


def _verdict(found: Change) -> EffectVerdict:
    if not found.found:
        return EffectVerdict.NO_EFFECT_SEEN
    return EffectVerdict.HELPED if found.high < 0 else EffectVerdict.WORSE


def _placebo(units: Units, found: Change) -> Placebo:
    shape, treated = units.shape, units.treated
    pairs = sides(units.elsewhere, units.elsewhere_expected, shape, treated)
    windows = change([pairs])
    usable = (pairs[0].expected >= PLACEBO_MATTERS) & (pairs[1].expected >= PLACEBO_MATTERS)
    pooled = _pooled(units, units.early) or _pooled(units, np.ones(len(units.early), dtype=bool))
    before = None if units.before is None else _enough(sides(*units.before, treated))
    # Grids picked because last year was bad stand above their expectation there: that is the picking, and
    # only a fall before anything was done says that the groups were already parting.
    parting = before is not None and bool(before.high < 0)
    return Placebo(
        windows=windows,
        usable=usable,
        pooled=pooled,
        share=float((windows.p[usable] <= found.p).mean()) if usable.any() else None,
        before=before,
        failed=parting or (pooled is not None and bool(pooled.found)),
    )


def _pooled(units: Units, rows: np.ndarray) -> Change | None:
    observed, expected = units.elsewhere[rows].sum(axis=0), units.elsewhere_expected[rows].sum(axis=0)
    return _enough(sides(observed, expected, units.shape, units.treated))


def _enough(pair: Pair) -> Change | None:
    return change([pair]) if _reason(pair) is None else None

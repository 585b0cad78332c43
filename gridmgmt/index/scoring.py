"""From values to points, from points to scores, and what each indicator adds to a score or to its change.

Everything is exact: what indicators lost adds up to what a score lacks of 100, and what moved them adds up to
how a score moved, whatever the levels' ways. Arithmetic levels are split by mean weights and points,
geometric ones by the logarithmic mean Divisia index. docs/methods/index.md has the formulas.

Source: OECD/JRC, Handbook on Constructing Composite Indicators (2008), steps 5 and 6; Ang, "The LMDI
approach to decomposition analysis", Energy Policy 33 (2005).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from gridmgmt.index.tree import Better, Gap, Indicator, Level, Node, Scale, Tree, Way, walk

Floats = NDArray[np.float64]
FULL = 100.0


class Filled(IntEnum):
    """Where the points of a unit in an indicator come from."""

    OWN = 0
    LAST = 1
    AVERAGE = 2
    WORST = 3
    SHARED = 4  # missing: its weight goes to its neighbours
    NOT_ASKED = 5  # the indicator is not for units of this level


@dataclass(frozen=True)
class Scored:
    """Points and weights of units by the code of every node and leaf; arrays are (units,).

    `points` are NaN where nothing below a node is known; `weights` are shares of the parent as they count
    for each unit, so that they sum to one under every node that has points. '' is the total.
    """

    tree: Tree
    points: Mapping[str, Floats]
    weights: Mapping[str, Floats]
    filled: Mapping[str, NDArray[np.int64]]

    @property
    def total(self) -> Floats:
        """The scores of the units."""
        return self.points[""]

    def take(self, units: Sequence[int] | NDArray[np.int64]) -> "Scored":
        """Return the same for some units, which may repeat, by their places."""
        pick = np.asarray(units, int)
        cut = [{code: each[pick] for code, each in kept.items()} for kept in (self.points, self.weights)]
        return Scored(self.tree, cut[0], cut[1], {code: each[pick] for code, each in self.filled.items()})


@dataclass(frozen=True)
class Change:
    """Why a score moved: arrays (units,) by code, which all together sum to `total`.

    `moved` is what the points of each indicator did, for those of both trees; `weighed` what its (or its
    group's) weight did, which differs only where a value is missing on one side or the trees are not the
    same. A group that one tree makes in another way than the other is `weighed` as a whole.
    """

    total: Floats
    moved: Mapping[str, Floats]
    weighed: Mapping[str, Floats]


# --- from values to points


def points_of(values: Floats, indicator: Indicator, lowest: float = 0.0) -> Floats:
    """Return the points (n,) of values (n,) of the units of one month; NaN stays NaN.

    Where units are compared with each other and do not differ, all get 50.
    """
    signed = values if indicator.better is Better.MORE else -values
    known = np.isfinite(signed)
    points = np.full(len(values), np.nan)
    if known.any():
        points[known] = np.clip(_scaled(signed[known], indicator), lowest, FULL)
    return points


def _scaled(signed: Floats, indicator: Indicator) -> Floats:
    """Return points of known values, the greater the better, before they are cut to 0 to 100."""
    if indicator.scale is Scale.TARGET:
        sign = 1 if indicator.better is Better.MORE else -1
        # The reader of trees sees to it that both are there.
        floor, target = sign * (indicator.floor or 0.0), sign * (indicator.target or 0.0)
        return FULL * (signed - floor) / (target - floor)
    middle = np.full(len(signed), FULL / 2)
    if np.ptp(signed) == 0:
        return middle
    if indicator.scale is Scale.MIN_MAX:
        return FULL * (signed - signed.min()) / np.ptp(signed)
    if indicator.scale is Scale.Z:
        # The handbook's z-scores (table 15) are by the deviation of a sample.
        spread = float(signed.std(ddof=1))
        return middle + 10 * (signed - signed.mean()) / spread if spread > 0 else middle
    # Those that are equal share the mean of their places.
    below = (signed[:, None] > signed[None, :]).sum(axis=1)
    equal = (signed[:, None] == signed[None, :]).sum(axis=1) - 1
    placed: Floats = FULL * (below + equal / 2) / (len(signed) - 1)
    return placed


def lowest_points(tree: Tree) -> float:
    """Return the fewest points that can be: 0, or 1 where a geometric mean would be ended by a 0."""
    return 1.0 if Way.GEOMETRIC in tree.ways else 0.0


def score(
    tree: Tree,
    level: Level,
    values: Mapping[str, Floats],
    carried: Mapping[str, Floats] | None = None,
    weights: Mapping[str, float] | None = None,
) -> Scored:
    """Return the scores of the units of a level in one month.

    Parameters
    ----------
    values : values (units,) by the code of an indicator, NaN for missing ones; an indicator without any is
        missing for all
    carried : for indicators with the rule LAST, the values of earlier months that stand in
    weights : other weights by code, for those that are tried out; they need not sum to one
    """
    n = max((len(each) for each in values.values()), default=0)
    lowest = lowest_points(tree)
    points: dict[str, Floats] = {}
    filled: dict[str, NDArray[np.int64]] = {}
    for each in tree.indicators:
        own = values.get(each.code)
        last = (carried or {}).get(each.code)
        nothing = np.full(n, np.nan)
        points[each.code], filled[each.code] = (
            _filled(each, nothing if own is None else own, nothing if last is None else last, lowest)
            if level in each.levels
            else (nothing, np.full(n, int(Filled.NOT_ASKED)))
        )
    return _added_up(tree, points, filled, weights or {}, n)


def _filled(
    indicator: Indicator, own: Floats, last: Floats, lowest: float
) -> tuple[Floats, NDArray[np.int64]]:
    """Return points of an indicator after its rule for gaps, and where each comes from."""
    missing = ~np.isfinite(own)
    how = np.where(missing, int(Filled.SHARED), int(Filled.OWN))
    if indicator.gap is Gap.LAST:
        stands_in = missing & np.isfinite(last)
        own = np.where(stands_in, last, own)
        how[stands_in] = int(Filled.LAST)
    points = points_of(own, indicator, lowest)
    if indicator.gap is Gap.WORST:
        points[missing], how[missing] = lowest, int(Filled.WORST)
    if indicator.gap is Gap.AVERAGE and not missing.all():
        points[missing], how[missing] = points[~missing].mean(), int(Filled.AVERAGE)
    return points, how


# --- from points to scores


def _added_up(
    tree: Tree,
    leaves: dict[str, Floats],
    filled: dict[str, NDArray[np.int64]],
    other: Mapping[str, float],
    n: int,
) -> Scored:
    points, weights = dict(leaves), {"": np.ones(n)}
    for depth, node in reversed(list(walk(tree.root))):
        if not isinstance(node, Node):
            continue
        codes = [part.code for part in node.parts]
        own = np.array([points[code] for code in codes]).reshape(len(codes), n)
        said = np.array([other.get(part.code, part.weight) for part in node.parts])[:, None]
        share = shares(np.where(np.isfinite(own), said, 0.0))
        weights |= dict(zip(codes, share, strict=True))
        points[node.code] = mean(tree.ways[depth], own, share)
    return Scored(tree, points, weights, filled)


def shares(weights: Floats) -> Floats:
    """Return weights (parts, n) that sum to one in every column; 0 where nothing has a weight."""
    total = weights.sum(axis=0)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def mean(way: Way, points: Floats, weights: Floats) -> Floats:
    """Return the weighted mean (n,) of points (parts, n); NaN where no weight stands."""
    known = np.where(weights > 0, points, 1.0)
    if way is Way.ARITHMETIC:
        made = (weights * known).sum(axis=0)
    else:
        made = np.exp((weights * np.log(known)).sum(axis=0))
    return np.where(weights.sum(axis=0) > 0, made, np.nan)


# --- why


def lost(scored: Scored) -> dict[str, Floats]:
    """Return what each indicator took from 100, (units,) by code: they sum to 100 - total."""
    full = {code: np.where(np.isfinite(each), FULL, np.nan) for code, each in scored.points.items()}
    best = Scored(scored.tree, full, scored.weights, scored.filled)
    return {code: -each for code, each in change(best, scored).moved.items()}


def gained(scored: Scored) -> dict[str, Floats]:
    """Return what each indicator adds to a score, (units,) by code: its weight less what it lost."""
    return {code: FULL * effective(scored, code) - each for code, each in lost(scored).items()}


def effective(scored: Scored, code: str) -> Floats:
    """Return the weight (units,) of a node or leaf in the total: that of all above it multiplied in."""
    weight = scored.weights[code].copy()
    while code:
        code = scored.tree.parents[code]
        weight = weight * scored.weights[code]
    return weight


def change(before: Scored, after: Scored) -> Change:
    """Return why scores moved from one to the other, unit by unit; also from one unit to another.

    Codes that only one of two trees has count as missing in the other. Where a total is missing on a side,
    everything is NaN.
    """
    total = after.total - before.total
    # NaN stays where a total is missing.
    leaves = [each.code for side in (after, before) for each in side.tree.indicators]
    moved = dict.fromkeys(leaves, total * 0)
    weighed: dict[str, Floats] = {}
    if _alike("", 0, before, after):
        _split("", 0, total * 0 + 1, before, after, moved, weighed)
    else:
        _add(weighed, "", total)
    return Change(total, moved, weighed)


def _split(
    code: str, depth: int, factor: Floats, before: Scored, after: Scored,
    moved: dict[str, Floats], weighed: dict[str, Floats],
) -> None:  # fmt: skip
    """Share what a node moved, times `factor`, among its parts, and go on below each of them.

    `factor` is 0 where the node is missing on a side: there what is above has told all.
    """
    whole0, whole1 = (np.where(factor == 0, 1.0, side.points[code]) for side in (before, after))
    for part in _parts(code, before, after):
        own0, weight0 = _side(before, code, part, factor)
        own1, weight1 = _side(after, code, part, factor)
        both = np.isfinite(own0) & np.isfinite(own1)
        # A part that is missing on one side has not moved: its weight has.
        own0, own1 = _or(own0, own1), _or(own1, own0)
        slope, lean = _slopes(after.tree.ways[depth], whole0, whole1, own0, own1)
        _add(weighed, part, factor * lean * (weight1 - weight0))
        step = factor * slope * (weight0 + weight1) / 2 * both
        if _alike(part, depth + 1, before, after):
            _split(part, depth + 1, step, before, after, moved, weighed)
        else:
            _add(moved if part in moved else weighed, part, step * (own1 - own0))


def _slopes(way: Way, whole0: Floats, whole1: Floats, own0: Floats, own1: Floats) -> tuple[Floats, Floats]:
    """Return how much a point of a part of weight 1 moves the whole, and how much a point of its weight."""
    if way is Way.ARITHMETIC:
        return np.ones_like(whole0), ((own0 + own1) - (whole0 + whole1)) / 2
    between = _log_mean(whole0, whole1)
    logs = (np.log(own0) + np.log(own1) - np.log(whole0) - np.log(whole1)) / 2
    return between / _log_mean(own0, own1), between * logs


def _alike(code: str, depth: int, before: Scored, after: Scored) -> bool:
    """Say whether a node stands at one place in both trees, and is made of its parts in the same way."""
    one, other = before.tree, after.tree
    nodes = isinstance(one.by_code.get(code), Node) and isinstance(other.by_code.get(code), Node)
    return nodes and one.parents.get(code) == other.parents.get(code) and one.ways[depth] is other.ways[depth]


def _parts(code: str, before: Scored, after: Scored) -> list[str]:
    """Return the codes of the parts that a node has in either tree."""
    nodes = [side.tree.by_code[code] for side in (before, after)]
    return list(dict.fromkeys(part.code for node in nodes for part in getattr(node, "parts", ())))


def _side(scored: Scored, parent: str, code: str, like: Floats) -> tuple[Floats, Floats]:
    """Return the points and weights of a part; missing where the tree does not have it there."""
    if scored.tree.parents.get(code) != parent:
        return np.full(len(like), np.nan), np.zeros(len(like))
    return scored.points[code], scored.weights[code]


def _or(points: Floats, others: Floats) -> Floats:
    """Return points, others where they are missing, and where both are something without weight."""
    return np.where(np.isfinite(points), points, np.where(np.isfinite(others), others, 1.0))


def _add(sums: dict[str, Floats], code: str, more: Floats) -> None:
    """Add to what a code has; nothing is noted for a code that did nothing to any unit."""
    if code in sums:
        sums[code] = sums[code] + more
    elif np.nanmax(np.abs(more), initial=0.0) > 0:
        sums[code] = more


def _log_mean(a: Floats, b: Floats) -> Floats:
    """Return (b - a) / (ln b - ln a), a where they are the same."""
    # Near each other the quotient loses its digits; the series does not.
    middle, apart = (a + b) / 2, (b - a) / (a + b)
    near = np.abs(apart) < 1e-4
    ratio = np.where(near, 0.5, apart)
    made: Floats = np.where(near, middle * (1 - apart**2 / 3), middle * ratio / np.arctanh(ratio))
    return made

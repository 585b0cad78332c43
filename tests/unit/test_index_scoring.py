"""From values to scores and why they moved: relations on random trees, then the handbook's own example."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmgmt.index import scoring
from gridmgmt.index.scoring import Filled, Floats, Scored, change, effective, gained, lost, points_of, score
from gridmgmt.index.tree import Better, Gap, Indicator, Level, Node, Scale, Tree, Way, walk
from tests.unit.index_world import ALL, A, G, flat, leaf

EXACT = 1e-9
UNITS = 4
Values = dict[str, Floats]


# --- random worlds: few codes, so that those of two trees meet at other places, and values with ties


@st.composite
def leaves(draw: st.DrawFn, code: str) -> Indicator:
    better, gap = draw(st.sampled_from(Better)), draw(st.sampled_from(Gap))
    floor, target = draw(st.sampled_from([(2.0, 7.0), (0.0, 10.0), (4.0, 5.0)]))
    ends = (floor, target) if better is Better.MORE else (target, floor)
    levels = draw(st.sampled_from([ALL, ALL, ALL, frozenset({Level.CITY})]))
    return leaf(
        code, draw(st.integers(1, 9)), better=better, gap=gap, levels=levels,
        scale=draw(st.sampled_from(Scale)), floor=ends[0], target=ends[1],
    )  # fmt: skip


def _normed(parts: list[Node | Indicator]) -> tuple[Node | Indicator, ...]:
    whole = sum(part.weight for part in parts)
    return tuple(replace(part, weight=part.weight / whole) for part in parts)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Return a tree of three levels; parts that got nothing below them are left out."""
    codes = draw(st.permutations(["a", "b", "c", "d", "e", "f", "g"]))[: draw(st.integers(1, 7))]
    second: dict[str, list[Node | Indicator]] = {}
    for code in codes:
        second.setdefault(draw(st.sampled_from(["P", "Q", "R", "S"])), []).append(draw(leaves(code)))
    first: dict[str, list[Node | Indicator]] = {}
    for code, parts in second.items():
        node = Node(code, code, draw(st.integers(1, 9)), _normed(parts))
        first.setdefault(draw(st.sampled_from(["X", "Y", "Z"])), []).append(node)
    tops = [Node(code, code, draw(st.integers(1, 9)), _normed(parts)) for code, parts in first.items()]
    ways = tuple(draw(st.sampled_from(Way)) for _ in range(3))
    return Tree("t", "t", ways, _normed(tops))  # type: ignore[arg-type]


@st.composite
def values(draw: st.DrawFn, tree: Tree) -> Values:
    one = st.one_of(st.just(np.nan), st.integers(0, 20).map(lambda n: n / 2))
    column = st.lists(one, min_size=UNITS, max_size=UNITS).map(lambda each: np.array(each, float))
    return {each.code: draw(column) for each in tree.indicators}


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Tree, Values, Values]:
    """Return a tree, values of a month, and those that stand in from before."""
    tree = draw(trees())
    return tree, draw(values(tree)), draw(values(tree))


def scored(world: tuple[Tree, Values, Values]) -> Scored:
    return score(world[0], Level.TOWN, world[1], world[2])


def added(parts: dict[str, Floats] | object) -> Floats:
    return np.sum(list(parts.values()), axis=0) if parts else np.zeros(UNITS)  # type: ignore[attr-defined]


# --- relations


@settings(max_examples=60)
@given(worlds())
def test_weights_sum_to_one_under_every_node_that_has_points(world: tuple[Tree, Values, Values]) -> None:
    found = scored(world)
    for _, node in walk(world[0].root):
        if isinstance(node, Node):
            shares = np.sum([found.weights[part.code] for part in node.parts], axis=0)
            np.testing.assert_allclose(shares, np.isfinite(found.points[node.code]).astype(float), atol=EXACT)


@settings(max_examples=60)
@given(worlds())
def test_a_plain_loop_comes_to_the_same_scores(world: tuple[Tree, Values, Values]) -> None:
    tree, found = world[0], scored(world)

    def whole(node: Node | Indicator, unit: int, depth: int) -> float | None:
        if isinstance(node, Indicator):
            points = found.points[node.code][unit]
            return None if np.isnan(points) else float(points)
        known = [(part.weight, whole(part, unit, depth + 1)) for part in node.parts]
        known = [(weight, points) for weight, points in known if points is not None]
        if not known:
            return None
        weights = sum(weight for weight, _ in known)
        if tree.ways[depth] is A:
            return sum(weight * points for weight, points in known) / weights  # type: ignore[operator]
        return float(np.prod([points ** (weight / weights) for weight, points in known]))  # type: ignore[operator]

    totals = [whole(tree.root, unit, 0) for unit in range(UNITS)]
    np.testing.assert_allclose(found.total, np.array(totals, float), atol=EXACT)


@settings(max_examples=60)
@given(worlds(), st.data())
def test_a_better_value_never_lowers_a_score(world: tuple[Tree, Values, Values], data: st.DataObject) -> None:
    tree, own, before = world
    indicator = data.draw(st.sampled_from(tree.indicators))
    unit = data.draw(st.integers(0, UNITS - 1))
    if np.isnan(own[indicator.code][unit]):
        return
    better = own[indicator.code].copy()
    better[unit] += data.draw(st.integers(1, 30)) / 2 * (1 if indicator.better is Better.MORE else -1)
    raised = score(tree, Level.TOWN, {**own, indicator.code: better}, before)
    assert not raised.total[unit] < scored(world).total[unit] - EXACT


@settings(max_examples=60)
@given(worlds())
def test_what_is_missing_follows_its_rule_and_is_marked(world: tuple[Tree, Values, Values]) -> None:
    tree, own, before = world
    found = scored(world)
    for each in tree.indicators:
        points, filled = found.points[each.code], found.filled[each.code]
        if Level.TOWN not in each.levels:
            assert (filled == Filled.NOT_ASKED).all()
            assert np.isnan(points).all()
            continue
        gap = np.isnan(own[each.code])
        assert ((filled == Filled.OWN) == ~gap).all()
        by_last = gap & ~np.isnan(before[each.code]) if each.gap is Gap.LAST else np.zeros(UNITS, bool)
        assert ((filled == Filled.LAST) == by_last).all()
        assert ((filled == Filled.WORST) == (gap & (each.gap is Gap.WORST))).all()
        assert (points[filled == Filled.WORST] == scoring.lowest_points(tree)).all()
        averaged = gap & (each.gap is Gap.AVERAGE) & ~gap.all()
        assert ((filled == Filled.AVERAGE) == averaged).all()
        if averaged.any():
            np.testing.assert_allclose(points[averaged], points[~gap].mean())
        shared = filled == Filled.SHARED
        assert np.isnan(points[shared]).all()
        assert (found.weights[each.code][shared] == 0).all()
        if each.gap is Gap.LAST and each.scale is Scale.TARGET:
            with_last = points_of(np.where(by_last, before[each.code], own[each.code]), each)
            stand_in = np.maximum(with_last, scoring.lowest_points(tree))
            np.testing.assert_allclose(points[by_last], stand_in[by_last])


@settings(max_examples=60)
@given(worlds())
def test_lost_and_gained_sum_to_the_score(world: tuple[Tree, Values, Values]) -> None:
    found = scored(world)
    assert set(lost(found)) == set(gained(found)) == {each.code for each in world[0].indicators}
    np.testing.assert_allclose(added(lost(found)), 100 - found.total, atol=EXACT)
    np.testing.assert_allclose(added(gained(found)), found.total, atol=EXACT)


@settings(max_examples=60)
@given(worlds(), worlds())
def test_a_change_is_the_sum_of_its_parts_also_between_trees(
    one: tuple[Tree, Values, Values], other: tuple[Tree, Values, Values]
) -> None:
    before, after = scored(one), scored(other)
    found = change(before, after)
    np.testing.assert_allclose(found.total, after.total - before.total)
    np.testing.assert_allclose(added(found.moved) + added(found.weighed), found.total, atol=EXACT)
    both = np.isfinite(found.total)
    for part in [*found.moved.values(), *found.weighed.values()]:
        assert np.isfinite(part[both]).all()


@settings(max_examples=60)
@given(trees(), st.data())
def test_a_change_within_a_tree_is_the_sum_of_its_parts(tree: Tree, data: st.DataObject) -> None:
    before, after = (score(tree, Level.TOWN, data.draw(values(tree))) for _ in range(2))
    found = change(before, after)
    np.testing.assert_allclose(added(found.moved) + added(found.weighed), found.total, atol=EXACT)
    back = change(after, before)
    np.testing.assert_allclose(added(back.moved), -added(found.moved), atol=EXACT)
    for code, moved in found.moved.items():
        if not np.isnan([before.points[code], after.points[code]]).any():
            # Points that rose never pull a score down.
            rose = after.points[code] - before.points[code]
            assert (moved * rose >= -EXACT)[np.isfinite(found.total)].all()


@settings(max_examples=60)
@given(worlds(), st.permutations(range(UNITS)))
def test_the_order_of_units_is_of_no_account(world: tuple[Tree, Values, Values], order: list[int]) -> None:
    tree, own, before = world
    turned = [{code: each[order] for code, each in side.items()} for side in (own, before)]
    other, same = score(tree, Level.TOWN, *turned), scored(world).take(order)
    for code in same.points:
        np.testing.assert_allclose(other.points[code], same.points[code], atol=EXACT)
    np.testing.assert_allclose(added(lost(other)), added(lost(same)), atol=EXACT)


@settings(max_examples=60)
@given(worlds())
def test_where_all_is_arithmetic_an_indicator_adds_its_weight_times_its_points(
    world: tuple[Tree, Values, Values],
) -> None:
    found = scored((replace(world[0], ways=(A, A, A)), *world[1:]))
    for code, each in gained(found).items():
        points = np.where(np.isfinite(found.points[code]), found.points[code], 0.0)
        expected = np.where(np.isfinite(found.total), effective(found, code) * points, np.nan)
        np.testing.assert_allclose(each, expected, atol=EXACT)


@settings(max_examples=60)
@given(trees(), st.floats(0, 10))
def test_equal_points_everywhere_are_the_score(tree: Tree, value: float) -> None:
    alike = Tree("t", "t", tree.ways, _all_target(tree.root).parts)  # type: ignore[arg-type]
    found = score(alike, Level.TOWN, {each.code: np.full(2, value) for each in alike.indicators})
    np.testing.assert_allclose(found.total, max(10 * value, scoring.lowest_points(alike)), atol=EXACT)


def _all_target(node: Node) -> Node:
    same = {"levels": ALL, "scale": Scale.TARGET, "better": Better.MORE, "floor": 0.0, "target": 10.0}
    parts = [
        _all_target(part) if isinstance(part, Node) else replace(part, **same)  # type: ignore[arg-type]
        for part in node.parts
    ]
    return replace(node, parts=tuple(parts))


@settings(max_examples=60)
@given(trees(), st.data())
def test_what_one_indicator_did_is_told_of_it_alone(tree: Tree, data: st.DataObject) -> None:
    alike = Tree("t", "t", tree.ways, _all_target(tree.root).parts)  # type: ignore[arg-type]
    points = st.integers(0, 20).map(lambda n: n / 2)
    own = {each.code: np.array([data.draw(points)]) for each in alike.indicators}
    code = data.draw(st.sampled_from(list(own)))
    before = score(alike, Level.TOWN, own)
    found = change(before, score(alike, Level.TOWN, {**own, code: np.array([data.draw(points)])}))
    assert not found.weighed
    np.testing.assert_allclose(found.moved[code], found.total, atol=EXACT)
    assert all((each == 0).all() for other, each in found.moved.items() if other != code)


def test_other_weights_count_by_what_they_share_and_one_of_nothing_counts_for_nothing() -> None:
    tree = flat([leaf("a", 0.5), leaf("b", 0.5)])
    own = {"a": np.array([80.0]), "b": np.array([20.0])}
    assert score(tree, Level.TOWN, own, weights={"a": 3.0, "b": 1.0}).total == pytest.approx([65.0])
    assert score(tree, Level.TOWN, own, weights={"a": 0.0}).total == pytest.approx([20.0])


# --- what was wrong once


@pytest.mark.parametrize("way", Way)
def test_a_group_that_appears_is_weighed_and_leaves_no_hole(way: Way) -> None:
    groups = [Node(code, code, 0.5, (leaf(f"{code}.1"),)) for code in ("1.1", "1.2")]
    tree = Tree("t", "t", (A, way, A), (Node("1", "1", 1.0, tuple(groups)),))
    before = score(tree, Level.TOWN, {"1.1.1": np.array([50.0]), "1.2.1": np.array([np.nan])})
    after = score(tree, Level.TOWN, {"1.1.1": np.array([50.0]), "1.2.1": np.array([90.0])})
    found = change(before, after)
    assert list(found.moved) == ["1.1.1", "1.2.1"]
    assert added(found.moved) == pytest.approx([0.0], abs=EXACT)
    assert added(found.weighed) == pytest.approx(found.total)
    # 1.1 gave half its weight away to something better: neither its points nor those of 1.2 moved.
    assert set(found.weighed) <= {"1.1", "1.2"}
    assert found.total[0] > 0


def test_points_at_the_floor_leave_the_split_of_a_geometric_mean_exact() -> None:
    tree = flat([leaf("a", 0.5), leaf("b", 0.5)], G)
    best, worst = {"a": 100.0, "b": 100.0}, {"a": 0.0, "b": 100.0}
    one, other = (
        score(tree, Level.TOWN, {code: np.array([each]) for code, each in side.items()})
        for side in (best, worst)
    )
    # √(1 × 100) = 10: all of the fall of 90 is a's. It takes more than its weight, so it "adds" -40.
    assert change(one, other).moved["a"] == pytest.approx([-90.0])
    assert lost(other)["a"] == pytest.approx([90.0])
    assert lost(other)["b"] == pytest.approx([0.0])
    assert gained(other)["a"] == pytest.approx([-40.0])
    assert gained(other)["b"] == pytest.approx([50.0])


# --- worked by hand


def test_an_arithmetic_change_with_a_value_that_went_missing() -> None:
    # a 60, b 80, c 100 with weights .5 .3 .2: 30 + 24 + 20 = 74.
    # Then b is missing and a is 70: weights 5/7 and 2/7: 50 + 28 4/7 = 78 4/7, a rise of 4 4/7.
    # a's points: mean weight (1/2 + 5/7) / 2 = 17/28, times 10 = 6 1/14.
    # Weights, against the mean total (74 + 78 4/7) / 2 = 76 2/7, a at its mean of 65:
    # a +3/14 × (65 - 76 2/7) = -2.41837, b -.3 × (80 - 76 2/7) = -1.11429,
    # c +3/35 × (100 - 76 2/7) = 2.03265.
    tree = flat([leaf("a", 0.5), leaf("b", 0.3), leaf("c", 0.2)])
    own = {"a": np.array([60.0]), "b": np.array([80.0]), "c": np.array([100.0])}
    before = score(tree, Level.TOWN, own)
    after = score(tree, Level.TOWN, {**own, "a": np.array([70.0]), "b": np.array([np.nan])})
    found = change(before, after)
    assert before.total == pytest.approx([74.0])
    assert after.total == pytest.approx([78 + 4 / 7])
    assert found.moved["a"] == pytest.approx([6 + 1 / 14])
    said = {code: round(float(each[0]), 5) for code, each in found.weighed.items()}
    assert said == {"a": -2.41837, "b": -1.11429, "c": 2.03265}


def test_a_geometric_change() -> None:
    # 25^.5 × 100^.5 = 50; then 36^.5 × 81^.5 = 54. L(50, 54) = 4 / ln 1.08 = 51.97434.
    # a: 51.97434 × ½ ln(36/25) = 51.97434 × .182322 = 9.47604; b: 51.97434 × ½ ln(81/100) = -5.47604.
    tree = flat([leaf("a", 0.5), leaf("b", 0.5)], G)
    before = score(tree, Level.TOWN, {"a": np.array([25.0]), "b": np.array([100.0])})
    after = score(tree, Level.TOWN, {"a": np.array([36.0]), "b": np.array([81.0])})
    found = change(before, after)
    assert found.total == pytest.approx([4.0])
    assert {code: round(float(each[0]), 5) for code, each in found.moved.items()} == {
        "a": 9.47604,
        "b": -5.47604,
    }


def test_a_change_to_another_version_of_the_tree() -> None:
    # Before: a 40 alone. After: a 40 and b 80, half each: 60. Nothing moved but weights:
    # against the mean total of 50, a -.5 × (40 - 50) = 5, b +.5 × (80 - 50) = 15.
    before = score(flat([leaf("a")]), Level.TOWN, {"a": np.array([40.0])})
    newer = flat([leaf("a", 0.5), leaf("b", 0.5)])
    after = score(newer, Level.TOWN, {"a": np.array([40.0]), "b": np.array([80.0])})
    found = change(before, after)
    assert {code: round(float(each[0]), 9) for code, each in found.weighed.items()} == {"a": 5.0, "b": 15.0}
    assert added(found.moved) == pytest.approx([0.0])


@pytest.mark.parametrize(
    ("scale", "points"),
    [
        (Scale.MIN_MAX, [0, 50, 50, 100]),  # of 2, 4, 4, 6
        (Scale.Z, [50 - 10 * 2 / (8 / 3) ** 0.5, 50, 50, 50 + 10 * 2 / (8 / 3) ** 0.5]),  # variance 8 / 3
        (Scale.RANK, [0, 50, 50, 100]),  # two share the mean of places 2 and 3
    ],
)
def test_scales_that_compare_units(scale: Scale, points: list[float]) -> None:
    own = np.array([2.0, 4.0, np.nan, 4.0, 6.0])
    known = points_of(own, leaf("a", scale=scale))
    assert np.isnan(known[2])
    assert np.delete(known, 2) == pytest.approx(points)
    turned = points_of(-own, leaf("a", scale=scale, better=Better.LESS))
    np.testing.assert_array_equal(turned, known)
    assert points_of(np.array([3.0, np.nan, 3.0]), leaf("a", scale=scale))[[0, 2]].tolist() == [50, 50]


# --- the OECD's worked example: the technology achievement index (TAI) of 23 countries

DATA = Path(__file__).parent.parent / "data" / "tai.csv"
with DATA.open(encoding="utf-8") as file:
    TAI = list(csv.DictReader(line for line in file if not line.startswith("#")))
COUNTRIES = [row["country"] for row in TAI]
NAMES = (
    "patents",
    "royalties",
    "internet",
    "exports",
    "telephones",
    "electricity",
    "schooling",
    "university",
)
RAW = {name: np.array([float(row[name]) for row in TAI]) for name in NAMES}
# Human Development Report 2001, technical note: goalposts of the index, telephones and electricity as log10.
GOALPOSTS = {
    "patents": (0, 994), "royalties": (0, 272.6), "internet": (0, 232.4), "exports": (0, 80.8),
    "telephones": (0, np.log10(901)), "electricity": (np.log10(22), np.log10(6969)),
    "schooling": (0.8, 12.0), "university": (0.1, 27.4),
}  # fmt: skip


def tai(ends: Callable[[str], tuple[float, float]], way: Way) -> Scored:
    """Return the scores of the countries: four themes of two indicators each, all weights equal."""
    themes = []
    for n in range(4):
        pair = [
            leaf(name, 0.5, floor=float(ends(name)[0]), target=float(ends(name)[1]))
            for name in NAMES[2 * n : 2 * n + 2]
        ]
        themes.append(Node(f"theme {n}", f"theme {n}", 0.25, tuple(pair)))
    tree = Tree("tai", "TAI", (way, way, way), (*themes,))
    return score(tree, Level.TOWN, RAW)


def published(column: str) -> list[float]:
    return [float(row[column]) for row in TAI]


def test_the_handbook_s_linear_ranking_comes_out_place_by_place() -> None:
    found = tai(lambda name: GOALPOSTS[name], A)
    places = (-found.total).argsort().argsort() + 1
    assert places.tolist() == published("linear_rank")
    # The index itself, to the two decimals it was told with: telephones and electricity are rounded logs.
    scores = np.array(published("tai"))
    told = np.isfinite(scores)
    assert told.sum() == 22
    np.testing.assert_allclose(found.total[told] / 100, scores[told], atol=0.0065)


def test_the_handbook_s_geometric_ranking_comes_out_place_by_place() -> None:
    # It multiplies the values as they are: the same ranking as of points in proportion to them.
    found = tai(lambda name: (0.0, RAW[name].max()), G)
    places = (-found.total).argsort().argsort() + 1
    assert places.tolist() == published("geometric_rank")


@pytest.mark.parametrize(("scale", "column"), [(Scale.MIN_MAX, "min_max"), (Scale.Z, "z")])
def test_the_handbook_s_normalisation_of_schooling_comes_out_to_its_last_digit(
    scale: Scale, column: str
) -> None:
    points = points_of(RAW["schooling"], leaf("schooling", scale=scale))
    scaled = points / 100 if scale is Scale.MIN_MAX else (points - 50) / 10
    np.testing.assert_allclose(scaled, published(column), atol=0.0051)


def test_the_handbook_s_example_of_what_a_geometric_mean_does() -> None:
    # Page 104: (21, 1, 1, 1) has 2.14 and (6, 6, 6, 6) has 6; one more in the second makes it 2.54 and 6.23.
    tree = flat([leaf(code, 0.25) for code in "abcd"], G)
    rows = {"a": [21, 6, 21, 6], "b": [1, 6, 2, 7], "c": [1, 6, 1, 6], "d": [1, 6, 1, 6]}
    found = score(tree, Level.TOWN, {code: np.array(each, float) for code, each in rows.items()})
    assert found.total.round(2).tolist() == [2.14, 6.0, 2.55, 6.24]
    np.testing.assert_allclose(found.total, [2.14, 6, 2.54, 6.23], atol=0.01)  # it cuts, where we round

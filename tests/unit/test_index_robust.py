"""Places under other weights: against a plain loop, in any order of units, and who cannot be told apart."""

from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest

from gridmgmt.errors import InputError
from gridmgmt.index import robust, spans
from gridmgmt.index.periods import Period, Span, months_before
from gridmgmt.index.robust import RankShares
from gridmgmt.index.stored import Board, Unit
from gridmgmt.index.tree import Indicator, Node, Tree
from tests.unit.index_world import LAST, A, G, board, flat, leaf

CODES = ("1.1.1", "1.1.2", "1.2.1", "2.1.1")


def tree() -> Tree:
    one = Node("1.1", "甲", 0.6, (leaf("1.1.1", 0.5), leaf("1.1.2", 0.5)))
    two = Node("1.2", "乙", 0.4, (leaf("1.2.1"),))
    three = Node("2.1", "丙", 1.0, (leaf("2.1.1"),))
    return Tree("t", "t", (G, A, A), (Node("1", "一", 0.7, (one, two)), Node("2", "二", 0.3, (three,))))


def some(seed: int = 1, n: int = 6) -> Board:
    """Return a board of units with gaps, the last of which has nothing."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(40, 60, (len(CODES), n))
    values[rng.random(values.shape) < 0.15] = np.nan
    values[:, -1] = np.nan
    return board(tree(), dict(zip(CODES, values.tolist(), strict=True)))


def test_a_plain_loop_over_draws_comes_to_the_same_shares() -> None:
    found, given = robust.ranks(some(), draws=40, seed=3), some()
    drawn = {
        code: np.random.default_rng([3, crc32(code.encode())]).uniform(0.75, 1.25, 40)
        for code in given.tree.by_code
    }
    share, above = np.zeros((6, 6)), np.zeros((6, 6))
    for draw in range(40):

        def whole(node: Node | Indicator, unit: int, depth: int, draw: int = draw) -> float:
            if isinstance(node, Indicator):
                return float(given.scored.points[node.code][unit])
            parts = [
                (part.weight * drawn[part.code][draw], whole(part, unit, depth + 1)) for part in node.parts
            ]
            parts = [(weight, points) for weight, points in parts if not np.isnan(points)]
            whole_weight = sum(weight for weight, _ in parts)
            if not parts:
                return np.nan
            if given.tree.ways[depth] is A:
                return sum(weight * points for weight, points in parts) / whole_weight
            return float(np.prod([points ** (weight / whole_weight) for weight, points in parts]))

        totals = [whole(given.tree.root, unit, 0) for unit in range(6)]
        for unit in range(5):
            share[unit, sum(other > totals[unit] for other in totals)] += 1 / 40
            above[unit] += [totals[unit] > other for other in totals]
    np.testing.assert_allclose(found.share, share)
    np.testing.assert_allclose(found.surely_above, above / 40)
    for unit in range(5):
        places = np.repeat(np.arange(1, 7), np.round(share[unit] * 40).astype(int))
        assert (found.low[unit], found.high[unit]) == (places[1], places[37])  # 5 % and 95 % of 40


def test_a_unit_without_a_score_has_no_place_and_is_in_no_group() -> None:
    found = robust.ranks(some())
    assert found.share.sum(axis=1) == pytest.approx([1, 1, 1, 1, 1, 0])
    assert (found.low[5], found.high[5], found.ranks[5]) == (0, 0, 0)
    assert sorted(code for group in found.groups() for code in group) == [f"u{k:02}" for k in range(5)]


def test_places_hang_on_the_seed_and_neither_on_the_order_of_units_nor_on_other_indicators() -> None:
    given, order = some(), [3, 1, 5, 0, 4, 2]
    turned = replace(
        given, units=tuple(given.units[k] for k in order), scored=given.scored.take(np.array(order))
    )
    one, other = robust.ranks(given, seed=7), robust.ranks(turned, seed=7)
    np.testing.assert_array_equal(one.share[order], other.share)
    np.testing.assert_array_equal(one.surely_above[np.ix_(order, order)], other.surely_above)
    assert one.groups() == other.groups()
    np.testing.assert_array_equal(robust.ranks(given, seed=7).share, one.share)
    assert (robust.ranks(given, seed=8).share != one.share).any()


def test_a_unit_better_in_everything_is_always_above_and_without_spread_places_are_those_of_the_board() -> (
    None
):
    given = board(tree(), {code: [30, 50, 50, 90] for code in CODES})
    found = robust.ranks(given)
    assert found.groups() == [["u03"], ["u01", "u02"], ["u00"]]
    assert found.low.tolist() == found.high.tolist() == [4, 2, 2, 1]  # equal ones share the better place
    still = robust.ranks(some(), draws=3, spread=0.0)
    assert still.low.tolist() == still.high.tolist() == some().ranks.tolist()


def test_scores_apart_by_a_hair_swap_places_in_half_of_the_draws() -> None:
    # Two indicators of equal weight that trade places: who is above hangs on which got more weight.
    given = board(flat([leaf("a", 0.5), leaf("b", 0.5)]), {"a": [60, 40], "b": [40, 60.0001]})
    found = robust.ranks(given, draws=4000)
    assert found.surely_above[0, 1] == pytest.approx(0.5, abs=0.04)
    assert found.groups() == [["u01", "u00"]]


def shares(above: list[list[float]], ranks: list[int]) -> RankShares:
    n = len(ranks)
    units = tuple(Unit(chr(ord("a") + k), "") for k in range(n))
    none = np.zeros(n, int)
    return RankShares(units, np.zeros((n, n)), none, none, np.reshape(above, (n, n)), np.array(ranks, int))


def test_groups_are_cut_only_where_all_above_are_surely_above_all_below() -> None:
    # a beats b and c, b beats c, all but b against c surely; d is last beyond doubt.
    above = [[0, 0.96, 1, 1], [0.04, 0, 0.9, 1], [0, 0.1, 0, 0.95], [0, 0, 0.05, 0]]
    assert shares(above, [1, 2, 3, 4]).groups() == [["a"], ["b", "c"], ["d"]]
    # A chain: neighbours cannot be told apart, so neither is cut, though a is surely above c.
    chain = [[0, 0.8, 1], [0.2, 0, 0.8], [0, 0.2, 0]]
    assert shares(chain, [1, 2, 3]).groups() == [["a", "b", "c"]]
    assert shares([], []).groups() == []


def test_a_quarter_is_placed_by_the_mean_of_its_months_under_the_same_weights() -> None:
    months = [months_before(LAST, back) for back in (2, 1, 0)]
    boards = [replace(some(1), month=month) for month in months]
    quarter = spans.over(boards, Period(LAST, Span.QUARTER))
    one, three = robust.ranks(some(1)), robust.ranks(quarter)
    np.testing.assert_array_equal(one.share, three.share)  # three times the same month
    other = spans.over([boards[0], boards[1], replace(some(2), month=LAST)], Period(LAST, Span.QUARTER))
    assert (robust.ranks(other).share != one.share).any()


@pytest.mark.parametrize(("field", "wrong"), [("draws", 0), ("spread", 1.0), ("spread", -0.1)])
def test_what_cannot_be_drawn_is_refused(field: str, wrong: float) -> None:
    with pytest.raises(InputError, match=field):
        robust.ranks(some(), **{field: wrong})  # type: ignore[arg-type]

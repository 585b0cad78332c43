"""Seasons that were planted are found, none where none is; periods are means whose parts sum exactly."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmgmt.errors import NotEnoughDataError
from gridmgmt.index import season, spans
from gridmgmt.index.periods import Period, Span, months_before
from gridmgmt.index.scoring import Floats
from gridmgmt.index.spans import SpanBoard
from gridmgmt.index.stored import Board
from gridmgmt.index.tree import Gap
from tests.unit.index_world import LAST, G, board, flat, leaf, of_scores

WAVE = 3 * np.cos(2 * np.pi * (np.arange(12) - 1) / 12)  # three points up in February, down in August
TOWNS = 16


def calendar(months: int) -> Floats:
    """Return which month of the year (0 to 11) each month of a series up to December is."""
    return np.arange(-months, 0) % 12


def world(
    rng: np.random.Generator, months: int, wave: Floats = WAVE, own: float = 0.0
) -> tuple[Floats, Floats]:
    """Return scores (months, towns) around 75 that rise by a point a year, and each town's true season."""
    true = wave[:, None] + (rng.normal(0, own, (12, TOWNS)) if own else np.zeros((12, TOWNS)))
    true = true - true.mean(axis=0)
    trend = np.arange(months)[:, None] / 12 + rng.normal(0, 5, TOWNS)
    chance = rng.normal(0, 0.5, (months, 1)) + rng.normal(0, 1.5, (months, TOWNS))
    return 75 + trend + true[calendar(months)] + chance, true


# --- season


@pytest.mark.parametrize("months", [24, 25, 36, 48])
def test_a_season_without_chance_is_found_to_the_last_digit(months: int) -> None:
    scores = 70 + np.arange(TOWNS) / 4 + np.arange(months)[:, None] / 12 + WAVE[calendar(months)][:, None]
    found = season.adjust(of_scores(scores))
    assert (found.enough, found.why) == (True, "已剔除季节影响")
    np.testing.assert_allclose(found.effect, WAVE, atol=1e-6)
    np.testing.assert_allclose(found.own, 0, atol=1e-6)
    np.testing.assert_allclose(np.diff(found.adjusted, axis=0), 1 / 12, atol=1e-6)


def test_planted_seasons_are_found_with_little_bias_and_error() -> None:
    rng = np.random.default_rng(20)
    errors = []
    for _ in range(60):
        scores, true = world(rng, 36)
        errors.append(season.adjust(of_scores(scores)).effect - true.mean(axis=1))
    assert np.abs(np.mean(errors, axis=0)).max() < 0.25  # of a wave of ±3
    assert np.sqrt(np.mean(np.square(errors))) < 0.45


def test_where_no_season_is_planted_none_is_found_but_by_chance() -> None:
    rng = np.random.default_rng(21)
    none = [season.adjust(of_scores(world(rng, 36, 0 * WAVE)[0])) for _ in range(100)]
    assert sum(bool(each.effect.any() or each.own.any()) for each in none) <= 11  # 5 of 100 expected
    quiet = next(each for each in none if not each.effect.any())
    assert (quiet.enough, quiet.why) == (True, "没有发现高于偶然的季节规律，得分未作调整")


def test_a_town_s_own_season_is_drawn_to_that_of_all_as_far_as_its_months_say_little() -> None:
    rng = np.random.default_rng(22)
    drawn, pooled, alone = [], [], []
    for _ in range(40):
        scores, true = world(rng, 36, own=1.0)
        found = season.adjust(of_scores(scores))
        drawn.append(found.effect[:, None] + found.own - true)
        pooled.append(found.effect[:, None] - true)
        raw = np.array([scores[calendar(36) == month].mean(axis=0) for month in range(12)])
        alone.append(raw - raw.mean(axis=0) - true)
    size = [float(np.square(each).mean()) for each in (drawn, pooled, alone)]
    assert size[0] < 0.7 * size[1]  # than one season for all
    assert size[0] < 0.9 * size[2]  # than each town's own means
    same = season.adjust(of_scores(world(rng, 36)[0]))
    assert np.abs(same.own).mean() < 0.35  # where all have the same, little is made up


def test_a_fall_in_the_newest_month_is_not_taken_for_the_season() -> None:
    scores, _ = world(np.random.default_rng(23), 37)
    fallen = scores.copy()
    fallen[-1, 0] -= 15
    one, other = (season.adjust(of_scores(each)) for each in (scores, fallen))
    np.testing.assert_array_equal(one.effect, other.effect)
    np.testing.assert_allclose((other.adjusted - one.adjusted)[-1, 0], -15)


def test_a_new_tree_is_a_step_and_no_season() -> None:
    versions = [1] * 20 + [2] * 16
    scores, true = world(np.random.default_rng(24), 36)
    one = season.adjust(of_scores(scores, versions=versions))
    other = season.adjust(of_scores(scores - 20 * (np.array(versions) == 2)[:, None], versions=versions))
    np.testing.assert_allclose(one.effect, other.effect, atol=1e-6)
    assert np.sqrt(np.mean(np.square(one.effect - true.mean(axis=1)))) < 0.6


def test_a_town_with_a_gap_follows_the_others() -> None:
    scores, _ = world(np.random.default_rng(25), 36, own=1.0)
    scores[5, 3] = np.nan
    found = season.adjust(of_scores(scores))
    assert not found.own[:, 3].any()
    assert found.own[:, 2].any()
    assert np.isnan(found.adjusted[5, 3])
    np.testing.assert_allclose(found.adjusted[6, 3], scores[6, 3] - found.effect[calendar(36)[6]])


@pytest.mark.parametrize(
    ("months", "why"),
    [
        (list(range(23, 0, -1)), "只有23个月"),
        # 26 months, but January is there once.
        ([back for back in range(36, 0, -1) if back == 12 or (back % 12 and back % 6 != 0)], "两个完整年度"),
    ],
)
def test_too_few_months_are_left_as_they_are_and_say_so(months: list[int], why: str) -> None:
    rng = np.random.default_rng(26)
    last = date(2026, 1, 1)
    boards = [of_scores(rng.uniform(60, 80, (1, 3)), months_before(last, back))[0] for back in months]
    found = season.adjust(boards)
    assert not found.enough
    assert why in found.why
    assert not found.effect.any()
    np.testing.assert_array_equal(found.adjusted, [each.scored.total for each in boards])


def test_trees_that_change_every_january_leave_the_season_unknown() -> None:
    scores, _ = world(np.random.default_rng(27), 36)
    found = season.adjust(of_scores(scores, versions=[1] * 12 + [2] * 12 + [3] * 12))
    assert (found.enough, found.why) == (False, "指标体系更换过于频繁，不能剔除季节影响")


def test_without_months_or_whole_units_nothing_is_adjusted() -> None:
    assert season.adjust([]).adjusted.shape == (0, 0)
    scores = np.full((24, 2), 70.0)
    scores[3, 0] = scores[4, 1] = np.nan
    assert season.adjust(of_scores(scores)).why == "没有一个单位各月都有得分，不能剔除季节影响"


def test_the_same_month_of_the_year_before_stands_beside() -> None:
    scores = np.arange(15.0)[:, None] * [1.0, 2.0]
    found = season.adjust(of_scores(scores))
    assert np.isnan(found.year_before[:12]).all()
    np.testing.assert_array_equal(found.year_before[12:], [[12, 24]] * 3)


# --- periods

CODES = ("a", "b", "c")
QUARTER = Period(LAST, Span.QUARTER)


@st.composite
def quarters(draw: st.DrawFn) -> list[Board]:
    """Return boards of some of the six months up to December, of two versions of a tree."""
    one = st.one_of(st.just(float("nan")), st.integers(0, 100).map(float))
    old = flat([leaf("a", 0.5, gap=Gap.WORST), leaf("b", 0.5)])
    new = flat([leaf("b", 0.2), leaf("c", 0.8)], G)
    there = draw(st.sets(st.integers(0, 5), min_size=1))
    boards = []
    for back in sorted(there, reverse=True):
        tree, version = (old, 1) if back > draw(st.sampled_from([1, 3])) else (new, 2)
        row = {code: draw(st.lists(one, min_size=2, max_size=2)) for code in CODES}
        boards.append(board(tree, row, months_before(LAST, back), version))
    return boards


def added(parts: object) -> Floats:
    return np.sum(list(parts.values()) or [np.zeros(2)], axis=0)  # type: ignore[attr-defined]


@settings(max_examples=80)
@given(quarters())
def test_what_indicators_add_to_a_period_sums_to_its_score(boards: list[Board]) -> None:
    found = spans.over(boards, QUARTER)
    inside = [each.scored.total for each in boards if each.month in QUARTER.months]
    assert found.complete == (len(inside) == 3)
    for n, total in enumerate(found.total):
        known = [each[n] for each in inside if not np.isnan(each[n])]
        assert total == pytest.approx(np.mean(known) if known else np.nan, nan_ok=True)
    if inside:
        np.testing.assert_allclose(added(found.gained), found.total, atol=1e-9)
        np.testing.assert_allclose(added(found.lost), 100 - found.total, atol=1e-9)


@settings(max_examples=80)
@given(quarters())
def test_a_change_of_periods_is_the_mean_of_its_pairs_and_the_sum_of_its_parts(boards: list[Board]) -> None:
    before, after = spans.over(boards, QUARTER.before), spans.over(boards, QUARTER)
    found = spans.change(before, after)
    np.testing.assert_allclose(
        added(found.moved) + added(found.weighed) + 0 * found.total, found.total, atol=1e-9
    )
    month = {each.month: each.scored.total for each in boards}
    pairs = [(month.get(months_before(each, 3)), month.get(each)) for each in QUARTER.months]
    for n in range(2):
        both = [b[n] - a[n] for a, b in pairs if a is not None and b is not None]
        both = [each for each in both if not np.isnan(each)]
        assert found.pairs[n] == len(both)
        assert found.total[n] == pytest.approx(np.mean(both) if both else np.nan, nan_ok=True)
        if len(both) == 3:
            assert found.total[n] == pytest.approx(after.total[n] - before.total[n])


def year(values: Sequence[float]) -> list[Board]:
    return of_scores(np.array(values)[:, None])


@pytest.mark.parametrize(
    ("span", "score"), [(Span.MONTH, 24), (Span.QUARTER, 23), (Span.HALF, 21.5), (Span.YEAR, 18.5)]
)
def test_every_span_is_the_mean_of_its_months_and_moves_as_they_do(span: Span, score: float) -> None:
    boards = year(range(1, 25))
    now = spans.over(boards, Period(LAST, span))
    before = spans.over(boards, Period(LAST, span).before)
    assert (now.complete, before.complete) == (True, True)
    assert now.total == pytest.approx([score])
    assert spans.change(before, now).total == pytest.approx(now.total - before.total)


def test_a_month_that_was_not_built_is_left_out_of_both_sides_of_a_change() -> None:
    boards = year([10, 20, 60, 12, 23, 90])
    whole = spans.change(spans.over(boards, QUARTER.before), spans.over(boards, QUARTER))
    assert (whole.total[0], whole.pairs[0]) == (pytest.approx((2 + 3 + 30) / 3), 3)
    now = spans.over(boards[:5], QUARTER)
    assert (now.complete, now.total[0]) == (False, 17.5)
    part = spans.change(spans.over(boards, QUARTER.before), now)
    assert (part.total[0], part.pairs[0]) == (2.5, 2)  # and not 17.5 - 30


def test_a_period_without_a_month_has_no_scores_and_without_any_board_there_is_no_period() -> None:
    boards = year([50, 60])
    nothing = spans.over(boards, QUARTER.before)
    assert (nothing.boards, nothing.complete) == ((), False)
    assert np.isnan(nothing.total).all()
    assert nothing.ranks.tolist() == [0]
    assert np.isnan(spans.change(nothing, spans.over(boards, QUARTER)).total).all()
    with pytest.raises(NotEnoughDataError):
        spans.over([], QUARTER)


def test_codes_of_all_versions_within_a_period_have_names() -> None:
    old = board(flat([leaf("a")]), {"a": [40]}, months_before(LAST, 1))
    new = board(flat([leaf("b")]), {"b": [80]}, LAST, 2)
    found: SpanBoard = spans.over([old, new], QUARTER)
    assert {"a", "b"} <= found.by_code.keys()
    assert {code: float(each[0]) for code, each in found.gained.items()} == {"b": 40.0, "a": 20.0}
    assert found.tree is new.tree
    assert replace(found, boards=()).by_code == new.tree.by_code

import csv
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gridmgmt.errors import InputError, NotEnoughDataError
from gridmgmt.seasonal.windows import (
    Window,
    circular_scan,
    circular_scan_many,
    walter_elwood,
    warm_up,
)

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "published" / "seasonality"
DAYS = np.tile([10.0, 10.0, 10.4], 12)  # days of the 36 xun, about
YEAR = arrays(np.int64, 12, elements=st.integers(0, 40)).filter(lambda c: c.sum() > 0)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    warm_up()


def best_by_hand(counts: np.ndarray, exposure: np.ndarray) -> float:
    """The largest log-likelihood ratio, straight from the formula."""
    total, best = counts.sum(), 0.0
    for start in range(len(counts)):
        for length in range(1, len(counts) // 2 + 1):
            inside = (start + np.arange(length)) % len(counts)
            c, e = counts[inside].sum(), total * exposure[inside].sum() / exposure.sum()
            if c > e:
                out = (total - c) * np.log((total - c) / (total - e)) if c < total else 0.0
                best = max(best, c * np.log(c / e) + out)
    return best


@settings(max_examples=40, deadline=None)
@given(YEAR, st.integers(0, 11), st.floats(0.1, 100))
def test_turning_the_year_turns_the_window_and_a_unit_changes_nothing(
    counts: np.ndarray, turn: int, unit: float
) -> None:
    exposure = np.linspace(1, 2, 12)
    found = circular_scan(counts, exposure, 9)
    turned = circular_scan(np.roll(counts, turn), np.roll(exposure, turn), 9)
    scaled = circular_scan(counts, exposure * unit, 9)
    assert (scaled.start, scaled.length) == (found.start, found.length)
    assert turned.ratio == pytest.approx(found.ratio)
    assert turned.length == found.length
    if found.length:
        assert turned.start == (found.start + turn) % 12


@settings(max_examples=40, deadline=None)
@given(YEAR)
def test_the_window_has_the_largest_likelihood_ratio_of_all(counts: np.ndarray) -> None:
    exposure = np.linspace(1, 2, 12)
    found = circular_scan(counts, exposure, 1)
    best = best_by_hand(counts, exposure)
    if found.length == 0:
        assert best < 1e-9
        assert found == Window(-1, 0, 1.0, 1.0)
        return
    inside = (found.start + np.arange(found.length)) % 12
    c, out = counts[inside].sum(), counts.sum() - counts[inside].sum()
    e = exposure[inside].sum()
    rate_out = out / (exposure.sum() - e)
    assert found.ratio == (np.inf if out == 0 else pytest.approx((c / e) / rate_out))
    share = e / exposure.sum()
    value = c * np.log(c / (counts.sum() * share))
    value += out * np.log(out / (counts.sum() * (1 - share))) if out else 0.0
    assert value == pytest.approx(best, abs=1e-8)


@pytest.mark.parametrize("total", [8, 300, 5000])  # one by one; by inversion; by rejection
def test_p_equals_a_plain_simulation(total: int) -> None:
    rng = np.random.default_rng(total)
    exposure = np.linspace(1, 3, 12)
    tilted = exposure * np.where(np.arange(12) < 3, 1 + 3 / np.sqrt(total), 1)
    counts = rng.multinomial(total, tilted / tilted.sum())
    observed = best_by_hand(counts, exposure)
    null = rng.multinomial(total, exposure / exposure.sum(), 1500)
    plain = np.mean([best_by_hand(row, exposure) >= observed - 1e-9 for row in null])
    error = np.sqrt(plain * (1 - plain) / 1500)
    assert circular_scan(counts, exposure, 19_999).p == pytest.approx(plain, abs=3.5 * error + 0.002)


@pytest.mark.parametrize("stop", [10, None])
def test_without_a_season_p_has_the_size_it_claims(stop: int | None) -> None:
    rng = np.random.default_rng(3)
    totals = rng.choice([30, 200, 900, 4000], 3000)
    p = circular_scan_many(rng.multinomial(totals, DAYS / DAYS.sum()), DAYS, 199, stop_after=stop).p
    for level in (0.05, 0.2):
        assert (p <= level).mean() == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / 3000))


def test_a_planted_window_across_new_year_is_found() -> None:
    rate = DAYS * np.where(np.isin(np.arange(36), [34, 35, 0, 1]), 4, 1)
    counts = np.random.default_rng(8).multinomial(400, rate / rate.sum())
    found = circular_scan(counts, DAYS)
    assert (found.start, found.length, found.p) == (34, 4, 0.001)
    assert found.ratio == pytest.approx(4, rel=0.25)


def test_a_row_is_the_same_alone_among_others_and_on_any_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(4)
    rows = rng.poisson(rng.choice([0.2, 3, 40], (70, 1)), (70, 36))
    exposure = rng.uniform(0.5, 2, (70, 36))
    found = []
    for threads in (1, 2):
        monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", threads)
        found.append(circular_scan_many(rows, exposure, 99, seed=2))
    one, two = found
    for name in ("start", "length", "ratio", "p", "draws"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    backwards = circular_scan_many(rows[::-1], exposure[::-1], 99, seed=2)
    assert np.array_equal(backwards.p[::-1], one.p)
    full = circular_scan_many(rows, exposure, 99, seed=2, stop_after=None)
    for row in (0, 33, 69):
        assert circular_scan(rows[row], exposure[row], 99, seed=2).p == full.p[row]
    # Stopping early never changes a row that fewer than ten replications reached.
    clear = full.p < 10 / 100
    assert np.array_equal(one.p[clear], full.p[clear])
    assert (one.draws[~clear] <= 99).all()


def test_rows_without_matters_or_window_say_so() -> None:
    found = circular_scan_many([[0, 0, 0, 0], [2, 2, 2, 2], [0, 3, 0, 0]], [1, 1, 1, 1], 99)
    assert found.draws.tolist()[0] == 0
    assert np.isnan(found.ratio[0])
    assert found.p[0] == 1
    assert found.start.tolist() == [-1, -1, 1]
    assert found.length.tolist() == [0, 0, 1]
    assert found.ratio[1:].tolist() == [1, np.inf]
    assert found.p[1] == 1
    with pytest.raises(NotEnoughDataError):
        circular_scan([0, 0, 0, 0], [1, 1, 1, 1])


def test_bins_without_exposure_are_never_drawn() -> None:
    exposure = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1e-9, 0.0])
    for total in (40, 4000):  # a matter drawn at the tiny or empty bin would reach the observed window
        counts = np.array([0, total // 4, total // 4, 0, total // 4, total // 4, 1, 0])
        assert circular_scan(counts, exposure, 999).p == 0.001


@pytest.mark.parametrize(
    ("counts", "exposure", "more"),
    [
        ([1, 2, -1], [1, 1, 1], {}),
        ([1, 2, 0.5], [1, 1, 1], {}),
        ([1, 2, np.nan], [1, 1, 1], {}),
        ([1, 2, 3], [1, 1], {}),
        ([1, 2, 3], [1, 1, -1], {}),
        ([1, 2, 3], [1, 1, np.inf], {}),
        ([1, 2, 3], [1, 1, 0], {}),
        ([1, 2, 3], [1, 1, 1], {"max_length": 3}),
        ([1, 2, 3], [1, 1, 1], {"min_length": 2}),
        ([1, 2, 3], [1, 1, 1], {"replications": 0}),
        ([[1, 2, 3]], [1, 1, 1], {}),
    ],
)
def test_input_that_makes_no_sense_is_refused(counts: list, exposure: list, more: dict) -> None:
    with pytest.raises(InputError):
        circular_scan(counts, exposure, **more)


def test_walter_elwood_ignores_unit_and_where_the_year_begins_and_holds_its_size() -> None:
    rng = np.random.default_rng(5)
    exposure = np.linspace(1, 2, 12)
    counts = rng.multinomial(600, exposure / exposure.sum())
    stat, p = walter_elwood(counts, exposure)
    assert walter_elwood(np.roll(counts, 5), 7 * np.roll(exposure, 5)) == pytest.approx((stat, p))
    null = [walter_elwood(c, exposure)[1] for c in rng.multinomial(600, exposure / exposure.sum(), 2000)]
    assert np.mean(np.array(null) <= 0.05) == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 2000))
    with pytest.raises(NotEnoughDataError):
        walter_elwood([0, 0, 0], [1, 1, 1])


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="published reference data not beside the repository")
def test_walter_elwood_on_stillbirths_equals_the_r_package_season() -> None:
    # R package season (GPL), wtest() on its data set stillbirth by month.
    with (PUBLISHED / "stillbirth_monthly.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = walter_elwood([int(row["success"]) for row in rows], [float(row["trials"]) for row in rows])
    assert found == pytest.approx((6.900638, 0.03173551), abs=1e-6)


def test_the_bound_on_the_tail_is_never_too_small_and_not_far_off() -> None:
    exposure = [10.0] * 36
    counts = [1] * 36
    counts[4], counts[5] = 7, 7
    drawn = circular_scan_many([counts], exposure, 200_000, stop_after=None)
    assert 2e-5 < drawn.p[0] < 2e-3
    few = circular_scan_many([counts], exposure, 99, bounded_tail=True)
    # 99 draws alone could say no less than 0.01.
    assert drawn.p[0] <= few.p[0] <= 10 * drawn.p[0]
    plain = circular_scan_many([counts], exposure, 99)
    assert (few.start, few.length, few.ratio) == (plain.start, plain.length, plain.ratio)
    assert plain.p[0] == 0.01


def test_where_draws_reached_it_the_bound_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson(3, (40, 36))
    bounded, plain = (
        circular_scan_many(counts, [1.0] * 36, 199, seed=1, bounded_tail=flag) for flag in (True, False)
    )
    assert np.array_equal(bounded.p, plain.p)
    clear = np.where(np.arange(36) < 3, 400, 5)
    far = circular_scan_many([clear], [1.0] * 36, 199, bounded_tail=True).p[0]
    assert far == 1e-300

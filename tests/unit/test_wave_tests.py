"""The harmonic test: silent without a season, also where one event brings many calls."""

import numpy as np
import pytest

from gridmgmt.errors import InputError, NotEnoughDataError
from gridmgmt.seasonal.wave_tests import harmonic_test
from gridmgmt.seasonal.windows import walter_elwood

DAYS = np.tile(np.array([10.0, 10, 11] * 12), (4, 1))


def bursts(rng: np.random.Generator, years: int = 4) -> np.ndarray:
    """Few events a year, each with about ten calls, at any time."""
    table = np.zeros((years, 36))
    for year in range(years):
        for xun in rng.integers(0, 36, rng.poisson(8)):
            table[year, xun] += rng.poisson(10)
    return table


def test_a_wave_is_found_and_its_strength_orders_the_statistic() -> None:
    rng = np.random.default_rng(1)
    wave = np.cos(2 * np.pi * (np.arange(36) + 0.5) / 36)
    found = [harmonic_test(rng.poisson(DAYS * 0.5 * (1 + size * wave)), DAYS) for size in (0.2, 0.5, 0.9)]
    assert [p for _, p in found[1:]] == [0.005, 0.005]
    assert [statistic for statistic, _ in found] == sorted(statistic for statistic, _ in found)


def test_without_a_season_one_in_twenty_is_called_one() -> None:
    rng = np.random.default_rng(2)
    mean = DAYS * 0.3
    for table in (lambda: rng.poisson(mean), lambda: rng.negative_binomial(2.0, 2 / (2 + mean))):
        p = [harmonic_test(table(), DAYS, seed=seed)[1] for seed in range(300)]
        assert sum(each <= 0.05 for each in p) <= 28  # Binomial(300, 0.05): in 99.9 % of cases


def test_one_event_with_many_calls_seldom_passes_for_a_season() -> None:
    # Bursts are no negative binomial: of the nominal 5 % come about 11 %. Taken for independent calls, 90 %.
    rng = np.random.default_rng(3)
    tables = [bursts(rng) for _ in range(200)]
    ours = sum(harmonic_test(table, DAYS, seed=1)[1] <= 0.05 for table in tables)
    fooled = sum(walter_elwood(table.sum(axis=0), DAYS.sum(axis=0))[1] <= 0.05 for table in tables)
    assert ours <= 40
    assert fooled >= 150


def test_years_of_different_size_are_no_season() -> None:
    rng = np.random.default_rng(4)
    rates = np.array([[0.1], [0.4], [1.6], [3.0]])
    p = [harmonic_test(rng.poisson(DAYS * rates), DAYS, seed=seed)[1] for seed in range(100)]
    assert sum(each <= 0.05 for each in p) <= 13


def test_the_same_seed_gives_the_same_answer_and_bad_tables_are_refused() -> None:
    counts = np.random.default_rng(5).poisson(DAYS * 0.3)
    assert harmonic_test(counts, DAYS, seed=7) == harmonic_test(counts, DAYS, seed=7)
    with pytest.raises(NotEnoughDataError, match="0 matters"):
        harmonic_test(counts * 0, DAYS)
    with pytest.raises(NotEnoughDataError, match="1 years"):
        harmonic_test(counts[:1], DAYS[:1])
    with pytest.raises(InputError, match="one shape"):
        harmonic_test(counts, DAYS[0])
    with pytest.raises(InputError, match="no exposure"):
        harmonic_test(counts + 1, DAYS * 0)

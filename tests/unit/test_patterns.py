"""Patterns over the months in small cities: what grows, what stays, what comes back, and what is nothing."""

from datetime import date

import numpy as np
import pytest

from gridmgmt.grids.service import GridSet
from gridmgmt.hotspots.areas import Columns, Exposure
from gridmgmt.hotspots.cube import Located
from gridmgmt.hotspots.patterns import Months, Patterns, find_patterns, pattern_name
from gridmgmt.hotspots.statistics.trend import Pattern
from gridmgmt.hotspots.statistics.weights import Weights

SIDE = 14
CELLS = SIDE * SIDE
FOUR_YEARS = (date(2022, 1, 1), date(2025, 12, 31))
MONTH = np.arange(48)
CORNER = np.array([31, 32, 33, 45, 46, 47])


def lattice() -> Weights:
    row, column = np.divmod(np.arange(CELLS), SIDE)
    near = (abs(row[:, None] - row) <= 1) & (abs(column[:, None] - column) <= 1)
    i, j = np.nonzero(near & ~np.eye(CELLS, dtype=bool))
    return Weights.from_pairs(CELLS, i, j).with_self()


def found_in(*rates: np.ndarray, period: tuple[date, date] = FOUR_YEARS, seed: int = 1) -> Patterns | None:
    """Draw matters a month from rates (cells, 48), one column each, and classify them."""
    rng = np.random.default_rng(seed)
    cell, month, category = [], [], []
    for column, rate in enumerate(rates):
        counts = rng.poisson(rate)
        cell.append(np.repeat(np.repeat(np.arange(CELLS), 48), counts.ravel()))
        month.append(np.repeat(np.tile(MONTH, CELLS), counts.ravel()))
        category.append(np.full(counts.sum(), column))
    cells = np.concatenate(cell)
    months = (np.datetime64("2022-01", "M") + np.concatenate(month)).astype("datetime64[D]")
    names = tuple(str(k) for k in range(len(rates)))
    nowhere = np.full(len(cells), np.nan)
    located = Located(
        GridSet(np.empty(0, int), (), (), (), np.empty(0, object)),
        cells, cells, np.concatenate(category), months + rng.integers(0, 28, len(cells)), names,
        nowhere, nowhere,
    )  # fmt: skip
    columns = Columns(names, np.eye(len(rates), dtype=bool))
    return find_patterns(
        located, cells, columns, Exposure("households", np.full(CELLS, 0.3), None), lattice(), period, seed
    )


def flat(rate: float = 0.4) -> np.ndarray:
    return np.full((CELLS, 48), rate)


def planted(factor: np.ndarray) -> np.ndarray:
    rate = flat()
    rate[CORNER] *= factor
    return rate


def test_what_grows_stays_and_comes_back_is_told_apart() -> None:
    grows = planted(np.where(MONTH < 24, 1, np.linspace(1, 14, 48)))
    stays = planted(np.full(48, 8.0))
    summer = planted(np.where(np.isin(MONTH % 12, (5, 6, 7)), 14.0, 0.5))
    found = found_in(grows, stays, summer)
    assert found is not None
    assert (found.months, found.step) == (48, 6)
    inner = CORNER[[1, 4]]  # surrounded by others of the planted
    growing = {Pattern.NEW_HOT, Pattern.CONSECUTIVE_HOT, Pattern.INTENSIFYING_HOT}
    assert {Pattern(code) for code in found.code[inner, 0]} <= growing
    assert {Pattern(code) for code in found.code[inner, 1]} <= {Pattern.PERSISTENT_HOT}
    assert (found.hot_steps[inner, 1] == 8).all()
    assert {Pattern(code) for code in found.code[inner, 2]} == {Pattern.SEASONAL_HOT}
    assert set(found.season_step[inner, 2]) <= {5, 6, 7}
    assert found.growing[inner, 0].all()
    assert found.seasonal[inner, 2].all()
    assert not found.growing[inner, 2].any()


def test_a_season_of_the_whole_city_is_no_growth_anywhere() -> None:
    autumn = np.where(MONTH % 12 >= 9, 3.0, 0.2) * flat()
    found = found_in(autumn)
    assert found is not None
    assert found.growing.sum() <= 2


def test_even_cities_have_hardly_a_pattern() -> None:
    called = 0
    for seed in range(20):
        found = found_in(flat(0.05), flat(0.5), seed=seed)
        assert found is not None
        called += bool((found.code != 0).any())
    assert called <= 4  # of 20 at 5 %: the 99.7 % point of the binomial


def test_under_two_years_nothing_is_said() -> None:
    assert found_in(flat(), period=(date(2024, 1, 5), date(2025, 12, 31))) is None


def test_months_are_the_full_ones_of_the_period() -> None:
    months = Months.within(date(2024, 1, 5), date(2024, 4, 29))
    assert months.days.tolist() == [29, 31]
    days = np.array(["2024-01-31", "2024-02-01", "2024-03-31", "2024-04-01"], dtype="datetime64[D]")
    assert months.of(days).tolist() == [-1, 0, 1, -1]
    assert len(Months.within(date(2024, 1, 5), date(2024, 1, 20))) == 0


@pytest.mark.parametrize("pattern", [each for each in Pattern if each])
def test_every_pattern_has_a_name_in_both_languages(pattern: Pattern) -> None:
    name = pattern_name(pattern.name.lower())
    assert name is not None
    assert name.zh.endswith("冷点" if pattern < 0 else "热点")
    assert name.en

"""From a season to the lines of a list: a world of two towns with four grids each."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from gridmgmt.grids.service import GridSet
from gridmgmt.hotspots.cube import Located
from gridmgmt.hotspots.statistics.weights import Weights
from gridmgmt.seasonal import clocks
from gridmgmt.seasonal.actions import Action
from gridmgmt.seasonal.expected import fit
from gridmgmt.seasonal.finder import Finder, Finding
from gridmgmt.seasonal.forecast import Expected
from gridmgmt.seasonal.history import History
from gridmgmt.seasonal.listing import Line, SeasonLines, between_seasons, within_capacity
from gridmgmt.seasonal.score import null_lists

YEARS = range(2022, 2026)
DAYS = clocks.days_between(date(2022, 1, 1), date(2025, 12, 31))
CODES = tuple(f"99010100{town}001{grid:03d}" for town in (1, 2) for grid in (1, 2, 3, 4))
ACT = Action("疏通排水", lead_days=20)
Matters = list[tuple[int, int, date]]  # category, grid, day


def located(matters: Matters) -> Located:
    category, grid, day = zip(*matters, strict=True)
    n = len(matters)
    empty = np.array([None] * len(CODES), dtype=object)
    grids = GridSet(np.arange(len(CODES)), CODES, CODES, tuple(code[:12] for code in CODES), empty)
    nowhere = np.full(n, np.nan)
    return Located(
        grids, np.array(grid), np.full(n, -1), np.array(category), np.array(day, dtype="datetime64[D]"),
        tuple(f"010{k + 1}" for k in range(max(category) + 1)), nowhere, nowhere,
    )  # fmt: skip


def all_year(rng: np.random.Generator, category: int, a_year: float) -> Matters:
    return [
        (category, grid, date(year, 1, 1) + timedelta(int(day)))
        for year in YEARS
        for grid in range(len(CODES))
        for day in rng.integers(0, 365, rng.poisson(a_year))
    ]


def every_july(rng: np.random.Generator, category: int, by_grid: list[float], first: int = 1) -> Matters:
    return [
        (category, grid, date(year, 7, first) + timedelta(int(day)))
        for year in YEARS
        for grid, mean in enumerate(by_grid)
        for day in rng.integers(0, 31, rng.poisson(mean))
    ]


def found_in(matters: Matters) -> tuple[Located, Finding]:
    world = located(matters)
    return world, Finder(world, DAYS, seed=1).run()


def forecast(world: Located, year: int, category: int = 0) -> Expected:
    history = History(world.grid, world.category, world.day, len(CODES), len(world.categories), YEARS)
    near = Weights.from_pairs(8, [0, 1, 2, 4, 5, 6], [1, 2, 3, 5, 6, 7])
    return fit(history, near, np.repeat([0, 1], 4), year, [category])[0]


def lines_of(world: Located, finding: Finding, year: int = 2026, action: Action = ACT) -> list[Line]:
    candidate = finding.listed[0].candidate
    listed = [one for one in finding.listed if one.candidate is candidate]
    between = between_seasons([candidate])[0]
    return SeasonLines(candidate, listed, forecast(world, year), world, action, between).lines(year)


@pytest.fixture(scope="module")
def flooded() -> tuple[Located, Finding]:
    """July water: much in two grids of town 1, little in the other two; noise all year everywhere."""
    rng = np.random.default_rng(1)
    water = every_july(rng, 0, [20, 20, 1.2, 1.2, 0, 0, 0, 0])
    return found_in([*water, *all_year(rng, 0, 1.0), *all_year(rng, 1, 30)])


def test_the_finest_areas_that_carry_the_evidence_are_listed_and_the_rest_with_their_town(
    flooded: tuple[Located, Finding],
) -> None:
    lines = lines_of(*flooded)
    assert {line.area for line in lines} >= {CODES[0], CODES[1]}
    assert not [line for line in lines if line.area.startswith(CODES[4][:9])]
    assert {(line.start_on, line.end_on) for line in lines} == {(date(2026, 7, 1), date(2026, 7, 31))}
    assert all(line.act_by == date(2026, 6, 11) and line.lead_days == 20 for line in lines)
    assert all(line.start_on <= line.peak_on <= line.end_on for line in lines)


def test_an_item_expects_what_its_grids_expect_and_says_how_sure_it_is(
    flooded: tuple[Located, Finding],
) -> None:
    world, finding = flooded
    spans = [one.grids for one in finding.listed if one.candidate.season.clock == "gregorian"]
    assert len(np.concatenate(spans)) == len(np.unique(np.concatenate(spans)))  # no grid is counted twice
    whole = forecast(world, 2026).over(date(2026, 7, 1), date(2026, 7, 31))
    for line in lines_of(world, finding):
        if line.level == "grid":
            assert line.expected == pytest.approx(whole[CODES.index(line.area)])
        assert line.expected_low < line.expected < line.expected_high
        assert line.usual < line.expected
        assert [year["year"] for year in line.years] == list(YEARS)
        assert line.stable == 4
    first = next(line for line in lines_of(world, finding) if line.area == CODES[0])
    assert 15 < first.expected < 25


def test_what_was_expected_of_a_window_adds_up_over_its_days(flooded: tuple[Located, Finding]) -> None:
    fitted = forecast(flooded[0], 2026)
    whole = fitted.over(date(2026, 1, 1), date(2026, 12, 31))
    assert whole == pytest.approx(fitted.expected.sum(axis=1))
    parts = fitted.over(date(2026, 1, 1), date(2026, 7, 4)) + fitted.over(
        date(2026, 7, 5), date(2026, 12, 31)
    )
    assert parts == pytest.approx(whole)
    # The same days of the year after have as many, but for the length of February.
    assert fitted.over(date(2027, 7, 1), date(2027, 7, 31)) == pytest.approx(
        fitted.over(date(2026, 7, 1), date(2026, 7, 31))
    )


def test_without_a_set_lead_the_day_to_act_is_learnt_from_when_matters_came() -> None:
    rng = np.random.default_rng(2)
    # Two thirds of July's water, and some from 24 June: a trickle that comes before the window.
    early = [
        (0, grid, date(year, 6, 24) + timedelta(int(day)))
        for year in YEARS
        for grid in range(8)
        for day in rng.integers(0, 7, rng.poisson(1.5))
    ]
    world, finding = found_in([*every_july(rng, 0, [20.0] * 8), *early, *all_year(rng, 1, 30)])
    lines = lines_of(world, finding, action=Action("查"))
    assert all(line.lead_learnt for line in lines)
    (lead,) = {line.lead_days for line in lines}
    start = lines[0].start_on
    past = [start.replace(year=year) - timedelta(lead - 1) for year in YEARS]
    season = [day for category, _, day in [*zip(world.category, world.grid, world.day.tolist(), strict=True)]
              if category == 0]  # fmt: skip
    before = sum(any(day.year == each.year and day < each for each in past) for day in season)
    assert before <= 0.05 * len(season) + 1
    sharp, found = found_in([*every_july(rng, 0, [20.0] * 8), *all_year(rng, 1, 30)])
    assert {line.lead_days for line in lines_of(sharp, found, action=Action("查"))} == {1}


def test_an_area_takes_on_what_spares_most_and_says_what_it_cuts(flooded: tuple[Located, Finding]) -> None:
    line = next(line for line in lines_of(*flooded) if line.area == CODES[0])
    more = [
        replace(line, category=f"02{k}", expected=line.expected + k, act_by=date(2026, 6, 11 + k))
        for k in range(4)
    ]
    other = replace(more[0], area=CODES[1])
    later = replace(more[0], act_by=date(2026, 6, 21))
    marked = within_capacity([*more, other, later], 2, {})
    assert [each.cut for each in marked] == [True, True, False, False, False, False]
    # What treating was seen to spare counts: the best of 02-3 is nothing when treating it does not help.
    marked = within_capacity(more, 2, {"023": 0.0})
    assert [each.cut for each in marked] == [True, False, False, True]


def test_a_season_of_the_moon_is_listed_in_the_days_of_the_target_year() -> None:
    from gridmgmt.calendar import spring_festival

    rng = np.random.default_rng(3)
    wages = [
        (0, grid, spring_festival(year) - timedelta(1 + int(day)))
        for year in YEARS
        for grid in range(8)
        for day in rng.integers(0, 30, rng.poisson(15))
    ]
    inside = [each for each in wages if DAYS[0] <= np.datetime64(each[2])]
    world, finding = found_in([*inside, *all_year(rng, 0, 1.0), *all_year(rng, 1, 30)])
    for year in (2026, 2028):  # 17 February and 26 January: three weeks apart
        lines = lines_of(world, finding, year)
        assert {line.end_on for line in lines} == {spring_festival(year) - timedelta(1)}
        own = [line for line in lines if line.level == "grid"]
        assert own
        assert all(8 < line.expected < 25 for line in own)


def test_cities_without_a_season_stay_without_a_list() -> None:
    rng = np.random.default_rng(4)
    matters = [*all_year(rng, 0, 5), *all_year(rng, 1, 40), *every_july(rng, 2, [20.0] * 8)]
    matters += [each for category in range(3, 12) for each in all_year(rng, category, 12)]
    silent = list(null_lists(located(matters), 60, seed=5))
    # 5 % of 60 is 3; 99 % of the time at most 8.
    assert sum(map(bool, silent)) <= 8
    _, finding = found_in(matters)
    assert {one.candidate.category for one in finding.listed} == {"0103"}


def test_loud_events_at_any_time_make_no_list() -> None:
    rng = np.random.default_rng(6)
    matters: Matters = []
    for category in range(12):
        matters += all_year(rng, category, 6)
        for year in YEARS:
            for grid in rng.integers(0, 8, 5):  # five events a year, each with fifteen calls in ten days
                first = date(year, 1, 1) + timedelta(int(rng.integers(0, 350)))
                matters += [(category, int(grid), first + timedelta(int(k))) for k in rng.integers(0, 10, 15)]
    assert found_in(matters)[1].listed == []

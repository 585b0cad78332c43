"""Clocks and windows found in small worlds whose truth is known."""

from datetime import date, timedelta

import numpy as np
import pytest

from gridmgmt import calendar
from gridmgmt.seasonal import clocks, detect
from gridmgmt.seasonal.models import Clock

DAYS = clocks.days_between(date(2022, 1, 1), date(2025, 12, 31))


def spread(rng: np.random.Generator, n: int) -> np.ndarray:
    """Matters without any season."""
    return rng.choice(DAYS, n)


def around(rng: np.random.Generator, starts: list[date], length: int, each: int) -> np.ndarray:
    """`each` matters in the `length` days from every start."""
    days = [np.datetime64(start) + rng.integers(0, length, each) for start in starts]
    return np.concatenate(days).astype("datetime64[D]")


@pytest.mark.parametrize("clock", list(Clock))
def test_every_day_lies_in_the_bin_that_says_so(clock: Clock) -> None:
    years, bins = clocks.place(clock, DAYS)
    for day, year, bin_ in zip(DAYS[::17].tolist(), years[::17], bins[::17], strict=True):
        span = clocks.bin_days(clock, int(year), int(bin_))
        edge = clock is Clock.LUNAR and bin_ in (0, 35)  # these two take what a lunar year has more or less
        assert span.start <= day <= span.end or edge


def test_a_season_on_the_lunar_clock_is_told_from_one_on_the_sun() -> None:
    rng = np.random.default_rng(1)
    before_festival = [calendar.spring_festival(year) - timedelta(days=30) for year in range(2022, 2026)]
    at_heating = [date(year, 11, 11) for year in range(2022, 2026)]
    at_harvest = [calendar.solar_terms(year)[10] for year in range(2022, 2026)]  # 芒种
    for starts, length, clock in (
        (before_festival, 30, Clock.LUNAR),
        (at_heating, 10, Clock.GREGORIAN),
        (at_harvest, 15, Clock.SOLAR_TERM),
    ):
        events = np.concatenate([spread(rng, 200), around(rng, starts, length, 60)])
        assert detect.choose_clock(events[events >= DAYS[0]], DAYS) is clock


def test_a_lunar_window_is_dated_by_the_festival_of_the_target_year() -> None:
    rng = np.random.default_rng(2)
    starts = [calendar.spring_festival(year) - timedelta(days=30) for year in range(2022, 2026)]
    events = np.concatenate([spread(rng, 200), around(rng, starts, 30, 60)])
    (season,) = detect.find_seasons(events, DAYS, seed=1)
    for year in (2026, 2027, 2028):  # Spring Festival on 17 February, 6 February, 26 January
        span = clocks.window_in_year(season.clock, year, season.start, season.length)
        assert span.start == calendar.spring_festival(year) - timedelta(days=30)
        assert span.end == calendar.spring_festival(year) - timedelta(days=1)


def test_two_seasons_of_one_category_are_both_found() -> None:
    rng = np.random.default_rng(3)
    wheat = [date(year, 6, 21) for year in range(2022, 2026)]
    maize = [date(year, 10, 11) for year in range(2022, 2026)]
    events = np.concatenate([spread(rng, 100), around(rng, wheat, 10, 50), around(rng, maize, 10, 40)])
    found = {season.start: season for season in detect.find_seasons(events, DAYS, seed=1)}
    assert {clocks.bin_name(season.clock, start) for start, season in found.items()} in (
        {"6月下旬", "10月中旬"},
        {"夏至", "寒露"},
    )


def test_matters_without_a_season_get_none() -> None:
    rng = np.random.default_rng(4)
    seasons = [detect.find_seasons(spread(rng, 300), DAYS, seed=seed) for seed in range(40)]
    assert sum(bool(found) for found in seasons) <= 5  # level 5 %, and the ratio must reach 1.5


def test_a_season_over_new_year_is_listed_once_in_every_year() -> None:
    spans = [clocks.window_in_year(Clock.GREGORIAN, year, 35, 2) for year in range(2022, 2027)]
    assert [(span.start.month, span.end.month) for span in spans] == [(12, 1)] * 5
    assert len({span.start for span in spans}) == 5


def test_one_extraordinary_year_is_no_season() -> None:
    season = detect.Season(Clock.GREGORIAN, 18, 3, 19)
    day = around(np.random.default_rng(5), [date(2023, 7, 1)], 30, 80)
    inside, outside, length, years = detect.counts_by_season(np.zeros(80, dtype=int), day, 1, season, DAYS)
    test = detect.compare(inside, outside, years, length.mean() / 365.25)
    assert inside.tolist() == [[0, 80, 0, 0]]
    assert test.p[0] < 1e-6
    assert not test.recurs[0]


def test_only_whole_occurrences_of_a_window_count_as_evidence() -> None:
    season = detect.Season(Clock.LUNAR, clocks.BINS[Clock.LUNAR] // 2 - 3, 3, 16)
    years, starts, ends = detect.season_spans(
        season, clocks.days_between(date(2022, 1, 15), date(2025, 1, 20))
    )
    assert years.tolist() == [2023, 2024]  # that of 2022 began on 2 January, that of 2025 ended on 28 January
    assert [(ends - starts).astype(int).tolist()] == [[29, 29]]


def test_a_window_is_kept_when_most_years_may_be_left_out_one_by_one() -> None:
    rng = np.random.default_rng(6)
    july = [date(year, 7, 1) for year in range(2022, 2026)]
    (season,) = detect.find_seasons(
        np.concatenate([spread(rng, 300), around(rng, july, 20, 40)]), DAYS, seed=1
    )
    assert (season.stable, season.bins.tolist()) == (4, [18, 19])
    # Two summers with all of it in one of them: the other cannot be told from it, and it does not come back.
    once = np.concatenate([spread(rng, 300), around(rng, july[:1], 20, 160)])
    assert detect.find_seasons(once, DAYS, seed=1) == []


def test_no_clock_is_chosen_where_none_predicts() -> None:
    rng = np.random.default_rng(7)
    chosen = [detect.choose_clock(spread(rng, 400), DAYS) for _ in range(40)]
    assert sum(clock is not None for clock in chosen) <= 2


def test_clumping_tells_how_many_calls_one_event_brings() -> None:
    rng = np.random.default_rng(8)
    season = detect.Season(Clock.GREGORIAN, 18, 3, 19)
    quiet = detect.quiet_days([season], DAYS)
    assert (~quiet).sum() == 4 * 31
    alone, area = spread(rng, 3000), rng.integers(0, 20, 3000)
    assert detect.clumping(area, alone, 20, quiet, DAYS) == pytest.approx(1.0, abs=0.1)
    often = rng.integers(
        5, 16, 400
    )  # calls of each event, all on its day: their mean of squares over their mean
    events, where = np.repeat(spread(rng, 400), often), np.repeat(rng.integers(0, 20, 400), often)
    assert detect.clumping(where, events, 20, quiet, DAYS) == pytest.approx(
        (often**2).sum() / often.sum(), rel=0.15
    )
    july = around(rng, [date(2023, 7, 1)], 30, 5000)  # what lies in a window is not looked at
    both = np.concatenate([area, np.zeros(5000, dtype=int)]), np.concatenate([alone, july])
    assert detect.clumping(*both, 20, quiet, DAYS) == detect.clumping(area, alone, 20, quiet, DAYS)


def test_matters_that_come_in_clumps_weigh_less() -> None:
    inside, outside = np.array([[12.0, 14.0, 11.0, 13.0]]), np.array([[4.0, 5.0, 4.0, 3.0]])
    years = np.arange(2022, 2026)
    alone, clumped = (detect.compare(inside, outside, years, 0.1, clumps) for clumps in (1.0, 10.0))
    assert alone.p[0] < 1e-6
    assert clumped.p[0] > 0.01
    assert alone.ratio == clumped.ratio

"""The seasonal calendar: published days, a second library as witness, and how the clocks fit together."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from gridmgmt import calendar
from gridmgmt.errors import InputError

ALL_DAYS = np.arange(np.datetime64("2000-01-01"), np.datetime64("2061-01-01"))
WITNESS_YEARS = range(2020, 2051)


def term(year: int, name: str) -> str:
    return str(calendar.solar_terms(year)[calendar.SOLAR_TERMS.index(name)])


def witness_days() -> list[dt.date]:
    first, last = (np.datetime64(f"{y}-01-01") for y in (WITNESS_YEARS.start, WITNESS_YEARS.stop))
    return list(np.arange(first, last).tolist())


def test_published_days_are_repeated() -> None:
    # Hong Kong Observatory, "Which day is the Tuen Ng Festival for this year (2013)?": 8 June 2013 begins
    # the fifth month, where folk calendars have 9 June; and 2030 is the next dispute.
    assert calendar.lunar_date(dt.date(2013, 6, 8)).text == "五月初一"
    assert dict(calendar.festivals(2013))["端午节"] == dt.date(2013, 6, 12)
    assert calendar.spring_festival(2030) == dt.date(2030, 2, 3)
    # Purple Mountain Observatory's calendar, as printed in China's almanacs.
    assert calendar.spring_festival(2026) == dt.date(2026, 2, 17)
    assert term(2024, "清明") == "2024-04-04"
    assert term(2026, "立春") == "2026-02-04"
    # Less than a minute from midnight: 2008-05-21 00:01 and 2021-12-21 23:59.
    assert term(2008, "小满") == "2008-05-21"
    assert term(2021, "冬至") == "2021-12-21"


def test_solar_terms_agree_with_a_second_library() -> None:
    sxtwl = pytest.importorskip("sxtwl")
    for year in WITNESS_YEARS:
        first = dt.date(year, 1, 1)
        days = (first + dt.timedelta(days=n) for n in range(366 if year % 4 == 0 else 365))
        found = ((day, sxtwl.fromSolar(day.year, day.month, day.day)) for day in days)
        marked = [(day, (other.getJieQi() - 1) % 24) for day, other in found if other.hasJieQi()]
        assert marked == list(zip(calendar.solar_terms(year), range(24), strict=True))


def test_every_lunar_day_agrees_with_a_second_library() -> None:
    sxtwl = pytest.importorskip("sxtwl")
    for day in witness_days():
        other, ours = sxtwl.fromSolar(day.year, day.month, day.day), calendar.lunar_date(day)
        found = other.getLunarYear(True), other.getLunarMonth(), other.getLunarDay(), other.isLunarLeap()
        assert (ours.year, ours.month, ours.day, ours.leap) == found, day
    for year in WITNESS_YEARS:
        first = sxtwl.fromLunar(year, 1, 1)
        day = dt.date(first.getSolarYear(), first.getSolarMonth(), first.getSolarDay())
        assert calendar.spring_festival(year) == day


def test_lunar_days_are_written_as_people_say_them() -> None:
    for day, text in (
        (dt.date(2026, 2, 10), "腊月廿三"),
        (dt.date(2026, 2, 17), "正月初一"),
        (dt.date(2025, 7, 25), "闰六月初一"),
        (dt.date(2025, 11, 29), "十月初十"),
        (dt.date(2026, 3, 8), "正月二十"),
        (dt.date(2026, 1, 18), "冬月三十"),
        # The only leap eleventh month in two centuries.
        (dt.date(2033, 12, 22), "闰冬月初一"),
    ):
        assert str(calendar.lunar_date(day)) == text
    assert calendar.lunar_date(dt.datetime(2026, 2, 16, 23, 59)) == calendar.LunarDate(2025, 12, 29)


def test_the_thirds_of_a_month_tile_every_year() -> None:
    for year in (2023, 2024, 2060):
        days = np.arange(np.datetime64(f"{year}-01-01"), np.datetime64(f"{year + 1}-01-01"))
        index = calendar.xun_of(days)
        assert sorted(set(index.tolist())) == list(range(36))
        for k in range(36):
            own = days[index == k]
            assert (calendar.xun_start(year, k), calendar.xun_end(year, k)) == (own[0], own[-1])
    assert [calendar.xun_name(k) for k in (0, 15, 35)] == ["1月上旬", "6月上旬", "12月下旬"]


def test_every_day_lies_in_the_term_that_began_last() -> None:
    year, index = calendar.solar_term_of(ALL_DAYS)
    begins = np.flatnonzero(np.diff(index, prepend=-1))[1:]
    listed = [day for y in range(2000, 2061) for day in calendar.solar_terms(y)]
    assert ALL_DAYS[begins].tolist() == listed
    assert np.all(np.diff(24 * year + index) >= 0)
    assert [v.tolist() for v in calendar.solar_term_of(["2000-01-05", "2026-12-31"])] == [
        [1999, 2026],
        [23, 23],
    ]


def test_days_are_counted_from_the_festival_of_their_own_season() -> None:
    days, season = calendar.days_from_spring_festival(ALL_DAYS)
    assert days.min() == -183
    assert days.max() <= 201
    assert set(season.tolist()) == set(range(2000, 2062))
    inside = season <= 2060
    festival = np.array([calendar.spring_festival(y) for y in range(2000, 2061)], dtype="datetime64[D]")
    assert np.array_equal(festival[season[inside] - 2000] + days[inside], ALL_DAYS[inside])
    assert np.all((np.diff(days) == 1) | (days[1:] == -183))
    # Thirty days before the Festivals of 2025 and 2026, when wages fall due.
    offsets, seasons = calendar.days_from_spring_festival(["2024-12-30", "2026-01-18"])
    assert (offsets.tolist(), seasons.tolist()) == ([-30, -30], [2025, 2026])


def test_a_year_lists_the_festivals_that_fall_in_it() -> None:
    assert [(f.name, calendar.format_date(f.date)) for f in calendar.festivals(2026)] == [
        ("元旦", "2026年1月1日"), ("腊八", "2026年1月26日"), ("小年", "2026年2月10日"),
        ("除夕", "2026年2月16日"), ("春节", "2026年2月17日"), ("元宵节", "2026年3月3日"),
        ("清明", "2026年4月5日"), ("劳动节", "2026年5月1日"), ("端午节", "2026年6月19日"),
        ("七夕", "2026年8月19日"), ("中秋节", "2026年9月25日"), ("国庆节", "2026年10月1日"),
        ("重阳节", "2026年10月18日"),
    ]  # fmt: skip


def test_a_leap_month_repeats_no_festival() -> None:
    assert calendar.lunar_date(dt.date(2028, 6, 27)).text == "闰五月初五"
    assert [f.date for f in calendar.festivals(2028) if f.name == "端午节"] == [dt.date(2028, 5, 28)]


def test_an_early_spring_festival_takes_laba_into_the_year_before() -> None:
    laba = {y: [f.date for f in calendar.festivals(y) if f.name == "腊八"] for y in (2022, 2023, 2024)}
    assert laba[2022] == [dt.date(2022, 1, 10), dt.date(2022, 12, 30)]
    assert laba[2023] == []
    assert laba[2024] == [dt.date(2024, 1, 18)]


def test_dates_come_in_any_unit_and_shape_and_keep_it() -> None:
    stamps = pd.Series(pd.to_datetime(["2026-06-01 23:59", "2026-06-11 00:00"]))
    assert calendar.xun_of(stamps).tolist() == [15, 16]
    assert calendar.xun_of([dt.date(2026, 6, 30)]).tolist() == [17]
    assert calendar.xun_of(np.datetime64("2026-06-01")).shape == ()
    assert calendar.solar_term_of(ALL_DAYS[:12].reshape(3, 4))[1].shape == (3, 4)
    assert calendar.xun_of([]).shape == (0,)


@pytest.mark.parametrize("year", [1999, 2061, "2026", 2026.5])
def test_a_year_outside_the_range_is_refused_with_the_range(year: int) -> None:
    for ask in (calendar.solar_terms, calendar.spring_festival, calendar.festivals):
        with pytest.raises(InputError, match="2000 to 2060"):
            ask(year)
    with pytest.raises(InputError, match="2000 to 2060"):
        calendar.xun_start(year, 0)


@pytest.mark.parametrize(
    "dates",
    [
        ["1999-12-31"],
        ["2061-01-01"],
        ["2026-01-01", "NaT"],
        ["soon"],
        [20260101],
        [dt.datetime(2026, 1, 1, tzinfo=dt.UTC)],
    ],
)
def test_dates_that_numpy_would_take_silently_wrong_are_refused(dates: list[object]) -> None:
    for ask in (calendar.xun_of, calendar.solar_term_of, calendar.days_from_spring_festival):
        with pytest.raises(InputError, match="dates"):
            ask(dates)  # type: ignore[arg-type]


def test_an_index_or_a_day_that_is_none_is_refused() -> None:
    for index in (-1, 36):
        with pytest.raises(InputError, match="0 to 35"):
            calendar.xun_name(index)
    for day in (dt.date(1999, 12, 31), dt.date(2061, 1, 1), "2026-01-01"):
        with pytest.raises(InputError, match="2000 to 2060"):
            calendar.lunar_date(day)  # type: ignore[arg-type]

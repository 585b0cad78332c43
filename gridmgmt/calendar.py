"""The clocks by which a Chinese rural year runs: 旬, solar terms, the lunar calendar, festivals.

Dates are civil dates of China time (UTC+8). Supported are the Gregorian years 2000 to 2060; anything
outside raises `InputError`. The astronomy is lunar_python's, computed once a year and kept.
Arrays of dates are numpy datetime64 of any unit (cut to the day) or what numpy turns into them; results
have their shape. `docs/methods/calendar.md` has the rules, the source and the one doubtful month.
"""

import datetime as dt
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from lunar_python import LunarYear, Solar  # type: ignore[import-untyped,unused-ignore]
from numpy.typing import ArrayLike, NDArray

from gridmgmt.errors import InputError

IntArray = NDArray[np.int64]
DayArray = NDArray[np.datetime64]
DatesLike = ArrayLike | Sequence[dt.date]

CHINA = ZoneInfo("Asia/Shanghai")
FIRST_YEAR, LAST_YEAR = 2000, 2060
XUN_COUNT = 36
SOLAR_TERMS: tuple[str, ...] = (
    "小寒", "大寒", "立春", "雨水", "惊蛰", "春分", "清明", "谷雨", "立夏", "小满", "芒种", "夏至",
    "小暑", "大暑", "立秋", "处暑", "白露", "秋分", "寒露", "霜降", "立冬", "小雪", "大雪", "冬至",
)  # fmt: skip

_YEARS = f"years {FIRST_YEAR} to {LAST_YEAR}"
_XUN_PARTS = ("上旬", "中旬", "下旬")
_XUN_FIRST_DAY = (1, 11, 21)
# Half a year before a Spring Festival its season year begins, far from anything tied to the Festival.
_BEFORE_FESTIVAL = 183
_MONTHS = "正二三四五六七八九十冬腊"
_TENS, _DIGITS = "初十廿", "十一二三四五六七八九"

_BY_DATE = (("元旦", 1, 1), ("劳动节", 5, 1), ("国庆节", 10, 1))
_BY_MOON = (
    ("春节", 1, 1), ("元宵节", 1, 15), ("端午节", 5, 5), ("七夕", 7, 7), ("中秋节", 8, 15), ("重阳节", 9, 9),
    ("腊八", 12, 8), ("小年", 12, 23),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LunarDate:
    """A day of the lunar calendar: lunar year (the Gregorian year it begins in), month 1-12, day 1-30."""

    year: int
    month: int
    day: int
    leap: bool = False

    @property
    def text(self) -> str:
        """The day in Chinese without the year, such as 腊月廿三 or 闰六月初一."""
        return f"{'闰' if self.leap else ''}{_MONTHS[self.month - 1]}月{_day_name(self.day)}"

    def __str__(self) -> str:
        return self.text


class Festival(NamedTuple):
    """A festival and the day it falls on."""

    name: str
    date: dt.date


def china_today() -> dt.date:
    """Return the day in China, by which things are due, whatever clock the server has."""
    return dt.datetime.now(CHINA).date()


def xun_of(dates: DatesLike) -> IntArray:
    """Return the 旬 (ten-day third of a month) of every date, 0 to 35.

    Days 1-10 of a month are its 上旬, 11-20 its 中旬, 21 to the end its 下旬 (8 to 11 days: divide by
    exposure before comparing).

    Parameters
    ----------
    dates : array_like of datetime64, any shape

    Returns
    -------
    ndarray of int64, that shape

    Raises
    ------
    InputError
        When a date is missing, is no date, carries a time zone, or lies outside the supported years.

    >>> xun_of(["2026-06-01", "2026-02-28"]).tolist()
    [15, 5]
    """
    days = _days(dates)
    months = days.astype("datetime64[M]")
    day_of_month = (days - months).astype(np.int64)
    xun: IntArray = 3 * (months.astype(np.int64) % 12) + np.minimum(day_of_month // 10, 2)
    return xun


def xun_start(year: int, index: int) -> dt.date:
    """Return the first day of a 旬; InputError for an unsupported year or an index outside 0 to 35."""
    month, part = _xun(year, index)
    return dt.date(year, month, _XUN_FIRST_DAY[part])


def xun_end(year: int, index: int) -> dt.date:
    """Return the last day of a 旬; InputError for an unsupported year or an index outside 0 to 35."""
    month, part = _xun(year, index)
    return dt.date(year, month, (10, 20, monthrange(year, month)[1])[part])


def xun_name(index: int) -> str:
    """Return the Chinese name of a 旬, such as 6月上旬; InputError for an index outside 0 to 35."""
    month, part = _xun(FIRST_YEAR, index)
    return f"{month}月{_XUN_PARTS[part]}"


def solar_terms(year: int) -> tuple[dt.date, ...]:
    """Return the days of a Gregorian year's 24 solar terms, in the order of `SOLAR_TERMS`.

    Raises
    ------
    InputError
        When the year is not supported.

    >>> str(solar_terms(2026)[SOLAR_TERMS.index("清明")])
    '2026-04-05'

    Source: GB/T 33661-2017, by way of lunar_python.
    """
    return _terms(_supported(year))


def solar_term_of(dates: DatesLike) -> tuple[IntArray, IntArray]:
    """Return the solar term that holds every date: from its own day to the day before the next term.

    Parameters
    ----------
    dates : array_like of datetime64, any shape

    Returns
    -------
    term_year : ndarray of int64, that shape
        Gregorian year in which the term began: days of January before 小寒 belong to last year's 冬至.
    index : ndarray of int64, that shape
        Place in `SOLAR_TERMS`.

    Raises
    ------
    InputError
        As `xun_of`.
    """
    place = np.searchsorted(_term_starts(), _days(dates), side="right") - 1
    year, index = np.divmod(place, len(SOLAR_TERMS))
    return year + (FIRST_YEAR - 1), index


def spring_festival(year: int) -> dt.date:
    """Return the day of the Spring Festival (春节, 正月初一) in a Gregorian year.

    Raises
    ------
    InputError
        When the year is not supported.

    >>> str(spring_festival(2026))
    '2026-02-17'
    """
    return _new_year(_supported(year))


def days_from_spring_festival(dates: DatesLike) -> tuple[IntArray, IntArray]:
    """Return how many days every date lies after (before: negative) the Spring Festival of its season year.

    A season year runs from 183 days before its Festival to 184 days before the next, so the days before
    a Festival are counted towards it and the same offset means the same time of the lunar winter.

    Parameters
    ----------
    dates : array_like of datetime64, any shape

    Returns
    -------
    days : ndarray of int64, that shape
        Days, -183 to +201; 0 is the Festival itself.
    season_year : ndarray of int64, that shape
        Gregorian year of that Festival.

    Raises
    ------
    InputError
        As `xun_of`.

    >>> [int(v) for v in days_from_spring_festival("2026-01-18")]
    [-30, 2026]
    """
    days, festivals = _days(dates), _new_years()
    place = np.searchsorted(festivals - _BEFORE_FESTIVAL, days, side="right") - 1
    return (days - festivals[place]).astype(np.int64), (place + FIRST_YEAR).astype(np.int64)


def lunar_date(date: dt.date) -> LunarDate:
    """Return the lunar date of a day.

    Raises
    ------
    InputError
        When the day is no date or lies outside the supported years.

    >>> lunar_date(dt.date(2026, 2, 10)).text
    '腊月廿三'

    Source: GB/T 33661-2017, by way of lunar_python.
    """
    day = _one_day(date)
    year = day.year if day >= _new_year(day.year) else day.year - 1
    start, month, leap = next(begun for begun in reversed(_months(year)) if begun[0] <= day)
    return LunarDate(year, month, (day - start).days + 1, leap)


def festivals(year: int) -> tuple[Festival, ...]:
    """Return the festivals that fall in a Gregorian year, by date.

    元旦 春节 元宵节 清明 劳动节 端午节 七夕 中秋节 国庆节 重阳节 腊八 小年 除夕; 小年 is that of the north,
    腊月廿三. When the Spring Festival is before 23 January, 腊八 falls in the December before: such a year
    has none of its own, and the year before has two.

    Raises
    ------
    InputError
        When the year is not supported.
    """
    return _festivals(_supported(year))


def format_date(date: dt.date) -> str:
    """Return a day as Chinese readers write it, 2026年11月22日 (any year)."""
    return f"{date.year}年{date.month}月{date.day}日"


def _supported(year: int) -> int:
    if not isinstance(year, int | np.integer) or not FIRST_YEAR <= year <= LAST_YEAR:
        raise InputError("year", year, _YEARS)
    return int(year)


def _one_day(date: dt.date) -> dt.date:
    if not isinstance(date, dt.date):
        raise InputError("date", date, f"a date in the {_YEARS}")
    _supported(date.year)
    return date.date() if isinstance(date, dt.datetime) else date


def _days(dates: DatesLike) -> DayArray:
    """Return dates cut to the day, after checking that none is missing or outside the supported years."""
    given = np.asarray(dates)
    _refuse_numbers_and_zones(given)
    try:
        days = given.astype("datetime64[D]")
    except (TypeError, ValueError) as why:
        raise InputError("dates", str(why), f"dates in the {_YEARS}") from why
    first, last = np.datetime64(f"{FIRST_YEAR}-01-01"), np.datetime64(f"{LAST_YEAR}-12-31")
    wrong = ~((days >= first) & (days <= last))
    if wrong.any():
        raise InputError("dates", str(days[wrong].flat[0]), f"dates in the {_YEARS}")
    return days


def _refuse_numbers_and_zones(given: NDArray[Any]) -> None:
    """Refuse what numpy would take silently: 20260101 as days since 1970, 07:00+08:00 as yesterday in UTC."""
    if given.size and given.dtype.kind not in "MUO":
        raise InputError("dates", given.flat[0], "dates, not numbers")
    if given.dtype.kind == "O" and any(getattr(date, "tzinfo", None) for date in given.flat):
        raise InputError("dates", "a time with a time zone", "China time without a time zone")


def _xun(year: int, index: int) -> tuple[int, int]:
    _supported(year)
    if not 0 <= index < XUN_COUNT:
        raise InputError("index", index, f"a 旬 from 0 to {XUN_COUNT - 1}")
    month, part = divmod(int(index), 3)
    return month + 1, part


def _day_name(day: int) -> str:
    if day in (20, 30):
        return ("二十", "三十")[day == 30]
    return _TENS[(day - 1) // 10] + _DIGITS[day % 10]


# What follows works one year beyond either end, for the days of January 2000 and of late 2060.


def _civil(julian_day: float) -> dt.date:
    """Return the China-time date of a Julian day that lunar_python already counts in UTC+8."""
    solar = Solar.fromJulianDay(julian_day)
    return dt.date(solar.getYear(), solar.getMonth(), solar.getDay())


@cache
def _computed(year: int) -> LunarYear:
    return LunarYear(year)


@cache
def _terms(year: int) -> tuple[dt.date, ...]:
    # The library's list of a year begins with the 大雪 and 冬至 of the year before.
    instants = _computed(year).getJieQiJulianDays()[2:26]
    return tuple(_civil(instant) for instant in instants)


@cache
def _months(year: int) -> tuple[tuple[dt.date, int, bool], ...]:
    """Return first day, number and leap mark of each month of a lunar year."""
    months = (month for month in _computed(year).getMonths() if month.getYear() == year)
    return tuple((_civil(m.getFirstJulianDay()), abs(m.getMonth()), m.isLeap()) for m in months)


def _new_year(year: int) -> dt.date:
    return _months(year)[0][0]


@cache
def _term_starts() -> DayArray:
    years = range(FIRST_YEAR - 1, LAST_YEAR + 1)
    return np.array([day for year in years for day in _terms(year)], dtype="datetime64[D]")


@cache
def _new_years() -> DayArray:
    return np.array([_new_year(year) for year in range(FIRST_YEAR, LAST_YEAR + 2)], dtype="datetime64[D]")


@cache
def _festivals(year: int) -> tuple[Festival, ...]:
    found = [Festival(name, dt.date(year, month, day)) for name, month, day in _BY_DATE]
    found.append(Festival("清明", _terms(year)[SOLAR_TERMS.index("清明")]))
    found.append(Festival("除夕", _new_year(year) - dt.timedelta(days=1)))
    for lunar_year in (year - 1, year):
        starts = {month: start for start, month, leap in _months(lunar_year) if not leap}
        days = (Festival(name, starts[month] + dt.timedelta(days=day - 1)) for name, month, day in _BY_MOON)
        found.extend(festival for festival in days if festival.date.year == year)
    return tuple(sorted(found, key=lambda festival: festival.date))

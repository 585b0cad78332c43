"""The three years that problems follow, as bins of days.

Gregorian: 36 旬. Solar terms: 24. Lunar: 36 decades counted from the Spring Festival, -18 to +17 (the last
one takes the rest of a leap year). A day has a season year and a bin on each clock; a bin has a first and a
last day in each season year.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np

from gridmgmt import calendar
from gridmgmt.errors import InputError
from gridmgmt.seasonal.models import Clock

BINS = {Clock.GREGORIAN: 36, Clock.SOLAR_TERM: 24, Clock.LUNAR: 36}
LUNAR_FIRST = -18  # decades before the Spring Festival in which a lunar season year begins
DECADE = 10


@dataclass(frozen=True)
class Span:
    """A stretch of days, both included."""

    start: date
    end: date


def days_between(start: date, end: date) -> np.ndarray:
    """Return every day from `start` to `end`, both included, as datetime64[D]."""
    return np.arange(np.datetime64(start), np.datetime64(end) + 1)


def place(clock: Clock, days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return season year and bin of every day on a clock, two integer arrays of the shape of `days`."""
    unique, inverse = np.unique(days, return_inverse=True)
    year, bin_ = _PLACE[clock](unique)
    return year[inverse], bin_[inverse]


def _gregorian(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return days.astype("datetime64[Y]").astype(int) + 1970, calendar.xun_of(days)


def _lunar(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    offset, year = calendar.days_from_spring_festival(days)
    return year, np.clip(np.floor_divide(offset, DECADE) - LUNAR_FIRST, 0, BINS[Clock.LUNAR] - 1)


_PLACE = {
    Clock.GREGORIAN: _gregorian,
    Clock.SOLAR_TERM: calendar.solar_term_of,
    Clock.LUNAR: _lunar,
}


@cache
def bin_days(clock: Clock, year: int, bin_: int) -> Span:
    """Return the first and the last day of a bin in a season year.

    Raises InputError when the year is outside the calendar's tables.
    """
    if not 0 <= bin_ < BINS[clock]:
        raise InputError("bin", bin_, f"0 to {BINS[clock] - 1}")
    if clock is Clock.GREGORIAN:
        return Span(calendar.xun_start(year, bin_), calendar.xun_end(year, bin_))
    if clock is Clock.SOLAR_TERM:
        terms = calendar.solar_terms(year)
        following = terms[bin_ + 1] if bin_ < 23 else calendar.solar_terms(year + 1)[0]
        return Span(terms[bin_], following - timedelta(days=1))
    first = calendar.spring_festival(year) + timedelta(days=DECADE * (LUNAR_FIRST + bin_))
    return Span(first, first + timedelta(days=DECADE - 1))


def window_days(clock: Clock, year: int, start: int, length: int) -> Span:
    """Return the days of a window of `length` bins from bin `start`, which may run over the year's end.

    `year` is the season year of the window's first bin.
    """
    last = start + length - 1
    end = bin_days(clock, year + last // BINS[clock], last % BINS[clock]).end
    return Span(bin_days(clock, year, start).start, end)


def window_in_year(clock: Clock, target: int, start: int, length: int) -> Span:
    """Return the occurrence of a window whose middle day lies in the Gregorian year `target`.

    The middle decides so that a window over New Year, or one on the lunar clock, is listed exactly once.
    """
    for year in (target - 1, target, target + 1):
        span = window_days(clock, year, start, length)
        if (span.start + (span.end - span.start) / 2).year == target:
            return span
    raise InputError("year", target, "a year in which the window occurs")  # a lunar window may skip a year


def bin_name(clock: Clock, bin_: int) -> str:
    """Return the Chinese name of a bin: 6月上旬, 芒种, 春节前第3旬."""
    if clock is Clock.GREGORIAN:
        return calendar.xun_name(bin_)
    if clock is Clock.SOLAR_TERM:
        return calendar.SOLAR_TERMS[bin_]
    offset = LUNAR_FIRST + bin_
    return f"春节前第{-offset}旬" if offset < 0 else f"春节后第{offset + 1}旬"

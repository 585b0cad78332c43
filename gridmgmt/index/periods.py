"""Months, quarters, half-years and years: what an index, a talk and a bulletin are of.

A month is named by its first day. The score of a longer period is the mean of its months'.
"""

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from gridmgmt.errors import InputError

_MONTH = re.compile(r"(\d{4})-(\d{2})")
_QUARTERS = "一二三四"


class Span(StrEnum):
    """How long a period is."""

    MONTH = "month"
    QUARTER = "quarter"
    HALF = "half"
    YEAR = "year"


SPAN_MONTHS = {Span.MONTH: 1, Span.QUARTER: 3, Span.HALF: 6, Span.YEAR: 12}
SPAN_NAMES = {Span.MONTH: "月度", Span.QUARTER: "季度", Span.HALF: "半年", Span.YEAR: "年度"}


@dataclass(frozen=True, order=True)
class Period:
    """A period by its last month; quarters, half-years and years are those of the calendar."""

    last: date
    span: Span = Span.MONTH

    @property
    def months(self) -> list[date]:
        """Its months, the first one first."""
        return months_up_to(self.last, SPAN_MONTHS[self.span])

    @property
    def first(self) -> date:
        """Its first month."""
        return self.months[0]

    @property
    def before(self) -> "Period":
        """The period of the same span just before."""
        return Period(months_before(self.last, SPAN_MONTHS[self.span]), self.span)

    @property
    def year_before(self) -> "Period":
        """The same period of the year before."""
        return Period(months_before(self.last, 12), self.span)

    @property
    def name(self) -> str:
        """Its Chinese name.

        >>> Period(date(2025, 12, 1), Span.QUARTER).name, Period(date(2025, 6, 1), Span.HALF).name
        ('2025年四季度', '2025年上半年')
        """
        year, month = self.last.year, self.last.month
        return {
            Span.MONTH: f"{year}年{month}月",
            Span.QUARTER: f"{year}年{_QUARTERS[(month - 1) // 3]}季度",
            Span.HALF: f"{year}年{'上' if month <= 6 else '下'}半年",
            Span.YEAR: f"{year}年",
        }[self.span]


def of_month(month: date, span: Span = Span.MONTH) -> Period:
    """Return the period of a span in which a month lies.

    >>> of_month(date(2025, 5, 1), Span.QUARTER).last
    datetime.date(2025, 6, 1)
    """
    length = SPAN_MONTHS[span]
    last = (month.month - 1) // length * length + length
    return Period(date(month.year, last, 1), span)


def months_before(month: date, count: int) -> date:
    """Return the month so many months earlier; later for a negative count."""
    number = month.year * 12 + month.month - 1 - count
    return date(number // 12, number % 12 + 1, 1)


def months_up_to(last: date, count: int) -> list[date]:
    """Return so many months of which the last is `last`."""
    return [months_before(last, back) for back in range(count - 1, -1, -1)]


def months_apart(first: date, last: date) -> int:
    """Return how many months lie between two: 0 for the same one.

    >>> months_apart(date(2025, 11, 1), date(2026, 2, 1))
    3
    """
    return (last.year - first.year) * 12 + last.month - first.month


def read_month(words: str, field: str = "month") -> date:
    """Return the first day of a month written YYYY-MM; InputError for anything else.

    >>> read_month("2025-12")
    datetime.date(2025, 12, 1)
    """
    found = _MONTH.fullmatch(words.strip())
    if not found or not 1 <= int(found[2]) <= 12 or int(found[1]) < 1900:
        raise InputError(field, words, "a month such as 2025-12")
    return date(int(found[1]), int(found[2]), 1)


def write_month(month: date) -> str:
    """Return a month as YYYY-MM."""
    return f"{month:%Y-%m}"

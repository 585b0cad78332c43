"""What a figure of handling is: counts of matters, rates that come of them, and what they are measured by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cached_property

import numpy as np

from gridmgmt.errors import InputError
from gridmgmt.incidents.terms import Tier

# A rate of fewer matters than this says nothing: it is not shown, their number is.
FEWEST = 10
# The last two of five answers are no satisfaction: 不满意, 非常不满意.
SATISFIED = 3
MOST_DAYS = 366


class By(StrEnum):
    """What figures are broken down by."""

    AREA = "area"
    MONTH = "month"
    CATEGORY = "category"
    CHANNEL = "channel"
    DEPARTMENT = "department"


BY_NAMES = {
    By.AREA: "区域", By.MONTH: "月份", By.CATEGORY: "类别", By.CHANNEL: "渠道", By.DEPARTMENT: "部门",
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A published result to be measured against."""

    rate: float
    source: str


# Published by a hotline for its year, and by one county for its matters of all channels.
CLOSED_TARGET = Target(0.974, "12345 热线公布的办结率")
SATISFIED_TARGET = Target(0.967, "12345 热线公布的回访满意率")
SETTLED_TARGET = Target(11_649 / 13_786, "民事直通车公布：受理 13,786 件，办结 11,649 件")


@dataclass(frozen=True)
class Period:
    """Days on which matters were reported, both ends included, by China's clock."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if not 0 <= (self.end - self.start).days < MOST_DAYS:
            allowed = f"a day from {self.start} on, {MOST_DAYS} days at most"
            raise InputError("to", self.end.isoformat(), allowed)

    @cached_property
    def year_before(self) -> "Period":
        """The same days of the year before; 29 February is the 28th."""
        return Period(_year_before(self.start), _year_before(self.end))


def _year_before(day: date) -> date:
    last = date(day.year - 1, 2, 28)
    return last if (day.month, day.day) == (2, 29) else day.replace(year=day.year - 1)


@dataclass(frozen=True)
class Question:
    """Which matters: of a period, an area ('' for all that the actor sees), a category with those below it,
    and a channel.
    """

    period: Period
    area: str = ""
    category: str = ""
    channel: str = ""


@dataclass(frozen=True)
class Figures:
    """Figures of some matters. A rate is None where it rests on fewer than FEWEST of them.

    Attributes
    ----------
    received : matters reported in the period
    closed : of them, those that are closed now
    timed : of them, those with a limit that are closed at a known time, or open and over it
    on_time : of the timed, those closed by their limit
    asked : of them, those whose resident was asked and said how satisfied they are
    satisfied : of the asked, those who said at least 3 of 5
    hours : whole hours from being reported to being closed, and how many matters took so long
    settled : closed matters by the level that settled them
    """

    received: int = 0
    closed: int = 0
    timed: int = 0
    on_time: int = 0
    asked: int = 0
    satisfied: int = 0
    hours: Mapping[int, int] = field(default_factory=dict, repr=False)
    settled: Mapping[Tier, int] = field(default_factory=dict)

    @property
    def closed_rate(self) -> float | None:
        """Closed of received."""
        return share(self.closed, self.received)

    @property
    def on_time_rate(self) -> float | None:
        """Closed by the limit, of those that are timed."""
        return share(self.on_time, self.timed)

    @property
    def satisfied_rate(self) -> float | None:
        """Satisfied of asked."""
        return share(self.satisfied, self.asked)

    @property
    def measured(self) -> int:
        """How many matters the median hours rest on."""
        return sum(self.hours.values())

    @cached_property
    def median_hours(self) -> float | None:
        """Median of whole hours from being reported to being closed."""
        if self.measured < FEWEST:
            return None
        hours = np.array(sorted(self.hours))
        upto = np.cumsum([self.hours[int(hour)] for hour in hours])
        middle = [(self.measured - 1) // 2, self.measured // 2]
        return float(hours[np.searchsorted(upto, middle, side="right")].mean())

    def settled_rate(self, tier: Tier) -> float | None:
        """Closed at a level, of those closed at a known one."""
        return share(self.settled.get(tier, 0), sum(self.settled.values()))


def share(part: int, whole: int) -> float | None:
    """Return a part of a whole; None when the whole is fewer than FEWEST."""
    return part / whole if whole >= FEWEST else None


@dataclass(frozen=True)
class Line:
    """One line of a breakdown: `code` is what the list of matters is filtered by, '' for what has none."""

    code: str
    name: str
    now: Figures
    before: Figures


@dataclass(frozen=True)
class Answer:
    """The whole, and its lines by each breakdown; lines of one breakdown add up to the whole."""

    question: Question
    whole: Line
    lines: Mapping[By, list[Line]]

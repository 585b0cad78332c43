"""Counts in working days: when a limit ends, how many days lie between, what light a deadline shows.

The day on which a period begins does not count; a period by days ends when business closes on its last day; a
period by hours runs by the clock, through nights and holidays. Days are those of China. Nothing here reads a
table: `incidents.holidays` gives the days that are off and worked.

Source: Civil Code of the PRC, articles 201 (the first day does not count; hours run from their moment) and
203 (the last day ends when business closes). docs/methods/handling.md.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property

from gridmgmt.calendar import CHINA
from gridmgmt.errors import InputError
from gridmgmt.incidents.flows.flow import Limit

# Half past five, when offices close.
CLOSES = time(17, 30)
# A matter due on this working day or the next one asks for attention.
SOON = 1
_DAY = timedelta(days=1)
_WEEK, _SATURDAY = 7, 5
# Farther than this no limit of a matter reaches; a longer way means a wrong date.
_LONGEST = 4000


@dataclass(frozen=True)
class WorkingDays:
    """Which days are worked: weekdays that are not `off`, and weekend days of `work`.

    `known` are the years whose holidays are known; other years count by weekends alone (`missing` says so).
    """

    off: frozenset[date] = frozenset()
    work: frozenset[date] = frozenset()
    known: frozenset[int] = frozenset()
    closes: time = CLOSES

    def is_working(self, day: date) -> bool:
        """Say whether a day is worked."""
        return day in self.work or (day.weekday() < _SATURDAY and day not in self.off)

    def after(self, start: datetime, limit: Limit) -> datetime:
        """Return when a period ends that begins at `start`; InputError for a limit that is not set.

        >>> friday = datetime(2026, 11, 20, 9, 0, tzinfo=CHINA)
        >>> WorkingDays().after(friday, Limit(days=1)).isoformat()
        '2026-11-23T17:30:00+08:00'
        >>> WorkingDays().after(friday, Limit(hours=30)).isoformat()
        '2026-11-21T15:00:00+08:00'
        """
        if limit.hours > 0:
            return _local(start) + timedelta(hours=limit.hours)
        if limit.days <= 0:
            raise InputError("limit", limit, "working days or hours, above 0")
        return datetime.combine(self._later(_local(start).date(), limit.days), self.closes, CHINA)

    def plus(self, moment: datetime, days: int) -> datetime:
        """Return the same time of day so many working days later; InputError for less than none."""
        if days < 0:
            raise InputError("days", days, "0 or more working days")
        here = _local(moment)
        return datetime.combine(self._later(here.date(), days), here.time(), CHINA) if days else here

    def between(self, a: datetime, b: datetime) -> int:
        """Return the working days after the day of `a` up to that of `b`; below 0 when `b` is earlier."""
        return self._until(_local(b).date()) - self._until(_local(a).date())

    def back(self, day: date, days: int) -> date:
        """Return the last day from which, on `day`, at least so many working days have passed."""
        found = day
        for _ in range(_LONGEST):
            if days <= 0:
                return found
            days -= self.is_working(found)
            found -= _DAY
        raise InputError("days", days, "working days that the calendar has")

    def missing(self, start: date, end: date) -> list[int]:
        """Return the years from one day to another whose holidays are not known."""
        return [year for year in range(start.year, end.year + 1) if year not in self.known]

    def _until(self, day: date) -> int:
        """Return the working days from the first day of the year 1, a Monday, to a day."""
        weeks, rest = divmod(day.toordinal(), _WEEK)
        weekdays = _SATURDAY * weeks + min(rest, _SATURDAY)
        return weekdays + bisect_right(self._weekends, day) - bisect_right(self._holidays, day)

    @cached_property
    def _weekends(self) -> list[date]:
        return sorted(day for day in self.work if day.weekday() >= _SATURDAY)

    @cached_property
    def _holidays(self) -> list[date]:
        return sorted(day for day in self.off - self.work if day.weekday() < _SATURDAY)

    def _later(self, day: date, days: int) -> date:
        for _ in range(_LONGEST):
            if days == 0:
                return day
            day += _DAY
            days -= self.is_working(day)
        raise InputError("days", days, "working days that the calendar has")


class Light(StrEnum):
    """What a deadline shows: nothing, time enough, soon due, over it."""

    NONE = "none"
    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


LIGHT_NAMES = {Light.NONE: "无时限", Light.GREEN: "时限内", Light.YELLOW: "临期", Light.RED: "超期"}


def light(due_at: datetime | None, now: datetime, days: WorkingDays) -> Light:
    """Return the light of a deadline: yellow on its last two working days, red when it is over."""
    if due_at is None:
        return Light.NONE
    if now > due_at:
        return Light.RED
    return Light.YELLOW if days.between(now, due_at) <= SOON else Light.GREEN


def left(due_at: datetime | None, now: datetime, days: WorkingDays) -> str:
    """Return how long is left until a deadline, or how long it is over, as a list says it; '' for none."""
    if due_at is None:
        return ""
    if now > due_at:
        over = days.between(due_at, now)
        return f"超期 {over} 个工作日" if over else "超期不到 1 个工作日"
    due = _local(due_at)
    if due.date() == _local(now).date():
        return "今天到期" if due.time() == days.closes else f"今天 {due:%H:%M} 到期"
    rest = days.between(now, due_at)
    return f"还剩 {rest} 个工作日" if rest else "还剩不到 1 个工作日"


def _local(moment: datetime) -> datetime:
    """Return a moment by China's clock; InputError for one without a time zone, which could be anyone's."""
    if moment.tzinfo is None:
        raise InputError("moment", str(moment), "a moment with its time zone")
    return moment.astimezone(CHINA)

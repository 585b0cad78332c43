"""What the wall's panels say: hot fields, overdue by town, the coming 旬, today. Counts and places alone."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from sqlalchemy import Connection, Engine

from gridmgmt import calendar
from gridmgmt.calendar import CHINA
from gridmgmt.hotspots import tables
from gridmgmt.incidents.actor import Actor
from gridmgmt.incidents.figures import stored as figures
from gridmgmt.incidents.figures.values import Period, Question
from gridmgmt.incidents.handling import counts
from gridmgmt.incidents.handling.counts import Today
from gridmgmt.seasonal.stored import Item
from gridmgmt.web import year_list
from gridmgmt.web.areas import Territory
from gridmgmt.web.choice import Choice

# Rows that a panel holds at a size that is read from ten metres.
ROWS = 7


@dataclass(frozen=True)
class Field:
    """A hot field: matters in its hot areas above what the city's rate would put there."""

    name: str
    count: int
    excess: float
    hot_areas: int


@dataclass(frozen=True)
class Late:
    """A town's open matters and how many of them are overdue."""

    name: str
    overdue: int
    open: int


@dataclass(frozen=True)
class Due:
    """A category that the list expects in the coming 旬: in how many grids and other places, how much."""

    name: str
    grids: int
    wider: int
    expected: float
    act_by: date


@dataclass(frozen=True)
class Panels:
    """All panels; `share` is the on-time share of this month's matters, None of fewer than ten."""

    fields: tuple[Field, ...]
    late: tuple[Late, ...]
    overdue: int
    open: int
    due: tuple[Due, ...]
    xun: str
    span: tuple[date, date]
    today: Today
    share: float | None
    timed: int
    month: int


def read(
    connection: Connection, engine: Engine, actor: Actor, here: Territory, choice: Choice, now: datetime
) -> Panels:
    """Return what the panels say at a moment; `engine` is of the role `gridmgmt_matters`."""
    day = now.astimezone(CHINA).date()
    span = next_xun(day)
    by_town = counts.open_by_town(connection, now.astimezone(UTC))
    month = Question(Period(day.replace(day=1), day), actor.area)
    line = figures.figures(engine, actor, month, (), ()).whole.now
    return Panels(
        fields=_fields(connection, choice),
        late=_late(by_town, here),
        overdue=sum(each.overdue for each in by_town.values()),
        open=sum(each.count for each in by_town.values()),
        due=_due(connection, span),
        xun=calendar.xun_name(int(calendar.xun_of([span[0]])[0])),
        span=span,
        today=counts.since(connection, datetime.combine(day, time(), CHINA)),
        share=line.on_time_rate,
        timed=line.timed,
        month=day.month,
    )


def next_xun(day: date) -> tuple[date, date]:
    """Return the first and the last day of the 旬 after the one of a day.

    >>> next_xun(date(2026, 12, 25))
    (datetime.date(2027, 1, 1), datetime.date(2027, 1, 10))
    """
    index = (int(calendar.xun_of([day])[0]) + 1) % calendar.XUN_COUNT
    year = day.year + (index == 0)
    return calendar.xun_start(year, index), calendar.xun_end(year, index)


def _fields(connection: Connection, choice: Choice) -> tuple[Field, ...]:
    if choice.run is None:
        return ()
    rows = tables.ranked_fields(connection, choice.run, choice.category)
    hot = [row for row in rows if row.result.hot_areas]
    return tuple(
        Field(row.category_name, row.result.count, row.result.excess, row.result.hot_areas)
        for row in hot[:ROWS]
    )


def _late(by_town: dict[str, counts.Open], here: Territory) -> tuple[Late, ...]:
    """Return the towns with overdue matters, the most first; those of no known place stand apart."""
    late = [
        Late(here.name(code) if code else "地点待查", each.overdue, each.count)
        for code, each in by_town.items()
        if each.overdue
    ]
    return tuple(sorted(late, key=lambda each: (-each.overdue, each.name))[:ROWS])


def _due(connection: Connection, span: tuple[date, date]) -> tuple[Due, ...]:
    years = (span[0].year - 1, span[0].year)  # a window may reach into the new year
    every = [item for year in years for item in year_list.items(connection, year, None)]
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in every:
        if item.start_on <= span[1] and item.end_on >= span[0]:
            groups[item.category].append(item)
    due = [_due_of(items) for items in groups.values()]
    return tuple(sorted(due, key=lambda each: (-each.expected, each.name))[:ROWS])


def _due_of(items: Sequence[Item]) -> Due:
    grids = {item.area for item in items if item.level == "grid"}
    wider = {item.area for item in items if item.level != "grid"}
    expected = sum(item.expected for item in items)
    return Due(items[0].category_name, len(grids), len(wider), expected, min(item.act_by for item in items))

"""The list as a calendar: one all-day event on each day to act, with a reminder three days before.

The window itself is not an event of its own: a dozen bars of six weeks each would bury a chief's calendar,
and what has to be done is done before them. It stands in the description.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from icalendar import Alarm, Calendar, Event

from gridmgmt.calendar import CHINA
from gridmgmt.seasonal.export import words
from gridmgmt.seasonal.export.handout import Handout, seasons
from gridmgmt.seasonal.stored import Item

PRODUCT = "-//gridmgmt//seasonal list//ZH"
# Nine in the morning three days before: an all-day event begins at midnight, when nobody wants to be called.
REMINDER = timedelta(hours=9) - timedelta(days=3)


@dataclass(frozen=True)
class _Entry:
    """What an event says; `key` stays the same when the list of a year is made again and days move."""

    key: str
    on: date
    title: str
    where: str
    lines: Sequence[str]
    category: str


def feed(handout: Handout) -> bytes:
    """Return a list as an ICS file (RFC 5545): an event an item where they are few, else one a season.

    Items beyond the capacity of their area are not in it: a calendar holds what is to be done. A calendar
    must hold something: where there is nothing to do, one event on the day of the export says why.
    """
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("x-wr-calname", _line(handout.heading))
    calendar.add("x-wr-caldesc", "。".join(f"{name}：{text}" for name, text in words.facts(handout)))
    turns: Counter[str] = Counter()
    for entry in _entries(handout):
        turns[entry.key] += 1  # a category may have a second window in the year
        event = _event(entry, turns[entry.key], handout)
        if handout.kept:
            event.add_component(_reminder(entry))
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def _entries(handout: Handout) -> Iterator[_Entry]:
    if not handout.kept:
        return iter([_nothing(handout)])
    return _by_item(handout) if handout.one_by_one else _by_season(handout)


def _line(words: str) -> str:
    """Return words in one line: the name of a place may have come with a break in it."""
    return " ".join(words.split())


def _event(entry: _Entry, turn: int, handout: Handout) -> Event:
    event = Event()
    event.add("uid", f"{handout.year}-{entry.key}-{turn}@seasonal.gridmgmt")
    event.add("dtstamp", handout.at)
    if handout.run:
        event.add("last-modified", handout.run.built_at)
    event.add("dtstart", entry.on)
    event.add("dtend", entry.on + timedelta(days=1))
    event.add("summary", _line(entry.title))
    event.add("location", _line(entry.where))
    event.add("description", "\n".join(entry.lines))
    event.add("categories", [entry.category])
    event.add("transp", "TRANSPARENT")  # a task of the day, not an appointment that fills it
    return event


def _reminder(entry: _Entry) -> Alarm:
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", f"还有 3 天，{entry.title}")
    alarm.add("trigger", REMINDER)
    return alarm


def _by_item(handout: Handout) -> Iterator[_Entry]:
    for item in handout.kept:
        path = [handout.division(item, "town"), handout.division(item, "village")]
        expected = f"预计 {words.expected(item)}，平时 {words.number(item.usual)} 件；{item.confidence}"
        who = [f"网格长：{item.chief}"] if item.chief else []
        yield _Entry(
            key=f"{item.category}-{item.area}",
            on=item.act_by,
            title=f"动手：{item.category_name} · {item.area_name}",
            where=" ".join([*(name for name in path if name not in item.area_name), item.area_name]),
            lines=[*_what(item), expected, *who, *_department(item)],
            category=item.category_name,
        )


def _by_season(handout: Handout) -> Iterator[_Entry]:
    for season in seasons(handout.kept):
        first, many = season.first, len(season.items)
        expected = f"{many} 处，预计共 {words.number(season.expected)} 件；最多的：{words.places(season)}"
        yield _Entry(
            key=f"{first.category}-all-{handout.area or 'city'}",
            on=season.act_by,
            title=f"动手：{first.category_name} · {many} 处",
            where=handout.title,
            lines=[*_what(first), expected, *_department(first)],
            category=first.category_name,
        )


def _nothing(handout: Handout) -> _Entry:
    return _Entry(
        key=f"nothing-{handout.area or 'city'}",
        on=handout.at.astimezone(CHINA).date(),
        title=f"{handout.year}年时令清单没有要动手的事项",
        where=handout.title,
        lines=[words.nothing(handout)],
        category="时令清单",
    )


def _what(item: Item) -> list[str]:
    peak = words.day(item.peak_on, item.year)
    return [f"怎么做：{item.action}", f"窗口：{words.window(item)}（{item.clock_name}），高峰 {peak}"]


def _department(item: Item) -> list[str]:
    return [f"对口部门：{item.department}"] if item.department else []

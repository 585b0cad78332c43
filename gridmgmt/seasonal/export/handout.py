"""What is handed out: the items of an area and year, how they came about, for whom and by whom."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeVar

from gridmgmt.calendar import CHINA
from gridmgmt.grids.codes import DIGITS
from gridmgmt.seasonal.stored import CategoryVerdict, Item, ListRun

# So many items are read and done one by one; more are told by season, with the places where most is expected.
FEW = 60
TOP_PLACES = 5
_LONGEST_TITLE = 40
# What no XML 1.0 document may hold, and what turns the direction of text or hides in it.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060\ufeff\ufffe\uffff]")
_NOT_IN_FILE_NAMES = re.compile(r'[\\/:*?"<>|\s]+')


class Form(StrEnum):
    """The forms of a list; the value is the file's suffix."""

    XLSX = "xlsx"
    DOCX = "docx"
    ICS = "ics"

    @property
    def mime_type(self) -> str:
        return _MIME_TYPES[self]


_MIME_TYPES = {
    Form.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Form.DOCX: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    Form.ICS: "text/calendar",
}


@dataclass(frozen=True)
class Season:
    """What comes at one time of the year in several places: a category and its window.

    `items` is never empty, the one with most matters expected first.
    """

    items: tuple[Item, ...]

    @property
    def first(self) -> Item:
        return self.items[0]

    @property
    def act_by(self) -> date:
        return min(item.act_by for item in self.items)

    @property
    def expected(self) -> float:
        return sum(item.expected for item in self.items)


@dataclass(frozen=True)
class Handout:
    """A list to be handed out.

    Attributes
    ----------
    year : the list's
    title : the name of the area
    area : its code, '' for the whole city
    run : how the list was made; None when there is none
    items : ordered as they are to be read, those beyond the area's capacity among them
    verdicts : what the list says about every category
    divisions : code -> name of counties, towns and villages
    chosen : the filters in force, in words; '' for none
    by, at : who exports, and when (with a time zone)
    """

    year: int
    title: str
    area: str
    run: ListRun | None
    items: Sequence[Item]
    verdicts: Sequence[CategoryVerdict]
    divisions: Mapping[str, str]
    by: str
    at: datetime
    chosen: str = ""

    @cached_property
    def kept(self) -> list[Item]:
        """The items that are to be done, by the day to act."""
        return sorted((item for item in self.items if not item.cut), key=_by_day)

    @cached_property
    def cut(self) -> list[Item]:
        """The items that their area cannot do as well, by the day to act."""
        return sorted((item for item in self.items if item.cut), key=_by_day)

    @property
    def one_by_one(self) -> bool:
        """Whether the items are few enough to be told one by one."""
        return len(self.kept) <= FEW

    @property
    def signature(self) -> str:
        """Who exported the list, and when."""
        return f"{self.by}，{self.at.astimezone(CHINA):%Y-%m-%d %H:%M}"

    @property
    def heading(self) -> str:
        return f"{self.year}年时令清单治未病 · {self.title}"

    def division(self, item: Item, level: str) -> str:
        """Return the name of the town or village that an item's area lies in or is; '' when it is wider."""
        code = item.area[: DIGITS[level]]
        return self.divisions.get(code, code) if len(code) == DIGITS[level] else ""


def seasons(items: Sequence[Item]) -> list[Season]:
    """Return items grouped by category and window, ordered by the first day to act."""
    groups: dict[tuple[str, date, date], list[Item]] = {}
    for item in items:
        groups.setdefault((item.category, item.start_on, item.end_on), []).append(item)
    found = [Season(tuple(sorted(group, key=lambda item: -item.expected))) for group in groups.values()]
    return sorted(found, key=lambda season: (season.act_by, season.first.start_on, season.first.category))


def file_name(form: Form, handout: Handout) -> str:
    """Return what a file is called that holds a list, such as 时令清单_2026_城关街道.xlsx."""
    title = _NOT_IN_FILE_NAMES.sub("_", _UNPRINTABLE.sub("", handout.title)).strip("._")
    return f"时令清单_{handout.year}_{title[:_LONGEST_TITLE] or '全部'}.{form}"


def printable(handout: Handout) -> Handout:
    """Return a list without the control characters that imported names may hold and no document may."""
    return replace(
        _cleaned(handout),
        items=[_cleaned(item) for item in handout.items],
        verdicts=[_cleaned(verdict) for verdict in handout.verdicts],
        divisions={code: _UNPRINTABLE.sub("", name) for code, name in handout.divisions.items()},
    )


def _by_day(item: Item) -> tuple[date, date, str, str]:
    return item.act_by, item.start_on, item.category, item.area


Record = TypeVar("Record", Handout, Item, CategoryVerdict)


def _cleaned(record: Record) -> Record:
    texts = {field.name: getattr(record, field.name) for field in fields(record)}
    changes: dict[str, Any] = {
        name: _UNPRINTABLE.sub("", text)
        for name, text in texts.items()
        if type(text) is str and _UNPRINTABLE.search(text)
    }
    return replace(record, **changes) if changes else record

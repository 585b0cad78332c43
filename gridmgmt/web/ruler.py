"""The year as a ruler: where a day stands on it, in percent, with months, solar terms and festivals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from gridmgmt.calendar import SOLAR_TERMS, festivals, solar_terms
from gridmgmt.seasonal.detect import MIN_RATIO
from gridmgmt.seasonal.stored import Item

SHORTEST_BAR = 0.6
# Festivals that people plan by, in short; two closer than this share of the ruler would overlap.
FEASTS = {"元旦": "元旦", "春节": "春节", "端午节": "端午", "中秋节": "中秋", "国庆节": "国庆"}
CLOSEST_FEASTS = 2.6


@dataclass(frozen=True)
class Mark:
    """A word on the ruler: a month, a solar term, a festival."""

    name: str
    at: float
    day: date


@dataclass(frozen=True)
class Ruler:
    """The days from `start` to `end`; every position is a percentage of their length."""

    start: date
    end: date
    months: tuple[Mark, ...]
    terms: tuple[Mark, ...]
    festivals: tuple[Mark, ...]

    def at(self, day: date) -> float:
        """Return where a day begins, cut to the ruler."""
        share = (day - self.start).days / ((self.end - self.start).days + 1)
        return round(min(max(share, 0), 1) * 100, 2)

    def width(self, first: date, last: date) -> float:
        """Return how wide a window is, wide enough to be seen."""
        return round(max(self.at(last + timedelta(days=1)) - self.at(first), SHORTEST_BAR), 2)

    def holds(self, day: date) -> bool:
        return self.start <= day <= self.end


@dataclass(frozen=True)
class YearDot:
    """A past year of a category: matters in the windows of its items, and as many days of the rest."""

    year: int
    inside: int
    usual: float

    @property
    def strong(self) -> bool:
        """Whether this year alone would have shown the season."""
        return self.inside >= MIN_RATIO * self.usual and self.inside > 0


@dataclass(frozen=True)
class Lane:
    """All windows of one category; `windows` are (first day, peak, last day, number of items)."""

    category: str
    name: str
    items: int
    expected: float
    excess: float
    windows: tuple[tuple[date, date, date, int], ...]
    act_by: tuple[date, ...]
    years: tuple[YearDot, ...]


def year_ruler(year: int, items: Sequence[Item]) -> Ruler:
    """Return the ruler of a list's year, lengthened to hold its first day to act and its last window."""
    first = min([date(year, 1, 1), *(item.act_by for item in items)]).replace(day=1)
    last = max([date(year, 12, 31), *(item.end_on for item in items)])
    bare = Ruler(first, last, (), (), ())
    years = range(first.year, last.year + 1)
    months = [date(y, m, 1) for y in years for m in range(1, 13)]
    terms = [(name, day) for y in years for name, day in zip(SOLAR_TERMS, solar_terms(y), strict=True)]
    feasts = [(FEASTS[name], day) for y in years for name, day in festivals(y) if name in FEASTS]
    return Ruler(
        first,
        last,
        tuple(_marks(bare, ((f"{day.month}月", day) for day in months))),
        tuple(_marks(bare, terms)),
        tuple(_apart(_marks(bare, sorted(feasts, key=lambda feast: feast[1])))),
    )


def _marks(ruler: Ruler, named: Iterable[tuple[str, date]]) -> list[Mark]:
    return [Mark(name, ruler.at(day), day) for name, day in named if ruler.holds(day)]


def _apart(marks: list[Mark]) -> list[Mark]:
    kept: list[Mark] = []
    for mark in marks:
        if not kept or mark.at - kept[-1].at >= CLOSEST_FEASTS:
            kept.append(mark)
    return kept


def lanes(items: Sequence[Item], limit: int) -> tuple[list[Lane], int]:
    """Return a lane each for the categories with most matters above the usual, and how many are left."""
    groups: dict[str, list[Item]] = {}
    for item in sorted(items, key=lambda item: item.act_by):
        groups.setdefault(item.category, []).append(item)
    found = [_lane(members) for members in groups.values()]
    most = sorted(found, key=lambda lane: -lane.excess)[:limit]
    return [lane for lane in found if lane in most], len(found) - len(most)


def _lane(members: list[Item]) -> Lane:
    windows: dict[tuple[date, date, date], int] = {}
    for item in members:
        key = (item.start_on, item.peak_on, item.end_on)
        windows[key] = windows.get(key, 0) + 1
    return Lane(
        category=members[0].category,
        name=members[0].category_name,
        items=len(members),
        expected=sum(item.expected for item in members),
        excess=sum(item.excess for item in members),
        windows=tuple((*window, number) for window, number in sorted(windows.items())),
        act_by=tuple(sorted({item.act_by for item in members})),
        years=_dots(members),
    )


def _dots(members: Sequence[Item]) -> tuple[YearDot, ...]:
    sums: dict[int, tuple[int, float]] = {}
    for each in (year for item in members for year in item.years):
        inside, usual = sums.get(each["year"], (0, 0.0))
        sums[each["year"]] = (inside + each["inside"], usual + each["outside"])
    return tuple(YearDot(year, *sums[year]) for year in sorted(sums))

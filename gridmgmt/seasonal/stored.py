"""Reads stored lists (时令清单): items with every name a reader needs, verdicts, expected matters."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, select

from gridmgmt.errors import NotFoundError
from gridmgmt.grids import service as grids
from gridmgmt.grids.codes import DIGITS
from gridmgmt.hotspots.models import AnalysisRun, RunKind
from gridmgmt.hotspots.statistics.kernels import FloatArray
from gridmgmt.incidents import service as incidents
from gridmgmt.seasonal.models import (
    CLOCK_NAMES,
    Clock,
    SeasonalExpected,
    SeasonalItem,
    SeasonalVerdict,
    Verdict,
)

CONFIDENCE = ((0.001, "很有把握"), (0.01, "比较有把握"), (1.0, "有迹象"))


@dataclass(frozen=True)
class ListRun:
    """How a list was made.

    Attributes
    ----------
    id, year, built_at : of the run
    start, end : first and last day of the matters that it rests on
    told, problems : matters of that time, before and after duplicates were folded
    capacity : items that an area takes on in a 旬
    """

    id: int
    year: int
    built_at: datetime
    start: date
    end: date
    told: int
    problems: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the list, with every name a reader needs.

    Attributes
    ----------
    level, area : grid | village | town | county, and its code
    start_on, peak_on, end_on : the window in the list's year
    act_by, lead_days, lead_learnt : the day by which to treat, how many days before the window, and whether
        that was learnt from when matters came (True) or set for the category (False)
    expected, expected_low, expected_high : matters in the window without action: mean, 5 % and 95 % point
    usual : matters that as many days of the rest of the year would bring
    ratio, q, confidence : density inside over outside, q-value over all tests of the list, in words
    years : the evidence, a dict a past season: year, inside, outside (scaled to the window's days), told
        (matters inside before duplicates were folded)
    stable : past seasons without any one of which the item would still stand, of len(years)
    cut : beyond what the area can do in a 旬; stays visible and says so
    """

    id: int
    year: int
    level: str
    area: str
    area_name: str
    category: str
    category_name: str
    department: str | None
    clock: Clock
    clock_name: str
    start_on: date
    peak_on: date
    end_on: date
    act_by: date
    lead_days: int
    lead_learnt: bool
    expected: float
    expected_low: float
    expected_high: float
    usual: float
    ratio: float
    q: float
    confidence: str
    years: list[dict[str, Any]]
    stable: int
    cut: bool
    action: str
    chief: str | None

    @property
    def excess(self) -> float:
        """Matters above the usual: what acting beforehand could spare."""
        return max(0.0, self.expected - self.usual)


@dataclass(frozen=True)
class CategoryVerdict:
    """What a list says about one category; p and q are None where nothing could be tested."""

    category: str
    category_name: str
    verdict: Verdict
    problems: int
    told: int
    clock: Clock | None
    q_scan: float | None
    p_walter_elwood: float | None
    p_harmonic: float | None
    stable: int | None


def years(connection: Connection) -> list[int]:
    """Return the years for which a list stands, an empty one too, the latest first."""
    year = AnalysisRun.parameters["year"].as_integer()
    runs = connection.scalars(select(year).where(AnalysisRun.kind == RunKind.SEASONAL))
    return sorted(set(runs), reverse=True)


def latest_year(connection: Connection) -> int:
    """Return the latest year that has a list; NotFoundError when there is none."""
    found = years(connection)
    if not found:
        raise NotFoundError("there is no list yet; make it with: gridmgmt seasonal build --year YEAR")
    return found[0]


class Names(NamedTuple):
    """By what a reader knows the places and kinds of the list, and who is there for a grid, as of now."""

    areas: dict[str, tuple[str, int | None]]  # by code: name, and the id of a grid
    categories: incidents.Categories
    chiefs: dict[int, str]  # by the id of a grid


@dataclass(frozen=True)
class YearList:
    """The whole list of a year, ordered by the day to act, and which of its areas lie inside which."""

    items: list[Item]
    parts: dict[tuple[str, date], Counter[str]]

    def speaking_for(self, areas: Collection[str] | None) -> list[Item]:
        """Return the items of these places and of all below them; all of them for None.

        An item of a place around them is theirs when no finer item of the same season speaks for them.
        """
        if areas is None:
            return list(self.items)
        near = sorted({number for each in areas for number in self._near(each)})
        return [
            item
            for item in map(self.items.__getitem__, near)
            if any(_speaks_for(item.area, each, self.parts[_season(item)]) for each in areas)
        ]

    def _near(self, place: str) -> list[int]:
        """Return the items inside a place and of the places around it, by number."""
        around = [place[:digits] for digits in DIGITS.values() if digits < len(place)]
        found = self._inside.get(place, []) if len(place) in DIGITS.values() else range(len(self.items))
        return [*found, *(number for each in around for number in self._at.get(each, []))]

    @cached_property
    def _inside(self) -> dict[str, list[int]]:
        """Items by every place that they lie in, their own among them."""
        found: dict[str, list[int]] = defaultdict(list)
        for number, item in enumerate(self.items):
            for digits in DIGITS.values():
                if digits <= len(item.area):
                    found[item.area[:digits]].append(number)
        return found

    @cached_property
    def _at(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for number, item in enumerate(self.items):
            found[item.area].append(number)
        return found


def items(
    connection: Connection,
    year: int | None = None,
    areas: Collection[str] | None = None,
    category: str | None = None,
) -> list[Item]:
    """Return the list of a year (the latest when None), ordered by the day to act.

    `areas` keeps what speaks for these places (see `YearList`), `category` a category and all under it.
    """
    if year is None:
        known = years(connection)
        if not known:
            return []
        year = known[0]
    return year_list(connection, year, names(connection), category).speaking_for(areas)


def year_of(connection: Connection, number: int) -> int | None:
    """Return the year of the list that has an item of this number; None when none has."""
    return connection.scalar(select(SeasonalItem.year).where(SeasonalItem.id == number))


def names(connection: Connection) -> Names:
    """Return the names of every place in force, of every category and chief."""
    areas: dict[str, tuple[str, int | None]] = dict(grids.grid_names(connection))
    areas.update({code: (name, None) for code, name in grids.division_names(connection).items()})
    return Names(areas, incidents.categories(connection), grids.chiefs(connection))


def year_list(connection: Connection, year: int, known: Names, category: str | None = None) -> YearList:
    """Return the list of a year, empty when there is none; `category` keeps one and all under it."""
    asked = [SeasonalItem.year == year]
    if category is not None:
        asked.append(SeasonalItem.category.in_(known.categories.below(category)))
    rows = connection.execute(
        select(SeasonalItem.__table__)
        .where(*asked)
        .order_by(SeasonalItem.act_by, SeasonalItem.category, SeasonalItem.area)
    ).all()
    finer = _parts_listed(rows)
    return YearList([_item(row, known, rest=bool(finer[_season(row)][row.area])) for row in rows], finer)


def _season(row: Any) -> tuple[str, date]:
    return row.category, row.start_on


def _parts_listed(rows: Sequence[Any]) -> dict[tuple[str, date], Counter[str]]:
    """Return, for every season, how many listed areas lie inside each place."""
    inside: dict[tuple[str, date], Counter[str]] = defaultdict(Counter)
    for row in rows:
        wider = [digits for digits in DIGITS.values() if digits < len(row.area)]
        inside[_season(row)].update(row.area[:digits] for digits in wider)
        inside[_season(row)][f"={row.area}"] += 1
    return inside


def _speaks_for(area: str, place: str, parts: Counter[str]) -> bool:
    """Say whether an item of `area` is one for `place`: it lies inside, or around it with none in between."""
    if area.startswith(place):
        return True
    between = [place[:digits] for digits in DIGITS.values() if len(area) < digits <= len(place)]
    return place.startswith(area) and not any(parts[f"={each}"] for each in between)


def _item(row: Any, known: Names, *, rest: bool) -> Item:
    name, grid_id = known.areas.get(row.area, (row.area, None))
    if rest:  # its clearest parts have items of their own; this one counts what they leave
        name = f"{name}其余地方"
    clock = Clock(row.clock)
    return Item(
        id=row.id, year=row.year, level=row.level, area=row.area, area_name=name, category=row.category,
        category_name=known.categories.name(row.category),
        department=known.categories.department(row.category),
        clock=clock, clock_name=CLOCK_NAMES[clock], start_on=row.start_on, peak_on=row.peak_on,
        end_on=row.end_on, act_by=row.act_by, lead_days=row.lead_days, lead_learnt=row.lead_learnt,
        expected=row.expected, expected_low=row.expected_low, expected_high=row.expected_high,
        usual=row.usual, ratio=row.ratio, q=row.q, confidence=confidence(row.q), years=row.years,
        stable=row.stable, cut=row.cut, action=row.action,
        chief=None if grid_id is None else known.chiefs.get(grid_id),
    )  # fmt: skip


def confidence(q: float) -> str:
    """Return how sure we are, in words."""
    return next(words for limit, words in CONFIDENCE if q <= limit)


def run_of(connection: Connection, year: int) -> ListRun:
    """Return how the list of a year was made; NotFoundError when there is none."""
    statement = (
        select(AnalysisRun)
        .where(AnalysisRun.kind == RunKind.SEASONAL, AnalysisRun.parameters["year"].as_integer() == year)
        .order_by(AnalysisRun.id.desc())
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFoundError(f"no list for {year}; make it with: gridmgmt seasonal build --year {year}")
    asked = row.parameters
    return ListRun(
        id=row.id, year=year, built_at=row.finished_at, start=date.fromisoformat(asked["from"]),
        end=date.fromisoformat(asked["to"]), told=asked["told"], problems=asked["problems"],
        capacity=asked["capacity"],
    )  # fmt: skip


def verdicts(connection: Connection, run: ListRun) -> list[CategoryVerdict]:
    """Return what the list says about every category, ordered by code."""
    names = incidents.categories(connection)
    rows = connection.execute(
        select(SeasonalVerdict.__table__)
        .where(SeasonalVerdict.run_id == run.id)
        .order_by(SeasonalVerdict.category)
    )
    return [
        CategoryVerdict(
            category=row.category, category_name=names.name(row.category), verdict=Verdict(row.verdict),
            problems=row.problems, told=row.told, clock=Clock(row.clock) if row.clock else None,
            q_scan=row.q_scan, p_walter_elwood=row.p_walter_elwood, p_harmonic=row.p_harmonic,
            stable=row.stable,
        )
        for row in rows
    ]  # fmt: skip


def expected_cells(
    connection: Connection, run: ListRun, area: str = "", category: str | None = None
) -> tuple[list[str], FloatArray]:
    """Return grids below an area ('' for all) and their expected matters in the 36 旬, shape (grids, 36).

    All seasonal categories together, or one of them by code. Categories without a season are not in it.
    """
    table = SeasonalExpected
    asked = [table.run_id == run.id, table.area.startswith(area)]
    if category is not None:
        asked.append(table.category == category)
    sums: dict[str, FloatArray] = {}
    for row in connection.execute(select(table.area, table.cells).where(*asked).order_by(table.area)):
        sums[row.area] = sums.get(row.area, 0.0) + np.array(row.cells)
    cells = np.stack(list(sums.values())) if sums else np.zeros((0, 36))
    return list(sums), cells

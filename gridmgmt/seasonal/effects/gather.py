"""Lays a list, its tasks and the matters side by side: which grids were treated, what came, what was due.

The rules of what counts as treated and which days count are said in docs/methods/effect.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np

from gridmgmt import calendar
from gridmgmt.hotspots.cube import Located
from gridmgmt.hotspots.statistics.kernels import FloatArray
from gridmgmt.hotspots.statistics.weights import Weights
from gridmgmt.seasonal.clocks import Span
from gridmgmt.seasonal.effects.estimate import Units
from gridmgmt.seasonal.expected import MIN_YEARS, fit
from gridmgmt.seasonal.forecast import Expected
from gridmgmt.seasonal.history import History, history_of
from gridmgmt.seasonal.models import Clock
from gridmgmt.seasonal.stored import Item
from gridmgmt.seasonal.tasks.stored import Treatment

DAY = timedelta(days=1)


@dataclass(frozen=True, eq=False)
class Season:
    """What a list says of one category.

    Attributes
    ----------
    windows : the days of the list's year that count, apart from each other, in order
    named : whether the list names a grid for a window, (windows, grids)
    """

    category: str
    clock: Clock
    windows: tuple[Span, ...]
    named: np.ndarray


def seasons(items: Sequence[Item], codes: Sequence[str], year: int) -> list[Season]:
    """Return the seasons of a list on the grids in force today, by category.

    An item of a wider area names all grids in it. Windows that overlap count as one; days outside `year`
    are left out, because those before it are part of what the expectation rests on.
    """
    by_category: dict[str, list[Item]] = {}
    for item in items:
        if item.end_on.year >= year >= item.start_on.year:
            by_category.setdefault(item.category, []).append(item)
    return [_season(members, codes, year) for _, members in sorted(by_category.items())]


def _season(items: list[Item], codes: Sequence[str], year: int) -> Season:
    windows: list[Span] = []
    named: list[np.ndarray] = []
    for item in sorted(items, key=lambda item: (item.start_on, item.end_on, item.area)):
        start, end = max(item.start_on, date(year, 1, 1)), min(item.end_on, date(year, 12, 31))
        rows = np.array([code.startswith(item.area) for code in codes])
        if windows and start <= windows[-1].end:
            windows[-1] = Span(windows[-1].start, max(end, windows[-1].end))
            named[-1] = named[-1] | rows
        else:
            windows.append(Span(start, end))
            named.append(rows)
    return Season(items[0].category, items[0].clock, tuple(windows), np.stack(named))


def first_done(season: Season, treatments: Sequence[Treatment], codes: Sequence[str]) -> np.ndarray:
    """Return the day on which each grid was treated for each window, (windows, grids); NaT where it was not.

    A grid is treated by a done task of its own or of an area around it, for this window, done before the
    window's last day.
    """
    found = np.full(season.named.shape, np.datetime64("NaT"), dtype="datetime64[D]")
    for row, window in enumerate(season.windows):
        for each in treatments:
            done = each.done_on
            for_it = each.category == season.category and _overlap(Span(each.start_on, each.end_on), window)
            if done is not None and for_it and done < window.end:
                inside = np.array([code.startswith(each.area) for code in codes])
                found[row, inside] = np.fmin(found[row, inside], np.datetime64(done))
    return np.where(season.named, found, np.datetime64("NaT"))


def _overlap(one: Span, other: Span) -> bool:
    return one.start <= other.end and other.start <= one.end


def elsewhere(windows: Sequence[Span], year: int, known: date) -> list[Span]:
    """Return windows as long as the first one in what is left of the year, up to the last known day."""
    length = windows[0].end - windows[0].start
    edges = [date(year, 1, 1) - DAY, *(day for each in windows for day in (each.start, each.end))]
    edges.append(min(date(year, 12, 31), known) + DAY)
    found = []
    for after, before in zip(edges[::2], edges[1::2], strict=True):
        start = after + DAY
        while start + length < before:
            found.append(Span(start, start + length))
            start += length + DAY
    return found


def a_year_before(window: Span, clock: Clock) -> Span:
    """Return the same window one year earlier on its clock."""
    if clock is Clock.LUNAR:
        year = (window.start + (window.end - window.start) / 2).year
        back = calendar.spring_festival(year) - calendar.spring_festival(year - 1)
        return Span(window.start - back, window.end - back)
    return Span(_last_year(window.start), _last_year(window.end))


def _last_year(day: date) -> date:
    leap = (day.month, day.day) == (2, 29)
    return day.replace(year=day.year - 1, day=28 if leap else day.day)


@dataclass(frozen=True, eq=False)
class Matters:
    """The issue pool on today's grids, with what is needed to say what was due.

    Attributes
    ----------
    located : problems, of whole years up to the list's year
    first_year : the first full year
    near, town : neighbours and town of each grid
    """

    located: Located
    first_year: int
    near: Weights
    town: np.ndarray

    @cached_property
    def history(self) -> History:
        last = int(self.located.day.max().astype("datetime64[Y]").astype(int)) + 1970
        return history_of(self.located, "grid", range(self.first_year, last + 1))

    def expected(self, target: int, categories: Sequence[str]) -> dict[str, Expected]:
        """Return what to expect in a year from the years before it; nothing when those are under two."""
        rows = {code: row for row, code in enumerate(self.located.categories) if code in categories}
        years = range(self.first_year, target)
        if len(years) < MIN_YEARS or not rows or not self.located.day.size:
            return {}
        history = self.history.before(target)
        if not history.area.size:
            return {}
        found = fit(history, self.near, self.town, target, only=list(rows.values()))
        return dict(zip(rows, found, strict=True))

    def count(self, category: str, first: np.ndarray, windows: Sequence[Span]) -> FloatArray:
        """Return matters in each grid from its own `first` day (NaT: none) to a window's end, as `first`."""
        at = self.located
        total = np.zeros(first.shape)
        if category not in at.categories:
            return total
        rows = (at.category == at.categories.index(category)) & (at.grid >= 0)
        grid, day = at.grid[rows], at.day[rows]
        for row, window in enumerate(windows):
            kept = (day >= first[row][grid]) & (day <= np.datetime64(window.end))
            total[row] = np.bincount(grid[kept], minlength=first.shape[1])
        return total


@dataclass(frozen=True, eq=False)
class Gathered:
    """A season's `grids` as `estimate` wants them; `placebo` are the windows elsewhere."""

    units: Units
    placebo: list[Span]
    grids: np.ndarray


def gather(
    season: Season,
    done: np.ndarray,
    matters: Matters,
    now: Expected,
    before: Expected | None,
    year: int,
    known: date,
) -> Gathered:
    """Return what came and what was due in a season's grids.

    A treated grid counts in the windows that it was treated for, from the day after; an untreated one in all
    that the list names it for. `before` expects the year before; `known` is the last day with matters.
    """
    treated = ~np.isnat(done).all(axis=0)
    counted = season.named & (~np.isnat(done) | ~treated)
    first = np.where(counted, np.fmax(done + 1, _starts(season.windows)), np.datetime64("NaT"))
    then = [a_year_before(window, season.clock) for window in season.windows]
    grids = np.flatnonzero(counted.any(axis=0))
    placebo = elsewhere(season.windows, year, known)
    everywhere = np.broadcast_to(_starts(placebo), (len(placebo), len(treated)))
    earliest = np.fmin.reduce(done, axis=None)
    whole = np.where(counted, _starts(_of_year(then, year - 1)), np.datetime64("NaT"))
    return Gathered(
        Units(
            treated=treated[grids],
            observed=matters.count(season.category, first, season.windows).sum(axis=0)[grids],
            expected=due(now, first, season.windows).sum(axis=0)[grids],
            shape=now.certain[grids],
            last_year=matters.count(
                season.category, first - _starts(season.windows) + _starts(then), then
            ).sum(axis=0)[grids],
            elsewhere=matters.count(season.category, everywhere, placebo)[:, grids],
            elsewhere_expected=due(now, everywhere, placebo)[:, grids],
            early=np.array([np.datetime64(each.end) <= earliest for each in placebo], dtype=bool),
            before=None
            if before is None
            else (
                matters.count(season.category, whole, then).sum(axis=0)[grids],
                due(before, whole, then).sum(axis=0)[grids],
                before.certain[grids],
            ),
        ),
        placebo,
        grids,
    )


def _starts(windows: Sequence[Span]) -> np.ndarray:
    """Return first days as a column, (windows, 1)."""
    return np.array([each.start for each in windows], dtype="datetime64[D]")[:, None]


def _of_year(windows: Sequence[Span], year: int) -> list[Span]:
    return [Span(max(each.start, date(year, 1, 1)), each.end) for each in windows]


def due(expected: Expected, first: np.ndarray, windows: Sequence[Span]) -> FloatArray:
    """Return what is due in each grid from its own `first` day (NaT: none) to a window's end, as `first`."""
    total = np.zeros(first.shape)
    for row, window in enumerate(windows):
        days = first[row]
        for day in np.unique(days[~np.isnat(days) & (days <= np.datetime64(window.end))]):
            rows = days == day
            total[row, rows] = expected.over(day.item(), window.end)[rows]
    return total

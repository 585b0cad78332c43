"""Turns seasons that were found into the lines of a list: dates of the target year, how many, by when, and
what is more than an area can do.

Method and limits: docs/methods/seasonal-list.md
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np

from gridmgmt import calendar
from gridmgmt.errors import InputError
from gridmgmt.hotspots.cube import Located
from gridmgmt.hotspots.statistics.kernels import FloatArray
from gridmgmt.seasonal import clocks, detect
from gridmgmt.seasonal.actions import Action
from gridmgmt.seasonal.expected import between_years
from gridmgmt.seasonal.finder import Candidate, Listed
from gridmgmt.seasonal.forecast import Expected

EARLY = 0.05  # share of a season's matters that may have come when its learnt day to act is over
MIN_EXPECTED = 0.5  # problems in a window; what comes less often is not worth a visit
SEASONS_ALIKE = 6.0
LONGEST_LEARNT = 60  # days before the window; what comes earlier is not of this season


@dataclass(frozen=True)
class Line:
    """An item before it is stored; the fields are those of `models.SeasonalItem`."""

    level: str
    area: str
    category: str
    clock: str
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
    p: float
    q: float
    years: list[dict[str, Any]]
    stable: int
    action: str
    cut: bool = False

    @property
    def excess(self) -> float:
        """Matters above the usual."""
        return max(0.0, self.expected - self.usual)


class SeasonLines:
    """The lines of one season of one category."""

    def __init__(
        self,
        candidate: Candidate,
        listed: Sequence[Listed],
        fitted: Expected,
        told: Located,
        action: Action,
        between: float,
    ) -> None:
        """Take the season, its areas, the forecast by grid, matters before folding, what to do, and how much
        seasons of one kind differ from year to year (see `between_seasons`)."""
        self.candidate, self.listed, self.fitted, self.action = candidate, listed, fitted, action
        self.told, self.between = told, between
        self.row_of_grid = told.areas("grid")[1]

    def lines(self, year: int) -> list[Line]:
        """Return the lines for a year; none when the window does not fall into it (a lunar one may not).

        Of many areas with a weak season, those pass the tests that happened to have a strong one. So an item
        must also be expected to have it: half as many again as usual, by the model that knows of the others,
        and at least one problem in two seasons.
        """
        season = self.candidate.season
        try:
            span = clocks.window_in_year(season.clock, year, season.start, season.length)
        except InputError:
            return []
        mean = self.fitted.over(span.start, span.end)
        told = self._told()
        lines = [self._line(one, span, mean, told) for one in self.listed]
        least = [max(MIN_EXPECTED, detect.MIN_RATIO * line.usual) for line in lines]
        return [line for line, wanted in zip(lines, least, strict=True) if line.expected >= wanted]

    def _line(self, one: Listed, span: clocks.Span, mean: FloatArray, told: np.ndarray) -> Line:
        rows = self.row_of_grid[one.grids]
        own = np.zeros(len(mean))
        own[rows] = mean[rows]
        low, high = self.fitted.together(own, between=self.between).tolist()
        days = (span.end - span.start).days + 1
        whole = float(self.fitted.expected[rows].sum())
        lead = self.learnt_lead if self.action.lead_days is None else self.action.lead_days
        return Line(
            level=one.level, area=one.area, category=self.candidate.category,
            clock=self.candidate.season.clock, start_on=span.start, peak_on=_peak(self.candidate, span),
            end_on=span.end, act_by=span.start - timedelta(days=lead), lead_days=lead,
            lead_learnt=self.action.lead_days is None, expected=float(own.sum()), expected_low=low,
            expected_high=high, usual=max(0.0, whole - float(own.sum())) / (365.25 - days) * days,
            ratio=float(one.test.ratio[one.index]), p=float(one.test.p[one.index]), q=one.q,
            years=_evidence(one, told[one.grids].sum(axis=0)), stable=int(one.test.stable[one.index]),
            action=self.action.text,
        )  # fmt: skip

    def _told(self) -> np.ndarray:
        """Return how many matters were told in each grid and past window, shape (grids, years)."""
        told = self.told
        code = told.categories.index(self.candidate.category)
        mine = (told.category == code) & (told.grid >= 0)
        season, days = self.candidate.season, self.candidate.days
        return detect.counts_by_season(told.grid[mine], told.day[mine], len(told.grids), season, days)[0]

    @cached_property
    def learnt_lead(self) -> int:
        """Days before the window by which all but a twentieth of its season's matters were still to come.

        Matters of the listed areas are counted from a window's length before the window to its end, less what
        the rest of the year brings in as many days. At least 1: what is done beforehand is done before it.
        """
        listed = np.unique(np.concatenate([one.grids for one in self.listed]))
        of_grid = np.zeros(len(self.told.grids) + 1, dtype=bool)
        of_grid[listed] = True
        code = self.told.categories.index(self.candidate.category)
        day = self.told.day[(self.told.category == code) & of_grid[self.told.grid]]
        _, starts, ends = detect.season_spans(self.candidate.season, self.candidate.days)
        length = int(np.median((ends - starts).astype(int))) + 1
        offset = (day[:, None] - starts[None, :]).astype(int).ravel()
        near = np.bincount(offset[(offset >= -length) & (offset < length)] + length, minlength=2 * length)
        usual = sum(one.test.outside[one.index].sum() for one in self.listed) / length
        excess = np.cumsum(near - usual)
        if excess[-1] <= 0:
            return 1
        before = np.flatnonzero(excess < EARLY * excess[-1])
        first = int(before[-1]) + 1 - length if len(before) else -length
        return min(max(1, 1 - first), LONGEST_LEARNT)


def _peak(candidate: Candidate, span: clocks.Span) -> date:
    """Return the middle of the peak bin inside a window of a target year."""
    season = candidate.season
    bins_before = (season.peak - season.start) % clocks.BINS[season.clock]
    share = (bins_before + 0.5) / season.length
    return span.start + timedelta(days=int(((span.end - span.start).days + 1) * share))


def _evidence(one: Listed, told: np.ndarray) -> list[dict[str, Any]]:
    inside, outside = one.test.inside[one.index], one.test.outside[one.index]
    return [
        {"year": int(year), "inside": int(i), "outside": round(float(o), 1), "told": int(t)}
        for year, i, o, t in zip(one.test.years, inside, outside, told, strict=True)
    ]


def between_seasons(candidates: Sequence[Candidate]) -> list[float]:
    """Return for every season the relative variance that its next occurrence has in the whole city.

    Three or four years say little about it, so each season's own variance is drawn towards the mean of all
    seasons' as if that had been seen in `SEASONS_ALIKE` years; and the mean it varies about is itself
    uncertain by one part in n.
    """
    totals = [candidate.tests["county"].inside.sum(axis=0) for candidate in candidates]
    own = np.array([between_years(each) for each in totals])
    years = np.array([len(each) for each in totals])
    drawn = ((years - 1) * own + SEASONS_ALIKE * own.mean()) / (years - 1 + SEASONS_ALIKE)
    result: list[float] = (drawn * (1 + 1 / years)).tolist()
    return result


def within_capacity(lines: Sequence[Line], capacity: int, helps: Mapping[str, float]) -> list[Line]:
    """Return the lines with those marked that are more than their area takes on in a 旬.

    An area takes on `capacity` items whose day to act is in the same 旬 of the same year: those that spare
    most, the matters above the usual times the share that treating the category was seen to spare (`helps`
    by category, '' for all others; alike for all where nothing was measured).
    """
    others = helps.get("", 1.0)
    loads: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for row, line in enumerate(lines):
        loads[line.area, line.act_by.year, int(calendar.xun_of(np.datetime64(line.act_by)))].append(row)
    cut = set()
    for rows in loads.values():
        order = sorted(rows, key=lambda row: -lines[row].excess * helps.get(lines[row].category, others))
        cut.update(order[capacity:])
    return [replace(line, cut=True) if row in cut else line for row, line in enumerate(lines)]

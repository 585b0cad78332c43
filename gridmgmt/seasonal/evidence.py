"""What an item of the list rests on: its years side by side, where its problems were, areas like its own.

Places are read on the grids in force today, whatever grid a matter was reported in, and duplicates are folded
as for the list, so that the numbers here are those of the item.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from sqlalchemy import Connection, select, text

from gridmgmt.grids.assign import PointAssigner
from gridmgmt.grids.service import GridSet
from gridmgmt.hotspots.statistics.kernels import FloatArray
from gridmgmt.incidents import pool
from gridmgmt.seasonal import clocks
from gridmgmt.seasonal.models import SeasonalItem
from gridmgmt.seasonal.stored import Item, ListRun

BINS = 6  # of the window; as many are shown before it and after it
# A point on the map stands for a square of this side, so that it names no door.
SPOT_METRES = 30.0
SPOTS_ACROSS = 150  # on a wide map squares grow: more would be dots over dots
ALIKE, CLOSEST = 5, 20
_METRES_A_DEGREE = 111_195.0


@dataclass(frozen=True)
class Season:
    """One past season: its window, and the problems in bins around it.

    `problems` has NaN where the matters of the list do not reach; `inside` and `told` are problems and
    matters in the window.
    """

    year: int
    start: date
    end: date
    problems: FloatArray  # (b,)
    inside: int
    told: int


@dataclass(frozen=True)
class Spot:
    """How many past problems of the window lie in one square; its middle in degrees."""

    lon: float
    lat: float
    problems: int


@dataclass(frozen=True)
class Beside:
    """An area: problems in the same window of each past season, all of it counted.

    `listed` says whether this season is in the list for it: itself, parts (some of its own), or no.
    """

    code: str
    inside: tuple[int, ...]
    listed: str


@dataclass(frozen=True)
class Evidence:
    """What an item rests on.

    Attributes
    ----------
    bin_days, offsets : days of a bin; the first day of each bin, counted from the window's first day, (b,)
    seasons : the past seasons, in order
    expected : problems of the coming season by bin, (b,): the mean of the past ones, scaled inside the window
        to the item's expectation
    by_grid : problems in the windows, all seasons together, by grid of today inside the item's area
    apart : finer areas that have an item of their own for this season, whose problems are not counted here
    spots, spot_metres : where the problems were, to squares of this side; empty unless asked for
    own, beside : the item's area, all of it, and others to compare it with
    """

    bin_days: int
    offsets: np.ndarray
    seasons: tuple[Season, ...]
    expected: FloatArray
    by_grid: dict[str, int]
    apart: tuple[str, ...]
    spots: tuple[Spot, ...]
    spot_metres: float
    own: Beside
    beside: tuple[Beside, ...]


@dataclass(frozen=True)
class Told:
    """Matters of a category inside the period of a list, n of them, and which opened a problem."""

    day: np.ndarray  # (n,) datetime64[D]
    lon: FloatArray  # (n,)
    lat: FloatArray  # (n,)
    grid: np.ndarray  # (n,) which of `codes`
    first: np.ndarray  # (n,) bool
    codes: np.ndarray  # of today's grids, and '' for none as the last

    def within(self, areas: Collection[str]) -> np.ndarray:
        """Return which matters lie in one of these areas, a mask (n,)."""
        inside = np.zeros(len(self.codes), dtype=bool)
        for digits in {len(area) for area in areas}:
            inside |= np.isin(
                self.codes.astype(f"U{digits}"), [area for area in areas if len(area) == digits]
            )
        found: np.ndarray = inside[self.grid]
        return found


def read(
    connection: Connection,
    one: Item,
    run: ListRun,
    matters: Told,
    *,
    beside: Sequence[str] = (),
    spots_in: Collection[str] = (),
) -> Evidence:
    """Return what an item rests on; problems are placed on the map inside `spots_in` alone.

    `matters` are those of its category and list (`told`).
    """
    listed = _listed(connection, one)
    apart = tuple(sorted(code for code in listed if code.startswith(one.area) and code != one.area))
    mine = matters.within([one.area]) & ~matters.within(apart)
    spans = past_windows(one)
    inside = np.zeros((len(spans), len(matters.day)), dtype=bool)
    for row, (_, span) in zip(inside, spans, strict=True):
        row[:] = (matters.day >= np.datetime64(span.start)) & (matters.day <= np.datetime64(span.end))
    bin_days, offsets = bins_of((one.end_on - one.start_on).days + 1)
    seasons = tuple(
        Season(
            year, span.start, span.end,
            _counts(matters.day[mine & matters.first], span.start, bin_days, offsets, run),
            int((row & mine & matters.first).sum()), int((row & mine).sum()),
        )
        for (year, span), row in zip(spans, inside, strict=True)
    )  # fmt: skip
    shown = matters.first & inside.any(axis=0) & mine
    codes, counts = np.unique(matters.codes[matters.grid[shown]], return_counts=True)
    placed = shown & matters.within(spots_in)
    gathered, side = spots(matters.lon[placed], matters.lat[placed])
    return Evidence(
        bin_days=bin_days,
        offsets=offsets,
        seasons=seasons,
        expected=_expected(seasons, one, bin_days, offsets),
        by_grid=dict(zip(codes.tolist(), counts.tolist(), strict=True)),
        apart=apart,
        spots=gathered,
        spot_metres=side,
        own=_beside(one.area, matters, inside, listed),
        beside=tuple(_beside(code, matters, inside, listed) for code in beside),
    )


def past_windows(one: Item) -> list[tuple[int, clocks.Span]]:
    """Return the season year and the days of an item's window in each of its past seasons, on its clock."""
    days = np.array([one.start_on, one.end_on], dtype="datetime64[D]")
    (first_year, last_year), (first, last) = (each.tolist() for each in clocks.place(one.clock, days))
    length = (last_year - first_year) * clocks.BINS[one.clock] + last - first + 1
    years = [int(year["year"]) for year in one.years]
    return [(year, clocks.window_days(one.clock, year, first, length)) for year in years]


def bins_of(length: int) -> tuple[int, np.ndarray]:
    """Return how many days a bin has, and where bins begin, for a window of so many days.

    Bins begin with the window, so that years align on it; before and after it is shown as much as it lasts.

    >>> bins_of(10)[0], bins_of(10)[1].tolist()
    (2, [-10, -8, -6, -4, -2, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18])
    """
    days = max(1, round(length / BINS))
    across = -(-length // days)
    return days, np.arange(-across, 2 * across) * days


def spots(lon: FloatArray, lat: FloatArray) -> tuple[tuple[Spot, ...], float]:
    """Return points gathered into squares, each by its middle and its number of points, and their side.

    Squares are `SPOT_METRES` long; over a wide stretch twice, four times, … as long. Where they begin does
    not hang on the points: a door cannot be told from its neighbours by looking again with other filters.
    """
    if not len(lon):
        return (), SPOT_METRES
    extent = max(np.ptp(lat), np.ptp(lon) * np.cos(np.radians(lat.mean()))) * _METRES_A_DEGREE
    side = SPOT_METRES * 2.0 ** max(0, np.ceil(np.log2(max(extent, 1) / SPOTS_ACROSS / SPOT_METRES)))
    east = side / (_METRES_A_DEGREE * np.cos(np.radians(np.rint(lat.mean()))))  # by whole degrees
    north = side / _METRES_A_DEGREE
    cells = np.stack([np.floor(lon / east), np.floor(lat / north)], axis=1)
    found, counts = np.unique(cells, axis=0, return_counts=True)
    gathered = (
        Spot(float((x + 0.5) * east), float((y + 0.5) * north), int(n))
        for (x, y), n in zip(found, counts, strict=True)
    )
    return tuple(gathered), side


def alike(code: str, sizes: Mapping[str, tuple[int, float]], number: int = ALIKE) -> list[str]:
    """Return the areas most like one: of those nearest in households, the nearest in households a km².

    `sizes` gives households and area of each, in any unit of area. An area without households is like none.

    >>> alike("a", {"a": (100, 1.0), "b": (110, 1.0), "c": (105, 9.0), "d": (900, 1.0)}, 2)
    ['b', 'c']
    """
    known = {each: size for each, size in sizes.items() if min(size) > 0}
    if code not in known:
        return []
    households, area = known.pop(code)
    nearest = sorted(known, key=lambda each: (abs(np.log(known[each][0] / households)), each))[:CLOSEST]

    def thinner(each: str) -> float:
        return abs(float(np.log(known[each][0] / known[each][1] * area / households)))

    return sorted(nearest, key=lambda each: (thinner(each), each))[:number]


def told(connection: Connection, category: str, run: ListRun, today: GridSet) -> Told:
    """Return the matters of a category in the period of a list, on today's grids."""
    # In the order of the list's own reading, so that the same matter of a fold is the first one.
    query = text(
        "SELECT occurred_on - DATE '1970-01-01', ST_X(geom), ST_Y(geom) FROM incident"
        " WHERE category = :category AND occurred_on BETWEEN :start AND :end ORDER BY id"
    )
    asked = {"category": category, "start": run.start, "end": run.end}
    rows = connection.execute(query, asked).all()
    day, lon, lat = zip(*rows, strict=True) if rows else ((), (), ())
    days = np.array(day, dtype=np.int64).astype("datetime64[D]")
    x, y = np.array(lon, dtype=float), np.array(lat, dtype=float)
    grid = PointAssigner(today.codes, today.geometries).assign(x, y)
    opened = pool.problems(x, y, np.zeros(len(x), dtype=np.int64), days)
    first = opened == np.arange(len(x))
    return Told(days, x, y, grid.astype(np.int32), first, np.array([*today.codes, ""]))


def _listed(connection: Connection, one: Item) -> set[str]:
    """Return the areas that have an item of the same category and season in the same list."""
    query = select(SeasonalItem.area).where(
        SeasonalItem.year == one.year,
        SeasonalItem.category == one.category,
        SeasonalItem.start_on == one.start_on,
    )
    return set(connection.scalars(query))


def _counts(day: np.ndarray, start: date, bin_days: int, offsets: np.ndarray, run: ListRun) -> FloatArray:
    after = (day - np.datetime64(start)).astype(int)
    found = (after - offsets[0]) // bin_days
    valid = (found >= 0) & (found < len(offsets))
    counts = np.bincount(found[valid], minlength=len(offsets)).astype(float)
    begins = np.array([start + timedelta(days=int(offset)) for offset in offsets], dtype="datetime64[D]")
    unknown = (begins < np.datetime64(run.start)) | (begins + bin_days - 1 > np.datetime64(run.end))
    counts[unknown] = np.nan
    return counts


def _expected(seasons: Sequence[Season], one: Item, bin_days: int, offsets: np.ndarray) -> FloatArray:
    """Return the mean season, its inside scaled to what is expected; the mean of no season is nothing."""
    known = np.array([season.problems for season in seasons]).reshape(-1, len(offsets))
    seen = np.isfinite(known)
    mean = np.where(seen, known, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    days = (one.end_on - one.start_on).days + 1
    within = (offsets >= 0) & (offsets < days)
    if not mean[within].sum():
        return np.where(within, one.expected / max(within.sum(), 1), one.usual / days * bin_days)
    return np.where(within, mean * one.expected / mean[within].sum(), mean)


def _beside(code: str, matters: Told, inside: np.ndarray, listed: Collection[str]) -> Beside:
    here = matters.first & matters.within([code])
    parts = any(each.startswith(code) for each in listed)
    how = "itself" if code in listed else "parts" if parts else "no"
    return Beside(code, tuple(int(row) for row in (inside & here).sum(axis=1)), how)

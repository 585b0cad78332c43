"""The analysis of a county cut into tasks, each a call of the same pure kernels that the city itself uses.

A task reads an export and what tasks before it left, and writes one file: whole, and the same bytes however
often, in whatever order and by whatever worker it is done. Random numbers come from the seed and the number
of a permutation or replication, so that parts together are what one call gives, and a county here gets what
its own `gridmgmt hotspots` and `gridmgmt seasonal` would say of the same matters.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from gridmgmt.errors import InputError, NotEnoughDataError
from gridmgmt.hotspots import recent
from gridmgmt.hotspots.analysis import PERMUTATIONS, Ground, exposure_of
from gridmgmt.hotspots.areas import assess_areas, corrected, testable, tested_columns
from gridmgmt.hotspots.cube import count
from gridmgmt.hotspots.stored import ClusterResult
from gridmgmt.province.county import County, Period
from gridmgmt.province.files import CODE, Written, write_table
from gridmgmt.seasonal import clocks
from gridmgmt.seasonal.finder import Finder, Listed
from gridmgmt.seasonal.service import fitted_by_category, whole_years

COLUMNS_A_TASK = 64
CATEGORIES_A_TASK = 8
REPLICATIONS_A_TASK = 256


@dataclass(frozen=True)
class Task:
    """A county and what is asked of it; the fields below `seed` say which part.

    Attributes
    ----------
    period : first and last day, None for a county without matters in what was asked for
    target : the year that seasons are forecast for
    on : a calendar year
    first, last : row groups, columns or categories, the second not included
    begin, stop : replications
    """

    county: County
    period: Period | None
    target: int
    seed: int
    on: int = 0
    first: int = 0
    last: int = 0
    begin: int = 0
    stop: int = 0


def whole(task: Task) -> Iterator[Task]:
    yield task


def check(task: Task) -> None:
    task.county.check()


def sum_up(task: Task) -> dict[str, Written]:
    return task.county.sum_up()


# --- points to grids, and the cube


def row_blocks(task: Task) -> Iterator[Task]:
    return (replace(task, first=first, last=last) for first, last in task.county.blocks())


def assign(task: Task) -> None:
    task.county.assign(task.first, task.last)


def make_cube(task: Task) -> None:
    """Write how many matters each grid had by month and category; what is 0 is left out."""
    county, grids = task.county, task.county.territory.grids.codes
    codes: tuple[str, ...] = ()
    first, cube = np.datetime64("1970-01", "M"), np.zeros((len(grids), 0, 0), np.int32)
    if task.period:
        located = county.located(task.period)
        codes, first = located.categories, np.datetime64(task.period[0], "M")
        months = 1 + int((np.datetime64(task.period[1], "M") - first).astype(int))
        bins = (located.day.astype("datetime64[M]") - first).astype(int) * len(codes) + located.category
        cube = count(located.grid, bins, len(grids), months * len(codes)).reshape(len(grids), months, -1)
    grid, month, category = np.nonzero(cube)
    table = pa.table(
        {
            "grid": _named(grid, grids),
            "month": pa.array((first + month).astype("datetime64[D]"), pa.date32()),
            "category": _named(category, codes),
            "count": cube[grid, month, category].astype(np.int32),
        }
    )
    write_table(county.out / "cube.parquet", table)


# --- hot areas, a test a year


def years_and_columns(task: Task) -> Iterator[Task]:
    most = 1 + len(task.county.manifest.categories)
    for year, _, _ in _years(task.period):
        for first in range(0, most, COLUMNS_A_TASK):
            yield replace(task, on=year, first=first, last=first + COLUMNS_A_TASK)


def test_areas(task: Task) -> None:
    """Test a block of a year's columns for concentration (Gi*) and leave what is to be corrected."""
    county = task.county
    _, start, end = next(each for each in _years(task.period) if each[0] == task.on)
    located = county.located((start, end))
    columns = tested_columns(located, county.code_list, None)
    if task.first >= len(columns.codes):
        return
    ground, chosen = _ground(county), slice(task.first, task.last)
    found = assess_areas(
        ground.counts(located, columns)[:, chosen],
        ground.exposure,
        ground.neighbours,
        ((end - start).days + 1) / 365.25,
        permutations=PERMUTATIONS,
        seed=task.seed,
    )
    kept = {name: found[name] for name in ("count", "smoothed", "z", "p")}
    county.keep(f"areas-{task.on}-{task.first:05d}", codes=np.array(columns.codes[chosen]), **kept)


AREAS = pa.schema(
    [
        ("year", pa.int16()), ("grid", CODE), ("category", CODE), ("count", pa.int32()),
        *((name, pa.float32()) for name in ("smoothed", "z", "p", "q")), ("gi_class", pa.int8()),
    ]
)  # fmt: skip


def join_areas(task: Task) -> None:
    """Write every area and column of every year, q over all of a year together."""
    tables = []
    codes = task.county.territory.grids.codes
    for year, _, _ in _years(task.period):
        parts = task.county.kept(f"areas-{year}-")
        found = {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}
        q, classes = corrected(found["z"], found["p"], testable(found["smoothed"]))
        areas, columns = np.indices(q.shape)
        tables.append(
            {
                "year": np.full(q.size, year, np.int16),
                "grid": _named(areas.ravel(), codes),
                "category": _named(columns.ravel(), found["codes"].tolist()),
                "count": found["count"].ravel(),
                "smoothed": _floats(found["smoothed"]),
                "z": _floats(found["z"]),
                "p": _floats(found["p"]),
                "q": _floats(q),
                "gi_class": classes.ravel().astype(np.int8),
            }
        )
    joined = [AREAS.empty_table(), *(pa.table(each, AREAS) for each in tables)]
    write_table(task.county.out / "areas.parquet", pa.concat_tables(joined))


# --- clusters of the last weeks


def categories_and_replications(task: Task) -> Iterator[Task]:
    for part in categories(task):
        for begin in range(0, recent.REPLICATIONS, REPLICATIONS_A_TASK):
            stop = min(begin + REPLICATIONS_A_TASK, recent.REPLICATIONS)
            yield replace(part, begin=begin, stop=stop)


def draw_worlds(task: Task) -> None:
    """Draw some replications of the scans of some categories."""
    county, cases = task.county, list(_weekly(task))
    drawn = {
        code: recent.prepared(each, county.territory.middles, task.seed).largest(task.begin, task.stop)
        for code, each in cases[task.first : task.last]
    }
    if drawn:
        county.keep(f"worlds-{task.begin:05d}-{task.first:05d}", **drawn)


def join_clusters(task: Task) -> None:
    """Scan what was observed and write the clusters that stand against all replications."""
    county, cases = task.county, dict(_weekly(task))
    largest: dict[str, list[np.ndarray]] = {code: [] for code in cases}
    for part in county.kept("worlds-"):
        for code, each in part.items():
            largest[code].append(each)
    rows: list[ClusterResult] = []
    xy, codes = county.territory.middles, county.territory.grids.codes
    for code, each in cases.items():
        found = recent.prepared(each, xy, task.seed).result(np.concatenate(largest[code]))
        rows += recent.kept(found, code, xy, codes, task.period[1], recent.WEEKS, len(cases))  # type: ignore[index]
    write_table(county.out / "clusters.parquet", pa.Table.from_pylist([vars(row) for row in rows], CLUSTERS))


CLUSTERS = pa.schema(
    [
        ("category", pa.string()), ("rank", pa.int32()), ("areas", pa.list_(pa.string())),
        ("start_on", pa.date32()), ("end_on", pa.date32()), ("observed", pa.int32()),
        *((name, pa.float32()) for name in (
            "expected", "relative_risk", "radius_m", "llr", "p", "q", "recurrence_days")),
    ]
)  # fmt: skip


def _weekly(task: Task) -> Iterator[tuple[str, np.ndarray]]:
    """Give cases[grid, week] of every category that is scanned, in the weeks up to the last day."""
    if not task.period:
        return
    start = task.period[1] - timedelta(days=recent.WEEK * recent.WEEKS - 1)
    located = task.county.located((start, task.period[1]))
    yield from recent.frequent(located, start, recent.WEEKS)


# --- seasons


SEASONS = pa.schema(
    [
        ("category", pa.string()), ("clock", pa.string()), ("start", pa.int16()), ("length", pa.int16()),
        ("peak", pa.int16()), ("stable", pa.int16()), ("start_on", pa.date32()), ("end_on", pa.date32()),
        ("level", pa.string()), ("area", pa.string()), ("ratio", pa.float32()), ("p", pa.float32()),
        ("q", pa.float32()),
    ]
)  # fmt: skip


def find_seasons(task: Task) -> None:
    """Write what comes back every year, and where; nothing of a county with less than two whole years."""
    rows = []
    span = _whole_years(task)
    if span:
        told = task.county.located(span, places=True)
        opened = told.first
        finding = Finder(told.taken(opened), clocks.days_between(*span), task.seed).run()
        rows = [_season(one, task.target) for one in finding.listed]
        listed = np.array(sorted({one.candidate.category for one in finding.listed}))
        task.county.keep("seasons", opened=opened, listed=listed)
    write_table(task.county.out / "seasons.parquet", pa.Table.from_pylist(rows, SEASONS))


def categories(task: Task) -> Iterator[Task]:
    for first in range(0, len(task.county.manifest.categories), CATEGORIES_A_TASK):
        yield replace(task, first=first, last=first + CATEGORIES_A_TASK)


def expect(task: Task) -> None:
    """Leave the expected problems of the target year, of some of the categories that have a season."""
    span, found = _whole_years(task), task.county.kept("seasons")
    listed = found[0]["listed"][task.first : task.last].tolist() if found else []
    if not listed or not span:
        return
    problems = task.county.located(span, places=True).taken(found[0]["opened"])
    years = range(span[0].year, span[1].year + 1)
    fitted = fitted_by_category(problems, task.county.territory.near, listed, years, task.target)
    cells = {code: np.round(each.expected, 4).astype(np.float32) for code, each in fitted.items()}
    task.county.keep(f"expected-{task.first:05d}", **cells)


def join_expected(task: Task) -> None:
    """Write the expected problems by category, grid and 旬."""
    cells = {code: each for part in task.county.kept("expected-") for code, each in part.items()}
    codes = task.county.territory.grids.codes
    category, grid = np.indices((len(cells), len(codes)))
    flat = np.concatenate([each.ravel() for each in cells.values()] or [np.empty(0, np.float32)])
    table = {
        "category": _named(category.ravel(), list(cells)),
        "grid": _named(grid.ravel(), codes),
        "cells": pa.FixedSizeListArray.from_arrays(pa.array(flat), 36),
    }
    write_table(task.county.out / "expected.parquet", pa.table(table))


def _whole_years(task: Task) -> Period | None:
    try:
        return whole_years(task.period, task.target)
    except NotEnoughDataError:
        return None


def _season(one: Listed, target: int) -> dict[str, object]:
    season = one.candidate.season
    try:
        span = clocks.window_in_year(season.clock, target, season.start, season.length)
        dates = {"start_on": span.start, "end_on": span.end}
    except InputError:  # a window of the moon may skip a year
        dates = {"start_on": None, "end_on": None}  # type: ignore[dict-item]
    return {
        "category": one.candidate.category, "clock": str(season.clock), "start": season.start,
        "length": season.length, "peak": season.peak, "stable": season.stable, **dates,
        "level": one.level, "area": one.area, "ratio": float(one.test.ratio[one.index]),
        "p": float(one.test.p[one.index]), "q": one.q,
    }  # fmt: skip


# --- what the tasks share


def _years(period: Period | None) -> list[tuple[int, date, date]]:
    """Return every calendar year that a period touches, with its first and last day in the period."""
    if period is None:
        return []
    start, end = period
    return [
        (year, max(start, date(year, 1, 1)), min(end, date(year, 12, 31)))
        for year in range(start.year, end.year + 1)
    ]


def _ground(county: County) -> Ground:
    territory = county.territory
    codes, n = list(territory.grids.codes), len(territory.grids)
    itself = np.arange(n)
    exposure = exposure_of(territory.households, territory.grids.geometries, itself, n)
    return Ground("grid", codes, itself, exposure, territory.near.with_self())


def _named(index: np.ndarray, names: tuple[str, ...] | list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(index.astype(np.int32), pa.array(names, pa.string()))


def _floats(values: np.ndarray) -> np.ndarray:
    """Return values as they are stored: seven digits, so that the last bits of a processor do not show."""
    return values.ravel().astype(np.float32)

"""Hotspot runs: made on request and stored, to be read by maps and lists. Never computed in a web request."""

from datetime import UTC, date, datetime

import numpy as np
from sqlalchemy import Connection, Engine

from gridmgmt.config import SEED
from gridmgmt.errors import InputError, NotEnoughDataError
from gridmgmt.grids import service as grids
from gridmgmt.hotspots.analysis import PERMUTATIONS, Ground, Period, analyse, exposure_of
from gridmgmt.hotspots.areas import Columns, Exposure, tested_columns
from gridmgmt.hotspots.boundaries import on_record
from gridmgmt.hotspots.cube import Located, check_level, locate, neighbours
from gridmgmt.hotspots.models import RunKind
from gridmgmt.hotspots.stored import Run, run_of
from gridmgmt.hotspots.storing import store_found, store_run
from gridmgmt.incidents import service as incidents


def run(
    engine: Engine,
    start: date,
    end: date,
    *,
    level: str = "grid",
    category: str | None = None,
    seed: int = SEED,
) -> Run:
    """Find where, in which field and when matters of a period concentrate, store it and return the run.

    History is counted on the grids in force today. One transaction. The same question asked again replaces
    the earlier answer: on the same data by equal rows. Raises InputError when the period is empty,
    NotFoundError for an unknown category, NotEnoughDataError when no matter of the period has a place in a
    grid.
    """
    if start > end:
        raise InputError("from", start.isoformat(), f"a day not after {end.isoformat()}")
    started = datetime.now(UTC)
    with engine.begin() as connection:
        before = _period_before(connection, start, end)
        everything = locate(connection, before[0] if before else start, end)
        located = everything.between(start, end)
        if not (located.grid >= 0).any():
            raise NotEnoughDataError("matters with a place", 0, f"at least 1 from {start} to {end}")
        columns = tested_columns(located, incidents.categories(connection), category)
        ground = _ground(connection, located, level)
        found = analyse(located, ground, columns, (start, end), seed)
        if before:
            found.areas.update(_before(connection, everything.between(*before), before, ground, columns))
        parameters = {
            "from": start.isoformat(), "to": end.isoformat(), "level": level, "category": category,
            "columns": list(columns.codes), "exposure": ground.exposure.kind, "permutations": PERMUTATIONS,
            "weights": "queen", "correction": "benjamini-hochberg over areas x categories",
            "previous": [day.isoformat() for day in before] if before else None,
            "months": found.patterns.months if found.patterns else None,
            "step_months": found.patterns.step if found.patterns else None,
        }  # fmt: skip
        run_id = store_run(connection, RunKind.HOTSPOTS, parameters, seed, started)
        store_found(connection, run_id, found)
        return run_of(connection, run_id)


def _period_before(connection: Connection, start: date, end: date) -> Period | None:
    """Return the same days of the year or years before, None unless matters are known from their first tenth.

    Spring is compared with spring: what the season does is no change.
    """
    years = end.year - start.year + ((end.month, end.day) >= (start.month, start.day))
    first, last = _years_before(start, years), _years_before(end, years)
    known = incidents.period(connection)
    return (first, last) if known and known[0] <= first + (last - first) / 10 else None


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # 29 February
        return day.replace(year=day.year - years, day=28)


def _before(
    connection: Connection, matters: Located, period: Period, ground: Ground, columns: Columns
) -> dict[str, np.ndarray]:
    """Return the counts of the time before on today's ground, and those on record where they differ."""
    previous = ground.counts(matters, columns)
    recorded = on_record(connection, matters, period[0], ground.level, ground.codes, columns)
    return {
        "previous": previous.astype(np.int32),
        "recorded_previous": np.ma.masked_array(recorded.astype(np.int32), mask=recorded == previous),
    }


def _ground(connection: Connection, located: Located, level: str) -> Ground:
    codes, area_of_grid = located.areas(check_level(level))
    exposure = _exposure(connection, located, area_of_grid, len(codes))
    near = neighbours(connection, located, level, codes).with_self()
    return Ground(level, codes, area_of_grid, exposure, near)


def _exposure(connection: Connection, located: Located, area_of_grid: np.ndarray, n: int) -> Exposure:
    """Return households by area, or where no household is known the area in km2."""
    by_grid = grids.households_by_grid(connection)
    households = np.array([by_grid.get(int(grid), (0, 0))[0] for grid in located.grids.ids])
    return exposure_of(households, located.grids.geometries, area_of_grid, n)

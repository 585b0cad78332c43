"""Hotspot runs: made on request, stored, and read by maps and lists. Never computed in a web request."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Engine, delete, func, insert, select

from gridmgmt.config import SEED
from gridmgmt.db.copy import copy_rows
from gridmgmt.db.models import ImportRun
from gridmgmt.errors import InputError, NotEnoughDataError, NotFoundError
from gridmgmt.grids import service as grids
from gridmgmt.grids.adjacency import contiguity
from gridmgmt.hotspots.areas import ALL, Exposure, assess_areas, column_counts
from gridmgmt.hotspots.cube import Located, check_level, locate
from gridmgmt.hotspots.models import AnalysisRun, HotspotResult, RunKind
from gridmgmt.hotspots.statistics import weights
from gridmgmt.incidents import service as incidents

ALL_NAME = "全部诉求"
PERMUTATIONS = 999
PER_HOUSEHOLDS = 1000
RATE_UNITS = {"households": "件/千户·年", "area": "件/平方公里·年"}


@dataclass(frozen=True)
class Run:
    """A stored hotspot run; `rate_unit` says what its rates are taken over.

    `hot_areas` counts the areas that are hot at 95 % or more in any tested category.
    """

    id: int
    level: str
    start: date
    end: date
    data_version: int
    rate_unit: str
    hot_areas: int
    finished_at: datetime


@dataclass(frozen=True)
class AreaResult:
    """What a run found for one area and category.

    `rate` and `smoothed` are in the run's unit; `expected` is the count at the city's rate; `gi_class` is
    -3..3: hot (+) or cold (-) at 99, 95 or 90 % after correction for many tests, 0 for neither.
    """

    area: str
    count: int
    expected: float
    households: int | None
    rate: float
    smoothed: float
    z: float | None
    p: float
    q: float
    gi_class: int


def run(
    engine: Engine,
    start: date,
    end: date,
    *,
    level: str = "grid",
    category: str | None = None,
    seed: int = SEED,
) -> Run:
    """Test every area of a level for concentration of matters and store the result; returns the run.

    One transaction. The same question on the same data replaces the earlier answer with equal rows.
    Raises InputError when the period is empty, NotFoundError for an unknown category, NotEnoughDataError
    when no matter of the period has a place in a grid.
    """
    if start > end:
        raise InputError("from", start.isoformat(), f"a day not after {end.isoformat()}")
    started = datetime.now(UTC)
    with engine.begin() as connection:
        located = locate(connection, start, end)
        codes, area_of_grid = located.areas(check_level(level))
        columns, counts = column_counts(
            located, incidents.categories(connection), len(codes), area_of_grid, category
        )
        if not counts.sum():
            raise NotEnoughDataError("matters with a place", 0, f"at least 1 from {start} to {end}")
        exposure = _exposure(connection, located, area_of_grid, len(codes))
        neighbours = _neighbours(_geometries(connection, located, level, codes))
        years = ((end - start).days + 1) / 365.25
        rows = assess_areas(counts, exposure, neighbours, years, permutations=PERMUTATIONS, seed=seed)
        parameters = {
            "from": start.isoformat(), "to": end.isoformat(), "level": level, "category": category,
            "columns": columns, "exposure": exposure.kind, "permutations": PERMUTATIONS, "weights": "queen",
            "correction": "benjamini-hochberg over areas x categories",
        }  # fmt: skip
        run_id = _store(connection, parameters, seed, started, columns, codes, rows)
        return _run(connection, run_id)


def _exposure(connection: Connection, located: Located, area_of_grid: np.ndarray, n: int) -> Exposure:
    """Return households by area, or where no household is known the area in km2."""
    by_grid = grids.households_by_grid(connection)
    households = np.array([by_grid.get(int(grid), (0, 0))[0] for grid in located.grids.ids])
    if households.sum():
        total = np.bincount(area_of_grid, weights=households, minlength=n)
        return Exposure("households", total / PER_HOUSEHOLDS, total.astype(int))
    km2 = grids.areas_m2(located.grids.geometries) / 1e6
    return Exposure("area", np.bincount(area_of_grid, weights=km2, minlength=n), None)


def _geometries(connection: Connection, located: Located, level: str, codes: list[str]) -> np.ndarray:
    if level == "grid":
        return located.grids.geometries
    found = grids.divisions(connection, level)
    place = dict(zip(found.codes, found.geometries, strict=True))
    return np.array([place[code] for code in codes], dtype=object)


def _neighbours(geometries: np.ndarray) -> weights.Weights:
    i, j = contiguity(geometries)
    return weights.Weights.from_pairs(len(geometries), i, j).with_self()


def _store(
    connection: Connection, parameters: dict[str, Any], seed: int, started: datetime,
    columns: list[str], codes: list[str], rows: dict[str, np.ndarray],
) -> int:  # fmt: skip
    same = (AnalysisRun.kind == RunKind.HOTSPOTS) & (AnalysisRun.parameters == parameters)
    connection.execute(delete(AnalysisRun).where(same))
    version = data_version(connection)
    run_id = connection.execute(
        insert(AnalysisRun)
        .values(
            kind=RunKind.HOTSPOTS, parameters=parameters, data_version=version, seed=seed, started_at=started
        )
        .returning(AnalysisRun.id)
    ).scalar_one()
    # Most cells of area x 小类 are empty and ordinary: only the first column is stored whole, `results`
    # fills in the others from it.
    kept = (rows["count"] > 0) | (rows["gi_class"] != 0)
    kept[:, 0] = True
    column, area = np.nonzero(kept.T)
    copy_rows(
        connection.connection.cursor(),
        "hotspot_result",
        {
            "run_id": np.full(len(area), run_id, dtype=np.int32),
            "area": np.array(codes)[area],
            "category": np.array(columns)[column],
        }
        | {name: values[area, column] for name, values in rows.items()},
    )
    return int(run_id)


def data_version(connection: Connection) -> int:
    """Return the number of the last import that changed anything; 0 before the first."""
    return int(connection.execute(select(func.coalesce(func.max(ImportRun.id), 0))).scalar_one())


def _select_runs() -> Any:
    hot = (
        select(func.count(HotspotResult.area.distinct()))
        .where(
            HotspotResult.run_id == AnalysisRun.id,
            HotspotResult.gi_class >= 2,
        )
        .correlate(AnalysisRun)
        .scalar_subquery()
    )
    return select(
        AnalysisRun.id,
        AnalysisRun.parameters,
        AnalysisRun.data_version,
        AnalysisRun.finished_at,
        hot.label("hot"),
    ).where(AnalysisRun.kind == RunKind.HOTSPOTS)


def _as_run(row: Any) -> Run:
    parameters = row.parameters
    return Run(
        id=row.id,
        level=parameters["level"],
        start=date.fromisoformat(parameters["from"]),
        end=date.fromisoformat(parameters["to"]),
        data_version=row.data_version,
        rate_unit=RATE_UNITS[parameters["exposure"]],
        hot_areas=row.hot,
        finished_at=row.finished_at,
    )


def _run(connection: Connection, run_id: int) -> Run:
    row = connection.execute(_select_runs().where(AnalysisRun.id == run_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no hotspot run {run_id}")
    return _as_run(row)


def runs(connection: Connection, level: str = "grid") -> list[Run]:
    """Return the stored runs of a level over all categories: the latest period first, the shorter before."""
    wanted = (AnalysisRun.parameters["level"].astext == check_level(level)) & (
        AnalysisRun.parameters["category"].astext.is_(None)
    )
    found = [_as_run(row) for row in connection.execute(_select_runs().where(wanted))]
    return sorted(found, key=lambda run: (-run.end.toordinal(), -run.start.toordinal()))


class TestedCategory(NamedTuple):
    """A category that a run tested; `parent` is its 大类, None for a 大类 and for all together."""

    code: str
    name: str
    parent: str | None


def run_categories(connection: Connection, run_id: int) -> list[TestedCategory]:
    """Return the categories that a run tested: all together, then every 大类 followed by its 小类.

    Raises NotFoundError when there is no such run.
    """
    columns = _columns_of(connection, run_id)
    known = incidents.categories(connection)
    return [
        TestedCategory(code, known.name(code), known.parent(code))
        if code
        else TestedCategory(ALL, ALL_NAME, None)
        for code in columns
    ]


def nearest_category(connection: Connection, run_id: int, category: str) -> str:
    """Return the category itself when a run tested it, else its 大类, else all together.

    A 小类 that is frequent in one period may be too rare for another. Raises InputError for a code that is
    not in the code list.
    """
    columns = _columns_of(connection, run_id)
    if category in columns:
        return category
    known = incidents.categories(connection)
    if category not in known.codes:
        raise InputError("category", category, "a code of the code list, or none for all together")
    return known.top(category) if known.top(category) in columns else columns[0]


def _columns_of(connection: Connection, run_id: int) -> list[str]:
    parameters = connection.execute(
        select(AnalysisRun.parameters).where(AnalysisRun.id == run_id, AnalysisRun.kind == RunKind.HOTSPOTS)
    ).scalar_one_or_none()
    if parameters is None:
        raise NotFoundError(f"there is no hotspot run {run_id}")
    return list(parameters["columns"])


def results(connection: Connection, run_id: int, category: str = ALL) -> list[AreaResult]:
    """Return what a run found for a category in every area, ordered by area code.

    Raises NotFoundError when there is no such run or it did not test the category.
    """
    columns = _columns_of(connection, run_id)
    if category not in columns:
        raise NotFoundError(f"run {run_id} did not test category {category!r}")
    stored = {row.area: row for row in _stored(connection, run_id, category)}
    whole = list(stored.values()) if category == columns[0] else _stored(connection, run_id, columns[0])
    share = sum(row.count for row in stored.values()) / max(sum(row.expected for row in whole), 1e-12)
    return [stored.get(row.area) or _empty(row, share) for row in whole]


def _stored(connection: Connection, run_id: int, category: str) -> list[AreaResult]:
    columns = HotspotResult.__table__.c
    fields = [columns[name] for name in AreaResult.__dataclass_fields__]
    rows = connection.execute(
        select(*fields).where(columns.run_id == run_id, columns.category == category).order_by(columns.area)
    )
    return [AreaResult(*row) for row in rows]


def _empty(whole: AreaResult, share: float) -> AreaResult:
    """Return the result of an area in which nothing happened and nothing stands out."""
    expected = whole.expected * share
    return AreaResult(whole.area, 0, expected, whole.households, 0.0, 0.0, None, 1.0, 1.0, 0)

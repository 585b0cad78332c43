"""Builds and stores the seasonal list (时令清单)."""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, delete, insert

from gridmgmt.config import ALPHA, SEED
from gridmgmt.errors import InputError, NotEnoughDataError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.hotspots.cube import Located, locate, neighbours
from gridmgmt.hotspots.models import AnalysisRun, RunKind
from gridmgmt.hotspots.statistics.weights import Weights
from gridmgmt.hotspots.stored import data_version
from gridmgmt.incidents import pool
from gridmgmt.incidents import service as incidents
from gridmgmt.seasonal import actions, clocks, detect
from gridmgmt.seasonal.effects import stored as effects
from gridmgmt.seasonal.expected import fit
from gridmgmt.seasonal.finder import REPLICATIONS, Finder, Finding, Listed, Tested
from gridmgmt.seasonal.forecast import Expected
from gridmgmt.seasonal.history import history_of
from gridmgmt.seasonal.listing import Line, SeasonLines, between_seasons, within_capacity
from gridmgmt.seasonal.models import Clock, SeasonalItem, SeasonalVerdict, Verdict
from gridmgmt.seasonal.tasks import service as tasks

CAPACITY = 2  # items that an area takes on in a 旬, unless a build says otherwise


@dataclass(frozen=True)
class Built:
    """What came of building a list.

    Attributes
    ----------
    items, cut : on the list, and those beyond what their areas can do
    told, problems : matters that it rests on, before and after duplicates were folded
    seasonal, weak, no_season, not_enough, no_matters : categories by what was found
    """

    run_id: int
    items: int
    cut: int
    told: int
    problems: int
    seasonal: int
    weak: int
    no_season: int
    not_enough: int
    no_matters: int


def build(engine: Engine, year: int, *, capacity: int = CAPACITY, seed: int = SEED) -> Built:
    """Find what comes back every year in all full years before `year` and store the list for `year`.

    One transaction; a list of the same year is replaced.

    Parameters
    ----------
    capacity : items that an area takes on in a 旬; what is beyond stays on the list and is marked

    Raises
    ------
    InputError
        When the calendar does not know the year, or the capacity is less than 1.
    NotEnoughDataError
        When there are fewer than two full years of matters before it.
    """
    started = datetime.now(UTC)
    if capacity < 1:
        raise InputError("capacity", capacity, "at least 1 item an area and 旬")
    with engine.begin() as connection:
        start, end = full_years(connection, year)
        told = locate(connection, start, end)
        problems = told.problems()
        finding = Finder(problems, clocks.days_between(start, end), seed).run()
        seasonal = sorted({one.candidate.category for one in finding.listed})
        near = neighbours(connection, problems, "grid", problems.areas("grid")[0])
        fitted = fitted_by_category(problems, near, seasonal, range(start.year, end.year + 1), year)
        lines = within_capacity(
            _lines(connection, finding, fitted, told, year), capacity, _spared(connection, year)
        )
        run_id = _store_run(connection, _asked(year, start, end, told, problems, capacity), seed, started)
        _store_items(connection, run_id, year, lines)
        verdicts = _store_verdicts(connection, run_id, finding, told, lines)
        listed = {line.category for line in lines}
        _store_cells(connection, run_id, problems, {code: fitted[code] for code in fitted if code in listed})
        tasks.relink(connection, year)
    cut = sum(line.cut for line in lines)
    found = Counter(verdicts.values())
    return Built(
        run_id, len(lines) - cut, cut, len(told.day), len(problems.day), found[Verdict.SEASONAL],
        found[Verdict.WEAK], found[Verdict.NO_SEASON], found[Verdict.NOT_ENOUGH], found[Verdict.NO_MATTERS],
    )  # fmt: skip


def full_years(connection: Connection, year: int) -> tuple[date, date]:
    """Return the first and the last day of all full years of matters before a year.

    Raises InputError for a year that the calendar does not know, NotEnoughDataError for fewer than two.
    """
    return whole_years(incidents.period(connection), year)


def whole_years(known: tuple[date, date] | None, year: int) -> tuple[date, date]:
    """Return the whole years before one, of a history from a first to a last day; errors as `full_years`."""
    clocks.bin_days(Clock.LUNAR, year, 0)  # refuses a year outside the calendar before any work is done
    first = date.max if known is None else known[0]
    # A year whose first matter came later than January counts from the next one.
    from_year = first.year if (first.month, first.day) <= (1, 31) else first.year + 1
    to_year = (
        year - 1 if known is None else min(year - 1, known[1].year - (known[1] < date(known[1].year, 12, 1)))
    )
    full = max(0, to_year - from_year + 1)
    if known is None or full < detect.MIN_YEARS:
        raise NotEnoughDataError(
            f"full years of matters before {year}",
            full,
            f"at least {detect.MIN_YEARS}; earlier ones come with: gridmgmt import incidents FILE",
        )
    return date(from_year, 1, 1), date(to_year, 12, 31)


def fitted_by_category(
    problems: Located, near: Weights, listed: Sequence[str], years: range, target: int
) -> dict[str, Expected]:
    """Return the expected problems by grid and 旬 of every category that is listed."""
    if not listed:
        return {}
    codes = problems.areas("grid")[0]
    history = history_of(problems, "grid", years)
    town = np.unique([code[: DIGITS["town"]] for code in codes], return_inverse=True)[1]
    only = [problems.categories.index(code) for code in listed]
    return dict(zip(listed, fit(history, near, town, target, only), strict=True))


def _lines(
    connection: Connection, finding: Finding, fitted: Mapping[str, Expected], told: Located, year: int
) -> list[Line]:
    names, library = incidents.categories(connection), actions.library()
    by_season: dict[int, list[Listed]] = {}
    for one in finding.listed:
        by_season.setdefault(id(one.candidate), []).append(one)
    seasons = list(by_season.values())
    between = between_seasons([listed[0].candidate for listed in seasons]) if seasons else []
    lines: list[Line] = []
    for listed, variance in zip(seasons, between, strict=True):
        code = listed[0].candidate.category
        action = library.action_for(code, names.name(code))
        lines += SeasonLines(listed[0].candidate, listed, fitted[code], told, action, variance).lines(year)
    return lines


def _asked(
    year: int, start: date, end: date, told: Located, problems: Located, capacity: int
) -> dict[str, Any]:
    """Return what the list was made of and with: `stored.ListRun` reads it."""
    return {
        "year": year, "from": start.isoformat(), "to": end.isoformat(), "told": len(told.day),
        "problems": len(problems.day), "capacity": capacity, "replications": REPLICATIONS, "alpha": ALPHA,
        "min_ratio": detect.MIN_RATIO, "min_matters": detect.MIN_MATTERS,
        "fold_metres": pool.FOLD_METRES, "fold_days": pool.FOLD_DAYS,
    }  # fmt: skip


def _spared(connection: Connection, year: int) -> dict[str, float]:
    """Return the share of each category's matters that treating was last seen to spare, '' for all others."""
    learnt = effects.learnt(connection, year)
    return {category: min(max(-each.mean, 0.0), 1.0) for category, each in learnt.items()}


# --- storing


def _store_run(connection: Connection, asked: dict[str, Any], seed: int, started: datetime) -> int:
    older = AnalysisRun.parameters["year"].as_integer() == asked["year"]
    connection.execute(delete(AnalysisRun).where(AnalysisRun.kind == RunKind.SEASONAL, older))
    statement = insert(AnalysisRun).values(
        kind=RunKind.SEASONAL,
        parameters=asked,
        data_version=data_version(connection),
        seed=seed,
        started_at=started,
    )
    return int(connection.execute(statement.returning(AnalysisRun.id)).scalar_one())


def _store_items(connection: Connection, run_id: int, year: int, lines: list[Line]) -> None:
    if lines:
        rows = [vars(line) | {"run_id": run_id, "year": year} for line in lines]
        connection.execute(insert(SeasonalItem), rows)


def _store_verdicts(
    connection: Connection, run_id: int, finding: Finding, told: Located, lines: list[Line]
) -> dict[str, Verdict]:
    """Store and return what is said about every category that matters are filed under."""
    tested = dict(zip(told.categories, finding.tested, strict=True))
    of_category = np.bincount(told.category, minlength=len(told.categories))
    seen = dict(zip(told.categories, of_category.tolist(), strict=True))
    listed = {line.category for line in lines}
    verdicts = {}
    rows = []
    for code in sorted({*tested, *incidents.categories(connection).leaves()}):
        found = tested.get(code, Tested(0))
        verdicts[code] = _verdict(code in listed, found, seen.get(code, 0))
        rows.append(
            {
                "run_id": run_id, "category": code, "verdict": verdicts[code], "problems": found.matters,
                "told": seen.get(code, 0), "clock": found.clock, "q_scan": found.q_scan,
                "p_walter_elwood": found.p_walter_elwood, "p_harmonic": found.p_harmonic,
                "stable": found.stable,
            }
        )  # fmt: skip
    if rows:
        connection.execute(insert(SeasonalVerdict), rows)
    return verdicts


def _verdict(listed: bool, found: Tested, told: int) -> Verdict:
    if listed:
        return Verdict.SEASONAL
    if not told:
        return Verdict.NO_MATTERS
    if found.q_scan is None:
        return Verdict.NOT_ENOUGH
    # Where it waves, a season is there, but in no area half as frequent again as usual, or not every year.
    return Verdict.WEAK if found.waves else Verdict.NO_SEASON


def _store_cells(
    connection: Connection, run_id: int, problems: Located, fitted: Mapping[str, Expected]
) -> None:
    """Store the expected problems of every listed category, grid and 旬; COPY, for there are 25,000 rows."""
    codes = problems.areas("grid")[0]
    text = io.StringIO()
    for category, found in fitted.items():
        for area, cells in zip(codes, np.round(found.expected, 4).tolist(), strict=True):
            text.write(f"{run_id}\t{category}\t{area}\t{{{','.join(map(str, cells))}}}\n")
    text.seek(0)
    cursor: Any = connection.connection.cursor()  # psycopg2's own, which knows COPY
    cursor.copy_expert("COPY seasonal_expected (run_id, category, area, cells) FROM STDIN", text)

"""Builds and stores the seasonal list (时令清单)."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert

from gridmgmt.config import ALPHA, SEED
from gridmgmt.errors import InputError, NotEnoughDataError
from gridmgmt.hotspots.cube import locate
from gridmgmt.hotspots.models import AnalysisRun, RunKind
from gridmgmt.hotspots.stored import data_version
from gridmgmt.incidents import service as incidents
from gridmgmt.seasonal import actions, clocks, detect
from gridmgmt.seasonal.finder import REPLICATIONS, Finder, Finding, Listed
from gridmgmt.seasonal.models import Clock, SeasonalItem


@dataclass(frozen=True)
class Built:
    """What came of building a list: its run, its items, and the categories that got none and why."""

    run_id: int
    items: int
    tested: int
    no_season: int
    not_enough: int


def build(engine: Engine, year: int, *, seed: int = SEED) -> Built:
    """Find what comes back every year in all full years before `year` and store the list for `year`.

    One transaction; a list of the same year is replaced. Raises InputError for a year that the calendar
    does not know, NotEnoughDataError when there are fewer than two full years of matters before it.
    """
    started = datetime.now(UTC)
    with engine.begin() as connection:
        start, end = full_years(connection, year)
        located = locate(connection, start, end)
        finding = Finder(located, clocks.days_between(start, end), seed).run()
        run_id = _store_run(connection, year, start, end, seed, started)
        rows = _rows(connection, finding, year, run_id)
        if rows:
            connection.execute(insert(SeasonalItem), rows)
    return Built(run_id, len(rows), finding.tested, finding.no_season, finding.not_enough)


def full_years(connection: Connection, year: int) -> tuple[date, date]:
    """Return the first and the last day of all full years of matters before a year.

    Raises InputError for a year that the calendar does not know, NotEnoughDataError for fewer than two.
    """
    clocks.bin_days(Clock.LUNAR, year, 0)  # refuses a year outside the calendar before any work is done
    known = incidents.period(connection)
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


# --- storing


def _store_run(
    connection: Connection, year: int, start: date, end: date, seed: int, started: datetime
) -> int:
    older = (AnalysisRun.kind == RunKind.SEASONAL) & (AnalysisRun.parameters["year"].as_integer() == year)
    connection.execute(delete(AnalysisRun).where(older))
    parameters = {
        "year": year, "from": start.isoformat(), "to": end.isoformat(), "replications": REPLICATIONS,
        "alpha": ALPHA, "min_ratio": detect.MIN_RATIO, "min_matters": detect.MIN_MATTERS,
        "told": 0, "problems": 0, "capacity": 3,
    }  # fmt: skip
    statement = insert(AnalysisRun).values(
        kind=RunKind.SEASONAL,
        parameters=parameters,
        data_version=data_version(connection),
        seed=seed,
        started_at=started,
    )
    return int(connection.execute(statement.returning(AnalysisRun.id)).scalar_one())


def _rows(connection: Connection, finding: Finding, year: int, run_id: int) -> list[dict[str, Any]]:
    known = incidents.categories(connection)
    library = actions.library()
    rows = []
    for one in finding.listed:
        season = one.candidate.season
        try:
            span = clocks.window_in_year(season.clock, year, season.start, season.length)
        except InputError:  # a lunar window that this Gregorian year does not hold
            continue
        action = library.action_for(one.candidate.category, known.name(one.candidate.category))
        mean, low, high = (float(value[one.index]) for value in one.test.expected)
        rows.append({
            "run_id": run_id, "year": year, "level": one.level, "area": one.area,
            "category": one.candidate.category, "clock": season.clock,
            "start_on": span.start, "peak_on": _peak(season, span), "end_on": span.end,
            "act_by": span.start - timedelta(days=action.lead_days or 0), "expected": mean,
            "expected_low": low,
            "expected_high": high, "ratio": float(one.test.ratio[one.index]),
            "p": float(one.test.p[one.index]), "q": one.q, "years": _years(one), "action": action.text,
            "usual": float(one.test.outside[one.index].mean()), "lead_days": action.lead_days or 0,
            "lead_learnt": False, "stable": len(one.test.years), "cut": False,
        })  # fmt: skip
    return rows


def _peak(season: detect.Season, span: clocks.Span) -> date:
    """Return the middle of the peak bin inside a window of a target year."""
    bins_before = (season.peak - season.start) % clocks.BINS[season.clock]
    share = (bins_before + 0.5) / season.length
    return span.start + timedelta(days=int(((span.end - span.start).days + 1) * share))


def _years(one: Listed) -> list[dict[str, Any]]:
    inside, outside = one.test.inside[one.index], one.test.outside[one.index]
    return [
        {"year": int(year), "inside": int(i), "outside": round(float(o), 1)}
        for year, i, o in zip(one.test.years, inside, outside, strict=True)
    ]

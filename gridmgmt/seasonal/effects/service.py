"""Measures what the treatments of a year's list did, and stores it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, delete, insert

from gridmgmt.errors import NotFoundError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.hotspots.cube import locate, neighbours
from gridmgmt.incidents import service as incidents
from gridmgmt.seasonal import stored as lists
from gridmgmt.seasonal.clocks import Span
from gridmgmt.seasonal.effects.estimate import (
    Change,
    EffectVerdict,
    Estimate,
    Placebo,
    Side,
    Units,
    comparable,
    estimate,
    together,
)
from gridmgmt.seasonal.effects.gather import Gathered, Matters, Season, first_done, gather, seasons
from gridmgmt.seasonal.effects.learning import OTHERS, Learnt, learn
from gridmgmt.seasonal.effects.models import SeasonalEffect
from gridmgmt.seasonal.effects.stored import CITY
from gridmgmt.seasonal.service import full_years
from gridmgmt.seasonal.tasks import stored as tasks

ALL = ""  # the category of figures of all categories together
# Days without any matter at the end of the data that do not yet mean that the data end there.
QUIET = timedelta(days=3)


@dataclass(frozen=True)
class Measured:
    """What came of measuring a year: categories of its list by what may be said of them."""

    year: int
    categories: int
    treated_grids: int
    helped: int
    no_effect_seen: int
    worse: int
    cannot_say: int


@dataclass(frozen=True)
class _Category:
    """One category of the list: its season, its grids, what was found."""

    season: Season
    gathered: Gathered
    found: Estimate


def measure(engine: Engine, year: int) -> Measured:
    """Compare what came in the windows of a year's list with what was due, treated against untreated grids.

    One transaction; what was stored of the year is replaced.

    Raises
    ------
    NotFoundError
        When there is no list of the year, or it has no item.
    NotEnoughDataError
        When there are fewer than two full years of matters before it.
    """
    with engine.begin() as connection:
        lists.run_of(connection, year)
        items = lists.items(connection, year)
        if not items:
            raise NotFoundError(f"the list of {year} has no item, so there is nothing to measure")
        matters = _matters(connection, year)
        known = _last_day(connection, year)
        categories = _categories(connection, matters, items, year, known)
        rows = _rows(categories, matters, year, known)
        connection.execute(delete(SeasonalEffect).where(SeasonalEffect.year == year))
        connection.execute(insert(SeasonalEffect), rows)
    said = [each.found.verdict for each in categories]
    return Measured(
        year=year,
        categories=len(categories),
        treated_grids=sum(int(each.found.treated.n) for each in categories),
        helped=said.count(EffectVerdict.HELPED),
        no_effect_seen=said.count(EffectVerdict.NO_EFFECT_SEEN),
        worse=said.count(EffectVerdict.WORSE),
        cannot_say=said.count(EffectVerdict.CANNOT_SAY),
    )


def _matters(connection: Connection, year: int) -> Matters:
    first, _ = full_years(connection, year)
    located = locate(connection, first, date(year, 12, 31)).problems()
    codes = located.grids.codes
    town = np.unique([code[: DIGITS["town"]] for code in codes], return_inverse=True)[1]
    return Matters(located, first.year, neighbours(connection, located, "grid", list(codes)), town)


def _last_day(connection: Connection, year: int) -> date:
    """Return the last day of the year up to which matters are known; a quiet end still counts as known."""
    period = incidents.period(connection)
    last = date(year, 1, 1) - timedelta(days=1) if period is None else period[1]
    return min(last + QUIET, date(year, 12, 31))


def _categories(
    connection: Connection, matters: Matters, items: Sequence[lists.Item], year: int, known: date
) -> list[_Category]:
    codes = matters.located.grids.codes
    listed = seasons(items, codes, year)
    done = tasks.treatments(connection, year)
    names = [season.category for season in listed]
    now, before = matters.expected(year, names), matters.expected(year - 1, names)
    found = []
    for season in listed:
        if season.category not in now:  # on the list, but its matters are gone since
            continue
        gathered = gather(
            season, first_done(season, done, codes), matters, now[season.category],
            before.get(season.category), year, known,
        )  # fmt: skip
        over = season.windows[-1].end <= known
        found.append(_Category(season, gathered, estimate(gathered.units, over=over)))
    return found


# --- rows


def _rows(categories: Sequence[_Category], matters: Matters, year: int, known: date) -> list[dict[str, Any]]:
    kept = [each for each in categories if comparable(each.found)]
    changes = {each.season.category: each.found.change for each in kept}
    learnt = learn({code: change for code, change in changes.items() if change is not None})
    head = {"year": year, "known_to": known}
    rows = [
        head | _row(CITY, each.season.category, each.found, learnt.get(each.season.category), each)
        for each in categories
    ]
    rows.append(head | _row(CITY, ALL, together(_units(kept)), learnt[OTHERS] if kept else None))
    towns = np.array([code[: DIGITS["town"]] for code in matters.located.grids.codes])
    for town in np.unique(towns).tolist():
        rows += [head | row for row in _of_town(town, towns == town, kept)]
    return rows


def _units(categories: Sequence[_Category]) -> list[Units]:
    return [each.gathered.units for each in categories]


def _of_town(town: str, inside: np.ndarray, kept: Sequence[_Category]) -> list[dict[str, Any]]:
    """Return a town's row for every category treated in it, and for all of them together."""
    here = [(each, inside[each.gathered.grids]) for each in kept]
    here = [(each, rows) for each, rows in here if (each.gathered.units.treated & rows).any()]
    if not here:
        return []
    found = [
        _row(town, each.season.category, together([each.gathered.units], [rows]), None, each, placebo=False)
        for each, rows in here
    ]
    everything = together([each.gathered.units for each, _ in here], [rows for _, rows in here])
    return [*found, _row(town, ALL, everything, None)]


def _row(
    scope: str,
    category: str,
    found: Estimate,
    learnt: Learnt | None,
    of: _Category | None = None,
    *,
    placebo: bool = True,
) -> dict[str, Any]:
    change = found.change
    return {
        "scope": scope, "category": category,
        "start_on": of.season.windows[0].start if of else None,
        "end_on": of.season.windows[-1].end if of else None,
        **_counts("treated", found.treated), **_counts("untreated", found.untreated),
        "effect": _number(change.mean) if change else None,
        "low": _number(change.low) if change else None,
        "high": _number(change.high) if change else None,
        "p": _number(change.p) if change else None,
        "published": found.published,
        "placebo": _placebo(found.placebo, of.gathered.placebo) if of and placebo and found.placebo else None,
        "learnt": learnt.mean if learnt else None,
        "learnt_low": learnt.low if learnt else None,
        "learnt_high": learnt.high if learnt else None,
        "verdict": found.verdict, "reason": found.reason,
    }  # fmt: skip


def _counts(name: str, side: Side) -> dict[str, Any]:
    return {
        f"n_{name}": int(side.n), f"observed_{name}": float(side.observed),
        f"expected_{name}": float(side.expected),
    }  # fmt: skip


def _number(value: Any) -> float | None:
    """Return a plain number, None for one that cannot be said."""
    return float(value) if np.isfinite(value) else None


def _placebo(found: Placebo, windows: Sequence[Span]) -> dict[str, Any]:
    rows = zip(windows, found.usable, found.windows.mean, found.windows.low, found.windows.high, strict=True)
    return {
        "windows": [
            {"start": each.start.isoformat(), "end": each.end.isoformat()} | _points(mean, low, high)
            for each, usable, mean, low, high in rows
            if usable
        ],
        "pooled": _interval(found.pooled),
        "before": _interval(found.before),
        "share": found.share,
        "failed": found.failed,
    }


def _interval(change: Change | None) -> dict[str, float | None] | None:
    return None if change is None else _points(change.mean, change.low, change.high)


def _points(mean: Any, low: Any, high: Any) -> dict[str, float | None]:
    return {"mean": _number(mean), "low": _number(low), "high": _number(high)}

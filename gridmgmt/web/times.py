"""Matters by 旬 for the strip under the map, which is also its time slider."""

import json
from datetime import date, datetime
from typing import Any

import numpy as np
from flask import Blueprint, Response, request
from sqlalchemy import Connection

from gridmgmt import calendar
from gridmgmt.calendar import XUN_COUNT
from gridmgmt.errors import InputError, SetupError
from gridmgmt.hotspots import cube
from gridmgmt.hotspots.cube import Located
from gridmgmt.incidents import service as incidents
from gridmgmt.web.access import allow
from gridmgmt.web.areas import Territory, territory
from gridmgmt.web.choice import Choice, read_choice
from gridmgmt.web.data import MAP_READERS, tagged
from gridmgmt.web.databases import reader
from gridmgmt.web.kept import Kept
from gridmgmt.web.scope import own_area

pages = Blueprint("times", __name__, url_prefix="/data")

# The matters of a period laid on the grids take a second; what is counted from them a few milliseconds.
_located: Kept[Located] = Kept(4)
_texts: Kept[str] = Kept(32)


@pages.get("/times.json")
@allow(*MAP_READERS)
def matrix() -> Response:
    """Matters of the chosen category by area and 旬 of the chosen period, on today's grids."""
    with reader().connect() as connection:
        here = territory(connection)
        choice = read_choice(request.args, connection)
        run = choice.run.id if choice.run else 0
        versions = (here.version, run, choice.level, choice.category, "times")
        known = tagged(Response(), *versions)
        if known.status_code == 304:
            return known
        key = (str(connection.engine.url), *versions[1:], own_area())
        answer = _texts.get(
            key, lambda: json.dumps(_counts(connection, here, choice), separators=(",", ":")), here.version
        )
    return tagged(Response(answer, mimetype="application/json"), *versions)


def _counts(connection: Connection, here: Territory, choice: Choice) -> dict[str, Any]:
    """Return counts by area, of all together, and of which 旬 (year and number) the first is."""
    run = choice.run
    if run is None:
        return {"from": None, "to": None, "total": [], "areas": {}}
    key = (str(connection.engine.url), run.start, run.end)
    try:
        located = _located.get(key, lambda: cube.locate(connection, run.start, run.end), here.version)
    except SetupError:  # no grids: nothing to count on
        return {"from": None, "to": None, "total": [], "areas": {}}
    bins = _bin(run.end, run.start.year) + 1
    codes, counts = _by_area(connection, located, choice, run.start, bins)
    first = _bin(run.start, run.start.year)
    rows = {code: row[first:bins].tolist() for code, row in zip(codes, counts, strict=True)}
    mine = {code: row for code, row in rows.items() if code.startswith(own_area())}
    total = np.array(list(mine.values())).sum(axis=0).tolist() if mine else []
    shown = {code: row for code, row in mine.items() if any(row)}
    days = {"from": run.start.isoformat(), "to": run.end.isoformat()}
    return days | {"total": total, "areas": shown, "terms": _terms(run.start, run.end)}


def _terms(start: date, end: date) -> dict[int, str]:
    """Return the solar terms that begin in each 旬 of a period, by the number of the 旬 from its first."""
    first, found = _bin(start, start.year), dict[int, str]()
    for year in range(start.year, end.year + 1):
        for name, day in zip(calendar.SOLAR_TERMS, calendar.solar_terms(year), strict=True):
            if start <= day <= end:
                at = _bin(day, start.year) - first
                found[at] = f"{found[at]}、{name}" if at in found else name
    return found


def window(asked: str) -> tuple[date, date] | None:
    """Return the part of a period that an address asks for, such as 20250301-20250331; None for none.

    Raises InputError for anything else.
    """
    if not asked:
        return None
    first, _, last = asked.partition("-")
    try:
        found = datetime.strptime(first, "%Y%m%d").date(), datetime.strptime(last, "%Y%m%d").date()
    except ValueError as error:
        raise InputError("window", asked, "two days such as 20250301-20250331") from error
    if found[0] > found[1]:
        raise InputError("window", asked, "a last day that is not before the first")
    return found


def within(
    connection: Connection, here: Territory, choice: Choice, days: tuple[date, date]
) -> dict[str, float]:
    """Return the matters of the 旬 that lie in a part of the chosen period, by area inside the own area."""
    if choice.run is None:
        return {}
    counts, start = _counts(connection, here, choice), choice.run.start
    first = _bin(start, start.year)
    low, high = (max(0, _bin(day, start.year) - first) for day in days)
    return {code: float(sum(row[low : high + 1])) for code, row in counts["areas"].items()}


def _by_area(
    connection: Connection, located: Located, choice: Choice, start: date, n: int
) -> tuple[list[str], np.ndarray]:
    codes, area_of_grid = located.areas(choice.level)
    area = np.where(located.grid >= 0, area_of_grid[located.grid], -1)
    if choice.category:
        below = incidents.categories(connection).below(choice.category)
        wanted = np.array([code in below for code in located.categories], dtype=bool)
        area = np.where(wanted[located.category] if len(wanted) else False, area, -1)
    year = located.day.astype("datetime64[Y]").astype(int) + 1970 - start.year
    bins = year * XUN_COUNT + calendar.xun_of(located.day)
    return codes, cube.count(area, bins, len(codes), n)


def _bin(day: date, first_year: int) -> int:
    return (day.year - first_year) * XUN_COUNT + int(calendar.xun_of([day])[0])

"""What is so today, by area: matters expected in the next 旬, and open matters over their limit."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection

from gridmgmt import calendar
from gridmgmt.calendar import XUN_COUNT
from gridmgmt.errors import NotFoundError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.incidents import service as incidents
from gridmgmt.incidents.handling import counts
from gridmgmt.seasonal import stored as seasonal
from gridmgmt.seasonal.stored import ListRun
from gridmgmt.web import ranking
from gridmgmt.web.areas import Place, Territory
from gridmgmt.web.kept import Kept

XUN_NAMES = ("上旬", "中旬", "下旬")
# Expected matters of a run by grid and 旬: read from thousands of rows, and they never change.
_kept: Kept[tuple[list[str], np.ndarray]] = Kept(24)


def next_xun(today: date) -> tuple[int, int]:
    """Return year and number (0 to 35) of the 旬 after today's.

    >>> next_xun(date(2026, 12, 25))
    (2027, 0)
    """
    after = int(calendar.xun_of([today])[0]) + 1
    return today.year + after // XUN_COUNT, after % XUN_COUNT


def xun_name(today: date) -> str:
    """Return the next 旬 as people say it.

    >>> xun_name(date(2026, 11, 22))
    '12月上旬'
    """
    number = next_xun(today)[1]
    return f"{number // 3 + 1}月{XUN_NAMES[number % 3]}"


def expected(
    connection: Connection, here: Territory, level: str, category: str, today: date
) -> dict[str, float] | None:
    """Return the matters that the list expects in the next 旬, by area; None without a list for it."""
    year, xun = next_xun(today)
    try:
        run = seasonal.run_of(connection, year)
    except NotFoundError:
        return None
    key = (str(connection.engine.url), run.id, category)
    codes, cells = _kept.get(key, lambda: _cells(connection, run, category), here.version)
    found: dict[str, float] = defaultdict(float)
    for code, value in zip(codes, cells[:, xun].tolist(), strict=True):
        found[code[: DIGITS[level]]] += value
    return dict(found)


def _cells(connection: Connection, run: ListRun, category: str) -> tuple[list[str], np.ndarray]:
    if not category:
        return seasonal.expected_cells(connection, run)
    sums: dict[str, np.ndarray] = {}
    for code in sorted(incidents.categories(connection).below(category)):
        areas, cells = seasonal.expected_cells(connection, run, "", code)
        for area, row in zip(areas, cells, strict=True):
            sums[area] = sums.get(area, 0.0) + row
    return list(sums), np.stack(list(sums.values())) if sums else np.zeros((0, XUN_COUNT))


def overdue(connection: Connection, level: str, category: str, now: datetime) -> dict[str, int]:
    """Return how many open matters are over their limit, by area; areas without any are left out."""
    below = incidents.categories(connection).below(category) if category else None
    return counts.overdue_by(connection, DIGITS[level], now, below)


def answer(
    places: Sequence[Place], coming: Mapping[str, float] | None, late: Mapping[str, int], *, own: bool
) -> dict[str, Any]:
    """Return both as the map reads them; an expectation that would tell of few households is None."""
    hidden = {place.code for place in places if place.few(own=own)}
    shown = {
        place.code: None if place.code in hidden else round(coming.get(place.code, 0.0), 2)
        for place in places
        if coming is not None
    }
    found = {place.code: late[place.code] for place in places if place.code in late}
    return {
        "xun": xun_name(calendar.china_today()),
        "listed": coming is not None,
        "expected": shown,
        "overdue": found,
        # Of whole numbers the map makes its own classes, as it does for a part of a period.
        "breaks": {"expected": ranking.breaks([value for value in shown.values() if value])},
    }

"""Areas by the 36 旬 of the year (网格旬图): expected matters in five classes, one level at a time.

A city shows its towns, a town its villages or its grids, a village its grids, a grid its categories. The
class limits are quantiles of the whole table, so that a colour means the same on each of its pages.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
from sqlalchemy import Connection

from gridmgmt import calendar
from gridmgmt.grids.codes import DIGITS
from gridmgmt.hotspots.statistics.kernels import FloatArray
from gridmgmt.seasonal import stored as seasonal
from gridmgmt.seasonal.stored import ListRun
from gridmgmt.web import ranking
from gridmgmt.web.areas import Place, Territory
from gridmgmt.web.kept import Kept

ROWS = 60
COLUMNS = calendar.XUN_COUNT
NAMES = tuple(calendar.xun_name(index) for index in range(COLUMNS))
# The level that the rows of a place are of.
BELOW = {"county": "town", "town": "village", "village": "grid"}
# Categories of which matters are expected by 旬.
EXPECTED = ("seasonal", "weak")
# Below this a cell is as good as empty: it would be written 0.0.
LEAST = 0.05


@dataclass(frozen=True)
class Asked:
    """What of the strip is asked for: inside which place, of which category ('' for all), in which order."""

    place: str
    category: str = ""
    grids: bool = False
    by_code: bool = False
    page: int = 1
    own: bool = False


@dataclass(frozen=True)
class Row:
    """One area or category; `cells` are None where they would tell of fewer than five households.

    `excess` is what comes above the row's own usual (median) 旬.
    """

    code: str
    name: str
    path: str
    cells: tuple[float, ...] | None
    total: float
    excess: float


@dataclass(frozen=True)
class Strip:
    """A page of the table; `limits` are the rising limits of its classes, `now` the 旬 of today."""

    place: str
    name: str
    level: str
    rows: tuple[Row, ...]
    total: int
    pages: int
    page: int
    limits: tuple[float, ...]
    now: int | None
    crumbs: tuple[tuple[str, str], ...]

    def class_of(self, value: float) -> int:
        return ranking.class_of(value, self.limits) if value >= LEAST else 0

    @property
    def legend(self) -> list[tuple[int, str]]:
        """Return class and what it means, the lowest first."""
        if not self.limits:
            return [(1, "有预计")] if any(row.total for row in self.rows) else []
        edges = [f"{limit:g}" for limit in self.limits]
        words = [f"{low}—{high}" for low, high in pairwise(edges)]
        return list(enumerate([f"不到 {edges[0]}", *words, f"{edges[-1]} 以上"], 1))


# The cells of a run never change, and there are 36 for each of a thousand grids and some twenty categories.
_kept: Kept[list[Row]] = Kept(64)


def read(
    connection: Connection, run: ListRun, here: Territory, asked: Asked, own_area: str, today: date
) -> Strip:
    """Return the strip of a place as asked; `own_area` is where the way up ends."""
    level = _level(asked)
    read_rows = _category_rows if level == "category" else _area_rows
    key = (str(connection.engine.url), run.id, asked.place, asked.category, asked.grids)
    found = _kept.get(key, lambda: read_rows(connection, run, here, asked), here.version)
    rows = [_hidden(row, here, asked) for row in found]
    known = [cell for row in rows if row.cells for cell in row.cells if cell >= LEAST]
    rows.sort(key=lambda row: (0 if asked.by_code else -row.excess, row.code))
    pages = max(1, -(-len(rows) // ROWS))
    page = min(asked.page, pages)
    return Strip(
        place=asked.place,
        name=here.name(asked.place) if asked.place else here.city,
        level=level,
        rows=tuple(rows[(page - 1) * ROWS : page * ROWS]),
        total=len(rows),
        pages=pages,
        page=page,
        limits=tuple(ranking.breaks(known)),
        now=int(calendar.xun_of([today])[0]) if today.year == run.year else None,
        crumbs=_crumbs(here, asked.place, own_area),
    )


def _level(asked: Asked) -> str:
    place = next((level for level, digits in DIGITS.items() if digits == len(asked.place)), "county")
    if place == "town" and asked.grids:
        return "grid"
    return BELOW.get(place, "category")


def _area_rows(connection: Connection, run: ListRun, here: Territory, asked: Asked) -> list[Row]:
    """Return a row for each area of the level below: the sums of its grids."""
    level = _level(asked)
    codes, cells = seasonal.expected_cells(connection, run, asked.place, asked.category or None)
    areas, index = np.unique([code[: DIGITS[level]] for code in codes], return_inverse=True)
    sums = np.zeros((len(areas), COLUMNS))
    np.add.at(sums, index, cells)
    found = []
    for code, row in zip(areas.tolist(), sums, strict=True):
        place = here.place(code)
        name = place.name if place else code
        village = place.path.rpartition(" · ")[2] if place and level == "grid" else ""
        found.append(_row(code, name, "" if village in name else village, row))
    return found


def _category_rows(connection: Connection, run: ListRun, _: Territory, asked: Asked) -> list[Row]:
    """Return a row for each seasonal category of one grid."""
    names: Mapping[str, str] = {
        each.category: each.category_name
        for each in seasonal.verdicts(connection, run)
        if each.verdict in EXPECTED and asked.category in ("", each.category)
    }
    cells = {code: seasonal.expected_cells(connection, run, asked.place, code)[1] for code in names}
    return [_row(code, names[code], "", each.sum(axis=0)) for code, each in cells.items()]


def _row(code: str, name: str, path: str, cells: FloatArray) -> Row:
    above = np.maximum(cells - np.median(cells), 0).sum()
    return Row(code, name, path, tuple(cells.tolist()), float(cells.sum()), float(above))


def _hidden(row: Row, here: Territory, asked: Asked) -> Row:
    """Return a row without its numbers where they would tell of fewer than five households."""
    place: Place | None = here.place(asked.place if len(asked.place) == DIGITS["grid"] else row.code)
    few = place is not None and place.few(own=asked.own)
    return Row(row.code, row.name, row.path, None, 0.0, 0.0) if few else row


def _crumbs(here: Territory, place: str, own_area: str) -> tuple[tuple[str, str], ...]:
    """Return code and name of what a place lies in, as far up as the own area, itself last."""
    above = (place[:digits] for digits in DIGITS.values() if digits <= len(place))
    inside = [code for code in above if code.startswith(own_area) and here.place(code)]
    top = [("", here.city)] if not own_area else []
    return tuple(top + [(code, here.name(code)) for code in inside])

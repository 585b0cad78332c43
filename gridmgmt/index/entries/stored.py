"""Reads how far departments are: what was entered of what is asked, and the files that came."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, select

from gridmgmt.index.entries.service import Asked, issued
from gridmgmt.index.models import IndexEntry, IndicatorValue, Status
from gridmgmt.index.stored import Unit
from gridmgmt.index.tree import Indicator, Level


@dataclass(frozen=True)
class File:
    """A file that was sent in; `cells` is how many values it gave."""

    file: str
    department: str | None
    cells: int
    added_at: datetime
    added_by: str


@dataclass(frozen=True)
class Line:
    """An indicator of a department for a level: how many units it is asked of, and which have no value yet.

    `none` are units of which it was said that there is no value.
    """

    indicator: Indicator
    level: Level
    wanted: int
    entered: int
    none: int
    open: tuple[Unit, ...]


@dataclass(frozen=True)
class Progress:
    """How far a department is in a month."""

    department: str
    lines: tuple[Line, ...]
    last: File | None

    @property
    def wanted(self) -> int:
        """How many values are asked for."""
        return sum(line.wanted for line in self.lines)

    @property
    def entered(self) -> int:
        """How many stand."""
        return sum(line.entered for line in self.lines)

    @property
    def none(self) -> int:
        """Of how many it was said that there is no value."""
        return sum(line.none for line in self.lines)

    @property
    def open(self) -> int:
        """How many are still to come."""
        return self.wanted - self.entered - self.none


def progress(connection: Connection, month: date) -> list[Progress]:
    """Return how far each department is that fills something in, by name; NotFoundError without a tree."""
    asked = Asked(connection, month)
    table = IndicatorValue.__table__
    query = select(table.c.indicator, table.c.unit, table.c.status, table.c.entry_id)
    stand = {
        (row.indicator, row.unit): row.status
        for row in connection.execute(query.where(table.c.month == month))
        if row.status == Status.ENTERED.value or row.entry_id is not None
    }
    last = {each.department: each for each in reversed(files(connection, limit=500))}
    return [
        Progress(department, tuple(_lines(asked, department, stand)), last.get(department))
        for department in asked.departments
    ]


def _lines(asked: Asked, department: str, stand: dict[tuple[str, str], str]) -> list[Line]:
    return [
        _line(indicator, level, asked.units[level], stand)
        for level in (Level.TOWN, Level.DEPARTMENT, Level.CITY)
        for indicator in asked.indicators(department, level)
    ]


def _line(
    indicator: Indicator, level: Level, units: Sequence[Unit], stand: dict[tuple[str, str], str]
) -> Line:
    told = [stand.get((indicator.code, unit.code)) for unit in units]
    entered = told.count(Status.ENTERED.value)
    missing = tuple(unit for unit, status in zip(units, told, strict=True) if status is None)
    return Line(indicator, level, len(units), entered, len(units) - entered - len(missing), missing)


def files(connection: Connection, department: str | None = None, limit: int = 20) -> list[File]:
    """Return the last files, the newest first: of one department, or of all."""
    query = select(IndexEntry).order_by(IndexEntry.id.desc()).limit(limit)
    if department is not None:
        query = query.where(IndexEntry.department == department)
    rows = connection.execute(query.with_only_columns(*IndexEntry.__table__.c))
    return [File(row.file, row.department, row.cells, row.added_at, row.added_by) for row in rows]


def standing(connection: Connection, month: date) -> bool:
    """Say whether a month was issued, so that nothing of it can be entered any more."""
    return bool(issued(connection, [month]))

"""Enters values of indicators that departments fill in: all of them or none, and only what differs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from gridmgmt.errors import ConflictError, InputError
from gridmgmt.index import service
from gridmgmt.index.models import IndexEntry, IndexMonth, IndicatorValue, Status
from gridmgmt.index.periods import write_month
from gridmgmt.index.stored import Unit, units, version_of
from gridmgmt.index.tree import Indicator, Level, Tree

# A spreadsheet keeps 15 digits of a number: what differs in later ones is what was sent before.
SAME = 1e-12


@dataclass(frozen=True)
class Cell:
    """A value of an indicator and a unit in a month; None where it is said that there is none."""

    indicator: str
    level: Level
    unit: str
    month: date
    value: float | None

    @property
    def key(self) -> tuple[str, str, date]:
        """What no two values share."""
        return self.indicator, self.unit, self.month


class Effect(StrEnum):
    """What a cell does to what stands."""

    NEW = "new"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    CLEARED = "cleared"


@dataclass(frozen=True)
class Step:
    """A cell, what it does, and the value that stood there before."""

    cell: Cell
    effect: Effect
    before: float | None


@dataclass(frozen=True)
class Counts:
    """How many cells were new, updated, unchanged, or said to have no value."""

    new: int = 0
    updated: int = 0
    unchanged: int = 0
    cleared: int = 0

    @property
    def changed(self) -> int:
        """How many cells differ from what stood."""
        return self.new + self.updated + self.cleared


def counts(steps: Iterable[Step]) -> Counts:
    """Return how many steps have which effect."""
    effects = [step.effect for step in steps]
    return Counts(*(effects.count(each) for each in Effect))


class Asked:
    """What is asked for in a month: the tree by which it goes, and the units of every level."""

    def __init__(self, connection: Connection, month: date) -> None:
        self.version = version_of(connection, month)
        self.units: dict[Level, list[Unit]] = {level: units(connection, level) for level in Level}

    @property
    def tree(self) -> Tree:
        """The tree of the month."""
        return self.version.tree

    def indicators(self, department: str, level: Level | None = None) -> list[Indicator]:
        """Return what a department fills in, of one level or of all, in the order of the tree."""
        return [
            each
            for each in self.tree.indicators
            if each.department == department and (level is None or level in each.levels)
        ]

    @property
    def departments(self) -> list[str]:
        """The departments that fill something in, by name."""
        return sorted({each.department for each in self.tree.indicators if each.department})


def issued(connection: Connection, months: Iterable[date]) -> list[date]:
    """Return which of some months were issued and stand."""
    chosen = IndexMonth.month.in_(sorted(set(months)))
    query = select(IndexMonth.month).where(chosen, IndexMonth.issued_at.is_not(None))
    return sorted(connection.scalars(query))


def compare(connection: Connection, cells: Sequence[Cell]) -> list[Step]:
    """Return what entering some cells would do, in their order; nothing is written."""
    table = IndicatorValue.__table__
    months, codes = {cell.month for cell in cells}, {cell.indicator for cell in cells}
    query = select(table).where(table.c.month.in_(months), table.c.indicator.in_(codes))
    stand = {(row.indicator, row.unit, row.month): row for row in connection.execute(query)}
    return [_step(cell, stand.get(cell.key)) for cell in cells]


def _step(cell: Cell, row: object) -> Step:
    before: float | None = getattr(row, "value", None)
    if cell.value is None:
        told = before is None and getattr(row, "entry_id", None) is not None
        return Step(cell, Effect.UNCHANGED if told else Effect.CLEARED, before)
    if before is None:
        return Step(cell, Effect.NEW, None)
    same = math.isclose(before, cell.value, rel_tol=SAME, abs_tol=SAME)
    return Step(cell, Effect.UNCHANGED if same else Effect.UPDATED, before)


def add_entry(
    connection: Connection, file: str, sha256: str, department: str | None, cells: int, who: str
) -> int:
    """Note a file that was sent in; returns its number."""
    row = {
        "file": file, "sha256": sha256, "department": department, "cells": cells, "added_by": who,
    }  # fmt: skip
    return int(connection.execute(insert(IndexEntry).values(row).returning(IndexEntry.id)).scalar_one())


def enter(connection: Connection, cells: Sequence[Cell], who: str, entry_id: int | None) -> list[Step]:
    """Enter cells in the transaction of `on_index`; returns what each did, in their order.

    What is the same stays as it stands, with the file that it came from.

    Raises ConflictError, which names them, for months that were issued, InputError for a cell that the tree
    of its month does not ask for or allow, or that comes twice. The database refuses a department what is not
    its own.
    """
    service.lock(connection)
    stand = issued(connection, (cell.month for cell in cells))
    if stand:
        raise ConflictError(f"issued and not to be changed: {', '.join(map(write_month, stand))}")
    _check(connection, cells)
    steps = compare(connection, cells)
    rows = [_row(step.cell, who, entry_id) for step in steps if step.effect is not Effect.UNCHANGED]
    if rows:
        made = insert(IndicatorValue)
        kept = {
            name: made.excluded[name]
            for name in ("status", "value", "carried", "carried_from", "entry_id", "made_by")
        } | {"part": None, "whole": None, "at": func.now()}  # fmt: skip
        key = ("indicator", "unit", "month")
        connection.execute(made.on_conflict_do_update(index_elements=key, set_=kept), rows)
    return steps


def _row(cell: Cell, who: str, entry_id: int | None) -> dict[str, object]:
    status = Status.MISSING if cell.value is None else Status.ENTERED
    return {
        "indicator": cell.indicator, "unit": cell.unit, "month": cell.month, "level": cell.level.value,
        "status": status.value, "value": cell.value, "carried": None, "carried_from": None,
        "entry_id": entry_id, "made_by": who,
    }  # fmt: skip


def _check(connection: Connection, cells: Sequence[Cell]) -> None:
    """Raise InputError for the first cell that may not be entered, whoever sends it."""
    asked = {month: Asked(connection, month) for month in {cell.month for cell in cells}}
    known = {
        (month, level): {unit.code for unit in listed}
        for month, each in asked.items()
        for level, listed in each.units.items()
    }
    seen: set[tuple[str, str, date]] = set()
    for cell in cells:
        indicator = asked[cell.month].tree.by_code.get(cell.indicator)
        wanted = isinstance(indicator, Indicator) and indicator.department and cell.level in indicator.levels
        if not wanted or not isinstance(indicator, Indicator):
            raise InputError(
                "indicator", cell.indicator, f"one that a department fills in for a {cell.level}"
            )
        if cell.unit not in known[cell.month, cell.level]:
            raise InputError("unit", cell.unit, f"a {cell.level} of the index")
        if cell.value is not None and not allows(indicator, cell.value):
            raise InputError(cell.indicator, cell.value, f"{indicator.lowest:g} to {indicator.highest:g}")
        if cell.key in seen:
            raise InputError("cell", " ".join(map(str, cell.key)), "each value once")
        seen.add(cell.key)


def allows(indicator: Indicator, value: float) -> bool:
    """Say whether a value can be at all."""
    return math.isfinite(value) and indicator.lowest <= value <= indicator.highest

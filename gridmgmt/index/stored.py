"""Reads the index: versions of its tree, units, values, and what they come to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, select, text

from gridmgmt.errors import NotFoundError
from gridmgmt.index import reading
from gridmgmt.index.models import IndexMonth, IndexTree, IndicatorValue, Status
from gridmgmt.index.scoring import Floats, Scored, score
from gridmgmt.index.tree import Level, Tree


@dataclass(frozen=True)
class Version:
    """A version of the tree: the months from `in_force_from` on go by it until a newer one."""

    id: int
    name: str
    in_force_from: date
    sha256: str
    added_at: datetime
    added_by: str
    tree: Tree


@dataclass(frozen=True, order=True)
class Unit:
    """Whom an index is of: a town by its code, a department by its name, the city by the county's code."""

    code: str
    name: str


@dataclass(frozen=True)
class Value:
    """What is known of one indicator of one unit in one month."""

    value: float | None
    status: Status
    part: float | None = None
    whole: float | None = None
    carried: float | None = None
    carried_from: date | None = None
    entry_id: int | None = None


MISSING = Value(None, Status.MISSING)


@dataclass(frozen=True)
class Board:
    """The index of one month and level: its units in the order of all arrays, values, points and scores."""

    month: date
    level: Level
    version: Version
    units: tuple[Unit, ...]
    values: Mapping[tuple[str, str], Value]  # (indicator, unit)
    scored: Scored
    issued_at: datetime | None

    @property
    def tree(self) -> Tree:
        """The tree of the month."""
        return self.version.tree

    def value(self, indicator: str, unit: str) -> Value:
        """Return the value of an indicator and a unit, a missing one where nothing is known."""
        return self.values.get((indicator, unit), MISSING)

    def place(self, unit: str) -> int:
        """Return where a unit stands in the arrays; NotFoundError for one that is none."""
        for n, each in enumerate(self.units):
            if each.code == unit:
                return n
        raise NotFoundError(f"no unit {unit} in the index of {self.level}")

    @property
    def ranks(self) -> NDArray[np.int64]:
        """The place of each unit, 1 for the best; equal scores share the better place, NaN is 0."""
        return ranks(self.scored.total)


def ranks(totals: Floats) -> NDArray[np.int64]:
    """Return the place of each total, 1 for the greatest; equal ones share the better place, NaN is 0."""
    # Sums of the same points may differ in their last digits.
    rounded = np.round(totals, 9)
    above = (rounded[None, :] > rounded[:, None]).sum(axis=1)
    return np.where(np.isfinite(totals), above + 1, 0)


# --- versions of the tree

# Database and number -> the tree; tests have several databases in one process.
_kept: dict[tuple[str, int], Tree] = {}


def versions(connection: Connection) -> list[Version]:
    """Return all versions of the tree, the one that holds longest first, newer ones of a day before older."""
    order = (IndexTree.in_force_from.desc(), IndexTree.id.desc())
    rows = connection.execute(select(IndexTree.__table__).order_by(*order))
    return [_version(connection, row) for row in rows.all()]


def version_of(connection: Connection, month: date) -> Version:
    """Return the version by which a month goes: the one it was issued with, or the newest in force then.

    Raises NotFoundError where none is in force.
    """
    pinned = select(IndexMonth.tree_id).where(IndexMonth.month == month, IndexMonth.issued_at.is_not(None))
    number = connection.scalar(pinned)
    for each in versions(connection):
        if each.id == number or (number is None and each.in_force_from <= month):
            return each
    raise NotFoundError(f"no tree of indicators is in force in {month:%Y-%m}")


def _version(connection: Connection, row: object) -> Version:
    number, document = row.id, row.document  # type: ignore[attr-defined]
    place = (str(connection.engine.url), number)
    if place not in _kept:
        _kept[place] = reading.read(document, f"tree {number}")
    return Version(
        number, row.name, row.in_force_from, row.sha256,  # type: ignore[attr-defined]
        row.added_at, row.added_by, _kept[place],  # type: ignore[attr-defined]
    )  # fmt: skip


# --- units and values


def units(connection: Connection, level: Level) -> list[Unit]:
    """Return the units of a level, towns by code, departments by name; all of today, for every month."""
    query = {
        Level.TOWN: "SELECT code, name FROM division WHERE level = 'town' ORDER BY code",
        Level.DEPARTMENT: "SELECT name AS code, name FROM department ORDER BY name",
        Level.CITY: "SELECT code, name FROM division WHERE level = 'county' ORDER BY code LIMIT 1",
    }[level]
    return [Unit(row.code, row.name) for row in connection.execute(text(query))]


def months(connection: Connection, *, issued: bool = False) -> list[date]:
    """Return the months that were built, the newest first; only those issued where others must not see."""
    query = select(IndexMonth.month).order_by(IndexMonth.month.desc())
    return list(connection.scalars(query.where(IndexMonth.issued_at.is_not(None)) if issued else query))


def stamps(connection: Connection, wanted: Iterable[date]) -> dict[date, str]:
    """Return for each month what changes when its values, its tree or its being issued do."""
    query = text("""
        SELECT m.month, concat_ws('|', m.tree_id, m.built_at, m.issued_at, max(v.at), count(v.value)) AS stamp
        FROM index_month m LEFT JOIN indicator_value v ON v.month = m.month
        WHERE m.month = ANY (:months) GROUP BY m.month
        """)
    return {row.month: row.stamp for row in connection.execute(query, {"months": list(wanted)})}


def board(
    connection: Connection, month: date, level: Level, members: tuple[Unit, ...] | None = None
) -> Board:
    """Return the index of a month and level, computed from its values; NotFoundError for one not built."""
    found = boards(connection, [month], level, members)
    if not found:
        raise NotFoundError(f"the index of {month:%Y-%m} has not been built")
    return found[0]


def boards(
    connection: Connection, wanted: Iterable[date], level: Level, members: tuple[Unit, ...] | None = None
) -> list[Board]:
    """Return the boards of those months that were built, in their order of time; of `units` unless told."""
    listed = sorted(set(wanted))
    query = select(IndexMonth.month, IndexMonth.issued_at, IndexMonth.tree_id)
    found = connection.execute(query.where(IndexMonth.month.in_(listed)))
    issued = {row.month: (row.issued_at, row.tree_id) for row in found}
    members = members or tuple(units(connection, level))
    values = _values(connection, sorted(issued), level)
    known = {each.id: each for each in versions(connection)}
    return [
        _board(level, month, known[issued[month][1]], members, values.get(month, {}), issued[month][0])
        for month in sorted(issued)
    ]


def _values(
    connection: Connection, wanted: Sequence[date], level: Level
) -> dict[date, dict[tuple[str, str], Value]]:
    table = IndicatorValue.__table__
    chosen = table.c.month.in_(bindparam("months", expanding=True))
    query = select(table).where(chosen, table.c.level == level.value)
    found: dict[date, dict[tuple[str, str], Value]] = {}
    for row in connection.execute(query, {"months": list(wanted)}):
        found.setdefault(row.month, {})[row.indicator, row.unit] = Value(
            row.value, Status(row.status), row.part, row.whole, row.carried, row.carried_from, row.entry_id
        )
    return found


def _board(
    level: Level, month: date, version: Version, members: tuple[Unit, ...],
    values: Mapping[tuple[str, str], Value], issued_at: datetime | None,
) -> Board:  # fmt: skip
    scored = scored_of(version.tree, level, members, values)
    return Board(month, level, version, members, values, scored, issued_at)


def scored_of(
    tree: Tree,
    level: Level,
    members: Sequence[Unit],
    values: Mapping[tuple[str, str], Value],
    weights: Mapping[str, float] | None = None,
) -> Scored:
    """Return what values come to, by the tree's weights or by others (code -> weight)."""

    def column(code: str, name: str) -> Floats:
        found = [getattr(values.get((code, unit.code), MISSING), name) for unit in members]
        return np.array([np.nan if each is None else each for each in found], float)

    own = {each.code: column(each.code, "value") for each in tree.indicators}
    carried = {each.code: column(each.code, "carried") for each in tree.indicators}
    return score(tree, level, own, carried, weights)

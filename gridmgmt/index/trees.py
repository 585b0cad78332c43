"""Versions of the tree of indicators; what was loaded stands for good, and newer ones beside it."""

import hashlib
from datetime import date
from pathlib import Path

from sqlalchemy import Connection, Engine, func, insert, select, text

from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.index.models import IndexMonth, IndexTree, IndicatorRow
from gridmgmt.index.reading import TreeError, read
from gridmgmt.index.service import lock
from gridmgmt.index.standing import Fault
from gridmgmt.index.tree import Indicator, Node, Tree, walk

PACKAGED = Path(__file__).with_name("default.toml")
PACKAGE = "gridmgmt"
EARLIEST = date(1900, 1, 1)


def install(engine: Engine) -> None:
    """Add the packaged tree where no version stands; safe to repeat."""
    with engine.begin() as connection:
        lock(connection)
        if connection.scalar(select(IndexTree.id).limit(1)) is None:
            words = PACKAGED.read_text(encoding="utf-8")
            _add(connection, PACKAGE, read(words, PACKAGED.name), words, EARLIEST)


def load(engine: Engine, who: str, words: str, file: str, in_force_from: date) -> int:
    """Make the tree in a TOML text the one by which months from `in_force_from` on go; return its number.

    The version that is in force on that day already is returned when it has the same text. Raises TreeError
    with everything that is wrong with the text, departments and categories that the city does not have
    included; InputError for a day that begins no month; ConflictError where the index of that month or of a
    later one was issued, for what was issued stands. `engine` is the owner's.
    """
    tree = read(words, file)
    if in_force_from.day != 1:
        raise InputError("in_force_from", in_force_from.isoformat(), "the first day of a month")
    with engine.begin() as connection:
        lock(connection)
        standing = _same(connection, words, in_force_from)
        if standing is not None:
            return standing
        _check_city(connection, tree, file)
        _check_issued(connection, in_force_from)
        return _add(connection, who, tree, words, in_force_from)


def document(connection: Connection, version: int) -> str:
    """Return the text of a version as it was loaded; NotFoundError for a number that none has."""
    found = connection.scalar(select(IndexTree.document).where(IndexTree.id == version))
    if found is None:
        raise NotFoundError(f"no tree of indicators {version}")
    return str(found)


def _digest(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()


def _same(connection: Connection, words: str, in_force_from: date) -> int | None:
    """Return the newest version of the day, where it has that text."""
    newest = select(IndexTree.id, IndexTree.sha256).where(IndexTree.in_force_from == in_force_from)
    row = connection.execute(newest.order_by(IndexTree.id.desc()).limit(1)).one_or_none()
    return row.id if row is not None and row.sha256 == _digest(words) else None


def _check_city(connection: Connection, tree: Tree, file: str) -> None:
    """Raise TreeError for departments and categories that the city does not have."""
    departments = set(connection.scalars(text("SELECT name FROM department")))
    categories = set(connection.scalars(text("SELECT name FROM category")))
    faults = []
    for each in tree.indicators:
        if each.department is not None and each.department not in departments:
            faults.append(Fault(each.code, "department", each.department, _listed(departments)))
        for name in each.measured.categories if each.measured else ():
            if name not in categories:
                faults.append(Fault(each.code, "measured.categories", name, "a category of this city"))
    if faults:
        raise TreeError(file, faults)


def _listed(departments: set[str]) -> str:
    return f"a department of this city: {', '.join(sorted(departments)) or 'none was imported yet'}"


def _check_issued(connection: Connection, in_force_from: date) -> None:
    issued = select(func.max(IndexMonth.month)).where(IndexMonth.issued_at.is_not(None))
    last = connection.scalar(issued)
    if last is not None and in_force_from <= last:
        raise ConflictError(
            f"the index of {last:%Y-%m} was issued and stands; a new tree may be in force after that month"
        )


def _add(connection: Connection, who: str, tree: Tree, words: str, in_force_from: date) -> int:
    row = {
        "name": tree.name, "in_force_from": in_force_from, "document": words,
        "sha256": _digest(words), "added_by": who,
    }  # fmt: skip
    number = connection.execute(insert(IndexTree).values(row).returning(IndexTree.id)).scalar_one()
    below = [each for _, each in walk(tree.root) if each.code]
    connection.execute(insert(IndicatorRow), [_row(number, tree, each) for each in below])
    return int(number)


def _row(number: int, tree: Tree, each: Node | Indicator) -> dict[str, object]:
    leaf = each if isinstance(each, Indicator) else None
    return {
        "tree_id": number, "code": each.code, "parent": tree.parents[each.code], "name": each.name,
        "weight": each.weight, "unit": leaf and leaf.unit, "levels": leaf and sorted(leaf.levels),
        "department": leaf and leaf.department,
    }  # fmt: skip

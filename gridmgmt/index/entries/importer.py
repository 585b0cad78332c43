"""Files that departments send in: refused whole with everything that is wrong, or entered whole."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, Engine

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.errors import FileError, InputError, NotAllowedError, NotFoundError
from gridmgmt.importing.report import Report
from gridmgmt.importing.survey import text_suffix
from gridmgmt.index.actor import Actor, on_index
from gridmgmt.index.entries import forms, history, sheets
from gridmgmt.index.entries.faults import EntryError, Fault, Wrong
from gridmgmt.index.entries.forms import Found, Names
from gridmgmt.index.entries.service import (
    Asked,
    Cell,
    Counts,
    Step,
    add_entry,
    compare,
    counts,
    enter,
    issued,
)
from gridmgmt.index.entries.sheets import LARGEST_FILE, Sheet
from gridmgmt.index.periods import read_month, write_month

KINDS = ("XLSX", "CSV")


@dataclass(frozen=True)
class Told:
    """What a file came to, or would: of whom and when it is, and what its cells do to what stands."""

    file: str
    department: str | None  # None where it is of several
    months: tuple[date, ...]
    steps: tuple[Step, ...]

    @property
    def counts(self) -> Counts:
        """New, updated, unchanged, cleared."""
        return counts(self.steps)


@dataclass(frozen=True)
class Sent:
    """A file as it was read: the sheets of a form, or rows of a long table with their report."""

    name: str
    sha256: str
    sheets: tuple[Sheet, ...] = ()
    rows: tuple[history.Row, ...] = ()
    report: Report | None = None


def read(name: str, data: bytes) -> Sent:
    """Return what an XLSX or CSV file holds, still unjudged.

    Raises FileError for another type, more than 2 MB, macros, or what cannot be read as a whole.
    """
    if len(data) > LARGEST_FILE:
        raise FileError(name, "size", f"{len(data):,} bytes", f"at most {LARGEST_FILE:,}")
    ending = Path(name).suffix.lower()
    if ending != ".xlsx" and (ending == ".gz" or not text_suffix(Path(name))):
        raise FileError(name, "file type", ending or name, " or ".join(KINDS))
    sha256 = hashlib.sha256(data).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sent{ending}"
        path.write_bytes(data)
        if ending == ".xlsx":
            return Sent(name, sha256, sheets=tuple(sheets.read(path, name)))
        rows, report = history.rows(path)
        return Sent(name, sha256, rows=tuple(rows), report=report)


def load(
    engine: Engine, actor: Actor, sent: Sent, month: date | None = None, *, dry_run: bool = False
) -> Told:
    """Enter what a file says, or with `dry_run` only say what that would do.

    A form must be of `month`, where one is given; a long table says its months itself. What is empty stays as
    it was. A file that changes nothing is not noted again.

    Raises EntryError with everything that is wrong, NotAllowedError for who enters nothing.
    """
    if actor.role is not Role.COMMAND and not (actor.role is Role.DEPARTMENT and actor.unit):
        raise NotAllowedError(f"{actor.username} enters no indicators")
    with on_index(engine, actor) as connection:
        found, department, months = _judged(connection, sent, actor, month)
        if found.faults:
            raise EntryError(sent.name, found.faults)
        steps = compare(connection, found.cells)
        if not dry_run and counts(steps).changed:
            number = add_entry(
                connection, sent.name, sent.sha256, department, len(found.cells), actor.username
            )
            steps = enter(connection, found.cells, actor.username, number)
    return Told(sent.name, department, tuple(months), tuple(steps))


def _judged(
    connection: Connection, sent: Sent, actor: Actor, month: date | None
) -> tuple[Found, str | None, list[date]]:
    if sent.report is None:
        return _form(connection, sent, actor, month)
    names_of = cache(lambda of: Names(Asked(connection, of)))
    found = history.read(sent.rows, sent.report, names_of, actor.unit)
    months = sorted({cell.month for cell in found.cells})
    found.faults += _months(connection, months)
    if not found.cells and not found.faults:
        found.fault("", Wrong.NO_UNITS)
    return found, actor.unit or _department(names_of, found.cells), months


def _department(names_of: Callable[[date], Names], cells: Iterable[Cell]) -> str | None:
    """Return whose all cells are, None where they are of several."""
    named = {getattr(names_of(cell.month).indicator(cell.indicator), "department", None) for cell in cells}
    return named.pop() if len(named) == 1 else None


def _form(
    connection: Connection, sent: Sent, actor: Actor, wanted: date | None
) -> tuple[Found, str | None, list[date]]:
    """Return what a form says; values of another month's, tree's or department's form are not judged."""
    marks = forms.marks(sent.sheets) or {}
    try:
        month = read_month(marks.get("month", ""))
        asked = Asked(connection, month)
    except (InputError, NotFoundError):
        return Found(faults=[Fault("", Wrong.NO_FORM)]), None, []
    department = marks.get("department", "")
    found = Found(faults=list(_marks(marks, asked, actor, wanted)))
    if not found.faults:
        found = forms.read(sent.sheets, asked, month, department)
    found.faults[:0] = _months(connection, [month])
    return found, department, [month]


def _marks(marks: dict[str, str], asked: Asked, actor: Actor, wanted: date | None) -> Iterator[Fault]:
    department, month = marks.get("department", ""), marks["month"]
    if actor.unit and department != actor.unit:
        yield Fault("", Wrong.OTHERS, department, actor.unit)
    elif department not in asked.departments:
        yield Fault("", Wrong.OTHERS, department)
    if wanted and month != write_month(wanted):
        yield Fault("", Wrong.OTHER_MONTH, month, write_month(wanted))
    if marks.get("sha256") != asked.version.sha256:
        yield Fault("", Wrong.OLD_TREE, marks.get("tree", ""), str(asked.version.id))


def _months(connection: Connection, months: Sequence[date]) -> list[Fault]:
    """Return faults of months that were issued or have not begun."""
    this = china_today().replace(day=1)
    stand = [Fault("", Wrong.ISSUED, write_month(each)) for each in issued(connection, months)]
    return stand + [
        Fault("", Wrong.MONTH, write_month(each), write_month(this)) for each in months if each > this
    ]

"""What rows of the roster said before: each kept state against the one that came after it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Any

from sqlalchemy import Connection, Select, select, text, tuple_

from gridmgmt.errors import InputError
from gridmgmt.households.changes.models import RosterHistory
from gridmgmt.households.changes.stored import said, where_dwellings, where_homes
from gridmgmt.households.changes.words import CHANGED, FIELD_NAMES, NOTHING
from gridmgmt.households.models import LEFT_NAMES, Left, Person
from gridmgmt.privacy.keyring import KeyRing

# Numbers of rows, and what only finds a sealed value.
UNSAID = ("id", "person_id", "identity_index", "phone_index", "code")
SEALED = ("identity", "phone")
DWELLINGS = ("dwelling_id", "registered_dwelling_id")
ROWS = {"household": "户", "person": "人员", "residency": "居住", "household_care": "关爱"}


@dataclass(frozen=True)
class HistoryLine:
    """One field that said something else; of a sealed field only that it did."""

    at: datetime
    made_by: str
    what: str
    person: str | None
    field: str
    was: str
    to: str


def history_of(
    connection: Connection,
    ring: KeyRing,
    *,
    household_id: int | None = None,
    person_id: int | None = None,
) -> list[HistoryLine]:
    """Return what a household's, or a person's, rows said before, newest first; an office's alone to read.

    InputError unless one of the two is given.
    """
    if (household_id is None) == (person_id is None):
        raise InputError("person_id", person_id, "a household or a person")
    whose = (
        RosterHistory.household_id == household_id
        if person_id is None
        else RosterHistory.person_id == person_id
    )
    rows = select(RosterHistory.what, RosterHistory.row_id).where(whose)
    chosen = select(RosterHistory, whose.label("wanted")).where(
        tuple_(RosterHistory.what, RosterHistory.row_id).in_(rows)
    )
    # What follows a state may be of another household by then: all states of a row are read.
    in_time = chosen.order_by(RosterHistory.what, RosterHistory.row_id, RosterHistory.id)
    pairs = [pair for pair in _with_next(connection, in_time) if pair[0].wanted]
    names = _names(connection, pairs)
    lines = [line for row, after in pairs for line in _lines(row, after, names)]
    return sorted(lines, key=lambda line: line.at, reverse=True)


def _with_next(connection: Connection, chosen: Select[Any, Any]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """Give every kept state with the one that followed: the next kept, or the row as it is now."""
    rows = connection.execute(chosen).all()
    now = {what: _now(connection, what, rows) for what in ROWS}
    for row, after in zip_longest(rows, rows[1:]):
        is_same = after is not None and (after.what, after.row_id) == (row.what, row.row_id)
        yield row, after.before if is_same else now[row.what].get(row.row_id, {})


def _now(connection: Connection, what: str, rows: Iterable[Any]) -> dict[int, Mapping[str, Any]]:
    numbers = sorted({row.row_id for row in rows if row.what == what})
    if not numbers:
        return {}
    found = text(f"SELECT id, to_jsonb(t) AS row FROM {what} t WHERE id = ANY(:numbers)")
    return {row.id: row.row for row in connection.execute(found, {"numbers": numbers})}


@dataclass(frozen=True)
class _Names:
    people: Mapping[int, str]
    homes: Mapping[int, str]
    doors: Mapping[int, str]


def _names(connection: Connection, pairs: Iterable[tuple[Any, Mapping[str, Any]]]) -> _Names:
    states = [state for row, after in pairs for state in (row.before, after)]
    people = {row.person_id for row, _ in pairs if row.person_id}
    homes = {state["household_id"] for state in states if state.get("household_id")}
    doors = {state[key] for state in states for key in DWELLINGS if state.get(key)}
    named = connection.execute(select(Person.id, Person.name).where(Person.id.in_(people)))
    return _Names(
        {row.id: row.name for row in named},
        where_homes(connection, homes),
        where_dwellings(connection, doors),
    )


def _lines(row: Any, after: Mapping[str, Any], names: _Names) -> Iterator[HistoryLine]:
    for field, before in row.before.items():
        if field in UNSAID or field not in after or after[field] == before:
            continue
        yield HistoryLine(
            row.at, row.made_by, ROWS[row.what], names.people.get(row.person_id),
            FIELD_NAMES.get(field, field), _words(field, before, names), _words(field, after[field], names),
        )  # fmt: skip


def _words(field: str, value: Any, names: _Names) -> str:
    if value is None:
        return NOTHING
    if field in SEALED:
        return CHANGED
    if field == "household_id":
        return names.homes.get(value, "—")
    if field in DWELLINGS:
        return names.doors.get(value, "—")
    if field == "left_why":
        return LEFT_NAMES[Left(value)]
    return said(field, value)

"""The field register: of every column that holds or may hold personal data, why it is there and how long.

The register itself is `register.toml`, written by hand; a test compares it with the database.
"""

import re
import tomllib
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from gridmgmt.errors import NotFoundError

PATH = Path(__file__).with_name("register.toml")


class FieldClass(StrEnum):
    """What kind of data a column holds; `SENSITIVE` in the sense of PIPL article 28."""

    IDENTIFIER = "identifier"
    CONTACT = "contact"
    SENSITIVE = "sensitive"
    PERSONAL = "personal"
    FREE_TEXT = "free text"
    TECHNICAL = "technical"


class Subject(StrEnum):
    """Of whom a table tells. What tells of residents is read by the roster's role alone."""

    RESIDENTS = "residents"
    STAFF = "staff"
    MATTERS = "matters"


@dataclass(frozen=True)
class Entry:
    """One column: `basis` and `retention` in words that may be shown to the person."""

    table: str
    column: str
    subject: Subject
    kind: FieldClass
    purpose: str
    basis: str
    retention: str


@dataclass(frozen=True)
class Period:
    """How long something is kept, counted from what column; as text, what PostgreSQL reads as an interval.

    >>> period = Period(3, "month", "person.left_on")
    >>> str(period), period.before(date(2026, 5, 31))
    ('3 months', datetime.date(2026, 2, 28))
    """

    number: int
    unit: str  # day, month or year
    start: str

    def __str__(self) -> str:
        return f"{self.number} {self.unit}{'s' if self.number != 1 else ''}"

    def before(self, today: date) -> date:
        """Return the day on which the period began that ends today: what is older goes."""
        if self.unit == "day":
            return today - timedelta(days=self.number)
        months = today.year * 12 + today.month - 1 - self.number * (12 if self.unit == "year" else 1)
        year, month = divmod(months, 12)
        return date(year, month + 1, min(today.day, monthrange(year, month + 1)[1]))


def entries() -> tuple[Entry, ...]:
    """Return every column of every table with personal data, in the order of the register."""
    raw = _raw()
    return tuple(
        _entry(raw, name, table, column, said)
        for name, table in raw["table"].items()
        for column, said in table["columns"].items()
    )


def plain_tables() -> frozenset[str]:
    """Return the tables that hold no personal data."""
    return frozenset(_raw()["none"]["tables"])


def tables_of(subject: Subject) -> tuple[str, ...]:
    """Return the tables that tell of these people."""
    return tuple(name for name, table in _raw()["table"].items() if table["of"] == subject)


def retention(name: str) -> Period:
    """Return how long what goes by this name is kept; NotFoundError when no period ends it.

    >>> str(retention("visit.note"))
    '2 years'
    """
    said = _raw()["retention"].get(name)
    if said is None:
        raise NotFoundError(f"the field register names no period {name!r}")
    return _period(said)


def periods() -> dict[str, Period]:
    """Return every period by its name."""
    return {name: _period(said) for name, said in _raw()["retention"].items()}


@cache
def _raw() -> dict[str, Any]:
    return tomllib.loads(PATH.read_text(encoding="utf-8"))


def _entry(raw: dict[str, Any], name: str, table: dict[str, Any], column: str, said: Any) -> Entry:
    own = said if isinstance(said, dict) else {"class": said}
    ends = own.get("retention", table["retention"])
    return Entry(
        table=name,
        column=column,
        subject=Subject(table["of"]),
        kind=FieldClass(own["class"]),
        purpose=own.get("purpose", table["purpose"]),
        basis=raw["basis"][own.get("basis", table["basis"])],
        retention=raw["kept"].get(ends) or f"{retention(ends)} from {retention(ends).start}",
    )


def _period(said: dict[str, str]) -> Period:
    found = re.fullmatch(r"([1-9][0-9]*) (day|month|year)s?", said["period"])
    if not found:
        raise ValueError(f"{PATH.name}: {said['period']!r} is no number of days, months or years")
    return Period(int(found[1]), found[2], said["from"])

"""Reads the audit log: who saw or changed what, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from gridmgmt.calendar import CHINA
from gridmgmt.privacy.audit import NAMES
from gridmgmt.privacy.models import AuditLine


@dataclass(frozen=True)
class Wanted:
    """Which lines: those that fit everything that is not None; days are days of China, both included."""

    who: str | None = None
    what: str | None = None
    household: int | None = None
    person: int | None = None
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True)
class Line:
    """One line of the log."""

    number: int
    at: datetime
    who: str
    what: str
    area: str
    households: Sequence[int]
    person: int | None
    purpose: str | None
    detail: dict[str, Any]

    @property
    def name(self) -> str:
        """What was done, in Chinese."""
        return NAMES.get(self.what, self.what)


def lines(connection: Connection, wanted: Wanted, *, below: int | None = None, most: int = 100) -> list[Line]:
    """Return at most `most` lines, newest first; `below` a number, to go on after a page's last line."""
    log = AuditLine
    query = select(
        log.id, log.at, log.who, log.what, log.area, log.households, log.person_id, log.purpose, log.detail
    ).where(*_conditions(wanted))
    if below is not None:
        query = query.where(log.id < below)
    return [Line(*row) for row in connection.execute(query.order_by(log.id.desc()).limit(most))]


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    log = AuditLine
    asked = {
        log.who: wanted.who,
        log.what: wanted.what,
        log.person_id: wanted.person,
    }
    conditions: list[ColumnElement[bool]] = [
        column == value for column, value in asked.items() if value is not None
    ]
    if wanted.household is not None:
        conditions.append(log.households.contains([wanted.household]))
    if wanted.first:
        conditions.append(log.at >= _midnight(wanted.first))
    if wanted.last:
        conditions.append(log.at < _midnight(wanted.last + timedelta(days=1)))
    return conditions


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), CHINA)

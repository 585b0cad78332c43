"""Which period and level a page of the index is about, and its scores: the centre sees every month that was
built, others what was issued.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from flask import request
from sqlalchemy import Connection

from gridmgmt.db.models import Role
from gridmgmt.errors import InputError, NotFoundError
from gridmgmt.index import spans, stored
from gridmgmt.index.periods import Period, Span, months_up_to, of_month, read_month, write_month
from gridmgmt.index.spans import SpanBoard, SpanChange
from gridmgmt.index.stored import Board
from gridmgmt.index.tree import Level
from gridmgmt.web.kept import Kept
from gridmgmt.web.scope import is_centre

READERS = (Role.TOWN_OFFICER, Role.COMMAND, Role.DEPARTMENT)
# So many months back a line of scores begins: two years and the month itself.
HISTORY = 25

_boards: Kept[Board] = Kept(120)


def months_seen(connection: Connection) -> list[date]:
    """Return the months that this person may see, the newest first."""
    return stored.months(connection, issued=not is_centre())


@dataclass(frozen=True)
class Chosen:
    """What the address asks for; what it leaves out is the newest month and the towns."""

    period: Period
    level: Level
    seen: tuple[date, ...]

    def arguments(self, **changed: str) -> dict[str, str]:
        """Return the address's values with some changed."""
        span, level = self.period.span.value, self.level.value
        return {"month": write_month(self.period.last), "span": span, "level": level} | changed

    @property
    def last(self) -> date:
        """The newest month of the period that may be seen."""
        return max(set(self.period.months) & set(self.seen))

    @property
    def before(self) -> list[date]:
        """The months of the line of scores up to the period's last one."""
        return months_up_to(self.period.last, HISTORY)


def chosen(connection: Connection) -> Chosen | None:
    """Return what the address asks for, None where there is no month that this person may see.

    Raises InputError for a month, span or level that is none, NotFoundError for a month that this person
    may not see or that was not built.
    """
    seen = months_seen(connection)
    if not seen:
        return None
    span = _word(Span, "span", Span.MONTH)
    level = _word(Level, "level", Level.TOWN)
    asked = request.args.get("month", "")
    month = read_month(asked) if asked else seen[0]
    period = of_month(month, span)
    if not set(period.months) & set(seen):
        raise NotFoundError(f"the index of {period.name} is not there to be seen")
    return Chosen(period, level, tuple(seen))


def _word(kind: Any, name: str, default: Any) -> Any:
    said = request.args.get(name) or default.value
    if said not in list(kind):
        raise InputError(name, said, ", ".join(each.value for each in kind))
    return kind(said)


def boards(connection: Connection, months: Sequence[date], level: Level, seen: Sequence[date]) -> list[Board]:
    """Return the boards of the months among these that may be seen, in their order of time."""
    wanted = [month for month in months if month in set(seen)]
    stamps = stored.stamps(connection, wanted)
    where, members = str(connection.engine.url), tuple(stored.units(connection, level))
    return [
        _boards.get(
            (where, month, level),
            partial(stored.board, connection, month, level, members),
            (stamps[month], members),
        )
        for month in wanted
    ]


@dataclass(frozen=True)
class Seen:
    """The scores of a period beside those of the period before, with what moved them where that is known."""

    now: SpanBoard
    then: SpanBoard
    moved: SpanChange | None


def seen_of(connection: Connection, asked: Chosen, level: Level | None = None) -> Seen:
    """Return the scores that an address asks for."""
    months = [*asked.period.before.months, *asked.period.months]
    found = boards(connection, months, level or asked.level, asked.seen)
    return Seen(*spans.with_before(found, asked.period))

"""Reads talks and supervision; whoever asks sees their own, the centre all (sql/policies/090_index.sql)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select, text

from gridmgmt.calendar import china_today
from gridmgmt.errors import NotFoundError
from gridmgmt.index import stored
from gridmgmt.index.models import IndexTalk, IndexTalkStep, TalkKind, TalkStatus
from gridmgmt.index.periods import Period, Span, of_month
from gridmgmt.index.tree import Level

KIND_NAMES = {TalkKind.TALK: "约谈", TalkKind.SUPERVISION: "挂牌督办"}
# How ending one is called: a board is taken down, a talk struck off.
LIFT_NAMES = {TalkKind.TALK: "销号", TalkKind.SUPERVISION: "摘牌"}
STATUS_NAMES = {
    TalkStatus.PROPOSED: "待决定", TalkStatus.DROPPED: "不予采用", TalkStatus.CALLED: "待回复",
    TalkStatus.ANSWERED: "已回复", TalkStatus.RETURNED: "退回重报",
}  # fmt: skip
# The acts that set a day.
SETS_DAY = frozenset(("called", "extended"))
_DAY = re.compile(r"(\d{4}-\d\d-\d\d) ?(.*)", re.DOTALL)
OPEN = frozenset((TalkStatus.CALLED, TalkStatus.ANSWERED, TalkStatus.RETURNED))


class State(StrEnum):
    """How lists part talks; what is overdue is under way too."""

    TO_DECIDE = "to_decide"
    UNDER_WAY = "under_way"
    OVERDUE = "overdue"
    ENDED = "ended"


STATE_NAMES = {
    State.TO_DECIDE: "待决定", State.UNDER_WAY: "进行中", State.OVERDUE: "超期", State.ENDED: "已结束"
}  # fmt: skip
_OPEN = "t.status IN ('called', 'answered', 'returned')"
_IN = {
    State.TO_DECIDE: "t.status = 'proposed'",
    State.UNDER_WAY: _OPEN,
    State.OVERDUE: f"{_OPEN} AND t.due_on < :today",
    State.ENDED: "t.status IN ('dropped', 'lifted')",
}


@dataclass(frozen=True)
class Talk:
    """A talk or a supervision; in lists its evidence is without the long parts."""

    id: int
    kind: TalkKind
    level: Level
    unit: str
    name: str
    period: Period
    reason: str
    evidence: Mapping[str, Any]
    status: TalkStatus
    due_on: date | None
    answer: str | None
    version: int
    made_at: datetime
    made_by: str

    @property
    def is_open(self) -> bool:
        """Whether it was called and is not lifted."""
        return self.status in OPEN

    @property
    def kind_name(self) -> str:
        """约谈 or 挂牌督办."""
        return KIND_NAMES[self.kind]

    @property
    def status_name(self) -> str:
        """How it stands, in words; lifting has a name of its own for either kind."""
        return STATUS_NAMES.get(self.status) or f"已{LIFT_NAMES[self.kind]}"

    def days_over(self, today: date) -> int:
        """Return how many days it is overdue, 0 when it is not."""
        return max(0, (today - self.due_on).days) if self.is_open and self.due_on else 0


@dataclass(frozen=True)
class Step:
    """One act on a talk; `due_on` is the day that it set."""

    at: datetime
    who: str
    act: str
    words: str
    due_on: date | None = None


@dataclass(frozen=True)
class Former:
    """What is known of a talk when others are proposed; `dropped` says that the centre dropped it."""

    id: int
    kind: TalkKind
    unit: str
    period: Period
    status: TalkStatus
    dropped: bool

    @property
    def was_called(self) -> bool:
        """Whether it came to a talk."""
        return self.status in OPEN or self.status is TalkStatus.LIFTED


_SELECT = """
    SELECT t.id, t.kind, t.level, t.unit, coalesce(d.name, t.unit) AS name, t.span, t.month, t.reason,
        {evidence} AS evidence, t.status, t.due_on, t.answer, t.version, t.made_at, t.made_by
    FROM index_talk t LEFT JOIN division d ON d.code = t.unit
"""
_ALL = "t.evidence"
_SHORT = "t.evidence - ARRAY['rules', 'lost', 'moved', 'earlier']"
_FITS = """
    (CAST(:kind AS text) IS NULL OR t.kind = :kind) AND (CAST(:unit AS text) IS NULL OR t.unit = :unit)
    AND (CAST(:span AS text) IS NULL OR t.span = :span) AND (CAST(:month AS date) IS NULL OR t.month = :month)
"""


def talks(
    connection: Connection,
    state: State,
    *,
    kind: TalkKind | None = None,
    unit: str | None = None,
    period: Period | None = None,
) -> list[Talk]:
    """Return the talks in a state that fit: those under way by the day they are due, others newest first."""
    order = (
        "t.due_on, t.id" if state in (State.UNDER_WAY, State.OVERDUE) else "t.month DESC, t.kind, t.id DESC"
    )
    query = f"{_SELECT.format(evidence=_SHORT)} WHERE {_FITS} AND {_IN[state]} ORDER BY {order}"
    return [_talk(row) for row in connection.execute(text(query), _asked(kind, unit, period))]


def counts(
    connection: Connection,
    *,
    kind: TalkKind | None = None,
    unit: str | None = None,
    period: Period | None = None,
) -> dict[State, int]:
    """Return how many talks that fit are in each state."""
    columns = ", ".join(f"count(*) FILTER (WHERE {words}) AS {state}" for state, words in _IN.items())
    query = text(f"SELECT {columns} FROM index_talk t WHERE {_FITS}")
    row = connection.execute(query, _asked(kind, unit, period)).one()
    return {state: int(getattr(row, state)) for state in State}


def _asked(kind: TalkKind | None, unit: str | None, period: Period | None) -> dict[str, object]:
    return {
        "kind": kind, "unit": unit, "span": period and period.span.value, "month": period and period.last,
        "today": china_today(),
    }  # fmt: skip


def talk(connection: Connection, number: int) -> Talk:
    """Return one talk with all its evidence; NotFoundError for one that is not there for whoever asks."""
    query = text(f"{_SELECT.format(evidence=_ALL)} WHERE t.id = :number")
    row = connection.execute(query, {"number": number}).one_or_none()
    if row is None:
        raise NotFoundError(f"no talk {number}")
    return _talk(row)


def steps(connection: Connection, number: int) -> list[Step]:
    """Return what was done with a talk, the first act first."""
    table = IndexTalkStep
    query = select(table.at, table.who, table.act, table.note).where(table.talk_id == number)
    return [_step(row) for row in connection.execute(query.order_by(table.id))]


def formers(connection: Connection) -> list[Former]:
    """Return all talks there have been, the newest period first."""
    dropped = (
        select(IndexTalkStep.id)
        .where(IndexTalkStep.talk_id == IndexTalk.id, IndexTalkStep.act == TalkStatus.DROPPED.value)
        .exists()
        .label("dropped")
    )
    table = IndexTalk
    columns = (table.id, table.kind, table.unit, table.span, table.month, table.status, dropped)
    query = select(*columns).order_by(table.month.desc(), table.id.desc())
    return [
        Former(
            row.id, TalkKind(row.kind), row.unit, Period(row.month, Span(row.span)), TalkStatus(row.status),
            row.dropped,
        )
        for row in connection.execute(query)
    ]  # fmt: skip


def periods(connection: Connection) -> list[Period]:
    """Return the periods whose every month was built, by length, the newest of each first."""
    built = stored.months(connection)
    ending = [(span, month) for span in Span for month in built if of_month(month, span).last == month]
    whole = [Period(month, span) for span, month in ending]
    return [period for period in whole if set(period.months) <= set(built)]


def talked(connection: Connection) -> tuple[list[Period], list[stored.Unit]]:
    """Return the periods, newest first, and the units of which there are talks."""
    query = text(
        "SELECT DISTINCT t.unit, coalesce(d.name, t.unit) AS name, t.span, t.month"
        " FROM index_talk t LEFT JOIN division d ON d.code = t.unit"
    )
    rows = connection.execute(query).all()
    found = {Period(row.month, Span(row.span)) for row in rows}
    return sorted(found, reverse=True), sorted({stored.Unit(row.unit, row.name) for row in rows})


def said(words: str, due_on: date | None) -> str | None:
    """Return what a step keeps: the day that it set, before what was said."""
    return " ".join(part for part in (due_on and due_on.isoformat(), words) if part) or None


def _step(row: Any) -> Step:
    note = row.note or ""
    day = _DAY.fullmatch(note) if row.act in SETS_DAY else None
    if day is None:
        return Step(row.at, row.who, row.act, note)
    return Step(row.at, row.who, row.act, day[2], date.fromisoformat(day[1]))


def _talk(row: Any) -> Talk:
    return Talk(
        row.id, TalkKind(row.kind), Level(row.level), row.unit, row.name, Period(row.month, Span(row.span)),
        row.reason, row.evidence, TalkStatus(row.status), row.due_on, row.answer, row.version, row.made_at,
        row.made_by,
    )  # fmt: skip

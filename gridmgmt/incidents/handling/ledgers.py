"""Who has to act: a department's ledger (民情台账), and what is overdue by office and department."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from gridmgmt.incidents import holidays
from gridmgmt.incidents.actor import Actor
from gridmgmt.incidents.handling.models import HandStatus
from gridmgmt.incidents.handling.stored import AT_WORK, Line, lines_of
from gridmgmt.incidents.terms import Tier
from gridmgmt.incidents.working_days import Light, WorkingDays, left, light

PAGE = 50
# Lines that are over are counted so far and no farther.
MOST_COUNTED = 100
# Of each responsible office the list of what is overdue shows so many, the longest overdue first.
FIRST = 5

# Tab of the ledger -> the states of its lines.
TABS: dict[str, tuple[HandStatus, ...]] = {
    "asked": (HandStatus.ASKED,),
    "doing": (HandStatus.ACCEPTED, HandStatus.RETURNED),
    "answered": (HandStatus.ANSWERED,),
    "struck_off": (HandStatus.STRUCK_OFF,),
    "given_back": (HandStatus.REFUSED, HandStatus.WITHDRAWN),
}
TAB_NAMES = {
    "asked": "待签收", "doing": "办理中", "answered": "待验收", "struck_off": "已销账",
    "given_back": "已退回",
}  # fmt: skip
OVER = ("struck_off", "given_back")


@dataclass(frozen=True)
class LedgerLine:
    """One line of a department's ledger: what was asked, until when, how it stands, which matter it is."""

    id: int
    case_id: int
    number: str
    title: str | None
    category_name: str
    village: str | None
    grid: str | None
    address: str | None
    part: str
    status: str
    asked_at: datetime
    request: str | None
    due_at: datetime | None
    answered_at: datetime | None
    verified_at: datetime | None
    reason: str | None
    supervised_at: datetime | None
    light: Light
    left: str


@dataclass(frozen=True)
class Ledger:
    """A page of a ledger; `counts` are lines by tab, of those of OVER at most MOST_COUNTED."""

    lines: list[LedgerLine]
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Responsible:
    """Who has overdue matters: a department (`kind` unit), a town office (town) or the centre (city).

    `key` is the department's name or the town's code.
    """

    kind: str
    key: str
    count: int
    oldest: datetime
    left: str
    first: list[Line]


def ledger(connection: Connection, unit: str, tab: str, now: datetime, page: int = 1) -> Ledger:
    """Return a page of a department's ledger: what is at work by its limit, what is over newest first."""
    days = holidays.working_days(connection)
    order = "h.id DESC" if tab in OVER else "h.due_at, h.id"
    rows = connection.execute(
        text(f"""
        SELECT h.id, h.case_id, c.number, i.title, k.name AS category_name, i.village, g.code15 AS grid,
            i.address, h.part, h.status, h.asked_at, h.request, h.due_at, h.answered_at, h.verified_at,
            h.reason, c.supervised_at
        FROM (
            SELECT * FROM incident_hand h WHERE h.unit = :unit AND h.status = ANY(:states)
            ORDER BY {order} LIMIT :limit OFFSET :offset
        ) AS h JOIN incident_case c ON c.id = h.case_id JOIN incident i ON i.id = h.case_id
        JOIN category k ON k.code = i.category LEFT JOIN grid g ON g.id = i.grid_id ORDER BY {order}
        """),
        {"unit": unit, "states": _states(tab), "limit": PAGE, "offset": (max(page, 1) - 1) * PAGE},
    )
    return Ledger([_line(row, days, now) for row in rows], _counts(connection, unit))


def _line(row: Row[Any], days: WorkingDays, now: datetime) -> LedgerLine:
    due_at = row.due_at if row.status in AT_WORK else None
    return LedgerLine(**row._mapping, light=light(due_at, now, days), left=left(due_at, now, days))


def _states(tab: str) -> list[str]:
    return [status.value for status in TABS[tab]]


def _counts(connection: Connection, unit: str) -> dict[str, int]:
    counts = ", ".join(
        f"(SELECT count(*) FROM (SELECT FROM incident_hand WHERE unit = :unit AND status = ANY(:{tab})"
        f"{f' LIMIT {MOST_COUNTED}' if tab in OVER else ''}) AS lines) AS {tab}"
        for tab in TABS
    )
    states = {tab: _states(tab) for tab in TABS}
    row = connection.execute(text(f"SELECT {counts}"), {"unit": unit} | states).one()
    return dict(row._mapping)


def late_count(connection: Connection, unit: str, now: datetime) -> int:
    """Return how many lines of a department are over their limit, for its menu."""
    query = text("""
        SELECT count(*) FROM incident_hand WHERE unit = :unit AND status = ANY(:states) AND due_at < :now
        """)
    states = [status.value for status in AT_WORK]
    return int(connection.execute(query, {"unit": unit, "states": states, "now": now}).scalar_one())


def overdue(connection: Connection, actor: Actor, now: datetime) -> list[Responsible]:
    """Return who has overdue matters in an actor's area, whoever has the one longest overdue first.

    A matter is the department's that leads and has not answered; else of the office at its level.
    """
    days = holidays.working_days(connection)
    rows = connection.execute(
        text(f"""
        WITH late AS MATERIALIZED (
            SELECT c.id, c.next_due_at, c.level, c.village FROM incident_case c
            WHERE c.open AND c.suspended_at IS NULL AND c.duplicate_of IS NULL AND c.next_due_at < :now
                AND starts_with(coalesce(c.village, ''), :area)
        ), held AS MATERIALIZED (
            SELECT DISTINCT ON (case_id) case_id, unit FROM incident_hand
            WHERE case_id = ANY(ARRAY(SELECT id FROM late)) AND status = ANY(:at_work)
            ORDER BY case_id, part DESC, id
        ), told AS (
            SELECT late.id, late.next_due_at,
                CASE WHEN held.unit IS NOT NULL THEN 'unit'
                    WHEN late.level = :city OR late.village IS NULL THEN 'city' ELSE 'town' END AS kind,
                CASE WHEN held.unit IS NOT NULL THEN held.unit
                    WHEN late.level = :city OR late.village IS NULL THEN '' ELSE left(late.village, 9) END
                    AS key
            FROM late LEFT JOIN held ON held.case_id = late.id
        )
        SELECT kind, key, count(*) AS matters, min(next_due_at) AS oldest,
            (array_agg(id ORDER BY next_due_at, id))[1:{FIRST}] AS ids
        FROM told GROUP BY kind, key ORDER BY oldest, kind, key
        """),
        {
            "now": now, "area": actor.area[:12], "city": Tier.CITY,
            "at_work": [status.value for status in AT_WORK],
        },
    ).all()  # fmt: skip
    lines = {line.id: line for line in lines_of(connection, _flat([row.ids for row in rows]), days, now)}
    return [
        Responsible(
            row.kind, row.key, row.matters, row.oldest, left(row.oldest, now, days),
            [lines[number] for number in row.ids if number in lines],
        )
        for row in rows
    ]  # fmt: skip


def _flat(lists: Sequence[Sequence[int]]) -> list[int]:
    return [number for each in lists for number in each]

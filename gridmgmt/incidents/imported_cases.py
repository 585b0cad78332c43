"""Cases of imported matters: begun for those that are open, closed when a later file says so.

All of it is set-based and part of the import's transaction; every change of a case has its step, as when
somebody acts. Nobody acts here, so the steps say `WHO`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, text

from gridmgmt.calendar import CHINA
from gridmgmt.db.copy import copy_rows
from gridmgmt.errors import InputError
from gridmgmt.incidents import holidays
from gridmgmt.incidents.flows import stored as flows
from gridmgmt.incidents.flows.flow import Flow, Limit
from gridmgmt.incidents.handling.acts import Act
from gridmgmt.incidents.handling.intake import DEFAULT_FLOW
from gridmgmt.incidents.handling.models import LIVE, HandStatus
from gridmgmt.incidents.handling.work import nearer
from gridmgmt.incidents.terms import Tier
from gridmgmt.incidents.words import TIER_WORDS

WHO = "import"
CLOSED_THERE = "来源系统已办结"
# A reference number is the day and five digits.
MOST_A_DAY = 100_000


@dataclass(frozen=True)
class Handled:
    """What a file says of matters that are handled here: how many it names, changed, and closed."""

    known: int
    changed: int
    closed: int


def remember_open(connection: Connection) -> None:
    """Keep which matters of `incoming` are open, before those that stand already are taken out of it."""
    connection.execute(
        text("""
        CREATE TEMP TABLE opened ON COMMIT DROP AS SELECT external_id FROM incoming WHERE status = 'open'
        """)
    )
    connection.execute(text("ANALYZE opened"))


# --- begun


def begin(connection: Connection, source: str) -> int:
    """Make a case of every open matter of this file that has none, and return how many.

    The limit for the whole is the file's own, else it runs from when the matter was reported; the limit of
    the first step runs from now. `begun` keeps their numbers to the end of the transaction.
    """
    flow = flows.active(connection)[DEFAULT_FLOW]
    connection.execute(
        text("""
        CREATE TEMP TABLE begun (id bigint, occurred_on date, external_id text, due_at timestamptz,
            step_due_at timestamptz, next_due_at timestamptz, level text) ON COMMIT DROP
        """)
    )
    rows = connection.execute(_WITHOUT_CASE, {"source": source}).all()
    if not rows:
        return 0
    _check_numbers(connection, len(rows))
    copy_rows(connection.connection.cursor(), "begun", _limits(connection, flow, rows))
    connection.execute(text("ANALYZE begun"))
    bound = {
        "flow": flows.active_id(connection, flow.code), "stage": flow.begins, "who": WHO,
        "act": Act.TAKE_IN.value, "source": source,
    }  # fmt: skip
    for statement in _BEGIN:
        connection.execute(text(statement), bound)
    return len(rows)


_WITHOUT_CASE = text("""
SELECT i.id, i.occurred_on, i.external_id, i.reported_at, i.due_at, i.level, i.village, k.days
FROM opened o JOIN incident i ON i.source = :source AND i.external_id = o.external_id
JOIN category k ON k.code = i.category
WHERE i.status = 'open' AND NOT EXISTS (SELECT FROM incident_case c WHERE c.id = i.id)
ORDER BY i.id
""")

_BEGIN = (
    """
    INSERT INTO incident_case (id, number, flow_id, stage, stage_since, opened_at, step_due_at, next_due_at,
        level, version)
    SELECT id, matter_number(now()), :flow, :stage, now(), now(), step_due_at, next_due_at, level, 1
    FROM begun ORDER BY id
    """,
    """
    INSERT INTO incident_step (case_id, n, at, who, act, to_stage, due_at, detail)
    SELECT id, 1, now(), :who, :act, :stage, due_at, jsonb_build_object('source', CAST(:source AS text))
    FROM begun ORDER BY id
    """,
    """
    UPDATE incident i SET stage = :stage, level = b.level, due_at = b.due_at
    FROM begun b WHERE i.id = b.id AND i.occurred_on = b.occurred_on
    """,
)


def _check_numbers(connection: Connection, count: int) -> None:
    taken = connection.execute(
        text("""
        SELECT count(*) FROM incident_case, to_char(now() AT TIME ZONE 'Asia/Shanghai', 'YYYYMMDD') AS today
        WHERE number BETWEEN today || '00000' AND today || '99999'
        """)
    ).scalar_one()
    if taken + count > MOST_A_DAY:
        raise InputError("handling", f"{count} open matters", f"{MOST_A_DAY - taken} more cases today")


def _limits(connection: Connection, flow: Flow, rows: Sequence[Any]) -> dict[str, object]:
    """Return the columns of `begun`: limits of the whole and of what comes next, and the level."""
    days = holidays.working_days(connection)
    now = connection.execute(text("SELECT now()")).scalar_one()
    first = flow.step(flow.begins).limit
    first_ends = days.after(now, first) if first.is_set else None

    # A period by days ends at the same moment whenever on its first day it began.
    @cache
    def ends(day: date, length: int) -> datetime:
        return days.after(datetime(day.year, day.month, day.day, tzinfo=CHINA), Limit(days=length))

    due = [
        row.due_at or ends(row.reported_at.astimezone(CHINA).date(), row.days or flow.days) for row in rows
    ]
    next_due = [nearer(first_ends, one) for one in due]
    utc = pa.timestamp("us", "UTC")
    return {
        "id": np.array([row.id for row in rows], np.int64),
        "occurred_on": np.array([row.occurred_on for row in rows], "datetime64[D]"),
        "external_id": pa.array([row.external_id for row in rows], pa.large_string()),
        "due_at": pa.array(due, utc),
        "step_due_at": pa.array([first_ends] * len(rows), utc),
        "next_due_at": pa.array(next_due, utc),
        "level": pa.array([_level(row) for row in rows], pa.large_string()),
    }


def _level(row: Any) -> str:
    """Return where a matter begins: as the file says, else at its town, or the centre without a village."""
    if not row.village:
        return Tier.CITY.value
    return TIER_WORDS.get(row.level or "", Tier.TOWN).value


# --- followed


def follow(connection: Connection, source: str) -> Handled:
    """Let matters of `incoming` that are handled here hear what the file says of them.

    One that the file newly calls closed is closed by a step, with those that go along with it and with every
    department's line; a satisfaction that nobody has asked for here is kept. All else of it stays as it is.
    """
    connection.execute(text(_HANDLED), {"source": source})
    known, changed = connection.execute(
        text("SELECT count(*), count(*) FILTER (WHERE changed) FROM handled")
    ).one()
    if not changed:
        return Handled(known, 0, 0)
    connection.execute(text(_CLOSING))
    connection.execute(text(_ALONG))
    closed = _close(connection, source)
    connection.execute(
        text("""
        UPDATE incident i SET digest = h.digest, satisfaction = coalesce(i.satisfaction, h.satisfaction)
        FROM handled h WHERE h.changed AND i.id = h.id AND i.occurred_on = h.occurred_on
        """)
    )
    return Handled(known, changed, closed)


_HANDLED = """
CREATE TEMP TABLE handled ON COMMIT DROP AS
SELECT c.id, i.occurred_on, x.status, x.closed_at, x.satisfaction, x.digest, i.digest <> x.digest AS changed
FROM incoming x JOIN incident i ON i.source = :source AND i.external_id = x.external_id
JOIN incident_case c ON c.id = i.id
"""
_CLOSING = """
CREATE TEMP TABLE closing ON COMMIT DROP AS
SELECT c.id, h.occurred_on, coalesce(h.closed_at, now()) AS closed_at, c.stage, c.flow_id, NULL::text AS along
FROM handled h JOIN incident_case c USING (id) WHERE h.changed AND h.status = 'closed' AND c.open
"""
_ALONG = """
INSERT INTO closing
SELECT c.id, i.occurred_on, k.closed_at, c.stage, c.flow_id, leader.number
FROM incident_case c JOIN closing k ON k.id = c.duplicate_of JOIN incident_case leader ON leader.id = k.id
JOIN incident i ON i.id = c.id
WHERE c.open AND c.id NOT IN (SELECT id FROM closing)
"""


def _close(connection: Connection, source: str) -> int:
    ids = connection.execute(text("SELECT DISTINCT flow_id FROM closing")).scalars().all()
    if not ids:
        return 0
    bound = {
        "live": list(LIVE), "withdrawn": HandStatus.WITHDRAWN.value, "withdraw": Act.WITHDRAW.value,
        "why": CLOSED_THERE, "who": WHO, "move": Act.MOVE.value, "link": Act.LINK.value, "source": source,
        "flows": list(ids), "finals": [_final(flows.flow_of(connection, number)) for number in ids],
    }  # fmt: skip
    # One line of a department a case at a time, since each is a step of its own.
    while connection.execute(text(_WITHDRAW), bound).rowcount:
        pass
    connection.execute(text(_CLOSE), bound)
    return connection.execute(text(_SHOW), bound).rowcount


def _final(flow: Flow) -> str:
    return next(step.code for step in flow.steps if step.final)


_WITHDRAW = """
WITH hand AS (
    SELECT DISTINCT ON (h.case_id) h.id, h.case_id, h.unit
    FROM incident_hand h JOIN closing k ON k.id = h.case_id
    WHERE h.status = ANY(:live) ORDER BY h.case_id, h.id
), lines AS (
    UPDATE incident_hand h SET status = :withdrawn, reason = :why FROM hand WHERE h.id = hand.id
), turned AS (
    UPDATE incident_case c SET version = c.version + 1 FROM hand WHERE c.id = hand.case_id
    RETURNING c.id, c.version, c.stage, hand.unit
)
INSERT INTO incident_step (case_id, n, who, act, from_stage, to_stage, unit, note)
SELECT id, version, :who, :withdraw, stage, stage, unit, :why FROM turned
"""
_CLOSE = """
WITH ends AS (
    SELECT * FROM unnest(CAST(:flows AS integer[]), CAST(:finals AS text[])) AS t (flow_id, final)
), turned AS (
    UPDATE incident_case c SET stage = e.final, stage_since = now(), step_due_at = NULL,
        next_due_at = NULL, open = false, suspended_at = NULL, supervised_at = NULL,
        escalated_at = NULL, settled_level = c.level, version = c.version + 1
    FROM closing k JOIN ends e USING (flow_id) WHERE c.id = k.id
    RETURNING c.id, c.version, k.stage, e.final, k.along
)
INSERT INTO incident_step (case_id, n, who, act, from_stage, to_stage, note, detail)
SELECT id, version, :who, CASE WHEN along IS NULL THEN :move ELSE :link END, stage, final, :why,
    CASE WHEN along IS NULL THEN jsonb_build_object('source', CAST(:source AS text))
        ELSE jsonb_build_object('with', along) END
FROM turned
"""
_SHOW = """
UPDATE incident i SET status = 'closed', closed_at = k.closed_at, stage = c.stage
FROM closing k JOIN incident_case c USING (id) WHERE i.id = k.id AND i.occurred_on = k.occurred_on
"""

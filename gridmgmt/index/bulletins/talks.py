"""Talks and supervision as a bulletin names them: those called in a period or for it, and those lifted."""

from datetime import date, datetime, time
from typing import Any

from sqlalchemy import Connection, text

from gridmgmt.calendar import CHINA
from gridmgmt.index.periods import Period, months_before, write_month

_QUERY = text("""
    SELECT t.kind, t.level, t.unit, coalesce(d.name, t.unit) AS name, t.span, t.month, t.reason, t.due_on,
        min(s.at) FILTER (WHERE s.act = 'called') AS called,
        max(s.at) FILTER (WHERE s.act = 'lifted') AS lifted
    FROM index_talk t JOIN index_talk_step s ON s.talk_id = t.id LEFT JOIN division d ON d.code = t.unit
    WHERE s.at <= coalesce(
        (SELECT b.issued_at FROM bulletin b WHERE b.span = :span AND b.month = :month), 'infinity')
    GROUP BY t.id, d.name ORDER BY t.kind DESC, t.level DESC, t.unit, t.span, t.month
""")


def of_period(connection: Connection, period: Period) -> dict[str, list[dict[str, Any]]]:
    """Return what was called and what was lifted for a period or within it, up to its bulletin's issue."""
    start = datetime.combine(period.first, time(), CHINA)
    end = datetime.combine(months_before(period.last, -1), time(), CHINA)
    said: dict[str, list[dict[str, Any]]] = {"called": [], "lifted": []}
    for row in connection.execute(_QUERY, {"span": period.span.value, "month": period.last}).all():
        of_it = (row.span, row.month) == (period.span.value, period.last)
        for act, moment in (("called", row.called), ("lifted", row.lifted)):
            if moment and (start <= moment < end or (of_it and act == "called")):
                said[act].append(_line(row))
    return said


def _line(row: Any) -> dict[str, Any]:
    due: date | None = row.due_on
    return {
        "kind": row.kind, "level": row.level, "unit": row.unit, "name": row.name, "span": row.span,
        "month": write_month(row.month), "reason": row.reason, "due_on": due and due.isoformat(),
    }  # fmt: skip

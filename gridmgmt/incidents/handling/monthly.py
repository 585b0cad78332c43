"""Handling by month: matters handled here and lines of departments, of towns and departments."""

from collections.abc import Iterator
from datetime import date

from sqlalchemy import Connection, text

# Fact, town or department, which one ('' for a matter without a village), month, number.
Row = tuple[str, str, str, date, float]

_MONTH = "date_trunc('month', {} AT TIME ZONE 'Asia/Shanghai')::date"
# A matter is its leading department's: the last one that had it in its hands. Closing ends a supervision, so
# that only its steps tell of one.
_CASES = f"""
SELECT coalesce(left(c.village, 9), '') AS town, coalesce(h.unit, '') AS department,
    {_MONTH.format("i.closed_at")} AS month, count(*) AS closed,
    count(*) FILTER (WHERE c.reopened > 0) AS reopened,
    count(*) FILTER (WHERE EXISTS (SELECT FROM incident_step s
        WHERE s.case_id = c.id AND s.act IN ('supervise', 'escalate'))) AS supervised,
    count(*) FILTER (WHERE EXISTS (SELECT FROM incident_visit v
        WHERE v.case_id = c.id AND v.kind = 'return' AND v.reached)) AS returns
FROM incident_case c JOIN incident i ON i.id = c.id LEFT JOIN LATERAL (
    SELECT unit FROM incident_hand WHERE case_id = c.id AND part = 'lead'
        AND status NOT IN ('refused', 'withdrawn') ORDER BY id DESC LIMIT 1) h ON true
WHERE NOT c.open AND i.closed_at IS NOT NULL GROUP BY 1, 2, 3
"""
_ASKED = f"""
SELECT coalesce(left(c.village, 9), '') AS town, h.unit AS department, {_MONTH.format("h.asked_at")} AS month,
    count(*) AS asked,
    count(*) FILTER (WHERE h.accepted_at <= h.asked_at + interval '24 hours') AS accepted_day,
    count(*) FILTER (WHERE h.status = 'refused') AS refused
FROM incident_hand h JOIN incident_case c ON c.id = h.case_id WHERE h.status <> 'withdrawn' GROUP BY 1, 2, 3
"""
_DUE = f"""
SELECT coalesce(left(c.village, 9), '') AS town, h.unit AS department, {_MONTH.format("h.due_at")} AS month,
    count(*) AS due, count(*) FILTER (WHERE h.answered_at <= h.due_at) AS answered_in_time
FROM incident_hand h JOIN incident_case c ON c.id = h.case_id
WHERE h.due_at IS NOT NULL AND h.status NOT IN ('refused', 'withdrawn') GROUP BY 1, 2, 3
"""
_ANSWERED = f"""
SELECT coalesce(left(c.village, 9), '') AS town, h.unit AS department,
    {_MONTH.format("h.answered_at")} AS month, count(*) FILTER (WHERE h.status = 'struck_off') AS verified,
    count(*) FILTER (WHERE EXISTS (
        SELECT FROM incident_step s
        WHERE s.case_id = h.case_id AND s.unit = h.unit AND s.act = 'return')) AS returned
FROM incident_hand h JOIN incident_case c ON c.id = h.case_id WHERE h.answered_at IS NOT NULL GROUP BY 1, 2, 3
"""
_HELD = f"""
SELECT left(area, 9) AS town, {_MONTH.format("held_at")} AS month, count(*) AS held
FROM incident_visit WHERE kind = 'legal_day' GROUP BY 1, 2
"""
_QUERIES = {
    _CASES: ("cases", ("closed", "reopened", "supervised", "returns")),
    _ASKED: ("hands", ("asked", "accepted_day", "refused")),
    _DUE: ("hands", ("due", "answered_in_time")),
    _ANSWERED: ("hands", ("verified", "returned")),
}


def monthly(connection: Connection) -> Iterator[Row]:
    """Give the numbers of every month since matters have been handled here; `connection` is the owner's."""
    for query, (group, names) in _QUERIES.items():
        for row in connection.execute(text(query)):
            for name in names:
                number = float(getattr(row, name))
                yield f"{group}.{name}", "town", row.town, row.month, number
                yield f"{group}.{name}", "department", row.department, row.month, number
    for row in connection.execute(text(_HELD)):
        yield "service_days.held", "town", row.town if len(row.town) == 9 else "", row.month, row.held

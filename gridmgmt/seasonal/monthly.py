"""The seasonal list by month: items to treat, tasks due, and matters expected, of towns and departments."""

from collections.abc import Iterator, Sequence
from datetime import date

from sqlalchemy import Connection, text

# Fact, town or department, which one ('' for the county's own), month, number.
Row = tuple[str, str, str, date, float]

# The department of an item is that of its category.
_ITEMS = """
WITH latest AS (SELECT year, max(run_id) AS run FROM seasonal_item GROUP BY year)
SELECT left(s.area, 9) AS town, coalesce(c.department, '') AS department,
    date_trunc('month', s.act_by)::date AS month, count(*) AS due, count(*) FILTER (WHERE EXISTS (
        SELECT FROM seasonal_task t WHERE t.year = s.year AND t.category = s.category
            AND t.start_on = s.start_on
            AND (starts_with(t.area, s.area) OR starts_with(s.area, t.area)))) AS done
FROM latest l JOIN seasonal_item s ON s.run_id = l.run JOIN category c ON c.code = s.category
WHERE NOT s.cut AND date_trunc('month', s.act_by)::date = ANY (CAST(:months AS date[])) GROUP BY 1, 2, 3
"""
# A task that was split is done when its parts are.
_TASKS = """
SELECT left(t.area, 9) AS town, coalesce(c.department, '') AS department,
    date_trunc('month', t.due_on)::date AS month, count(*) AS due,
    count(*) FILTER (WHERE t.status = 'done' AND t.done_on <= t.due_on) AS done
FROM seasonal_task t JOIN category c ON c.code = t.category
WHERE date_trunc('month', t.due_on)::date = ANY (CAST(:months AS date[]))
    AND NOT EXISTS (SELECT FROM seasonal_task part WHERE part.parent_id = t.id)
GROUP BY 1, 2, 3
"""
_EXPECTED = """
WITH latest AS (
    SELECT (parameters->>'year')::integer AS year, max(id) AS run
    FROM analysis_run WHERE kind = 'seasonal' GROUP BY 1
), m AS (
    SELECT month, date_part('year', month)::integer AS year, 3 * date_part('month', month)::integer AS last
    FROM unnest(CAST(:months AS date[])) AS month
)
SELECT left(e.area, 9) AS town, e.category, coalesce(c.department, '') AS department, m.month,
    sum(e.cells[m.last - 2] + e.cells[m.last - 1] + e.cells[m.last]) AS expected
FROM m JOIN latest l ON l.year = m.year JOIN seasonal_expected e ON e.run_id = l.run
JOIN category c ON c.code = e.category GROUP BY 1, 2, 3, 4
"""


def monthly(connection: Connection, months: Sequence[date]) -> Iterator[Row]:
    """Give items to be treated by some day of a month and tasks due in it, and those that were dealt with."""
    bound = {"months": list(months)}
    for query, names in ((_ITEMS, ("items_due", "items_handed")), (_TASKS, ("tasks_due", "tasks_done"))):
        for row in connection.execute(text(query), bound):
            for name, number in zip(names, (row.due, row.done), strict=True):
                yield f"season.{name}", "town", row.town if len(row.town) == 9 else "", row.month, number
                yield f"season.{name}", "department", row.department, row.month, number


def expected(connection: Connection, months: Sequence[date]) -> Iterator[tuple[str, str, str, date, float]]:
    """Give town, category, department, month and the matters that the list of the year expects in it.

    Only categories with a season are expected; duplicates count once, as in the list.
    """
    for row in connection.execute(text(_EXPECTED), {"months": list(months)}):
        yield row.town, row.category, row.department, row.month, float(row.expected)

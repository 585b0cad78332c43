"""Grids and workers by town and month, as they stood on its last day."""

from collections.abc import Iterator, Sequence
from datetime import date

from sqlalchemy import Connection, text

# Fact, town, month, number.
Row = tuple[str, str, date, float]
SCHOOLED = "中专|中职|中技|职高|大专|专科|高职|本科|大学|硕士|博士|研究生"

_STOOD = """
WITH m AS (
    SELECT month, (month + interval '1 month')::date - 1 AS day FROM unnest(CAST(:months AS date[])) month
)
"""
_GRIDS = f"""
{_STOOD}
SELECT left(g.code15, 9) AS town, m.month, count(*) AS total, count(*) FILTER (WHERE EXISTS (
    SELECT FROM assignment a WHERE a.grid_id = g.id AND a.role = 'chief'
        AND a.valid_from <= m.day AND (a.valid_to IS NULL OR a.valid_to > m.day))) AS with_chief
FROM m JOIN grid g ON g.kind = 'base' AND g.valid_from <= m.day AND (g.valid_to IS NULL OR g.valid_to > m.day)
GROUP BY 1, 2
"""
_WORKERS = f"""
{_STOOD}
SELECT town, month, count(*) AS total, count(*) FILTER (WHERE employment = 'full_time') AS full_time,
    count(*) FILTER (WHERE education ~ :schooled) AS schooled
FROM (
    SELECT DISTINCT left(g.code15, 9) AS town, m.month, w.id, w.employment, w.education
    FROM m JOIN assignment a ON a.valid_from <= m.day AND (a.valid_to IS NULL OR a.valid_to > m.day)
    JOIN grid g ON g.id = a.grid_id JOIN worker w ON w.id = a.worker_id
) AS working GROUP BY 1, 2
"""
_IN_BAND = """
SELECT left(g.code15, 9) AS town, count(*) FILTER (WHERE h.households BETWEEN :low AND :high) AS in_band
FROM grid g LEFT JOIN grid_households h ON h.grid_id = g.id
WHERE g.kind = 'base' AND g.valid_to IS NULL GROUP BY 1
"""
_STANDING = f"""
{_STOOD}
SELECT g.code15 AS grid, m.month
FROM m JOIN grid g ON g.kind = 'base' AND g.valid_from <= m.day AND (g.valid_to IS NULL OR g.valid_to > m.day)
"""
_VILLAGES = """
SELECT parent AS town, count(*) AS total FROM division WHERE level = 'village' GROUP BY 1
"""


def monthly(connection: Connection, months: Sequence[date]) -> Iterator[Row]:
    """Give the numbers of grids, workers and villages of every town; villages are those of today."""
    bound = {"months": list(months)}
    for row in connection.execute(text(_GRIDS), bound):
        yield "grids.total", row.town, row.month, row.total
        yield "grids.with_chief", row.town, row.month, row.with_chief
    for row in connection.execute(text(_WORKERS), bound | {"schooled": SCHOOLED}):
        yield "workers.total", row.town, row.month, row.total
        yield "workers.full_time", row.town, row.month, row.full_time
        yield "workers.schooled", row.town, row.month, row.schooled
    for row in connection.execute(text(_VILLAGES)):
        yield from (("villages.total", row.town, month, row.total) for month in months)


def standing(connection: Connection, months: Sequence[date]) -> set[tuple[str, date]]:
    """Return the base grids with the months on whose last day they stood."""
    rows = connection.execute(text(_STANDING), {"months": list(months)})
    return {(row.grid, row.month) for row in rows}


def in_band(connection: Connection, low: int, high: int) -> Iterator[tuple[str, float]]:
    """Give towns with how many of their grids have from `low` to `high` households today."""
    for row in connection.execute(text(_IN_BAND), {"low": low, "high": high}):
        yield row.town, row.in_band

"""Hot grids by town and month: of the newest run that was over by then."""

from collections.abc import Iterator, Sequence
from datetime import date

from sqlalchemy import Connection, text

from gridmgmt.hotspots.fields import HOT

# Fact, town, month, number.
Row = tuple[str, str, date, float]

_HOT = """
WITH m AS (
    SELECT month, (SELECT r.id FROM analysis_run r
        WHERE r.kind = 'hotspots' AND r.parameters->>'level' = 'grid' AND r.parameters->>'category' IS NULL
            AND (r.parameters->>'to')::date < month + interval '1 month'
            AND (r.parameters->>'to')::date >= month - interval '12 months'
            AND (r.parameters->>'from')::date > (r.parameters->>'to')::date - 400
        ORDER BY r.parameters->>'to' DESC, r.id DESC LIMIT 1) AS run
    FROM unnest(CAST(:months AS date[])) AS month
), g AS (
    SELECT run_id, area, bool_or(gi_class >= :hot) AS hot,
        coalesce(max(count) FILTER (WHERE category = ''), 0) AS count
    FROM hotspot_result WHERE run_id IN (SELECT run FROM m) GROUP BY 1, 2
)
SELECT left(g.area, 9) AS town, m.month, count(*) AS grids, count(*) FILTER (WHERE g.hot) AS hot_grids,
    sum(g.count) AS matters, coalesce(sum(g.count) FILTER (WHERE g.hot), 0) AS hot_matters
FROM m JOIN g ON g.run_id = m.run GROUP BY 1, 2
"""


def monthly(connection: Connection, months: Sequence[date]) -> Iterator[Row]:
    """Give grids and matters of every town, and those of grids hot in a category or in all together.

    The run is the newest one by grids over at most a year that ended by the month's end, and not more than
    a year before its beginning; a month without one gives nothing.
    """
    for row in connection.execute(text(_HOT), {"months": list(months), "hot": HOT}):
        for name in ("grids", "hot_grids", "matters", "hot_matters"):
            yield f"hot.{name}", row.town, row.month, float(getattr(row, name))

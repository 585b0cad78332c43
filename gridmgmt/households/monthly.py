"""The roster by town and month, in counts alone: homes, when they were last seen, visits, requests."""

from collections.abc import Collection, Iterator, Sequence
from datetime import date

from sqlalchemy import Connection, text

# Fact, town, month, number.
Row = tuple[str, str, date, float]
# Of how many homes it may be unknown whether they had been seen by a month that is past.
MOST_UNKNOWN = 0.05

_MONTH = "date_trunc('month', {} AT TIME ZONE 'Asia/Shanghai')::date"
_HOMES = """
SELECT left(g.code15, 9) AS town, count(DISTINCT b.id) AS buildings,
    count(DISTINCT b.id) FILTER (WHERE b.geom IS NOT NULL) AS placed
FROM building b JOIN grid g ON g.id = b.grid_id GROUP BY 1
"""
_HOUSEHOLDS = """
SELECT left(g.code15, 9) AS town, sum(h.households) AS households
FROM grid_households h JOIN grid g ON g.id = h.grid_id GROUP BY 1
"""
# A home that was seen again after the month's end had been seen before or not: nobody knows any more.
_SEEN = """
WITH seen AS (
    SELECT left(g.code15, 9) AS town, d.verified_on, count(*) AS homes
    FROM dwelling d JOIN building b ON b.id = d.building_id JOIN grid g ON g.id = b.grid_id GROUP BY 1, 2
), m AS (
    SELECT month, (month + interval '1 month')::date - 1 AS day FROM unnest(CAST(:months AS date[])) month
)
SELECT s.town, m.month, sum(s.homes) AS homes,
    coalesce(sum(s.homes) FILTER (WHERE s.verified_on > m.day), 0) AS unknown,
    coalesce(sum(s.homes) FILTER (WHERE s.verified_on BETWEEN m.day - 364 AND m.day), 0) AS fresh
FROM m CROSS JOIN seen s GROUP BY GROUPING SETS ((s.town, m.month), (m.month))
"""
_VISITS = f"""
SELECT left(g.code15, 9) AS town, {_MONTH.format("v.visited_at")} AS month, count(*) AS made,
    count(*) FILTER (WHERE v.outcome = 'met') AS met
FROM visit v JOIN dwelling d ON d.id = v.dwelling_id JOIN building b ON b.id = d.building_id
JOIN grid g ON g.id = b.grid_id GROUP BY 1, 2
"""
_CARE = """
SELECT left(g.code15, 9) AS town, count(DISTINCT c.household_id) AS total FROM household_care c
JOIN household h ON h.id = c.household_id JOIN grid g ON g.id = h.grid_id
WHERE c.ended_on IS NULL AND (c.expires IS NULL OR c.expires > current_date) GROUP BY 1
"""
_CARED = f"""
SELECT left(g.code15, 9) AS town, {_MONTH.format("v.visited_at")} AS month,
    count(DISTINCT c.household_id) AS visited
FROM household_care c JOIN household h ON h.id = c.household_id JOIN grid g ON g.id = h.grid_id
JOIN visit v ON v.household_id = h.id AND v.outcome = 'met'
WHERE c.ended_on IS NULL AND (c.expires IS NULL OR c.expires > current_date) GROUP BY 1, 2
"""
_STOPS = """
SELECT left(g.code15, 9) AS town, date_trunc('month', r.due_on)::date AS month, count(*) AS due,
    count(*) FILTER (WHERE s.status = 'done') AS done
FROM visit_stop s JOIN visit_round r ON r.id = s.round_id JOIN household h ON h.id = s.household_id
JOIN grid g ON g.id = h.grid_id GROUP BY 1, 2
"""
# A week holds five working days.
_CHANGES = f"""
SELECT left(g.code15, 9) AS town, {_MONTH.format("r.decided_at")} AS month, count(*) AS decided,
    count(*) FILTER (WHERE r.decided_at <= r.made_at + interval '7 days') AS in_time
FROM roster_change r JOIN household h ON h.id = r.household_id JOIN grid g ON g.id = h.grid_id
WHERE r.status IN ('approved', 'refused') GROUP BY 1, 2
"""
_EVENTS = {
    _VISITS: ("visits", ("made", "met")), _STOPS: ("stops", ("due", "done")),
    _CHANGES: ("changes", ("decided", "in_time")),
}  # fmt: skip
_ACTIVE = f"""
SELECT DISTINCT g.code15 AS grid, {_MONTH.format("v.visited_at")} AS month
FROM visit v JOIN dwelling d ON d.id = v.dwelling_id JOIN building b ON b.id = d.building_id
JOIN grid g ON g.id = b.grid_id WHERE g.kind = 'base'
"""


def monthly(connection: Connection, months: Sequence[date]) -> Iterator[Row]:
    """Give the counts of every town; `connection` is the owner's. Events are of every month there is.

    Households and buildings are those of today.
    """
    for row in connection.execute(text(_HOUSEHOLDS)):
        yield from (("households.total", row.town, month, float(row.households)) for month in months)
    for row in connection.execute(text(_HOMES)):
        for month in months:
            yield "buildings.total", row.town, month, row.buildings
            yield "buildings.placed", row.town, month, row.placed
    for query, (group, names) in _EVENTS.items():
        for row in connection.execute(text(query)):
            yield from ((f"{group}.{name}", row.town, row.month, float(getattr(row, name))) for name in names)


def seen(connection: Connection, months: Sequence[date]) -> Iterator[tuple[str, str | None, date, float]]:
    """Give how many homes had been seen in the year before each month's end, of towns and (None) of all.

    Those that were seen again since are left out, and a month after which more than one in twenty was.
    """
    for row in connection.execute(text(_SEEN), {"months": list(months)}):
        if float(row.unknown) <= MOST_UNKNOWN * float(row.homes):
            yield "dwellings.known", row.town, row.month, float(row.homes - row.unknown)
            yield "dwellings.fresh", row.town, row.month, float(row.fresh)


def care(connection: Connection, months: Collection[date]) -> Iterator[Row]:
    """Give the households in care today, and how many of them were met in each month."""
    for row in connection.execute(text(_CARE)):
        yield from (("care.total", row.town, month, row.total) for month in months)
    for row in connection.execute(text(_CARED)):
        if row.month in months:
            yield "care.visited", row.town, row.month, row.visited


def visited_grids(connection: Connection) -> set[tuple[str, date]]:
    """Return grids with the months in which somebody of them was visited."""
    return {(row.grid, row.month) for row in connection.execute(text(_ACTIVE))}

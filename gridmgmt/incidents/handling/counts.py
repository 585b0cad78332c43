"""How many matters stand open and overdue, for maps and walls: counts alone, with the reader's rights."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from gridmgmt.grids.codes import DIGITS


@dataclass(frozen=True)
class Open:
    """Matters that are open in an area, and how many of them are over their limit."""

    count: int
    overdue: int


@dataclass(frozen=True)
class Today:
    """Matters that were reported since a moment, and matters that were closed since then."""

    received: int
    closed: int


# What is suspended has no limit that runs.
_OVERDUE = "c.suspended_at IS NULL AND c.next_due_at < :now"


def open_in(connection: Connection, area: str, now: datetime) -> Open:
    """Return the open matters of an area by its code ('' for the city); as the inbox counts them."""
    place = "starts_with(coalesce(c.village, ''), :area)"
    if len(area) == DIGITS["grid"]:
        place = "c.grid_id IN (SELECT id FROM grid WHERE code15 = :area)"
    query = f"""
        SELECT count(*) AS matters, count(*) FILTER (WHERE {_OVERDUE}) AS overdue
        FROM incident_case c WHERE c.open AND {place}
        """
    row = connection.execute(text(query), {"area": area, "now": now}).one()
    return Open(row.matters, row.overdue)


def open_by_town(connection: Connection, now: datetime) -> dict[str, Open]:
    """Return the open matters of every town by its code; '' holds those that no village is known of."""
    query = f"""
        SELECT left(coalesce(c.village, ''), {DIGITS["town"]}) AS town, count(*) AS matters,
            count(*) FILTER (WHERE {_OVERDUE}) AS overdue
        FROM incident_case c WHERE c.open GROUP BY 1 ORDER BY 1
        """
    rows = connection.execute(text(query), {"now": now})
    return {row.town: Open(row.matters, row.overdue) for row in rows}


def overdue_by(
    connection: Connection, digits: int, now: datetime, categories: Collection[str] | None = None
) -> dict[str, int]:
    """Return how many open matters are over their limit, by the first digits of their area's code.

    Those of which only the village is known are in no grid. `categories` keeps matters of these.
    """
    area = "g.code15" if digits == DIGITS["grid"] else "c.village"
    query = f"""
        SELECT left({area}, :digits) AS area, count(*) AS matters
        FROM incident_case c JOIN incident i ON i.id = c.id LEFT JOIN grid g ON g.id = c.grid_id
        WHERE c.open AND {_OVERDUE} AND {area} IS NOT NULL
            AND (CAST(:categories AS text[]) IS NULL OR i.category = ANY(:categories))
        GROUP BY 1 ORDER BY 1
        """
    asked = None if categories is None else sorted(categories)
    rows = connection.execute(text(query), {"digits": digits, "now": now, "categories": asked})
    return {row.area: row.matters for row in rows}


def since(connection: Connection, moment: datetime) -> Today:
    """Return how many matters were reported, and how many closed, from a moment on."""
    query = text("""
        SELECT (SELECT count(*) FROM incident WHERE reported_at >= :moment) AS received,
            (SELECT count(*) FROM incident WHERE closed_at >= :moment) AS closed
        """)
    row = connection.execute(query, {"moment": moment}).one()
    return Today(row.received, row.closed)

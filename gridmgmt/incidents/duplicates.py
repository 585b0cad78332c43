"""Matters that may tell of the same thing: one category, a few metres and days apart.

The distances are those by which the issue pool folds matters (`incidents.pool`). What is shown of a matter is
its place, day and state; its number only to whoever may see it, and what was written to nobody here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import Connection, text

from gridmgmt.incidents.pool import FOLD_DAYS, FOLD_METRES
from gridmgmt.incidents.terms import Status

MOST = 8


@dataclass(frozen=True)
class Near:
    """A matter nearby: `number` is None where it may not be seen, or was never handled here."""

    id: int
    category: str
    day: date
    metres: int
    status: Status
    number: str | None = None

    @property
    def linkable(self) -> bool:
        """Whether another matter may go along with it."""
        return self.number is not None and self.status is Status.OPEN


def near(connection: Connection, category: str, lon: float, lat: float, day: date) -> list[Near]:
    """Return matters of a category within 50 m and 14 days, open ones first, then the nearest.

    `lon` and `lat` are CGCS2000 degrees. Any role that reads places and days will do; the numbers come with
    `numbered`. Read by the index on category and day, whose few rows are then measured.
    """
    rows = connection.execute(
        _NEAR,
        {
            "category": category, "lon": lon, "lat": lat, "day": day, "days": FOLD_DAYS,
            "metres": FOLD_METRES, "most": MOST,
        },
    )  # fmt: skip
    return [
        Near(row.id, category, row.occurred_on, round(row.metres), Status(row.status)) for row in rows
    ]  # fmt: skip


_NEAR = text("""
SELECT id, occurred_on, status, metres FROM (
    SELECT id, occurred_on, status,
        ST_DistanceSphere(geom, ST_SetSRID(ST_MakePoint(:lon, :lat), 4490)) AS metres
    FROM incident
    WHERE category = :category AND geom IS NOT NULL
        AND occurred_on BETWEEN CAST(:day AS date) - :days AND CAST(:day AS date) + :days
) AS found
WHERE metres <= :metres ORDER BY status DESC, metres, id LIMIT :most
""")


def numbered(connection: Connection, found: Sequence[Near]) -> list[Near]:
    """Return the same matters with the numbers of those whose cases `connection` may see.

    `connection` acts as the role `gridmgmt_matters` (`incidents.actor.on_matters`).
    """
    rows = connection.execute(
        text("SELECT id, number FROM incident_case WHERE id = ANY(:ids)"),
        {"ids": [each.id for each in found]},
    )
    numbers = {row.id: str(row.number) for row in rows}
    return [replace(each, number=numbers.get(each.id)) for each in found]

"""How the roster of a town's grids stands, and its buildings for a map: counts and doors, nobody's name."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Engine, text

from gridmgmt.calendar import china_today
from gridmgmt.errors import InputError
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.households.reading.lines import FLAGS
from gridmgmt.households.reading.residents import floor_of, in_order
from gridmgmt.households.reading.roster import is_verified, survey_since


@dataclass(frozen=True, slots=True)
class GridLine:
    """How a grid's roster stands, in counts."""

    code: str
    name: str
    village: str
    households: int
    persons: int
    dwellings: int
    verified: int
    changes: int


def grids(engine: Engine, actor: Actor, *, today: date | None = None) -> list[GridLine]:
    """Return the counts of every grid of a town office's area, in the order of codes.

    Counts say nothing of a person, so this leaves no audit line.
    """
    if not actor.is_office:
        raise InputError("area", actor.area, "a town of 9 digits")
    day = today or china_today()
    with on_roster(engine, actor) as connection:
        since = survey_since(connection, actor.area, day)
        rows = connection.execute(_GRIDS, {"area": actor.area, "since": since or date.min})
        return [GridLine(**row._mapping) for row in rows]


_GRIDS = text("""
WITH own AS MATERIALIZED (
    SELECT g.id, g.code15, g.name, v.name AS village, g.valid_to
    FROM grid g JOIN division v ON v.code = g.village
    WHERE starts_with(g.code15, :area) AND g.kind = 'base'
), home AS (
    SELECT grid_id, count(*) AS households, sum(persons) AS persons
    FROM household WHERE ended_on IS NULL AND grid_id IN (SELECT id FROM own) GROUP BY grid_id
), door AS (
    SELECT b.grid_id, count(*) AS dwellings, count(*) FILTER (WHERE d.verified_on >= :since) AS verified
    FROM dwelling d JOIN building b ON b.id = d.building_id WHERE b.grid_id IN (SELECT id FROM own)
    GROUP BY b.grid_id
), change AS (
    SELECT h.grid_id, count(*) AS changes FROM roster_change c JOIN household h ON h.id = c.household_id
    WHERE c.status = 'open' GROUP BY h.grid_id
)
SELECT code15 AS code, (array_agg(name ORDER BY valid_to DESC NULLS FIRST))[1] AS name,
    (array_agg(village ORDER BY valid_to DESC NULLS FIRST))[1] AS village,
    coalesce(sum(households), 0)::integer AS households, coalesce(sum(persons), 0)::integer AS persons,
    coalesce(sum(dwellings), 0)::integer AS dwellings, coalesce(sum(verified), 0)::integer AS verified,
    coalesce(sum(changes), 0)::integer AS changes
FROM own LEFT JOIN home ON home.grid_id = own.id LEFT JOIN door ON door.grid_id = own.id
    LEFT JOIN change ON change.grid_id = own.id
GROUP BY code15 HAVING bool_or(valid_to IS NULL) ORDER BY code15
""")


def buildings(engine: Engine, actor: Actor, *, today: date | None = None) -> dict[str, Any]:
    """Return the area's buildings as GeoJSON points: address, flags, doors and which of them are checked.

    A door names its household by number only. There is nothing of a person in it, so no audit line.
    """
    day = today or china_today()
    with on_roster(engine, actor) as connection:
        since = survey_since(connection, actor.area, day)
        rows = connection.execute(_POINTS, {"area": actor.area}).all()
    return {"type": "FeatureCollection", "features": [_point(row, since) for row in rows]}


_POINTS = text("""
SELECT b.id, b.address, b.low_lying, b.dilapidated, b.self_built, ST_X(b.geom) AS lon, ST_Y(b.geom) AS lat,
    array_agg(d.id ORDER BY d.id) AS dwellings, array_agg(d.door ORDER BY d.id) AS doors,
    array_agg(d.verified_on ORDER BY d.id) AS verified_on, array_agg(h.homes ORDER BY d.id) AS homes
FROM building b JOIN dwelling d ON d.building_id = b.id LEFT JOIN (
    SELECT dwelling_id, min(id) AS homes FROM household WHERE ended_on IS NULL GROUP BY dwelling_id
) h ON h.dwelling_id = d.id
WHERE b.geom IS NOT NULL AND b.grid_id IN (SELECT id FROM grid WHERE starts_with(code15, :area))
GROUP BY b.id
""")


def _point(row: Any, since: date | None) -> dict[str, Any]:
    doors = [
        {"door": door, "dwelling": dwelling, "home": home, "verified": is_verified(day, since)}
        for door, dwelling, day, home in zip(
            row.doors, row.dwellings, row.verified_on, row.homes, strict=True
        )
    ]
    doors.sort(key=lambda each: (floor_of(str(each["door"])) or 0, in_order(str(each["door"]))))
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [round(row.lon, 6), round(row.lat, 6)]},
        "properties": {
            "address": row.address,
            "flags": [name for flag, name in FLAGS.items() if getattr(row, flag)],
            "doors": doors,
            "to_do": sum(not each["verified"] for each in doors),
        },
    }

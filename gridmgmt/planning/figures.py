"""What stands and happens inside shapes of grids: counts only, as a plan shows them while a line is drawn."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely.geometry import MultiPolygon
from sqlalchemy import Connection, text

from gridmgmt.calendar import china_today
from gridmgmt.grids import measure
from gridmgmt.grids.checks import PlanLimits
from gridmgmt.grids.codes import DIGITS, GRID_LENGTH
from gridmgmt.planning.bands import limits
from gridmgmt.planning.propose import in_town

# Matters a year are the mean of so many full years, those without any matter in the city left out.
YEARS = 3


@dataclass(frozen=True)
class Figures:
    """What a grid holds.

    Attributes
    ----------
    key : the grid
    area_m2 : on the ellipsoid
    households, persons : in buildings inside the shape
    matters_a_year : mean of the last three full years, matters with a place inside the shape
    workers : assignments in force today of the grid with this code; 0 for a new one
    compactness : Polsby-Popper, 4π area / perimeter²: 1 for a circle, 0.785 for a square
    deviation : households above (+) or below (-) the band, 0 inside it
    urban : whether it lies in a town, where the lower end of the band holds too
    """

    key: str
    area_m2: float
    households: int
    persons: int
    matters_a_year: float
    workers: int
    compactness: float
    deviation: int
    urban: bool


def figures(
    connection: Connection, shapes: Mapping[str, MultiPolygon], alone: Collection[str] = ()
) -> list[Figures]:
    """Return the figures of shapes (degrees CGCS2000) in the order given.

    A building or matter on a shared edge counts in the first of the shapes by key, so that figures add up;
    shapes named in `alone` (special and micro-grids) lie over the others and count on their own.
    """
    keys, all_shapes = list(shapes), measure.as_array(list(shapes.values()))
    people = households_in(connection, shapes, alone)
    matters = matters_in(connection, shapes, alone)
    workers = workers_of(connection, keys)
    village = villages_at(connection, shapes)
    area, compact = measure.area_m2(all_shapes), compactness(all_shapes)
    allowed = limits()
    return [
        Figures(
            key, float(area[k]), *people[key], matters[key], workers.get(key, 0), float(compact[k]),
            deviation(people[key][0], village[key], allowed), urban(village[key]),
        )
        for k, key in enumerate(keys)
    ]  # fmt: skip


def deviation(households: int, village: str, allowed: PlanLimits) -> int:
    """Return how many households are above (+) or below (-) the band of a village, 0 inside it.

    Grids of rural villages follow villagers' groups, so they may be smaller.
    """
    low, high = allowed.band_of(village)
    short = min(households - low, 0) if urban(village) else 0
    return short + max(households - high, 0)


def urban(village: str) -> bool:
    """Say whether the lower end of the band holds in a village; where none is known, it does."""
    return not village or in_town(village)


def compactness(geometries: ArrayLike) -> NDArray[np.float64]:
    """Return Polsby-Popper's 4π area / perimeter² of polygons (n,) in degrees; 0 for empty ones."""
    plane = measure.to_plane(geometries, measure.middle_latitude(geometries))
    area, perimeter = shapely.area(plane), shapely.length(plane)
    ratio: NDArray[np.float64] = 4 * np.pi * area / np.where(perimeter > 0, perimeter, np.inf) ** 2
    return ratio


def households_in(
    connection: Connection, shapes: Mapping[str, MultiPolygon], alone: Collection[str] = ()
) -> dict[str, tuple[int, int]]:
    """Return households and persons inside each shape by key."""
    keys, values = _layers(shapes, alone)
    statement = text("SELECT shape, households, persons FROM plan_households(:shapes, :layers)")
    found = {keys[row[0] - 1]: (row[1], row[2]) for row in connection.execute(statement, values)}
    return {key: found.get(key, (0, 0)) for key in shapes}


def matters_in(
    connection: Connection, shapes: Mapping[str, MultiPolygon], alone: Collection[str] = ()
) -> dict[str, float]:
    """Return matters a year inside each shape by key, the mean of the last full years that have matters."""
    years = full_years(connection, china_today())
    if not years:
        return dict.fromkeys(shapes, 0.0)
    keys, values = _layers(shapes, alone)
    period = {"since": date(years[0], 1, 1), "until": date(years[-1] + 1, 1, 1)}
    statement = text("SELECT shape, matters FROM plan_matters(:shapes, :layers, :since, :until)")
    counts = connection.execute(statement, values | period)
    found = {keys[n - 1]: count / len(years) for n, count in counts}
    return {key: found.get(key, 0.0) for key in shapes}


def full_years(connection: Connection, today: date) -> list[int]:
    """Return which of the last three full years have any matter, oldest first."""
    statement = text(
        "SELECT EXISTS (SELECT FROM incident WHERE occurred_on >= :since AND occurred_on < :until)"
    )
    return [
        year
        for year in range(today.year - YEARS, today.year)
        if connection.scalar(statement, {"since": date(year, 1, 1), "until": date(year + 1, 1, 1)})
    ]


def workers_of(connection: Connection, codes: Sequence[str], role: str | None = None) -> dict[str, int]:
    """Return how many workers the grids with these codes have today, by code; none of vacant ones."""
    statement = text("""
        SELECT g.code15, count(*) FROM grid g JOIN assignment a ON a.grid_id = g.id
        WHERE g.code15 = ANY(:codes) AND (CAST(:role AS text) IS NULL OR a.role = :role)
            AND g.valid_from <= :today AND (g.valid_to IS NULL OR g.valid_to > :today)
            AND a.valid_from <= :today AND (a.valid_to IS NULL OR a.valid_to > :today)
        GROUP BY g.code15
    """)
    values = {"codes": list(codes), "role": role, "today": china_today()}
    return dict(connection.execute(statement, values).all())


def villages_at(connection: Connection, shapes: Mapping[str, MultiPolygon]) -> dict[str, str]:
    """Return the village around a point inside each shape, by key.

    Where none is drawn there, the digits of the key say it; '' for a new grid then.
    """
    points = shapely.point_on_surface(measure.as_array(list(shapes.values())))
    statement = text("""
        SELECT s.key, d.code FROM unnest(CAST(:keys AS text[]), CAST(:points AS bytea[])) AS s(key, wkb)
        JOIN division d ON d.level = 'village' AND ST_Covers(d.geom, ST_SetSRID(ST_GeomFromWKB(s.wkb), 4490))
    """)
    values = {"keys": list(shapes), "points": shapely.to_wkb(points).tolist()}
    digits = {key: key[: DIGITS["village"]] if len(key) == GRID_LENGTH else "" for key in shapes}
    return digits | dict(connection.execute(statement, values).all())


def buildings_in(connection: Connection, shape: MultiPolygon) -> NDArray[np.float64]:
    """Return number, longitude, latitude and households of the buildings inside a shape, (n, 4) by number.

    With the writer's rights only: maps learn of no single building.
    """
    statement = text("SELECT id, lon, lat, households FROM plan_buildings(:shape) ORDER BY id")
    rows: list[Any] = list(connection.execute(statement, {"shape": shapely.to_wkb(shape)}).all())
    return np.array([tuple(row) for row in rows], np.float64).reshape(-1, 4)


def _layers(
    shapes: Mapping[str, MultiPolygon], alone: Collection[str]
) -> tuple[list[str], dict[str, list[Any]]]:
    """Return keys in order, and shapes and layers in the same: one layer for all but those alone."""
    keys = sorted(shapes)
    layers = [1 + k if key in alone else 0 for k, key in enumerate(keys)]
    wkb = shapely.to_wkb(measure.as_array([shapes[key] for key in keys])).tolist()
    return keys, {"shapes": wkb, "layers": layers}

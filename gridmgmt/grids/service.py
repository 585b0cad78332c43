"""Reads the territory: grids in force, divisions, households and chiefs by grid, shapes for maps."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from sqlalchemy import Connection, func, or_, select, text

from gridmgmt.errors import InputError
from gridmgmt.grids import measure
from gridmgmt.grids.models import (
    Assignment,
    AssignmentRole,
    Division,
    Grid,
    GridKind,
    Level,
    MapLayer,
    Worker,
)

# Decimals of a degree that maps get: 0.1 m.
MAP_DECIMALS = 6
METRES_A_DEGREE = 111_000.0


@dataclass(frozen=True)
class GridSet:
    """Grids in force on a day, `n` of them, in order of code."""

    ids: NDArray[np.int64]  # (n,)
    codes: tuple[str, ...]
    names: tuple[str, ...]
    villages: tuple[str, ...]  # the village code of each
    geometries: NDArray[np.object_]  # (n,) shapely MultiPolygon, degrees CGCS2000

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def towns(self) -> tuple[str, ...]:
        """The town code of each."""
        return tuple(code[:9] for code in self.villages)


@dataclass(frozen=True)
class DivisionSet:
    """Divisions of one level, `n` of them, in order of code; a geometry is None where nothing is drawn."""

    codes: tuple[str, ...]
    names: tuple[str, ...]
    parents: tuple[str | None, ...]
    geometries: NDArray[np.object_]  # (n,)

    def __len__(self) -> int:
        return len(self.codes)


def grids_in_force(connection: Connection, on: date | None = None, kind: str = GridKind.BASE) -> GridSet:
    """Return the grids of a kind that are in force on a day (today when None), in order of code."""
    day = on or date.today()
    query = (
        select(Grid.id, Grid.code15, Grid.name, Grid.village, func.ST_AsBinary(Grid.geom))
        .where(Grid.kind == kind, Grid.valid_from <= day, or_(Grid.valid_to.is_(None), Grid.valid_to > day))
        .order_by(Grid.code15)
    )
    ids, codes, names, villages, shapes = _columns(connection.execute(query).all(), 5)
    return GridSet(np.array(ids, np.int64), codes, names, villages, _shapes(shapes))


def divisions(connection: Connection, level: str, on: date | None = None) -> DivisionSet:
    """Return the divisions of a level with their shapes.

    One without a polygon of its own gets the union of its base grids in force on the day (today when None).

    Raises
    ------
    InputError
        When the level is none of county, town, village.
    """
    if level not in list(Level):
        raise InputError("level", level, ", ".join(Level))
    query = select(Division.code, Division.name, Division.parent, func.ST_AsBinary(Division.geom))
    rows = connection.execute(query.where(Division.level == level).order_by(Division.code)).all()
    codes, names, parents, wkb = _columns(rows, 4)
    shapes = _shapes(wkb)
    if any(shape is None for shape in shapes):
        grids = grids_in_force(connection, on)
        for k in np.flatnonzero([shape is None for shape in shapes]):
            own = [i for i, village in enumerate(grids.villages) if village.startswith(codes[k])]
            shapes[k] = shapely.union_all(grids.geometries[own]) if own else None
    return DivisionSet(codes, names, parents, shapes)


def division_names(connection: Connection) -> dict[str, str]:
    """Return the name of every division by its code."""
    return dict(connection.execute(select(Division.code, Division.name)).all())


def grid_names(connection: Connection) -> dict[str, tuple[str, int]]:
    """Return code -> (name, id) of every grid that ever was, as it was last, without its polygon's cost."""
    rows = connection.execute(select(Grid.code15, Grid.name, Grid.id).order_by(Grid.valid_from))
    return {code: (name, id_) for code, name, id_ in rows}


def code_of_ids(connection: Connection) -> dict[int, str]:
    """Return id -> code of every grid row that ever was; a code has a row for each of its shapes."""
    return dict(connection.execute(select(Grid.id, Grid.code15)).all())


def in_force_since(connection: Connection, code15: str) -> date | None:
    """Return the first day of a grid, in whatever shape it had then; None when no grid has the code."""
    return connection.execute(select(func.min(Grid.valid_from)).where(Grid.code15 == code15)).scalar_one()


def areas_m2(geometries: ArrayLike) -> NDArray[np.float64]:
    """Return areas on the CGCS2000 ellipsoid in m², as many as geometries (n,)."""
    return measure.area_m2(geometries)


def middles_m(geometries: ArrayLike) -> NDArray[np.float64]:
    """Return a point inside each geometry on an equal-area plane, (n, 2) metres; distances between near ones
    are right to 0.4 % within 30 km."""
    plane = measure.to_plane(geometries, measure.middle_latitude(geometries))
    points: NDArray[np.float64] = shapely.get_coordinates(shapely.point_on_surface(plane))
    return points


def households_by_grid(connection: Connection) -> dict[int, tuple[int, int]]:
    """Return households and persons of each base grid by its id; grids without any are left out."""
    rows = connection.execute(text("SELECT grid_id, households, persons FROM grid_households"))
    return {grid: (households, persons) for grid, households, persons in rows}


def main_predecessors(connection: Connection, since: date) -> dict[int, int]:
    """Return, for every grid that came of a redraw after a day, the ended grid most of its ground was in."""
    query = text("""
        SELECT DISTINCT ON (l.to_grid) l.to_grid, l.from_grid
        FROM grid_lineage l JOIN grid ended ON ended.id = l.from_grid
        WHERE ended.valid_to > :since
        ORDER BY l.to_grid, l.area_share * ST_Area(ended.geom) DESC, l.from_grid
    """)
    return dict(connection.execute(query, {"since": since}).all())


def chiefs(connection: Connection, on: date | None = None) -> dict[int, str]:
    """Return the name of each grid's chief on a day (today when None), by grid id; none of vacant grids."""
    day = on or date.today()
    query = (
        select(Assignment.grid_id, Worker.name)
        .join(Worker, Worker.id == Assignment.worker_id)
        .where(
            Assignment.role == AssignmentRole.CHIEF,
            Assignment.valid_from <= day,
            or_(Assignment.valid_to.is_(None), Assignment.valid_to > day),
        )
    )
    return dict(connection.execute(query).all())


def layers(connection: Connection) -> dict[str, Any]:
    """Return the context layers as a GeoJSON FeatureCollection with the properties layer and name."""
    query = select(MapLayer.layer, MapLayer.name, func.ST_AsBinary(MapLayer.geom))
    found, names, wkb = _columns(connection.execute(query.order_by(MapLayer.layer, MapLayer.name)).all(), 3)
    properties = [{"layer": layer, "name": name} for layer, name in zip(found, names, strict=True)]
    return _collection(properties, for_map(_shapes(wkb)))


def _collection(properties: list[dict[str, Any]], shapes: NDArray[np.object_]) -> dict[str, Any]:
    features = [
        {"type": "Feature", "properties": each, "geometry": shapely.geometry.mapping(shape)}
        for each, shape in zip(properties, shapes, strict=True)
        if shape is not None and not shape.is_empty
    ]
    return {"type": "FeatureCollection", "features": features}


def for_map(geometries: NDArray[np.object_], tolerance: float = 0.0) -> NDArray[np.object_]:
    """Return shapes (n,) with 6 decimals, simplified by `tolerance` metres; shared edges stay shared.

    A shape is simplified together with its neighbours. Rounding is by vertex, so that a vertex of two shapes
    stays one. Missing shapes stay missing.
    """
    shapes = measure.as_array(list(geometries))
    there = ~shapely.is_missing(shapes)
    if tolerance > 0 and there.any():
        lat = np.radians(measure.middle_latitude(shapes))
        # The tolerance is the square root of an area; in degrees an area is smaller by the cosine.
        degrees = tolerance / (METRES_A_DEGREE * np.sqrt(np.cos(lat)))
        shapes[there] = shapely.coverage_simplify(shapes[there], degrees)
    rounded = shapely.transform(shapes[there], lambda xy: np.round(xy, MAP_DECIMALS))
    shapes[there] = shapely.remove_repeated_points(rounded)
    return shapes


def _columns(rows: Any, count: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) or [()] * count


def _shapes(wkb: tuple[Any, ...]) -> NDArray[np.object_]:
    return measure.as_array([None if each is None else shapely.from_wkb(bytes(each)) for each in wkb])

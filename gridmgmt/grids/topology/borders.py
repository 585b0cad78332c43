"""Taking a border away, and moving one of its vertices."""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Point, Polygon
from shapely.geometry.base import BaseGeometry

from gridmgmt.errors import InputError
from gridmgmt.grids import halfedges, measure
from gridmgmt.grids.coverage import NOISE_M2
from gridmgmt.grids.topology.noding import edges_of
from gridmgmt.grids.topology.shapes import (
    HOUSE_M2,
    NEAR,
    Change,
    Coverage,
    FloatArray,
    area_m2,
    joined,
    metres,
    on_lattice,
    place,
)

# How far from a vertex a planner may take hold of it.
GRIP_M = 1.0
# Between a moved edge and what it must not touch (degrees, about 1 mm).
CLEARANCE = 1e-8


def merge(coverage: Coverage, keys: Sequence[str], new_key: str) -> Change:
    """Return the change of several faces into one.

    Raises InputError when they do not hang together along edges, or would enclose ground of others.
    """
    if len(keys) < 2 or len(set(keys)) < len(keys):
        raise InputError("网格", "、".join(keys), "至少两个不同的网格")
    faces = {key: coverage.face(key) for key in keys}
    loose = _loose(faces)
    if loose:
        raise InputError("合并", f"网格 {'、'.join(loose)} 与其余的没有公共边", "彼此相邻的网格")
    try:
        whole = joined(list(faces.values()))
    except shapely.GEOSException as why:
        raise InputError("合并", "网格之间有重叠", "先修补再合并") from why
    whole = _without_new_holes(whole, list(faces.values()))
    gone: dict[str, MultiPolygon | None] = dict.fromkeys(keys)
    return coverage.change({**gone, coverage.unused(new_key): whole})


def move_vertex(coverage: Coverage, at: tuple[float, float], to: tuple[float, float]) -> Change:
    """Return the change of all faces that have a vertex, with that vertex at another place.

    Parameters
    ----------
    at : (longitude, latitude)
        The vertex, or a place within 1 m of it.
    to : (longitude, latitude)
        Onto another vertex (within 5 cm): the two become one. A vertex on the rim may move outwards.

    Raises
    ------
    InputError
        When there is no vertex, or a face would cross itself or another face.
    """
    vertex = _nearest_vertex(coverage, at)
    goal = _goal(coverage, to)
    near = coverage.near(Point(vertex), Point(goal))
    near |= coverage.near(*near.values())
    after = {key: _with_moved(face, vertex, goal) for key, face in near.items()}
    moved = {key: face for key, face in after.items() if face is not near[key]}
    for key, face in moved.items():
        if not face.is_valid or len(shapely.get_parts(face)) < len(shapely.get_parts(near[key])):
            raise InputError("移点", f"网格 {key} 会自己相交", "不越过别的边")
    _refuse_touching(list(after.values()), goal)
    for key in moved:
        _refuse_overlap(key, near, after)
    return coverage.change(moved)


def _loose(faces: Mapping[str, MultiPolygon]) -> list[str]:
    """Return the keys of the faces that do not hang together with the first along edges."""
    edges = halfedges.pair(measure.as_array(list(faces.values())))
    paired = np.flatnonzero(edges.twin >= 0)
    touch = np.zeros((len(faces), len(faces)), bool)
    touch[edges.owner[paired], edges.owner[edges.twin[paired]]] = True
    reached = np.arange(len(faces)) == 0
    while (grown := reached | touch[reached].any(axis=0)).sum() > reached.sum():
        reached = grown
    return [key for key, there in zip(faces, reached, strict=True) if not there]


def _without_new_holes(whole: MultiPolygon, before: Sequence[MultiPolygon]) -> MultiPolygon:
    """Return the merged face; a new hole too small for a house is a seam and closed, a larger one refused."""
    old = shapely.union_all(
        [Polygon(hole) for face in before for part in face.geoms for hole in part.interiors]
    )
    parts = []
    for part in whole.geoms:
        holes = [hole for hole in part.interiors if not _is_seam(Polygon(hole), old)]
        parts.append(Polygon(part.exterior, holes))
    return shapely.normalize(MultiPolygon(parts))


def _is_seam(hole: Polygon, old: BaseGeometry) -> bool:
    if old.intersects(hole.point_on_surface()):
        return False
    if area_m2(hole) < HOUSE_M2:
        return True
    raise InputError("合并", f"会围住 {place(hole)} 处的地块", "把围住的网格也选上")


def _nearest_vertex(coverage: Coverage, at: tuple[float, float]) -> tuple[float, float]:
    here = Point(at)
    grip = here.buffer(2e-5)  # a little over GRIP_M everywhere in China
    points = _vertices(coverage, grip)
    if len(points):
        nearest = Point(points[int(np.argmin(np.hypot(*(points - np.array(at)).T)))])
        if metres(shapely.LineString([here, nearest])) <= GRIP_M:
            return nearest.x, nearest.y
    raise InputError("移点", f"{here.x:.6f}, {here.y:.6f} 处没有界点", "点在网格边线的拐点上")


def _goal(coverage: Coverage, to: tuple[float, float]) -> tuple[float, float]:
    """Return the place on the lattice; that of a vertex when there is one within 5 cm."""
    if not np.isfinite(to).all():
        raise InputError("移点", to, "经度和纬度")
    points = _vertices(coverage, Point(to))
    away = np.hypot(*(points - np.array(to)).T)
    goal = Point(points[int(np.argmin(away))]) if len(points) and away.min() < NEAR else on_lattice(Point(to))
    return goal.x, goal.y


def _vertices(coverage: Coverage, shape: BaseGeometry) -> FloatArray:
    return shapely.get_coordinates(list(coverage.near(shape).values()))


def _with_moved(face: MultiPolygon, vertex: tuple[float, float], goal: tuple[float, float]) -> MultiPolygon:
    points = shapely.get_coordinates(face)
    here = (points == np.array(vertex)).all(axis=1)
    if not here.any():
        return face
    moved = shapely.set_coordinates(
        shapely.from_wkb(shapely.to_wkb(face)), np.where(here[:, None], goal, points)
    )
    return cast(MultiPolygon, shapely.remove_repeated_points(moved))


def _refuse_touching(faces: Sequence[MultiPolygon], goal: tuple[float, float]) -> None:
    """Raise InputError when an edge at `goal` passes a vertex, or `goal` an edge, too near to tell apart."""
    edges = edges_of(faces)
    lines = np.asarray(shapely.linestrings(edges.reshape(-1, 2, 2)), dtype=object)
    ends = (edges.reshape(-1, 2, 2) == np.array(goal)).all(axis=2)
    star = np.flatnonzero(ends.any(axis=1))
    vertices = np.unique(edges.reshape(-1, 2), axis=0)
    away = shapely.distance(lines[star][:, None], shapely.points(vertices))
    own = (edges[star].reshape(-1, 1, 2, 2) == vertices[None, :, None, :]).all(axis=3).any(axis=2)
    other = shapely.distance(np.delete(lines, star), Point(goal))
    if (away[~own] < CLEARANCE).any() or (other < CLEARANCE).any():
        raise InputError("移点", "移过去的边贴上了别的边", "离别的边和拐点远一点")


def _refuse_overlap(key: str, before: Mapping[str, MultiPolygon], after: Mapping[str, MultiPolygon]) -> None:
    """Raise InputError when a moved face covers more ground of others than it did."""
    others = [other for other in after if other != key]
    now, then = (measure.as_array([faces[other] for other in others]) for faces in (after, before))
    for k in np.flatnonzero(shapely.relate_pattern(after[key], now, "T********")):
        more = area_m2(after[key].intersection(now[k])) - area_m2(before[key].intersection(then[k]))
        if more > NOISE_M2:
            raise InputError("移点", f"网格 {key} 会盖住 {others[k]} 的 {more:.0f} 平方米", "不越过别的网格")

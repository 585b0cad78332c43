"""Cutting a face into parts of about equal weight with straight lines."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import LineString, MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from gridmgmt.errors import InputError
from gridmgmt.grids import halfedges, measure
from gridmgmt.grids.topology.cuts import divided, neighbours
from gridmgmt.grids.topology.noding import BoolArray, edges_of, node
from gridmgmt.grids.topology.shapes import (
    HOUSE_M2,
    Change,
    Coverage,
    FloatArray,
    Geometries,
    area_m2,
    joined,
    on_lattice,
)

DIRECTIONS = 24
# A cut may put this share of what it divides on the wrong side for the sake of a shorter line.
TOLERANCE = 0.02
_TRIES = 12
# Stand in for the weights of a face in which nobody lives, so that the parts have equal areas.
_EVEN_POINTS = 4000


@dataclass(frozen=True)
class _Weighted:
    """Points (n, 2) on a plane, and the weight of each."""

    points: FloatArray
    weights: FloatArray

    def inside(self, shape: BaseGeometry) -> "_Weighted":
        shapely.prepare(shape)
        there = shapely.intersects_xy(shape, self.points)
        return _Weighted(self.points[there], self.weights[there])


@dataclass(frozen=True)
class _Cut:
    """Two connected sides, how far the first is from its share of the weight, and the length of the line."""

    sides: tuple[BaseGeometry, BaseGeometry]
    excess: float
    length: float


def split_evenly(
    coverage: Coverage,
    key: str,
    parts: int,
    points: FloatArray,
    weights: FloatArray,
    new_keys: Callable[[], str],
) -> Change:
    """Return the change that cuts a face into connected parts of about equal weight, from west to east.

    Cut in two again and again: of 24 directions, each line placed where the weight on one side is right, the
    shortest. Where points allow, each part is within about 5 % of its share; many households at one point
    (a tower) cannot be parted. A face without weight is cut into equal areas.

    Parameters
    ----------
    parts : int, at least 2
    points : ndarray, shape (n, 2)
        Longitude and latitude; those outside the face do not count.
    weights : ndarray, shape (n,)
        Households at each point, not negative.

    Raises
    ------
    InputError
        When a part were too small for a house, or the face is in several pieces.
    """
    face = coverage.face(key)
    _check(key, face, parts, points, weights)
    stretch = np.array([np.cos(np.radians(face.centroid.y)), 1.0])
    plane = shapely.transform(face.geoms[0], lambda xy: xy * stretch)
    weighted = _Weighted(np.asarray(points, float).reshape(-1, 2) * stretch, np.asarray(weights, float))
    cut = _divide(plane, parts, _or_even(weighted.inside(plane), plane))
    shapes = shapely.transform(measure.as_array(cut), lambda xy: xy / stretch)
    net = node(edges_of([face]), [on_lattice(shape.boundary) for shape in shapes])
    pieces = net.pieces[net.within(net.bend(face))]
    share = shapely.area(shapely.intersection(pieces[:, None], shapes))
    grouped = [joined(pieces[share.argmax(axis=1) == k]) for k in range(parts)]
    return divided(coverage, key, grouped, net.bent(neighbours(coverage, key)), new_keys)


def _check(key: str, face: MultiPolygon, parts: int, points: FloatArray, weights: FloatArray) -> None:
    places, heavy = np.asarray(points, float), np.asarray(weights, float)
    if parts < 2 or area_m2(face) / max(parts, 1) < HOUSE_M2:
        raise InputError("块数", parts, f"至少 2 块，每块至少 {HOUSE_M2:.0f} 平方米")
    if len(face.geoms) > 1:
        raise InputError("网格", f"{key} 本来就有 {len(face.geoms)} 块", "连成一片的网格")
    if places.size != 2 * heavy.size or not np.isfinite(places).all():
        raise InputError("points", places.shape, f"longitude and latitude of each of {heavy.size} weights")
    if heavy.size and not (np.isfinite(heavy).all() and heavy.min() >= 0):
        raise InputError("weights", float(heavy.min()), "numbers of at least 0")


def _or_even(weighted: _Weighted, shape: Polygon) -> _Weighted:
    """Return the points, or evenly spread ones where they weigh nothing."""
    if weighted.weights.sum() > 0:
        return weighted
    west, south, east, north = shape.bounds
    step = np.sqrt(shape.area / _EVEN_POINTS)
    x, y = np.meshgrid(np.arange(west + step / 2, east, step), np.arange(south + step / 2, north, step))
    return _Weighted(np.column_stack([x.ravel(), y.ravel()]), np.ones(x.size)).inside(shape)


def _divide(shape: BaseGeometry, parts: int, weighted: _Weighted) -> list[BaseGeometry]:
    """Return connected shapes, as many as `parts`, of about equal weight."""
    if parts == 1:
        return [shape]
    first = parts // 2
    low, high = _best_cut(shape, weighted, first, parts).sides
    return [
        *_divide(low, first, weighted.inside(low)),
        *_divide(high, parts - first, weighted.inside(high)),
    ]


def _best_cut(shape: BaseGeometry, weighted: _Weighted, first: int, parts: int) -> _Cut:
    """Return the shortest cut among those that divide the weight about as well as the best one."""
    angles = np.linspace(0, 2 * np.pi, DIRECTIONS, endpoint=False)
    cuts = [_cut(shape, weighted, np.array([np.cos(a), np.sin(a)]), first / parts) for a in angles]
    enough = min(abs(cut.excess) for cut in cuts) + TOLERANCE * weighted.weights.sum() / parts
    return min((cut for cut in cuts if abs(cut.excess) <= enough), key=lambda cut: cut.length)


def _cut(shape: BaseGeometry, weighted: _Weighted, normal: FloatArray, share: float) -> _Cut:
    """Return the cut across a direction that leaves `share` of the weight below it.

    Where the line cuts off fragments, these change sides; then the right place is looked for by halving.
    """
    extent = shapely.get_coordinates(shape) @ normal
    low, high = float(extent.min()), float(extent.max())
    best = cut = _cut_at(shape, weighted, normal, _quantile(weighted, normal, share, (low, high)), share)
    for _ in range(_TRIES if abs(cut.excess) > TOLERANCE * weighted.weights.sum() else 0):
        middle = (low + high) / 2
        cut = _cut_at(shape, weighted, normal, middle, share)
        low, high = (low, middle) if cut.excess > 0 else (middle, high)
        best = min(best, cut, key=lambda one: abs(one.excess))
    return best


def _quantile(weighted: _Weighted, normal: FloatArray, share: float, extent: tuple[float, float]) -> float:
    """Return the place across a direction, between two points, with about `share` of the weight below."""
    places, at = np.unique(weighted.points @ normal, return_inverse=True)
    if len(places) < 2:
        return sum(extent) / 2
    below = np.cumsum(np.bincount(at, weights=weighted.weights))
    k = int(np.argmin(np.abs(below[:-1] - share * below[-1])))
    return float(places[k] + places[k + 1]) / 2


def _cut_at(shape: BaseGeometry, weighted: _Weighted, normal: FloatArray, at: float, share: float) -> _Cut:
    foot, along = normal * at, np.array([-normal[1], normal[0]])
    middle = float(np.array(shape.centroid.coords[0]) @ along)
    reach = shape.length  # longer than the shape is wide
    line = LineString([foot + along * (middle - reach), foot + along * (middle + reach)])
    pieces = shapely.get_parts(shapely.polygonize([shapely.union_all([shape.boundary, line])]))
    inside = shapely.point_on_surface(pieces)
    ground = shapely.intersects(shape, inside)
    low = (shapely.get_coordinates(inside) @ normal < at)[ground]
    sides = _sides(pieces[ground], low)
    excess = weighted.inside(sides[0]).weights.sum() - share * weighted.weights.sum()
    return _Cut(sides, float(excess), (sides[0].length + sides[1].length - shape.length) / 2)


def _sides(pieces: Geometries, low: BoolArray) -> tuple[BaseGeometry, BaseGeometry]:
    """Return two connected sides of pieces (n,): the largest of each, and fragments with what they touch."""
    side = np.full(len(pieces), -1)
    for number, members in enumerate((low, ~low)):
        side[np.argmax(np.where(members, shapely.area(pieces), -1))] = number
    edges = halfedges.pair(pieces)
    a = np.flatnonzero(edges.twin >= 0)
    here, there = edges.owner[a], edges.owner[edges.twin[a]]
    while (side < 0).any():
        known = np.flatnonzero((side[here] >= 0) & (side[there] < 0))
        if not len(known):
            side[side < 0] = 1
        else:
            side[there[known[0]]] = side[here[known[0]]]
    first, second = (shapely.coverage_union_all(pieces[side == number]) for number in (0, 1))
    return first, second

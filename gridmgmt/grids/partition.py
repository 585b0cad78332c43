"""Dividing an area into contiguous, compact parts of about equal weight that follow roads and rivers.

The area is cut into small pieces, one around each cluster of buildings and along every barrier; the pieces
are put together again into parts (`partition_blocks`). Method: docs/methods/partition.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial import cKDTree
from shapely.geometry import LineString, MultiPolygon
from shapely.geometry.base import BaseGeometry

from gridmgmt.errors import InputError
from gridmgmt.grids import halfedges, measure
from gridmgmt.grids.partition_blocks import assign_blocks
from gridmgmt.grids.partition_groups import parts_for
from gridmgmt.grids.partition_rings import DECIMALS, LATTICE, on_lattice, with_rings, with_vertices

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Geometries = NDArray[np.object_]

__all__ = ["assign_blocks", "divide", "parts_for", "with_vertices"]

METRES = 111_320.0  # a degree of latitude

# Buildings nearer than this stay together; more sites than `MOST_SITES` a part are put together further.
CLUSTER_M = 15.0
MOST_SITES = 150
# A cluster heavier than this share of a part would make parts uneven: its buildings stand alone.
HEAVY = 0.12
# Open land is cut into about this many pieces a part, so that borders across it can be straight.
OPEN_PIECES = 25.0
# An edge along a road or river costs this much of another one; one between far buildings down to a half.
BARRIER = 0.25
# Pieces that touch over less than this do not count as neighbours, or parts would hang by a thread.
NECK_M = 3.0
# Inner borders are drawn this much more simply than the pieces are.
SIMPLIFY_M = 20.0


@dataclass(frozen=True)
class _Pieces:
    """Pieces of an area (n,): shape, weight, place in metres; pairs (2, m) and the cost of parting them."""

    shapes: Geometries
    weight: FloatArray
    xy: FloatArray
    pairs: IntArray
    cost: FloatArray


def divide(
    area: BaseGeometry,
    points: ArrayLike,
    weights: ArrayLike,
    parts: int,
    barriers: Sequence[LineString] = (),
    seed: int = 0,
    low: float | None = None,
    high: float | None = None,
) -> list[MultiPolygon]:
    """Return shapes that tile the area exactly, each contiguous, of about equal weight and compact.

    They share edges vertex by vertex, on a lattice of 1e-9 degrees. The rim keeps its vertices and gets one
    where an inner border meets it; neighbours outside need those too (`with_vertices`).

    Parameters
    ----------
    area : Polygon or MultiPolygon in degrees
        Pieces of it that do not touch are put together with the nearest: only then is a part not one polygon.
    points : array, shape (n, 2)
        Places of buildings, degrees; those outside the area count for the nearest piece.
    weights : array, shape (n,)
        Households of each.
    parts : int
    barriers : lines in degrees
        Roads and rivers: borders follow them where balance allows.
    seed : int
        The same seed gives the same bytes.
    low, high : float, optional
        The band that a part's weight should lie in.

    Raises
    ------
    InputError
        When the area is no valid polygon, weights are all zero, or there are more parts than places with
        weight.
    """
    whole = on_lattice(area)
    place, weight = np.asarray(points, np.float64).reshape(-1, 2), np.asarray(weights, np.float64)
    _check(place, weight, parts)
    if parts == 1:
        return [_multi(whole)]
    pieces = _cut(whole, place, weight, parts, barriers)
    if len(pieces.shapes) < parts:
        raise InputError("parts", parts, f"at most {len(pieces.shapes)}, the pieces that can be told apart")
    i, j = pieces.pairs
    label = assign_blocks(pieces.weight, i, j, parts, pieces.xy, low, high, seed, pieces.cost)
    return [_multi(shape) for shape in _dissolve(pieces.shapes, label, whole)]


def _check(points: FloatArray, weights: FloatArray, parts: int) -> None:
    if weights.shape != (len(points),) or not np.isfinite(points).all():
        raise InputError("weights", weights.shape, f"one for each of {len(points)} finite points")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise InputError("weights", float(weights.sum()), "finite, not negative, not all zero")
    places = len(np.unique(points[weights > 0], axis=0))
    if not 1 <= parts <= places:
        raise InputError("parts", parts, f"1 to {places}, the places with weight")


def _cut(
    area: BaseGeometry, points: FloatArray, weights: FloatArray, parts: int, barriers: Sequence[LineString]
) -> _Pieces:
    """Return the pieces of an area: one around each cluster of buildings, cut along the barriers."""
    turn = np.array([np.cos(np.radians(measure.middle_latitude(measure.as_array([area])))), 1.0]) * METRES
    sites = _sites(area, points, weights, parts, turn)
    near = _near(area, barriers)
    shapes = _faces(area, sites, near, turn)
    middle = shapely.get_coordinates(shapely.point_on_surface(shapes))
    weight = np.bincount(_piece_of(shapes, points), weights, len(shapes)).astype(np.float64)
    pairs, cost = _pairs(shapes, middle, sites, near, turn)
    pairs, cost = _joined(len(shapes), pairs, cost, middle * turn)
    return _Pieces(shapes, weight, middle * turn, pairs, cost)


def _sites(
    area: BaseGeometry, points: FloatArray, weights: FloatArray, parts: int, turn: FloatArray
) -> FloatArray:
    """Return the middles of clusters of buildings, and places in open land between them, degrees."""
    heavy = HEAVY * weights.sum() / parts
    size = CLUSTER_M
    while len(built := _clusters(points * turn, weights, size, heavy)) > MOST_SITES * parts:
        size *= 1.4
    apart = np.sqrt(shapely.area(shapely.transform(area, lambda xy: xy * turn)) / (parts * OPEN_PIECES))
    x0, y0, x1, y1 = (np.array(area.bounds).reshape(2, 2) * turn).ravel()
    rows = np.arange(y0 + apart / 2, y1, apart)
    grid = [
        (x, y) for k, y in enumerate(rows) for x in np.arange(x0 + apart * (0.25 + 0.5 * (k % 2)), x1, apart)
    ]
    open_land = np.array(grid).reshape(-1, 2)
    if len(open_land):
        inside = shapely.contains_xy(area, open_land / turn)
        open_land = open_land[inside & (cKDTree(built).query(open_land)[0] > apart / 2)]
    return np.unique(np.round(np.concatenate([built, open_land]) / turn, DECIMALS), axis=0)


def _clusters(xy: FloatArray, weights: FloatArray, size: float, heavy: float) -> FloatArray:
    """Return the weighted middle of the points in each square of a size; heavy squares point by point."""
    square = np.floor(xy / size).astype(np.int64)
    _, of = np.unique(square, axis=0, return_inverse=True)
    of = of.ravel()
    held = np.bincount(of, weights)
    lone = (held[of] > heavy) & (size <= 4 * CLUSTER_M)
    _, of = np.unique(np.where(lone, len(held) + np.arange(len(of)), of), return_inverse=True)
    heft = weights + 1e-9
    total = np.bincount(of, heft)
    middle = np.column_stack([np.bincount(of, heft * xy[:, k]) / total for k in (0, 1)])
    return np.unique(np.round(middle, 3), axis=0)


def _near(area: BaseGeometry, barriers: Sequence[LineString]) -> Geometries:
    """Return what of the barriers lies inside the area, cut a little beyond it so that they reach the rim."""
    lines = measure.as_array(list(barriers))
    lines = lines[shapely.intersects(lines, area)] if len(lines) else lines
    beyond = shapely.box(*area.buffer(20 / METRES).bounds)
    return shapely.intersection(lines, beyond) if len(lines) else lines


def _faces(area: BaseGeometry, sites: FloatArray, barriers: Geometries, turn: FloatArray) -> Geometries:
    """Return the faces of the Voronoi edges of the sites, the rim and the barriers, inside the area."""
    rim = area.boundary
    lines = [rim, *barriers]
    if len(sites) > 1:
        edges = shapely.voronoi_polygons(
            shapely.multipoints(sites * turn), only_edges=True, extend_to=_scaled(area, turn)
        )
        edges = shapely.transform(edges, lambda xy: xy / turn)
        lines.append(shapely.intersection(edges, shapely.box(*area.buffer(20 / METRES).bounds)))
    noded = shapely.union_all(lines, grid_size=LATTICE)
    noded = shapely.transform(noded, lambda xy: np.round(xy, DECIMALS))
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(noded)))
    shapely.prepare(area)
    return faces[shapely.contains(area, shapely.point_on_surface(faces))]


def _scaled(area: BaseGeometry, turn: FloatArray) -> BaseGeometry:
    return shapely.transform(shapely.box(*area.bounds), lambda xy: xy * turn)


def _piece_of(shapes: Geometries, points: FloatArray) -> IntArray:
    """Return the piece that holds each point, the lowest on an edge, the nearest for points outside."""
    tree = shapely.STRtree(shapes)
    at = np.asarray(shapely.points(points), object)
    point, piece = tree.query(at, predicate="intersects")
    found = np.full(len(points), len(shapes), np.int64)
    np.minimum.at(found, point, piece)
    lost = np.flatnonzero(found == len(shapes))
    if len(lost):
        found[lost] = tree.nearest(at[lost])
    return found


def _pairs(
    shapes: Geometries, middle: FloatArray, sites: FloatArray, barriers: Geometries, turn: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Return pairs of pieces (2, m) with a common border, and what parting them costs.

    Metres of border; less along barriers and between sites that lie far apart, so that clusters stay whole.
    """
    edges = halfedges.pair(shapes)
    one = np.flatnonzero((edges.twin >= 0) & (edges.owner < edges.owner[edges.twin]))
    ends = edges.ends[one].reshape(-1, 2, 2)
    length = np.hypot(*((ends[:, 1] - ends[:, 0]) * turn).T)
    a, b = edges.owner[one], edges.owner[edges.twin[one]]
    cost = length * np.where(_along(ends, barriers), BARRIER, 1.0)
    key, of = np.unique(a * len(shapes) + b, return_inverse=True)
    touch, cost = (np.bincount(of, each).astype(np.float64) for each in (length, cost))
    pairs = np.stack([key // len(shapes), key % len(shapes)])
    place = sites[cKDTree(sites * turn).query(middle * turn)[1]] * turn
    apart = np.hypot(*(place[pairs[0]] - place[pairs[1]]).T)
    usual = np.median(apart[apart > 0]) if (apart > 0).any() else 1.0
    cost = cost * np.clip(usual / np.maximum(apart, 1e-6), 0.5, 2.0)
    sound = (touch >= NECK_M) | _needed(len(shapes), pairs, touch)
    return pairs[:, sound], cost[sound]


def _needed(n: int, pairs: IntArray, touch: FloatArray) -> NDArray[np.bool_]:
    """Tell which pairs hold together what longer borders do not: those of the widest spanning tree."""
    graph = coo_array((1 / np.maximum(touch, 1e-6), (pairs[0], pairs[1])), shape=(n, n))
    tree = minimum_spanning_tree(graph.tocsr()).tocoo()
    return np.isin(pairs[0] * n + pairs[1], tree.row.astype(np.int64) * n + tree.col)


def _along(ends: FloatArray, barriers: Geometries) -> NDArray[np.bool_]:
    if not len(barriers):
        return np.zeros(len(ends), bool)
    middle = shapely.points(ends.mean(axis=1))
    on = shapely.STRtree(middle).query(barriers, predicate="dwithin", distance=2 * LATTICE)[1]
    return np.isin(np.arange(len(ends)), on)


def _joined(n: int, pairs: IntArray, cost: FloatArray, xy: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the pairs with one more for each piece of land that touches no other: its nearest ground."""
    while True:
        graph = coo_array((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(n, n))
        count, land = connected_components(graph.tocsr(), directed=False)
        if count == 1:
            return pairs, cost
        smallest = np.argmin(np.bincount(land))
        inner, outer = np.flatnonzero(land == smallest), np.flatnonzero(land != smallest)
        distance, nearest = cKDTree(xy[outer]).query(xy[inner])
        k = int(np.argmin(distance))
        pairs = np.concatenate([pairs, [[inner[k]], [outer[nearest[k]]]]], axis=1)
        cost = np.append(cost, 0.0)


def _dissolve(shapes: Geometries, label: IntArray, whole: BaseGeometry) -> Geometries:
    """Return one shape a label from pieces, inner borders drawn more simply, the rim as it was."""
    order = np.argsort(label, kind="stable")
    groups = np.split(shapes[order], np.searchsorted(label[order], np.arange(1, label.max() + 1)))
    parts = measure.as_array([shapely.coverage_union_all(group) for group in groups])
    plain = shapely.coverage_simplify(parts, SIMPLIFY_M / METRES, simplify_boundary=False)
    same = shapely.get_num_geometries(plain) == shapely.get_num_geometries(parts)
    return _without_spare(plain if same.all() and shapely.is_valid(plain).all() else parts, whole)


def _without_spare(parts: Geometries, whole: BaseGeometry) -> Geometries:
    """Return parts without the vertices on the rim at which no inner border ends."""
    old = set(map(tuple, shapely.get_coordinates(whole).tolist()))
    xy = [set(map(tuple, shapely.get_coordinates(part).tolist())) for part in parts]
    edges = halfedges.pair(parts)
    rim = set(map(tuple, edges.ends[edges.twin < 0].reshape(-1, 2).tolist())) - old
    inner = set(map(tuple, edges.ends[edges.twin >= 0].reshape(-1, 2).tolist()))
    spare = rim - inner
    return measure.as_array(
        [_dropping(part, spare) if spare & own else part for part, own in zip(parts, xy, strict=True)]
    )


def _dropping(shape: BaseGeometry, spare: set[tuple[float, ...]]) -> BaseGeometry:
    def kept(xy: FloatArray) -> FloatArray:
        xy = xy[:-1][[tuple(each) not in spare for each in xy[:-1].tolist()]]
        return np.concatenate([xy, xy[:1]])

    return with_rings(shape, kept)


def _multi(shape: BaseGeometry) -> MultiPolygon:
    return shape if isinstance(shape, MultiPolygon) else MultiPolygon(shapely.get_parts(shape).tolist())

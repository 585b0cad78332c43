"""Cutting faces with lines, once and exactly: where a line bends a shared edge, it bends it for both sides.

Edges and lines are noded by snap rounding on the lattice, which bends an edge by at most 0.07 mm, to a vertex
that now lies on it. A face is cut into the pieces of that net; a neighbour gets the same bends in its rings.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiLineString, MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from gridmgmt.grids import measure
from gridmgmt.grids.assign import polygon_edges
from gridmgmt.grids.topology.shapes import LATTICE, NEAR, FloatArray, Geometries, on_lattice

BoolArray = NDArray[np.bool_]
Point = tuple[float, float]
Edge = tuple[Point, Point]
Face = TypeVar("Face", Polygon, MultiPolygon)

# An edge is bent to the vertices whose lattice cell it meets: half a cell's diagonal away at most.
_REACH = 0.75 * LATTICE


@dataclass(frozen=True)
class Net:
    """Pieces (n,) of ground between noded lines, a point inside each, and what became of broken edges.

    `bends` gives the new vertices of each edge that was broken, from its lower end to its higher.
    """

    pieces: Geometries
    inside: Geometries
    bends: Mapping[Edge, list[Point]]

    def bend(self, face: Face) -> Face:
        """Return a face with the new vertices in its edges; the very same when it gets none."""
        if not self.bends or self.bends.keys().isdisjoint(_keys(edges_of([face]))):
            return face
        parts = [
            Polygon(self._ring(part.exterior), [self._ring(hole) for hole in part.interiors])
            for part in shapely.get_parts(face)
        ]
        return parts[0] if isinstance(face, Polygon) else MultiPolygon(parts)

    def bent(self, faces: Mapping[str, MultiPolygon]) -> dict[str, MultiPolygon]:
        """Return the faces with the new vertices in their edges."""
        return {key: self.bend(face) for key, face in faces.items()}

    def within(self, face: BaseGeometry) -> BoolArray:
        """Return which pieces (n,) lie in a face that has the bends of the net."""
        shapely.prepare(face)
        return shapely.intersects(face, self.inside)

    def _ring(self, ring: BaseGeometry) -> list[Point]:
        points = _points(shapely.get_coordinates(ring))
        bent = points[:1]
        for a, b in itertools.pairwise(points):
            new = self.bends.get(_edge(a, b), [])
            bent += [*(new if a < b else reversed(new)), b]
        return bent


def edges_of(faces: Sequence[BaseGeometry]) -> FloatArray:
    """Return every edge (m, 4) of faces, once, its lower end first."""
    return lower_end_first(polygon_edges(measure.as_array(faces))[0])


def node(edges: FloatArray, lines: Sequence[BaseGeometry] = ()) -> Net:
    """Return the net of the edges (m, 4) of faces and of lines, all on the lattice."""
    drawn = [_segments(line) for line in lines]
    threads = _threads(np.vstack([edges, *drawn]))
    strings = np.array([(*a, *b) for thread in threads.values() for a, b in itertools.pairwise(thread)])
    net = shapely.union_all(lines_of(strings), grid_size=LATTICE)
    pieces = shapely.get_parts(shapely.polygonize([net]))
    return Net(pieces, shapely.point_on_surface(pieces), _bends(_keys(edges), threads, _segments(net)))


def fitted(drawn: Any, faces: Sequence[BaseGeometry]) -> Any:
    """Return a drawn line or polygon on the lattice; what is within 5 cm of a boundary is put on it."""
    boundaries = shapely.boundary(measure.as_array(faces))
    boundary = cast(BaseGeometry, shapely.geometrycollections(boundaries))
    if boundary.is_empty:
        return on_lattice(drawn)
    snapped = shapely.snap(shapely.force_2d(drawn), boundary, NEAR)
    onto = on_lattice(shapely.transform(snapped, lambda xy: _onto(xy, boundary)))
    return onto if onto.is_valid and not onto.is_empty else on_lattice(drawn)


def _onto(points: FloatArray, boundary: BaseGeometry) -> FloatArray:
    shapely.prepare(boundary)
    ways = shapely.shortest_line(shapely.points(points), boundary)
    nearest = shapely.get_coordinates(ways).reshape(-1, 2, 2)[:, 1]
    return np.where(np.less(shapely.length(ways), NEAR)[:, None], nearest, points)


def lower_end_first(edges: FloatArray) -> FloatArray:
    """Return edges (m, 4), each once, its lower end first."""
    x0, y0, x1, y1 = edges.T
    swap = (x1 < x0) | ((x1 == x0) & (y1 < y0))
    ordered = np.where(swap[:, None], edges[:, [2, 3, 0, 1]], edges)
    return np.unique(ordered, axis=0) if len(ordered) else ordered


def _points(coordinates: FloatArray) -> list[Point]:
    return [(x, y) for x, y in coordinates.tolist()]


def _keys(edges: FloatArray) -> set[Edge]:
    return {((a, b), (c, d)) for a, b, c, d in edges.tolist()}


def _segments(net: BaseGeometry) -> FloatArray:
    """Return the segments (m, 4) of lines."""
    points, line = shapely.get_coordinates(shapely.get_parts(net), return_index=True)
    line = np.asarray(line)
    return lower_end_first(np.hstack([points[:-1], points[1:]])[line[1:] == line[:-1]])


def _threads(edges: FloatArray) -> dict[Edge, list[Point]]:
    """Return each edge as its points: its two ends and, between them, the vertices of others that lie on it.

    Without these, an edge that ends on another would also be cut by it beside that end, 0.1 mm away.
    """
    threads = {edge: list(edge) for edge in _keys(edges)}
    vertices = np.unique(edges.reshape(-1, 2), axis=0)
    tree = shapely.STRtree(shapely.get_parts(lines_of(edges)))
    vertex, at = tree.query(shapely.points(vertices), predicate="dwithin", distance=_REACH)
    inner = ~(edges[at].reshape(-1, 2, 2) == vertices[vertex][:, None]).all(axis=2).any(axis=1)
    for k in np.unique(at[inner]):
        (edge,) = _keys(edges[k : k + 1])
        threads[edge] = [edge[0], *_between(*edge, vertices[vertex[inner & (at == k)]]), edge[1]]
    return threads


def _between(start: Point, stop: Point, vertices: FloatArray) -> list[Point]:
    """Return those of the vertices that an edge passes within a lattice cell, from its start to its stop."""
    along, away = np.subtract(stop, start), vertices - np.array(start)
    length = float(np.hypot(*along))
    forward = away @ along / length
    aside = np.abs(away[:, 0] * along[1] - away[:, 1] * along[0]) / length
    on = np.flatnonzero((aside < _REACH) & (forward > 0) & (forward < length))
    passed = _points(vertices[on[np.argsort(forward[on], kind="stable")]])
    return [point for point in passed if point not in (start, stop)]


def _bends(
    edges: set[Edge], threads: Mapping[Edge, list[Point]], segments: FloatArray
) -> dict[Edge, list[Point]]:
    """Return the inner vertices of each edge that is no longer one segment of the net."""
    there = _keys(segments)
    vertices = np.unique(segments.reshape(-1, 2), axis=0)
    bends = {}
    for edge in edges - there:
        path = [edge[0]]
        for a, b in itertools.pairwise(threads[edge]):
            path += [*_path(a, b, vertices, there), b]
        bends[edge] = path[1:-1]
    return bends


def _path(start: Point, stop: Point, vertices: FloatArray, segments: set[Edge]) -> list[Point]:
    """Return the vertices between two points of the net, each tied to the last by a segment."""
    if _edge(start, stop) in segments:
        return []
    left, path = _between(start, stop, vertices), [start]
    while left and _edge(path[-1], stop) not in segments:
        path.append(next((point for point in left if _edge(path[-1], point) in segments), left[0]))
        left.remove(path[-1])
    return path[1:]


def _edge(a: Point, b: Point) -> Edge:
    return (a, b) if a < b else (b, a)


def lines_of(edges: FloatArray) -> MultiLineString:
    """Return one line for each edge (m, 4)."""
    return cast(
        MultiLineString, shapely.multilinestrings(cast(Any, shapely.linestrings(edges.reshape(-1, 2, 2))))
    )

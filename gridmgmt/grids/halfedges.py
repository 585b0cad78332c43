"""Half-edges of a coverage: every polygon edge as seen from its own side, paired with the other side's.

In an exact coverage every edge inside it is two half-edges, one of each neighbour, with the same two ends in
opposite order. An edge without such a twin lies on the rim, along a gap, an overlap or a vertex that only one
side has; so the few unpaired edges hold all that can be wrong.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from gridmgmt.grids.assign import polygon_edges

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class HalfEdges:
    """Half-edges of n polygons: ends (m, 4) as x0, y0, x1, y1, owner (m,), twin (m,), -1 where unpaired.

    start (m,) numbers the distinct points at which half-edges begin.
    """

    ends: NDArray[np.float64]
    owner: IntArray
    twin: IntArray
    start: IntArray

    def unpaired_lines(self) -> tuple[NDArray[np.object_], IntArray]:
        """Return one multi-line of its unpaired half-edges for each polygon that has some, and its number."""
        rows = np.flatnonzero(self.twin < 0)
        lines = np.asarray(shapely.linestrings(self.ends[rows].reshape(-1, 2, 2)), dtype=object)
        owners, place = np.unique(self.owner[rows], return_inverse=True)
        order = np.argsort(place, kind="stable")
        grouped = shapely.multilinestrings(lines[order], indices=place[order])
        return np.asarray(grouped, dtype=object), owners


def pair(geometries: ArrayLike) -> HalfEdges:
    """Return the half-edges of polygons (n,), paired where two polygons share both ends exactly.

    Raises InputError when a geometry is neither Polygon nor MultiPolygon.
    """
    shapes = shapely.orient_polygons(np.asarray(geometries, dtype=object))
    ends, first = polygon_edges(shapes)
    owner = np.repeat(np.arange(len(shapes)), np.diff(first))
    start, stop = point_numbers(ends.reshape(-1, 2)).reshape(-1, 2).T
    return HalfEdges(ends, owner, _twins(start, stop, owner), start)


def point_numbers(points: NDArray[np.float64]) -> IntArray:
    """Return a number for each point (m, 2); equal numbers for exactly equal points."""
    order = np.lexsort((points[:, 1], points[:, 0]))
    there = points[order]
    new = np.r_[True, (there[1:] != there[:-1]).any(axis=1)][: len(points)]
    numbers = np.empty(len(points), np.int64)
    numbers[order] = np.cumsum(new) - 1
    return numbers


def _twins(start: IntArray, stop: IntArray, owner: IntArray) -> IntArray:
    """Return the twin of each half-edge: exactly one other with the ends swapped, of another polygon."""
    twin = np.full(len(start), -1, np.int64)
    if not len(start):
        return twin
    key = np.minimum(start, stop) * (max(start.max(), stop.max()) + 1) + np.maximum(start, stop)
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.r_[True, key[order][1:] != key[order][:-1]])
    pairs = first[np.diff(np.r_[first, len(order)]) == 2]
    a, b = order[pairs], order[pairs + 1]
    good = (start[a] == stop[b]) & (owner[a] != owner[b])
    twin[a[good]], twin[b[good]] = b[good], a[good]
    return twin

"""Which grids are neighbours."""

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from gridmgmt.grids import halfedges, measure

IntArray = NDArray[np.int64]

# Published boundaries of one line often differ by centimetres; two sides nearer than this are one line.
TOLERANCE_M = 1.0
# Sides that are not the same vertices make a common edge when they run along each other for this long.
COMMON_EDGE_M = 5.0


def contiguity(
    geometries: ArrayLike, rook: bool = False, tolerance: float = TOLERANCE_M
) -> tuple[IntArray, IntArray]:
    """Return all pairs of neighbours, each in both directions.

    Polygons are neighbours when they share a vertex (queen) or an edge (rook). Where a side of a polygon is
    not matched vertex by vertex by another one, as in published coverages that are not exact, sides within
    `tolerance` count as touching (rook: when they run along each other for 5 m).

    Parameters
    ----------
    geometries : array of Polygon or MultiPolygon in degrees, shape (n,)
    rook : bool
        Only neighbours along an edge.
    tolerance : float
        Metres; 0 for exact matches and touching lines only.

    Returns
    -------
    i, j : ndarray, int64
        Sorted by i, then j; never i == j, no pair twice.

    Raises
    ------
    InputError
        When a geometry is neither Polygon nor MultiPolygon.
    """
    shapes = np.asarray(geometries, dtype=object)
    edges = halfedges.pair(shapes)
    exact = _along_edges(edges) if rook else _at_vertices(edges)
    near = _near(edges, measure.middle_latitude(shapes), tolerance, rook)
    pairs = np.concatenate([exact, near])
    pairs = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _along_edges(edges: halfedges.HalfEdges) -> IntArray:
    twinned = edges.twin >= 0
    return np.column_stack([edges.owner[twinned], edges.owner[edges.twin[twinned]]])


def _at_vertices(edges: halfedges.HalfEdges) -> IntArray:
    """Return (k, 2) pairs of polygons with a common vertex; in a closed ring each vertex starts an edge."""
    at = np.unique(np.column_stack([edges.start, edges.owner]), axis=0)
    found = [np.empty((0, 2), np.int64)]
    step = 1
    while len(at) > step and (same := at[step:, 0] == at[:-step, 0]).any():
        found.append(np.column_stack([at[:-step, 1], at[step:, 1]])[same])
        step += 1
    return np.concatenate(found)


def _near(edges: halfedges.HalfEdges, lat0: float, tolerance: float, rook: bool) -> IntArray:
    """Return (k, 2) pairs of polygons whose unpaired sides come within the tolerance of each other."""
    lines, owners = edges.unpaired_lines()
    lines = measure.to_plane(lines, lat0)
    a, b = shapely.STRtree(lines).query(lines, predicate="dwithin", distance=tolerance)
    a, b = a[a < b], b[a < b]
    if rook and len(a):
        beside = shapely.length(
            shapely.intersection(lines[a], shapely.buffer(lines[b], max(tolerance, 1e-3)))
        )
        a, b = a[beside > COMMON_EDGE_M], b[beside > COMMON_EDGE_M]
    return np.column_stack([owners[a], owners[b]])

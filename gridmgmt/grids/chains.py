"""What is left of a coverage's edges when those that two polygons share cancel each other.

Give every polygon edge a direction, ground on its left. How many polygons cover a point is the number of
times all edges together wind around it; an edge and the same edge backwards wind around nothing, so both may
be taken away. In an exact coverage only its rim is left. Whatever is left besides holds every gap and every
overlap, and the winding around a face of it says which: 0 a gap, 2 or more an overlap. So a city of a hundred
thousand edges is checked by looking at those few.

The outlines of villages run backwards in a chain of each village: where nothing is left, the village is tiled
exactly; a face around which it winds once has too much ground, one of -1 too little.

Coordinates are whole steps of 1e-9 degrees (0.1 mm), so "the same edge" is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from gridmgmt.grids import measure
from gridmgmt.grids.halfedges import point_numbers

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Geometries = NDArray[np.object_]

STEPS_A_DEGREE = 1e9
METRES_A_STEP = 111_320e-9
# Vertices nearer than this are one vertex: no survey is that exact.
SNAP_M = 1e-3
# A face of less than this is rounding of coordinates, not ground.
NOISE_M2 = 1e-3


@dataclass(frozen=True, eq=False)
class Chain:
    """Directed edges: ends (m, 4) as x0, y0, x1, y1 in steps of the lattice; owner (m,) their polygons."""

    ends: IntArray
    owner: IntArray

    def __len__(self) -> int:
        return len(self.owner)


@dataclass(frozen=True, eq=False)
class Rest:
    """What is left of n polygons in m villages.

    city : edges that no other polygon has backwards
    villages : village number -> edges of its polygons and its outline (owner -1) that do not cancel
    area, perimeter : of each polygon (n,) in m² and m, rounded: to judge a form by, not to publish
    rings : how many rings each polygon (n,) has; more than one make pieces or holes
    """

    city: Chain
    villages: dict[int, Chain]
    area: FloatArray
    perimeter: FloatArray
    rings: IntArray


@dataclass(frozen=True, eq=False)
class Faces:
    """Patches of ground (k,) that a chain winds around `winding` times, with a point inside each."""

    shapes: Geometries
    winding: IntArray
    inside: FloatArray  # (k, 2)
    area_m2: FloatArray
    perimeter_m: FloatArray

    def __getitem__(self, chosen: NDArray[np.bool_]) -> "Faces":
        return Faces(
            self.shapes[chosen],
            self.winding[chosen],
            self.inside[chosen],
            self.area_m2[chosen],
            self.perimeter_m[chosen],
        )


def rest(shapes: Geometries, village: IntArray, outlines: Geometries) -> Rest:
    """Return the edges that do not cancel.

    Parameters
    ----------
    shapes : array of valid Polygon or MultiPolygon in degrees, none missing, shape (n,)
    village : ndarray, shape (n,)
        The number of each polygon's village, -1 for one whose outline is not known.
    outlines : array of valid Polygon or MultiPolygon, none missing, shape (m,)
    """
    n = len(shapes)
    if not n + len(outlines):
        none = np.empty(0)
        return Rest(
            Chain(np.empty((0, 4), np.int64), np.empty(0, np.int64)), {}, none, none, none.astype(np.int64)
        )
    points, rings, hole, of = _rings(np.concatenate([shapes, outlines]))
    middle = np.radians(points[:, 1].min() / 2 + points[:, 1].max() / 2)
    steps = np.rint(points * STEPS_A_DEGREE).astype(np.int64)
    area, perimeter, forward = _measured(steps, rings, hole, np.cos(middle) * METRES_A_STEP, METRES_A_STEP)
    outline = of >= n
    layer = np.concatenate([village, np.arange(len(outlines))]).astype(np.int64)[of]
    city, own = _cancel(steps, rings, forward ^ outline, layer, outline)
    ring = np.repeat(np.arange(len(of)), np.diff(rings))
    owner = np.where(outline, -1, of)
    left = np.flatnonzero(own)
    number = layer[ring[left]]
    chains = {
        int(k): _chain(left[number == k], steps, ring, forward ^ outline, owner) for k in np.unique(number)
    }
    size, around = np.zeros(n + len(outlines)), np.zeros(n + len(outlines))
    np.add.at(size, of, area)
    np.add.at(around, of, perimeter)
    whole = _chain(np.flatnonzero(city), steps, ring, forward ^ outline, owner)
    return Rest(whole, chains, size[:n], around[:n], np.bincount(of, minlength=n)[:n])


def _rings(shapes: Geometries) -> tuple[FloatArray, IntArray, NDArray[np.bool_], IntArray]:
    """Return points (p, 2), where each ring begins (r + 1,), which rings are holes, and the shape of each."""
    points, of = shapely.get_coordinates(shapes, return_index=True)
    first = np.searchsorted(of, np.arange(len(shapes) + 1))
    # A ring ends where it comes back to its first point. Most shapes have no other ring, and to take those
    # that have some apart costs more than all the rest of the check.
    plain = _is_one_ring(points, first)
    several = np.flatnonzero(~plain & (np.diff(first) > 0))
    one = np.flatnonzero(plain)
    taken, rings, hole, owner = _taken_apart(shapes[several])
    if len(several):
        points = np.concatenate([points[plain[of]], taken])
    ends = np.cumsum(np.concatenate([np.diff(first)[one], np.diff(rings)]))
    return points, np.r_[0, ends], np.r_[np.zeros(len(one), bool), hole], np.r_[one, several[owner]]


@njit(cache=True, nogil=True)
def _is_one_ring(points, first):  # type: ignore[no-untyped-def]
    plain = np.zeros(len(first) - 1, np.bool_)
    for shape in range(len(first) - 1):
        a, b = first[shape], first[shape + 1]
        k = a + 1
        while k < b and (points[k, 0] != points[a, 0] or points[k, 1] != points[a, 1]):
            k += 1
        plain[shape] = b > a and k == b - 1
    return plain


def _taken_apart(shapes: Geometries) -> tuple[FloatArray, IntArray, NDArray[np.bool_], IntArray]:
    if not len(shapes):
        none = np.empty(0, np.int64)
        return np.empty((0, 2)), np.zeros(1, np.int64), none.astype(bool), none
    kind, points, offsets = shapely.to_ragged_array(shapes, include_z=False)
    rings, polygons = offsets[0].astype(np.int64), offsets[1].astype(np.int64)
    parts = offsets[2] if kind == shapely.GeometryType.MULTIPOLYGON else np.arange(len(shapes) + 1)
    hole = np.ones(len(rings) - 1, bool)
    hole[polygons[:-1][np.diff(polygons) > 0]] = False
    of = np.repeat(np.repeat(np.arange(len(shapes)), np.diff(parts)), np.diff(polygons))
    return points, rings, hole, of


def _chain(
    edges: IntArray, steps: IntArray, ring: IntArray, forward: NDArray[np.bool_], owner: IntArray
) -> Chain:
    a, b = steps[edges], steps[edges + 1]
    ahead = forward[ring[edges]][:, None]
    return Chain(np.hstack([np.where(ahead, a, b), np.where(ahead, b, a)]), owner[ring[edges]])


@njit(cache=True, nogil=True)
def _measured(steps, rings, hole, width, height):  # type: ignore[no-untyped-def]
    """Return area (holes less) and length of each ring in metres, and whether its ground is on the left."""
    count = len(rings) - 1
    area, perimeter, forward = np.zeros(count), np.zeros(count), np.zeros(count, np.bool_)
    for r in range(count):
        first = rings[r]
        for k in range(first, rings[r + 1] - 1):
            x0, y0 = float(steps[k, 0] - steps[first, 0]), float(steps[k, 1] - steps[first, 1])
            x1, y1 = float(steps[k + 1, 0] - steps[first, 0]), float(steps[k + 1, 1] - steps[first, 1])
            area[r] += x0 * y1 - x1 * y0
            perimeter[r] += np.sqrt(((x1 - x0) * width) ** 2 + ((y1 - y0) * height) ** 2)
        forward[r] = (area[r] > 0) != hole[r]
        area[r] = abs(area[r]) * width * height * (-0.5 if hole[r] else 0.5)
    return area, perimeter, forward


@njit(cache=True, nogil=True)
def _cancel(steps, rings, forward, layer, outline):  # type: ignore[no-untyped-def]
    """Return which edges (by their first point) are left in the city, and which in their village.

    Edges with the same two ends stand in one list under their hash; each that comes takes away the first it
    finds that runs the other way.
    """
    count = len(steps)
    size = 16
    while size < 2 * count:
        size *= 2
    head, following = np.full(size, -1, np.int32), np.full(count, -1, np.int32)
    city, own, up = np.zeros(count, np.bool_), np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    low, village = np.empty(count, np.int32), np.full(count, -1, np.int64)
    for r in range(len(rings) - 1):
        for k in range(rings[r], rings[r + 1] - 1):
            x0, y0, x1, y1 = steps[k, 0], steps[k, 1], steps[k + 1, 0], steps[k + 1, 1]
            if x0 == x1 and y0 == y1:
                continue
            rising = x0 < x1 or (x0 == x1 and y0 < y1)
            if not rising:
                x0, y0, x1, y1 = x1, y1, x0, y0
            low[k] = k if rising else k + 1
            up[k], village[k] = rising == forward[r], layer[r]
            city[k], own[k] = not outline[r], layer[r] >= 0
            mixed = x0 * 0x1E3779B97F4A7C15 + y0 * 0x42B2AE3D27D4EB4F + x1 * 0x165667B19E3779F9
            mixed += y1 * 0x27D4EB2F165667C5
            slot = ((mixed ^ (mixed >> 29)) * 0x3F58476D1CE4E5B9 >> 32) & (size - 1)
            while head[slot] >= 0:
                first = head[slot]
                a = low[first]
                b = 2 * first + 1 - a
                if steps[a, 0] == x0 and steps[a, 1] == y0 and steps[b, 0] == x1 and steps[b, 1] == y1:
                    break
                slot = (slot + 1) & (size - 1)
            other = head[slot]
            while other >= 0 and (city[k] or own[k]):
                if up[other] != up[k]:
                    if city[k] and city[other]:
                        city[k] = city[other] = False
                    if own[k] and own[other] and village[k] == village[other]:
                        own[k] = own[other] = False
                other = following[other]
            following[k] = head[slot]
            head[slot] = k
    return city, own


def joined(chain: Chain, tolerance_m: float = SNAP_M) -> Chain:
    """Return a chain whose vertices within the tolerance of each other, or of an edge, are one; cancelled
    again."""
    of = np.arange(len(chain))
    points, number = np.unique(chain.ends.reshape(-1, 2), axis=0, return_inverse=True)
    number = nearest_first(points, tolerance_m)[number.reshape(-1)].reshape(-1, 2)
    plane = _plane(points)
    alive = number[:, 0] != number[:, 1]
    number, of = number[alive], of[alive]
    number, of = _through_near_vertices(plane, number, of, tolerance_m)
    kept = _uncancelled(number)
    return Chain(points[number[kept]].reshape(-1, 4), chain.owner[of[kept]])


def nearest_first(points: IntArray, tolerance_m: float) -> IntArray:
    """Return for each point (m, 2), in steps, the number of the first one of those that are nearly one."""
    pairs = cKDTree(_plane(points)).query_pairs(tolerance_m, output_type="ndarray")
    group = components(len(points), pairs[:, 0], pairs[:, 1])
    _, first = np.unique(group, return_index=True)
    chosen: IntArray = first[group]
    return chosen


def components(count: int, a: IntArray, b: IntArray) -> IntArray:
    """Return the number of the connected group that each of `count` things linked by pairs (k,) is in."""
    links = coo_array((np.ones(len(a), bool), (a, b)), shape=(count, count))
    found: IntArray = connected_components(links, directed=False)[1].astype(np.int64)
    return found


def _plane(points: IntArray) -> FloatArray:
    """Return points in steps as metres, right in lengths near their middle."""
    east = np.cos(np.radians(points[:, 1].mean() / STEPS_A_DEGREE))
    metres: FloatArray = (points - points.min(axis=0)) * np.array([east, 1.0]) * METRES_A_STEP
    return metres


def _through_near_vertices(
    plane: FloatArray, number: IntArray, of: IntArray, tolerance: float
) -> tuple[IntArray, IntArray]:
    """Return edges (m, 2) led through the vertices that lie within the tolerance of them."""
    lines: Geometries = np.asarray(shapely.linestrings(plane[number]), dtype=object)
    used = np.unique(number)
    edge, vertex = shapely.STRtree(np.asarray(shapely.points(plane[used]), dtype=object)).query(
        lines, predicate="dwithin", distance=tolerance
    )
    vertex = used[vertex]
    inner = (vertex != number[edge, 0]) & (vertex != number[edge, 1])
    edge, vertex = edge[inner], vertex[inner]
    along = shapely.line_locate_point(lines[edge], shapely.points(plane[vertex]))
    whole = np.arange(len(number))
    at = np.concatenate([whole, edge, whole])
    place = np.concatenate([np.full(len(whole), -1.0), along, np.full(len(whole), np.inf)])
    stop = np.concatenate([number[:, 0], vertex, number[:, 1]])
    order = np.lexsort((place, at))
    at, stop = at[order], stop[order]
    same = at[1:] == at[:-1]
    return np.column_stack([stop[:-1], stop[1:]])[same], of[at[:-1][same]]


def _uncancelled(number: IntArray) -> IntArray:
    """Return which edges (m, 2) are left when each has taken away one that runs the other way."""
    up = number[:, 0] < number[:, 1]
    _, group = np.unique(np.sort(number, axis=1), axis=0, return_inverse=True)
    group = group.reshape(-1)
    order = np.lexsort((up, group))
    key = 2 * group[order] + up[order]
    first = np.r_[True, key[1:] != key[:-1]]
    place = np.arange(len(key))
    rank = place - np.maximum.accumulate(np.where(first, place, 0))
    counts = np.bincount(2 * group + up, minlength=2 * (group.max(initial=-1) + 1))
    return np.sort(order[rank >= counts[key ^ 1]])


def is_rim(chain: Chain) -> bool:
    """Say whether a chain is nothing but outer rims, apart from each other: no gap and no overlap inside."""
    if not len(chain):
        return True
    number = point_numbers(chain.ends.reshape(-1, 2).astype(np.float64))  # whole numbers stay exact
    start, stop = number.reshape(-1, 2).T.copy()
    following = np.full(number.max() + 1, -1)
    following[start] = np.arange(len(start))
    # One edge out of each vertex and one in: the rings are then found by walking.
    if len(np.unique(start)) < len(start) or len(np.unique(stop)) < len(stop):
        return False
    order, ring = _walk(start, stop, following)
    points = chain.ends[order, :2] / STEPS_A_DEGREE
    if (np.bincount(ring) < 3).any():
        return False
    rims = np.asarray(shapely.polygons(shapely.linearrings(points, indices=ring)), dtype=object)
    if not (shapely.is_ccw(shapely.get_exterior_ring(rims)).all() and shapely.is_valid(rims).all()):
        return False
    return len(rims) == 1 or len(shapely.STRtree(rims).query(rims, "intersects")[0]) == len(rims)


def is_exact(chain: Chain) -> bool:
    """Say whether a chain is nothing but rims, though they may touch themselves, as where two grids at the
    rim meet in a corner only: no gap, no overlap, and no vertex inside that only one side has."""
    if is_rim(chain):
        return True
    lines = shapely.linestrings((chain.ends / STEPS_A_DEGREE).reshape(-1, 2, 2))
    run, drawn = float(np.sum(shapely.length(lines))), float(shapely.length(shapely.union_all(lines)))
    # Where one side has a vertex that the other lacks, both run along the same line.
    twice = run - drawn > 0.5 / STEPS_A_DEGREE
    return not twice and bool((faces(chain, noise=True).winding == 1).all())


def peeled(chain: Chain) -> tuple[Chain, Chain]:
    """Return a chain without its outermost rim, and that rim; the rim is empty where anything touches it.

    Faults inside a city are then looked at without the thousands of edges around it.
    """
    number = point_numbers(chain.ends.reshape(-1, 2).astype(np.float64)).reshape(-1, 2)
    group = components(number.max() + 1, number[:, 0], number[:, 1])[number[:, 0]]
    low, high = np.full(group.max() + 1, np.inf), np.full(group.max() + 1, -np.inf)
    np.minimum.at(low, group, chain.ends[:, 0])
    np.maximum.at(high, group, chain.ends[:, 0])
    outer = group == np.argmax(high - low)
    rim, inner = (Chain(chain.ends[rows], chain.owner[rows]) for rows in (outer, ~outer))
    if not len(inner) or not is_rim(rim):
        return chain, Chain(chain.ends[:0], chain.owner[:0])
    one, other = (np.asarray(shapely.linestrings(c.ends.reshape(-1, 2, 2)), object) for c in (rim, inner))
    if len(shapely.STRtree(one).query(other, "dwithin", distance=SNAP_M / METRES_A_STEP)[0]):
        return chain, Chain(chain.ends[:0], chain.owner[:0])
    return inner, rim


@njit(cache=True, nogil=True)
def _walk(start, stop, following):  # type: ignore[no-untyped-def]
    """Return the edges in order along their rings, and the ring of each."""
    order, ring = np.empty(len(start), np.int64), np.empty(len(start), np.int64)
    seen = np.zeros(len(start), np.bool_)
    place = rings = 0
    for first in range(len(start)):
        if seen[first]:
            continue
        edge = first
        while edge >= 0 and not seen[edge]:
            seen[edge] = True
            order[place], ring[place] = edge, rings
            place += 1
            edge = following[stop[edge]]
        rings += 1
    return order, ring


def faces(chain: Chain, rim: Chain | None = None, noise: bool = False) -> Faces:
    """Return the faces that a chain encloses, with how often it winds around each.

    A `rim` taken off it (see `peeled`) winds with it. Without `noise`, faces of next to no ground are
    left out.
    """
    ends = chain.ends / STEPS_A_DEGREE
    lines = shapely.union_all(shapely.linestrings(ends.reshape(-1, 2, 2)))
    found = measured(shapely.get_parts(shapely.polygonize(shapely.get_parts(lines))), noise)
    around = ends if rim is None else np.vstack([ends, rim.ends / STEPS_A_DEGREE])
    return replace(found, winding=_winding(around, found.inside))


def measured(shapes: Geometries, noise: bool = False) -> Faces:
    """Return polygons as faces, their winding 1; without `noise` those of next to no ground are left out."""
    plane = measure.to_plane(shapes, measure.middle_latitude(shapes))
    area, perimeter = shapely.area(plane), shapely.length(plane)
    # A face thinner than what is snapped is not ground, however long.
    real = noise | ((area > NOISE_M2) & (2 * area > SNAP_M * perimeter))
    shapes = shapes[real]
    inside = shapely.get_coordinates(shapely.point_on_surface(shapes))
    return Faces(shapes, np.ones(len(shapes), np.int64), inside, area[real], perimeter[real])


@njit(cache=True, nogil=True)
def _winding(ends, points):  # type: ignore[no-untyped-def]
    """Return how often directed edges (m, 4) wind around each point (k, 2)."""
    found = np.zeros(len(points), np.int64)
    for p in range(len(points)):
        x, y = points[p]
        for e in range(len(ends)):
            x0, y0, x1, y1 = ends[e]
            if (y0 <= y) == (y1 <= y):
                continue
            # The crossing of the ray to the east counts up when the edge rises.
            side = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
            if y0 <= y and side > 0:
                found[p] += 1
            elif y1 <= y and side < 0:
                found[p] -= 1
    return found


def longest_beside(shapes: Geometries, chain: Chain) -> list[Sequence[int]]:
    """Return for each face the owners (but -1) of the chain's edges along it, longest common edge first."""
    segments = np.asarray(shapely.linestrings((chain.ends / STEPS_A_DEGREE).reshape(-1, 2, 2)), dtype=object)
    rims = shapely.boundary(shapes)
    face, edge = shapely.STRtree(segments).query(rims, predicate="intersects")
    owner = chain.owner[edge]
    face, edge, owner = face[owner >= 0], edge[owner >= 0], owner[owner >= 0]
    # Noding moves an edge by rounding: what runs along it within a step of the lattice is on it.
    along = shapely.intersection(segments[edge], shapely.buffer(rims[face], 2 / STEPS_A_DEGREE))
    beside = np.asarray(shapely.length(along))
    found: list[Sequence[int]] = []
    for k in range(len(shapes)):
        here = face == k
        owners, place = np.unique(owner[here], return_inverse=True)
        total = np.bincount(place, beside[here], len(owners))
        found.append(owners[np.argsort(-total, kind="stable")].tolist())
    return found

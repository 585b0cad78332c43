"""Rules that the shapes of grids must keep, as small pure checks; each returns breaches with their place.

Used by the importer, and by plans when they are drawn.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from gridmgmt.grids import halfedges, measure

Geometries = NDArray[np.object_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Less than this is rounding of coordinates, not ground.
NOISE_M2 = 1e-3


class BreachKind(StrEnum):
    EMPTY = "empty"
    SELF_CROSSING = "self_crossing"
    INVALID = "invalid"
    OVERLAP = "overlap"
    OUTSIDE = "outside"
    ACROSS = "across"
    GAP = "gap"


@dataclass(frozen=True)
class Breach:
    """One broken rule and where.

    `grid` and `other` are the names given by the caller (`other`: the grid overlapped, the village reached
    into); `lon`, `lat` a point inside the place, in degrees. A `sliver` is too small or thin to hold a house:
    a warning, not an error. `note` says what the geometry library says.
    """

    kind: BreachKind
    grid: str
    other: str | None
    area_m2: float
    lon: float
    lat: float
    sliver: bool = False
    note: str = ""


@dataclass(frozen=True)
class Limits:
    """What is only a sliver: at most `area_m2`; or on average thinner than `width_m` (2 x area / perimeter)
    and at most `share` of the smaller of the two shapes.

    Neighbouring polygons of publishers overlap a little: at most 5.3 m² among the 88 neighbourhoods of St.
    Louis, nothing among its 203 map cells and the 2,055 generalised areas of Greater Manchester.
    """

    area_m2: float = 10.0
    width_m: float = 1.0
    share: float = 0.01

    def sliver(self, area: FloatArray, perimeter: FloatArray, smaller: FloatArray) -> NDArray[np.bool_]:
        thin = 2 * area <= self.width_m * perimeter
        return (area <= self.area_m2) | (thin & (area <= self.share * smaller))


LIMITS = Limits()


@dataclass(frozen=True)
class Patches:
    """Patches of ground where shape `i` meets shape `j`: arrays of one length, largest area first."""

    i: IntArray
    j: IntArray
    area_m2: FloatArray
    sliver: NDArray[np.bool_]
    lon: FloatArray
    lat: FloatArray

    def __len__(self) -> int:
        return len(self.i)


def check_shape(name: str, geometry: BaseGeometry | None) -> Breach | None:
    """Return what is wrong with a shape, empty or no valid polygon, and where; None when it is right."""
    if geometry is None or geometry.is_empty:
        return Breach(BreachKind.EMPTY, name, None, 0.0, np.nan, np.nan)
    reason = shapely.is_valid_reason(geometry)
    if reason == "Valid Geometry":
        return None
    kind = BreachKind.SELF_CROSSING if "elf-intersection" in reason else BreachKind.INVALID
    place = re.search(r"\[(\S+) (\S+)\]", reason)
    lon, lat = (float(place[1]), float(place[2])) if place else (np.nan, np.nan)
    return Breach(kind, name, None, 0.0, lon, lat, note=reason.split("[")[0].strip())


def overlap_patches(
    geometries: Geometries, periods: NDArray[np.datetime64] | None = None, limits: Limits = LIMITS
) -> Patches:
    """Return where two valid shapes (n,) cover the same ground on the same day, each pair once with i < j.

    Parameters
    ----------
    geometries : array of valid Polygon or MultiPolygon in degrees, shape (n,)
    periods : ndarray of datetime64[D], shape (n, 2), optional
        First day in force and first day no longer in force; NaT for no end. All at once when absent.
    """
    i, j = shapely.STRtree(geometries).query(geometries, predicate="intersects")
    i, j = i[i < j], j[i < j]
    if periods is not None:
        end = np.where(np.isnat(periods[:, 1]), np.datetime64("9999-12-31"), periods[:, 1])
        together = (periods[i, 0] < end[j]) & (periods[j, 0] < end[i])
        i, j = i[together], j[together]
    smaller = np.minimum(*(measure.area_m2(geometries)[k] for k in (i, j)))
    return _patches(i, j, shapely.intersection(geometries[i], geometries[j]), smaller, limits)


def overlaps(names: Sequence[str], geometries: Geometries, limits: Limits = LIMITS) -> list[Breach]:
    """Return a breach for each pair of shapes (n,) that cover the same ground, the largest first."""
    found = overlap_patches(geometries, limits=limits)
    return [
        Breach(BreachKind.OVERLAP, names[i], names[j], area, lon, lat, sliver)
        for i, j, area, sliver, lon, lat in _rows(found)
    ]


def village_breaches(
    names: Sequence[str],
    geometries: Geometries,
    villages: Sequence[str],
    village_codes: Sequence[str],
    village_geometries: Geometries,
    limits: Limits = LIMITS,
) -> list[Breach]:
    """Return a breach for each grid that leaves its village.

    Parameters
    ----------
    names, geometries, villages : sequences, shape (n,)
        The grids and the village code of each.
    village_codes, village_geometries : sequences, shape (m,)
        Villages; those with geometry None are not checked.

    Returns
    -------
    list of Breach
        ACROSS with the village it reaches into most, or OUTSIDE where the rest is no village's ground.
    """
    drawn = np.flatnonzero(~shapely.is_missing(village_geometries)).tolist()
    place = {village_codes[k]: k for k in drawn}
    own = np.array([place.get(code, -1) for code in villages], np.int64)
    known = np.flatnonzero(own >= 0)
    # Covered is the usual case and much cheaper to tell than the difference.
    known = known[~shapely.covers(village_geometries[own[known]], geometries[known])]
    rest = shapely.difference(geometries[known], village_geometries[own[known]])
    found = _patches(known, known, rest, measure.area_m2(geometries[known]), limits)
    where = dict(zip(known.tolist(), rest, strict=True))
    breaches = []
    for i, _, area, sliver, lon, lat in _rows(found):
        other = most_covering(where[i], village_geometries)
        kind = BreachKind.OUTSIDE if other < 0 else BreachKind.ACROSS
        reached = village_codes[other] if other >= 0 else None
        breaches.append(Breach(kind, names[i], reached, area, lon, lat, sliver))
    return breaches


def most_covering(geometry: BaseGeometry, areas: Geometries) -> int:
    """Return the index of the area that covers most of a shape, -1 when none covers any."""
    near = np.flatnonzero(shapely.intersects(areas, geometry))
    shared = shapely.area(shapely.intersection(areas[near], geometry))
    return int(near[np.argmax(shared)]) if len(near) and shared.max() > 0 else -1


def gaps(
    geometries: Geometries, outline: BaseGeometry | None = None, limits: Limits = LIMITS
) -> list[Breach]:
    """Return the ground that no shape covers, the largest first.

    With an `outline` (the village): what of it is left over. Without: what the shapes enclose, found from the
    edges that lack a twin; land open to the rim is not seen then.
    """
    if outline is not None:
        union = shapely.union_all(geometries)
        if shapely.covers(union, outline):  # the usual case, and much cheaper to tell than the difference
            return []
        empty = shapely.get_parts(shapely.difference(outline, union))
    else:
        empty = _enclosed(geometries)
    none = np.zeros(len(empty), np.int64)
    found = _patches(none, none, empty, measure.area_m2(empty), limits)
    return [
        Breach(BreachKind.GAP, "", None, area, lon, lat, sliver)
        for _, _, area, sliver, lon, lat in _rows(found)
    ]


def _enclosed(geometries: Geometries) -> Geometries:
    lines, _ = halfedges.pair(geometries).unpaired_lines()
    faces = shapely.get_parts(shapely.polygonize([shapely.node(shapely.union_all(lines))]))
    inner = shapely.point_on_surface(faces)
    covered, _ = shapely.STRtree(geometries).query(inner, predicate="intersects")
    return np.delete(faces, np.unique(covered))


def _patches(i: IntArray, j: IntArray, shared: Geometries, smaller: FloatArray, limits: Limits) -> Patches:
    plane = measure.to_plane(shared, measure.middle_latitude(shared))
    area = shapely.area(plane)
    keep = np.flatnonzero(area > NOISE_M2)
    keep = keep[np.argsort(-area[keep], kind="stable")]
    sliver = limits.sliver(area[keep], shapely.length(plane[keep]), smaller[keep])
    inside = shapely.point_on_surface(shared[keep])
    return Patches(i[keep], j[keep], area[keep], sliver, shapely.get_x(inside), shapely.get_y(inside))


def _rows(found: Patches) -> list[tuple[int, int, float, bool, float, float]]:
    columns = found.i, found.j, found.area_m2, found.sliver, found.lon, found.lat
    return list(zip(*(column.tolist() for column in columns), strict=True))

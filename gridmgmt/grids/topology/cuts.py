"""Cutting a face in two or more by a drawn line."""

from collections.abc import Callable, Sequence

import numpy as np
import shapely
from shapely.geometry import LineString, MultiPolygon
from shapely.geometry.base import BaseGeometry

from gridmgmt.errors import InputError
from gridmgmt.grids import measure
from gridmgmt.grids.topology.noding import edges_of, fitted, node
from gridmgmt.grids.topology.shapes import (
    HOUSE_M2,
    Change,
    Coverage,
    FloatArray,
    Geometries,
    area_m2,
    distance_m,
    joined,
    metres,
)

# A line that ends this near to the boundary, inside the face, is drawn on to it: the larger of the two.
REACH_M = 1.0
REACH_SHARE = 0.005  # of the face's size, the side of a square of its area


def split(coverage: Coverage, key: str, line: LineString, new_keys: Callable[[], str]) -> Change:
    """Return the change that cuts a face along a line into parts with new keys, given from west to east.

    Parameters
    ----------
    line : LineString in degrees
        From boundary to boundary. It may overshoot and cross the face several times; an end inside the face,
        at most 1 m or 0.5 % of its size from the boundary, is drawn on to it.

    Raises
    ------
    InputError
        When the line does not cut the face, or a part were too small for a house (10 m²).
    """
    face = coverage.face(key)
    drawn = fitted(_drawn_out(checked_line(line), face), [face])
    net = node(edges_of([face]), [drawn])
    parts = _whole(net.pieces[net.within(net.bend(face))], face)
    if len(parts) < 2:
        raise InputError("分割线", _why_not(drawn, face), "从网格的一边画到另一边")
    smallest = measure.area_m2(parts).min()
    if smallest < HOUSE_M2:
        raise InputError("分割线", f"分出的一块只有 {smallest:.1f} 平方米", f"每块至少 {HOUSE_M2:.0f} 平方米")
    return divided(coverage, key, list(parts), net.bent(neighbours(coverage, key)), new_keys)


def divided(
    coverage: Coverage,
    key: str,
    parts: Sequence[BaseGeometry],
    bent: dict[str, MultiPolygon],
    new_keys: Callable[[], str],
) -> Change:
    """Return the change of a face into parts, from west to east, and of its neighbours into `bent`."""
    after: dict[str, MultiPolygon | None] = {**bent, key: None}
    for part in sorted(parts, key=lambda part: (part.centroid.x, -part.centroid.y)):
        new_key = coverage.unused(new_keys())
        if new_key in after:
            raise InputError("新网格", new_key, "每块一个新编号")
        after[new_key] = joined(shapely.get_parts(part))
    return coverage.change(after)


def neighbours(coverage: Coverage, *keys: str) -> dict[str, MultiPolygon]:
    """Return the faces whose box meets that of the faces of `keys`, without these."""
    near = coverage.near(*(coverage.face(key) for key in keys))
    return {key: face for key, face in near.items() if key not in keys}


def checked_line(line: LineString) -> LineString:
    """Return a line; raises InputError when it is none, or has no length."""
    if (
        line.geom_type != "LineString"
        or line.is_empty
        or not np.isfinite(shapely.get_coordinates(line)).all()
    ):
        raise InputError("线", line.geom_type, "至少两个点的折线")
    if line.length == 0:
        raise InputError("线", "两个点在同一处", "至少两个不同的点")
    return line


def _drawn_out(line: LineString, face: MultiPolygon) -> LineString:
    """Return the line with each end that lies a little inside the face drawn on to its boundary."""
    reach = max(REACH_M, REACH_SHARE * float(np.sqrt(area_m2(face))))
    points: FloatArray = shapely.get_coordinates(line)
    ends = measure.as_array([shapely.Point(points[0]), shapely.Point(points[-1])])
    ways = shapely.shortest_line(ends, face.boundary)
    near = shapely.contains_properly(face, ends) & np.array([metres(way) <= reach for way in ways])
    extra = [
        shapely.get_coordinates(way)[1:] if take else points[:0] for way, take in zip(ways, near, strict=True)
    ]
    return shapely.remove_repeated_points(LineString(np.vstack([extra[0], points, extra[1]])))


def _whole(pieces: Geometries, face: MultiPolygon) -> Geometries:
    """Return the pieces of a face; a part of it that the line left whole goes with the piece next to it."""
    parts = shapely.get_parts(face)
    part_of = np.argmax(shapely.intersects(parts[:, None], shapely.point_on_surface(pieces)), axis=0)
    cut = np.bincount(part_of, minlength=len(parts))[part_of] > 1
    if len(parts) == 1 or not cut.any():
        return pieces if cut.any() else pieces[:1]
    groups: list[list[BaseGeometry]] = [[piece] for piece in pieces[cut]]
    for piece in pieces[~cut]:
        groups[int(np.argmin(shapely.distance(pieces[cut], piece)))].append(piece)
    return measure.as_array([joined(group) for group in groups])


def _why_not(line: LineString, face: MultiPolygon) -> str:
    """Return in words why a line does not cut a face."""
    if not line.intersects(face):
        return "线不在网格内"
    ends = [shapely.Point(line.coords[k]) for k in (0, -1)]
    short = max(distance_m(end, face.boundary) if face.contains(end) else 0.0 for end in ends)
    return f"线的一端离边界还有 {short:.1f} 米" if short > 0.1 else "线没有把网格分开"

"""Drawing the border between two faces anew."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import shapely
from shapely import ops
from shapely.geometry import LineString, MultiLineString, MultiPolygon, Point, Polygon

from gridmgmt.errors import InputError
from gridmgmt.grids import halfedges, measure
from gridmgmt.grids.topology.cuts import checked_line, neighbours
from gridmgmt.grids.topology.noding import Net, fitted, lines_of, lower_end_first, node
from gridmgmt.grids.topology.shapes import (
    LATTICE,
    NEAR,
    Change,
    Coverage,
    FloatArray,
    Geometries,
    area_m2,
    distance_m,
    joined,
    metres,
    on_lattice,
    refuse_falling_apart,
    without_crumbs,
)

# From this far an end of the drawn line is drawn on to the shared line: the larger of the two.
REACH_M = 1.0
REACH_SHARE = 0.05  # of the side of a square of the area of both faces
RIM_SHARE = 0.1  # of that, to the rim, for a line that crosses the shared line


@dataclass(frozen=True)
class _Two:
    """Two faces, the lines they share, and the rim of both together: edges (m, 4)."""

    faces: tuple[MultiPolygon, MultiPolygon]
    shared: Geometries
    rim: FloatArray

    @property
    def reach_m(self) -> float:
        return max(REACH_M, REACH_SHARE * float(np.sqrt(sum(area_m2(face) for face in self.faces))))

    @property
    def rim_line(self) -> MultiLineString:
        return lines_of(self.rim)

    def inside(self, point: Point) -> bool:
        return self.rim_line.distance(point) > NEAR and any(face.intersects(point) for face in self.faces)


@dataclass(frozen=True)
class _End:
    """Where an end of the drawn line meets what is there: a point on the border, or on the rim."""

    point: Point
    on_border: bool


def move_edge(coverage: Coverage, keys: tuple[str, str], line: LineString) -> Change:
    """Return the change of two neighbours whose border runs along a drawn line from now on.

    The line replaces the shared line between its two ends. An end on or near the shared line is put on it;
    one on the rim of the two faces, or beyond it, replaces the shared line as far as the junction nearer to
    it. Of several shared lines the one nearest to the ends is meant. What is cut off goes to the other face.
    Other faces keep their ground: a line that runs into one counts only inside the two.

    Raises
    ------
    InputError
        When the faces share no line, an end lies far from it (over 5 % of the size of both), nothing would
        change, or a face would vanish or fall apart.
    """
    two = _two(coverage, keys)
    drawn = fitted(checked_line(line), two.faces)
    border = min(two.shared, key=lambda one: sum(one.distance(end) for end in _ends(drawn)))
    others = [one for one in two.shared if one is not border]
    net = node(two.rim, [*others, *_redrawn(two, border, drawn)])
    after = {**net.bent(neighbours(coverage, *keys)), **_dealt(net, two, keys)}
    change = coverage.change(after)
    if not any(key in change.after for key in keys):
        raise InputError("新边界", "与原来相同", "与原边界不同的线")
    return change


def _two(coverage: Coverage, keys: tuple[str, str]) -> _Two:
    if len(keys) != 2 or keys[0] == keys[1]:
        raise InputError("网格", "、".join(keys), "两个相邻的网格")
    faces = coverage.face(keys[0]), coverage.face(keys[1])
    edges = halfedges.pair(measure.as_array(faces))
    common = edges.ends[(edges.twin >= 0) & (edges.owner == 0)]
    if not len(common):
        raise InputError("网格", "、".join(keys), "有公共边的两个网格")
    lines = lines_of(common)
    return _Two(
        faces, shapely.get_parts(shapely.line_merge(lines)), lower_end_first(edges.ends[edges.twin < 0])
    )


def _ends(line: LineString) -> tuple[Point, Point]:
    return Point(line.coords[0]), Point(line.coords[-1])


def _redrawn(two: _Two, border: LineString, drawn: LineString) -> list[LineString]:
    """Return the new border: the drawn line between its two ends, and what stays of the old one."""
    first, last = _end(two, border, drawn), _end(two, border, drawn.reverse())
    fresh = on_lattice(LineString([*first.point.coords, *_between(drawn, first, last), *last.point.coords]))
    if not first.on_border and not last.on_border:
        return [fresh]
    if border.is_ring:
        return [fresh, *_kept_of_ring(border, first, last, fresh)]
    low, high = sorted(_along(border, one, other) for one, other in ((first, last), (last, first)))
    kept = _stretch(border, 0, low), _stretch(border, high, border.length)
    return [fresh, *(on_lattice(one) for one in kept if one.length > 0)]


def _end(two: _Two, border: LineString, drawn: LineString) -> _End:
    """Return where the first end of a line meets the border or the rim."""
    end, reach = Point(drawn.coords[0]), two.reach_m
    if border.distance(end) < NEAR:
        return _End(_nearest(border, end), True)
    if not two.inside(end):
        return _End(end, False)
    contact = _first_contact(drawn, border)
    if contact is not None and metres(_stretch(drawn, 0, drawn.line_locate_point(contact))) <= reach:
        return _End(contact, True)
    # A line that crosses the border further on has a tail here, unless the tail all but ends on the rim.
    reaches = reach, reach if contact is None else reach * RIM_SHARE
    targets = border, two.rim_line
    away = [distance_m(end, target) for target in targets]
    for k in np.argsort(away):
        if away[k] <= reaches[k]:
            return _End(_nearest(targets[k], end), bool(k == 0))
    if contact is not None:
        return _End(contact, True)
    raise InputError("新边界", f"一端离两格的公共边还有 {away[0]:.0f} 米", "从公共边画起，画到公共边为止")


def _first_contact(drawn: LineString, border: LineString) -> Point | None:
    """Return the point where a line first meets the border, None when it does not."""
    met = [Point(at) for at in shapely.get_coordinates(drawn.intersection(border))]
    return min(met, key=drawn.line_locate_point, default=None)


def _stretch(line: LineString, start: float, stop: float) -> LineString:
    """Return the stretch of a line between two distances along it, a point where they are equal."""
    return cast(LineString, ops.substring(line, start, stop))


def _nearest(line: shapely.Geometry, point: Point) -> Point:
    """Return the nearest point of a line; its vertex when one is within 5 cm of that."""
    here = Point(shapely.shortest_line(point, line).coords[1])
    vertices = shapely.get_coordinates(line)
    away = np.hypot(*(vertices - np.array(here.coords[0])).T)
    return Point(vertices[int(np.argmin(away))]) if away.min() < NEAR else here


def _between(drawn: LineString, first: _End, last: _End) -> list[tuple[float, ...]]:
    """Return the vertices of the drawn line between its two ends; a tail beyond the border is cut off."""
    spots = [drawn.line_locate_point(end.point) for end in (first, last)]
    on = [end.on_border and drawn.distance(end.point) < LATTICE for end in (first, last)]
    start, stop = spots[0] if on[0] else 0.0, spots[1] if on[1] else drawn.length
    if start >= stop:
        raise InputError("新边界", "线只碰到公共边一次", "从公共边画起，画到公共边为止")
    return list(_stretch(drawn, start, stop).coords)


def _along(border: LineString, end: _End, other: _End) -> float:
    """Return how far along the border its part between the two ends begins or stops, in degrees."""
    if end.on_border:
        return border.line_locate_point(end.point)
    junctions = _ends(border)
    return 0.0 if junctions[0].distance(end.point) <= junctions[1].distance(end.point) else border.length


def _kept_of_ring(border: LineString, first: _End, last: _End, fresh: LineString) -> list[LineString]:
    """Return what stays of a border that is closed: the arc that encloses more ground with the fresh line."""
    if not (first.on_border and last.on_border):
        raise InputError("新边界", "一端不在公共边上", "从公共边画起，画到公共边为止")
    low, high = sorted(border.line_locate_point(end.point) for end in (first, last))
    inner = _stretch(border, low, high)
    outer = LineString([*_stretch(border, high, border.length).coords, *_stretch(border, 0, low).coords[1:]])
    if inner.length == 0:
        raise InputError("新边界", "首尾在同一处", "首尾在公共边的两处")
    arcs = sorted((inner, outer), key=lambda arc: _enclosed(arc, fresh))
    return [on_lattice(shapely.remove_repeated_points(arcs[1]))]


def _enclosed(arc: LineString, fresh: LineString) -> float:
    back = fresh if Point(fresh.coords[0]).distance(Point(arc.coords[-1])) < NEAR else fresh.reverse()
    return abs(shapely.area(shapely.make_valid(Polygon([*arc.coords, *back.coords]))))


def _dealt(net: Net, two: _Two, keys: tuple[str, str]) -> dict[str, MultiPolygon]:
    """Return the two faces made of the pieces: each goes to the face of which it holds the larger share."""
    bent = [net.bend(face) for face in two.faces]
    pieces = net.pieces[net.within(bent[0]) | net.within(bent[1])]
    shares = [shapely.area(shapely.intersection(pieces, face)) / face.area for face in two.faces]
    first = shares[0] > shares[1]
    dealt = [list(pieces[first]), list(pieces[~first])]
    for key, own, other, face in zip(keys, dealt, dealt[::-1], two.faces, strict=True):
        if not own:
            raise InputError("新边界", f"网格 {key} 会被整个划走", "要并掉它请用合并")
        kept, crumbs = without_crumbs(shapely.get_parts(joined(own)), len(shapely.get_parts(face)))
        own[:] = list(kept)
        other += list(crumbs)
    after = dict(zip(keys, map(joined, dealt), strict=True))
    for key, face in zip(keys, two.faces, strict=True):
        refuse_falling_apart("新边界", key, face, after[key])
    return after

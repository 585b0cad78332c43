"""What an edit does to the grids of a plan: from an operation and its arguments (JSON) to drawn grids.

Only the grids near the edit are read. Nothing is written here.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import shapely
from shapely.geometry import LineString, MultiPoint, MultiPolygon, Point, Polygon
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, text

from gridmgmt.errors import InputError
from gridmgmt.grids import codes, measure, topology
from gridmgmt.grids.models import GridKind, Level
from gridmgmt.grids.repair import repair
from gridmgmt.grids.topology.shapes import same
from gridmgmt.planning import figures, propose
from gridmgmt.planning.checking import outlines
from gridmgmt.planning.models import Operation
from gridmgmt.planning.states import Drawn, PlanInfo, States, current

Arguments = Mapping[str, Any]
LONGEST_NAME = 60
MOST_PARTS = 40
# What is drawn within 5 cm of a boundary is meant to lie on it: grids are read this much further, in degrees.
NEAR = 1e-6
DECIMALS = 9  # of the lattice


@dataclass
class Scene:
    """A plan while it is edited: reads its grids as they are needed, and gives keys to new ones."""

    connection: Connection
    plan: PlanInfo
    next_key: int
    seen: dict[str, Drawn] = field(default_factory=dict)

    def new_key(self) -> str:
        """Return a key that no grid of the plan ever had."""
        self.next_key += 1
        return f"n{self.next_key - 1}"

    def grids(self, keys: Collection[str]) -> dict[str, Drawn]:
        """Return grids by key; InputError names one that the plan has not, or that lies outside its scope."""
        found = current(self.connection, self.plan, keys=keys)
        for key in keys:
            if key not in found:
                raise InputError("网格", key, "方案里现有的网格")
            if not found[key].village.startswith(self.plan.scope):
                raise InputError("网格", found[key].name, f"方案范围 {self.plan.scope} 以内的网格")
        self.seen |= found
        return {key: found[key] for key in keys}

    def near(self, *places: BaseGeometry) -> dict[str, Drawn]:
        """Return the base grids whose boxes meet the box around some places."""
        box = shapely.total_bounds(measure.as_array(list(places))) + np.array([-NEAR, -NEAR, NEAR, NEAR])
        found = current(self.connection, self.plan, box=tuple(box.tolist()))
        found = {key: drawn for key, drawn in found.items() if drawn.kind == GridKind.BASE}
        self.seen |= found
        return found

    def around(self, keys: Collection[str], place: BaseGeometry | None = None) -> "Faces":
        """Return what an edit of some grids, or at a place, may change: what lies there, and around that.

        Special and micro-grids lie over the others, so each is on its own.
        """
        chosen = self.grids(keys)
        if any(drawn.kind != GridKind.BASE for drawn in chosen.values()):
            return Faces.of(chosen)
        meant: list[BaseGeometry] = [drawn.shape for drawn in chosen.values()]
        if place is not None:
            reached = [drawn.shape for drawn in self.near(place).values()]
            meant += [place, *(shape for shape in reached if shapely.dwithin(shape, place, NEAR))]
        return Faces.of(self.near(*meant))

    def village(self, shape: BaseGeometry, otherwise: str) -> str:
        """Return the village that holds most of a shape; `otherwise` where none is drawn."""
        west, south, east, north = shape.bounds
        rows = self.connection.execute(
            text("""
            SELECT code, ST_AsBinary(geom) FROM division
            WHERE level = :level AND geom && ST_MakeEnvelope(:west, :south, :east, :north, 4490) ORDER BY code
            """),
            {"level": Level.VILLAGE, "west": west, "south": south, "east": east, "north": north},
        ).all()
        held = [(shapely.from_wkb(bytes(wkb)).intersection(shape).area, code) for code, wkb in rows]
        area, code = max(held, key=lambda each: each[0], default=(0.0, otherwise))
        return code if area > 0 else otherwise


@dataclass(frozen=True)
class Faces:
    """Grids as drawn, and their shapes on the lattice of edits."""

    drawn: dict[str, Drawn]
    coverage: topology.Coverage
    raw: dict[tuple[float, ...], tuple[float, ...]]

    @classmethod
    def of(cls, drawn: dict[str, Drawn]) -> "Faces":
        shapes = {key: each.shape for key, each in drawn.items()}
        # A vertex that did not move keeps its bytes: else a snapped grid and a neighbour that was not
        # touched would part by a hair.
        points = shapely.get_coordinates(list(shapes.values()))
        places = np.round(points, DECIMALS)
        off = (places != points).any(axis=1)
        raw = dict(zip(map(tuple, places[off].tolist()), map(tuple, points[off].tolist()), strict=True))
        return cls(drawn, topology.Coverage.of(shapes), raw)

    def result(self, change: topology.Change, born: Callable[[str, MultiPolygon], Drawn]) -> States:
        """Return what a change makes of the grids; `born` gives a new one its name and kind."""
        states: States = {}
        for key, shape in change.after.items():
            if shape is None:
                states[key] = None
            elif key not in self.drawn:
                states[key] = replace(born(key, shape), wkb=self._wkb(shape))
            else:
                states[key] = replace(self.drawn[key], wkb=self._wkb(shape))
        return states

    def _wkb(self, shape: MultiPolygon) -> bytes:
        whole = MultiPolygon([shape]) if isinstance(shape, Polygon) else shape
        kept = shapely.transform(whole, self._unsnapped) if self.raw else whole
        return shapely.to_wkb(kept)

    def _unsnapped(self, points: np.ndarray) -> np.ndarray:
        return np.array([self.raw.get(place, place) for place in map(tuple, points.tolist())])


def apply(scene: Scene, operation: Operation, arguments: Arguments) -> States:
    """Return the grids that an edit changes, as they are after it; None for those that are gone then.

    Raises InputError that names the argument, or says why the grids cannot be drawn so.
    """
    if operation not in OPERATIONS:
        raise InputError("操作", operation, "、".join(OPERATIONS))
    states = OPERATIONS[operation](scene, arguments)
    changed = {key: now for key, now in states.items() if now != scene.seen.get(key)}
    if not changed:
        raise InputError("操作", "没有改变任何网格", "至少改变一个网格")
    return changed


# --- shapes


def _split(scene: Scene, arguments: Arguments) -> States:
    key = _text(arguments, "key")
    line = _line(arguments)
    faces = scene.around([key], line)
    return _parts(scene, faces, key, topology.split(faces.coverage, key, line, scene.new_key))


def _split_evenly(scene: Scene, arguments: Arguments) -> States:
    key, parts = _text(arguments, "key"), _number(arguments, "parts")
    faces = scene.around([key])
    houses = figures.buildings_in(scene.connection, faces.coverage.faces[key])
    change = topology.split_evenly(faces.coverage, key, parts, houses[:, 1:3], houses[:, 3], scene.new_key)
    return _parts(scene, faces, key, change)


def _parts(scene: Scene, faces: Faces, key: str, change: topology.Change) -> States:
    """Return the parts of a grid, named after it with A, B … as one reads a map."""
    parent = faces.drawn[key]
    parts = {part: shape for part, shape in change.after.items() if shape and part not in faces.drawn}
    order = codes.reading_order(measure.as_array(list(parts.values()))).tolist()
    letters = {list(parts)[index]: _letters(place) for place, index in enumerate(order)}

    def born(part: str, shape: MultiPolygon) -> Drawn:
        village = scene.village(shape, parent.village)
        return replace(parent, code=None, name=parent.name + letters[part], village=village)

    return faces.result(change, born)


def _letters(place: int) -> str:
    """Return A … Z, AA, AB … for 0, 1 …"""
    first = _letters(place // 26 - 1) if place >= 26 else ""
    return first + chr(ord("A") + place % 26)


def _merge(scene: Scene, arguments: Arguments) -> States:
    keys = _keys(arguments)
    if len(keys) < 2:
        raise InputError("keys", keys, "两个或更多网格")
    faces = scene.around(keys)
    first = faces.drawn[keys[0]]
    if len({faces.drawn[key].kind for key in keys}) > 1:
        raise InputError("keys", "不同类型的网格", "同一类型的网格")
    change = topology.merge(faces.coverage, keys, scene.new_key())
    ground: dict[str, float] = {}
    for key in keys:
        village = faces.drawn[key].village
        ground[village] = ground.get(village, 0.0) + faces.coverage.faces[key].area
    village = max(ground, key=lambda each: ground[each])
    return faces.result(change, lambda _key, _shape: replace(first, code=None, village=village))


def _move_vertex(scene: Scene, arguments: Arguments) -> States:
    at, to = _point(arguments, "at"), _point(arguments, "to")
    faces = scene.around([], MultiPoint([at, to]))
    return faces.result(topology.move_vertex(faces.coverage, at, to), _nothing_new)


def _move_edge(scene: Scene, arguments: Arguments) -> States:
    keys, line = _keys(arguments), _line(arguments)
    if len(keys) != 2:
        raise InputError("keys", keys, "相邻的两个网格")
    faces = scene.around(keys, line)
    return faces.result(topology.move_edge(faces.coverage, (keys[0], keys[1]), line), _nothing_new)


def _reassign(scene: Scene, arguments: Arguments) -> States:
    to = _text(arguments, "to")
    if arguments.get("building") is not None:
        block = _block_of(scene, _number(arguments, "building", most=2**31 - 1), to)
    else:
        block = _polygon(arguments, "block")
    faces = scene.around([to], block)
    return faces.result(topology.reassign(faces.coverage, block, to), _nothing_new)


def _block_of(scene: Scene, building: int, to: str) -> BaseGeometry:
    """Return the ground of a building: what of its grid lies nearer to it than to any other building."""
    (target,) = scene.grids([to]).values()
    for drawn in scene.near(target.shape).values():
        houses = figures.buildings_in(scene.connection, drawn.shape)
        at = np.flatnonzero(houses[:, 0] == building)
        if len(at):
            places = MultiPoint(np.unique(houses[:, 1:3], axis=0))
            cells = shapely.get_parts(shapely.voronoi_polygons(places, extend_to=drawn.shape))
            own = cells[shapely.covers(cells, Point(houses[at[0], 1:3]))]
            return own[0].intersection(drawn.shape) if len(own) else drawn.shape
    raise InputError("building", building, f"{target.name} 旁边网格里的楼栋")


def _draw(scene: Scene, arguments: Arguments) -> States:
    shape = _polygon(arguments, "shape")
    kind = _kind(arguments)
    key = scene.new_key()
    village = arguments.get("village") or scene.village(shape, "")
    _check_village(scene, village)
    name = _name(arguments) if arguments.get("name") else f"新网格{key[1:]}"
    template = Drawn(None, name, kind, _purpose(arguments), village, b"")
    if kind == GridKind.BASE:
        faces = scene.around([], shape)
        change = topology.draw(faces.coverage, shape, key)
        return faces.result(change, lambda _key, _shape: template)
    alone = topology.Coverage.of({key: shape}).faces[key]
    return {key: replace(template, wkb=shapely.to_wkb(alone))}


def _check_village(scene: Scene, village: str) -> None:
    statement = text("SELECT EXISTS (SELECT FROM division WHERE code = :code AND level = 'village')")
    if not scene.connection.scalar(statement, {"code": village}):
        raise InputError("village", village, "一个村社区的编码")
    if not village.startswith(scene.plan.scope):
        raise InputError("village", village, f"方案范围 {scene.plan.scope} 以内")


def _nothing_new(key: str, _shape: MultiPolygon) -> Drawn:
    raise InputError("操作", f"多出网格 {key}", "只改现有网格的边")


# --- proposals


def _propose(scene: Scene, arguments: Arguments) -> States:
    """Divide grids outside the band anew; `whole` villages whatever their grids are like."""
    low, high = (_number(arguments, name, most=100_000) for name in ("low", "high"))
    faces, keys = _meant(scene, arguments)
    villages = {key: drawn.village for key, drawn in faces.drawn.items()}
    after = propose.for_keys(
        scene.connection, faces.coverage.faces, villages, keys, low=low, high=high, new_key=scene.new_key,
        whole={villages[key] for key in keys} if arguments.get("whole") else (),
    )  # fmt: skip
    if not after:
        raise InputError(
            "划分", f"{len(keys)} 个网格都在范围内", "至少一个户数在范围以外的网格，或选“整村重划”"
        )
    return faces.result(topology.Change({}, after), _heirs(faces, after))


def _meant(scene: Scene, arguments: Arguments) -> tuple[Faces, list[str]]:
    """Return the grids that are named, or all of an area, and these with all around them."""
    if arguments.get("keys"):
        keys = _keys(arguments)
        return scene.around(keys), keys
    area = arguments.get("area") or scene.plan.scope
    if not isinstance(area, str) or not area.startswith(scene.plan.scope):
        raise InputError("area", area, f"方案范围 {scene.plan.scope} 以内的编码")
    found = current(scene.connection, scene.plan)
    scene.seen |= found
    base = {key: drawn for key, drawn in found.items() if drawn.kind == GridKind.BASE}
    keys = [key for key, drawn in base.items() if f"{drawn.village}{key[-3:]}".startswith(area)]
    if not keys:
        raise InputError("area", area, "有网格的地方")
    return Faces.of(base), keys


def _heirs(faces: Faces, after: Mapping[str, MultiPolygon | None]) -> Callable[[str, MultiPolygon], Drawn]:
    """Return who gives a new grid its name and village: the one gone that most of its ground was in."""
    gone = [key for key, shape in after.items() if shape is None]
    new = [key for key, shape in after.items() if shape is not None and key not in faces.drawn]
    if not new:
        return _nothing_new
    old_shapes = measure.as_array([faces.coverage.faces[key] for key in gone])
    shapes = measure.as_array([after[key] for key in new])
    i, j = shapely.STRtree(old_shapes).query(shapes, "intersects")
    shared = np.zeros((len(new), len(gone)))
    shared[i, j] = shapely.area(shapely.intersection(shapes[i], old_shapes[j]))
    parent = [gone[k] for k in shared.argmax(axis=1)]
    brothers: dict[str, list[str]] = {}
    for place in codes.reading_order(shapes).tolist():
        brothers.setdefault(parent[place], []).append(new[place])
    of = dict(zip(new, parent, strict=True))

    def born(key: str, _shape: MultiPolygon) -> Drawn:
        family = brothers[of[key]]
        letter = _letters(family.index(key)) if len(family) > 1 else ""
        return replace(faces.drawn[of[key]], code=None, name=faces.drawn[of[key]].name + letter)

    return born


def _repair(scene: Scene, arguments: Arguments) -> States:
    """Mend overlaps, gaps and vertices that do not meet, in the villages of named grids or in the scope."""
    keys = _keys(arguments) if arguments.get("keys") else []
    around = scene.around(keys).drawn if keys else {}
    villages = {around[key].village for key in keys if key in around}
    for village in villages or {scene.plan.scope}:
        around |= current(scene.connection, scene.plan, area=village)
    scene.seen |= around
    drawn = {key: each for key, each in around.items() if each.kind == GridKind.BASE}
    shapes: dict[str, BaseGeometry] = {key: each.shape for key, each in drawn.items()}
    # Of other villages not every grid is here: their land is not theirs to give.
    lands = outlines(scene.connection, villages or {each.village for each in drawn.values()})
    mended, _ = repair(shapes, lands, lambda key: drawn[key].village)
    return {
        key: replace(drawn[key], wkb=shapely.to_wkb(shape))
        for key, shape in mended.items()
        if not same(shape, drawn[key].shape)
    }


# --- names, codes, kinds


def _rename(scene: Scene, arguments: Arguments) -> States:
    key, name = _text(arguments, "key"), _name(arguments)
    return {key: replace(scene.grids([key])[key], name=name)}


def _renumber(scene: Scene, arguments: Arguments) -> States:
    key, code = _text(arguments, "key"), _text(arguments, "code")
    grid = scene.grids([key])[key]
    codes.check_code(code, grid.village)
    statement = text("""
        SELECT EXISTS (SELECT FROM grid WHERE code15 = :code)
            OR EXISTS (SELECT FROM plan_grid WHERE plan_id = :plan AND code = :code AND key <> :key)
    """)
    if code == key:
        return {key: replace(grid, code=None)}
    if scene.connection.scalar(statement, {"code": code, "plan": scene.plan.id, "key": key}):
        raise InputError("code", code, "从未用过的编码")
    return {key: replace(grid, code=code)}


def _set_kind(scene: Scene, arguments: Arguments) -> States:
    key, kind = _text(arguments, "key"), _kind(arguments)
    return {key: replace(scene.grids([key])[key], kind=kind, purpose=_purpose(arguments))}


# --- arguments


def _text(arguments: Arguments, name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InputError(name, value, "一段文字")
    return value.strip()


def _name(arguments: Arguments) -> str:
    name = _text(arguments, "name")
    if len(name) > LONGEST_NAME:
        raise InputError("name", name, f"不超过 {LONGEST_NAME} 个字")
    return name


def _purpose(arguments: Arguments) -> str | None:
    return _text(arguments, "purpose") if arguments.get("purpose") else None


def _keys(arguments: Arguments) -> list[str]:
    keys = arguments.get("keys")
    if not isinstance(keys, Sequence) or isinstance(keys, str) or not all(isinstance(k, str) for k in keys):
        raise InputError("keys", keys, "网格编码的列表")
    return list(dict.fromkeys(keys))


def _number(arguments: Arguments, name: str, least: int = 1, most: int = MOST_PARTS) -> int:
    value = arguments.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InputError(name, value, f"{least} 到 {most} 的整数")
    return value


def _kind(arguments: Arguments) -> str:
    kind = arguments.get("kind", GridKind.BASE)
    if kind not in list(GridKind):
        raise InputError("kind", kind, "、".join(GridKind))
    return str(kind)


def _point(arguments: Arguments, name: str) -> tuple[float, float]:
    return _place(name, arguments.get(name))


def _place(name: str, value: object) -> tuple[float, float]:
    if isinstance(value, Sequence) and len(value) == 2 and all(isinstance(x, int | float) for x in value):
        lon, lat = float(value[0]), float(value[1])
        if math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90:
            return lon, lat
    raise InputError(name, value, "[经度, 纬度]")


def _line(arguments: Arguments) -> LineString:
    value = arguments.get("line")
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) < 2:
        raise InputError("line", value, "两个或更多 [经度, 纬度]")
    points = [_place("line", each) for each in value]
    if len(set(points)) < 2:
        raise InputError("line", value, "两个不同的点")
    return LineString(points)


def _polygon(arguments: Arguments, name: str) -> BaseGeometry:
    value: Any = arguments.get(name)
    try:
        shape = shapely.geometry.shape(value)
    except (TypeError, ValueError, AttributeError, KeyError, IndexError, shapely.errors.ShapelyError):
        shape = Point()
    if not isinstance(shape, Polygon | MultiPolygon) or shape.is_empty or not shape.is_valid:
        raise InputError(name, "一个面", "GeoJSON 的 Polygon，边不自交")
    west, south, east, north = shape.bounds
    if not (west >= -180 and east <= 180 and south >= -90 and north <= 90):
        raise InputError(name, [west, south, east, north], "经度、纬度")
    return shape


OPERATIONS: dict[Operation, Callable[[Scene, Arguments], States]] = {
    Operation.SPLIT: _split,
    Operation.SPLIT_EVENLY: _split_evenly,
    Operation.MERGE: _merge,
    Operation.MOVE_VERTEX: _move_vertex,
    Operation.MOVE_EDGE: _move_edge,
    Operation.REASSIGN: _reassign,
    Operation.DRAW: _draw,
    Operation.PROPOSE: _propose,
    Operation.REPAIR: _repair,
    Operation.RENAME: _rename,
    Operation.RENUMBER: _renumber,
    Operation.SET_KIND: _set_kind,
}

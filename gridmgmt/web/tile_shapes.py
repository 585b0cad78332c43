"""Areas and lines as tiles draw them: one coverage a zoom level, simplified as a whole, in whole units.

Grids are simplified together, so an edge that two of them share is the same points in both, and villages and
towns are unions of those grids. It takes 0.1 s a zoom level for a city of 1,000 grids, once a version.
"""

import json
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from gridmgmt.grids import service as grids
from gridmgmt.grids.codes import DIGITS
from gridmgmt.web import tile_encoding
from gridmgmt.web.kept import Kept
from gridmgmt.web.tile_encoding import EXTENT, MARGIN

# Side of the smallest corner that is drawn, in units of a tile: three quarters of a pixel of a screen.
TOLERANCE = 6.0
# Base grids are a coverage; the others lie over it.
KINDS = ("base", "special", "micro")
# Layers of the table `map_layer`, by what tiles call them.
LINES = {"roads": "road", "rivers": "river"}

Shapes = NDArray[np.object_]


@dataclass(frozen=True)
class Drawn:
    """Shapes (n,) of a layer at one zoom level, in units of that level, with what is said of each."""

    shapes: Shapes
    properties: list[dict[str, str]]
    tree: shapely.STRtree

    def tile(self, name: str, x: int, y: int, area: str) -> bytes:
        """Return a tile of those whose code begins with `area` ('' for all)."""
        low, high = -MARGIN, EXTENT + MARGIN
        box = shapely.box(x * EXTENT + low, y * EXTENT + low, x * EXTENT + high, y * EXTENT + high)
        found = np.sort(self.tree.query(box))
        if area:
            mine = [self.properties[k].get("code", area).startswith(area) for k in found.tolist()]
            found = found[np.array(mine, bool)]
        shapes = tile_encoding.cut(self.shapes[found], x, y)
        return tile_encoding.tile({name: (shapes, [self.properties[k] for k in found.tolist()])})


@dataclass(frozen=True)
class Ground:
    """The areas and lines of one data version and day; each zoom level is made when it is first asked for."""

    tiled: Shapes  # base grids: a coverage
    others: Shapes  # special and micro grids lie over them
    properties: list[dict[str, str]]  # of both, in this order
    names: dict[str, str]
    lines: dict[str, tuple[Shapes, list[dict[str, str]]]]
    made: dict[tuple[str, int], Drawn] = field(default_factory=dict, compare=False, repr=False)
    lock: Lock = field(default_factory=Lock, compare=False, repr=False)

    def drawn(self, layer: str, z: int) -> Drawn:
        """Return a layer (grids, villages, towns, roads, rivers) at a zoom level."""
        with self.lock:
            if (layer, z) not in self.made:
                self._make(layer, z)
            return self.made[layer, z]

    def _make(self, layer: str, z: int) -> None:
        if layer in LINES:
            shapes, properties = self.lines[layer]
            simple = shapely.simplify(to_units(shapes, z), TOLERANCE / 2)
            self.made[layer, z] = _drawn(simple, properties)
            return
        whole = shapely.coverage_simplify(to_units(self.tiled, z), TOLERANCE)
        above = shapely.coverage_simplify(to_units(self.others, z), TOLERANCE)
        self.made["grids", z] = _drawn(np.concatenate([whole, above]), self.properties)
        for level, name in (("village", "villages"), ("town", "towns")):
            self.made[name, z] = self._dissolved(whole, DIGITS[level])

    def _dissolved(self, whole: Shapes, digits: int) -> Drawn:
        members: dict[str, list[int]] = {}
        for k in range(len(whole)):
            members.setdefault(self.properties[k]["code"][:digits], []).append(k)
        unions = [shapely.coverage_union_all(whole[own]) for own in members.values()]
        properties = [{"code": code, "name": self.names.get(code, code)} for code in members]
        return _drawn(np.array(unions, object), properties)


def _drawn(shapes: Shapes, properties: list[dict[str, str]]) -> Drawn:
    rounded = shapely.transform(shapes, np.rint) if len(shapes) else shapes
    return Drawn(rounded, properties, shapely.STRtree(rounded))


def to_units(shapes: Shapes, z: int) -> Shapes:
    """Return shapes (n,) in degrees as units of a zoom level, x east and y south of its corner."""
    if not len(shapes):
        return shapes
    wide = EXTENT * 2**z

    def project(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
        north = np.arcsinh(np.tan(np.radians(degrees[:, 1]))) / (2 * np.pi)
        return np.column_stack([(degrees[:, 0] + 180) / 360, 0.5 - north]) * wide

    moved: Shapes = shapely.transform(shapes, project)
    return moved


_kept: Kept[Ground] = Kept(1, alone=True)


def ground(engine: Engine, version: str) -> Ground:
    """Return the ground of a version, read once a worker; `version` names the data and the day."""
    return _kept.get(str(engine.url), lambda: _read(engine), version)


def _read(engine: Engine) -> Ground:
    with engine.connect() as connection:
        return _ground(connection)


def _ground(connection: Connection) -> Ground:
    sets = {kind: grids.grids_in_force(connection, kind=kind) for kind in KINDS}
    properties = [
        {"code": code, "name": name, "kind": kind, "village": village}
        for kind, found in sets.items()
        for code, name, village in zip(found.codes, found.names, found.villages, strict=True)
    ]
    base = sets.pop("base")
    others = np.concatenate([found.geometries for found in sets.values()])
    names = grids.division_names(connection)
    return Ground(base.geometries, others, properties, names, _lines(connection))


def _lines(connection: Connection) -> dict[str, tuple[Shapes, list[dict[str, str]]]]:
    features = grids.layers(connection)["features"]
    found = {}
    for name, layer in LINES.items():
        own = [each for each in features if each["properties"]["layer"] == layer]
        shapes = np.array([shapely.from_geojson(json.dumps(each["geometry"])) for each in own], object)
        found[name] = (shapes, [{"name": each["properties"]["name"]} for each in own])
    return found

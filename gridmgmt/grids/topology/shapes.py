"""Faces on the lattice, the change from some to others, and what all operations ask of shapes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from gridmgmt.errors import InputError
from gridmgmt.grids import measure
from gridmgmt.grids.coverage import check_shape

Geometries = NDArray[np.object_]
FloatArray = NDArray[np.float64]

# Degrees: 0.1 mm on the ground, and far above the rounding of a double at 180 degrees.
LATTICE = 1e-9
_DECIMALS = 9

# A drawn point this near to a boundary is meant to lie on it (degrees, about 5 cm).
NEAR = 5e-7
# Less ground than this holds no house.
HOUSE_M2 = 10.0


@dataclass(frozen=True, eq=False)
class Change:
    """What an operation does: the faces concerned before and after; None for one that is not there.

    Both name the same keys. Applying `inverse` brings back the faces of before, byte for byte.
    """

    before: Mapping[str, MultiPolygon | None]
    after: Mapping[str, MultiPolygon | None]

    @property
    def inverse(self) -> "Change":
        return Change(self.after, self.before)


@dataclass(frozen=True, eq=False)
class Coverage:
    """Faces by key, their vertices on the lattice: a whole city, or only the faces near an edit."""

    faces: Mapping[str, MultiPolygon]

    @classmethod
    def of(cls, shapes: Mapping[str, BaseGeometry]) -> "Coverage":
        """Return the coverage of valid polygons in degrees, snapped to the lattice.

        A shape that lies on it already keeps its bytes. Raises InputError that names the key and the place of
        a shape that is no valid polygon.
        """
        return cls({key: _face(key, shape) for key, shape in shapes.items()})

    def face(self, key: str) -> MultiPolygon:
        """Return the face of a key; raises InputError when there is none."""
        if key not in self.faces:
            raise InputError("网格", key, "方案里现有的网格")
        return self.faces[key]

    def near(self, *shapes: BaseGeometry) -> dict[str, MultiPolygon]:
        """Return the faces whose box meets the box of all `shapes` together, a little widened."""
        if not shapes:
            return {}
        west, south, east, north = shapely.total_bounds(measure.as_array(shapes)) + np.array(
            [-NEAR, -NEAR, NEAR, NEAR]
        )
        bounds = shapely.bounds(measure.as_array(list(self.faces.values()))).reshape(-1, 4)
        meets = (bounds[:, 0] <= east) & (bounds[:, 2] >= west)
        meets &= (bounds[:, 1] <= north) & (bounds[:, 3] >= south)
        return {key: face for (key, face), met in zip(self.faces.items(), meets, strict=True) if met}

    def neighbours(self, keys: Collection[str]) -> set[str]:
        """Return the keys of the other faces that share at least a vertex or ground with those of `keys`."""
        found: set[str] = set()
        for key in keys:
            near = self.near(self.face(key))
            meets = shapely.intersects(measure.as_array(list(near.values())), self.faces[key])
            found.update(name for name, met in zip(near, meets, strict=True) if met)
        return found - set(keys)

    def changed(self, change: Change) -> "Coverage":
        """Return the coverage after a change; this one stays as it is."""
        faces = dict(self.faces)
        for key, face in change.after.items():
            if face is None:
                faces.pop(key, None)
            else:
                faces[key] = face
        return Coverage(faces)

    def change(self, after: Mapping[str, MultiPolygon | None]) -> Change:
        """Return the change to the faces of `after`, without those that stay as they are.

        Raises InputError when a face would be empty or invalid.
        """
        real = {key: face for key, face in after.items() if not same(self.faces.get(key), face)}
        for key, face in real.items():
            breach = None if face is None else check_shape(key, face)
            if breach is not None:
                raise InputError(
                    "图形", f"网格 {key} 在 {breach.lon:.6f}, {breach.lat:.6f} 处自相交或过窄", "换个画法"
                )
        return Change({key: self.faces.get(key) for key in real}, real)

    def unused(self, key: str) -> str:
        """Return `key`; raises InputError when a face has it already."""
        if key in self.faces:
            raise InputError("新网格", key, "没有用过的编号")
        return key


def _face(key: str, shape: BaseGeometry) -> MultiPolygon:
    breach = check_shape(key, shape)
    if breach is not None:
        place = "" if np.isnan(breach.lon) else f"（{breach.lon:.6f}, {breach.lat:.6f}）"
        raise InputError(f"网格 {key}", f"{breach.kind}{place}", "不自相交的多边形")
    if shape.geom_type not in ("Polygon", "MultiPolygon"):
        raise InputError(f"网格 {key}", shape.geom_type, "多边形")
    snapped = on_lattice(shape)
    if not snapped.is_valid:  # a neck thinner than the lattice closed
        snapped = shapely.set_precision(shapely.force_2d(shape), LATTICE)
    if snapped.is_empty:
        raise InputError(f"网格 {key}", "比 0.1 毫米还窄", "不自相交的多边形")
    return snapped if isinstance(snapped, MultiPolygon) else MultiPolygon([snapped])


def on_lattice(shape: Any) -> Any:
    """Return a shape, or an array of them, with every vertex on the lattice; itself when it is there."""
    points = shapely.get_coordinates(shape)
    if not np.any(shapely.has_z(shape)) and np.array_equal(points, np.round(points, _DECIMALS)):
        return shape
    snapped = shapely.transform(shapely.force_2d(shape), lambda xy: np.round(xy, _DECIMALS))
    return shapely.remove_repeated_points(snapped)


def joined(parts: Sequence[BaseGeometry] | Geometries) -> MultiPolygon:
    """Return the face made of parts that share their edges exactly; one shape always has the same bytes."""
    whole = shapely.coverage_union_all(measure.as_array(list(parts)))
    return shapely.normalize(MultiPolygon(list(shapely.get_parts(whole))))


def same(a: MultiPolygon | None, b: MultiPolygon | None) -> bool:
    """Return whether two faces have the same rings, wherever these begin."""
    if a is None or b is None or a is b:
        return a is b
    if shapely.get_num_coordinates(a) != shapely.get_num_coordinates(b):
        return False
    return bool(shapely.equals_identical(shapely.normalize(a), shapely.normalize(b)))


def area_m2(shape: BaseGeometry) -> float:
    return float(measure.area_m2(measure.as_array([shape]))[0])


def metres(line: BaseGeometry) -> float:
    """Return the length in metres of a line in degrees."""
    lines = measure.as_array([line])
    return float(shapely.length(measure.to_plane(lines, measure.middle_latitude(lines)))[0])


def distance_m(a: BaseGeometry, b: BaseGeometry) -> float:
    """Return the metres between two shapes in degrees, along the line that is shortest in degrees."""
    return metres(shapely.shortest_line(a, b))


def place(shape: BaseGeometry) -> str:
    """Return a point inside a shape in words."""
    inside = shapely.point_on_surface(shape)
    return f"{inside.x:.6f}, {inside.y:.6f}"


def without_crumbs(parts: Geometries, allowed: int) -> tuple[Geometries, Geometries]:
    """Return the parts of a face, and crumbs smaller than a house: the smallest of those beyond `allowed`."""
    order = np.argsort(-shapely.area(parts), kind="stable")
    area = measure.area_m2(parts[order])
    crumb = (np.arange(len(parts)) >= allowed) & (area < HOUSE_M2)
    return parts[order][~crumb], parts[order][crumb]


def refuse_falling_apart(field: str, key: str, before: MultiPolygon, after: MultiPolygon) -> None:
    """Raise InputError, with the place, when a face has more parts than it had."""
    if len(after.geoms) > len(before.geoms):
        smallest = min(after.geoms, key=lambda part: part.area)
        raise InputError(field, f"网格 {key} 会被断开，断开的一块在 {place(smallest)}", "每个网格连成一片")

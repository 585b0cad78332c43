"""The territory as maps draw it: grids, villages and towns with their outlines, names and contacts.

Outlines are simplified once for all levels: the grids as one coverage, so that shared edges stay shared, and
villages and towns as unions of those grids, so that a town's line runs exactly along its grids.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import compress
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from gridmgmt.config import FEWEST_HOUSEHOLDS
from gridmgmt.errors import InputError
from gridmgmt.grids import service as grids
from gridmgmt.grids.codes import DIGITS
from gridmgmt.hotspots import stored as hotspots
from gridmgmt.web.databases import reader
from gridmgmt.web.kept import Kept
from gridmgmt.web.topology import topology

LEVELS = {"grid": "网格", "village": "村社区", "town": "镇街"}
# Metres, and decimals of a degree (1 m): finer than a screen shows of a city. What browsers draw is rounded
# to two of those units: with shared edges written once, a thousand grids are then 140 KB over the wire.
TOLERANCE, DECIMALS, STEP = 15.0, 5, 2

Bounds = tuple[float, float, float, float]  # west, south, east, north


@dataclass(frozen=True, slots=True)
class Place:
    """A grid, village or town: `path` names what it lies in, `label` is a point (lon, lat) inside it."""

    code: str
    name: str
    level: str
    path: str
    households: int | None
    chief: str | None
    bounds: Bounds
    shape: shapely.Geometry
    label: tuple[float, float]

    def few(self, *, own: bool) -> bool:
        """Say whether its numbers would tell of fewer than five households; its `own` staff may know."""
        return not own and self.households is not None and self.households < FEWEST_HOUSEHOLDS

    def shown_households(self, *, own: bool) -> str | int | None:
        """Return how many households live there as it may be said: "<5" for few, None where not known."""
        return f"<{FEWEST_HOUSEHOLDS}" if self.few(own=own) else self.households

    def properties(self, *, own: bool) -> dict[str, object]:
        """Return what a map reads of it; `own` staff see small numbers of households too."""
        return {
            "code": self.code,
            "name": self.name,
            "in": self.path,
            "households": self.shown_households(own=own),
            # Others read who is responsible on the card, with the rest of it.
            **({"chief": self.chief} if own else {}),
            # Grids are named by what is clicked; towns and villages on the map.
            **({} if self.level == "grid" else {"label": self.label}),
        }


@dataclass(frozen=True)
class Territory:
    """Everything a map of the city needs, as of one data version and day."""

    version: str
    city: str
    places: dict[str, dict[str, Place]]  # level -> code -> place
    layers: str  # rivers, roads and what else helps to read the map, as GeoJSON text
    context: tuple[str, ...]  # the names of those layers
    grids: grids.GridSet  # those in force, with their exact outlines
    encoded: dict[tuple[str, str, str, bool], str] = field(default_factory=dict, compare=False, repr=False)

    def __bool__(self) -> bool:
        return bool(self.places["grid"])

    def place(self, code: str) -> Place | None:
        """Return the place with a code, whatever its level."""
        return next((found[code] for found in self.places.values() if code in found), None)

    def inside(self, level: str, area: str = "") -> list[Place]:
        """Return the places of a level that lie in an area (or are it); all of them for ''."""
        if level not in self.places:
            raise InputError("level", level, " | ".join(self.places))
        return [place for code, place in self.places[level].items() if code.startswith(area)]

    def name(self, code: str) -> str:
        place = self.place(code)
        return place.name if place else code

    def outlines(self, form: str, level: str, area: str = "", *, own: bool = False) -> str:
        """Return the outlines of a level inside an area as text, `form` being geojson or topojson.

        Kept by what it depends on: this territory (one data version and day), the form, the level, the area
        and whether small numbers may be read.
        """
        key = (form, level, area, own)
        if key not in self.encoded:
            places = self.inside(level, area)
            properties = [place.properties(own=own) for place in places]
            shapes = [place.shape for place in places]
            made = FORMS[form](shapes, properties, DECIMALS)
            self.encoded[key] = json.dumps(made, ensure_ascii=False, separators=(",", ":"))
        return self.encoded[key]

    def bounds(self, area: str = "") -> Bounds | None:
        """Return the box around an area's grids, or None where there are none."""
        boxes = np.array([place.bounds for place in self.inside("grid", area)])
        if not len(boxes):
            return None
        west, south = boxes[:, :2].min(axis=0)
        east, north = boxes[:, 2:].max(axis=0)
        return float(west), float(south), float(east), float(north)


def reaching(places: Sequence[Place], box: Bounds) -> list[Place]:
    """Return those of the places that reach into a box."""
    return list(compress(places, shapely.intersects([place.shape for place in places], shapely.box(*box))))


def _feature_collection(
    shapes: Sequence[shapely.Geometry], properties: Sequence[dict[str, object]], decimals: int
) -> dict[str, Any]:
    features = [
        {
            "type": "Feature",
            "id": each["code"],
            "properties": each,
            "geometry": json.loads(shapely.to_geojson(shape)),
        }
        for shape, each in zip(shapes, properties, strict=True)
    ]
    return {"type": "FeatureCollection", "features": features}


FORMS: dict[str, Callable[..., dict[str, Any]]] = {
    "geojson": _feature_collection,
    "topojson": partial(topology, step=STEP),
}

_kept: Kept[Territory] = Kept(1, alone=True)


def territory(connection: Connection) -> Territory:
    """Return the territory of today and the newest data, read anew only when one of them changed."""
    version = f"{hotspots.data_version(connection)}-{date.today().isoformat()}"
    return _kept.get(str(connection.engine.url), lambda: _read(connection, version), version)


def city_name() -> str:
    """Return the city's name for the head of a page of no place; '' while the server is away."""
    try:
        with reader().connect() as connection:
            return territory(connection).city
    except OperationalError:  # the page that says so has a head too
        return ""


def _read(connection: Connection, version: str) -> Territory:
    today = grids.grids_in_force(connection)
    names = grids.division_names(connection)
    county = next((name for code, name in sorted(names.items()) if len(code) == 6), "")
    households = grids.households_by_grid(connection)
    chiefs = grids.chiefs(connection)
    shapes = grids.for_map(today.geometries, TOLERANCE)
    rows = []
    for grid_id, code, name, shape in zip(today.ids.tolist(), today.codes, today.names, shapes, strict=True):
        # Where no household of the city is known, none is different from 0.
        count = households.get(grid_id, (0, 0))[0] if households else None
        rows.append((code, name, shape, count, chiefs.get(grid_id)))
    places = {"grid": _places("grid", rows, names)}
    for level in ("village", "town"):
        places[level] = _places(level, _dissolved(rows, DIGITS[level], names), names)
    layers = grids.layers(connection)
    context = tuple(dict.fromkeys(each["properties"]["layer"] for each in layers["features"]))
    text = json.dumps(layers, ensure_ascii=False, separators=(",", ":"))
    return Territory(version, county, places, text, context, today)


def _dissolved(rows: list[tuple[Any, ...]], digits: int, names: dict[str, str]) -> list[tuple[Any, ...]]:
    groups: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        groups.setdefault(row[0][:digits], []).append(row)
    merged = []
    for code, members in groups.items():
        counts = [member[3] for member in members if member[3] is not None]
        union = shapely.union_all([member[2] for member in members])
        merged.append((code, names.get(code, code), union, sum(counts) if counts else None, None))
    return merged


def _places(level: str, rows: list[tuple[Any, ...]], names: dict[str, str]) -> dict[str, Place]:
    shapes = np.array([row[2] for row in rows], dtype=object)
    if not rows:
        return {}
    drawn = shapely.transform(shapes, lambda xy: xy.round(DECIMALS))
    boxes = shapely.bounds(shapes).tolist()
    inside = shapely.get_coordinates(shapely.point_on_surface(shapes)).round(DECIMALS)
    places = {}
    for (code, name, _, households, chief), shape, box, point in zip(rows, drawn, boxes, inside, strict=True):
        above = [names[code[:digits]] for digits in (9, 12) if digits < len(code) and code[:digits] in names]
        places[code] = Place(
            code, name, level, " · ".join(above), households, chief, tuple(box), shape, tuple(point.tolist())
        )
    return dict(sorted(places.items()))

"""A grid drawn without a map's program: its outline, its buildings, and where a touch of the picture lies.

A telephone without signal has no tiles and no map; this picture is part of the page that it keeps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import shapely

from gridmgmt import crs
from gridmgmt.errors import InputError
from gridmgmt.households.reading import overview
from gridmgmt.web.areas import Place
from gridmgmt.web.databases import roster
from gridmgmt.web.scope import actor

WIDTH, MARGIN = 320.0, 8.0
# A long thin grid is not drawn higher than this part of the width.
HIGHEST = 0.8


@dataclass(frozen=True)
class Spot:
    """A building in CGCS2000 degrees: `dwelling` is one of its doors, by which it is known."""

    dwelling: int
    address: str
    lon: float
    lat: float


@dataclass(frozen=True)
class Sketch:
    """A place's outline, WIDTH wide, north up, metres as long either way.

    `west` and `north` are the degrees of the corner that the margins leave, `across` and `down` picture units
    a degree; with them a script turns a touch into degrees (CGCS2000).
    """

    west: float
    north: float
    across: float
    down: float
    height: float
    path: str = ""

    @classmethod
    def of(cls, place: Place) -> "Sketch":
        """Return the drawing of a place."""
        west, south, east, north = place.bounds
        metres_east, metres_north = (float(each) for each in crs.metres_per_degree((south + north) / 2))
        inner = WIDTH - 2 * MARGIN
        scale = min(
            inner / max((east - west) * metres_east, 1.0),
            inner * HIGHEST / max((north - south) * metres_north, 1.0),
        )
        across, down = scale * metres_east, scale * metres_north
        middle = (inner / across - (east - west)) / 2
        made = cls(west - middle, north, across, down, round((north - south) * down + 2 * MARGIN, 1))
        return replace(made, path=made._line(place.shape))

    def _line(self, shape: shapely.Geometry) -> str:
        rings = [ring for part in shapely.get_parts(shape) for ring in shapely.get_rings(part)]
        lines = (
            "L".join(f"{x:.1f} {y:.1f}" for x, y in map(self.at, shapely.get_coordinates(ring)[:-1].tolist()))
            for ring in rings
        )
        return "".join(f"M{line}Z" for line in lines)

    def at(self, point: Sequence[float]) -> tuple[float, float]:
        """Return where longitude and latitude are in the picture."""
        return MARGIN + (point[0] - self.west) * self.across, MARGIN + (self.north - point[1]) * self.down

    @property
    def frame(self) -> str:
        """What a script needs to turn a touch into degrees."""
        return f"{self.west:.7f} {self.north:.7f} {self.across:.4f} {self.down:.4f} {MARGIN}"


def spots_here() -> list[Spot]:
    """Return the buildings of the own area in the order of their addresses."""
    spots = [_spot(each, 0) for each in _features()]
    return sorted(spots, key=lambda spot: (len(spot.address), spot.address))


def spot_of(dwelling: str) -> Spot | None:
    """Return the building that a door lies in, None for ''; InputError when it is none of the own area's."""
    if not dwelling:
        return None
    for each in _features():
        for n, door in enumerate(each["properties"]["doors"]):
            if str(door["dwelling"]) == dwelling:
                return _spot(each, n)
    raise InputError("dwelling", dwelling, "a door of the own area")


def _features() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = overview.buildings(roster(), actor())["features"]
    return found


def _spot(feature: dict[str, Any], door: int) -> Spot:
    properties = feature["properties"]
    lon, lat = feature["geometry"]["coordinates"]
    return Spot(properties["doors"][door]["dwelling"], properties["address"], lon, lat)

"""Context layers of the map: the river and the main roads, all names invented."""

from __future__ import annotations

import numpy as np
import shapely

from sample_data import names
from sample_data.cells import DECIMALS, Floats, to_degrees
from sample_data.territory import Territory

Layer = tuple[str, str, shapely.Geometry]


def _curve(a: Floats, b: Floats, rng: np.random.Generator, bow: float = 0.07) -> Floats:
    """Return a gently bent way (24, 2) in km from `a` to `b`."""
    t = np.linspace(0, 1, 24)
    side = np.array([a[1] - b[1], b[0] - a[0]])
    sway = rng.uniform(-bow, bow) * np.sin(np.pi * t) + rng.uniform(-bow, bow) / 3 * np.sin(2 * np.pi * t)
    return a + t[:, None] * (b - a) + sway[:, None] * side


def _ring(territory: Territory) -> Floats:
    angle = np.linspace(0, 2 * np.pi, 73)
    reach = 0.8 * territory.ground.core_radius * (1 + 0.08 * np.cos(3 * angle + 1))
    return np.column_stack([reach * np.cos(angle), reach * np.sin(angle)])


def _roads(territory: Territory, rng: np.random.Generator) -> list[tuple[str, Floats]]:
    """Return radial roads to every town, one between each town and its nearest, a ring, and two avenues."""
    seats, centre = territory.seats, np.zeros(2)
    short = [name.removesuffix("镇") for name in names.town_names(len(seats))]
    roads = [(f"清{name[0]}路", _curve(centre, seat, rng)) for name, seat in zip(short, seats, strict=True)]
    far = np.hypot(*(seats[:, None] - seats[None]).transpose(2, 0, 1)) + np.eye(len(seats)) * 1e6
    for a, b in sorted({tuple(sorted((k, int(near)))) for k, near in enumerate(far.argmin(axis=1))}):
        roads.append((f"{short[a][0]}{short[b][0]}线", _curve(seats[a], seats[b], rng)))
    r = 1.05 * territory.ground.core_radius
    tilt = territory.ground.tilt
    ways = [np.array([np.cos(tilt), np.sin(tilt)]), np.array([-np.sin(tilt), np.cos(tilt)])]
    for name, way in zip(("清穗大道", "文昌大道"), ways, strict=True):
        roads.append((name, _curve(-r * way, r * way, rng, 0.03)))
    return [*roads, ("环城路", _ring(territory))]


def _tributary(territory: Territory) -> shapely.Geometry:
    """Return a brook from the northern border down to the river, in degrees."""
    ground = territory.ground
    mouth = ground.river(0.1)[len(ground.river(0.1)) // 2 + int(6 * ground.size.length / 0.1)]
    t = np.linspace(0, 1, 80)
    top = np.array([0.35, 1.2]) * ground.radius
    bend = 0.05 * ground.radius * np.sin(9 * t) * (1 - t)
    way = mouth + t[:, None] * (top - mouth) + np.column_stack([bend, np.zeros_like(t)])
    return shapely.LineString(to_degrees(way))


def layers(territory: Territory, rng: np.random.Generator) -> list[Layer]:
    """Return (layer, name, line in degrees) of the rivers and main roads, cut at the county border."""
    county = territory.county.shapes[0]
    lines: list[Layer] = [
        ("river", "清穗河", territory.cells.river_line),
        ("river", "白鹭溪", shapely.intersection(_tributary(territory), county)),
    ]
    for name, way in _roads(territory, rng):
        lines.append(("road", name, shapely.intersection(shapely.LineString(to_degrees(way)), county)))
    return [
        (layer, name, shapely.transform(line, lambda xy: np.round(xy, DECIMALS)))
        for layer, name, line in lines
    ]

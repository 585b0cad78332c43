"""Where a matter lies, as a small drawing: the own grid among its neighbours, and the place."""

from dataclasses import dataclass
from math import cos, radians

import numpy as np
import shapely

from gridmgmt.web.areas import Territory, reaching

WIDTH, HEIGHT = 320, 200
# Around the grid so much of its size is shown, and never less than this many degrees.
AROUND, LEAST = 0.35, 0.003


@dataclass(frozen=True)
class Drawing:
    """Outlines as SVG paths: the own grid, its neighbours; the place as pixels, None when nobody knows it."""

    own: str
    others: list[str]
    dot: tuple[float, float] | None
    width: int = WIDTH
    height: int = HEIGHT


def drawing(here: Territory, area: str, lon: float | None, lat: float | None) -> Drawing | None:
    """Return the drawing of a grid or village; None for one that is not of today."""
    place = here.place(area)
    if place is None:
        return None
    west, south, east, north = place.bounds
    squeeze = cos(radians((south + north) / 2))
    span = max((east - west) * squeeze / WIDTH, (north - south) / HEIGHT, LEAST / HEIGHT) * (1 + AROUND)
    middle = ((west + east) / 2, (south + north) / 2)

    def pixels(degrees: np.ndarray) -> np.ndarray:
        x = WIDTH / 2 + (degrees[:, 0] - middle[0]) * squeeze / span
        return np.column_stack([x, HEIGHT / 2 - (degrees[:, 1] - middle[1]) / span])

    half = (WIDTH / 2 * span / squeeze, HEIGHT / 2 * span)
    window = (middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1])
    others = reaching([each for each in here.inside("grid") if each.code != area], window)
    dot = None
    if lon is not None and lat is not None:
        x, y = pixels(np.array([[lon, lat]]))[0].tolist()
        dot = (round(x, 1), round(y, 1))
    return Drawing(
        _path(shapely.transform(place.shape, pixels)),
        [_path(shapely.transform(each.shape, pixels)) for each in others],
        dot,
    )


def _path(shape: shapely.Geometry) -> str:
    rings = [
        ring
        for part in shapely.get_parts(shape)
        for ring in (part.exterior, *part.interiors)
        if part.geom_type == "Polygon"
    ]
    return " ".join(
        "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in shapely.get_coordinates(ring)) + "Z" for ring in rings
    )

"""A stretch of the globe on a flat picture: north up, a metre as long either way; for wall and PNG."""

from dataclasses import dataclass

import numpy as np
import shapely

from gridmgmt.grids.service import METRES_A_DEGREE
from gridmgmt.web.areas import Bounds

SCALES = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000)


@dataclass(frozen=True)
class Frame:
    """Where degrees lie in a box of pixels.

    Attributes
    ----------
    west, north : degrees at the point (left, top)
    across, down : pixels a degree
    """

    west: float
    north: float
    left: float
    top: float
    across: float
    down: float

    @classmethod
    def around(cls, bounds: Bounds, box: tuple[float, float, float, float]) -> "Frame":
        """Return the frame that shows `bounds` as large as the box (left, top, width, height) allows."""
        west, south, east, north = bounds
        left, top, width, height = box
        narrow = float(np.cos(np.radians((south + north) / 2)))
        wide, tall = max((east - west) * narrow, 1e-6), max(north - south, 1e-6)
        scale = min(width / wide, height / tall)
        x, y = left + (width - wide * scale) / 2, top + (height - tall * scale) / 2
        return cls(west, north, x, y, scale * narrow, scale)

    def points(self, lonlat: np.ndarray) -> np.ndarray:
        """Return pixels (n, 2) of degrees (n, 2)."""
        return (lonlat - [self.west, self.north]) * [self.across, -self.down] + [self.left, self.top]

    def lines(self, shape: shapely.Geometry) -> list[np.ndarray]:
        """Return every ring or line of a shape in pixels, (n, 2) each; of polygons the outer ones first."""
        rings = []
        for part in shapely.get_parts(shape):
            exact = [part.exterior, *part.interiors] if part.geom_type == "Polygon" else [part]
            rings += [self.points(shapely.get_coordinates(ring)) for ring in exact]
        return rings

    def path(self, shape: shapely.Geometry) -> str:
        """Return a shape as an SVG path in whole pixels."""
        return "".join(_line(points, bool(shapely.area(shape) > 0)) for points in self.lines(shape))

    def scale_bar(self, longest: float) -> tuple[float, str]:
        """Return the longest round length that takes at most `longest` pixels: its pixels, and its name."""
        a_metre = self.down / METRES_A_DEGREE
        metres = max((each for each in SCALES if each * a_metre <= longest), default=SCALES[0])
        name = f"{metres} 米" if metres < 1000 else f"{metres // 1000} 公里"
        return metres * a_metre, name


def _line(points: np.ndarray, closed: bool) -> str:
    whole = np.rint(points).astype(int)
    kept = whole[np.append(True, (np.diff(whole, axis=0) != 0).any(axis=1))]
    if len(kept) < 2:
        return ""
    steps = " ".join(f"{x} {y}" for x, y in np.diff(kept, axis=0).tolist())
    return f"M{kept[0][0]} {kept[0][1]}l{steps}" + ("z" if closed else "")

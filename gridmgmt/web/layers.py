"""What the map of the centre can lay over its areas: clusters of now, and how thick matters lie.

A density is a surface over the city's ground, computed once for each hour, category and period by whichever
worker is asked first, and kept beside the tiles; docs/methods/density.md says what it means.
"""

import io
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import Connection

from gridmgmt.errors import InputError, NotEnoughDataError
from gridmgmt.hotspots import tables
from gridmgmt.hotspots.statistics import density
from gridmgmt.incidents import service as incidents
from gridmgmt.web.areas import DECIMALS, Bounds, Territory
from gridmgmt.web.tile_cache import Shelf

# Metres: what a patrol covers, and a sixth of it.
BANDWIDTH, CELL = 300.0, 50.0
CLASSES = 5
# Each class begins at half of the next; the highest at the density that one cell in 200 reaches.
RISE, TOP_SHARE = 2.0, 0.995
# --rate-1 to --rate-5 of app.css: each darker than the one before, in grey print too.
COLOURS = ((255, 244, 210), (253, 218, 150), (245, 169, 78), (210, 109, 42), (146, 64, 24))
OPAQUE = 235
UNIT = "件/平方公里·年"
# Nobody computes for so long: a mark this old was left by a worker that died.
STALE_S = 60.0
_RADIUS = 6378137.0
_DAYS_A_YEAR = 365.25


@dataclass(frozen=True)
class Picture:
    """A density as a picture: its frame in degrees, where its classes begin, and itself as PNG."""

    bounds: Bounds
    breaks: tuple[float, ...]
    png: bytes


def clusters(connection: Connection, here: Territory, category: str) -> str:
    """Return the clusters of the newest scan as GeoJSON text: the areas of each as one, with figures."""
    features = []
    for number, row in enumerate(tables.recent_clusters(connection, category), 1):
        found = row.result
        places = [here.place(code) for code in found.areas]
        shape = shapely.union_all([place.shape for place in places if place])
        if shape.is_empty:
            continue
        properties = {
            "number": number, "category": row.category_name, "place": row.area_name,
            "areas": len(found.areas), "from": found.start_on.isoformat(), "to": found.end_on.isoformat(),
            "observed": found.observed,
            "expected": round(found.expected, 1), "codes": " ".join(found.areas), "text": row.text.zh,
        }  # fmt: skip
        drawn = shapely.transform(shape, lambda xy: xy.round(DECIMALS))
        geometry = json.loads(shapely.to_geojson(drawn))
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)


@dataclass(frozen=True)
class Surface:
    """A density that is asked for: which matters, of which days, over which ground."""

    bounds: Bounds
    category: str
    since: date
    until: date

    @property
    def name(self) -> str:
        return f"{self.category or 'all'}-{self.since:%Y%m%d}-{self.until:%Y%m%d}"


def kept_surface(connection: Connection, shelf: Shelf, version: str, wanted: Surface) -> Picture | None:
    """Return the picture of a density, made now if it is not kept; None while another worker makes it.

    Raises InputError for a period that ends before it begins, NotEnoughDataError when nothing lies there.
    """
    if wanted.until < wanted.since:
        raise InputError("to", wanted.until.isoformat(), f"a day from {wanted.since.isoformat()} on")
    found = _read(shelf, version, wanted.name)
    if found:
        return found
    with _alone(shelf.folder / version / f"{wanted.name}.busy") as mine:
        if not mine:
            return None
        made = surface(connection, wanted)
        about = json.dumps({"bounds": made.bounds, "breaks": made.breaks}).encode()
        shelf.put(version, f"{wanted.name}.png", made.png)
        shelf.put(version, f"{wanted.name}.json", about)
        return made


def _read(shelf: Shelf, version: str, name: str) -> Picture | None:
    about, png = shelf.get(version, f"{name}.json"), shelf.get(version, f"{name}.png")
    if about is None or png is None:
        return None
    told = json.loads(about)
    return Picture(tuple(told["bounds"]), tuple(told["breaks"]), png)


@contextmanager
def _alone(mark: Path) -> Iterator[bool]:
    """Say whether this worker may compute: the first to leave a mark does, until it is done."""
    mark.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        if time.time() - mark.stat().st_mtime > STALE_S:
            mark.unlink()
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        yield False
        return
    try:
        yield True
    finally:
        mark.unlink(missing_ok=True)


def surface(connection: Connection, wanted: Surface) -> Picture:
    """Return the density of matters over a city's ground as a picture in five classes.

    The plane is Web Mercator shrunk to metres at the city's middle: the picture lies on the map as it is, and
    a density is wrong by 0.3 % at the rim of a city 50 km high.
    """
    xy, scale = _places(connection, wanted)
    west, south, east, north = wanted.bounds
    corners = _plane(np.array([west, east]), np.array([south, north]), scale)
    frame = (corners[0, 0], corners[0, 1], corners[1, 0], corners[1, 1])
    found = density.kde(xy, BANDWIDTH, frame, CELL)
    years = ((wanted.until - wanted.since).days + 1) / _DAYS_A_YEAR
    values = found.density * 1e6 / years
    breaks = _breaks(values)
    # The last row and column may reach beyond the ground: the picture's frame is theirs.
    reach = found.x[0] + CELL * len(found.x), found.y[0] + CELL * len(found.y)
    far = _degrees(reach[0] - CELL / 2, reach[1] - CELL / 2, scale)
    return Picture((west, south, *far), breaks, _png(np.digitize(values, breaks)))


def _places(connection: Connection, wanted: Surface) -> tuple[NDArray[np.float64], float]:
    matters = incidents.matters(connection, wanted.since, wanted.until)
    there = np.isfinite(matters.lon)
    if wanted.category:
        below = incidents.categories(connection).below(wanted.category)
        chosen = np.array([code in below for code in matters.categories], bool)
        there &= chosen[matters.category] if len(chosen) else False
    if not there.any():
        raise NotEnoughDataError("matters of this category and period with a place", 0, "at least one")
    scale = float(np.cos(np.radians((wanted.bounds[1] + wanted.bounds[3]) / 2)))
    return _plane(matters.lon[there], matters.lat[there], scale), scale


def _plane(lon: NDArray[np.float64], lat: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    north = np.arcsinh(np.tan(np.radians(lat)))
    return np.column_stack([np.radians(lon), north]) * (_RADIUS * scale)


def _degrees(x: float, y: float, scale: float) -> tuple[float, float]:
    away = _RADIUS * scale
    return float(np.degrees(x / away)), float(np.degrees(np.arctan(np.sinh(y / away))))


def _breaks(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Return where the classes begin, the lowest first: two figures each, doubling."""
    top = float(np.quantile(values[values > 0], TOP_SHARE)) if (values > 0).any() else 1.0
    return tuple(float(f"{top / RISE ** (CLASSES - 1 - step):.2g}") for step in range(CLASSES))


def _png(classes: NDArray[np.integer[Any]]) -> bytes:
    """Return classes (rows from the south) as a picture; class 0 is glass."""
    rows, columns = classes.shape
    picture = Image.frombytes("P", (columns, rows), classes[::-1].astype(np.uint8).tobytes())
    picture.putpalette([0, 0, 0, *(part for colour in COLOURS for part in colour)])
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True, transparency=bytes([0] + [OPAQUE] * CLASSES))
    return out.getvalue()

"""Coordinates of a chunk as CGCS2000 points; what is no place, or written the wrong way round, is told."""

from pathlib import Path

import numpy as np
import pyproj
from numpy.typing import NDArray

from gridmgmt.crs import to_cgcs2000
from gridmgmt.errors import FileError
from gridmgmt.importing.columns import CRS_CHOICES
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.tables import Chunk
from gridmgmt.importing.values import NUMBER_EXAMPLES, parse_numbers

Bounds = tuple[float, float, float, float]  # west, south, east, north
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# A matter may lie outside the territory; beyond this it is more likely a fault in writing than a far journey.
FAR = 1.0  # degrees
NAMED = ("wgs84", "cgcs2000", "gcj02", "bd09")


def read_places(
    chunk: Chunk, path: Path, mapping: Mapping, bounds: Bounds | None, lon: str = "lon", lat: str = "lat"
) -> tuple[Floats, Floats]:
    """Return longitudes and latitudes in EPSG:4490 degrees, NaN where a row gives neither.

    Rejects rows with one coordinate, with coordinates of 0, out of range, or swapped: far outside `bounds` as
    given, inside when exchanged. A point that is merely outside is kept.

    Raises
    ------
    FileError
        When only one of the two columns is there, or no reference system is declared.
    """
    none = np.full(len(chunk.rows), np.nan)
    there = [name for name in (lon, lat) if name in chunk.frame]
    if not there:
        return none, none
    if len(there) == 1:
        raise FileError(path, "coordinates", f"only {there[0]}", f"columns for both {lon} and {lat}")
    if mapping.crs is None:
        raise FileError(path, "crs", "not declared", CRS_CHOICES)
    x, y = _numbers(chunk, lon), _numbers(chunk, lat)
    pairs = chunk.frame[lon] + ", " + chunk.frame[lat]
    both = f"{lon}, {lat}"
    chunk.reject(np.isnan(x) != np.isnan(y), both, pairs, "both numbers, or neither")
    chunk.reject((x == 0) & (y == 0), both, pairs, "a place; leave both empty when it is not known")
    east, north = _converted(x, y, mapping.crs)
    placed = chunk.good & ~np.isnan(x)
    swapped = placed & _swapped(x, y, east, north, mapping.crs, bounds)
    chunk.reject(swapped, both, pairs, f"{lon} first, then {lat}: these two are exchanged")
    chunk.reject(placed & np.isnan(east), both, pairs, f"a place within {mapping.crs}")
    if bounds:
        zero = ((x == 0) | (y == 0)) & _outside(east, north, bounds, FAR)
        chunk.reject(zero, both, pairs, "a place; leave both empty when it is not known")
    return east, north


def _numbers(chunk: Chunk, name: str) -> Floats:
    numbers, bad = parse_numbers(chunk.frame[name])
    chunk.reject(bad, name, chunk.frame[name], NUMBER_EXAMPLES)
    return numbers


def _converted(x: Floats, y: Floats, crs: str) -> tuple[Floats, Floats]:
    """Return CGCS2000 degrees; NaN for degrees that no globe has and for what lies outside the system."""
    if _in_degrees(crs):
        off = (np.abs(x) > 180) | (np.abs(y) > 90)
        x, y = np.where(off, np.nan, x), np.where(off, np.nan, y)
    return to_cgcs2000(x, y, crs)


def _in_degrees(crs: str) -> bool:
    return crs in NAMED or bool(pyproj.CRS.from_user_input(crs).is_geographic)


def _swapped(x: Floats, y: Floats, east: Floats, north: Floats, crs: str, bounds: Bounds | None) -> Mask:
    """Say which pairs make sense only the other way round."""
    suspect = np.isnan(east) if bounds is None else np.isnan(east) | _outside(east, north, bounds, FAR)
    found = np.zeros(len(x), bool)
    if suspect.any():
        other_east, other_north = _converted(y[suspect], x[suspect], crs)
        sane = np.isfinite(other_east)
        found[suspect] = sane if bounds is None else sane & ~_outside(other_east, other_north, bounds, 0.0)
    return found


def _outside(east: Floats, north: Floats, bounds: Bounds, margin: float) -> Mask:
    west, south, right, top = bounds
    inside = (
        (east >= west - margin)
        & (east <= right + margin)
        & (north >= south - margin)
        & (north <= top + margin)
    )
    return ~inside

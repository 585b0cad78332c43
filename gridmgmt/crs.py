"""Coordinates between the reference systems that a Chinese city's files come in.

WGS 84 and CGCS2000 are true positions; GCJ-02 is WGS 84 shifted by up to about 700 m as China's
published maps must be; BD-09 is GCJ-02 shifted once more by Baidu. No official text gives the
formulas, so the widely published ones are used. `docs/methods/coordinates.md` has them, with the limits.

Every conversion takes arrays (lon, lat) in degrees that broadcast to one shape, and returns new
float64 arrays (lon, lat) of that shape. A point with NaN in either number comes back as NaN in both.
Points go there and back exactly everywhere but within 2 km of the box's edge, over 100 km outside China.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache

import numpy as np
import pyproj
from numpy.typing import ArrayLike, NDArray
from pyproj.exceptions import CRSError, ProjError

from gridmgmt.errors import InputError

FloatArray = NDArray[np.float64]
LonLat = tuple[FloatArray, FloatArray]
_Rule = Callable[[FloatArray, FloatArray], LonLat]

# Bounding box inside which GCJ-02 and BD-09 shift a point, in degrees of WGS 84.
_WEST, _EAST, _SOUTH, _NORTH = 72.004, 137.8347, 0.8293, 55.8271
# A shifted point can lie this far (degrees) outside the box; GCJ-02 moves less than 0.01, BD-09 0.0066 more.
_REACH = 0.03

# Krasovsky 1940, the ellipsoid inside the GCJ-02 formula.
_GCJ_A, _GCJ_E2 = 6378245.0, 0.00669342162296594323
# Some published code has plain pi here (eviltransform, its issue 43): wrong by tens of metres.
_BD_WAVE = np.pi * 3000.0 / 180.0
_BD_LON, _BD_LAT = 0.0065, 0.006

# CGCS2000, GB 22021-2008.
_CGCS_A, _CGCS_F = 6378137.0, 1 / 298.257222101
_CGCS_E2 = _CGCS_F * (2 - _CGCS_F)

# Points worked on at once: the dozen temporaries of one block stay in the processor's cache.
_BLOCK = 1 << 13
# An inverse stops when its last step was below this (degrees, 1 mm). What is left of the error is at most
# 2.5 % of that step (BD-09; 0.8 % for GCJ-02), so 0.03 mm.
_SETTLED, _MAX_STEPS = 1e-8, 12

_BEIJING_1954 = 4214
_NAMED = ("wgs84", "cgcs2000", "gcj02", "bd09")
_ALLOWED = "wgs84, cgcs2000, gcj02, bd09 or EPSG:n of a geographic or projected system"


def wgs84_to_gcj02(lon: ArrayLike, lat: ArrayLike) -> LonLat:
    """Return the GCJ-02 position of WGS 84 points.

    Parameters
    ----------
    lon, lat : array_like, any shapes that broadcast to one
        Degrees. Points outside mainland China's bounding box stay as they are.

    Returns
    -------
    lon, lat : ndarray of that shape
        Degrees.

    Raises
    ------
    InputError
        When the two shapes do not fit together or hold something that is no number.

    >>> [round(float(v), 6) for v in wgs84_to_gcj02(116.404, 39.915)]
    [116.410244, 39.916404]

    Source: wandergis/coordtransform (MIT); `docs/methods/coordinates.md`.
    """
    return _blockwise(_shifted(_gcj_of), lon, lat)


def gcj02_to_wgs84(lon: ArrayLike, lat: ArrayLike) -> LonLat:
    """Return the WGS 84 position of GCJ-02 points, exact to 0.1 mm (published inverses: up to 6 m).

    Shapes, units and errors as in `wgs84_to_gcj02`. A point that no shift can have produced, because it
    belongs outside the bounding box, stays as it is.
    """
    return _blockwise(_inverse(_gcj_of), lon, lat)


def gcj02_to_bd09(lon: ArrayLike, lat: ArrayLike) -> LonLat:
    """Return the BD-09 position of GCJ-02 points.

    Shapes, units and errors as in `wgs84_to_gcj02`. Outside the bounding box points stay as they are: a
    foreign point must not move, and published implementations that test the box do the same.
    """
    return _blockwise(_shifted(_bd_of), lon, lat)


def bd09_to_gcj02(lon: ArrayLike, lat: ArrayLike) -> LonLat:
    """Return the GCJ-02 position of BD-09 points, exact to 0.1 mm (published inverse: up to 1 m).

    Shapes, units and errors as in `wgs84_to_gcj02`.
    """
    return _blockwise(_inverse(_bd_of), lon, lat)


def wgs84_to_bd09(lon: ArrayLike, lat: ArrayLike) -> LonLat:
    """Return the BD-09 position of WGS 84 points; shapes, units and errors as in `wgs84_to_gcj02`."""
    return gcj02_to_bd09(*wgs84_to_gcj02(lon, lat))


def bd09_to_wgs84(lon: ArrayLike, lat: ArrayLike) -> LonLat:
    """Return the WGS 84 position of BD-09 points, exact to 0.1 mm.

    Shapes, units and errors as in `wgs84_to_gcj02`.
    """
    return gcj02_to_wgs84(*bd09_to_gcj02(lon, lat))


def parse_crs(name: str) -> str:
    """Return the one spelling of a reference system's name: wgs84, cgcs2000, gcj02, bd09 or EPSG:n.

    Case, blanks, hyphens and underscores do not matter ("WGS-84", "gcj 02", "epsg:4490").

    Raises
    ------
    InputError
        When the name is none of these, or EPSG has no geographic or projected system of that number, or no
        published transformation leads from it to CGCS2000 (Beijing 1954 and Xi'an 1980: the parameters
        for a city are not public).

    >>> parse_crs("GCJ-02"), parse_crs("epsg:4547")
    ('gcj02', 'EPSG:4547')
    """
    text = name.strip().lower() if isinstance(name, str) else ""
    plain = re.sub(r"[ _-]", "", text)
    if plain in _NAMED:
        return plain
    code = re.fullmatch(r"epsg: ?([1-9][0-9]{0,8})", text)
    if code is None:
        raise InputError("crs", name, _ALLOWED)
    _transformer(int(code[1]))
    return f"EPSG:{code[1]}"


def to_cgcs2000(lon: ArrayLike, lat: ArrayLike, crs: str) -> LonLat:
    """Return CGCS2000 (EPSG:4490) positions of points given in any supported system.

    WGS 84 and CGCS2000 are treated as equal: their ellipsoids differ by 0.1 mm and the frames by
    centimetres at epoch 2000.0. (The ground has since moved about 3 cm a year, less than the error of any
    phone; survey-grade work must correct for it before import.)

    Parameters
    ----------
    lon, lat : array_like, any shapes that broadcast to one
        Degrees; for a projected system its easting and northing in its own unit, in this order
        whatever axis order EPSG gives.
    crs : str
        wgs84, cgcs2000, gcj02, bd09 or EPSG:n; see `parse_crs`.

    Returns
    -------
    lon, lat : ndarray of that shape
        Degrees. NaN where the input is NaN or lies outside the system's domain.

    Raises
    ------
    InputError
        When `crs` is unknown, or has no published transformation, or the shapes do not fit together.

    >>> [round(float(v), 6) for v in to_cgcs2000(500000.0, 3653137.0, "EPSG:4547")]
    [114.0, 33.003507]
    """
    name = parse_crs(crs)
    if name == "gcj02":
        return gcj02_to_wgs84(lon, lat)
    if name == "bd09":
        return bd09_to_wgs84(lon, lat)
    if name in _NAMED:
        return _blockwise(lambda x, y: (x, y), lon, lat)
    return _projected(_transformer(int(name.removeprefix("EPSG:"))), lon, lat)


def metres_per_degree(lat: ArrayLike) -> LonLat:
    """Return the length of one degree of longitude and of latitude at a latitude, on the CGCS2000 ellipsoid.

    Parameters
    ----------
    lat : array_like, any shape
        Degrees.

    Returns
    -------
    mx, my : ndarray of that shape
        Metres per degree eastward (the radius in the prime vertical, times cos lat) and northward (the
        radius in the meridian).

    >>> [round(float(v), 1) for v in metres_per_degree(33.0)]
    [93453.2, 110904.5]
    """
    phi = np.radians(np.asarray(lat, dtype=np.float64))
    bend = 1.0 - _CGCS_E2 * np.sin(phi) ** 2
    prime_vertical = _CGCS_A / np.sqrt(bend)
    per_degree = np.pi / 180.0
    mx = per_degree * prime_vertical * np.cos(phi)
    my = per_degree * prime_vertical * (1.0 - _CGCS_E2) / bend
    return np.asarray(mx), np.asarray(my)


def to_local_metres(lon: ArrayLike, lat: ArrayLike, lon0: float, lat0: float) -> LonLat:
    """Return metres east and north of an origin, on an equirectangular plane with the origin's scale.

    Fit for neighbourhoods: between two points within 5 km of the origin a distance is right to 0.1 %,
    within 30 km to 0.6 % (below 50° of latitude). For areas and lengths of record use the Gauss-Krüger zone.

    Parameters
    ----------
    lon, lat : array_like, any shapes that broadcast to one
        Degrees.
    lon0, lat0 : float
        The origin, degrees.

    Returns
    -------
    x, y : ndarray of that shape
        Metres.

    Raises
    ------
    InputError
        When the two shapes do not fit together.
    """
    mx, my = metres_per_degree(lat0)
    return _blockwise(lambda x, y: ((x - lon0) * mx, (y - lat0) * my), lon, lat)


def _blockwise(rule: _Rule, lon: ArrayLike, lat: ArrayLike) -> LonLat:
    """Apply a rule block by block to new arrays, with NaN in both numbers where either is NaN."""
    x, y = _pair(lon, lat)
    out_x, out_y = np.empty(x.size), np.empty(x.size)
    flat_x, flat_y = x.ravel(), y.ravel()
    for start in range(0, x.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        out_x[block], out_y[block] = rule(flat_x[block], flat_y[block])
    missing = np.isnan(flat_x) | np.isnan(flat_y)
    out_x[missing] = out_y[missing] = np.nan
    return out_x.reshape(x.shape), out_y.reshape(x.shape)


def _pair(lon: ArrayLike, lat: ArrayLike) -> LonLat:
    try:
        x, y = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
        x, y = np.broadcast_arrays(x, y)
    except (TypeError, ValueError) as why:
        raise InputError("lon, lat", str(why), "numbers whose shapes fit together") from why
    return x, y


def _in_box(lon: FloatArray, lat: FloatArray, reach: float = 0.0) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (
        (lon >= _WEST - reach) & (lon <= _EAST + reach) & (lat >= _SOUTH - reach) & (lat <= _NORTH + reach)
    )
    return inside


def _shifted(forward: _Rule) -> _Rule:
    """Make a rule that shifts points of the box and leaves the others."""

    def rule(lon: FloatArray, lat: FloatArray) -> LonLat:
        inside = _in_box(lon, lat)
        x, y = lon.copy(), lat.copy()
        x[inside], y[inside] = forward(lon[inside], lat[inside])
        return x, y

    return rule


def _inverse(forward: _Rule) -> _Rule:
    """Make the inverse of a shift.

    The box is tested on the answer, not on the question: a point is shifted back when it came out of the
    box. So every point of the box returns to itself, those on its edge included.
    """

    def rule(lon: FloatArray, lat: FloatArray) -> LonLat:
        near = _in_box(lon, lat, _REACH)
        x, y = lon.copy(), lat.copy()
        found_x, found_y = _solve(forward, lon[near], lat[near])
        came_from_box = _in_box(found_x, found_y, _SETTLED)
        x[near] = np.where(came_from_box, found_x, lon[near])
        y[near] = np.where(came_from_box, found_y, lat[near])
        return x, y

    return rule


def _solve(forward: _Rule, lon: FloatArray, lat: FloatArray) -> LonLat:
    """Return the points that `forward` takes to (lon, lat), by fixed-point iteration.

    The shift changes by less than 2.5 % of the distance between two points, so what is left of the error
    after each step is at most that share of it.
    """
    x, y = lon.copy(), lat.copy()
    for _ in range(_MAX_STEPS):
        image_x, image_y = forward(x, y)
        step_x, step_y = lon - image_x, lat - image_y
        x, y = x + step_x, y + step_y
        if max(np.abs(step_x).max(initial=0.0), np.abs(step_y).max(initial=0.0)) < _SETTLED:
            break
    return x, y


def _gcj_of(lon: FloatArray, lat: FloatArray) -> LonLat:
    """Return GCJ-02 of WGS 84, without the box.

    The published waves of period 1/3 and 2 (times 2/3 below) follow from those of 1 and 6 by the triple
    angle, and a cosine from its sine: sines are nine tenths of the time spent here.
    """
    x, y = lon - 105.0, lat - 35.0
    xy, root = x * y, np.sqrt(np.abs(x))
    x_1, x_6, y_6 = _wave(2 * x), _wave(x / 3), _wave(y / 3)
    ripple = 20.0 * (_triple(x_1) + x_1)
    north_waves = 20.0 * _triple(y_6) + 40.0 * y_6 + 160.0 * _wave(y / 12) + 320.0 * _wave(y / 30)
    east_waves = 20.0 * _triple(x_6) + 40.0 * x_6 + 150.0 * _wave(x / 12) + 300.0 * _wave(x / 30)
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * xy + 0.2 * root + (ripple + north_waves) * 2 / 3
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * xy + 0.1 * root + (ripple + east_waves) * 2 / 3

    sin2 = np.sin(np.radians(lat)) ** 2
    bend = 1.0 - _GCJ_E2 * sin2
    prime_vertical = _GCJ_A / np.sqrt(bend)
    d_lon = np.degrees(east / (prime_vertical * np.sqrt(1.0 - sin2)))
    d_lat = np.degrees(north * bend / (prime_vertical * (1.0 - _GCJ_E2)))
    return lon + d_lon, lat + d_lat


def _wave(half_turns: FloatArray) -> FloatArray:
    wave: FloatArray = np.sin(half_turns * np.pi)
    return wave


def _triple(sine: FloatArray) -> FloatArray:
    """Return sin 3a from sin a."""
    return sine * (3.0 - 4.0 * sine * sine)


def _bd_of(lon: FloatArray, lat: FloatArray) -> LonLat:
    """Return BD-09 of GCJ-02, without the box.

    Published as polar coordinates: radius + 2e-5 sin(wave lat), angle + 3e-6 cos(wave lon). Here the same
    as a stretch and a rotation, which spares the arctangent.
    """
    stretch = 1.0 + 2e-5 * np.sin(lat * _BD_WAVE) / np.hypot(lon, lat)
    turn = 3e-6 * np.cos(lon * _BD_WAVE)
    cos, sin = np.cos(turn), np.sin(turn)
    return stretch * (lon * cos - lat * sin) + _BD_LON, stretch * (lon * sin + lat * cos) + _BD_LAT


def _projected(transformer: pyproj.Transformer, lon: ArrayLike, lat: ArrayLike) -> LonLat:
    def rule(x: FloatArray, y: FloatArray) -> LonLat:
        out_x, out_y = transformer.transform(x, y)
        failed = ~(np.isfinite(out_x) & np.isfinite(out_y))
        return np.where(failed, np.nan, out_x), np.where(failed, np.nan, out_y)

    return _blockwise(rule, lon, lat)


@lru_cache(maxsize=64)
def _transformer(code: int) -> pyproj.Transformer:
    """Return the transformation of an EPSG system to CGCS2000, or to WGS 84 which is taken as equal.

    A ballpark transformation (PROJ's word for leaving the datum shift out) is refused: on Xi'an 1980 it
    would be silently wrong by some hundred metres, which is another grid. Beijing 1954 is refused because
    its only published parameters are those of a few oil basins, and PROJ uses them anywhere.
    """
    try:
        source = pyproj.CRS.from_epsg(code)
    except CRSError as why:
        raise InputError("crs", f"EPSG:{code}", _ALLOWED) from why
    if not (source.is_geographic or source.is_projected):
        raise InputError("crs", f"EPSG:{code} ({source.type_name})", _ALLOWED)
    if source.geodetic_crs is not None and source.geodetic_crs.to_epsg() != _BEIJING_1954:
        for target in (4490, 4326):
            with suppress(ProjError):
                return pyproj.Transformer.from_crs(source, target, always_xy=True, allow_ballpark=False)
    allowed = "a system with a published transformation to CGCS2000 or WGS 84"
    raise InputError("crs", f"EPSG:{code} ({source.name})", allowed)

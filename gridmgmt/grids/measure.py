"""Areas and lengths in metres of geometries that are kept in degrees."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely.geometry.base import BaseGeometry

FloatArray = NDArray[np.float64]
Geometries = NDArray[np.object_]

# CGCS2000, GB 22021-2008.
_A, _F = 6378137.0, 1 / 298.257222101
_E2 = _F * (2 - _F)
_E = np.sqrt(_E2)


def to_plane(geometries: ArrayLike, lat0: float) -> Geometries:
    """Return geometries on an equal-area plane in metres, for measuring.

    Lambert's cylindrical equal-area projection of the CGCS2000 ellipsoid, its scale true at `lat0`: areas are
    those on the ellipsoid everywhere, lengths are right near `lat0` (to 0.4 % within 30 km, below 50° of
    latitude). Ask shapes about each other in degrees, where shared edges are exactly shared; measure here.

    Parameters
    ----------
    geometries : array of shapely geometries in degrees of CGCS2000, any shape
    lat0 : float
        Degrees.

    Source: Snyder 1987, Map Projections: A Working Manual, USGS Professional Paper 1395, eqs 10-13 to 10-15.
    """
    sine = np.sin(np.radians(lat0))
    scale = np.cos(np.radians(lat0)) / np.sqrt(1 - _E2 * sine**2)

    def project(points: FloatArray) -> FloatArray:
        sines = np.sin(np.radians(points[:, 1]))
        q = (1 - _E2) * (sines / (1 - _E2 * sines**2) + np.arctanh(_E * sines) / _E)
        return np.column_stack([_A * scale * np.radians(points[:, 0]), _A * q / (2 * scale)])

    return np.asarray(shapely.transform(np.asarray(geometries, dtype=object), project), dtype=object)


def area_m2(geometries: ArrayLike) -> FloatArray:
    """Return the area on the CGCS2000 ellipsoid in m², 0 for lines, points and None; shape as given."""
    return np.nan_to_num(shapely.area(to_plane(geometries, 0.0)))


def as_array(geometries: Sequence[BaseGeometry | None]) -> Geometries:
    """Return geometries as an array (n,); numpy alone would take a multipolygon apart."""
    array = np.empty(len(geometries), dtype=object)
    array[:] = geometries
    return array


def middle_latitude(geometries: ArrayLike) -> float:
    """Return the latitude halfway up all geometries together, 0 when there is none."""
    bounds = shapely.bounds(np.asarray(geometries, dtype=object).ravel())
    bounds = bounds[~np.isnan(bounds[:, 0])]
    return float((bounds[:, 1].min() + bounds[:, 3].max()) / 2) if len(bounds) else 0.0

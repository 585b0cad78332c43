"""The issue pool (问题库): matters with those told twice folded into one problem.

The hotline, a letter and a grid worker's round may all bring the same burst pipe. A matter belongs to the
problem that an earlier one of the same category opened within `FOLD_METRES` and `FOLD_DAYS`; what comes later
than that opens a new one, so that a place with trouble all summer stays a place with much trouble.
"""

import numpy as np
from scipy.spatial import cKDTree

from gridmgmt.errors import InputError

FOLD_METRES = 50.0
FOLD_DAYS = 14
_METRES_A_DEGREE = 111_195.0


def problems(lon: np.ndarray, lat: np.ndarray, category: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Return for every matter the row of the one that opened its problem; its own row when it did itself.

    In order of day, then of row, each matter that belongs to no problem opens one, and takes in every later
    one of its category within 50 m of its place and 14 days of its day. A matter without a place is a problem
    by itself.

    Parameters
    ----------
    lon, lat : degrees, NaN without a place, shape (n,)
    category : any numbers, shape (n,)
    day : datetime64, shape (n,)

    Returns
    -------
    ndarray of int, shape (n,)

    Raises
    ------
    InputError
        When the columns differ in length.
    """
    shapes = {np.shape(column) for column in (lon, lat, category, day)}
    if len(shapes) > 1:
        raise InputError("lon, lat, category, day", sorted(shapes), "one length for all")
    opened = np.arange(len(lon))
    placed = np.flatnonzero(np.isfinite(lon) & np.isfinite(lat))
    if not len(placed):
        return opened
    days = day[placed].astype("datetime64[D]").astype(np.int64)
    order = np.lexsort((placed, days))
    rows, days = placed[order], days[order]
    first, second = _near(lon[rows], lat[rows], category[rows], days)
    leads = np.ones(len(rows), dtype=bool)
    found = opened[rows]
    # Pairs come in order of their first matter: whether it leads is settled before it takes others in.
    for i, j in zip(first.tolist(), second.tolist(), strict=True):
        if leads[i] and leads[j]:
            leads[j] = False
            found[j] = rows[i]
    opened[rows] = found
    return opened


def _near(
    lon: np.ndarray, lat: np.ndarray, category: np.ndarray, days: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs i < j of rows, ordered, of one category, near each other in place and time."""
    north = np.radians(lat.mean())
    x = (lon - lon.mean()) * np.cos(north) * _METRES_A_DEGREE / FOLD_METRES
    y = (lat - lat.mean()) * _METRES_A_DEGREE / FOLD_METRES
    # Categories stand far apart on an axis of their own, so that one tree holds them all.
    kind = np.unique(category, return_inverse=True)[1] * 3.0
    tree = cKDTree(np.stack([x, y, days / FOLD_DAYS, kind], axis=1))
    pairs = tree.query_pairs(1.0 + 1e-9, p=np.inf, output_type="ndarray")
    i, j = pairs.min(axis=1), pairs.max(axis=1)
    near = np.hypot(x[i] - x[j], y[i] - y[j]) <= 1.0 + 1e-9
    i, j = i[near], j[near]
    order = np.lexsort((j, i))
    return i[order], j[order]

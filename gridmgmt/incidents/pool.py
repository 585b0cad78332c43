"""The issue pool (问题库): matters with those told twice folded into one problem.

The hotline, a letter and a grid worker's round may all bring the same burst pipe. A matter belongs to the
problem that an earlier one of the same category opened within `FOLD_METRES` and `FOLD_DAYS`; what comes later
than that opens a new one, so that a place with trouble all summer stays a place with much trouble.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy.spatial import cKDTree
from sqlalchemy import Connection

from gridmgmt.errors import InputError
from gridmgmt.incidents import service

FOLD_METRES = 50.0
FOLD_DAYS = 14
_METRES_A_DEGREE = 111_195.0


@dataclass(frozen=True)
class IssuePool:
    """The problems of a period, `n` of them, in order of the matter that opened each.

    Attributes
    ----------
    id : of the matter that opened it, shape (n,)
    lon, lat : its place, degrees, NaN without one
    category : index into `categories`
    first_day, last_day : on which it was told first and last, datetime64[D]
    told : how many matters told of it
    channels : names of the channels that they came by, one tuple a problem
    """

    id: np.ndarray
    lon: np.ndarray
    lat: np.ndarray
    category: np.ndarray
    first_day: np.ndarray
    last_day: np.ndarray
    told: np.ndarray
    channels: tuple[tuple[str, ...], ...]
    categories: tuple[str, ...]


def issue_pool(connection: Connection, start: date, end: date) -> IssuePool:
    """Return the problems that were opened from `start` to `end`, with all that tells of them kept."""
    found = service.matters(connection, start, end)
    opened, of_matter = np.unique(
        problems(found.lon, found.lat, found.category, found.day), return_inverse=True
    )
    last = np.full(len(opened), np.datetime64(start, "D"))
    np.maximum.at(last, of_matter, found.day)
    known = found.channel >= 0
    pairs = np.unique(np.stack([of_matter[known], found.channel[known]], axis=1), axis=0)
    by_problem: list[list[str]] = [[] for _ in opened]
    for problem, channel in pairs.tolist():
        by_problem[problem].append(found.channels[channel])
    return IssuePool(
        id=found.id[opened],
        lon=found.lon[opened],
        lat=found.lat[opened],
        category=found.category[opened],
        first_day=found.day[opened],
        last_day=last,
        told=np.bincount(of_matter, minlength=len(opened)),
        channels=tuple(map(tuple, by_problem)),
        categories=found.categories,
    )


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

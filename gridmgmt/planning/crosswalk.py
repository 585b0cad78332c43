"""Which share of an old grid's ground and households went into which new one: arrays in, rows out."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely

from gridmgmt.grids import measure
from gridmgmt.grids.assign import PointAssigner
from gridmgmt.hotspots.statistics.kernels import FloatArray

# Less than this of an old grid is the width of a line, not a part that moved.
LEAST_SHARE = 0.001


@dataclass(frozen=True)
class Share:
    """What of an old grid went into a new one; `household_share` is None where the old one had none."""

    old: int
    new: str
    area_share: float
    household_share: float | None


def crosswalk(
    old: Mapping[int, shapely.MultiPolygon],
    new: Mapping[str, shapely.MultiPolygon],
    places: FloatArray,
    households: FloatArray,
) -> list[Share]:
    """Return how old grids were divided among new ones, largest shares of each old grid first.

    Parameters
    ----------
    old, new : shapes in degrees, by grid id and by key
    places : of buildings, degrees, shape (n, 2)
    households : of each building, shape (n,)
    """
    if not old or not new:
        return []
    before, after = measure.as_array(list(old.values())), measure.as_array(list(new.values()))
    i, j = shapely.STRtree(after).query(before, predicate="intersects")
    area = measure.area_m2(shapely.intersection(before[i], after[j])) / measure.area_m2(before)[i]
    moved = _households(before, after, places, households)
    total = moved.sum(axis=1)
    ids, keys = list(old), list(new)
    shares = [
        Share(ids[a], keys[b], float(part), float(moved[a, b] / total[a]) if total[a] else None)
        for a, b, part in zip(i.tolist(), j.tolist(), area.tolist(), strict=True)
        if part > LEAST_SHARE or moved[a, b]
    ]
    return sorted(shares, key=lambda share: (share.old, -share.area_share, share.new))


def _households(
    before: np.ndarray, after: np.ndarray, places: FloatArray, households: FloatArray
) -> FloatArray:
    """Return households[old, new]."""
    table = np.zeros((len(before), len(after)))
    if len(places):
        old, new = (PointAssigner(range(len(shapes)), shapes).assign(*places.T) for shapes in (before, after))
        kept = (old >= 0) & (new >= 0)
        np.add.at(table, (old[kept], new[kept]), households[kept])
    return table


def successors(shares: list[Share]) -> dict[int, str]:
    """Return the main heir of each old grid: who got most households, or most ground where none live."""
    best: dict[int, Share] = {}
    for share in shares:
        now = best.get(share.old)
        if now is None or _weight(share) > _weight(now):
            best[share.old] = share
    return {old: share.new for old, share in best.items()}


def _weight(share: Share) -> tuple[float, float]:
    return (share.household_share or 0.0, share.area_share)

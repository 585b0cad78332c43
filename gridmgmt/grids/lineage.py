"""Which ended grids went into which new ones, and how: derived from their ground and their codes."""

from collections.abc import Collection, Mapping
from enum import StrEnum

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, or_, select

from gridmgmt.grids import measure
from gridmgmt.grids.models import GridKind, GridLineage
from gridmgmt.grids.store import GridRow, insert_rows, read_grids

# Less than this of an ended grid is the width of a line, not a part that moved.
LEAST_SHARE = 0.001


class LineageKind(StrEnum):
    """How a grid became another: cut up, put together, an edge moved, only its name or code changed."""

    SPLIT = "split"
    MERGE = "merge"
    SHIFT = "shift"
    RENAME = "rename"


LINEAGE_NAMES = {
    LineageKind.SPLIT: "拆分", LineageKind.MERGE: "合并",
    LineageKind.SHIFT: "调边", LineageKind.RENAME: "改名改码",
}  # fmt: skip


def kind_of(old: str, new: str, links: Collection[tuple[str, str]], moved: bool = True) -> LineageKind:
    """Return how one grid became another on a day.

    Parameters
    ----------
    old, new : str
        Codes of the ended grid and of its successor.
    links : collection of (ended code, successor's code)
        All of that day.
    moved : bool
        Whether the ground differs at all; only asked where the code is the same.

    >>> kind_of("a", "b", [("a", "b"), ("a", "c")])
    <LineageKind.SPLIT: 'split'>
    >>> kind_of("a", "b", [("a", "a"), ("b", "b"), ("a", "b")])
    <LineageKind.SHIFT: 'shift'>
    """
    if old == new:
        return LineageKind.SHIFT if moved else LineageKind.RENAME
    old_goes_on, new_went_before = (old, old) in links, (new, new) in links
    if old_goes_on or new_went_before:
        # Ground between two that both go on; a new one cut off; one swallowed by one that goes on.
        if old_goes_on and new_went_before:
            return LineageKind.SHIFT
        return LineageKind.SPLIT if old_goes_on else LineageKind.MERGE
    heirs, parents = sum(a == old for a, _ in links), sum(b == new for _, b in links)
    if heirs == parents == 1:
        return LineageKind.RENAME
    return LineageKind.SPLIT if heirs >= parents else LineageKind.MERGE


def derive(
    connection: Connection,
    changed: set[str],
    household_shares: Mapping[tuple[int, int], float] | None = None,
) -> int:
    """Write the lineage of base grids whose codes are in `changed`, anew; return how many rows that are.

    A grid succeeds another when it begins on the day the other ends and covers more than 0.1 % of it.
    `household_shares` says, by the ids of both, which share of the households went along: the caller knows
    where buildings stand. A share that is not given stays as it was written before.
    """
    grids = [grid for grid in read_grids(connection) if grid.kind == GridKind.BASE]
    ids = [grid.id for grid in grids if grid.code in changed]
    concerned = or_(GridLineage.from_grid.in_(ids), GridLineage.to_grid.in_(ids))
    columns = GridLineage.from_grid, GridLineage.to_grid, GridLineage.household_share
    known = {(a, b): part for a, b, part in connection.execute(select(*columns).where(concerned))}
    known |= household_shares or {}
    connection.execute(delete(GridLineage).where(concerned))
    old, new, share = successions(grids)
    rows = [
        {
            "from_grid": grids[a].id,
            "to_grid": grids[b].id,
            "area_share": float(part),
            "household_share": known.get((grids[a].id, grids[b].id)),
        }
        for a, b, part in zip(old, new, share, strict=True)
        if grids[a].code in changed or grids[b].code in changed
    ]
    insert_rows(connection, GridLineage, rows)
    return len(rows)


def successions(
    grids: list[GridRow],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return pairs of grids (k,), the ended one first, and the share of its area that went to the other."""
    ended = np.array([k for k, grid in enumerate(grids) if grid.valid_to is not None], np.int64)
    ends = {grids[k].valid_to for k in ended}
    begun = np.array([k for k, grid in enumerate(grids) if grid.valid_from in ends], np.int64)
    shapes = measure.as_array([grid.geometry for grid in grids])
    a, b = shapely.STRtree(shapes[begun]).query(shapes[ended], predicate="intersects")
    a, b = ended[a], begun[b]
    same_day = np.array([grids[i].valid_to == grids[j].valid_from for i, j in zip(a, b, strict=True)], bool)
    a, b = a[same_day], b[same_day]
    share = measure.area_m2(shapely.intersection(shapes[a], shapes[b])) / measure.area_m2(shapes)[a]
    keep = share > LEAST_SHARE
    return a[keep], b[keep], share[keep]

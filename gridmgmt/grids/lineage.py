"""Which ended grids went into which new ones, derived from their ground."""

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, or_

from gridmgmt.grids import measure
from gridmgmt.grids.models import GridKind, GridLineage
from gridmgmt.grids.store import GridRow, insert_rows, read_grids

# Less than this of an ended grid is the width of a line, not a part that moved.
LEAST_SHARE = 0.001


def derive(connection: Connection, changed: set[str]) -> int:
    """Write the lineage of base grids whose codes are in `changed`, anew; return how many rows that are.

    A grid succeeds another when it begins on the day the other ends and covers more than 0.1 % of it.
    """
    grids = [grid for grid in read_grids(connection) if grid.kind == GridKind.BASE]
    ids = [grid.id for grid in grids if grid.code in changed]
    connection.execute(
        delete(GridLineage).where(or_(GridLineage.from_grid.in_(ids), GridLineage.to_grid.in_(ids)))
    )
    old, new, share = successions(grids)
    rows = [
        {"from_grid": grids[a].id, "to_grid": grids[b].id, "area_share": float(part)}
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

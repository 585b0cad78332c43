"""Grids that a file would bring in, and the checks of their ground against villages and each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmgmt.grids import coverage
from gridmgmt.grids.coverage import LIMITS, Breach, BreachKind
from gridmgmt.grids.measure import as_array
from gridmgmt.grids.models import GridKind
from gridmgmt.grids.rows import Row, place, same_shape
from gridmgmt.grids.store import DivisionRow, GridRow
from gridmgmt.importing.report import Report

SLIVER = (
    f"slivers up to {LIMITS.area_m2:g} m², or thinner than {LIMITS.width_m:g} m "
    f"and up to {LIMITS.share:.0%} of the grid"
)


@dataclass(frozen=True)
class Candidate:
    """One feature as the grid it would become; `standing` is the grid of that code as it is now."""

    row: Row
    code: str
    name: str
    kind: str
    purpose: str | None
    village: str
    geometry: shapely.MultiPolygon
    valid_from: date | None
    valid_to: date | None
    standing: GridRow | None = None

    def columns(self) -> dict[str, object]:
        """Return the values of the table's columns."""
        return {
            "code15": self.code, "name": self.name, "kind": self.kind, "purpose": self.purpose or None,
            "village": self.village, "geom": self.geometry,
            "valid_from": self.valid_from, "valid_to": self.valid_to,
        }  # fmt: skip

    def differs(self) -> bool:
        """Say whether the grid that stands would change."""
        old = self.standing
        if old is None:
            return True
        mine = (self.name, self.kind, self.purpose or None, self.village, self.valid_from, self.valid_to)
        theirs = (old.name, old.kind, old.purpose, old.village, old.valid_from, old.valid_to)
        return mine != theirs or not same_shape(self.geometry, old.geometry)


def reject_misplaced(
    candidates: Sequence[Candidate], divisions: dict[str, DivisionRow], report: Report
) -> None:
    """Reject grids that leave their village, where the village has a polygon; warn of slivers."""
    drawn = [each for each in divisions.values() if each.level == "village" and each.geometry is not None]
    breaches = coverage.village_breaches(
        [str(k) for k in range(len(candidates))],
        _shapes(candidates),
        [each.village for each in candidates],
        [each.code for each in drawn],
        as_array([each.geometry for each in drawn]),
    )
    for breach in breaches:
        each = candidates[int(breach.grid)]
        if not breach.sliver:
            into = breach.other or "no village"
            found = f"reaches into {into} at {place(breach.lon, breach.lat)} by {breach.area_m2:,.0f} m²"
            each.row.reject("geometry", found, f"ground inside its village {each.village}; {SLIVER}")
    _warn_of_slivers(breaches, "leave their village", report)


def reject_overlapping(candidates: Sequence[Candidate], standing: Sequence[GridRow], report: Report) -> None:
    """Reject base grids on the ground of another one in force on the same day: the later feature of two."""
    kept = [each for each in candidates if each.kind == GridKind.BASE]
    while True:
        found, everyone = _overlaps(kept, standing)
        for k in np.lexsort((found.i, found.j)):  # by the later of two: what is rejected clashes no more
            if not found.sliver[k]:
                _reject_later(everyone[found.i[k]], everyone[found.j[k]], found, int(k))
        before, kept = len(kept), [each for each in kept if not each.row.rejected]
        if len(kept) == before:
            break
        # A grid that stands stays as it is when its change is rejected, so others may now lie on its ground.
    slivers = [
        Breach(BreachKind.OVERLAP, "", None, float(area), float(lon), float(lat), True)
        for j, area, lon, lat in zip(found.j, found.area_m2, found.lon, found.lat, strict=True)
        if isinstance(everyone[j], Candidate)
    ]
    _warn_of_slivers(slivers, "overlap", report)


def _overlaps(
    candidates: Sequence[Candidate], standing: Sequence[GridRow]
) -> tuple[coverage.Patches, list[Candidate | GridRow]]:
    """Return where base grids would overlap with the candidates in, and those grids, standing ones first."""
    replaced = {each.code for each in candidates if each.code}
    others = [grid for grid in standing if grid.kind == GridKind.BASE and grid.code not in replaced]
    everyone: list[Candidate | GridRow] = [*others, *candidates]
    days = [[each.valid_from, each.valid_to] for each in everyone]
    periods = np.array(days, "datetime64[D]").reshape(-1, 2)
    return coverage.overlap_patches(_shapes(everyone), periods), everyone


def _reject_later(
    first: Candidate | GridRow, later: Candidate | GridRow, found: coverage.Patches, k: int
) -> None:
    if not isinstance(later, Candidate) or (isinstance(first, Candidate) and first.row.rejected):
        return
    other = first.code if isinstance(first, GridRow) else f"feature {first.row.number}"
    what = f"overlaps {other} at {place(found.lon[k], found.lat[k])} by {found.area_m2[k]:,.0f} m²"
    later.row.reject("geometry", what, _way_out(first, later))


def warn_of_gaps(
    candidates: Sequence[Candidate],
    divisions: dict[str, DivisionRow],
    standing: Sequence[GridRow],
    report: Report,
) -> None:
    """Warn of ground without a base grid in the candidates' villages, or between grids where none is drawn.

    Looked at on the last day on which one of the village's candidates begins, so that the grids of the past
    may be imported before those that succeeded them.
    """
    begins: dict[str, date] = {}
    for each in candidates:
        begins[each.village] = max(begins.get(each.village, date.min), each.valid_from or date.min)
    by_village: dict[str, list[GridRow]] = {village: [] for village in begins}
    for grid in standing:
        by_village.setdefault(grid.village, []).append(grid)
    breaches = []
    for village, day in begins.items():
        outline = divisions[village].geometry
        own = _in_force(by_village[village], day)
        if own and outline is not None:
            breaches += coverage.gaps(_shapes(own), outline)
    undrawn = [village for village in begins if divisions[village].geometry is None]
    if undrawn:
        between = [grid for village in undrawn for grid in _in_force(by_village[village], begins[village])]
        breaches += coverage.gaps(_shapes(between))
    breaches = [each for each in breaches if not each.sliver]
    if breaches:
        largest = max(breaches, key=lambda each: each.area_m2)
        total = sum(each.area_m2 for each in breaches)
        report.warn(
            f"{len(breaches)} gaps of together {total:,.0f} m² that no base grid covers, the largest "
            f"{largest.area_m2:,.0f} m² at {place(largest.lon, largest.lat)}"
        )


def _in_force(grids: Sequence[GridRow], day: date) -> list[GridRow]:
    return [
        each
        for each in grids
        if each.kind == GridKind.BASE and each.valid_from <= day < (each.valid_to or date.max)
    ]


def _way_out(first: Candidate | GridRow, later: Candidate) -> str:
    rule = f"no ground of another base grid in force on the same day; {SLIVER}"
    begins, since = first.valid_from, later.valid_from
    if first.valid_to is None and begins is not None and since is not None and begins < since:
        old = first.code or "the earlier grid"
        return f"{rule}. If it succeeds {old}, first import that one with valid_to = {since}"
    return rule


def _warn_of_slivers(breaches: Sequence[Breach], what: str, report: Report) -> None:
    slivers = [each for each in breaches if each.sliver]
    if slivers:
        most = max(slivers, key=lambda each: each.area_m2)
        report.warn(
            f"{len(slivers)} grids {what} by slivers, kept as they are; the largest {most.area_m2:.1f} m² at "
            f"{place(most.lon, most.lat)}"
        )


def _shapes(grids: Sequence[Candidate | GridRow]) -> NDArray[np.object_]:
    return as_array([each.geometry for each in grids])

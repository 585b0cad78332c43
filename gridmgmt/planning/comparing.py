"""Two plans side by side, or a plan and the grids in force: what changed, who moves where, and the whole."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import shapely
from shapely.geometry import MultiPolygon
from sqlalchemy import Connection

from gridmgmt.calendar import china_today
from gridmgmt.grids import measure
from gridmgmt.grids.models import GridKind
from gridmgmt.planning import figures
from gridmgmt.planning.bands import limits
from gridmgmt.planning.checking import known
from gridmgmt.planning.figures import Figures
from gridmgmt.planning.states import Drawn, PlanInfo, Status, alike, current, in_force, plan

# Less ground than this between two grids is the width of a line.
LEAST_M2 = 1.0


@dataclass(frozen=True)
class GridChange:
    """A grid that is not the same on both sides: figures before and after, None where it is not there."""

    key: str
    name: str
    village: str
    kind: str
    status: Status
    redrawn: bool
    before: Figures | None
    after: Figures | None


@dataclass(frozen=True)
class Move:
    """What goes from one grid to another: ground and counts; `workers` where the old grid is gone."""

    old: str
    new: str
    area_m2: float
    households: int
    persons: int
    matters_a_year: float
    workers: int


@dataclass(frozen=True)
class Statistics:
    """All base grids of one side.

    Households: mean, coefficient of variation (standard deviation over mean), and the share of town grids in
    the band, None without any; the median of 4π area / perimeter².
    """

    grids: int
    area_m2: float
    households: int
    households_mean: float
    households_cv: float | None
    in_band_share: float | None
    compactness_median: float | None


@dataclass(frozen=True)
class PlanDiff:
    """What leads from `a` to `b` (numbers of plans, None for the grids in force)."""

    a: int | None
    b: int | None
    scope: str
    changes: list[GridChange]
    moves: list[Move]
    before: Statistics
    after: Statistics

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def diff(connection: Connection, a: int | None, b: int | None) -> PlanDiff:
    """Return what leads from a plan to another one; None for the grids in force today.

    Looks at the wider of their scopes. A new grid of a plan is the same in another one only when it was taken
    over as it is. Raises NotFoundError.
    """
    plans = [None if each is None else plan(connection, each) for each in (a, b)]
    scope = _scope([each.scope for each in plans if each])
    old, new = (_grids(connection, each, scope) for each in plans)
    if a != b and None not in (a, b):
        old, new = _told_apart(old, new, a), _told_apart(new, old, b)
    keys = [key for key in sorted(old.keys() | new.keys()) if not alike(old.get(key), new.get(key))]
    was, now = ({key: grids[key] for key in keys if key in grids} for grids in (old, new))
    before, after = _figures(connection, was), _figures(connection, now)
    return PlanDiff(
        a, b, scope,
        [_change(key, was, now, before, after) for key in keys],
        _moves(connection, was, now),
        _statistics(connection, plans[0], old, before),
        _statistics(connection, plans[1], new, after),
    )  # fmt: skip


def _scope(scopes: Collection[str]) -> str:
    widest = min(scopes, key=len, default="")
    return widest if all(scope.startswith(widest) for scope in scopes) else ""


def _grids(connection: Connection, chosen: PlanInfo | None, scope: str) -> dict[str, Drawn]:
    if chosen is None:
        return in_force(connection, china_today(), area=scope)
    return current(connection, chosen, area=scope)


def _told_apart(own: Mapping[str, Drawn], other: Mapping[str, Drawn], number: int | None) -> dict[str, Drawn]:
    """Return grids with the plan's number in the key of its own new ones: n1 of two plans are two grids."""
    return {
        f"{key}@{number}" if key[0] == "n" and drawn != other.get(key) else key: drawn
        for key, drawn in own.items()
    }


def _figures(connection: Connection, grids: Mapping[str, Drawn]) -> dict[str, Figures]:
    shapes = {key: drawn.shape for key, drawn in grids.items()}
    alone = {key for key, drawn in grids.items() if drawn.kind != GridKind.BASE}
    return {each.key: each for each in figures.figures(connection, shapes, alone)} if shapes else {}


def _change(
    key: str,
    was: Mapping[str, Drawn],
    now: Mapping[str, Drawn],
    before: Mapping[str, Figures],
    after: Mapping[str, Figures],
) -> GridChange:
    drawn = now.get(key) or was[key]
    status: Status = "new" if key not in was else "gone" if key not in now else "changed"
    redrawn = status != "changed" or was[key].wkb != now[key].wkb
    return GridChange(
        key, drawn.name, drawn.village, drawn.kind, status, redrawn, before.get(key), after.get(key)
    )


def _moves(connection: Connection, was: Mapping[str, Drawn], now: Mapping[str, Drawn]) -> list[Move]:
    """Return what goes from base grid to base grid, those with most households first."""
    pieces = _pieces(_base(was), _base(now))
    shapes = {f"{number:06d}": piece for number, (_, _, piece) in enumerate(pieces)}
    people = figures.households_in(connection, shapes) if shapes else {}
    matters = figures.matters_in(connection, shapes) if shapes else {}
    area = measure.area_m2(measure.as_array([piece for _, _, piece in pieces]))
    moves = [
        Move(old, new, float(size), *people[number], matters[number], 0)
        for number, (old, new, _), size in zip(shapes, pieces, area, strict=True)
    ]
    followed = _with_workers(moves, figures.workers_of(connection, [key for key in was if key not in now]))
    return sorted(followed, key=lambda move: (-move.households, -round(move.area_m2), move.old, move.new))


def _base(grids: Mapping[str, Drawn]) -> dict[str, MultiPolygon]:
    return {key: drawn.shape for key, drawn in grids.items() if drawn.kind == GridKind.BASE}


def _pieces(
    was: Mapping[str, MultiPolygon], now: Mapping[str, MultiPolygon]
) -> list[tuple[str, str, MultiPolygon]]:
    """Return the ground that goes from one grid to another one, as (old, new, ground)."""
    old, new = list(was), list(now)
    before, after = measure.as_array(list(was.values())), measure.as_array(list(now.values()))
    i, j = shapely.STRtree(after).query(before, predicate="intersects")
    other = np.array([old[a] != new[b] for a, b in zip(i.tolist(), j.tolist(), strict=True)], bool)
    i, j = i[other], j[other]
    shared = shapely.intersection(before[i], after[j])
    found = []
    for a, b, ground, size in zip(i.tolist(), j.tolist(), shared, measure.area_m2(shared), strict=True):
        if size > LEAST_M2:
            parts = shapely.get_parts(shapely.get_parts(ground))
            areas = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
            found.append((old[a], new[b], shapely.multipolygons(areas)))
    return found


def _with_workers(moves: list[Move], workers: Mapping[str, int]) -> list[Move]:
    """Let the workers of a grid that is gone go where most of its households go."""
    heirs: dict[str, Move] = {}
    for move in moves:
        best = heirs.get(move.old)
        if best is None or (move.households, move.area_m2) > (best.households, best.area_m2):
            heirs[move.old] = move
    return [
        Move(**vars(move) | {"workers": workers.get(move.old, 0) if heirs[move.old] is move else 0})
        for move in moves
    ]


def _statistics(
    connection: Connection,
    chosen: PlanInfo | None,
    grids: Mapping[str, Drawn],
    counted: Mapping[str, Figures],
) -> Statistics:
    base = {key: drawn for key, drawn in grids.items() if drawn.kind == GridKind.BASE}
    standing = known(connection, chosen.base_on if chosen else china_today())
    rest = {key: drawn.shape for key, drawn in base.items() if key not in counted and key not in standing}
    people = {key: each[0] for key, each in standing.items()}
    people |= {key: each[0] for key, each in figures.households_in(connection, rest).items()}
    people |= {key: each.households for key, each in counted.items()}
    households = np.array([people[key] for key in base], float)
    allowed = limits()
    in_town = np.array([figures.urban(drawn.village) for drawn in base.values()], bool)
    inside = np.array(
        [figures.deviation(people[key], drawn.village, allowed) == 0 for key, drawn in base.items()], bool
    )
    shapes = measure.as_array([drawn.shape for drawn in base.values()])
    mean = float(households.mean()) if len(base) else 0.0
    return Statistics(
        grids=len(base),
        area_m2=float(measure.area_m2(shapes).sum()),
        households=int(households.sum()),
        households_mean=mean,
        households_cv=float(households.std() / mean) if mean else None,
        in_band_share=float(inside[in_town].mean()) if in_town.any() else None,
        compactness_median=float(np.median(figures.compactness(shapes))) if len(base) else None,
    )

"""Grids as a plan has them: those in force on its day, overlaid with what its edits changed."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal, cast

import shapely
from shapely.geometry import MultiPolygon
from sqlalchemy import Connection, delete, func, select, text

from gridmgmt.errors import NotFoundError
from gridmgmt.grids import measure
from gridmgmt.grids.store import insert_rows
from gridmgmt.planning.models import Plan, PlanEdit, PlanGrid

SAME_GROUND_M2 = 0.1
Status = Literal["same", "changed", "new", "gone"]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class PlanInfo:
    """A plan as it stands; `edits` is how many of its edits are not undone."""

    id: int
    name: str
    parent_id: int | None
    scope: str
    status: str
    author: str
    created_at: datetime
    base_on: date
    version: int
    locked_by: str | None
    published_at: datetime | None
    published_by: str | None
    in_force_on: date | None
    explanation: str | None
    edits: int


@dataclass(frozen=True)
class Drawn:
    """A grid as drawn; equal when every byte of its shape is. `code` is one that was asked for."""

    code: str | None
    name: str
    kind: str
    purpose: str | None
    village: str
    wkb: bytes

    @property
    def shape(self) -> MultiPolygon:
        return cast(MultiPolygon, shapely.from_wkb(self.wkb))

    def as_json(self) -> dict[str, Any]:
        return vars(self) | {"wkb": self.wkb.hex()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> "Drawn | None":
        return None if value is None else cls(**{**value, "wkb": bytes.fromhex(value["wkb"])})


States = dict[str, Drawn | None]


@dataclass(frozen=True)
class GridState:
    """A grid of a plan for those who look at it; a gone one with the shape that it had."""

    key: str
    code: str | None
    name: str
    kind: str
    purpose: str | None
    village: str
    shape: MultiPolygon
    status: Status


def alike(one: Drawn | None, other: Drawn | None) -> bool:
    """Say whether two states are one grid on one ground; a corner that a neighbour put there is no change.

    A grid beside a cut gains a vertex, which moves its edge by less than the lattice's tenth of a millimetre.
    """
    if one is None or other is None or replace(one, wkb=b"") != replace(other, wkb=b""):
        return one is other
    return one.wkb == other.wkb or same_ground(one.shape, other.shape)


def same_ground(one: MultiPolygon, other: MultiPolygon) -> bool:
    """Say whether two shapes differ by less than anybody could measure."""
    apart = measure.as_array([shapely.symmetric_difference(one, other)])
    return bool(measure.area_m2(apart)[0] < SAME_GROUND_M2)


def plans(connection: Connection, plan_id: int | None = None) -> list[PlanInfo]:
    """Return all plans, or the one, the newest first."""
    live = select(func.count()).where(PlanEdit.plan_id == Plan.id, ~PlanEdit.undone).scalar_subquery()
    columns = [getattr(Plan, name) for name in PlanInfo.__dataclass_fields__ if name != "edits"]
    statement = select(*columns, live.label("edits")).order_by(Plan.id.desc())
    if plan_id is not None:
        statement = statement.where(Plan.id == plan_id)
    return [PlanInfo(**row) for row in connection.execute(statement).mappings()]


def plan(connection: Connection, plan_id: int) -> PlanInfo:
    """Return a plan; raises NotFoundError."""
    found = plans(connection, plan_id)
    if not found:
        raise NotFoundError(f"没有 {plan_id} 号方案")
    return found[0]


# --- reading

IN_FORCE = """
    SELECT g.code15 AS key, NULL AS code, g.name, g.kind, g.purpose, g.village, ST_AsBinary(g.geom) AS wkb
    FROM grid g
    WHERE g.valid_from <= :on AND (g.valid_to IS NULL OR g.valid_to > :on)
"""
NOT_IN_PLAN = " AND NOT EXISTS (SELECT FROM plan_grid p WHERE p.plan_id = :plan AND p.key = g.code15)"
OVERLAY = """
    SELECT p.key, p.code, p.name, p.kind, p.purpose, p.village, ST_AsBinary(p.geom)
    FROM plan_grid p WHERE p.plan_id = :plan AND NOT p.gone
"""


def in_force(
    connection: Connection, on: date, *, keys: Collection[str] | None = None, area: str = ""
) -> dict[str, Drawn]:
    """Return the grids in force on a day, by code: all inside an area, or those with some codes."""
    where, values = _filters(keys, None, area)
    statement = f"{IN_FORCE}{where.format('g', 'g.code15')} ORDER BY key"
    return _drawn(connection.execute(text(statement), {"on": on} | values))


def current(
    connection: Connection,
    chosen: PlanInfo,
    *,
    keys: Collection[str] | None = None,
    box: Box | None = None,
    area: str = "",
) -> dict[str, Drawn]:
    """Return a plan's grids by key: all inside an area, those whose box meets `box` (degrees), or by key."""
    where, values = _filters(keys, box, area)
    statement = (
        f"{IN_FORCE}{NOT_IN_PLAN}{where.format('g', 'g.code15')}"
        f" UNION ALL {OVERLAY}{where.format('p', 'p.key')} ORDER BY key"
    )
    return _drawn(connection.execute(text(statement), {"on": chosen.base_on, "plan": chosen.id} | values))


def _filters(keys: Collection[str] | None, box: Box | None, area: str) -> tuple[str, dict[str, Any]]:
    """Return conditions to be formatted with the table and its column of keys, and their values."""
    where = ""
    values: dict[str, Any] = {}
    if keys is not None:
        where, values = where + " AND {1} = ANY(:keys)", values | {"keys": list(keys)}
    if box is not None:
        where += " AND {0}.geom && ST_MakeEnvelope(:west, :south, :east, :north, 4490)"
        values |= dict(zip(("west", "south", "east", "north"), box, strict=True))
    if area:
        where, values = where + " AND starts_with({0}.village, :area)", values | {"area": area}
    return where, values


def _drawn(rows: Iterable[Any]) -> dict[str, Drawn]:
    return {
        key: Drawn(code, name, kind, purpose, village, bytes(wkb))
        for key, code, name, kind, purpose, village, wkb in rows
    }


def touched(connection: Connection, plan_id: int) -> dict[str, Drawn | None]:
    """Return what a plan changed by key, None for what it took away."""
    columns = (
        PlanGrid.key, PlanGrid.gone, PlanGrid.code, PlanGrid.name, PlanGrid.kind, PlanGrid.purpose,
        PlanGrid.village, func.ST_AsBinary(PlanGrid.geom),
    )  # fmt: skip
    rows = connection.execute(select(*columns).where(PlanGrid.plan_id == plan_id).order_by(PlanGrid.key))
    return {
        key: None if gone else Drawn(code, name, kind, purpose, village, bytes(wkb))
        for key, gone, code, name, kind, purpose, village, wkb in rows
    }


def as_seen(connection: Connection, chosen: PlanInfo, area: str = "") -> list[GridState]:
    """Return every grid of a plan inside an area, in order of key; the gone ones with their old shape."""
    base = in_force(connection, chosen.base_on, area=area)
    own = {
        key: drawn
        for key, drawn in touched(connection, chosen.id).items()
        if key in base or (drawn is not None and drawn.village.startswith(area))
    }
    return [_seen(key, own, base) for key in sorted(base.keys() | own.keys())]


def _seen(key: str, own: Mapping[str, Drawn | None], base: Mapping[str, Drawn]) -> GridState:
    drawn = own.get(key, base.get(key))
    if drawn is None:
        return replace(seen_as(key, base[key], base[key]), status="gone")
    return seen_as(key, drawn, base.get(key))


def seen_as(key: str, drawn: Drawn, base: Drawn | None) -> GridState:
    """Return a grid of a plan for those who look at it; `base` is the one in force, if any."""
    status: Status = "new" if base is None else "same" if alike(drawn, base) else "changed"
    code = drawn.code or (None if base is None else key)
    return GridState(key, code, drawn.name, drawn.kind, drawn.purpose, drawn.village, drawn.shape, status)


# --- writing


def write(connection: Connection, chosen: PlanInfo, states: Mapping[str, Drawn | None]) -> None:
    """Give a plan these states of grids; one that is as in force leaves no row. Commits nothing."""
    base = in_force(connection, chosen.base_on, keys=states)
    connection.execute(delete(PlanGrid).where(PlanGrid.plan_id == chosen.id, PlanGrid.key.in_(list(states))))
    rows = [_row(chosen.id, key, now, base.get(key)) for key, now in states.items() if now != base.get(key)]
    insert_rows(connection, PlanGrid, rows)


def _row(plan_id: int, key: str, now: Drawn | None, base: Drawn | None) -> dict[str, Any]:
    drawn = cast(Drawn, now or base)
    columns = {name: getattr(drawn, name) for name in ("code", "name", "kind", "purpose", "village")}
    return {"plan_id": plan_id, "key": key, "gone": now is None, "geom": now and now.shape} | columns

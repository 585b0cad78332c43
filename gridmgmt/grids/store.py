"""Rows of the territory's tables, read with their shapes and written with them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import shapely
from geoalchemy2 import WKBElement
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, Table, bindparam, func, insert, select, update

from gridmgmt.db.base import SRID, Base
from gridmgmt.grids.models import Division, Grid


@dataclass(frozen=True)
class DivisionRow:
    """A division as it stands."""

    code: str
    name: str
    level: str
    parent: str | None
    geometry: BaseGeometry | None


@dataclass(frozen=True)
class GridRow:
    """A grid as it stands, in force or ended."""

    id: int
    code: str
    name: str
    kind: str
    purpose: str | None
    village: str
    geometry: MultiPolygon
    valid_from: date
    valid_to: date | None


def read_divisions(connection: Connection) -> dict[str, DivisionRow]:
    """Return all divisions by code, in order of code."""
    columns = Division.code, Division.name, Division.level, Division.parent, func.ST_AsBinary(Division.geom)
    rows = connection.execute(select(*columns).order_by(Division.code))
    return {row[0]: DivisionRow(row[0], row[1], row[2], row[3], _shape(row[4])) for row in rows}


def read_grids(connection: Connection) -> list[GridRow]:
    """Return all grids that ever were, in order of code and first day."""
    columns = (
        Grid.id, Grid.code15, Grid.name, Grid.kind, Grid.purpose, Grid.village,
        func.ST_AsBinary(Grid.geom), Grid.valid_from, Grid.valid_to,
    )  # fmt: skip
    rows = connection.execute(select(*columns).order_by(Grid.code15, Grid.valid_from))
    return [
        GridRow(
            id_,
            code,
            name,
            kind,
            purpose,
            village,
            cast(MultiPolygon, shapely.from_wkb(bytes(wkb))),
            since,
            until,
        )
        for id_, code, name, kind, purpose, village, wkb, since, until in rows
    ]


def insert_rows(connection: Connection, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows given as values by column; a shapely `geom` is written in our reference system."""
    if rows:
        connection.execute(insert(table), [_written(row) for row in rows])


def update_rows(
    connection: Connection, table: type[Base], key: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Update rows found by their `key` columns with the other values given."""
    target = cast(Table, table.__table__)
    for row in rows:
        matches = [target.c[name] == bindparam(f"key_{name}", row[name]) for name in key]
        changes = {name: value for name, value in _written(row).items() if name not in key}
        connection.execute(update(target).where(*matches).values(changes))


def _written(row: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(row)
    if values.get("geom") is not None:
        values["geom"] = WKBElement(shapely.to_wkb(values["geom"]), srid=SRID)
    return values


def _shape(wkb: Any) -> BaseGeometry | None:
    return None if wkb is None else shapely.from_wkb(bytes(wkb))

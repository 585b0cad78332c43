"""Import of divisions: county, towns and streets, villages and communities."""

from pathlib import Path

from shapely.geometry.base import BaseGeometry
from sqlalchemy import Engine

from gridmgmt.errors import InputError
from gridmgmt.grids.codes import check_division, parent_code
from gridmgmt.grids.models import LEVEL_NAMES, Division, Level
from gridmgmt.grids.rows import Row, kept, polygon, read_rows, reject_repeated, same_shape, word
from gridmgmt.grids.store import DivisionRow, insert_rows, read_divisions, update_rows
from gridmgmt.importing import features
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.progress import Progress
from gridmgmt.importing.report import Report
from gridmgmt.importing.run import import_run

FIELDS = ("code", "name", "level", "parent")
ALIASES = {
    "code": ("编码", "代码", "区划代码"),
    "name": ("名称", "区划名称"),
    "level": ("级别", "层级"),
    "parent": ("上级", "上级编码", "上级代码"),
}
LEVEL_WORDS = {level.value: level.value for level in Level} | {
    label: level for level, label in LEVEL_NAMES.items() if level in list(Level)
}


def import_divisions(
    engine: Engine,
    path: Path,
    mapping: Mapping,
    *,
    dry_run: bool = False,
    rejects: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Import divisions from a table, or with their polygons from a map file; idempotent on the code.

    The level follows from the code's length and the parent from its first digits, so both may be absent. Rows
    may stand in any order. A row without a polygon leaves the polygon that is there.

    Raises
    ------
    FileError
        When the file cannot be read or has no code or name.
    """
    with import_run(engine, "divisions", path, dry_run=dry_run, rejects=rejects) as (connection, report):
        rows = read_rows(
            path, mapping, report, known=FIELDS, required=("code", "name"), aliases=ALIASES, progress=progress
        )
        standing = read_divisions(connection)
        has_shapes = Path(path).suffix.lower() in features.KINDS
        reject_repeated(rows, "code", [row["code"] for row in rows])
        undrawn = sum(row.geometry is None for row in kept(rows))
        if has_shapes and undrawn:
            report.warn(f"{undrawn} divisions without a polygon, or with one outside its reference system")
        found = [(row, each) for row in kept(rows) if (each := _division(row, has_shapes)) is not None]
        new: list[DivisionRow] = []
        changed: list[DivisionRow] = []
        known = set(standing)
        # Parents have shorter codes, so they come first whatever the file's order.
        for row, division in sorted(found, key=lambda each: len(each[1].code)):
            if division.parent and division.parent not in known:
                row.reject("parent", division.parent, "a division of this file or one imported before")
                continue
            known.add(division.code)
            _sort_in(division, standing.get(division.code), new, changed, report)
        insert_rows(connection, Division, [_columns(each) for each in new])
        # A row without a polygon leaves the one that is there.
        named = [
            {k: v for k, v in _columns(each).items() if k != "geom" or v is not None} for each in changed
        ]
        update_rows(connection, Division, ["code"], named)
    return report


def _division(row: Row, has_shapes: bool) -> DivisionRow | None:
    """Return the division of a row, None when the row is rejected."""
    shape = polygon(row) if has_shapes and row.geometry is not None else None
    if not row["name"]:
        row.reject("name", "", "a name")
    try:
        level = check_division(
            row["code"], word(row, "level", LEVEL_WORDS, "") or None, row["parent"] or None
        )
    except InputError as why:
        row.reject_for(why)
        return None
    if row.rejected:
        return None
    return DivisionRow(row["code"], row["name"], level.value, parent_code(row["code"]), shape)


def _sort_in(
    division: DivisionRow,
    standing: DivisionRow | None,
    new: list[DivisionRow],
    changed: list[DivisionRow],
    report: Report,
) -> None:
    if standing is None:
        new.append(division)
        report.new += 1
        return
    same_geometry = division.geometry is None or same_shape(division.geometry, standing.geometry)
    if division.name == standing.name and same_geometry:
        report.unchanged += 1
    else:
        changed.append(division)
        report.updated += 1


def _columns(division: DivisionRow) -> dict[str, str | BaseGeometry | None]:
    return {
        "code": division.code,
        "name": division.name,
        "level": division.level,
        "parent": division.parent,
        "geom": division.geometry,
    }

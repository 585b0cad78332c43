"""Import of grids from a map file: each feature checked, matched with what stands, numbered and written."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, Engine

from gridmgmt.errors import InputError
from gridmgmt.grids import codes, lineage, rows
from gridmgmt.grids.candidates import Candidate, reject_misplaced, reject_overlapping, warn_of_gaps
from gridmgmt.grids.measure import as_array
from gridmgmt.grids.models import Grid, GridKind, Level
from gridmgmt.grids.rows import Row, read_rows, reject_repeated
from gridmgmt.grids.store import DivisionRow, GridRow, insert_rows, read_divisions, read_grids, update_rows
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.progress import Progress
from gridmgmt.importing.report import Report
from gridmgmt.importing.run import import_run

FIELDS = ("code", "name", "village", "kind", "purpose", "valid_from", "valid_to")
ALIASES = {
    "code": ("code15", "网格编码", "编码"),
    "name": ("网格名称", "名称"),
    "village": ("村社区编码", "村社区"),
    "kind": ("网格类型", "类型"),
    "purpose": ("用途",),
    "valid_from": ("启用日期",),
    "valid_to": ("停用日期",),
}
KIND_WORDS = {kind.value: kind.value for kind in GridKind} | {
    "基础网格": GridKind.BASE, "专属网格": GridKind.SPECIAL, "微网格": GridKind.MICRO,
}  # fmt: skip

# A file that does not say since when its grids are in force gives those that always were: history of any
# year then falls into a grid.
FIRST_DAY = date(2000, 1, 1)


def import_grids(
    engine: Engine,
    path: Path,
    mapping: Mapping,
    *,
    dry_run: bool = False,
    rejects: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Import grids from GeoJSON, GeoPackage or Shapefile; idempotent on code, else on village and name.

    What is absent is derived. The village: from the code, else it is the only village there is, else the one
    whose polygon holds most of the grid. The code: by numbering the village's new grids in reading order. The
    name: from the code. The kind is base, `valid_from` 2000-01-01. A grid that stands keeps what it has.
    Lineage follows from the ground that ended grids share with those that begin on the day they end.

    Rejected, each with its feature number: a self-crossing polygon, an unknown village, a code twice or of
    another village, base grids that overlap on a day in force (the later feature), a grid across two
    villages. Slivers and gaps are warnings.

    Raises
    ------
    FileError
        When the file as a whole cannot be read.
    """
    with import_run(engine, "grids", path, dry_run=dry_run, rejects=rejects) as (connection, report):
        found = read_rows(path, mapping, report, known=FIELDS, required=(), aliases=ALIASES, map_only=True)
        divisions, standing = read_divisions(connection), read_grids(connection)
        candidates = _candidates(found, mapping, divisions, standing)
        reject_misplaced(candidates, divisions, report)
        candidates = [each for each in candidates if not each.row.rejected]
        reject_overlapping(candidates, standing, report)
        candidates = _numbered([each for each in candidates if not each.row.rejected], divisions, standing)
        _write(connection, candidates, report)
        warn_of_gaps(candidates, divisions, read_grids(connection), report)
    return report


def _candidates(
    found: list[Row], mapping: Mapping, divisions: dict[str, DivisionRow], standing: list[GridRow]
) -> list[Candidate]:
    """Return what the rows say as grids, matched with those that stand; rejects what is wrong in itself."""
    reject_repeated(found, "code", [row["code"] or None for row in found])
    first, last = rows.dates(found, "valid_from", mapping), rows.dates(found, "valid_to", mapping)
    villages = _Villages(divisions)
    made = []
    for row, since, until in zip(found, first, last, strict=True):
        shape = rows.polygon(row)
        kind = rows.word(row, "kind", KIND_WORDS, "")
        village = villages.of(row, shape)
        if not row.rejected and shape is not None:
            made.append(
                Candidate(row, row["code"], row["name"], kind, row["purpose"], village, shape, since, until)
            )
    keys = [None if each.code or not each.name else (each.village, each.name) for each in made]
    reject_repeated([each.row for each in made], "village and name", keys)
    matched = _Standing(standing)
    return [each for each in map(matched.completed, made) if not each.row.rejected]


class _Villages:
    """Finds the village of a row: by its code or name, by the grid's code, by its ground."""

    def __init__(self, divisions: dict[str, DivisionRow]) -> None:
        self._villages = {code: each for code, each in divisions.items() if each.level == Level.VILLAGE}
        self._by_name: dict[str, list[str]] = {}
        for code, each in self._villages.items():
            self._by_name.setdefault(each.name, []).append(code)
        self._drawn = [each for each in self._villages.values() if each.geometry is not None]
        self._tree = shapely.STRtree(as_array([each.geometry for each in self._drawn]))

    def of(self, row: Row, shape: BaseGeometry | None) -> str:
        """Return the code of a row's village; rejects the row when there is none."""
        if row.rejected:
            return ""
        try:
            parts = codes.check_code(row["code"]) if row["code"] else None
        except InputError as why:
            row.reject_for(why)
            return ""
        named = row["village"]
        if named in self._by_name and len(self._by_name[named]) == 1:
            named = self._by_name[named][0]
        village = named or (parts.village if parts else "") or self._by_ground(shape)
        if village not in self._villages:
            row.reject("village", village or "none, and no village's polygon holds the grid", self._allowed())
        elif parts and parts.village != village:
            row.reject("code", row["code"], f"one that begins with its village's {village}")
        return village

    def _by_ground(self, shape: BaseGeometry | None) -> str:
        if len(self._villages) == 1:
            return next(iter(self._villages))
        if shape is None:
            return ""
        near = self._tree.query(shape, predicate="intersects")
        if not len(near):
            return ""
        shared = shapely.area(shapely.intersection(self._tree.geometries[near], shape))
        return self._drawn[near[np.argmax(shared)]].code

    def _allowed(self) -> str:
        return (
            f"code or name of one of the {len(self._villages)} villages imported (gridmgmt import divisions)"
        )


class _Standing:
    """Matches candidates with standing grids: by code, else by village and name, else village and shape."""

    def __init__(self, standing: list[GridRow]) -> None:
        self._by_code = {grid.code: grid for grid in standing}
        self._by_name = {(grid.village, grid.name): grid for grid in standing}
        self._by_shape = {(grid.village, grid.geometry.normalize().wkb): grid for grid in standing}

    def completed(self, each: Candidate) -> Candidate:
        """Return a candidate with what is absent taken from the grid that stands, or from the defaults."""
        old = self._match(each)
        since = each.valid_from or (old.valid_from if old else FIRST_DAY)
        until = each.valid_to or (old.valid_to if old else None)
        if until is not None and until <= since:
            each.row.reject("valid_to", until, f"a day after valid_from, {since}")
        return replace(
            each,
            standing=old,
            code=old.code if old else each.code,
            name=each.name or (old.name if old else ""),
            kind=each.kind or (old.kind if old else GridKind.BASE),
            purpose=each.purpose or (old.purpose if old else None),
            valid_from=since,
            valid_to=until,
        )

    def _match(self, each: Candidate) -> GridRow | None:
        if each.code:
            return self._by_code.get(each.code)
        if each.name:
            return self._by_name.get((each.village, each.name))
        return self._by_shape.get((each.village, each.geometry.normalize().wkb))


def _numbered(
    candidates: list[Candidate], divisions: dict[str, DivisionRow], standing: list[GridRow]
) -> list[Candidate]:
    """Return the candidates with a code and a name each; rejects those that no number is left for."""
    fresh = [k for k, each in enumerate(candidates) if not each.code]
    done = list(candidates)
    for village in sorted({candidates[k].village for k in fresh}):
        given = [grid.code for grid in standing] + [each.code for each in candidates if each.code]
        taken = {codes.parse_code(code).sequence for code in given if code.startswith(village)}
        mine = [k for k in fresh if candidates[k].village == village]
        try:
            numbers = codes.number_grids(as_array([candidates[k].geometry for k in mine]), taken)
        except InputError as why:
            for k in mine:
                candidates[k].row.reject_for(why)
            continue
        for k, number in zip(mine, numbers.tolist(), strict=True):
            done[k] = replace(done[k], code=codes.make_code(village, number))
    return [
        each if each.name else replace(each, name=_default_name(each, divisions))
        for each in done
        if not each.row.rejected
    ]


def _default_name(each: Candidate, divisions: dict[str, DivisionRow]) -> str:
    return f"{divisions[each.village].name}第{codes.parse_code(each.code).sequence}网格"


def _write(connection: Connection, candidates: list[Candidate], report: Report) -> None:
    new = [each for each in candidates if each.standing is None]
    changed = [each for each in candidates if each.standing is not None and each.differs()]
    report.new, report.updated = len(new), len(changed)
    report.unchanged = len(candidates) - len(new) - len(changed)
    insert_rows(connection, Grid, [each.columns() for each in new])
    kept = [each.columns() | {"id": each.standing.id} for each in changed if each.standing is not None]
    update_rows(connection, Grid, ["id"], kept)
    if new or changed:
        lineage.derive(connection, {each.code for each in (*new, *changed)})

"""Import of context layers: rivers, roads, schools, whatever helps to read the map."""

from pathlib import Path

import shapely
from sqlalchemy import Engine, func, select

from gridmgmt.grids.models import MapLayer
from gridmgmt.grids.rows import kept, read_rows, reject_repeated, same_shape
from gridmgmt.grids.store import insert_rows, update_rows
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.progress import Progress
from gridmgmt.importing.report import Report
from gridmgmt.importing.run import import_run

FIELDS = ("layer", "name")
ALIASES = {"layer": ("图层",), "name": ("名称",)}


def import_layers(
    engine: Engine,
    path: Path,
    mapping: Mapping,
    *,
    dry_run: bool = False,
    rejects: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Import points, lines and areas from a map file; idempotent on layer and name.

    Raises
    ------
    FileError
        When the file cannot be read, or has no layer or name and the mapping gives none.
    """
    with import_run(engine, "layers", path, dry_run=dry_run, rejects=rejects) as (connection, report):
        rows = read_rows(path, mapping, report, known=FIELDS, required=FIELDS, aliases=ALIASES, map_only=True)
        reject_repeated(rows, "layer and name", [(row["layer"], row["name"]) for row in rows])
        query = select(MapLayer.layer, MapLayer.name, func.ST_AsBinary(MapLayer.geom))
        standing = {
            (layer, name): shapely.from_wkb(bytes(wkb)) for layer, name, wkb in connection.execute(query)
        }
        new, changed = [], []
        for row in kept(rows):
            shape, key = row.geometry, (row["layer"], row["name"])
            if not all(key):
                row.reject("layer" if not key[0] else "name", "", "a text")
            elif "//" in key[0]:  # a page refuses to hold what looks like an address of another server
                row.reject("layer", key[0], "a name without //")
            elif shape is None or shape.is_empty:
                row.reject("geometry", "nothing", "a point, a line or an area")
            elif key not in standing:
                new.append({"layer": key[0], "name": key[1], "geom": shape})
            elif same_shape(shape, standing[key]):
                report.unchanged += 1
            else:
                changed.append({"layer": key[0], "name": key[1], "geom": shape})
        report.new, report.updated = len(new), len(changed)
        insert_rows(connection, MapLayer, new)
        update_rows(connection, MapLayer, ["layer", "name"], changed)
    return report

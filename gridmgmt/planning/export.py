"""Hands a plan out as map files: GeoJSON, GeoPackage, Shapefile in GB18030 and UTF-8.

Columns are those that the import of grids reads, so that a file given out comes in again: a new grid has no
code yet, and the import numbers it. Coordinates are CGCS2000 (EPSG:4490), as they are drawn.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import geopandas
import pyogrio
import shapely
from sqlalchemy import Connection

from gridmgmt.config import FEWEST_HOUSEHOLDS
from gridmgmt.grids.models import GridKind
from gridmgmt.planning import stored
from gridmgmt.planning.figures import Figures, figures
from gridmgmt.planning.states import GridState, PlanInfo

CRS = "EPSG:4490"
LAYER = "grids"
# What a Shapefile can hold of a name: ten letters.
SHORT_NAMES = {"matters_a_year": "matters", "compactness": "compact"}


@dataclass(frozen=True)
class Form:
    """A kind of file: what the menu calls it, its ending and type, and who writes it."""

    name: str
    ending: str
    mime_type: str
    write: Callable[[Sequence[GridState], Mapping[str, Figures]], bytes]


def write(form: Form, connection: Connection, plan: PlanInfo) -> bytes:
    """Return a plan's grids inside its scope, with their figures, as the bytes of a file."""
    grids = [each for each in stored.grids(connection, plan.id, plan.scope) if each.status != "gone"]
    return form.write(grids, {each.key: each for each in figures_of(connection, grids)})


def figures_of(connection: Connection, grids: Sequence[GridState]) -> list[Figures]:
    """Return the figures of grids; special and micro-grids count on their own."""
    alone = {each.key for each in grids if each.kind != GridKind.BASE}
    return [] if not grids else figures(connection, {each.key: each.shape for each in grids}, alone)


def row(state: GridState, counted: Figures | None) -> dict[str, Any]:
    """Return what a file says of a grid; numbers of few households are left out."""
    known = counted is not None and counted.households >= FEWEST_HOUSEHOLDS
    return {
        "code": state.code,
        "name": state.name,
        "kind": state.kind,
        "purpose": state.purpose,
        "village": state.village,
        "key": state.key,
        "status": state.status,
        "area_m2": round(counted.area_m2, 1) if counted else None,
        "households": counted.households if counted and known else None,
        "persons": counted.persons if counted and known else None,
        "matters_a_year": round(counted.matters_a_year, 1) if counted else None,
        "workers": counted.workers if counted else None,
        "compactness": round(counted.compactness, 3) if counted else None,
        "deviation": counted.deviation if counted and known else None,
    }


def geojson(grids: Sequence[GridState], counted: Mapping[str, Figures]) -> bytes:
    """Return grids as GeoJSON with every decimal that was drawn."""
    features = [
        {
            "type": "Feature",
            "id": each.key,
            "properties": row(each, counted.get(each.key)),
            "geometry": shapely.geometry.mapping(each.shape),
        }
        for each in grids
    ]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4490"}}
    made = {"type": "FeatureCollection", "name": LAYER, "crs": crs, "features": features}
    return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()


def geopackage(grids: Sequence[GridState], counted: Mapping[str, Figures]) -> bytes:
    """Return grids as a GeoPackage of one layer."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "grids.gpkg"
        pyogrio.write_dataframe(_table(grids, counted), path, driver="GPKG", layer=LAYER)
        return path.read_bytes()


def shapefile(encoding: str) -> Callable[[Sequence[GridState], Mapping[str, Figures]], bytes]:
    """Return a writer of zipped Shapefiles whose texts have an encoding, which the .cpg names."""

    def made(grids: Sequence[GridState], counted: Mapping[str, Figures]) -> bytes:
        table = _table(grids, counted).rename(columns=SHORT_NAMES)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "grids.shp"
            pyogrio.write_dataframe(table, path, driver="ESRI Shapefile", encoding=encoding)
            return _zipped(sorted(Path(folder).iterdir()))

    return made


def _table(grids: Sequence[GridState], counted: Mapping[str, Figures]) -> geopandas.GeoDataFrame:
    rows = [row(each, counted.get(each.key)) for each in grids]
    columns = list(rows[0]) if rows else list(_NOTHING)
    table = geopandas.GeoDataFrame(rows, columns=columns, geometry=[each.shape for each in grids], crs=CRS)
    whole = ("households", "persons", "workers", "deviation")
    texts = ("code", "name", "kind", "purpose", "village", "key", "status")
    return table.astype(dict.fromkeys(whole, "Int64") | dict.fromkeys(texts, "object"))


_NOTHING = (
    "code", "name", "kind", "purpose", "village", "key", "status", "area_m2", "households", "persons",
    "matters_a_year", "workers", "compactness", "deviation",
)  # fmt: skip


def _zipped(paths: Sequence[Path]) -> bytes:
    stream = BytesIO()
    with ZipFile(stream, "w", ZIP_DEFLATED) as bundle:
        for path in paths:
            bundle.write(path, path.name)
    return stream.getvalue()


FORMS: dict[str, Form] = {
    "geojson": Form("GeoJSON", "geojson", "application/geo+json", geojson),
    "gpkg": Form("GeoPackage", "gpkg", "application/geopackage+sqlite3", geopackage),
    "shp-gb18030": Form("Shapefile（GB18030）", "shp.zip", "application/zip", shapefile("GB18030")),
    "shp-utf8": Form("Shapefile（UTF-8）", "shp.zip", "application/zip", shapefile("UTF-8")),
}

"""Features of GeoJSON, GeoPackage and Shapefile under our own names, in CGCS2000 longitude and latitude."""

import zipfile
from collections.abc import Mapping as Table
from collections.abc import Sequence
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pyproj
import shapely

from gridmgmt.crs import to_cgcs2000
from gridmgmt.db.base import SRID
from gridmgmt.errors import FileError
from gridmgmt.importing.columns import CRS_CHOICES, Wanted
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.packed import BROKEN_ZIP
from gridmgmt.importing.report import Report
from gridmgmt.importing.sheet_table import as_text
from gridmgmt.importing.survey import file_digest

# Of what the library says of a broken file: it may quote half of it.
LONGEST_WORDS = 300
KINDS = (".geojson", ".json", ".gpkg", ".shp", ".zip")


def read_features(
    path: Path,
    mapping: Mapping,
    *,
    known: Sequence[str],
    required: Sequence[str],
    report: Report,
    aliases: Table[str, Sequence[str]] | None = None,
) -> geopandas.GeoDataFrame:
    """Return all features of a file, and count them as read.

    Arguments as in `tables.read_chunks`; [source] sheet names the layer of a GeoPackage. Text columns by our
    names ("" for nothing), `feature` (1 for the first), `geometry` in EPSG:4490, two-dimensional; None where
    the file has none or where a coordinate lies outside its reference system. [keep] is applied.

    Raises
    ------
    FileError
        When the file cannot be read, lacks a required field, or its reference system is not known. GeoJSON
        without one is WGS 84 (RFC 7946).
    """
    path = Path(path)
    wanted = Wanted(known, required, aliases or {})
    wanted.check(mapping)
    report.sha256 = file_digest(path)
    report.unit = "feature"
    found = _read(path, mapping)
    header = [name for name in found.columns if name != "geometry"]
    layout = wanted.layout(path, header, mapping)
    report.name_forbidden(layout.forbidden)
    texts = {
        p: found[header[p]].map(as_text, na_action="ignore").fillna("").astype("str").str.strip()
        for p in layout.used
    }
    frame = layout.frame(texts, found.index)
    frame.insert(0, "feature", np.arange(1, len(found) + 1))
    frame = geopandas.GeoDataFrame(frame, geometry=_placed(path, found, mapping), crs=SRID)
    keep = np.ones(len(frame), bool)
    for position, allowed in layout.filters:
        keep &= texts[position].isin(allowed).to_numpy()
    report.read += len(frame)
    report.filtered += int((~keep).sum())
    return frame[keep].reset_index(drop=True)


def _read(path: Path, mapping: Mapping) -> geopandas.GeoDataFrame:
    if path.suffix.lower() not in KINDS:
        raise FileError(
            path,
            "file type",
            path.suffix or path.name,
            "GeoJSON, GeoPackage (.gpkg), Shapefile (.shp or .zip)",
        )
    try:
        layers = [name for name, kind in pyogrio.list_layers(path) if kind is not None]
        layer = _layer(path, layers, mapping.sheet)
        encoding = mapping.encoding or _dbf_encoding(path)
        # A shape that is none (a ring left open) is read as nothing: the feature is rejected, not the file.
        found = pyogrio.read_dataframe(
            path, layer=layer, encoding=encoding, datetime_as_string=True, on_invalid="ignore"
        )
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        *BROKEN_ZIP,
    ) as why:
        raise FileError(
            path, "features", str(why)[:LONGEST_WORDS], "a whole GeoJSON, GeoPackage or Shapefile"
        ) from why
    if not isinstance(found, geopandas.GeoDataFrame):
        raise FileError(path, "geometry", "none", "features with polygons")
    return found if found.geometry.name == "geometry" else found.rename_geometry("geometry")


def _layer(path: Path, layers: list[str], asked: str | None) -> str:
    if asked in layers or (asked is None and len(layers) == 1):
        return asked or layers[0]
    raise FileError(
        path, "layer", asked or f"{len(layers)} layers", f"[source] sheet = one of {', '.join(layers)}"
    )


def _dbf_encoding(path: Path) -> str | None:
    """Return the encoding of a Shapefile's table that declares none: UTF-8 if it reads so, else GB18030."""
    parts = _shapefile_parts(path)
    if ".dbf" not in parts or ".cpg" in parts:
        return None
    try:
        _records(parts[".dbf"]).decode("utf-8")
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8"


def _records(table: bytes) -> bytes:
    """Return the field names and records of a DBF: its first bytes are numbers, not text."""
    header = int.from_bytes(table[8:10], "little")
    names = b" ".join(table[at : at + 11].split(b"\0")[0] for at in range(32, header - 1, 32))
    return names + table[header:].rstrip(b"\x1a")


def _shapefile_parts(path: Path) -> dict[str, bytes]:
    """Return .dbf and .cpg of a Shapefile by suffix, also out of a zip; nothing for other formats."""
    parts = {}
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as packed:
            for name in packed.namelist():
                if name.lower().endswith((".dbf", ".cpg")):
                    parts[Path(name).suffix.lower()] = packed.read(name)
    elif path.suffix.lower() == ".shp":
        for beside in path.parent.glob(f"{path.stem}.*"):
            if beside.suffix.lower() in (".dbf", ".cpg"):
                parts[beside.suffix.lower()] = beside.read_bytes()
    return parts


def _placed(path: Path, found: geopandas.GeoDataFrame, mapping: Mapping) -> np.ndarray:
    """Return the geometries in CGCS2000; None where there is none or it lies outside its system."""
    name = mapping.crs or _own_crs(path, found.crs)
    flat = shapely.force_2d(found.geometry.to_numpy())
    moved = shapely.transform(flat, lambda xy: np.column_stack(to_cgcs2000(xy[:, 0], xy[:, 1], name)))
    broken = ~np.isfinite(shapely.bounds(moved)).all(axis=1)
    moved[broken] = None
    return moved


def _own_crs(path: Path, crs: pyproj.CRS | None) -> str:
    if crs is None:
        raise FileError(path, "crs", "the file does not say", CRS_CHOICES)
    if crs.to_authority() in (("OGC", "CRS84"), ("EPSG", "4326"), ("EPSG", "4979")):
        return "wgs84"
    # ESRI's .prj carries no number; a match of names and figures at this confidence is PROJ's own default.
    code = crs.to_epsg(min_confidence=70)
    if code is None:
        raise FileError(path, "crs", crs.name, CRS_CHOICES)
    return "cgcs2000" if code == SRID else "wgs84" if code == 4326 else f"EPSG:{code}"

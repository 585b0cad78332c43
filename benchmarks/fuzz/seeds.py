"""Good files of every kind to begin with: of the sample city where it has one, else made here."""

import io
import json
import random
from collections.abc import Iterator
from pathlib import Path

import geopandas
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import xlsxwriter
from PIL import Image

ROWS = 30
# Importer -> its file in the sample.
TABLES = {
    "incidents": "incidents_2025.csv", "categories": "categories.csv", "workers": "workers.csv",
    "tasks": "tasks_2025.csv", "roster": "roster_doubles.csv",
}  # fmt: skip
LAYERS = {"divisions": "divisions.geojson", "grids": "grids.geojson", "layers": "layers.geojson"}
MEDIATORS = "name,area,panel,specialities\n王强,379981001,人民调解,物业\n"
Seed = tuple[str, str, bytes]


def seeds(sample: Path) -> Iterator[Seed]:
    """Give (importer, ending, content) of good files."""
    for kind, name in TABLES.items():
        lines = (sample / name).read_bytes().splitlines(keepends=True)[: ROWS + 1]
        yield from tables(kind, b"".join(lines))
    yield from tables("mediators", MEDIATORS.encode())
    for kind, name in LAYERS.items():
        yield from layers(kind, sample / name)
    yield "index", ".xlsx", book([["月份", "2025-06"], ["区域", "指标", "值"], ["杏林街道", "诉求", "12"]])
    yield "index", ".csv", "区域,月份,指标,值\n379981001,2025-06,x,12\n".encode()
    for ending in ("JPEG", "PNG", "WEBP"):
        yield "photo", f".{ending.lower()}", picture(ending)
    for kind, content in (("pdf", PDF), ("jpeg", picture("JPEG")), ("xlsx", book([["a"]]))):
        yield "attachment", f".{kind}", content
    yield "mapping", ".toml", MAPPING


MAPPING = b"""
[source]
encoding = "gb18030"
crs = "wgs84"
[fields]
name = "x"
[keep]
y = ["1"]
"""
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    b"trailer<</Root 1 0 R>>\n%%EOF\n"
)


def tables(kind: str, content: bytes) -> Iterator[Seed]:
    """Give a table as CSV in the encoding it has, GB18030, XLSX and Parquet."""
    try:
        words = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        words = content.decode("gb18030")
    yield kind, ".csv", content
    yield kind, ".csv", words.encode("gb18030")
    rows = [line.split(",") for line in words.splitlines()]
    yield kind, ".xlsx", book(rows)
    out = io.BytesIO()
    read = pa_csv.ReadOptions(encoding="utf-8")
    pq.write_table(pa_csv.read_csv(io.BytesIO(words.encode()), read_options=read), out)
    yield kind, ".parquet", out.getvalue()


def book(rows: list[list[str]]) -> bytes:
    """Return a workbook whose sheet holds the rows, numbers as numbers."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as made:
        sheet = made.add_worksheet()
        for number, row in enumerate(rows):
            for place, value in enumerate(row):
                sheet.write(number, place, value)
        if len(rows) > 3:
            sheet.write_formula(1, 0, "=1/0", None, "#DIV/0!")
            sheet.merge_range(2, 1, 3, 1, "并")
    return out.getvalue()


def layers(kind: str, path: Path) -> Iterator[Seed]:
    """Give some features as GeoJSON, GeoPackage and a packed Shapefile."""
    told = json.loads(path.read_text(encoding="utf-8"))
    told["features"] = told["features"][:ROWS]
    content = json.dumps(told, ensure_ascii=False).encode()
    yield kind, ".geojson", content
    frame = geopandas.read_file(io.BytesIO(content))
    whole = frame[frame.geom_type == frame.geom_type.iloc[0]]
    for ending, driver in ((".gpkg", "GPKG"), (".shp.zip", "ESRI Shapefile")):
        out = path.parent / f"seed-{random.getrandbits(64):x}{ending}"
        whole.to_file(out, driver=driver, encoding="utf-8")
        yield kind, ".gpkg" if ending == ".gpkg" else ".zip", out.read_bytes()
        out.unlink()


def picture(ending: str) -> bytes:
    """Return a small picture."""
    out = io.BytesIO()
    Image.new("RGB", (64, 48), "orange").save(out, ending)
    return out.getvalue()

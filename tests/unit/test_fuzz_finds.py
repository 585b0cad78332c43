"""What the fuzz run of files found, as small as it gets: an error with words, or a shape that is none."""

import json
import zipfile
from pathlib import Path

import geopandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shapely import box

from gridmgmt.errors import FileError
from gridmgmt.importing.features import read_features
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.parquet_table import as_text, opened_parquet
from gridmgmt.importing.report import Report
from gridmgmt.importing.tables import read_chunks


@pytest.mark.filterwarnings("ignore:Non closed ring")
def test_a_ring_left_open_is_a_feature_without_a_shape_and_not_the_end_of_the_file(tmp_path: Path) -> None:
    square = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
    path = tmp_path / "open.geojson"
    features = [
        {"type": "Feature", "properties": {"name": name},
         "geometry": {"type": "Polygon", "coordinates": [ring]}}
        for name, ring in (("whole", square), ("open", square[:-1]))
    ]  # fmt: skip
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    report = Report("grids", path, None)
    found = read_features(path, Mapping(), known=("name",), required=("name",), report=report)
    assert found["name"].tolist() == ["whole", "open"]
    assert found.geometry.isna().tolist() == [False, True]


def test_what_is_wrong_with_a_file_is_said_in_few_words_however_long_the_file(tmp_path: Path) -> None:
    deep, zeros = tmp_path / "deep.geojson", tmp_path / "zeros.csv"
    deep.write_text('{"type":"FeatureCollection","features":34' + "[" * 50_000)
    zeros.write_bytes("name".encode("utf-32-be") * 3_000 + b"," * 50 + b"\n1\n")
    with pytest.raises(FileError) as said:
        read_features(deep, Mapping(), known=("x",), required=("x",), report=Report("grids", deep, None))
    assert len(str(said.value)) < 1_000
    with pytest.raises(FileError) as said:
        list(read_chunks(zeros, Mapping(), known=("x",), required=("x",), report=Report("rows", zeros, None)))
    assert "\\x00" not in str(said.value)
    assert len(str(said.value)) < 3_000


def test_a_packed_shapefile_whose_table_does_not_unpack_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grids.zip"
    square = geopandas.GeoDataFrame({"name": ["x" * 80]}, geometry=[box(0, 0, 1, 1)], crs=4490)
    square.to_file(tmp_path / "grids.shp")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for ending in (".shp", ".shx", ".dbf"):
            packed.write(tmp_path / f"grids{ending}", f"grids{ending}")
        table = packed.getinfo("grids.dbf")
    content, begins = bytearray(path.read_bytes()), table.header_offset + 30 + len(table.filename)
    content[begins + 4 : begins + table.compress_size] = b"\x01" * (table.compress_size - 4)
    path.write_bytes(content)
    with pytest.raises(FileError, match="whole"):
        read_features(path, Mapping(), known=("x",), required=("x",), report=Report("grids", path, None))


def test_bytes_that_a_damaged_parquet_file_calls_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.parquet"
    bad = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xe9\x27\x90"]).buffers())
    pq.write_table(pa.table({"name": bad}), path)
    with pytest.raises(FileError, match="Parquet"), opened_parquet(path) as file:
        as_text(file.read().column(0).chunk(0))

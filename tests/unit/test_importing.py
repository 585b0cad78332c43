"""Mapping files, tables of every format, values, the report: what a person may send, what is said of it."""

import gzip
import io
import json
import zipfile
from datetime import date, datetime
from pathlib import Path

import geopandas
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from gridmgmt.errors import FileError, GridmgmtError, InputError
from gridmgmt.importing.features import read_features
from gridmgmt.importing.mapping import Mapping, load_mapping
from gridmgmt.importing.report import Report
from gridmgmt.importing.tables import read_chunks
from gridmgmt.importing.values import clean_text, parse_numbers, parse_times

KNOWN = ("id", "name", "n")


def table(path: Path, mapping: Mapping | None = None, **options: object) -> tuple[pd.DataFrame, Report]:
    """Return the good rows of a file as one frame with their row numbers, and the report."""
    report = Report("test", path)
    asked: dict = {"known": KNOWN, "required": ("id",), **options}
    parts = []
    for chunk in read_chunks(path, mapping or Mapping(), report=report, **asked):
        parts.append(chunk.frame.assign(row=chunk.rows)[chunk.good])
        report.new += int(chunk.good.sum())
    report.check()
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(), report


def write(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


# --- mapping files


def test_a_mapping_file_says_columns_clock_filter_and_constants(tmp_path):
    path = write(
        tmp_path / "m.toml",
        """
        [source]
        crs = "GCJ-02"
        earliest = 2015-06-01
        [fields]
        id = ["no", "kind"]
        name = "称呼"
        [keep]
        count = [1]
        [period]
        from = 2015-01-01
        [constants]
        channel = "12345"
        """,
    )
    mapping = load_mapping(path)
    assert mapping.crs == "gcj02"
    assert mapping.earliest == date(2015, 6, 1)
    assert mapping.fields == {"id": ("no", "kind"), "name": ("称呼",)}
    assert mapping.keep == {"count": frozenset({"1"})}
    assert mapping.period == (date(2015, 1, 1), None)
    assert mapping.source == "12345"
    assert load_mapping(path, crs="bd09").crs == "bd09"


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("[sources]\ncrs = 'wgs84'", ["sources", "fields, keep"]),
        ("[source]\ncolour = 'red'", ["source.colour", "encoding"]),
        ("[source]\ncrs = 4", ["source.crs", "text"]),
        ("[source]\ncrs = 'mars'", ["crs", "mars", "gcj02"]),
        ("[source]\nencoding = 'klingon'", ["source.encoding", "klingon", "gb18030"]),
        ("[source]\ntimezone = 'Mars/Olympus'", ["source.timezone", "Asia/Shanghai"]),
        ("[source]\nrepeated_ids = 'drop'", ["source.repeated_ids", "reject or number"]),
        ("[fields]\nid = 3", ["fields.id", "3", "column"]),
        ("[keep]\ncount = '1'", ["keep.count", "list"]),
        ("[period]\nfrom = 'May'", ["period.from", "May", "date"]),
        ("[period]\nfrom = 2016-01-01\nto = 2015-01-01", ["period.to", "2016-01-01"]),
        ("[fields\n", ["mapping file", "line 1"]),
    ],
)
def test_what_a_mapping_file_may_not_say_is_named_with_file_and_key(tmp_path, content, parts):
    path = write(tmp_path / "m.toml", content)
    with pytest.raises(InputError) as error:
        load_mapping(path)
    for part in ["m.toml", *parts]:
        assert part in str(error.value)


def test_a_field_that_an_import_does_not_have_is_refused(tmp_path):
    path = write(tmp_path / "a.csv", "id\n1\n")
    with pytest.raises(InputError, match=r"fields\.colour.*id, name, n"):
        table(path, Mapping(fields={"colour": ("red",)}))


# --- encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("packed", [False, True])
def test_text_is_read_in_the_encoding_it_was_written_in(tmp_path, encoding, packed):
    content = "id,name\n001,网格长㐀\n".encode(encoding)
    path = tmp_path / ("a.csv.gz" if packed else "a.csv")
    path.write_bytes(gzip.compress(content) if packed else content)
    frame, _ = table(path)
    assert frame["name"].tolist() == ["网格长㐀"]
    assert frame["id"].tolist() == ["001"]


def test_a_wrong_encoding_is_told_with_byte_and_row(tmp_path):
    path = write(tmp_path / "a.csv", "id,name\n1,ok\n2,网格\n", "gb18030")
    with pytest.raises(FileError, match=r"a\.csv: encoding: found 'byte 15 in row 3 is not utf-8'"):
        table(path, Mapping(encoding="utf-8"))
    path = write(tmp_path / "b.csv", "id,name\n1,基层网格化服务管理中心\n")
    with pytest.raises(FileError, match=r"byte 42 in row 2 is not gb18030.*utf-8, as which"):
        table(path, Mapping(encoding="gb18030"))
    path = write(tmp_path / "c.csv", "id,name\n1,基层网格化服务管理中心甲\n")
    with pytest.raises(FileError, match="gb18030 declared, but the whole file reads as UTF-8"):
        table(path, Mapping(encoding="gb18030"))


def test_a_damaged_byte_in_a_utf8_file_is_not_taken_for_gb18030(tmp_path):
    content = "id,name\n1,基层网格化服务管理中心\n2,".encode() + b"\xff\n"
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(FileError, match=r"byte \d+ in row 3 is not UTF-8"):
        table(tmp_path / "a.csv")


def test_a_truncated_gzip_is_told_with_the_row_it_ends_after(tmp_path):
    rows = "".join(f"{i},{i * 7919 % 10007}\n" for i in range(50_000))
    whole = gzip.compress(("id,n\n" + rows).encode())
    (tmp_path / "a.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match=r"gzip: found 'it ends or is damaged after row (\d+)") as error:
        table(tmp_path / "a.csv.gz")
    assert int(str(error.value).split("after row ")[1].split()[0]) > 10_000


# --- CSV


def test_a_missing_column_is_told_with_what_was_found_and_how_to_map(tmp_path):
    path = write(tmp_path / "a.csv", "编号,name\n1,x\n")
    with pytest.raises(FileError) as error:
        table(path)
    for part in ("column id", "编号", "[fields] id ="):
        assert part in str(error.value)
    frame, _ = table(path, Mapping(fields={"id": ("编号",)}))
    assert frame["id"].tolist() == ["1"]


def test_column_names_match_when_trimmed_and_half_width(tmp_path):
    frame, _ = table(write(tmp_path / "a.csv", " ＩＤ ,Name\n1,x\n"))
    assert frame[["id", "name"]].values.tolist() == [["1", "x"]]


@pytest.mark.parametrize("sign", [",", "\t", ";", "|"])
def test_the_delimiter_is_found(tmp_path, sign):
    frame, _ = table(
        write(tmp_path / "a.txt", sign.join(["id", "name"]) + "\n" + sign.join(["1", "x"]) + "\n")
    )
    assert frame["name"].tolist() == ["x"]


def test_ragged_rows_and_nul_bytes_are_rejected_and_not_lost(tmp_path):
    path = write(tmp_path / "a.csv", "id,name\n1,a\n2\n3,b,c\n4,x\0y\n5,d,\n\n6,e\n")
    rejects = tmp_path / "r.csv"
    with Report("test", path, rejects) as report:
        good = []
        for chunk in read_chunks(path, Mapping(), known=KNOWN, required=("id",), report=report):
            good += chunk.frame["id"][chunk.good].tolist()
            report.new += int(chunk.good.sum())
    assert good == ["1", "5", "6"]
    assert (report.read, report.rejected) == (6, 3)
    written = pd.read_csv(rejects, dtype=str, encoding="utf-8-sig")
    assert written.columns.tolist() == ["row", "id", "name", "field", "found", "allowed", "reason"]
    assert written["row"].tolist() == ["3", "4", "5"]
    assert written["found"].tolist() == ["1 fields", "3 fields", "a NUL byte"]
    assert written["reason"][0] == "fields: found '1 fields', allowed: 2 fields as in the header"


def test_an_open_quote_does_not_swallow_rows_in_silence(tmp_path):
    path = write(tmp_path / "a.csv", 'id,name\n1,"a\n2,b\n3,c\n')
    _, report = table(path)
    assert report.rejected == 1 or report.new == 1
    assert "quote" in " ".join(report.first_reasons) or report.new == 1


def test_columns_that_watch_residents_are_named_and_dropped(tmp_path):
    path = write(tmp_path / "a.csv", "id,name,民族,维稳等级\n1,x,汉,高\n")
    frame, report = table(path)
    assert "民族, 维稳等级" in report.warnings[0]
    assert frame.columns.tolist() == ["id", "name", "row"]
    with pytest.raises(FileError, match="a column this product may hold"):
        table(path, Mapping(fields={"name": ("民族",)}))


def test_keep_counts_what_it_leaves_out(tmp_path):
    path = write(tmp_path / "a.csv", "id,count\n1,1\n2,-1\n3,1\n")
    frame, report = table(path, Mapping(keep={"count": frozenset({"1"})}))
    assert frame["id"].tolist() == ["1", "3"]
    assert (report.read, report.filtered) == (3, 1)


def test_a_composite_id_is_joined_and_constants_fill_columns(tmp_path):
    path = write(tmp_path / "a.csv", "no,kind\n15-1,7\n")
    frame, _ = table(path, Mapping(fields={"id": ("no", "kind")}, constants={"name": "x"}))
    assert frame[["id", "name"]].values.tolist() == [["15-1-7", "x"]]


# --- spreadsheets and Parquet


def test_a_spreadsheet_with_titles_merged_cells_text_numbers_and_dates_reads_as_a_person_sees_it(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["某某县诉求台账"])
    sheet.merge_cells("A1:C1")
    sheet.append([])
    sheet.append(["id", "name", "n"])
    sheet.append(["007", datetime(2023, 5, 1, 8, 30), 3])
    sheet.append([None, date(2023, 5, 2), 2.5])
    sheet.merge_cells("A4:A5")
    sheet.append(["８", "x", None])
    book.save(tmp_path / "a.xlsx")
    frame, report = table(tmp_path / "a.xlsx")
    assert frame["id"].tolist() == ["007", "007", "８"]
    assert frame["name"].tolist() == ["2023-05-01 08:30:00", "2023-05-02", "x"]
    assert frame["n"].tolist() == ["3", "2.5", ""]
    assert frame["row"].tolist() == [4, 5, 6]
    assert report.read == 3


def test_a_long_code_kept_as_a_number_is_refused_and_not_rounded(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["id", "name"])
    book.active.append([411303199001011234, "x"])
    book.active.append(["411303199001011234", "y"])
    book.save(tmp_path / "a.xlsx")
    frame, report = table(tmp_path / "a.xlsx")
    assert frame["name"].tolist() == ["y"]
    assert "it has lost digits" in report.first_reasons[0]
    pq.write_table(
        pa.table({"id": [4.11303199001011234e17, 3.0], "name": ["x", "y"]}), tmp_path / "a.parquet"
    )
    frame, report = table(tmp_path / "a.parquet")
    assert frame["id"].tolist() == ["3"]
    assert report.rejected == 1


def test_parquet_of_any_types_becomes_the_same_text(tmp_path):
    columns = {
        "id": pa.array([41130319900101123, 7, None]),
        "name": pa.array(["甲", None, "丙"]).dictionary_encode(),
        "n": pa.array([datetime(2023, 5, 1, 8, 30), None, datetime(2023, 5, 2)], pa.timestamp("ns", "UTC")),
        "secret": pa.array(["a", "b", "c"]),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    frame, _ = table(tmp_path / "a.parquet", only_known=True)
    assert frame["id"].tolist() == ["41130319900101123", "7", ""]
    assert frame["name"].tolist() == ["甲", "", "丙"]
    assert frame["n"].tolist() == ["2023-05-01 08:30:00.000000Z", "", "2023-05-02 00:00:00.000000Z"]
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])
    with pytest.raises(FileError, match=r"b\.parquet: Parquet file"):
        table(tmp_path / "b.parquet")


@pytest.mark.parametrize("name", ["a.xlsx", "a.parquet", "a.pdf", "missing.csv", "empty.csv"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    if name != "missing.csv":
        (tmp_path / name).write_bytes(b"" if name == "empty.csv" else b"nonsense")
    with pytest.raises(FileError, match=name):
        table(tmp_path / name)


# --- features

SQUARE = shapely.box(114.0, 33.0, 114.1, 33.1)


def features(path: Path, mapping: Mapping | None = None) -> geopandas.GeoDataFrame:
    return read_features(
        path, mapping or Mapping(), known=KNOWN, required=("name",), report=Report("test", path)
    )


def test_geojson_without_a_reference_system_is_wgs84_and_a_declared_one_is_converted(tmp_path):
    shape = json.dumps(shapely.geometry.mapping(SQUARE))
    feature = f'{{"type": "Feature", "properties": {{"name": "甲", "id": 7}}, "geometry": {shape}}}'
    write(tmp_path / "a.geojson", f'{{"type": "FeatureCollection", "features": [{feature}]}}')
    found = features(tmp_path / "a.geojson")
    assert found.crs.to_epsg() == 4490
    assert found.geometry[0].equals(SQUARE)
    assert found[["feature", "id"]].values.tolist() == [[1, "7"]]
    moved = features(tmp_path / "a.geojson", Mapping(crs="gcj02"))
    assert 300 < moved.geometry[0].centroid.distance(SQUARE.centroid) * 111_000 < 900


@pytest.mark.parametrize("packed", [False, True])
def test_a_shapefile_in_gb18030_without_cpg_is_read_and_one_without_prj_must_be_declared(tmp_path, packed):
    frame = geopandas.GeoDataFrame({"name": ["网格甲"]}, geometry=[SQUARE], crs=4490)
    frame.to_file(tmp_path / "a.shp", encoding="gb18030")
    (tmp_path / "a.cpg").unlink()
    path = _packed(tmp_path) if packed else tmp_path / "a.shp"
    assert features(path)["name"].tolist() == ["网格甲"]
    (tmp_path / "a.prj").unlink()
    path = _packed(tmp_path) if packed else path
    with pytest.raises(FileError, match=r"crs: found 'the file does not say'.*gcj02.*--crs"):
        features(path)
    assert features(path, Mapping(crs="cgcs2000")).geometry[0].equals(SQUARE)


def _packed(folder: Path) -> Path:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for part in folder.glob("a.*"):
            if part.suffix != ".zip":
                packed.write(part, part.name)
    return path


def test_a_geopackage_in_gauss_krueger_metres_comes_out_in_degrees(tmp_path):
    frame = geopandas.GeoDataFrame({"name": ["甲"]}, geometry=[SQUARE], crs=4490).to_crs(4547)
    frame.to_file(tmp_path / "a.gpkg", driver="GPKG")
    assert shapely.hausdorff_distance(features(tmp_path / "a.gpkg").geometry[0], SQUARE) < 1e-9


def test_a_cut_off_geojson_is_named(tmp_path):
    write(tmp_path / "a.geojson", '{"type": "FeatureCollection", "features": [{"type": "Fea')
    with pytest.raises(FileError, match=r"a\.geojson"):
        features(tmp_path / "a.geojson")


# --- values


def test_times_are_read_in_all_the_ways_people_write_them():
    same = ["2023-05-01 08:30", "2023/5/1 8:30", "2023年5月1日8时30分", "2023-05-01T00:30:00Z",
            "45047.3541666667", "２０２３-05-01 08:30", "202305010830", "2023-05-01T09:30+09:00",
            "2023.5.1 8:30:00"]  # fmt: skip
    moments, days, bad = parse_times(pd.Series(same, dtype="str"), "Asia/Shanghai")
    assert set(moments) == {np.datetime64("2023-05-01T00:30")}
    assert set(days) == {np.datetime64("2023-05-01")}
    assert not bad.any()


def test_what_is_no_time_is_bad_and_nothing_is_nothing():
    texts = pd.Series(["", "x", "2023-02-30", "2023", "12", "2023-05-01 25:00", "99999"], dtype="str")
    moments, _, bad = parse_times(texts, "Asia/Shanghai")
    assert np.isnat(moments).all()
    assert bad.tolist() == [False, True, True, True, True, True, True]


def test_a_skipped_hour_moves_forward_and_a_double_hour_is_the_first():
    texts = pd.Series(["2019-03-10 02:30", "2019-11-03 01:30"], dtype="str")
    moments, _, _ = parse_times(texts, "America/Chicago")
    assert moments.tolist() == [datetime(2019, 3, 10, 8, 0), datetime(2019, 11, 3, 6, 30)]


@given(st.lists(st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1)), min_size=1, max_size=20))
def test_an_iso_time_is_read_as_python_reads_it(times):
    texts = pd.Series([time.isoformat(" ") for time in times], dtype="str")
    moments, days, bad = parse_times(texts, "UTC")
    assert moments.tolist() == times
    assert days.tolist() == [time.date() for time in times]
    assert not bad.any()


def test_numbers_of_full_width_and_with_thousands_are_read_and_infinity_is_none():
    numbers, bad = parse_numbers(
        pd.Series(["１１４.5", "1,234.5", " -3 ", "", "1,23", "inf", "nan", "0x1"], dtype="str")
    )
    assert numbers[:3].tolist() == [114.5, 1234.5, -3.0]
    assert bad.tolist() == [False, False, False, False, True, True, True, True]


def test_text_loses_zero_width_and_control_characters_and_keeps_its_lines():
    assert clean_text(pd.Series(["　甲\u200b\x07 乙\n丙　"], dtype="str")).tolist() == ["甲 乙\n丙"]


# --- the report


def test_a_report_that_lost_a_row_stops_the_import(tmp_path):
    with (
        pytest.raises(GridmgmtError, match="read 2 rows but accounted for 1"),
        Report("test", tmp_path / "a") as report,
    ):
        report.read, report.new = 2, 1


def test_an_import_that_fails_leaves_no_rejects_file(tmp_path):
    def failing() -> None:
        with Report("test", tmp_path / "a", tmp_path / "r.csv") as report:
            report.reject([1], "x", "y", "z")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.lists(st.text(st.sampled_from('ab1",\n\0　')), min_size=0, max_size=4), max_size=30))
def test_every_row_of_a_random_table_is_accounted_for(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("t") / "a.csv"
    out = io.StringIO()
    out.write("id,name,n\n")
    for row in rows:
        out.write(",".join(row) + "\n")
    write(path, out.getvalue())
    frame, report = table(path, rows=7)
    assert report.read == len(frame) + report.rejected

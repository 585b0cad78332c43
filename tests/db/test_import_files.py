"""Files of every kind into the database: formats, rosters, code lists, binary COPY, the command itself."""

import json
import uuid
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text

from gridmgmt.cli.imports import imports
from gridmgmt.db.copy import BLOCK, Points, copy_rows
from gridmgmt.errors import FileError, InputError
from gridmgmt.households.incoming.importer import import_roster
from gridmgmt.households.incoming.template import write_template
from gridmgmt.importing.mapping import Mapping, load_mapping
from gridmgmt.incidents.importer import import_incidents
from gridmgmt.incidents.taxonomy_import import import_categories

PLAIN = load_mapping(None, crs="cgcs2000")
MATTERS = {
    "工单编号": ["007", "8"],
    "诉求时间": ["2023-05-01 08:30", "2023-05-02 00:00"],
    "小类": ["夜市", "夜市"],
    "经度": ["114.005", ""],
    "纬度": ["33.005", ""],
}


def rows(engine: Engine, query: str) -> list[tuple]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def listed(engine: Engine, tmp_path: Path) -> Engine:
    import_categories(
        engine, write(tmp_path / "categories.csv", "code,name,parent", "1,噪声,", "11,夜市,1"), PLAIN
    )
    return engine


# --- the same matters in every format


def _spreadsheet(path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["2023 年诉求台账"])
    sheet.append(list(MATTERS))
    sheet.append(["007", datetime(2023, 5, 1, 8, 30), "夜市", 114.005, 33.005])
    sheet.append([8, date(2023, 5, 2), "夜市", None, None])
    book.save(path)


def _written(path: Path) -> None:
    frame = pd.DataFrame(MATTERS)
    if path.suffix == ".xlsx":
        _spreadsheet(path)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, encoding="gb18030", sep="\t" if ".tsv" in path.suffixes else ",")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.xlsx", "a.parquet"])
def test_the_same_matters_come_out_of_every_format(listed, tmp_path, name):
    write(tmp_path / "plain.csv", "external_id,occurred_at,category,lon,lat",
          "007,2023-05-01T08:30,11,114.005,33.005", "8,20230502,11,,")  # fmt: skip
    _written(tmp_path / name)
    assert import_incidents(listed, tmp_path / name, PLAIN).new == 2
    assert import_incidents(listed, tmp_path / "plain.csv", PLAIN).unchanged == 2


# --- code lists


def test_categories_come_in_any_order_and_change_without_doubling(engine, tmp_path):
    header = "code,name,parent,department"
    path = write(tmp_path / "c.csv", header, "11,夜市,噪声,城管局", "1,噪声,,")
    assert import_categories(engine, path, PLAIN).new == 2
    write(path, header, "11,夜市摊点,1,城管局", "1,噪声,,")
    report = import_categories(engine, path, PLAIN)
    assert (report.updated, report.unchanged) == (1, 1)
    assert rows(engine, "SELECT code, name, parent, department FROM category ORDER BY code") == [
        ("1", "噪声", None, None),
        ("11", "夜市摊点", "1", "城管局"),
    ]


def test_what_a_city_says_of_a_category_stays_when_a_file_does_not_speak_of_it(engine, tmp_path):
    path = write(tmp_path / "c.csv", "编码,名称,上级,办理工作日,公开", "1,噪声,,,否", "11,夜市,1,3,是")
    assert import_categories(engine, path, PLAIN).new == 2
    said = [("1", None, False), ("11", 3, True)]
    assert rows(engine, "SELECT code, days, open FROM category ORDER BY code") == said
    write(path, "code,name,parent", "1,噪声,", "11,夜市,1")
    assert import_categories(engine, path, PLAIN).unchanged == 2
    assert rows(engine, "SELECT code, days, open FROM category ORDER BY code") == said
    write(path, "code,name,parent,days,open", "11,夜市,1,,", "12,工地,1,0,是", "13,装修,1,2,也许")
    report = import_categories(engine, path, PLAIN)
    assert (report.updated, report.rejected) == (1, 2)
    assert report.first_reasons == [
        "row 3: days: found '0', allowed: working days, 1 to 365, or nothing",
        "row 4: open: found '也许', allowed: 是 or 否",
    ]
    assert rows(engine, "SELECT days, open FROM category WHERE code = '11'") == [(None, False)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",x,", "code: found 'nothing'"),
        ("2,,", "name: found 'nothing'"),
        ("1,again,", "code: found '1', allowed: a code once in a file"),
        ("2,x,9", "parent: found '9', allowed: the code or name of a 大类"),
        ("2,x,11", "parent: found '11', allowed: the code or name of a 大类"),
    ],
)
def test_a_bad_category_is_refused_with_its_reason(engine, tmp_path, line, reason):
    path = write(tmp_path / "c.csv", "code,name,parent", "1,噪声,", "11,夜市,1", line)
    report = import_categories(engine, path, PLAIN)
    assert (report.new, report.rejected) == (2, 1)
    assert report.first_reasons[0].startswith(f"row 4: {reason}")


# --- the roster

ROSTER = "building_code,building_address,building_lon,building_lat,building_flags,dwelling,household_code"


def test_a_roster_becomes_buildings_dwellings_and_households_with_persons_counted(engine, tmp_path):
    path = write(
        tmp_path / "r.csv", ROSTER,
        "B1,甲路1号,114.005,33.005,low_lying;self_built,1-101,H1",
        "B1,甲路1号,114.005,33.005,low_lying;self_built,1-101,H1",
        "B1,甲路1号,114.005,33.005,low_lying;self_built,1-102,",
        "B2,乙组2号,,,,1,H2",
    )  # fmt: skip
    report = import_roster(engine, path, PLAIN)
    assert (report.read, report.new, report.extra) == (4, 4, {"outside": 1, "without_place": 1})
    assert "persons are counted" in report.warnings[0]
    assert rows(engine, "SELECT code, low_lying, dilapidated, self_built FROM building ORDER BY 1") == [
        ("B1", True, False, True),
        ("B2", False, False, False),
    ]
    homes = """
        SELECT door, h.code, persons FROM dwelling d
        LEFT JOIN household h ON h.dwelling_id = d.id ORDER BY 1, 2
    """
    assert rows(engine, homes) == [("1", "H2", 1), ("1-101", "H1", 2), ("1-102", None, None)]
    assert import_roster(engine, path, PLAIN).unchanged == 4
    write(
        path,
        ROSTER,
        "B1,甲路1号,114.005,33.005,low_lying;self_built,1-102,H1",
        "B2,丙组2号,,,,1,H2",
    )
    again = import_roster(engine, path, PLAIN)
    assert (again.updated, again.rejected) == (2, 0)
    assert rows(engine, homes) == [("1", "H2", 1), ("1-101", None, None), ("1-102", "H1", 1)]
    assert rows(engine, "SELECT address FROM building ORDER BY code") == [("甲路1号",), ("丙组2号",)]


def test_rows_of_a_roster_that_contradict_each_other_are_refused(engine, tmp_path):
    path = write(
        tmp_path / "r.csv", ROSTER,
        "B1,甲路1号,114.005,33.005,,1-101,H1",
        "B1,甲路2号,114.005,33.005,,1-102,H2",
        "B1,甲路1号,114.005,33.005,,1-103,H1",
        "B1,甲路1号,114.005,33.005,haunted,1-104,H4",
        "B9,丁路1号,,,,,H9",
    )  # fmt: skip
    report = import_roster(engine, path, PLAIN, rejects=tmp_path / "rejects.csv")
    assert (report.new, report.rejected) == (1, 4)
    told = pd.read_csv(tmp_path / "rejects.csv", dtype=str, encoding="utf-8-sig")
    assert sorted(told["field"]) == ["building_code", "building_flags", "dwelling", "household_code"]
    assert rows(engine, "SELECT (SELECT count(*) FROM building), (SELECT count(*) FROM dwelling)") == [(1, 1)]


def test_the_roster_template_is_read_by_the_roster_import(engine, tmp_path):
    write_template(tmp_path / "t.xlsx")
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    row = ["B1", "甲路1号", "114.005", "33.005", "低洼、危房", "1-101", "0001", "户主", "王小明"]
    book.worksheets[0].append(row)
    book.save(tmp_path / "t.xlsx")
    assert import_roster(engine, tmp_path / "t.xlsx", PLAIN).new == 1
    assert rows(engine, "SELECT h.code, low_lying, dilapidated FROM household h, building") == [
        ("0001", True, True)
    ]


# --- binary COPY


def test_binary_copy_writes_every_type_and_null(engine):
    names = {"a": "smallint", "b": "integer", "c": "bigint", "d": "float8", "e": "boolean", "f": "date",
             "g": "timestamptz", "h": "text", "i": "uuid", "j": "geometry(Point, 4490)"}  # fmt: skip
    key = uuid.UUID(int=7)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TEMP TABLE t ({', '.join(map(' '.join, names.items()))})"))
        copied = copy_rows(connection.connection.cursor(), "t", {
            "a": pa.array([-3, None], pa.int16()),
            "b": np.ma.masked_equal(np.array([2**31 - 1, 0], np.int32), 0),
            "c": pa.chunked_array([pa.array([2**40]), pa.array([None], pa.int64())]),
            "d": [0.1, np.nan],
            "e": [True, None],
            "f": np.array(["1969-12-31", "NaT"], "datetime64[D]"),
            "g": np.array(["1999-12-31T23:59:59.000001", "NaT"], "datetime64[us]"),
            "h": pd.Series(["甲\n\\", None], dtype="str"),
            "i": pa.array([key.bytes, None], pa.binary(16)),
            "j": Points([114.5, np.nan], [33.5, 1.0]),
        })  # fmt: skip
        query = "SELECT a, b, c, d, e, f, g AT TIME ZONE 'UTC', h, i, ST_AsEWKT(j) FROM t ORDER BY a"
        found = [tuple(row) for row in connection.execute(text(query))]
    moment = datetime(1999, 12, 31, 23, 59, 59, 1)
    first = (
        -3,
        2**31 - 1,
        2**40,
        0.1,
        True,
        date(1969, 12, 31),
        moment,
        "甲\n\\",
        key,
        "SRID=4490;POINT(114.5 33.5)",
    )
    assert copied == 2
    assert found == [first, (None,) * 10]


def test_binary_copy_keeps_order_and_nulls_over_several_blocks(engine):
    count = 2 * BLOCK + 1
    numbers = np.arange(count)
    texts = [None if i % 7 == 0 else "字" * (i % 5) + str(i) * (i % 2) for i in range(count)]
    keys = pa.array([i.to_bytes(16) for i in range(count + 1)], pa.binary(16))
    types = "a bigint, b smallint, c text, d text, e uuid, f geometry(Point, 4490)"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TEMP TABLE t ({types})"))
        copied = copy_rows(connection.connection.cursor(), "t", {
            "a": numbers,
            "b": np.ma.masked_equal((numbers % 9).astype(np.int16), 0),
            "c": pd.Series(texts, dtype="str"),
            "d": numbers.astype(str),
            "e": keys[1:],
            "f": Points(numbers / count, np.where(numbers % 11, 1.5, np.nan)),
        })  # fmt: skip
        query = "SELECT a, b, c, d, e, ST_X(f) FROM t ORDER BY ctid"
        found = [tuple(row) for row in connection.execute(text(query))]
    assert copied == count
    assert found == [
        (i, i % 9 or None, texts[i], str(i), uuid.UUID(int=i + 1), i / count if i % 11 else None)
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1], "b": [1, 2]}, "columns of one length"),
        ({"a": Points([1.0, 2.0], [1.0])}, "one list as long as lon"),
        ({"a": np.zeros(1, np.complex128)}, "a column of one type"),
        ({"a": np.zeros(1, np.uint32)}, "a type that copy_rows lists"),
    ],
)
def test_binary_copy_says_which_column_it_cannot_take(engine, columns, message):
    with engine.connect() as connection:
        connection.execute(text("CREATE TEMP TABLE t (a integer, b integer)"))
        with pytest.raises(InputError, match=message):
            copy_rows(connection.connection.cursor(), "t", columns)


# --- the command


@pytest.fixture
def run(database, monkeypatch, tmp_path):
    """Run `gridmgmt import …` in the test's folder; the database is this test's own."""
    monkeypatch.setenv("GRIDMGMT_DATABASE_URL", database)
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str):
        return CliRunner().invoke(imports, arguments, catch_exceptions=True)

    return command


def test_the_command_tells_of_each_file_and_sums_them_up_in_its_last_line(run, listed, tmp_path):
    header = "external_id,occurred_at,category"
    write(tmp_path / "a.csv", header, "1,2023-05-01,夜市", "2,1900-01-01,夜市")
    write(tmp_path / "b.csv", header, "3,2023-05-01,夜市", "4,2023-05-01,?")
    result = run("incidents", "a.csv", "b.csv", "--rejects", "r.csv", "--json")
    assert result.exit_code == 0, result.output
    *lines, last = result.output.splitlines()
    assert lines[0].startswith(
        "a.csv: read 2, filtered 0, new 1, updated 0, unchanged 0, rejected 1; 0 outside every grid"
    )
    assert any("row 3: occurred_at: found '1900-01-01'" in line for line in lines)
    assert any("1 of its rows were not imported" in line for line in lines)
    summary = json.loads(last)
    assert summary.pop("seconds") > 0
    assert summary == {
        "read": 4, "filtered": 0, "new": 2, "updated": 0, "unchanged": 0, "rejected": 2,
        "outside": 0, "without_place": 2, "warnings": [],
    }  # fmt: skip
    assert {path.name for path in tmp_path.glob("r.*")} == {"r.a.csv", "r.b.csv"}


def test_the_command_fails_with_the_reason_when_a_file_cannot_be_read(run, listed, tmp_path):
    write(tmp_path / "a.csv", "a,b", "1,2")
    result = run("incidents", "a.csv")
    assert isinstance(result.exception, FileError)
    assert result.exception.exit_code == 2
    assert "a.csv: column external_id, occurred_at, category: found ['a', 'b']" in str(result.exception)


def test_the_command_writes_the_roster_template_without_a_database(run, tmp_path):
    result = run("roster", "--template", "t.xlsx")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "t.xlsx").stat().st_size > 4_000


def test_a_time_with_an_offset_is_kept_as_that_moment(listed, tmp_path):
    path = write(tmp_path / "a.csv", "external_id,occurred_at,category", "1,2023-05-01T23:30:00Z,夜市")
    import_incidents(listed, path, Mapping())
    [(moment, day)] = rows(listed, "SELECT occurred_at, occurred_on FROM incident")
    assert moment == datetime(2023, 5, 1, 23, 30, tzinfo=UTC)
    assert day == date(2023, 5, 2)

"""Matters from files: what is taken, what is refused and why, and that a second run changes nothing."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from gridmgmt.errors import FileError
from gridmgmt.grids.importer import import_divisions, import_grids
from gridmgmt.importing.mapping import Mapping, load_mapping
from gridmgmt.importing.report import Report
from gridmgmt.incidents.assignment import reassign
from gridmgmt.incidents.importer import import_incidents
from gridmgmt.incidents.taxonomy_import import import_categories

DATA = Path(__file__).parents[1] / "data"
VILLAGE = "999999001001"
WEST, EAST = f"{VILLAGE}001", f"{VILLAGE}002"
PLAIN = load_mapping(None, crs="cgcs2000")
HEADER = "external_id,occurred_at,category,lon,lat"


def squares(path: Path, *cells: tuple[str, float, dict[str, str]]) -> Path:
    """Write square grids of 0.01 degree beside each other: code, western edge, other properties."""
    features = [
        {
            "type": "Feature",
            "properties": {"code": code, "village": VILLAGE, **more},
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[x, 33], [x + 0.01, 33], [x + 0.01, 33.01], [x, 33.01], [x, 33]]],
            },
        }
        for code, x, more in cells
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.fixture
def town(engine: Engine, tmp_path: Path) -> Engine:
    """One village with two grids, west and east of 114.01, and two categories that share a small name."""
    divisions = tmp_path / "divisions.csv"
    divisions.write_text(f"code,name\n999999,县\n999999001,镇\n{VILLAGE},村\n")
    import_divisions(engine, divisions, PLAIN)
    import_grids(engine, squares(tmp_path / "grids.geojson", (WEST, 114.0, {}), (EAST, 114.01, {})), PLAIN)
    categories = tmp_path / "categories.csv"
    categories.write_text(
        "code,name,parent\n1,噪声,\n2,水利,\n11,夜市,噪声\n12,其他,1\n21,其他,2\n22,水利,2\n"
    )
    import_categories(engine, categories, PLAIN)
    return engine


@pytest.fixture
def load(town: Engine, tmp_path: Path) -> Callable[..., Report]:
    """Import rows given as CSV lines under a header."""

    def run(*lines: str, header: str = HEADER, mapping: Mapping = PLAIN, **options: object) -> Report:
        path = tmp_path / "matters.csv"
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        return import_incidents(town, path, mapping, **options)  # type: ignore[arg-type]

    return run


def counts(report: Report) -> dict[str, int]:
    return {name: count for name, count in report.counts().items() if count}


def rows(engine: Engine, query: str) -> list[tuple]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def contents(engine: Engine) -> list[tuple]:
    return rows(
        engine,
        """
        SELECT tableoid::regclass::text, source, external_id, ledger, channel, category, occurred_at,
            occurred_on, reported_at, ST_AsEWKT(geom), address, grid_id, title, text, status, stage, level,
            satisfaction, digest
        FROM incident ORDER BY source, external_id
        """,
    )


# --- what is taken


def test_a_matter_is_placed_in_the_grid_that_holds_it_and_on_its_local_day(load, town):
    report = load("a,2023-05-01 00:30,夜市,114.005,33.005", "b,2023-05-01,11,114.015,33.005")
    assert counts(report) == {"read": 2, "new": 2}
    query = """
        SELECT external_id, code15, category, occurred_on, occurred_at AT TIME ZONE 'UTC'
        FROM incident i JOIN grid g ON g.id = i.grid_id ORDER BY 1
    """
    assert rows(town, query) == [
        ("a", WEST, "11", date(2023, 5, 1), pd.Timestamp("2023-04-30 16:30").to_pydatetime()),
        ("b", EAST, "11", date(2023, 5, 1), pd.Timestamp("2023-04-30 16:00").to_pydatetime()),
    ]  # fmt: skip


def test_a_point_on_a_shared_edge_goes_to_the_lower_code(load, town):
    load("a,2023-05-01,夜市,114.01,33.005")
    assert rows(town, "SELECT code15 FROM incident JOIN grid ON grid.id = grid_id") == [(WEST,)]


def test_a_matter_outside_every_grid_or_without_a_place_is_kept_and_counted(load, town):
    report = load("a,2023-05-01,夜市,114.5,33.005", "b,2023-05-01,夜市,,")
    assert counts(report) == {"read": 2, "new": 2, "outside": 1, "without_place": 1}
    assert rows(town, "SELECT external_id, geom IS NULL, grid_id FROM incident ORDER BY 1") == [
        ("a", False, None),
        ("b", True, None),
    ]


def test_names_of_categories_channels_ledgers_states_and_answers_are_understood(load, town):
    header = "工单编号,诉求时间,小类,渠道,台账,状态,满意度"
    report = load(
        "a,2023年5月1日8时30分,水利,12345热线,意见建议,办理中,",
        "b,2023/5/1 8:30,11,12345,complaint,已办结,基本满意",
        header=header,
    )
    assert counts(report) == {"read": 2, "new": 2, "without_place": 2}
    query = "SELECT category, channel, ledger, status, satisfaction FROM incident ORDER BY external_id"
    assert rows(town, query) == [
        ("22", "12345", "suggestion", "open", None),
        ("11", "12345", "complaint", "closed", 3),
    ]  # fmt: skip


def test_the_grid_is_the_one_in_force_when_the_matter_was_reported(load, town, tmp_path):
    new = f"{VILLAGE}003"
    changed = squares(
        tmp_path / "new.geojson",
        (WEST, 114.0, {"valid_from": "2000-01-01", "valid_to": "2023-01-01"}),
        (new, 114.0, {"valid_from": "2023-01-01"}),
    )
    load("a,2022-12-31,夜市,114.005,33.005", "b,2023-01-01,夜市,114.005,33.005")
    import_grids(town, changed, PLAIN)
    assert reassign(town) == 1
    assert reassign(town) == 0
    query = "SELECT external_id, code15 FROM incident JOIN grid ON grid.id = grid_id ORDER BY 1"
    assert rows(town, query) == [("a", WEST), ("b", new)]
    load("c,2022-12-31 23:59,夜市,114.005,33.005")
    assert rows(town, query)[2] == ("c", WEST)


# --- what is refused


TOMORROW = str(date.today() + timedelta(days=2))  # in every time zone
BAD_ROWS = [
    (",2023-05-01,夜市,,", "external_id", "nothing", "an id"),
    ("a,,夜市,,", "occurred_at", "nothing", "2023-05-01 08:30"),
    ("a,yesterday,夜市,,", "occurred_at", "yesterday", "2023-05-01 08:30"),
    ("a,1900-01-01,夜市,,", "occurred_at", "1900-01-01", "from 2000-01-01 on"),
    (f"a,{TOMORROW},夜市,,", "occurred_at", TOMORROW, "not after today"),
    ("a,2023-05-01,,,", "category", "nothing", "code or name"),
    ("a,2023-05-01,吵闹,,", "category", "吵闹", "code or name"),
    ("a,2023-05-01,其他,,", "category", "其他", "12 or 21"),
    ("a,2023-05-01,夜市,114.005,", "lon, lat", "114.005, ", "both numbers, or neither"),
    ("a,2023-05-01,夜市,0,0", "lon, lat", "0, 0", "leave both empty"),
    ("a,2023-05-01,夜市,114.005,0", "lon, lat", "114.005, 0", "leave both empty"),
    ("a,2023-05-01,夜市,33.005,114.005", "lon, lat", "33.005, 114.005", "exchanged"),
    ("a,2023-05-01,夜市,200,33.005", "lon, lat", "200, 33.005", "a place within cgcs2000"),
    ("a,2023-05-01,夜市,east,33.005", "lon", "east", "a number"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "field", "found", "allowed"), BAD_ROWS)
def test_a_bad_row_is_refused_with_row_field_found_and_allowed(
    load, town, tmp_path, line, field, found, allowed
):
    report = load("good,2023-05-01,夜市,114.005,33.005", line, rejects=tmp_path / "rejects.csv")
    assert (report.new, report.rejected) == (1, 1)
    told = pd.read_csv(tmp_path / "rejects.csv", dtype=str, keep_default_na=False, encoding="utf-8-sig").iloc[
        0
    ]
    assert (told["row"], told["field"], told["found"]) == ("3", field, found)
    assert allowed in told["allowed"]
    assert told["external_id"] == line.split(",")[0]
    assert report.first_reasons[0].startswith("row 3: ")
    assert rows(town, "SELECT external_id FROM incident") == [("good",)]


def test_a_repeated_id_is_refused_with_the_row_that_has_it_or_numbered_when_asked(load, town):
    lines = [f"{name},2023-05-0{day},夜市,," for day, name in enumerate("aba", 1)]
    report = load(*lines)
    assert (
        "row 4: external_id: found 'a', allowed: an id once in a file; row 2 has it already"
        in report.first_reasons
    )
    assert (report.new, report.rejected) == (2, 1)
    numbered = Mapping(crs="cgcs2000", repeated_ids="number")
    assert counts(load(*lines, mapping=numbered)) == {"read": 3, "new": 1, "unchanged": 2, "without_place": 3}
    assert rows(town, "SELECT external_id FROM incident ORDER BY 1") == [("a",), ("a#2",), ("b",)]


def test_coordinates_without_a_declared_system_are_refused_with_the_choices(load):
    with pytest.raises(FileError, match=r"crs: found 'not declared'.*wgs84, cgcs2000, gcj02 .*bd09 .*--crs"):
        load("a,2023-05-01,夜市,114.005,33.005", mapping=Mapping())
    with pytest.raises(FileError, match="only lon"):
        load("a,2023-05-01,夜市,114.005", header="external_id,occurred_at,category,lon")


def test_a_file_that_cannot_be_read_to_its_end_leaves_nothing(town, tmp_path):
    path = tmp_path / "matters.csv"
    lines = [f"{i},2023-05-01,夜市,," for i in range(100)]
    path.write_bytes("\n".join([HEADER, *lines, "x,2023-05-01,"]).encode() + b"\xff\xff\n")
    with pytest.raises(FileError, match=r"matters\.csv: encoding: found 'byte \d+ in row 102"):
        import_incidents(town, path, PLAIN)
    assert rows(town, "SELECT count(*) FROM incident") == [(0,)]


def test_columns_that_watch_people_are_named_and_not_taken(load, tmp_path):
    report = load(
        "a,2023-05-01,夜市,重点",
        header="external_id,occurred_at,category,维稳人员",
        rejects=tmp_path / "r.csv",
    )
    assert report.warnings == ["columns not taken, because no such thing is held about residents: 维稳人员"]


# --- again, changed, tried


def test_a_second_run_changes_nothing_and_leaves_no_new_data_version(load, town):
    lines = ["a,2023-05-01,夜市,114.005,33.005", "b,2024-05-01,夜市,,"]
    load(*lines)
    before = contents(town)
    assert counts(load(*lines)) == {"read": 2, "unchanged": 2, "without_place": 1}
    assert contents(town) == before
    assert rows(town, "SELECT kind, file, counts->>'new' FROM import_run WHERE kind = 'incidents'") == [
        ("incidents", "matters.csv", "2")
    ]


def test_a_changed_matter_is_updated_and_moves_to_the_year_it_now_belongs_to(load, town):
    load("a,2023-12-31,夜市,114.005,33.005", "b,2023-05-01,夜市,,")
    report = load("a,2024-01-01,夜市,114.015,33.005", "b,2023-05-01,夜市,,")
    assert counts(report) == {"read": 2, "updated": 1, "unchanged": 1, "without_place": 1}
    assert rows(
        town, "SELECT i.tableoid::regclass::text, code15 FROM incident i JOIN grid g ON g.id = grid_id"
    ) == [("incident_2024", EAST)]


def test_the_same_id_of_another_source_is_another_matter(load, town):
    load("a,2023-05-01,夜市,,")
    report = load("a,2023-05-01,夜市,,", mapping=Mapping(crs="wgs84", name="petitions"))
    assert report.new == 1


def test_a_dry_run_says_what_would_happen_and_changes_nothing(load, town):
    assert counts(load("a,2023-05-01,夜市,,", dry_run=True)) == {"read": 1, "new": 1, "without_place": 1}
    assert rows(town, "SELECT count(*) FROM incident") == [(0,)]
    assert rows(town, "SELECT to_regclass('incident_2023')") == [(None,)]


CELLS = {
    "id": st.sampled_from(["", "a", "b", "c", "d", " a "]),
    "at": st.sampled_from(["", "2023-05-01", "2019-05-01", "1900-01-01", "2999-01-01", "x", "45047"]),
    "category": st.sampled_from(["夜市", "11", "其他", "?", ""]),
    "lon": st.sampled_from(["114.005", "33.005", "0", "", "x", "114.5"]),
    "lat": st.sampled_from(["33.005", "114.005", "0", "", "-91"]),
}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(*CELLS.values(), st.sampled_from(["", ",extra"])), max_size=25))
def test_every_row_of_a_dirty_table_is_accounted_for(load, town, dirty):
    mapping = Mapping(crs="cgcs2000", period=(date(2020, 1, 1), None))
    lines = [",".join(row[:5]) + row[5] for row in dirty]
    report = load(*lines, mapping=mapping)
    told = report.filtered + report.new + report.updated + report.unchanged + report.rejected
    assert report.read == told == sum(1 for row in dirty if any(row))
    again = load(*lines, mapping=mapping)
    assert (again.new, again.updated, again.unchanged) == (
        0,
        0,
        report.new + report.updated + report.unchanged,
    )
    assert again.rejected == report.rejected


# --- real data


@pytest.mark.parametrize(("cells", "file"), [
    ("map_book", "STL_BOUNDARY_GridsClipped.geojson"), ("neighbourhoods", "stl_neighborhoods.geojson"),
])  # fmt: skip
def test_st_louis_loads_with_a_mapping_file_alone(engine, tmp_path, shared_data, cells, file):
    """241,748 rows is the figure the publisher's repository states for its own rule."""
    folder = shared_data / "stl"
    divisions = tmp_path / "divisions.csv"
    divisions.write_text(f"code,name\n999999,Missouri\n999999001,St. Louis\n{VILLAGE},City\n")
    import_divisions(engine, divisions, PLAIN)
    grids = import_grids(engine, folder / file, load_mapping(DATA / f"stl_{cells}.toml"))
    assert grids.new == {"map_book": 203, "neighbourhoods": 88}[cells]
    names = np.unique(pd.read_csv(folder / "incidents.csv.gz", usecols=["category"])["category"])
    categories = tmp_path / "categories.csv"
    categories.write_text("code,name\n" + "".join(f"{k:02d},{name}\n" for k, name in enumerate(names)))
    import_categories(engine, categories, PLAIN)
    mapping = load_mapping(DATA / "stl_incidents.toml")
    first = import_incidents(engine, folder / "incidents.csv.gz", mapping)
    assert (first.read, first.filtered, first.new, first.rejected) == (246_291, 4_543, 241_748, 0)
    assert first.extra["without_place"] == 241_748 - 235_972
    assert rows(engine, "SELECT count(*), count(geom) FROM incident") == [(241_748, 235_972)]
    [(placed,)] = rows(engine, "SELECT count(grid_id) FROM incident")
    assert placed == 235_972 - first.extra["outside"]
    assert placed > 0.98 * 235_972
    again = import_incidents(engine, folder / "incidents.csv.gz", mapping)
    assert (again.new, again.updated, again.unchanged) == (0, 0, 241_748)

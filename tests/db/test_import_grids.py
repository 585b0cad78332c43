"""Imports of the territory: what is derived, what is rejected and why; a second run changes nothing."""

import csv
import json
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from sqlalchemy import Engine, text

import sample_data
from gridmgmt.errors import FileError
from gridmgmt.grids import service
from gridmgmt.grids.importer import import_divisions, import_grids, import_layers, import_workers
from gridmgmt.importing.mapping import load_mapping
from gridmgmt.importing.report import Report

PLAIN = load_mapping(None, crs="cgcs2000")
COUNTY, TOWN, NORTH, SOUTH = "379981", "379981001", "379981001001", "379981001002"
STEP = 0.01
Feature = tuple[dict[str, Any], Any]


def cell(column: float, row: float, width: float = 1.0) -> shapely.Polygon:
    return shapely.box(
        117 + column * STEP, 34 + row * STEP, 117 + (column + width) * STEP, 34 + (row + 1) * STEP
    )


def features(path: Path, given: Iterable[Feature]) -> Path:
    listed = [
        {"type": "Feature", "properties": p, "geometry": g and shapely.geometry.mapping(g)} for p, g in given
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": listed}, ensure_ascii=False))
    return path


def table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def counts(report: Report) -> tuple[int, int, int, int]:
    return report.new, report.updated, report.unchanged, report.rejected


@pytest.fixture
def grids_file(tmp_path: Path) -> Callable[..., Path]:
    return lambda *given: features(tmp_path / "grids.geojson", given)


@pytest.fixture
def two_villages(engine: Engine, tmp_path: Path) -> Engine:
    """Two villages side by side, each two cells wide and one high."""
    drawn = [
        ({"code": SOUTH, "name": "南村"}, shapely.union(cell(2, 0), cell(3, 0))),
        ({"code": NORTH, "name": "北村"}, shapely.union(cell(0, 0), cell(1, 0))),
        ({"code": TOWN, "name": "甲镇"}, None),
        ({"code": COUNTY, "name": "某市"}, None),
    ]
    import_divisions(engine, features(tmp_path / "divisions.geojson", drawn), PLAIN)
    return engine


def grids_now(engine: Engine) -> list[tuple[str, str, str, date, date | None]]:
    with engine.connect() as connection:
        query = "SELECT code15, name, village, valid_from, valid_to FROM grid ORDER BY code15"
        return [tuple(row) for row in connection.execute(text(query))]


# --- divisions


def test_divisions_come_in_any_order_with_level_and_parent_derived(two_villages: Engine) -> None:
    with two_villages.connect() as connection:
        counties, towns, villages = (
            service.divisions(connection, level) for level in ("county", "town", "village")
        )
    assert (list(counties.codes), list(towns.names), list(towns.parents)) == ([COUNTY], ["甲镇"], [COUNTY])
    assert list(zip(villages.codes, villages.names, villages.parents, strict=True)) == [
        (NORTH, "北村", TOWN),
        (SOUTH, "南村", TOWN),
    ]


def test_divisions_are_rejected_with_the_field_and_what_is_allowed(engine: Engine, tmp_path: Path) -> None:
    path = table(
        tmp_path / "divisions.csv",
        "code,name,level,parent",
        "379981,某市,county,",
        "379981001,甲镇,village,",
        "379981002001,孤村,,",
        "37998100,短,,",
        "379981,某市,,",
        "379981003,丙镇,镇街,379982",
    )
    report = import_divisions(engine, path, PLAIN)
    assert counts(report) == (1, 0, 0, 5)
    assert report.first_reasons == [
        "row 6: code: found '379981', allowed: once in a file; it stands in 2 already",
        "row 3: level: found 'village', allowed: town for a code of 9 digits (levels: county, town, village)",
        "row 5: code: found '37998100', allowed: 6 digits (county), 9 (town) or 12 (village)",
        "row 7: parent: found '379982', allowed: 379981, the first digits of 379981003",
        "row 4: parent: found '379981002', allowed: a division of this file or one imported before",
    ]


def test_a_table_of_names_leaves_the_polygons_that_are_there(two_villages: Engine, tmp_path: Path) -> None:
    path = table(tmp_path / "names.csv", "code,name", f"{NORTH},北庄", f"{SOUTH},南村")
    assert counts(import_divisions(two_villages, path, PLAIN)) == (0, 1, 1, 0)
    with two_villages.connect() as connection:
        villages = service.divisions(connection, "village")
    assert villages.names == ("北庄", "南村")
    assert villages.geometries[0].area == pytest.approx(2 * STEP**2)


# --- grids


def test_village_code_and_name_are_derived_and_a_second_run_changes_nothing(
    two_villages: Engine, grids_file: Callable[..., Path]
) -> None:
    path = grids_file(({}, cell(3, 0)), ({}, cell(2, 0)), ({}, cell(0, 0)), ({"name": "东头"}, cell(1, 0)))
    assert counts(import_grids(two_villages, path, PLAIN)) == (4, 0, 0, 0)
    always = date(2000, 1, 1), None
    assert grids_now(two_villages) == [
        (f"{NORTH}001", "北村第1网格", NORTH, *always),
        (f"{NORTH}002", "东头", NORTH, *always),
        (f"{SOUTH}001", "南村第1网格", SOUTH, *always),
        (f"{SOUTH}002", "南村第2网格", SOUTH, *always),
    ]
    before = grids_now(two_villages)
    assert counts(import_grids(two_villages, path, PLAIN)) == (0, 0, 4, 0)
    assert grids_now(two_villages) == before


def test_a_dry_run_counts_and_writes_nothing(two_villages: Engine, grids_file: Callable[..., Path]) -> None:
    report = import_grids(two_villages, grids_file(({}, cell(0, 0))), PLAIN, dry_run=True)
    assert counts(report) == (1, 0, 0, 0)
    assert grids_now(two_villages) == []


def test_what_is_wrong_with_a_feature_is_said_with_its_number(
    two_villages: Engine, grids_file: Callable[..., Path], tmp_path: Path
) -> None:
    x, y = 117.0, 34.0
    bow = shapely.Polygon([(x, y), (x + STEP, y + STEP), (x + STEP, y), (x, y + STEP)])
    path = grids_file(
        ({"code": f"{NORTH}001"}, bow),
        ({"code": f"{NORTH}002"}, cell(0.5, 0)),
        ({"code": f"{NORTH}003"}, cell(1.2, 0, 0.5)),
        ({"code": f"{NORTH}004"}, cell(1.8, 0, 0.4)),
        ({"code": f"{NORTH}002"}, cell(0, 0)),
        ({"code": f"{NORTH}005", "village": SOUTH}, cell(2, 0)),
        ({"code": "379981001009001"}, cell(0, 0)),
        ({"village": SOUTH}, shapely.LineString([(x, y), (x, y + STEP)])),
        ({"village": NORTH, "kind": "grid"}, cell(0, 0, 0.3)),
        ({"village": SOUTH, "valid_from": "2024-13-01"}, cell(2, 0)),
        ({"village": SOUTH, "valid_from": "2024-01-01", "valid_to": "2023-01-01"}, cell(2, 0)),
        ({}, cell(9, 9)),
        ({"village": SOUTH}, None),
    )
    report = import_grids(two_villages, path, PLAIN, rejects=tmp_path / "rejects.csv")
    assert (report.read, *counts(report)) == (13, 1, 0, 0, 12)
    assert all(reason.startswith("feature ") for reason in report.first_reasons)
    with (tmp_path / "rejects.csv").open(encoding="utf-8-sig", newline="") as stream:
        said = {
            int(row["row"]): (row["field"], row["found"], row["allowed"]) for row in csv.DictReader(stream)
        }
    assert said[1][:2] == ("geometry", "Self-intersection at 117.00500, 34.00500")
    assert said[3][:2] == ("geometry", "overlaps feature 2 at 117.01350, 34.00500 by 307,408 m²")
    assert said[4][:2] == ("geometry", f"reaches into {SOUTH} at 117.02100, 34.00500 by 204,939 m²")
    assert said[5] == ("code", f"{NORTH}002", "once in a file; it stands in 2 already")
    assert said[6] == ("code", f"{NORTH}005", f"one that begins with its village's {SOUTH}")
    assert said[7][:2] == ("village", "379981001009")
    assert said[8] == ("geometry", "LineString", "Polygon or MultiPolygon")
    assert said[9][:2] == ("kind", "grid")
    assert said[10][:2] == ("valid_from", "2024-13-01")
    assert said[11] == ("valid_to", "2023-01-01", "a day after valid_from, 2024-01-01")
    assert said[12][:2] == ("village", "none, and no village's polygon holds the grid")
    assert said[13][:2] == ("geometry", "empty")


def test_special_grids_may_lie_over_base_grids(two_villages: Engine, grids_file: Callable[..., Path]) -> None:
    over = {"code": f"{NORTH}101", "kind": "专属网格", "purpose": "拆迁"}
    path = grids_file(({"code": f"{NORTH}001"}, cell(0, 0)), (over, cell(0, 0)))
    assert counts(import_grids(two_villages, path, PLAIN)) == (2, 0, 0, 0)


def test_slivers_are_kept_and_told(two_villages: Engine, grids_file: Callable[..., Path]) -> None:
    wide = shapely.box(117, 34, 117 + STEP + 0.3e-5, 34 + STEP)
    report = import_grids(two_villages, grids_file(({}, wide), ({}, cell(1, 0))), PLAIN)
    assert counts(report) == (2, 0, 0, 0)
    assert any("1 grids overlap by slivers" in warning for warning in report.warnings)


def test_land_of_a_village_without_a_grid_is_told(
    two_villages: Engine, grids_file: Callable[..., Path]
) -> None:
    report = import_grids(two_villages, grids_file(({}, cell(0, 0))), PLAIN)
    assert any("1 gaps of together 1,024," in warning for warning in report.warnings)


def test_successors_of_open_grids_are_refused_until_the_old_ones_have_ended(
    two_villages: Engine, grids_file: Callable[..., Path]
) -> None:
    old = {"code": f"{NORTH}001", "valid_from": "2020-01-01"}
    whole = shapely.union(cell(0, 0), cell(1, 0))
    import_grids(two_villages, grids_file((old, whole)), PLAIN)
    successors = [
        ({"village": NORTH, "valid_from": "2024-01-01"}, cell(0, 0)),
        ({"village": NORTH, "valid_from": "2024-01-01"}, cell(1, 0)),
    ]
    refused = import_grids(two_villages, grids_file(*successors), PLAIN)
    assert counts(refused) == (0, 0, 0, 2)
    assert (
        f"If it succeeds {NORTH}001, first import that one with valid_to = 2024-01-01"
        in refused.first_reasons[0]
    )
    ended = import_grids(two_villages, grids_file(({**old, "valid_to": "2024-01-01"}, whole)), PLAIN)
    assert counts(ended) == (0, 1, 0, 0)
    assert counts(import_grids(two_villages, grids_file(*successors), PLAIN)) == (2, 0, 0, 0)
    with two_villages.connect() as connection:
        shares = connection.execute(text("SELECT area_share FROM grid_lineage")).scalars().all()
        then, now = (service.grids_in_force(connection, date(year, 6, 1)).codes for year in (2023, 2024))
    assert shares == pytest.approx([0.5, 0.5])
    assert (then, now) == ((f"{NORTH}001",), (f"{NORTH}002", f"{NORTH}003"))  # 001 is never given again


def test_a_change_that_is_rejected_leaves_its_ground_taken(
    two_villages: Engine, grids_file: Callable[..., Path]
) -> None:
    west, east = {"code": f"{NORTH}001"}, {"code": f"{NORTH}002"}
    import_grids(two_villages, grids_file((west, cell(0, 0)), (east, cell(1, 0))), PLAIN)
    path = grids_file(
        (west, cell(0, 0, 1.5)), ({"code": f"{NORTH}003"}, cell(1.8, 0, 0.2)), (east, cell(1.5, 0, 0.5))
    )
    assert counts(import_grids(two_villages, path, PLAIN)) == (0, 0, 0, 3)
    with two_villages.connect() as connection:
        shapes = service.grids_in_force(connection).geometries
    assert [shape.equals(cell(k, 0)) for k, shape in enumerate(shapes)] == [True, True]


def test_a_table_is_no_map_file(two_villages: Engine, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="file type"):
        import_grids(two_villages, table(tmp_path / "grids.csv", "code,name", f"{NORTH}001,甲"), PLAIN)


# --- workers and layers


@pytest.fixture
def two_grids(two_villages: Engine, grids_file: Callable[..., Path]) -> Engine:
    import_grids(two_villages, grids_file(({}, cell(0, 0)), ({}, cell(2, 0))), PLAIN)
    return two_villages


HEADER = "姓名,专兼职,学历,出生年,网格编码,职务,任职日期,离任日期"


def test_workers_with_chinese_words_take_their_places_once(two_grids: Engine, tmp_path: Path) -> None:
    path = table(
        tmp_path / "workers.csv",
        HEADER,
        f"张三,专职,中专,1985,{NORTH}001,网格长,2024-01-01,",
        f"张三,专职,,1985,{SOUTH}001,网格长,2024-01-01,",
        f"李四,兼职,,,{NORTH}001,网格员,,",
    )
    assert counts(import_workers(two_grids, path, PLAIN)) == (3, 0, 0, 0)
    assert counts(import_workers(two_grids, path, PLAIN)) == (0, 0, 3, 0)
    with two_grids.connect() as connection:
        assert set(service.chiefs(connection).values()) == {"张三"}
        assert connection.execute(text("SELECT count(*) FROM worker")).scalar() == 2
        since = connection.execute(text("SELECT min(valid_from) FROM assignment")).scalar()
    assert since == date(2000, 1, 1)


def test_a_second_chief_waits_until_the_first_has_left(two_grids: Engine, tmp_path: Path) -> None:
    first = f"张三,专职,,1985,{NORTH}001,网格长,2022-01-01,"
    second = f"李四,专职,,1990,{NORTH}001,网格长,2024-01-01,"
    refused = import_workers(two_grids, table(tmp_path / "w.csv", HEADER, first, second), PLAIN)
    assert counts(refused) == (1, 0, 0, 1)
    assert "one chief at a time; 张三 is chief from 2022-01-01 to now" in refused.first_reasons[0]
    taken = import_workers(two_grids, table(tmp_path / "w.csv", HEADER, f"{first}2024-01-01", second), PLAIN)
    assert counts(taken) == (1, 1, 0, 0)
    with two_grids.connect() as connection:
        then, now = (service.chiefs(connection, date(year, 6, 1)) for year in (2023, 2025))
    assert (list(then.values()), list(now.values())) == (["张三"], ["李四"])


def test_rows_of_workers_that_cannot_be_are_rejected(two_grids: Engine, tmp_path: Path) -> None:
    path = table(
        tmp_path / "workers.csv",
        HEADER,
        f"张三,专职,中专,1985,{NORTH}001,网格员,2024-01-01,",
        f"张三,兼职,中专,1985,{SOUTH}001,网格员,2024-01-01,",
        f"王五,临时,,1985,{NORTH}001,,,",
        f"赵六,专职,,85,{NORTH}001,,,",
        f"钱七,专职,,1985,{NORTH}009,,,",
        f"孙八,专职,,1985,{NORTH}001,,1999-01-01,",
        f"周九,专职,,1985,{NORTH}001,组长,,",
    )
    report = import_workers(two_grids, path, PLAIN)
    assert counts(report) == (1, 0, 0, 6)
    fields = [reason.split(": ")[1] for reason in report.first_reasons]
    assert fields == ["employment", "employment", "birth_year", "grid", "from", "role"]


def test_layers_are_kept_by_layer_and_name(engine: Engine, tmp_path: Path) -> None:
    line = shapely.LineString([(117, 34), (117.1, 34.1)])
    path = features(tmp_path / "layers.geojson", [({"layer": "river", "name": "清河"}, line)])
    assert counts(import_layers(engine, path, PLAIN)) == (1, 0, 0, 0)
    assert counts(import_layers(engine, path, PLAIN)) == (0, 0, 1, 0)
    with engine.connect() as connection:
        (found,) = service.layers(connection)["features"]
    assert found["properties"] == {"layer": "river", "name": "清河"}


# --- cities


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("city")
    sample_data.generate(folder, scale=0.03, roster=False)
    return folder


def load_city(engine: Engine, city: Path) -> list[Report]:
    return [
        import_divisions(engine, city / "divisions.geojson", PLAIN),
        import_grids(engine, city / "grids_before.geojson", PLAIN),
        import_grids(engine, city / "grids.geojson", PLAIN),
        import_workers(engine, city / "workers.csv", PLAIN),
        import_layers(engine, city / "layers.geojson", PLAIN),
    ]


def test_the_sample_city_loads_without_a_word_and_its_lineage_is_found(engine: Engine, city: Path) -> None:
    for report in load_city(engine, city):
        assert report.rejected == 0, report.first_reasons
        assert report.warnings == []
    assert [(r.new, r.updated) for r in load_city(engine, city)] == [(0, 0)] * 5
    with engine.connect() as connection:
        found = connection.execute(
            text("""
            SELECT a.code15, b.code15, area_share FROM grid_lineage
            JOIN grid a ON a.id = from_grid JOIN grid b ON b.id = to_grid ORDER BY 1, 2
            """)
        ).all()
        grids = service.grids_in_force(connection)
        chiefs = service.chiefs(connection)
    with (city / "lineage.csv").open() as stream:
        truth = [
            (row["from"], row["to"], float(row["area_share"]))
            for row in csv.DictReader(stream)
            if row["from"] != row["to"]
        ]
    assert [row[:2] for row in found] == [row[:2] for row in truth]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in truth], abs=1e-4)
    assert len(grids) == 30
    assert list(grids.codes) == sorted(grids.codes)
    assert set(chiefs) == set(grids.ids.tolist())


@pytest.mark.parametrize("level", ["grid", "village", "town", "county"])
def test_simplified_maps_keep_shared_edges_shared(engine: Engine, city: Path, level: str) -> None:
    load_city(engine, city)
    with engine.connect() as connection:
        base = level == "grid"
        found = service.grids_in_force(connection) if base else service.divisions(connection, level)
    simple = service.for_map(found.geometries, tolerance=30)
    assert len(simple) == len(found.codes) > 0
    vertices = [shapely.get_num_coordinates(shapes).sum() for shapes in (found.geometries, simple)]
    assert vertices[1] < vertices[0]
    assert shapely.coverage_is_valid(simple)


def test_a_village_without_a_polygon_gets_the_union_of_its_grids(engine: Engine, tmp_path: Path) -> None:
    rows = [f"{COUNTY},某市", f"{TOWN},甲镇", f"{NORTH},北村"]
    import_divisions(engine, table(tmp_path / "divisions.csv", "code,name", *rows), PLAIN)
    import_grids(engine, features(tmp_path / "g.geojson", [({}, cell(0, 0)), ({}, cell(1, 0))]), PLAIN)
    with engine.connect() as connection:
        for level in ("village", "town", "county"):
            (shape,) = service.divisions(connection, level).geometries
            assert shape.equals(shapely.union(cell(0, 0), cell(1, 0)))


STL = {
    "STL_BOUNDARY_GridsClipped.geojson": ("PageName", 203, 0),
    "stl_neighborhoods.geojson": ("NHD_NAME", 88, 1),
}


@pytest.mark.parametrize("name", STL)
def test_st_louis_loads_with_a_mapping_file_alone(
    engine: Engine, tmp_path: Path, shared_data: Path, name: str
) -> None:
    column, number, overlapping = STL[name]
    rows = ["290510,St. Louis", "290510001,St. Louis City", "290510001001,St. Louis"]
    import_divisions(engine, table(tmp_path / "divisions.csv", "code,name", *rows), load_mapping(None))
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(f'[source]\ncrs = "wgs84"\n[fields]\nname = "{column}"\n', encoding="utf-8")
    report = import_grids(engine, shared_data / "stl" / name, load_mapping(mapping))
    assert counts(report) == (number, 0, 0, 0)
    assert sum("overlap by slivers" in warning for warning in report.warnings) == overlapping
    with engine.connect() as connection:
        grids = service.grids_in_force(connection)
    assert grids.codes == tuple(f"290510001001{k:03d}" for k in range(1, number + 1))
    assert len(np.unique(grids.names)) == number
    assert counts(import_grids(engine, shared_data / "stl" / name, load_mapping(mapping))) == (
        0,
        0,
        number,
        0,
    )

"""A plan as files, read back by other readers than wrote them."""

import json
import zipfile
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path

import openpyxl
import pyogrio
import pytest
import shapely
from PIL import ImageFont

from gridmgmt.grids.checks import Finding, Rule
from gridmgmt.planning import change_list, export
from gridmgmt.planning.atlas import AtlasPage, Neighbour, atlas
from gridmgmt.planning.comparing import GridChange, Move, PlanDiff, Statistics
from gridmgmt.planning.figures import Figures
from gridmgmt.planning.models import Operation
from gridmgmt.planning.pdf import Document
from gridmgmt.planning.states import GridState, PlanInfo
from gridmgmt.planning.stored import EditInfo

VILLAGE = "990101001001"
FORMULA = "=1+1&cmd"
LEFT = shapely.MultiPolygon([shapely.box(114, 33, 114.005, 33.01)])
RIGHT = shapely.MultiPolygon([shapely.box(114.005, 33, 114.012345678, 33.01)])
OLD = GridState(f"{VILLAGE}001", f"{VILLAGE}001", "东街囍网格", "base", None, VILLAGE, LEFT, "changed")
NEW = GridState("n1", None, FORMULA, "base", None, VILLAGE, RIGHT, "new")


def _figures(key: str, households: int) -> Figures:
    return Figures(key, 650_000.0, households, households * 3, 12.4, 1, 0.71, min(households - 300, 0), True)


COUNTED = {OLD.key: _figures(OLD.key, 412), NEW.key: _figures(NEW.key, 3)}


def test_geojson_keeps_every_decimal_that_was_drawn_and_hides_few_households() -> None:
    made = json.loads(export.geojson([OLD, NEW], COUNTED))
    first, second = (feature["properties"] for feature in made["features"])
    assert shapely.geometry.shape(made["features"][1]["geometry"]).equals(RIGHT)
    assert (first["code"], first["households"], first["persons"]) == (OLD.key, 412, 1236)
    assert (second["code"], second["households"], second["persons"], second["deviation"]) == (None,) * 4


def test_a_geopackage_and_both_shapefiles_read_back_as_they_were(tmp_path: Path) -> None:
    for form, encoding in (("gpkg", None), ("shp-gb18030", "GB18030"), ("shp-utf8", "UTF-8")):
        content = export.FORMS[form].write([OLD, NEW], COUNTED)
        path = tmp_path / f"{form}.gpkg"
        if encoding:
            with zipfile.ZipFile(BytesIO(content)) as bundle:
                bundle.extractall(tmp_path / form)
                assert bundle.read("grids.cpg").decode() == encoding
                assert "东街囍网格".encode(encoding) in bundle.read("grids.dbf")
            path = tmp_path / form / "grids.shp"
        else:
            path.write_bytes(content)
        read = pyogrio.read_dataframe(path)
        assert read.crs.to_epsg() == 4490, form
        assert read["name"].tolist() == [OLD.name, FORMULA]
        assert read["households"].tolist()[0] == 412
        assert read["households"].isna().tolist() == [False, True]
        assert shapely.normalize(read.geometry[1]).equals(shapely.normalize(RIGHT))


def test_a_plan_without_grids_is_an_empty_file() -> None:
    assert json.loads(export.geojson([], {}))["features"] == []
    assert export.FORMS["gpkg"].write([], {})


def _statistics(grids: int, mean: float) -> Statistics:
    return Statistics(grids, 1.3e6, 415, mean, 0.1, 0.95, 0.7)


def _change_list() -> change_list.ChangeList:
    at = datetime(2026, 11, 22, 1, 2, tzinfo=UTC)
    plan = PlanInfo(
        7, "城关&调整", None, VILLAGE[:9], "draft", "li", at, date(2026, 11, 22), 2, None, None, None, None,
        None, 2,
    )  # fmt: skip
    was = _figures(OLD.key, 415)
    changes = [
        GridChange(OLD.key, OLD.name, VILLAGE, "base", "changed", True, was, COUNTED[OLD.key]),
        GridChange("n1", FORMULA, VILLAGE, "base", "new", True, None, COUNTED["n1"]),
    ]
    moves = [Move(OLD.key, "n1", 6.5e5, 3, 9, 2.0, 0)]
    diff = PlanDiff(None, 7, plan.scope, changes, moves, _statistics(1, 415), _statistics(2, 207.5))
    edits = [EditInfo(1, Operation.SPLIT, {"key": OLD.key}, [OLD.key, "n1"], "li", at, False)]
    findings = [Finding(Rule.HOUSEHOLD_BAND, "n1", None, None, 3, "300 至 500 户", 114.01, 33.005)]
    return change_list.ChangeList(plan, diff, edits, findings, {OLD.key: OLD.name, "n1": FORMULA})


def test_the_change_list_says_before_and_after_and_a_name_is_never_a_formula() -> None:
    book = openpyxl.load_workbook(BytesIO(change_list.workbook(_change_list())))
    rows = list(book["改动清单"].iter_rows(values_only=True))
    heading = rows[0]
    changed, made = (dict(zip(heading, row, strict=True)) for row in rows[1:])
    assert (changed["户数 原"], changed["户数 新"], changed["边界"]) == (415, 412, "重画")
    assert (made["户数 原"], made["户数 新"], made["改动"]) == (None, "不足5", "新增")
    cell = book["改动清单"].cell(3, 1)
    assert (cell.value, cell.data_type) == (FORMULA, "s")
    assert [row[4] for row in book["去向"].iter_rows(min_row=2, values_only=True)] == ["不足5"]
    assert ("网格", 1, 2, "个") in list(book["前后对照"].iter_rows(values_only=True))
    assert book["编辑记录"].cell(2, 5).value == "2026-11-22 09:02"


# --- the atlas


def _page(name: str) -> AtlasPage:
    beside = Neighbour("隔壁网格", "990101001001002", RIGHT)
    river = shapely.LineString([(114, 33.005), (114.02, 33.005)])
    moved = shapely.MultiPolygon([shapely.box(114, 33, 114.004, 33.01)])
    return AtlasPage(
        name, OLD.key, "城关街道 · 第1村", "有改动", LEFT, moved, [("户数", "412 户")], [beside],
        [("river", river)],
    )  # fmt: skip


def _latin(size: int) -> ImageFont.FreeTypeFont | None:
    """Pillow's own font, the same on every machine."""
    font = ImageFont.load_default(size)
    return font if isinstance(font, ImageFont.FreeTypeFont) else None


def test_the_atlas_has_an_overview_a_page_a_grid_and_says_what_was_printed() -> None:
    made = atlas([_page(f"grid {n}") for n in range(31)], "a plan", "2026", fonts=_latin)
    # 31 grids need two pages of index.
    assert made.count(b"/Type /Page /Parent") == 33
    assert made.startswith(b"%PDF-1.5")
    start = int(made.rsplit(b"startxref\n", 1)[1].split()[0])
    assert made[start : start + 4] == b"xref"


def test_an_atlas_of_nothing_is_one_page() -> None:
    assert atlas([], "a plan", "", fonts=_latin).count(b"/Type /Page /Parent") == 1


def test_each_character_stands_once_in_a_document_and_widths_add_up() -> None:
    document = Document(_latin)
    page = document.page()
    end = page.text(100, 100, "abba", 10)
    assert end == pytest.approx(100 + document.glyphs.width("abba", 10))
    assert page.text(100, 80, "ab", 10, at=1) == pytest.approx(100)
    assert sorted(document.glyphs.places) == ["a", "b"]
    assert document.bytes("title").count(b"/Subtype /Type3") == 1

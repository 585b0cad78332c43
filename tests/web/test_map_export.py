"""A view of the map as a file, on the city of nine grids."""

import json
import re
from collections.abc import Callable
from io import BytesIO
from urllib.parse import quote

import openpyxl
import pytest
import shapely
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import Engine, text

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.web import assets
from gridmgmt.web.map_picture import COLOURS

from .small_city import FEW, GRIDS, HOSTILE, HOSTILE_NAME, MINE, TOWN_1, VILLAGES

AsRole = Callable[[Role | None], FlaskClient]
LAST = china_today().year - 1
PERIOD = f"{LAST}0101-{LAST}1231"

pytestmark = pytest.mark.filterwarnings("ignore:.*xtension is not supported:UserWarning")


def _file(client: FlaskClient, form: str, query: str = "") -> bytes:
    answer = client.get(f"/map/view.{form}{query}")
    assert answer.status_code == 200
    return bytes(answer.data)


def _rows(content: bytes, sheet: str = "网格") -> list[dict[str, object]]:
    headings, *rows = openpyxl.load_workbook(BytesIO(content))[sheet].iter_rows(values_only=True)
    return [dict(zip(map(str, headings), row, strict=True)) for row in rows]


def test_each_file_is_named_in_chinese_and_kept_nowhere(as_role: AsRole) -> None:
    for form in ("png", "xlsx", "geojson"):
        answer = as_role(Role.COMMAND).get(f"/map/view.{form}?measure=gi&category=01")
        assert answer.headers["Cache-Control"] == "no-store"
        disposition = answer.headers["Content-Disposition"]
        assert disposition.startswith(f"attachment; filename=map-grid-{PERIOD}.{form}; ")
        assert quote(f"样例县_网格_噪声扰民_热点等级_{PERIOD}.{form}") in disposition


def test_the_table_is_ranked_by_the_measure_with_numbers_as_numbers(as_role: AsRole) -> None:
    rows = _rows(_file(as_role(Role.COMMAND), "xlsx", "?measure=count"))
    assert [row["诉求数（件）"] for row in rows] == sorted((60, 12, 9, 4, 11, 8, 14, 10, 2), reverse=True)
    first = rows[0]
    assert (first["名次"], first["代码"], first["镇街"], first["村社区"]) == (1, MINE, "城关街道", "第1村")
    assert (first["户数"], first["诉求率（件/千户·年）"], first["热点判断"]) == (400, 150, "很有把握")
    assert first["校正后 q"] == 0.01
    by_rate = _rows(_file(as_role(Role.COMMAND), "xlsx"))
    rates = [row["诉求率（件/千户·年）"] for row in by_rate]
    assert rates[-1] is None  # the hidden one stands last
    assert rates[:-1] == sorted(rates[:-1], reverse=True)  # type: ignore[type-var]


def test_the_second_sheet_says_method_run_period_and_units(as_role: AsRole) -> None:
    sheet = openpyxl.load_workbook(BytesIO(_file(as_role(Role.COMMAND), "xlsx")))["说明"]
    said = {row[0]: row[1] for row in sheet.iter_rows(min_row=3, values_only=True)}
    assert "Benjamini-Hochberg" in said["方法"]
    assert said["期间"] == f"{LAST}年1月1日至{LAST}年12月31日"
    assert "件/千户·年" in said["单位"]
    assert "数据版本 1" in said["来源"]


def test_few_households_are_hidden_and_no_cell_is_a_formula(as_role: AsRole, city: Engine) -> None:
    with city.begin() as connection:
        connection.execute(text("UPDATE grid SET name = '=1+1' WHERE code15 = :a"), {"a": GRIDS[1]})
    content = _file(as_role(Role.PLANNER), "xlsx")
    few = next(row for row in _rows(content) if row["代码"] == FEW)
    assert (few["户数"], few["诉求数（件）"], few["诉求率（件/千户·年）"], few["按全市水平应有（件）"]) == (
        "<5", 4, None, None,
    )  # fmt: skip
    book = openpyxl.load_workbook(BytesIO(content))
    cells = [cell for row in book["网格"].iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert "=1+1" in {cell.value for cell in cells}
    with city.begin() as connection:
        connection.execute(text("UPDATE account SET area = :a WHERE role = 'grid_worker'"), {"a": FEW})
    own = _rows(_file(as_role(Role.GRID_WORKER), "xlsx"))
    assert [(row["代码"], row["户数"]) for row in own] == [(FEW, 3)]


def test_geojson_has_the_tables_columns_and_rings_that_run_as_the_standard_says(as_role: AsRole) -> None:
    found = json.loads(_file(as_role(Role.COMMAND), "geojson"))
    assert {feature["id"] for feature in found["features"]} == set(GRIDS)
    headings = list(_rows(_file(as_role(Role.COMMAND), "xlsx"))[0])
    assert list(found["fields"].values()) == headings
    assert "CGCS2000" in found["coordinates_note"]
    assert "crs" not in found
    for feature in found["features"]:
        assert feature["properties"].keys() == found["fields"].keys()
        shape = shapely.geometry.shape(feature["geometry"])
        assert all(part.exterior.is_ccw for part in shape.geoms)
    few = next(feature for feature in found["features"] if feature["id"] == FEW)["properties"]
    assert (few["households"], few["count"], few["rate"], few["smoothed"], few["expected"]) == (
        "<5", 4, None, None, None,
    )  # fmt: skip


def test_every_file_ends_where_the_own_area_ends(as_role: AsRole) -> None:
    for role, codes in ((Role.TOWN_OFFICER, GRIDS[:6]), (Role.GRID_WORKER, (MINE,))):
        client = as_role(role)
        for query in ("", f"?area={HOSTILE}", "?town=", "?level=grid"):
            found = json.loads(_file(client, "geojson", query))
            assert {feature["id"] for feature in found["features"]} == set(codes)
            assert {str(row["代码"]) for row in _rows(_file(client, "xlsx", query))} == set(codes)
            assert HOSTILE_NAME not in json.dumps(found, ensure_ascii=False)
    villages = json.loads(_file(as_role(Role.TOWN_OFFICER), "geojson", "?level=village"))
    assert {feature["id"] for feature in villages["features"]} == set(VILLAGES[:2])
    assert as_role(Role.GRID_WORKER).get(f"/map/view.png?level=town&area={TOWN_1}").status_code == 404


def test_the_picture_is_drawn_in_the_screens_colours_and_the_same_each_time(as_role: AsRole) -> None:
    client = as_role(Role.COMMAND)
    content = _file(client, "png", "?measure=gi")
    assert content == _file(client, "png", "?measure=gi")
    assert content != _file(client, "png", "?measure=rate")
    image = Image.open(BytesIO(content)).convert("RGB")
    assert image.size == (1920, 1200)
    seen = {f"#{r:02x}{g:02x}{b:02x}": count for count, (r, g, b) in image.getcolors(1 << 20) or ()}
    for look, grids in (("gi-3", 1), ("gi-0", 6), ("gi-1", 1), ("gi-m1", 1)):
        near = [count for colour, count in seen.items() if _near(colour, COLOURS[look])]
        assert sum(near) > grids * 30_000, look


def _near(colour: str, other: str) -> bool:
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(other[1:]), strict=True)
    return max(abs(a - b) for a, b in pairs) <= 3


def test_colours_of_the_picture_are_those_of_the_style_sheet() -> None:
    css = (assets.STATIC / "app.css").read_text(encoding="utf-8")
    known = {name: colour.lower() for name, colour in re.findall(r"--([\w-]+): (#[0-9a-fA-F]{6});", css)}
    assert {name: known.get(name) for name in COLOURS} == COLOURS


def test_what_is_not_known_is_refused_by_name(as_role: AsRole) -> None:
    client = as_role(Role.COMMAND)
    assert client.get("/map/view.pdf").status_code == 404
    for query in ("measure=beauty", "level=house", "period=yesterday", "category=99"):
        assert client.get(f"/map/view.xlsx?{query}").status_code == 400, query

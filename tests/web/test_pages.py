"""What each page shows on a city of nine grids, on another city, and on an empty database."""

import gzip
import json
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.calendar import china_today
from gridmgmt.db import identity
from gridmgmt.db.models import Role

from . import small_city
from .conftest import sign_in

AsRole = Callable[[Role | None], FlaskClient]

LAST_YEAR = china_today().year - 1


def _page(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return str(answer.get_data(as_text=True))


def test_the_command_centre_sees_map_switches_and_the_hottest_grid_first(as_role: AsRole) -> None:
    page = _page(as_role(Role.COMMAND), "/command")
    assert 'id="map_city"' in page
    for words in ("样例县网格治理", "诉求率", "诉求数", "热点等级", f"{LAST_YEAR}年", "全部诉求", "灌溉用水"):
        assert words in page, words
    hot = page.index("1号网格")
    assert hot < page.index("7号网格") < page.index("率较高，但还不能排除偶然")
    assert "很有把握" in page


def test_each_table_of_the_command_centre_says_why(as_role: AsRole) -> None:
    client = as_role(Role.COMMAND)
    fields = _page(client, "/command?tab=fields")
    assert fields.index("噪声扰民") < fields.rindex("灌溉用水")
    assert f"{LAST_YEAR}年噪声扰民共 65 件" in fields
    assert "1 个热点里有 30 件，按全市水平应有 8.1 件，多出 22 件；多出最多的是1号网格" in fields
    assert f"按今日边界，{LAST_YEAR - 1}年为 60 件（+8%，差别在偶然范围内）" in fields
    assert "偶然范围内（最小 q=0.60）" in fields
    peaks = _page(client, "/command?tab=peaks")
    assert "灌溉用水在4月" in peaks
    assert "不能断定年年如此" in peaks
    recent = _page(client, "/command?tab=recent")
    assert f'data-area="{small_city.MINE} {small_city.NEIGHBOUR}"' in recent
    assert "1号网格等 2 处" in recent
    assert "约10年才偶然出现一次" in recent
    assert "没有正在发生的聚集" in _page(client, "/command?tab=recent&category=02")
    hot = _page(client, "/command?tab=hot")
    assert f"1号网格{LAST_YEAR}年全部诉求 60 件" in hot
    assert "条件置换 99 次" in hot


def test_a_town_office_has_no_table_of_the_whole_city(as_role: AsRole) -> None:
    for tab in ("fields", "peaks", "recent"):
        page = _page(as_role(Role.TOWN_OFFICER), f"/office?tab={tab}")
        assert "热点领域" not in page
        assert "连同周边一起看明显偏多" in page


def test_a_grid_with_few_households_has_no_rate_in_the_list(as_role: AsRole, city: Engine) -> None:
    with city.begin() as connection:
        connection.execute(
            text("UPDATE hotspot_result SET gi_class = 2 WHERE area = :a"), {"a": small_city.FEW}
        )
    page = _page(as_role(Role.COMMAND), "/command")
    assert "不足 5 户，不计率" in page
    assert "1,333" not in page
    assert f"4号网格{LAST_YEAR}年" not in page  # nor in an explanation


def test_a_link_reproduces_the_view(as_role: AsRole) -> None:
    period = f"{LAST_YEAR - 1}0101-{LAST_YEAR - 1}1231"
    page = _page(as_role(Role.COMMAND), f"/command?level=village&measure=count&category=01&period={period}")
    for chosen in (
        'value="village" checked',
        'value="count" checked',
        'value="01" selected',
        f'value="{period}" selected',
    ):
        assert chosen in page, chosen
    assert f"/data/hotspots.json?level=village&amp;category=01&amp;period={period}" in page
    assert 'data-measure="count"' in page


def test_a_period_that_a_level_lacks_falls_back_to_its_newest(as_role: AsRole) -> None:
    page = _page(as_role(Role.COMMAND), "/command?period=19990101-19991231")
    assert f'value="{LAST_YEAR}0101-{LAST_YEAR}1231" selected' in page


def test_the_values_say_count_expected_rate_class_and_how_weak(as_role: AsRole) -> None:
    answer = json.loads(as_role(Role.COMMAND).get("/data/hotspots.json").data)
    assert answer["areas"][small_city.MINE] == [60, 16.2, 150.0, 3, 0, 150.0, ""]
    assert answer["unit"] == "件/千户·年"
    assert answer["breaks"]["rate"] == sorted(answer["breaks"]["rate"])


def test_an_unchanged_answer_is_not_sent_twice(as_role: AsRole, city: Engine) -> None:
    client = as_role(Role.COMMAND)
    for path in (
        "/data/areas.topojson",
        "/data/hotspots.json",
        "/data/layers.geojson",
        "/data/areas.geojson",
    ):
        first = client.get(path)
        again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
    with city.begin() as connection:
        connection.execute(
            text("INSERT INTO import_run (kind, file, sha256, counts) VALUES ('grids', 'f', 'x', '{}')")
        )
    changed = client.get("/data/areas.geojson", headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200


def test_answers_are_compressed_for_who_can_read_them(as_role: AsRole) -> None:
    client = as_role(Role.COMMAND)
    plain = client.get("/command")
    packed = client.get("/command", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert b"</html>" in gzip.decompress(packed.data)
    assert "Accept-Encoding" in packed.headers["Vary"]


def test_outlines_carry_name_place_households_and_chief(as_role: AsRole) -> None:
    found = json.loads(as_role(Role.COMMAND).get("/data/areas.geojson").data)["features"]
    mine = next(feature for feature in found if feature["id"] == small_city.MINE)
    assert mine["properties"]["in"] == "城关街道 · 第1村"
    assert mine["properties"]["households"] == 400
    assert mine["geometry"]["type"] in ("Polygon", "MultiPolygon")
    own = json.loads(as_role(Role.GRID_WORKER).get("/data/areas.geojson").data)["features"][0]
    assert own["properties"]["chief"] == "王网格"
    assert "王网格" in _page(as_role(Role.COMMAND), f"/areas/{small_city.MINE}")


def test_towns_are_drawn_as_the_union_of_their_grids(as_role: AsRole) -> None:
    found = json.loads(as_role(Role.COMMAND).get("/data/areas.geojson?level=town").data)["features"]
    assert [feature["properties"]["name"] for feature in found] == ["城关街道", "河西镇"]
    assert [feature["properties"]["households"] for feature in found] == [2003, 1200]


def test_the_town_office_sees_its_town_only(as_role: AsRole) -> None:
    page = _page(as_role(Role.TOWN_OFFICER), "/office")
    assert "镇街总览" in page
    assert "城关街道" in page
    assert "河西镇" not in page


def test_the_list_is_ordered_by_the_day_to_act_and_filtered(as_role: AsRole) -> None:
    client = as_role(Role.COMMAND)
    page = _page(client, "/seasonal")
    assert page.index("噪声扰民</a>") < page.rindex("灌溉用水</a>"), "what is over stands behind"
    assert "立春" in page
    assert '<b class="figure">4</b> 项' in page
    for query, count in (
        ("town=" + small_city.TOWN_2, 2),
        ("category=02", 2),
        ("q=7 * 7", 1),
        ("q=没有的词", 0),
        ("confidence=有迹象", 0),
    ):
        assert f'<b class="figure">{count}</b> 项' in _page(client, f"/seasonal?{query}"), query
    assert "没有符合的事项" in _page(client, "/seasonal?q=没有的词")


def test_evidence_opens_as_a_drawer_and_as_a_page(as_role: AsRole, city: Engine) -> None:
    with city.connect() as connection:
        number = connection.execute(text("SELECT min(id) FROM seasonal_item")).scalar_one()
    client = as_role(Role.COMMAND)
    page = _page(client, f"/seasonal/items/{number}")
    drawer = client.get(f"/seasonal/items/{number}", headers={"HX-Request": "true"}).get_data(as_text=True)
    for words in ("往年同一窗口的诉求", "8—17", "3.1", "不到千分之一", str(LAST_YEAR)):
        assert words in page, words
        assert words in drawer, words
    assert "<html" in page
    assert "<html" not in drawer


def test_a_grid_chief_gets_cards_for_what_is_to_come(as_role: AsRole) -> None:
    page = _page(as_role(Role.GRID_WORKER), "/grid")
    assert "1号网格" in page
    assert "<b>400</b> 户" in page
    if china_today().month < 12 or china_today().day < 31:
        assert "噪声扰民" in page


def test_the_planner_sees_counts_and_grids_outside_the_band(as_role: AsRole) -> None:
    page = _page(as_role(Role.PLANNER), "/plan")
    assert "户数在 300—500 户以外的 <b>1</b> 个" in page
    assert "&lt;5" in page
    assert 'value="rate"' not in page


def test_administrators_see_accounts_and_imports_but_no_hash(as_role: AsRole) -> None:
    accounts = _page(as_role(Role.SECURITY), "/admin/accounts")
    imports = _page(as_role(Role.ADMIN), "/admin")
    for words in ("town_officer", "城关街道"):
        assert words in accounts, words
    for words in ("incidents.csv", "130"):
        assert words in imports, words
    assert "argon2" not in accounts + imports


def test_the_auditor_sees_imports_and_runs(as_role: AsRole) -> None:
    page = _page(as_role(Role.AUDITOR), "/audit")
    assert "incidents.csv" in page
    assert f"{LAST_YEAR}-01-01 至 {LAST_YEAR}-12-31" in page


def test_a_city_elsewhere_shows_just_the_same(engine: Engine, make_app: Callable[..., Flask]) -> None:
    small_city.build(engine, corner=small_city.ST_LOUIS)
    client = make_app(engine).test_client()
    sign_in(client, "command")
    assert "[[38.62, -90.25], [38.65, -90.22]]" in _page(client, "/command")


@pytest.mark.parametrize("role", list(Role), ids=str)
def test_an_empty_city_says_what_to_do_next(
    engine: Engine, make_app: Callable[..., Flask], role: Role
) -> None:
    area, unit = small_city.AREAS.get(role), small_city.UNITS.get(role)
    identity.create_account(engine, role.value, small_city.PASSWORD, role, "", area, unit)
    client = make_app(engine).test_client()
    sign_in(client, role.value)
    words = {
        Role.GRID_WORKER: "账号没有绑定现行网格",
        Role.TOWN_OFFICER: "gridmgmt import",
        Role.COMMAND: "gridmgmt hotspots run",
        Role.PLANNER: "gridmgmt import",
        Role.AUDITOR: "gridmgmt import",
        Role.ADMIN: "还没有导入过数据",
        Role.DEPARTMENT: "没有待签收的",
        Role.SECURITY: "新建账号",
    }
    assert words[role] in client.get("/", follow_redirects=True).get_data(as_text=True)
    if role in (Role.COMMAND, Role.TOWN_OFFICER, Role.PLANNER, Role.GRID_WORKER):
        assert "gridmgmt seasonal build" in _page(client, "/seasonal")
        assert json.loads(client.get("/data/areas.geojson").data)["features"] == []
        assert json.loads(client.get("/data/hotspots.json").data)["areas"] == {}


def test_a_city_without_households_shows_rates_by_area(as_role: AsRole, city: Engine) -> None:
    with city.begin() as connection:
        connection.execute(text("DELETE FROM household"))
        connection.execute(text("UPDATE hotspot_result SET households = NULL"))
        by_area = json.dumps({"exposure": "area"})
        statement = (
            "UPDATE analysis_run SET parameters = parameters || CAST(:a AS jsonb) WHERE kind = 'hotspots'"
        )
        connection.execute(text(statement), {"a": by_area})
    client = as_role(Role.PLANNER)
    assert "件/平方公里·年" in _page(client, "/command")
    found = json.loads(client.get("/data/areas.geojson").data)["features"]
    assert {feature["properties"]["households"] for feature in found} == {None}
    assert "以外的 <b>0</b> 个" in _page(client, "/plan")

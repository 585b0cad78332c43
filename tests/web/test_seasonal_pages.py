"""The pictures above the list, and what each item of it rests on."""

import itertools
import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, Engine, text

from gridmgmt.calendar import china_today, spring_festival
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import create_database, drop_database, make_engine
from gridmgmt.db.models import Role
from gridmgmt.grids.service import grids_in_force
from gridmgmt.seasonal import evidence, stored
from gridmgmt.seasonal.clocks import window_in_year
from gridmgmt.seasonal.models import Clock
from gridmgmt.seasonal.stored import Item
from gridmgmt.web import seasonal, strip, year_list
from gridmgmt.web.areas import territory
from gridmgmt.web.databases import EXTENSION

from . import small_city

AsRole = Callable[[Role | None], FlaskClient]
YEAR = china_today().year
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def with_history(cluster: Cluster, small_city_template: str) -> str:
    """The name of a database that holds the small city and the history its list rests on."""
    create_database(cluster.url("postgres"), "history", template=small_city_template)
    engine = make_engine(cluster.url("history"))
    small_city.add_history(engine)
    engine.dispose()
    return "history"


@pytest.fixture
def city(cluster: Cluster, with_history: str) -> Iterator[Engine]:
    """A database of this test's own, with the history in it."""
    name = f"history_{next(_numbers)}"  # what a worker keeps is kept by address
    create_database(cluster.url("postgres"), name, template=with_history)
    engine = make_engine(cluster.url(name))
    yield engine
    engine.dispose()
    drop_database(cluster.url("postgres"), name)


def _page(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return str(answer.get_data(as_text=True))


def _item(city: Engine, area: str, category: str) -> int:
    query = "SELECT id FROM seasonal_item WHERE area = :a AND category = :c"
    with city.connect() as connection:
        return int(connection.execute(text(query), {"a": area, "c": category}).scalar_one())


def _evidence(connection: Connection, item: Item) -> evidence.Evidence:
    run = stored.run_of(connection, item.year)
    matters = evidence.told(connection, item.category, run, grids_in_force(connection))
    return evidence.read(connection, item, run, matters)


def _bound_to(city: Engine, role: Role, area: str) -> None:
    with city.begin() as connection:
        connection.execute(
            text("UPDATE account SET area = :a WHERE username = :u"), {"a": area, "u": role.value}
        )


def _spots(page: str) -> int:
    """How many problems the points of a page's map stand for."""
    return sum(int(n) for n in re.findall(r'class="spot"[^>]*><title>(\d+) ', page))


# --- the pictures


def test_each_picture_has_an_address_and_keeps_the_filters(as_role: AsRole) -> None:
    client = as_role(Role.COMMAND)
    for view, words in (
        ("lanes", "年时间尺"), ("wheel", "年年轮"), ("strip", "各旬预计件数"), ("verdicts", "问题库")
    ):  # fmt: skip
        page = _page(client, f"/seasonal?view={view}&town={small_city.TOWN_1}")
        assert words in page, view
        assert f"town={small_city.TOWN_1}&amp;view=wheel" in page
        assert page.count('aria-selected="true"') == 1
    assert "年时间尺" in _page(client, "/seasonal?view=nonsense")


def test_the_wheel_holds_a_ring_and_a_line_for_each_category(as_role: AsRole) -> None:
    page = _page(as_role(Role.COMMAND), "/seasonal?view=wheel")
    for category in ("01", "02"):
        assert page.count(f'data-ring="{category}"') == 2
        assert f"category={category}" in page
    assert f"{YEAR}年{'12'}月1日前动手" in page
    assert "今天" in page


def test_the_strip_adds_up_to_what_is_expected(app: Flask) -> None:
    with app.extensions[EXTENSION].reader.connect() as connection:
        run, here = stored.run_of(connection, YEAR), territory(connection)
        for asked in (
            strip.Asked(""),
            strip.Asked(small_city.TOWN_1),
            strip.Asked(small_city.TOWN_1, grids=True, own=True),
            strip.Asked("", category="01", by_code=True),
        ):
            shown = strip.read(connection, run, here, asked, "", china_today())
            _, cells = stored.expected_cells(connection, run, asked.place, asked.category or None)
            assert np.array([row.cells for row in shown.rows]).sum(axis=0) == pytest.approx(cells.sum(axis=0))
        own = strip.read(connection, run, here, strip.Asked(small_city.MINE), "", china_today())
        assert [(row.name, row.total) for row in own.rows] == [("噪声扰民", 18.5), ("灌溉用水", 36.0)]


def test_the_strip_leads_one_level_down_and_back(as_role: AsRole) -> None:
    client = as_role(Role.COMMAND)
    assert f"area={small_city.TOWN_2}" in _page(client, "/seasonal?view=strip")
    town = _page(client, f"/seasonal?view=strip&area={small_city.TOWN_2}")
    assert "第3村" in town
    village = _page(client, f"/seasonal?view=strip&area={small_city.VILLAGES[2]}")
    assert "7号网格" in village
    assert f'<a href="/seasonal?area={small_city.TOWN_2}&amp;view=strip">河西镇</a>' in village


def test_the_strip_does_not_tell_of_fewer_than_five_households(as_role: AsRole, city: Engine) -> None:
    village = _page(as_role(Role.COMMAND), f"/seasonal?view=strip&area={small_city.VILLAGES[1]}")
    assert village.count("不足 5 户，不显示") == 1
    assert "4号网格 12月中旬" not in village
    assert "5号网格 12月中旬 预计 6.0 件" in village
    _bound_to(city, Role.GRID_WORKER, small_city.FEW)
    own = _page(as_role(Role.GRID_WORKER), "/seasonal?view=strip")
    assert "噪声扰民 12月中旬 预计 4.0 件" in own
    assert "噪声扰民 12月下旬" in own


def test_the_strip_ends_where_the_own_area_ends(as_role: AsRole) -> None:
    page = _page(as_role(Role.TOWN_OFFICER), f"/seasonal?view=strip&area={small_city.TOWN_2}")
    assert "第1村" in page
    assert "第3村" not in page
    assert small_city.TOWN_2 not in page.split("strip-pane")[1].split("table-pane")[0]


def test_what_is_not_listed_is_a_result_with_its_tests(as_role: AsRole) -> None:
    page = _page(as_role(Role.COMMAND), "/seasonal?view=verdicts")
    assert "暖气报修" in page.split("没有时令规律 <small>1 类")[1].split("数量不足")[0]
    assert "4,321" in page
    assert "0.620" in page
    assert "古树保护" in page.split("数量不足，不下结论 <small>1 类")[1]
    assert "130 件诉求合并重复后 <b>121</b> 个问题" in page
    town = _page(as_role(Role.TOWN_OFFICER), "/seasonal?view=verdicts")
    assert "0.620" in town
    assert "4,321" not in town, "what the whole city told is not a town's"
    assert "121" not in town


def test_what_is_beyond_the_capacity_is_shown_counted_and_filtered(as_role: AsRole, city: Engine) -> None:
    client = as_role(Role.COMMAND)
    assert "超出承载" not in _page(client, "/seasonal")
    with city.begin() as connection:
        connection.execute(
            text("UPDATE seasonal_item SET cut = true WHERE area = :a"), {"a": small_city.HOSTILE}
        )
    year_list.KEPT.forget()
    page = _page(client, "/seasonal")
    assert '列入 <b class="figure">3</b> 项' in page
    assert '另有 <b class="figure">1</b> 项超出每旬 3 项的承载，未列入' in page
    assert page.count("超出承载</span>") == 1
    assert "超出承载</span>" not in _page(client, "/seasonal?capacity=within")
    assert page.count("<tr class") - 3 == _page(client, "/seasonal?capacity=beyond").count("<tr class") == 1


def test_the_chosen_list_is_the_one_on_the_page(as_role: AsRole) -> None:
    client = as_role(Role.TOWN_OFFICER)
    with client:
        client.get("/seasonal?category=01&q=1号")
        found = seasonal.chosen_list()
    assert [item.area for item in found.items] == [small_city.MINE]
    assert (found.year, found.title) == (YEAR, "城关街道")
    assert found.run is not None
    assert found.chosen["category"] == "01"


# --- the evidence


def test_years_stand_side_by_side_on_one_scale_with_duplicates_folded(app: Flask, city: Engine) -> None:
    with app.extensions[EXTENSION].reader.connect() as connection:
        item = year_list.item(connection, _item(city, small_city.MINE, "01"), None)
        assert item is not None
        found = _evidence(connection, item)
    assert [season.year for season in found.seasons] == list(range(YEAR - 4, YEAR))
    assert {(season.inside, season.told) for season in found.seasons} == {(3, 4)}
    for season in found.seasons:
        assert np.nansum(season.problems) == 3, "June lies outside of what is shown"
    last = found.seasons[-1].problems
    assert np.isnan(last[-1]), "January of the list's own year is not known"
    window = (found.offsets >= 0) & (found.offsets < 27)
    assert found.expected[window].sum() == pytest.approx(item.expected)
    assert found.by_grid == {small_city.MINE: 12}


def test_the_coming_spring_festival_is_laid_over_the_past_ones(app: Flask, city: Engine) -> None:
    span = window_in_year(Clock.LUNAR, YEAR, 15, 3)
    with city.begin() as connection:
        connection.execute(
            text("UPDATE seasonal_item SET clock = 'lunar', start_on = :s, end_on = :e WHERE area = :a"),
            {"s": span.start, "e": span.end, "a": small_city.HOSTILE},
        )
    with app.extensions[EXTENSION].reader.connect() as connection:
        item = year_list.item(connection, _item(city, small_city.HOSTILE, "01"), None)
        assert item is not None
        before = (spring_festival(YEAR) - span.start).days
        past = evidence.past_windows(item)
    assert {(spring_festival(year) - days.start).days for year, days in past} == {before}


def test_a_wider_item_counts_what_its_listed_parts_leave(app: Flask, city: Engine) -> None:
    with city.begin() as connection:
        connection.execute(
            text("UPDATE seasonal_item SET category = '01' WHERE area = :a"), {"a": small_city.TOWN_2}
        )
    with app.extensions[EXTENSION].reader.connect() as connection:
        item = year_list.item(connection, _item(city, small_city.TOWN_2, "01"), None)
        assert item is not None
        found = _evidence(connection, item)
    assert found.apart == (small_city.HOSTILE,)
    assert found.by_grid == {}
    assert found.own.inside == (5, 5, 5, 5), "compared with others, all of it counts"


def test_points_show_where_only_to_whom_they_may(as_role: AsRole, city: Engine) -> None:
    path = f"/seasonal/items/{_item(city, small_city.MINE, '01')}"
    for role, problems in (
        (Role.COMMAND, 12), (Role.TOWN_OFFICER, 12), (Role.GRID_WORKER, 12), (Role.PLANNER, 0)
    ):  # fmt: skip
        page = _page(as_role(role), path)
        assert _spots(page) == problems, role
        assert ("点位不在您的权限内" in page) == (role == Role.PLANNER)
        assert "往年窗口内共诉求 52 件，合并重复后 48 个问题" in page
        assert "去掉任一年，结论不变（4/4）" in page


def test_a_grid_chief_sees_no_points_and_no_numbers_of_another_grid(as_role: AsRole, city: Engine) -> None:
    path = f"/seasonal/items/{_item(city, small_city.TOWN_2, '02')}"
    whole = _page(as_role(Role.COMMAND), path)
    assert _spots(whole) == 24
    assert "7号网格：往年窗口内 8 个问题" in whole
    _bound_to(city, Role.GRID_WORKER, small_city.HOSTILE)
    own = _page(as_role(Role.GRID_WORKER), path)
    assert _spots(own) == 8
    assert "7号网格" not in own
    assert "城关街道" not in own


def test_neighbours_in_kind_are_named_only_inside_the_own_area(as_role: AsRole, city: Engine) -> None:
    path = f"/seasonal/items/{_item(city, small_city.MINE, '01')}"
    named = _page(as_role(Role.COMMAND), path).split("和相似的网格比")[1]
    assert "2号网格" in named
    assert "2、2、2、2" in named
    assert "4号网格" not in named, "three households are too few to be compared"
    together = _page(as_role(Role.GRID_WORKER), path).split("和相似的网格比")[1]
    assert "最相近的 5 个网格" in together
    assert "号网格" not in together.replace("1号网格", "")


def test_two_doors_of_one_square_are_one_point() -> None:
    door = np.array([114.00002]), np.array([33.00002])
    (alone,), side = evidence.spots(*door)
    assert side == evidence.SPOT_METRES
    metre = 1 / 111_195
    lon = np.array([*door[0], alone.lon + 4 * metre, alone.lon + 60 * metre])
    lat = np.array([*door[1], alone.lat - 9 * metre, alone.lat])
    found, _ = evidence.spots(lon, lat)
    assert sorted(spot.problems for spot in found) == [1, 2]
    assert (alone.lon, alone.lat) in [(spot.lon, spot.lat) for spot in found], "whatever else is asked for"
    assert (alone.lon, alone.lat) != (114.00002, 33.00002)


def test_evidence_says_where_the_lead_comes_from(as_role: AsRole, city: Engine) -> None:
    number = _item(city, small_city.MINE, "01")
    client = as_role(Role.COMMAND)
    assert "按类别设定，提前 4 天" in _page(client, f"/seasonal/items/{number}")
    with city.begin() as connection:
        connection.execute(text("UPDATE seasonal_item SET lead_learnt = true, stable = 3"))
    year_list.KEPT.forget()
    page = _page(client, f"/seasonal/items/{number}")
    assert "由往年数据得出" in page
    assert "4 次里有 3 次结论不变" in page


def test_an_item_of_another_area_or_of_none_is_not_found(as_role: AsRole, city: Engine) -> None:
    theirs = _item(city, small_city.HOSTILE, "01")
    for role in (Role.TOWN_OFFICER, Role.GRID_WORKER):
        assert as_role(role).get(f"/seasonal/items/{theirs}").status_code == 404
    assert as_role(Role.COMMAND).get("/seasonal/items/999999").status_code == 404

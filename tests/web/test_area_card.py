"""The card of one area, on the city of nine grids."""

import re
from collections.abc import Callable
from datetime import date

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.hotspots.cube import locate
from gridmgmt.hotspots.place import Place, Years
from gridmgmt.web import area_trend

from . import small_city
from .small_city import FEW, HOSTILE, MINE, NEIGHBOUR, TOWN_1, TOWN_2

AsRole = Callable[[Role | None], FlaskClient]
YEAR = china_today().year
HTMX = {"HX-Request": "true"}
AN_AREA_EACH = (MINE, MINE[:12], TOWN_1)


_HANDED_OUT = """
    INSERT INTO seasonal_task
        (year, item_id, level, area, category, start_on, end_on, due_on, action, status, handed_out_by)
    SELECT year, id, level, area, category, start_on, end_on, act_by, action, 'open', 'command'
    FROM seasonal_item WHERE area = :a AND category = '01'
    """
_KNOWN_GRID = """
    UPDATE incident SET grid_id = (SELECT g.id FROM grid g WHERE ST_Contains(g.geom, incident.geom))
    WHERE mod(id, 2) = 0
    """


def _card(client: FlaskClient, code: str, query: str = "", status: int = 200) -> str:
    answer = client.get(f"/areas/{code}{query}", headers=HTMX)
    assert answer.status_code == status
    return answer.get_data(as_text=True)


def _words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_a_card_says_what_a_grid_is_how_many_and_who_answers_for_it(as_role: AsRole) -> None:
    words = _words(_card(as_role(Role.COMMAND), MINE))
    facts = ("1号网格", "城关街道 · 第1村", "60 件", "16 件", "150.0", "很有把握", "400 户", "王网格")
    for said in (*facts, f"{YEAR - 1}年"):
        assert said in words, said


def test_a_card_is_a_fragment_for_the_column_and_a_page_by_itself(as_role: AsRole) -> None:
    client = as_role(Role.COMMAND)
    for code in AN_AREA_EACH:
        assert "<html" not in _card(client, code)
        page = client.get(f"/areas/{code}").get_data(as_text=True)
        assert "<html" in page
        assert 'name="period"' in page


def test_a_category_and_a_period_of_the_address_are_what_the_card_shows(as_role: AsRole) -> None:
    period = f"{YEAR - 2}0101-{YEAR - 2}1231"
    words = _words(_card(as_role(Role.COMMAND), MINE, f"?category=01&period={period}"))
    assert f"{YEAR - 2}年 · 噪声扰民" in words
    assert "30 件" in words


def test_no_area_but_the_own_is_found(as_role: AsRole) -> None:
    for role, foreign in ((Role.TOWN_OFFICER, (TOWN_2, HOSTILE)), (Role.GRID_WORKER, (NEIGHBOUR, TOWN_1))):
        for code in (*foreign, "990101", "1", "%25"):
            page = _card(as_role(role), code, status=404)
            assert "河西镇" not in page
            assert "2号网格" not in page


def test_numbers_of_fewer_than_five_households_show_to_the_own_staff_alone(
    as_role: AsRole, city: Engine
) -> None:
    small_city.add_history(city)
    words = _words(_card(as_role(Role.COMMAND), FEW))
    assert "不足 5 户，不计率" in words
    assert "1333" not in words.replace(",", "")  # 4 matters of 3 households
    assert "每月件数 不足 5 户，不显示" in words
    with city.begin() as connection:
        connection.execute(text("UPDATE account SET area = :a WHERE role = 'grid_worker'"), {"a": FEW})
    assert "1,333.3" in _words(_card(as_role(Role.GRID_WORKER), FEW))


def test_counts_lead_to_their_matters_and_only_for_those_who_handle_them(as_role: AsRole) -> None:
    for role in (Role.COMMAND, Role.TOWN_OFFICER, Role.GRID_WORKER):
        page = _card(as_role(role), MINE)
        assert f'href="/matters/all?area={MINE}&amp;from={YEAR - 1}-01-01&amp;to={YEAR - 1}-12-31"' in page
        assert f'href="/matters?area={MINE}"' in page
    page = _card(as_role(Role.PLANNER), MINE)
    assert "/matters" not in page
    assert "在办诉求" not in page


def test_names_that_are_scripts_and_templates_stay_names(as_role: AsRole) -> None:
    page = _card(as_role(Role.COMMAND), HOSTILE)
    assert "<script>alert" not in page
    assert "{{ 7 * 7 }}" in page


def test_a_village_names_its_chiefs_and_says_how_many_grids_have_none(as_role: AsRole) -> None:
    words = _words(_card(as_role(Role.COMMAND), MINE[:12]))
    assert "3 个， 2 个没有网格长" in words
    assert "王网格 1号网格" in words


def test_what_is_coming_stands_with_its_day_and_whether_it_was_handed_out(
    as_role: AsRole, city: Engine
) -> None:
    if china_today() > date(YEAR, 12, 30):
        pytest.skip("nothing of this year is still to come")
    words = _words(_card(as_role(Role.COMMAND), MINE))
    assert "最迟 12月1日动手 · 12月5日—31日预计 12 件 · 没有下发" in words
    with city.begin() as connection:
        connection.execute(
            text(_HANDED_OUT),
            {"a": MINE},
        )
    words = _words(_card(as_role(Role.COMMAND), MINE))
    assert "待办" in words
    assert "没有下发" not in words


def test_the_years_are_counted_on_todays_boundary_as_a_run_counts_them(as_role: AsRole, city: Engine) -> None:
    small_city.add_history(city)
    with city.begin() as connection:  # half of the matters know their grid
        connection.execute(text(_KNOWN_GRID))
    years = range(YEAR - 4, YEAR)
    with city.connect() as connection:
        located = locate(connection, date(years.start, 1, 1), date(years.stop - 1, 12, 31))
        for code in (MINE, MINE[:12], TOWN_1, TOWN_2):
            mine = np.array([each.startswith(code) for each in located.grids.codes])
            there = (located.grid >= 0) & mine[located.grid]
            found = Place(connection, code, located.grids).years(years)
            by_year = [
                int((there & (located.day.astype("datetime64[Y]") == np.datetime64(str(y)))).sum())
                for y in years
            ]
            assert found.counts.sum(axis=1).tolist() == by_year
            assert by_year[0] > 0
        mine_only = Place(connection, MINE, located.grids).categories(
            date(YEAR - 1, 1, 1), date(YEAR - 1, 12, 31)
        )
        assert mine_only == {"01": 5}
        assert Place(connection, MINE, located.grids).years(years, ["01"]).counts[:, 33:].sum() == 4 * 4


def test_the_usual_range_is_as_wide_as_the_past_years_scattered() -> None:
    even = np.full((3, 12), 9.0)
    low, middle, high = area_trend.usual_range(even)
    assert middle.tolist() == [9.0] * 12
    # 5 % and 95 % points of a Poisson count of mean 9, from its table: 4 and 14.
    assert (low[0], high[0]) == (4.0, 14.0)
    wild = even + np.array([[-8.0], [0.0], [8.0]])
    wider = area_trend.usual_range(wild)
    assert (wider[0] <= low).all()
    assert (wider[2] > high).all()
    assert all(not len(each) for each in area_trend.usual_range(even[:1]))


def test_a_year_that_is_not_over_ends_with_its_last_whole_month() -> None:
    counts = np.ones((3, 36))
    found = area_trend.draw(Years(range(2023, 2026), counts), date(2025, 5, 9))
    assert found.step == "月"
    assert found.now is not None
    assert found.now.values == (3.0,) * 4
    dense = area_trend.draw(Years(range(2023, 2026), counts * 5), date(2025, 5, 20))
    assert dense.step == "旬"
    assert dense.now is not None
    assert len(dense.now.values) == 14  # to the second 旬 of May

"""Two periods side by side, and the wall, on the city of nine grids."""

import json
import re
from collections.abc import Callable
from datetime import date
from html import unescape

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.errors import InputError
from gridmgmt.hotspots.change import changes
from gridmgmt.web.wall_panels import next_xun

from . import small_city
from .small_city import FEW, GRIDS, HOSTILE, MINE, TOWN_1

AsRole = Callable[[Role | None], FlaskClient]
LAST, BEFORE = china_today().year - 1, china_today().year - 2


_A_MATTER = "UPDATE incident SET village = :village WHERE id = :id"
_OPEN_CASE = """
    INSERT INTO incident_case (id, number, flow_id, stage, level, next_due_at)
    SELECT :id, 'N' || :id, min(id), 's', 'town', now() - interval '1 day' FROM incident_flow
    """
_STEP = "INSERT INTO incident_step (case_id, n, who, act) VALUES (:id, 0, 'test', 'open')"


def _period(year: int) -> str:
    return f"{year}0101-{year}1231"


def _words(page: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def _set(city: Engine, year: int, area: str, **values: int) -> None:
    """Change what the run of a year found in an area, all categories together."""
    changed = ", ".join(f"{name} = :{name}" for name in values)
    query = (
        f"UPDATE hotspot_result SET {changed} WHERE area = :area AND category = '' AND run_id ="
        " (SELECT id FROM analysis_run WHERE parameters->>'level' = 'grid' AND parameters->>'from' = :start)"
    )
    with city.begin() as connection:
        connection.execute(text(query), values | {"area": area, "start": f"{year}-01-01"})


def test_a_change_is_beyond_chance_by_the_conditional_test_of_two_counts() -> None:
    # 2 P(binomial(60, 1/2) >= 40) = 0.01349, from the exact tail; nothing at all is no change.
    found = changes([20, 20, 0], [40, 21, 0], 365, 365)
    assert found.p.round(5).tolist() == [0.01349, 1.0, 1.0]
    assert found.q.round(5).tolist() == [0.04047, 1.0, 1.0]
    # The same rate over twice the days is no change either, and both ways round the same p.
    double = changes([30, 30], [60, 90], 365, 730)
    assert double.p[0] == 1.0
    assert double.expected.tolist() == [60.0, 60.0]
    assert np.allclose(changes([60, 90], [30, 30], 730, 365).p, double.p, atol=1e-12)
    for before, after, days in (([1], [1, 2], 365), ([-1], [1], 365), ([1], [1], 0)):
        with pytest.raises(InputError):
            changes(before, after, 365, days)


def test_a_view_is_compared_with_the_same_days_before_and_its_link_says_so(
    as_role: AsRole, city: Engine
) -> None:
    _set(city, LAST, MINE, count=120)
    client = as_role(Role.COMMAND)
    page = client.get("/command/compare").get_data(as_text=True)
    assert f'<option value="{_period(BEFORE)}" selected>{BEFORE}年' in page
    words = _words(page)
    assert "▲ +100% 60 → 120 件" in words, words[words.index("不像偶然") :][:500]
    assert "不像偶然的：升 1 个，降 0 个" in words
    assert page.count("不像偶然</span>") == 1
    swapped = re.search(r'href="(/command/compare\?[^"]+)" title="左右对调"', page)
    assert swapped
    other = _words(client.get(unescape(swapped[1])).get_data(as_text=True))
    assert "▼ −50% 120 → 60 件" in other


def test_both_maps_share_one_scale_and_hide_what_few_households_would_tell(
    as_role: AsRole, city: Engine
) -> None:
    _set(city, LAST, MINE, count=120, rate=300)
    page = as_role(Role.COMMAND).get("/command/compare").get_data(as_text=True)
    compared = json.loads(re.search(r'id="compared">(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    values = compared["values"]
    assert set(values) == set(GRIDS)
    assert values[MINE][0] == "rate-5" == values[MINE][3]
    assert values[MINE][2].startswith("150")
    assert values[MINE][5].startswith("300")
    assert values[FEW][2] == "不足 5 户，不显示"
    assert f'data-area="{FEW}"' not in page
    assert "1333" not in page.replace(",", "")
    assert "<script>alert" not in page


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (f"with={_period(LAST)}", "两边是同一期"),
        ("with=2025", None),
        ("level=county", None),
    ],
)
def test_what_makes_no_sense_is_said(as_role: AsRole, query: str, said: str | None) -> None:
    answer = as_role(Role.COMMAND).get(f"/command/compare?{query}")
    assert answer.status_code == (200 if said else 400)
    if said:
        assert said in answer.get_data(as_text=True)


def test_a_boundary_that_moved_is_told_beside_the_numbers(as_role: AsRole, city: Engine) -> None:
    _set(city, LAST, MINE, count=90, previous=60, recorded_previous=88)
    words = _words(as_role(Role.PLANNER).get("/command/compare").get_data(as_text=True))
    assert "1 个区域的边界动过" in words
    assert "当时报表为 88 件" in words


def test_the_wall_says_hot_fields_overdue_the_coming_xun_and_today(as_role: AsRole, city: Engine) -> None:
    page = as_role(Role.COMMAND).get("/command/wall").get_data(as_text=True)
    words = _words(page)
    assert "噪声扰民 22 件" in words  # 30 in the hot area where 8.1 would be expected
    for panel in ("热点领域", "超期", "未来一旬", "今日"):
        assert f'aria-label="{panel}"' in page
    assert page.count('<path class="rate-') + page.count('<path class="gi-') == len(GRIDS)
    assert "没有超期的" in words
    assert "新登记 0 件" in words


def test_overdue_matters_stand_by_town_the_most_first(as_role: AsRole, city: Engine) -> None:
    small_city.add_history(city)
    with city.begin() as connection:
        ids = connection.scalars(text("SELECT id FROM incident ORDER BY id LIMIT 3")).all()
        for number, town in zip(ids, (TOWN_1, small_city.TOWN_2, small_city.TOWN_2), strict=True):
            connection.execute(text(_A_MATTER), {"id": number, "village": f"{town}001"})
            connection.execute(text(_OPEN_CASE), {"id": number})
            connection.execute(text(_STEP), {"id": number})
    words = _words(as_role(Role.COMMAND).get("/command/wall").get_data(as_text=True))
    assert "超期 在办 3 件，超期 3 件" in words
    assert words.index("河西镇 2 件") < words.index("城关街道 1 件")


def test_the_wall_fetches_only_what_changes_and_holds_no_name_of_a_person(as_role: AsRole) -> None:
    client = as_role(Role.COMMAND)
    fragment = client.get("/command/wall?measure=gi&level=village", headers={"HX-Request": "true"})
    page = fragment.get_data(as_text=True)
    assert "<html" not in page
    assert re.search(r'data-at="\d\d:\d\d"', page)
    assert fragment.headers["Cache-Control"] == "no-store"
    assert "王网格" not in page
    assert HOSTILE not in page
    ended = as_role(None).get("/command/wall", headers={"HX-Request": "true"})
    assert (ended.status_code, "HX-Redirect" in ended.headers) == (204, True)


def test_the_coming_xun_of_the_last_one_is_in_the_new_year() -> None:
    assert next_xun(date(2026, 11, 23)) == (date(2026, 12, 1), date(2026, 12, 10))
    assert next_xun(date(2026, 2, 11)) == (date(2026, 2, 21), date(2026, 2, 28))
    assert next_xun(date(2026, 12, 31)) == (date(2027, 1, 1), date(2027, 1, 10))

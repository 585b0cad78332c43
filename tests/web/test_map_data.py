"""What the map shows beyond a run: parts of a period, what is so today, who leads, links, files."""

import io
import json
from collections.abc import Callable

import openpyxl
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.calendar import china_today, xun_of
from gridmgmt.db.models import Role
from gridmgmt.web import present

from . import small_city
from .small_city import FEW, HOSTILE, MINE, NEIGHBOUR, VILLAGES

AsRole = Callable[[Role | None], FlaskClient]

LAST_YEAR = china_today().year - 1
JUNE, EARLY_DECEMBER, MIDDLE_OF_DECEMBER = 15, 33, 34


def _json(client: FlaskClient, path: str) -> dict[str, dict[str, list[int]]]:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return dict(json.loads(answer.data))


def _page(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return str(answer.get_data(as_text=True))


def test_matters_are_counted_by_area_and_xun_of_the_period(as_role: AsRole, city: Engine) -> None:
    small_city.add_history(city)
    found = _json(as_role(Role.COMMAND), "/data/times.json")
    assert (found["from"], found["to"]) == (f"{LAST_YEAR}-01-01", f"{LAST_YEAR}-12-31")
    mine = {k: count for k, count in enumerate(found["areas"][MINE]) if count}
    assert mine == {JUNE: 1, EARLY_DECEMBER: 3, MIDDLE_OF_DECEMBER: 1}
    assert len(found["total"]) == 36
    assert found["total"][EARLY_DECEMBER] == 3 + 2 + 5 + 6
    assert found["total"] == [sum(column) for column in zip(*found["areas"].values(), strict=True)]  # type: ignore[comparison-overlap]
    assert found["terms"]["33"] == "大雪"  # type: ignore[call-overload]


def test_parts_of_a_period_are_narrowed_to_category_level_and_own_area(as_role: AsRole, city: Engine) -> None:
    small_city.add_history(city)
    town = _json(as_role(Role.TOWN_OFFICER), "/data/times.json")
    assert set(town["areas"]) == {MINE, NEIGHBOUR, FEW}, "areas without a matter are left out"
    assert sum(town["total"]) == 5 + 2 + 1
    water = _json(as_role(Role.COMMAND), "/data/times.json?level=village&category=02")
    assert water["areas"].keys() == {VILLAGES[2]}
    assert water["areas"][VILLAGES[2]][EARLY_DECEMBER] == 6


def test_parts_that_did_not_change_are_not_sent_twice(as_role: AsRole, city: Engine) -> None:
    small_city.add_history(city)
    client = as_role(Role.COMMAND)
    first = client.get("/data/times.json")
    again = client.get("/data/times.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_a_link_reproduces_the_part_and_the_open_card(as_role: AsRole) -> None:
    page = _page(as_role(Role.COMMAND), f"/command?window={LAST_YEAR}0301-{LAST_YEAR}0331&area={HOSTILE}")
    assert f'data-window="{LAST_YEAR}0301-{LAST_YEAR}0331"' in page
    assert f'data-open="{HOSTILE}"' in page
    town = _page(as_role(Role.TOWN_OFFICER), f"/office?area={HOSTILE}")
    assert 'data-open=""' in town, "an area of another town is not opened"
    assert as_role(Role.COMMAND).get("/command?window=march").status_code == 400


def test_what_is_so_today_has_no_period_and_says_so(as_role: AsRole) -> None:
    page = _page(as_role(Role.COMMAND), "/command?measure=overdue")
    assert "超期说的是今天，不分期间" in page
    assert f'<input type="hidden" name="period" value="{LAST_YEAR}0101-{LAST_YEAR}1231">' in page
    assert "没有超期的诉求" in page
    assert "不分期间" not in _page(as_role(Role.COMMAND), "/command?measure=smoothed")


def test_the_next_xun_is_what_the_list_expects_without_grids_of_few_households(
    as_role: AsRole, city: Engine
) -> None:
    small_city.add_history(city)
    year, xun = present.next_xun(china_today())
    client = as_role(Role.COMMAND)
    found = _json(client, "/data/today.json?category=01")
    page = _page(client, "/command?measure=expected&category=01")
    if year != china_today().year:  # the last 旬 of a year: nobody has made the next list
        assert not found["listed"]
        assert "下一旬没有列入清单的预计" in page
        return
    assert found["expected"][FEW] is None
    assert found["expected"][HOSTILE] == (9 if xun == MIDDLE_OF_DECEMBER else 0.5)  # type: ignore[comparison-overlap]
    assert page.index("预计最多的网格") < page.index(f'data-area="{MINE}"')
    assert f'data-area="{FEW}"' not in page.partition('class="ranked leading"')[2].partition("</ol>")[0]


def test_the_xun_after_the_last_is_the_first_of_next_year() -> None:
    today = china_today()
    year, xun = present.next_xun(today)
    assert (year, xun) == (today.year + (xun == 0), (int(xun_of([today])[0]) + 1) % 36)


def test_patterns_lead_in_order_and_hide_grids_of_few_households(as_role: AsRole, city: Engine) -> None:
    with city.begin() as connection:
        statement = text("UPDATE hotspot_result SET pattern = :pattern WHERE area = :area AND category = ''")
        for area, pattern in ((NEIGHBOUR, "seasonal_hot"), (HOSTILE, "new_hot"), (FEW, "new_hot")):
            connection.execute(statement, {"area": area, "pattern": pattern})
    client = as_role(Role.COMMAND)
    leading = (
        _page(client, "/command?measure=pattern").partition('class="ranked leading"')[2].partition("</ol>")[0]
    )
    assert leading.index(HOSTILE) < leading.index(NEIGHBOUR)
    assert FEW not in leading
    assert "新增" in leading
    assert "每年回来" in leading
    values = _json(client, "/data/hotspots.json")["areas"]
    assert [values[area][6] for area in (HOSTILE, NEIGHBOUR, FEW, MINE)] == ["new", "seasonal", "", ""]  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    ("name", "words"), [("fields", "噪声扰民"), ("peaks", "灌溉用水"), ("recent", "噪声扰民")]
)
def test_every_list_of_the_city_is_handed_out_whole(as_role: AsRole, name: str, words: str) -> None:
    client = as_role(Role.COMMAND)
    assert f"/command/{name}.xlsx" in _page(client, f"/command?tab={name}")
    answer = client.get(f"/command/{name}.xlsx")
    assert "attachment" in answer.headers["Content-Disposition"]
    sheet = openpyxl.load_workbook(io.BytesIO(answer.data)).active
    assert sheet is not None
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[0][0] == "类别"
    assert words in [row[0] for row in rows[1:]]
    assert as_role(Role.TOWN_OFFICER).get(f"/command/{name}.xlsx").status_code == 403


def test_the_page_leads_on_only_to_what_its_reader_may_open(as_role: AsRole) -> None:
    command = _page(as_role(Role.COMMAND), "/command?measure=count")
    for path in (
        "/command/compare?measure=count",
        "/command/wall?measure=count",
        "/map/view.png?measure=count",
    ):
        assert f'href="{path}&amp;' in command, path
    assert "/command/wall" not in _page(as_role(Role.PLANNER), "/command")
    town = _page(as_role(Role.TOWN_OFFICER), "/office")
    assert '"/command' not in town

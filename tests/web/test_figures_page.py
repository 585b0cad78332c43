"""The page of figures: who sees whose, that numbers lead to their list, and what is said of few."""

from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path

import openpyxl
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.calendar import CHINA, china_today
from gridmgmt.db.models import Role
from gridmgmt.incidents.handling import hands
from tests.db import matter_world as world

AsRole = Callable[[Role | None], FlaskClient]


@pytest.fixture(autouse=True)
def matters(city: Engine, tmp_path: Path) -> world.World:
    """Twelve matters of today in the own grid, one of them handed out; two in the other town."""
    made = world.build(city, tmp_path)
    for _ in range(12):
        made.take_in(actor=world.CENTRE)
    for _ in range(2):
        made.take_in(actor=world.CENTRE, grid=world.GRID_OTHER, category=world.WATER)
    with city.connect() as connection:
        first = connection.execute(text("SELECT min(id) FROM incident_case")).scalar_one()
    hands.hand(made.matters, world.CENTRE, first, None, [world.URBAN])
    made.matters.dispose()
    return made


def page(client: FlaskClient, query: str = "") -> str:
    answer = client.get(f"/figures{query}")
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def received(html: str) -> str:
    """Return the number on the first card."""
    card = html.split("<h2>受理</h2>")[1].split("</p>")[0]
    return card.split(">")[-2].split("<")[0] if "<a" in card else card.split(">")[-1].strip()


def test_each_desk_counts_its_own(as_role: AsRole):
    assert received(page(as_role(Role.COMMAND))) == "14"
    assert received(page(as_role(Role.TOWN_OFFICER))) == "12"
    assert received(page(as_role(Role.DEPARTMENT))) == "1"


def test_an_office_is_not_shown_another_town(as_role: AsRole):
    html = page(as_role(Role.TOWN_OFFICER))
    assert "第1村" in html
    assert "河西镇" not in html
    assert as_role(Role.TOWN_OFFICER).get(f"/figures?area={world.TOWN_OTHER}").status_code == 400


@pytest.mark.parametrize("role", [Role.GRID_WORKER, Role.PLANNER, Role.AUDITOR, Role.ADMIN])
@pytest.mark.parametrize("address", ["/figures", "/figures/repeats", "/figures/figures.xlsx"])
def test_others_see_none(as_role: AsRole, role: Role, address: str):
    assert as_role(role).get(address).status_code == 403


def test_a_number_leads_to_the_list_that_makes_it_up(as_role: AsRole):
    html = page(as_role(Role.COMMAND), "?by=category").replace("&amp;", "&")
    today = china_today()
    month = f"from={today.year}-{today.month:02d}-01&to={today.isoformat()}"
    assert month in html
    assert "/matters/all?" in html
    assert "category=12" in html
    assert "state=closed" in html


def test_a_department_gets_no_links_to_lists_that_it_may_not_open(as_role: AsRole):
    assert "/matters/all" not in page(as_role(Role.DEPARTMENT))


def test_a_rate_of_few_is_said_by_their_number(as_role: AsRole):
    html = page(as_role(Role.COMMAND))
    row = html.split('<th scope="row">河西镇</th>')[1].split("</tr>")[0]
    assert "2 件" in row
    assert "%" not in row


def test_targets_and_meanings_stand_beside_the_figures(as_role: AsRole):
    html = page(as_role(Role.COMMAND))
    assert "97.4%" in html
    assert "96.7%" in html
    assert "13,786" in html
    assert "计入按期" in html


def test_repeats_come_as_a_part_of_the_page(as_role: AsRole):
    answer = as_role(Role.COMMAND).get("/figures/repeats").get_data(as_text=True)
    assert "12 件：同类" in answer  # all but the first at each of the two places
    assert "<html" not in answer


def test_the_workbook_holds_what_the_page_shows(as_role: AsRole):
    answer = as_role(Role.TOWN_OFFICER).get("/figures/figures.xlsx")
    assert answer.headers["Cache-Control"] == "no-store"
    book = openpyxl.load_workbook(BytesIO(answer.data))
    assert book["总表"]["C5"].value == 12
    of_unit = as_role(Role.DEPARTMENT).get("/figures/figures.xlsx").data
    assert "按部门" not in openpyxl.load_workbook(BytesIO(of_unit)).sheetnames


@pytest.mark.parametrize("query", ["?from=x", "?by=person", "?category=99", "?from=2026-02-01&to=2026-01-01"])
def test_what_the_address_may_not_hold_is_refused(as_role: AsRole, query: str):
    assert as_role(Role.COMMAND).get(f"/figures{query}").status_code == 400


def test_a_period_without_matters_says_what_to_do(as_role: AsRole):
    year = datetime.now(CHINA).year
    assert "请换一段日子" in page(as_role(Role.COMMAND), f"?from={year - 9}-01-01&to={year - 9}-12-31")

"""Each user's day from end to end, where no other file tells it: what one desk does, the next one sees.

A chief's offline visits stand in test_visits and test_phone, the wall in test_wall_and_compare, what a
department does and a matter that is reopened in test_matters.
"""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import openpyxl
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine, text

from gridmgmt.db.engine import make_engine
from gridmgmt.db.models import Role
from tests.db.matter_world import DEPARTMENT, OFFICE, World

from .conftest import DESK, PHONE, Visit
from .test_matters import Desk, desk, press, world

__all__ = ["desk", "world"]

Visitor = Callable[..., Visit]


@pytest.fixture
def city(sample_city: str) -> Iterator[Engine]:
    """The database behind the server."""
    engine = make_engine(sample_city)
    yield engine
    engine.dispose()


def test_an_officer_dispatches_a_matter_and_closes_it_with_a_satisfied_resident(
    world: World, desk: Desk
) -> None:
    taken = world.take_in(title="夜市太吵")
    office = desk(OFFICE, DESK)
    page = office.page
    office.go("/matters")
    page.get_by_role("link", name="夜市太吵").click()
    press(page, "呈书记阅批")
    page.locator(".acts textarea[name=note]").first.fill("请按时办")
    press(page, "阅批并转受理")
    press(page, "已告知受理，转交办")
    press(page, "交办部门")
    expect(page.locator(".way .now")).to_have_text("严格督查")
    _department_answers(desk)

    page.reload()
    press(page, "验收销账")
    press(page, "已验收，转结果反馈")
    page.fill(".acts textarea[name=answer]", "已划定经营时段，十点后静音")
    press(page, "拟好答复，呈书记把关")
    press(page, "同意答复居民")
    page.locator(".acts label", has_text="非常满意").first.click()
    press(page, "已回访，销号归档")
    expect(page.locator(".told")).to_contain_text("已办：已回访，销号归档")
    office.shot("day-office-closed-1440x900")
    with world.owner.connect() as connection:
        statement = text("""
            SELECT i.status, i.satisfaction, c.open FROM incident i JOIN incident_case c USING (id)
            WHERE c.id = :case
        """)
        assert tuple(connection.execute(statement, {"case": taken.case_id}).one()) == ("closed", 5, False)
    office.go("/matters")
    expect(page.get_by_role("link", name="夜市太吵")).to_have_count(0)


def _department_answers(desk: Desk) -> None:
    unit = desk(DEPARTMENT, DESK)
    unit.go("/unit")
    press(unit.page, "签收")
    unit.page.get_by_role("link", name="反馈").click()
    unit.page.fill("textarea[name=answer]", "已划定经营时段")
    press(unit.page, "提交反馈")


def test_the_centre_finds_the_planted_hottest_grid_and_takes_it_away_as_files(
    visit: Visitor, sample_files: Path
) -> None:
    planted = json.loads((sample_files / "truth.json").read_text(encoding="utf-8"))["hot_grids"]
    hottest = max(planted, key=lambda each: each["ratio"])
    opened = visit(Role.COMMAND, DESK)
    page = opened.page
    opened.go("/command?period=20220101-20251231")
    with page.expect_response(lambda answer: "/data/hotspots.json" in answer.url):
        page.locator("select[name=category]").select_option(hottest["category"])
    opened.drawn()
    first = page.locator(".ranked .line").first
    expect(page.locator("#summary")).to_contain_text(hottest["category_name"])
    code = first.get_attribute("data-area")
    assert code in hottest["grids"], "the first line of the list is a grid that was planted"
    opened.shot("day-centre-hottest-1440x900")

    query = page.url.partition("?")[2]
    features = {
        each["id"]: each["properties"]
        for each in json.loads(_file(page, opened, "geojson", query))["features"]
    }
    assert code in features
    assert max(features, key=lambda each: features[each]["rate"] or 0) in hottest["grids"]
    book = openpyxl.load_workbook(io.BytesIO(_file(page, opened, "xlsx", query)), read_only=True)
    cells = {str(cell) for sheet in book for row in sheet.iter_rows(values_only=True) for cell in row}
    book.close()
    assert code in cells
    assert _file(page, opened, "png", query).startswith(b"\x89PNG")


def _file(page: Page, opened: Visit, form: str, query: str) -> bytes:
    answer = page.request.get(f"{opened.base}/map/view.{form}?{query}")
    assert answer.status == 200, form
    assert "attachment" in answer.headers["content-disposition"]
    return answer.body()


def test_the_list_is_handed_out_and_the_chief_has_it_on_the_phone(visit: Visitor, city: Engine) -> None:
    grid, category = _still_to_come(city)
    office = visit(Role.TOWN_OFFICER, DESK)
    page = office.page
    office.go(f"/seasonal?grid={grid}&category={category}&when=coming")
    office.shot("day-office-list-1440x900")
    page.get_by_role("button", name="下发到网格").first.click()
    expect(page.locator("main")).to_contain_text("已下发")
    office.shot("day-office-handed-out-1440x900")
    office.go("/office/tasks")
    assert page.locator(".items tbody tr, #list tbody tr").count() >= 1

    chief = visit(Role.GRID_WORKER, PHONE)
    chief.go("/grid")
    task = chief.page.get_by_role("link", name="填报办理结果").first
    expect(task).to_be_visible()
    task.click()
    expect(chief.page.locator("h1")).to_be_visible()
    assert chief.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    chief.shot("day-chief-task-390x844")


def _still_to_come(engine: Engine) -> tuple[str, str]:
    """Return the worker's grid and a category of an item that is still to be done there."""
    statement = text("""
        SELECT s.area, s.category FROM seasonal_item s JOIN account a ON a.area = s.area
        WHERE a.username = 'grid_worker' AND NOT s.cut AND s.end_on >= current_date
        ORDER BY s.act_by DESC LIMIT 1
    """)
    with engine.connect() as connection:
        area, category = connection.execute(statement).one()
    return str(area), str(category)

"""Desks at work in a real browser: an office and a department on one matter, two at once, a phone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine

from gridmgmt.config import Settings
from gridmgmt.incidents.actor import Actor
from gridmgmt.web import create_app
from gridmgmt.web.databases import EXTENSION
from tests.db import matter_world
from tests.db.matter_world import DEPARTMENT, OFFICE, SECOND_OFFICE, URBAN, WORKER, World

from .conftest import PHONE, Visit, _listen, _served

OFFICE_DESK = (1366, 768)
Desk = Callable[..., Visit]


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> Iterator[World]:
    """The world of matters, under a key ring of its own."""
    built = matter_world.build(engine, tmp_path)
    yield built
    built.matters.dispose()


@pytest.fixture
def desk(browser: Browser, world: World, tmp_path: Path) -> Iterator[Desk]:
    """Opens a page signed in as somebody of the world; at the end none may have complained."""
    url = world.owner.url.render_as_string(hide_password=False)
    app = create_app(Settings(home=tmp_path, database_url=url, secret_key="a key for tests", basemap=None))
    made: list[Visit] = []
    with _served(app) as address:

        def open_as(actor: Actor, size: tuple[int, int] = OFFICE_DESK) -> Visit:
            context = browser.new_context(viewport={"width": size[0], "height": size[1]}, locale="zh-CN")
            opened = Visit(context.new_page(), address)
            _listen(opened)
            made.append(opened)
            opened.page.goto(f"{address}/login")
            opened.page.fill("#username", actor.username)
            opened.page.fill("#password", matter_world.PASSWORD)
            opened.page.get_by_role("button", name="登录").click()
            opened.page.wait_for_url(lambda url: "/login" not in url)
            return opened

        yield open_as
        for each in made:
            each.page.context.close()
    app.extensions[EXTENSION].dispose()
    for each in made:
        assert each.complaints == [], "the page complained"
        assert each.strangers == [], "the page asked a stranger"


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_an_office_hands_out_a_department_answers_and_a_dissatisfied_resident_reopens(
    world: World, desk: Desk
) -> None:
    taken = world.take_in(title="夜市太吵")
    office, unit = desk(OFFICE), desk(DEPARTMENT)
    page = office.page
    office.go("/matters")
    page.keyboard.press("j")
    expect(page.locator("#preview")).to_contain_text("夜市到半夜还很吵")
    office.shot("matters-inbox-1366x768")
    page.keyboard.press("Escape")
    expect(page.locator("#preview")).not_to_contain_text("夜市")
    page.get_by_role("link", name="夜市太吵").click()
    press(page, "呈书记阅批")
    page.locator(".acts textarea[name=note]").first.fill("请按时办")
    press(page, "阅批并转受理")
    press(page, "已告知受理，转交办")
    assert page.locator("select[name=units]").first.input_value() == URBAN, "the category's own comes first"
    press(page, "交办部门")
    expect(page.locator(".way .now")).to_have_text("严格督查")
    expect(page.locator(".missing")).to_contain_text("还差：部门办理已验收销账")

    unit.go("/unit")
    press(unit.page, "签收")
    unit.page.get_by_role("link", name="反馈").click()
    unit.page.fill("textarea[name=answer]", "已划定经营时段，十点后静音")
    press(unit.page, "提交反馈")
    expect(unit.page.locator(".hand")).to_contain_text("待验收")
    unit.shot("matters-unit-1366x768")

    page.reload()
    press(page, "验收销账")
    press(page, "已验收，转结果反馈")
    page.fill(".acts textarea[name=answer]", "已划定经营时段")
    press(page, "拟好答复，呈书记把关")
    press(page, "同意答复居民")
    page.locator(".acts label", has_text="非常不满意").first.click()
    press(page, "已回访，销号归档")
    expect(page.locator(".way .now")).to_have_text("快速交办")
    expect(page.locator(".story")).to_contain_text("回访不满意")
    assert page.evaluate("document.documentElement.scrollWidth") <= OFFICE_DESK[0]
    office.shot("matters-page-1366x768")
    assert world.version(taken.case_id) > 10


def test_an_officer_works_through_the_inbox_by_letters_and_stays_in_it(world: World, desk: Desk) -> None:
    first, second = world.take_in(title="路灯不亮"), world.take_in(title="井盖松了")
    office = desk(OFFICE)
    page = office.page
    office.go("/matters?sort=longest")
    page.keyboard.press("j")
    expect(page.locator("#preview .acts kbd").first).to_have_text("a")
    before = world.version(first.case_id) + world.version(second.case_id)
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.locator(".told")).to_contain_text("已办：呈书记阅批")
    assert page.url.endswith("/matters?sort=longest"), "the same list"
    assert world.version(first.case_id) + world.version(second.case_id) == before + 1
    office.shot("matters-letters-1366x768")


def test_of_two_officers_at_once_one_is_told_and_keeps_what_was_typed(world: World, desk: Desk) -> None:
    taken = world.take_in(title="水管漏了")
    first, second = desk(OFFICE), desk(SECOND_OFFICE)
    for each in (first, second):
        each.go(f"/matters/{taken.case_id}")
        each.page.locator("details.act summary", has_text="督办").click()
    first.page.locator("details[open] textarea").fill("明天看现场")
    press(first.page, "督办")
    expect(first.page.locator(".story")).to_contain_text("明天看现场")
    second.page.locator("details[open] textarea").fill("三天内办完")
    press(second.page, "督办")
    notice = second.page.locator(".notice")
    expect(notice).to_contain_text("town_officer")
    expect(notice).to_contain_text("明天看现场")
    expect(second.page.locator("details[open] textarea")).to_have_value("三天内办完")
    second.complaints = [each for each in second.complaints if "409" not in each]
    press(second.page, "督办")
    expect(second.page.locator(".story")).to_contain_text("三天内办完")


def test_on_the_phone_of_a_grid_nothing_sticks_out(world: World, desk: Desk) -> None:
    world.take_in(title="长" * 60, address="很长的地址" * 20)
    opened = desk(WORKER, PHONE)
    opened.go("/matters")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    opened.shot("matters-cards-390x844")
    opened.page.get_by_role("link", name="打开办理").click()
    opened.page.locator("details.act summary", has_text="现场走访").click()
    opened.page.fill("textarea[name=visit_note]", "到现场看过")
    press(opened.page, "记下走访")
    expect(opened.page.locator(".story")).to_contain_text("现场走访")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    opened.shot("matters-phone-390x844")

"""A chief's visits on a phone that loses its signal: nothing is lost, nothing is sent twice."""

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine, text

from gridmgmt.db.engine import make_engine
from gridmgmt.db.models import Role

from .conftest import DESK, PHONE, ROOT, Visit

Visitor = Callable[..., Visit]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
STORED = "Object.keys(localStorage).filter(name => name.startsWith('gridmgmt.visit.'))"


@pytest.fixture
def city(sample_city: str) -> Iterator[Engine]:
    """The database behind the server."""
    engine = make_engine(sample_city)
    yield engine
    engine.dispose()


def _visits(engine: Engine) -> list[tuple[str, str]]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT outcome, key::text FROM visit ORDER BY visited_at"))
        return [(outcome, key) for outcome, key in rows]


def _ready(page: Page) -> None:
    """Wait until the worker has kept the form."""
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    for _ in range(400):
        if page.evaluate("caches.match('/visits/new').then(found => Boolean(found))"):
            return
        page.wait_for_timeout(50)
    pytest.fail("the form was not kept")


def _enter(page: Page, outcome: str, note: str) -> None:
    page.locator("#dwelling").select_option(index=1)
    page.locator(".tiles label", has_text="走访关爱").click()
    page.locator(".tiles label", has_text=outcome).first.click()
    page.fill("textarea[name=note]", note)
    page.get_by_role("button", name="保存").click()


def test_two_visits_without_signal_are_kept_over_a_reload_and_sent_once(visit: Visitor, city: Engine) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    page, before = opened.page, len(_visits(city))
    opened.go("/visits/new")
    _ready(page)
    page.context.set_offline(True)
    _enter(page, "无人在家", "门上留了条")
    expect(page.locator("#queue")).to_contain_text("1 条已保存，联网后自动上报")
    page.reload()
    expect(page.locator("h1")).to_have_text("走访")
    _enter(page, "见到", "老人身体还好")
    expect(page.locator("#queue")).to_contain_text("2 条已保存，联网后自动上报")
    opened.shot("visits-offline-390x844")
    assert len(_visits(city)) == before
    kept = page.evaluate(f"{STORED}.map(name => localStorage.getItem(name))")
    page.context.set_offline(False)
    expect(page.locator("#queue")).to_contain_text("已上报 2 条")
    assert page.evaluate(f"{STORED}.length") == 0
    assert [outcome for outcome, _ in _visits(city)[before:]] == ["absent", "met"]
    for entry in kept:  # as when the answer was lost on the way
        page.evaluate("([name, entry]) => localStorage.setItem(name, entry)", [_name(entry), entry])
    page.reload()
    expect(page.locator("#queue")).to_contain_text("已上报 2 条")
    assert len(_visits(city)) == before + 2
    page.context.set_offline(True)
    page.goto(f"{opened.base}/visits/new?purpose=reminder")
    expect(page.locator("input[value=reminder]")).to_be_checked()
    page.context.set_offline(False)
    opened.complaints = [each for each in opened.complaints if "ERR_INTERNET_DISCONNECTED" not in each]


def _name(entry: str) -> str:
    found = json.loads(entry)
    return f"gridmgmt.visit.{found['at']}.{found['key']}"


def test_signing_out_asks_before_it_drops_what_waits(visit: Visitor, city: Engine) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    page, before, asked = opened.page, len(_visits(city)), []
    opened.go("/visits/new")
    _ready(page)
    page.context.set_offline(True)
    _enter(page, "不便接待", "改天再来")
    answers = [False, True]

    def answer(dialog: object) -> None:
        asked.append(dialog.message)  # type: ignore[attr-defined]
        dialog.accept() if answers.pop(0) else dialog.dismiss()  # type: ignore[attr-defined]

    page.on("dialog", answer)
    page.get_by_role("button", name="退出").click()
    assert page.evaluate(f"{STORED}.length") == 1, "who says no stays"
    page.context.route("**/visits/token", lambda route: route.abort())
    page.context.set_offline(False)
    page.get_by_role("button", name="退出").click()
    page.wait_for_url("**/login")
    assert len(asked) == 2
    assert "还有 1 条走访没有上报" in asked[0]
    assert page.evaluate(f"{STORED}.length") == 0
    assert page.evaluate("caches.keys()") == []
    assert len(_visits(city)) == before
    opened.complaints = [each for each in opened.complaints if "ERR_" not in each]


def test_a_matter_with_a_telephone_is_stopped_on_the_phone(visit: Visitor, city: Engine) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    page, before = opened.page, len(_visits(city))
    opened.go("/visits/new")
    page.locator(".matter summary").click()
    page.locator(".matter .tiles label").first.click()
    page.fill("textarea[name=matter_text]", "楼上漏水，联系 138 1234 5678")
    expect(page.locator("#numbers")).to_be_visible()
    _enter(page, "见到", "")
    assert page.evaluate(f"{STORED}.length") == 0
    page.fill("textarea[name=matter_text]", "楼上漏水")
    expect(page.locator("#numbers")).to_be_hidden()
    opened.shot("visits-new-390x844")
    page.get_by_role("button", name="保存").click()
    expect(page.locator("#queue")).to_contain_text("已上报 1 条")
    with city.connect() as connection:
        words = connection.execute(text("SELECT text FROM incident WHERE source = 'visit'")).scalar_one()
    assert words == "楼上漏水"
    assert len(_visits(city)) == before + 1


def test_an_office_sends_out_a_round_and_a_chief_walks_it(visit: Visitor, city: Engine) -> None:
    office = visit(Role.TOWN_OFFICER, DESK)
    office.go("/office/rounds")
    page = office.page
    page.fill("input[name=title]", "寒潮提醒")
    page.fill("textarea[name=message]", "今晚降温，注意取暖安全")
    for box in page.locator("input[name=care]").all():
        box.check(force=True)
    expect(page.locator("#preview")).to_contain_text("现在有")
    _open_to_all(office)
    page.get_by_role("button", name="下发到网格").click()
    expect(page.locator("h1")).to_have_text("寒潮提醒")
    _open_to_all(office)
    office.shot("round-1440x900")

    chief = visit(Role.GRID_WORKER, PHONE)
    page = chief.page
    page.get_by_role("link", name="看名单，去走访").click()
    expect(page.locator(".stop").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0], "nothing sticks out sideways"
    _open_to_all(chief)
    chief.shot("round-390x844")
    page.context.set_offline(True)
    page.get_by_role("button", name="见到人，已办").first.click()
    expect(page.locator(".stop").first).to_contain_text("已保存，联网后自动上报")
    page.context.set_offline(False)
    expect(page.locator(".stop").first).to_contain_text("✓ 已上报")
    with city.connect() as connection:
        done = connection.execute(text("SELECT count(*) FROM visit_stop WHERE status = 'done'")).scalar_one()
    assert done == 1


def _open_to_all(opened: Visit) -> None:
    # Through the debugger: the page's own policy would refuse a script without its nonce, as it should.
    opened.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = opened.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
    named = {each["id"]: [node["html"][:160] for node in each["nodes"][:3]] for each in serious}
    assert named == {}, json.dumps(named, ensure_ascii=False, indent=1)


@pytest.mark.parametrize(
    ("role", "path", "size"),
    [
        (Role.GRID_WORKER, "/visits/new", PHONE),
        (Role.GRID_WORKER, "/visits", PHONE),
        (Role.TOWN_OFFICER, "/office/survey", DESK),
        (Role.COMMAND, "/command/rounds", DESK),
    ],
)
def test_no_page_of_visits_shuts_anybody_out(
    visit: Visitor, role: Role, path: str, size: tuple[int, int]
) -> None:
    opened = visit(role, size)
    opened.go(path)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    _open_to_all(opened)

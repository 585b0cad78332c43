"""Each user's day in a real browser: the map draws, answers, and says nothing it should not."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from gridmgmt.db.models import Role

from .conftest import DESK, PHONE, ROOT, Visit

Visitor = Callable[..., Visit]

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
# How many different opaque colours the map's canvases show: a blank map shows none.
COLOURS = """() => {
  const seen = new Set();
  for (const canvas of document.querySelectorAll(".folium-map canvas")) {
    const copy = document.createElement("canvas");
    copy.width = canvas.width;
    copy.height = canvas.height;
    const pen = copy.getContext("2d", { willReadFrequently: true });
    pen.drawImage(canvas, 0, 0);
    const data = pen.getImageData(0, 0, copy.width, copy.height).data;
    for (let i = 0; i < data.length; i += 40) if (data[i + 3] === 255) seen.add(data.slice(i, i + 3).join());
  }
  return [...seen];
}"""
INK = "29,43,46"
GI_COLOURS = {
    "178,24,43",
    "231,127,93",
    "249,205,180",
    "230,230,226",
    "191,215,232",
    "107,163,207",
    "42,107,168",
}


def _request_of(opened: Visit, path: str, act: Callable[[], object]) -> str:
    with opened.page.expect_response(lambda answer: path in answer.url) as caught:
        act()
    opened.drawn()
    return str(caught.value.url)


def test_the_command_centre_sees_the_city_drawn_with_its_list(visit: Visitor) -> None:
    opened = visit(Role.COMMAND)
    opened.go("/command")
    assert len(opened.page.evaluate(COLOURS)) >= 5
    assert opened.page.locator(".ranked .line").count() >= 5
    expect(opened.page.locator("#legend")).to_contain_text("诉求率")
    expect(opened.page.locator("#summary")).to_contain_text("2025年")
    expect(opened.page.locator(".leaflet-control-scale-line")).to_contain_text("km")
    assert opened.page.locator(".leaflet-attribution-flag").count() == 0
    opened.shot("command-1440x900")


def test_choosing_category_and_period_changes_map_list_and_address(visit: Visitor) -> None:
    opened = visit(Role.COMMAND)
    opened.go("/command")
    before = opened.page.locator("#summary .figure").first.inner_text()
    asked = _request_of(
        opened,
        "/data/hotspots.json",
        lambda: opened.page.locator("select[name=category]").select_option(index=2),
    )
    assert "category=" in asked
    assert "category=" in opened.page.url
    assert opened.page.locator("#summary .figure").first.inner_text() != before
    asked = _request_of(
        opened,
        "/data/hotspots.json",
        lambda: opened.page.locator("select[name=period]").select_option(index=2),
    )
    assert "period=20240101-20241231" in asked
    expect(opened.page.locator("#summary")).to_contain_text("2024年")
    summary = opened.page.locator("#summary").inner_text()
    opened.go(opened.page.url.removeprefix(opened.base))
    assert opened.page.locator("#summary").inner_text() == summary, "the link reproduces the view"


def test_the_level_changes_the_outlines_without_a_new_page(visit: Visitor) -> None:
    opened = visit(Role.COMMAND)
    opened.go("/command")
    opened.page.evaluate("window.stillHere = true")
    asked = _request_of(
        opened, "/data/areas.topojson", lambda: opened.page.get_by_label("村社区", exact=True).check()
    )
    assert "level=village" in asked
    expect(opened.page.get_by_role("tab", name="热点村社区")).to_be_visible()
    assert opened.page.evaluate("window.stillHere") is True
    opened.page.go_back()
    opened.drawn()
    expect(opened.page.get_by_role("tab", name="热点网格")).to_be_visible()


def test_the_layer_switch_shows_the_confidence_classes_and_moves_the_bar(visit: Visitor) -> None:
    opened = visit(Role.COMMAND)
    opened.go("/command")
    opened.page.locator(".leaflet-control-layers").hover()
    opened.page.locator(".leaflet-control-layers-base label").nth(2).click()
    expect(opened.page.locator("#legend")).to_contain_text("不显著")
    expect(opened.page.locator('input[name=measure][value="gi"]')).to_be_checked()
    opened.page.wait_for_url("**measure=gi**")
    opened.drawn()
    assert GI_COLOURS & set(opened.page.evaluate(COLOURS))
    opened.shot("command-gi-1440x900")


def test_a_click_on_a_grid_opens_its_card(visit: Visitor) -> None:
    opened = visit(Role.COMMAND)
    opened.go("/command")
    box = opened.page.locator(".folium-map").bounding_box()
    assert box is not None
    opened.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    card = opened.page.locator("#card .area-card")
    expect(card).to_be_visible()
    for words in ("诉求", "按全市水平应有", "件/千户·年", "热点判断", "户数", "网格长"):
        expect(card).to_contain_text(words)


def test_list_and_map_light_each_other(visit: Visitor) -> None:
    opened = visit(Role.COMMAND)
    opened.go("/command")
    first = opened.page.locator(".ranked .line").first
    name = first.locator(".name b").inner_text()
    assert INK not in opened.page.evaluate(COLOURS)
    first.hover()
    opened.page.wait_for_timeout(100)
    assert INK in opened.page.evaluate(COLOURS), "the area is outlined"
    first.click()
    expect(opened.page.locator("#card h2")).to_have_text(name)
    opened.shot("command-card-1440x900")
    opened.page.keyboard.press("Escape")
    first.locator(".name").focus()
    opened.page.keyboard.press("j")
    expect(opened.page.locator(".ranked .name").nth(1)).to_be_focused()


def test_the_tab_shows_what_is_to_come(visit: Visitor) -> None:
    opened = visit(Role.COMMAND)
    opened.go("/command")
    opened.page.get_by_role("tab", name="时令清单").click()
    opened.page.wait_for_url("**tab=seasonal**")
    expect(opened.page.get_by_role("tab", name="时令清单")).to_have_attribute("aria-selected", "true")
    expect(opened.page.locator("#column")).to_contain_text("清单")
    opened.shot("command-seasonal-1440x900")


def test_the_list_filters_searches_and_opens_its_evidence(visit: Visitor) -> None:
    opened = visit(Role.COMMAND)
    opened.go("/seasonal")
    page = opened.page
    expect(page.locator(".timeline")).to_contain_text("芒种")
    assert page.locator(".lanes .lane").count() >= 5
    assert page.locator(".items tbody tr").count() >= 5
    opened.shot("seasonal-1440x900")
    lane = page.locator(".lane-name").first
    name = lane.inner_text()
    lane.click()
    page.wait_for_url("**category=**")
    assert set(page.locator(".items .what a").all_inner_texts()) == {name}
    page.locator(".items .what a").first.click()
    drawer = page.locator(".drawer.open")
    expect(drawer).to_contain_text("往年同一窗口的诉求")
    expect(drawer).to_contain_text("倍")
    opened.shot("seasonal-evidence-1440x900")
    page.keyboard.press("Escape")
    expect(page.locator(".drawer.open")).to_have_count(0)
    page.keyboard.press("/")
    page.keyboard.type("没有这样的词")
    expect(page.locator("#list")).to_contain_text("没有符合的事项")


def test_a_grid_chief_reads_the_day_and_the_own_grid_on_a_phone(visit: Visitor) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    page = opened.page
    opened.go("/grid")
    expect(page.locator(".place h1")).to_contain_text("网格")
    expect(page.get_by_role("navigation", name="网格菜单")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0], "nothing sticks out sideways"
    for target in page.locator(".bottom a, .button.wide").all():
        box = target.bounding_box()
        assert box is not None
        assert box["height"] >= 44, "a thumb needs 44 px"
    opened.shot("grid-390x844")
    page.get_by_role("link", name="地图").last.click()
    opened.drawn()
    assert len(page.evaluate(COLOURS)) >= 1
    opened.shot("grid-map-390x844")


def test_the_phone_page_is_light(visit: Visitor) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    assert _weight(opened, "/grid") < 250_000


def test_the_map_page_is_light(visit: Visitor) -> None:
    opened = visit(Role.COMMAND)
    assert _weight(opened, "/command") < 600_000


def _weight(opened: Visit, path: str) -> int:
    session = opened.page.context.new_cdp_session(opened.page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    sizes: list[int] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(int(event["encodedDataLength"])))
    opened.go(path)
    opened.page.wait_for_load_state("networkidle")
    assert len(sizes) >= 2
    return sum(sizes)


@pytest.mark.parametrize(
    ("role", "path", "size", "name"),
    [
        (Role.TOWN_OFFICER, "/office", DESK, "office-1440x900"),
        (Role.PLANNER, "/plan", DESK, "plan-1440x900"),
        (Role.ADMIN, "/admin", DESK, "admin-1440x900"),
        (Role.AUDITOR, "/audit", DESK, "audit-1440x900"),
        (Role.COMMAND, "/command", PHONE, "command-390x844"),
        (Role.COMMAND, "/seasonal", PHONE, "seasonal-390x844"),
        (Role.COMMAND, "/seasonal?view=wheel", PHONE, "seasonal-wheel-390x844"),
        (Role.COMMAND, "/seasonal?view=strip", PHONE, "seasonal-strip-390x844"),
        (Role.COMMAND, "/seasonal/effect", PHONE, "seasonal-effect-390x844"),
        (Role.TOWN_OFFICER, "/office/tasks", DESK, "office-tasks-1440x900"),
        (Role.COMMAND, "/command", (1920, 1080), "command-1920x1080"),
        (Role.COMMAND, "/command", (1366, 768), "command-1366x768"),
    ],
)
def test_every_page_fits_its_screen(
    visit: Visitor, role: Role, path: str, size: tuple[int, int], name: str
) -> None:
    opened = visit(role, size)
    opened.go(path)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= size[0], (
        "nothing sticks out sideways"
    )
    opened.shot(name)


@pytest.mark.parametrize(
    ("role", "path", "size"),
    [
        (Role.COMMAND, "/command", DESK),
        (Role.COMMAND, "/command?tab=seasonal", DESK),
        (Role.COMMAND, "/seasonal", DESK),
        (Role.COMMAND, "/seasonal", PHONE),
        (Role.COMMAND, "/seasonal?view=wheel", DESK),
        (Role.COMMAND, "/seasonal?view=strip", DESK),
        (Role.COMMAND, "/seasonal?view=verdicts", DESK),
        (Role.COMMAND, "/seasonal/effect", DESK),
        (Role.TOWN_OFFICER, "/office/tasks", DESK),
        (Role.PLANNER, "/plan", DESK),
        (Role.GRID_WORKER, "/grid", PHONE),
        (Role.GRID_WORKER, "/grid/map", PHONE),
        (Role.ADMIN, "/admin", DESK),
        (Role.ADMIN, "/nowhere", DESK),
    ],
)
def test_no_page_shuts_anybody_out(visit: Visitor, role: Role, path: str, size: tuple[int, int]) -> None:
    assert AXE.is_file(), "axe-core is missing; fetch it with: npm ci --ignore-scripts"
    opened = visit(role, size)
    opened.go(path)
    # Through the debugger: the page's own policy would refuse a script without its nonce, as it should.
    opened.page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = opened.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
    named = {each["id"]: [node["html"][:160] for node in each["nodes"][:3]] for each in serious}
    assert named == {}, json.dumps(named, ensure_ascii=False, indent=1)
    if path == "/nowhere":
        opened.complaints.clear()  # the browser itself notes the 404 that this visit is about


def test_signing_in_is_open_to_everybody_too(visit: Visitor) -> None:
    opened = visit(Role.COMMAND)
    opened.page.get_by_role("button", name="退出").click()
    opened.page.wait_for_url("**/login")
    opened.page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = opened.page.evaluate("() => axe.run()")
    assert [each["id"] for each in found["violations"] if each["impact"] in ("serious", "critical")] == []
    opened.shot("login-1440x900")

"""Two maps that move together, the wall that turns by itself, and the card, in a real browser."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from gridmgmt.db.models import Role

from .conftest import DESK, PHONE, ROOT, Visit

Visitor = Callable[..., Visit]

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
WALL, SMALL_WALL = (1920, 1080), (1366, 768)
DRAWN = '.side-map[data-ready="yes"]'
# How many different opaque colours the canvases of one side show.
COLOURS = """box => {
  const seen = new Set();
  for (const canvas of box.querySelectorAll("canvas")) {
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
NO_SCROLLING = (
    "() => document.documentElement.scrollHeight <= innerHeight"
    " && document.documentElement.scrollWidth <= innerWidth"
)
CUT = """() => {
  const held = ".panel.on li, .panel.on h2, .panel.on dd, .wall-legend li, .wall-foot button";
  return [...document.querySelectorAll(held)].filter(each => {
    const own = each.getBoundingClientRect();
    const room = each.closest(".panel, .wall-map, .wall-foot").getBoundingClientRect();
    return own.bottom > room.bottom + 1 || own.right > room.right + 1 || own.left < room.left - 1;
  }).map(each => each.textContent);
}"""


def _compare(visit: Visitor, size: tuple[int, int] = DESK, query: str = "") -> Visit:
    opened = visit(Role.COMMAND, size)
    opened.go(f"/command/compare{query}")
    expect(opened.page.locator(DRAWN)).to_have_count(2)
    return opened


def test_both_periods_are_drawn_and_a_row_lights_its_area_in_both_maps(visit: Visitor) -> None:
    opened = _compare(visit)
    sides = opened.page.locator(".side-map")
    before = [set(sides.nth(n).evaluate(COLOURS)) for n in (0, 1)]
    assert all(len(colours) >= 4 for colours in before)
    opened.page.locator(".pair").first.hover()
    for n in (0, 1):
        assert INK in set(sides.nth(n).evaluate(COLOURS))
    opened.shot("compare-1440x900")


def test_moving_one_map_moves_the_other(visit: Visitor) -> None:
    opened = _compare(visit)
    scale = opened.page.locator(".side.right .leaflet-control-scale-line")
    before = scale.inner_text()
    opened.page.locator(".leaflet-control-zoom-in").click()
    opened.page.locator(".leaflet-control-zoom-in").click()
    expect(scale).not_to_have_text(before)


def test_choosing_another_period_changes_the_address_that_reproduces_the_view(visit: Visitor) -> None:
    opened = _compare(visit)
    opened.page.locator("select[name=with]").select_option(index=2)
    opened.page.wait_for_url("**with=**")
    expect(opened.page.locator(DRAWN)).to_have_count(2)
    link, words = opened.page.url, opened.page.locator(".middle .city").inner_text()
    opened.page.goto(link)
    expect(opened.page.locator(".middle .city")).to_have_text(words)


def test_on_a_phone_the_maps_stand_one_under_the_other(visit: Visitor) -> None:
    opened = _compare(visit, PHONE)
    boxes = [opened.page.locator(".side-map").nth(n).bounding_box() for n in (0, 1)]
    assert boxes[0]
    assert boxes[1]
    assert boxes[0]["width"] > 380
    assert boxes[1]["y"] >= boxes[0]["y"] + boxes[0]["height"]
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    opened.shot("compare-390x844")


@pytest.mark.parametrize("size", [WALL, SMALL_WALL, (3840, 2160)])
def test_the_wall_fills_the_screen_without_scrolling_and_cuts_nothing(
    visit: Visitor, size: tuple[int, int]
) -> None:
    opened = visit(Role.COMMAND, size)
    opened.go("/command/wall")
    opened.page.wait_for_selector("body[data-ready=yes]")
    for panel in range(4):
        opened.page.locator(f".dot[data-panel='{panel}']").click()
        expect(opened.page.locator(f".panel[data-panel='{panel}']")).to_be_visible()
        assert opened.page.evaluate(NO_SCROLLING)
        assert opened.page.evaluate(CUT) == []
    if size == WALL:
        opened.page.locator(".dot[data-panel='0']").click()
        opened.shot("wall-1920x1080")


def test_keys_turn_and_hold_the_wall(visit: Visitor) -> None:
    opened = visit(Role.COMMAND, WALL)
    opened.page.clock.install()
    opened.go("/command/wall")
    opened.page.wait_for_selector("body[data-ready=yes]")
    shown = opened.page.locator(".dot[aria-current=true]")
    expect(shown).to_have_text("热点领域")
    opened.page.keyboard.press("ArrowRight")
    expect(shown).to_have_text("超期")
    opened.page.keyboard.press("ArrowLeft")
    opened.page.clock.fast_forward(16_000)
    expect(shown).to_have_text("超期")
    opened.page.keyboard.press("Space")
    opened.page.clock.fast_forward(30_000)
    expect(shown).to_have_text("超期")
    expect(opened.page.locator("#pause")).to_have_attribute("aria-pressed", "true")


def test_a_wall_without_a_connection_says_since_when_and_goes_on_when_it_is_back(visit: Visitor) -> None:
    opened = visit(Role.COMMAND, WALL)
    opened.page.clock.install()
    opened.go("/command/wall")
    opened.page.wait_for_selector("body[data-ready=yes]")
    state = opened.page.locator("#state")
    opened.page.route("**/command/wall*", lambda route: route.abort())
    opened.page.clock.fast_forward(61_000)
    expect(state).to_contain_text("数据停在")
    expect(opened.page.locator(".panel.on li").or_(opened.page.locator(".panel.on dd")).first).to_be_visible()
    opened.page.unroute("**/command/wall*")
    opened.page.clock.fast_forward(16_000)
    expect(state).not_to_contain_text("数据停在")
    opened.page.context.clear_cookies()
    opened.page.clock.fast_forward(61_000)
    expect(state).to_contain_text("登录已到期")
    expect(state.get_by_role("link", name="重新登录")).to_be_visible()
    opened.complaints.clear()  # the browser notes the requests that were cut off


def test_a_card_reads_on_a_narrow_screen(visit: Visitor) -> None:
    opened = visit(Role.GRID_WORKER, (360, 780))
    code = opened.page.evaluate(
        "() => fetch('/data/areas.geojson').then(a => a.json()).then(f => f.features[0].id)"
    )
    opened.go(f"/areas/{code}")
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(opened.page.locator(".area-trend path.now")).to_be_attached()
    size = opened.page.locator(".area-trend .month").first.evaluate("t => t.getBoundingClientRect().height")
    assert size >= 10
    opened.shot("area-card-360x780")


@pytest.mark.parametrize("path", ["/command/compare", "/command/wall", "/areas/{grid}"])
def test_nothing_stands_in_the_way_of_anybody(visit: Visitor, path: str) -> None:
    opened = visit(Role.COMMAND)
    grid = opened.page.evaluate(
        "() => fetch('/data/areas.geojson').then(a => a.json()).then(f => f.features[0].id)"
    )
    opened.go(path.format(grid=grid))
    opened.page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = opened.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
    named = {each["id"]: [node["html"][:160] for node in each["nodes"][:3]] for each in serious}
    assert named == {}, json.dumps(named, ensure_ascii=False, indent=1)

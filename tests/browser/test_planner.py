"""A planner's morning in a real browser: cut a grid, move an edge, undo, check, publish, take it back."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, Route

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role

from .conftest import Visit

OFFICE, TABLET = (1366, 768), (1024, 768)
# Two looks in a row see the same view, and nothing moves: Leaflet has flags for some ways to move only.
STILL = """() => {
  const map = planMap.map, now = `${map.getZoom()} ${map.getCenter()}`, before = window.viewBefore;
  window.viewBefore = now;
  const moving = map._animatingZoom || (map._panAnim && map._panAnim._inProgress);
  return now === before && !moving;
}"""
LOOK_MS = 150
Visitor = Callable[..., Visit]


class Drawing:
    """A plan on the screen, and a hand that draws on it."""

    def __init__(self, opened: Visit) -> None:
        self.opened = opened
        self.page: Page = opened.page

    def idle(self) -> None:
        """Wait until the server has answered and the map stands still."""
        self.page.wait_for_selector(".planner:not([aria-busy])", timeout=20_000)
        self.page.evaluate("() => { window.viewBefore = null; }")
        self.page.wait_for_function(STILL, polling=LOOK_MS)

    def show(self, key: str) -> None:
        self.page.evaluate("key => planPanel.actions.show(key)", key)
        self.page.wait_for_selector("#card:not([hidden])")
        self.seen([key])

    def seen(self, keys: list[str]) -> None:
        """Wait until the map has gone to some grids: large in it, with room to begin a line outside them."""
        self.page.wait_for_function(
            """keys => {
              const map = planMap.map, box = L.latLngBounds([]);
              keys.forEach(key => box.extend(planMap.shapes()[key].getBounds()));
              const a = map.latLngToContainerPoint(box.getNorthWest());
              const b = map.latLngToContainerPoint(box.getSouthEast());
              return map.getBounds().contains(box.pad(0.12)) && Math.max(b.x - a.x, b.y - a.y) > 180;
            }""",
            arg=keys,
        )
        self.idle()

    def keys(self, status: str) -> list[str]:
        found: list[str] = self.page.evaluate(
            "s => Object.keys(planMap.shapes()).filter(k => planMap.own(k).status === s).sort()", status
        )
        return found

    def biggest(self) -> str:
        key: str = self.page.evaluate(
            "() => Object.keys(planMap.shapes()).sort((a, b) =>"
            " planMap.own(b).households - planMap.own(a).households)[0]"
        )
        return key

    def bounds(self, key: str) -> tuple[float, float, float, float]:
        west, south, east, north = self.page.evaluate(
            "k => { const b = planMap.shapes()[k].getBounds();"
            " return [b.getWest(), b.getSouth(), b.getEast(), b.getNorth()]; }",
            key,
        )
        return west, south, east, north

    def at(self, place: tuple[float, float]) -> tuple[float, float]:
        """Return where on the screen a place lies."""
        x, y = self.page.evaluate(
            "p => { const q = planMap.map.latLngToContainerPoint([p[1], p[0]]);"
            " const r = planMap.map.getContainer().getBoundingClientRect();"
            " return [q.x + r.left, q.y + r.top]; }",
            list(place),
        )
        return x, y

    def line(self, *places: tuple[float, float]) -> None:
        """Draw a line: a click a corner, two at the end."""
        self.page.wait_for_function("() => planMap.map.pm.globalDrawModeEnabled()")
        for number, place in enumerate(places, 1):
            x, y = self.at(place)
            self.page.mouse.move(x, y, steps=4)
            if number < len(places):
                self.page.mouse.click(x, y)
                corners = "n => planMap.map.pm.Draw.Line._layer.getLatLngs().length >= n"
                self.page.wait_for_function(corners, arg=number)
            else:
                self.page.mouse.dblclick(x, y)
        self.idle()

    def wait_for_version(self, number: int) -> None:
        told = "n => document.querySelector('#version').innerText.includes(`第 ${n} 版`)"
        self.page.wait_for_function(told, arg=number)
        self.idle()


@pytest.fixture
def plan(visit: Visitor) -> Drawing:
    """A new plan of the whole city, open on an office screen."""
    opened = visit(Role.PLANNER, OFFICE)
    opened.go("/plan")
    opened.page.fill("input[name=name]", "东片调整")
    opened.page.get_by_role("button", name="新建方案").click()
    opened.page.wait_for_url("**/plan/*")
    opened.drawn()
    drawing = Drawing(opened)
    drawing.idle()
    return drawing


def test_a_line_begins_when_the_exact_shape_is_there(plan: Drawing) -> None:
    page, held = plan.page, list[Route]()
    page.route("**/grids.geojson*", lambda route: held.append(route))
    plan.show(plan.biggest())
    page.keyboard.press("s")
    page.get_by_text("正在取边界").wait_for()
    assert not page.evaluate("() => planMap.map.pm.globalDrawModeEnabled()")
    held[0].continue_()
    page.wait_for_function("() => planMap.map.pm.globalDrawModeEnabled()")


def test_a_planner_cuts_moves_an_edge_undoes_checks_publishes_and_takes_it_back(plan: Drawing) -> None:
    page, whole = plan.page, plan.biggest()
    plan.show(whole)
    west, south, east, north = plan.bounds(whole)
    middle, over = (west + east) / 2, 0.05 * (north - south)
    page.keyboard.press("s")
    plan.line((middle, north + over), (middle, south - over))
    plan.wait_for_version(1)
    parts = plan.keys("new")
    assert len(parts) == 2
    assert whole not in plan.keys("same")
    plan.opened.shot("plan-split-1366x768")

    page.keyboard.press("Control+z")
    plan.wait_for_version(2)
    assert plan.keys("new") == []
    page.keyboard.press("Control+y")
    plan.wait_for_version(3)
    assert plan.keys("new") == parts

    before = [page.evaluate("k => planMap.own(k).households", key) for key in parts]
    plan.show(parts[0])
    page.evaluate("keys => planMap.zoomTo(keys)", parts)
    plan.seen(parts)
    page.keyboard.press("e")
    x, y = plan.at(_inside(plan, parts[1]))
    page.mouse.click(x, y)
    shift = middle + 0.12 * (east - west)
    plan.line((shift, north + over), (shift, south - over))
    plan.wait_for_version(4)
    after = [page.evaluate("k => planMap.own(k).households", key) for key in parts]
    assert sum(after) == sum(before)
    assert after != before

    page.click("[data-act=check]")
    plan.idle()
    assert "不妨碍发布" in page.inner_text("#findings-count")
    page.click("[data-act=publish]")
    soon = china_today() + timedelta(30)
    page.fill("#dialog input[name=on]", soon.isoformat())
    page.fill("#dialog textarea", "户数过多，一分为二")
    page.locator("#dialog-buttons button").first.click()
    page.get_by_role("button", name="撤回发布").wait_for()
    assert "已发布" in page.inner_text(".plan-bar")
    plan.opened.shot("plan-published-1366x768")
    page.get_by_role("button", name="撤回发布").click()
    if page.locator("#dialog[open]").count():
        page.locator("#dialog-buttons button").first.click()
    page.wait_for_selector("[data-tool=split]")
    assert "草稿" in page.inner_text(".plan-bar")


def _inside(plan: Drawing, key: str) -> tuple[float, float]:
    """Return a place well inside a grid."""
    lng, lat = plan.page.evaluate(
        "k => { const c = planMap.shapes()[k].getCenter(); return [c.lng, c.lat]; }", key
    )
    return lng, lat


def test_the_planners_pages_fit_a_tablet(visit: Visitor) -> None:
    opened = visit(Role.PLANNER, TABLET)
    opened.go("/plan")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= TABLET[0]
    opened.shot("plan-1024x768")

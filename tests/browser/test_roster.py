"""The roster in a real browser: a chief at a door with a phone, the town office at a desk."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from gridmgmt.config import Settings
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import create_database, drop_database, make_engine
from gridmgmt.db.models import Role
from gridmgmt.web import create_app
from gridmgmt.web.databases import EXTENSION
from tests.db import roster_world
from tests.db.roster_world import GRID_OWN, World
from tests.web import small_city

from .conftest import PHONE, ROOT, Visit, _served

Visitor = Callable[..., Visit]

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
DATABASE = "browser_roster"
OFFICE_DESK = (1366, 768)
# Where on the screen the dot of a building is.
PLACE_OF_DOT = """(address) => {
  const holder = document.querySelector(".folium-map"), box = holder.getBoundingClientRect();
  const map = window[holder.id], layers = [];
  map.eachLayer((layer) => { if (layer.feature) layers.push(layer); });
  const dot = layers.find((layer) => layer.feature.properties.address === address);
  const at = map.latLngToContainerPoint(dot.getLatLng());
  return [box.x + at.x, box.y + at.y];
}"""
# A list of three buildings stands open from the start; this one is longer.
MORE_BUILDINGS = f"""
WITH b AS (
    INSERT INTO building (code, address, grid_id, geom)
    SELECT 'm' || n, '秋天路' || n || '号', g.id, ST_SetSRID(ST_MakePoint(114.002 + n * 0.001, 32.992), 4490)
    FROM grid g, generate_series(1, 4) n WHERE g.code15 = '{GRID_OWN}' RETURNING id
)
INSERT INTO dwelling (building_id, door) SELECT id, '1' FROM b
"""
_made: dict[str, World] = {}


@pytest.fixture(scope="session")
def server(cluster: Cluster, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server on the small city with the people of the roster's world."""
    create_database(cluster.url("postgres"), DATABASE, template=template)
    engine = make_engine(cluster.url(DATABASE))
    home = tmp_path_factory.mktemp("roster")
    small_city.build(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM household; DELETE FROM dwelling; DELETE FROM building")
    _made["world"] = roster_world.build(engine, roster_world.make_ring(home))
    with engine.begin() as connection:
        connection.exec_driver_sql(MORE_BUILDINGS)
    engine.dispose()
    settings = Settings(
        home=home, database_url=cluster.url(DATABASE), secret_key="a key for tests", basemap=None
    )
    app = create_app(settings)
    with _served(app) as address:
        yield address
    app.extensions[EXTENSION].dispose()
    drop_database(cluster.url("postgres"), DATABASE)


@pytest.fixture
def world(server: str) -> World:
    return _made["world"]


def _fits(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page.url


def _accessible(page: Page) -> None:
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run()")
    serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
    named = {each["id"]: [node["html"][:160] for node in each["nodes"][:3]] for each in serious}
    assert named == {}, json.dumps(named, ensure_ascii=False, indent=1)


def test_a_chief_finds_a_home_and_sees_a_number_for_half_a_minute(visit: Visitor, world: World) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    page = opened.page
    page.clock.install()
    opened.go("/homes")
    page.locator("details.house", has_text="春天路3号").locator("summary").click()
    _fits(page)
    _accessible(page)
    opened.shot("homes-phone")
    page.get_by_role("link", name=re.compile("陈志强")).click()
    page.wait_for_url("**/homes/*")
    _fits(page)
    card = page.get_by_role("region", name="陈志强")
    assert world.phone["陈志强"] not in page.content()
    card.get_by_label("查看陈志强的电话").click()
    _accessible(page)
    opened.shot("home-ask-phone")
    card.get_by_role("button", name="电话联系本人").click()
    expect(card.locator(".shown")).to_have_text(world.phone["陈志强"])
    opened.shot("home-shown-phone")
    page.clock.fast_forward(29_000)
    expect(card.locator(".shown")).to_have_count(1)
    page.clock.fast_forward(2_000)
    expect(card.locator(".shown")).to_have_count(0)
    assert world.phone["陈志强"] not in page.content()
    page.go_back()
    expect(page.locator("details.house", has_text="春天路3号")).to_have_attribute("open", "")


def test_a_search_on_the_phone_leaves_the_address_as_it_was(visit: Visitor, world: World) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    opened.go("/homes")
    opened.page.fill("#q", world.phone["赵桂英"])
    opened.page.get_by_role("button", name="查找").click()
    expect(opened.page.locator("#hits li")).to_have_count(1)
    assert opened.page.url.endswith("/homes")
    opened.page.locator("#hits a").click()
    expect(opened.page.locator("h1")).to_have_text("春天路1号 102")


def test_the_chief_s_map_has_a_dot_a_building_that_leads_to_its_doors(visit: Visitor, world: World) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    opened.go("/grid/map")
    expect(opened.page.locator('.folium-map[data-buildings="6"]')).to_have_count(1)
    at = opened.page.evaluate(PLACE_OF_DOT, "春天路3号")
    opened.page.mouse.click(*at)
    doors = opened.page.locator("#sheet .doors li")
    expect(doors).to_have_count(3)
    expect(doors.nth(2)).to_contain_text("没有登记")
    expect(opened.page.locator("#sheet")).not_to_contain_text("陈志强")
    _accessible(opened.page)
    opened.shot("grid-map-buildings-phone")
    doors.nth(0).get_by_role("link", name="住户").click()
    expect(opened.page.locator("h1")).to_have_text("春天路3号 201")


def test_the_office_reads_a_grid_by_keyboard(visit: Visitor, world: World) -> None:
    opened = visit(Role.TOWN_OFFICER, OFFICE_DESK)
    page = opened.page
    opened.go("/homes")
    _accessible(page)
    _fits(page)
    opened.shot("homes-grids-1366")
    page.locator(f'a[href="/homes?grid={GRID_OWN}"]').click()
    page.wait_for_url("**grid=*")
    _accessible(page)
    _fits(page)
    opened.shot("homes-1366")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("刘国庆")
    page.keyboard.press("Enter")
    expect(page.locator("#hits a")).to_contain_text("刘国庆")
    page.keyboard.press("Escape")
    expect(page.locator("#hits a")).to_have_count(0)
    page.locator(".items .what a").first.focus()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/homes/\d+$"))
    _accessible(page)
    _fits(page)
    opened.shot("home-1366")


def test_the_office_s_pages_fit_a_phone_too(visit: Visitor, world: World) -> None:
    opened = visit(Role.TOWN_OFFICER, PHONE)
    for path in ("/homes", f"/homes?grid={GRID_OWN}", f"/homes/{world.home['own']}"):
        opened.go(path)
        _fits(opened.page)
    opened.shot("home-office-phone")

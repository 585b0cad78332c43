"""A chief's telephone as an installed application: three taps, kept without signal, sent once, left clean."""

import io
import json
from collections.abc import Callable, Iterator

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect
from sqlalchemy import Engine, text

from gridmgmt.db import identity
from gridmgmt.db.engine import make_engine
from gridmgmt.db.models import Role

from .conftest import PASSWORD, PHONE, ROOT, Visit

Visitor = Callable[..., Visit]

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
NARROW = (320, 640)
HEAVIEST = 250_000
PAGES = ("/grid", "/grid/map", "/homes", "/grid/report", "/visits/new", "/visits", "/grid/offline")
KEPT = """async whose => {
  const kept = ['/grid/offline', '/visits/new', '/grid/report'].map(path => caches.match(path));
  const pages = (await Promise.all(kept)).map(found => found ? found.text() : '');
  return (await Promise.all(pages)).every(page => page.includes(whose));
}"""
LEFT = """async () => ({
  bases: (await indexedDB.databases()).map(each => each.name), caches: await caches.keys(),
  local: Object.keys(localStorage), session: Object.keys(sessionStorage)
})"""
# What lies in the store of matters: fields, and the bytes of the photos.
WAITING = """async () => {
  const got = asked => new Promise(ok => { asked.onsuccess = () => ok(asked.result); });
  const base = await got(indexedDB.open('gridmgmt-matters'));
  const all = await got(base.transaction('matters').objectStore('matters').getAll());
  base.close();
  const bytes = one => Array.from(new Uint8Array(one));
  return all.map(each => ({ fields: each.fields, photos: each.photos.map(bytes) }));
}"""


@pytest.fixture
def city(sample_city: str) -> Iterator[Engine]:
    """The database behind the server."""
    engine = make_engine(sample_city)
    yield engine
    engine.dispose()


def _told(engine: Engine) -> list[tuple[str, str | None, float | None, float | None, int]]:
    """The matters told by the grid's round: words, grid, place, photos."""
    with engine.connect() as connection:
        rows = connection.execute(
            text("""
            SELECT i.text, g.code15, ST_X(i.geom), ST_Y(i.geom),
                (SELECT count(*) FROM incident_attachment a WHERE a.case_id = i.id)
            FROM incident i JOIN incident_case c ON c.id = i.id LEFT JOIN grid g ON g.id = i.grid_id
            JOIN incident_key k ON k.case_id = i.id ORDER BY i.id
            """)
        )
        return [tuple(row) for row in rows]


def _ready(page: Page, user: str = "grid_worker") -> None:
    """Wait until the worker has kept frame and forms, for this user."""
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    _wait_for(lambda: bool(page.evaluate(KEPT, f'data-user="{user}"')), page)


def _photo() -> bytes:
    """A picture of a telephone: large, and telling where it was taken."""
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (33.0, 30.0, 0.0), 3: "E", 4: (114.0, 15.0, 0.0)})
    stream = io.BytesIO()
    Image.radial_gradient("L").resize((2400, 1800)).convert("RGB").save(stream, "JPEG", exif=exif)
    return stream.getvalue()


def _forgive_no_signal(opened: Visit) -> None:
    opened.complaints = [each for each in opened.complaints if "ERR_" not in each]


def test_a_matter_takes_three_taps_from_today(visit: Visitor, city: Engine) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    page, before = opened.page, len(_told(city))
    opened.go("/grid")
    opened.shot("grid-today-390x844")
    page.get_by_role("link", name="上报", exact=True).tap()
    tile = page.locator("#report .tiles label").first
    words = tile.inner_text().strip()
    tile.tap()
    opened.shot("grid-report-390x844")
    page.get_by_role("button", name="上报", exact=True).tap()
    expect(page.locator("#told")).to_contain_text("已上报 1 件，编号")
    [(said, *_)] = _told(city)[before:]
    assert said == words
    assert page.evaluate(WAITING) == []


def test_a_matter_with_a_photo_is_told_once_although_the_answer_was_lost(
    visit: Visitor, city: Engine
) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    page, before = opened.page, len(_told(city))
    opened.go("/grid")
    _ready(page)
    page.context.set_offline(True)
    opened.go("/grid")
    expect(page.locator("#offline")).to_have_text("离线")
    opened.shot("grid-offline-390x844")
    page.get_by_role("link", name="上报", exact=True).tap()
    page.locator("#report .tiles label").first.tap()
    page.fill("textarea[name=words]", "巷口井盖破了，夜里看不见")
    page.set_input_files("input[type=file]", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": _photo()})
    expect(page.locator(".thumbs canvas")).to_have_count(1)
    page.get_by_role("button", name="上报", exact=True).tap()
    expect(page.locator("#told")).to_contain_text("1 件已保存，联网后自动上报")
    expect(page.locator("#unsent")).to_have_text("1")
    opened.shot("grid-report-offline-390x844")
    [kept] = page.evaluate(WAITING)
    picture = Image.open(io.BytesIO(bytes(kept["photos"][0])))
    assert (picture.format, max(picture.size), dict(picture.getexif())) == ("JPEG", 1600, {})
    page.reload()
    expect(page.locator("#told")).to_contain_text("1 件已保存，联网后自动上报")

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.context.route("**/grid/report/send", lose)
    with page.expect_request_finished(lambda asked: "/visits/token" in asked.url):
        page.context.set_offline(False)
    _wait_for(lambda: len(_told(city)) == before + 1, page)
    expect(page.locator("#told li")).to_have_count(1)
    page.context.unroute("**/grid/report/send")
    page.get_by_role("button", name="现在上报").tap()
    expect(page.locator("#told")).to_contain_text("已上报 1 件，编号")
    [(said, _, _, _, photos)] = _told(city)[before:]
    assert (said, photos) == ("巷口井盖破了，夜里看不见", 1)
    _forgive_no_signal(opened)


def test_a_signal_that_comes_back_does_not_undo_a_tap(visit: Visitor) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    page = opened.page
    opened.go("/grid")
    _ready(page)
    page.context.set_offline(True)
    opened.go("/visits")
    expect(page.locator("#offline")).to_have_text("离线")
    page.evaluate("""() => {
      document.querySelector('.button[href="/grid/report"]').click();
      window.dispatchEvent(new Event('online'));
    }""")
    expect(page.locator("#report .tiles label").first).to_be_visible()
    opened.go("/visits")
    page.context.set_offline(False)
    expect(page.locator("#offline")).to_have_count(0)  # nothing was tapped: the page itself again
    _forgive_no_signal(opened)


def test_where_the_signal_is_too_weak_to_say_no_a_form_opens_as_it_was_kept(visit: Visitor) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    page, asked = opened.page, []
    opened.go("/grid")
    _ready(page)
    page.context.route("**/grid/report", lambda route: asked.append(route))  # no answer, not even a refusal
    page.get_by_role("link", name="上报", exact=True).tap()
    expect(page.locator("#report .tiles label").first).to_be_visible()
    assert len(asked) == 1
    page.context.unroute("**/grid/report")


def _wait_for(holds: Callable[[], bool], page: Page) -> None:
    for _ in range(200):
        if holds():
            return
        page.wait_for_timeout(50)
    pytest.fail("it did not come about")


def test_the_position_is_declared_and_a_far_one_is_asked_about(visit: Visitor, city: Engine) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    page, before = opened.page, len(_told(city))
    with city.connect() as connection:
        place = text("""
            SELECT ST_X(p), ST_Y(p), code15 FROM (SELECT ST_PointOnSurface(geom) AS p, code15 FROM grid g
            JOIN account a ON a.area = g.code15 WHERE a.username = 'grid_worker') AS own
        """)
        lon, lat, grid = connection.execute(place).one()
    page.context.grant_permissions(["geolocation"])
    page.context.set_geolocation({"longitude": lon + 0.5, "latitude": lat, "accuracy": 12})
    opened.go("/grid/report")  # allowed before, so taken without a tap
    expect(page.locator("#far")).to_contain_text("公里（误差约 12 米）")
    page.get_by_role("button", name="不用这个位置").tap()
    assert page.locator("[name=lon]").input_value() == ""
    page.context.set_geolocation({"longitude": lon, "latitude": lat, "accuracy": 12})
    page.get_by_role("button", name="用我现在的位置").tap()
    expect(page.locator("#where")).to_have_text("我的位置，误差约 12 米")
    opened.shot("grid-report-position-390x844")
    assert page.locator("[name=crs]").input_value() == "wgs84"
    page.locator("#report .tiles label").first.tap()
    page.get_by_role("button", name="上报", exact=True).tap()
    expect(page.locator("#told")).to_contain_text("已上报 1 件")
    [(_, where, east, north, _)] = _told(city)[before:]
    assert (where, east, north) == (grid, pytest.approx(lon, abs=1e-6), pytest.approx(lat, abs=1e-6))
    opened.go("/grid/map")
    page.get_by_role("button", name="我的位置").tap()
    expect(page.locator("#located")).to_have_text("误差约 12 米")
    opened.shot("grid-map-position-390x844")


def test_what_the_server_refuses_stays_with_the_reason(visit: Visitor) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    page = opened.page
    opened.go("/grid/report")
    page.locator("#report .tiles label").first.tap()
    page.evaluate("document.querySelector('#report .tiles input').value = 'gone'")
    page.fill("textarea[name=words]", "井盖破了")
    page.get_by_role("button", name="上报", exact=True).tap()
    expect(page.locator("#told li")).to_contain_text("没有收下：请选是什么事")
    opened.complaints = [each for each in opened.complaints if "400" not in each]
    page.get_by_role("button", name="改一改").tap()
    expect(page.locator("textarea[name=words]")).to_have_value("井盖破了")
    expect(page.locator("#told li")).to_have_count(0)


def test_another_chief_sees_nothing_and_who_was_signed_out_sends_after_signing_in(
    visit: Visitor, city: Engine
) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    page, before = opened.page, len(_told(city))
    _second_chief(city)
    opened.go("/grid/report")
    _ready(page)
    page.context.set_offline(True)
    page.locator("#report .tiles label").first.tap()
    page.fill("textarea[name=words]", "门前积水")
    page.get_by_role("button", name="上报", exact=True).tap()
    expect(page.locator("#told li")).to_have_count(1)
    page.context.clear_cookies()  # the session ended while there was no signal
    page.context.set_offline(False)
    expect(page.locator("#told")).to_contain_text("登录已过期，请重新登录后上报")
    _sign_in(opened, "second_chief")
    opened.go("/grid/report")
    _ready(page, "second_chief")
    expect(page.locator("#told li")).to_have_count(0)
    page.context.set_offline(True)
    opened.go("/visits/new")
    assert "grid_worker" not in page.content(), "without signal, too, it is the second chief's form"
    page.context.set_offline(False)
    page.context.clear_cookies()
    _sign_in(opened, "grid_worker", "/login?next=/grid/report")  # where the page itself sends them
    expect(page.locator("#told")).to_contain_text("已上报 1 件")
    assert [row[0] for row in _told(city)[before:]] == ["门前积水"]
    _forgive_no_signal(opened)


def _second_chief(engine: Engine) -> None:
    with engine.connect() as connection:
        other = text("""
            SELECT code15 FROM grid WHERE valid_to IS NULL AND kind = 'base' AND code15 NOT IN
            (SELECT area FROM account WHERE area IS NOT NULL) ORDER BY code15 LIMIT 1
        """)
        area = connection.execute(other).scalar_one()
    identity.create_account(engine, "second_chief", PASSWORD, Role.GRID_WORKER, "第二位", area)


def _sign_in(opened: Visit, username: str, door: str = "/login") -> None:
    opened.go(door)
    opened.page.fill("#username", username)
    opened.page.fill("#password", PASSWORD)
    opened.page.get_by_role("button", name="登录").click()
    opened.page.wait_for_url(lambda url: "/login" not in url)


def test_signing_out_leaves_nothing_on_the_telephone(visit: Visitor, city: Engine) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    page, before, asked = opened.page, len(_told(city)), []
    opened.go("/homes")
    page.locator("details.house summary").first.tap()
    opened.go("/grid/report")
    _ready(page)
    page.context.set_offline(True)
    page.locator("#report .tiles label").first.tap()
    page.get_by_role("button", name="上报", exact=True).tap()
    expect(page.locator("#told li")).to_have_count(1)
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))
    page.context.route("**/visits/token", lambda route: route.abort())
    page.context.set_offline(False)
    page.get_by_role("button", name="退出").tap()
    page.wait_for_url("**/login")
    assert len(asked) == 1
    assert "还有 1 件诉求没有上报" in asked[0]
    assert page.evaluate(LEFT) == {"bases": [], "caches": [], "local": [], "session": []}
    assert len(_told(city)) == before
    _forgive_no_signal(opened)


def test_a_browser_finds_nothing_wrong_with_the_manifest(visit: Visitor) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    opened.go("/grid")
    session = opened.page.context.new_cdp_session(opened.page)
    found = session.send("Page.getAppManifest")
    assert found["url"].endswith("/grid/manifest.webmanifest")
    assert found["errors"] == []
    _ready(opened.page)
    troubles = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [each["errorId"] for each in troubles if each["errorId"] != "in-incognito"] == []


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_light_narrow_and_open_to_all(visit: Visitor, path: str) -> None:
    opened = visit(Role.GRID_WORKER, PHONE)
    page = opened.page
    assert _weight(opened, path) < HEAVIEST
    page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0], "nothing sticks out sideways"
    for target in page.locator(".bottom a, .button.wide, button.wide, .more a, .who button").all():
        box = target.bounding_box()
        assert box is None or box["height"] >= 44, "a thumb needs 44 px"
    # Through the debugger: the page's own policy would refuse a script without its nonce, as it should.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
    named = {each["id"]: [node["html"][:160] for node in each["nodes"][:3]] for each in serious}
    assert named == {}, json.dumps(named, ensure_ascii=False, indent=1)


def _weight(opened: Visit, path: str) -> int:
    """Return the bytes over the wire of a page with all that it loads, nothing being kept."""
    opened.page.context.route("**/grid/worker.js", lambda route: route.abort())
    session = opened.page.context.new_cdp_session(opened.page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    sizes: list[int] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(int(event["encodedDataLength"])))
    opened.go(path)
    opened.page.wait_for_load_state("networkidle")
    opened.complaints = [each for each in opened.complaints if "fetching the script" not in each]
    _forgive_no_signal(opened)
    assert len(sizes) >= 2
    return sum(sizes)

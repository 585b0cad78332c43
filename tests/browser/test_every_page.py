"""Every page of every role on its screens: whole, quiet, from this server alone, and open to everybody.

A role's pages are looked at in one session; all faults are collected, so that one run lists them all.
Pictures are kept beside the other ones.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response
from sqlalchemy import Engine, text

from gridmgmt.cli import demo, page_list
from gridmgmt.cli.page_list import PAGES, Size
from gridmgmt.cli.screenshots import settled, signed_in
from gridmgmt.config import Settings, settings
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import WRITER, create_database, drop_database, make_engine
from gridmgmt.db.models import Role
from gridmgmt.incidents.handling.intake import follow_hash
from gridmgmt.planning import service as planning
from gridmgmt.web import create_app
from gridmgmt.web.databases import EXTENSION

from .conftest import PASSWORD, ROOT, _served

DATABASE = "browser_pages"
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SHOTS = ROOT / "artefacts" / "screenshots" / "pages"
SERIOUS = ("serious", "critical")
AXE_RUN = """() => axe.run(document, {
  resultTypes: ["violations"],
  runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]},
})"""
# Heard before any script of the page runs, whatever the console shows.
WATCH_POLICY = """
window.refusedByPolicy = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.refusedByPolicy.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile || ""}`));
"""
BODY = """() => ({
  title: document.title.trim(),
  headings: [...document.querySelectorAll("h1")].filter((one) => one.textContent.trim()).length,
  wider: document.documentElement.scrollWidth - window.innerWidth,
  widest: [...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > window.innerWidth + 1)
    .slice(0, 3).map((one) => one.tagName.toLowerCase() + "." + [...one.classList].join(".")),
  policy: window.refusedByPolicy,
})"""
ON_PAPER = """() => {
  const main = document.querySelector("main") || document.body;
  const maps = [...main.querySelectorAll(".folium-map")].map((map) => map.getBoundingClientRect().height);
  return {height: main.getBoundingClientRect().height, words: main.innerText.trim().length, maps: maps};
}"""
# What a page loads that is no file of the program: pictures and scripts made for it.
# Pictures that a vendor's style sheet names come by that sheet's own address.
MADE = (
    "/static/vendor/images/",
    "/index/bulletins/",
    "/matters/qr/",
    "/grid/tasks/photos/",
    "/matters/attachments/",
    "/visits/worker.js",
)
JOB = "INSERT INTO job (kind, title, asked_by, parameters) VALUES ('hotspots', '分析 2025年', 'admin', '{}')"
# A door that nobody lives behind, in the grid that the pages are looked at from.
EMPTY = """
    INSERT INTO dwelling (building_id, door) SELECT min(b.id), '9-901' FROM building b
    JOIN grid g ON g.id = b.grid_id JOIN account a ON a.area = g.code15 WHERE a.role = 'grid_worker'
"""
TOKEN = "a-link-that-only-this-test-knows"
ROLES = [None, *Role]


@dataclass
class Watch:
    """What one session complained about, asked strangers for, or loaded without a fingerprint."""

    base: str
    heard: list[str] = field(default_factory=list)

    def on(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.heard.append(f"error: {error}"))
        page.on("request", self._request)
        page.on("response", self._response)

    def taken(self) -> list[str]:
        heard, self.heard = self.heard, []
        return heard

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.heard.append(f"console: {message.text[:200]}")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.heard.append(f"asked a stranger: {request.url[:120]}")
        elif request.resource_type in ("script", "stylesheet", "image", "font") and address.scheme == "http":
            made = address.path.startswith(MADE)
            if not made and not (address.path.startswith("/static/") and "v=" in address.query):
                self.heard.append(f"no fingerprint: {address.path}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.heard.append(f"{response.status}: {response.url.removeprefix(self.base)[:120]}")


@dataclass(frozen=True)
class City:
    """A served city in which every page has something to show, and what the addresses name in it."""

    base: str
    known: dict[str, str]
    app: Flask


@pytest.fixture(scope="module")
def city(cluster: Cluster, loaded_city: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """A copy of the sample city with tasks, visits, matters in hand and a plan, served on loopback."""
    create_database(cluster.url("postgres"), DATABASE, template=loaded_city)
    engine = make_engine(cluster.url(DATABASE))
    known = _fill(engine)
    engine.dispose()
    chosen = Settings(
        tmp_path_factory.mktemp("pages"), database_url=cluster.url(DATABASE), secret_key="a key for tests",
        basemap=None, keyring=settings().keyring_file(),
    )  # fmt: skip
    app = create_app(chosen)
    with _served(app) as base:
        yield City(base, known, app)
    app.extensions[EXTENSION].dispose()
    drop_database(cluster.url("postgres"), DATABASE)


def _fill(engine: Engine) -> dict[str, str]:
    """Let the desks of the city work, as the demo does, and return what addresses may name."""
    demo.hand_out(engine, 2026)
    demo.visit(engine, 2025)
    demo.handle(engine)
    demo.score(engine, 2025)
    writer = make_engine(engine.url.render_as_string(hide_password=False), role=WRITER)
    planning.create(writer, planning.Actor("planner", Role.PLANNER), "东片调整")
    writer.dispose()
    with engine.begin() as connection:
        connection.execute(text(JOB))
        connection.execute(text(EMPTY))
        known = page_list.samples(connection, page_list.places(connection))
        connection.execute(text("SET LOCAL session_replication_role = replica"))  # no step: only a link
        statement = text("UPDATE incident_case SET follow_hash = :hash WHERE id = :case")
        connection.execute(statement, {"hash": follow_hash(TOKEN), "case": known["closed_case"]})
    return known | {"token": TOKEN}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role or "nobody")
def test_no_page_of_a_role_has_a_fault(role: Role | None, browser: Browser, city: City) -> None:
    assert AXE.is_file(), "axe-core is missing; fetch it with: npm ci --ignore-scripts"
    SHOTS.mkdir(parents=True, exist_ok=True)
    faults, mine = [], [page for page in PAGES if page.role == role]
    login = (role.value, PASSWORD) if role else None
    for size in dict.fromkeys(size for page in mine for size in page.sizes):
        context = signed_in(browser, city.base, login, size, service_workers="allow")
        context.add_init_script(WATCH_POLICY)
        tab, watch = context.new_page(), Watch(city.base)
        watch.on(tab)
        for page, path in page_list.addresses(mine, city.known):
            if size in page.sizes:
                found = _faults(tab, city.base, path, size, page.name) if path else [f"no {page.needs()}"]
                faults += [f"{page.name} {size[0]}: {fault}" for fault in (*found, *watch.taken())]
        context.close()
    assert faults == [], "\n" + "\n".join(faults)


def _faults(tab: Page, base: str, path: str, size: Size, name: str) -> list[str]:
    """Return what is wrong with one page; its picture is kept."""
    answer = tab.goto(base + path)
    settled(tab)
    tab.screenshot(path=SHOTS / f"{name}-{size[0]}x{size[1]}.png", animations="disabled")
    body = tab.evaluate(BODY)
    faults = [f"refused by the policy: {each}" for each in body["policy"]]
    if answer is None or answer.status != 200:
        faults.append(f"answered {answer.status if answer else 'nothing'}")
    if not body["title"] or body["title"].startswith("·"):
        faults.append("no title")
    if body["headings"] != 1:
        faults.append(f"{body['headings']} h1")
    if body["wider"] > 0:
        faults.append(f"sticks out sideways by {body['wider']} px: {body['widest']}")
    return [*faults, *_shut_out(tab), *_on_paper(tab)]


def _shut_out(tab: Page) -> list[str]:
    # Through the debugger: the page's own policy would refuse a script without its nonce, as it should.
    tab.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = tab.evaluate(AXE_RUN)["violations"]
    return [
        f"axe {each['id']} ({len(each['nodes'])}): "
        + json.dumps(each["nodes"][0]["html"][:200], ensure_ascii=False)
        for each in found
        if each["impact"] in SERIOUS
    ]


def _on_paper(tab: Page) -> list[str]:
    tab.emulate_media(media="print")
    paper = tab.evaluate(ON_PAPER)
    tab.emulate_media(media="screen")
    whole = paper["height"] > 40 and paper["words"] > 10 and all(height > 150 for height in paper["maps"])
    return [] if whole else [f"blank on paper: {paper}"]


# --- that the list is whole

# Answers that are no page: files, data, fragments of a page, and where a form is sent.
NO_PAGE = (
    "/healthz", "/readyz", "/metrics", "/favicon.ico", "/static/", "/data/", "/api/", "/plan/api/", "/tiles/",
    "/language/", "/oidc/", "/command/<any(",
    "/map/view.", "/plan/<int:number>/files/", "/seasonal/list.", "/grid/tasks/photos/", "/grid/manifest",
    "/grid/worker.js", "/homes/buildings.geojson", "/exports/<int:number>/file", "/visits/token",
    "/visits/worker.js", "/matters/list.", "/matters/qr/<code>.svg", "/matters/<int:case_id>/preview",
    "/matters/attachments/", "/papers/<kind>/", "/figures/figures.xlsx", "/figures/repeats",
    "/admin/flows/<code>.toml", "/admin/papers/<kind>.html", "/admin/health.json", "/admin/accounts/list.",
    "/admin/accounts/template.xlsx", "/admin/accounts/areas", "/admin/imports/<int:number>/",
    "/jobs/<int:number>/", "/index/board.xlsx", "/index/tree/<int:number>.toml", "/index/entry/template.xlsx",
    "/index/bulletins/<int:number>/",
    "/login/code",  # stands between the password and the second factor alone
)  # fmt: skip


def test_every_page_of_the_program_stands_in_the_list(city: City) -> None:
    adapter = city.app.url_map.bind("localhost")
    listed = {
        adapter.match(urlsplit(path).path, return_rule=True)[0].rule  # type: ignore[attr-defined]
        for _, path in page_list.addresses(PAGES, city.known)
        if path
    }
    pages = {
        rule.rule
        for rule in city.app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and rule.rule != "/" and not rule.rule.startswith(NO_PAGE)
    }
    assert pages - listed == set(), "say in gridmgmt/cli/page_list.py who reads it and on what screen"

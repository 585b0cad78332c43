"""A real browser on a real server on the sample city, small, loaded through the importers.

Nothing is skipped: a missing browser fails, because a map that nobody has seen drawn is not tested.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flask import Flask, Response
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright
from sqlalchemy import Engine, text
from werkzeug.serving import make_server

import sample_data
from gridmgmt.config import Settings, settings
from gridmgmt.db import identity
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import create_database, drop_database, make_engine
from gridmgmt.db.models import ROLE_NAMES, Role
from gridmgmt.web import create_app
from gridmgmt.web.databases import EXTENSION

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PASSWORD = "right horse battery"
DATABASE, LOADED = "browser_city", "browser_loaded"
DESK, PHONE = (1440, 900), (390, 844)
expect.set_options(timeout=20_000)  # a crowded machine is slow, not wrong


@dataclass
class Visit:
    """A signed-in page with everything it complained about or asked strangers for."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        """Open a page; where it has a map, wait until it is drawn."""
        self.page.goto(self.base + path)
        if self.page.locator(".folium-map").count():
            self.drawn()

    def drawn(self) -> None:
        self.page.wait_for_selector('.folium-map[data-ready="yes"]', timeout=20_000)

    def shot(self, name: str) -> None:
        """Keep a picture for people to look at."""
        folder = ROOT / "artefacts" / "screenshots"
        folder.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_timeout(350)  # Leaflet's zoom and the drawer move for a quarter of a second
        self.page.screenshot(path=folder / f"{name}.png")


@pytest.fixture(scope="session")
def sample_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the files of a thirtieth of the sample city, with what is planted in it."""
    folder = tmp_path_factory.mktemp("sample")
    sample_data.generate(folder, scale=0.03)
    return folder


@pytest.fixture(scope="session")
def loaded_city(cluster: Cluster, template: str, sample_files: Path) -> str:
    """The name of a database with the small sample city, analysed, and an account a role: to be copied."""
    create_database(cluster.url("postgres"), LOADED, template=template)
    engine = make_engine(cluster.url(LOADED))
    _load(engine, sample_files)
    _make_accounts(engine)
    engine.dispose()
    return LOADED


@pytest.fixture(scope="session")
def sample_city(cluster: Cluster, loaded_city: str) -> Iterator[str]:
    """The address of a database with the small sample city, that the tests of this folder share."""
    create_database(cluster.url("postgres"), DATABASE, template=loaded_city)
    yield cluster.url(DATABASE)
    drop_database(cluster.url("postgres"), DATABASE)


def _load(engine: Engine, folder: Path) -> None:
    from gridmgmt.cli import demo
    from gridmgmt.hotspots import service as hotspots
    from gridmgmt.seasonal import service as seasonal

    demo.load(engine, demo.Steps(), folder)
    for period in demo.periods(2025)[:3]:
        hotspots.run(engine, *period)
    hotspots.run(engine, *demo.periods(2025)[1], level="village")
    demo.learn(engine, folder, 2025)
    seasonal.build(engine, 2026)


def _make_accounts(engine: Engine) -> None:
    latest = "SELECT area FROM seasonal_item WHERE level = 'grid' ORDER BY end_on DESC, area LIMIT 1"
    with engine.connect() as connection:
        grid = connection.execute(text(latest)).scalar_one()
        unit = connection.execute(text("SELECT min(name) FROM department")).scalar_one()
    areas = {Role.GRID_WORKER: grid, Role.TOWN_OFFICER: grid[:9]}
    for role in Role:
        own = unit if role is Role.DEPARTMENT else None
        identity.create_account(engine, role.value, PASSWORD, role, ROLE_NAMES[role], areas.get(role), own)


@pytest.fixture(scope="session")
def server(sample_city: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server on the sample city, on loopback only."""
    home = tmp_path_factory.mktemp("home")
    ring = settings().keyring_file()  # the one that sealed the city when it was loaded
    chosen = Settings(
        home, database_url=sample_city, secret_key="a key for tests", basemap=None, keyring=ring
    )
    app = create_app(chosen)
    with _served(app) as address:
        yield address
    app.extensions[EXTENSION].dispose()


class _served:
    """A Werkzeug server in a thread, closed to the last socket at the end.

    An answer is read whole and its files closed before it is sent: Werkzeug forgets to close one whose
    browser has gone away, as a phone that signs out does.
    """

    def __init__(self, app: Flask) -> None:
        def whole(environ: dict, start: Callable) -> object:
            return Response.from_app(app, environ, buffered=True)(environ, start)

        self.server = make_server("127.0.0.1", 0, whole, threaded=True)
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self) -> str:
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing; install it with: apt-get install chromium fonts-noto-cjk")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser, server: str) -> Iterator[Callable[..., Visit]]:
    """Opens a page signed in with a role; at the end no page may have complained or gone elsewhere."""
    made: list[Visit] = []

    def open_as(role: Role, size: tuple[int, int] = DESK) -> Visit:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            locale="zh-CN",
            has_touch=size == PHONE,
            reduced_motion="reduce",  # maps jump where they would fly, so a place stays where it was found
        )
        opened = Visit(context.new_page(), server)
        _listen(opened)
        made.append(opened)
        opened.page.goto(f"{server}/login")
        opened.page.fill("#username", role.value)
        opened.page.fill("#password", PASSWORD)
        opened.page.get_by_role("button", name="登录").click()
        opened.page.wait_for_url(lambda url: "/login" not in url)
        return opened

    yield open_as
    for each in made:
        each.page.context.close()
        assert each.complaints == [], "the page complained"
        assert each.strangers == [], "the page asked a stranger"


def _listen(opened: Visit) -> None:
    def note(message: ConsoleMessage) -> None:
        # Content policy violations arrive here too, as errors.
        if message.type in ("error", "warning"):
            opened.complaints.append(message.text)

    def look(request: Request) -> None:
        if not request.url.startswith((opened.base, "data:", "blob:")):
            opened.strangers.append(request.url)

    opened.page.on("console", note)
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.page.on("request", look)

"""`gridmgmt screenshots`: one picture a page and screen, of the city in this home.

It serves the city to itself on a free loopback port and signs in with an account a role that stands only
as long as the command runs; nobody's password is needed.
"""

import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy import Engine, text

from gridmgmt.cli import page_list
from gridmgmt.cli.database import ready
from gridmgmt.cli.page_list import PAGES, Page, Size
from gridmgmt.cli.printing import new_table, print_json, print_table
from gridmgmt.config import settings
from gridmgmt.db import identity
from gridmgmt.db.models import ROLE_NAMES, Role
from gridmgmt.errors import FileError, InputError, SetupError
from gridmgmt.importing import progress

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Playwright
    from playwright.sync_api import Page as Tab

WIDEST_PHONE = 600
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE_MS = 20_000
# Fragments that htmx fetches, and pictures, are there; fonts are loaded; two frames were drawn since.
STILL = """() => !document.querySelector(".htmx-request, .folium-map:not([data-ready=yes])")
    && document.fonts.status === "loaded"
    && [...document.images].every((image) => image.complete || image.loading === "lazy")"""
FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"


@dataclass(frozen=True)
class Shot:
    """What came of one picture: its file, or why there is none."""

    page: Page
    size: Size
    file: str
    status: int
    why: str = ""


@click.command()
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(["nobody", *(role.value for role in Role)]),
    help="Only this role's pages.",
)
@click.option("--page", "names", multiple=True, help="Only the page of this name.")
@click.option(
    "--width", "widths", multiple=True, type=int, help="Only screens of this width: 1440, 1920, 390."
)
@click.option("--json", "as_json", is_flag=True)
def screenshots(
    out: Path, roles: tuple[str, ...], names: tuple[str, ...], widths: tuple[int, ...], as_json: bool
) -> None:
    """Write one picture a page and screen into the folder OUT, from the city of this home."""
    chosen = chosen_pages(roles, names, widths)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as why:
        raise FileError(out, "out", why.strerror, "a folder that can be written") from why
    with ready() as engine, chromium() as browser, served(engine) as base, accounts(engine) as logins:
        with engine.connect() as connection:
            known = page_list.samples(connection, page_list.places(connection))
        with progress.shown("截图") as bar:
            shots = take(browser, base, logins, chosen, known, out, bar)
    _report(shots, as_json)


def chosen_pages(
    roles: Sequence[str] = (), names: Sequence[str] = (), widths: Sequence[int] = ()
) -> list[Page]:
    """Return the pages of `PAGES` that are asked for; nothing said is all. Raises InputError."""
    unknown = set(names) - {page.name for page in PAGES}
    if unknown:
        raise InputError("page", sorted(unknown)[0], ", ".join(sorted(page.name for page in PAGES)))
    found = [
        Page(page.name, page.role, page.path, tuple(s for s in page.sizes if not widths or s[0] in widths))
        for page in PAGES
        if (not roles or (page.role or "nobody") in roles) and (not names or page.name in names)
    ]
    found = [page for page in found if page.sizes]
    if not found:
        raise InputError("width", widths, "1440, 1920 or 390, as the pages asked for have them")
    return found


@contextmanager
def chromium() -> "Iterator[Browser]":
    """Give a Chromium without a window; raises SetupError that says what to install."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as missing:
        raise SetupError("pictures need playwright; install it with: pip install playwright") from missing
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        try:
            browser = _launched(playwright, program)
        except Error as missing:
            raise SetupError(
                "pictures need Chromium and Chinese fonts; install them with: "
                "apt-get install chromium fonts-noto-cjk"
            ) from missing
        yield browser
        browser.close()


def _launched(playwright: "Playwright", program: str | None) -> "Browser":
    # Without a path, playwright looks for a browser of its own.
    return playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))


@contextmanager
def served(engine: Engine) -> Iterator[str]:
    """Serve this home's city from a thread on a free loopback port; gives its address."""
    from dataclasses import replace

    from werkzeug.serving import WSGIRequestHandler, make_server

    from gridmgmt.web import create_app
    from gridmgmt.web.databases import EXTENSION

    class Quiet(WSGIRequestHandler):
        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing: the table at the end says what was answered."""

    url = engine.url.render_as_string(hide_password=False)
    app = create_app(replace(settings(), database_url=url))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        app.extensions[EXTENSION].dispose()


@contextmanager
def accounts(engine: Engine) -> Iterator[dict[Role, tuple[str, str]]]:
    """Give a user name and password for each role, of accounts that are gone afterwards."""
    with engine.connect() as connection:
        at = page_list.places(connection)
    areas = {Role.GRID_WORKER: at["grid"], Role.TOWN_OFFICER: at["town"]}
    mark, made = secrets.token_hex(4), {}
    try:
        for role in Role:
            name, password = f"picture-{role}-{mark}", secrets.token_urlsafe(18)
            unit = at["unit"] if role is Role.DEPARTMENT else None
            identity.create_account(engine, name, password, role, ROLE_NAMES[role], areas.get(role), unit)
            made[role] = (name, password)
        yield made
    finally:
        with engine.begin() as connection:
            names = {"names": [name for name, _ in made.values()]}
            connection.execute(text("DELETE FROM account WHERE username = ANY(:names)"), names)


def take(
    browser: "Browser", base: str, logins: Mapping[Role, tuple[str, str]], pages: Sequence[Page],
    known: Mapping[str, str], out: Path, bar: progress.Progress,
) -> list[Shot]:  # fmt: skip
    """Take every page on each of its screens into `out`; one session a role and screen."""
    bar.total(sum(len(page.sizes) for page in pages))
    shots: list[Shot] = []
    wanted = page_list.addresses(pages, known)
    for role, size in dict.fromkeys((page.role, size) for page in pages for size in page.sizes):
        context = signed_in(browser, base, logins.get(role) if role else None, size)
        tab = context.new_page()
        for page, path in wanted:
            if page.role == role and size in page.sizes:
                bar.doing(page.name)
                shots.append(_shot(tab, base, page, path, size, out))
                bar.at(len(shots))
        context.close()
    return shots


def signed_in(
    browser: "Browser", base: str, login: tuple[str, str] | None, size: Size, **more: Any
) -> "BrowserContext":
    """Return a browser's session on a screen, signed in, or as nobody where no account is given."""
    chosen: dict[str, Any] = {
        "viewport": {"width": size[0], "height": size[1]}, "locale": "zh-CN", "timezone_id": "Asia/Shanghai",
        "has_touch": size[0] < WIDEST_PHONE, "reduced_motion": "reduce", "service_workers": "block",
    }  # fmt: skip
    context = browser.new_context(**chosen | more)
    if login:
        tab = context.new_page()
        tab.goto(f"{base}/login")
        tab.fill("#username", login[0])
        tab.fill("#password", login[1])
        tab.locator("form:has(#password) button[type=submit]").click()
        tab.wait_for_url(lambda url: "/login" not in url)
        tab.close()
    return context


def settled(tab: "Tab") -> None:
    """Wait until a page shows all it is going to show by itself: maps, fragments, pictures, fonts."""
    tab.wait_for_load_state("load")
    if tab.locator(".folium-map").count():  # its figures and times come after it
        tab.wait_for_load_state("networkidle", timeout=PATIENCE_MS)
    tab.wait_for_function(STILL, timeout=PATIENCE_MS)
    tab.evaluate(FRAMES)


def _shot(tab: "Tab", base: str, page: Page, path: str | None, size: Size, out: Path) -> Shot:
    from playwright.sync_api import Error

    if path is None:
        return Shot(page, size, "", 0, f"城市里还没有 {'、'.join(sorted(page.needs()))}")
    file = f"{page.name}-{size[0]}x{size[1]}.png"
    try:
        answer = tab.goto(base + path)
        settled(tab)
        tab.screenshot(path=out / file, animations="disabled", caret="hide")
    except Error as why:
        return Shot(page, size, "", 0, str(why).splitlines()[0])
    status = answer.status if answer else 0
    return Shot(page, size, file, status, "" if status == 200 else f"{path} 答复 {status}")


def _report(shots: Sequence[Shot], as_json: bool) -> None:
    if as_json:
        print_json([
            {"page": shot.page.name, "role": shot.page.role, "width": shot.size[0], "height": shot.size[1],
             "file": shot.file, "status": shot.status, "why": shot.why}
            for shot in shots
        ])  # fmt: skip
        return
    table = new_table("截图", ("页面", "角色", "#屏幕", "文件", "说明"))
    for shot in shots:
        who = ROLE_NAMES[shot.page.role] if shot.page.role else "不登录"
        table.add_row(shot.page.name, who, f"{shot.size[0]}×{shot.size[1]}", shot.file, shot.why)
    print_table(table)
    click.echo(f"{sum(bool(shot.file) for shot in shots)} 张，{sum(not shot.file for shot in shots)} 张没有")

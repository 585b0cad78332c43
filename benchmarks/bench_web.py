"""The web on the full city: the first map, its weight, phones on a slow network, and fifty people at once.

GRIDMGMT_BENCH_HOME names a home that holds the full sample city; without it one is loaded, which takes
minutes. `python -m benchmarks.bench_web --quick` lets the people work for fifteen seconds.
"""

import argparse
import gzip
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

from benchmarks import web_city, web_clients
from benchmarks.measure import judged
from benchmarks.serving import served
from benchmarks.web_city import PASSWORD, Person
from gridmgmt.cli.page_list import DESK, PHONE, Size
from gridmgmt.cli.screenshots import chromium, signed_in
from gridmgmt.db.models import Role

RUNS = 10
PAINT_MS, PAGE_KB, LAYER_KB = 1000.0, 600.0, 150.0
PHONE_KB, PHONE_MS = 250.0, 5000.0
PHONE_RUNS = 3
# 3G as WebPageTest has it: 1.6 Mbit/s down, 768 kbit/s up, 300 ms there and back; a phone of a few years ago.
NETWORK = {
    "offline": False, "latency": 300, "downloadThroughput": 1_600_000 / 8, "uploadThroughput": 768_000 / 8,
}  # fmt: skip
SLOWER = 4
PHONE_PAGES = {
    "today": "/grid", "my grid's map": "/grid/map", "households": "/homes", "a household": "/homes/{home}",
    "a visit": "/visits/new", "matters": "/matters", "a matter": "/matters/{case}",
    "taking in a matter": "/matters/new",
}  # fmt: skip
# Milliseconds from navigationStart until the map says that it is drawn, and the next frame is shown.
NOTE_PAINT = """
new MutationObserver((_, observer) => {
  if (!document.querySelector('.folium-map[data-ready="yes"]')) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.paintedAt = performance.now(); }));
}).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ["data-ready"]});
"""


def run(seconds: float = web_clients.SECONDS) -> list[dict[str, Any]]:
    """Return the rows: paint and weight of the map, the grid layer, phone pages, fifty people."""
    return list(rows(seconds))


def rows(seconds: float) -> Iterator[dict[str, Any]]:
    """Give each row as soon as it is measured."""
    with web_city.opened() as (home, engine), web_city.people(engine, web_clients.COUNTS) as people:
        centre, chief = (
            next(each for each in people if each.role is role) for role in (Role.COMMAND, Role.GRID_WORKER)
        )
        with served(home) as port, chromium() as browser:
            base = f"http://127.0.0.1:{port}"
            yield _layer(port, centre)
            yield from _map(browser, base, centre)
            yield from _phones(browser, base, chief)
        with served(home) as port:  # workers that have done nothing yet
            for pace in web_clients.PACES:
                yield web_clients.run(port, people, pace, seconds)


# --- the map


def _map(browser: Browser, base: str, centre: Person) -> list[dict[str, Any]]:
    """Return the first useful paint of the city map without anything kept, and what came over the wire."""
    times, sizes = [], []
    with _session(browser, base, centre, DESK) as state:
        for _ in range(RUNS + 1):  # the first one starts the browser's own processes
            context = browser.new_context(**state)
            page, told = context.new_page(), _weigh(context)
            page.add_init_script(NOTE_PAINT)
            page.goto(f"{base}/command")
            page.wait_for_function("() => window.paintedAt", timeout=30_000)
            times.append(float(page.evaluate("window.paintedAt")))
            page.wait_for_load_state("networkidle")
            sizes.append(sum(told))
            context.close()
    return [
        judged("city map, first useful paint, nothing kept", times[1:], PAINT_MS),
        _sized("city map, all that it loads", max(sizes), PAGE_KB),
    ]


def _layer(port: int, centre: Person) -> dict[str, Any]:
    """Return the bytes of the outlines of all grids."""
    client = web_clients.Client(port, centre, 0)
    client.sign_in()
    _, body = client.ask(web_clients.AREAS)
    shapes = len(json.loads(gzip.decompress(body))["objects"]["areas"]["geometries"])
    return _sized(f"grid layer of {shapes} polygons over the wire", len(body), LAYER_KB)


# --- phones


def _phones(browser: Browser, base: str, chief: Person) -> Iterator[dict[str, Any]]:
    """Give weight and time to use of each phone page on a slow phone and network, nothing kept."""
    with _session(browser, base, chief, PHONE) as state:
        known = {name: values[0] for name, values in chief.known.items() if values}
        for name, path in PHONE_PAGES.items():
            try:
                address = base + path.format_map(known)
            except KeyError:
                continue  # this chief has no matter in hand
            runs = [_slowly(browser, state, address) for _ in range(PHONE_RUNS)]
            yield _sized(f"phone page: {name}", max(size for _, size in runs), PHONE_KB)
            times = [ms for ms, _ in runs]
            yield judged(f"phone page: {name}, can be used, CPU /{SLOWER} and 3G", times, PHONE_MS)


def _slowly(browser: Browser, state: dict[str, Any], address: str) -> tuple[float, int]:
    """Return milliseconds until the heading stands and the first thing to press can be pressed, and bytes."""
    context = browser.new_context(**state)
    page, told = context.new_page(), _weigh(context)
    session = context.new_cdp_session(page)
    session.send("Network.emulateNetworkConditions", NETWORK)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    start = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.locator("h1").first.wait_for(state="visible", timeout=60_000)
    page.locator("main :is(a.button, button, summary, a[href])").first.click(trial=True, timeout=60_000)
    took = 1000 * (time.perf_counter() - start)
    page.wait_for_load_state("networkidle", timeout=60_000)
    context.close()
    return took, sum(told)


# --- both


@contextmanager
def _session(browser: Browser, base: str, person: Person, size: Size) -> Iterator[dict[str, Any]]:
    """Give what a new context needs to be this person's browser, with the cookies and nothing else kept."""
    context = signed_in(browser, base, (person.username, PASSWORD), size)
    yield {
        "viewport": {"width": size[0], "height": size[1]}, "locale": "zh-CN", "has_touch": size == PHONE,
        "storage_state": {"cookies": context.storage_state()["cookies"]}, "service_workers": "block",
    }  # fmt: skip
    context.close()


def _weigh(context: BrowserContext) -> list[int]:
    """Return a list that grows with the bytes of every answer as they came, heads and packing included."""
    told: list[int] = []
    page: Page = context.pages[0]
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: told.append(int(event["encodedDataLength"])))
    return told


def _sized(work: str, size: int, goal: float) -> dict[str, Any]:
    return {"work": work, "kb": round(size / 1000, 1), "goal_kb": goal, "met": size / 1000 < goal}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    for each in rows(15.0 if parser.parse_args().quick else web_clients.SECONDS):
        print(json.dumps(each, ensure_ascii=False), flush=True)

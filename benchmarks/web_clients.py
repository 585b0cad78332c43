"""Fifty people of all roles at once: each opens a page with what its map fetches, reads a moment, goes on.

Each page is drawn by weight from PAGES of the role. What a browser keeps with its tag is asked for with
If-None-Match, as a browser does; a page and what belongs to it count one by one. Nothing is written.
"""

import http.client
import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Thread
from typing import Any
from urllib.parse import urlencode

from benchmarks.web_city import PASSWORD, Person
from gridmgmt.db.models import Role

COUNTS = {
    Role.GRID_WORKER: 18, Role.TOWN_OFFICER: 12, Role.COMMAND: 10, Role.PLANNER: 3, Role.DEPARTMENT: 5,
    Role.AUDITOR: 1, Role.ADMIN: 1,
}  # fmt: skip
SECONDS = 60.0
# Somebody who works through a list, and a crowd that never stops to read: what the machine gives at most.
PACES = ((1.0, 3.0), (0.2, 1.0))
P95_MS = 250.0
# Nothing is counted while sessions begin and the first pages are made.
WARM_S = 6.0
LONGEST_S = 30.0
TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
KEPT = ("/data/", "/tiles/", "/map/")


@dataclass(frozen=True)
class Kind:
    """A page by name: how often, its address, and what the page fetches besides."""

    name: str
    weight: int
    path: str
    besides: tuple[str, ...] = ()


AREAS, VALUES, LAYERS = "/data/areas.topojson?level=grid", "/data/hotspots.json", "/data/layers.geojson"
TOWNS = "/data/areas.topojson?level=town"
MAP = (AREAS, VALUES, LAYERS, TOWNS)
PAGES: dict[Role, tuple[Kind, ...]] = {
    Role.GRID_WORKER: (
        Kind("phone: today", 5, "/grid"),
        Kind("phone: map", 2, "/grid/map", (AREAS, VALUES, "/homes/buildings.geojson")),
        Kind("phone: matters", 3, "/matters"),
        Kind("phone: a matter", 3, "/matters/{case}"),
        Kind("phone: roster of the grid", 2, "/homes"),
        Kind("phone: a household", 4, "/homes/{home}"),
        Kind("phone: a visit", 3, "/visits/new"),
        Kind("phone: notebook", 1, "/visits"),
        Kind("phone: list", 1, "/seasonal"),
        Kind("phone: evidence", 1, "/seasonal/items/{item}"),
    ),
    Role.TOWN_OFFICER: (
        Kind("town map", 2, "/office", MAP),
        Kind("inbox", 6, "/matters"),
        Kind("inbox, overdue", 2, "/matters?light=red"),
        Kind("inbox, by category", 2, "/matters?category={category}"),
        Kind("preview", 4, "/matters/{case}/preview"),
        Kind("a matter", 5, "/matters/{case}"),
        Kind("all matters", 2, "/matters/all"),
        Kind("taking in", 2, "/matters/new"),
        Kind("figures", 2, "/figures"),
        Kind("mediation", 1, "/mediation"),
        Kind("seasonal list", 1, "/seasonal"),
        Kind("tasks", 2, "/office/tasks"),
        Kind("roster: grids", 1, "/homes"),
        Kind("roster: a grid", 2, "/homes?grid={grid}"),
        Kind("roster: a household", 2, "/homes/{home}"),
        Kind("survey", 1, "/office/survey"),
        Kind("changes", 1, "/office/changes"),
    ),
    Role.COMMAND: (
        Kind("city map", 4, "/command", MAP),
        Kind("city map, a category", 2, "/command?category={category}", (f"{VALUES}?category={{category}}",)),
        Kind("city map, fields", 1, "/command?tab=fields"),
        Kind("city map, peaks", 1, "/command?tab=peaks"),
        Kind("city map, recent", 1, "/command?tab=recent"),
        Kind("city map, list", 1, "/command?tab=seasonal"),
        Kind("card of a grid", 5, "/areas/{grid}"),
        Kind("two periods", 1, "/command/compare"),
        Kind("wall", 2, "/command/wall"),
        Kind("seasonal list", 3, "/seasonal"),
        Kind("seasonal, a category", 1, "/seasonal?category={category}"),
        Kind("seasonal, wheel", 1, "/seasonal?view=wheel"),
        Kind("seasonal, strip", 1, "/seasonal?view=strip"),
        Kind("evidence", 4, "/seasonal/items/{item}"),
        Kind("effect", 1, "/seasonal/effect"),
        Kind("inbox", 2, "/matters"),
        Kind("a matter", 2, "/matters/{case}"),
        Kind("overdue", 1, "/matters/overdue"),
        Kind("figures", 1, "/figures"),
        Kind("tasks", 1, "/office/tasks"),
        Kind("tile: buildings", 4, "/tiles/buildings/{tile15}.mvt"),
        Kind("tile: grids", 2, "/tiles/grids/{tile12}.mvt"),
    ),
    Role.PLANNER: (
        Kind("plans", 2, "/plan"),
        Kind("city map", 2, "/command", MAP),
        Kind("seasonal list", 1, "/seasonal"),
        Kind("card of a grid", 2, "/areas/{grid}"),
    ),
    Role.DEPARTMENT: (
        Kind("ledger", 3, "/unit?tab=asked"), Kind("ledger, doing", 3, "/unit?tab=doing"),
        Kind("a matter", 4, "/matters/{unit_case}"), Kind("figures", 1, "/figures"),
    ),
    Role.AUDITOR: (Kind("audit", 1, "/audit"), Kind("audit lines", 2, "/audit/log")),
    Role.ADMIN: (
        Kind("admin", 2, "/admin"), Kind("flows", 1, "/admin/flows"), Kind("health", 1, "/admin/health"),
    ),
}  # fmt: skip


@dataclass
class Told:
    """What one client saw: milliseconds by name of the page, and what went wrong."""

    times: list[tuple[str, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)


class Client:
    """One signed-in person; keeps the connection, the cookies and the tags as a browser does."""

    def __init__(self, port: int, person: Person, seed: int, pace: tuple[float, float] = PACES[0]) -> None:
        self.person, self.rng, self.told = person, random.Random(seed), Told()
        self.pace = pace
        self.kinds = list(PAGES[person.role])
        self._cookies: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_S)

    def sign_in(self) -> None:
        """Begin the session; raises RuntimeError when the server does not let this person in."""
        found = TOKEN.search(self.ask("/login")[1].decode())
        if not found:
            raise RuntimeError("the sign-in page holds no form")
        form = {"username": self.person.username, "password": PASSWORD, "csrf_token": found[1]}
        status, _ = self.ask("/login", form)
        if status not in (302, 303):
            raise RuntimeError(f"{self.person.username}: signing in gave {status}")

    def keep_what_stands(self) -> None:
        """Leave out pages that the city has nothing for, and note those whose address is not there."""
        kept = []
        for kind in self.kinds:
            path = self._path(kind.path)
            if path is None:
                continue
            if self.ask(path)[0] == 404:
                self.told.absent.add(kind.name)
            else:
                kept.append(kind)
        self.kinds = kept

    def work(self, begins: float, ends: float) -> None:
        """Open pages until the end; what is done before `begins` is not counted."""
        time.sleep(self.rng.random() * self.pace[1])
        while time.perf_counter() < ends:
            kind = self.rng.choices(self.kinds, [each.weight for each in self.kinds])[0]
            self._open(kind, begins)
            time.sleep(self.rng.uniform(*self.pace))

    def _open(self, kind: Kind, begins: float) -> None:
        for name, pattern in ((kind.name, kind.path), *((path.split("?")[0], path) for path in kind.besides)):
            path = self._path(pattern)
            if path is None:
                continue
            start = time.perf_counter()
            try:
                status, _ = self.ask(path)
            except (OSError, http.client.HTTPException) as why:
                self.told.errors.append(f"{self.person.username} {path}: {type(why).__name__} {why}")
                self._connection.close()
                continue
            if status not in (200, 204, 304):
                self.told.errors.append(f"{self.person.username} {path}: {status}")
            if start >= begins:
                self.told.times.append((name, 1000 * (time.perf_counter() - start)))

    def _path(self, pattern: str) -> str | None:
        """Return an address with something of this person's own area in it, None where there is nothing."""
        chosen = {name: self.rng.choice(values) for name, values in self.person.known.items() if values}
        try:
            return pattern.format_map(chosen)
        except KeyError:
            return None

    def ask(self, path: str, form: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Return status and body as they came over the wire, unpacked only where they are a form's page."""
        try:
            return self._ask(path, form)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # The server ends a connection that was quiet for long, as it may; a browser opens another.
            self._connection.close()
            return self._ask(path, form)

    def _ask(self, path: str, form: Mapping[str, str] | None) -> tuple[int, bytes]:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if path != "/login":
            headers["Accept-Encoding"] = "gzip"
        if path in self._tags:
            headers["If-None-Match"] = self._tags[path]
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request("POST" if form else "GET", path, urlencode(form) if form else None, headers)
        answer = self._connection.getresponse()
        body = answer.read()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.split(";", 1)[0].partition("=")
            self._cookies[name] = value
        tag = answer.headers.get("ETag")
        if tag and path.startswith(KEPT):
            self._tags[path] = tag
        return answer.status, body


def run(
    port: int, people: Sequence[Person], pace: tuple[float, float], seconds: float = SECONDS
) -> dict[str, Any]:
    """Let everybody work at once and return the row of what they waited, with a table by page.

    `pace` is the least and the most that each thinks between two pages, in seconds.
    """
    clients = [Client(port, person, seed, pace) for seed, person in enumerate(people)]
    for client in clients:
        client.sign_in()
        client.keep_what_stands()
    begins = time.perf_counter() + WARM_S
    threads = [Thread(target=each.work, args=(begins, begins + seconds)) for each in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _row(clients, pace, seconds)


def _row(clients: Sequence[Client], pace: tuple[float, float], seconds: float) -> dict[str, Any]:
    times = [one for each in clients for one in each.told.times]
    errors = [one for each in clients for one in each.told.errors]
    absent = sorted(set().union(*(each.told.absent for each in clients)))
    every = sorted(ms for _, ms in times)
    by_name = {
        name: sorted(ms for other, ms in times if other == name) for name in {name for name, _ in times}
    }
    pages = {name: _percentiles(found) for name, found in by_name.items()}
    p95 = _at(every, 0.95)
    return {
        "work": f"{len(clients)} people of {len(COUNTS)} roles for {seconds:.0f} s, "
        f"{pace[0]}-{pace[1]} s to think, p95",
        "note": f"{len(every)} requests ({len(every) / seconds:.0f}/s), {len(errors)} errors"
        + (f", not there: {', '.join(absent)}" if absent else ""),
        "median_ms": round(_at(every, 0.5), 1), "p95_ms": round(p95, 1), "slowest_ms": round(every[-1], 1),
        "goal_ms": P95_MS, "met": p95 < P95_MS and not errors and not absent, "errors": len(errors),
        "first_errors": errors[:5],
        "pages": dict(sorted(pages.items(), key=lambda each: -each[1]["p95_ms"])),
    }  # fmt: skip


def _percentiles(found: list[float]) -> dict[str, float]:
    return {"n": len(found), "p50_ms": round(_at(found, 0.5), 1), "p95_ms": round(_at(found, 0.95), 1)}


def _at(found: list[float], share: float) -> float:
    return found[min(int(len(found) * share), len(found) - 1)]

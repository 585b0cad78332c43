"""Fifty people at their desks: sessions that read and write against the served program, and what they waited.

Thirty are of town offices, ten of the centre, ten of departments. Each does one thing, waits a second on the
average as a person reads, and does the next; of ten things two are written. What they do is in `_READS` and
`_WRITES`. Every fifth matter is sent twice with its key, as a browser does that lost the answer.
"""

import http.client
import random
import re
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Engine, text

from benchmarks.matters_city import PASSWORD, City
from benchmarks.serving import served
from gridmgmt.db.models import Role
from gridmgmt.incidents.actor import Actor

CLIENTS = {Role.TOWN_OFFICER: 30, Role.COMMAND: 10, Role.DEPARTMENT: 10}
WRITES = 0.2
THINK_S = 1.0
TWICE = 0.2
P95_MS = 300.0
# Nothing is counted while sessions begin and the first pages are made.
WARM_S = 5.0
_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


@dataclass
class Told:
    """What one client saw: milliseconds by what was done, what went wrong, keys sent and what they made."""

    times: list[tuple[str, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    made: dict[str, set[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Known:
    """What clients may name: open cases and villages of an area, categories, lines of departments."""

    cases: dict[str, list[int]]
    villages: dict[str, list[str]]
    categories: list[str]
    of_unit: dict[str, list[int]]


class Client:
    """One signed-in person; keeps the connection and the cookies as a browser does."""

    def __init__(self, port: int, actor: Actor, known: Known, seed: int, think_s: float = THINK_S) -> None:
        self.actor, self.known, self.rng = actor, known, random.Random(seed)
        self.told, self._think_s = Told(), think_s
        self._port, self._cookies = port, {}  # type: int, dict[str, str]
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._token = ""

    def sign_in(self) -> None:
        """Begin the session; raises RuntimeError when the server does not let this person in."""
        _, page, _ = self._ask("GET", "/login")
        form = {"username": self.actor.username, "password": PASSWORD, "csrf_token": _token(page)}
        status, _, _ = self._ask("POST", "/login", form)
        if status not in (302, 303):
            raise RuntimeError(f"{self.actor.username}: signing in gave {status}")
        page = self._ask("GET", "/unit?tab=doing" if self.actor.unit else "/matters")[1]
        self._token = _token(page)

    def work(self, begins: float, ends: float) -> None:
        """Read and write until the end; what is done before `begins` is not counted."""
        time.sleep(self.rng.random() * self._think_s)
        while time.perf_counter() < ends:
            writes = self.rng.random() < WRITES
            start = time.perf_counter()
            try:
                (self._write if writes else self._read)()
            except (OSError, http.client.HTTPException) as why:
                self.told.errors.append(f"{type(why).__name__} {why}")
                self._connection.close()
            if start >= begins:
                self.told.times.append(("write" if writes else "read", 1000 * (time.perf_counter() - start)))
            time.sleep(self.rng.expovariate(1 / self._think_s))

    def _read(self) -> None:
        path = self.rng.choice(self._pages())
        status, _, _ = self._ask("GET", path)
        self._expect(status, (200,), path)

    def _pages(self) -> list[str]:
        number = self._case()
        if self.actor.unit:
            return ["/unit?tab=asked", "/unit?tab=doing", f"/matters/{number}"]
        category = self.rng.choice(self.known.categories)
        return [
            "/matters", "/matters?light=red", f"/matters?category={category}", "/matters/all",
            f"/matters/all?category={category}&state=closed", f"/matters/{number}", f"/matters/{number}",
        ]  # fmt: skip

    def _write(self) -> None:
        if self.actor.role is Role.TOWN_OFFICER and self.rng.random() < 0.5:
            self._tell()
            return
        path = f"/matters/{self._case()}/note"
        status, _, _ = self._ask("POST", path, {"note": "已联系，约定明天到现场", "csrf_token": self._token})
        self._expect(status, (303,), path)

    def _tell(self) -> None:
        key = str(uuid.uuid4())  # not of the seed: a second run must not use the first one's keys
        form = {
            "key": key, "words": f"巷口路灯不亮，第{self.rng.randrange(10**6)}次",
            "channel": "centre_register",
            "category": self.rng.choice(self.known.categories), "ledger": "demand",
            "village": self.rng.choice(self.known.villages[self.actor.area]), "csrf_token": self._token,
        }  # fmt: skip
        for _ in range(2 if self.rng.random() < TWICE else 1):
            status, _, where = self._ask("POST", "/matters/new", form)
            self._expect(status, (303,), "/matters/new")
            self.told.made.setdefault(key, set()).add(where)

    def _case(self) -> int:
        numbers = (
            self.known.of_unit[self.actor.unit] if self.actor.unit else self.known.cases[self.actor.area]
        )
        return self.rng.choice(numbers)

    def _expect(self, status: int, allowed: tuple[int, ...], path: str) -> None:
        if status not in allowed:
            self.told.errors.append(f"{self.actor.username} {path}: {status}")

    def _ask(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Return status, text and where it leads to."""
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(form) if form is not None else None
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # The server ends a connection that was quiet for long, as it may; a browser opens another.
            self._connection.close()
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
        page = answer.read().decode()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.split(";", 1)[0].partition("=")
            self._cookies[name] = value
        return answer.status, page, answer.headers.get("Location", "")


def _token(page: str) -> str:
    found = _TOKEN.search(page)
    if not found:
        raise RuntimeError("a page without a form")
    return found[1]


def run(engine: Engine, city: City, home: Path, seconds: float, matters: int) -> list[dict[str, Any]]:
    """Serve the city with two workers, let the clients work, and return the rows of what came of it."""
    found = known(engine, city)
    before = _taken(engine)
    with served(home, city.url) as port:
        people = [
            actor
            for role, count in CLIENTS.items()
            for actor in _spread([each for each in _actors(city) if each.role is role], count)
        ]
        clients = [Client(port, actor, found, seed) for seed, actor in enumerate(people)]
        for client in clients:
            client.sign_in()
        begins = time.perf_counter() + WARM_S
        threads = [Thread(target=each.work, args=(begins, begins + seconds)) for each in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return _rows(clients, _taken(engine) - before, seconds, matters)


def _rows(clients: list[Client], taken: int, seconds: float, matters: int) -> list[dict[str, Any]]:
    times = [one for each in clients for one in each.told.times]
    errors = [one for each in clients for one in each.told.errors]
    made = {key: where for each in clients for key, where in each.told.made.items()}
    once = len(made) == taken and all(len(where) == 1 for where in made.values())
    mix = f"{WRITES:.0%} writes, {THINK_S:.0f} s to think, of {matters}"
    work = f"{len(clients)} clients for {seconds:.0f} s, {mix}"
    rows = []
    for kind in ("read", "write", "all"):
        found = sorted(ms for name, ms in times if kind in (name, "all"))
        p50, p95 = (found[int(len(found) * share)] for share in (0.5, 0.95))
        rows.append(
            {
                "work": f"{work}: {kind}", "note": f"{len(found)} requests, {len(errors)} errors",
                "median_ms": round(p50, 1), "p95_ms": round(p95, 1), "slowest_ms": round(found[-1], 1),
                "goal_ms": P95_MS, "met": p95 < P95_MS and not errors and once, "errors": len(errors),
                "first_errors": errors[:5], "matters_sent": len(made), "matters_made": taken,
                "same_result": once,
            }
        )  # fmt: skip
    return rows


def _actors(city: City) -> list[Actor]:
    return [*city.offices, city.centre, *city.departments]


def _spread(actors: list[Actor], count: int) -> list[Actor]:
    return [actors[place % len(actors)] for place in range(count)]


def _taken(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(
            connection.execute(text("SELECT count(*) FROM incident WHERE source = 'gridmgmt'")).scalar_one()
        )


def known(engine: Engine, city: City) -> Known:
    """Return what clients of a city may name."""

    def numbers(query: str, **bound: object) -> list[Any]:
        with engine.connect() as connection:
            return list(connection.execute(text(query), bound).scalars())

    cases = {
        actor.area: numbers(
            "SELECT id FROM incident_case WHERE open AND village LIKE :area ORDER BY id LIMIT 2000",
            area=f"{actor.area}%",
        )
        for actor in (*city.offices, city.centre)
    }
    return Known(
        cases,
        {
            actor.area: numbers(
                "SELECT code FROM division WHERE level = 'village' AND code LIKE :area", area=f"{actor.area}%"
            )
            for actor in city.offices
        },
        numbers("SELECT category FROM incident GROUP BY 1 ORDER BY count(*) DESC LIMIT 20"),
        {
            actor.unit: numbers(
                "SELECT h.case_id FROM incident_hand h JOIN incident_case c ON c.id = h.case_id"
                " WHERE h.unit = :unit AND c.open ORDER BY 1 LIMIT 2000",
                unit=actor.unit,
            )
            for actor in city.departments
        },
    )

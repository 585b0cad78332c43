"""Requests that nobody should send, to every address of a served city, as everybody who has an account.

Half of them schemathesis makes from the OpenAPI document, the others stand here: an address of the map with
its parts filled in well or badly, any method, a body of any kind with names that our forms have, and the
session and token of each role. Nobody signs out, and nothing of long work is done. No answer may be 5xx.
"""

import http.client
import json
import os
import random
import re
import shutil
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote, urlencode

import schemathesis
from flask import Flask
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import from_schema
from schemathesis.engine.events import ScenarioFinished
from sqlalchemy import Engine, text

from benchmarks.faults.machine import Clock, Server, free_port, waited
from benchmarks.fuzz.world import world
from benchmarks.web_city import PASSWORD, Person, people
from gridmgmt import config
from gridmgmt.db.models import Role
from gridmgmt.incidents.opening import keys
from gridmgmt.incidents.opening.keys import Scope
from gridmgmt.web import access, create_app

SOURCES = config.PACKAGE / "web"
# Never asked for: it ends the session of whoever asks; a stream does not end.
LEFT_OUT = ("login.sign_out",)
STREAM = "/events"
# Where the server's log is left when there is something to look for in it.
LOG = Path("fuzz-server.log").absolute()
BY_SCHEMA = 0.3
THREADS = 3
# Sign in again so often: some of what is sent may have ended a session.
FRESH = 150
_NAMES = re.compile(
    r'name="([a-z_]{2,30})"|(?:args|form)\.get(?:list)?\("([a-z_]{2,30})"|_?(?:words|line|number)\("([a-z_]+)"'
)
_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
_PART = re.compile(r"<(?:(\w+)(?:\(([^)]*)\))?:)?(\w+)>")

HOSTILE = (
    "", " ", "0", "-1", "1e308", "nan", "inf", "9" * 40, "2147483648", "9223372036854775808", "true", "null",
    "[]", "{}", "'", '"', "';--", "%", "%s%n", "%00", "\0", "\r\nX: y", "../../etc/passwd", "<script>",
    "{{7*7}}", "${x}", "2025-02-30", "0001-01-01", "9999-12-31", "2025-13", "24:00", "-infinity", "١٢٣", "²",
    "\u202e", "\ufeff", "💥" * 20, "é" * 300, "a" * 5_000, "\ud800", "1,2,3", "117.0,35.0,nan,91",
)  # fmt: skip
PLAIN = (
    "1", "2", "10", "2025", "2025-06-01", "2025-06", "grid", "town", "city", "day", "month", "yes", "on",
    "zh-CN",
)  # fmt: skip


@dataclass
class Told:
    """Answers by status and what was asked for those that must not be."""

    statuses: Counter[int] = field(default_factory=Counter)
    roles: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def run(count: int, seed: int) -> bool:
    """Send so many requests, print counts, and say whether no answer was a server error."""
    with ExitStack() as stack:
        here = stack.enter_context(world())
        known = stack.enter_context(people(here.engine, dict.fromkeys(Role, 1)))
        key = keys.add(here.engine, f"fuzz-{os.urandom(3).hex()}", list(Scope), "bench", a_minute=100_000)
        settings = {"GRIDMGMT_HOME": str(here.home), "GRIDMGMT_DATABASE_URL": here.url}
        os.environ |= settings
        port, told = free_port(), Told()
        says = here.folder / "server.log"
        server = Server(port, settings, Clock(here.folder), says)
        stack.callback(server.stop)
        waited(port)
        schema = by_schema(port, key, int(count * BY_SCHEMA), told)
        walk(create_app(), known, here.engine, port, max(0, count - schema), seed, told)
        _print(told, schema)
        if told.wrong:
            shutil.copy(says, LOG)
            print(f"what the server said of them: {LOG}")
    return not told.wrong


def _print(told: Told, schema: int) -> None:
    total = sum(told.statuses.values())
    print(f"{total} requests, {schema} of them by schemathesis; {dict(sorted(told.statuses.items()))}")
    print("by role: " + ", ".join(f"{n} {role}" for role, n in told.roles.most_common()))
    for line in told.wrong[:40]:
        print(f"wrong: {line}")
    print(f"{len(told.wrong)} server errors")


# --- from the document


def by_schema(port: int, key: str, count: int, told: Told) -> int:
    """Let schemathesis ask about so many questions of the interface; returns how many it asked."""
    address = f"http://127.0.0.1:{port}"
    before = sum(told.statuses.values())
    loaded = schemathesis.openapi.from_url(
        f"{address}/api/openapi.json", config=_config(key, count), timeout=90
    )
    for event in from_schema(loaded).execute():
        if isinstance(event, ScenarioFinished):
            for each in event.recorder.interactions.values():
                _count(told, each.response.status_code if each.response else 599, "program", each.request.uri)
    return sum(told.statuses.values()) - before


def _config(key: str, count: int) -> SchemathesisConfig:
    # 420 examples an operation make about 7,500 questions.
    return SchemathesisConfig.from_dict(
        {
            "headers": {"Authorization": f"Bearer {key}"},
            "checks": {"enabled": False, "not_a_server_error": {"enabled": True}},
            "generation": {"max-examples": max(8, count // 18), "database": "none", "mode": "all"},
            "phases": {"stateful": {"enabled": False}},
        }
    )  # fmt: skip


def _count(told: Told, status: int, role: str, asked: str, said: str = "") -> None:
    told.statuses[status] += 1
    told.roles[role] += 1
    if status >= 500:
        told.wrong.append(f"{status} as {role}: {asked[:300]} {said[:200]}")


# --- over the map of addresses


def walk(
    app: Flask, known: Sequence[Person], engine: Engine, port: int, count: int, seed: int, told: Told
) -> None:
    """Send so many requests of our own making, as each role in turn."""
    rules = [
        rule for rule in app.url_map.iter_rules()
        if rule.endpoint not in LEFT_OUT and not rule.rule.endswith(STREAM)
    ]  # fmt: skip
    values, names = _values(engine, known), _names()
    share = -(-count // THREADS)
    walkers = [
        Walker(port, app, rules, known, values, names, random.Random(seed * 100 + n), told)
        for n in range(THREADS)
    ]
    threads = [Thread(target=each.walk, args=(share,)) for each in walkers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _names() -> list[str]:
    """Return the names of fields that our templates and views know."""
    found = set[str]()
    for path in [*SOURCES.rglob("*.html"), *SOURCES.rglob("*.py")]:
        found |= {
            name for names in _NAMES.findall(path.read_text(encoding="utf-8")) for name in names if name
        }
    return sorted(found - {"csrf_token"})


def _values(engine: Engine, known: Sequence[Person]) -> list[str]:
    """Return what stands in the city under some name: codes, numbers, names."""
    found = {value for each in known for values in each.known.values() for value in values[:20]}
    found |= {each.username for each in known} | {each.area for each in known if each.area}
    columns = (
        "division.code",
        "category.code",
        "grid.code15",
        "account.username",
        "department.name",
        "incident_case.number",
    )
    with engine.connect() as connection:
        for column in columns:
            table, _, name = column.partition(".")
            found |= {
                str(v) for v in connection.execute(text(f"SELECT {name} FROM {table} LIMIT 20")).scalars()
            }
    return sorted(found)


class Walker:
    """Sends requests one after the other on one connection, as one role and then the next."""

    def __init__(
        self, port: int, app: Flask, rules: Sequence[Any], known: Sequence[Person], values: Sequence[str],
        names: Sequence[str], rng: random.Random, told: Told,
    ) -> None:  # fmt: skip
        self._app, self._rules, self._known = app, rules, known
        self._values, self._names, self._rng, self._told = values, names, rng, told
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._cookies: dict[str, str] = {}
        self._token = ""

    def walk(self, count: int) -> None:
        """Send so many requests."""
        people_: list[Person | None] = [*self._known, None]
        for number in range(count):
            if number % FRESH == 0:
                self._sign_in(people_[(number // FRESH) % len(people_)])
            self._one()

    def _sign_in(self, person: Person | None) -> None:
        self._role, self._cookies, self._token = person.role.value if person else "nobody", {}, ""
        page = self._send("GET", "/login", None, {})[1]
        token = _TOKEN.search(page)
        self._token = token[1] if token else ""
        if person:
            form = {"username": person.username, "password": PASSWORD, "csrf_token": self._token}
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            self._send("POST", "/login", urlencode(form).encode(), headers)
            token = _TOKEN.search(self._send("GET", "/account", None, {})[1])
            self._token = token[1] if token else self._token

    def _one(self) -> None:
        rule = self._rng.choice(self._mine() if self._rng.random() < 0.8 else self._rules)
        asked = sorted((rule.methods or {"GET"}) - {"OPTIONS"})
        method = self._rng.choice(asked)
        if self._rng.random() < 0.05:
            method = self._rng.choice(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
        path = self._filled(rule.rule)
        if self._rng.random() < 0.6:
            path += "?" + urlencode(self._fields(), errors="surrogatepass", encoding="utf-8")
        body, headers = self._body() if method in ("POST", "PUT", "PATCH", "DELETE", "BREW") else (None, {})
        status, said = self._send(method, path, body, headers)
        asked_ = f"{method} {path} {headers.get('Content-Type', '')} {body[:300] if body else ''!r}"
        _count(self._told, status, self._role, asked_, " ".join(re.sub("<[^>]+>", " ", said).split())[-150:])

    def _mine(self) -> list[Any]:
        """Return the addresses that the role may call."""
        found = []
        for rule in self._rules:
            allowed = access.declared(self._app, rule.endpoint)
            if not isinstance(allowed, frozenset) or self._role in {role.value for role in allowed}:
                found.append(rule)
        return found

    def _value(self) -> str:
        pool: Sequence[str] = self._rng.choices([self._values, PLAIN, HOSTILE], [5, 2, 3])[0]
        value = self._rng.choice(pool)
        return str(uuid.UUID(int=self._rng.getrandbits(128))) if self._rng.random() < 0.03 else value

    def _filled(self, rule: str) -> str:
        return _PART.sub(lambda found: quote(self._part(found), safe="", errors="surrogatepass"), rule)

    def _part(self, found: re.Match[str]) -> str:
        kind, choices = found[1], found[2]
        if kind == "any" and self._rng.random() < 0.9:
            return self._rng.choice([each.strip().strip('"') for each in choices.split(",")])
        if kind == "int" and self._rng.random() < 0.8:
            numbers = [value for value in self._values if value.isdecimal()]
            return self._rng.choice(["0", "1", "2", "3", "12", "2147483647", "2147483648", *numbers])
        return self._value() or "x"

    def _fields(self) -> list[tuple[str, str]]:
        return [(self._rng.choice(self._names), self._value()) for _ in range(self._rng.randrange(6))]

    def _body(self) -> tuple[bytes | None, dict[str, str]]:
        headers = {"X-CSRFToken": self._token} if self._rng.random() < 0.95 else {}
        kind = self._rng.choices(["form", "json", "files", "noise", "nothing"], [6, 2, 1, 1, 1])[0]
        fields = self._fields() + self._fields()
        if kind == "form":
            sent = urlencode(fields, errors="surrogatepass", encoding="utf-8").encode()
            return sent, headers | {"Content-Type": "application/x-www-form-urlencoded"}
        if kind == "json":
            return json.dumps(self._json(3)).encode(), headers | {"Content-Type": "application/json"}
        if kind == "files":
            return self._multipart(fields), headers | {"Content-Type": "multipart/form-data; boundary=xx"}
        if kind == "noise":
            told = self._rng.choice(
                ["application/json", "application/x-www-form-urlencoded", "text/plain", ";=", ""]
            )
            return self._rng.randbytes(self._rng.randrange(2_000)), headers | {"Content-Type": told}
        return None, headers

    def _multipart(self, fields: list[tuple[str, str]]) -> bytes:
        out = b""
        for name, value in fields:
            out += f'--xx\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
            out += value.encode("utf-8", "surrogatepass") + b"\r\n"
        for name in self._rng.sample(["files", "file", "photos", "photo", "attachments", "mapping"], 2):
            ending = self._rng.choice(["csv", "xlsx", "jpg", "pdf", "toml", "zip", ""])
            head = f'--xx\r\nContent-Disposition: form-data; name="{name}"; filename="a.{ending}"\r\n\r\n'
            out += head.encode() + self._rng.randbytes(self._rng.randrange(3_000)) + b"\r\n"
        return out + b"--xx--\r\n"

    def _json(self, depth: int) -> Any:
        kind = self._rng.randrange(7 if depth else 4)
        if kind < 3:
            return self._value()
        if kind == 3:
            return self._rng.choice([None, True, 0, -1, 1.5, 10**30, 1e308])
        if kind == 4:
            return [self._json(depth - 1) for _ in range(self._rng.randrange(4))]
        return {self._rng.choice(self._names): self._json(depth - 1) for _ in range(self._rng.randrange(5))}

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        try:
            self._connection.request(method, path, body, {"Cookie": cookies, **headers})
            answer = self._connection.getresponse()
            page = answer.read(200_000).decode("utf-8", "replace")
            if answer.length:  # a long file: enough of it
                self._connection.close()
        except (OSError, http.client.HTTPException) as why:
            self._connection.close()
            return 599, type(why).__name__
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.split(";", 1)[0].partition("=")
            self._cookies[name] = value
        return answer.status, page

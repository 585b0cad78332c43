"""A thousand identity numbers and telephones go through the whole system, and turn up in clear nowhere.

Searched afterwards: the dump of the database, every statement that reached the server (all are logged for
this test) and the server's errors, the program's log down to single rows, every address and every answer but
those that a reveal or a copy asked for, and every file of the home folder.
"""

import csv
import io
import logging
import random
import re
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from gridmgmt.calendar import china_today
from gridmgmt.config import Settings
from gridmgmt.db import identity as accounts
from gridmgmt.db.cluster import Cluster, server_programs
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError
from gridmgmt.households import rotation
from gridmgmt.households.actor import Actor
from gridmgmt.households.changes import service as changes
from gridmgmt.households.changes.models import Kind
from gridmgmt.households.changes.wanted import Wanted
from gridmgmt.households.incoming.importer import import_roster
from gridmgmt.households.rights import retention
from gridmgmt.importing.mapping import Mapping
from gridmgmt.privacy.keyring import Algorithm, KeyRing
from gridmgmt.web import create_app
from gridmgmt.web.databases import EXTENSION
from tests.web import small_city
from tests.web.conftest import sign_in

from .roster_world import identity, roster_engine

PEOPLE, ODD = 970, 15  # rows that are entered, and rows of trouble: 1,000 people with the newcomers
CHIEF = Actor(Role.GRID_WORKER.value, small_city.MINE)
OFFICE = Actor(Role.TOWN_OFFICER.value, small_city.TOWN_1)
COLUMNS = ("building_code", "building_address", "building_lon", "building_lat", "dwelling", "household_code",
           "relation", "name", "identity_number", "phone")  # fmt: skip
# All that could be a planted number, and the county in two disguises.
CANDIDATE = re.compile(rb"379981\d{11}[\dXx]|154\d{8}")
HIDDEN = (b"379981".hex().encode(), "379981".encode("utf-16-le"))
TODAY = china_today()


class Canary:
    """The planted numbers, and where they have been looked for."""

    def __init__(self) -> None:
        rng = random.Random(20261122)
        self.people = [
            (_name(n), identity(date(1930, 1, 1) + timedelta(days=rng.randrange(32000)), n), _phone(rng))
            for n in range(1000)
        ]
        self.planted = {value.encode() for _, *values in self.people for value in values}
        self.looked: dict[str, int] = {}

    def look(self, where: str, content: bytes) -> None:
        """Look for any planted number in what stood somewhere."""
        self.looked[where] = self.looked.get(where, 0) + len(content)
        found = self.planted & {each.upper() for each in CANDIDATE.findall(content)}
        assert not found, f"{where}: {len(found)} numbers in clear"
        assert not [hidden for hidden in HIDDEN if hidden in content.lower()], where


def _name(n: int) -> str:
    return "人" + "".join("甲乙丙丁戊己庚辛壬癸"[int(digit)] for digit in f"{n:04d}")


def _phone(rng: random.Random) -> str:
    return f"154{rng.randrange(10**8):08d}"


class Browser:
    """A signed-in client whose addresses and answers are all looked through."""

    def __init__(self, client: FlaskClient, username: str, canary: Canary) -> None:
        self.client, self.canary = client, canary
        sign_in(client, username)
        page = client.get("/exports").get_data(as_text=True)
        found = re.search('name="csrf_token" value="([^"]+)"', page)
        self.token = found[1] if found else ""

    def get(self, path: str) -> Any:
        return self._looked(path, self.client.get(path))

    def post(self, path: str, form: dict[str, Any], *, asked_for: bool = False) -> Any:
        # As the pages send it: a whole page of hits would say again what was typed.
        fragment = {"HX-Request": "true"}
        answer = self.client.post(path, data={"csrf_token": self.token, **form}, headers=fragment)
        return answer if asked_for else self._looked(path, answer)

    def _looked(self, path: str, answer: Any) -> Any:
        self.canary.look("addresses", f"{path} {answer.headers.get('Location', '')}".encode())
        self.canary.look(f"answers {answer.status_code // 100}xx", _unpacked(answer.data))
        answer.close()
        return answer


def _unpacked(content: bytes) -> bytes:
    """Return what stands inside: a workbook and a document are archives."""
    if not content.startswith(b"PK"):
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return b"\n".join(archive.read(name) for name in archive.namelist())


@pytest.fixture
def canary() -> Canary:
    return Canary()


@pytest.fixture
def city(cluster: Cluster, engine: Engine) -> Engine:
    """The small city in a database whose server logs every statement."""
    small_city.build(engine)
    accounts.create_account(engine, "second", small_city.PASSWORD, Role.TOWN_OFFICER, "x", OFFICE.area)
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("DELETE FROM household"))
        connection.execute(text(f"ALTER DATABASE \"{engine.url.database}\" SET log_statement = 'all'"))
    engine.dispose()
    return engine


@pytest.fixture
def settings(engine: Engine, tmp_path: Path) -> Settings:
    url = engine.url.render_as_string(hide_password=False)
    return Settings(home=tmp_path / "home", database_url=url, secret_key=None, basemap=None)


@pytest.fixture
def app(city: Engine, settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    app.config.update(TESTING=True, PROPAGATE_EXCEPTIONS=False)
    yield app
    app.extensions[EXTENSION].dispose()


@pytest.fixture
def roster(city: Engine) -> Iterator[Engine]:
    roster = roster_engine(city)
    yield roster
    roster.dispose()


def test_a_thousand_numbers_are_in_clear_nowhere(
    app: Flask, city: Engine, roster: Engine, settings: Settings, canary: Canary, cluster: Cluster,
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    for name in ("sqlalchemy.engine", "gridmgmt", "werkzeug"):
        caplog.set_level(logging.DEBUG, name)
    ring = KeyRing.opened(settings)
    _import(city, ring, canary, tmp_path)
    _change(roster, city, ring, canary)
    _browse(app, city, canary)
    ring.add(Algorithm.SM4_GCM)
    assert rotation.rotate(city, ring).left == 0
    retention.nightly(city, ring, settings.home, TODAY, dry_run=True)

    canary.look("program's log", caplog.text.encode())
    canary.look("home folder", b"\n".join(p.read_bytes() for p in settings.home.rglob("*") if p.is_file()))
    canary.look("dump of the database", _dump(city))
    canary.look("server's log of all statements", (cluster.root / "server.log").read_bytes())
    with capsys.disabled():
        print(f"\n  {len(canary.planted):,} numbers, 0 in clear in:")
        for where, size in canary.looked.items():
            print(f"    {where}: {size:,} bytes")


def _import(engine: Engine, ring: KeyRing, canary: Canary, folder: Path) -> None:
    """Enter people by a file with bad rows too; the rejects file alone quotes them, that is its purpose."""
    rows = [_row(n, *person) for n, person in enumerate(canary.people[: PEOPLE + ODD])]
    for n in range(PEOPLE, PEOPLE + ODD):
        number = rows[n][8]
        rows[n][8] = (number[:-1] + ("1" if number[-1] != "1" else "2"), number[:17], rows[0][8])[n % 3]
        canary.planted.add(rows[n][8].encode())
    path, rejects = folder / "in.csv", folder / "rejects.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])
    report = import_roster(engine, path, Mapping(crs="cgcs2000"), rejects=rejects, ring=ring)
    assert report.new >= PEOPLE - 2
    assert report.rejected
    canary.look("import report", repr(vars(report)).encode())
    path.unlink()
    rejects.unlink()


def _row(n: int, name: str, number: str, phone: str) -> list[str]:
    home = n // 3
    return [f"C{home // 10}", f"春天路{home // 10}号", f"{114.001 + home // 10 % 40 * 0.0002:.5f}", "32.995",
            str(home % 10 + 1), f"C{home}", "其他" if n % 3 else "户主", name, number, phone]  # fmt: skip


def _change(roster: Engine, engine: Engine, ring: KeyRing, canary: Canary) -> None:
    """Ask for changes, decide, fail in every way, and note numbers where none belong."""
    with engine.connect() as connection:
        homes = connection.execute(
            text("SELECT household_id, id FROM person WHERE name LIKE '人%' ORDER BY id LIMIT 40")
        ).all()
    fresh = canary.people[PEOPLE + ODD :]
    for (home, person), (name, number, phone) in zip(homes[::3], fresh, strict=False):
        one = {"name": name, "identity_number": number, "phone": phone, "relation": "other",
               "tenure": "family"}  # fmt: skip
        asked = changes.ask(roster, ring, CHIEF, _wanted(Kind.MOVE_IN, home, None, {"people": [one]}))
        changes.decide(roster, ring, OFFICE, asked, home % 2 == 0, "不符")
        changes.ask(roster, ring, CHIEF, _wanted(Kind.CORRECT, home, person, {"phone": fresh[0][2]}))
    home, person = homes[0]
    for values, error in (
        ({"identity_number": canary.people[9][1]}, ConflictError),
        ({"identity_number": canary.people[9][1][:17] + "?"}, InputError),
        ({"phone": canary.people[9][2] + "7"}, InputError),
    ):  # fmt: skip
        with pytest.raises(error) as refused:
            changes.ask(roster, ring, OFFICE, _wanted(Kind.CORRECT, home, person, values))
        canary.look("words of errors", str(refused.value).encode())
    with pytest.raises(InputError) as refused:
        changes.ask(roster, ring, CHIEF, _wanted(Kind.DEATH, home, person, {}, f"电话{fresh[1][2]}"))
    canary.look("words of errors", str(refused.value).encode())
    # The server logs the row that a constraint refused: it may show blind values, never clear ones.
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(
            text("INSERT INTO person (household_id, relation, name, identity, identity_index, salt) SELECT"
                 " household_id, 'other', name, identity, identity_index, salt FROM person WHERE id = :id"),
            {"id": person},
        )  # fmt: skip


def _wanted(kind: Kind, home: int, person: int | None, values: dict[str, Any], reason: str = "") -> Wanted:
    return Wanted(kind, home, person, TODAY, values, reason)


def _browse(app: Flask, engine: Engine, canary: Canary) -> None:
    """Walk through every page as every role, search, reveal, copy, export, and break a page on purpose."""
    with engine.connect() as connection:
        found = connection.execute(text("SELECT id, household_id FROM person ORDER BY id LIMIT 10")).all()
    browsers = {role: Browser(app.test_client(), role.value, canary) for role in Role}
    chief, office = browsers[Role.GRID_WORKER], browsers[Role.TOWN_OFFICER]
    for browser in browsers.values():
        for rule in app.url_map.iter_rules():
            if "GET" in (rule.methods or ()) and not rule.arguments:
                browser.get(rule.rule)
    for name, number, phone in canary.people[:10]:
        for words in (name, number, phone, number[:17] + "?", phone + "1"):
            chief.post("/homes/search", {"words": words})
    for person, home in found:
        for browser in (chief, office):
            for path in (f"/homes/{home}", f"/people/{person}/rights", f"/people/{person}/access"):
                browser.get(path)
    for person, _ in found[:5]:
        shown = chief.post(f"/people/{person}/reveal", {"field": "phone", "purpose": "call"}, asked_for=True)
        assert canary.planted & set(CANDIDATE.findall(shown.data))
        chief.post(f"/people/{person}/reveal", {"field": "phone", "purpose": "x"})
        office.post(f"/people/{person}/copy", {"asked_by": "self", "form": "json"}, asked_for=True)
    chief.post("/exports", {"area": CHIEF.area, "purpose": "visit", "column": ["phone", "identity"]})
    Browser(app.test_client(), "second", canary).post("/exports/1/decide", {"approve": "yes"})
    file = chief.client.post("/exports/1/file", data={"csrf_token": chief.token})
    assert file.data.startswith(b"PK")
    canary.look("masked file", _unpacked(file.data))
    _break(app, chief, canary)


def _break(app: Flask, chief: Browser, canary: Canary) -> None:
    """The form holds a number when the page fails as nobody expected."""
    number = canary.people[5][1]
    view = app.view_functions["roster.find"]

    def fails() -> None:
        raise RuntimeError("nobody expected this")

    app.view_functions["roster.find"] = _marked_as(view, fails)
    assert chief.post("/homes/search", {"words": number}).status_code == 500
    app.view_functions["roster.find"] = view
    assert chief.post("/homes/search?words=1", {"words": number, "csrf_token": "x"}).status_code == 400
    # Somebody types a number into an address: the answer must not say it again.
    for path in (f"/{number}", f"/homes/{number}", f"/people/{canary.people[5][2]}/rights"):
        answer = chief.client.get(path)
        assert answer.status_code in (403, 404)
        canary.look("answers 4xx", answer.data)


def _marked_as(view: Callable[..., Any], other: Callable[..., Any]) -> Callable[..., Any]:
    vars(other).update(vars(view))
    return other


def _dump(engine: Engine) -> bytes:
    url = engine.url
    done = subprocess.run(
        [server_programs() / "pg_dump", "-U", "postgres", "-h", str(url.query["host"]), str(url.database)],
        capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout

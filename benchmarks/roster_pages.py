"""Times of the roster's pages at the server: a grid's page, one household, and searches, over a full city.

`bench_roster` joins these to the import's rows. The database must hold people; every reading leaves its line
in the audit log, as in use.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from benchmarks.measure import against_goal
from gridmgmt.config import Settings
from gridmgmt.db import identity
from gridmgmt.db.engine import ROSTER, make_engine
from gridmgmt.db.models import Role
from gridmgmt.errors import GridmgmtError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.households.actor import Actor
from gridmgmt.households.reading import home, roster, search
from gridmgmt.privacy.cipher import unseal
from gridmgmt.privacy.keyring import KeyRing
from gridmgmt.web import create_app

REPEATS = 9
PAGE_GOAL_MS, SEARCH_GOAL_MS = 150.0, 100.0
PASSWORD = "a password for benchmarks"


def usual_grids(engine: Engine, households: int = 300, count: int = 3) -> list[str]:
    """Return the codes of the grids whose number of households is nearest to the one asked for."""
    statement = text(
        "SELECT g.code15 FROM household h JOIN grid g ON g.id = h.grid_id GROUP BY 1"
        " ORDER BY abs(count(*) - :households), 1 LIMIT :count"
    )
    with engine.connect() as connection:
        return list(connection.execute(statement, {"households": households, "count": count}).scalars())


def largest_town(engine: Engine) -> str:
    """Return the code of the town with most households: the hardest to search."""
    statement = text(
        "SELECT left(g.code15, 9) FROM household h JOIN grid g ON g.id = h.grid_id GROUP BY 1"
        " ORDER BY count(*) DESC, 1 LIMIT 1"
    )
    with engine.connect() as connection:
        return str(connection.execute(statement).scalar_one())


def grid_page(engine: Engine, ring: KeyRing, areas: Sequence[str]) -> list[dict[str, Any]]:
    """Return rows for each grid: its roster, its page for the chief and the office, one household's page.

    `engine` is the owner's; `areas` are 15-digit codes, by default of `usual_grids`.
    """
    people, rows = _roster(engine), []
    for area in areas:
        actor = Actor("bench", area)
        whole = roster.grid_roster(people, ring, actor, area)
        one = next(door.home.id for _, door in whole.lines() if door.home)
        named = f"{whole.households} households, {whole.persons} persons"
        chief, office = (_client(engine, ring, each) for each in (area, area[: DIGITS["town"]]))
        rows += [
            _row(f"roster of a grid, {named}", PAGE_GOAL_MS, roster.grid_roster, people, ring, actor, area),
            _row(f"page of a grid for its chief, {named}", PAGE_GOAL_MS, _get, chief, "/homes"),
            _row(
                f"page of a grid for the office, {named}", PAGE_GOAL_MS, _get, office, f"/homes?grid={area}"
            ),
            _row("a household", PAGE_GOAL_MS, home.household, people, ring, actor, one),
            _row("page of a household", PAGE_GOAL_MS, _get, chief, f"/homes/{one}"),
        ]
    people.dispose()
    return rows


def searches(engine: Engine, ring: KeyRing, areas: Sequence[str]) -> list[dict[str, Any]]:
    """Return rows for each area (9 or 15 digits): what people look for, found and not found."""
    people, rows = _roster(engine), []
    for area in areas:
        actor = Actor("bench", area)
        client = _client(engine, ring, area)
        token = _token(client, "/homes")
        for kind, words in _words(engine, ring, area).items():
            found = search.search(people, ring, actor, words)
            work = f"search by {kind}, area of {len(area)} digits, {len(found.hits)} found"
            rows.append(_row(work, SEARCH_GOAL_MS, search.search, people, ring, actor, words))
        rows.append(_row("page of a search by name", SEARCH_GOAL_MS, _post, client, token, words))
    people.dispose()
    return rows


def _words(engine: Engine, ring: KeyRing, area: str) -> dict[str, str]:
    statement = text("""
        SELECT p.name, p.identity, p.phone, p.salt, b.address, d.door
        FROM person p JOIN grid g ON g.id = p.grid_id JOIN household h ON h.id = p.household_id
            JOIN dwelling d ON d.id = h.dwelling_id JOIN building b ON b.id = d.building_id
        WHERE starts_with(g.code15, :area) AND p.left_on IS NULL AND p.identity IS NOT NULL
            AND p.phone IS NOT NULL AND length(p.name) = 3
        ORDER BY p.id LIMIT 1
    """)
    with engine.connect() as connection:
        one = connection.execute(statement, {"area": area}).one()
    salt = bytes(one.salt)
    return {
        "identity number": unseal(ring, salt, "identity", one.identity),
        "telephone": unseal(ring, salt, "phone", one.phone),
        "address": one.address,
        "address and door": f"{one.address}{one.door}",
        "half an address and a door nobody has": f"{one.address[:6]} 99-9999",
        "given name": one.name[1:],
        "nobody's name": "无此人",
        "family name": one.name[0],
        "name": one.name,
    }


def _roster(engine: Engine) -> Engine:
    return make_engine(engine.url.render_as_string(hide_password=False), role=ROSTER, pooled=True)


def _client(engine: Engine, ring: KeyRing, area: str) -> FlaskClient:
    """Return a client signed in for an area; the account is made at the first call."""
    role = Role.GRID_WORKER if len(area) == DIGITS["grid"] else Role.TOWN_OFFICER
    username = f"bench-{area}"
    with suppress(GridmgmtError):  # it stands from an earlier run
        identity.create_account(engine, username, PASSWORD, role, username, area)
    settings = Settings(
        home=ring.path.parent, database_url=engine.url.render_as_string(hide_password=False),
        secret_key="a key for benchmarks", basemap=None, keyring=ring.path,
    )  # fmt: skip
    client = create_app(settings).test_client()
    form = {"username": username, "password": PASSWORD, "csrf_token": _token(client, "/login")}
    client.post("/login", data=form)
    return client


def _token(client: FlaskClient, path: str) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(path).get_data(as_text=True))
    if not found:
        raise GridmgmtError(f"{path} holds no form")
    return found[1]


def _get(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    if answer.status_code != 200:
        raise GridmgmtError(f"{path} answered {answer.status_code}")


def _post(client: FlaskClient, token: str, words: str) -> None:
    form = {"words": words, "csrf_token": token}
    answer = client.post("/homes/search", data=form, headers={"HX-Request": "true"})
    if answer.status_code != 200:
        raise GridmgmtError(f"a search answered {answer.status_code}")


def _row(work: str, goal_ms: float, call: Callable[..., object], *values: object) -> dict[str, Any]:
    return against_goal(work, partial(call, *values), goal_ms, REPEATS)

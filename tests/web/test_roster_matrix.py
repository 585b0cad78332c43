"""Every roster route × role × scope × method: what is not yours is not there, whatever the address says.

Scopes: the own grid, a sibling grid of the same town, another town, and a number that nobody has. What lies
outside a role's area must answer exactly as what does not exist, and nothing of it may change.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.households.changes import service as changes
from gridmgmt.households.changes.models import Kind, ReviewStatus
from gridmgmt.households.changes.wanted import Wanted
from gridmgmt.households.reading import reveal
from gridmgmt.households.rights import erase, exports, subject
from gridmgmt.households.visits import rounds
from gridmgmt.households.visits.criteria import Criteria
from tests.db import roster_world
from tests.db.roster_world import (
    CHIEF,
    GRID_OTHER,
    GRID_OWN,
    GRID_SIBLING,
    OFFICE,
    OTHER_CHIEF,
    OTHER_OFFICE,
    SIBLING_CHIEF,
    World,
)

AsRole = Callable[[Role | None], FlaskClient]
CHIEFS, TOWN = Role.GRID_WORKER, Role.TOWN_OFFICER
# What the number in a route's address names; every numbered route of the roster stands here.
NAMES = {
    "/homes/<int:number>": "home",
    "/homes/<int:number>/access": "home",
    "/homes/<int:number>/changes": "home",
    "/homes/<int:number>/changes/new": "home",
    "/homes/changes/<int:number>/withdraw": "change",
    "/dwellings/<int:number>/move-in": "dwelling",
    "/people/<int:number>/reveal": "person",
    "/people/<int:number>/rights": "person",
    "/people/<int:number>/copy": "person",
    "/people/<int:number>/restrict": "person",
    "/people/<int:number>/erase": "person",
    "/people/<int:number>/access": "person",
    "/office/changes/<int:number>": "change",
    "/office/reviews/<int:number>": "review",
    "/exports/<int:number>/decide": "export",
    "/exports/<int:number>/file": "export",
    "/rounds/<int:number>": "round",
    "/rounds/<int:number>/stops": "stop",
}
BLUEPRINTS = {"roster", "changes", "rights", "visits", "rounds"}
NOBODY = 987_654
PEOPLE = {"own": "王建国", "sibling": "刘国庆", "other": "孙德明"}
TABLES = (
    "household", "person", "residency", "household_care", "dwelling", "visit", "visit_round", "visit_stop",
    "survey", "roster_change", "roster_event", "roster_history", "roster_review", "roster_export",
)  # fmt: skip
REVIEW = """
INSERT INTO roster_review (kind, area, person_id, household_id, fingerprint, file, row_number)
VALUES ('same_identity', :area, :person, :home, gen_random_uuid(), 'a.csv', 2) RETURNING id
"""
# Differs from one answer to the next: tokens, nonces, the address that was asked for, the clock.
NOISE = re.compile(r'nonce="[^"]*"|value="[^"]{20,}"|content="[^"]{20,}"|\d{2}:\d{2}|%20|data:image[^"\']*')


@dataclass(frozen=True)
class Things:
    """The number of one thing of each kind in each scope."""

    number: dict[str, dict[str, int]]
    world: World


@pytest.fixture
def things(city: Engine, app: Flask, tmp_path: Path) -> Iterator[Things]:
    """The roster's small world in the small city, with a request, a double, a file, a round in each grid."""
    ring = roster_world.make_ring(tmp_path)
    world = roster_world.build(city, ring)
    engine = roster_world.roster_engine(city)
    yield Things(_numbers(city, engine, world), world)
    engine.dispose()


def _numbers(owner: Engine, engine: Engine, world: World) -> dict[str, dict[str, int]]:
    number: dict[str, dict[str, int]] = {
        "home": {scope: world.home[scope] for scope in PEOPLE},
        "person": {scope: world.person[name] for scope, name in PEOPLE.items()},
        "dwelling": {
            "own": world.dwelling["high 401"],
            "sibling": world.dwelling["old 101"],
            "other": world.dwelling["other 202"],
        },
        **{kind: {} for kind in ("change", "export", "review", "round", "stop")},
    }
    staff = {
        "own": (CHIEF, GRID_OWN),
        "sibling": (SIBLING_CHIEF, GRID_SIBLING),
        "other": (OTHER_CHIEF, GRID_OTHER),
    }
    for scope, (actor, grid) in staff.items():
        wanted = Wanted(
            Kind.CORRECT,
            world.home[scope],
            world.person[PEOPLE[scope]],
            china_today(),
            {"name": "新名"},
            "更正",
        )
        number["change"][scope] = changes.ask(engine, world.ring, actor, wanted) or 0
        number["export"][scope] = exports.ask(engine, actor, grid, ["care"], next(iter(exports.PURPOSES)))
    for actor, scopes in ((OFFICE, ("own", "sibling")), (OTHER_OFFICE, ("other",))):
        made = rounds.begin(
            engine, actor, "防汛提醒", "请注意", Criteria(flags=("low_lying", "dilapidated")),
            china_today() + timedelta(9),
        )  # fmt: skip
        for scope in scopes:
            number["round"][scope] = made
    with owner.begin() as connection:
        for scope in PEOPLE:
            number["stop"][scope] = connection.execute(
                text("SELECT id FROM visit_stop WHERE household_id = :home"), {"home": world.home[scope]}
            ).scalar_one()
            row = {
                "area": staff[scope][1][:9],
                "person": number["person"][scope],
                "home": number["home"][scope],
            }
            number["review"][scope] = connection.execute(text(REVIEW), row).scalar_one()
    return {kind: {**scopes, "nobody": NOBODY} for kind, scopes in number.items()}


def _cases(app: Flask) -> list[tuple[str, str, str]]:
    """Every (method, route, what its number names) of the roster's numbered routes."""
    return [
        (method, rule.rule, NAMES[rule.rule])
        for rule in app.url_map.iter_rules()
        if rule.endpoint.split(".")[0] in BLUEPRINTS and "<int:number>" in rule.rule
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"})
    ]


def _reaches(role: Role, kind: str, scope: str) -> bool:
    if role == CHIEFS:
        return scope == "own" or (kind == "round" and scope == "sibling")
    return scope in ("own", "sibling")


def _token(client: FlaskClient) -> str:
    page = client.get("/homes").get_data(as_text=True)
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    if found is None:
        raise LookupError("no token on /homes")
    return found[1]


def _rows(engine: Engine, things: Things) -> dict[str, list[object]]:
    """Everything the database holds of the other town, row by row."""
    households = [things.world.home["other"]]
    with engine.connect() as connection:
        return {
            table: list(
                connection.execute(text(f"SELECT t::text FROM {table} t ORDER BY id")).scalars()
            )
            for table in TABLES
        } | {"audit": list(connection.execute(
            text("SELECT id FROM audit_log WHERE households && :homes AND who NOT LIKE 'other%'"),
            {"homes": households},
        ).scalars())}  # fmt: skip


def test_what_is_not_yours_is_not_there(city: Engine, app: Flask, as_role: AsRole, things: Things) -> None:
    names = [name for name, _ in things.world.identity.items()]
    others = [name for name in ("孙德明", "周玉梅") if name in names]
    before, tried, leaks = _rows(city, things), 0, []
    for method, rule, kind in _cases(app):
        for role in Role:
            client = as_role(role)
            token = {"csrf_token": _token(client)} if role in (CHIEFS, TOWN) and method == "POST" else {}
            for scope in ("sibling", "other", "nobody"):
                if role in (CHIEFS, TOWN) and _reaches(role, kind, scope):
                    continue
                path = rule.replace("<int:number>", str(things.number[kind][scope]))
                answer = client.open(path, method=method, data=token | _form(things, kind, scope))
                tried += 1
                expected = 403 if role not in (CHIEFS, TOWN) else None
                body = answer.get_data(as_text=True)
                if answer.status_code not in ((403,) if expected else (403, 404)):
                    leaks.append((method, path, role, scope, answer.status_code))
                if any(name in body for name in others):
                    leaks.append((method, path, role, scope, "a name"))
    assert leaks == []
    assert _rows(city, things) == before
    print(f"{tried} attempts outside the own area: 0 leaks")


def _form(things: Things, kind: str, scope: str) -> dict[str, str]:
    """What a right form of any of these routes would say of this thing, were it one's own."""
    return {
        "stop": str(things.number["stop"][scope]),
        "field": "phone",
        "purpose": next(iter(reveal.PURPOSES)),
        "asked_by": next(iter(subject.ASKED_BY)),
        "why": erase.OFFERED[0],
        "name": PEOPLE.get(scope, "无人"),
        "decision": ReviewStatus.DROPPED if kind == "review" else "approve",
        "approve": "yes",
        "restricted": "yes",
        "outcome": "done",
        "done": "yes",
    }


def test_the_answer_to_anothers_number_is_the_answer_to_no_number(
    app: Flask, as_role: AsRole, things: Things
) -> None:
    different = []
    for method, rule, kind in _cases(app):
        for role in (CHIEFS, TOWN):
            client = as_role(role)
            token = {"csrf_token": _token(client)} if method == "POST" else {}
            told = []
            for scope in ("other", "nobody"):
                number = things.number[kind][scope]
                answer = client.open(
                    rule.replace("<int:number>", str(number)),
                    method=method,
                    data=token | _form(things, kind, scope),
                )
                body = re.sub(rf"/{number}\\b", "/N", NOISE.sub("", answer.get_data(as_text=True)))
                told.append((answer.status_code, body))
            if told[0] != told[1]:
                different.append((method, rule, role, told[0][0], told[1][0]))
    assert different == []


def test_ones_own_is_there(app: Flask, as_role: AsRole, things: Things) -> None:
    closed = []
    for method, rule, kind in _cases(app):
        if method != "GET":
            continue
        for role in (CHIEFS, TOWN):
            path = rule.replace("<int:number>", str(things.number[kind]["own"]))
            answer = as_role(role).get(path)
            if answer.status_code not in (200, 302, 303) and not (
                role == CHIEFS and answer.status_code == 403
            ):
                closed.append((path, role, answer.status_code))
    assert closed == []


def test_every_numbered_route_of_the_roster_stands_in_this_table(app: Flask) -> None:
    rules = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint.split(".")[0] in BLUEPRINTS and "<int:" in rule.rule
    }
    assert rules == set(NAMES)

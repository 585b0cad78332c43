"""A handful of homes in two towns, with people whose numbers are sealed, for whoever tests the roster.

    town 1                                        town 2
    grid OWN: 春天路1号 (low-lying), 春天路3号     grid OTHER: 河西街5号
    grid SIBLING: 夏天路2号 (dilapidated)

The codes are those of `tests/web/small_city.py`, so that the web's tests may build this on top of that city.
Identity numbers have a county that nobody has (379981), phones begin with 154.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import shapely
from sqlalchemy import Connection, Engine, text

from gridmgmt.config import Settings
from gridmgmt.db.engine import ROSTER, make_engine
from gridmgmt.households.actor import Actor
from gridmgmt.privacy.blind import blind
from gridmgmt.privacy.cipher import new_salts, seal
from gridmgmt.privacy.keyring import KeyRing

COUNTY, TOWN_OWN, TOWN_OTHER = "990101", "990101001", "990101002"
GRID_OWN, GRID_SIBLING, GRID_OTHER = f"{TOWN_OWN}001001", f"{TOWN_OWN}001002", f"{TOWN_OTHER}001001"
NOWHERE_COUNTY = "379981"

CHIEF, OFFICE = Actor("own chief", GRID_OWN), Actor("own office", TOWN_OWN)
SIBLING_CHIEF = Actor("sibling chief", GRID_SIBLING)
OTHER_CHIEF, OTHER_OFFICE = Actor("other chief", GRID_OTHER), Actor("other office", TOWN_OTHER)


class Someone(NamedTuple):
    """A person of the world; no `number` for a newborn, registered here unless said otherwise."""

    name: str
    relation: str
    born: date
    number: str | None
    phone: str | None
    tenure: str
    registered_here: bool = True


@dataclass(frozen=True)
class World:
    """What was written: ids by readable names, and every number in clear."""

    ring: KeyRing
    grid: Mapping[str, int]  # own, sibling, other
    building: Mapping[str, int]  # low (own), high (own), old (sibling), other
    dwelling: Mapping[str, int]  # "low 101" and so on; "high 401" and "other 202" are empty
    home: Mapping[str, int]  # own, alone, tenants, shared (in the dwelling of own), sibling, other
    person: Mapping[str, int]
    identity: Mapping[str, str]
    phone: Mapping[str, str]


def identity(born: date, order: int, county: str = NOWHERE_COUNTY) -> str:
    """An identity number with its check character; an odd order is a man's (GB 11643-1999)."""
    digits = f"{county}{born:%Y%m%d}{order:03d}"
    rest = sum(int(digit) * 2 ** (17 - place) for place, digit in enumerate(digits)) % 11
    return digits + "10X98765432"[rest]


def _someone(
    name: str, relation: str, born: str, order: int, tenure: str = "owner", phone: str | None = None,
    registered_here: bool = True,
) -> Someone:  # fmt: skip
    day = date.fromisoformat(born)
    return Someone(name, relation, day, identity(day, order), phone, tenure, registered_here)


BUILDINGS = {  # address, grid, lon, lat, low_lying, dilapidated, self_built
    "low": ("春天路1号", GRID_OWN, 114.003, 32.997, True, False, False),
    "high": ("春天路3号", GRID_OWN, 114.006, 32.995, False, False, False),
    "old": ("夏天路2号", GRID_SIBLING, 114.005, 32.985, False, True, True),
    "other": ("河西街5号", GRID_OTHER, 114.025, 32.995, True, False, False),
}
DWELLINGS = (
    ("low", "101"), ("low", "102"), ("high", "201"), ("high", "202"), ("high", "401"), ("old", "101"),
    ("other", "201"), ("other", "202"),
)  # fmt: skip
HOMES = {
    "own": ("low 101", (
        _someone("王建国", "head", "1970-05-12", 11, phone="15400000001"),
        _someone("李秀兰", "spouse", "1972-08-03", 22, "family", "15400000002"),
        _someone("王小明", "child", "2001-02-28", 33, "family", registered_here=False),
    )),
    "shared": ("low 101", (_someone("王大山", "head", "1944-01-01", 55, "family"),)),
    "alone": ("low 102", (_someone("赵桂英", "head", "1941-12-24", 44, phone="15400000003"),)),
    "tenants": ("high 201", (
        _someone("陈志强", "head", "1990-07-07", 77, "tenant", "15400000004", False),
        _someone("欧阳娜娜", "spouse", "1991-11-30", 88, "tenant", "15400000005", False),
    )),
    "sibling": ("old 101", (
        _someone("刘国庆", "head", "1965-10-01", 13, phone="15400000006"),
        _someone("刘小雨", "child", "2015-06-01", 24, "family"),
    )),
    "other": ("other 201", (
        _someone("孙德明", "head", "1958-03-09", 15, phone="15400000007"),
        _someone("周玉梅", "spouse", "1960-09-19", 26, "family", "15400000008"),
    )),
}  # fmt: skip
CARE = (  # household, person, category
    ("alone", "赵桂英", "elderly_alone"), ("own", "王小明", "disabled"), ("sibling", "刘小雨", "left_behind"),
    ("other", "孙德明", "support"),
)  # fmt: skip
SINCE, CARE_EXPIRES = date(2020, 1, 1), date(2099, 12, 31)


def make_ring(home: Path) -> KeyRing:
    """The key ring of a folder; an application whose settings name that folder opens the same."""
    return KeyRing.opened(Settings(home=home, database_url=None, secret_key=None, basemap=None))


def roster_engine(engine: Engine) -> Engine:
    """The same database with the rights of the web's roster; dispose of it."""
    return make_engine(engine.url.render_as_string(hide_password=False), role=ROSTER)


def build(engine: Engine, ring: KeyRing) -> World:
    """Write the world as the owner: what of the territory stands already is left as it is."""
    with engine.begin() as connection:
        _territory(connection)
        codes = {"own": GRID_OWN, "sibling": GRID_SIBLING, "other": GRID_OTHER}
        grid = {name: _id(connection, "SELECT id FROM grid WHERE code15 = :a", code)
                for name, code in codes.items()}  # fmt: skip
        building = {name: _building(connection, name, *row) for name, row in BUILDINGS.items()}
        dwelling = {
            f"{name} {door}": _id(
                connection, "INSERT INTO dwelling (building_id, door) VALUES (:a, :b) RETURNING id",
                building[name], door,
            )
            for name, door in DWELLINGS
        }  # fmt: skip
        home, person = {}, {}
        for name, (where, people) in HOMES.items():
            home[name] = _id(
                connection,
                "INSERT INTO household (code, dwelling_id, persons) VALUES (:a, :b, 0) RETURNING id",
                f"H-{name}", dwelling[where],
            )  # fmt: skip
            for one in people:
                person[one.name] = add_person(connection, ring, home[name], dwelling[where], one)
        for household, who, category in CARE:
            _id(
                connection,
                "INSERT INTO household_care (household_id, person_id, category, basis, valid_from, expires)"
                " VALUES (:a, :b, :c, '入户核实', :d, :e) RETURNING id",
                home[household], person[who], category, SINCE, CARE_EXPIRES,
            )  # fmt: skip
    everybody = [one for _, people in HOMES.values() for one in people]
    numbers = {one.name: one.number for one in everybody if one.number}
    phones = {one.name: one.phone for one in everybody if one.phone}
    return World(ring, grid, building, dwelling, home, person, numbers, phones)


def add_person(connection: Connection, ring: KeyRing, household: int, dwelling: int, one: Someone) -> int:
    """Write a person with the sealed numbers and an open residency, and return the id."""
    salt = new_salts(1)[0]
    values = {
        "household": household, "relation": one.relation, "name": one.name, "born": one.born, "salt": salt,
        "sex": ("female", "male")[int(one.number[16]) % 2] if one.number else None,
        "identity": one.number and seal(ring, salt, "identity", one.number),
        "identity_index": one.number and blind(ring, "identity", one.number),
        "phone": one.phone and seal(ring, salt, "phone", one.phone),
        "phone_index": one.phone and blind(ring, "phone", one.phone),
        "registered": dwelling if one.registered_here else None,
    }  # fmt: skip
    number = connection.execute(
        text(
            "INSERT INTO person (household_id, relation, name, birth_on, sex, identity, identity_index,"
            " phone, phone_index, salt, registered_dwelling_id)"
            " VALUES (:household, :relation, :name, :born, :sex, :identity, :identity_index,"
            " :phone, :phone_index, :salt, :registered) RETURNING id"
        ),
        values,
    ).scalar_one()
    _id(
        connection,
        "INSERT INTO residency (person_id, dwelling_id, relation, valid_from) VALUES (:a, :b, :c, :d)"
        " RETURNING id",
        number, dwelling, one.tenure, SINCE,
    )  # fmt: skip
    return int(number)


def review_row(engine: Engine, world: World, kind: str, person: str, row: Mapping[str, object]) -> int:
    """Write a row of a file of the own town that may be this person and waits; returns its number."""
    salt = new_salts(1)[0]
    sealed = seal(world.ring, salt, "review", json.dumps(row))
    with engine.begin() as connection:
        return _id(
            connection,
            "INSERT INTO roster_review (kind, area, person_id, fingerprint, file, row_number, salt, sealed)"
            " VALUES (:a, :b, :c, gen_random_uuid(), '名册.xlsx', 7, :d, :e) RETURNING id",
            kind, TOWN_OWN, world.person[person], salt, sealed,
        )  # fmt: skip


def _territory(connection: Connection) -> None:
    for row in (
        (COUNTY, "样例县", "county", None),
        (TOWN_OWN, "城关街道", "town", COUNTY),
        (TOWN_OTHER, "河西镇", "town", COUNTY),
        (GRID_OWN[:12], "第1村", "village", TOWN_OWN),
        (GRID_OTHER[:12], "第3村", "village", TOWN_OTHER),
    ):
        connection.execute(
            text("INSERT INTO division VALUES (:a, :b, :c, :d, NULL) ON CONFLICT DO NOTHING"),
            dict(zip("abcd", row, strict=True)),
        )
    corners = {GRID_OWN: (114.0, 33.0), GRID_SIBLING: (114.0, 32.99), GRID_OTHER: (114.02, 33.0)}
    for code, (west, north) in corners.items():
        shape = shapely.MultiPolygon([shapely.box(west, north - 0.01, west + 0.01, north)]).wkt
        connection.execute(
            text(
                "INSERT INTO grid (code15, name, kind, village, geom, valid_from)"
                " SELECT :code, :name, 'base', :village, ST_GeomFromText(:shape, 4490), '2020-01-01'"
                " WHERE NOT EXISTS (SELECT FROM grid WHERE code15 = :code)"
            ),
            {"code": code, "name": f"{code[-3:]}号网格", "village": code[:12], "shape": shape},
        )


def _building(connection: Connection, code: str, *row: object) -> int:
    return _id(
        connection,
        "INSERT INTO building (code, address, grid_id, geom, low_lying, dilapidated, self_built)"
        " SELECT :a, :b, id, ST_SetSRID(ST_MakePoint(:d, :e), 4490), :f, :g, :h FROM grid"
        " WHERE code15 = :c RETURNING id",
        code, *row,
    )  # fmt: skip


def _id(connection: Connection, statement: str, *values: object) -> int:
    return int(connection.execute(text(statement), dict(zip("abcdefgh", values, strict=False))).scalar_one())

"""A county small enough to hold in the head, for whoever tests matters.

    town 1 城关街道                                town 2 河西镇
    village 1: grids OWN, SIBLING (south of it)    village 3: grid OTHER
    village 2: grid SECOND (east of OWN)

The codes and places are those of `tests/web/small_city.py`, so that the web's tests may build this on top
of that city. Noise is the urban management's and due in 3 working days, water the water bureau's, the fee
nobody's; only noise may be shown to everybody.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import shapely
from sqlalchemy import Connection, Engine, text

from gridmgmt.config import Settings
from gridmgmt.db import passwords
from gridmgmt.db.engine import MATTERS, make_engine
from gridmgmt.db.models import Role
from gridmgmt.incidents import holidays
from gridmgmt.incidents.actor import Actor
from gridmgmt.incidents.flows import stored as flows
from gridmgmt.incidents.handling.intake import Taken, Told, take_in
from gridmgmt.privacy.keyring import KeyRing

COUNTY, TOWN_OWN, TOWN_OTHER = "990101", "990101001", "990101002"
VILLAGE_OWN, VILLAGE_SECOND, VILLAGE_OTHER = f"{TOWN_OWN}001", f"{TOWN_OWN}002", f"{TOWN_OTHER}001"
GRID_OWN, GRID_SIBLING = f"{VILLAGE_OWN}001", f"{VILLAGE_OWN}002"
GRID_SECOND, GRID_OTHER = f"{VILLAGE_SECOND}001", f"{VILLAGE_OTHER}001"
CORNERS = {  # north-west corner of a square of a hundredth of a degree
    GRID_OWN: (114.0, 33.0), GRID_SIBLING: (114.0, 32.99), GRID_SECOND: (114.01, 33.0),
    GRID_OTHER: (114.02, 33.0),
}  # fmt: skip
SIDE = 0.01

URBAN, WATER_BUREAU, HOUSING = "城管局", "水利局", "住建局"
NOISE, RUBBISH, WATER, FEE = "1101", "1102", "1201", "1301"
CATEGORIES = (  # code, name, parent, department, working days, shown to everybody
    ("11", "市容环境", None, None, None, False),
    (NOISE, "噪声扰民", "11", URBAN, 3, True),
    (RUBBISH, "垃圾清运", "11", URBAN, None, False),
    ("12", "农田水利", None, None, None, False),
    (WATER, "灌溉用水", "12", WATER_BUREAU, None, False),
    ("13", "物业管理", None, None, None, False),
    (FEE, "物业收费", "13", None, None, False),
)

PASSWORD = "right horse battery"
# The names of the first six are those of `small_city`; `build` makes the others of `account` beside them.
WORKER = Actor("grid_worker", Role.GRID_WORKER, GRID_OWN)
OFFICE = Actor("town_officer", Role.TOWN_OFFICER, TOWN_OWN)
CENTRE = Actor("command", Role.COMMAND, "")
DEPARTMENT = Actor("department", Role.DEPARTMENT, "", URBAN)
SECOND_OFFICE = Actor("town_officer_2", Role.TOWN_OFFICER, TOWN_OWN)
OTHER_WORKER = Actor("other_worker", Role.GRID_WORKER, GRID_OTHER)
OTHER_OFFICE = Actor("other_officer", Role.TOWN_OFFICER, TOWN_OTHER)
OTHER_DEPARTMENT = Actor("water_bureau", Role.DEPARTMENT, "", WATER_BUREAU)
ACTORS = (
    WORKER, OFFICE, CENTRE, DEPARTMENT, SECOND_OFFICE, OTHER_WORKER, OTHER_OFFICE, OTHER_DEPARTMENT,
)  # fmt: skip


@dataclass(frozen=True)
class World:
    """What was written: `matters` acts with the role of those who handle matters; dispose of it."""

    owner: Engine
    matters: Engine
    ring: KeyRing
    grid: Mapping[str, int]  # code15 -> id

    def take_in(
        self, actor: Actor = OFFICE, *, grid: str = GRID_OWN, now: datetime | None = None, **told: Any
    ) -> Taken:
        """Take in a matter in the middle of a grid; `told` overrides what is said of it."""
        lon, lat = middle(grid)
        said: dict[str, Any] = {"category": NOISE, "words": "夜市到半夜还很吵", "channel": "12345"}
        said |= {"lon": lon, "lat": lat}
        return take_in(self.matters, self.ring, actor, Told(**(said | told)), uuid.uuid4(), now=now)

    def version(self, case_id: int) -> int:
        """Return how many steps a case has."""
        query = text("SELECT version FROM incident_case WHERE id = :id")
        with self.owner.connect() as connection:
            return int(connection.execute(query, {"id": case_id}).scalar_one())


def build(engine: Engine, home: Path | None = None) -> World:
    """Write the world as the owner: what stands already is left as it is.

    `home` is the folder of the key ring, the application's where there is one; by default the test run's.
    """
    with engine.begin() as connection:
        _territory(connection)
        _lists(connection)
    flows.install(engine)
    holidays.install(engine)
    _accounts(engine)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT code15, id FROM grid WHERE valid_to IS NULL"))
        grid = {str(code): int(number) for code, number in rows}
    return World(engine, matters_engine(engine), make_ring(home) if home else KeyRing.opened(), grid)


def middle(grid: str) -> tuple[float, float]:
    """Return the middle of a grid of this world, as longitude and latitude."""
    west, north = CORNERS[grid]
    return west + SIDE / 2, north - SIDE / 2


def matters_engine(engine: Engine) -> Engine:
    """The same database with the rights of those who handle matters; dispose of it."""
    return make_engine(engine.url.render_as_string(hide_password=False), role=MATTERS)


def make_ring(home: Path) -> KeyRing:
    """The key ring of a folder; an application whose settings name that folder opens the same."""
    return KeyRing.opened(Settings(home=home, database_url=None, secret_key=None, basemap=None))


def _territory(connection: Connection) -> None:
    for code, name, level, parent in (
        (COUNTY, "样例县", "county", None),
        (TOWN_OWN, "城关街道", "town", COUNTY),
        (TOWN_OTHER, "河西镇", "town", COUNTY),
        (VILLAGE_OWN, "第1村", "village", TOWN_OWN),
        (VILLAGE_SECOND, "第2村", "village", TOWN_OWN),
        (VILLAGE_OTHER, "第3村", "village", TOWN_OTHER),
    ):
        _run(
            connection,
            "INSERT INTO division (code, name, level, parent) VALUES (:a, :b, :c, :d) ON CONFLICT DO NOTHING",
            code, name, level, parent,
        )  # fmt: skip
    for code, (west, north) in CORNERS.items():
        shape = shapely.MultiPolygon([shapely.box(west, north - SIDE, west + SIDE, north)]).wkt
        _run(
            connection,
            "INSERT INTO grid (code15, name, kind, village, geom, valid_from)"
            " SELECT :a, :b, 'base', :c, ST_GeomFromText(:d, 4490), '2020-01-01'"
            " WHERE NOT EXISTS (SELECT FROM grid WHERE code15 = :a)",
            code, f"{code[-3:]}号网格", code[:12], shape,
        )  # fmt: skip


def _lists(connection: Connection) -> None:
    for name in (URBAN, WATER_BUREAU, HOUSING):
        _run(connection, "INSERT INTO department VALUES (:a) ON CONFLICT DO NOTHING", name)
    for row in CATEGORIES:
        _run(
            connection,
            "INSERT INTO category (code, name, parent, department, days, open)"
            " VALUES (:a, :b, :c, :d, :e, :f) ON CONFLICT DO NOTHING",
            *row,
        )  # fmt: skip


def _accounts(engine: Engine) -> None:
    """Make an account an actor, all with the one password; it is hashed once, because that takes long."""
    with engine.begin() as connection:
        first = connection.scalar(text("SELECT password_hash FROM account LIMIT 1"))
        known = first or passwords.hashed(PASSWORD)
        for actor in ACTORS:
            _run(
                connection,
                "INSERT INTO account (username, password_hash, role, display_name, area, unit)"
                " VALUES (:a, :b, :c, :d, :e, :f)"
                " ON CONFLICT (username) DO UPDATE SET unit = excluded.unit, area = excluded.area",
                actor.username, known, actor.role, f"{actor.unit or actor.username}的人",
                actor.area or None, actor.unit or None,
            )  # fmt: skip


def _run(connection: Connection, statement: str, *values: object) -> None:
    connection.execute(text(statement), dict(zip("abcdef", values, strict=False)))

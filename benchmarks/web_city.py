"""The full sample city to time the web on: of a home that stands already, or loaded for the occasion.

GRIDMGMT_BENCH_HOME names a home that `gridmgmt demo --no-serve` has filled; without it one is made in a
temporary folder, by the demo's own steps, and dropped at the end. Accounts made here are gone afterwards.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, text

from gridmgmt.cli.database import bring_up
from gridmgmt.db import identity
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import make_engine
from gridmgmt.db.models import Role

HOME = "GRIDMGMT_BENCH_HOME"
PASSWORD = "a bench has a password"
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Person:
    """Somebody who signs in: in an area, or for a department, and what may be asked for from there."""

    username: str
    role: Role
    area: str = ""
    unit: str = ""
    known: dict[str, list[str]] = field(default_factory=dict)


@contextmanager
def opened() -> Iterator[tuple[Path, Engine]]:
    """Give the home of a full city and an engine on it with the owner's rights."""
    stands = os.environ.get(HOME)
    if stands:
        with _engine(Path(stands), keep=True) as engine:
            yield Path(stands), engine
        return
    with tempfile.TemporaryDirectory(prefix="gridmgmt-bench-") as folder:
        home = Path(folder) / "home"
        Path(folder).chmod(0o755)
        subprocess.run(
            [sys.executable, "-m", "gridmgmt", "demo", "--no-serve"], check=True, cwd=ROOT,
            env=os.environ | {"GRIDMGMT_HOME": str(home)}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        with _engine(home, keep=False) as engine:
            yield home, engine


@contextmanager
def _engine(home: Path, *, keep: bool) -> Iterator[Engine]:
    cluster = Cluster(home)
    cluster.start()
    engine = make_engine(cluster.url())
    try:
        bring_up(engine)
        yield engine
    finally:
        engine.dispose()
        cluster.release() if keep else cluster.drop()


# --- people

# What each may name in an address, by where it lies; `:area` is theirs, `:unit` their department.
_TILE = """
    {zoom} || '/' || floor((ST_X(ST_PointOnSurface(geom)) + 180) / 360 * 2 ^ {zoom})::integer || '/' ||
    floor((1 - asinh(tand(ST_Y(ST_PointOnSurface(geom)))) / pi()) / 2 * 2 ^ {zoom})::integer
    """
KNOWN = {
    "case": """
        SELECT c.id FROM incident_case c LEFT JOIN grid g ON g.id = c.grid_id
        WHERE starts_with(CASE WHEN length(:area) = 15 THEN g.code15 ELSE c.village END, :area) AND c.open
        ORDER BY c.id LIMIT 300
        """,
    "unit_case": """
        SELECT DISTINCT h.case_id FROM incident_hand h JOIN incident_case c ON c.id = h.case_id
        WHERE h.unit = :unit AND c.open ORDER BY 1 LIMIT 300
        """,
    "home": """
        SELECT h.id FROM household h JOIN grid g ON g.id = h.grid_id WHERE starts_with(g.code15, :area)
        ORDER BY md5(h.code) LIMIT 200
        """,
    "grid": """
        SELECT code15 FROM grid WHERE valid_to IS NULL AND starts_with(code15, :area) ORDER BY md5(code15)
        """,
    # Tiles (zoom/x/y) that hold a grid's middle: the buildings of a street, the grids of a district.
    "tile15": f"SELECT DISTINCT {_TILE.format(zoom=15)} FROM grid WHERE valid_to IS NULL LIMIT 200",
    "tile12": f"SELECT DISTINCT {_TILE.format(zoom=12)} FROM grid WHERE valid_to IS NULL",
    "item": """
        SELECT id FROM seasonal_item WHERE starts_with(area, :area) AND level = 'grid'
        ORDER BY year DESC, md5(area) LIMIT 200
        """,
    "category": "SELECT category FROM incident GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 20",
}  # fmt: skip
PERSONAL = (Role.GRID_WORKER, Role.TOWN_OFFICER)


@contextmanager
def people(engine: Engine, counts: dict[Role, int]) -> Iterator[list[Person]]:
    """Give accounts, so many of each role, in the grids, towns and departments with most to do."""
    mark = os.urandom(3).hex()
    made = [
        _person(engine, f"bench-{mark}-{role}-{number}", role, area, unit)
        for role, count in counts.items()
        for number, (area, unit) in enumerate(_spread(_bound(engine, role), count))
    ]
    first = f"bench-{mark}"
    try:
        # One password, hashed once: it is meant to take long.
        identity.create_account(engine, first, PASSWORD, Role.COMMAND, first)
        with engine.begin() as connection:
            connection.execute(text(_ACCOUNT), [_row(each) | {"first": first} for each in made])
        yield made
    finally:
        with engine.begin() as connection:
            names = {"names": [first, *(each.username for each in made)]}
            connection.execute(text("DELETE FROM account WHERE username = ANY(:names)"), names)


_ACCOUNT = """
    INSERT INTO account (username, password_hash, role, display_name, area, unit)
    SELECT :username, password_hash, :role, :username, :area, :unit FROM account WHERE username = :first
"""


def _row(each: Person) -> dict[str, str | None]:
    return {
        "username": each.username, "role": each.role, "area": each.area or None, "unit": each.unit or None
    }  # fmt: skip


def _bound(engine: Engine, role: Role) -> list[tuple[str, str]]:
    """Return the (area, department) that accounts of a role are bound to, those with most to do first."""
    digits = {Role.GRID_WORKER: 15, Role.TOWN_OFFICER: 9}.get(role)
    if digits:
        query = f"""
            SELECT left(g.code15, {digits}), '' FROM grid g
            LEFT JOIN incident_case c ON c.grid_id = g.id AND c.open
            WHERE g.valid_to IS NULL GROUP BY 1 ORDER BY count(c.id) DESC, 1 LIMIT 40
            """
    elif role is Role.DEPARTMENT:
        query = "SELECT '', unit FROM incident_hand GROUP BY unit ORDER BY count(*) DESC, unit LIMIT 10"
    else:
        return [("", "")]
    with engine.connect() as connection:
        return [(str(area), str(unit)) for area, unit in connection.execute(text(query))]


def _spread(places: Sequence[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    return [places[number % len(places)] for number in range(count)]


def _person(engine: Engine, username: str, role: Role, area: str, unit: str) -> Person:
    wanted = [name for name in KNOWN if name != "home" or role in PERSONAL]
    found = {}
    with engine.connect() as connection:
        for name in wanted:
            statement = text(KNOWN[name])
            bound = {key: {"area": area, "unit": unit}[key] for key in statement._bindparams}
            found[name] = [str(value) for value in connection.execute(statement, bound).scalars()]
    return Person(username, role, area, unit, found)

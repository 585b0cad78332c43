"""The small city that the bench works on: made by the demo's own steps, or a copy of one that stands.

GRIDMGMT_FAULTS_HOME names the home of a city (`gridmgmt demo --no-serve --scale 0.05`), whose database is
copied and stays as it is.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, text

from benchmarks.faults.machine import ROOT
from benchmarks.web_city import Person, people
from gridmgmt.cli.database import bring_up
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import make_engine
from gridmgmt.db.models import Role
from gridmgmt.incidents.opening import keys
from gridmgmt.incidents.opening.keys import Scope

HOME = "GRIDMGMT_FAULTS_HOME"
SCALE = "0.05"
COUNTS = {Role.TOWN_OFFICER: 4, Role.DEPARTMENT: 2, Role.GRID_WORKER: 3}


def origin(work: Path) -> Path:
    """Return the home of the city that is copied."""
    return Path(os.environ.get(HOME) or work / "city")


@contextmanager
def copied(work: Path) -> Iterator[tuple[Path, Path]]:
    """Give a home of its own and the data folder of a city whose server is at rest."""
    home = origin(work)
    if not (home / "sample.json").exists():
        subprocess.run(
            [sys.executable, "-m", "gridmgmt", "demo", "--no-serve", "--scale", SCALE], check=True, cwd=ROOT,
            env=os.environ | {"GRIDMGMT_HOME": str(home)}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    cluster = Cluster(home)
    cluster.stop()
    own = work / "home"
    own.mkdir(exist_ok=True)
    for name in ("keyring.json", "session.key"):
        if (home / name).exists():
            (own / name).write_bytes((home / name).read_bytes())
            (own / name).chmod(0o600)
    yield own, cluster.data
    if HOME not in os.environ:
        cluster.drop()


@dataclass(frozen=True)
class Known:
    """Who works there, and what they may name."""

    people: list[Person]
    api_key: str
    places: list[tuple[float, float]]
    categories: list[str]
    villages: dict[str, list[str]]
    cases: dict[str, list[int]]
    units: list[str]
    dwellings: dict[str, list[int]]

    def of(self, role: Role) -> list[Person]:
        return [each for each in self.people if each.role is role]


@contextmanager
def inhabited(url: str) -> Iterator[tuple[Engine, Known]]:
    """Give an engine with the owner's rights, and whoever is to work there."""
    engine = make_engine(url)
    bring_up(engine)
    with people(engine, COUNTS) as found:
        yield engine, _known(engine, found)
    engine.dispose()


def _known(engine: Engine, found: list[Person]) -> Known:
    with engine.connect() as connection:

        def column(query: str, **bound: object) -> list[str]:
            return [str(each) for each in connection.execute(text(query), bound).scalars()]

        points = connection.execute(
            text("""
            SELECT ST_X(c), ST_Y(c) FROM grid, ST_PointOnSurface(geom) AS c
            WHERE valid_to IS NULL AND kind = 'base' ORDER BY md5(code15) LIMIT 50
            """)
        ).all()
        areas = [each.area for each in found if each.role is Role.TOWN_OFFICER]
        grids = [each.area for each in found if each.role is Role.GRID_WORKER]
        of_grid = """
            SELECT d.id FROM dwelling d JOIN building b ON b.id = d.building_id
            JOIN grid g ON g.id = b.grid_id WHERE g.code15 = :grid ORDER BY d.id LIMIT 50
            """
        # What stands with the city is not an office's to act on.
        of_town = """
            SELECT id FROM incident_case WHERE open AND level <> 'city' AND starts_with(village, :area)
            ORDER BY id DESC LIMIT 200
            """
        return Known(
            found,
            keys.add(engine, f"faults-{os.urandom(3).hex()}", [Scope.WRITE], "bench", a_minute=100_000),
            [(float(lon), float(lat)) for lon, lat in points],
            column("SELECT category FROM incident GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 12"),
            {
                area: column(
                    "SELECT code FROM division WHERE level = 'village' AND starts_with(code, :area)",
                    area=area,
                )
                for area in areas
            },
            {area: [int(each) for each in column(of_town, area=area)] for area in areas},
            sorted({each.unit for each in found if each.unit}),
            {grid: [int(each) for each in column(of_grid, grid=grid)] for grid in grids},
        )  # fmt: skip

"""An import killed with -9 at any moment, and run again, ends in the same state."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from gridmgmt.config import Settings
from gridmgmt.db import migrations
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import create_database, make_engine
from gridmgmt.errors import SetupError
from gridmgmt.households.incoming.importer import import_roster
from gridmgmt.importing.mapping import load_mapping
from gridmgmt.incidents.importer import import_incidents
from gridmgmt.incidents.taxonomy_import import import_categories
from gridmgmt.privacy.keyring import KeyRing
from tests.db.roster_world import identity

ROWS = 30_000
PLAIN = load_mapping(None, crs="wgs84")

# Kills itself at the n-th sign of progress, or says "merging" and leaves the moment to its parent.
CHILD = """
import os, signal, sys
from pathlib import Path
from functools import partial
from gridmgmt.incidents import importer
from gridmgmt.db.engine import make_engine
from gridmgmt.importing.mapping import load_mapping
from gridmgmt.importing.progress import Progress

# Small chunks, so that rows are already staged when death comes.
importer.read_chunks = partial(importer.read_chunks, rows=4000)

class Deadly(Progress):
    left = int(sys.argv[3])
    def at(self, amount):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    def doing(self, what):
        print(what, flush=True)

mapping = load_mapping(None, crs="wgs84")
importer.import_incidents(make_engine(sys.argv[1]), Path(sys.argv[2]), mapping, progress=Deadly())
print("done", flush=True)
"""


def write(path: Path, title: str) -> Path:
    days = (f"202{i % 3}-0{i % 9 + 1}-1{i % 10}" for i in range(ROWS))
    places = (f"{114 + i % 100 / 1000},{33 + i % 77 / 1000}" for i in range(ROWS))
    lines = (
        f"{i},{day},c,{at},{title} {i % 5}" for i, (day, at) in enumerate(zip(days, places, strict=True))
    )
    path.write_text("external_id,occurred_at,category,lon,lat,title\n" + "\n".join(lines) + "\n")
    return path


def state(engine: Engine) -> tuple[int, str, int]:
    """Return how many matters there are, the digest of all they hold, and the number of data versions."""
    query = """
        SELECT count(*), md5(string_agg(ROW(tableoid::regclass, source, external_id, category, occurred_at,
            occurred_on, reported_at, geom::text, grid_id, title, status, digest)::text, ''
            ORDER BY external_id)),
            (SELECT count(*) FROM import_run)
        FROM incident
    """
    with engine.connect() as connection:
        count, digest, runs = connection.execute(text(query)).one()
        return count, digest, runs


def killed(url: str, path: Path, *, sign: int = 0, wait: float = 0.0) -> bool:
    """Run an import in a process of its own, kill it, and say whether it died before it was done."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, url, str(path), str(sign)],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], env=os.environ,
    )  # fmt: skip
    assert child.stdout is not None
    if child.stdout.readline().strip() == "merging":
        time.sleep(wait)
        child.send_signal(signal.SIGKILL)
    rest = child.stdout.read()
    child.stdout.close()
    assert child.wait() in (-signal.SIGKILL, 0)
    return "done" not in rest


@pytest.fixture
def listed(engine: Engine, tmp_path: Path) -> Engine:
    path = tmp_path / "categories.csv"
    path.write_text("code,name\nc,c\n")
    import_categories(engine, path, PLAIN)
    return engine


def test_an_import_killed_anywhere_and_run_again_ends_as_if_never_disturbed(listed, database, tmp_path):
    first, second = write(tmp_path / "first.csv", "old"), write(tmp_path / "second.csv", "new")
    import_incidents(listed, first, PLAIN)
    after_first = state(listed)
    import_incidents(listed, second, PLAIN)
    after_second = state(listed)
    assert after_first[0] == after_second[0] == ROWS
    assert after_first[1] != after_second[1]
    with listed.begin() as connection:
        connection.execute(text("TRUNCATE incident; DELETE FROM import_run WHERE kind = 'incidents'"))
    empty = state(listed)
    deaths = 0
    for path, before, after in ((first, empty, after_first), (second, after_first, after_second)):
        for moment in ({"sign": 1}, {"sign": 4}, {"wait": 0.0}, {"wait": 0.05}, {"wait": 0.2}, {"wait": 0.5}):
            died = killed(database, path, **moment)
            deaths += died
            # Nothing half-done is ever seen: the table is as before, or, when death came too late, as after.
            assert state(listed) in ((before,) if died and "sign" in moment else (before, after))
        import_incidents(listed, path, PLAIN)
        assert state(listed)[:2] == after[:2]
    assert deaths >= 6


# --- the roster: the program and the database are killed by turns

HOUSEHOLDS = 4_000
DEATHS = 20
ROSTER_CHILD = """
import sys
from pathlib import Path
from gridmgmt.config import Settings
from gridmgmt.db.engine import make_engine
from gridmgmt.errors import SetupError
from gridmgmt.households.incoming.importer import import_roster
from gridmgmt.importing.mapping import load_mapping
from gridmgmt.privacy.keyring import KeyRing
ring = KeyRing.opened(Settings(Path(sys.argv[3]), None, None, None))
engine = make_engine(sys.argv[1])
print("ready", flush=True)
import_roster(engine, Path(sys.argv[2]), load_mapping(None, crs="wgs84"), ring=ring)
print("done", flush=True)
"""
WHOLE = """
SELECT count(*), count(DISTINCT p.identity_index), md5(string_agg(ROW(h.code, h.persons, d.door, p.relation,
    p.name, p.birth_on, p.identity_index, p.phone_index, p.left_why, r.relation, r.valid_from,
    r.valid_to)::text, ''
    ORDER BY p.name, p.identity_index, r.valid_from, r.id))
FROM person p JOIN household h ON h.id = p.household_id JOIN dwelling d ON d.id = h.dwelling_id
LEFT JOIN residency r ON r.person_id = p.id
"""
HALF = """
SELECT count(*) FROM household h LEFT JOIN person p ON p.household_id = h.id AND p.left_on IS NULL
GROUP BY h.id HAVING count(p.id) <> h.persons OR count(p.id) FILTER (WHERE p.relation = 'head') <> 1
"""


def write_people(path: Path, *, moved: bool) -> Path:
    """Three people a household; with `moved` every fifth child is gone and every third phone is another."""
    born = date(1960, 1, 1)
    lines = [
        "building_code,building_address,dwelling,household_code,relation,name,identity_number,phone,since"
    ]
    for home in range(HOUSEHOLDS):
        for place, relation in enumerate(("户主", "配偶", "子女")):
            if moved and relation == "子女" and home % 5 == 0:
                continue
            number = identity(born + timedelta(home % 9_000), 3 * (home // 9_000) + place)
            phone = f"154{home * 3 + place + (50_000_000 if moved and home % 3 == 0 else 0):08d}"
            lines.append(
                f"B{home // 20},甲路{home // 20}号,{home % 20},H{home},{relation},人{home}{relation},"
                f"{number},{phone},2020-01-01"
            )
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster that may be killed."""
    home = Path(tempfile.mkdtemp(prefix="gridmgmt-kill-"))
    home.chmod(0o755)
    server = Cluster(home)
    server.start()
    yield server
    server.drop()
    shutil.rmtree(home, ignore_errors=True)


def people_now(engine: Engine) -> tuple[int, int, str]:
    with engine.connect() as connection:
        assert connection.execute(text(HALF)).all() == []
        count, numbers, digest = connection.execute(text(WHOLE)).one()
        return count, numbers, digest


def test_a_roster_killed_twenty_times_loses_and_doubles_nobody(own_cluster: Cluster, tmp_path: Path) -> None:
    first, second = (
        write_people(tmp_path / "a.csv", moved=False),
        write_people(tmp_path / "b.csv", moved=True),
    )
    ring = KeyRing.opened(Settings(tmp_path, None, None, None))
    states, seconds = [], 0.0
    create_database(own_cluster.url("postgres"), "clean")
    clean = make_engine(own_cluster.url("clean"))
    migrations.up(clean)
    create_database(own_cluster.url("postgres"), "killed", template="clean")
    for path in (first, second):
        states.append(people_now(clean))
        start = time.perf_counter()
        import_roster(clean, path, PLAIN, ring=ring)
        seconds = time.perf_counter() - start
    states.append(people_now(clean))
    clean.dispose()
    assert states[1][:2] == states[2][:2] == (3 * HOUSEHOLDS,) * 2
    rng, died = random.Random(6), 0
    for before, path, after in zip(states[:2], (first, second), states[1:], strict=True):
        for turn in range(DEATHS // 2):
            died += _killed_roster(
                own_cluster, path, tmp_path, rng.uniform(0.0, 1.2 * seconds), bool(turn % 2)
            )
            engine = make_engine(own_cluster.url("killed"))
            assert people_now(engine) in (before, after)
            engine.dispose()
        engine = make_engine(own_cluster.url("killed"))
        import_roster(engine, path, PLAIN, ring=ring)
        assert people_now(engine) == after
        engine.dispose()
    print(
        f"{DEATHS} imports killed, {died} before they were done; {states[2][0]} people, none lost or doubled"
    )
    assert died >= DEATHS // 3


def _start_again(cluster: Cluster) -> None:
    """Start a server whose head was killed: its workers notice and end a moment later, as does its number."""
    for _ in range(200):
        with suppress(SetupError, OperationalError):
            cluster.start()
            with make_engine(cluster.url("postgres")).connect():
                return
        time.sleep(0.1)
    raise AssertionError("the server does not start again")


def _killed_roster(cluster: Cluster, path: Path, home: Path, wait: float, server: bool) -> bool:
    """Run an import in a process of its own, kill it or the database, and say whether it was not done."""
    command = [sys.executable, "-c", ROSTER_CHILD, cluster.url("killed"), str(path), str(home)]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        cwd=Path(__file__).parents[2], env=os.environ,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "ready"
    time.sleep(wait)
    if server:
        os.kill(int((cluster.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    else:
        child.send_signal(signal.SIGKILL)
    rest = child.stdout.read()
    child.stdout.close()
    child.wait()
    if server:
        _start_again(cluster)
    return "done" not in rest

"""An import killed with -9 at any moment, and run again, ends in the same state."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from gridmgmt.importing.mapping import load_mapping
from gridmgmt.incidents.importer import import_incidents
from gridmgmt.incidents.taxonomy_import import import_categories

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

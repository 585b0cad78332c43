"""What is lost with a machine, and whether a moment comes back: `python -m benchmarks.recover`.

A small city of its own is written on, four rows a second, while `gridmgmt db archive` runs as it is run in
earnest. At a random second server and archive are killed and their folder is not asked any more. The loss is
the time between the kill and the last row that comes back. Then random moments before are restored: all that
was acknowledged by then must be there, and nothing that was begun after it.

Prints the numbers as JSON; ends with 1 when a moment was not met, a row in between is missing, or more than a
minute is lost.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from gridmgmt.config import Settings
from gridmgmt.db.backup import base, restore, sealing, wal
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import create_database, make_engine

PAUSE_S, LOST_S = 0.25, 60.0


@dataclass(frozen=True)
class Told:
    """When a row was begun and when it was acknowledged; its number is its place."""

    begun: datetime
    acknowledged: datetime


def run(seconds: float, moments: int, rng: random.Random) -> dict[str, Any]:
    """Return what was lost, and how many moments were met."""
    with tempfile.TemporaryDirectory(prefix="gridmgmt-recover-") as place:
        folder = Path(place)
        folder.chmod(0o755)  # the server's account walks through it
        key = folder / "key"
        settings = Settings(
            folder / "city", None, None, None, backups=folder / "safe",
            backup_recipient=sealing.new_key(key),
        )  # fmt: skip
        rows, killed = _until_killed(settings, seconds * rng.uniform(0.7, 1.0))
        back, took = _restored(settings, key, folder / "end", None)
        spans = [rng.uniform(0.0, 1.0) for _ in range(moments)]
        first, last = base.listed(folder / "safe")[0].ended, rows[len(back) - 1].acknowledged
        asked = sorted(first + (last - first) * span for span in spans)
        met = [_met(settings, key, folder / f"{at:%H%M%S%f}", rows, at) for at in asked]
    return {
        "acknowledged": len(rows), "came_back": len(back), "without_gap": back == list(range(len(back))),
        "lost_s": round(max(0.0, (killed - last).total_seconds()), 1), "restored_s": round(took, 1),
        "moments": len(met), "moments_met": sum(met),
    }  # fmt: skip


def _until_killed(settings: Settings, seconds: float) -> tuple[list[Told], datetime]:
    cluster = Cluster(settings.home)
    cluster.start(keep=True)  # its watcher must not say goodbye
    create_database(cluster.url("postgres"), "gridmgmt")
    with _archiving(settings) as archive:
        engine = make_engine(cluster.url(), pooled=True)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE told (number integer)"))
        base.make(settings)
        while wal.archived(settings.backup_folder()) is None:
            time.sleep(0.1)
        rows: list[Told] = []
        ends = datetime.now(UTC) + timedelta(seconds=seconds)
        while datetime.now(UTC) < ends:
            begun = datetime.now(UTC)
            with engine.begin() as connection:
                connection.execute(text("INSERT INTO told VALUES (:number)"), {"number": len(rows)})
            rows.append(Told(begun, datetime.now(UTC)))
            time.sleep(PAUSE_S)
        server = int((cluster.data / "postmaster.pid").read_text().split()[0])
        for process in (archive.pid, server):
            os.kill(process, signal.SIGKILL)
        killed = datetime.now(UTC)
        engine.dispose()
    shutil.rmtree(settings.home)
    return rows, killed


@contextmanager
def _archiving(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    told = {
        "GRIDMGMT_HOME": str(settings.home), "GRIDMGMT_BACKUPS": str(settings.backup_folder()),
        "GRIDMGMT_BACKUP_RECIPIENT": str(settings.backup_recipient),
    }  # fmt: skip
    bare = {name: value for name, value in os.environ.items() if not name.startswith("GRIDMGMT_")}
    process = subprocess.Popen([sys.executable, "-m", "gridmgmt", "db", "archive"], env=bare | told)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _restored(settings: Settings, key: Path, home: Path, at: datetime | None) -> tuple[list[int], float]:
    began = time.monotonic()
    restore.restore(settings.backup_folder(), "latest", key, home, until=at)
    took, cluster = time.monotonic() - began, Cluster(home)
    cluster.start()
    try:
        with make_engine(cluster.url()).connect() as connection:
            found = connection.execute(text("SELECT number FROM told ORDER BY number")).scalars()
            return list(found), took
    finally:
        cluster.drop()


def _met(settings: Settings, key: Path, home: Path, rows: list[Told], at: datetime) -> bool:
    found = set(_restored(settings, key, home, at)[0])
    due = {number for number, row in enumerate(rows) if row.acknowledged <= at}
    early = {number for number, row in enumerate(rows) if row.begun > at}
    return due <= found and not early & found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recover")
    parser.add_argument("--seconds", type=float, default=100.0, help="writing before the kill, at most")
    parser.add_argument("--moments", type=int, default=5, help="random moments to restore")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    found = run(chosen.seconds, chosen.moments, random.Random(chosen.seed))
    print(json.dumps(found))
    good = found["without_gap"] and found["lost_s"] <= LOST_S and found["moments_met"] == found["moments"]
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()

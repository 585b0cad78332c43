"""Matters: importing 100,000, an office's lists at a million, and fifty clients who read and write at once.

Everything runs on a private cluster of its own, dropped at the end. `python -m benchmarks.bench_matters
--quick` tries the whole on a tenth of the matters and for ten seconds.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.csv as pacsv
from sqlalchemy import Engine, text

from benchmarks import matters_city, matters_clients
from benchmarks.measure import against_goal, peak_mb
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.copy import copy_rows
from gridmgmt.db.engine import MATTERS, create_database, drop_database, make_engine
from gridmgmt.incidents.actor import Actor, on_matters
from gridmgmt.incidents.figures.stored import figures
from gridmgmt.incidents.figures.values import By, Period, Question
from gridmgmt.incidents.handling import stored
from gridmgmt.incidents.handling.stored import Filter

IMPORT_S, LIST_MS, FIGURES_MS = 20.0, 150.0, 1000.0
CALLS, REPEATS = 15, 3
IMPORT = """
import json, sys, time
from pathlib import Path
from gridmgmt.config import Settings
from gridmgmt.db.engine import make_engine
from gridmgmt.importing.mapping import load_mapping
from gridmgmt.incidents.importer import import_incidents
from gridmgmt.privacy.keyring import KeyRing
ring = KeyRing.opened(Settings(Path(sys.argv[4]), None, None, None))
engine, start = make_engine(sys.argv[1]), time.perf_counter()
report = import_incidents(engine, Path(sys.argv[2]), load_mapping(Path(sys.argv[3])), ring=ring)
print(json.dumps(report.counts() | {"seconds": time.perf_counter() - start}))
"""


@dataclass(frozen=True)
class Size:
    """How much is done: rows of the import, matters of the city, seconds of the clients."""

    rows: int = 100_000
    matters: int = 1_000_000
    seconds: float = 60.0


QUICK = Size(10_000, 100_000, 10.0)


def run(size: Size = Size()) -> list[dict[str, Any]]:
    """Return rows of the import, of each list, of a year's figures, and of the clients."""
    with tempfile.TemporaryDirectory(prefix="gridmgmt-bench-") as folder:
        home, files = Path(folder), Path(folder) / "city"
        home.chmod(0o755)
        matters_city.generate(files)
        with _cluster(home) as cluster:
            matters_city.territory_only(cluster, files).dispose()
            rows = _imports(cluster, files, home, size.rows)
            engine = make_engine(cluster.url("city"))
            matters_city.fill(engine, size.matters)
            city = matters_city.people(engine)
            rows += _lists(engine, city, size.matters) + _figures(city, size.matters)
            rows += matters_clients.run(engine, city, home / "home", size.seconds, size.matters)
            engine.dispose()
        return rows


@contextmanager
def _cluster(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder / "home")
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.drop()


# --- the import


def _imports(cluster: Cluster, files: Path, home: Path, count: int) -> list[dict[str, Any]]:
    """Return the import of a hotline's export as it is, and of one in which every matter is open."""
    mapping = home / "here.toml"
    kept = (files / "incidents.toml").read_text("utf-8").replace("[source]", '[source]\nhandling = "here"', 1)
    mapping.write_text(kept, encoding="utf-8")
    usual, open_ = home / "usual.csv", home / "open.csv"
    write_export(files, usual, count, all_open=False)
    write_export(files, open_, min(count, 90_000), all_open=True)  # a day has 100,000 numbers
    return [
        _import_row(cluster, "97 % of them closed", usual, mapping, home),
        _import_row(cluster, "every one open: a case, a step and a sealed person each", open_, mapping, home),
    ]


def write_export(files: Path, out: Path, count: int, *, all_open: bool) -> None:
    """Write the newest matters of the sample city with who told them, as a hotline exports them."""
    parts = [
        pd.read_csv(path, encoding="gb18030", dtype=str) for path in sorted(files.glob("incidents_*.csv"))
    ]
    frame = pd.concat(parts).tail(count).fillna("")
    rng = np.random.default_rng(3)
    frame["联系人"] = rng.choice(["王小明", "李华", "张桂兰", "赵秀英", "刘洋"], len(frame))
    frame["联系电话"] = [f"154{number:08d}" for number in rng.integers(0, 10**8, len(frame))]
    if all_open:
        frame["状态"], frame["办结时间"], frame["满意度"] = "办理中", "", ""
    frame.to_csv(out, index=False, encoding="gb18030")


def _import_row(cluster: Cluster, what: str, path: Path, mapping: Path, home: Path) -> dict[str, Any]:
    ours_s, peer_s, same = [], [], True
    count = sum(1 for _ in path.open("rb")) - 1
    for number in range(REPEATS):
        name = f"import_{number}"
        create_database(cluster.url("postgres"), name, template="city")
        engine = make_engine(cluster.url(name))
        peer_s.append(_timed(partial(_plain_copy, engine, path)))
        told = subprocess.run(
            [sys.executable, "-c", IMPORT, cluster.url(name), str(path), str(mapping), str(home / "home")],
            stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[1],
        ).stdout  # fmt: skip
        counts = json.loads(told.strip().splitlines()[-1])
        ours_s.append(counts["seconds"])
        with engine.connect() as connection:
            stands = connection.execute(text("SELECT (SELECT count(*) FROM incident), count(*) FROM plain"))
            same &= tuple(stands.one()) == (count, count) and counts["new"] == count
        engine.dispose()
        drop_database(cluster.url("postgres"), name)
    ours, peer = statistics.median(ours_s), statistics.median(peer_s)
    return {
        "work": f"import of {count} matters, {what}", "note": f"{counts['cases_begun']} cases",
        "ours_s": round(ours, 2), "peer": "pyarrow reading the file and a COPY of its texts",
        "peer_version": pyarrow.__version__, "peer_s": round(peer, 2), "ratio": round(peer / ours, 3),
        "goal": round(peer / IMPORT_S, 3), "goal_s": IMPORT_S, "met": ours < IMPORT_S, "same_result": same,
        "ours_peak_mb": None,
    }  # fmt: skip


def _plain_copy(engine: Engine, path: Path) -> None:
    """Read the file and copy its columns into a table of texts: nothing checked, nothing placed."""
    table = pacsv.read_csv(
        path,
        read_options=pacsv.ReadOptions(encoding="gb18030"),
        convert_options=pacsv.ConvertOptions(strings_can_be_null=False),
    )
    names = [f"c{place}" for place in range(table.num_columns)]
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE plain ({', '.join(f'{name} text' for name in names)})"))
        columns = {
            name: column.cast(pyarrow.large_string()).combine_chunks()
            for name, column in zip(names, table.columns, strict=True)
        }
        copy_rows(connection.connection.cursor(), "plain", columns)


# --- the lists


def _lists(engine: Engine, city: matters_city.City, matters: int) -> list[dict[str, Any]]:
    ours = make_engine(city.url, role=MATTERS, pooled=True)
    office, centre = city.offices[0], city.centre
    with engine.connect() as connection:
        usual = connection.execute(
            text("SELECT category FROM incident GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")
        ).scalar_one()
        village = connection.execute(
            text("SELECT max(village) FROM incident WHERE starts_with(village, :town)"),
            {"town": office.area},
        ).scalars().first()  # fmt: skip
    wanted: list[tuple[str, Actor, Callable[..., Any], Filter]] = [
        ("a town's inbox", office, stored.inbox, Filter()),
        ("a town's inbox, overdue", office, stored.inbox, Filter(light="red")),
        ("a town's inbox, by category and level", office, stored.inbox, Filter(category=usual, level="town")),
        ("a town's inbox, words in the text", office, stored.inbox, Filter(q="夜间")),
        ("the centre's inbox", centre, stored.inbox, Filter()),
        ("the centre's inbox, by channel", centre, stored.inbox, Filter(channel="12345")),
        ("all matters of a town", office, stored.all_matters, Filter()),
        ("all matters of a town, closed", office, stored.all_matters, Filter(state="closed")),
        ("all matters of a village, by category", office, stored.all_matters,
         Filter(area=village, category=usual)),
        ("all matters of a town, of a month", office, stored.all_matters, Filter(month=date(2024, 5, 1))),
        ("all matters of the city", centre, stored.all_matters, Filter()),
        ("all matters of the city, by category", centre, stored.all_matters, Filter(category=usual)),
        ("all matters of the city, page 20", centre, stored.all_matters, Filter(page=20)),
    ]  # fmt: skip
    rows = [
        against_goal(
            f"{what}, of {matters}",
            partial(_page, ours, actor, lister, chosen),
            LIST_MS,
            CALLS,
        )
        for what, actor, lister, chosen in wanted
    ]
    rows.append(_against_plain(engine, ours, office, matters))
    ours.dispose()
    return rows


def _page(engine: Engine, actor: Actor, lister: Callable[..., Any], chosen: Filter) -> list[int]:
    with on_matters(engine, actor) as connection:
        return [line.id for line in lister(connection, actor, chosen, datetime.now(UTC)).lines]


def _against_plain(engine: Engine, ours: Engine, office: Actor, matters: int) -> dict[str, Any]:
    """Return a town's inbox beside what a pager over the whole table does: count, join, sort, cut."""
    where = (
        "FROM incident_case c JOIN incident i ON i.id = c.id WHERE i.status = 'open' AND i.village LIKE :town"
    )

    def plain() -> list[int]:
        with engine.connect() as connection:
            bound = {"town": f"{office.area}%"}
            connection.execute(text("SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off"))
            connection.execute(text(f"SELECT count(*) {where}"), bound).scalar_one()
            page = f"SELECT i.*, c.id AS case_id {where} ORDER BY c.next_due_at, c.id LIMIT {stored.PAGE}"
            return [row.case_id for row in connection.execute(text(page), bound)]

    def mine() -> list[int]:
        return _page(ours, office, stored.inbox, Filter())

    same = plain() == mine()
    mine_s, peer_s = (statistics.median(_timed(call) for _ in range(REPEATS)) for call in (mine, plain))
    return {
        "work": f"a town's inbox, of {matters}", "ours_s": round(mine_s, 4),
        "peer": "count, join and sort without an index,",
        "peer_version": "PostgreSQL", "peer_s": round(peer_s, 3),
        "ratio": round(peer_s / mine_s, 1), "goal": 5.0, "same_result": same, "ours_peak_mb": peak_mb(mine),
    }  # fmt: skip


def _figures(city: matters_city.City, matters: int) -> list[dict[str, Any]]:
    ours = make_engine(city.url, role=MATTERS, pooled=True)
    year = Period(date(2025, 11, 1), date(2026, 10, 30))
    rows = [
        against_goal(
            f"a year's figures by area beside the year before, {what}, of {matters}",
            partial(figures, ours, actor, Question(year, actor.area), (By.AREA,)),
            FIGURES_MS,
            repeats=5,
        )
        for what, actor in (("the city", city.centre), ("a town", city.offices[0]))
    ]
    ours.dispose()
    return rows


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    for each in run(QUICK if parser.parse_args().quick else Size()):
        print(json.dumps(each, ensure_ascii=False))

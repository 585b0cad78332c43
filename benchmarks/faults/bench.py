"""The run: clients work, faults come at random points, and what was acknowledged is compared at the end."""

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.faults import city, clients, kinds
from benchmarks.faults.archive import Archive
from benchmarks.faults.city import Known
from benchmarks.faults.clients import CLEAR, KEPT, SAME, Client, Watch
from benchmarks.faults.importer import Importer
from benchmarks.faults.ledger import Found, Ledger, compare
from benchmarks.faults.machine import ROOT, Clock, Database, Server, free_port, waited
from benchmarks.faults.proxy import Proxy
from gridmgmt.db.cluster import SOCKET_NAME
from gridmgmt.db.models import Role

GOAL_S = 10.0
# After that a service that has not recovered is given up, and the next fault comes.
GIVEN_UP_S = 30.0
PAUSE_S = (0.2, 1.2)
# Everybody writes for so long before the first fault, and after the last.
CALM_S = 5.0
WRITERS = ("interface", "form", "act", "visit")


@dataclass
class Fault:
    """One fault: seconds until the first write, and until every kind of writer wrote again; what was seen."""

    kind: str
    first_s: float = GIVEN_UP_S
    all_s: float = GIVEN_UP_S
    seen: Counter[str] = field(default_factory=Counter)
    unclear: list[str] = field(default_factory=list)


@dataclass
class Result:
    """What a run found."""

    seed: int
    faults: list[Fault]
    found: Found
    again: Found  # in a new cluster, from a backup before the faults and the log archived through them
    writes: int
    audit: str
    load: float

    @property
    def holds(self) -> bool:
        """Say whether nothing was lost, doubled, broken or unclear, and every recovery was in time."""
        bad = [line for found in (self.found, self.again) for line in found.wrong]
        late = [each for each in self.faults if each.first_s > GOAL_S]
        unclear = [each for each in self.faults if each.unclear]
        return not (bad or late or unclear) and self.audit == "whole"


def run(
    faults: int, seed: int, port: int | None = None, logs: Path | None = None,
    say: Callable[[str], None] = print,
) -> Result:  # fmt: skip
    """Let so many faults come over a city at work, and return what came of it.

    Into `logs` go the logs of server and database, and every attempt of a client.
    """
    rng = random.Random(seed)
    with _machine(rng, port, logs) as (bench, known, engine, ledger, watch, home, door):
        workers: Sequence[Client | Importer] = [*_clients(known, door, ledger, watch, seed), bench.importer]
        for each in workers:
            each.start()
        _calm(watch, time.monotonic())
        done, load = [], 0.0
        for name in _order(kinds.possible(bench), faults, rng):
            done.append(_one(bench, watch, name))
            last, load = done[-1], max(load, os.getloadavg()[0])
            say(f"{len(done):3} {name}: {last.first_s:.1f} s, all {last.all_s:.1f} s, {dict(last.seen)}")
        if bench.clock.seconds:
            _one(bench, watch, "clock off, or right again")
        time.sleep(CALM_S)
        for each in workers:
            each.stop()
        for each in workers:
            each.join()
        watch.write(logs)
        found, audit = compare(engine, ledger), _audit(home, str(bench.database.sockets))
        with bench.archive.restored() as again:
            return Result(seed, done, found, compare(again, ledger), len(ledger.kept), audit, load)


def _order(names: list[str], faults: int, rng: random.Random) -> list[str]:
    """Return kinds in random order, each as often as the others within one."""
    rounds = [rng.sample(names, len(names)) for _ in range(-(-faults // len(names)))]
    return [name for each in rounds for name in each][:faults]


def _one(bench: kinds.Bench, watch: Watch, name: str) -> Fault:
    """Let one fault come, wait until everybody writes again, and return what was seen meanwhile."""
    time.sleep(bench.rng.uniform(*PAUSE_S))
    began, fault = time.monotonic(), Fault(name)
    kinds.KINDS[name](bench)
    # A fault that leaves something broken returns when it is mended; a kill returns at once.
    ended = time.monotonic()
    fault.first_s, fault.all_s = _calm(watch, ended)
    for each in watch.since(began):
        fault.seen[each.outcome] += 1
        if each.outcome not in (*CLEAR, KEPT, SAME):
            fault.unclear.append(f"{each.kind}: {each.outcome} {each.says}")
    return fault


def _calm(watch: Watch, since: float) -> tuple[float, float]:
    """Wait for writes that began after a moment; return seconds to the first, and to one of each kind."""
    while True:
        good = [each for each in watch.since(since) if each.outcome in (KEPT, SAME) and each.began >= since]
        ends = {kind: min((e.ended for e in good if e.kind == kind), default=None) for kind in WRITERS}
        times = [end - since for end in ends.values() if end is not None]
        if len(times) == len(WRITERS):
            return min(times), max(times)
        if time.monotonic() - since > GIVEN_UP_S:
            return min(times, default=GIVEN_UP_S), GIVEN_UP_S
        time.sleep(0.05)


@contextmanager
def _machine(rng: random.Random, port: int | None, logs: Path | None) -> Iterator[Any]:
    work = Path(tempfile.mkdtemp(prefix="gridmgmt-faults-"))
    work.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        if logs:
            logs.mkdir(parents=True, exist_ok=True)
        home, data = stack.enter_context(city.copied(work))
        database = Database(data, work, (logs or work) / "database.log")
        stack.callback(database.stop)
        waited(database.socket)
        engine, known = stack.enter_context(city.inhabited(_url(database.sockets)))
        (work / "proxy").mkdir(mode=0o700)
        to_database = Proxy(work / "proxy" / SOCKET_NAME, database.socket, rng.getrandbits(32))
        to_database.start()
        stack.callback(to_database.stop)
        inside, door = port or free_port(), (port + 1) if port else free_port()
        environment = {"GRIDMGMT_HOME": str(home), "GRIDMGMT_DATABASE_URL": _url(work / "proxy")}
        clock = Clock(work)
        server = Server(inside, environment, clock, (logs or work) / "server.log")
        stack.callback(server.stop)
        to_server = Proxy(door, inside, rng.getrandbits(32))
        to_server.start()
        stack.callback(to_server.stop)
        waited(inside)
        archive = Archive(
            home, _url(database.sockets), _url(work / "proxy"), work, (logs or work) / "archive.log"
        )
        stack.callback(archive.stop)
        ledger, watch = Ledger(work / "ledger.jsonl"), Watch()
        importer = Importer(
            work / "files", environment, clock, ledger, watch, rng.getrandbits(32), known.places,
            known.categories,
        )  # fmt: skip
        stack.callback(importer.close)
        bench = kinds.Bench(database, server, importer, archive, clock, to_database, to_server, rng)
        yield bench, known, engine, ledger, watch, home, door


def _clients(known: Known, port: int, ledger: Ledger, watch: Watch, seed: int) -> list[Client]:
    common = [(port, ledger, watch, 1_000 * seed + n) for n in range(20)]
    towns, grids = known.of(Role.TOWN_OFFICER), known.of(Role.GRID_WORKER)
    return [
        *(
            clients.Program(
                *common.pop(), api_key=known.api_key, places=known.places, categories=known.categories
            )
            for _ in range(2)
        ),
        *(
            clients.Teller(
                *common.pop(), person=each, villages=known.villages[each.area], categories=known.categories
            )
            for each in towns[:2]
        ),
        *(
            clients.Office(*common.pop(), person=each, cases=known.cases[each.area], units=known.units)
            for each in towns[2:]
        ),
        *(clients.Department(*common.pop(), person=each) for each in known.of(Role.DEPARTMENT)),
        *(
            clients.Visitor(
                *common.pop(), person=each, dwellings=known.dwellings[each.area], category=known.categories[0]
            )
            for each in grids
        ),
    ]


def _audit(home: Path, sockets: str) -> str:
    """Return `whole` when the audit log verifies, else what the command says."""
    done = subprocess.run(
        [sys.executable, "-m", "gridmgmt", "audit", "verify"], cwd=ROOT, capture_output=True, text=True,
        env=os.environ | {"GRIDMGMT_HOME": str(home), "GRIDMGMT_DATABASE_URL": _url(Path(sockets))},
        check=False,
    )  # fmt: skip
    return "whole" if done.returncode == 0 else (done.stdout + done.stderr)[-500:]


def _url(folder: Path) -> str:
    return f"postgresql://postgres@/gridmgmt?host={folder}"


def table(result: Result) -> list[dict[str, Any]]:
    """Return a row for each kind of fault."""
    rows = []
    for kind in sorted({each.kind for each in result.faults}):
        of_kind = [each for each in result.faults if each.kind == kind]
        seen = sum((each.seen for each in of_kind), Counter[str]())
        first, every = [each.first_s for each in of_kind], [each.all_s for each in of_kind]
        rows.append(
            {
                "fault": kind, "number": len(of_kind), "median_s": round(statistics.median(first), 2),
                "worst_s": round(max(first), 2), "all_median_s": round(statistics.median(every), 2),
                "all_worst_s": round(max(every), 2), "kept": seen[KEPT] + seen[SAME],
                "errors": {name: n for name, n in sorted(seen.items()) if name not in (KEPT, SAME)},
                "unclear": sum(len(each.unclear) for each in of_kind),
            }
        )  # fmt: skip
    return rows

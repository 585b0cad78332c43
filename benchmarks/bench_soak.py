"""A hundred people of all roles for ten minutes against two workers: what they waited, errors, memory.

Eighty open pages of their role with what the maps fetch (`web_clients`), twenty sit at desks of town offices
and departments and write two of ten times (`matters_clients`). Memory is that of the server and all that it
started, after a tenth of the time and at the end; half-way too, because what is kept for the next reader
fills the first minutes and a leak does not stop. `python -m benchmarks.bench_soak --seconds 60` is short.

It writes matters and notes into the city of GRIDMGMT_BENCH_HOME: name one that may be thrown away.
"""

import argparse
import json
import time
from collections.abc import Sequence
from threading import Thread
from typing import Any

from sqlalchemy import Engine

from benchmarks import matters_clients, web_city, web_clients
from benchmarks.matters_city import City
from benchmarks.memory import family_mb
from benchmarks.serving import SERVE, started
from benchmarks.web_city import Person
from gridmgmt.db.models import Role
from gridmgmt.incidents.actor import Actor

COUNTS = {
    Role.GRID_WORKER: 30, Role.TOWN_OFFICER: 34, Role.COMMAND: 16, Role.PLANNER: 4, Role.DEPARTMENT: 13,
    Role.AUDITOR: 1, Role.ADMIN: 2,
}  # fmt: skip
DESKS = {Role.TOWN_OFFICER: 14, Role.DEPARTMENT: 6}
SECONDS = 600.0
# A page is read for six seconds on the average, a desk thinks for four.
PACE, THINK_S = (2.0, 10.0), 4.0
P95_MS, GROWTH_PERCENT = 400.0, 5.0


def run(seconds: float = SECONDS) -> list[dict[str, Any]]:
    """Return the rows: waiting, and growth of memory."""
    with web_city.opened() as (home, engine), web_city.people(engine, COUNTS) as people:
        desks = [each for role, count in DESKS.items() for each in _of(people, role)[:count]]
        readers = [each for each in people if each not in desks]
        with started(SERVE, "/healthz", {"GRIDMGMT_HOME": str(home)}) as (port, server):
            clients = [
                *(web_clients.Client(port, each, seed, PACE) for seed, each in enumerate(readers)),
                *_desks(engine, port, desks, _of(people, Role.COMMAND)[0]),
            ]
            for client in clients:
                client.sign_in()
                if isinstance(client, web_clients.Client):
                    client.keep_what_stands()
            memory = _work(clients, seconds, server.pid)
    return [_waited(clients, seconds), _grown(memory, seconds)]


def _of(people: Sequence[Person], role: Role) -> list[Person]:
    return [each for each in people if each.role is role]


def _desks(
    engine: Engine, port: int, desks: Sequence[Person], centre: Person
) -> list[matters_clients.Client]:
    actors = [_actor(each) for each in desks]
    offices = [each for each in actors if not each.unit]
    city = City(str(engine.url), offices, _actor(centre), [each for each in actors if each.unit])
    known = matters_clients.known(engine, city)
    return [matters_clients.Client(port, each, known, seed, THINK_S) for seed, each in enumerate(actors)]


def _actor(person: Person) -> Actor:
    return Actor(person.username, person.role, person.area, person.unit)


def _work(clients: Sequence[Any], seconds: float, server: int) -> tuple[int, int, int]:
    """Let everybody work; return megabytes after a tenth of the time, after half of it and at the end."""
    begins = time.perf_counter() + web_clients.WARM_S
    threads = [Thread(target=each.work, args=(begins, begins + seconds)) for each in clients]
    for thread in threads:
        thread.start()
    time.sleep(web_clients.WARM_S + seconds / 10)
    first = family_mb(server)
    time.sleep(seconds * 0.4)
    middle = family_mb(server)
    for thread in threads:
        thread.join()
    return first, middle, family_mb(server)


def _waited(clients: Sequence[Any], seconds: float) -> dict[str, Any]:
    times = sorted(ms for each in clients for _, ms in each.told.times)
    errors = [one for each in clients for one in each.told.errors]
    p95 = times[int(len(times) * 0.95)]
    return {
        "work": f"{len(clients)} people of {len(COUNTS)} roles, {seconds / 60:g} min, p95",
        "p95_ms": round(p95, 1), "median_ms": round(times[len(times) // 2], 1),
        "slowest_ms": round(times[-1], 1), "goal_ms": P95_MS, "met": p95 < P95_MS and not errors,
        "errors": len(errors), "first_errors": errors[:5],
        "note": f"{len(times)} requests ({len(times) / seconds:.0f}/s), {len(errors)} errors",
    }  # fmt: skip


def _grown(memory: tuple[int, int, int], seconds: float) -> dict[str, Any]:
    first, middle, last = memory
    grown = 100 * (last - first) / first
    return {
        "work": f"growth of the server's memory over {seconds / 60:g} min", "percent": round(grown, 1),
        "goal_percent": GROWTH_PERCENT, "met": grown < GROWTH_PERCENT,
        "note": f"{first}, {middle}, {last} MB",
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=SECONDS)
    for row in run(parser.parse_args().seconds):
        print(json.dumps(row, ensure_ascii=False))

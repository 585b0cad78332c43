"""What goes wrong, by name: each breaks something, leaves it broken as long as it does, and mends it.

The seconds until recovery count from the moment when a fault ends: from a kill, from the moment when a
connection passes again, from when a disk has room. A clock that is off stays off until it is set right, and
both changes are a restart: they count from the kill.
"""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from benchmarks.faults.archive import Archive
from benchmarks.faults.importer import Importer
from benchmarks.faults.machine import Clock, Database, Server
from benchmarks.faults.proxy import Proxy, Weather


@dataclass
class Bench:
    """What there is to break."""

    database: Database
    server: Server
    importer: Importer
    archive: Archive
    clock: Clock
    to_database: Proxy
    to_server: Proxy
    rng: random.Random
    # Seconds for which connections are broken, a disk is full.
    spell: tuple[float, float] = (0.3, 2.5)


Break = Callable[[Bench], None]


def _kill(pid: int, kind: signal.Signals = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, kind)


def _postmaster(bench: Bench) -> None:
    _kill(bench.database.service.pid)


def _immediate(bench: Bench) -> None:
    _kill(bench.database.service.pid, signal.SIGQUIT)


def _backend(kind: signal.Signals) -> Break:
    def broken(bench: Bench) -> None:
        backends = bench.database.backends()
        if backends:
            _kill(bench.rng.choice(backends), kind)

    return broken


def _worker(bench: Bench) -> None:
    workers = bench.server.workers()
    if workers:
        _kill(bench.rng.choice(workers))


def _server(bench: Bench) -> None:
    bench.server.kill()


def _importer(bench: Bench) -> None:
    for _ in range(100):
        time.sleep(bench.rng.uniform(0.0, 1.0))
        if bench.importer.kill():
            return


def _weather(which: str, weather: Weather) -> Break:
    def broken(bench: Bench) -> None:
        proxy: Proxy = getattr(bench, which)
        proxy.change(weather)
        time.sleep(bench.rng.uniform(*bench.spell))
        proxy.change(Weather.CALM)

    return broken


def _full(bench: Bench) -> None:
    bench.database.disk.fill()
    time.sleep(bench.rng.uniform(*bench.spell))
    bench.database.disk.free()


def _clock(bench: Bench) -> None:
    """Put the server's and the importer's clock off, or right again."""
    off = bench.rng.choice([86_400, -86_400, 600, -600])
    bench.clock.seconds = 0 if bench.clock.seconds else off
    bench.server.kill()
    bench.importer.kill()


def _archive(bench: Bench) -> None:
    _kill(bench.archive.service.pid)


KINDS: dict[str, Break] = {
    "database killed (kill -9)": _postmaster,
    "database shut down at once": _immediate,
    "one backend killed (kill -9)": _backend(signal.SIGKILL),
    "one backend ended": _backend(signal.SIGTERM),
    "web worker killed (kill -9)": _worker,
    "web server killed (kill -9)": _server,
    "importer killed (kill -9)": _importer,
    "archive killed (kill -9)": _archive,
    **{
        f"to the {end}: {weather}": _weather(f"to_{end}", weather)
        for end in ("database", "server")
        for weather in Weather
        if weather is not Weather.CALM
    },
    "disk full": _full,
    "clock off, or right again": _clock,
}


def possible(bench: Bench) -> list[str]:
    """Return the kinds that this machine can do: a small disk needs a mount, a clock a compiler."""
    names = [name for name in KINDS if bench.database.disk.small or KINDS[name] is not _full]
    return [name for name in names if bench.clock.works or KINDS[name] is not _clock]

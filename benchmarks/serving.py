"""Runs a server on a free loopback port for as long as a measurement lasts: ours, or a peer's."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORKERS = 2
SERVE = [sys.executable, "-m", "gridmgmt", "serve", "--no-jobs", "--workers", str(WORKERS), "--port"]


@contextmanager
def served(home: Path, url: str | None = None) -> Iterator[int]:
    """Run `gridmgmt serve` with two workers on a home, or on the database of a URL; gives the port."""
    named = {"GRIDMGMT_HOME": str(home)} | ({"GRIDMGMT_DATABASE_URL": url} if url else {})
    with running(SERVE, "/healthz", named) as port:
        yield port


@contextmanager
def running(command: list[str], path: str, named: dict[str, str] | None = None) -> Iterator[int]:
    """Run a command that ends with a port, until the end; gives the port once `path` answers there.

    `named` are variables of its environment.
    """
    with started(command, path, named) as (port, _):
        yield port


@contextmanager
def started(
    command: list[str], path: str, named: dict[str, str] | None = None
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run a command as `running` does; gives its process besides."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [*command, str(port)], env=os.environ | (named or {}), cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        _wait(process, port, path)
        yield port, process
    finally:
        process.terminate()
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], port: int, path: str, patience_s: float = 90.0) -> None:
    ends = time.perf_counter() + patience_s
    while time.perf_counter() < ends and process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            if connection.getresponse().status < 500:
                return
        time.sleep(0.2)
    raise RuntimeError(f"nothing answers at port {port}")

"""`gridmgmt serve`: the web server."""

import ctypes
import gc
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress

import click

from gridmgmt.cli.database import ready
from gridmgmt.cli.watched import watched
from gridmgmt.config import settings
from gridmgmt.db.engine import database_url
from gridmgmt.errors import SetupError

# Requests that a worker answers at once: a page that follows a job holds a thread for as long as it is open.
THREADS = 8
# Seconds until who is asked to stop does: longer than a page takes, shorter than a stream of events.
GRACE = 15
# Seconds between two starts of the worker of jobs, and until it is ended for good: longer than its own grace.
RESTART, ENDED = 5.0, 30.0
# Seconds for which an idle connection stays open: a browser that reads a page asks again on the same one.
KEPT = 75
# Numbers of glibc's settings (malloc.h).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, default=8000, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=THREADS, show_default=True, help="Of a worker.")
@click.option("--no-jobs", is_flag=True, help="Leave long work to a `gridmgmt jobs work` that runs apart.")
def serve(host: str, port: int, workers: int, threads: int, no_jobs: bool) -> None:
    """Serve the maps and lists, and do long work beside them, until Ctrl+C."""
    check_port(host, port)
    serve_forever(host, port, workers, threads, jobs=not no_jobs)


def check_port(host: str, port: int) -> None:
    """Raise SetupError when somebody else listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SetupError(
                f"cannot listen on {host}:{port} ({error.strerror}); choose another --port"
            ) from error


class Worker:
    """The process that does long work (`gridmgmt jobs work`): started anew when it ends.

    It opens the database by itself, and is asked to end when this process is killed.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._started = time.monotonic()  # pages first
        self._mine = os.getpid()

    def keep(self) -> None:
        """Start it unless it runs, or began a moment ago."""
        ended = self._process is None or self._process.poll() is not None
        if ended and time.monotonic() > self._started + RESTART:
            command = [sys.executable, "-m", "gridmgmt", "jobs", "work", "--parent", str(os.getpid())]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
            self._started = time.monotonic()

    def end(self) -> None:
        """Have it put back what it works on, and end; a forked web worker that ends leaves it alone."""
        if self._process is None or os.getpid() != self._mine:
            return
        self._process.terminate()
        try:
            self._process.wait(ENDED)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def give_back_memory() -> None:
    """Have the C library keep two heaps and not one a thread, and give large blocks back at once.

    What big pages leave behind in each of sixteen heaps was a fifth more memory after ten minutes' work. For
    this process and those that it forks; glibc alone knows these settings (mallopt(3)), others ignore them.
    """
    with suppress(OSError, AttributeError):
        c = ctypes.CDLL(None)
        for setting, value in ((M_ARENA_MAX, 2), (M_MMAP_THRESHOLD, 1 << 18), (M_TRIM_THRESHOLD, 1 << 18)):
            c.mallopt(setting, value)


def serve_forever(host: str, port: int, workers: int, threads: int = THREADS, *, jobs: bool = True) -> None:
    """Run gunicorn here, on the private cluster where no server is named, and beside it a worker of jobs."""
    from gunicorn.app.base import Arbiter, BaseApplication

    worker = Worker() if jobs else None

    class Keeper(Arbiter):
        def manage_workers(self) -> None:  # called at least once a second
            super().manage_workers()
            if worker:
                worker.keep()

    class Server(BaseApplication):
        def run(self) -> None:
            Keeper(self).run()

        def load_config(self) -> None:
            wanted = {
                "bind": f"{host}:{port}", "workers": workers, "worker_class": "gthread", "threads": threads,
                "timeout": 60, "graceful_timeout": GRACE, "keepalive": KEPT, "loglevel": "warning",
            } | told  # fmt: skip
            for name, value in wanted.items():
                self.cfg.set(name, value)

        def load(self) -> object:
            # After the fork: connections must not be shared between workers.
            from gridmgmt.web import create_app

            app = create_app()
            gc.freeze()  # what was imported stays: sweeping through it makes a page late now and then
            return app

    with ready(), database_url():
        settings().session_key()  # made before the fork, so that the workers agree on it
        told = watched(settings())
        give_back_memory()
        import gridmgmt.web  # noqa: F401  after `watched`; once for all workers: who is killed is back in no time

        try:
            Server().run()
        finally:
            if worker:
                worker.end()

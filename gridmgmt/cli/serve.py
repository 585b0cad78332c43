"""`gridmgmt serve`: the web server."""

import gc
import socket

import click

from gridmgmt.cli.database import ready
from gridmgmt.config import settings
from gridmgmt.db.engine import database_url
from gridmgmt.errors import SetupError

# Requests that a worker answers at once: a page that follows a job holds a thread for as long as it is open.
THREADS = 8
# Seconds until who is asked to stop does: longer than a page takes, shorter than a stream of events.
GRACE = 15
# Seconds for which an idle connection stays open: a browser that reads a page asks again on the same one.
KEPT = 75


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, default=8000, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=THREADS, show_default=True, help="Of a worker.")
def serve(host: str, port: int, workers: int, threads: int) -> None:
    """Serve the maps and lists until Ctrl+C."""
    check_port(host, port)
    serve_forever(host, port, workers, threads)


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


def serve_forever(host: str, port: int, workers: int, threads: int = THREADS) -> None:
    """Run gunicorn here, on the private cluster where no server is named.

    The address of the private cluster is not put into the environment: a job that a page begins opens the
    cluster by itself, and holds it when this server ends first.
    """
    from gunicorn.app.base import BaseApplication

    class Server(BaseApplication):
        def load_config(self) -> None:
            wanted = {
                "bind": f"{host}:{port}", "workers": workers, "worker_class": "gthread", "threads": threads,
                "timeout": 60, "graceful_timeout": GRACE, "keepalive": KEPT, "loglevel": "warning",
            }  # fmt: skip
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
        Server().run()

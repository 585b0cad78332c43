"""`gridmgmt serve` and `gridmgmt account`: the web server and who may sign in."""

import gc
import os
import socket

import click

from gridmgmt.cli.database import ready
from gridmgmt.config import settings
from gridmgmt.db import identity
from gridmgmt.db.engine import database_url
from gridmgmt.db.models import Role
from gridmgmt.errors import SetupError


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, default=8000, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
def serve(host: str, port: int, workers: int) -> None:
    """Serve the maps and lists until Ctrl+C."""
    check_port(host, port)
    serve_forever(host, port, workers)


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


def serve_forever(host: str, port: int, workers: int) -> None:
    """Run gunicorn here, on the private cluster where no server is named."""
    from gunicorn.app.base import BaseApplication

    class Server(BaseApplication):
        def load_config(self) -> None:
            wanted = {"bind": f"{host}:{port}", "workers": workers, "timeout": 60, "loglevel": "warning"}
            for name, value in wanted.items():
                self.cfg.set(name, value)

        def load(self) -> object:
            # After the fork: connections must not be shared between workers.
            from gridmgmt.web import create_app

            app = create_app()
            gc.freeze()  # what was imported stays: sweeping through it makes a page late now and then
            return app

    with ready(), database_url() as url:
        settings().session_key()  # made before the fork, so that the workers agree on it
        os.environ["GRIDMGMT_DATABASE_URL"] = url
        Server().run()


@click.group()
def account() -> None:
    """Who may sign in."""


@account.command("create")
@click.argument("username")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--name", default="", help="The name shown on the page.")
@click.option("--area", help="Grid code (grid_worker) or town code (town_officer).")
@click.option("--unit", help="Name of the department (department).")
@click.password_option()
def create(username: str, role: str, name: str, area: str | None, unit: str | None, password: str) -> None:
    """Make an account; the password is asked for, never taken from the command line's history."""
    with ready() as engine:
        made = identity.create_account(engine, username, password, role, name, area, unit)
    click.echo(f"{made.username} ({made.role})")

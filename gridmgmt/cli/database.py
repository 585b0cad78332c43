"""`gridmgmt cluster` and `gridmgmt db`: the private server and the schema."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy import Engine

from gridmgmt.cli import backup
from gridmgmt.cli.dictionary import dictionary
from gridmgmt.config import settings
from gridmgmt.db import migrations
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import create_database, opened
from gridmgmt.errors import InputError, SetupError


@contextmanager
def ready(role: str | None = None) -> Iterator[Engine]:
    """Give an engine on a database that has this version's schema; raises SetupError when it has not."""
    with opened(role=role) as engine:
        if not migrations.status(engine).up_to_date:
            raise SetupError("the database is not at the schema of this version; run: gridmgmt db up")
        yield engine


@click.group()
def cluster() -> None:
    """The private PostGIS cluster in GRIDMGMT_HOME."""


def _private() -> Cluster:
    chosen = settings()
    if chosen.database_url:
        raise SetupError("GRIDMGMT_DATABASE_URL names a server, so there is no private cluster to handle")
    return Cluster(chosen.home)


@cluster.command("start")
def start() -> None:
    """Start the private cluster and keep it running; print its address."""
    private = _private()
    private.start(keep=True)
    create_database(private.url("postgres"), "gridmgmt")
    click.echo(private.url())


@cluster.command("stop")
def stop() -> None:
    """Stop the private cluster."""
    _private().stop()


@cluster.command("url")
def url() -> None:
    """Print the address of the running private cluster, as psql reads it too."""
    click.echo(_private().url())


@cluster.command("drop")
@click.confirmation_option(prompt="Stop the private cluster and delete all its data?")
def drop() -> None:
    """Stop the private cluster and delete its data."""
    _private().drop()


@click.group()
def db() -> None:
    """The schema of the database."""


def bring_up(engine: Engine) -> None:
    """Bring a database to this version's schema, with the flows, days, panels and indicators it lacks."""
    from gridmgmt.incidents import holidays
    from gridmgmt.incidents.flows import stored as flows
    from gridmgmt.incidents.mediation import panels
    from gridmgmt.index import trees

    migrations.up(engine)
    flows.install(engine)
    holidays.install(engine)
    panels.install(engine)
    trees.install(engine)


for command in (*backup.COMMANDS, dictionary):
    db.add_command(command)


@db.command("up")
def up() -> None:
    """Bring the database to this version's schema; safe to repeat."""
    with opened() as engine:
        bring_up(engine)
        click.echo(f"schema at {migrations.status(engine).current}")


@db.command("status")
def status() -> None:
    """Say which schema the database has and which one this version wants."""
    with opened() as engine:
        found = migrations.status(engine)
    click.echo(f"schema at {found.current or 'nothing'}, this version wants {found.head}")
    if not found.up_to_date:
        raise SetupError("run: gridmgmt db up")


@db.command("down")
@click.argument("revision")
@click.confirmation_option(prompt="Take migrations back? What newer tables and columns hold is lost.")
def down(revision: str) -> None:
    """Take the schema back to REVISION, so that the older version that wants it can be used again."""
    with opened() as engine:
        head = migrations.status(engine).head
        if not (revision.isdecimal() and len(revision) == len(head) and "0001" <= revision <= head):
            raise InputError("revision", revision, f"0001 to {head}")
        migrations.down(engine, revision)
        click.echo(f"schema at {migrations.status(engine).current}")

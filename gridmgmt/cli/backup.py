"""Commands of the group `db` that make backups and bring them back."""

import json
import signal
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from threading import Event

import click

from gridmgmt import logs
from gridmgmt.calendar import CHINA
from gridmgmt.cli.printing import new_table, print_table
from gridmgmt.config import settings
from gridmgmt.db.backup import base, sealing, wal
from gridmgmt.errors import GridmgmtError, InputError

MOMENT = "%Y-%m-%d %H:%M:%S"
KEY_FILE = click.option(
    "--identity", type=click.Path(path_type=Path), required=True, help="File with the private key."
)


@click.command("backup-key")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New file for the private key.")
def backup_key(out: Path) -> None:
    """Make the key of backups: the private one into a file, the public one printed.

    Keep the file away from this server, twice: without it no backup can be restored.
    """
    click.echo(f"GRIDMGMT_BACKUP_RECIPIENT={sealing.new_key(out)}")


@click.command()
@click.option("--keep", type=click.IntRange(1), help="Keep so many newest backups, and the log since then.")
def backup(keep: int | None) -> None:
    """Back up the whole database and the files of the home, sealed for GRIDMGMT_BACKUP_RECIPIENT."""
    made = base.make(settings(), keep)
    click.echo(f"{made.name}: {made.bytes / 1e6:,.0f} MB in {made.seconds:.0f} s, in {made.folder}")


@click.command()
def backups() -> None:
    """List the backups, and how far the archived log goes."""
    folder = settings().backup_folder()
    table = new_table("backups", ("name", "made", "#MB", "#seconds", "schema"))
    for made in base.listed(folder):
        when = f"{made.at.astimezone(CHINA):{MOMENT}}"
        table.add_row(made.name, when, f"{made.bytes / 1e6:,.0f}", f"{made.seconds:.0f}", made.schema)
    print_table(table)
    log = wal.archived(folder)
    if log:
        click.echo(f"log archived up to {log.last_at.astimezone(CHINA):{MOMENT}}, {log.files} files")
    else:
        click.echo("no log is archived; run: gridmgmt db archive")


@click.command()
def archive() -> None:
    """Archive the log until stopped: what is committed is at most half a minute from safety."""
    logs.install(settings())
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    wal.archive(settings(), stop)


@click.command()
@click.argument("name", metavar="NAME|latest")
@KEY_FILE
@click.option("--to", "home", type=click.Path(path_type=Path), required=True, help="A new or empty folder.")
@click.option("--until", metavar="'YYYY-MM-DD HH:MM:SS'", help="Up to this moment, China's time.")
def restore(name: str, identity: Path, home: Path, until: str | None) -> None:
    """Make a new home from a backup and the log after it; what stands is not touched."""
    from gridmgmt.db.backup.restore import restore as bring_back

    done = bring_back(settings().backup_folder(), name, identity, home.absolute(), until=_moment(until))
    click.echo(
        f"{done.made.name} and its log, up to {done.last_commit.astimezone(CHINA):{MOMENT}}, in {home}"
    )
    click.echo(f"Next: put keyring.json (it is in no backup) into {home}, set GRIDMGMT_HOME={home}, then run")
    click.echo("gridmgmt privacy reapply (who was erased since is erased again) and gridmgmt doctor")


def _moment(told: str | None) -> datetime | None:
    if told is None:
        return None
    try:
        return datetime.strptime(told, MOMENT).replace(tzinfo=CHINA)
    except ValueError:
        raise InputError("until", told, "2026-05-01 12:34:56, China's time") from None


@click.command()
@KEY_FILE
@click.option("--in", "folder", type=click.Path(path_type=Path, exists=True), help="Restore in this folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def drill(identity: Path, folder: Path | None, as_json: bool) -> None:
    """Restore the newest backup elsewhere and compare every table with the city as it was a moment ago."""
    from gridmgmt.db.backup.drill import drill as practise

    found = practise(settings(), identity, folder)
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        click.echo(
            f"{found.backup}: restored in {found.seconds:.0f} s; {found.tables} tables, {found.rows:,} rows, "
            f"{len(found.different)} differ"
        )
    if found.different:
        raise GridmgmtError(f"the restored city differs in: {', '.join(found.different)}")


COMMANDS = (backup_key, backup, backups, archive, restore, drill)

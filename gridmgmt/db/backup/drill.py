"""The restore drill: the newest backup and the log, restored elsewhere, hold just what the city had.

What the city had is fixed at one instant: all tables are locked against writing for as long as it takes to
set a named restore point and to export a snapshot. The restore ends at that point; the hashes of the city are
taken in that snapshot, while it goes on being written.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

from psycopg2.errors import LockNotAvailable
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from gridmgmt.config import Settings
from gridmgmt.db.backup import base, restore, sealing, wal
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import database_url, make_engine
from gridmgmt.errors import SetupError

PATIENCE_S = 180.0
# Seconds that the lock of all tables is waited for, and how often, before the drill gives up.
LOCK_S, TRIES = 2, 15


@dataclass(frozen=True)
class Table:
    """Rows of a table and the sum of their hashes: the same rows in any order give the same."""

    rows: int
    hash: int


@dataclass(frozen=True)
class Drill:
    """What a drill found: seconds of the restore, rows and tables compared, and the tables that differ."""

    backup: str
    seconds: float
    tables: int
    rows: int
    different: tuple[str, ...]


def drill(settings: Settings, identity_file: Path, folder: Path | None = None) -> Drill:
    """Return what came of restoring the newest backup and the log after it into a temporary home.

    `folder` is where that home stands for a while (the system's temporary folder). A backup is made first
    when there is none that the log continues, and the log archived here when nobody archives it. The private
    key is needed, so a drill is for whoever holds it. SetupError when the log does not reach the point.
    """
    with database_url(settings) as url, _archiving(settings, url):
        engine, name = make_engine(url), base.chosen(settings.backup_folder(), "latest").name
        point = f"drill {datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
        with _fixed(engine, point) as connection:
            needed = connection.execute(text("SELECT pg_walfile_name(pg_switch_wal())")).scalar_one()
            _wait_for(settings.backup_folder() / "wal" / f"{needed}{sealing.SUFFIX}")
            held = hashes(connection)
        engine.dispose()
        return _compared(settings, name, identity_file, folder, point, held)


def _compared(
    settings: Settings, name: str, identity_file: Path, folder: Path | None, point: str,
    held: dict[str, Table],
) -> Drill:  # fmt: skip
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gridmgmt-drill-", dir=folder) as place:
        Path(place).chmod(0o755)  # the server's account walks through it; what it holds is private
        home = Path(place) / "home"
        restore.restore(settings.backup_folder(), name, identity_file, home, point=point)
        seconds, cluster = time.monotonic() - began, Cluster(home)
        cluster.start()
        try:
            engine = make_engine(cluster.url())
            with engine.connect() as connection:
                found = hashes(connection)
            engine.dispose()
        finally:
            cluster.drop()
    different = [name for name in sorted({*held, *found}) if held.get(name) != found.get(name)]
    rows = sum(table.rows for table in held.values())
    return Drill(name, round(seconds, 1), len(held), rows, tuple(different))


def hashes(connection: Connection) -> dict[str, Table]:
    """Return rows and hash of every table of the database by its name; values stay in the database."""
    found = {}
    for name in _tables(connection):
        query = f"SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM {name} t"
        rows, total = connection.execute(text(query)).one()
        found[name] = Table(int(rows), int(total))
    return found


def _tables(connection: Connection) -> list[str]:
    query = """
        SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\\_%'
            AND n.nspname <> 'information_schema'
        ORDER BY 1
    """
    return [str(name) for name in connection.execute(text(query)).scalars()]


@contextmanager
def _fixed(engine: Engine, point: str) -> Iterator[Connection]:
    """Give a connection that sees the city just as it was at a restore point that is set now."""
    with engine.connect() as connection:
        for left in reversed(range(TRIES)):
            try:
                _fix(engine, connection, point)
                break
            except OperationalError as why:  # somebody writes for long; people must not wait behind us
                if not (left and isinstance(why.orig, LockNotAvailable)):
                    raise SetupError(
                        "the tables could not be locked: is an import running? Try later"
                    ) from None
                time.sleep(LOCK_S)
        yield connection


def _fix(engine: Engine, connection: Connection, point: str) -> None:
    with engine.begin() as setting:
        setting.execute(text(f"SET LOCAL lock_timeout = '{LOCK_S}s'"))
        names = ", ".join(_tables(setting))
        setting.execute(text(f"LOCK TABLE {names} IN SHARE MODE"))
        setting.execute(text("SELECT pg_create_restore_point(:name)"), {"name": point})
        snapshot = setting.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        connection.execute(text(f"SET TRANSACTION SNAPSHOT '{snapshot}'"))
        connection.execute(text("SELECT 1"))  # holds the snapshot from here on


@contextmanager
def _archiving(settings: Settings, url: str) -> Iterator[None]:
    """See to it that the log is archived meanwhile, and that a backup stands that it continues."""
    was = wal.running(url)
    if was and base.listed(settings.backup_folder()):
        yield
        return
    stop = Event()
    failed: list[BaseException] = []
    thread = Thread(target=_archive, args=(settings, stop, failed), daemon=True)
    thread.start()
    try:
        base.make(settings)
        yield
    finally:
        stop.set()
        thread.join()
        if was is None:  # or the server would keep its log for nobody
            wal.end(url)
    if failed:
        raise failed[0]


def _archive(settings: Settings, stop: Event, failed: list[BaseException]) -> None:
    try:
        wal.archive(settings, stop, every_s=1.0)
    except BaseException as why:
        failed.append(why)


def _wait_for(path: Path) -> None:
    """Wait until a file of the log is archived."""
    ends = datetime.now(UTC) + timedelta(seconds=PATIENCE_S)
    while not path.exists():
        if datetime.now(UTC) > ends:
            name = path.name.split(".")[0]
            raise SetupError(
                f"{name} was not archived in {PATIENCE_S:.0f} s; does `gridmgmt db archive` run?"
            )
        time.sleep(0.2)

"""A new private cluster from a backup and the archived log, up to a moment or to the end.

A restore that fails leaves nothing; one that is killed leaves a folder without a cluster, which is refused.
"""

import shlex
import shutil
import tarfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from gridmgmt.db.backup import base, files, sealing
from gridmgmt.db.backup.base import Made
from gridmgmt.db.backup.wal import GROWING, archived
from gridmgmt.db.cluster import DATABASE, Cluster
from gridmgmt.db.engine import make_engine
from gridmgmt.errors import InputError, SetupError

# Ends of what a failing recovery says, and what that means.
TOO_LATE = "before configured recovery target was reached"
# Seconds that the log may take to be played.
PATIENCE_S = 86_400


@dataclass(frozen=True)
class Restored:
    """A restored city: from which backup, where, and when its last transaction was committed."""

    made: Made
    home: Path
    last_commit: datetime


def restore(
    folder: Path, name: str, identity_file: Path, home: Path, *, until: datetime | None = None,
    point: str | None = None,
) -> Restored:  # fmt: skip
    """Return the city of a backup, its log played up to a moment, a named restore point, or to its end.

    InputError for a home that holds anything, a key that is none, a backup that is not there, a moment that
    the log does not reach; SetupError for a key that does not open the backup.
    """
    key = sealing.identity(identity_file)
    made = base.chosen(folder, name, until)
    stood = home.exists()
    if stood and any(home.iterdir()):
        raise InputError("to", str(home), "a new or an empty folder")
    home.mkdir(mode=0o755, parents=True, exist_ok=True)
    cluster = Cluster(home)
    try:
        with cluster.making() as data:
            _unpack(made.base, key, data)
            _configure(data, _target(until, point))
            _log(folder / "wal", made.wal, key, data.parent / "wal")
        last = _recover(cluster, _log_reaches(folder, until))
        _name_as_ours(cluster, made.database)
        _settle(cluster)
        for sealed in (made.files, *files.later(folder / "files", made.at, until)):
            _unpack(sealed, key, home)
    except BaseException as why:
        _clear(home, stood)
        if TOO_LATE in str(why):
            raise InputError("until", str(until or point), "a moment that the archived log reaches") from None
        raise
    return Restored(made, home, last or made.at)


def _log_reaches(folder: Path, until: datetime | None) -> bool:
    """Say whether the archive had all that was written up to a moment, were it nothing."""
    stands = archived(folder)
    return bool(until and stands and until <= stands.last_at)


def _clear(home: Path, stood: bool) -> None:
    """Leave nothing of a restore that failed; a folder that stood before stays, it may be a mount point."""
    Cluster(home).drop()
    for path in home.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not stood:
        home.rmdir()


def _unpack(path: Path, key: Any, folder: Path) -> None:
    with sealing.opened(path, key) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        archive.extractall(folder, filter="tar")


def _log(folder: Path, first: str, key: Any, into: Path) -> None:
    """Unpack the log since a backup; the file that was growing stands for the one it did not become."""
    into.mkdir(mode=0o700, exist_ok=True)
    found = sorted(folder.glob(f"*{sealing.SUFFIX}"), key=lambda path: path.name.endswith(GROWING))
    for path in found:  # the finished ones first
        name = path.name.removesuffix(GROWING).removesuffix(sealing.SUFFIX)
        if name >= first and not (into / name).exists():
            with sealing.opened(path, key) as stream, (into / name).open("wb") as out:
                shutil.copyfileobj(stream, out)


# --- recovery

_RECOVERY = "restoring.conf"


def _target(until: datetime | None, point: str | None) -> str:
    if until:
        return f"recovery_target_time = '{until.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f+00}'\n"
    return f"recovery_target_name = '{point}'\n" if point else ""


def _configure(data: Path, target: str) -> None:
    """Make the data folder one of our own clusters that recovers when it is next started."""
    (data / "pg_hba.conf").write_text("local all all trust\nlocal replication all trust\n")
    (data / "pg_ident.conf").touch()
    (data / "postgresql.conf").write_text(f"include_if_exists = '{_RECOVERY}'\n")
    # Settings of another machine, a command that archives among them.
    (data / "postgresql.auto.conf").write_text("")
    log = shlex.quote(str(data.parent / "wal")).replace("%", "%%").replace("'", "''")
    # Not hot, so that the server answers only when all is recovered.
    lines = (
        f"restore_command = 'cp {log}/%f \"%p\"'",
        "recovery_target_action = 'promote'", "hot_standby = off", target,
    )  # fmt: skip
    (data / _RECOVERY).write_text("\n".join(lines))
    (data / "recovery.signal").touch()


def _recover(cluster: Cluster, all_there: bool) -> datetime | None:
    """Play the log; return when the last transaction in it was committed, None when there was none.

    With `all_there` a log that ends before the target is played to its end: nothing was committed between.
    """
    try:
        cluster.start(patience_s=PATIENCE_S)
        return _wait(cluster)
    except SetupError as why:
        if not (all_there and TOO_LATE in str(why)):
            raise
    settings = cluster.data / _RECOVERY
    lines = settings.read_text().splitlines()
    settings.write_text("\n".join(line for line in lines if not line.startswith("recovery_target_time")))
    cluster.start(patience_s=PATIENCE_S)
    return _wait(cluster)


def _name_as_ours(cluster: Cluster, database: str) -> None:
    """Give the database its name of a private cluster; a server of the settings may have had another."""
    if database != DATABASE:
        engine = make_engine(cluster.url("postgres")).execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f'ALTER DATABASE "{database}" RENAME TO "{DATABASE}"'))


def _settle(cluster: Cluster) -> None:
    cluster.stop()
    (cluster.data / _RECOVERY).unlink()
    shutil.rmtree(cluster.root / "wal")


def _wait(cluster: Cluster) -> datetime | None:
    """Wait until all is played, and return when the last transaction was committed."""
    while True:
        try:
            with make_engine(cluster.url("postgres")).connect() as connection:
                query = text("SELECT pg_is_in_recovery(), pg_last_xact_replay_timestamp()")
                recovering, last = connection.execute(query).one()
            if not recovering:
                return last
        except (SetupError, OperationalError):
            if not cluster.running():
                raise SetupError(f"recovery ended early:\n{cluster.last_words()}") from None
        time.sleep(0.2)

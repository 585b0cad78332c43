"""Base backups: the whole cluster and the files of the home, sealed, with a note beside them.

`NAME.base.zst.age` is what `pg_basebackup` gives, the log that it needs included; `NAME.files.zst.age` holds
what the program keeps beside the database. `NAME.json` says when and how; without it a backup does not count.
"""

import json
import os
import subprocess
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import OperationalError

from gridmgmt.config import Settings
from gridmgmt.db.backup import files, sealing
from gridmgmt.db.cluster import server_programs
from gridmgmt.db.engine import CONNECT_SECONDS, database_url, make_engine
from gridmgmt.db.held import alone
from gridmgmt.errors import InputError, SetupError

HOW = "整库和文件，加密"


@dataclass(frozen=True)
class Made:
    """A backup that stands: when it began and ended, its bytes, and the first file of the log it needs."""

    name: str
    folder: Path
    at: datetime
    ended: datetime
    bytes: int
    seconds: float
    wal: str
    schema: str
    database: str
    how: str = HOW

    @property
    def base(self) -> Path:
        """The sealed cluster."""
        return self.folder / f"{self.name}.base{sealing.SUFFIX}"

    @property
    def files(self) -> Path:
        """The sealed files."""
        return self.folder / f"{self.name}.files{sealing.SUFFIX}"

    @property
    def note(self) -> Path:
        """What says that it stands."""
        return self.folder / f"{self.name}.json"


def make(settings: Settings, keep: int | None = None) -> Made:
    """Return a new backup; with `keep` only so many newest ones, and the log since the oldest, stay.

    SetupError without a recipient, when the folder holds backups of another cluster or one is being made
    there, or when the server does not give a backup.
    """
    if keep is not None and keep < 1:
        raise InputError("keep", keep, "1 or more")
    key = sealing.recipient(settings)
    folder = settings.backup_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with database_url(settings) as url, alone(folder / ".lock") as free:
        if not free:
            raise SetupError(f"another backup is being made in {folder}")
        engine = make_engine(url)
        claim(folder, engine)
        _remove_debris(folder)
        began, at = time.monotonic(), datetime.now(UTC)
        wal, schema = _begins_at(engine)
        engine.dispose()
        made = Made(f"{at:%Y%m%dT%H%M%SZ}", folder, at, at, 0, 0.0, wal, schema, str(make_url(url).database))
        size = _base(url, made.base, key) + files.seal(
            settings.home, files.kept(settings.home), made.files, key
        )
        seconds = round(time.monotonic() - began, 1)
        made = replace(made, ended=datetime.now(UTC), bytes=size, seconds=seconds)
        _write_note(made)
        if keep is not None:
            prune(folder, keep)
    return made


def listed(folder: Path) -> list[Made]:
    """Return the backups of a folder, the newest first; what was cut short has no note and is none."""
    found = [_read_note(path) for path in folder.glob("*.json")]
    return sorted((each for each in found if each), key=lambda each: each.at, reverse=True)


def chosen(folder: Path, name: str, until: datetime | None = None) -> Made:
    """Return a backup by name, or for "latest" the newest that ended before `until`; InputError otherwise."""
    found = [each for each in listed(folder) if until is None or each.ended <= until]
    if name != "latest":
        found = [each for each in found if each.name == name]
    if not found:
        before = f" that ended before {until:%Y-%m-%d %H:%M:%S %z}" if until else ""
        raise InputError("backup", name, f"a backup in {folder}{before}; see: gridmgmt db backups")
    return found[0]


def prune(folder: Path, keep: int) -> list[str]:
    """Remove all but the newest backups, and the log that no kept one needs; return their names."""
    kept, gone = listed(folder)[:keep], listed(folder)[keep:]
    for made in gone:  # the note first: what has none does not count any more
        for path in (made.note, made.base, made.files):
            path.unlink(missing_ok=True)
    if kept:
        oldest = kept[-1]
        files.clear(folder / "files", oldest.at)
        for path in (folder / "wal").glob(f"0*{sealing.SUFFIX}"):
            if path.name[:24] < oldest.wal and path.name.split(".")[1] != "history":
                path.unlink()
    return [made.name for made in gone]


def _remove_debris(folder: Path) -> None:
    """Remove what backups left that were killed: nobody else makes one here now."""
    for path in (*folder.glob(f"*{sealing.SUFFIX}"), *folder.glob(f".*{sealing.SUFFIX}.part")):
        if not (folder / f"{path.name.lstrip('.').split('.')[0]}.json").exists():
            path.unlink()


# --- the cluster


def connection_of(url: str) -> dict[str, str]:
    """Return the variables by which PostgreSQL's programs find a server: no password on a command line."""
    where = make_url(url)
    told = {
        "PGHOST": where.host or where.query.get("host"), "PGPORT": where.port, "PGUSER": where.username,
        "PGPASSWORD": where.password, "PGSSLMODE": where.query.get("sslmode"),
        "PGSSLROOTCERT": where.query.get("sslrootcert"), "PGSSLCERT": where.query.get("sslcert"),
        "PGSSLKEY": where.query.get("sslkey"), "PGCONNECT_TIMEOUT": CONNECT_SECONDS,
    }  # fmt: skip
    return os.environ | {name: str(value) for name, value in told.items() if value is not None}


def claim(folder: Path, engine: Engine) -> str:
    """Return the number of the cluster that a folder of backups is for: of the one that first came.

    Two clusters number their logs alike: in one folder each would overwrite the other's. SetupError then, and
    when the server does not answer.
    """
    try:
        with engine.connect() as connection:
            query = text("SELECT system_identifier::text FROM pg_control_system()")
            number = str(connection.execute(query).scalar_one())
    except OperationalError as why:
        raise SetupError(f"the database does not answer: {why.orig}".strip()) from None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = folder / "cluster"
    if not owner.exists():
        owner.write_text(number)
    if owner.read_text() != number:
        raise SetupError(
            f"{folder} holds the backups of another database: name a new folder with GRIDMGMT_BACKUPS"
        )
    return number


def _begins_at(engine: Engine) -> tuple[str, str]:
    """Return the file of the log that is written now, and the schema's version."""
    with engine.connect() as connection:
        wal = connection.execute(text("SELECT pg_walfile_name(pg_current_wal_lsn())")).scalar_one()
        exists = connection.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL")).scalar_one()
        query = text("SELECT version_num FROM alembic_version")
        schema = connection.execute(query).scalar() if exists else ""
    return str(wal), str(schema)


def _base(url: str, path: Path, key: Any) -> int:
    command = [
        str(server_programs() / "pg_basebackup"), "-D", "-", "-F", "tar", "-X", "fetch",
        "--checkpoint=fast", "--compress=client-zstd:level=3,workers=2", "--no-password",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, env=connection_of(url), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        size = sealing.seal(cast(BinaryIO, process.stdout), path, key)
    finally:
        _, said = process.communicate()
    if process.returncode:
        path.unlink(missing_ok=True)
        raise SetupError(f"pg_basebackup failed (its user needs REPLICATION): {said.decode().strip()}")
    return size


# --- the note


def _write_note(made: Made) -> None:
    told = {
        "at": made.at.isoformat(), "ended": made.ended.isoformat(), "how": made.how, "bytes": made.bytes,
        "seconds": made.seconds, "wal": made.wal, "schema": made.schema,
        "database": made.database,
    }  # fmt: skip
    partial = made.note.with_suffix(".part")
    partial.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
    partial.replace(made.note)


def _read_note(path: Path) -> Made | None:
    """Return what a note says; None for a note of something else, or one whose files are gone."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        made = Made(
            path.stem, path.parent, datetime.fromisoformat(said["at"]), datetime.fromisoformat(said["ended"]),
            int(said["bytes"]), float(said["seconds"]), said["wal"], said["schema"],
            said["database"], said["how"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return made if made.base.exists() and made.files.exists() else None

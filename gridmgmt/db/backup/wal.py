"""The log between backups, archived as it is written: what was committed is safe within half a minute.

`pg_receivewal` takes the log through a replication slot into `home/wal`, which stands beside the database and
is lost with it. Each finished file is sealed into the folder of backups and removed; of the one that grows a
sealed copy is made every half minute, and with it of the files of the home that changed. The slot keeps the
log for this archive while it is away, up to `max_slot_wal_keep_size` of the server: set it, or an archive
that never comes back fills the disk.
"""

import logging
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from gridmgmt.config import Settings
from gridmgmt.db.backup import files, sealing
from gridmgmt.db.backup.base import claim, connection_of
from gridmgmt.db.cluster import server_programs
from gridmgmt.db.engine import database_url, make_engine
from gridmgmt.db.held import alone
from gridmgmt.errors import SetupError

SLOT = "gridmgmt_archive"
EVERY_S, LOOK_S, AGAIN_S = 30.0, 0.5, 2.0
# Seconds after which a server is asked no more, and milliseconds after which a cut connection ends.
PATIENCE_S, CUT_MS = 5, 30_000
# Up to when everything is sealed: what this file says (its own time does not survive a copy).
LOOKED = "looked"
GROWING = f".partial{sealing.SUFFIX}"
# Files that changed so many seconds before the last look are taken again: a clock has its grain.
OVERLAP_S = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Archived:
    """The archive of a folder: up to when it has all that the server had written, and how many files."""

    last_at: datetime
    files: int

    @property
    def behind_s(self) -> float:
        """Seconds since then."""
        return (datetime.now(UTC) - self.last_at).total_seconds()


def archived(folder: Path) -> Archived | None:
    """Return how the archive stands in a folder of backups; None where there is none."""
    try:
        last_at = datetime.fromisoformat((folder / "wal" / LOOKED).read_text())
    except (OSError, ValueError):
        return None
    return Archived(last_at, sum(1 for _ in (folder / "wal").glob(f"*{sealing.SUFFIX}")))


def running(url: str) -> bool | None:
    """Say whether somebody takes the log of a server for the archive now; None when it keeps none for it."""
    engine = make_engine(url)
    with engine.connect() as connection:
        query = text("SELECT active FROM pg_replication_slots WHERE slot_name = :slot")
        found = connection.execute(query, {"slot": SLOT}).scalar()
    engine.dispose()
    return found


def end(url: str) -> None:
    """Let a server keep its log for the archive no longer."""
    engine = make_engine(url)
    with engine.begin() as connection:
        query = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = :slot"
        connection.execute(text(query), {"slot": SLOT})
    engine.dispose()


def archive(settings: Settings, stop: Event | None = None, every_s: float = EVERY_S) -> None:
    """Archive the log until `stop` is set; while the server is away, wait for it.

    SetupError without a recipient, when the folder holds the log of another cluster, when somebody archives
    already, or when the server gives no slot (its user needs REPLICATION).
    """
    key, over = sealing.recipient(settings), stop or Event()
    with database_url(settings) as url:
        server = make_engine(url, pooled=True, patience=PATIENCE_S)
        incoming = settings.home / "wal" / claim(settings.backup_folder(), server)
        sealer = _Sealer(settings, server, incoming, key, every_s)
        incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        with alone(incoming / ".lock") as free:
            if not free:
                raise SetupError("the log is being archived already, by another `gridmgmt db archive`")
            sealer.rest()
            _take_slot(url, server, incoming)
            while not over.is_set():
                _receiving(_receive(url, incoming, "--no-loop", "--status-interval=1"), sealer, over)
                if not over.wait(AGAIN_S):
                    with suppress(SetupError, DBAPIError):  # still away
                        _take_slot(url, server, incoming)
        server.dispose()


# --- the server


def _take_slot(url: str, server: Engine, incoming: Path) -> None:
    """See to it that the slot is there; one that the server gave up begins anew, and so does the log."""
    with server.begin() as connection:
        query = "SELECT wal_status FROM pg_replication_slots WHERE slot_name = :slot"
        status = connection.execute(text(query), {"slot": SLOT}).scalar()
        if status == "lost":
            connection.execute(text("SELECT pg_drop_replication_slot(:slot)"), {"slot": SLOT})
    if status in (None, "lost"):
        for path in incoming.glob("*.partial"):  # sealed already; what it lacks does not come any more
            path.unlink()
        log.warning("the archived log begins anew here; backups from before end here: make one now")
        process = _receive(url, incoming, "--create-slot", "--if-not-exists", stderr=subprocess.PIPE)
        _, said = process.communicate()
        if process.returncode:
            raise SetupError(f"the server gives no log to archive: {said.decode().strip()}")


def _receive(url: str, incoming: Path, *options: str, stderr: int | None = None) -> subprocess.Popen[bytes]:
    command = [
        str(server_programs() / "pg_receivewal"), "-D", str(incoming), f"--slot={SLOT}", "--no-password",
        f"--dbname=tcp_user_timeout={CUT_MS}", *options,
    ]  # fmt: skip
    return subprocess.Popen(command, env=connection_of(url), stderr=stderr)


def _receiving(process: subprocess.Popen[bytes], sealer: "_Sealer", over: Event) -> None:
    try:
        while process.poll() is None and not over.wait(LOOK_S):
            sealer.work()
    finally:
        process.terminate()
        process.wait()
    sealer.rest()


_POSITIONS = text("""
    SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint, (
        SELECT pg_wal_lsn_diff(r.write_lsn, '0/0')::bigint FROM pg_stat_replication r
        JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE s.slot_name = :slot)
""")


class _Sealer:
    """Seals what came in: finished files at once, the growing one every so many seconds."""

    def __init__(self, settings: Settings, server: Engine, incoming: Path, key: Any, every_s: float) -> None:
        self.home, self.server, self.incoming, self.key = settings.home, server, incoming, key
        self.every_s = every_s
        self.folder = settings.backup_folder() / "wal"
        self.changes = settings.backup_folder() / "files"
        for each in (self.folder, self.changes):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        stands = archived(settings.backup_folder())
        self._files_at = stands.last_at.timestamp() if stands else 0.0
        self._copied_at, self._copied = -every_s, (0.0, "")
        # Where the server's log ended at which time, as long as that has not come; up to when all has come.
        self._ends: list[tuple[datetime, int]] = []
        self._whole_at: datetime | None = None

    def work(self) -> None:
        """Seal what is there while the server is being heard, and note up to when nothing is missing."""
        self._finished()
        self._look()
        if time.monotonic() - self._copied_at >= self.every_s:
            whole_at, self._whole_at = self._whole_at, None
            self.rest()
            self._copied_at = time.monotonic()
            if whole_at:
                partial = self.folder / f".{LOOKED}"
                partial.write_text(whole_at.isoformat())
                partial.replace(self.folder / LOOKED)
            else:
                self._copied_at += AGAIN_S - self.every_s

    def rest(self) -> None:
        """Seal all that came; a file that is finished meanwhile counts as such, so those come second."""
        self._growing()
        self._finished()
        self._changed_files()

    def _look(self) -> None:
        at = datetime.now(UTC)
        try:
            with self.server.connect() as connection:
                end, received = connection.execute(_POSITIONS, {"slot": SLOT}).one()
        except DBAPIError:  # away: then nothing more is known to have come
            return
        self._ends.append((at, end))
        came = [at for at, end in self._ends if received is not None and end <= received]
        self._whole_at = came[-1] if came else self._whole_at
        self._ends = self._ends[len(came) :]

    def _finished(self) -> None:
        for path in sorted(self.incoming.glob("0*")):
            if path.suffix != ".partial":
                self._seal(path.read_bytes(), f"{path.name}{sealing.SUFFIX}")
                (self.folder / f"{path.name}{GROWING}").unlink(missing_ok=True)
                path.unlink()

    def _growing(self) -> None:
        for path in self.incoming.glob("*.partial"):
            with suppress(FileNotFoundError):  # finished meanwhile
                mark, content = (path.stat().st_mtime, path.name), path.read_bytes()
                if mark != self._copied:
                    self._seal(content, f"{path.stem}{GROWING}")
                    self._copied = mark

    def _changed_files(self) -> None:
        at = datetime.now(UTC)
        changed = list(files.kept(self.home, self._files_at - OVERLAP_S))
        if changed:
            files.seal(self.home, changed, self.changes / files.name(at), self.key)
        self._files_at = at.timestamp()

    def _seal(self, content: bytes, name: str) -> None:
        with sealing.packed(lambda into: into.write(content)) as stream:
            sealing.seal(stream, self.folder / name, self.key)

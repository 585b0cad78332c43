"""What stands outside the machine: a backup from before the faults, and the log archived through them."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from benchmarks.faults.machine import ROOT, Service, end_group
from gridmgmt.config import Settings
from gridmgmt.db.backup import base, restore, sealing, wal
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import make_engine

# Seconds until the archive has what was written last; it looks every half minute.
PATIENCE_S = 120.0


class Archive:
    """`gridmgmt db archive` for a server at rest, begun before its backup as docs/recover.md tells it."""

    def __init__(self, home: Path, url: str, through: str, work: Path, log: Path) -> None:
        self._key, self._work, self._log = work / "key", work, log.open("ab")
        settings = Settings(
            home, url, None, None, backups=work / "safe", backup_recipient=sealing.new_key(self._key)
        )
        self._folder = settings.backup_folder()
        self._environment = {
            "GRIDMGMT_HOME": str(home), "GRIDMGMT_DATABASE_URL": through,
            "GRIDMGMT_BACKUPS": str(self._folder),
            "GRIDMGMT_BACKUP_RECIPIENT": str(settings.backup_recipient),
        }  # fmt: skip
        self.service = Service(self._start, end_group)
        try:
            self._reach(datetime.min.replace(tzinfo=UTC))
            base.make(settings)
        except BaseException:
            self.stop()
            raise

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "gridmgmt", "db", "archive"], cwd=ROOT,
            env=os.environ | self._environment, stdout=self._log, stderr=self._log, start_new_session=True,
        )  # fmt: skip

    def stop(self) -> None:
        self.service.stop()
        self._log.close()

    def _reach(self, moment: datetime) -> None:
        ends = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends:
            stands = wal.archived(self._folder)
            if stands and stands.last_at > moment:
                return
            time.sleep(0.5)
        raise RuntimeError(f"the archive had not reached {moment} after {PATIENCE_S:.0f} s")

    @contextmanager
    def restored(self) -> Iterator[Engine]:
        """Give a new cluster made of the backup and of all that was archived up to now."""
        self._reach(datetime.now(UTC))
        home = self._work / "again"
        restore.restore(self._folder, "latest", self._key, home)
        cluster = Cluster(home)
        cluster.start()
        engine = make_engine(cluster.url())
        try:
            yield engine
        finally:
            engine.dispose()
            cluster.drop()

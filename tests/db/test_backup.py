"""Backups and the log on a small cluster: what comes back, up to which moment, and who may open it."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import Engine, text

from gridmgmt.config import Settings
from gridmgmt.db.backup import base, drill, restore, sealing, wal
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import create_database, make_engine
from gridmgmt.errors import InputError, SetupError


@dataclass(frozen=True)
class Town:
    """A home with a cluster whose one table numbers what was acknowledged, and the key of its backups."""

    settings: Settings
    key: Path
    cluster: Cluster
    engine: Engine
    folder: Path

    def write(self, number: int) -> datetime:
        """Return when a row was acknowledged."""
        with self.engine.begin() as connection:
            connection.execute(text("INSERT INTO told VALUES (:number)"), {"number": number})
        return datetime.now(UTC)

    def numbers_after(self, home: Path, **how: object) -> list[int]:
        """Return the rows of a new home that is restored."""
        restore.restore(self.settings.backup_folder(), "latest", self.key, home, **how)  # type: ignore[arg-type]
        cluster = Cluster(home)
        cluster.start()
        try:
            engine = make_engine(cluster.url())
            with engine.connect() as connection:
                found = list(connection.execute(text("SELECT number FROM told ORDER BY number")).scalars())
            engine.dispose()
        finally:
            cluster.drop()
        return found


@pytest.fixture(scope="module")
def standing() -> Iterator[Town]:
    folder = Path(tempfile.mkdtemp(prefix="gridmgmt-test-"))
    folder.chmod(0o755)  # the server's account walks through it
    public = sealing.new_key(folder / "key")
    settings = Settings(folder / "town", None, None, None, backup_recipient=public)
    cluster = Cluster(settings.home)
    cluster.start()
    create_database(cluster.url("postgres"), "gridmgmt")
    engine = make_engine(cluster.url())
    yield Town(settings, folder / "key", cluster, engine, folder)
    engine.dispose()
    cluster.drop()
    shutil.rmtree(folder)


@pytest.fixture
def town(standing: Town) -> Town:
    """The town with an empty table and a folder of backups of its own."""
    with standing.engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS told; CREATE TABLE told (number integer)"))
    folder = Path(tempfile.mkdtemp(dir=standing.folder))
    folder.chmod(0o755)
    return replace(standing, settings=replace(standing.settings, backups=folder / "safe"), folder=folder)


@contextmanager
def archiving(settings: Settings) -> Iterator[None]:
    """Archive the log meanwhile, looking every second."""
    stop = Event()
    thread = Thread(target=wal.archive, args=(settings, stop, 1.0))
    thread.start()
    try:
        until(lambda: wal.archived(settings.backup_folder()) is not None)
        yield
    finally:
        stop.set()
        thread.join()


def until(happens: Callable[[], bool], patience_s: float = 60.0) -> None:
    ends = time.monotonic() + patience_s
    while not happens():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.05)


def looked(town: Town) -> datetime:
    stands = wal.archived(town.settings.backup_folder())
    assert stands
    return stands.last_at


def test_only_the_key_opens_a_backup_and_files_come_back_without_keys_of_the_city(town: Town) -> None:
    home = town.settings.home
    (home / "photos").mkdir()
    (home / "photos" / "a.jpg").write_bytes(b"pixels")
    (home / "keyring.json").write_text("secret")
    with pytest.raises(SetupError, match="backup-key"):
        base.make(replace(town.settings, backup_recipient=None))
    made = base.make(town.settings)
    assert b"pixels" not in made.files.read_bytes()
    sealing.new_key(town.folder / "other")
    there = town.folder / "there"
    with pytest.raises(SetupError, match="does not open"):
        restore.restore(made.folder, made.name, town.folder / "other", there)
    assert not there.exists()
    done = restore.restore(made.folder, "latest", town.key, there)
    assert (there / "photos" / "a.jpg").read_bytes() == b"pixels"
    assert not (there / "keyring.json").exists()
    assert done.made == made
    with pytest.raises(InputError, match="empty folder"):
        restore.restore(made.folder, "latest", town.key, there)
    Cluster(there).drop()


def test_a_damaged_backup_leaves_nothing_behind(town: Town) -> None:
    made = base.make(town.settings)
    content = bytearray(made.base.read_bytes())
    content[len(content) // 2] ^= 1
    made.base.write_bytes(content)
    with pytest.raises(SetupError):
        restore.restore(made.folder, "latest", town.key, town.folder / "there")
    assert not (town.folder / "there").exists()


def test_the_newest_backups_stay_with_the_log_that_they_need(town: Town) -> None:
    with archiving(town.settings):
        made = []
        for number in range(3):
            town.write(number)
            made.append(base.make(town.settings))
            until(lambda: datetime.now(UTC).replace(microsecond=0) > made[-1].at)  # names are of the second
        folder = town.settings.backup_folder()
        until(lambda: any(path.name[:24] >= made[-1].wal for path in (folder / "wal").glob("0*.age")))
    gone = base.prune(folder, 1)
    assert gone == [made[1].name, made[0].name]
    assert base.listed(folder) == [made[2]]
    assert all(path.name[:24] >= made[2].wal for path in (folder / "wal").glob("0*.age"))
    # An archive that was killed just then left the growing copy beside the finished file.
    finished = max(path for path in (folder / "wal").glob("0*.age") if "partial" not in path.name)
    shutil.copy(made[2].files, folder / "wal" / f"{finished.name[:24]}.partial.zst.age")
    assert town.numbers_after(town.folder / "there") == [0, 1, 2]


def test_a_drill_compares_every_table_while_the_city_goes_on_being_written(town: Town) -> None:
    over = Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            town.write(number)
            number += 1

    writer = Thread(target=write)
    writer.start()
    try:
        found = drill.drill(town.settings, town.key, town.folder)
    finally:
        over.set()
        writer.join()
    assert found.different == ()
    assert wal.running(town.cluster.url()) is not True  # nobody is left behind
    assert found.tables >= 1
    with town.engine.begin() as connection:
        before = drill.hashes(connection)["public.told"]
        connection.execute(text("UPDATE told SET number = number WHERE number = 0"))  # only moves the row
        assert drill.hashes(connection)["public.told"] == before
        connection.execute(text("UPDATE told SET number = -1 WHERE number = 0"))
        assert drill.hashes(connection)["public.told"] != before


def test_a_folder_is_for_one_cluster_and_rid_of_what_a_killed_backup_left(town: Town) -> None:
    folder = town.settings.backup_folder()
    made = base.make(town.settings)
    left = (folder / "20260101T000000Z.base.zst.age", folder / ".20260101T000000Z.base.zst.age.part")
    for path in left:
        path.touch()
    base.make(town.settings)
    assert not any(path.exists() for path in left)
    assert made.base.exists()
    (folder / "cluster").write_text("1")
    for act in (base.make, wal.archive):
        with pytest.raises(SetupError, match="another database"):
            act(town.settings)


def test_a_server_that_gave_up_the_log_is_archived_anew_and_one_archive_is_enough(town: Town) -> None:
    with archiving(town.settings), pytest.raises(SetupError, match="already"):
        wal.archive(town.settings)
    free = town.engine.execution_options(isolation_level="AUTOCOMMIT")
    with free.connect() as connection:
        connection.execute(text("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'"))
        connection.execute(text("ALTER SYSTEM SET max_wal_size = '32MB'"))
        connection.execute(text("SELECT pg_reload_conf()"))
        query = text("SELECT wal_status FROM pg_replication_slots")
        for _ in range(20):
            connection.execute(text("CREATE TABLE filling (); DROP TABLE filling"))
            connection.execute(text("SELECT pg_switch_wal()"))
            connection.execute(text("CHECKPOINT"))
            if connection.execute(query).scalar_one() == "lost":
                break
        assert connection.execute(query).scalar_one() == "lost"
        connection.execute(text("ALTER SYSTEM RESET ALL"))
        connection.execute(text("SELECT pg_reload_conf()"))
    stopped = looked(town)
    with archiving(town.settings):
        until(lambda: looked(town) > stopped)
        base.make(town.settings)
        last = town.write(1)
        until(lambda: looked(town) > last)
    assert town.numbers_after(town.folder / "there") == [1]


# The last one: it ends the cluster.
def test_what_was_acknowledged_before_a_moment_comes_back_and_nothing_after_it(town: Town) -> None:
    photos = town.settings.home / "photos"
    photos.mkdir(exist_ok=True)
    with archiving(town.settings):
        base.make(town.settings)
        (photos / "later.jpg").write_bytes(b"pixels")
        for number in range(5):
            town.write(number)
        moment = datetime.now(UTC)
        for number in range(5, 9):
            last = town.write(number)
        until(lambda: looked(town) > last)
        assert town.numbers_after(town.folder / "then", until=moment) == [0, 1, 2, 3, 4]
        with pytest.raises(InputError, match="until"):
            town.numbers_after(town.folder / "never", until=datetime(2099, 1, 1, tzinfo=UTC))
        assert not (town.folder / "never").exists()
        quiet = datetime.now(UTC)
        until(lambda: looked(town) > quiet)  # nothing is written any more, and the archive knows
        assert town.numbers_after(town.folder / "quiet", until=quiet) == list(range(9))
        # The machine is gone: no goodbye, and its folder is not asked.
        pid = int((town.cluster.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
    assert town.numbers_after(town.folder / "end") == list(range(9))
    assert (town.folder / "end" / "photos" / "later.jpg").read_bytes() == b"pixels"

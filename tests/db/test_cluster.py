"""The private cluster: where it stands, who may use it, and that nothing is left running."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridmgmt.db.cluster import Cluster

USE_IT = """
import sys, time
from gridmgmt.db.engine import opened
with opened() as engine, engine.connect() as connection:
    print(connection.exec_driver_sql("SELECT 1").scalar(), flush=True)
    if len(sys.argv) > 1:
        time.sleep(60)
"""


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gridmgmt-place-") as folder:
        yield Path(folder)


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GRIDMGMT_HOME": str(home)}
    environment.pop("GRIDMGMT_DATABASE_URL", None)
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def wait_until_down(cluster: Cluster) -> None:
    deadline = time.monotonic() + 20
    while cluster.running():
        assert time.monotonic() < deadline, "the server is still running"
        time.sleep(0.05)


def test_a_command_starts_the_cluster_and_leaves_nothing_running(place: Path) -> None:
    done = run(place / "home", "-c", USE_IT)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert not Cluster(place / "home").running()
    Cluster(place / "home").drop()
    assert not (place / "home" / "cluster").exists()


def test_a_killed_command_leaves_nothing_running_either(place: Path) -> None:
    environment = {**os.environ, "GRIDMGMT_HOME": str(place / "home")}
    process = subprocess.Popen(
        [sys.executable, "-c", USE_IT, "wait"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    cluster = Cluster(place / "home")
    assert cluster.running()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    wait_until_down(cluster)
    cluster.drop()


def test_a_second_command_keeps_the_server_up_when_the_first_ends(place: Path) -> None:
    first, second = Cluster(place / "home"), Cluster(place / "home")
    first.start()
    second.start()
    first.release()
    assert second.running()
    second.release()
    assert not second.running()
    second.drop()


def test_started_on_request_it_stays_until_it_is_stopped(place: Path) -> None:
    home = place / "home"
    started = run(home, "-m", "gridmgmt", "cluster", "start")
    try:
        assert started.returncode == 0, started.stderr
        assert started.stdout == run(home, "-m", "gridmgmt", "cluster", "url").stdout
        assert run(home, "-c", USE_IT).stdout == "1\n"
        assert Cluster(home).running()
    finally:
        run(home, "-m", "gridmgmt", "cluster", "stop")
    assert not Cluster(home).running()
    refused = run(home, "-m", "gridmgmt", "cluster", "url")
    assert refused.returncode == 6
    assert "gridmgmt cluster start" in refused.stderr
    Cluster(home).drop()


def test_a_path_longer_than_a_socket_address_works(place: Path) -> None:
    home = place / ("a-long-name-" * 10) / ("另一层" * 8)
    cluster = Cluster(home)
    cluster.start()
    try:
        assert run(home, "-c", USE_IT).stdout == "1\n"
    finally:
        cluster.drop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_a_home_that_postgres_cannot_enter_works(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    cluster = Cluster(closed / "home")
    cluster.start()
    try:
        assert (closed / "home" / "cluster").is_symlink()
        assert run(closed / "home", "-c", USE_IT).stdout == "1\n"
    finally:
        cluster.drop()
    assert not cluster.root.exists()


def test_no_door_but_the_socket_of_its_owner(place: Path) -> None:
    cluster = Cluster(place / "home")
    cluster.start()
    try:
        socket_folder = Path(cluster.url().split("host=")[1])
        assert socket_folder.stat().st_mode & 0o077 == 0
        lines = (cluster.data / "postmaster.pid").read_text().splitlines()
        assert lines[5] == "", "listens on TCP"
    finally:
        cluster.drop()

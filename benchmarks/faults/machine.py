"""The machine of the bench: processes that are started again half a second after they end, as systemd does.

The database stands on a small disk of its own (a tmpfs) where this account may mount one, so that it can be
filled. A dead service's helpers are ended before it is started again, as systemd ends its control group.
"""

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from gridmgmt.db.cluster import SOCKET_NAME, server_programs

ROOT = Path(__file__).parents[2]
RESTART_S = 0.5
# Free for what the bench writes, and for the log of the database, which is kept small.
ROOM_MB = 1024
LOG_MB = 192
FILLER = "filler"


class Service:
    """A process that is started again whenever it ends, until `stop`."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]], sweep: Callable[[int], None]) -> None:
        self._start, self._sweep = start, sweep
        self._over = Event()
        self.process = start()
        self._thread = Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self, kind: signal.Signals = signal.SIGTERM) -> None:
        """End it for good; killed when it takes longer than half a minute."""
        self._over.set()
        self.process.send_signal(kind)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._thread.join(30)
        self._sweep(self.process.pid)

    def _watch(self) -> None:
        while True:
            self.process.wait()
            if self._over.is_set():
                return
            self._sweep(self.process.pid)
            time.sleep(RESTART_S)
            if self._over.is_set():
                return
            self.process = self._start()


class Disk:
    """A folder with little room, and a file that takes all of it."""

    def __init__(self, folder: Path, megabytes: int, owner: pwd.struct_passwd | None) -> None:
        self.folder, self._owner, self.small = folder, owner, os.geteuid() == 0
        folder.mkdir()
        if self.small:
            self.small = not subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", str(folder)],
                check=False,
            ).returncode
        if owner:
            os.chown(folder, owner.pw_uid, owner.pw_gid)

    def fill(self) -> None:
        """Take all room there is."""
        with suppress(OSError), (self.folder / FILLER).open("wb", buffering=0) as stream:
            while True:
                stream.write(b"\0" * (1 << 20))

    def free(self) -> None:
        (self.folder / FILLER).unlink(missing_ok=True)

    def close(self) -> None:
        if self.small:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=False)


class Database:
    """A copy of a cluster's data, served on a unix socket."""

    def __init__(self, data: Path, work: Path, log: Path) -> None:
        self.account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        size = int(subprocess.check_output(["du", "-sm", data]).split()[0])
        self.disk = Disk(work / "disk", size + ROOM_MB, self.account)
        self.data, self.sockets = self.disk.folder / "data", work / "socket"
        subprocess.run(["cp", "-a", data, self.data], check=True)
        self.sockets.mkdir(mode=0o700)
        if self.account:
            os.chown(self.sockets, self.account.pw_uid, self.account.pw_gid)
        self._log = log.open("ab")
        self.service = Service(self._start, self._sweep)

    @property
    def socket(self) -> Path:
        return self.sockets / SOCKET_NAME

    def backends(self) -> list[int]:
        """Return the processes of the server that answer somebody."""
        found = []
        for each in self._family():
            with suppress(OSError):
                words = Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")[0].decode()
                if words.startswith("postgres: ") and "[local]" in words:
                    found.append(each)
        return found

    def stop(self) -> None:
        self.service.stop(signal.SIGINT)
        self._log.close()
        self.disk.close()

    def _start(self) -> subprocess.Popen[bytes]:
        account: dict[str, Any] = {}
        if self.account:
            account = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        settings = {"unix_socket_directories": str(self.sockets), "max_wal_size": f"{LOG_MB}MB"}
        return subprocess.Popen(
            [str(server_programs() / "postgres"), "-D", str(self.data),
             *(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, cwd="/", start_new_session=True,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, **account,
        )  # fmt: skip

    def _family(self) -> list[int]:
        # Every process of PostgreSQL works in the folder of the data.
        found = []
        for entry in glob.glob("/proc/[0-9]*/cwd"):
            with suppress(OSError):
                if os.readlink(entry) == str(self.data):
                    found.append(int(entry.split("/")[2]))
        return found

    def _sweep(self, _: int) -> None:
        for each in self._family():
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)


class Clock:
    """A clock of the wall that may be off for the processes that are started with `environment`."""

    def __init__(self, work: Path) -> None:
        self._library = work / "skew.so"
        self.seconds = 0
        command = [
            "cc",
            "-shared",
            "-fPIC",
            "-o",
            str(self._library),
            str(ROOT / "benchmarks/faults/skew.c"),
            "-ldl",
        ]
        self.works = bool(shutil.which("cc")) and not subprocess.run(command, check=False).returncode

    def environment(self) -> dict[str, str]:
        """Return the variables that put a new process's clock off, none while it is right."""
        if not self.seconds:
            return {}
        return {"LD_PRELOAD": str(self._library), "SKEW_SECONDS": str(self.seconds)}


class Server:
    """`gridmgmt serve` with two workers, on a clock that may be off."""

    def __init__(self, port: int, environment: dict[str, str], clock: Clock, log: Path) -> None:
        self._port, self._environment, self._clock = port, environment, clock
        self._log = log.open("ab")
        self.service = Service(self._start, end_group)

    def workers(self) -> list[int]:
        """Return the processes that answer requests."""
        listed = Path(f"/proc/{self.service.pid}/task/{self.service.pid}/children")
        with suppress(OSError):
            return [int(each) for each in listed.read_text().split()]
        return []

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.service.pid, signal.SIGKILL)

    def stop(self) -> None:
        self.service.stop()
        self._log.close()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "gridmgmt", "serve", "--no-jobs", "--port", str(self._port)],
            cwd=ROOT, env=os.environ | self._environment | self._clock.environment(), stdout=self._log,
            stderr=self._log, start_new_session=True,
        )  # fmt: skip


def end_group(leader: int) -> None:
    """End what a process left behind that led a session of its own."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def free_port() -> int:
    """Return a port of the loopback address that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def waited(end: int | Path, patience_s: float = 90.0) -> None:
    """Wait until somebody listens at a port or a socket; RuntimeError when nobody does."""
    family = socket.AF_UNIX if isinstance(end, Path) else socket.AF_INET
    address = str(end) if isinstance(end, Path) else ("127.0.0.1", end)
    ends = time.monotonic() + patience_s
    while time.monotonic() < ends:
        with socket.socket(family) as probe:
            if probe.connect_ex(address) == 0:
                return
        time.sleep(0.2)
    raise RuntimeError(f"nobody listens at {end}")

"""The private PostGIS cluster: a PostgreSQL server of our own on a unix socket, without TCP.

PostgreSQL refuses to run as root, so root runs it as `postgres`. Where that user cannot enter
`GRIDMGMT_HOME` (a clone under /root), the data stands under /var/lib/gridmgmt and `home/cluster` is a
symbolic link to it. Where the path is too long for a socket (107 bytes), the socket stands under the
temporary folder; `postmaster.pid` says where.

Every command that uses the cluster holds a shared lock on `in-use`. A watcher waits for the exclusive
lock, so it wakes when the last user is gone, however that one ended, and stops the server, unless
`gridmgmt cluster start` asked to keep it.
"""

import fcntl
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gridmgmt.db.held import locked
from gridmgmt.errors import SetupError

OUTSIDE = Path("/var/lib/gridmgmt")
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 107
DATABASE = "gridmgmt"

# One city on one machine: enough memory for set-based imports, and durable; nothing is traded for speed but
# the number of connections.
SERVER_SETTINGS = {
    "listen_addresses": "''",
    "max_connections": "120",
    "shared_buffers": "512MB",
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    # An archive that never comes back must not fill the disk (db/backup/wal.py).
    "max_slot_wal_keep_size": "16GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    # In a container /dev/shm is often 64 MB: a parallel join of a city's matters would fail for want of room.
    "dynamic_shared_memory_type": "mmap",
    "timezone": "'Asia/Shanghai'",
    "log_timezone": "'Asia/Shanghai'",
    # Values of a failed statement must not reach a log: they may be personal.
    "log_parameter_max_length_on_error": "0",
    "log_min_error_statement": "panic",
}


def server_programs() -> Path:
    """Return the folder of PostgreSQL's server programs, the newest version found.

    Raises SetupError when there is none, with the line that installs it.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    raise SetupError(
        "PostgreSQL's server programs are missing; install them with: "
        "apt-get install postgresql-15 postgresql-15-postgis-3 postgresql-15-postgis-3-scripts"
    )


class Cluster:
    """One private cluster, standing at `home/cluster`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        self._lock: int | None = None

    @property
    def root(self) -> Path:
        """The folder that really holds the data; follows the link that stands in for it."""
        return (self.home / "cluster").resolve()

    @property
    def data(self) -> Path:
        return self.root / "data"

    def running(self) -> bool:
        """Say whether the server answers for this data folder."""
        return self._socket_folder() is not None and self._run("pg_ctl", "-D", str(self.data), "status") == 0

    def url(self, database: str = DATABASE) -> str:
        """Return the address of a database of the running cluster, as psql and SQLAlchemy read it."""
        folder = self._socket_folder()
        if folder is None:
            raise SetupError("the private cluster is not running; start it with: gridmgmt cluster start")
        return f"postgresql://postgres@/{database}?host={folder}"

    def start(self, *, keep: bool = False, patience_s: int = 60) -> None:
        """Start the server if it is not running; with `keep` it stays when its last user ends.

        SetupError when it does not answer in time, which may be long while it plays a log.
        """
        self._create_if_absent()
        self._hold()
        with locked(self.root / "starting"):
            if keep:
                self._touch(self.root / "keep")
            if not self.running():
                self._start_server(patience_s)
            if not keep and not (self.root / "keep").exists():
                self._watch()

    def stop(self) -> None:
        """Stop the server, whoever asked to keep it."""
        if not (self.data / "PG_VERSION").exists():
            return
        (self.root / "keep").unlink(missing_ok=True)
        if self.running():
            self._checked("pg_ctl", "-D", str(self.data), "-m", "fast", "-w", "stop")
        self._remove_socket_folder()
        self._let_go()

    def release(self) -> None:
        """Let go of the server; the last one out stops it and waits until it is down."""
        if self._lock is None:
            return
        if not (self.root / "keep").exists() and self._last_user():
            self.stop()
        self._let_go()

    def drop(self) -> None:
        """Stop the server and remove its data."""
        self.stop()
        root = self.root
        link = self.home / "cluster"
        if link.is_symlink():
            link.unlink()
        shutil.rmtree(root, ignore_errors=True)

    # --- making one

    def _create_if_absent(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        with locked(self.home / "create.lock"):
            if (self.data / "PG_VERSION").exists():
                return
            self._make_root()
            self._initialise()

    def _make_root(self) -> None:
        link = self.home / "cluster"
        if link.is_symlink():  # left by a home copied from another machine, or by a first run cut short
            link.unlink()
        if link.is_dir():  # initdb cut short: it holds no cluster yet
            shutil.rmtree(link)
        if self.account is None or self._account_can_enter(self.home):
            self._make_private(link)
            return
        outside = OUTSIDE / f"{self.home.parent.name or 'city'}-{secrets.token_hex(4)}"
        outside.parent.mkdir(mode=0o755, exist_ok=True)
        self._make_private(outside)
        (outside / "belongs-to").write_text(f"{self.home}\n")
        link.symlink_to(outside)

    def _account_can_enter(self, folder: Path) -> bool:
        return subprocess.run(["test", "-x", str(folder)], **self._as_account(), check=False).returncode == 0

    def _make_private(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True)
        if self.account:
            os.chown(folder, self.account.pw_uid, self.account.pw_gid)

    def _touch(self, path: Path) -> None:
        path.touch(mode=0o600)
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def _initialise(self) -> None:
        # Into a name that does not count yet, then renamed: a run cut short leaves no half-made cluster.
        making = self.root / "making"
        shutil.rmtree(making, ignore_errors=True)
        self._checked(
            "initdb", "-D", str(making), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
            "--auth-local=trust", "--auth-host=reject", "--no-sync",
        )  # fmt: skip
        self._settle(making)

    @contextmanager
    def making(self) -> Iterator[Path]:
        """Give a folder that becomes the data of a new cluster when the caller has filled it."""
        self._make_root()
        making = self.root / "making"
        self._make_private(making)
        yield making
        if self.account:
            for folder, _, files in os.walk(self.root):
                for path in (Path(folder), *(Path(folder) / name for name in files)):
                    os.chown(path, self.account.pw_uid, self.account.pw_gid)
        self._settle(making)

    def _settle(self, making: Path) -> None:
        with (making / "postgresql.auto.conf").open("a") as stream:
            stream.writelines(f"{name} = {value}\n" for name, value in SERVER_SETTINGS.items())
        making.rename(self.data)

    # --- starting and stopping

    def _start_server(self, patience_s: int) -> None:
        self._remove_socket_folder()
        folder = self._make_socket_folder()
        options = f"-c unix_socket_directories='{folder}' -c unix_socket_permissions=0700"
        log = self.root / "server.log"
        self._checked(
            "pg_ctl",
            "-D",
            str(self.data),
            "-l",
            str(log),
            "-o",
            options,
            "-w",
            "-t",
            str(patience_s),
            "start",
        )

    def _make_socket_folder(self) -> Path:
        """Make the socket's folder; only its owner may enter, which is what makes local trust safe."""
        beside = self.root / "run"
        if len(os.fsencode(beside / SOCKET_NAME)) <= SOCKET_PATH_LIMIT and "'" not in str(beside):
            self._make_private(beside)
            return beside
        folder = Path(tempfile.mkdtemp(prefix="gridmgmt-", dir="/tmp"))
        if self.account:
            os.chown(folder, self.account.pw_uid, self.account.pw_gid)
        (self.root / "socket-folder").write_text(str(folder))
        return folder

    def _remove_socket_folder(self) -> None:
        shutil.rmtree(self.root / "run", ignore_errors=True)
        noted = self.root / "socket-folder"
        if noted.exists():
            folder = Path(noted.read_text())
            if folder.name.startswith("gridmgmt-") and folder.parent == Path("/tmp"):
                shutil.rmtree(folder, ignore_errors=True)
            noted.unlink()

    def _socket_folder(self) -> str | None:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return lines[4] if len(lines) > 4 and lines[4] else None

    # --- who uses it

    def _hold(self) -> None:
        if self._lock is None:
            path = self.root / "in-use"
            self._touch(path)
            self._lock = os.open(path, os.O_RDWR)
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    def _let_go(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _last_user(self) -> bool:
        assert self._lock is not None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _watch(self) -> None:
        """Leave a watcher that stops the server once nobody holds the lock any more."""
        stop = (
            'test -e "$1/keep" && exit; "$2" -D "$1/data" -m fast -w stop; '
            'rm -rf "$1/run"; test -f "$1/socket-folder" && rmdir "$(cat "$1/socket-folder")"'
        )
        subprocess.run(
            ["setsid", "--fork", "flock", "--exclusive", "--no-fork", str(self.root / "in-use"),
             "sh", "-c", stop, "sh", str(self.root), str(server_programs() / "pg_ctl")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            check=True, **self._as_account(),
        )  # fmt: skip

    # --- running PostgreSQL's programs

    def _as_account(self) -> dict[str, Any]:
        if self.account is None:
            return {"cwd": "/"}
        return {
            "cwd": "/",
            "user": self.account.pw_uid,
            "group": self.account.pw_gid,
            "extra_groups": [],
            "env": {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/", "LC_ALL": "C.UTF-8"},
        }

    def _popen(self, program: str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        # Output goes to a file, not a pipe: the server inherits it, and a pipe would never close.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [str(server_programs() / program), *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False,
                **self._as_account(),
            )  # fmt: skip
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read())

    def _run(self, program: str, *arguments: str) -> int:
        return self._popen(program, arguments).returncode

    def _checked(self, program: str, *arguments: str) -> None:
        done = self._popen(program, arguments)
        if done.returncode != 0:
            said = f"{program} failed ({done.returncode}): {done.stdout.strip()}"
            raise SetupError(f"{said}\n{self.last_words()}".rstrip())

    def last_words(self) -> str:
        """Return the last lines of the server's log."""
        log = self.root / "server.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-8:]) if log.exists() else ""

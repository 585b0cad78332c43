"""Ten wrong passwords or codes in five minutes lock a name out, whichever worker they came to.

Flask-Limiter's counters in memory would be one set a worker, so a guesser had as many tries as there are
workers. These stand in a small SQLite file in the home folder that all workers of the machine share.
"""

import ipaddress
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from flask import Flask, Response, g, request, session
from flask_limiter import Limiter
from flask_login import current_user
from limits.storage import Storage

from gridmgmt.config import Settings

SCHEME = "gridmgmt-file"
_MOST = 10
FAILURES = f"{_MOST} per 5 minutes"
# One count a name, whether password or code was wrong, at the door or inside.
_SCOPE = "sign-in"
SIGN_IN = "login.sign_in"
# Where a sign-in stands in the browser's session that waits for its second factor.
WAITING = "waiting"

View = TypeVar("View", bound=Callable[..., object])

_SCHEMA = "CREATE TABLE IF NOT EXISTS hit (key TEXT PRIMARY KEY, count INTEGER NOT NULL, ends REAL NOT NULL)"


class FileStorage(Storage):
    """Fixed-window counters in one SQLite file; the address is gridmgmt-file:<path>."""

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012  the base class declares it

    def __init__(
        self, uri: str | None = None, wrap_exceptions: bool = False, **options: float | str | bool
    ) -> None:
        super().__init__(uri, wrap_exceptions, **options)
        self.path = Path((uri or "").removeprefix(f"{SCHEME}:"))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._connected() as connection:
            connection.execute(_SCHEMA)
        self.path.chmod(0o600)  # it holds the names that somebody tried

    @property
    def base_exceptions(self) -> type[Exception]:
        return sqlite3.Error

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        # A connection a call: nothing to share over a fork, and a sign-in costs a hash of 50 ms anyway.
        connection = sqlite3.connect(self.path, timeout=5, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        now = time.time()
        with self._connected() as connection:
            connection.execute("DELETE FROM hit WHERE ends <= ?", (now,))
            statement = """
                INSERT INTO hit VALUES (?, ?, ?)
                ON CONFLICT (key) DO UPDATE SET count = count + excluded.count RETURNING count
                """
            return int(connection.execute(statement, (key, amount, now + expiry)).fetchone()[0])

    def get(self, key: str) -> int:
        return int(self._value("count", key))

    def get_expiry(self, key: str) -> float:
        return float(self._value("ends", key)) or time.time()

    def _value(self, column: str, key: str) -> float:
        query = f"SELECT {column} FROM hit WHERE key = ? AND ends > ?"
        with self._connected() as connection:
            row = connection.execute(query, (key, time.time())).fetchone()
        return row[0] if row else 0

    def full(self, count: int) -> list[tuple[str, float]]:
        """Return the keys that were counted so often, and when each one's window ends."""
        query = "SELECT key, ends FROM hit WHERE count >= ? AND ends > ? ORDER BY key"
        with self._connected() as connection:
            return connection.execute(query, (count, time.time())).fetchall()

    def check(self) -> bool:
        with self._connected() as connection:
            connection.execute("SELECT 1 FROM hit LIMIT 1")
        return True

    def reset(self) -> int | None:
        with self._connected() as connection:
            return connection.execute("DELETE FROM hit").rowcount

    def clear(self, key: str) -> None:
        with self._connected() as connection:
            connection.execute("DELETE FROM hit WHERE key = ?", (key,))


def locked(storage: FileStorage) -> dict[str, datetime]:
    """Return the names that are locked out, in lower case, and until when each is."""
    return {_name_of(key): datetime.fromtimestamp(ends, UTC) for key, ends in storage.full(_MOST)}


def unlock(storage: FileStorage, name: str) -> bool:
    """Let a name try again at once; False when it was not locked out."""
    wanted = name.strip().casefold()
    keys = [key for key, _ in storage.full(_MOST) if _name_of(key) == wanted]
    for key in keys:
        storage.clear(key)
    return bool(keys)


def opened(settings: Settings) -> FileStorage:
    """Return the counters of a city, those that its application counts with."""
    return FileStorage(_file(settings))


def count_failure() -> None:
    """Let this request count as a wrong password, once it is answered."""
    g.sign_in_failed = True


def _name() -> str:
    # Whoever waits for the second page, or confirms with the password, is not asked for the name again.
    known = session.get(WAITING, {}).get("name") or getattr(current_user, "username", "")
    told = request.form.get("username", "") if request.endpoint == SIGN_IN else str(known)
    return told.strip().casefold()[:64]


def _name_of(key: str) -> str:
    return key.partition("/")[2].rpartition(f"/{_SCOPE}/")[0]


def _failed(_: Response) -> bool:
    return bool(g.get("sign_in_failed"))


def _file(settings: Settings) -> str:
    return f"{SCHEME}:{settings.home / 'sign-in.sqlite'}"


def address() -> str:
    """Return whom a request without a name counts for: the address, of IPv6 the network that a household has.

    Behind web servers of our own it is the one that they have seen (GRIDMGMT_PROXIES); a header that anybody
    may have written counts for nothing.
    """
    try:
        found = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)


# Only a wrong password or code counts; a right one never locks anybody out.
limiter = Limiter(key_func=_name, default_limits=[], headers_enabled=False)


def failures_limited(view: View) -> View:
    """Mark a view whose failures, posted by whoever, count for the name that they were tried with."""
    marked = limiter.shared_limit(FAILURES, _SCOPE, key_func=_name, methods=["POST"], deduct_when=_failed)
    return marked(view)  # type: ignore[return-value]


def install(app: Flask, settings: Settings) -> None:
    """Hang the lock-out on an application."""
    app.config["RATELIMIT_STORAGE_URI"] = _file(settings)
    limiter.init_app(app)

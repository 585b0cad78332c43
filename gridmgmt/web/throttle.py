"""Ten wrong passwords in five minutes lock a name out, whichever worker they came to.

Flask-Limiter's counters in memory would be one set a worker, so a guesser had as many tries as there are
workers. These stand in a small SQLite file in the home folder that all workers of the machine share.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask, Response, request
from flask_limiter import Limiter
from limits.storage import Storage

from gridmgmt.config import Settings

SCHEME = "gridmgmt-file"
FAILURES = "10 per 5 minutes"

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


def _name() -> str:
    return request.form.get("username", "").strip().casefold()[:64]


def _failed(response: Response) -> bool:
    return response.status_code == 401


# Only a wrong password counts; a right one never locks anybody out.
limiter = Limiter(key_func=_name, default_limits=[], headers_enabled=False)
failures_limited = limiter.limit(FAILURES, key_func=_name, methods=["POST"], deduct_when=_failed)


def install(app: Flask, settings: Settings) -> None:
    """Hang the lock-out on an application."""
    app.config["RATELIMIT_STORAGE_URI"] = f"{SCHEME}:{settings.home / 'sign-in.sqlite'}"
    limiter.init_app(app)

"""Answers kept as files that all workers of the machine share: <home>/cache/<shelf>/<version>/<name>.

A name says everything the answer depends on but the version. A file appears whole or not at all; those of
another version go when the first of a new one comes; a shelf that grows past its limit loses the oldest.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import request

LIMIT_BYTES = 200 << 20
# Files that a worker writes between two looks at how much stands there.
LOOK_EVERY = 256
MOST_PERSONS = 1000


@dataclass
class Shelf:
    """The kept answers of one kind; `get` returns None for what is not kept."""

    folder: Path
    limit: int = LIMIT_BYTES
    _version: str = field(default="", repr=False)
    _written: int = field(default=0, repr=False)

    def get(self, version: str, name: str) -> bytes | None:
        with suppress(OSError), open(f"{self.folder}/{version}/{name}", "rb") as stream:
            return stream.read()
        return None

    def put(self, version: str, name: str, content: bytes) -> None:
        """Keep an answer; a full disk is no reason not to give it."""
        with suppress(OSError):
            path = self.folder / version / name
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            os.replace(temporary, path)
        self._tidy(version)

    def _tidy(self, version: str) -> None:
        if version != self._version:
            self._version, self._written = version, 0
            for old in self.folder.iterdir() if self.folder.is_dir() else ():
                if old.name != version:
                    shutil.rmtree(old, ignore_errors=True)
        self._written += 1
        if self._written % LOOK_EVERY == 0:
            self._shrink()

    def _shrink(self) -> None:
        """Remove the oldest files until three quarters of the limit are left."""
        found = []
        for path in self.folder.rglob("*"):
            with suppress(OSError):
                if path.is_file():
                    found.append((path.stat().st_mtime, path.stat().st_size, path))
        size = sum(each[1] for each in found)
        if size <= self.limit:
            return
        for _, bytes_, path in sorted(found):
            path.unlink(missing_ok=True)
            size -= bytes_
            if size <= self.limit * 3 // 4:
                return


class Remembered:
    """A value that is looked up at most once in so many seconds by a worker."""

    def __init__(self, look_up: Callable[[], Any], seconds: float) -> None:
        self._look_up, self._seconds = look_up, seconds
        self._value: Any = None
        self._until = 0.0

    def __call__(self) -> Any:
        now = time.monotonic()
        if now >= self._until:
            self._value, self._until = self._look_up(), now + self._seconds
        return self._value


def believed(load: Callable[[str], Any], prefix: str, seconds: float) -> Callable[[str], Any]:
    """Return a loader of the signed-in person that under some addresses believes itself for a moment.

    A map asks for tens of tiles at once, and who asks takes longer to find out than a kept tile to answer.
    Every other address asks anew; so a session that was ended gets tiles for that moment longer at most.
    """
    known: dict[str, tuple[float, Any]] = {}

    def loaded(session_id: str) -> Any:
        now = time.monotonic()
        found = known.get(session_id)
        if found and now < found[0] and request.path.startswith(prefix):
            return found[1]
        person = load(session_id)
        if len(known) >= MOST_PERSONS:
            known.clear()
        known[session_id] = (now + seconds, person)
        return person

    return loaded

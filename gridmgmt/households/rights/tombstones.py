"""The file `erasures.log` beside the database: who was erased, so that a restored backup forgets too.

A line is `number moment mark`. The mark is a hash of the person's salt: it tells a restored person from
somebody who came later and got the same number, and tells nothing of either.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, text

NAME = "erasures.log"
NO_MARK = "-"


@dataclass(frozen=True)
class Tombstone:
    """One line of the file."""

    person_id: int
    at: datetime
    mark: str


def of(connection: Connection, person_id: int) -> Tombstone:
    """Return the line for a person who still stands; the moment is that of the transaction."""
    at, salt = connection.execute(
        text("SELECT now(), salt FROM person WHERE id = :person"), {"person": person_id}
    ).one()
    return Tombstone(person_id, at, hashlib.sha256(salt).hexdigest()[:16] if salt else NO_MARK)


def is_of(stone: Tombstone, person: Tombstone, updated_at: datetime) -> bool:
    """Say whether a line means this person: by the mark, or where one lacks it, by who was there before."""
    if NO_MARK not in (stone.mark, person.mark):
        return stone.mark == person.mark
    return updated_at <= stone.at


def write(home: Path, stones: Iterable[Tombstone]) -> None:
    """Add lines to the file and bring them to the disk."""
    lines = "".join(f"{stone.person_id} {stone.at.isoformat()} {stone.mark}\n" for stone in stones)
    if not lines:
        return
    home.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(home / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as stream:
        stream.write(lines)
        stream.flush()
        os.fsync(stream.fileno())


def read(home: Path) -> list[Tombstone]:
    """Return what the file says; a last line cut short by a crash is left out."""
    path = home / NAME
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    parts = (line.split(" ") for line in lines)
    return [Tombstone(int(p[0]), datetime.fromisoformat(p[1]), p[2]) for p in parts if len(p) == 3]


def missing(connection: Connection, home: Path, coming: Iterable[Tombstone]) -> list[Tombstone]:
    """Return the erasures that neither the file nor `coming` has: a crash may come between the two."""
    known = {stone.person_id for stone in (*read(home), *coming)}
    rows = connection.execute(text("SELECT person_id, at FROM erasure ORDER BY id"))
    return [Tombstone(number, at, NO_MARK) for number, at in rows if number not in known]

"""What clients were told stands: on the disk, before it counts; compared with the database at the end."""

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, text

# The source of what the importer imports.
SOURCE = "faults"


class Ledger:
    """Lines of two sorts: `sent`, which may stand once at most, and `kept`, which must stand exactly once."""

    def __init__(self, path: Path) -> None:
        self._stream, self._lock = path.open("a"), Lock()
        self.sent: dict[tuple[str, str], Any] = {}
        self.kept: dict[tuple[str, str], Any] = {}
        self.changed: list[str] = []

    def send(self, kind: str, key: str, told: Any = None) -> None:
        """Note what is about to be sent, under a key of its own."""
        with self._lock:
            self.sent[kind, key] = told

    def keep(self, kind: str, key: str, told: Any = None) -> None:
        """Note what the server said stands; two answers to one key that differ are noted as well."""
        with self._lock:
            before = self.kept.get((kind, key), told)
            if before != told and kind != "import":
                self.changed.append(f"{kind} {key}: {before}, then {told}")
            self._stream.write(json.dumps([kind, key, told], ensure_ascii=False) + "\n")
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self.kept[kind, key] = told


@dataclass
class Found:
    """What the comparison found: how many of each kind were kept, what is lost, doubled, or broken."""

    counts: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """All that must not be."""
        return [*self.lost, *self.doubled, *self.broken]


# How often each thing stands, by its key: a matter by its words, a note and a request by theirs, an answer of
# a department by its words, a visit by its key.
_STANDS = {
    "matter": "SELECT text, count(*) FROM incident WHERE text IS NOT NULL GROUP BY 1",
    "note": "SELECT note, count(*) FROM incident_step WHERE act IN ('note', 'hand') GROUP BY 1",
    "answer": "SELECT answer, count(*) FROM incident_hand WHERE answer IS NOT NULL GROUP BY 1",
    "visit": "SELECT CAST(key AS text), count(*) FROM visit GROUP BY 1",
}
_NUMBERS = """
    SELECT i.text, c.number || ' ' || c.id FROM incident i JOIN incident_case c ON c.id = i.id
    WHERE i.text IS NOT NULL
"""
# Each finds what must not be.
INVARIANTS = {
    "a case without its incident, or the other way round": """
        SELECT id FROM incident_case EXCEPT SELECT id FROM incident
        """,
    "a key without its case": """
        SELECT key FROM incident_key k WHERE NOT EXISTS (SELECT FROM incident_case c WHERE c.id = k.case_id)
        """,
    "steps that are not counted from 1 to the case's version": """
        SELECT c.id FROM incident_case c LEFT JOIN incident_step s ON s.case_id = c.id
        GROUP BY c.id, c.version
        HAVING count(s.n) <> c.version OR max(s.n) <> c.version OR min(s.n) <> 1
        """,
    "a case that is not where its last move led": """
        SELECT c.id FROM incident_case c JOIN LATERAL (
            SELECT to_stage FROM incident_step s WHERE s.case_id = c.id AND to_stage IS NOT NULL
            ORDER BY n DESC LIMIT 1
        ) AS last ON last.to_stage <> c.stage
        """,
    "an incident that says another stage or status than its case": """
        SELECT i.id FROM incident i JOIN incident_case c ON c.id = i.id
        WHERE i.stage <> c.stage OR (i.status = 'open') <> c.open
        """,
    "an answered hand without its step, or with two": """
        SELECT h.id FROM incident_hand h WHERE h.answer LIKE 'fb%' AND 1 <> (
            SELECT count(*) FROM incident_step s
            WHERE s.case_id = h.case_id AND s.act = 'answer' AND s.unit = h.unit AND s.note = h.answer)
        """,
}


def compare(engine: Engine, ledger: Ledger) -> Found:
    """Return what came of everything that was sent: kept ones stand once, others once at most."""
    found = Found(Counter(kind for kind, _ in ledger.kept))
    found.broken += [f"two answers to one key: {each}" for each in ledger.changed]
    with engine.connect() as connection:
        for kind, query in _STANDS.items():
            stands = {str(key): int(n) for key, n in connection.execute(text(query))}
            _once(kind, stands, ledger, found)
        _numbers(connection, ledger, found)
        _imports(connection, ledger, found)
        for words, query in INVARIANTS.items():
            rows = connection.execute(text(query)).all()
            if rows:
                found.broken.append(f"{words}: {len(rows)}, e.g. {tuple(rows[0])}")
    return found


def _once(kind: str, stands: dict[str, int], ledger: Ledger, found: Found) -> None:
    found.lost += [f"{kind} {key}" for what, key in ledger.kept if what == kind and key not in stands]
    sent = [key for what, key in ledger.sent if what == kind]
    found.doubled += [f"{kind} {key}: {stands[key]} times" for key in sent if stands.get(key, 0) > 1]


def _numbers(connection: Connection, ledger: Ledger, found: Found) -> None:
    """A matter stands under the number that its teller was given."""
    numbers = {str(words): str(said).split() for words, said in connection.execute(text(_NUMBERS))}
    for (kind, words), told in ledger.kept.items():
        if kind == "matter" and told and words in numbers and str(told) not in numbers[words]:
            found.lost.append(f"matter {words}: said {told}, stands as {numbers[words]}")


def _imports(connection: Connection, ledger: Ledger, found: Found) -> None:
    """Every file is in whole or not at all; one that was said to be in has its words of then, or later."""
    query = "SELECT external_id, text FROM incident WHERE source = :source"
    stands = {str(name): str(words) for name, words in connection.execute(text(query), {"source": SOURCE})}
    twice = "SELECT external_id FROM incident WHERE source = :source GROUP BY 1 HAVING count(*) > 1"
    found.doubled += [f"import {name}" for (name,) in connection.execute(text(twice), {"source": SOURCE})]
    known = set[str]()
    for (kind, name), told in ledger.sent.items():
        if kind != "import":
            continue
        rows = {f"{name}-{n}" for n in range(told["rows"])}
        known |= rows
        words = {stands.get(row) for row in rows}
        kept = ledger.kept.get((kind, name))
        allowed = {f"{name} v{v}" for v in range(kept["version"] if kept else 1, told["version"] + 1)}
        if len(words) != 1 or (kept and not words <= allowed) or (words - {None} and not words <= allowed):
            found.lost.append(f"import {name}: kept {kept}, stands {sorted(map(str, words))}")
    if set(stands) - known:
        found.doubled.append(f"{len(set(stands) - known)} imported rows that nobody sent")

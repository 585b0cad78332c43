"""Rows that may be somebody known wait for the town office: sealed as they were, each once."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection, text

from gridmgmt.db.copy import copy_rows
from gridmgmt.households.incoming.merge import int4, nullable
from gridmgmt.households.incoming.people import CARES, RELATIONS, TENURES
from gridmgmt.households.incoming.rows import Kept, Rows
from gridmgmt.households.incoming.whole import Doubles
from gridmgmt.privacy.blind import blind_many
from gridmgmt.privacy.cipher import new_salts, seal_many
from gridmgmt.privacy.keyring import KeyRing

AREA = """
SELECT d.id, left(g.code15, 9) FROM dwelling d
JOIN building b ON b.id = d.building_id JOIN grid g ON g.id = b.grid_id
WHERE d.id = ANY (:dwellings)
"""
LIVES = "SELECT id, household_id FROM person WHERE id = ANY (:people)"
KNOWN = "SELECT fingerprint::text, status FROM roster_review WHERE fingerprint = ANY (CAST(:asked AS uuid[]))"
WAITS = "a person who is known nowhere else: the row waits for review by the town office"
DECIDED = "a person who is known nowhere else: the review decided {}"
TOLD = {
    "same_identity": ("identity_number", "a number that another person has"),
    "same_person": ("name", "the same name and birth date in this dwelling"),
}


def row_values(rows: Rows, homes: pd.DataFrame) -> list[dict[str, object]]:
    """Return every row as the review keeps it: our field names, what is unsaid left out."""
    people = rows.people
    assert people is not None
    texts = {name: getattr(people, name).to_pylist() for name in ("name", "phone", "care_basis")}
    days = {name: getattr(people, name) for name in ("birth_on", "since", "care_expires")}
    values: list[dict[str, object]] = []
    for at, identity in enumerate(people.identity.to_pylist()):
        row: dict[str, object] = {
            "building_code": homes["building"].iat[at], "dwelling": homes["door"].iat[at],
            "household_code": homes["code"].iat[at], "identity_number": identity,
            "sex": ("male", "female")[people.sex[at]] if people.sex[at] >= 0 else None,
            "relation": RELATIONS[people.relation[at]].value if people.relation[at] >= 0 else None,
            "tenure": TENURES[people.tenure[at]].value if people.tenure[at] >= 0 else None,
            "registered_here": bool(people.registered[at]) if people.registered[at] >= 0 else None,
            "care": [care.value for bit, care in enumerate(CARES) if people.care[at] >> bit & 1],
        }  # fmt: skip
        row |= {name: column[at] for name, column in texts.items()}
        row |= {name: None if np.isnat(column[at]) else str(column[at]) for name, column in days.items()}
        values.append({name: value for name, value in row.items() if value not in (None, "", [])})
    return values


def queue(
    connection: Connection, ring: KeyRing, file: Path, rows: Rows, homes: pd.DataFrame, doubles: Doubles,
    dwelling: Sequence[int], kept: Kept,
) -> int:  # fmt: skip
    """Queue doubtful rows that are not queued yet, reject them in the report, and return how many are new.

    `rows`, `homes` and `dwelling` (ids) are of the doubtful rows alone, in the order of `doubles`.
    """
    values = row_values(rows, homes)
    marks = blind_many(
        ring, "review", [_mark(kind, row) for kind, row in zip(doubles.kind, values, strict=True)]
    )
    prints = [str(_uuid(mark)) for mark in marks]
    status = _pairs(connection, KNOWN, asked=prints)
    for kind, (field, found) in TOLD.items():
        here = np.array([each == kind for each in doubles.kind], bool)
        why = [DECIDED.format(status[p]) if status.get(p, "open") != "open" else WAITS for p in prints]
        kept.reject(
            rows.row[here], field, [found] * int(here.sum()),
            [w for w, mine in zip(why, here, strict=True) if mine],
        )  # fmt: skip
    fresh = np.array([p not in status and p not in prints[:at] for at, p in enumerate(prints)], bool)
    if fresh.any():
        _write(connection, ring, file, rows, values, doubles, dwelling, marks, fresh)
    return int(fresh.sum())


def _write(
    connection: Connection, ring: KeyRing, file: Path, rows: Rows, values: list[dict[str, object]],
    doubles: Doubles, dwelling: Sequence[int], marks: Sequence[bytes | None], fresh: np.ndarray,
) -> None:  # fmt: skip
    at = np.flatnonzero(fresh).tolist()
    salts = new_salts(len(at))
    clear = [json.dumps(values[place], ensure_ascii=False) for place in at]
    area = _pairs(connection, AREA, dwellings=list(map(int, dwelling)))
    lives = _pairs(connection, LIVES, people=doubles.person.tolist())
    copy_rows(connection.connection.cursor(), "roster_review", {
        "kind": [doubles.kind[place] for place in at],
        "area": [area.get(dwelling[place], "") for place in at],
        "person_id": nullable(doubles.person[at]),
        "household_id": nullable([lives.get(int(doubles.person[place])) or 0 for place in at]),
        "fingerprint": pa.array([marks[place] for place in at], pa.binary(16)),
        "file": [file.name] * len(at),
        "row_number": int4(rows.row[at]),
        "salt": pa.array(salts, pa.binary(16)),
        "sealed": pa.array(seal_many(ring, salts, {"review": clear})["review"], pa.large_binary()),
    })  # fmt: skip


def _pairs(connection: Connection, query: str, **values: object) -> dict[Any, Any]:
    return {row[0]: row[1] for row in connection.execute(text(query), values)}


def _mark(kind: str, row: dict[str, object]) -> str:
    """Return what makes a doubt the same when the file comes again."""
    who = row.get("identity_number") or f"{row['name']}|{row.get('birth_on', '')}"
    return "\0".join((kind, str(who), str(row["household_code"])))


def _uuid(mark: bytes | None) -> UUID:
    return UUID(bytes=mark or b"")

"""Writes lines of the audit log and says whether the log is whole."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class Verified:
    """How many lines there are, the last line's hash, and every line that is not what it was."""

    lines: int
    head: str
    faults: tuple[tuple[int, str], ...]


def record(
    connection: Connection,
    what: str,
    *,
    area: str = "",
    households: Collection[int] = (),
    person_id: int | None = None,
    purpose: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> int:
    """Write the line of one reading or writing in its own transaction, and return the line's number.

    Nothing personal may stand in it: it names fields, households and people by number, never what was looked
    for or found. A write calls this first, a reading last, since the next line waits for this one's
    transaction. Who acts is what `db.engine.acting` was told.
    """
    row = connection.execute(
        text("SELECT audit(:what, :area, :households, :person, :purpose, CAST(:detail AS jsonb))"),
        {
            "what": what,
            "area": area,
            "households": sorted(set(households)),
            "person": person_id,
            "purpose": purpose,
            "detail": json.dumps(dict(detail or {}), ensure_ascii=False),
        },
    )
    return int(row.scalar_one())


def verify(connection: Connection) -> Verified:
    """Return how the log stands: faults name each line that was changed, or before which some are missing."""
    head = connection.execute(text("SELECT encode(hash, 'hex') FROM audit_head")).scalar_one()
    lines = connection.execute(text("SELECT count(*) FROM audit_log")).scalar_one()
    faults = connection.execute(text("SELECT line, fault FROM audit_faults() ORDER BY 1")).all()
    return Verified(int(lines), str(head), tuple((int(line), str(fault)) for line, fault in faults))

"""What time ends: the nightly job that erases, empties and closes what the field register keeps no longer."""

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from gridmgmt.db.engine import acting
from gridmgmt.households.rights import tombstones
from gridmgmt.households.rights.erase import Why, erase_as_owner
from gridmgmt.households.rights.tombstones import Tombstone
from gridmgmt.privacy import audit, register
from gridmgmt.privacy.binding import bind
from gridmgmt.privacy.keyring import KeyRing


@dataclass(frozen=True)
class Ended:
    """How many of each kind the night ended."""

    persons: int
    notes: int
    changes: int
    history: int
    reviews: int
    exports: int
    care: int


ENDED_NAMES = {
    "persons": "离开已久、信息已删除的人", "notes": "清空的走访记录", "changes": "清空的变动申请",
    "history": "删除的历史记录", "reviews": "删除的待核对行", "exports": "删除的导出申请",
    "care": "到期结束的关爱",
}  # fmt: skip

# Field of `Ended` -> the name of its period in the register, and what ends what is older than :before.
_CARE = "UPDATE household_care SET ended_on = expires WHERE ended_on IS NULL AND expires < :before"
_STEPS = {
    "notes": ("visit.note", """
        UPDATE visit SET note = NULL, salt = NULL WHERE visited_at < :before AND note IS NOT NULL
    """),
    "changes": ("roster_change", """
        UPDATE roster_change SET payload = '{}', salt = NULL, sealed = NULL, reason = '', decision = NULL
        WHERE decided_at < :before
            AND (payload <> '{}' OR sealed IS NOT NULL OR reason <> '' OR decision IS NOT NULL)
    """),
    "history": ("roster_history", "DELETE FROM roster_history WHERE at < :before"),
    "reviews": ("roster_review", "DELETE FROM roster_review WHERE made_at < :before"),
    "exports": ("roster_export", "DELETE FROM roster_export WHERE made_at < :before"),
}  # fmt: skip


def nightly(engine: Engine, ring: KeyRing, home: Path, today: date, *, dry_run: bool = False) -> Ended:
    """Return what was ended on this day, or with `dry_run` what would be; safe to repeat.

    All of it is one transaction with one line in the audit log; a dry run does the same and takes it back.
    `engine` is the owner's, `home` the folder of `erasures.log`.
    """
    with acting(engine, "nightly", "") as connection:
        bind(connection, ring)
        # Whoever writes people leaves a line first: waiting here means never waiting in a ring.
        connection.execute(text("SELECT id FROM audit_head FOR UPDATE"))
        stones = _erase_left(connection, ring, _before("person left", today))
        steps = {
            name: _done(connection, sql, _before(period, today)) for name, (period, sql) in _STEPS.items()
        }
        ended = Ended(persons=len(stones), care=_done(connection, _CARE, today), **steps)
        audit.record(connection, "roster.retention", detail={"on": today.isoformat(), **asdict(ended)})
        stones = [*stones, *tombstones.missing(connection, home, stones)]
        if dry_run:
            connection.rollback()
    if not dry_run:
        tombstones.write(home, stones)
    return ended


def _before(name: str, today: date) -> date:
    return register.retention(name).before(today)


def _done(connection: Connection, statement: str, before: date) -> int:
    return connection.execute(text(statement), {"before": before}).rowcount


def _erase_left(connection: Connection, ring: KeyRing, before: date) -> list[Tombstone]:
    """Erase who left before that day; who has left is nobody's head, so no household loses one."""
    ids = connection.execute(
        text("SELECT id FROM person WHERE left_on < :before AND left_why <> 'erased' ORDER BY id FOR UPDATE"),
        {"before": before},
    ).scalars()
    return [erase_as_owner(connection, ring, number, Why.EXPIRED) for number in ids.all()]

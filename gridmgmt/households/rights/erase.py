"""Erasure (删除): nothing stays of a person but a number and that somebody was erased.

The salt goes, and with it every sealed value of the person, wherever a copy of it stands. A backup holds
the salt still: whoever restores one runs `gridmgmt privacy reapply`, which erases again by the file
`erasures.log`.
What was already written to the audit log stays: it names nobody.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from gridmgmt.db.engine import acting
from gridmgmt.errors import InputError, TamperedError
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.households.rights import tombstones
from gridmgmt.households.rights.subject import Subject, subject
from gridmgmt.households.rights.tombstones import Tombstone
from gridmgmt.privacy import audit
from gridmgmt.privacy.binding import bind
from gridmgmt.privacy.cipher import unseal
from gridmgmt.privacy.keyring import KeyRing


class Why(StrEnum):
    """Why a person is erased; a list, since free words would name people."""

    ASKED = "asked"
    PURPOSE_OVER = "purpose over"
    MISTAKE = "mistake"
    UNLAWFUL = "unlawful"
    EXPIRED = "expired"
    AGAIN = "again"


WHY_NAMES = {
    Why.ASKED: "本人撤回同意或申请删除", Why.PURPOSE_OVER: "处理目的已实现或无法实现",
    Why.MISTAKE: "误录，查无此人", Why.UNLAWFUL: "采集没有依据", Why.EXPIRED: "保存期限已满",
    Why.AGAIN: "恢复备份后再次删除",
}  # fmt: skip
OFFERED = (Why.ASKED, Why.PURPOSE_OVER, Why.MISTAKE, Why.UNLAWFUL)

_AS_JSON = ("change", "review")
_ERASE = "SELECT {}(:person, :why, :head, :change, :review, :note)"


@dataclass(frozen=True)
class Reapplied:
    """How many of the file were erased again, were gone already, or now are somebody else's number."""

    erased: int
    gone: int
    others: int


def erase(
    engine: Engine,
    ring: KeyRing,
    actor: Actor,
    person_id: int,
    why: str,
    *,
    new_head: int | None = None,
    name: str | None = None,
    home: Path,
) -> int:
    """Erase a person of the office's town, and return the household's number; there is no way back.

    Parameters
    ----------
    new_head : person of the same household, needed when a head leaves others behind
    name : what somebody typed to confirm; when given it must be the person's
    home : folder of `erasures.log`

    Raises NotFoundError as in `subject`; InputError when the reason is none of `OFFERED`, the head is wanting
    or the name is another.
    """
    if why not in OFFERED:
        raise InputError("why", why, " | ".join(OFFERED))
    why = Why(why)
    with on_roster(engine, actor) as connection:
        home_id = subject(connection, actor, person_id).household_id
        audit.record(
            connection, "person.erase", area=actor.area, households=[home_id], person_id=person_id,
            detail={"why": why.value},
        )  # fmt: skip
        # Read again: the line has waited for whoever was before, who may have erased the same person.
        who = subject(connection, actor, person_id)
        if name is not None and name.strip() != who.name:
            raise InputError("name", "another name", "the person's name as it is held")
        head = _head(who, new_head)
        stone = tombstones.of(connection, who.id)
        found = _speaking_of(connection, ring, who.id, "roster_traces")
        _erased(connection, "roster_erase", who.id, why, head, found)
    tombstones.write(home, [stone])
    return who.household_id


def erase_as_owner(
    connection: Connection, ring: KeyRing, person_id: int, why: Why, head: int | None = None
) -> Tombstone:
    """Erase a person of anywhere in the owner's transaction, after its line in the audit log.

    Return what has to be written to `erasures.log` once the transaction is through.
    """
    stone = tombstones.of(connection, person_id)
    found = _speaking_of(connection, ring, person_id, "rights_traces")
    _erased(connection, "rights_erase", person_id, why, head, found)
    return stone


def reapply(engine: Engine, ring: KeyRing, home: Path) -> Reapplied:
    """Erase again whom a restored backup brought back; each in a transaction of its own, safe to repeat.

    New people get numbers beyond those of the file, so that none of them is ever taken for somebody erased.
    `engine` is the owner's.
    """
    with engine.begin() as connection:
        bind(connection, ring)  # with another ring nothing sealed would be seen to speak of anybody
    stones = tombstones.read(home)
    states = {stone.person_id: _reapplied(engine, ring, stone) for stone in stones}
    with engine.begin() as connection:
        connection.execute(
            text(
                "SELECT setval(pg_get_serial_sequence('person', 'id'),"
                " GREATEST(:last, nextval(pg_get_serial_sequence('person', 'id')) - 1, 1))"
            ),
            {"last": max(states, default=0)},
        )
    found = list(states.values())
    return Reapplied(found.count("erased"), found.count("gone"), found.count("other"))


def _reapplied(engine: Engine, ring: KeyRing, stone: Tombstone) -> str:
    with acting(engine, "reapply", "") as connection:
        row = connection.execute(
            text(
                "SELECT p.household_id, p.left_why, p.updated_at,"
                " p.relation = 'head' AND p.left_on IS NULL AS heads,"
                " (SELECT o.id FROM person o WHERE o.household_id = p.household_id AND o.id <> p.id"
                "  AND o.left_on IS NULL ORDER BY o.birth_on, o.id LIMIT 1) AS next"
                " FROM person p WHERE p.id = :person FOR UPDATE"
            ),
            {"person": stone.person_id},
        ).first()
        if row is None or row.left_why == "erased":
            return "gone"
        if not tombstones.is_of(stone, tombstones.of(connection, stone.person_id), row.updated_at):
            return "other"
        homes = [row.household_id] if row.household_id else []
        audit.record(connection, "person.erase", households=homes, person_id=stone.person_id,
                     detail={"why": Why.AGAIN.value})  # fmt: skip
        erase_as_owner(connection, ring, stone.person_id, Why.AGAIN, row.next if row.heads else None)
    return "erased"


def _head(who: Subject, new_head: int | None) -> int | None:
    if not who.must_name_head:
        return None
    allowed = [number for number, _ in who.others]
    if new_head not in allowed:
        raise InputError("new_head", new_head, f"one of the others of the household: {allowed}")
    return new_head


def _speaking_of(
    connection: Connection, ring: KeyRing, person_id: int, function: str
) -> dict[str, list[int]]:
    """Return the numbers of the changes, reviews and notes whose sealed words name the person."""
    rows = connection.execute(text(f"SELECT * FROM {function}(:person)"), {"person": person_id}).all()
    opened = [(row.kind, row.id, _opened(ring, row.kind, row.salt, row.sealed)) for row in rows]
    names = [clear for kind, _, clear in opened if kind in ("name", "identity", "phone") and len(clear) > 1]
    found: dict[str, list[int]] = {"change": [], "review": [], "note": []}
    for kind, number, clear in opened:
        if kind in found and any(name in clear for name in names):
            found[kind].append(number)
    return found


def _opened(ring: KeyRing, kind: str, salt: bytes | None, sealed: bytes) -> str:
    if kind == "name":
        return bytes(sealed).decode()
    try:
        clear = unseal(ring, bytes(salt or b""), kind, sealed)
        return json.dumps(json.loads(clear), ensure_ascii=False) if kind in _AS_JSON else clear
    except TamperedError:  # what cannot be opened tells of nobody, and must not keep a person from going
        return ""


def _erased(
    connection: Connection,
    function: str,
    person_id: int,
    why: Why,
    head: int | None,
    found: dict[str, list[int]],
) -> None:
    connection.execute(
        text(_ERASE.format(function)), {"person": person_id, "why": why.value, "head": head, **found}
    )

"""Who a matter is about: added sealed, shown one at a time for a purpose, erased when its time is over.

Each of these leaves one line in the audit log, which names the matter and never the person.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, insert, select, text, update

from gridmgmt.db.engine import acting
from gridmgmt.errors import InputError, NotFoundError
from gridmgmt.incidents.actor import Actor, on_matters
from gridmgmt.incidents.handling.acts import Act
from gridmgmt.incidents.handling.models import IncidentCase
from gridmgmt.incidents.handling.work import on_case
from gridmgmt.incidents.parties.models import IncidentParty, PartyPart
from gridmgmt.incidents.parties.told import PartyTold
from gridmgmt.incidents.plain import plain_line
from gridmgmt.privacy import audit, numbers, register
from gridmgmt.privacy.blind import blind_many
from gridmgmt.privacy.cipher import new_salts, seal_many, unseal
from gridmgmt.privacy.keyring import KeyRing

MOST_PARTIES = 10
LONGEST_NAME = 40
NAME, PHONE = "party_name", "party_phone"
# What a name or telephone may be shown for; the audit log keeps the key.
PURPOSES = {
    "call": "联系本人核实情况", "answer": "告知受理或答复", "visit": "上门或回访", "mediate": "组织调解",
    "request": "本人要求",
}  # fmt: skip
RETENTION = "incident_party"


@dataclass(frozen=True)
class PartyLine:
    """Somebody of a matter, by nothing that says who."""

    id: int
    part: PartyPart
    has_name: bool
    has_phone: bool
    made_at: datetime
    erased_at: datetime | None


@dataclass(frozen=True)
class Revealed:
    """Who somebody is, in full; shown in no `repr`."""

    part: PartyPart
    name: str = field(repr=False)
    phone: str = field(repr=False)


def checked(parties: Sequence[PartyTold]) -> list[PartyTold]:
    """Return those of whom anything is told, in the form in which it is kept.

    Raises InputError of "party_name" or "party_phone", quoting neither.
    """
    found = [
        PartyTold(each.part, plain_line(each.name), numbers.clean_phone(plain_line(each.phone)))
        for each in parties
    ]
    told = [each for each in found if each.name or each.phone]
    if len(told) > MOST_PARTIES:
        raise InputError("parties", len(told), f"up to {MOST_PARTIES}")
    for each in told:
        if len(each.name) > LONGEST_NAME or any(sign.isdigit() for sign in each.name):
            raise InputError(
                NAME, "another text", f"a name of up to {LONGEST_NAME} characters, without digits"
            )
        if each.phone:
            _check_phone(each.phone)
    return told


def _check_phone(phone: str) -> None:
    try:
        numbers.check_phone(phone)
    except InputError as why:
        raise InputError(PHONE, why.found, why.allowed) from None


def add(
    connection: Connection,
    ring: KeyRing,
    case_id: int,
    area: str,
    parties: Sequence[PartyTold],
    made_by: str,
) -> None:
    """Write who a matter is about, inside a transaction that stands; nothing when nobody is told of.

    Raises InputError as `checked` does.
    """
    told = checked(parties)
    if not told:
        return
    detail = {"case": case_id, "parts": [each.part.value for each in told]}
    audit.record(connection, "party.add", area=area, detail=detail)
    salts = new_salts(len(told))
    texts = {NAME: [each.name or None for each in told], PHONE: [each.phone or None for each in told]}
    sealed = seal_many(ring, salts, texts)
    found_by = blind_many(ring, "phone", texts[PHONE])
    rows = [
        {
            "case_id": case_id, "part": each.part, "salt": salts[n], "name": sealed[NAME][n],
            "phone": sealed[PHONE][n], "phone_index": _uuid(found_by[n]), "made_by": made_by,
        }
        for n, each in enumerate(told)
    ]  # fmt: skip
    # Inline, because whoever tells may not read what comes back.
    connection.execute(insert(IncidentParty).inline(), rows)


def add_to(
    engine: Engine,
    ring: KeyRing,
    actor: Actor,
    case_id: int,
    version: int | None,
    parties: Sequence[PartyTold],
) -> int:
    """Add people to a matter that stands, and return its new version; errors as `checked` and `on_case`."""
    if not checked(parties):
        raise InputError("parties", "nothing", "a name or a telephone")
    with on_case(engine, actor, case_id, version) as work:
        area = work.case.village or ""
        add(work.connection, ring, case_id, area, parties, actor.username)
        return work.write(Act.PARTY, detail={"added": len(parties)})


def listed(connection: Connection, case_id: int) -> list[PartyLine]:
    """Return who is known of a matter, without who they are; empty where that may not be read."""
    party = IncidentParty
    rows = connection.execute(
        select(
            party.id, party.part, party.name.is_not(None), party.phone.is_not(None), party.made_at,
            party.erased_at,
        ).where(party.case_id == case_id).order_by(party.id)
    )  # fmt: skip
    return [PartyLine(row.id, PartyPart(row.part), *row[2:]) for row in rows]


def reveal(
    engine: Engine, ring: KeyRing, actor: Actor, party_id: int, purpose: str, case_id: int | None = None
) -> Revealed:
    """Return who somebody of a matter is, for one of PURPOSES.

    Raises InputError for another purpose, NotFoundError when the person is not in the actor's hands, was
    erased, or is not of the matter `case_id` where one is named: all alike.
    """
    if purpose not in PURPOSES:
        raise InputError("purpose", purpose, " | ".join(PURPOSES))
    with on_matters(engine, actor) as connection:
        row = _party(connection, party_id)
        if case_id not in (None, row.case_id):
            raise NotFoundError(f"nobody {party_id} of matter {case_id}")
        salt = bytes(row.salt)
        shown = Revealed(
            PartyPart(row.part),
            unseal(ring, salt, NAME, row.name) if row.name else "",
            unseal(ring, salt, PHONE, row.phone) if row.phone else "",
        )
        detail = {"case": row.case_id, "party": party_id}
        audit.record(connection, "party.reveal", area=row.village or "", purpose=purpose, detail=detail)
    return shown


def erase(engine: Engine, actor: Actor, party_id: int) -> int:
    """Remove what is held of somebody of a matter, for good, and return the matter's new version.

    Raises NotFoundError as `reveal` does.
    """
    with on_matters(engine, actor) as connection:
        case_id = _party(connection, party_id).case_id
    with on_case(engine, actor, case_id) as work:
        row = _party(work.connection, party_id)
        detail = {"case": case_id, "party": party_id}
        audit.record(work.connection, "party.erase", area=row.village or "", detail=detail)
        work.connection.execute(_emptied().where(IncidentParty.id == party_id))
        return work.write(Act.PARTY, detail={"erased": party_id})


ERASED_NAME = "办结满三年、已删除的当事人"


def erase_old(engine: Engine, today: date, *, dry_run: bool = False) -> int:
    """Remove who a matter was about where it has been closed for as long as the register says.

    Returns of how many people, and does no more with `dry_run`; one transaction with one audit line, none
    when there is nobody. `engine` is the owner's.
    """
    before = register.retention(RETENTION).before(today)
    with acting(engine, "nightly", "") as connection:
        ids = connection.execute(_OLD, {"before": before}).scalars().all()
        if not ids or dry_run:
            return len(ids)
        audit.record(connection, "party.erase", detail={"parties": len(ids), "closed_before": str(before)})
        connection.execute(_emptied().where(IncidentParty.id.in_(ids)))
    return len(ids)


_OLD = text("""
SELECT p.id FROM incident_party p
JOIN incident_case c ON c.id = p.case_id AND NOT c.open
JOIN incident i ON i.id = p.case_id
WHERE i.closed_at < CAST(:before AS date) AT TIME ZONE 'Asia/Shanghai' AND p.erased_at IS NULL
ORDER BY p.id FOR UPDATE OF p
""")


def _emptied() -> Any:
    return update(IncidentParty).values(
        salt=None, name=None, phone=None, phone_index=None, erased_at=text("now()")
    )


def _party(connection: Connection, party_id: int) -> Row[Any]:
    """Return a party that the actor may read, with its matter's village; NotFoundError otherwise."""
    party = IncidentParty
    columns: list[Any] = [
        party.case_id, party.part, party.salt, party.name, party.phone, IncidentCase.village
    ]  # fmt: skip
    joined = select(*columns).join(IncidentCase, IncidentCase.id == party.case_id)
    row = connection.execute(joined.where(party.id == party_id)).one_or_none()
    if row is None or row.salt is None:
        raise NotFoundError(f"nobody {party_id} of a matter here")
    return row


def _uuid(value: bytes | None) -> UUID | None:
    return None if value is None else UUID(bytes=value)

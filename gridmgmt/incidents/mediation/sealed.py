"""What of a mediation is sealed, opened: minutes and agreement. Whoever calls this leaves the audit line."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, select

from gridmgmt.incidents.mediation.models import Mediation, MediationSession
from gridmgmt.privacy.cipher import new_salts, seal, unseal
from gridmgmt.privacy.keyring import KeyRing


@dataclass(frozen=True)
class Terms:
    """What was agreed, and how and until when it is to be done; shown in no `repr`."""

    terms: str = field(repr=False)
    performance: str = field(default="", repr=False)

    def packed(self) -> str:
        """Return both as one text, as it is sealed."""
        return json.dumps([self.terms, self.performance], ensure_ascii=False)

    @classmethod
    def unpacked(cls, text: str) -> "Terms":
        """Return what `packed` gave."""
        terms, performance = json.loads(text)
        return cls(terms, performance)


@dataclass(frozen=True)
class Minutes:
    """One sitting with what was said."""

    session_id: int
    mediation_id: int
    held_at: datetime
    place: str
    text: str = field(repr=False)


def sealed(ring: KeyRing, name: str, text: str) -> dict[str, bytes]:
    """Return the columns of a sealed text: a new salt, and the text under it."""
    (salt,) = new_salts(1)
    return {"salt": salt, name: seal(ring, salt, name, text)}


def agreements(connection: Connection, ring: KeyRing, numbers: Iterable[int]) -> dict[int, Terms]:
    """Return what was agreed in mediations, by their numbers; those without an agreement are left out."""
    columns = Mediation.id, Mediation.salt, Mediation.agreement
    rows = connection.execute(
        select(*columns).where(Mediation.id.in_(list(numbers)), Mediation.agreement.is_not(None))
    )
    return {row.id: Terms.unpacked(unseal(ring, bytes(row.salt), "agreement", row.agreement)) for row in rows}


def minutes(connection: Connection, ring: KeyRing, numbers: Iterable[int]) -> list[Minutes]:
    """Return the sittings of mediations with what was said, the first one first."""
    rows = connection.execute(
        select(MediationSession.__table__)
        .where(MediationSession.mediation_id.in_(list(numbers)), MediationSession.minutes.is_not(None))
        .order_by(MediationSession.held_at, MediationSession.id)
    )
    return [
        Minutes(
            row.id, row.mediation_id, row.held_at, row.place,
            unseal(ring, bytes(row.salt), "minutes", row.minutes),
        )
        for row in rows
    ]  # fmt: skip

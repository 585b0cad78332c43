"""Showing one masked number in full: for a stated purpose, with an audit line, and not too often."""

from sqlalchemy import Engine, text

from gridmgmt.errors import InputError, NotAllowedError, NotFoundError
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.privacy import audit
from gridmgmt.privacy.cipher import unseal
from gridmgmt.privacy.keyring import KeyRing

FIELDS = {"identity": "身份证号", "phone": "电话"}
# What a number may be shown for; the audit log keeps the key.
PURPOSES = {
    "call": "电话联系本人", "verify": "入户核对信息", "service": "帮办代办", "care": "关爱走访",
    "emergency": "防汛、抢险等紧急情况", "request": "居民本人要求",
}  # fmt: skip
AN_HOUR = 30


class RestrictedError(NotAllowedError):
    """This person's data are under restriction: kept, and not used."""


class TooManyError(NotAllowedError):
    """This account has had as many numbers shown within the hour as is allowed."""


def reveal(engine: Engine, ring: KeyRing, actor: Actor, person_id: int, field: str, purpose: str) -> str:
    """Return a present person's identity number or telephone in full.

    Raises
    ------
    InputError
        When `field` is none of FIELDS or `purpose` none of PURPOSES.
    NotFoundError
        When the person is not in the actor's area, has left, or has no such number: all alike.
    RestrictedError, TooManyError
        When nothing may be shown; the transaction is undone, so that no line says that it was.
    """
    if field not in FIELDS:
        raise InputError("field", field, " | ".join(FIELDS))
    if purpose not in PURPOSES:
        raise InputError("purpose", purpose, " | ".join(PURPOSES))
    with on_roster(engine, actor) as connection:
        row = connection.execute(_PERSON, {"number": person_id}).one_or_none()
        sealed = getattr(row, field) if row else None
        if row is None or sealed is None:
            raise NotFoundError(f"no {field} of person {person_id} in the area of {actor.username}")
        if row.restricted_on:
            raise RestrictedError(f"person {person_id} is under restriction")
        clear = unseal(ring, bytes(row.salt), field, sealed)
        audit.record(
            connection, "person.reveal", area=row.grid, households=[row.household_id],
            person_id=person_id, purpose=purpose, detail={"field": field},
        )  # fmt: skip
        # After the line, which waits for everybody else's: two at once cannot both be the last allowed.
        if connection.execute(text("SELECT roster_reveals()")).scalar_one() > AN_HOUR:
            raise TooManyError(f"{actor.username} has had {AN_HOUR} numbers shown within an hour")
    return clear


_PERSON = text("""
SELECT p.identity, p.phone, p.salt, p.restricted_on, p.household_id, g.code15 AS grid
FROM person p JOIN grid g ON g.id = p.grid_id WHERE p.id = :number AND p.left_on IS NULL
""")

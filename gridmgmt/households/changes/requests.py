"""Keeps what was asked for: the request itself, its sealed part, and what stood there when it was asked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from gridmgmt.errors import ConflictError, NotFoundError
from gridmgmt.households.actor import Actor
from gridmgmt.households.changes.models import ChangeStatus, Kind, RosterChange
from gridmgmt.households.changes.scenes import Home, Scene
from gridmgmt.households.changes.wanted import Wanted, apart, together
from gridmgmt.privacy.cipher import new_salts, seal, unseal
from gridmgmt.privacy.keyring import KeyRing

FIELD = "change"
VALUES, WAS = "values", "was"
INDEX = "identity_index"


@dataclass(frozen=True)
class Request:
    """A request as it is kept, opened."""

    id: int
    status: str
    wanted: Wanted
    was: Mapping[str, Any]


def as_it_stands(scene: Scene, wanted: Wanted) -> dict[str, Any]:
    """Return what the change rests on; when it differs at the decision, the change no longer applies."""
    if wanted.kind is Kind.CORRECT:
        return _person_as_it_stands(scene.home, wanted)
    found: dict[str, Any] = {}
    if wanted.kind in (Kind.DEATH, Kind.MOVE_OUT, Kind.SPLIT, Kind.MERGE, Kind.HEAD):
        found["head"] = scene.home.head.id if scene.home.head else None
    if wanted.kind in (Kind.MOVE_OUT, Kind.MERGE) and wanted.values.get("people") is None:
        found["people"] = sorted(one.id for one in scene.home.people)
    if wanted.kind is Kind.MERGE and scene.into:
        found["into_head"] = scene.into.head.id if scene.into.head else None
    if wanted.kind is Kind.MOVE_IN:
        found["is_empty"] = not scene.home.people
    return found


def _person_as_it_stands(home: Home, wanted: Wanted) -> dict[str, Any]:
    person = home.member(wanted.person_id)
    now = {
        "name": person.name,
        "relation": person.relation.value,
        "birth_on": person.birth_on.isoformat() if person.birth_on else None,
        "registered_here": person.registered_dwelling_id == home.dwelling_id,
        "identity_number": str(person.identity_index) if person.identity_index else None,
    }
    return {field: now[field] for field in wanted.values if field in now}


def keep(connection: Connection, ring: KeyRing, actor: Actor, wanted: Wanted, was: Mapping[str, Any]) -> int:
    """Write an open request and return its number."""
    clear, secret = apart(wanted.values)
    kept = dict(was)
    if before := kept.pop("identity_number", None):
        secret[INDEX] = before
    salt = new_salts(1)[0] if secret else None
    number = connection.execute(
        insert(RosterChange)
        .values(
            household_id=wanted.household_id,
            person_id=wanted.person_id,
            kind=wanted.kind,
            on_date=wanted.on_date,
            payload={VALUES: clear, WAS: kept},
            salt=salt,
            sealed=seal(ring, salt, FIELD, json.dumps(secret)) if salt else None,
            reason=wanted.reason,
            made_by=actor.username,
        )
        .returning(RosterChange.id)
    )
    return int(number.scalar_one())


def household_of(connection: Connection, change_id: int) -> int:
    """Return whose change it is; NotFoundError alike for none and for one out of sight."""
    found = connection.execute(select(RosterChange.household_id).where(RosterChange.id == change_id)).scalar()
    if found is None:
        raise NotFoundError(f"change {change_id}")
    return int(found)


def request(connection: Connection, ring: KeyRing, change_id: int) -> Request:
    """Return a request as it was asked for."""
    row = connection.execute(select(RosterChange).where(RosterChange.id == change_id)).one()
    return opened(ring, row)


def opened(ring: KeyRing, row: Any) -> Request:
    """Return a row of `roster_change` opened; one that was emptied since has no values."""
    secret = secrets_of(ring, row)
    was = dict(row.payload.get(WAS, {}))
    if INDEX in secret:
        was["identity_number"] = secret.pop(INDEX)
    elif "identity_number" in secret and row.kind == Kind.CORRECT:
        was["identity_number"] = None
    values = together(row.payload.get(VALUES, {}), secret)
    wanted = Wanted(Kind(row.kind), row.household_id, row.person_id, row.on_date, values, row.reason)
    return Request(row.id, row.status, wanted, was)


def secrets_of(ring: KeyRing, row: Any) -> dict[str, Any]:
    """Return the sealed part of a request, nothing when there is none."""
    if row.sealed is None or row.salt is None:
        return {}
    found: dict[str, Any] = json.loads(unseal(ring, bytes(row.salt), FIELD, bytes(row.sealed)))
    return found


def close(connection: Connection, actor: Actor, change_id: int, status: ChangeStatus, note: str = "") -> None:
    """Write how a request was decided; ConflictError when somebody was quicker."""
    done = connection.execute(
        update(RosterChange)
        .where(RosterChange.id == change_id, RosterChange.status == ChangeStatus.OPEN)
        .values(status=status, decided_at=func.now(), decided_by=actor.username, decision=note or None)
    )
    if not done.rowcount:
        raise ConflictError(f"change {change_id} is decided already")

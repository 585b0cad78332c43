"""One household with everything its page shows; numbers are masked, notes are opened."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Engine, text

from gridmgmt.calendar import china_today
from gridmgmt.errors import NotFoundError
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.households.changes import stored as changes
from gridmgmt.households.changes.stored import ChangeLine, EventLine
from gridmgmt.households.models import (
    CARE_NAMES,
    LEFT_NAMES,
    RELATION_NAMES,
    SEX_NAMES,
    TENURE_NAMES,
    Care,
    Left,
    Relation,
    Tenure,
)
from gridmgmt.households.reading.lines import FLAGS
from gridmgmt.households.reading.residents import age_on, masked
from gridmgmt.households.reading.roster import EXPIRES_SOON, is_verified, survey_since
from gridmgmt.households.visits import stored as visits
from gridmgmt.households.visits.stored import VisitLine
from gridmgmt.privacy import audit
from gridmgmt.privacy.keyring import KeyRing

HERE, ELSEWHERE = "本住址", "辖区以外"


@dataclass(frozen=True, slots=True)
class CareOf:
    """A care category in force: for whom, on what basis, until when."""

    id: int
    name: str
    person_id: int | None
    person: str | None
    basis: str
    valid_from: date
    expires: date
    soon: bool


@dataclass(frozen=True, slots=True)
class Member:
    """A present person; `registered` is where, in words, and `apart` says that it is not where they live.

    `identity` and `phone` are masked; None where there is none, or where handling is restricted.
    """

    id: int
    name: str
    relation: str
    is_head: bool
    sex: str | None
    birth_on: date | None
    age: int | None
    identity: str | None
    phone: str | None
    tenure: str | None
    since: date | None
    registered: str
    apart: bool
    restricted_on: date | None
    care: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Former:
    """A person who is no more of the household."""

    id: int
    name: str
    left_on: date
    why: str


@dataclass(frozen=True)
class Home:
    """A household; `neighbours` are the other households of its dwelling, by number."""

    id: int
    code: str
    grid: str
    grid_name: str
    building_id: int
    dwelling_id: int
    address: str
    door: str
    flags: tuple[str, ...]
    verified_on: date | None
    verified_by: str | None
    verified: bool
    ended_on: date | None
    people: tuple[Member, ...]
    former: tuple[Former, ...]
    care: tuple[CareOf, ...]
    neighbours: tuple[int, ...]
    changes: tuple[ChangeLine, ...]
    events: tuple[EventLine, ...]
    visits: tuple[VisitLine, ...]


def household(engine: Engine, ring: KeyRing, actor: Actor, number: int, *, today: date | None = None) -> Home:
    """Return a household of the actor's area; NotFoundError for any other. Leaves one audit line."""
    day = today or china_today()
    with on_roster(engine, actor) as connection:
        row = connection.execute(_HOME, {"number": number}).one_or_none()
        if row is None:
            raise NotFoundError(f"no household {number} in the area of {actor.username}")
        care = _care(connection, number, day)
        home = Home(
            id=number,
            **{name: getattr(row, name) for name in _OF_ROW},
            flags=tuple(name for flag, name in FLAGS.items() if getattr(row, flag)),
            verified=is_verified(row.verified_on, survey_since(connection, row.grid, day)),
            people=_people(connection, ring, number, row.dwelling_id, care, day),
            former=_former(connection, number),
            care=tuple(care),
            neighbours=tuple(row.neighbours),
            changes=tuple(changes.of_household(connection, ring, number)),
            events=tuple(changes.events_of(connection, number)),
            visits=tuple(visits.of_household(connection, ring, number)),
        )
        audit.record(connection, "household.view", area=row.grid, households=[number])
    return home


_OF_ROW = (
    "code", "grid", "grid_name", "building_id", "dwelling_id", "address", "door", "verified_on",
    "verified_by", "ended_on",
)  # fmt: skip
_HOME = text("""
SELECT h.code, h.dwelling_id, h.ended_on, g.code15 AS grid, g.name AS grid_name, b.id AS building_id,
    b.address, b.low_lying, b.dilapidated, b.self_built, d.door, d.verified_on, d.verified_by,
    ARRAY(SELECT o.id FROM household o WHERE o.dwelling_id = h.dwelling_id AND o.id <> h.id
        AND o.ended_on IS NULL ORDER BY o.id) AS neighbours
FROM household h JOIN dwelling d ON d.id = h.dwelling_id JOIN building b ON b.id = d.building_id
    JOIN grid g ON g.id = h.grid_id
WHERE h.id = :number
""")
_PEOPLE = text("""
SELECT p.id, p.name, p.relation, p.sex, p.birth_on, p.identity, p.phone, p.salt, p.restricted_on,
    p.registered_dwelling_id, r.relation AS tenure, r.valid_from AS since, r.dwelling_id,
    b.address || ' ' || d.door AS registered
FROM person p LEFT JOIN residency r ON r.person_id = p.id AND r.valid_to IS NULL
    LEFT JOIN dwelling d ON d.id = p.registered_dwelling_id LEFT JOIN building b ON b.id = d.building_id
WHERE p.household_id = :number AND p.left_on IS NULL
ORDER BY p.relation <> 'head', p.birth_on, p.id
""")
_FORMER = text("""
SELECT id, name, left_on, left_why FROM person
WHERE household_id = :number AND left_on IS NOT NULL ORDER BY left_on DESC, id
""")
_CARE = text("""
SELECT c.id, c.category, c.person_id, p.name AS person, c.basis, c.valid_from, c.expires
FROM household_care c LEFT JOIN person p ON p.id = c.person_id
WHERE c.household_id = :number AND c.ended_on IS NULL ORDER BY c.expires, c.id
""")


def _care(connection: Connection, number: int, today: date) -> list[CareOf]:
    return [
        CareOf(
            row.id, CARE_NAMES[Care(row.category)], row.person_id, row.person, row.basis, row.valid_from,
            row.expires, soon=row.expires <= today + EXPIRES_SOON,
        )
        for row in connection.execute(_CARE, {"number": number})
    ]  # fmt: skip


def _people(
    connection: Connection, ring: KeyRing, number: int, dwelling: int, care: list[CareOf], today: date
) -> tuple[Member, ...]:
    categories: dict[int | None, list[str]] = defaultdict(list)
    for each in care:
        categories[each.person_id].append(each.name)
    rows = connection.execute(_PEOPLE, {"number": number}).all()
    return tuple(_member(ring, row, dwelling, tuple(categories[row.id]), today) for row in rows)


def _member(ring: KeyRing, row: Any, dwelling: int, care: tuple[str, ...], today: date) -> Member:
    here = row.registered_dwelling_id == dwelling
    return Member(
        id=row.id,
        name=row.name,
        relation=RELATION_NAMES[Relation(row.relation)],
        is_head=row.relation == Relation.HEAD,
        sex=SEX_NAMES.get(row.sex),
        birth_on=row.birth_on,
        age=age_on(row.birth_on, today),
        identity=None if row.restricted_on else masked(ring, "identity", row.salt, row.identity),
        phone=None if row.restricted_on else masked(ring, "phone", row.salt, row.phone),
        tenure=TENURE_NAMES[Tenure(row.tenure)] if row.tenure else None,
        since=row.since,
        registered=HERE if here else row.registered or ELSEWHERE,
        apart=row.registered_dwelling_id != row.dwelling_id,
        restricted_on=row.restricted_on,
        care=care,
    )


def _former(connection: Connection, number: int) -> tuple[Former, ...]:
    return tuple(
        Former(row.id, row.name, row.left_on, LEFT_NAMES[Left(row.left_why)])
        for row in connection.execute(_FORMER, {"number": number})
    )

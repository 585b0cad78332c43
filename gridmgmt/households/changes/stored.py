"""Reads requests, events and what rows said before, for pages. Nothing here leaves a line in the audit log:
whoever calls does.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Select, select

from gridmgmt.households.changes import requests
from gridmgmt.households.changes.models import KIND_NAMES, ChangeStatus, Kind, RosterChange, RosterEvent
from gridmgmt.households.changes.words import (
    AWAY,
    ELSEWHERE,
    EVENT_NAMES,
    FIELD_NAMES,
    HERE,
    NEW,
    NOTHING,
    STATUS_NAMES,
)
from gridmgmt.households.models import (
    CARE_NAMES,
    RELATION_NAMES,
    SEX_NAMES,
    Building,
    Care,
    Dwelling,
    Household,
    HouseholdCare,
    Person,
    Relation,
)
from gridmgmt.households.reading.residents import masked
from gridmgmt.privacy.keyring import KeyRing
from gridmgmt.privacy.masks import mask_identity, mask_phone


@dataclass(frozen=True)
class Difference:
    """One field of a change, in words: what stands there and what it is to be; numbers are masked."""

    field: str
    was: str
    to: str


@dataclass(frozen=True)
class ChangeLine:
    """A request as a page shows it; `where` is address and door, `person` None for a whole household."""

    id: int
    household_id: int
    where: str
    kind: str
    kind_name: str
    person_id: int | None
    person: str | None
    on_date: date
    differences: tuple[Difference, ...]
    reason: str
    status: str
    status_name: str
    made_at: datetime
    made_by: str
    decided_at: datetime | None
    decided_by: str | None
    decision: str | None

    @property
    def is_open(self) -> bool:
        """Whether it waits for the office."""
        return self.status == ChangeStatus.OPEN


@dataclass(frozen=True)
class EventLine:
    """Something that happened to a household; `person` None when it was to all of it."""

    on_date: date
    kind: str
    kind_name: str
    person: str | None
    other_household_id: int | None
    made_by: str
    at: datetime


@dataclass(frozen=True)
class Names:
    """Names of what requests speak of, by number; what is out of sight has none."""

    people: Mapping[int, Any]
    doors: Mapping[int, str]
    homes: Mapping[int, str]
    cares: Mapping[int, str]

    def person(self, number: int | None) -> str:
        """Return a person's name."""
        if number is None:
            return NOTHING
        return self.people[number].name if number in self.people else "—"


def of_household(connection: Connection, ring: KeyRing, household_id: int) -> list[ChangeLine]:
    """Return a household's requests, newest first."""
    chosen = select(RosterChange).where(RosterChange.household_id == household_id)
    return lines_of(connection, ring, chosen.order_by(RosterChange.made_at.desc(), RosterChange.id.desc()))


def lines_of(connection: Connection, ring: KeyRing, chosen: Select[Any]) -> list[ChangeLine]:
    """Return chosen requests in their order, with everything they speak of read at once."""
    rows = connection.execute(chosen).all()
    asked = [requests.opened(ring, row) for row in rows]
    names = _names(connection, asked)
    return [_line(ring, names, row, one) for row, one in zip(rows, asked, strict=True)]


def events_of(connection: Connection, household_id: int) -> list[EventLine]:
    """Return what happened to a household, newest first."""
    rows = connection.execute(
        select(RosterEvent, Person.name)
        .outerjoin(Person, Person.id == RosterEvent.person_id)
        .where(RosterEvent.household_id == household_id)
        .order_by(RosterEvent.on_date.desc(), RosterEvent.id.desc())
    )
    return [
        EventLine(
            row.on_date, row.kind, EVENT_NAMES[row.kind], row.name, row.other_household_id, row.made_by,
            row.at,
        )
        for row in rows
    ]  # fmt: skip


def _line(ring: KeyRing, names: Names, row: Any, asked: requests.Request) -> ChangeLine:
    return ChangeLine(
        row.id, row.household_id, names.homes.get(row.household_id, ""), row.kind, KIND_NAMES[Kind(row.kind)],
        row.person_id, names.person(row.person_id) if row.person_id else None, row.on_date,
        tuple(DIFFERENCES[Kind(row.kind)](ring, names, asked)) if asked.wanted.values else (),
        row.reason, row.status, STATUS_NAMES[ChangeStatus(row.status)], row.made_at, row.made_by,
        row.decided_at, row.decided_by, row.decision,
    )  # fmt: skip


# --- names of what requests speak of


def _names(connection: Connection, asked: Iterable[requests.Request]) -> Names:
    people: set[int] = set()
    doors: set[int] = set()
    homes: set[int] = set()
    cares: set[int] = set()
    for one in asked:
        wanted, values = one.wanted, one.wanted.values
        named = [number for number in values.get("people") or () if isinstance(number, int)]
        several = (wanted.person_id, values.get("head"), values.get("new_head"), one.was.get("head"), *named)
        people.update(number for number in several if number)
        doors.update(number for number in (values.get("to_dwelling"),) if number)
        homes.update(number for number in (wanted.household_id, values.get("into")) if number)
        cares.update(number for number in (values.get("care_id"),) if number)
    return Names(
        _people(connection, people), where_dwellings(connection, doors), where_homes(connection, homes),
        _cares(connection, cares),
    )  # fmt: skip


def _people(connection: Connection, numbers: set[int]) -> dict[int, Any]:
    if not numbers:
        return {}
    rows = connection.execute(select(Person).where(Person.id.in_(numbers)))
    return {row.id: row for row in rows}


def where_dwellings(connection: Connection, numbers: Iterable[int]) -> dict[int, str]:
    """Return address and door of dwellings, by number."""
    found = select(Dwelling.id, Building.address, Dwelling.door).join(Building)
    rows = connection.execute(found.where(Dwelling.id.in_(list(numbers))))
    return {row.id: f"{row.address} {row.door}" for row in rows}


def where_homes(connection: Connection, numbers: Iterable[int]) -> dict[int, str]:
    """Return address and door of households, by number."""
    rows = connection.execute(
        select(Household.id, Building.address, Dwelling.door)
        .join(Dwelling, Dwelling.id == Household.dwelling_id)
        .join(Building)
        .where(Household.id.in_(list(numbers)))
    )
    return {row.id: f"{row.address} {row.door}" for row in rows}


def _cares(connection: Connection, numbers: set[int]) -> dict[int, str]:
    if not numbers:
        return {}
    found = select(HouseholdCare.id, HouseholdCare.category).where(HouseholdCare.id.in_(numbers))
    return {row.id: CARE_NAMES[Care(row.category)] for row in connection.execute(found)}


# --- what differs, in words


def _correct(ring: KeyRing, names: Names, asked: requests.Request) -> list[Difference]:
    values, was = asked.wanted.values, asked.was
    person = names.people.get(asked.wanted.person_id or 0)
    found = []
    for field in ("name", "relation", "birth_on", "registered_here", "identity_number", "phone"):
        if field in values and not (field == "birth_on" and values.get("identity_number")):
            before = _before(ring, person, field, was, asked.status == ChangeStatus.OPEN)
            found.append(Difference(FIELD_NAMES[field], before, said(field, values[field])))
    return found


def _before(ring: KeyRing, person: Any, field: str, was: Mapping[str, Any], is_open: bool) -> str:
    """Return what stood there; of a number, the mask as long as it still stands there."""
    if field not in ("identity_number", "phone"):
        return said(field, was.get(field))
    if not is_open:
        return "原号码" if was.get(field) or field == "phone" else NOTHING
    column = "identity" if field == "identity_number" else field
    shown = masked(ring, column, person.salt, getattr(person, column)) if person else None
    return shown or NOTHING


def said(field: str, value: Any) -> str:
    """Return a value of a field in words, numbers masked."""
    if field == "registered_here":
        return HERE if value else ELSEWHERE
    if value in (None, ""):
        return NOTHING
    shown: Callable[[str], str] = {
        "relation": lambda word: RELATION_NAMES[Relation(word)],
        "sex": lambda word: SEX_NAMES[word],
        "identity_number": mask_identity,
        "phone": mask_phone,
        "category": lambda word: CARE_NAMES[Care(word)],
    }.get(field, str)
    return shown(str(value))


def _newcomer(one: Mapping[str, Any]) -> str:
    fields = ("relation", "sex", "birth_on", "identity_number", "phone")
    return "，".join([one["name"], *(said(field, one[field]) for field in fields if one.get(field))])


def _death(_: KeyRing, names: Names, asked: requests.Request) -> list[Difference]:
    return [Difference(names.person(asked.wanted.person_id), "在住", "去世"), *_new_head(names, asked)]


def _birth(_: KeyRing, names: Names, asked: requests.Request) -> list[Difference]:
    return [Difference("新生儿", NEW, _newcomer({"relation": Relation.CHILD, **asked.wanted.values}))]


def _move_in(_: KeyRing, names: Names, asked: requests.Request) -> list[Difference]:
    return [Difference("迁入", NEW, _newcomer(one)) for one in asked.wanted.values["people"]]


def _move_out(_: KeyRing, names: Names, asked: requests.Request) -> list[Difference]:
    dwelling = asked.wanted.values.get("to_dwelling")
    to = names.doors.get(dwelling, "—") if dwelling else AWAY
    home = names.homes.get(asked.wanted.household_id or 0, "")
    return [Difference(_who(names, asked), home, to), *_new_head(names, asked)]


def _split(_: KeyRing, names: Names, asked: requests.Request) -> list[Difference]:
    values = asked.wanted.values
    home = names.homes.get(asked.wanted.household_id or 0, "")
    to = names.doors.get(values["to_dwelling"], "—") if values.get("to_dwelling") else home
    head = Difference("新户户主", NOTHING, names.person(values["head"]))
    return [Difference(_who(names, asked), home, to), head, *_new_head(names, asked)]


def _merge(_: KeyRing, names: Names, asked: requests.Request) -> list[Difference]:
    home, into = (names.homes.get(number or 0, "—")
                  for number in (asked.wanted.household_id, asked.wanted.values["into"]))  # fmt: skip
    return [Difference("全户", home, into)]


def _head(_: KeyRing, names: Names, asked: requests.Request) -> list[Difference]:
    return _new_head(names, asked)


def _new_head(names: Names, asked: requests.Request) -> list[Difference]:
    new = asked.wanted.values.get("new_head")
    return [Difference("户主", names.person(asked.was.get("head")), names.person(new))] if new else []


def _care(_: KeyRing, names: Names, asked: requests.Request) -> list[Difference]:
    values = asked.wanted.values
    told = f"{said('category', values['category'])}，依据{values['basis']}，到 {values['expires']}"
    return [Difference("关爱", NOTHING, told)]


def _care_end(_: KeyRing, names: Names, asked: requests.Request) -> list[Difference]:
    return [Difference("关爱", names.cares.get(asked.wanted.values["care_id"], "—"), "结束")]


def _who(names: Names, asked: requests.Request) -> str:
    people = asked.wanted.values.get("people")
    return "全户" if people is None else "、".join(names.person(number) for number in people)


DIFFERENCES: dict[Kind, Callable[[KeyRing, Names, requests.Request], list[Difference]]] = {
    Kind.CORRECT: _correct, Kind.BIRTH: _birth, Kind.DEATH: _death, Kind.MOVE_IN: _move_in,
    Kind.MOVE_OUT: _move_out, Kind.SPLIT: _split, Kind.MERGE: _merge, Kind.HEAD: _head, Kind.CARE: _care,
    Kind.CARE_END: _care_end,
}  # fmt: skip

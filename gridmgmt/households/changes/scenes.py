"""Reads what a plan may look at: the home, the other home, the dwelling, and who has a number already.

Everything is read with the actor's rights, so what is elsewhere is not there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select

from gridmgmt.errors import InputError, NotFoundError
from gridmgmt.grids.models import Grid
from gridmgmt.households.changes.wanted import Wanted
from gridmgmt.households.models import (
    Building,
    Dwelling,
    Household,
    HouseholdCare,
    Person,
    Relation,
    Residency,
)
from gridmgmt.privacy.blind import blind
from gridmgmt.privacy.keyring import KeyRing

PRESENT = "present"


@dataclass(frozen=True)
class Member:
    """Somebody who is of the household today."""

    id: int
    name: str
    relation: Relation
    birth_on: date | None
    identity_index: UUID | None
    registered_dwelling_id: int | None
    since: date | None
    tenure: str

    @property
    def is_head(self) -> bool:
        """Whether this is the head of the household."""
        return self.relation is Relation.HEAD


@dataclass(frozen=True)
class OpenCare:
    """A care category in force."""

    id: int
    person_id: int | None
    category: str
    since: date


@dataclass(frozen=True)
class Home:
    """A household with who is of it and what cares are open; `grid` is the code of its grid."""

    id: int
    code: str
    dwelling_id: int
    ended_on: date | None
    grid: str
    people: tuple[Member, ...]
    cares: tuple[OpenCare, ...]

    @cached_property
    def head(self) -> Member | None:
        """The head, None in a household without people."""
        return next((one for one in self.people if one.is_head), None)

    def member(self, person_id: int | None, field: str = "person_id") -> Member:
        """Return who has this number; InputError naming the field when nobody here has."""
        found = next((one for one in self.people if one.id == person_id), None)
        if found is None:
            raise InputError(field, person_id, "somebody who is of the household today")
        return found


@dataclass(frozen=True)
class Known:
    """Who has an identity number already; without `person_id` the person is out of sight."""

    stands: str  # PRESENT, or why the person left
    person_id: int | None = None
    household_id: int | None = None
    household_code: str | None = None


@dataclass(frozen=True)
class Scene:
    """All that a plan looks at. `known` is by place among the newcomers, 0 for a single person."""

    home: Home
    into: Home | None
    dwelling_id: int | None
    known: Mapping[int, Known]
    new_household: int


def home(connection: Connection, household_id: int) -> Home:
    """Return a household as it stands; NotFoundError alike for none and for one out of sight."""
    row = connection.execute(
        select(Household, Grid.code15)
        .outerjoin(Grid, Grid.id == Household.grid_id)
        .where(Household.id == household_id)
    ).first()
    if row is None:
        raise NotFoundError(f"household {household_id}")
    return Home(
        row.id, row.code, row.dwelling_id, row.ended_on, row.code15 or "", _people(connection, household_id),
        _cares(connection, household_id),
    )  # fmt: skip


def _people(connection: Connection, household_id: int) -> tuple[Member, ...]:
    rows = connection.execute(
        select(
            Person.id, Person.name, Person.relation, Person.birth_on, Person.identity_index,
            Person.registered_dwelling_id, Residency.valid_from, Residency.relation.label("tenure"),
        )
        .outerjoin(Residency, (Residency.person_id == Person.id) & Residency.valid_to.is_(None))
        .where(Person.household_id == household_id, Person.left_on.is_(None))
        .order_by(Person.relation != Relation.HEAD, Person.birth_on, Person.id)
    )  # fmt: skip
    return tuple(
        Member(
            row.id, row.name, Relation(row.relation), row.birth_on, row.identity_index,
            row.registered_dwelling_id, row.valid_from, row.tenure or "other",
        )
        for row in rows
    )  # fmt: skip


def _cares(connection: Connection, household_id: int) -> tuple[OpenCare, ...]:
    rows = connection.execute(
        select(HouseholdCare.id, HouseholdCare.person_id, HouseholdCare.category, HouseholdCare.valid_from)
        .where(HouseholdCare.household_id == household_id, HouseholdCare.ended_on.is_(None))
        .order_by(HouseholdCare.id)
    )
    return tuple(OpenCare(*row) for row in rows)


def scene(
    connection: Connection, ring: KeyRing, wanted: Wanted, *, is_office: bool, new_household: int
) -> Scene:
    """Return all that a plan for this change looks at."""
    into, dwelling = wanted.values.get("into"), wanted.values.get("to_dwelling")
    if dwelling is not None:
        check_dwelling(connection, dwelling)
    return Scene(
        home(connection, wanted.household_id or 0),
        home(connection, into) if into else None,
        dwelling,
        _known(connection, ring, wanted.values, is_office),
        new_household,
    )


def check_dwelling(connection: Connection, dwelling_id: int) -> None:
    """Raise NotFoundError for a dwelling that is not there or out of sight."""
    seen = select(Dwelling.id).join(Building).where(Dwelling.id == dwelling_id)
    if connection.execute(seen).first() is None:
        raise NotFoundError(f"dwelling {dwelling_id}")


def next_household(connection: Connection) -> int:
    """Return the number that a new household will have, so that the audit line can name it."""
    return int(connection.execute(select(func.roster_household_number())).scalar_one())


def grid_of_dwelling(connection: Connection, dwelling_id: int) -> str:
    """Return the code of the grid that a dwelling stands in; NotFoundError when out of sight."""
    found = connection.execute(
        select(Grid.code15)
        .join(Building, Building.grid_id == Grid.id)
        .join(Dwelling, Dwelling.building_id == Building.id)
        .where(Dwelling.id == dwelling_id)
    ).scalar()
    if found is None:
        raise NotFoundError(f"dwelling {dwelling_id}")
    return str(found)


def _known(
    connection: Connection, ring: KeyRing, values: Mapping[str, Any], is_office: bool
) -> dict[int, Known]:
    people = values.get("people") or ()
    several = [one for one in people if isinstance(one, Mapping)] or [values]
    found = {
        place: known(connection, blind(ring, "identity", one["identity_number"]), is_office=is_office)
        for place, one in enumerate(several)
        if one.get("identity_number")
    }
    return {place: each for place, each in found.items() if each}


def known(connection: Connection, index: UUID, *, is_office: bool) -> Known | None:
    """Return who has an identity number already; only an office learns of people out of its sight."""
    row = connection.execute(
        select(Person.id, Person.left_why, Person.household_id, Household.code)
        .outerjoin(Household, Household.id == Person.household_id)
        .where(Person.identity_index == index)
    ).first()
    if row:
        return Known(row.left_why or PRESENT, row.id, row.household_id, row.code)
    stands = connection.execute(select(func.roster_number_stands(index))).scalar() if is_office else None
    return Known(str(stands)) if stands else None

"""What a change comes to: small steps in the order in which they are written.

A plan is made without writing, so that whoever only asks is told at once what does not fit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gridmgmt.households.changes.models import Kind
from gridmgmt.households.models import Left, Relation


@dataclass(frozen=True)
class Relate:
    """A person becomes something else to the head, or the head."""

    person_id: int
    relation: Relation


@dataclass(frozen=True)
class Leave:
    """A person is no more of the household: residency and care end."""

    person_id: int
    why: Left


@dataclass(frozen=True)
class Join:
    """A person changes to another household of the town; care goes along."""

    person_id: int
    household_id: int
    relation: Relation


@dataclass(frozen=True)
class House:
    """A person lives in another dwelling from that day on."""

    person_id: int
    dwelling_id: int
    tenure: str


@dataclass(frozen=True)
class Enter:
    """Somebody new, or somebody who comes back: `person_id` where seen, else `is_back` from elsewhere."""

    kind: Kind
    household_id: int
    dwelling_id: int
    who: Mapping[str, Any]
    person_id: int | None = None
    is_back: bool = False


@dataclass(frozen=True)
class Correct:
    """Fields of a person say something else; `values` as in `wanted.FIELDS`."""

    person_id: int
    dwelling_id: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """A new household in a dwelling."""

    household_id: int
    dwelling_id: int
    code: str | None = None  # made of building and door when none is given


@dataclass(frozen=True)
class MoveHome:
    """A household as a whole to another dwelling."""

    household_id: int
    dwelling_id: int


@dataclass(frozen=True)
class End:
    """Nobody is left in the household."""

    household_id: int


@dataclass(frozen=True)
class Reopen:
    """People live in a household that had ended, or had not begun."""

    household_id: int


@dataclass(frozen=True)
class AddCare:
    """A care category begins."""

    household_id: int
    person_id: int | None
    category: str
    basis: str
    expires: str


@dataclass(frozen=True)
class EndCare:
    """A care category ends."""

    care_id: int


@dataclass(frozen=True)
class Happened:
    """The dated event that stays when the rows have moved on."""

    kind: Kind
    household_id: int
    other_household_id: int | None = None
    person_id: int | None = None


Step = (
    Relate
    | Leave
    | Join
    | House
    | Enter
    | Correct
    | Found
    | MoveHome
    | End
    | Reopen
    | AddCare
    | EndCare
    | Happened
)

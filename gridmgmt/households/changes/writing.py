"""Writes the steps of a plan, one after the other, in the caller's transaction."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from sqlalchemy import Connection, func, insert, select, update

from gridmgmt.errors import ConflictError, InputError
from gridmgmt.households.actor import Actor
from gridmgmt.households.changes import steps
from gridmgmt.households.changes.models import RosterEvent
from gridmgmt.households.models import Household, HouseholdCare, Person, Residency
from gridmgmt.privacy.blind import blind
from gridmgmt.privacy.cipher import new_salts, seal
from gridmgmt.privacy.keyring import KeyRing

AnyStep = TypeVar("AnyStep", bound=steps.Step)


@dataclass(frozen=True)
class Writing:
    """What every step needs: by whom, when it happened, and which request it goes back to."""

    connection: Connection
    ring: KeyRing
    actor: Actor
    on_date: date
    change_id: int | None = None


def write(writing: Writing, plan: Iterable[steps.Step]) -> None:
    """Write the steps; ConflictError when a row is no longer as the plan found it."""
    for step in plan:
        WRITERS[type(step)](writing, step)


def _relate(writing: Writing, step: steps.Relate) -> None:
    _person(writing, step.person_id, relation=step.relation)


def _leave(writing: Writing, step: steps.Leave) -> None:
    _close_residency(writing, step.person_id)
    for care in _open_cares(writing, HouseholdCare.person_id == step.person_id):
        _end_care(writing, care)
    _person(writing, step.person_id, left_on=writing.on_date, left_why=step.why)


def _join(writing: Writing, step: steps.Join) -> None:
    _person(writing, step.person_id, household_id=step.household_id, relation=step.relation)
    for care in _open_cares(writing, HouseholdCare.person_id == step.person_id):
        _end_care(writing, care)
        if care.expires > writing.on_date:
            _new_care(writing, step.household_id, step.person_id, care.category, care.basis, care.expires)


def _house(writing: Writing, step: steps.House) -> None:
    _close_residency(writing, step.person_id)
    last = writing.connection.execute(
        select(func.max(Residency.valid_to)).where(Residency.person_id == step.person_id)
    ).scalar()
    if last and last > writing.on_date:
        raise InputError(
            "on_date", writing.on_date.isoformat(), f"not before {last}, the end of the last stay"
        )
    writing.connection.execute(
        insert(Residency).values(
            person_id=step.person_id,
            dwelling_id=step.dwelling_id,
            relation=step.tenure,
            valid_from=writing.on_date,
        )
    )


def _enter(writing: Writing, step: steps.Enter) -> None:
    enter(writing, step)


def enter(writing: Writing, step: steps.Enter) -> int:
    """Write a newcomer, or take somebody back, and return the person's number."""
    person_id = _returned(writing, step) if step.is_back else _new_person(writing, step)
    _house(writing, steps.House(person_id, step.dwelling_id, step.who["tenure"]))
    _happened(writing, steps.Happened(step.kind, step.household_id, person_id=person_id))
    return person_id


def _new_person(writing: Writing, step: steps.Enter) -> int:
    values = fields(writing.ring, new_salts(1)[0], step.who, step.dwelling_id)
    return int(
        writing.connection.execute(
            insert(Person)
            .values(household_id=step.household_id, relation=step.who["relation"], **values)
            .returning(Person.id)
        ).scalar_one()
    )


def _returned(writing: Writing, step: steps.Enter) -> int:
    """Take back whoever left, also from another town, and write what is said of the person now."""
    person_id = step.person_id
    if person_id is None:
        index = blind(writing.ring, "identity", step.who["identity_number"])
        taken = select(func.roster_take_back(index, step.household_id, step.who["relation"]))
        person_id = writing.connection.execute(taken).scalar()
        if person_id is None:
            raise ConflictError("the person has been taken in elsewhere meanwhile")
    else:
        _person(
            writing, person_id, household_id=step.household_id, relation=step.who["relation"], left_on=None,
            left_why=None,
        )  # fmt: skip
    said = {field: value for field, value in step.who.items() if value not in (None, "")}
    correct(writing, person_id, step.dwelling_id, {**said, "name": step.who["name"]})
    return int(person_id)


def correct(writing: Writing, person_id: int, dwelling_id: int, values: Mapping[str, Any]) -> None:
    """Write fields of a person; numbers are sealed under the person's own salt."""
    salt = writing.connection.execute(select(Person.salt).where(Person.id == person_id)).scalar()
    written = fields(writing.ring, bytes(salt) if salt else new_salts(1)[0], values, dwelling_id)
    if "relation" in values:
        written["relation"] = values["relation"]
    _person(writing, person_id, **written)


def fields(ring: KeyRing, salt: bytes, values: Mapping[str, Any], dwelling_id: int) -> dict[str, Any]:
    """Return columns of a person for values as in `wanted.NEWCOMER`, sealed and indexed."""
    found: dict[str, Any] = {"salt": salt}
    for field in ("name", "sex"):
        if field in values:
            found[field] = values[field]
    if "birth_on" in values:
        found["birth_on"] = values["birth_on"] and date.fromisoformat(values["birth_on"])
    for field, column in (("identity_number", "identity"), ("phone", "phone")):
        if field in values:
            clear = values[field]
            found[column] = seal(ring, salt, column, clear) if clear else None
            found[f"{column}_index"] = blind(ring, column, clear) if clear else None
    if "registered_here" in values:
        found["registered_dwelling_id"] = dwelling_id if values["registered_here"] else None
    return found


def _correct(writing: Writing, step: steps.Correct) -> None:
    correct(writing, step.person_id, step.dwelling_id, step.values)


def _found(writing: Writing, step: steps.Found) -> None:
    code = step.code or select(func.roster_home_code(step.dwelling_id)).scalar_subquery()
    writing.connection.execute(
        insert(Household).values(id=step.household_id, code=code, dwelling_id=step.dwelling_id, persons=0)
    )


def _move_home(writing: Writing, step: steps.MoveHome) -> None:
    _household(writing, step.household_id, dwelling_id=step.dwelling_id)


def _end(writing: Writing, step: steps.End) -> None:
    for care in _open_cares(writing, HouseholdCare.household_id == step.household_id):
        _end_care(writing, care)
    _household(writing, step.household_id, ended_on=writing.on_date)


def _reopen(writing: Writing, step: steps.Reopen) -> None:
    _household(writing, step.household_id, ended_on=None)


def _add_care(writing: Writing, step: steps.AddCare) -> None:
    until = date.fromisoformat(step.expires)
    _new_care(writing, step.household_id, step.person_id, step.category, step.basis, until)


def _end_one_care(writing: Writing, step: steps.EndCare) -> None:
    for care in _open_cares(writing, HouseholdCare.id == step.care_id):
        _end_care(writing, care)


def _happened(writing: Writing, step: steps.Happened) -> None:
    writing.connection.execute(
        insert(RosterEvent).values(
            kind=step.kind,
            household_id=step.household_id,
            other_household_id=step.other_household_id,
            person_id=step.person_id,
            on_date=writing.on_date,
            change_id=writing.change_id,
            made_by=writing.actor.username,
        )
    )


# --- single rows


def _person(writing: Writing, person_id: int, **values: Any) -> None:
    done = writing.connection.execute(
        update(Person).where(Person.id == person_id).values(updated_at=func.now(), **values)
    )
    if not done.rowcount:
        raise ConflictError(f"person {person_id} is not in this area any more")


def _household(writing: Writing, household_id: int, **values: Any) -> None:
    done = writing.connection.execute(update(Household).where(Household.id == household_id).values(**values))
    if not done.rowcount:
        raise ConflictError(f"household {household_id} is not in this area any more")


def _close_residency(writing: Writing, person_id: int) -> None:
    writing.connection.execute(
        update(Residency)
        .where(Residency.person_id == person_id, Residency.valid_to.is_(None))
        .values(valid_to=writing.on_date)
    )


def _open_cares(writing: Writing, which: Any) -> list[Any]:
    return list(
        writing.connection.execute(select(HouseholdCare).where(which, HouseholdCare.ended_on.is_(None)))
    )


def _end_care(writing: Writing, care: Any) -> None:
    writing.connection.execute(
        update(HouseholdCare)
        .where(HouseholdCare.id == care.id)
        .values(ended_on=max(writing.on_date, care.valid_from))
    )


def _new_care(  # what a care says, and of whom
    writing: Writing, household_id: int, person_id: int | None, category: str, basis: str, expires: date
) -> None:
    writing.connection.execute(
        insert(HouseholdCare).values(
            household_id=household_id,
            person_id=person_id,
            category=category,
            basis=basis,
            valid_from=writing.on_date,
            expires=expires,
        )
    )


WRITERS: dict[type[Any], Callable[[Writing, Any], None]] = {
    steps.Relate: _relate, steps.Leave: _leave, steps.Join: _join, steps.House: _house, steps.Enter: _enter,
    steps.Correct: _correct, steps.Found: _found, steps.MoveHome: _move_home, steps.End: _end,
    steps.Reopen: _reopen, steps.AddCare: _add_care, steps.EndCare: _end_one_care, steps.Happened: _happened,
}  # fmt: skip

"""Rows of files that may be somebody known already: the office says who they are.

The row waits sealed; once decided, its salt and what it said are gone.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, func, select, update

from gridmgmt.calendar import china_today
from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.households.actor import Actor
from gridmgmt.households.changes import scenes
from gridmgmt.households.changes.models import Double, Kind, ReviewStatus, RosterReview
from gridmgmt.households.changes.scenes import Home
from gridmgmt.households.changes.service import writing_as
from gridmgmt.households.changes.steps import AddCare, Correct, Enter, Found, Happened, House, Reopen, Step
from gridmgmt.households.changes.stored import Difference, said, where_homes
from gridmgmt.households.changes.wanted import newcomer
from gridmgmt.households.changes.words import DOUBLE_NAMES, ELSEWHERE, FIELD_NAMES, NOTHING
from gridmgmt.households.changes.writing import Writing, correct, enter, write
from gridmgmt.households.models import (
    Building,
    Care,
    Dwelling,
    Household,
    Person,
    Relation,
)
from gridmgmt.households.reading.residents import masked
from gridmgmt.privacy import audit
from gridmgmt.privacy.blind import blind
from gridmgmt.privacy.cipher import unseal
from gridmgmt.privacy.keyring import KeyRing

FIELD = "review"
MOST_LINES = 200
IMPORTED_BASIS = "导入名册"
SHOWN = ("name", "identity_number", "phone", "birth_on", "relation")
FILLED = {"identity_number": "identity", "phone": "phone", "birth_on": "birth_on"}
_MAKES_HOME = (ReviewStatus.MOVED, ReviewStatus.OTHER)
DECISIONS = (ReviewStatus.SAME, ReviewStatus.MOVED, ReviewStatus.OTHER, ReviewStatus.DROPPED)


@dataclass(frozen=True)
class ReviewLine:
    """A row beside the person known; `known` is False when that one is in another town, out of sight.

    A difference's `was` is what is known, `to` what the row says; `differs` names the fields where they do.
    """

    id: int
    kind: str
    kind_name: str
    file: str
    row_number: int
    made_at: datetime
    known: bool
    person_id: int | None
    household_id: int | None
    sides: tuple[Difference, ...]
    differs: frozenset[str]


def reviews(engine: Engine, ring: KeyRing, actor: Actor) -> list[ReviewLine]:
    """Return the rows of the actor's town that wait, oldest first, at most 200; an office's alone to read.

    Raises NotAllowedError for grid staff.
    """
    actor.check_office("the town office decides who a row is")
    with writing_as(engine, actor) as connection:
        waiting = select(RosterReview).where(RosterReview.status == ReviewStatus.OPEN)
        rows = connection.execute(waiting.order_by(RosterReview.id).limit(MOST_LINES)).all()
        known = _known(connection, [row.person_id for row in rows if row.person_id])
        seen = [one.household_id for one in known.values() if one.household_id]
        homes, read = where_homes(connection, seen), [_readable(ring, row) for row in rows]
        addresses = _addresses(connection, read)
        lines = [
            _line(ring, row, said_there, known.get(row.person_id), homes, addresses)
            for row, said_there in zip(rows, read, strict=True)
        ]
        audit.record(connection, "review.list", area=actor.area, households=seen)
        return lines


def decide_review(
    engine: Engine, ring: KeyRing, actor: Actor, review_id: int, decision: ReviewStatus
) -> None:
    """Say who a row is: same (what it has more is filled in), moved here, other (somebody new), or dropped.

    Raises
    ------
    ConflictError
        When it is decided already, or the person cannot be moved: the head of others who stay, or nobody to
        move; its cause is then an InputError that names the field.
    NotFoundError
        When there is no such row in this town.
    """
    actor.check_office("the town office decides who a row is")
    if decision not in DECISIONS:
        raise InputError("decision", decision, " or ".join(DECISIONS))
    with writing_as(engine, actor) as connection:
        row = _row(connection, review_id)
        person = _known(connection, [row.person_id]).get(row.person_id) if row.person_id else None
        read = {} if row.sealed is None else _read(ring, row)
        home = _home_of(connection, read)
        new = scenes.next_household(connection) if home is None and decision in _MAKES_HOME else 0
        seen = [home.id if home else new, person.household_id if person else 0]
        audit.record(
            connection, "review.decide", area=home.grid if home else row.area, person_id=row.person_id,
            households=[number for number in seen if number],
            detail={"review": review_id, "decision": decision},
        )  # fmt: skip
        if _row(connection, review_id).status != ReviewStatus.OPEN:
            raise ConflictError(f"review {review_id} is decided already")
        _apply(_Case(connection, ring, actor, row, read, person, home, new), decision)
        _close(connection, actor, review_id, decision)


@dataclass(frozen=True)
class _Case:
    connection: Connection
    ring: KeyRing
    actor: Actor
    row: Any
    read: Mapping[str, Any]
    person: Any
    home: Home | None
    new: int

    def writing(self, day: date) -> Writing:
        return Writing(self.connection, self.ring, self.actor, day)


def _apply(case: _Case, decision: ReviewStatus) -> None:
    try:
        if decision is ReviewStatus.SAME:
            _fill_in(case)
        elif decision is ReviewStatus.MOVED:
            _move_here(case)
        elif decision is ReviewStatus.OTHER:
            _take_in(case)
    except InputError as why:
        raise ConflictError(f"review {case.row.id}: {why}") from why


def _fill_in(case: _Case) -> None:
    """Write what the row has and the person has not."""
    person = case.person
    if person is None:
        raise InputError("decision", "same", "moved or other: the person is known in another town")
    values = {
        field: case.read[field]
        for field, column in FILLED.items()
        if case.read.get(field) and getattr(person, column) is None
    }
    if values.get("identity_number"):
        _check_free(case, values["identity_number"])
        values |= {field: case.read[field] for field in ("birth_on", "sex")}
    if values:
        dwelling = person.registered_dwelling_id or 0
        happened = Happened(Kind.CORRECT, person.household_id, person_id=person.id)
        write(case.writing(china_today()), [Correct(person.id, dwelling, values), happened])


def _move_here(case: _Case) -> None:
    """Move the known person, from wherever in the city, to the household of the row."""
    day = china_today()
    home = _opened_home(case, day)
    kin = _kin(home, case.read)
    arguments = (case.row.id, home.id, kin, day)
    answer = case.connection.execute(select(func.roster_move_here(*arguments))).scalar()
    if answer != "moved":
        raise _NOT_MOVED[answer]
    writing, person = case.writing(day), case.row.person_id
    stay = House(person, home.dwelling_id, case.read["tenure"])
    write(writing, [stay, Happened(Kind.MOVE_IN, home.id, person_id=person)])
    said_now = {key: case.read[key] for key in ("phone", "registered_here") if case.read.get(key) is not None}
    correct(writing, person, home.dwelling_id, said_now)
    cared = {one.category for one in scenes.home(case.connection, home.id).cares if one.person_id == person}
    write(writing, _cares(case.read, home.id, person, cared))


_NOT_MOVED = {
    "head": InputError("new_head", None, "another head first, where the person lives with others now"),
    "later": InputError("on_date", "today", "a day not before what is on record"),
    None: InputError("person_id", None, "somebody known who lives elsewhere, or had moved away"),
}


def _take_in(case: _Case) -> None:
    """Write the row as somebody new; a number that is somebody else's is left out."""
    day = _since(case.read)
    home = _opened_home(case, day)
    who = {**case.read, "relation": _kin(home, case.read)}
    number = who.get("identity_number")
    taken = number and scenes.known(case.connection, blind(case.ring, "identity", number), is_office=True)
    if taken:
        who["identity_number"] = None
    writing = case.writing(day)
    person = enter(writing, Enter(Kind.MOVE_IN, home.id, home.dwelling_id, who))
    write(writing, _cares(case.read, home.id, person, set()))


def _cares(read: Mapping[str, Any], household: int, person: int, open_now: set[str]) -> list[Step]:
    """Return the cares that the row names and that are not in force."""
    in_a_year = (china_today() + timedelta(days=365)).isoformat()
    expires = str(read.get("care_expires") or in_a_year)
    if expires <= china_today().isoformat():
        return []
    basis = read.get("care_basis") or IMPORTED_BASIS
    return [
        AddCare(household, person, str(Care(each)), str(basis), expires)
        for each in read.get("care", ())
        if each not in open_now
    ]


def _check_free(case: _Case, number: str) -> None:
    index = blind(case.ring, "identity", number)
    if scenes.known(case.connection, index, is_office=True):
        raise InputError("identity_number", "somebody else's", "a number that nobody has")


def _opened_home(case: _Case, day: date) -> Home:
    """Return the household of the row, made or opened again where nobody lived there."""
    steps: list[Step] = []
    number = case.home.id if case.home else case.new
    if case.home is None:
        dwelling = _dwelling_of(case.connection, case.read)
        steps.append(Found(number, dwelling, case.read.get("household_code")))
    elif case.home.ended_on:
        steps.append(Reopen(number))
    write(case.writing(day), steps)
    return scenes.home(case.connection, number)


def _kin(home: Home, read: Mapping[str, Any]) -> str:
    """Return what somebody is in a household: the head of an empty one, never the second head."""
    if not home.people:
        return Relation.HEAD
    return Relation.OTHER if read["relation"] == Relation.HEAD else str(read["relation"])


def _since(read: Mapping[str, Any]) -> date:
    try:
        return min(date.fromisoformat(str(read.get("since"))[:10]), china_today())
    except ValueError:
        return china_today()


# --- reading


def _row(connection: Connection, review_id: int) -> Any:
    row = connection.execute(select(RosterReview).where(RosterReview.id == review_id)).first()
    if row is None:
        raise NotFoundError(f"review {review_id}")
    return row


def _read(ring: KeyRing, row: Any) -> dict[str, Any]:
    """Return what the row says: a newcomer as in `wanted.NEWCOMER`, and where."""
    raw: dict[str, Any] = json.loads(unseal(ring, bytes(row.salt), FIELD, bytes(row.sealed)))
    plain = {field: value for field, value in raw.items() if value not in (None, "")}
    fields = ("name", "relation", "identity_number", "phone", "sex", "birth_on", "tenure", "registered_here")
    who = newcomer({field: plain[field] for field in fields if field in plain})
    rest = ("household_code", "building_code", "dwelling", "since", "care", "care_basis", "care_expires")
    return {**who, **{field: plain[field] for field in rest if field in plain}}


def _home_of(connection: Connection, read: Mapping[str, Any]) -> Home | None:
    """Return the household that the row speaks of, where it stands already."""
    code = read.get("household_code")
    by_code = select(Household.id).where(Household.code == code)
    number = connection.execute(by_code).scalar() if code else None
    return scenes.home(connection, number) if number else None


def _dwelling_of(connection: Connection, read: Mapping[str, Any]) -> int:
    found = connection.execute(
        select(Dwelling.id)
        .join(Building)
        .where(Dwelling.door == read.get("dwelling"))
        .where(Building.code == read.get("building_code"))
    ).scalar()
    if found is None:
        raise InputError("dwelling", read.get("dwelling"), "a dwelling that is on record")
    return int(found)


def _known(connection: Connection, numbers: list[int]) -> dict[int, Any]:
    rows = connection.execute(select(Person).where(Person.id.in_(numbers)))
    return {row.id: row for row in rows}


def _readable(ring: KeyRing, row: Any) -> dict[str, Any]:
    """Return what the row says; a row that does not read is shown empty, to be dropped."""
    try:
        return {} if row.sealed is None else _read(ring, row)
    except InputError:
        return {}


def _addresses(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    codes = {str(row["building_code"]) for row in rows if "building_code" in row}
    found = connection.execute(select(Building.code, Building.address).where(Building.code.in_(codes)))
    return {row.code: row.address for row in found}


def _line(
    ring: KeyRing, row: Any, read: Mapping[str, Any], person: Any, homes: Mapping[int, str],
    addresses: Mapping[str, str],
) -> ReviewLine:  # fmt: skip
    sides = [_side(ring, person, read, field) for field in SHOWN]
    there = homes.get(person.household_id or 0, NOTHING) if person else ELSEWHERE
    code = str(read.get("building_code", ""))
    here = f"{addresses.get(code, code)} {read.get('dwelling', '')}".strip()
    sides.append(Difference("住处", there, here or NOTHING))
    told = [side for side in sides if person and side.to != NOTHING]
    differs = frozenset(side.field for side in told if side.was != side.to)
    return ReviewLine(
        row.id, row.kind, DOUBLE_NAMES[Double(row.kind)], row.file, row.row_number, row.made_at,
        person is not None, person.id if person else None, person.household_id if person else None,
        tuple(sides), differs,
    )  # fmt: skip


def _side(ring: KeyRing, person: Any, read: Mapping[str, Any], field: str) -> Difference:
    to = said(field, read.get(field))
    if person is None:
        return Difference(FIELD_NAMES[field], "—", to)
    column = FILLED.get(field, field)
    if field in ("identity_number", "phone"):
        was = masked(ring, column, person.salt, getattr(person, column)) or NOTHING
    else:
        was = said(field, getattr(person, column))
    return Difference(FIELD_NAMES[field], was, to)


def _close(connection: Connection, actor: Actor, review_id: int, decision: ReviewStatus) -> None:
    done = connection.execute(
        update(RosterReview)
        .where(RosterReview.id == review_id, RosterReview.status == ReviewStatus.OPEN)
        .values(status=decision, decided_at=func.now(), decided_by=actor.username, salt=None, sealed=None)
    )
    if not done.rowcount:
        raise ConflictError(f"review {review_id} is decided already")

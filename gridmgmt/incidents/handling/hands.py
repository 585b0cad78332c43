"""Departments' hands on a matter: asked, accepted or refused, answered, verified and struck off.

The errors are those of `service`; a department acts on its own lines by their number.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, insert, select, update

from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from gridmgmt.incidents.actor import Actor, on_matters
from gridmgmt.incidents.flows.flow import Limit
from gridmgmt.incidents.handling.acts import Act
from gridmgmt.incidents.handling.models import LIVE, HandStatus, IncidentHand, Part
from gridmgmt.incidents.handling.work import Work, held, on_case, required
from gridmgmt.incidents.intake import check_words
from gridmgmt.incidents.models import Department

DEFAULT_DAYS = 5
LONGEST = 60


def hand(
    engine: Engine,
    actor: Actor,
    case_id: int,
    version: int | None,
    units: Sequence[str],
    request: str = "",
    due_days: int | None = None,
    *,
    now: datetime | None = None,
) -> int:
    """Hand a matter to departments: the first leads unless one does already, the others help (联席会办)."""
    with on_case(engine, actor, case_id, version, now) as work:
        work.check_live()
        actor.check_office(work.case.level)
        return write(work, units, request, due_days)


def write(work: Work, units: Sequence[str], request: str, due_days: int | None) -> int:
    """Write the lines of departments inside an act that stands, and return the new version."""
    named = [unit.strip() for unit in units if unit.strip()]
    if not named or len(set(named)) < len(named):
        raise InputError("units", ", ".join(named), "one department or several, each once")
    if request:
        check_words(request)
    days = DEFAULT_DAYS if due_days is None else due_days
    if not 1 <= days <= LONGEST:
        raise InputError("due_days", days, f"1 to {LONGEST} working days")
    due_at = work.days.after(work.now, Limit(days=days))
    leads = any(row.part == Part.LEAD for row in work.hands)
    busy = {row.unit for row in work.hands}
    for unit in named:
        if unit in busy:
            raise ConflictError(f"matter {work.case.number} is in the hands of {unit} already")
        _check_known(work, unit)
        part = Part.JOINT if leads else Part.LEAD
        leads = True
        work.connection.execute(
            insert(IncidentHand).values(
                case_id=work.case.id, unit=unit, part=part.value, status=HandStatus.ASKED, due_at=due_at,
                asked_at=work.now, asked_by=work.actor.username, request=request.strip() or None,
            )
        )  # fmt: skip
        version = work.write(
            Act.HAND, unit=unit, due_at=due_at, note=request.strip(), detail={"part": part.value}
        )
    work.__dict__.pop("hands", None)
    return version


def _check_known(work: Work, unit: str) -> None:
    if work.connection.scalar(select(Department.name).where(Department.name == unit)) is None:
        raise InputError("units", unit, "the name of a department")


def accept(engine: Engine, actor: Actor, hand_id: int, *, now: datetime | None = None) -> int:
    """Take what was asked (签收)."""

    def change(work: Work, _line: Row[Any]) -> dict[str, Any]:
        return {"accepted_at": work.now, "accepted_by": actor.username}

    return _by_unit(
        engine, actor, hand_id, Act.ACCEPT, {HandStatus.ASKED}, HandStatus.ACCEPTED, change, "", now
    )


def refuse(engine: Engine, actor: Actor, hand_id: int, reason: str, *, now: datetime | None = None) -> int:
    """Give back what was asked, with the reason (退回)."""
    words = required("reason", reason)

    def change(_work: Work, _line: Row[Any]) -> dict[str, Any]:
        return {"reason": words}

    return _by_unit(
        engine, actor, hand_id, Act.REFUSE, {HandStatus.ASKED}, HandStatus.REFUSED, change, words, now
    )


def answer(engine: Engine, actor: Actor, hand_id: int, words: str, *, now: datetime | None = None) -> int:
    """Report what was done (反馈); it waits for the office's verification."""
    told = required("answer", words)

    def change(work: Work, _line: Row[Any]) -> dict[str, Any]:
        return {"answer": told, "answered_at": work.now, "answered_by": actor.username}

    states = {HandStatus.ACCEPTED, HandStatus.RETURNED}
    return _by_unit(engine, actor, hand_id, Act.ANSWER, states, HandStatus.ANSWERED, change, told, now)


def strike_off(engine: Engine, actor: Actor, hand_id: int, *, now: datetime | None = None) -> int:
    """Strike a line off after looking at what was done (验收销账)."""

    def change(work: Work, _line: Row[Any]) -> dict[str, Any]:
        return {"verified_at": work.now, "verified_by": actor.username}

    states = {HandStatus.ANSWERED}
    return _by_office(engine, actor, hand_id, Act.STRIKE_OFF, states, HandStatus.STRUCK_OFF, change, "", now)


def return_(engine: Engine, actor: Actor, hand_id: int, reason: str, *, now: datetime | None = None) -> int:
    """Send a line back that does not hold (验收未过)."""
    words = required("reason", reason)

    def change(_work: Work, _line: Row[Any]) -> dict[str, Any]:
        return {"reason": words}

    states = {HandStatus.ANSWERED}
    return _by_office(engine, actor, hand_id, Act.RETURN, states, HandStatus.RETURNED, change, words, now)


def withdraw(engine: Engine, actor: Actor, hand_id: int, reason: str, *, now: datetime | None = None) -> int:
    """Take a line back from a department (收回)."""
    words = required("reason", reason)

    def change(_work: Work, _line: Row[Any]) -> dict[str, Any]:
        return {"reason": words}

    return _by_office(
        engine, actor, hand_id, Act.WITHDRAW, set(LIVE), HandStatus.WITHDRAWN, change, words, now
    )


Change = Callable[[Work, Row[Any]], dict[str, Any]]


def _by_unit(
    engine: Engine, actor: Actor, hand_id: int, act: Act, states: set[HandStatus], to: HandStatus,
    change: Change, note: str, now: datetime | None,
) -> int:  # fmt: skip
    if actor.role is not Role.DEPARTMENT:
        raise NotAllowedError(f"{actor.username} is no department")
    return _turn(engine, actor, hand_id, act, states, to, change, note, now)


def _by_office(
    engine: Engine, actor: Actor, hand_id: int, act: Act, states: set[HandStatus], to: HandStatus,
    change: Change, note: str, now: datetime | None,
) -> int:  # fmt: skip
    if actor.role not in (Role.TOWN_OFFICER, Role.COMMAND):
        raise NotAllowedError(f"{actor.username} is no office")
    return _turn(engine, actor, hand_id, act, states, to, change, note, now)


def _turn(
    engine: Engine, actor: Actor, hand_id: int, act: Act, states: set[HandStatus], to: HandStatus,
    change: Change, note: str, now: datetime | None,
) -> int:  # fmt: skip
    """Bring a line from one of some states to another, with its step; done twice it is done once."""
    with on_matters(engine, actor) as connection:
        case_id = connection.scalar(select(IncidentHand.case_id).where(IncidentHand.id == hand_id))
        if case_id is None:
            raise NotFoundError(f"no line {hand_id} here")
        work = held(connection, actor, case_id, now=now)
        line = connection.execute(select(IncidentHand.__table__).where(IncidentHand.id == hand_id)).one()
        if actor.role is Role.DEPARTMENT and line.unit != actor.unit:
            raise NotFoundError(f"no line {hand_id} here")
        if actor.role is not Role.DEPARTMENT:
            actor.check_office(work.case.level)
        if line.status not in states or not work.case.open:
            raise ConflictError(f"line {hand_id} of matter {work.case.number} is {line.status}")
        columns = change(work, line) | {"status": to.value}
        connection.execute(update(IncidentHand).where(IncidentHand.id == hand_id).values(**columns))
        return work.write(act, unit=line.unit, note=note)

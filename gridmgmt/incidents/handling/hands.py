"""Departments' hands on a matter: asked, accepted or refused, answered, verified and struck off.

The errors are those of `service`; a department acts on its own lines by their number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, insert, select, update

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


@dataclass(frozen=True)
class _Turn:
    """How a line goes on: by what act, from which states to which, and whose names and moment it keeps."""

    act: Act
    states: frozenset[HandStatus]
    to: HandStatus
    by_unit: bool = False
    stamp: str = ""  # of the columns <stamp>_at and <stamp>_by


_ACCEPT = _Turn(Act.ACCEPT, frozenset({HandStatus.ASKED}), HandStatus.ACCEPTED, True, "accepted")
_REFUSE = _Turn(Act.REFUSE, frozenset({HandStatus.ASKED}), HandStatus.REFUSED, True)
_ANSWER = _Turn(
    Act.ANSWER, frozenset({HandStatus.ACCEPTED, HandStatus.RETURNED}), HandStatus.ANSWERED, True, "answered"
)
_STRIKE_OFF = _Turn(Act.STRIKE_OFF, frozenset({HandStatus.ANSWERED}), HandStatus.STRUCK_OFF, stamp="verified")
_RETURN = _Turn(Act.RETURN, frozenset({HandStatus.ANSWERED}), HandStatus.RETURNED)
_WITHDRAW = _Turn(Act.WITHDRAW, LIVE, HandStatus.WITHDRAWN)


def accept(engine: Engine, actor: Actor, hand_id: int, *, now: datetime | None = None) -> int:
    """Take what was asked (签收)."""
    return _turned(engine, actor, hand_id, _ACCEPT, now)


def refuse(engine: Engine, actor: Actor, hand_id: int, reason: str, *, now: datetime | None = None) -> int:
    """Give back what was asked, with the reason (退回)."""
    return _turned(engine, actor, hand_id, _REFUSE, now, reason=required("reason", reason))


def answer(engine: Engine, actor: Actor, hand_id: int, words: str, *, now: datetime | None = None) -> int:
    """Report what was done (反馈); it waits for the office's verification."""
    return _turned(engine, actor, hand_id, _ANSWER, now, answer=required("answer", words))


def strike_off(engine: Engine, actor: Actor, hand_id: int, *, now: datetime | None = None) -> int:
    """Strike a line off after looking at what was done (验收销账)."""
    return _turned(engine, actor, hand_id, _STRIKE_OFF, now)


def return_(engine: Engine, actor: Actor, hand_id: int, reason: str, *, now: datetime | None = None) -> int:
    """Send a line back that does not hold (验收未过)."""
    return _turned(engine, actor, hand_id, _RETURN, now, reason=required("reason", reason))


def withdraw(engine: Engine, actor: Actor, hand_id: int, reason: str, *, now: datetime | None = None) -> int:
    """Take a line back from a department (收回)."""
    return _turned(engine, actor, hand_id, _WITHDRAW, now, reason=required("reason", reason))


def _turned(
    engine: Engine, actor: Actor, hand_id: int, turn: _Turn, now: datetime | None, **said: str
) -> int:
    """Bring a line on with its step, and return the case's new version; `said` is at most one text."""
    _check_role(actor, turn)
    with on_matters(engine, actor) as connection:
        case_id = connection.scalar(select(IncidentHand.case_id).where(IncidentHand.id == hand_id))
        if case_id is None:
            raise NotFoundError(f"no line {hand_id} here")
        work = held(connection, actor, case_id, now=now)
        line = connection.execute(select(IncidentHand.__table__).where(IncidentHand.id == hand_id)).one()
        if turn.by_unit and line.unit != actor.unit:
            raise NotFoundError(f"no line {hand_id} here")
        if not turn.by_unit:
            actor.check_office(work.case.level)
        if line.status not in turn.states or not work.case.open:
            raise ConflictError(f"line {hand_id} of matter {work.case.number} is {line.status}")
        stamps = {f"{turn.stamp}_at": work.now, f"{turn.stamp}_by": actor.username} if turn.stamp else {}
        columns = {**said, **stamps, "status": turn.to.value}
        connection.execute(update(IncidentHand).where(IncidentHand.id == hand_id).values(**columns))
        return work.write(turn.act, unit=line.unit, note=next(iter(said.values()), ""))


def _check_role(actor: Actor, turn: _Turn) -> None:
    if turn.by_unit and actor.role is not Role.DEPARTMENT:
        raise NotAllowedError(f"{actor.username} is no department")
    if not turn.by_unit and actor.role not in (Role.TOWN_OFFICER, Role.COMMAND):
        raise NotAllowedError(f"{actor.username} is no office")

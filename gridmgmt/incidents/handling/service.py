"""What an office does with a matter: moving it on, raising it, supervising, suspending, linking, reopening.

Each function is one transaction on one case. All take the version that the caller saw, and return the new
one; all raise NotFoundError for a case that is not in the actor's area, ConflictError when somebody has acted
on it since or its state does not allow the act, NotAllowedError when the actor is not who may, InputError for
a field. `now` is the server's clock unless given.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, exists, select

from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError, NotAllowedError
from gridmgmt.incidents.actor import RESIDENT, Actor, everywhere
from gridmgmt.incidents.flows.flow import Guard, Move, Need, Who
from gridmgmt.incidents.handling import hands, visits
from gridmgmt.incidents.handling.acts import Act
from gridmgmt.incidents.handling.intake import found_case
from gridmgmt.incidents.handling.models import IncidentCase, VisitKind
from gridmgmt.incidents.handling.rules import DOWN, MOST_EXTENSIONS, UP, since_begun, times, unmet
from gridmgmt.incidents.handling.visits import VisitTold
from gridmgmt.incidents.handling.work import Work, grid_at, held, nearer, on_case, required
from gridmgmt.incidents.intake import check_words, leaf
from gridmgmt.incidents.terms import Ledger, Status, Tier

LONGEST_EXTENSION = 30


def move(
    engine: Engine,
    actor: Actor,
    case_id: int,
    version: int | None,
    to: str,
    *,
    note: str = "",
    units: Sequence[str] = (),
    answer: str = "",
    visit: VisitTold | None = None,
    now: datetime | None = None,
) -> int:
    """Make a move of the flow with what it needs; entering a final step closes the matter.

    A return visit that finds the resident dissatisfied leads to where the flow reopens, not to `to`.
    """
    with on_case(engine, actor, case_id, version, now) as work:
        work.check_live()
        chosen = work.flow.move(work.case.stage, to)
        _check_who(work, chosen)
        if Need.NOTE in chosen.needs:
            required("note", note)
        if Need.UNITS in chosen.needs and not work.hands:
            hands.write(work, units, note, None)
        if Need.ANSWER in chosen.needs:
            check_words(required("answer", answer))
        if Need.VISIT in chosen.needs and (visit is None or visit.kind is not VisitKind.RETURN):
            raise InputError("visit", visit and visit.kind.value, "a return visit")
        dissatisfied = bool(visit and visits.write(work, visit))
        if dissatisfied or (Guard.VISITED in chosen.guards and visits.was_dissatisfied(work)):
            return _reopen(work, "回访不满意", Act.REOPEN)
        told = answer if Need.ANSWER in chosen.needs else ""
        _check_guards(work, chosen, bool(told.strip()))
        if work.flow.step(to).final:
            return _close(work, to, note, told)
        columns = work.entering(to, work.incident.due_at)
        if Need.ANSWER in chosen.needs:
            columns["answer"] = answer.strip()
        return work.write(
            Act.MOVE, to_stage=to, note=note.strip(), due_at=columns["next_due_at"], case=columns
        )


def _check_who(work: Work, chosen: Move) -> None:
    if work.actor.acts_as(work.case.level) not in chosen.who:
        raise NotAllowedError(
            f"{work.actor.username} may not move matter {work.case.number} to {chosen.to} "
            f"at {work.case.level} level"
        )


def _check_guards(work: Work, chosen: Move, answered: bool) -> None:
    missing = unmet(work, chosen, answered)
    if missing:
        raise ConflictError(f"matter {work.case.number} is not ready: {', '.join(missing)}")


def _close(work: Work, to: str, note: str, answer: str) -> int:
    """Close a matter and those that go along with it."""
    if work.hands:
        raise ConflictError(f"matter {work.case.number} is still in the hands of {work.hands[0].unit}")
    version = _closed(work, to, Act.MOVE, note, answer)
    along = select(IncidentCase.id).where(IncidentCase.duplicate_of == work.case.id, IncidentCase.open)
    with everywhere(work.connection, work.actor):
        for number in work.connection.scalars(along.order_by(IncidentCase.id)).all():
            other = held(work.connection, work.actor, number, now=work.now)
            final = next(step.code for step in other.flow.steps if step.final)
            _closed(other, final, Act.LINK, "", work.case.answer or "", {"with": work.case.number})
    return version


def _closed(
    work: Work, to: str, act: Act, note: str, answer: str, detail: dict[str, Any] | None = None
) -> int:
    columns = {
        "stage": to, "stage_since": work.now, "step_due_at": None, "next_due_at": None,
        "open": False, "suspended_at": None,
        "supervised_at": None, "escalated_at": None, "settled_level": work.case.level,
        **({"answer": answer.strip()} if answer.strip() else {}),
    }  # fmt: skip
    shown = {"status": Status.CLOSED, "closed_at": work.now}
    return work.write(act, to_stage=to, note=note.strip(), detail=detail, case=columns, incident=shown)


def visit(
    engine: Engine,
    actor: Actor,
    case_id: int,
    version: int | None,
    told: VisitTold,
    *,
    now: datetime | None = None,
) -> int:
    """Write a visit; a return visit of a closed matter that finds the resident dissatisfied reopens it.

    A resident rates a closed matter once a closing; grid staff visit on site, offices both ways.
    """
    with on_case(engine, actor, case_id, version, now) as work:
        _check_visitor(work, told)
        if visits.write(work, told) and not work.case.open:
            return _reopen(work, "回访不满意", Act.REOPEN)
        return int(work.case.version)


def _check_visitor(work: Work, told: VisitTold) -> None:
    actor = work.actor
    if actor.username == RESIDENT and actor.role is None:
        if work.case.open or visits.was_rated(work):
            raise ConflictError(f"matter {work.case.number} is not to be rated now")
        return
    on_site = told.kind is not VisitKind.RETURN
    allowed = actor.role in (Role.TOWN_OFFICER, Role.COMMAND) or (actor.role is Role.GRID_WORKER and on_site)
    if not allowed:
        raise NotAllowedError(f"{actor.username} makes no such visit")


def reopen(
    engine: Engine,
    actor: Actor,
    case_id: int,
    version: int | None,
    reason: str,
    *,
    now: datetime | None = None,
) -> int:
    """Open a closed matter again at the step that its flow names, with new limits."""
    with on_case(engine, actor, case_id, version, now) as work:
        if work.case.open:
            raise ConflictError(f"matter {work.case.number} is open")
        actor.check_office(work.case.level)
        return _reopen(work, required("reason", reason), Act.REOPEN)


def _reopen(work: Work, reason: str, act: Act) -> int:
    stage = work.flow.reopens_at
    due_at = work.days.after(work.now, work.limit_of(work.incident.category))
    columns = work.entering(stage, due_at) | {
        "open": True, "settled_level": None, "duplicate_of": None, "answer": None, "suspended_at": None,
        "escalated_at": None, "reopened": work.case.reopened + 1,
    }  # fmt: skip
    shown = {"status": Status.OPEN, "closed_at": None, "due_at": due_at}
    return work.write(act, to_stage=stage, due_at=due_at, note=reason, case=columns, incident=shown)


# --- up and down


def raise_(
    engine: Engine,
    actor: Actor,
    case_id: int,
    version: int | None,
    note: str,
    *,
    now: datetime | None = None,
) -> int:
    """Hand a matter up: from the village to the town, from the town to the city (上报)."""
    with on_case(engine, actor, case_id, version, now) as work:
        work.check_live()
        level = Tier(work.case.level)
        who = actor.acts_as(level)
        if level not in UP:
            raise ConflictError(f"matter {work.case.number} is at the city")
        if who is not Who.OFFICE and not (who is Who.GRID and level is Tier.VILLAGE):
            raise NotAllowedError(f"{actor.username} may not raise matter {work.case.number}")
        return _relevel(work, Act.RAISE, UP[level], required("note", note))


def lower(
    engine: Engine,
    actor: Actor,
    case_id: int,
    version: int | None,
    note: str,
    *,
    now: datetime | None = None,
) -> int:
    """Hand a matter down: from the city to its town, from the town to its village (下派)."""
    with on_case(engine, actor, case_id, version, now) as work:
        work.check_live()
        level = Tier(work.case.level)
        actor.check_office(level)
        if level not in DOWN or not work.case.village:
            raise ConflictError(f"matter {work.case.number} has no lower level")
        return _relevel(work, Act.LOWER, DOWN[level], required("note", note))


def _relevel(work: Work, act: Act, level: Tier, note: str) -> int:
    detail = {"from": work.case.level, "to": level.value}
    changed = {"level": level.value}
    return work.write(act, note=note, detail=detail, case=changed, incident=changed)


# --- the clock


def supervise(
    engine: Engine,
    actor: Actor,
    case_id: int,
    version: int | None,
    note: str,
    *,
    now: datetime | None = None,
) -> int:
    """Put an open matter under supervision (督办): the centre any, a town office its own."""
    with on_case(engine, actor, case_id, version, now) as work:
        if not work.case.open:
            raise ConflictError(f"matter {work.case.number} is closed")
        if actor.role is not Role.COMMAND:
            actor.check_office(work.case.level)
        return work.write(Act.SUPERVISE, note=required("note", note), case={"supervised_at": work.now})


def extend(
    engine: Engine,
    actor: Actor,
    case_id: int,
    version: int | None,
    days: int,
    reason: str,
    *,
    now: datetime | None = None,
) -> int:
    """Give a matter more working days, the whole and the step at hand; twice at most."""
    with on_case(engine, actor, case_id, version, now) as work:
        work.check_live()
        actor.check_office(work.case.level)
        if not 1 <= days <= LONGEST_EXTENSION:
            raise InputError("days", days, f"1 to {LONGEST_EXTENSION} working days")
        if times(work, Act.EXTEND) >= MOST_EXTENSIONS:
            raise ConflictError(f"matter {work.case.number} was extended {MOST_EXTENSIONS} times already")
        return _later(work, Act.EXTEND, days, required("reason", reason), {})


def suspend(
    engine: Engine,
    actor: Actor,
    case_id: int,
    version: int | None,
    reason: str,
    *,
    now: datetime | None = None,
) -> int:
    """Stop the clock of a matter, with the reason, until it is resumed."""
    with on_case(engine, actor, case_id, version, now) as work:
        work.check_live()
        actor.check_office(work.case.level)
        return work.write(Act.SUSPEND, note=required("reason", reason), case={"suspended_at": work.now})


def resume(
    engine: Engine, actor: Actor, case_id: int, version: int | None, *, now: datetime | None = None
) -> int:
    """Start the clock again: limits move by the working days for which it stood still."""
    with on_case(engine, actor, case_id, version, now) as work:
        actor.check_office(work.case.level)
        if not work.case.open or not work.case.suspended_at:
            raise ConflictError(f"matter {work.case.number} is not suspended")
        stood = max(0, work.days.between(work.case.suspended_at, work.now))
        pause = work.now - work.case.suspended_at
        return _later(work, Act.RESUME, stood, "", {"suspended_at": None}, pause)


def _later(
    work: Work, act: Act, days: int, note: str, columns: dict[str, Any], pause: timedelta | None = None
) -> int:
    """Move the limits of a case by working days; a step by the hour, after a pause, by how long that was."""
    step, whole = work.case.step_due_at, work.incident.due_at
    due_at = whole and work.days.plus(whole, days)
    if step:
        step = step + pause if pause and work.step.limit.hours else work.days.plus(step, days)
    moved = {"step_due_at": step, "next_due_at": nearer(step, due_at), "escalated_at": None}
    return work.write(
        act,
        note=note,
        due_at=due_at,
        detail={"days": days},
        case=columns | moved,
        incident={"due_at": due_at},
    )


# --- what is said of it


def link(
    engine: Engine,
    actor: Actor,
    case_id: int,
    version: int | None,
    other_id: int | None,
    *,
    now: datetime | None = None,
) -> int:
    """Let a matter go along with another open one, and close with it (并案); None takes it back."""
    with on_case(engine, actor, case_id, version, now) as work:
        if not work.case.open:
            raise ConflictError(f"matter {work.case.number} is closed")
        actor.check_office(work.case.level)
        if work.hands:
            raise ConflictError(f"matter {work.case.number} is in the hands of {work.hands[0].unit}")
        if other_id is None:
            return work.write(Act.LINK, detail={"with": None}, case={"duplicate_of": None})
        other = found_case(work.connection, other_id)
        leader = other.duplicate_of or other.id
        if leader == case_id or _leads(work, case_id):
            raise InputError(
                "duplicate_of", other.number, "another matter, from one that none goes along with"
            )
        return work.write(Act.LINK, detail={"with": other.number}, case={"duplicate_of": leader})


def _leads(work: Work, case_id: int) -> bool:
    along = exists().where(IncidentCase.duplicate_of == case_id, IncidentCase.open)
    with everywhere(work.connection, work.actor):
        return bool(work.connection.scalar(select(along)))


def note(
    engine: Engine,
    actor: Actor,
    case_id: int,
    version: int | None,
    words: str,
    *,
    now: datetime | None = None,
) -> int:
    """Write a remark into the history; whoever sees the matter may."""
    with on_case(engine, actor, case_id, version, now) as work:
        if actor.role is None:
            raise NotAllowedError(f"{actor.username} writes no remarks")
        return work.write(Act.NOTE, note=required("note", words))


def correct(
    engine: Engine,
    actor: Actor,
    case_id: int,
    version: int | None,
    *,
    category: str | None = None,
    ledger: str | None = None,
    lon: float | None = None,
    lat: float | None = None,
    address: str | None = None,
    now: datetime | None = None,
) -> int:
    """Correct category, ledger, place or address of an open matter; what is None stays.

    Another category brings its own limit, counted from when the matter was told or last reopened, and put off
    by as many working days as the old one was. A place outside the actor's area is refused: the matter is
    raised to the city, which may move it anywhere.
    """
    with on_case(engine, actor, case_id, version, now) as work:
        work.check_live()
        actor.check_office(work.case.level)
        shown = _corrected(work, category, ledger, lon, lat, address)
        if not shown:
            raise InputError("category", "nothing", "at least one thing to correct")
        detail = {"fields": sorted(set(shown) - {"village", "due_at"}), "category": category}
        case = {"next_due_at": nearer(work.case.step_due_at, shown["due_at"])} if "due_at" in shown else None
        return work.write(Act.CORRECT, detail=detail, case=case, incident=shown)


def _corrected(
    work: Work,
    category: str | None,
    ledger: str | None,
    lon: float | None,
    lat: float | None,
    address: str | None,
) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if category and category != work.incident.category:
        leaf(work.connection, category)
        begun, days = since_begun(work)
        due_at = work.days.plus(work.days.after(begun, work.limit_of(category)), days)
        shown |= {"category": category, "due_at": due_at}
    if ledger:
        if ledger not in set(Ledger):
            raise InputError("ledger", ledger, ", ".join(Ledger))
        shown["ledger"] = ledger
    if lon is not None and lat is not None:
        grid = grid_at(work.connection, lon, lat)
        if grid is None or not grid.code15.startswith(work.actor.area):
            raise InputError("place", f"{lon:.5f}, {lat:.5f}", "a place inside a grid of the own area")
        shown |= {"geom": f"SRID=4490;POINT({lon!r} {lat!r})", "grid_id": grid.id, "village": grid.village}
    if address is not None:
        if address:
            check_words(address)
        shown["address"] = address or None
    return shown

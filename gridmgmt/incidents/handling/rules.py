"""What may be done with a matter now, and by whom: the same questions for the acts and for their buttons."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, func, select

from gridmgmt.db.models import Role
from gridmgmt.incidents.actor import Actor
from gridmgmt.incidents.flows.flow import Guard, Move, Need, Who
from gridmgmt.incidents.handling.acts import Act
from gridmgmt.incidents.handling.models import IncidentStep
from gridmgmt.incidents.handling.visits import was_visited
from gridmgmt.incidents.handling.work import Work, on_case
from gridmgmt.incidents.terms import Tier

UP = {Tier.VILLAGE: Tier.TOWN, Tier.TOWN: Tier.CITY}
DOWN = {above: below for below, above in UP.items()}
MOST_EXTENSIONS = 2


def unmet(work: Work, chosen: Move, answered: bool = False) -> list[Guard]:
    """Return the guards of a move that do not hold yet; `answered` when an answer comes with it."""
    holds = {
        Guard.STRUCK_OFF: not work.hands,
        Guard.ANSWERED: answered or bool(work.case.answer),
        Guard.VISITED: was_visited(work),
    }
    return [guard for guard in Guard if guard in chosen.guards and not holds[guard]]


def times(work: Work, act: Act) -> int:
    """Return how often something was done with the matter."""
    statement = select(func.count()).where(IncidentStep.case_id == work.case.id, IncidentStep.act == act)
    return int(work.connection.scalar(statement) or 0)


def since_begun(work: Work) -> tuple[datetime, int]:
    """Return from when the limit of the whole counts, and the working days by which it was put off since."""
    steps = select(IncidentStep.n, IncidentStep.at).where(IncidentStep.case_id == work.case.id)
    begun = steps.where(IncidentStep.act.in_((Act.TAKE_IN, Act.REOPEN))).order_by(IncidentStep.n.desc())
    n, at = work.connection.execute(begun.limit(1)).one()
    put_off = select(func.sum(IncidentStep.detail["days"].as_integer())).where(
        IncidentStep.case_id == work.case.id,
        IncidentStep.n > n,
        IncidentStep.act.in_((Act.EXTEND, Act.RESUME)),
    )
    return at, int(work.connection.scalar(put_off) or 0)


@dataclass(frozen=True)
class Choice:
    """One thing that somebody may do now: an act, or a move with its verb, what it needs, what is missing."""

    act: Act
    says: str = ""
    to: str | None = None
    needs: frozenset[Need] = frozenset()
    missing: tuple[Guard, ...] = ()


def may(engine: Engine, actor: Actor, case_id: int) -> list[Choice]:
    """Return what this person may do with a case now, moves first; the same rules as the acts themselves."""
    with on_case(engine, actor, case_id) as work:
        return choices(work)


def choices(work: Work) -> list[Choice]:
    """Return what the actor of `work` may do now."""
    actor, case = work.actor, work.case
    who = actor.acts_as(case.level)
    office, command = who is Who.OFFICE, actor.role is Role.COMMAND
    visits = actor.role in (Role.TOWN_OFFICER, Role.COMMAND, Role.GRID_WORKER)
    live = case.open and not case.suspended_at and not case.duplicate_of
    found = _moves(work, who) if live else []
    level = Tier(case.level)
    rules = (
        (Act.HAND, live and office),
        (Act.RAISE, live and level in UP and (office or (who is Who.GRID and level is Tier.VILLAGE))),
        (Act.LOWER, live and office and level in DOWN and bool(case.village)),
        (Act.SUPERVISE, case.open and (office or command)),
        (Act.EXTEND, live and office and times(work, Act.EXTEND) < MOST_EXTENSIONS),
        (Act.SUSPEND, live and office),
        (Act.RESUME, case.open and office and bool(case.suspended_at)),
        (Act.LINK, case.open and office and not work.hands),
        (Act.CORRECT, live and office),
        (Act.VISIT, visits),
        (Act.NOTE, actor.role is not None),
        (Act.REOPEN, not case.open and office),
    )
    return found + [Choice(act) for act, holds in rules if holds]


def _moves(work: Work, who: Who | None) -> list[Choice]:
    return [
        Choice(
            Act.MOVE, move.says, move.to,
            move.needs - ({Need.UNITS} if work.hands else frozenset()),
            tuple(unmet(work, move, Need.ANSWER in move.needs)),
        )
        for move in work.step.moves
        if who in move.who
    ]  # fmt: skip

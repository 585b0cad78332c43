"""Proposes, calls, drops, answers, gives back, follows up, extends and lifts talks and supervision.

Each function is one transaction and one step in the talk's history. They raise NotFoundError for a talk that
is not there for the actor, NotAllowedError for what is another's to do, ConflictError when somebody has acted
on it since `version` was read or when it does not stand so that the act is allowed, InputError for a field.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, insert, update

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError, NotAllowedError
from gridmgmt.incidents.mediation.words import open_words
from gridmgmt.index.actor import Actor, on_index
from gridmgmt.index.models import IndexTalk, IndexTalkStep, TalkStatus
from gridmgmt.index.periods import Period
from gridmgmt.index.service import lock
from gridmgmt.index.talks import rules, stored
from gridmgmt.index.talks.rules import Proposal
from gridmgmt.index.talks.stored import OPEN, Talk

LATEST = timedelta(days=366)
UNITS = frozenset((Role.TOWN_OFFICER, Role.DEPARTMENT))


class Act(StrEnum):
    """What was done with a talk; `called` and `lifted` are what bulletins name."""

    PROPOSED = "proposed"
    UPDATED = "updated"
    WITHDRAWN = "withdrawn"
    CALLED = "called"
    DROPPED = "dropped"
    ANSWERED = "answered"
    RETURNED = "returned"
    FOLLOWED_UP = "followed_up"
    EXTENDED = "extended"
    LIFTED = "lifted"


@dataclass(frozen=True)
class Move:
    """From which states to which (None: it stays) an act leads, by whom, and how long its words are."""

    at: frozenset[TalkStatus]
    to: TalkStatus | None
    centre: bool
    fewest: int
    most: int


MOVES = {
    Act.CALLED: Move(frozenset((TalkStatus.PROPOSED,)), TalkStatus.CALLED, True, 0, 500),
    Act.DROPPED: Move(frozenset((TalkStatus.PROPOSED,)), TalkStatus.DROPPED, True, 2, 500),
    Act.ANSWERED: Move(
        frozenset((TalkStatus.CALLED, TalkStatus.RETURNED)), TalkStatus.ANSWERED, False, 20, 2000
    ),
    Act.RETURNED: Move(frozenset((TalkStatus.ANSWERED,)), TalkStatus.RETURNED, True, 2, 500),
    Act.FOLLOWED_UP: Move(OPEN, None, True, 2, 1000),
    Act.EXTENDED: Move(OPEN, None, True, 2, 500),
    Act.LIFTED: Move(frozenset((TalkStatus.ANSWERED,)), TalkStatus.LIFTED, True, 2, 500),
}


def allowed(talk: Talk, actor: Actor) -> list[Act]:
    """Return what this person may do with a talk as it stands."""
    return [act for act, move in MOVES.items() if talk.status in move.at and _may(actor, move, talk.unit)]


def _may(actor: Actor, move: Move, unit: str) -> bool:
    if move.centre:
        return actor.role is Role.COMMAND
    return actor.role in UNITS and actor.own == unit


# --- proposing


@dataclass(frozen=True)
class Found:
    """What looking for talks came to: how many are new, rest on other figures now, have lost their reason."""

    made: int
    updated: int
    withdrawn: int


def propose(engine: Engine, actor: Actor, period: Period) -> Found:
    """Write down what the rules propose after a period; doing it again without other values changes nothing.

    What the centre has decided on is left alone. A proposal whose reason is gone is withdrawn, and proposed
    again should it come back. Raises NotEnoughDataError while a month of the period is not built.
    """
    actor.check_centre()
    with on_index(engine, actor) as connection:
        lock(connection)
        wanted = {(each.kind, each.unit): each for each in rules.propose(connection, period)}
        known = {(each.kind, each.unit): each for each in stored.formers(connection) if each.period == period}
        made = [each for key, each in wanted.items() if key not in known]
        for each in made:
            _insert(connection, actor, each)
        undecided = {key: each for key, each in known.items() if not (each.was_called or each.dropped)}
        updated = [
            _refresh(connection, actor, undecided[key].id, wanted[key]) for key in wanted if key in undecided
        ]
        gone = [each for key, each in undecided.items() if key not in wanted]
        withdrawn = [_withdraw(connection, actor, each) for each in gone]
    return Found(len(made), sum(updated), sum(withdrawn))


def _insert(connection: Connection, actor: Actor, proposal: Proposal) -> None:
    row = {
        "kind": proposal.kind.value, "level": proposal.level.value, "unit": proposal.unit,
        "span": proposal.period.span.value, "month": proposal.period.last, "reason": proposal.reason,
        "evidence": proposal.evidence, "made_by": actor.username,
    }  # fmt: skip
    number = connection.execute(insert(IndexTalk).values(row).returning(IndexTalk.id)).scalar_one()
    _note(connection, actor, number, Act.PROPOSED, proposal.reason)


def _refresh(connection: Connection, actor: Actor, number: int, proposal: Proposal) -> bool:
    """Give an undecided proposal its present evidence; say whether that is another than before."""
    talk = stored.talk(connection, number)
    same = (talk.reason, talk.evidence) == (proposal.reason, proposal.evidence)
    if same and talk.status is TalkStatus.PROPOSED:
        return False
    values = {"status": TalkStatus.PROPOSED, "reason": proposal.reason, "evidence": proposal.evidence}
    _write(connection, talk, values)
    act = Act.UPDATED if talk.status is TalkStatus.PROPOSED else Act.PROPOSED
    _note(connection, actor, number, act, proposal.reason)
    return True


def _withdraw(connection: Connection, actor: Actor, former: stored.Former) -> bool:
    """Withdraw a proposal whose reason is gone; say whether it still stood."""
    if former.status is not TalkStatus.PROPOSED:
        return False
    _write(connection, stored.talk(connection, former.id), {"status": TalkStatus.DROPPED})
    _note(connection, actor, former.id, Act.WITHDRAWN, None)
    return True


# --- acts


def call(engine: Engine, actor: Actor, number: int, version: int, due_on: date, note: str = "") -> None:
    """Call a unit to a talk, or list it for supervision, with a day by which its correction is due."""
    _act(engine, actor, number, version, Act.CALLED, note, due_on)


def drop(engine: Engine, actor: Actor, number: int, version: int, reason: str) -> None:
    """Decide that a proposal comes to nothing; it is not made again."""
    _act(engine, actor, number, version, Act.DROPPED, reason)


def answer(engine: Engine, actor: Actor, number: int, version: int, words: str) -> None:
    """Answer for the unit: what the causes are and what is being done."""
    _act(engine, actor, number, version, Act.ANSWERED, words)


def give_back(engine: Engine, actor: Actor, number: int, version: int, reason: str) -> None:
    """Give an answer back; the unit answers again."""
    _act(engine, actor, number, version, Act.RETURNED, reason)


def follow_up(engine: Engine, actor: Actor, number: int, version: int, note: str) -> None:
    """Note how the correction goes."""
    _act(engine, actor, number, version, Act.FOLLOWED_UP, note)


def extend(engine: Engine, actor: Actor, number: int, version: int, due_on: date, reason: str) -> None:
    """Put off the day by which the correction is due."""
    _act(engine, actor, number, version, Act.EXTENDED, reason, due_on)


def lift(engine: Engine, actor: Actor, number: int, version: int, note: str) -> None:
    """End a talk or take down a supervision: what was corrected, and how that was seen."""
    _act(engine, actor, number, version, Act.LIFTED, note)


def _act(
    engine: Engine, actor: Actor, number: int, version: int, act: Act, words: str, due_on: date | None = None
) -> None:
    move = MOVES[act]
    if move.centre:
        actor.check_centre()
    elif actor.role not in UNITS or not actor.own:
        raise NotAllowedError(f"{actor.username} is of no unit that answers")
    note = _words(move, words)
    with on_index(engine, actor) as connection:
        talk = stored.talk(connection, number)
        _check_stands(talk, version, act, actor)
        values: dict[str, Any] = {"status": move.to or talk.status}
        if due_on is not None:
            _check_due(talk, due_on)
            values["due_on"] = due_on
        if act is Act.ANSWERED:
            values["answer"] = note
        _write(connection, talk, values)
        _note(connection, actor, number, act, stored.said(note, due_on))


def _words(move: Move, words: str) -> str:
    found = open_words("note", words, move.most)
    if len(found) < move.fewest:
        raise InputError("note", f"{len(found)} characters", f"{move.fewest} to {move.most} characters")
    return found


def _check_stands(talk: Talk, version: int, act: Act, actor: Actor) -> None:
    if talk.version != version:
        raise ConflictError(f"talk {talk.id} has changed since: it is {talk.status} now")
    if talk.status not in MOVES[act].at:
        may = ", ".join(allowed(talk, actor)) or "nothing"
        raise ConflictError(f"talk {talk.id} is {talk.status}; allowed now: {may}")


def _check_due(talk: Talk, due_on: date) -> None:
    today = china_today()
    first = max(today, talk.due_on + timedelta(days=1)) if talk.due_on else today
    if not first <= due_on <= today + LATEST:
        raise InputError("due_on", due_on.isoformat(), f"a day from {first} to {today + LATEST}")


def _write(connection: Connection, talk: Talk, values: Mapping[str, Any]) -> None:
    """Write a talk as it was read; ConflictError when somebody was faster."""
    table = IndexTalk
    same = update(table).where(table.id == talk.id, table.version == talk.version)
    if not connection.execute(same.values(version=talk.version + 1, **values)).rowcount:
        raise ConflictError(f"talk {talk.id} has changed since")


def _note(connection: Connection, actor: Actor, number: int, act: Act, words: str | None) -> None:
    row = {"talk_id": number, "who": actor.username, "act": act.value, "note": words}
    connection.execute(insert(IndexTalkStep).values(row))

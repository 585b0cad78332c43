"""民事民议: residents or their representatives look at a matter and vote; what comes of it is advice.

Counts only: nobody's vote is kept. Errors as in `mediation.service`.
"""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, update

from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.incidents.actor import Actor, on_matters
from gridmgmt.incidents.handling.acts import Act
from gridmgmt.incidents.handling.work import Work, held, on_case, required
from gridmgmt.incidents.intake import check_words
from gridmgmt.incidents.mediation.models import Deliberation, DeliberationKind, Held
from gridmgmt.incidents.mediation.words import YEAR, moment_near, named, open_words

# So many of the invited must be present on site. As for representatives of a village's households (村民委员会
# 组织法 art. 25): fewer say nothing for the others.
QUORUM = Fraction(2, 3)
LONGEST_QUESTION = 300
MOST_INVITED = 2_000
STEP_NAMES = {
    "planned": "安排民议", "held": "召开民议", "called_off": "取消民议", "not_quorate": "民议未达法定人数",
}  # fmt: skip


@dataclass(frozen=True)
class DeliberationTold:
    """What is to be looked at, where, when, and how many are invited."""

    kind: str
    question: str
    place: str
    held_at: datetime
    invited: int


@dataclass(frozen=True)
class Count:
    """How many came and how they voted."""

    present: int
    in_favour: int
    against: int
    abstained: int


@dataclass(frozen=True)
class Outcome:
    """Whether enough were present, and whether more than half of them were in favour."""

    quorate: bool
    carried: bool


def outcome(kind: str, invited: int, count: Count) -> Outcome:
    """Return what a vote came to; one that is not quorate carries nothing.

    >>> outcome("on_site", 30, Count(19, 19, 0, 0)), outcome("on_site", 30, Count(20, 11, 5, 4))
    (Outcome(quorate=False, carried=False), Outcome(quorate=True, carried=True))
    """
    enough = count.present > 0 and (
        kind == DeliberationKind.INSTANT or Fraction(count.present, invited) >= QUORUM
    )
    return Outcome(enough, enough and 2 * count.in_favour > count.present)


def plan(
    engine: Engine,
    actor: Actor,
    case_id: int,
    version: int | None,
    told: DeliberationTold,
    *,
    now: datetime | None = None,
) -> int:
    """Plan a deliberation of a matter, and return its number; `version` is the matter's."""
    with on_case(engine, actor, case_id, version, now) as work:
        work.check_live()
        actor.check_office(work.case.level)
        if told.kind not in set(DeliberationKind):
            raise InputError("kind", told.kind, ", ".join(DeliberationKind))
        if not 1 <= told.invited <= MOST_INVITED:
            raise InputError("invited", told.invited, f"1 to {MOST_INVITED} people")
        row = {
            "case_id": case_id, "kind": told.kind, "status": Held.PLANNED,
            "question": named("question", told.question, LONGEST_QUESTION),
            "place": named("place", told.place),
            "held_at": moment_near("held_at", told.held_at, work.now - YEAR, work.now + YEAR),
            "invited": told.invited, "made_at": work.now, "made_by": actor.username,
        }  # fmt: skip
        statement = insert(Deliberation).values(row).returning(Deliberation.id)
        number = int(work.connection.execute(statement).scalar_one())
        work.write(Act.DELIBERATE, detail={"what": "planned", "deliberation": number, "kind": told.kind})
        return number


def hold(
    engine: Engine,
    actor: Actor,
    deliberation_id: int,
    count: Count,
    advice: str = "",
    minutes: str = "",
    *,
    now: datetime | None = None,
) -> Outcome:
    """Write down how a planned deliberation went; without a quorum it gives no advice, whatever was typed."""
    with on_matters(engine, actor) as connection:
        work, row = _planned(connection, actor, deliberation_id, now)
        if row.held_at > work.now:
            raise ConflictError(f"deliberation {row.id} is planned for {row.held_at}")
        _check_count(count, row.invited)
        found = outcome(row.kind, row.invited, count)
        said = open_words("advice", advice, 500)
        columns = {
            "status": Held.HELD, "present": count.present, "votes_for": count.in_favour,
            "votes_against": count.against, "abstained": count.abstained,
            "advice": said if found.quorate and said else None,
            "minutes": open_words("minutes", minutes) or None,
        }  # fmt: skip
        what = "held" if found.quorate else "not_quorate"
        detail = {"present": count.present, "invited": row.invited, "for": count.in_favour}
        _write(work, row, columns, what, detail | {"carried": found.carried})
        return found


def call_off(
    engine: Engine, actor: Actor, deliberation_id: int, reason: str, *, now: datetime | None = None
) -> None:
    """Call a planned deliberation off, with the reason."""
    words = required("reason", reason)
    check_words(words)
    with on_matters(engine, actor) as connection:
        work, row = _planned(connection, actor, deliberation_id, now)
        _write(work, row, {"status": Held.CALLED_OFF}, "called_off", {}, words)


def _planned(
    connection: Connection, actor: Actor, deliberation_id: int, now: datetime | None
) -> tuple[Work, Row[Any]]:
    """Return a planned deliberation with its case held."""
    query = select(Deliberation.__table__).where(Deliberation.id == deliberation_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(f"no deliberation {deliberation_id} here")
    work = held(connection, actor, row.case_id, None, now)
    actor.check_office(work.case.level)
    row = connection.execute(query).one()
    if row.status != Held.PLANNED:
        raise ConflictError(f"deliberation {row.id} is over")
    return work, row


def _check_count(count: Count, invited: int) -> None:
    if not 0 <= count.present <= invited:
        raise InputError("present", count.present, f"0 to {invited} who were invited")
    votes = (count.in_favour, count.against, count.abstained)
    if min(votes) < 0 or sum(votes) != count.present:
        raise InputError("votes", sum(votes), f"one vote or abstention for each of {count.present} present")


def _write(
    work: Work, row: Row[Any], columns: dict[str, Any], what: str, detail: dict[str, Any], note: str = ""
) -> None:
    work.connection.execute(update(Deliberation).where(Deliberation.id == row.id).values(**columns))
    work.write(Act.DELIBERATE, note=note, detail={"what": what, "deliberation": row.id, **detail})

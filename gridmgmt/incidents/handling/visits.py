"""Visits about a matter: on site, and the return visit that asks whether it was settled."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, insert, select

from gridmgmt.errors import InputError
from gridmgmt.incidents.actor import RESIDENT
from gridmgmt.incidents.handling.acts import Act
from gridmgmt.incidents.handling.intake import OLDEST
from gridmgmt.incidents.handling.models import IncidentStep, IncidentVisit, VisitKind
from gridmgmt.incidents.handling.work import Work
from gridmgmt.incidents.intake import check_words


@dataclass(frozen=True)
class VisitTold:
    """A visit about a matter: whether somebody was reached, and how satisfied they are (1 to 5)."""

    reached: bool
    satisfaction: int | None = None
    note: str = ""
    held_at: datetime | None = None
    kind: VisitKind = VisitKind.RETURN
    place: str = ""


def write(work: Work, told: VisitTold) -> bool:
    """Write a visit with its step inside an act that stands; True when it found the resident dissatisfied."""
    if told.satisfaction is not None and (not told.reached or not 1 <= told.satisfaction <= 5):
        raise InputError("satisfaction", told.satisfaction, "1 to 5, of somebody who was reached")
    if told.note:
        check_words(told.note)
    held_at = told.held_at or work.now
    if not work.now - OLDEST <= held_at <= work.now:
        raise InputError("held_at", str(held_at), "a moment of the last year")
    work.connection.execute(
        insert(IncidentVisit).values(
            case_id=work.case.id, kind=told.kind.value, area=work.case.village or "", held_at=held_at,
            made_by=work.actor.username, place=told.place or None, reached=told.reached,
            satisfaction=told.satisfaction, note=told.note or None,
        )
    )  # fmt: skip
    asked = told.kind is VisitKind.RETURN and told.satisfaction is not None
    detail = {"kind": told.kind.value, "reached": told.reached, "satisfaction": told.satisfaction}
    shown = {"satisfaction": told.satisfaction} if asked else None
    work.write(Act.VISIT, detail=detail, incident=shown)
    return asked and told.satisfaction <= work.flow.dissatisfied_at_most  # type: ignore[operator]


def was_visited(work: Work) -> bool:
    """Say whether a return visit was made since the matter was taken in or last reopened."""
    found = exists().where(*_return_visits(work))
    return bool(work.connection.scalar(select(found)))


def was_dissatisfied(work: Work) -> bool:
    """Say whether who was last asked since then, and said how satisfied they are, was not."""
    told = IncidentStep.detail["satisfaction"].as_integer()
    last = select(told).where(*_return_visits(work), told.is_not(None)).order_by(IncidentStep.n.desc())
    found = work.connection.scalar(last.limit(1))
    return found is not None and found <= work.flow.dissatisfied_at_most


def _return_visits(work: Work) -> tuple[ColumnElement[bool], ...]:
    # By the order of the steps: the visit that reopened a matter is of the same moment as the reopening.
    reopened = select(func.coalesce(func.max(IncidentStep.n), 0)).where(
        IncidentStep.case_id == work.case.id, IncidentStep.act == Act.REOPEN
    )
    return (
        IncidentStep.case_id == work.case.id,
        IncidentStep.act == Act.VISIT,
        IncidentStep.detail["kind"].as_string() == VisitKind.RETURN.value,
        IncidentStep.n > (work.connection.scalar(reopened) or 0),
    )


def was_rated(work: Work) -> bool:
    """Say whether a resident has rated the matter since it was closed."""
    found = exists().where(
        IncidentVisit.case_id == work.case.id,
        IncidentVisit.made_by == RESIDENT,
        IncidentVisit.held_at >= work.case.stage_since,
    )
    return bool(work.connection.scalar(select(found)))

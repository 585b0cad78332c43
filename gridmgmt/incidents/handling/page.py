"""One matter with everything that happened to it, as its page shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from gridmgmt.errors import NotFoundError
from gridmgmt.incidents import holidays
from gridmgmt.incidents.actor import Actor
from gridmgmt.incidents.flows import stored as flows
from gridmgmt.incidents.flows.flow import Flow
from gridmgmt.incidents.handling.acts import Act
from gridmgmt.incidents.handling.models import (
    IncidentCase,
    IncidentHand,
    IncidentStep,
    IncidentVisit,
)
from gridmgmt.incidents.handling.rules import Choice, choices
from gridmgmt.incidents.handling.stored import AT_WORK, Line, lines_of
from gridmgmt.incidents.handling.work import Work
from gridmgmt.incidents.models import Incident
from gridmgmt.incidents.working_days import Light, WorkingDays, left, light


@dataclass(frozen=True)
class StepLine:
    """One act of the history; steps of the flow by their names."""

    n: int
    at: datetime
    who: str
    act: Act
    from_name: str | None
    to_name: str | None
    unit: str | None
    due_at: datetime | None
    note: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class HandLine:
    """A department's part in a matter."""

    id: int
    unit: str
    part: str
    status: str
    asked_at: datetime
    request: str | None
    due_at: datetime | None
    accepted_at: datetime | None
    answered_at: datetime | None
    answer: str | None
    reason: str | None
    verified_at: datetime | None
    light: Light
    left: str


@dataclass(frozen=True)
class VisitLine:
    """A visit about a matter."""

    kind: str
    held_at: datetime
    made_by: str
    place: str | None
    reached: bool
    satisfaction: int | None
    note: str | None


@dataclass(frozen=True)
class MatterPage:
    """A matter: `line` as lists show it, what was told, and how it was handled; `flow` is None for history.

    `choices` is what the reader may do now, `along` who goes along with it, `leader` what it goes along with.
    """

    line: Line
    text: str | None
    occurred_at: datetime
    lon: float | None
    lat: float | None
    due_at: datetime | None
    case: Row[Any] | None
    flow: Flow | None
    steps: list[StepLine]
    hands: list[HandLine]
    visits: list[VisitLine]
    along: list[tuple[int, str]]
    leader: tuple[int, str] | None
    choices: list[Choice]


def matter(connection: Connection, actor: Actor, number: int, now: datetime) -> MatterPage:
    """Return a matter by its id; NotFoundError for one that the actor may not see.

    Nothing is locked: what the page offers is checked again by the act itself.
    """
    days = holidays.working_days(connection)
    incident = _incident(connection, number)
    found = select(IncidentCase.__table__).where(IncidentCase.id == number)
    case = connection.execute(found).one_or_none()
    line = lines_of(connection, [number], days, now)[0]
    told = (line, incident.text, incident.occurred_at, incident.lon, incident.lat, incident.due_at)
    if case is None:
        return MatterPage(*told, None, None, [], [], [], [], None, [])
    flow = flows.flow_of(connection, case.flow_id)
    work = Work(connection, actor, now, case, incident, flow, days)
    return MatterPage(
        *told,
        case,
        flow,
        steps(connection, number, flow),
        hands(connection, number, now, days),
        _visits(connection, number),
        _cases(connection, IncidentCase.duplicate_of == number),
        next(iter(_cases(connection, IncidentCase.id == case.duplicate_of)), None),
        choices(work),
    )


def _incident(connection: Connection, number: int) -> Row[Any]:
    columns = [column for column in Incident.__table__.columns if column.name != "geom"]
    where = (func.ST_X(Incident.geom).label("lon"), func.ST_Y(Incident.geom).label("lat"))
    row: Any = connection.execute(select(*columns, *where).where(Incident.id == number)).one_or_none()
    if row is None:
        raise NotFoundError(f"no matter {number} here")
    return row


def steps(connection: Connection, number: int, flow: Flow, after: int = 0) -> list[StepLine]:
    """Return the history of a case from its first step on, or what came after a version."""
    names = {step.code: step.name for step in flow.steps}
    statement = select(IncidentStep.__table__).where(IncidentStep.case_id == number, IncidentStep.n > after)
    return [
        StepLine(
            row.n, row.at, row.who, Act(row.act), names.get(row.from_stage), names.get(row.to_stage),
            row.unit, row.due_at, row.note, row.detail,
        )
        for row in connection.execute(statement.order_by(IncidentStep.n))
    ]  # fmt: skip


def since(connection: Connection, number: int, version: int) -> list[StepLine]:
    """Return what was done with a case after a version that somebody saw."""
    flow_id = connection.scalar(select(IncidentCase.flow_id).where(IncidentCase.id == number))
    if flow_id is None:
        raise NotFoundError(f"no matter {number} here")
    return steps(connection, number, flows.flow_of(connection, flow_id), version)


def hands(connection: Connection, number: int, now: datetime, days: WorkingDays) -> list[HandLine]:
    """Return the departments' parts in a case, the first one asked on top; limits of those still at work."""
    statement = select(IncidentHand.__table__).where(IncidentHand.case_id == number)
    found = []
    for row in connection.execute(statement.order_by(IncidentHand.id)):
        due_at = row.due_at if row.status in AT_WORK else None
        found.append(
            HandLine(
                row.id, row.unit, row.part, row.status, row.asked_at, row.request, row.due_at,
                row.accepted_at, row.answered_at, row.answer, row.reason, row.verified_at,
                light(due_at, now, days), left(due_at, now, days),
            )
        )  # fmt: skip
    return found


def _visits(connection: Connection, number: int) -> list[VisitLine]:
    statement = select(IncidentVisit.__table__).where(IncidentVisit.case_id == number)
    return [
        VisitLine(row.kind, row.held_at, row.made_by, row.place, row.reached, row.satisfaction, row.note)
        for row in connection.execute(statement.order_by(IncidentVisit.held_at, IncidentVisit.id))
    ]


def _cases(connection: Connection, condition: Any) -> list[tuple[int, str]]:
    statement = select(IncidentCase.id, IncidentCase.number).where(condition).order_by(IncidentCase.id)
    return [(row.id, row.number) for row in connection.execute(statement.limit(20))]

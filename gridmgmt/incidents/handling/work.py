"""One act on one matter: the case held, checked against what its reader saw, and its step written.

Every act goes through `on_case` and `Work.write`; the database refuses a case that changes without its step.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, func, insert, select, text, update

from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.incidents import holidays
from gridmgmt.incidents.actor import Actor, on_matters
from gridmgmt.incidents.flows import stored as flows
from gridmgmt.incidents.flows.flow import Flow, Limit, Step
from gridmgmt.incidents.handling.acts import Act
from gridmgmt.incidents.handling.models import LIVE, IncidentCase, IncidentHand, IncidentStep
from gridmgmt.incidents.intake import check_words
from gridmgmt.incidents.models import Category, Incident
from gridmgmt.incidents.plain import plain
from gridmgmt.incidents.working_days import WorkingDays


@dataclass
class Work:
    """A case in somebody's hands until the end of a transaction: rows as they stand, flow, clock."""

    connection: Connection
    actor: Actor
    now: datetime
    case: Row[Any]
    incident: Row[Any]
    flow: Flow
    days: WorkingDays

    @property
    def step(self) -> Step:
        """The step of the flow at which the matter stands."""
        return self.flow.step(self.case.stage)

    @cached_property
    def hands(self) -> list[Row[Any]]:
        """The departments' lines of this matter that are not over."""
        statement = select(IncidentHand.__table__).where(
            IncidentHand.case_id == self.case.id, IncidentHand.status.in_(LIVE)
        )
        return list(self.connection.execute(statement.order_by(IncidentHand.id)))

    def check_live(self) -> None:
        """Raise ConflictError when the matter is closed, suspended or goes along with another."""
        if not self.case.open:
            raise ConflictError(f"matter {self.case.number} is closed")
        if self.case.suspended_at:
            raise ConflictError(f"matter {self.case.number} is suspended")
        if self.case.duplicate_of:
            raise ConflictError(f"matter {self.case.number} goes along with another")

    def entering(self, stage: str, due_at: datetime | None) -> dict[str, Any]:
        """Return the columns of a case that enters a step now, under a limit for the whole."""
        limit = self.flow.step(stage).limit
        step_due_at = self.days.after(self.now, limit) if limit.is_set else None
        return {
            "stage": stage,
            "stage_since": self.now,
            "step_due_at": step_due_at,
            "next_due_at": nearer(step_due_at, due_at),
        }

    def limit_of(self, category: str) -> Limit:
        """Return the working days for the whole: the category's own, else the flow's."""
        own = self.connection.scalar(select(Category.days).where(Category.code == category))
        return Limit(days=own or self.flow.days)

    def write(
        self,
        act: Act,
        *,
        to_stage: str | None = None,
        unit: str | None = None,
        due_at: datetime | None = None,
        note: str | None = None,
        detail: Mapping[str, Any] | None = None,
        case: Mapping[str, Any] | None = None,
        incident: Mapping[str, Any] | None = None,
    ) -> int:
        """Write one step with what it changes of case and incident, and return the new version.

        `note` is what somebody wrote; InputError when it holds a number of a person or is too long.
        """
        note = plain(note or "").strip()
        if note:
            check_words(note)
        stage = to_stage or self.case.stage
        version = self.case.version + 1
        statement = update(IncidentCase).where(IncidentCase.id == self.case.id)
        row = self.connection.execute(
            statement.values(**(case or {}), version=version).returning(*IncidentCase.__table__.columns)
        ).one()
        shown: dict[str, Any] = dict(incident or {})
        if stage != self.incident.stage:
            shown["stage"] = stage
        if shown:
            self._tell(shown)
        _append(
            self.connection, row.id, version, self.actor.username, act, self.now,
            from_stage=self.case.stage, to_stage=stage, unit=unit, due_at=due_at, note=note or None,
            detail=dict(detail or {}),
        )  # fmt: skip
        self.case = row
        return version

    def _tell(self, columns: Mapping[str, Any]) -> None:
        statement = update(Incident).where(
            Incident.id == self.incident.id, Incident.occurred_on == self.incident.occurred_on
        )
        self.connection.execute(statement.values(**columns))
        self.incident = _incident(self.connection, self.incident.id)


@contextmanager
def on_case(
    engine: Engine, actor: Actor, case_id: int, version: int | None = None, now: datetime | None = None
) -> Iterator[Work]:
    """Give a case that nobody else changes until the end of the transaction.

    `version` is the one that its reader saw. Raises NotFoundError for a case that the actor may not see,
    ConflictError when somebody has acted on it since.
    """
    with on_matters(engine, actor) as connection:
        yield held(connection, actor, case_id, version, now)


def held(
    connection: Connection,
    actor: Actor,
    case_id: int,
    version: int | None = None,
    now: datetime | None = None,
) -> Work:
    """Lock a case inside a transaction that stands, and return it; errors as `on_case`."""
    statement = select(IncidentCase.__table__).where(IncidentCase.id == case_id).with_for_update()
    case = connection.execute(statement).one_or_none()
    if case is None:
        raise NotFoundError(f"no matter {case_id} here")
    if version is not None and version != case.version:
        raise ConflictError(f"matter {case.number} is at version {case.version}, not {version}")
    flow = flows.flow_of(connection, case.flow_id)
    moment = now or moment_of(connection)
    days = holidays.working_days(connection)
    return Work(connection, actor, moment, case, _incident(connection, case_id), flow, days)


def first_step(
    connection: Connection,
    actor: Actor,
    case_id: int,
    now: datetime,
    stage: str,
    due_at: datetime | None,
    detail: Mapping[str, Any],
) -> None:
    """Write the step with which the history of a case begins."""
    _append(
        connection, case_id, 1, actor.username, Act.TAKE_IN, now, to_stage=stage, due_at=due_at,
        detail=dict(detail),
    )  # fmt: skip


def moment_of(connection: Connection) -> datetime:
    """Return the server's clock at the start of the transaction."""
    return connection.scalar(select(func.now()))  # type: ignore[return-value]


def _append(
    connection: Connection, case_id: int, n: int, who: str, act: Act, at: datetime, **columns: Any
) -> None:
    row = {"case_id": case_id, "n": n, "who": who, "act": act.value, "at": at, **columns}
    connection.execute(insert(IncidentStep).values(row))


def _incident(connection: Connection, number: int) -> Row[Any]:
    """Return the matter, its place as degrees beside the columns."""
    columns = [column for column in Incident.__table__.columns if column.name != "geom"]
    where = (func.ST_X(Incident.geom).label("lon"), func.ST_Y(Incident.geom).label("lat"))
    statement: Select[Any] = select(*columns, *where).where(Incident.id == number)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFoundError(f"no matter {number} here")
    return row


def nearer(*limits: datetime | None) -> datetime | None:
    """Return the first of the limits that are set; None when none is."""
    return min((limit for limit in limits if limit), default=None)


def required(field: str, words: str) -> str:
    """Return a text without blanks around it; InputError when there is none."""
    found = plain(words).strip()
    if not found:
        raise InputError(field, "nothing", "a text")
    return found


def grid_at(connection: Connection, lon: float, lat: float) -> Row[Any] | None:
    """Return id, code15 and village of the base grid in force today at a place; None outside of all."""
    return connection.execute(
        text("""
        SELECT id, code15, village FROM grid
        WHERE kind = 'base' AND valid_from <= (now() AT TIME ZONE 'Asia/Shanghai')::date
            AND (valid_to IS NULL OR valid_to > (now() AT TIME ZONE 'Asia/Shanghai')::date)
            AND ST_Covers(geom, ST_SetSRID(ST_MakePoint(:lon, :lat), 4490))
        ORDER BY id LIMIT 1
        """),
        {"lon": lon, "lat": lat},
    ).one_or_none()

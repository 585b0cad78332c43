"""Tables of handling: working days, flows, cases, their steps, hands to departments, visits, retries."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base
from gridmgmt.db.models import NOW, Timestamp, one_of
from gridmgmt.incidents.terms import Tier


class DayKind(StrEnum):
    """What the State Council's notice makes of a day: off on a weekday, or work on a weekend."""

    OFF = "off"
    WORK = "work"


class Part(StrEnum):
    """Whether a department answers for the whole, or helps (联席会办)."""

    LEAD = "lead"
    JOINT = "joint"


class HandStatus(StrEnum):
    """Where a matter stands that was handed to a department (交办)."""

    ASKED = "asked"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    ANSWERED = "answered"
    STRUCK_OFF = "struck_off"
    RETURNED = "returned"
    WITHDRAWN = "withdrawn"


HAND_NAMES = {
    HandStatus.ASKED: "待签收", HandStatus.ACCEPTED: "办理中", HandStatus.REFUSED: "已退回",
    HandStatus.ANSWERED: "待验收", HandStatus.STRUCK_OFF: "已销账", HandStatus.RETURNED: "验收未过",
    HandStatus.WITHDRAWN: "已收回",
}  # fmt: skip


# Not over yet: somebody still has it, or it waits to be verified.
LIVE = frozenset({HandStatus.ASKED, HandStatus.ACCEPTED, HandStatus.ANSWERED, HandStatus.RETURNED})


class VisitKind(StrEnum):
    """What a visit about matters is."""

    RETURN = "return"
    ON_SITE = "on_site"
    LEGAL_DAY = "legal_day"
    ENTERPRISE = "enterprise"


VISIT_NAMES = {
    VisitKind.RETURN: "回访", VisitKind.ON_SITE: "现场走访", VisitKind.LEGAL_DAY: "周五法律服务日",
    VisitKind.ENTERPRISE: "企业走访",
}  # fmt: skip


class Holiday(Base):
    """A day that is off or worked against the week's rule; a year without any is not known yet."""

    __tablename__ = "holiday"
    __table_args__ = (one_of("kind", DayKind),)

    day: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)


class IncidentFlow(Base):
    """A flow as it was loaded; a case ends under the flow it began with."""

    __tablename__ = "incident_flow"
    __table_args__ = (Index("ux_incident_flow_active", "code", unique=True, postgresql_where=text("active")),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    code: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    sha256: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    added_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    added_by: Mapped[str] = mapped_column(Text)


class IncidentCase(Base):
    """How a matter is handled here; `id` is the incident's. `version` is the number of its steps.

    `village` and `grid_id` follow the incident (triggers), `stage` is a step of its flow, `next_due_at` the
    nearer of `step_due_at` and the matter's limit. `settled_level` stays empty until it is closed.
    """

    __tablename__ = "incident_case"
    __table_args__ = (
        one_of("level", Tier),
        one_of("settled_level", Tier),
        Index(
            "ix_incident_case_village_next_due_at", "village", "next_due_at",
            postgresql_ops={"village": "text_pattern_ops"}, postgresql_where=text("open"),
        ),
        Index("ix_incident_case_next_due_at", "next_due_at", postgresql_where=text("open")),
        Index("ix_incident_case_grid_id", "grid_id", postgresql_where=text("open")),
        Index(
            "ix_incident_case_duplicate_of", "duplicate_of",
            postgresql_where=text("duplicate_of IS NOT NULL"),
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    number: Mapped[str] = mapped_column(Text, unique=True)
    flow_id: Mapped[int] = mapped_column(ForeignKey("incident_flow.id"))
    stage: Mapped[str] = mapped_column(Text)
    stage_since: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    step_due_at: Mapped[datetime | None] = mapped_column(Timestamp)
    next_due_at: Mapped[datetime | None] = mapped_column(Timestamp)
    village: Mapped[str | None] = mapped_column(Text)
    grid_id: Mapped[int | None]
    level: Mapped[str] = mapped_column(Text)
    settled_level: Mapped[str | None] = mapped_column(Text)
    open: Mapped[bool] = mapped_column(server_default=text("true"))
    answer: Mapped[str | None] = mapped_column(Text)
    suspended_at: Mapped[datetime | None] = mapped_column(Timestamp)
    supervised_at: Mapped[datetime | None] = mapped_column(Timestamp)
    escalated_at: Mapped[datetime | None] = mapped_column(Timestamp)
    reopened: Mapped[int] = mapped_column(server_default=text("0"))
    duplicate_of: Mapped[int | None] = mapped_column(BigInteger)
    follow_hash: Mapped[bytes | None] = mapped_column(unique=True)
    version: Mapped[int] = mapped_column(server_default=text("0"))
    opened_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class IncidentStep(Base):
    """One act on a case, never changed: who, when, what, from which step of the flow to which.

    `txid` lets a reader of the stream know which steps may still be joined by an earlier number.
    """

    __tablename__ = "incident_step"
    __table_args__ = (UniqueConstraint("case_id", "n"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("incident_case.id"))
    n: Mapped[int]
    at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    who: Mapped[str] = mapped_column(Text)
    act: Mapped[str] = mapped_column(Text)
    from_stage: Mapped[str | None] = mapped_column(Text)
    to_stage: Mapped[str | None] = mapped_column(Text)
    unit: Mapped[str | None] = mapped_column(Text)
    due_at: Mapped[datetime | None] = mapped_column(Timestamp)
    note: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    txid: Mapped[int] = mapped_column(BigInteger, server_default=text("pg_current_xact_id()::text::bigint"))


class IncidentHand(Base):
    """A matter in a department's hands: one line of its 民情台账, struck off when verified."""

    __tablename__ = "incident_hand"
    __table_args__ = (
        one_of("part", Part),
        one_of("status", HandStatus),
        Index("ix_incident_hand_unit_status", "unit", "status", "id"),
        Index(
            "ux_incident_hand_lead", "case_id", unique=True,
            postgresql_where=text(
                "part = 'lead' AND status IN ('asked', 'accepted', 'answered', 'returned')"
            ),
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("incident_case.id"), index=True)
    unit: Mapped[str] = mapped_column(ForeignKey("department.name"))
    part: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    asked_by: Mapped[str] = mapped_column(Text)
    request: Mapped[str | None] = mapped_column(Text)
    due_at: Mapped[datetime | None] = mapped_column(Timestamp)
    accepted_at: Mapped[datetime | None] = mapped_column(Timestamp)
    accepted_by: Mapped[str | None] = mapped_column(Text)
    answered_at: Mapped[datetime | None] = mapped_column(Timestamp)
    answered_by: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    verified_at: Mapped[datetime | None] = mapped_column(Timestamp)
    verified_by: Mapped[str | None] = mapped_column(Text)


class IncidentVisit(Base):
    """A visit about matters: the return visit of one, or a day of service without any one matter."""

    __tablename__ = "incident_visit"
    __table_args__ = (
        one_of("kind", VisitKind),
        CheckConstraint("satisfaction BETWEEN 1 AND 5", name="satisfaction"),
        Index("ix_incident_visit_area", "area", "held_at", postgresql_ops={"area": "text_pattern_ops"}),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    case_id: Mapped[int | None] = mapped_column(ForeignKey("incident_case.id"), index=True)
    kind: Mapped[str] = mapped_column(Text)
    area: Mapped[str] = mapped_column(Text)
    held_at: Mapped[datetime] = mapped_column(Timestamp)
    made_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    made_by: Mapped[str] = mapped_column(Text)
    place: Mapped[str | None] = mapped_column(Text)
    reached: Mapped[bool] = mapped_column(server_default=text("true"))
    satisfaction: Mapped[int | None] = mapped_column(SmallInteger)
    matters: Mapped[int | None]
    note: Mapped[str | None] = mapped_column(Text)


class IncidentKey(Base):
    """The key that a caller gave with a matter, so that a retry makes no second one."""

    __tablename__ = "incident_key"

    key: Mapped[UUID] = mapped_column(primary_key=True)
    who: Mapped[str] = mapped_column(Text)
    case_id: Mapped[int] = mapped_column(ForeignKey("incident_case.id"))
    digest: Mapped[bytes]
    made_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW, index=True)

"""Tables of the survey, of visits and of rounds of visits."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base
from gridmgmt.db.models import NOW, Timestamp, one_of


class Purpose(StrEnum):
    """What a visit is for."""

    VERIFY = "verify"
    CARE = "care"
    REMINDER = "reminder"
    MATTER = "matter"
    OTHER = "other"


class Outcome(StrEnum):
    """Whether somebody was met."""

    MET = "met"
    ABSENT = "absent"
    DECLINED = "declined"


class StopStatus(StrEnum):
    """How a stop of a round stands."""

    OPEN = "open"
    DONE = "done"
    NOT_DONE = "not_done"


PURPOSE_NAMES = {
    Purpose.VERIFY: "入户核对", Purpose.CARE: "走访关爱", Purpose.REMINDER: "提醒",
    Purpose.MATTER: "了解诉求", Purpose.OTHER: "其他",
}  # fmt: skip
OUTCOME_NAMES = {Outcome.MET: "见到", Outcome.ABSENT: "无人在家", Outcome.DECLINED: "不便接待"}


class Survey(Base):
    """A door-to-door survey of an area: a dwelling counts when it was verified from its first day on."""

    __tablename__ = "survey"
    __table_args__ = (CheckConstraint("due_on >= start_on", name="dates"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    area: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    start_on: Mapped[date]
    due_on: Mapped[date]
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    created_by: Mapped[str] = mapped_column(Text)


class Visit(Base):
    """One visit at a door; `key` comes from the phone, so that what is sent twice is kept once."""

    __tablename__ = "visit"
    __table_args__ = (one_of("purpose", Purpose), one_of("outcome", Outcome))

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[UUID] = mapped_column(unique=True)
    dwelling_id: Mapped[int] = mapped_column(ForeignKey("dwelling.id"), index=True)
    household_id: Mapped[int | None] = mapped_column(ForeignKey("household.id"), index=True)
    purpose: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(Text)
    visited_at: Mapped[datetime] = mapped_column(Timestamp, index=True)
    recorded_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    made_by: Mapped[str] = mapped_column(Text)
    salt: Mapped[bytes | None]
    note: Mapped[bytes | None]
    matter: Mapped[str | None] = mapped_column(Text)


class VisitRound(Base):
    """A round of visits to households that need one (微服务): whom, what to say, until when."""

    __tablename__ = "visit_round"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    area: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    criteria: Mapped[dict[str, Any]] = mapped_column(JSONB)
    due_on: Mapped[date]
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    created_by: Mapped[str] = mapped_column(Text)


class VisitStop(Base):
    """One household of a round."""

    __tablename__ = "visit_stop"
    __table_args__ = (
        one_of("status", StopStatus),
        UniqueConstraint("round_id", "household_id"),
        CheckConstraint("(status = 'open') = (closed_at IS NULL)", name="closed"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    round_id: Mapped[int] = mapped_column(ForeignKey("visit_round.id"))
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    status: Mapped[str] = mapped_column(Text, server_default=text("'open'"))
    reason: Mapped[str | None] = mapped_column(Text)
    visit_id: Mapped[int | None] = mapped_column(ForeignKey("visit.id"))
    closed_at: Mapped[datetime | None] = mapped_column(Timestamp)
    closed_by: Mapped[str | None] = mapped_column(Text)

"""Tables of mediation, of deliberation, and of the meetings at which results are reported back."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base
from gridmgmt.db.models import NOW, Timestamp, one_of
from gridmgmt.incidents.terms import Tier


class MediationKind(StrEnum):
    """Who mediates together with the people's mediators."""

    PEOPLE = "people"
    POLICE = "police"
    MEDICAL = "medical"
    COURT = "court"
    PETITION = "petition"
    PROPERTY = "property"


MEDIATION_NAMES = {
    MediationKind.PEOPLE: "人民调解", MediationKind.POLICE: "公调对接", MediationKind.MEDICAL: "医调对接",
    MediationKind.COURT: "诉调对接", MediationKind.PETITION: "访调对接", MediationKind.PROPERTY: "物调对接",
}  # fmt: skip


class MediationStatus(StrEnum):
    """How a mediation stands."""

    OPEN = "open"
    AGREED = "agreed"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


MEDIATION_STATUS_NAMES = {
    MediationStatus.OPEN: "调解中", MediationStatus.AGREED: "达成协议", MediationStatus.FAILED: "未达成",
    MediationStatus.WITHDRAWN: "终止",
}  # fmt: skip


class DeliberationKind(StrEnum):
    """民事民议: at once for what is small and urgent, on site for what is wide or difficult."""

    INSTANT = "instant"
    ON_SITE = "on_site"


DELIBERATION_NAMES = {DeliberationKind.INSTANT: "即时评议", DeliberationKind.ON_SITE: "现场评议"}


class Held(StrEnum):
    """Whether something planned was held."""

    PLANNED = "planned"
    HELD = "held"
    CALLED_OFF = "called_off"


HELD_NAMES = {Held.PLANNED: "待召开", Held.HELD: "已召开", Held.CALLED_OFF: "已取消"}


class MediationPanel(Base):
    """A trade's mediation panel (行业性专业性调解委员会)."""

    __tablename__ = "mediation_panel"

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    trade: Mapped[str | None] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(server_default=text("true"))


class Mediator(Base):
    """Somebody of the talent pool (人才库): `area` is the village, town or city that asks them."""

    __tablename__ = "mediator"
    __table_args__ = (
        UniqueConstraint("name", "area"),
        Index("ix_mediator_area", "area", postgresql_ops={"area": "text_pattern_ops"}),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    area: Mapped[str] = mapped_column(Text)
    panel: Mapped[str | None] = mapped_column(ForeignKey("mediation_panel.code"))
    specialities: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    active: Mapped[bool] = mapped_column(server_default=text("true"))


class Mediation(Base):
    """One mediation of a case; the agreement is sealed, because it says who owes what to whom."""

    __tablename__ = "mediation"
    __table_args__ = (
        one_of("kind", MediationKind),
        one_of("level", Tier),
        one_of("status", MediationStatus),
        Index("ux_mediation_open", "case_id", unique=True, postgresql_where=text("status = 'open'")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("incident_case.id"), index=True)
    kind: Mapped[str] = mapped_column(Text)
    panel: Mapped[str | None] = mapped_column(ForeignKey("mediation_panel.code"))
    level: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    opened_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    opened_by: Mapped[str] = mapped_column(Text)
    ended_at: Mapped[datetime | None] = mapped_column(Timestamp)
    ended_by: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    salt: Mapped[bytes | None]
    agreement: Mapped[bytes | None]
    follow_up_on: Mapped[date | None]
    followed_up_on: Mapped[date | None]
    kept: Mapped[bool | None]
    version: Mapped[int] = mapped_column(server_default=text("0"))


class MediationMediator(Base):
    """Who mediates what."""

    __tablename__ = "mediation_mediator"

    mediation_id: Mapped[int] = mapped_column(ForeignKey("mediation.id"), primary_key=True)
    mediator_id: Mapped[int] = mapped_column(ForeignKey("mediator.id"), primary_key=True, index=True)


class MediationSession(Base):
    """One sitting; its minutes are sealed."""

    __tablename__ = "mediation_session"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    mediation_id: Mapped[int] = mapped_column(ForeignKey("mediation.id"), index=True)
    held_at: Mapped[datetime] = mapped_column(Timestamp)
    place: Mapped[str] = mapped_column(Text)
    salt: Mapped[bytes | None]
    minutes: Mapped[bytes | None]
    made_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    made_by: Mapped[str] = mapped_column(Text)


class Deliberation(Base):
    """A review by residents or their representatives: counts of votes, never who voted how; advisory."""

    __tablename__ = "deliberation"
    __table_args__ = (
        one_of("kind", DeliberationKind),
        one_of("status", Held),
        CheckConstraint("invited > 0", name="invited"),
        CheckConstraint(
            "status <> 'held' OR (present BETWEEN 0 AND invited AND votes_for >= 0 AND votes_against >= 0"
            " AND abstained >= 0 AND votes_for + votes_against + abstained = present)",
            name="votes",
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("incident_case.id"), index=True)
    kind: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    question: Mapped[str] = mapped_column(Text)
    place: Mapped[str] = mapped_column(Text)
    held_at: Mapped[datetime] = mapped_column(Timestamp)
    invited: Mapped[int]
    present: Mapped[int | None]
    votes_for: Mapped[int | None]
    votes_against: Mapped[int | None]
    abstained: Mapped[int | None]
    advice: Mapped[str | None] = mapped_column(Text)
    minutes: Mapped[str | None] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    made_by: Mapped[str] = mapped_column(Text)


class MatterMeeting(Base):
    """民心沟通会: what became of matters is reported to residents."""

    __tablename__ = "matter_meeting"
    __table_args__ = (
        one_of("status", Held),
        Index("ix_matter_meeting_area", "area", "held_at", postgresql_ops={"area": "text_pattern_ops"}),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    area: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    place: Mapped[str] = mapped_column(Text)
    held_at: Mapped[datetime] = mapped_column(Timestamp)
    status: Mapped[str] = mapped_column(Text)
    attended: Mapped[int | None]
    report: Mapped[str | None] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    made_by: Mapped[str] = mapped_column(Text)


class MatterMeetingItem(Base):
    """A matter on the agenda of a meeting."""

    __tablename__ = "matter_meeting_item"

    meeting_id: Mapped[int] = mapped_column(ForeignKey("matter_meeting.id"), primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("incident_case.id"), primary_key=True, index=True)

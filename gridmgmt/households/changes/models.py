"""Tables of what changes: requests, dated events, what a row said before, doubles, exports, erasures."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base
from gridmgmt.db.models import NOW, Timestamp, one_of


class Kind(StrEnum):
    """What may happen to a household or a person of it."""

    CORRECT = "correct"
    BIRTH = "birth"
    DEATH = "death"
    MOVE_IN = "move_in"
    MOVE_OUT = "move_out"
    SPLIT = "split"
    MERGE = "merge"
    HEAD = "head"
    CARE = "care"
    CARE_END = "care_end"


class ChangeStatus(StrEnum):
    """How a request stands."""

    OPEN = "open"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class Double(StrEnum):
    """Why a row of a file waits for a decision."""

    SAME_IDENTITY = "same_identity"
    SAME_PERSON = "same_person"
    SAME_PHONE = "same_phone"


class ReviewStatus(StrEnum):
    """What the office found: the same person, who has moved here, another person, or a row to leave out."""

    OPEN = "open"
    SAME = "same"
    MOVED = "moved"
    OTHER = "other"
    DROPPED = "dropped"


class ExportStatus(StrEnum):
    """How a request for a file stands."""

    OPEN = "open"
    APPROVED = "approved"
    REFUSED = "refused"
    FETCHED = "fetched"


KIND_NAMES = {
    Kind.CORRECT: "更正", Kind.BIRTH: "出生", Kind.DEATH: "死亡", Kind.MOVE_IN: "迁入", Kind.MOVE_OUT: "迁出",
    Kind.SPLIT: "分户", Kind.MERGE: "并户", Kind.HEAD: "变更户主", Kind.CARE: "列入关爱",
    Kind.CARE_END: "结束关爱",
}  # fmt: skip
IMPORTED = "import"


def _decided() -> CheckConstraint:
    return CheckConstraint("(status = 'open') = (decided_at IS NULL)", name="decided")


def _kinds(*more: str) -> CheckConstraint:
    words = ", ".join(f"'{word}'" for word in (*Kind, *more))
    return CheckConstraint(f"kind IN ({words})", name="kind")


class RosterChange(Base):
    """A change asked for; identity numbers and telephones in it are sealed, apart from the rest."""

    __tablename__ = "roster_change"
    __table_args__ = (
        _kinds(),
        one_of("status", ChangeStatus),
        _decided(),
        Index("ix_roster_change_open", "made_at", postgresql_where=text("status = 'open'")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    kind: Mapped[str] = mapped_column(Text)
    on_date: Mapped[date]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    salt: Mapped[bytes | None]
    sealed: Mapped[bytes | None]
    reason: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default=text("'open'"))
    made_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    made_by: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime | None] = mapped_column(Timestamp)
    decided_by: Mapped[str | None] = mapped_column(Text)
    decision: Mapped[str | None] = mapped_column(Text)


class RosterEvent(Base):
    """Something that happened to a household on a day."""

    __tablename__ = "roster_event"
    __table_args__ = (_kinds(IMPORTED),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    other_household_id: Mapped[int | None] = mapped_column(ForeignKey("household.id"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"), index=True)
    on_date: Mapped[date]
    change_id: Mapped[int | None] = mapped_column(ForeignKey("roster_change.id"))
    at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    made_by: Mapped[str] = mapped_column(Text)


class RosterHistory(Base):
    """What a row of the roster said before a change; sealed values stay sealed, salts are left out."""

    __tablename__ = "roster_history"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    what: Mapped[str] = mapped_column(Text)
    row_id: Mapped[int]
    household_id: Mapped[int | None] = mapped_column(index=True)
    person_id: Mapped[int | None] = mapped_column(index=True)
    before: Mapped[dict[str, Any]] = mapped_column(JSONB)
    at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    txid: Mapped[int] = mapped_column(BigInteger)
    made_by: Mapped[str] = mapped_column(Text)


class RosterReview(Base):
    """A row of a file that may be somebody known already; the row itself is sealed until decided."""

    __tablename__ = "roster_review"
    __table_args__ = (
        one_of("kind", Double),
        one_of("status", ReviewStatus),
        _decided(),
        Index("ix_roster_review_open", "area", postgresql_where=text("status = 'open'")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    area: Mapped[str] = mapped_column(Text)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    household_id: Mapped[int | None] = mapped_column(ForeignKey("household.id"))
    fingerprint: Mapped[UUID] = mapped_column(unique=True)
    file: Mapped[str] = mapped_column(Text)
    row_number: Mapped[int]
    salt: Mapped[bytes | None]
    sealed: Mapped[bytes | None]
    status: Mapped[str] = mapped_column(Text, server_default=text("'open'"))
    made_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    decided_at: Mapped[datetime | None] = mapped_column(Timestamp)
    decided_by: Mapped[str | None] = mapped_column(Text)


class RosterExport(Base):
    """A file of the roster asked for: what columns, what for, and what the office said."""

    __tablename__ = "roster_export"
    __table_args__ = (one_of("status", ExportStatus), _decided())

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    area: Mapped[str] = mapped_column(Text)
    columns: Mapped[list[str]] = mapped_column(ARRAY(Text))
    purpose: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default=text("'open'"))
    made_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    made_by: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime | None] = mapped_column(Timestamp)
    decided_by: Mapped[str | None] = mapped_column(Text)
    expires_at: Mapped[datetime | None] = mapped_column(Timestamp)
    rows: Mapped[int | None]


class Erasure(Base):
    """A person erased: the tombstone that a restored backup is erased by again."""

    __tablename__ = "erasure"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    person_id: Mapped[int] = mapped_column(unique=True)
    at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    made_by: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)

"""Tables of the index: versions of its tree, values by month, what was sent in, talks, bulletins."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base
from gridmgmt.db.models import NOW, Timestamp, one_of
from gridmgmt.index.periods import Span
from gridmgmt.index.tree import Level


class Status(StrEnum):
    """Where a value comes from."""

    MEASURED = "measured"
    ENTERED = "entered"
    MISSING = "missing"


class TalkKind(StrEnum):
    """约谈, and 挂牌督办 where a talk did not help or a score is far too low."""

    TALK = "talk"
    SUPERVISION = "supervision"


class TalkStatus(StrEnum):
    """How a talk or a supervision stands."""

    PROPOSED = "proposed"
    DROPPED = "dropped"
    CALLED = "called"
    ANSWERED = "answered"
    RETURNED = "returned"
    LIFTED = "lifted"


class BulletinStatus(StrEnum):
    """How a bulletin stands; once issued neither it nor its months change."""

    DRAFT = "draft"
    APPROVED = "approved"
    ISSUED = "issued"


class IndexTree(Base):
    """A version of the tree as it was loaded; months go by the newest one in force on their first day."""

    __tablename__ = "index_tree"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    in_force_from: Mapped[date] = mapped_column(index=True)
    document: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(Text)
    added_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    added_by: Mapped[str] = mapped_column(Text)


class IndicatorRow(Base):
    """An indicator or a group of them in a version; `department` fills it in, none where it is measured."""

    __tablename__ = "indicator"

    tree_id: Mapped[int] = mapped_column(ForeignKey("index_tree.id", ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(Text, primary_key=True)
    parent: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    weight: Mapped[float]
    unit: Mapped[str | None] = mapped_column(Text)
    levels: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    department: Mapped[str | None] = mapped_column(Text)


class IndexMonth(Base):
    """A month that was built: by which tree, and whether a bulletin has frozen it."""

    __tablename__ = "index_month"

    month: Mapped[date] = mapped_column(primary_key=True)
    tree_id: Mapped[int] = mapped_column(ForeignKey("index_tree.id"))
    built_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    built_by: Mapped[str] = mapped_column(Text)
    issued_at: Mapped[datetime | None] = mapped_column(Timestamp)


class IndexEntry(Base):
    """A file that a department sent in."""

    __tablename__ = "index_entry"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    file: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(Text)
    department: Mapped[str | None] = mapped_column(Text)
    cells: Mapped[int]
    added_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    added_by: Mapped[str] = mapped_column(Text)


class IndicatorValue(Base):
    """The value of a unit (a town's code, a department's name, the county's code) in a month.

    A measured one says of which two numbers it is; a missing one, which earlier value stands in.
    """

    __tablename__ = "indicator_value"
    __table_args__ = (
        one_of("level", Level),
        one_of("status", Status),
        CheckConstraint("(status = 'missing') = (value IS NULL)", name="value"),
        CheckConstraint("(carried IS NULL) = (carried_from IS NULL)", name="carried"),
        CheckConstraint("value IS NULL OR value NOT IN ('NaN', 'Infinity', '-Infinity')", name="number"),
        Index("ix_indicator_value_month", "month", "level"),
    )

    indicator: Mapped[str] = mapped_column(Text, primary_key=True)
    unit: Mapped[str] = mapped_column(Text, primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    level: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    value: Mapped[float | None]
    part: Mapped[float | None]
    whole: Mapped[float | None]
    carried: Mapped[float | None]
    carried_from: Mapped[date | None]
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("index_entry.id"), index=True)
    at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    made_by: Mapped[str] = mapped_column(Text)


class IndexTalk(Base):
    """A talk or a listed supervision: proposed by a rule with its evidence, called, answered, lifted."""

    __tablename__ = "index_talk"
    __table_args__ = (
        one_of("kind", TalkKind),
        one_of("level", Level),
        one_of("span", Span),
        one_of("status", TalkStatus),
        UniqueConstraint("kind", "unit", "span", "month"),
        CheckConstraint("status IN ('proposed', 'dropped') OR due_on IS NOT NULL", name="due"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    level: Mapped[str] = mapped_column(Text)
    unit: Mapped[str] = mapped_column(Text, index=True)
    span: Mapped[str] = mapped_column(Text)
    month: Mapped[date]
    reason: Mapped[str] = mapped_column(Text)
    evidence: Mapped[dict[str, Any]] = mapped_column(JSONB)
    status: Mapped[str] = mapped_column(Text, server_default=text("'proposed'"))
    due_on: Mapped[date | None]
    answer: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(server_default=text("0"))
    made_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    made_by: Mapped[str] = mapped_column(Text)


class IndexTalkStep(Base):
    """One act on a talk, never changed."""

    __tablename__ = "index_talk_step"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    talk_id: Mapped[int] = mapped_column(ForeignKey("index_talk.id"), index=True)
    at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    who: Mapped[str] = mapped_column(Text)
    act: Mapped[str] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)


class Bulletin(Base):
    """通报 of a period: `data` is what it says in figures, the files are there once it is issued."""

    __tablename__ = "bulletin"
    __table_args__ = (
        one_of("span", Span),
        one_of("status", BulletinStatus),
        UniqueConstraint("span", "month"),
        CheckConstraint("(status = 'issued') = (issued_at IS NOT NULL)", name="issued"),
        CheckConstraint("status <> 'issued' OR num_nulls(number, docx, pdf) = 0", name="files"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    span: Mapped[str] = mapped_column(Text)
    month: Mapped[date]
    status: Mapped[str] = mapped_column(Text, server_default=text("'draft'"))
    number: Mapped[str | None] = mapped_column(Text, unique=True)
    remarks: Mapped[str | None] = mapped_column(Text)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    made_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    made_by: Mapped[str] = mapped_column(Text)
    approved_at: Mapped[datetime | None] = mapped_column(Timestamp)
    approved_by: Mapped[str | None] = mapped_column(Text)
    issued_at: Mapped[datetime | None] = mapped_column(Timestamp)
    issued_by: Mapped[str | None] = mapped_column(Text)
    docx: Mapped[bytes | None] = mapped_column(LargeBinary)
    pdf: Mapped[bytes | None] = mapped_column(LargeBinary)

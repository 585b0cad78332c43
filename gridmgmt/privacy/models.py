"""The audit log, each line hashed over the one before, and the mark of the database's key ring."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base
from gridmgmt.db.models import NOW, Timestamp


class AuditLine(Base):
    """Who did what to whose data, when and why; written by the database function `audit` alone."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_households", "households", postgresql_using="gin"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW, index=True)
    txid: Mapped[int] = mapped_column(BigInteger, index=True)
    who: Mapped[str] = mapped_column(Text)
    what: Mapped[str] = mapped_column(Text)
    area: Mapped[str] = mapped_column(Text)
    households: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    person_id: Mapped[int | None] = mapped_column(index=True)
    purpose: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    hash: Mapped[bytes]


class AuditHead(Base):
    """The last line's number and hash, so that a log cut short is seen."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("one", name="one"),)

    one: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    id: Mapped[int]
    hash: Mapped[bytes]


class KeyRingMark(Base):
    """What tells the database's own key ring from another."""

    __tablename__ = "key_ring"
    __table_args__ = (CheckConstraint("one", name="one"),)

    one: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    mark: Mapped[bytes]
    bound_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)

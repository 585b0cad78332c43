"""Tables that belong to no feature: accounts, and the record of imports that tells data versions apart."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Identity, Text, text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base

Timestamp = TIMESTAMP(timezone=True)
NOW = text("now()")


class Role(StrEnum):
    """Who may sign in, and in what capacity."""

    GRID_WORKER = "grid_worker"
    TOWN_OFFICER = "town_officer"
    COMMAND = "command"
    PLANNER = "planner"
    AUDITOR = "auditor"
    ADMIN = "admin"
    DEPARTMENT = "department"


ROLE_NAMES = {
    Role.GRID_WORKER: "网格长",
    Role.TOWN_OFFICER: "镇街",
    Role.COMMAND: "指挥中心",
    Role.PLANNER: "规划",
    Role.AUDITOR: "审计",
    Role.ADMIN: "管理员",
    Role.DEPARTMENT: "部门",
}


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """Return the check that a text column holds one of an enumeration's words."""
    words = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({words})", name=column)


class Account(Base):
    """A person who may sign in; `area` is the division or grid code that the account is bound to, `unit` the
    department.
    """

    __tablename__ = "account"
    __table_args__ = (one_of("role", Role),)

    username: Mapped[str] = mapped_column(Text, primary_key=True)
    password_hash: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    display_name: Mapped[str] = mapped_column(Text)
    area: Mapped[str | None] = mapped_column(Text)
    unit: Mapped[str | None] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class ImportRun(Base):
    """One finished import: what file, what came of its rows. The highest id is the data version."""

    __tablename__ = "import_run"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    file: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(Text)
    finished_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    counts: Mapped[dict[str, Any]] = mapped_column(JSONB)

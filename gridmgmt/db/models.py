"""Tables that belong to no feature: accounts, and the record of imports that tells data versions apart."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
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
    SECURITY = "security"


ROLE_NAMES = {
    Role.GRID_WORKER: "网格长",
    Role.TOWN_OFFICER: "镇街",
    Role.COMMAND: "指挥中心",
    Role.PLANNER: "规划",
    Role.AUDITOR: "审计管理员",
    Role.ADMIN: "系统管理员",
    Role.DEPARTMENT: "部门",
    Role.SECURITY: "安全管理员",
}
# Who runs the system, who gives out rights, who audits both: never the same account.
ADMINISTRATORS = (Role.ADMIN, Role.SECURITY, Role.AUDITOR)


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """Return the check that a text column holds one of an enumeration's words."""
    words = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({words})", name=column)


class Account(Base):
    """A person who may sign in; `area` is the division or grid code that the account is bound to, `unit` the
    department. `must_change`: the password was given by somebody else. `totp_sealed` is the second factor's
    secret, sealed by whoever asks (`web.second_factor`), `totp_step` the last time step that was used,
    `recovery` the hashes of the codes that serve once each in its place. An administrator's account that
    somebody else opened a way into is closed and waits, with `proposed_by`, for a second person.
    """

    __tablename__ = "account"
    __table_args__ = (
        one_of("role", Role),
        CheckConstraint("(totp_sealed IS NULL) = (totp_salt IS NULL)", name="totp"),
        CheckConstraint("(oidc_issuer IS NULL) = (oidc_subject IS NULL)", name="oidc"),
        CheckConstraint("proposed_by IS NULL OR (NOT active AND proposed_why <> '{}')", name="proposed"),
        CheckConstraint("recovery = '{}' OR totp_sealed IS NOT NULL", name="recovery"),
        UniqueConstraint("oidc_issuer", "oidc_subject"),
    )

    username: Mapped[str] = mapped_column(Text, primary_key=True)
    password_hash: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    display_name: Mapped[str] = mapped_column(Text)
    area: Mapped[str | None] = mapped_column(Text)
    unit: Mapped[str | None] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    must_change: Mapped[bool] = mapped_column(server_default=text("false"))
    totp_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_salt: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_step: Mapped[int | None] = mapped_column(BigInteger)
    oidc_issuer: Mapped[str | None] = mapped_column(Text)
    oidc_subject: Mapped[str | None] = mapped_column(Text)
    signed_in_at: Mapped[datetime | None] = mapped_column(Timestamp)
    proposed_by: Mapped[str | None] = mapped_column(Text)
    proposed_why: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    recovery: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))


class Proposal(StrEnum):
    """What somebody else did to an administrator's account that could let another person in."""

    NEW = "new"
    ROLE = "role"
    OPENED = "opened"
    PASSWORD = "password"
    FACTOR = "factor"
    PROVIDER = "provider"


class SessionEnd(StrEnum):
    """Why a session is over."""

    SIGNED_OUT = "signed_out"
    IDLE = "idle"
    REVOKED = "revoked"
    PASSWORD = "password"


class AccountSession(Base):
    """One sign-in; `id` is the SHA-256 of the token that the browser's cookie holds, never the token."""

    __tablename__ = "account_session"
    __table_args__ = (
        one_of("ended_why", SessionEnd),
        CheckConstraint("(ended_at IS NULL) = (ended_why IS NULL)", name="ended"),
    )

    id: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    username: Mapped[str] = mapped_column(ForeignKey("account.username", ondelete="CASCADE"), index=True)
    started_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    seen_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    ended_at: Mapped[datetime | None] = mapped_column(Timestamp)
    ended_why: Mapped[str | None] = mapped_column(Text)
    agent: Mapped[str | None] = mapped_column(Text)


class JobKind(StrEnum):
    """What long work there is: asked for on a page, or by the nightly plan."""

    IMPORT = "import"
    HOTSPOTS = "hotspots"
    CLUSTERS = "clusters"
    SEASONAL = "seasonal"
    INDEX = "index"
    SETTLE = "settle"
    RETENTION = "retention"
    TICK = "tick"
    DELIVERY = "delivery"
    LEARN = "learn"
    VERIFY = "verify"
    BACKUP = "backup"
    TIDY = "tidy"


class JobStatus(StrEnum):
    """Where long work stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


class Job(Base):
    """Long work as pages show it: how far it is (`at` of `total`), what it does now, what came of it.

    `queue_id` is its line in the queue (`queue.procrastinate_jobs`), `attempt` how often it was begun,
    `beat_at` when something was last heard of it, `stopped_by` who asked to stop it.
    """

    __tablename__ = "job"
    __table_args__ = (
        one_of("kind", JobKind),
        one_of("status", JobStatus),
        Index("ix_job_status", "status", postgresql_where=text("status IN ('waiting', 'running')")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSONB)
    asked_by: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    status: Mapped[str] = mapped_column(Text, server_default=text("'waiting'"))
    doing: Mapped[str | None] = mapped_column(Text)
    at: Mapped[int | None] = mapped_column(BigInteger)
    total: Mapped[int | None] = mapped_column(BigInteger)
    started_at: Mapped[datetime | None] = mapped_column(Timestamp)
    beat_at: Mapped[datetime | None] = mapped_column(Timestamp)
    finished_at: Mapped[datetime | None] = mapped_column(Timestamp)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    error: Mapped[str | None] = mapped_column(Text)
    queue_id: Mapped[int | None] = mapped_column(BigInteger)
    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    stopped_by: Mapped[str | None] = mapped_column(Text)


class JobPlan(Base):
    """The last moment at which each work of the plan was due and was asked for."""

    __tablename__ = "job_plan"

    work: Mapped[str] = mapped_column(Text, primary_key=True)
    due_at: Mapped[datetime] = mapped_column(Timestamp)


class ImportRun(Base):
    """One finished import: what file, what came of its rows, where those that were not taken stand (a path in
    the home folder, if they were written). The highest id is the data version.
    """

    __tablename__ = "import_run"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    file: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(Text)
    finished_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    counts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    rejects: Mapped[str | None] = mapped_column(Text)

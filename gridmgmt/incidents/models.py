"""Tables of matters (诉求, 纠纷) and the code lists they use."""

from datetime import date, datetime
from uuid import UUID

from geoalchemy2 import WKBElement
from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Identity,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base, geometry
from gridmgmt.db.models import Timestamp, one_of
from gridmgmt.incidents.terms import Ledger, Status


class Department(Base):
    """A city department that answers for categories of matters."""

    __tablename__ = "department"

    name: Mapped[str] = mapped_column(Text, primary_key=True)


class Category(Base):
    """Two-level code list of matters: 大类 has no parent, 小类 has one. Loaded from a file.

    `days` are the working days in which one is to be answered, where the flow's own do not hold; `open` says
    that matters of it lie in public space and may be shown to everybody, by place, day and kind.
    """

    __tablename__ = "category"

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text, index=True)
    parent: Mapped[str | None] = mapped_column(ForeignKey("category.code"), index=True)
    department: Mapped[str | None] = mapped_column(ForeignKey("department.name"))
    days: Mapped[int | None]
    open: Mapped[bool] = mapped_column(server_default=text("false"))


class Channel(Base):
    """The way a matter came in (渠道)."""

    __tablename__ = "channel"

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)


class Incident(Base):
    """A matter as a point in space and time; partitioned by the local calendar year of `occurred_on`.

    `digest` sums up the imported content, so that an import knows unchanged from updated. Uniqueness of
    (source, external_id) across years is kept by the importer, which takes a lock of its own: PostgreSQL's
    unique constraints must hold the partition key. `village` follows the grid; without one it is what the
    intake was told. How a matter is handled here stands in `incident_case`, under the same number.
    """

    __tablename__ = "incident"
    __table_args__ = (
        PrimaryKeyConstraint("id", "occurred_on"),
        UniqueConstraint("source", "external_id", "occurred_on"),
        Index("ix_incident_grid_id_occurred_on", "grid_id", "occurred_on"),
        Index("ix_incident_category_occurred_on", "category", "occurred_on"),
        Index(
            "ix_incident_village_reported_at",
            "village",
            "reported_at",
            postgresql_ops={"village": "text_pattern_ops"},
        ),
        Index("ix_incident_reported_at", "reported_at"),
        Index("ix_incident_occurred_on", "occurred_on"),
        # A hundredth of all: asked for kind and words, the inbox looks no case's matter up in every year.
        Index("ix_incident_open", "category", postgresql_where=text("status = 'open'")),
        # Asked for today's alone: a few pages of it say which parts of a year's table to look at.
        Index(
            "ix_incident_closed_at",
            "closed_at",
            postgresql_using="brin",
            postgresql_with={"pages_per_range": 32, "autosummarize": "on"},
        ),
        Index("ix_incident_geom", "geom", postgresql_using="gist"),
        one_of("ledger", Ledger),
        one_of("status", Status),
        {"postgresql_partition_by": "RANGE (occurred_on)"},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity())
    source: Mapped[str] = mapped_column(Text)
    external_id: Mapped[str] = mapped_column(Text)
    ledger: Mapped[str | None] = mapped_column(Text)
    channel: Mapped[str | None] = mapped_column(ForeignKey("channel.code"))
    category: Mapped[str] = mapped_column(ForeignKey("category.code"))
    occurred_at: Mapped[datetime] = mapped_column(Timestamp)
    occurred_on: Mapped[date]
    reported_at: Mapped[datetime] = mapped_column(Timestamp)
    geom: Mapped[WKBElement | None] = mapped_column(geometry("POINT"))
    address: Mapped[str | None] = mapped_column(Text)
    grid_id: Mapped[int | None] = mapped_column(ForeignKey("grid.id"))
    title: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    stage: Mapped[str | None] = mapped_column(Text)
    level: Mapped[str | None] = mapped_column(Text)
    satisfaction: Mapped[int | None] = mapped_column(SmallInteger)
    digest: Mapped[UUID]
    village: Mapped[str | None] = mapped_column(Text)
    due_at: Mapped[datetime | None] = mapped_column(Timestamp)
    closed_at: Mapped[datetime | None] = mapped_column(Timestamp)

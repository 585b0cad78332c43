"""Tables of analysis runs and of what a hotspot run found."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, PrimaryKeyConstraint, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base
from gridmgmt.db.models import NOW, Timestamp, one_of


class RunKind(StrEnum):
    HOTSPOTS = "hotspots"
    SEASONAL = "seasonal"


class AnalysisRun(Base):
    """One finished analysis: what was asked, on which data, with which seed. Results point here."""

    __tablename__ = "analysis_run"
    __table_args__ = (one_of("kind", RunKind), Index("ix_analysis_run_kind_id", "kind", "id"))

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSONB)
    data_version: Mapped[int]
    seed: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[datetime] = mapped_column(Timestamp)
    finished_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class HotspotResult(Base):
    """Gi* of one area and category in a run; category '' is all categories together."""

    __tablename__ = "hotspot_result"
    __table_args__ = (PrimaryKeyConstraint("run_id", "category", "area"),)

    run_id: Mapped[int] = mapped_column(ForeignKey("analysis_run.id", ondelete="CASCADE"))
    category: Mapped[str] = mapped_column(Text)
    area: Mapped[str] = mapped_column(Text)
    count: Mapped[int]
    expected: Mapped[float]
    households: Mapped[int | None]
    rate: Mapped[float]
    smoothed: Mapped[float]
    z: Mapped[float | None]
    p: Mapped[float]
    q: Mapped[float]
    gi_class: Mapped[int]

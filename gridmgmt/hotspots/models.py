"""Tables of analysis runs and of what a hotspot run found."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, PrimaryKeyConstraint, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base
from gridmgmt.db.models import NOW, Timestamp, one_of


class RunKind(StrEnum):
    HOTSPOTS = "hotspots"
    CLUSTERS = "clusters"
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


def _of_run() -> Any:
    """A column that says which run a row belongs to; the row goes with its run."""
    return mapped_column(ForeignKey("analysis_run.id", ondelete="CASCADE"))


class HotspotResult(Base):
    """Gi* of one area and category in a run; category '' is all categories together.

    `previous` counts the same days of the years before on the same ground, `recorded_previous` what the books
    of that time said where the boundary was another. `pattern` is null where the period has too few months.
    """

    __tablename__ = "hotspot_result"
    __table_args__ = (
        PrimaryKeyConstraint("run_id", "category", "area"),
        Index("ix_hotspot_result_hot", "run_id", "area", postgresql_where=text("gi_class >= 2")),
    )

    run_id: Mapped[int] = _of_run()
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
    around: Mapped[float | None]
    previous: Mapped[int | None]
    recorded_previous: Mapped[int | None]
    pattern: Mapped[str | None] = mapped_column(Text)
    hot_steps: Mapped[int | None]
    season_step: Mapped[int | None]


class HotspotYear(Base):
    """Matters by year of an area that stands out."""

    __tablename__ = "hotspot_year"
    __table_args__ = (PrimaryKeyConstraint("run_id", "category", "area", "year"),)

    run_id: Mapped[int] = _of_run()
    category: Mapped[str] = mapped_column(Text)
    area: Mapped[str] = mapped_column(Text)
    year: Mapped[int]
    count: Mapped[int]


class HotspotField(Base):
    """How much one category concentrates in a run: what its hot areas hold, and what they would hold."""

    __tablename__ = "hotspot_field"
    __table_args__ = (PrimaryKeyConstraint("run_id", "category"),)

    run_id: Mapped[int] = _of_run()
    category: Mapped[str] = mapped_column(Text)
    count: Mapped[int]
    previous: Mapped[int | None]
    rate: Mapped[float]
    hot_areas: Mapped[int]
    hot_count: Mapped[int]
    hot_expected: Mapped[float]
    growing_areas: Mapped[int]
    seasonal_areas: Mapped[int]
    first_area: Mapped[str | None] = mapped_column(Text)
    q: Mapped[float]
    trend_p: Mapped[float | None]
    trend_slope: Mapped[float | None]
    years: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)


class HotspotPeak(Base):
    """A run of 旬 in which a category comes more often than in the rest of the year."""

    __tablename__ = "hotspot_peak"
    __table_args__ = (PrimaryKeyConstraint("run_id", "category", "start"),)

    run_id: Mapped[int] = _of_run()
    category: Mapped[str] = mapped_column(Text)
    start: Mapped[int]
    length: Mapped[int]
    count: Mapped[int]
    expected: Mapped[float]
    ratio: Mapped[float | None]
    q: Mapped[float]
    years: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)


class HotspotCluster(Base):
    """A cluster in space and time that was still there on the last day of a prospective scan."""

    __tablename__ = "hotspot_cluster"
    __table_args__ = (PrimaryKeyConstraint("run_id", "category", "rank"),)

    run_id: Mapped[int] = _of_run()
    category: Mapped[str] = mapped_column(Text)
    rank: Mapped[int]
    areas: Mapped[list[str]] = mapped_column(JSONB)
    start_on: Mapped[date]
    end_on: Mapped[date]
    observed: Mapped[int]
    expected: Mapped[float]
    relative_risk: Mapped[float | None]
    radius_m: Mapped[float]
    llr: Mapped[float]
    p: Mapped[float]
    q: Mapped[float]
    recurrence_days: Mapped[float]

"""The table of the seasonal list."""

from datetime import date
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Identity, Index, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base
from gridmgmt.db.models import one_of


class Clock(StrEnum):
    """The year that a problem follows."""

    GREGORIAN = "gregorian"
    SOLAR_TERM = "solar_term"
    LUNAR = "lunar"


CLOCK_NAMES = {Clock.GREGORIAN: "公历", Clock.SOLAR_TERM: "节气", Clock.LUNAR: "农历"}


class SeasonalItem(Base):
    """One line of the seasonal list: a category in an area, its window in the target year and what to do.

    `years` holds the evidence: matters inside and outside the window of each past season.
    """

    __tablename__ = "seasonal_item"
    __table_args__ = (one_of("clock", Clock), Index("ix_seasonal_item_run_id_act_by", "run_id", "act_by"))

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("analysis_run.id", ondelete="CASCADE"))
    year: Mapped[int]
    level: Mapped[str] = mapped_column(Text)
    area: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(ForeignKey("category.code"))
    clock: Mapped[str] = mapped_column(Text)
    start_on: Mapped[date]
    peak_on: Mapped[date]
    end_on: Mapped[date]
    act_by: Mapped[date]
    expected: Mapped[float]
    expected_low: Mapped[float]
    expected_high: Mapped[float]
    ratio: Mapped[float]
    p: Mapped[float]
    q: Mapped[float]
    years: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    action: Mapped[str] = mapped_column(Text)

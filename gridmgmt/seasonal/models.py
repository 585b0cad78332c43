"""Tables of the seasonal list: its items, what became of every category, expected matters by grid and 旬."""

from datetime import date
from enum import StrEnum
from typing import Any

from sqlalchemy import REAL, ForeignKey, Identity, Index, PrimaryKeyConstraint, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base
from gridmgmt.db.models import one_of


class Clock(StrEnum):
    """The year that a problem follows."""

    GREGORIAN = "gregorian"
    SOLAR_TERM = "solar_term"
    LUNAR = "lunar"


CLOCK_NAMES = {Clock.GREGORIAN: "公历", Clock.SOLAR_TERM: "节气", Clock.LUNAR: "农历"}


class Verdict(StrEnum):
    """What a list says about a category: that there is no season is a result too."""

    SEASONAL = "seasonal"
    WEAK = "weak"
    NO_SEASON = "no_season"
    NOT_ENOUGH = "not_enough"
    NO_MATTERS = "no_matters"


VERDICT_NAMES = {
    Verdict.SEASONAL: "有时令",
    Verdict.WEAK: "有起伏，不够突出",
    Verdict.NO_SEASON: "没有时令规律",
    Verdict.NOT_ENOUGH: "数量不足，不下结论",
    Verdict.NO_MATTERS: "没有诉求",
}


class SeasonalItem(Base):
    """One line of the seasonal list: a category in an area, its window in the target year and what to do.

    `years` holds the evidence, a dict for each past season: year, inside (problems in the window), outside
    (problems outside, scaled to the window's days), told (matters inside before duplicates were folded).
    `usual` is what as many days of the rest of the year would bring. `stable` counts the past seasons without
    any one of which the item would still stand. `cut` items are beyond what their area can do in a 旬.
    """

    __tablename__ = "seasonal_item"
    __table_args__ = (
        one_of("clock", Clock),
        Index("ix_seasonal_item_run_id_act_by", "run_id", "act_by"),
        Index("ix_seasonal_item_season", "year", "category", "start_on", "area"),
    )

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
    usual: Mapped[float]
    lead_days: Mapped[int]
    lead_learnt: Mapped[bool]
    stable: Mapped[int]
    cut: Mapped[bool]


class SeasonalVerdict(Base):
    """What a list's run found about one category; `problems` is after folding duplicates, `told` before."""

    __tablename__ = "seasonal_verdict"
    __table_args__ = (
        PrimaryKeyConstraint("run_id", "category"), one_of("verdict", Verdict), one_of("clock", Clock)
    )  # fmt: skip

    run_id: Mapped[int] = mapped_column(ForeignKey("analysis_run.id", ondelete="CASCADE"))
    category: Mapped[str] = mapped_column(ForeignKey("category.code"))
    verdict: Mapped[str] = mapped_column(Text)
    problems: Mapped[int]
    told: Mapped[int]
    clock: Mapped[str | None] = mapped_column(Text)
    q_scan: Mapped[float | None]
    p_walter_elwood: Mapped[float | None]
    p_harmonic: Mapped[float | None]
    stable: Mapped[int | None]


class SeasonalExpected(Base):
    """Expected matters of a seasonal category in a grid in the 36 旬 of the target year."""

    __tablename__ = "seasonal_expected"
    __table_args__ = (PrimaryKeyConstraint("run_id", "category", "area"),)

    run_id: Mapped[int] = mapped_column(ForeignKey("analysis_run.id", ondelete="CASCADE"))
    category: Mapped[str] = mapped_column(ForeignKey("category.code"))
    area: Mapped[str] = mapped_column(Text)
    cells: Mapped[list[float]] = mapped_column(ARRAY(REAL))

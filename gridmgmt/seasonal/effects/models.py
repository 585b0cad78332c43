"""Table of what treating beforehand did, a row a year, category and place."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import PrimaryKeyConstraint, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base
from gridmgmt.db.models import NOW, Timestamp, one_of
from gridmgmt.seasonal.effects.estimate import EffectVerdict, Reason


class SeasonalEffect(Base):
    """What the treatments of a year's list did in one category, or in all together (category '').

    `scope` is 'city' or the code of a town: its own treated grids against the whole city's untreated ones.
    `effect` is the ratio of observed to expected, treated over untreated, less 1, with a 95 % interval;
    `published` the year-on-year change of the treated grids. `placebo` is JSON: windows (start, end, mean,
    low, high), pooled and before (mean, low, high), share, failed. `learnt` is what next year may count on;
    where the category is '' it is for categories that were not measured. `known_to` is the last day with
    matters when it was measured.
    """

    __tablename__ = "seasonal_effect"
    __table_args__ = (
        PrimaryKeyConstraint("year", "scope", "category"),
        one_of("verdict", EffectVerdict),
        one_of("reason", Reason),
    )

    year: Mapped[int]
    scope: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(Text)
    start_on: Mapped[date | None]
    end_on: Mapped[date | None]
    known_to: Mapped[date]
    n_treated: Mapped[int]
    n_untreated: Mapped[int]
    observed_treated: Mapped[float]
    expected_treated: Mapped[float]
    observed_untreated: Mapped[float]
    expected_untreated: Mapped[float]
    effect: Mapped[float | None]
    low: Mapped[float | None]
    high: Mapped[float | None]
    p: Mapped[float | None]
    published: Mapped[float | None]
    placebo: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    learnt: Mapped[float | None]
    learnt_low: Mapped[float | None]
    learnt_high: Mapped[float | None]
    verdict: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    measured_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)

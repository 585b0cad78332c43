"""What the rules look at: periods of a level, how firm their places are, and how far their scores fell."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from gridmgmt.index import robust, season, spans
from gridmgmt.index.periods import Period
from gridmgmt.index.robust import RankShares
from gridmgmt.index.scoring import Floats
from gridmgmt.index.season import Season
from gridmgmt.index.spans import SpanBoard, SpanChange, known_mean
from gridmgmt.index.stored import Board


@dataclass(frozen=True)
class Past:
    """The boards of a level in order of time; what follows from them is made once, when asked for."""

    boards: Sequence[Board]
    _spans: dict[Period, SpanBoard | None] = field(default_factory=dict, repr=False)
    _shares: dict[Period, RankShares] = field(default_factory=dict, repr=False)
    _changes: dict[Period, SpanChange | None] = field(default_factory=dict, repr=False)

    def span(self, period: Period) -> SpanBoard | None:
        """Return a period's scores; None while a month of it is not built."""
        if period not in self._spans:
            there = [board for board in self.boards if board.month in period.months]
            whole = len(there) == len(period.months)
            self._spans[period] = spans.over(there, period) if whole else None
        return self._spans[period]

    def backwards(self, span: SpanBoard) -> Iterator[SpanBoard]:
        """Give a period and those before it, as far as they were built without a gap."""
        here: SpanBoard | None = span
        while here is not None:
            yield here
            here = self.span(here.period.before)

    def shares(self, span: SpanBoard) -> RankShares:
        """Return how often each unit has each place when the weights are varied."""
        if span.period not in self._shares:
            self._shares[span.period] = robust.ranks(span)
        return self._shares[span.period]

    def among_last(self, span: SpanBoard, n: int) -> Floats:
        """Return the share of draws (units,) in which a unit is among the last n; 0 where all would be."""
        placed = int(np.isfinite(span.total).sum())
        if placed <= n:
            return np.zeros(len(span.total))
        share = self.shares(span).share[:, placed - n : placed]
        return np.where(np.isfinite(span.total), share.sum(axis=1), 0.0)

    @cached_property
    def season(self) -> Season:
        """The scores of all months with the season taken out, where there are enough of them."""
        return season.adjust(self.boards)

    def change(self, span: SpanBoard) -> SpanChange | None:
        """Return why scores moved against the period before; None without one."""
        if span.period not in self._changes:
            before = self.span(span.period.before)
            self._changes[span.period] = spans.change(before, span) if before else None
        return self._changes[span.period]

    def rise(self, span: SpanBoard) -> Floats:
        """Return how scores moved against the period before, as they are; NaN without one."""
        change = self.change(span)
        return change.total if change else np.full(len(span.units), np.nan)

    def rise_adjusted(self, span: SpanBoard) -> Floats | None:
        """Return the same with the season taken out; None where it is not known."""
        if not self.season.enough or self.change(span) is None:
            return None
        after, before = self._adjusted(span.period), self._adjusted(span.period.before)
        return known_mean(list(after - before), (len(span.units),))

    def _adjusted(self, period: Period) -> Floats:
        return self.season.adjusted[[self.season.months.index(month) for month in period.months]]

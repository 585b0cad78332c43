"""The index of a quarter, a half-year or a year: the mean of its months, and why it moved.

A period's score is the mean of the scores of its months, so what an indicator adds to it, or did to its
change, is the mean of what it does in the months: sums stay exact. docs/methods/index.md has the rules.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gridmgmt.errors import NotEnoughDataError
from gridmgmt.index import scoring, stored
from gridmgmt.index.periods import Period
from gridmgmt.index.scoring import Change, Floats
from gridmgmt.index.stored import Board, Unit
from gridmgmt.index.tree import Indicator, Level, Node, Tree


@dataclass(frozen=True)
class SpanBoard:
    """The index of a period and level: means over the months that were built, arrays (units,).

    A unit's figures are of the months in which it has a score; NaN where it has none. Where versions of the
    tree changed within the period, `tree` is the last one and codes of all of them have figures.
    """

    period: Period
    level: Level
    units: tuple[Unit, ...]
    tree: Tree
    boards: tuple[Board, ...]

    @property
    def complete(self) -> bool:
        """Whether all months of the period were built."""
        return len(self.boards) == len(self.period.months)

    @cached_property
    def total(self) -> Floats:
        """The scores."""
        return self._mean(board.scored.total for board in self.boards)

    @property
    def ranks(self) -> NDArray[np.int64]:
        """The place of each unit, 1 for the best; equal scores share the better place, NaN is 0."""
        return stored.ranks(self.total)

    @cached_property
    def by_code(self) -> dict[str, Node | Indicator]:
        """Every node and leaf of the period's trees by its code, as the last of them has it."""
        return {code: each for board in self.boards for code, each in board.tree.by_code.items()} or dict(
            self.tree.by_code
        )

    @cached_property
    def points(self) -> Mapping[str, Floats]:
        """The points by code: the mean of the months in which a unit has any."""
        nothing = np.full(len(self.units), np.nan)
        return {
            code: self._mean(board.scored.points.get(code, nothing) for board in self.boards)
            for code in self.by_code
        }

    @cached_property
    def gained(self) -> Mapping[str, Floats]:
        """What each indicator adds to a score: they sum to the total."""
        return self._sums([scoring.gained(board.scored) for board in self.boards])

    @cached_property
    def lost(self) -> Mapping[str, Floats]:
        """What each indicator took from 100: they sum to 100 - total."""
        return self._sums([scoring.lost(board.scored) for board in self.boards])

    def _sums(self, months: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
        codes = [code for code, each in self.by_code.items() if isinstance(each, Indicator)]
        # In a month whose tree does not have it an indicator does nothing, not an unknown thing.
        none = [board.scored.total * 0 for board in self.boards]
        return {
            code: self._mean(month.get(code, zero) for month, zero in zip(months, none, strict=True))
            for code in dict.fromkeys([*codes, *(code for month in months for code in month)])
        }

    def _mean(self, months: Iterable[Floats]) -> Floats:
        return known_mean(list(months), (len(self.units),))


@dataclass(frozen=True)
class SpanChange(Change):
    """Why the scores of a period moved: the mean of the changes of its months, each against its fellow.

    `pairs` (units,) is of how many pairs of months: fewer than the months of the period where a unit has no
    score in one of the two. The change is then of those pairs only, and not the difference of the totals.
    """

    pairs: NDArray[np.int64]


def over(boards: Sequence[Board], period: Period) -> SpanBoard:
    """Return the index of a period from the boards of one level that lie in it; others are passed over.

    Raises NotEnoughDataError without any board, in the period or outside.
    """
    if not boards:
        raise NotEnoughDataError("month", period.name, "a month of the index that was built")
    found = {board.month: board for board in boards if board.month in period.months}
    inside = tuple(found[month] for month in sorted(found))
    last = inside[-1] if inside else max(boards, key=lambda board: board.month)
    return SpanBoard(period, last.level, last.units, last.tree, inside)


def change(before: SpanBoard, after: SpanBoard) -> SpanChange:
    """Return why scores moved between two periods of one length: first month to first, second to second …

    The parts sum to the total. Only pairs of months of which both were built count, unit by unit only those
    with a score in both; NaN where there is none.
    """
    pairs = [scoring.change(one.scored, other.scored) for one, other in _pairs(before, after)]
    totals = [each.total for each in pairs]
    shape = (len(after.units),)
    known = np.isfinite(np.array(totals).reshape(len(pairs), *shape)).sum(axis=0)

    def mean(parts: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
        codes = dict.fromkeys(code for part in parts for code in part)
        # What is not named in a pair did nothing there.
        return {
            code: known_mean(
                [part.get(code, total * 0) for part, total in zip(parts, totals, strict=True)], shape
            )
            for code in codes
        }

    moved, weighed = mean([each.moved for each in pairs]), mean([each.weighed for each in pairs])
    return SpanChange(known_mean(totals, shape), moved, weighed, known)


def with_before(boards: Sequence[Board], period: Period) -> tuple[SpanBoard, SpanBoard, SpanChange | None]:
    """Return a period, the one before, and why scores moved between them; None where one lacks months.

    Raises NotEnoughDataError as `over`.
    """
    now, then = over(boards, period), over(boards, period.before)
    return now, then, change(then, now) if now.boards and then.boards else None


def _pairs(before: SpanBoard, after: SpanBoard) -> list[tuple[Board, Board]]:
    """Return the boards of months at the same position of their periods."""
    earlier = {before.period.months.index(board.month): board for board in before.boards}
    later = {after.period.months.index(board.month): board for board in after.boards}
    return [(earlier[k], later[k]) for k in sorted(earlier.keys() & later.keys())]


def known_mean(rows: Sequence[Floats], shape: tuple[int, ...]) -> Floats:
    """Return the mean of arrays of a shape over those that are known at each place; NaN where none is."""
    stack = np.array(rows, float).reshape(len(rows), *shape)
    known = np.isfinite(stack)
    count = known.sum(axis=0)
    total = np.where(known, stack, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(shape, np.nan), where=count > 0)

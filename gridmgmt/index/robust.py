"""How firm a ranking is: places when the weights are varied, and units that cannot be told apart.

Source: Saisana, Saltelli & Tarantola, "Uncertainty and sensitivity analysis techniques as tools for the
quality assessment of composite indicators", JRSS A 168(2) (2005); docs/methods/index.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from gridmgmt.errors import InputError
from gridmgmt.index.scoring import Floats, Scored, mean, shares
from gridmgmt.index.spans import SpanBoard, known_mean
from gridmgmt.index.stored import Board, Unit
from gridmgmt.index.tree import Indicator, Node

SURE = 0.95
TAIL = 0.05
# Sums of the same points may differ in their last digits.
DIGITS = 9


@dataclass(frozen=True)
class RankShares:
    """Places of units over all draws of weights, in the order of the board; a unit without a score has none.

    `share` (n, n) is by unit and place - 1: a row sums to one. `low` and `high` (n,) hold the middle 90 % of
    its places, 0 without a score. `surely_above` (n, n) is the share of draws in which the unit of the row
    has the higher score. `ranks` (n,) are the places by the weights of the tree.
    """

    units: tuple[Unit, ...]
    share: Floats
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    surely_above: Floats
    ranks: NDArray[np.int64]

    def groups(self) -> list[list[str]]:
        """Return the codes of units that cannot be told apart, best first.

        The ranking is cut wherever each unit before the cut is above each unit behind it in 95 % of draws at
        least. Two units of different groups are told apart; the first and the last of a long group may be.
        """
        order = sorted(np.flatnonzero(self.ranks).tolist(), key=lambda n: (self.ranks[n], self.units[n].code))
        sure = self.surely_above[np.ix_(order, order)] >= SURE
        cuts = [0, *(k for k in range(1, len(order)) if sure[:k, k:].all()), len(order)]
        codes = [self.units[n].code for n in order]
        return [codes[start:end] for start, end in pairwise(cuts) if end > start]


def ranks(board: Board | SpanBoard, draws: int = 1000, spread: float = 0.25, seed: int = 0) -> RankShares:
    """Return the places of units when every weight is varied by up to ±`spread` and shares are made anew.

    The factors of all weights are independent and uniform. They hang on the seed and on codes only, so that
    neither the order of units nor an indicator more changes those of the others; a period of several months
    has the same ones in each. Equal scores share the better place. Raises InputError for no draws or a
    spread outside 0 to 1.
    """
    if draws < 1:
        raise InputError("draws", draws, "1 or more")
    if not 0 <= spread < 1:
        raise InputError("spread", spread, "0 or more, below 1")
    boards = board.boards if isinstance(board, SpanBoard) else (board,)
    factors = _factors(boards, draws, spread, seed)
    drawn = [_totals(each.scored, factors) for each in boards]
    totals = known_mean(drawn, (draws, len(board.units)))
    return _counted(board.units, np.round(totals, DIGITS), board.ranks)


def _factors(boards: Sequence[Board], draws: int, spread: float, seed: int) -> dict[str, Floats]:
    """Return what each weight is multiplied by, (draws,) by code."""
    codes = {code for board in boards for code in board.tree.by_code}
    return {
        code: np.random.default_rng([seed, crc32(code.encode())]).uniform(1 - spread, 1 + spread, draws)
        for code in codes
    }


def _totals(scored: Scored, factors: dict[str, Floats]) -> Floats:
    """Return the totals (draws, units) of a month."""
    draws = len(factors[""])
    return np.broadcast_to(_points(scored, scored.tree.root, 0, factors), (draws, len(scored.total)))


def _points(scored: Scored, node: Node | Indicator, depth: int, factors: dict[str, Floats]) -> Floats:
    """Return the points (draws, units) of a node; (1, units) of a leaf, which no weight changes."""
    if isinstance(node, Indicator):
        return scored.points[node.code][None]
    points = np.array(
        np.broadcast_arrays(*(_points(scored, part, depth + 1, factors) for part in node.parts))
    )
    said = np.array([part.weight * factors[part.code] for part in node.parts])[:, :, None]
    return mean(scored.tree.ways[depth], points, shares(np.where(np.isfinite(points), said, 0.0)))


def _counted(units: tuple[Unit, ...], totals: Floats, ranks: NDArray[np.int64]) -> RankShares:
    """Return how often each unit has each place, from totals (draws, units)."""
    n = totals.shape[1]
    above = totals[:, :, None] > totals[:, None, :]
    places = np.where(np.isfinite(totals), above.sum(axis=1) + 1, 0)
    share = (places[:, :, None] == np.arange(1, n + 1)).mean(axis=0)
    low, high = np.quantile(places, (TAIL, 1 - TAIL), axis=0, method="inverted_cdf").astype(np.int64)
    return RankShares(units, share, low, high, above.mean(axis=0), ranks)

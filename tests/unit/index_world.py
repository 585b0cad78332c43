"""Small trees of indicators and boards of them, for the tests of scoring, places, seasons and periods."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

import numpy as np

from gridmgmt.index.periods import months_before
from gridmgmt.index.scoring import Floats, score
from gridmgmt.index.stored import Board, Unit, Version
from gridmgmt.index.tree import Better, Gap, Indicator, Level, Node, Scale, Tree, Way

A, G = Way.ARITHMETIC, Way.GEOMETRIC
ALL = frozenset(Level)
LAST = date(2025, 12, 1)


def leaf(code: str, weight: float = 1.0, **other: object) -> Indicator:
    """Return an indicator from 0 to 100 whose points are its values, unless something else is said."""
    said = {
        "unit": "%", "better": Better.MORE, "levels": ALL, "scale": Scale.TARGET, "gap": Gap.SHARE,
        "department": "教育局", "floor": 0.0, "target": 100.0,
    }  # fmt: skip
    return Indicator(code, f"指标{code}", weight, **{**said, **other})  # type: ignore[arg-type]


def flat(leaves: Sequence[Indicator], way: Way = A) -> Tree:
    """Return a tree whose one group holds all indicators."""
    inner = Node("1.1", "组", 1.0, tuple(leaves))
    return Tree("t", "指数", (A, A, way), (Node("1", "类", 1.0, (inner,)),))


def board(tree: Tree, values: Mapping[str, Sequence[float]], month: date = LAST, version: int = 1) -> Board:
    """Return the board of a month from values by indicator."""
    columns = {code: np.array(each, float) for code, each in values.items()}
    n = max((len(each) for each in columns.values()), default=0)
    units = tuple(Unit(f"u{k:02}", f"镇{k}") for k in range(n))
    stands = Version(version, tree.name, date(1900, 1, 1), "", datetime(2025, 1, 1, tzinfo=UTC), "x", tree)
    return Board(month, Level.TOWN, stands, units, {}, score(tree, Level.TOWN, columns), None)


def of_scores(scores: Floats, last: date = LAST, versions: Sequence[int] = ()) -> list[Board]:
    """Return boards of successive months up to `last` with scores (months, units)."""
    months = [months_before(last, back) for back in range(len(scores) - 1, -1, -1)]
    ids = versions or [1] * len(scores)
    tree = flat([leaf("1.1.1")])
    return [board(tree, {"1.1.1": row}, *at) for row, *at in zip(scores, months, ids, strict=True)]

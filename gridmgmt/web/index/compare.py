"""Two units beside each other, and the index under other weights."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flask import render_template, request
from sqlalchemy import Connection

from gridmgmt.errors import InputError, NotFoundError
from gridmgmt.index import scoring, stored
from gridmgmt.index.scoring import Floats
from gridmgmt.index.stored import Board, ranks
from gridmgmt.index.tree import LEVEL_NAMES, Way
from gridmgmt.web.access import allow
from gridmgmt.web.areas import territory
from gridmgmt.web.databases import reader
from gridmgmt.web.index import drawing
from gridmgmt.web.index.board import RANKED, WAY_NAMES, pages
from gridmgmt.web.index.boards import READERS, Chosen, boards, chosen
from gridmgmt.web.scope import is_centre

# What the weights of the first level may be set to, in percent; together they need not make 100.
LIGHTEST, HEAVIEST = 0.0, 100.0


def _asked(connection: Connection) -> tuple[Chosen, Board] | None:
    """Return what the address asks for with the board of its last month that may be seen."""
    asked = chosen(connection)
    if asked is None:
        return None
    if asked.level not in RANKED:
        raise InputError("level", asked.level.value, "town, department")
    return asked, boards(connection, [asked.last], asked.level, asked.seen)[0]


@pages.get("/compare")
@allow(*READERS)
def compare() -> Any:
    """Why one unit is above another."""
    with reader().connect() as connection:
        here = territory(connection)
        found = _asked(connection)
    if found is None:
        return render_template("index_empty.html", here=here, centre=is_centre(), months=[])
    asked, board = found
    if not board.units:
        raise NotFoundError(f"no unit of {asked.level} to compare")
    scored = [n for n in np.argsort(board.ranks, kind="stable").tolist() if board.ranks[n]] or [0]
    a = _place(board, request.args.get("a", ""), scored[0])
    b = _place(board, request.args.get("b", ""), scored[-1])
    one, other = board.scored.take([a]), board.scored.take([b])
    moved = scoring.change(other, one)
    ends = [(board.units[n].name, float(board.scored.total[n])) for n in (b, a)]
    known = np.isfinite(moved.total[0])
    steps = drawing.waterfall(moved, 0, ends[0], ends[1], board.tree.by_code) if known else []
    pairs = [
        (part, float(one.points[part.code][0]), float(other.points[part.code][0]))
        for part in board.tree.parts
    ]
    return render_template(
        "index_compare.html", here=here, asked=asked, board=board, a=board.units[a], b=board.units[b],
        steps=steps, pairs=pairs, scores=(ends[1][1], ends[0][1]), levels={x: LEVEL_NAMES[x] for x in RANKED},
        options=sorted(board.units, key=lambda unit: unit.code), class_of=drawing.class_of,
    )  # fmt: skip


def _place(board: Board, code: str, otherwise: int) -> int:
    return board.place(code) if code else otherwise


# --- other weights


@dataclass(frozen=True)
class Tried:
    """A unit's place and score by the tree's weights and by those that are tried."""

    code: str
    name: str
    place: int
    score: float
    tried_place: int
    tried: float

    @property
    def rise(self) -> int:
        """How many places it rises; below zero it falls."""
        return self.place - self.tried_place


@pages.get("/what-if")
@allow(*READERS)
def what_if() -> Any:
    """The board under other weights of the first level; nothing of it is kept."""
    with reader().connect() as connection:
        here = territory(connection)
        found = _asked(connection)
    if found is None:
        return render_template("index_empty.html", here=here, centre=is_centre(), months=[])
    asked, board = found
    weights, way = _weights(board), _way(board)
    other = replace(board.tree, ways=(way, *board.tree.ways[1:]))
    scored = stored.scored_of(
        other, board.level, board.units, board.values, {code: each / 100 for code, each in weights.items()}
    )
    rows = _tried(board, scored.total)
    return render_template(
        "index_what_if.html", here=here, asked=asked, board=board, weights=weights, way=way, rows=rows,
        ways=WAY_NAMES, changed=sum(row.rise != 0 for row in rows), total=sum(weights.values()),
        levels={x: LEVEL_NAMES[x] for x in RANKED}, lightest=LIGHTEST, heaviest=HEAVIEST,
    )  # fmt: skip


def _weights(board: Board) -> dict[str, float]:
    """Return the weights of the first level in percent, as the address or the tree says."""
    said = {part.code: _weight(f"w{part.code}", 100 * part.weight) for part in board.tree.parts}
    if not sum(said.values()):
        raise InputError("weights", 0, "one above 0 at least")
    return said


def _weight(name: str, otherwise: float) -> float:
    words = request.args.get(name, "").strip()
    try:
        said = float(words) if words else round(otherwise, 2)
    except ValueError:
        raise InputError(name, words, f"a number of {LIGHTEST:g} to {HEAVIEST:g}") from None
    if not LIGHTEST <= said <= HEAVIEST:
        raise InputError(name, words, f"a number of {LIGHTEST:g} to {HEAVIEST:g}")
    return said


def _way(board: Board) -> Way:
    said = request.args.get("way") or board.tree.ways[0].value
    if said not in list(Way):
        raise InputError("way", said, ", ".join(way.value for way in Way))
    return Way(said)


def _tried(board: Board, totals: Floats) -> list[Tried]:
    before, after = board.ranks, ranks(totals)
    rows = [
        Tried(
            unit.code,
            unit.name,
            int(before[n]),
            float(board.scored.total[n]),
            int(after[n]),
            float(totals[n]),
        )
        for n, unit in enumerate(board.units)
    ]
    return sorted(rows, key=lambda row: (row.tried_place or 999, row.place, row.code))

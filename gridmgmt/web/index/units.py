"""One unit of the index, down to the last indicator, and one indicator over all units."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flask import render_template
from flask_login import current_user
from sqlalchemy import Connection

from gridmgmt.errors import NotFoundError
from gridmgmt.index import facts, season, stored
from gridmgmt.index.models import Status
from gridmgmt.index.periods import months_before
from gridmgmt.index.scoring import Filled, Floats, effective
from gridmgmt.index.stored import Board, Value
from gridmgmt.index.tree import LEVEL_NAMES, Better, Indicator, Level, Node, Scale
from gridmgmt.web.access import MENUS, allow
from gridmgmt.web.areas import territory
from gridmgmt.web.databases import reader
from gridmgmt.web.index import drawing
from gridmgmt.web.index.board import pages, shares_of
from gridmgmt.web.index.boards import READERS, Chosen, Seen, boards, chosen, seen_of
from gridmgmt.web.scope import is_centre

MOST_LOST = 10
FILLED_WORDS = {
    Filled.LAST: "沿用以前月份", Filled.AVERAGE: "按其他单位平均", Filled.WORST: "按零分",
    Filled.SHARED: "权重由同组分担",
}  # fmt: skip
# Pages on which one can act on what a group of facts counts: the first that is in a person's menu.
ACTS = {
    **dict.fromkeys(("matters", "cases", "hands"), ("matters.inbox", "units.ledger")),
    **dict.fromkeys(("mediations", "deliberations", "meetings", "mediators"), ("mediation.listed",)),
    **dict.fromkeys(("stops", "visits", "care", "service_days"), ("rounds.office", "rounds.command")),
    "hot": ("overview.command", "overview.office"), "season": ("tasks.board",),
    "dwellings": ("visits.survey",), "households": ("roster.homes",), "changes": ("changes.waiting",),
}  # fmt: skip


@dataclass(frozen=True)
class Branch:
    """A node or indicator of one unit: its points, its weight in the total, what it lost and moved.

    `parts` are those below it; a leaf has the value instead, with how it came about in words, its points over
    time, and the page (endpoint, name) where this person can act on it.
    """

    code: str
    name: str
    weight: float
    points: float
    lost: float
    moved: float | None
    parts: tuple["Branch", ...] = ()
    indicator: Indicator | None = None
    value: Value | None = None
    told: str = ""
    spark: drawing.Line | None = None
    act: tuple[str, str] | None = None


@pages.get("/units/<code>")
@allow(*READERS)
def unit(code: str) -> Any:
    """A unit: why its score is what it is, and why it moved."""
    with reader().connect() as connection:
        here = territory(connection)
        level = _level(connection, code)
        asked = _asked(connection)
        seen = seen_of(connection, asked, level)
        place = seen.now.boards[-1].place(code)
        past = boards(connection, asked.before, level, asked.seen)
    shares = shares_of(seen) if level is not Level.CITY else None
    line = _line(past, asked, place)
    moved = seen.moved if seen.moved and math.isfinite(seen.moved.total[place]) else None
    steps = _steps(seen, place) if moved else []
    tree = _branch(seen.now.tree.root, seen, place, past)
    return render_template(
        "index_unit.html", here=here, asked=asked, seen=seen, level=level, level_name=LEVEL_NAMES[level],
        unit=seen.now.units[place], place=place, shares=shares, steps=steps, moved=moved, tree=tree,
        lost=_most_lost(tree), chart=line.chart, season=line.season, count=len(seen.now.units),
        class_of=drawing.class_of, size=drawing.CHART,
    )  # fmt: skip


def _steps(seen: Seen, place: int) -> list[drawing.Step]:
    """Return the waterfall of a unit; nothing where the period has months that the one before lacks."""
    moved, now, then = seen.moved, seen.now, seen.then.period
    known = sum(math.isfinite(board.scored.total[place]) for board in now.boards)
    if moved is None or moved.pairs[place] < known:
        return []
    end = float(now.total[place])
    name = then.name if now.complete else f"{then.name}的同样月份"
    ends = ((name, end - float(moved.total[place])), (now.period.name, end))
    return drawing.waterfall(moved, place, *ends, seen.then.by_code | now.by_code)


def _asked(connection: Connection) -> Chosen:
    asked = chosen(connection)
    if asked is None:
        raise NotFoundError("no month of the index is there to be seen")
    return asked


def _level(connection: Connection, code: str) -> Level:
    for level in Level:
        if any(each.code == code for each in stored.units(connection, level)):
            return level
    raise NotFoundError(f"no unit {code} in the index")


# --- the tree of a unit


def _branch(node: Node | Indicator, seen: Seen, place: int, past: Sequence[Board]) -> Branch:
    board = seen.now.boards[-1]
    weight = float(effective(board.scored, node.code)[place])
    points = float(seen.now.points[node.code][place])
    if isinstance(node, Indicator):
        value = board.value(node.code, board.units[place].code)
        moved = _at(seen.moved.moved if seen.moved else {}, node.code, place)
        lost = _at(seen.now.lost, node.code, place) or 0.0
        return Branch(
            node.code, node.name, weight, points, lost, moved, (), node, value,
            _told(board, node, value, place), drawing.spark(_points(past, node.code)[:, place].tolist()),
            _act(node, board.units[place].code),
        )  # fmt: skip
    parts = tuple(_branch(part, seen, place, past) for part in node.parts if _is_asked(part, board.level))
    known = [part.moved for part in parts if part.moved is not None]
    return Branch(
        node.code, node.name, weight, points, sum(part.lost for part in parts),
        sum(known) if known else None, parts,
    )  # fmt: skip


def _points(past: Sequence[Board], code: str) -> Floats:
    """Return the points (months, units) of an indicator; NaN where a month's tree does not have it."""
    return np.array([board.scored.points.get(code, board.scored.total * math.nan) for board in past])


def _act(indicator: Indicator, unit: str) -> tuple[str, str] | None:
    """Return where this person can act on an indicator of a unit, None where nowhere."""
    who = current_user.who
    if indicator.measured is None or not (is_centre() or unit == (who.unit or (who.area or "")[:9])):
        return None
    menu, group = dict(MENUS[who.role]), indicator.measured.part.split(".")[0]
    return next(((each, menu[each]) for each in ACTS.get(group, ()) if each in menu), None)


def _is_asked(part: Node | Indicator, level: Level) -> bool:
    """Say whether anything of a part is for units of a level."""
    if isinstance(part, Indicator):
        return level in part.levels
    return any(_is_asked(each, level) for each in part.parts)


def _at(values: Mapping[str, Any], code: str, place: int) -> float | None:
    found = values.get(code)
    return None if found is None or not math.isfinite(found[place]) else float(found[place])


def _told(board: Board, indicator: Indicator, value: Value, place: int) -> str:
    """Return in words where a value comes from, or what stands in for it."""
    filled = Filled(int(board.scored.filled[indicator.code][place]))
    if value.status is Status.MEASURED and indicator.measured:
        part = f"{facts.NAMES[indicator.measured.part].title} {figure(value.part)}"
        if indicator.measured.of is None:
            return part
        return f"{part} ÷ {facts.NAMES[indicator.measured.of].title} {figure(value.whole)}"
    if value.status is Status.ENTERED:
        return f"{indicator.department}填报"
    stands_in = FILLED_WORDS.get(filled, "")
    if filled is Filled.LAST and value.carried_from:
        stands_in = f"沿用 {value.carried_from:%Y-%m} 的 {figure(value.carried)}"
    whose = f"{indicator.department}没有填报" if indicator.department else "没有数据或太少"
    return f"{whose}；{stands_in}"


def figure(number: float | None) -> str:
    """Return a number as people write it, with two decimals at most; '' for none.

    >>> figure(12345.0), figure(0.125), figure(100.0)
    ('12,345', '0.12', '100')
    """
    return "" if number is None else f"{number:,.2f}".rstrip("0").rstrip(".")


def _most_lost(tree: Branch) -> list[Branch]:
    leaves = [leaf for first in tree.parts for second in first.parts for leaf in second.parts]
    return sorted((leaf for leaf in leaves if leaf.lost > 0), key=lambda leaf: -leaf.lost)[:MOST_LOST]


# --- scores over time


@dataclass(frozen=True)
class Scores:
    """The line of a unit's scores beside the year before, and what is known of the season."""

    chart: drawing.Chart
    season: season.Season


def _line(past: Sequence[Board], asked: Chosen, place: int) -> Scores:
    found = season.adjust(past)
    by_month = {board.month: float(board.scored.total[place]) for board in past}
    adjusted = (
        dict(zip(found.months, found.adjusted[:, place].tolist(), strict=True)) if found.effect.any() else {}
    )
    months = asked.before[-13:]
    lines = {
        "now": [by_month.get(month, math.nan) for month in months],
        "before": [by_month.get(months_before(month, 12), math.nan) for month in months],
        "adjusted": [adjusted.get(month, math.nan) for month in months],
    }
    return Scores(drawing.chart(months, lines), found)


# --- one indicator over all units


@dataclass(frozen=True)
class Standing:
    """A unit in one indicator: `at` is where its value stands between `low` and `high`, in percent."""

    code: str
    name: str
    value: Value
    points: float
    at: float | None
    told: str
    spark: drawing.Line


@pages.get("/indicators/<code>")
@allow(*READERS)
def indicator(code: str) -> Any:
    """All units of a level in one indicator."""
    with reader().connect() as connection:
        here = territory(connection)
        asked = _asked(connection)
        past = boards(connection, asked.before, asked.level, asked.seen)
        board = boards(connection, [asked.last], asked.level, asked.seen)[0]
    found = board.tree.by_code.get(code)
    if not isinstance(found, Indicator) or board.level not in found.levels:
        raise NotFoundError(f"no indicator {code} of {board.level} in {board.month:%Y-%m}")
    scale = _scale(board, found)
    lines = _points(past, code)
    rows = [
        Standing(
            each.code, each.name, value := board.value(code, each.code), float(board.scored.points[code][n]),
            scale.at(value.value), _told(board, found, value, n), drawing.spark(lines[:, n].tolist()),
        )
        for n, each in enumerate(board.units)
    ]  # fmt: skip
    rows.sort(key=lambda row: (-np.nan_to_num(row.points, nan=-1.0), row.code))
    return render_template(
        "index_indicator.html", here=here, asked=asked, board=board, indicator=found, rows=rows, scale=scale,
        fact=facts.NAMES.get(found.measured.part) if found.measured else None,
        of=facts.NAMES.get(found.measured.of or "") if found.measured else None,
        levels={level: name for level, name in LEVEL_NAMES.items() if level in found.levels},
        level_name=LEVEL_NAMES[board.level], targeted=found.scale is Scale.TARGET,
        more=found.better is Better.MORE, class_of=drawing.class_of,
    )  # fmt: skip


@dataclass(frozen=True)
class Reach:
    """The values that a drawing reaches over."""

    low: float
    high: float

    def at(self, value: float | None) -> float | None:
        """Return where a value stands, in percent from the left."""
        if value is None:
            return None
        return round(100 * (value - self.low) / (self.high - self.low), 2)


def _scale(board: Board, indicator: Indicator) -> Reach:
    values = [board.value(indicator.code, unit.code).value for unit in board.units]
    known = [each for each in (*values, indicator.floor, indicator.target) if each is not None] or [0.0, 1.0]
    low, high = min(known), max(known)
    pad = (high - low) * 0.04 or 1.0
    return Reach(low - pad, high + pad)

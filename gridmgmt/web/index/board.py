"""The board of the index: every town or department with its score, its place and how firm that is."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from sqlalchemy import Connection

from gridmgmt.calendar import china_today
from gridmgmt.db.models import JobKind, Role
from gridmgmt.errors import InputError
from gridmgmt.index import robust, season, stored, trees
from gridmgmt.index.periods import SPAN_NAMES, Span, months_up_to, read_month, write_month
from gridmgmt.index.robust import RankShares
from gridmgmt.index.scoring import Floats
from gridmgmt.index.spans import SpanBoard
from gridmgmt.index.tree import LEVEL_NAMES, Level, Way
from gridmgmt.web.access import allow
from gridmgmt.web.areas import territory
from gridmgmt.web.databases import reader
from gridmgmt.web.index import drawing, table
from gridmgmt.web.index.boards import READERS, Chosen, Seen, boards, chosen, seen_of
from gridmgmt.web.index.drawing import Line
from gridmgmt.web.jobs import begin
from gridmgmt.web.kept import Kept
from gridmgmt.web.scope import is_centre
from gridmgmt.web.sending import XLSX, attachment

pages = Blueprint("index", __name__, url_prefix="/index")

# Levels that are ranked; the city has no other city beside it.
RANKED = (Level.TOWN, Level.DEPARTMENT)

# How parts make a whole.
WAY_NAMES = {Way.ARITHMETIC: "加权平均", Way.GEOMETRIC: "几何平均"}

# With the boards: while they are kept, their identities stay theirs.
_shares: Kept[tuple[SpanBoard, RankShares]] = Kept(40)


@dataclass(frozen=True)
class Row:
    """One unit on the board; `low` and `high` are its places under other weights."""

    code: str
    name: str
    place: int
    low: int
    high: int
    score: float
    change: float | None
    adjusted: float | None
    firsts: list[tuple[str, float]]  # code and points of the first level
    missing: int
    spark: Line


@pages.get("")
@allow(*READERS)
def home() -> Any:
    """The board, or what to do where nothing stands yet."""
    with reader().connect() as connection:
        here = territory(connection)
        asked = chosen(connection)
        if asked is None:
            return render_template("index_empty.html", here=here, centre=is_centre(), months=_buildable())
        if asked.level not in RANKED:
            raise InputError("level", asked.level.value, "town, department")
        seen, city = seen_of(connection, asked), seen_of(connection, asked, Level.CITY)
        shares = shares_of(seen)
        rows = _rows(connection, asked, seen, shares)
    groups = _groups(rows, shares, request.args.get("by", ""))
    scores = {row.code: row.score for row in rows}
    return render_template(
        "index_home.html", here=here, asked=asked, seen=seen, all=city, groups=groups, rows=rows,
        firsts=(firsts := [(part.code, part.name) for part in seen.now.tree.parts]),
        by=request.args.get("by", ""), sorts={"change": "比上期", "missing": "缺值"} | dict(firsts),
        towns=drawing.towns(here, scores) if asked.level is Level.TOWN else [], box=drawing.MAP,
        spans=SPAN_NAMES, levels={level: LEVEL_NAMES[level] for level in RANKED}, centre=is_centre(),
        class_of=drawing.class_of, limits=drawing.CLASSES, write_month=write_month, months=_buildable(),
    )  # fmt: skip


def shares_of(seen: Seen) -> RankShares:
    """Return how firm the places of a period are."""
    key = (seen.now.level, *(board.month for board in seen.now.boards))
    state = [id(board) for board in seen.now.boards]
    return _shares.get(key, lambda: (seen.now, robust.ranks(seen.now)), state)[1]


def _rows(connection: Connection, asked: Chosen, seen: Seen, shares: RankShares) -> list[Row]:
    past = boards(connection, asked.before, asked.level, asked.seen)
    adjusted = _adjusted(season.adjust(past), asked) if asked.period.span is Span.MONTH else None
    now = seen.now
    lines = np.array([board.scored.total for board in past]) if past else np.empty((0, len(now.units)))
    return [
        Row(
            unit.code, unit.name, int(now.ranks[n]), int(shares.low[n]), int(shares.high[n]),
            float(now.total[n]), _number(seen.moved.total if seen.moved else None, n), _number(adjusted, n),
            [(part.code, float(now.points[part.code][n])) for part in now.tree.parts],
            _missing(seen, unit.code), drawing.spark(lines[:, n].tolist()),
        )
        for n, unit in enumerate(now.units)
    ]  # fmt: skip


def _adjusted(found: season.Season, asked: Chosen) -> Floats | None:
    """Return how scores moved in the month with the season taken out, None where that is not known."""
    months = list(found.months)
    before = asked.period.before.last
    if not found.enough or before not in months or asked.period.last not in months:
        return None
    change: Floats = found.adjusted[months.index(asked.period.last)] - found.adjusted[months.index(before)]
    return change


def _number(values: Floats | None, n: int) -> float | None:
    return None if values is None or not np.isfinite(values[n]) else float(values[n])


def _missing(seen: Seen, unit: str) -> int:
    """Return how many values a unit lacks in the last month of the period."""
    board = seen.now.boards[-1]
    asked = [each.code for each in board.tree.indicators if board.level in each.levels]
    return sum(board.value(code, unit).value is None for code in asked)


def _groups(rows: list[Row], shares: RankShares, by: str) -> list[list[Row]]:
    """Return the rows in groups that cannot be told apart, or by the points of a first-level indicator."""
    if by:
        return [sorted(rows, key=lambda row: (_worth(row, by), row.place or len(rows)))]
    named = {row.code: row for row in rows}
    groups = [[named[code] for code in group] for group in shares.groups()]
    unknown = [row for row in rows if not row.place]
    return [*groups, unknown] if unknown else groups


def _worth(row: Row, by: str) -> float:
    """Return by what a row is sorted, the least first; what is not known comes last."""
    known = {"change": row.change, "missing": float(row.missing)} | dict(row.firsts)
    if by not in known:
        raise InputError("by", by, "change, missing, the code of a first-level indicator")
    worth = known[by]
    return math.inf if worth is None or math.isnan(worth) else -worth


def _buildable() -> list[str]:
    """Return the months that the centre may have computed: this year's and last year's that have begun."""
    today = china_today()
    return [write_month(month) for month in reversed(months_up_to(today.replace(day=1), today.month + 12))]


@pages.post("/build")
@allow(Role.COMMAND)
def build() -> Any:
    """Begin to compute a month; it takes a few seconds."""
    month = read_month(request.form.get("month", ""))
    if write_month(month) not in _buildable():
        raise InputError("month", write_month(month), f"a month up to {china_today():%Y-%m}")
    begin(JobKind.INDEX, f"计算 {month.year}年{month.month}月平安指数", {"months": [write_month(month)]})
    flash("已开始计算，几秒后刷新本页可见。已发布的月份不会改动。")
    return redirect(url_for("index.home"), 303)


@pages.get("/board.xlsx")
@allow(*READERS)
def export() -> Response:
    """The board as a workbook: scores of both levels, and every value with where it comes from."""
    with reader().connect() as connection:
        asked = chosen(connection)
        found = {level: seen_of(connection, asked, level) for level in RANKED} if asked else {}
    if not asked:
        raise InputError("month", "", "a month that was built")
    name = f"平安指数_{asked.period.name}.xlsx"
    return attachment(table.workbook(asked.period, found), name, XLSX)


@pages.get("/tree")
@allow(*READERS)
def tree() -> Any:
    """The tree in force, and its versions."""
    with reader().connect() as connection:
        here = territory(connection)
        versions = stored.versions(connection)
        asked = request.args.get("version", "")
        shown = next((each for each in versions if str(each.id) == asked), None)
        version = shown or stored.version_of(connection, china_today().replace(day=1))
    return render_template(
        "index_tree.html", ways=WAY_NAMES, here=here, version=version, tree=version.tree, versions=versions,
        centre=is_centre(), level_names=LEVEL_NAMES, write_month=write_month,
    )  # fmt: skip


@pages.get("/tree/<int:number>.toml")
@allow(Role.COMMAND)
def tree_file(number: int) -> Response:
    """The file of a version, to be changed and loaded again."""
    with reader().connect() as connection:
        document = trees.document(connection, number)
    return attachment(document.encode(), f"平安指数指标体系_{number}.toml", "application/toml")

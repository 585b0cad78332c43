"""What a bulletin says in figures: all that its words, tables, charts and map are made of.

The snapshot is plain JSON, sorted and rounded once: the same values give the same bytes. Of a period that was
issued it sees only the months that were issued by then, so that it stays the same for good.
"""

import math
from calendar import monthrange
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import Connection

from gridmgmt.errors import NotFoundError
from gridmgmt.grids.service import divisions, for_map
from gridmgmt.index import robust, season, spans, stored
from gridmgmt.index.bulletins.talks import of_period
from gridmgmt.index.models import Status
from gridmgmt.index.periods import Period, months_before, write_month
from gridmgmt.index.scoring import Change, Filled
from gridmgmt.index.spans import SpanBoard
from gridmgmt.index.stored import Board
from gridmgmt.index.tree import Indicator, Level, Node, Tree, walk

DIGITS = 4
# So many months back are looked at for what is usual in a month of the year.
HISTORY = 60
# So many indicators are told for each direction in which they moved a score.
REASONS = 8
# What is less than this cannot be seen in a score of two decimals.
LEAST = 0.005
OUTLINE_METRES, OUTLINE_DIGITS = 80.0, 4


def data(connection: Connection, period: Period) -> dict[str, Any]:
    """Return everything that the bulletin of a period says, as it stands now.

    Scores and points have 4 decimals and are of 0 to 100; `change` is against the period before, and None
    where a month of that is missing. NotFoundError where no month of the period was built.
    """
    boards = {level: _boards(connection, period, level) for level in Level}
    now = _over(boards[Level.TOWN], period)
    if now is None:
        raise NotFoundError(f"the index of {period.name} has not been built")
    missing = sorted(set(period.months) - {each.month for each in now.boards})
    return {
        "period": _period(period) | {"missing": [write_month(month) for month in missing]},
        "city": next((each.name for each in stored.units(connection, Level.CITY)), ""),
        "tree": _tree(now.boards[-1]),
        "indicators": [_indicator(now.tree, each) for each in now.tree.indicators],
        "levels": {level.value: level_facts(each, period) for level, each in boards.items()},
        "talks": of_period(connection, period),
        "outlines": _outlines(connection, period.last),
    }


def _boards(connection: Connection, period: Period, level: Level) -> list[Board]:
    """Return the boards up to the period's end; once it was issued, those that were issued by then."""
    found = stored.boards(connection, [months_before(period.last, back) for back in range(HISTORY)], level)
    issued_at = found[-1].issued_at if found and found[-1].month == period.last else None
    return [each for each in found if issued_at is None or _known_by(each.issued_at, issued_at)]


def _over(boards: Sequence[Board], period: Period) -> SpanBoard | None:
    """Return what the boards of a period come to, None where there is none."""
    there = [board for board in boards if board.month in period.months]
    return spans.over(there, period) if there else None


def _known_by(moment: datetime | None, by: datetime) -> bool:
    return moment is not None and moment <= by


def _period(period: Period) -> dict[str, Any]:
    return {
        "span": period.span.value, "month": write_month(period.last), "name": period.name,
        "months": [write_month(month) for month in period.months], "before": period.before.name,
    }  # fmt: skip


def _tree(board: Board) -> dict[str, Any]:
    version = board.version
    return {
        "id": version.id, "name": version.name, "sha256": version.sha256,
        "in_force_from": version.in_force_from.isoformat(), "counts": list(board.tree.counts()),
        "parts": [{"code": part.code, "name": part.name} for part in board.tree.parts],
    }  # fmt: skip


def _indicator(tree: Tree, each: Indicator) -> dict[str, Any]:
    return {
        "code": each.code, "name": each.name, "unit": each.unit, "better": each.better.value,
        "first": _first(tree, each.code), "department": each.department,
        "levels": sorted(level.value for level in each.levels),
    }  # fmt: skip


def _first(tree: Tree, code: str) -> str:
    """Return the first-level indicator that one belongs to."""
    while tree.parents[code]:
        code = tree.parents[code]
    return code


# --- of one level


def level_facts(boards: Sequence[Board], period: Period) -> dict[str, Any]:
    """Return what a bulletin says of the units of one level; some month of the period is among the boards."""
    now, before = _over(boards, period), _over(boards, period.before)
    if now is None:
        raise NotFoundError(f"the index of {period.name} has not been built")
    whole = before is not None and before.complete and now.complete
    moved = spans.change(before, now) if before and whole else None
    places = robust.ranks(now) if np.isfinite(now.total).sum() > 1 else None
    adjusted, seasonal = _adjusted(boards, period)
    leaves = {part.code: _leaves(part) for part in now.tree.parts}
    units = []
    for n, unit in enumerate(now.units):
        units.append(
            {
                "code": unit.code, "name": unit.name, "score": _number(now.total[n]),
                "rank": int(now.ranks[n]), "low": int(places.low[n]) if places else None,
                "high": int(places.high[n]) if places else None,
                "before": _number(before.total[n]) if before and moved else None,
                "change": _number(moved.total[n]) if moved else None, "adjusted": _number(adjusted[n]),
                "parts": {code: _number(now.points[code][n]) for code in leaves},
                "lost": {code: _sum(now.lost[leaf][n] for leaf in below) for code, below in leaves.items()},
                "lost_most": _lost_most(now, n),
                "moved": _moved(before, now, moved, n) if before and moved else [],
                "weighed": _sum(each[n] for each in moved.weighed.values()) if moved else 0.0,
            }
        )  # fmt: skip
    return {
        "units": units,
        "groups": places.groups() if places else [[each["code"]] for each in units if each["rank"]],
        "season": seasonal,
        "values": _values(now),
        "gaps": _gaps(now),
    }


def _leaves(part: Node | Indicator) -> list[str]:
    return [each.code for _, each in walk(part) if isinstance(each, Indicator)]


def _adjusted(boards: Sequence[Board], period: Period) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Return the change (n,) of each unit with the season taken out, NaN where it was not; and why."""
    found = season.adjust(boards)
    rows = [
        [n for n, month in enumerate(found.months) if month in each.months]
        for each in (period.before, period)
    ]
    there = all(len(each) == len(period.months) for each in rows)
    taken_out = bool(there and found.enough and (found.effect.any() or found.own.any()))
    said = {"taken_out": taken_out, "why": found.why}
    if not taken_out:
        return np.full(len(boards[-1].units), np.nan), said
    before, now = (found.adjusted[each].mean(axis=0) for each in rows)
    return now - before, said


def _lost_most(now: SpanBoard, n: int) -> list[dict[str, Any]]:
    """Return the indicators that took most from a unit's 100 points."""
    listed = [(_number(each[n]) or 0.0, code) for code, each in now.lost.items() if code in _codes(now)]
    most = sorted(listed, key=lambda each: (-each[0], each[1]))[:REASONS]
    return [{"code": code, "points": points} for points, code in most if points >= LEAST]


def _codes(now: SpanBoard) -> set[str]:
    return {each.code for each in now.tree.indicators}


def _moved(before: SpanBoard, now: SpanBoard, change: Change, n: int) -> list[dict[str, Any]]:
    """Return what moved a unit's score, by its size: what raised it most and what lowered it most."""
    points = {code: _number(each[n]) or 0.0 for code, each in change.moved.items()}
    order = sorted((code for code in points if code in _codes(now)), key=lambda code: (points[code], code))
    told = [code for code in order[:REASONS] if points[code] <= -LEAST]
    told += [code for code in reversed(order[-REASONS:]) if points[code] >= LEAST]
    unit = now.units[n].code
    return [
        {
            "code": code, "points": points[code],
            "before": _mean(before.boards, code, unit), "now": _mean(now.boards, code, unit),
        }
        for code in sorted(told, key=lambda code: (-abs(points[code]), code))
    ]  # fmt: skip


# --- values


def _values(now: SpanBoard) -> dict[str, dict[str, list[Any]]]:
    """Return by indicator and unit: the mean of the known months, where they come from, how many lack one."""
    return {
        each.code: {unit.code: _cell(now.boards, each.code, unit.code) for unit in now.units}
        for each in now.tree.indicators
        if now.level in each.levels
    }


def _cell(boards: Sequence[Board], code: str, unit: str) -> list[Any]:
    status = [board.value(code, unit).status for board in boards]
    known = [each for each in status if each is not Status.MISSING]
    said = known[-1] if known else Status.MISSING
    return [_mean(boards, code, unit), said.value, len(status) - len(known)]


def _mean(boards: Sequence[Board], code: str, unit: str) -> float | None:
    values = [board.value(code, unit).value for board in boards]
    known = [value for value in values if value is not None]
    return _number(math.fsum(known) / len(known)) if known else None


def _gaps(now: SpanBoard) -> list[list[str]]:
    """Return month, indicator, unit, how it was filled and of which month, of every missing value."""
    found = []
    for board in now.boards:
        for each in board.tree.indicators:
            if now.level not in each.levels:
                continue
            for n, unit in enumerate(board.units):
                kept = board.value(each.code, unit.code)
                if kept.status is Status.MISSING:
                    how = Filled(int(board.scored.filled[each.code][n]))
                    of = kept.carried_from if how is Filled.LAST else None
                    line = [write_month(board.month), each.code, unit.code, how.name.lower()]
                    found.append([*line, write_month(of) if of else ""])
    return sorted(found)


# --- the map


def _outlines(connection: Connection, month: date) -> dict[str, list[list[list[float]]]]:
    """Return the rings of each town in degrees, as it was on the last day of a month; none where unknown."""
    day = month.replace(day=monthrange(month.year, month.month)[1])
    towns = divisions(connection, "town", day)
    shapes = for_map(towns.geometries, OUTLINE_METRES)
    return {
        code: _rings(shape)
        for code, shape in zip(towns.codes, shapes, strict=True)
        if shape is not None and not shape.is_empty
    }


def _rings(shape: shapely.Geometry) -> list[list[list[float]]]:
    polygons = shapely.get_parts(shapely.normalize(shape))
    rings = [ring for polygon in polygons for ring in shapely.get_rings(polygon)]
    return [np.round(shapely.get_coordinates(ring), OUTLINE_DIGITS).tolist() for ring in rings]


# --- numbers


def _number(value: float) -> float | None:
    """Return a number of 4 decimals, never -0; None for what is none."""
    return round(float(value), DIGITS) + 0.0 if math.isfinite(value) else None


def _sum(values: Iterable[float]) -> float:
    return _number(math.fsum(each for each in values if math.isfinite(each))) or 0.0

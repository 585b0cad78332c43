"""Where the marks of the index's drawings stand: waterfalls, lines of scores, the map of towns."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from gridmgmt.index.scoring import Change
from gridmgmt.index.tree import Indicator, Node
from gridmgmt.web.areas import Territory
from gridmgmt.web.flat import Frame

SPARK = (96.0, 24.0)
CHART = (720.0, 200.0)
MAP = (360.0, 320.0)
LEFT, BOTTOM = 32.0, 20.0
# So many steps of a waterfall are named; the rest is one.
STEPS = 10
# Scores from which a class begins.
CLASSES = (50, 60, 70, 80, 90)


def class_of(points: float) -> str:
    """Return the class of points for colours: `score-0` to `score-5`, `score-none` without any.

    >>> class_of(49.9), class_of(80.0), class_of(math.nan)
    ('score-0', 'score-4', 'score-none')
    """
    return "score-none" if math.isnan(points) else f"score-{sum(points >= limit for limit in CLASSES)}"


# --- a waterfall


@dataclass(frozen=True)
class Step:
    """One row of a waterfall: from where to where, in percent of its width; `points` is its length."""

    code: str
    name: str
    start: float
    width: float
    points: float
    kind: str  # end, up, down


def waterfall(
    change: Change, place: int, before: tuple[str, float], after: tuple[str, float],
    names: Mapping[str, Node | Indicator],
) -> list[Step]:  # fmt: skip
    """Return the rows from one score to another of the unit at a place: its largest steps, then the rest.

    `before` and `after` are the names and scores of both ends; the steps between them add up.
    """
    told = [(float(each[place]), code, names[code].name) for code, each in change.moved.items()]
    weighed = sum(float(each[place]) for each in change.weighed.values())
    told = sorted((each for each in told if each[0]), key=lambda each: (-abs(each[0]), each[1]))
    rest = sum(points for points, _, _ in told[STEPS:])
    steps = [(points, code, name) for points, code, name in sorted(told[:STEPS], reverse=True)]
    steps += [(rest, "", f"其余 {len(told) - STEPS} 项")] if len(told) > STEPS else []
    steps += [(weighed, "", "权重和缺项")] if abs(weighed) >= 1e-9 else []
    reached = [before[1]]
    for points, _, _ in steps:
        reached.append(reached[-1] + points)
    low, high = min([*reached, after[1]]), max([*reached, after[1]])
    pad = max(1.0, (high - low) * 0.08)
    low, wide = low - pad, high - low + 2 * pad

    def row(code: str, name: str, begin: float, end: float, points: float, kind: str) -> Step:
        first, last = sorted((100 * (begin - low) / wide, 100 * (end - low) / wide))
        return Step(code, name, round(first, 2), round(max(last - first, 0.3), 2), points, kind)

    return [
        row("", before[0], low, before[1], before[1], "end"),
        *(
            row(code, name, reached[n], reached[n + 1], points, "up" if points > 0 else "down")
            for n, (points, code, name) in enumerate(steps)
        ),
        row("", after[0], low, after[1], after[1], "end"),
    ]


# --- lines


@dataclass(frozen=True)
class Line:
    """Scores by month as an SVG path with a gap where one is missing, and its last point."""

    path: str
    end: tuple[float, float] | None


@dataclass(frozen=True)
class Chart:
    """Several lines on one scale; `ticks` are scores with their heights, `months` first days with their x."""

    lines: Mapping[str, Line]
    ticks: list[tuple[int, float]]
    months: list[tuple[date, float]]


def spark(scores: Sequence[float]) -> Line:
    """Return a small line of scores, as high as they differ and never steeper than ten points fill it."""
    known = [each for each in scores if math.isfinite(each)]
    if not known:
        return Line("", None)
    middle, half = (max(known) + min(known)) / 2, max((max(known) - min(known)) / 2, 5.0)
    width, height = SPARK
    return _line(
        scores, lambda n: 2 + (width - 4) * n / max(len(scores) - 1, 1),
        lambda score: 2 + (height - 4) * (middle + half - score) / (2 * half),
    )  # fmt: skip


def chart(months: Sequence[date], scores: Mapping[str, Sequence[float]]) -> Chart:
    """Return lines of scores by month over a scale of tens."""
    known = [each for line in scores.values() for each in line if math.isfinite(each)] or [0.0, 100.0]
    low, high = math.floor(min(known) / 10) * 10, math.ceil(max(known) / 10) * 10
    high = max(high, low + 10)
    width, height = CHART[0] - LEFT - 8, CHART[1] - BOTTOM - 8

    def x(n: float) -> float:
        return LEFT + width * n / max(len(months) - 1, 1)

    def y(score: float) -> float:
        return 8 + height * (high - score) / (high - low)

    step = 10 if high - low <= 50 else 20
    return Chart(
        {name: _line(line, x, y) for name, line in scores.items()},
        [(tick, round(y(tick), 1)) for tick in range(low, high + 1, step)],
        [(month, round(x(n), 1)) for n, month in enumerate(months) if month.month in (1, 4, 7, 10)],
    )


def _line(scores: Iterable[float], x: Callable[[float], float], y: Callable[[float], float]) -> Line:
    path, pen, end = [], "M", None
    for n, score in enumerate(scores):
        if not math.isfinite(score):
            pen = "M"
            continue
        end = (round(x(n), 1), round(y(score), 1))
        path.append(f"{pen}{end[0]} {end[1]}")
        pen = "L"
    return Line("".join(path), end)


# --- the map


@dataclass(frozen=True)
class Area:
    """A town on the map: its path, the class of its score, where its name stands."""

    code: str
    name: str
    path: str
    look: str
    x: float
    y: float


def towns(here: Territory, scores: Mapping[str, float]) -> list[Area]:
    """Return the towns of the city with their scores (NaN for none), in the box MAP."""
    box = here.bounds("")
    if box is None:
        return []
    frame = Frame.around(box, (4.0, 4.0, MAP[0] - 8, MAP[1] - 8))
    areas = []
    for place in here.places["town"].values():
        x, y = frame.points(np.array([place.label]))[0].tolist()
        look = class_of(scores.get(place.code, math.nan))
        areas.append(Area(place.code, place.name, frame.path(place.shape), look, round(x), round(y)))
    return areas

"""Where the bars of the figures stand: in percent of a drawing's width, and pixels of its height."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gridmgmt.incidents.figures.values import Line

HEIGHT = 160.0  # of the columns, without the names below them
_STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Columns:
    """One line as two columns, this year's beside the year before's: x and width in %, y and height in px."""

    line: Line
    middle: float
    now: tuple[float, float, float, float]
    before: tuple[float, float, float, float]


@dataclass(frozen=True)
class Chart:
    """Columns over a scale; `ticks` are its values with their heights in px from the top."""

    columns: list[Columns]
    ticks: list[tuple[int, float]]


@dataclass(frozen=True)
class Bar:
    """One line as a bar, with a mark where the year before stood: both in % of the width."""

    line: Line
    width: float
    mark: float


def columns(lines: Sequence[Line]) -> Chart:
    """Return two columns a line, over a scale that begins at 0 and ends above all of them."""
    ticks = scale(max((max(each.now.received, each.before.received) for each in lines), default=0))
    top = ticks[-1]
    room = 100 / max(len(lines), 1)

    def column(left: float, count: int) -> tuple[float, float, float, float]:
        height = HEIGHT * count / top
        return (round(left, 3), round(HEIGHT - height, 2), round(room * 0.34, 3), round(height, 2))

    found = [
        Columns(
            each, round(room * (n + 0.5), 3),
            column(room * (n + 0.5), each.now.received), column(room * (n + 0.14), each.before.received),
        )
        for n, each in enumerate(lines)
    ]  # fmt: skip
    return Chart(found, [(value, round(HEIGHT * (1 - value / top), 2)) for value in ticks])


def bars(lines: Sequence[Line], most: int | None = None) -> list[Bar]:
    """Return the lines as bars, the longest first, `most` of them; the longest count fills the width."""
    ranked = sorted(lines, key=lambda each: (-each.now.received, each.code))
    top = max((max(each.now.received, each.before.received) for each in ranked), default=0) or 1
    return [
        Bar(each, round(100 * each.now.received / top, 2), round(100 * each.before.received / top, 2))
        for each in ranked[:most]
    ]


def scale(most: int) -> list[int]:
    """Return round values from 0 to the first that is not below `most`, five or six at most.

    >>> scale(0), scale(7), scale(1240)
    ([0, 1], [0, 2, 4, 6, 8], [0, 500, 1000, 1500])
    """
    if most <= 1:
        return [0, 1]
    power = 10 ** math.floor(math.log10(most))
    steps = [power * step // 10 for step in _STEPS] + [power * step for step in _STEPS]
    step = next(one for one in steps if one >= 1 and most / one <= 4)
    return [step * n for n in range(math.ceil(most / step) + 1)]

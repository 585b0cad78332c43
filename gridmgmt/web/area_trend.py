"""The years of one area over one another, drawn as SVG: past years thin, the newest bold, the usual shaded.

The usual range is that of the past years: the mean of a month (or 旬) and a half of the two beside it, with
the 5 % and 95 % points of a quasi-Poisson count about it, as wide as the past years really scattered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy.special import pdtrik

from gridmgmt import calendar
from gridmgmt.hotspots.place import Years
from gridmgmt.hotspots.statistics.kernels import FloatArray
from gridmgmt.web import ranking

# With fewer matters a 旬 its line is all noise: months then.
FEWEST_A_XUN = 3.0
MONTHS = 12
# Years beside the newest one.
BEFORE = 4
LOW, HIGH = 0.05, 0.95
WIDTH, HEIGHT = 360, 168
LEFT, RIGHT, TOP, BOTTOM = 30, 6, 8, 20


@dataclass(frozen=True)
class Curve:
    """A year as a path and as the numbers that it is made of, one a month or 旬 that is over."""

    year: int
    path: str
    values: tuple[float, ...]
    total: int


@dataclass(frozen=True)
class Trend:
    """The drawing of an area's years, in a box of WIDTH × HEIGHT.

    Attributes
    ----------
    step : 月 | 旬
    past, now : the past years, and the newest; `now` is None when nothing of it is over yet
    band, usual : outline of the usual range and its middle as a path; '' with less than two past years
    range : low and high of the usual range by step, shape (steps,) each
    expected : what the list expects of the coming year as a path, '' where it says nothing; `expected_year`
    rules : heights and words of the rules across; months : places and words under it
    """

    step: str
    past: tuple[Curve, ...]
    now: Curve | None
    band: str
    usual: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    expected: str
    expected_year: int
    rules: tuple[tuple[float, str], ...]
    months: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def names(self) -> tuple[str, ...]:
        """What each month or 旬 is called."""
        months = tuple(f"{month}月" for month in range(1, MONTHS + 1))
        return months if self.step == "月" else tuple(map(calendar.xun_name, range(calendar.XUN_COUNT)))


def years_shown(newest: date, first: date | None = None) -> range:
    """Return the newest year and those before it that are shown, none before the first day of matters."""
    start = newest.year - BEFORE
    return range(max(start, first.year) if first else start, newest.year + 1)


def draw(found: Years, newest: date, expected: FloatArray | None = None, expected_year: int = 0) -> Trend:
    """Return the years of an area over one another.

    Parameters
    ----------
    found : matters by year and 旬; the last year is the newest, known to the day `newest`
    expected : matters expected in the 36 旬 of `expected_year`, shape (36,), or None
    """
    xun = found.counts[:-1].sum() >= FEWEST_A_XUN * calendar.XUN_COUNT * max(len(found.years) - 1, 1)
    counts = found.counts if xun else _monthly(found.counts)
    coming = expected if xun or expected is None else _monthly(expected)
    over = _steps_over(newest, counts.shape[1])
    low, middle, high = usual_range(counts[:-1])
    most = max(1.0, float(counts.max()), *high.tolist(), *([] if coming is None else coming.tolist()))
    axis = _Axis(counts.shape[1], most)
    curves = [
        _curve(axis, year, row) for year, row in zip(found.years[:-1], counts[:-1], strict=True) if row.any()
    ]
    return Trend(
        step="旬" if xun else "月",
        past=tuple(curves),
        now=_curve(axis, found.years[-1], counts[-1, :over]) if over else None,
        band=axis.band(low, high) if len(low) else "",
        usual=axis.line(middle) if len(low) else "",
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
        expected="" if coming is None else axis.line(coming),
        expected_year=expected_year,
        rules=axis.rules(),
        months=tuple((axis.x((month - 0.5) / MONTHS), f"{month}月") for month in (1, 3, 5, 7, 9, 11)),
    )


def usual_range(past: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the low, middle and high of the usual range, shape (steps,) each; empty for under two years.

    >>> usual_range(np.full((3, 12), 9.0))[1].tolist()[:2]
    [9.0, 9.0]
    """
    if len(past) < 2:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    mean = past.mean(axis=0)
    middle = (np.roll(mean, 1) + 2 * mean + np.roll(mean, -1)) / 4
    known = middle > 0
    spread = ((past - middle) ** 2)[:, known] / middle[known]
    more = max(1.0, float(spread.sum() / max(spread.size - known.sum(), 1))) if known.any() else 1.0
    low, high = (np.ceil(more * np.nan_to_num(pdtrik(point, middle / more))) for point in (LOW, HIGH))
    return np.maximum(low, 0.0), middle, np.where(known, high, 0.0)


def _monthly(xun: FloatArray) -> FloatArray:
    return xun.reshape(*xun.shape[:-1], MONTHS, 3).sum(axis=-1)


def _steps_over(newest: date, steps: int) -> int:
    """Return how many months or 旬 of its year are over on a day."""
    index = int(calendar.xun_of([newest])[0])
    xun = index + (newest == calendar.xun_end(newest.year, index))
    return xun if steps == calendar.XUN_COUNT else xun // 3


def _curve(axis: "_Axis", year: int, values: FloatArray) -> Curve:
    return Curve(year, axis.line(values), tuple(values.tolist()), round(float(values.sum())))


@dataclass(frozen=True)
class _Axis:
    """So many steps along the box, and `most` matters up it."""

    steps: int
    most: float

    def x(self, share: float) -> float:
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - BOTTOM - value / self.top * (HEIGHT - TOP - BOTTOM), 1)

    @property
    def rule(self) -> float:
        """How many matters lie between two rules: about a third of the most, a number people read."""
        third = ranking.two_figures(self.most / 3)
        power = 10.0 ** np.floor(np.log10(max(third, 1.0)))
        return float(next(step * power for step in (1, 2, 5, 10) if step * power >= third))

    @property
    def top(self) -> float:
        return float(np.ceil(self.most / self.rule) * self.rule)

    def rules(self) -> tuple[tuple[float, str], ...]:
        heights = np.arange(0, self.top + self.rule / 2, self.rule).tolist()
        return tuple((self.y(value), f"{value:,.0f}") for value in heights)

    def points(self, values: Sequence[float] | FloatArray) -> list[str]:
        return [f"{self.x((k + 0.5) / self.steps)} {self.y(float(v))}" for k, v in enumerate(values)]

    def line(self, values: FloatArray) -> str:
        return "M" + "L".join(self.points(values)) if len(values) else ""

    def band(self, low: FloatArray, high: FloatArray) -> str:
        return "M" + "L".join(self.points(high) + self.points(low)[::-1]) + "Z"

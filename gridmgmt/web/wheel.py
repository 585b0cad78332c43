"""The year as a wheel (年轮): a ring a category, its windows as arcs, drawn as SVG paths.

The circle begins at the top with 1 January and runs clockwise, as the 时间尺 runs from the left: a list is
that of a calendar year, and its windows carry calendar days. A circle that begins with 立春, as almanacs have
it, would set the window before the Spring Festival at the end of the year that it opens. Shares of the year
are 0 to 1 from the top; lengths are in the units of the view box.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import cos, pi, sin

from gridmgmt.calendar import SOLAR_TERMS, festivals, solar_terms
from gridmgmt.web.ruler import CLOSEST_FEASTS, FEASTS, Lane

RINGS = 14
SIZE = 820
CENTRE = SIZE / 2
OUTERMOST, PITCH = 326.0, 17.0  # radius of the first ring, distance between rings
MONTHS_AT, TERMS_AT, FEASTS_AT = 348.0, 371.0, 394.0
TEXT = 15.0
LONGEST_NAME = 11
# How much of the way to the peak each darker arc begins: 0 is the whole window.
STEPS = (0.0, 0.4, 0.65, 0.85)
SHORTEST_ARC = 0.006
MAIN_TERMS = ("立春", "春分", "立夏", "夏至", "立秋", "秋分", "立冬", "冬至")


@dataclass(frozen=True)
class Word:
    """A word along a circle: the path it runs on; `main` ones stay when there is little room."""

    name: str
    path: str
    main: bool
    share: float


@dataclass(frozen=True)
class Window:
    """A window as arcs that darken towards its peak, and the shares of the year that it spans.

    `end` is beyond 1 when the window runs over New Year: one arc, not two.
    """

    first: date
    peak: date
    last: date
    items: int
    start: float
    end: float
    arcs: tuple[str, ...]


@dataclass(frozen=True)
class Flag:
    """A day to act by, as a little flag across its ring."""

    day: date
    path: str


@dataclass(frozen=True)
class Ring:
    number: int
    lane: Lane
    radius: float
    windows: tuple[Window, ...]
    flags: tuple[Flag, ...]
    name: Word
    badge: tuple[float, float]


@dataclass(frozen=True)
class Wheel:
    """Everything the picture shows; `hand` is the line of today, None in another year."""

    year: int
    size: int
    rings: tuple[Ring, ...]
    months: tuple[Word, ...]
    terms: tuple[Word, ...]
    feasts: tuple[Word, ...]
    spokes: tuple[tuple[float, float, float, float], ...]
    ticks: tuple[tuple[float, float, float, float], ...]
    hand: tuple[float, float, float, float] | None


def year_wheel(year: int, lanes: Sequence[Lane], today: date) -> Wheel:
    """Return the wheel of a year with a ring for each lane, the first one outermost."""
    months = [(share_of(date(year, m, 1), year), f"{m}月") for m in range(1, 13)]
    terms = list(zip((share_of(day, year) for day in solar_terms(year)), SOLAR_TERMS, strict=True))
    inner = OUTERMOST - PITCH * max(len(lanes) - 1, 4) - PITCH
    return Wheel(
        year=year,
        size=SIZE,
        rings=tuple(_ring(number, lane, year) for number, lane in enumerate(lanes, 1)),
        months=tuple(_word(name, share + 1 / 24, MONTHS_AT, True) for share, name in months),
        terms=tuple(_word(name, share, TERMS_AT, name in MAIN_TERMS) for share, name in terms),
        feasts=tuple(_word(name, share, FEASTS_AT, False) for share, name in _feasts(year)),
        spokes=tuple(_spoke(share, inner, MONTHS_AT + 11) for share, _ in months),
        ticks=tuple(_spoke(share, MONTHS_AT + 11, MONTHS_AT + 15) for share, _ in terms),
        hand=_spoke(share_of(today, year), inner - PITCH, MONTHS_AT + 11) if today.year == year else None,
    )


def share_of(day: date, year: int) -> float:
    """Return where a day begins in a year; days of the years beside it lie below 0 or from 1 on."""
    first = date(year, 1, 1)
    return (day - first).days / (date(year + 1, 1, 1) - first).days


def _feasts(year: int) -> list[tuple[float, str]]:
    found: list[tuple[float, str]] = []
    for share, name in sorted((share_of(day, year), FEASTS[n]) for n, day in festivals(year) if n in FEASTS):
        if not found or (share - found[-1][0]) * 100 >= CLOSEST_FEASTS:
            found.append((share, name))
    return found


def _ring(number: int, lane: Lane, year: int) -> Ring:
    radius = OUTERMOST - PITCH * (number - 1)
    windows = tuple(_window(radius, *window, year) for window in lane.windows)
    days = [(day, share_of(day, year)) for day in lane.act_by]
    taken = [(window.start, window.end) for window in windows] + [(at - 0.004, at + 0.012) for _, at in days]
    name = _short(lane.name)
    begins = _free(taken, (len(name) * TEXT + 10) / (2 * pi * radius))
    middle = begins + (len(name) * TEXT / 2 + 7) / (2 * pi * radius)
    return Ring(
        number=number,
        lane=lane,
        radius=radius,
        windows=windows,
        flags=tuple(Flag(day, _flag(radius, at)) for day, at in days),
        name=_word(name, middle, radius, True),
        badge=_point(radius, begins + 14 / (2 * pi * radius)),
    )


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _window(radius: float, first: date, peak: date, last: date, items: int, year: int) -> Window:
    start, end = share_of(first, year), share_of(last + timedelta(days=1), year)
    end = max(min(end, start + 0.999), start + SHORTEST_ARC)
    summit = min(max(share_of(peak, year) + 0.5 / 365, start), end)
    arcs = tuple(_arc(radius, start + (summit - start) * step, end - (end - summit) * step) for step in STEPS)
    return Window(first, peak, last, items, start, end, arcs)


def _free(taken: Iterable[tuple[float, float]], length: float) -> float:
    """Return where on a circle the first free stretch of a length begins, or else the longest one.

    Stretches are looked at in the order of the year, so that a name follows the window it belongs to.
    """
    marks = sorted((start % 1.0, start % 1.0 + (end - start)) for start, end in taken)
    if not marks:
        return 0.0
    gaps = []
    reach = max(end for _, end in marks) - 1.0  # what runs over New Year covers the beginning
    for start, end in marks:
        gaps.append((start - reach, reach))
        reach = max(reach, end)
    gaps.append((marks[0][0] + 1.0 - reach, reach))
    after = [gap for gap in (*gaps[1:], gaps[0]) if gap[0] >= length]
    return after[0][1] if after else max(gaps)[1]


def _point(radius: float, share: float) -> tuple[float, float]:
    angle = 2 * pi * share
    return round(CENTRE + radius * sin(angle), 1), round(CENTRE - radius * cos(angle), 1)


def _arc(radius: float, start: float, end: float, *, back: bool = False) -> str:
    """Return the path along a circle between two shares of the year, clockwise unless `back`."""
    (x0, y0), (x1, y1) = _point(radius, start), _point(radius, end)
    large = int(end - start > 0.5)
    if back:
        return f"M{x1} {y1}A{radius:g} {radius:g} 0 {large} 0 {x0} {y0}"
    return f"M{x0} {y0}A{radius:g} {radius:g} 0 {large} 1 {x1} {y1}"


def _word(name: str, share: float, radius: float, main: bool) -> Word:
    """Return a word along a circle, the right way up: in the lower half it runs against the clock."""
    half = (len(name) * TEXT * 2) / (2 * pi * radius)  # longer than the word, so that it may be drawn larger
    lower = 0.25 < share % 1.0 < 0.75
    return Word(name, _arc(radius, share - half, share + half, back=lower), main, share)


def _flag(radius: float, share: float) -> str:
    (x0, y0), (x1, y1) = _point(radius - 6, share), _point(radius + 7, share)
    x2, y2 = _point(radius + 2.5, share + 9 / (2 * pi * radius))
    x3, y3 = _point(radius - 1, share)
    return f"M{x0} {y0}L{x1} {y1}L{x2} {y2}L{x3} {y3}"


def _spoke(share: float, inner: float, outer: float) -> tuple[float, float, float, float]:
    return (*_point(inner, share), *_point(outer, share))

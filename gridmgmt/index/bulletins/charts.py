"""Charts and the map of a bulletin as PNG: the same figures give the same bytes.

Colours are those of the product's maps; they differ in lightness too, so that they are told apart in grey.
"""

from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise
from threading import Lock
from typing import Any

import numpy as np
import shapely
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from gridmgmt.incidents.papers.page import Picture
from gridmgmt.index.bulletins import blocks
from gridmgmt.index.bulletins import phrases as say
from gridmgmt.index.bulletins.blocks import Facts, by_code
from gridmgmt.index.bulletins.reasons import largest_mover
from gridmgmt.index.tree import LEVEL_NAMES, Level
from gridmgmt.seasonal.export.fonts import font

INK, MUTED, LINE, ACCENT = "#1d2b2e", "#54656a", "#c9d3d2", "#0b5f63"
UP, DOWN, OTHER = "#2b8a86", "#a3500c", "#98a6a8"
CLASSES = ("#fff4d2", "#fdda96", "#f5a94e", "#d26d2a", "#924018")
WIDTH = 150.0  # mm
DPI = 200
STEPS = 7  # of the waterfall, what is left is one more
# The library that draws promises nothing about threads.
_one_at_a_time = Lock()


def picture(data: Facts, figure: blocks.Figure) -> Picture:
    """Return a figure of a bulletin as a picture with its words."""
    with _one_at_a_time:
        return _DRAWN[figure.name](data, figure.says)


# --- scores and intervals of places


def _scores(data: Facts, says: str, level: Level) -> Picture:
    units = [each for each in data["levels"][level]["units"] if each["score"] is not None]
    units = sorted(units, key=lambda each: (each["rank"], each["code"]))
    page, height = _page(14 + 4.2 * len(units))
    rows = np.arange(len(units))
    bars, ranks = page.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    page.subplots_adjust(0.2, 10 / height, 0.98, 1 - 2 / height, wspace=0.06)
    scores = np.array([each["score"] for each in units])
    bars.barh(rows, scores, height=0.62, color=ACCENT)
    for row, value in zip(rows, scores, strict=True):
        _write(bars, value + 1, row, f"{value:.2f}", ha="left")
    bars.set(xlim=(0, 118), ylim=(len(units) - 0.4, -0.6), xticks=(0, 25, 50, 75, 100))
    bars.set_yticks(rows, [each["name"] for each in units])
    low, high, own = (
        np.array([each[name] or each["rank"] for each in units]) for name in ("low", "high", "rank")
    )
    ranks.hlines(rows, low, high, color=MUTED, linewidth=1.6)
    for ends in (low, high):
        ranks.plot(ends, rows, "|", color=MUTED, markersize=6, markeredgewidth=1.6)
    ranks.plot(own, rows, "o", color=INK, markersize=4.2)
    ranks.set(xlim=(0.2, len(units) + 0.8), xticks=_ticks(len(units)))
    _dress(bars, f"{LEVEL_NAMES[level]}得分（分）")
    _dress(ranks, "名次（点）与90%名次区间（线）")
    return _saved(page, height, says)


def _ticks(count: int) -> list[int]:
    return [1, *range(5, count + 1, 5)] if count > 6 else list(range(1, count + 1))


# --- what moved one unit


def _mover(data: Facts, says: str) -> Picture:
    unit = largest_mover(data)
    assert unit is not None, "the words have no such figure otherwise"
    steps = _steps(data, unit)
    page, height = _page(16 + 6.4 * (len(steps) + 2))
    ax = page.subplots()
    page.subplots_adjust(0.34, 10 / height, 0.98, 1 - 2 / height)
    at = unit["before"]
    reached = [at]
    for row, (_, points) in enumerate(steps, 1):
        look: dict[str, Any] = (
            {"color": UP} if points > 0 else {"color": DOWN, "hatch": "///", "edgecolor": "white"}
        )
        ax.barh(row, points, left=at, height=0.6, linewidth=0, **look)
        ax.vlines(at, row - 1.3, row + 0.3, color=MUTED, linewidth=0.6)
        at += points
        reached.append(at)
    least, most = min(*reached, unit["score"]), max(*reached, unit["score"])
    room = max(most - least, 0.5) * 0.24
    for row, value in ((0, unit["before"]), (len(steps) + 1, unit["score"])):
        ax.barh(row, value - (least - room), left=least - room, height=0.6, color=INK)
        _write(ax, value + room / 12, row, f"{value:.2f}", ha="left")
    for row, (begin, (_, points)) in enumerate(zip(reached, steps, strict=False), 1):
        _write(ax, max(begin, begin + points) + room / 12, row, say.signed(points), ha="left")
    names = [data["period"]["before"], *(name for name, _ in steps), data["period"]["name"]]
    ax.set(xlim=(least - room, most + room), ylim=(len(steps) + 1.6, -0.6))
    ax.set_yticks(range(len(names)), names)
    _dress(ax, "得分（分）；绿色为拉高，褐色斜纹为拉低")
    return _saved(page, height, says)


def _steps(data: Facts, unit: Facts) -> list[tuple[str, float]]:
    """Return what moved a score, the largest first; all together they are its change."""
    indicators = by_code(data["indicators"])
    told = [(indicators[each["code"]]["name"], each["points"]) for each in unit["moved"][:STEPS]]
    left = unit["score"] - unit["before"] - sum(points for _, points in told)
    return [*told, ("其他指标", left)] if abs(left) >= say.LEAST else told


# --- the map


def _map(data: Facts, says: str) -> Picture:
    units = by_code(data["levels"][Level.TOWN]["units"])
    drawn = {code: rings for code, rings in data["outlines"].items() if code in units}
    corners = np.concatenate([np.array(ring) for rings in drawn.values() for ring in rings])
    (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
    aspect = 1 / np.cos(np.radians((south + north) / 2))
    height = float(np.clip((WIDTH - 34) * (north - south) * aspect / (east - west), 60, 100))
    page, height = _page(height)
    ax = page.add_axes((0.0, 0.0, 1 - 32 / WIDTH, 1.0))
    limits = _limits([unit["score"] for unit in units.values() if unit["score"] is not None])
    for code, rings in sorted(drawn.items()):
        value = units[code]["score"]
        shade = int(np.searchsorted(limits, value, side="right")) if value is not None else -1
        face = {"facecolor": CLASSES[shade]} if shade >= 0 else {"facecolor": "white", "hatch": "////"}
        ax.add_patch(PathPatch(_path(rings), edgecolor=INK, linewidth=0.5, **face))
        x, y = _middle(rings)
        said = units[code]["name"] + (f"\n{value:.1f}" if value is not None else "\n缺")
        _write(ax, x, y, said, ha="center", size=7, color="white" if shade >= 3 else INK)
    room = 0.02 * (east - west)
    ax.set(xlim=(west - room, east + room), ylim=(south - room, north + room), aspect=aspect)
    ax.axis("off")
    _legend(page, limits, any(units[code]["score"] is None for code in drawn))
    return _saved(page, height, says)


def _limits(scores: Sequence[float]) -> list[float]:
    """Return the four limits between five classes of even width, in tenths."""
    least, most = min(scores), max(scores)
    return [round(least + (most - least) * n / len(CLASSES), 1) for n in range(1, len(CLASSES))]


def _path(rings: Sequence[Sequence[Sequence[float]]]) -> Path:
    return Path.make_compound_path(*(Path(np.array(ring), closed=True) for ring in rings))


def _middle(rings: Sequence[Sequence[Sequence[float]]]) -> tuple[float, float]:
    largest = max((shapely.Polygon(ring) for ring in rings), key=lambda shape: shape.area)
    point = shapely.maximum_inscribed_circle(largest).coords[0]
    return point[0], point[1]


def _legend(page: Figure, limits: Sequence[float], lacking: bool) -> None:
    ends = [f"{limits[0]:.1f}以下", *(f"{a:.1f}—{b:.1f}" for a, b in pairwise(limits))]
    ends.append(f"{limits[-1]:.1f}以上")
    keys = [
        Patch(facecolor=c, edgecolor=MUTED, linewidth=0.4, label=e)
        for c, e in zip(CLASSES, ends, strict=True)
    ]
    if lacking:
        keys.append(Patch(facecolor="white", hatch="////", edgecolor=MUTED, label="缺数据"))
    box = page.legend(
        handles=keys[::-1], loc="lower right", frameon=False, prop=_letters(7.5), title="得分（分）",
        title_fontproperties=_letters(7.5), alignment="left",
    )  # fmt: skip
    box.set_zorder(5)


# --- the sheet


def _page(height: float) -> tuple[Figure, float]:
    """Return an empty sheet and its height in mm."""
    page = Figure(figsize=(WIDTH / 25.4, height / 25.4), dpi=DPI)
    FigureCanvasAgg(page)
    return page, height


def _saved(page: Figure, height: float, says: str) -> Picture:
    stream = BytesIO()
    page.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return Picture(stream.getvalue(), WIDTH, round(height, 1), says)


def _letters(size: float) -> FontProperties:
    """Return letters that have Chinese characters, in their simplified forms."""
    found = font(12)
    if found is None:
        return FontProperties(size=size)
    path: Any = str(found.path)
    if hasattr(font_manager, "FontPath"):
        path = font_manager.FontPath(path, found.index)
    return FontProperties(fname=path, size=size)


def _write(ax: Axes, x: Any, y: Any, said: str, ha: str, size: float = 7.5, color: str = INK) -> None:
    ax.text(x, y, said, ha=ha, va="center", color=color, fontproperties=_letters(size), linespacing=1.15)


def _dress(ax: Axes, title: str) -> None:
    ax.set_xlabel(title, fontproperties=_letters(8), color=MUTED, labelpad=3)
    for label in ax.get_xticklabels() + ax.get_yticklabels():
        label.set_fontproperties(_letters(8))
        label.set_color(INK)
    ax.tick_params(length=0)
    ax.grid(axis="x", color=LINE, linewidth=0.5)
    ax.set_axisbelow(True)
    for side in ax.spines.values():
        side.set_visible(False)


_DRAWN = {
    "scores-town": lambda data, says: _scores(data, says, Level.TOWN),
    "scores-department": lambda data, says: _scores(data, says, Level.DEPARTMENT),
    "mover": _mover,
    "map": _map,
}

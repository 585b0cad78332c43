"""The pictures of st_louis.py: one a question, 1200 x 700, in the colours of the product's own maps."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import shapely
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch, Rectangle

from gridmgmt.hotspots.statistics.trend import Pattern

if TYPE_CHECKING:
    from st_louis import Alarm, Alarms, City, HotCells, Patterns, Peaks, Points, Rates, Trends

# gridmgmt/web/static/app.css
RATE = ("#f4f3ef", "#fff4d2", "#fdda96", "#f5a94e", "#d26d2a", "#924018")
GI = ("#2a6ba8", "#6ba3cf", "#bfd7e8", "#e6e6e2", "#f9cdb4", "#e77f5d", "#b2182b")
COLD, _, PALE_COLD, GREY, PALE, _, HOT = GI
INK, MUTED, LINE, HATCH, ACCENT = "#1d2b2e", "#54656a", "#dde4e3", "#6d7577", "#0b5f63"

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def save(name: str, city: "City", answer: Any, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    figure = PICTURES[name](city, answer)
    figure.savefig(folder / f"st-louis-{name}.png", dpi=100)
    plt.close(figure)


def rates(city: "City", answer: "Rates") -> Figure:
    figure = page(
        "Small cells have wild rates; smoothing draws them to the city's, the smaller the more",
        "Damage to property, 2019, in 203 cells of up to 1 km² (cut at parks and at the city limit)",
    )
    limits, cell = (1, 10, 20, 40, 70), answer.most_smoothed
    counts, rate, smoothed = answer
    for k, (name, values) in enumerate({"Count": counts, "Rate": rate, "Smoothed rate": smoothed}.items()):
        colours = np.array(RATE)[np.digitize(values, limits)]
        point_out(draw_map(figure, 0.01 + 0.21 * k, 0.2, city, colours, name), city, cell)
    ax = chart(figure, (0.68, 0.2, 0.3, 0.62), "Rate ○ and smoothed rate ● by area, km²")
    ax.vlines(city.km2, smoothed, rate, color=RATE[3], linewidth=0.8)
    ax.scatter(city.km2, rate, s=14, facecolor="white", edgecolor=RATE[4], linewidth=0.8, zorder=2)
    ax.scatter(city.km2, smoothed, s=12, color=RATE[5], zorder=3)
    mean = counts.sum() / city.km2.sum()
    ax.axhline(mean, color=INK, linewidth=1)
    ax.text(0.42, mean + 1, f"city: {mean:.1f}", color=INK, weight="bold")
    ax.text(city.km2[cell], rate[cell] + 2, city.names[cell], color=INK, weight="bold", ha="center")
    legend(figure, between(limits, "0"), RATE, "incidents; rates: incidents a km² and year")
    return figure


def hot_cells(city: "City", answer: "HotCells") -> Figure:
    test, alone, together = answer
    hot, cold = test.z > 0, test.z < 0
    figure = page(
        f"Of {(alone & hot).sum()} hot cells at p < 0.05, {(together & hot).sum()} stand at q < 0.05",
        "Damage to property, 2019: Gi* of smoothed rates a km², 9,999 permutations, two-sided",
    )
    for k, (name, named) in enumerate({"p < 0.05": alone, "q < 0.05": together}.items()):
        colours = np.select([named & hot, named & cold], [HOT, COLD], GREY)
        draw_map(figure, 0.01 + 0.27 * k, 0.25, city, colours, name, weak=alone & ~named)
    ax = chart(figure, (0.62, 0.2, 0.36, 0.62), "p of the 203 cells in order (log scale)")
    rank, order = np.arange(1, len(city) + 1), np.argsort(test.p_tail)
    colours = np.select([together & hot, together & cold], [HOT, COLD], HATCH)[order]
    ax.scatter(rank, test.p_tail[order], s=14, color=colours, zorder=3)
    ax.axhline(0.05, color=INK, linewidth=1)
    ax.plot(rank, 0.05 * rank / len(rank), color=ACCENT, linewidth=1.4)
    ax.text(203, 0.06, "p = 0.05", ha="right", color=INK)
    ax.text(203, 0.0075, "up to the last point below this line: q < 0.05", ha="right", color=ACCENT)
    ax.set_yscale("log")
    words = ["hot", "cold", "neither", "lost to the correction"]
    legend(figure, words, [HOT, COLD, GREY, GREY], hatched=[3])
    return figure


def trends(city: "City", answer: "Trends") -> Figure:
    cube, _, each, stands = answer
    falls, rises, alone = each.s < 0, each.s > 0, (each.p < 0.05) & ~stands
    figure = page(
        f"Burglary fell: beyond chance in {(stands & falls).sum()} of {len(city)} cells; "
        f"in {(stands & rises).sum()} it rose",
        "Burglaries a month, 2015–2019: seasonal Mann-Kendall, q over 203 cells",
    )
    kinds = {
        "fell, q < 0.05": (stands & falls, COLD),
        "rose, q < 0.05": (stands & rises, HOT),
        "fell, p < 0.05 only": (alone & falls, PALE_COLD),
        "rose, p < 0.05 only": (alone & rises, PALE),
        "no trend": (each.p >= 0.05, GREY),
    }
    ax = draw_classes(figure, 0.68, 0.3, city, kinds, weak=alone)
    z = np.where(stands, each.z, 0)
    series = {"City": cube.sum(axis=0)}
    for cell, what in ((int(z.argmin()), "the clearest fall"), (int(z.argmax()), "the clearest rise")):
        point_out(ax, city, cell)
        series[f"Cell {city.names[cell]}, {what}"] = cube[cell]
    for row, (name, counts) in enumerate(series.items()):
        draw_series(figure, 0.65 - 0.26 * row, f"{name}: burglaries a month, and their mean by year", counts)
    return figure


def draw_series(figure: Figure, bottom: float, name: str, counts: np.ndarray) -> None:
    ax = chart(figure, (0.05, bottom, 0.58, 0.18), name)
    ax.bar(np.arange(60), counts, width=0.75, color=RATE[3])
    means = counts.reshape(-1, 12).mean(axis=1)
    ax.hlines(means, np.arange(0, 60, 12) - 0.4, np.arange(11, 60, 12) + 0.4, color=INK, linewidth=1.4)
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.set_xticks(np.arange(5.5, 60, 12), range(2015, 2020))
    ax.set_xlim(-1, 60)


def patterns(city: "City", answer: "Patterns") -> Figure:
    codes, cell = answer.found.codes, answer.busiest
    seasonal = codes == Pattern.SEASONAL_HOT
    figure = page(
        f"{seasonal.sum()} cells are seasonal: hot in the month of the Saturday 50 days before Easter",
        "Liquor-law incidents by month, 2015–2019: classes of emerging hot spots",
    )
    kinds = {
        "seasonal-recurrent hot spot": (seasonal, ACCENT),
        "persistent hot spot": (codes == Pattern.PERSISTENT_HOT, HOT),
        "sporadic hot spot": (codes == Pattern.SPORADIC_HOT, PALE),
        "no pattern": (codes == Pattern.NONE, GREY),
    }
    point_out(draw_classes(figure, 0.7, 0.28, city, kinds), city, cell)
    ax = chart(figure, (0.06, 0.26, 0.46, 0.5), f"Cell {city.names[cell]}: incidents a month; framed: hot")
    by_year = answer.cube[cell].reshape(-1, 12)
    shade(ax, np.digitize(by_year, (1, 3, 6, 10, 15)))
    for year, month in np.ndindex(by_year.shape):
        n = by_year[year, month]
        ax.text(month, year, n, ha="center", va="center", color="white" if n >= 10 else INK)
        if answer.found.sign[cell, 12 * year + month] > 0:
            framed(ax, month, year)
    ax.text(11.9, -0.6, "busiest day of the year", color=INK, fontsize=10.5)
    for year, (day, n) in enumerate(answer.busiest_days(city)):
        ax.text(11.9, year, f"{day:%a %d %b}: {n}", va="center", color=INK, fontsize=11)
    ax.set_xticks(range(12), MONTHS)
    ax.set_yticks(range(5), range(2015, 2020))
    return figure


def alarms(city: "City", answer: "Alarms") -> Figure:
    shown = answer.shown
    cluster, (seen, awaited) = shown.cluster, shown.after
    figure = page(
        f"{cluster.observed} thefts from vehicles in {52 - cluster.start} weeks, {cluster.expected:.0f} "
        f"expected; in the 4 weeks after {seen}, {awaited:.0f} expected",
        f"Prospective space-time permutation scan as of {shown.day:%d %b %Y}: cluster since "
        f"{shown.since:%d %b}, p = {cluster.p:.3f}, by chance once in "
        f"{cluster.recurrence_interval:,.0f} weekly scans",
    )
    inside = np.isin(np.arange(len(city)), cluster.members)
    kinds = {
        f"cluster of {shown.day:%d %b}: {inside.sum()} cells": (inside, HOT),
        "other cells": (~inside, GREY),
    }
    ax = draw_classes(figure, 0.68, 0.3, city, kinds)
    ax.add_patch(Circle(cluster.centre, cluster.radius, fill=False, edgecolor=INK, linewidth=1.2))
    draw_weeks(figure, shown)
    draw_aftermath(figure, answer.each)
    return figure


def draw_weeks(figure: Figure, shown: "Alarm") -> None:
    ax = chart(figure, (0.05, 0.53, 0.58, 0.28), "Thefts a week in the cells of the cluster; line: expected")
    week = np.arange(len(shown.by_week))
    colours = np.select([week >= 52, week >= shown.cluster.start], [RATE[2], HOT], RATE[3])
    ax.bar(week, shown.by_week, width=0.75, color=colours)
    ax.plot(week, shown.expected, color=INK, linewidth=1.4)
    ax.axvline(51.5, color=ACCENT, linewidth=1.4)
    ax.text(51.9, 0.98, "scan", color=ACCENT, transform=ax.get_xaxis_transform(), va="top", weight="bold")
    ends = shown.day + pd.to_timedelta(7 * (week - 51), unit="D")
    ax.set_xticks(week[3::8], [f"{day:%d %b %y}" for day in ends[3::8]])
    ax.set_xlim(-1, len(week))


def draw_aftermath(figure: Figure, each: Sequence["Alarm"]) -> None:
    words = "Observed / expected at the month-ends: ● best cluster (○ p ≥ 0.05), ◆ next four weeks"
    ax = chart(figure, (0.05, 0.15, 0.58, 0.27), words)
    for x, alarm in enumerate(each):
        during, later = alarm.cluster.relative_risk, alarm.after[0] / alarm.after[1]
        ax.vlines(x, later, during, color=MUTED, linewidth=0.8)
        ax.scatter(x, during, s=56, color=HOT if alarm.cluster.p < 0.05 else "white", edgecolor=HOT, zorder=2)
        ax.scatter(x, later, s=48, marker="D", color=RATE[2], edgecolor=RATE[4], zorder=2)
    ax.axhline(1, color=INK, linewidth=1)
    ax.set_yscale("log", base=2)
    ax.set_yticks([0.5, 1, 2, 4, 8, 16], ["½", "1", "2", "4", "8", "16"])
    ax.set_xticks(range(12), MONTHS)


def points(city: "City", answer: "Points") -> Figure:
    sizes, outlines = answer.sizes, answer.outlines
    figure = page(
        f"{len(sizes)} clusters hold {sizes.sum() / len(answer.xy):.0%} of the thefts from vehicles on "
        f"{answer.km2 / city.km2.sum():.1%} of the city",
        "Thefts from vehicles, 2019: Gaussian kernel, bandwidth 300 m; DBSCAN, at least 30 within 150 m",
    )
    near = tuple(outlines[sizes.argmax()].buffer(400).bounds)
    whole = draw_surface(figure, (0.01, 0.11, 0.3, 0.73), city, answer, tuple(city.cells.total_bounds))
    closer = draw_surface(figure, (0.33, 0.13, 0.65, 0.71), city, answer, near)
    for ax in (whole, closer):
        outlines.boundary.plot(ax=ax, color=ACCENT, linewidth=1.4, zorder=4)
        sides = near[2] - near[0], near[3] - near[1]
        ax.add_patch(Rectangle(near[:2], *sides, fill=False, ec=INK, zorder=5, clip_on=False))
    closer.scatter(*answer.xy.T, s=7, color=INK, linewidth=0, alpha=0.7, zorder=3)
    scale_bar(whole, 5000)
    scale_bar(closer, 500)
    words = "thefts a km² and year; outlined: clusters; dots: thefts"
    legend(figure, between((10, 25, 50, 100, 200), "under 10"), RATE, words)
    return figure


def draw_surface(
    figure: Figure,
    box: tuple[float, float, float, float],
    city: "City",
    answer: "Points",
    bounds: tuple[float, float, float, float],
) -> Axes:
    ax = figure.add_axes(box)
    surface = answer.surface
    limits = [0, 10, 25, 50, 100, 200, 1e9]
    ax.contourf(surface.x, surface.y, surface.density * 1e6, limits, colors=RATE, zorder=1)
    beyond = shapely.box(*city.cells.total_bounds).buffer(5000) - city.cells.union_all()
    gpd.GeoSeries([beyond]).plot(ax=ax, color="white", edgecolor=HATCH, linewidth=0.6, zorder=2)
    west, south, east, north = bounds
    ax.set(xlim=(west, east), ylim=(south, north), aspect="equal")
    ax.set_axis_off()
    return ax


def peaks(city: "City", answer: "Peaks") -> Figure:
    counts, days, found, kinds = answer
    figure = page(
        f"{len(found)} of {counts[:, 0].size} spells stand out, whichever of the five years is left out",
        "Incidents by third of a month (xun), all years, over those of an even year; framed: q < 0.05",
    )
    ax = chart(figure, (0.17, 0.2, 0.81, 0.64), "")
    even = counts.sum(axis=(1, 2))[:, None] * days.sum(axis=0) / days.sum()
    limits = (0.5, 0.7, 0.9, 1.1, 1.3, 1.5)
    shade(ax, np.digitize(counts.sum(axis=1) / even, limits), GI)
    for peak in found:
        framed(ax, peak.start, peak.column, peak.length)
    ax.set_yticks(range(len(kinds)), kinds)
    ax.set_xticks(np.arange(12) * 3 + 1, MONTHS)
    ax.tick_params(labelsize=11)
    legend(figure, between(limits, "under 0.5"), GI, "times an even year")
    return figure


# --- parts of pictures


def page(title: str, under: str) -> Figure:
    """Return a figure that says what was found, and of what."""
    figure = plt.figure(figsize=(12, 7), facecolor="white")
    figure.text(0.02, 0.945, title, fontsize=15, color=INK, weight="bold")
    figure.text(0.02, 0.905, under, fontsize=11, color=MUTED)
    return figure


def chart(figure: Figure, box: tuple[float, float, float, float], name: str) -> Axes:
    ax = figure.add_axes(box)
    ax.set_title(name, loc="left", fontsize=10.5, color=INK)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(MUTED)
    ax.tick_params(which="both", length=0, colors=MUTED, labelsize=9.5)
    ax.grid(axis="y", color=LINE, linewidth=0.8)
    ax.set_axisbelow(True)
    return ax


def draw_map(
    figure: Figure,
    left: float,
    width: float,
    city: "City",
    colours: np.ndarray,
    name: str = "",
    weak: np.ndarray | None = None,
) -> Axes:
    """Draw the cells in their colours, hatched where the evidence is weak."""
    ax = figure.add_axes((left, 0.11, width, 0.73))
    city.cells.plot(ax=ax, color=list(colours), edgecolor="white", linewidth=0.5)
    if weak is not None and weak.any():
        city.cells[weak].plot(ax=ax, facecolor="none", edgecolor=HATCH, hatch="////", linewidth=0)
    west, _, _, north = city.cells.total_bounds
    ax.text(west, north, name, fontsize=12, color=INK, va="top")
    scale_bar(ax, 5000)
    ax.set_axis_off()
    return ax


def draw_classes(
    figure: Figure,
    left: float,
    width: float,
    city: "City",
    kinds: dict[str, tuple[np.ndarray, str]],
    weak: np.ndarray | None = None,
) -> Axes:
    """Draw a map of named classes, each given as (which cells, colour), with its legend."""
    of_kind, colours = zip(*kinds.values(), strict=True)
    hatched = [] if weak is None else [k for k, cells in enumerate(of_kind) if (cells & weak).any()]
    legend(figure, list(kinds), colours, hatched=hatched)
    return draw_map(figure, left, width, city, np.select(of_kind, colours, ""), weak=weak)


def scale_bar(ax: Axes, metres: int) -> None:
    (west, east), (south, north) = ax.get_xlim(), ax.get_ylim()
    x, y = west + 0.02 * (east - west), south + 0.02 * (north - south)
    ax.plot([x, x + metres], [y, y], color=MUTED, linewidth=2, zorder=6)
    words = f"{metres // 1000} km" if metres >= 1000 else f"{metres} m"
    ax.text(x, y + 0.01 * (north - south), words, color=MUTED, fontsize=9, va="bottom", zorder=6)


def point_out(ax: Axes, city: "City", cell: int) -> None:
    """Frame a cell and write its name beside it."""
    shape = city.cells.geometry[cell]
    gpd.GeoSeries([shape]).boundary.plot(ax=ax, color=INK, linewidth=1.6)
    ax.annotate(
        city.names[cell],
        (shape.bounds[0], shape.bounds[3]),
        (-16, 14),
        textcoords="offset points",
        ha="right",
        color=INK,
        weight="bold",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8},
        arrowprops={"arrowstyle": "-", "color": INK},
    )


def shade(ax: Axes, classes: np.ndarray, colours: Sequence[str] = RATE) -> None:
    """Draw a table of classes, its squares apart."""
    ax.imshow(classes, cmap=ListedColormap(colours), vmin=0, vmax=len(colours) - 1, aspect="auto")
    ax.set_xticks(np.arange(classes.shape[1] + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(classes.shape[0] + 1) - 0.5, minor=True)
    ax.grid(visible=False)
    ax.grid(which="minor", color="white", linewidth=2)
    ax.spines[:].set_visible(False)


def framed(ax: Axes, column: float, row: float, length: int = 1) -> None:
    corner = column - 0.47, row - 0.47
    ax.add_patch(Rectangle(corner, length - 0.06, 0.94, fill=False, ec=INK, linewidth=2.5, zorder=3))


def between(limits: Sequence[float], first: str) -> list[str]:
    """Return words for the classes between limits: 1–9 of whole numbers, 0.8–1 of others."""
    whole = all(limit == int(limit) for limit in limits)
    return [first, *(f"{a:g}–{b - whole:g}" for a, b in pairwise(limits)), f"{limits[-1]:g} or more"]


def legend(
    figure: Figure, words: Sequence[str], colours: Sequence[str], unit: str = "", hatched: Sequence[int] = ()
) -> None:
    rows = [
        Patch(facecolor=colour, edgecolor=HATCH, linewidth=0.4, label=word, hatch="////" * (k in hatched))
        for k, (word, colour) in enumerate(zip(words, colours, strict=True))
    ]
    place = {"loc": "lower left", "bbox_to_anchor": (0.01, 0.01), "alignment": "left"}
    shown = figure.legend(handles=rows, title=unit, ncols=len(rows), frameon=False, fontsize=10, **place)
    shown.get_title().set(color=MUTED, fontsize=10)


PICTURES: dict[str, Callable[..., Figure]] = {
    "rates": rates,
    "gi-star": hot_cells,
    "trend": trends,
    "emerging": patterns,
    "scan": alarms,
    "density": points,
    "peaks": peaks,
}

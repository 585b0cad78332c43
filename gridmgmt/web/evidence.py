"""Draws what an item of the list rests on: its years side by side, where it was, and areas like its own."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from flask_login import current_user
from sqlalchemy import Connection

from gridmgmt.config import FEWEST_HOUSEHOLDS
from gridmgmt.db.models import Role
from gridmgmt.grids import service as grids
from gridmgmt.grids.codes import DIGITS
from gridmgmt.seasonal import evidence as proofs
from gridmgmt.seasonal import stored as seasonal
from gridmgmt.seasonal.evidence import Beside, Evidence, Season, Told
from gridmgmt.seasonal.stored import Item
from gridmgmt.web import ranking
from gridmgmt.web.areas import LEVELS, Place, Territory, reaching
from gridmgmt.web.kept import Kept
from gridmgmt.web.scope import own_area, own_staff

# Who may see where matters were; a planner works with counts alone.
SPOT_READERS = (Role.GRID_WORKER, Role.TOWN_OFFICER, Role.COMMAND)
# What an area is shaded by: the level of its parts.
PARTS = {"county": "village", "town": "grid", "village": "grid", "grid": "grid"}
LISTED = {"itself": "已列入", "parts": "所辖有列入", "no": "未列入"}
# Fewer areas to compare with would name them, where they may not be named.
FEWEST_ALIKE = 3
WIDTH, LOWEST, HIGHEST = 400.0, 200.0, 380.0
FINEST = 0.35
MARGIN = 0.12
SCALES = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)
_METRES_A_DEGREE = 111_195.0
# The matters of a category, read and laid on the grids once for all its items.
_told: Kept[Told] = Kept(16)


@dataclass(frozen=True)
class YearLine:
    """A past season of the item: problems a bin as a stepped area in a box `YearsChart.days` × 100.

    `inside` and `usual` are the list's own: problems in the window, and in as many days of the rest.
    """

    year: int
    path: str
    unknown: tuple[tuple[float, float], ...]
    inside: int
    usual: float
    start: date
    end: date


@dataclass(frozen=True)
class YearsChart:
    """Years on one scale, `most` the highest bin; the window is from `lead` on, `window` of `days` long."""

    days: int
    lead: int
    window: int
    bin_days: int
    most: float
    lines: tuple[YearLine, ...]
    expected: str


@dataclass(frozen=True)
class Shape:
    """An area on the map: its path, its class (`rate-3`, `few`, `apart`, `around`) and what it says."""

    path: str
    look: str
    words: str


@dataclass(frozen=True)
class PlaceMap:
    """The map of an item in its own units; `spots` are x, y, radius and problems.

    `open` says whether this person may see spots, `only` names the part of the item's area that is shown.
    """

    width: float
    height: float
    shapes: tuple[Shape, ...]
    outline: str
    lines: tuple[tuple[str, str], ...]
    spots: tuple[tuple[float, float, float, int], ...]
    spot_metres: float
    open: bool
    only: str
    legend: tuple[tuple[int, str], ...]
    parts: str
    scale: tuple[float, str]


@dataclass(frozen=True)
class LikeRow:
    """An area beside the item's; `yearly` is None where it would tell of fewer than five households."""

    name: str
    households: str
    inside: tuple[int, ...]
    yearly: float | None
    listed: str
    own: bool


@dataclass(frozen=True)
class Likeness:
    """Areas most like the item's; those outside the reader's area are told of together, without names.

    `whole` says that the item counts less than all of its area, which is compared here.
    """

    level: str
    name: str
    rows: tuple[LikeRow, ...]
    together: tuple[float, float, float] | None
    number: int
    own: float
    whole: bool


def shown_evidence(connection: Connection, item: Item, here: Territory) -> dict[str, Any]:
    """Return what the evidence of an item shows to who is signed in: chart, map, and areas like its own."""
    run = seasonal.run_of(connection, item.year)
    codes, named = _alike(item, here)
    key = (str(connection.engine.url), run.id, item.category)
    matters = _told.get(key, lambda: proofs.told(connection, item.category, run, here.grids), here.version)
    found = proofs.read(connection, item, run, matters, beside=codes, spots_in=_open_to_spots(item, here))
    since = grids.in_force_since(connection, item.area) if item.level == "grid" else None
    told = [year["told"] for year in item.years if "told" in year]
    return {
        "run": run,
        "chart": years_chart(item, found),
        "map": place_map(item, found, here),
        "alike": _likeness(item, found, here, named=named),
        "inside": sum(year["inside"] for year in item.years),
        "told": sum(told) if len(told) == len(item.years) and sum(told) else None,
        "younger": since if since and since > run.start else None,
    }


# --- years side by side


def years_chart(item: Item, found: Evidence) -> YearsChart:
    """Return the past seasons of an item and the coming one, all on one scale."""
    every = np.concatenate([*(season.problems for season in found.seasons), found.expected])
    most = max(float(np.nanmax(every)) if np.isfinite(every).any() else 0.0, 1.0)
    stored = {int(year["year"]): year for year in item.years}
    return YearsChart(
        days=int(len(found.offsets) * found.bin_days),
        lead=int(-found.offsets[0]),
        window=(item.end_on - item.start_on).days + 1,
        bin_days=found.bin_days,
        most=most,
        lines=tuple(_line(season, found, most, stored[season.year]) for season in found.seasons),
        expected=_steps(found.expected, found.bin_days, most),
    )


def _line(season: Season, found: Evidence, most: float, stored: Mapping[str, Any]) -> YearLine:
    missing = np.flatnonzero(np.isnan(season.problems)) * found.bin_days
    return YearLine(
        year=season.year,
        path=_steps(np.nan_to_num(season.problems), found.bin_days, most),
        unknown=tuple((float(x), float(found.bin_days)) for x in missing),
        inside=int(stored["inside"]),
        usual=float(stored["outside"]),
        start=season.start,
        end=season.end,
    )


def _steps(values: np.ndarray, width: int, most: float) -> str:
    """Return a stepped area over bins as a path; the base line is at 100, `most` at 4."""
    points = ["M0 100"]
    for k, value in enumerate(values.tolist()):
        y = f"{100 - 96 * value / most:.1f}"
        points.append(f"L{k * width} {y}L{(k + 1) * width} {y}")
    return "".join([*points, f"L{len(values) * width} 100Z"])


# --- where


def _open_to_spots(item: Item, here: Territory) -> list[str]:
    """Return the grids whose past matters this person may see as points."""
    if current_user.role not in SPOT_READERS:
        return []
    return [place.code for place in here.inside("grid", _narrower(item)) if not place.few(own=own_staff())]


def _narrower(item: Item) -> str:
    """Return the item's area or the reader's own, whichever lies inside the other."""
    return max(item.area, own_area(), key=len)


def place_map(item: Item, found: Evidence, here: Territory) -> PlaceMap | None:
    """Return the map of an item inside the reader's area, or None where nothing of it lies there."""
    area = _narrower(item)
    level = PARTS[next(level for level, digits in DIGITS.items() if digits == len(area))]
    parts = here.inside(level, area)
    box = here.bounds(area)
    if box is None or not parts:
        return None
    view = _View.around(box)
    counts = {part.code: _count(part.code, found.by_grid) for part in parts}
    shaded = len(parts) > 1
    limits = _limits([counts[part.code] for part in parts if not part.few(own=own_staff())]) if shaded else []
    shapes = [_shape(part, counts[part.code], limits, found.apart, view, shaded=shaded) for part in parts]
    around = [place for place in here.inside(level, own_area()) if not place.code.startswith(area)]
    context = reaching(around, view.box)
    union = shapely.union_all([part.shape for part in parts])
    return PlaceMap(
        width=WIDTH,
        height=view.height,
        shapes=(*(Shape(view.path(place.shape), "around", place.name) for place in context), *shapes),
        outline=view.path(union),
        lines=tuple((kind, view.path(line)) for kind, line in _context_lines(here.layers, view.box)),
        spots=tuple(_spot(view, spot) for spot in found.spots),
        spot_metres=found.spot_metres,
        open=current_user.role in SPOT_READERS,
        only=here.name(area) if area != item.area else "",
        legend=tuple(_legend(limits)) if shaded else (),
        parts=LEVELS[level],
        scale=view.scale(),
    )


@dataclass(frozen=True)
class _View:
    """A stretch of the globe on a flat picture: straight up is north, a metre the same both ways."""

    box: tuple[float, float, float, float]
    height: float
    east: float  # units a degree
    north: float

    @classmethod
    def around(cls, box: tuple[float, float, float, float]) -> "_View":
        west, south, east, north = box
        narrow = float(np.cos(np.radians((south + north) / 2)))
        wide, tall = max((east - west) * narrow, 1e-4), max(north - south, 1e-4)
        wide, tall = wide * (1 + 2 * MARGIN), tall * (1 + 2 * MARGIN)
        height = min(max(WIDTH * tall / wide, LOWEST), HIGHEST)
        per_degree = min(WIDTH / wide, height / tall)
        half_x, half_y = WIDTH / per_degree / narrow / 2, height / per_degree / 2
        x, y = (west + east) / 2, (south + north) / 2
        return cls((x - half_x, y - half_y, x + half_x, y + half_y), height, per_degree * narrow, per_degree)

    def place(self, lon: float, lat: float) -> tuple[float, float]:
        return round((lon - self.box[0]) * self.east, 1), round((self.box[3] - lat) * self.north, 1)

    def path(self, shape: Any) -> str:
        """Return polygons or lines as a path, without what is finer than a pixel."""
        parts = shapely.get_parts(shapely.simplify(shape, FINEST / self.north))
        lines = shapely.get_parts(shapely.boundary(parts)) if shape.area else parts
        return "".join(self._line(shapely.get_coordinates(line)) for line in lines)

    def _line(self, points: np.ndarray) -> str:
        flat = (points - [self.box[0], self.box[3]]) * [self.east, -self.north]
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in flat.tolist())

    def scale(self) -> tuple[float, str]:
        """Return the longest round length that takes at most a third of the width, and what it is called."""
        a_metre = self.north / _METRES_A_DEGREE
        length = max((each for each in SCALES if each * a_metre <= WIDTH / 3), default=SCALES[0])
        return round(length * a_metre, 1), f"{length} 米" if length < 1000 else f"{length // 1000} 公里"


def _count(code: str, by_grid: Mapping[str, int]) -> int:
    return sum(number for grid, number in by_grid.items() if grid.startswith(code))


def _limits(counts: Sequence[int]) -> list[float]:
    """Return the rising class limits of whole numbers: each number its own class where there are few."""
    known = sorted({count for count in counts if count})
    return [float(each) for each in known[1:]] if len(known) <= ranking.CLASSES else ranking.breaks(counts)


def _shape(
    part: Place, count: int, limits: Sequence[float], apart: Iterable[str], view: _View, *, shaded: bool
) -> Shape:
    path = view.path(part.shape)
    if any(part.code.startswith(code) for code in apart):
        return Shape(path, "apart", f"{part.name}：已单独列入清单")
    if part.few(own=own_staff()):
        return Shape(path, "few", f"{part.name}：不足 {FEWEST_HOUSEHOLDS} 户，不显示")
    look = f"rate-{ranking.class_of(count, limits)}" if shaded else "whole"
    return Shape(path, look, f"{part.name}：往年窗口内 {count} 个问题")


def _spot(view: _View, spot: proofs.Spot) -> tuple[float, float, float, int]:
    return (*view.place(spot.lon, spot.lat), round(2.2 * spot.problems**0.5, 1), spot.problems)


def _legend(limits: Sequence[float]) -> Iterable[tuple[int, str]]:
    """Yield class and what it means, of whole numbers."""
    if not limits:
        yield 1, "有问题"
        return
    lows = [1, *(int(np.ceil(limit)) for limit in limits)]
    highs = [*(int(np.ceil(limit)) - 1 for limit in limits), None]
    for step, (low, high) in enumerate(zip(lows, highs, strict=True), 1):
        if high is None:
            yield step, f"{low} 以上"
        elif high >= low:
            yield step, f"{low}" if low == high else f"{low}—{high}"


@lru_cache(maxsize=4)
def _layers(text: str) -> list[tuple[str, shapely.Geometry]]:
    return [
        (each["properties"]["layer"], shapely.geometry.shape(each["geometry"]))
        for each in json.loads(text)["features"]
    ]


def _context_lines(layers: str, box: tuple[float, float, float, float]) -> list[tuple[str, Any]]:
    cut = [(kind, shapely.clip_by_rect(shape, *box)) for kind, shape in _layers(layers)]
    return [(kind, shape) for kind, shape in cut if not shape.is_empty]


# --- areas like its own


def _alike(item: Item, here: Territory) -> tuple[list[str], bool]:
    """Return the areas most like the item's, and whether this person may read their names."""
    if item.level not in here.places:
        return [], False
    mine = own_area()
    named = len(here.inside(item.level, mine)) > 1 and item.area.startswith(mine)
    places = here.inside(item.level, mine if named else "")
    sizes = {place.code: (place.households or 0, float(shapely.area(place.shape))) for place in places}
    few = {
        place.code
        for place in places
        if place.code != item.area and 0 < (place.households or 0) < FEWEST_HOUSEHOLDS
    }
    return proofs.alike(item.area, {code: size for code, size in sizes.items() if code not in few}), named


def _likeness(item: Item, found: Evidence, here: Territory, *, named: bool) -> Likeness | None:
    """Return the comparison, or None where there is nothing to compare with, or too little to keep names."""
    if not found.beside or (not named and len(found.beside) < FEWEST_ALIKE):
        return None
    own = _yearly(found.own)
    yearly = [_yearly(each) for each in found.beside]
    rows = [found.own, *found.beside] if named else []
    return Likeness(
        level=LEVELS[item.level],
        name=here.name(item.area),
        rows=tuple(_like_row(each, here, own=each is found.own) for each in rows),
        together=None if named else (float(np.mean(yearly)), min(yearly), max(yearly)),
        number=len(yearly),
        own=own,
        whole=bool(found.apart),
    )


def _yearly(each: Beside) -> float:
    return sum(each.inside) / max(len(each.inside), 1)


def _like_row(each: Beside, here: Territory, *, own: bool) -> LikeRow:
    place = here.place(each.code)
    households = place.households if place else None
    few = place is not None and place.few(own=own_staff())
    return LikeRow(
        name=place.name if place else each.code,
        households="" if households is None else f"不足 {FEWEST_HOUSEHOLDS}" if few else f"{households:,}",
        inside=() if few else each.inside,
        yearly=None if few else _yearly(each),
        listed=LISTED[each.listed],
        own=own,
    )

"""The survey as pictures: areas coloured by their share of verified dwellings, and the share day by day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import shapely

from gridmgmt.households.visits.surveys import Progress, Share, SurveyLine
from gridmgmt.web.areas import Place

WIDTH, HIGHEST = 640.0, 520.0
CURVE_WIDTH, CURVE_HEIGHT = 640, 160
# Five classes, the darker the further; the last is for what is done.
CLASSES = ((0.25, "不到 25%"), (0.5, "25%—50%"), (0.75, "50%—75%"), (1.0, "75% 以上"), (np.inf, "全部核对"))


def share_class(share: float) -> int:
    """Return the class of a share, 1 to 5; 5 is the whole.

    >>> share_class(0.0), share_class(0.25), share_class(0.999), share_class(1.0)
    (1, 2, 4, 5)
    """
    return next(n for n, (limit, _) in enumerate(CLASSES, 1) if share < limit)


@dataclass(frozen=True)
class AreaShape:
    """An area on the picture; `step` is its class, None where nothing may be shown or known."""

    code: str
    name: str
    path: str
    step: int | None
    words: str


@dataclass(frozen=True)
class AreaMap:
    """A picture of some areas, north up; metres are as long either way."""

    height: float
    shapes: tuple[AreaShape, ...]


def area_map(places: Sequence[Place], shares: Mapping[str, Share]) -> AreaMap | None:
    """Return the areas coloured by their share; None where there are none to draw."""
    if not places:
        return None
    boxes = np.array([place.bounds for place in places])
    west, south = boxes[:, :2].min(axis=0)
    east, north = boxes[:, 2:].max(axis=0)
    narrow = np.cos(np.radians((south + north) / 2))
    scale = min(WIDTH / max((east - west) * narrow, 1e-6), HIGHEST / max(north - south, 1e-6))
    left = (WIDTH - (east - west) * narrow * scale) / 2
    shapes = []
    for place in places:
        share = shares.get(place.code)
        flat = shapely.transform(
            place.shape, lambda xy: (xy - [west, north]) * [narrow * scale, -scale] + [left, 0]
        )
        known = share.share if share else None
        shapes.append(
            AreaShape(
                place.code,
                place.name,
                _path(flat),
                None if known is None else share_class(known),
                f"{place.name}：{words(share)}",
            )
        )
    return AreaMap(float((north - south) * scale), tuple(shapes))


def words(share: Share | None) -> str:
    """Return a share in words."""
    if share is None or share.dwellings is None or share.verified is None:
        return "不足 5 套，不显示"
    return f"{share.verified} / {share.dwellings} 套，{int(100 * (share.share or 0))}%"


def _path(shape: shapely.Geometry) -> str:
    rings = [ring for part in shapely.get_parts(shape) for ring in shapely.get_rings(part)]
    lines = (shapely.get_coordinates(ring)[:-1].round(1).tolist() for ring in rings)
    return "".join("M" + "L".join(f"{x:g} {y:g}" for x, y in line) + "Z" for line in lines)


@dataclass(frozen=True)
class Curve:
    """The share verified day by day; `pace` ends where an even pace would be on the last day."""

    points: str
    pace: str
    last: tuple[float, float]
    ticks: tuple[tuple[float, date], ...]


def curve(survey: SurveyLine, found: Progress, today: date) -> Curve | None:
    """Return the curve from the first day to today or the last day; None where nothing may be shown."""
    total = sum(grid.dwellings or 0 for grid in found.grids)
    if not total:
        return None
    end = max(survey.due_on, min(today, survey.due_on + timedelta(days=30)))
    length = max((end - survey.start_on).days, 1)

    def x(day: date) -> float:
        return round((min(day, end) - survey.start_on).days / length * CURVE_WIDTH, 1)

    def y(count: float) -> float:
        return round(CURVE_HEIGHT * (1 - count / total), 1)

    points, count = [(0.0, y(0))], 0
    for day, verified in found.days:
        points.append((x(day), y(count)))
        count += verified
        points.append((x(day), y(count)))
    points.append((x(min(today, end)), y(count)))
    ticks = tuple((x(day), day) for day in (survey.start_on, survey.due_on))
    line = " ".join(f"{a:g},{b:g}" for a, b in points)
    return Curve(line, f"0,{CURVE_HEIGHT} {x(survey.due_on):g},0", points[-1], ticks)

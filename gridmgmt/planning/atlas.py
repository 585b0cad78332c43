"""The atlas of a plan: an overview, then a printed page a grid with its map, figures and neighbours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, floor, log10, radians

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from gridmgmt.planning.pdf import A4_ACROSS, Colour, Document, FontMaker, Page
from gridmgmt.seasonal.export.fonts import font

METRES_A_DEGREE = 111_320.0
_INK: Colour = (0.11, 0.17, 0.18)
_QUIET: Colour = (0.33, 0.4, 0.42)
_RULE: Colour = (0.75, 0.79, 0.79)
_AROUND: Colour = (0.93, 0.95, 0.94)
_OWN: Colour = (0.8, 0.9, 0.89)
_LINE: Colour = (0.04, 0.37, 0.39)
_WAS: Colour = (0.7, 0.15, 0.12)
_RIVER: Colour = (0.5, 0.7, 0.84)
_ROAD: Colour = (0.64, 0.61, 0.56)
_MARGIN = 34.0
_MAP = (_MARGIN, 52.0, 528.0, 478.0)  # x, y, width, height
_SIDE = _MARGIN + 528.0 + 20.0
_INDEX_LINES, _INDEX_SIZE = 30, 14.5


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A grid beside another one."""

    name: str
    code: str
    shape: BaseGeometry


@dataclass(frozen=True, eq=False)
class AtlasPage:
    """What stands on the page of a grid; `was` is its shape in force, None for a new one."""

    name: str
    code: str
    path: str
    status: str
    shape: BaseGeometry
    was: BaseGeometry | None
    facts: Sequence[tuple[str, str]]
    neighbours: Sequence[Neighbour]
    lines: Sequence[tuple[str, BaseGeometry]]  # layer and shape


def atlas(pages: Sequence[AtlasPage], title: str, signature: str, fonts: FontMaker = font) -> bytes:
    """Return an atlas as a PDF file: A4 across, vectors, text that can be searched.

    `fonts` gives a font of a size in pixels; without one that has Chinese characters those stay empty.
    """
    document = Document(fonts)
    indexed = [list(part) for part in _parts(pages, _INDEX_LINES)] or [[]]
    total = len(indexed) + len(pages)
    for number, part in enumerate(indexed):
        first = len(indexed) + number * _INDEX_LINES + 1
        page = document.page()
        _overview(page, pages, part, first, title)
        _foot(page, title, signature, number + 1, total)
    for number, each in enumerate(pages, len(indexed) + 1):
        page = document.page()
        _map(page, each)
        _side(page, each)
        _foot(page, title, signature, number, total)
    return document.bytes(title)


def _parts(pages: Sequence[AtlasPage], size: int) -> Iterator[Sequence[AtlasPage]]:
    for start in range(0, len(pages), size):
        yield pages[start : start + size]


@dataclass(frozen=True)
class _View:
    """Where degrees come to lie on a page: a box of the earth in the map's frame, as large as it fits."""

    west: float
    south: float
    scale: float  # points a degree of latitude
    squeeze: float
    left: float
    bottom: float

    @classmethod
    def of(cls, box: Sequence[float], room: float) -> "_View":
        west, south, east, north = box
        squeeze = cos(radians((south + north) / 2))
        x, y, width, height = _MAP
        wide, high = max((east - west) * squeeze, 1e-6), max(north - south, 1e-6)
        scale = min(width / wide, height / high) * room
        left, bottom = x + (width - wide * scale) / 2, y + (height - high * scale) / 2
        return cls(west, south, scale, squeeze, left, bottom)

    def rings(self, shape: BaseGeometry) -> list[np.ndarray]:
        """Return a shape's rings or lines in points of the page."""
        found = []
        for part in shapely.get_parts(shape):
            whole = [part] if part.geom_type == "LineString" else [part.exterior, *part.interiors]
            found += [self.placed(shapely.get_coordinates(ring)) for ring in whole]
        return found

    def placed(self, points: np.ndarray) -> np.ndarray:
        x = self.left + (points[:, 0] - self.west) * self.squeeze * self.scale
        return np.column_stack([x, self.bottom + (points[:, 1] - self.south) * self.scale])


def _overview(page: Page, pages: Sequence[AtlasPage], part: list[AtlasPage], first: int, title: str) -> None:
    shapes = [each.shape for each in pages]
    if shapes:
        view = _View.of(shapely.total_bounds(shapes).tolist(), 0.92)
        _begin_map(page)
        for neighbour in {n.code: n for each in pages for n in each.neighbours}.values():
            page.area(view.rings(neighbour.shape), _AROUND, _RULE, 0.4)
        for each in pages:
            page.area(view.rings(each.shape), _OWN if each in part else (1, 1, 1), _LINE, 0.8)
        for number, each in enumerate(part, first):
            x, y = _middle(view, each.shape)
            page.text(x, y - 3, str(number), 8, _INK, 0.5)
        _end_map(page, view)
    page.text(_SIDE, 512, title, 15)
    page.text(_SIDE, 494, f"涉及网格 {len(pages)} 个", 10, _QUIET)
    for line, (number, each) in enumerate(enumerate(part, first)):
        y = 470 - line * _INDEX_SIZE
        page.text(_SIDE + 18, y, str(number), 9, _QUIET, 1)
        page.text(_SIDE + 24, y, _cut(page, each.name, 9, 150), 9)
        page.text(A4_ACROSS[0] - _MARGIN, y, each.status, 9, _QUIET, 1)


def _map(page: Page, each: AtlasPage) -> None:
    shown = each.shape if each.was is None else shapely.union_all([each.shape, each.was])
    view = _View.of(shown.bounds, 0.72)
    _begin_map(page)
    for neighbour in each.neighbours:
        page.area(view.rings(neighbour.shape), _AROUND, (0.6, 0.66, 0.67), 0.7)
    page.area(view.rings(each.shape), _OWN)
    for layer, line in each.lines:
        _context(page, view, layer, line)
    page.area(view.rings(each.shape), None, _LINE, 2)
    if each.was is not None and not each.was.equals(each.shape):
        page.area(view.rings(each.was), None, _WAS, 1.1, "5 3")
    _labels(page, view, each)
    _end_map(page, view)


def _context(page: Page, view: _View, layer: str, shape: BaseGeometry) -> None:
    for points in view.rings(shape):
        page.line(points, _RIVER if layer == "river" else _ROAD, 1.6 if layer == "river" else 0.9)


def _labels(page: Page, view: _View, each: AtlasPage) -> None:
    """Write the numbers of neighbours where their ground is seen, and the grid's own name."""
    x, y, width, height = _MAP
    corners = np.array([[x, y], [x + width, y + height]])
    seen = corners - [view.left, view.bottom]
    seen = seen / [view.squeeze * view.scale, view.scale] + [view.west, view.south]
    frame = shapely.box(*seen.ravel())
    for number, neighbour in enumerate(each.neighbours, 1):
        inside = shapely.intersection(neighbour.shape, frame)
        if not inside.is_empty and inside.area > frame.area / 400:
            at_x, at_y = _middle(view, inside)
            page.text(at_x, at_y - 3, str(number), 9, _QUIET, 0.5)
    at_x, at_y = _middle(view, each.shape)
    page.text(at_x, at_y - 4, each.name, 11, _INK, 0.5)


def _middle(view: _View, shape: BaseGeometry) -> tuple[float, float]:
    point = view.placed(shapely.get_coordinates(shapely.point_on_surface(shape)))[0]
    return float(point[0]), float(point[1])


def _begin_map(page: Page) -> None:
    page.clip(*_MAP)


def _end_map(page: Page, view: _View) -> None:
    page.unclip()
    x, y, width, height = _MAP
    page.area([_box(x, y, width, height)], None, _RULE, 0.6)
    metres = _round(90 / view.scale * METRES_A_DEGREE)
    length = metres / METRES_A_DEGREE * view.scale
    page.area([_box(x + 8, y + 8, length + 16, 22)], (1, 1, 1))
    left, right = x + 16, x + 16 + length
    page.line([(left, y + 18), (left, y + 14), (right, y + 14), (right, y + 18)], _INK, 0.9)
    said = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    page.text((left + right) / 2, y + 20, said, 8, _INK, 0.5)
    right, top = x + width - 20, y + height - 14
    page.area([[(right, top), (right - 6, top - 20), (right, top - 15), (right + 6, top - 20)]], _INK)
    page.text(right, top - 31, "北", 9, _INK, 0.5)


def _box(x: float, y: float, width: float, height: float) -> list[tuple[float, float]]:
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def _round(metres: float) -> float:
    """Return the largest 1, 2 or 5 times a power of ten that is not above."""
    power = 10.0 ** floor(log10(metres))
    return max(step * power for step in (1, 2, 5) if step * power <= metres)


def _side(page: Page, each: AtlasPage) -> None:
    right = A4_ACROSS[0] - _MARGIN
    page.text(_SIDE, 512, _cut(page, each.name, 17, right - _SIDE), 17)
    page.text(_SIDE, 493, each.path, 10, _QUIET)
    page.text(_SIDE, 478, f"{each.code}　{each.status}", 10, _QUIET)
    y = 452.0
    for name, value in each.facts:
        page.text(_SIDE, y, name, 10, _QUIET)
        page.text(right, y, value, 11, _INK, 1)
        page.line([(_SIDE, y - 5), (right, y - 5)], _RULE, 0.4)
        y -= 19
    page.text(_SIDE, y - 12, f"相邻网格（{len(each.neighbours)} 个）", 10)
    y -= 28
    for number, neighbour in enumerate(each.neighbours, 1):
        if y < 76:
            page.text(_SIDE, y, f"另有 {len(each.neighbours) - number + 1} 个", 9, _QUIET)
            break
        page.text(_SIDE + 14, y, str(number), 9, _QUIET, 1)
        page.text(_SIDE + 20, y, _cut(page, neighbour.name, 9, right - _SIDE - 20), 9)
        y -= 14
    if each.was is not None and not each.was.equals(each.shape):
        page.line([(_SIDE, 60), (_SIDE + 24, 60)], _WAS, 1.1, "5 3")
        page.text(_SIDE + 30, 57, "现行边界", 9, _QUIET)


def _foot(page: Page, title: str, signature: str, number: int, total: int) -> None:
    right = A4_ACROSS[0] - _MARGIN
    page.text(_MARGIN, 32, f"{title}　{signature}", 8, _QUIET)
    page.text(right, 32, f"第 {number} 页，共 {total} 页", 8, _QUIET, 1)


def _cut(page: Page, text: str, size: float, room: float) -> str:
    if page.glyphs.width(text, size) <= room:
        return text
    while text and page.glyphs.width(text + "…", size) > room:
        text = text[:-1]
    return text + "…"

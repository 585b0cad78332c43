"""A view of the map as a PNG for reports: title, map, legend, scale, north, source.

Drawn twice as large and reduced, so that edges are smooth. The same data makes the same bytes.
"""

import json
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import shapely
from PIL import Image, ImageDraw, ImageFont

from gridmgmt.errors import SetupError
from gridmgmt.seasonal.export.fonts import font
from gridmgmt.web.areas import Place
from gridmgmt.web.flat import Frame
from gridmgmt.web.map_view import View

WIDTH, HEIGHT = 1920, 1200
TWICE = 2
TITLE, FOOT, SIDE, EDGE = 112, 64, 340, 32
# As static/app.css has them; a test compares the two.
COLOURS = {
    "rate-0": "#f4f3ef", "rate-1": "#fff4d2", "rate-2": "#fdda96", "rate-3": "#f5a94e", "rate-4": "#d26d2a",
    "rate-5": "#924018", "gi-m3": "#2a6ba8", "gi-m2": "#6ba3cf", "gi-m1": "#bfd7e8", "gi-0": "#e6e6e2",
    "gi-1": "#f9cdb4", "gi-2": "#e77f5d", "gi-3": "#b2182b", "hatch": "#6d7577", "edge": "#ffffff",
    "town": "#33474c", "river": "#7fb2d6", "road": "#a49c90", "ink": "#1d2b2e", "muted": "#54656a",
    "line": "#dde4e3", "pattern-new": "#6a1b7a", "pattern-growing": "#b2182b", "pattern-lasting": "#d26d2a",
    "pattern-seasonal": "#2b8a86", "pattern-now_and_then": "#e5b96b", "pattern-fading": "#a8bccb",
    "pattern-cold": "#dbe6ee",
}  # fmt: skip
_HATCH = 12  # pixels between the lines that mark weak evidence
_ROW = 40
# Context layers that are drawn, and how wide.
WIDTHS = {"river": 4, "road": 2}


def png(view: View) -> bytes:
    """Return the picture of a view, WIDTH × HEIGHT pixels.

    Raises SetupError when the machine has no font with Chinese characters.
    """
    drawing = _Drawing(view)
    drawing.map()
    drawing.words()
    image = drawing.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    stream = BytesIO()
    image.quantize(200, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True, dpi=(150, 150))
    return stream.getvalue()


@dataclass(frozen=True)
class _Fonts:
    title: ImageFont.FreeTypeFont
    text: ImageFont.FreeTypeFont
    small: ImageFont.FreeTypeFont

    @classmethod
    def found(cls) -> "_Fonts":
        sizes = [font(size * TWICE) for size in (36, 24, 19)]
        if any(each is None for each in sizes):
            raise SetupError("no font with Chinese characters; install one: apt-get install fonts-noto-cjk")
        return cls(*sizes)  # type: ignore[arg-type]


class _Drawing:
    def __init__(self, view: View) -> None:
        self.view, self.fonts = view, _Fonts.found()
        self.image = Image.new("RGB", (WIDTH * TWICE, HEIGHT * TWICE), "white")
        self.pen = ImageDraw.Draw(self.image)
        bounds = view.here.bounds(view.area) or (0.0, 0.0, 1.0, 1.0)
        box = (EDGE, TITLE + 8, WIDTH - SIDE - 2 * EDGE, HEIGHT - TITLE - FOOT - 24)
        left, top, width, height = (each * TWICE for each in box)
        self.frame = Frame.around(bounds, (left, top, width, height))

    # --- the map

    def map(self) -> None:
        """Draw areas, hatching, rivers, roads and the lines and names of towns, the largest area first.

        An area inside another lies in a hole of it, so drawn after it; holes need no drawing then.
        """
        lines = sorted(self.view.lines, key=lambda line: (-shapely.area(line.place.shape), line.place.code))
        weak = Image.new("L", self.image.size, 0)
        on_weak = ImageDraw.Draw(weak)
        for line in lines:
            for ring in self._outer(line.place):
                self.pen.polygon(ring, fill=COLOURS[self.view.scale.look(line)])
                on_weak.polygon(ring, fill=255 if self.view.scale.weak(line) else 0)
        self._hatch(weak)
        for line in lines:
            self._edges(line.place.shape, COLOURS["edge"], 1)
        self._context()
        self._towns()

    def _outer(self, place: Place) -> list[list[tuple[float, float]]]:
        parts = shapely.get_parts(place.shape)
        rings = [self.frame.points(shapely.get_coordinates(part.exterior)) for part in parts]
        return [[(x, y) for x, y in ring.tolist()] for ring in rings]

    def _hatch(self, weak: Image.Image) -> None:
        """Lay slanting lines over the areas of a mask."""
        box = weak.getbbox()
        if box is None:
            return
        hatch = Image.new("L", weak.size, 0)
        pen = ImageDraw.Draw(hatch)
        left, top, right, bottom = box
        for x in range(left - (bottom - top), right, _HATCH):
            x -= (x - left) % _HATCH
            pen.line((x, bottom, x + bottom - top, top), fill=140, width=2)
        mask = Image.fromarray(np.minimum(np.asarray(hatch), np.asarray(weak)))
        self.image.paste(COLOURS["hatch"], mask=mask)

    def _edges(self, shape: shapely.Geometry, colour: str, width: int) -> None:
        for points in self.frame.lines(shape):
            self.pen.line([(x, y) for x, y in points.tolist()], fill=colour, width=width, joint="curve")

    def _context(self) -> None:
        box = self.view.here.bounds(self.view.area) or (0.0, 0.0, 0.0, 0.0)
        for each in json.loads(self.view.here.layers)["features"]:
            kind, shape = each["properties"]["layer"], shapely.geometry.shape(each["geometry"])
            inside = shapely.clip_by_rect(shape, *box)
            if kind in WIDTHS and not inside.is_empty:
                self._edges(inside, COLOURS[kind], WIDTHS[kind])

    def _towns(self) -> None:
        towns = [place for place in self.view.here.inside("town") if self._shown(place)]
        for place in towns:
            self._edges(place.shape, COLOURS["town"], 3)
        taken: list[tuple[float, float, float, float]] = []
        for place in sorted(towns, key=lambda place: (-shapely.area(place.shape), place.code)):
            self._name(place, taken)

    def _shown(self, place: Place) -> bool:
        return not self.view.area and self.view.choice.level in ("grid", "village", "town")

    def _name(self, place: Place, taken: list[tuple[float, float, float, float]]) -> None:
        at = tuple(self.frame.points(np.array([place.label]))[0].tolist())
        left, top, right, bottom = self.pen.textbbox(at, place.name, self.fonts.small, anchor="mm")
        if any(left < z and x < right and top < w and y < bottom for x, y, z, w in taken):
            return
        taken.append((left, top, right, bottom))
        self.pen.text(
            at, place.name, COLOURS["town"], self.fonts.small, anchor="mm", stroke_width=5,
            stroke_fill="white",
        )  # fmt: skip

    # --- around it

    def words(self) -> None:
        """Write title, legend, scale, north and source."""
        view = self.view
        self._text((EDGE, 46), view.title, self.fonts.title)
        count = sum(line.count for line in view.lines)
        under = f"按{view.level}，{len(view.lines):,} 个 · 诉求 {count:,} 件 · {_days(view)}"
        self._text((EDGE, 88), under, self.fonts.text, "muted")
        self._line((0, TITLE), (WIDTH, TITLE))
        self._legend(WIDTH - SIDE - EDGE // 2, TITLE + 48)
        self._scale(WIDTH - SIDE - EDGE // 2, HEIGHT - FOOT - 40)
        self._north(WIDTH - SIDE - EDGE // 2 + 28, HEIGHT - FOOT - 160)
        self._line((0, HEIGHT - FOOT), (WIDTH, HEIGHT - FOOT))
        self._text((EDGE, HEIGHT - FOOT / 2), view.source, self.fonts.small, "muted")

    def _legend(self, x: float, y: float) -> None:
        self._text((x, y), self.view.scale.title, self.fonts.text)
        if self.view.scale.unit:
            self._text((x, y + 34), self.view.scale.unit, self.fonts.small, "muted")
            y += 34
        for look, words in self.view.scale.legend():
            y += _ROW
            self._key(x, y, look)
            self._text((x + 56, y), words, self.fonts.small)
        note = (
            "连同周边一起看，已校正多次检验"
            if self.view.scale.measure == "gi"
            else "颜色分五级，每级区域数相近"
        )
        self._text((x, y + 44), note, self.fonts.small, "muted")

    def _key(self, x: float, y: float, look: str) -> None:
        box = [each * TWICE for each in (x, y - 12, x + 40, y + 12)]
        self.pen.rectangle(box, fill=COLOURS.get(look, "#ffffff"), outline="#b4bcbc", width=2)
        if look == "weak":
            left, top, right, bottom = box
            for shift in range(0, int(right - left), _HATCH):
                end = min(left + shift + bottom - top, right)
                self.pen.line(
                    (left + shift, bottom, end, bottom - (end - left - shift)), COLOURS["hatch"], width=2
                )

    def _scale(self, x: float, y: float) -> None:
        length, name = self.frame.scale_bar(240 * TWICE)
        left, base = x * TWICE, y * TWICE
        self.pen.line((left, base, left + length, base), COLOURS["ink"], width=4)
        for end in (left, left + length):
            self.pen.line((end, base - 14, end, base + 2), COLOURS["ink"], width=4)
        self._text((x, y - 26), name, self.fonts.small)

    def _north(self, x: float, y: float) -> None:
        a, b = x * TWICE, y * TWICE
        self.pen.polygon([(a, b - 44), (a + 22, b + 36), (a, b + 18), (a - 22, b + 36)], fill=COLOURS["ink"])
        self._text((x + 28, y), "北", self.fonts.small)

    def _text(
        self, place: tuple[float, float], words: str, face: ImageFont.FreeTypeFont, colour: str = "ink"
    ) -> None:
        """Write words from a place in the picture's own pixels on, their middle at its height."""
        x, y = place
        self.pen.text((x * TWICE, y * TWICE), words, COLOURS[colour], face, anchor="lm")

    def _line(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.pen.line([each * TWICE for each in (*start, *end)], COLOURS["line"], width=2)


def _days(view: View) -> str:
    return f"{view.run.start:%Y年%-m月%-d日}至{view.run.end:%Y年%-m月%-d日}"

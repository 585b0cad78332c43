"""The year of a list drawn for print: a lane a category, its windows, peaks and days to act."""

from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from gridmgmt.calendar import LAST_YEAR, SOLAR_TERMS, solar_terms
from gridmgmt.seasonal.export import words
from gridmgmt.seasonal.export.fonts import font
from gridmgmt.seasonal.export.handout import Handout, Season, seasons

# Pixels at 300 dots an inch; the picture is 261 mm wide.
DPI = 300
_WIDTH, _NAMES, _RIGHT = 3083, 470, 20
_MONTHS, _TERMS, _FOOT = 64, 52, 66
_LANE, _ALL_LANES = 58, 1180  # at most; many lanes are drawn closer, so that a page holds them and the facts
_TEXT, _SMALL = 36, 28
_PEAK_DAYS = 5  # either side of the peak's middle: a 旬
MOST_LANES = 26  # closer ones would touch
_INK, _QUIET, _RULE, _BAND = "#222222", "#666666", "#C8C8C8", "#F4F4F2"
_WINDOW, _PEAK = "#A9CFC9", "#12625B"


@dataclass(frozen=True)
class _Axis:
    """The days from `start` to `end` along the picture."""

    start: date
    end: date

    def x(self, day: date) -> float:
        share = (day - self.start).days / ((self.end - self.start).days + 1)
        return _NAMES + min(max(share, 0.0), 1.0) * (_WIDTH - _NAMES - _RIGHT)

    def months(self) -> list[date]:
        count = (self.end.year - self.start.year) * 12 + self.end.month
        return [date(self.start.year + n // 12, n % 12 + 1, 1) for n in range(self.start.month - 1, count)]

    def terms(self) -> list[tuple[str, date]]:
        years = range(self.start.year, min(self.end.year, LAST_YEAR) + 1)
        named = [pair for year in years for pair in zip(SOLAR_TERMS, solar_terms(year), strict=True)]
        return [(name, day) for name, day in named if self.start <= day <= self.end]


def year(handout: Handout) -> bytes | None:
    """Return the year of a list as a PNG, or None when the machine has no font with Chinese characters.

    Categories beyond `MOST_LANES` are left out, those with least expected, and the picture says how many.
    """
    text, small = font(_TEXT), font(_SMALL)
    if text is None or small is None:
        return None
    lanes, left = _lanes(handout)
    lane = min(_LANE, _ALL_LANES // max(1, len(lanes)))
    height = _MONTHS + _TERMS + lane * len(lanes) + _FOOT
    image = Image.new("RGB", (_WIDTH, height), "white")
    _Drawing(ImageDraw.Draw(image), _axis(handout), text, small, lane, height).draw(handout, lanes, left)
    return _png(image)


def _png(image: Image.Image) -> bytes:
    stream = BytesIO()
    image.quantize(64).save(stream, "PNG", dpi=(DPI, DPI), optimize=True)
    return stream.getvalue()


def _lanes(handout: Handout) -> tuple[list[list[Season]], int]:
    groups: dict[str, list[Season]] = {}
    for season in seasons(handout.kept):
        groups.setdefault(season.first.category, []).append(season)
    lanes = list(groups.values())
    most = sorted(lanes, key=_expected, reverse=True)[:MOST_LANES]
    return [lane for lane in lanes if lane in most], len(lanes) - len(most)


def _expected(lane: list[Season]) -> float:
    return sum(season.expected for season in lane)


def _axis(handout: Handout) -> _Axis:
    first = min([date(handout.year, 1, 1), *(item.act_by for item in handout.kept)])
    last = max([date(handout.year, 12, 31), *(item.end_on for item in handout.kept)])
    return _Axis(first.replace(day=1), last)


@dataclass(frozen=True)
class _Drawing:
    on: ImageDraw.ImageDraw
    axis: _Axis
    text: ImageFont.FreeTypeFont
    small: ImageFont.FreeTypeFont
    lane: int  # how high each is
    height: int

    def draw(self, handout: Handout, lanes: list[list[Season]], left: int) -> None:
        self._months(handout.year)
        self._terms()
        for row, lane in enumerate(lanes):
            self._lane(lane, _MONTHS + _TERMS + row * self.lane)
        self._legend(left)

    def _months(self, year: int) -> None:
        months, bottom = self.axis.months(), self.height - _FOOT
        edges = [*(self.axis.x(month) for month in months), float(_WIDTH - _RIGHT)]
        for n, month in enumerate(months):
            if n % 2 == 0:
                self.on.rectangle((edges[n], 0, edges[n + 1], bottom), fill=_BAND)
            name = f"{month.month}月" if month.year == year else f"{month.year % 100}年{month.month}月"
            middle = (edges[n] + edges[n + 1]) / 2
            self.on.text((middle, _MONTHS / 2), name, _INK, self.text, anchor="mm")

    def _terms(self) -> None:
        top, bottom = _MONTHS + _TERMS, self.height - _FOOT
        for name, day in self.axis.terms():
            x = self.axis.x(day)
            self.on.line((x, top - 8, x, bottom), fill="#E2E2E0", width=2)
            self.on.text((x, _MONTHS + 16), name, _QUIET, self.small, anchor="mm")

    def _lane(self, lane: list[Season], top: int) -> None:
        self.on.line((0, top, _WIDTH - _RIGHT, top), fill=_RULE, width=2)
        middle = top + self.lane / 2
        self.on.text(
            (_NAMES - 18, middle), self._cut(lane[0].first.category_name), _INK, self.text, anchor="rm"
        )
        for season in lane:
            self._window(season, middle)
        self._label(lane, middle)

    def _cut(self, name: str) -> str:
        """Return a name, shortened to what fits before the lane."""
        whole = name
        while name and self.text.getlength(name) > _NAMES - 30:
            name = name[:-1]
        return name if name == whole else f"{name[:-1]}…"

    def _window(self, season: Season, middle: float) -> None:
        first, day = season.first, timedelta(days=1)
        left, right = self.axis.x(first.start_on), self.axis.x(first.end_on + day)
        self.on.rectangle((left, middle - 16, right, middle + 16), fill=_WINDOW, outline=_PEAK, width=2)
        start = max(first.start_on, first.peak_on - _PEAK_DAYS * day)
        end = min(first.end_on, first.peak_on + (_PEAK_DAYS - 1) * day)
        self.on.rectangle((self.axis.x(start), middle - 16, self.axis.x(end + day), middle + 16), fill=_PEAK)
        act = self.axis.x(season.act_by)
        self.on.line((act, middle, left, middle), fill=_INK, width=3)
        self._flag(act, middle)

    def _flag(self, x: float, middle: float) -> None:
        self.on.line((x, middle - 22, x, middle + 22), fill=_INK, width=5)
        self.on.polygon([(x, middle - 22), (x + 24, middle - 12), (x, middle - 2)], fill=_INK)

    def _label(self, lane: list[Season], middle: float) -> None:
        """Say how many places and matters, right of the last window or, near the edge, left of the first."""
        matters = words.number(_expected(lane))
        label = f"{sum(len(season.items) for season in lane)} 处 {matters} 件"
        right = max(self.axis.x(season.first.end_on + timedelta(days=1)) for season in lane) + 14
        if right + self.small.getlength(label) < _WIDTH - _RIGHT:
            self.on.text((right, middle), label, _QUIET, self.small, anchor="lm")
        else:
            left = min(self.axis.x(season.act_by) for season in lane) - 14
            self.on.text((left, middle), label, _QUIET, self.small, anchor="rm")

    def _legend(self, left: int) -> None:
        bottom = self.height - _FOOT
        self.on.line((0, bottom, _WIDTH - _RIGHT, bottom), fill=_RULE, width=2)
        middle, x = bottom + _FOOT / 2, float(_NAMES)
        self._flag(x, middle)
        x = self._word(x + 36, middle, "最迟动手日")
        for colour, name in ((_WINDOW, "窗口"), (_PEAK, "高峰")):
            self.on.rectangle((x, middle - 14, x + 60, middle + 14), fill=colour, outline=_PEAK, width=2)
            x = self._word(x + 72, middle, name)
        if left:
            self._word(x, middle, f"另有 {left} 类预计件数较少，没有画出")

    def _word(self, x: float, middle: float, word: str) -> float:
        self.on.text((x, middle), word, _INK, self.small, anchor="lm")
        return x + self.small.getlength(word) + 60

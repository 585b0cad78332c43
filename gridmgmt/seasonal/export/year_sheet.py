"""The year at a glance: a row a category, a column a 旬; readable in grey print."""

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from gridmgmt.seasonal.export import words
from gridmgmt.seasonal.export.handout import Handout, Season, seasons
from gridmgmt.seasonal.export.table import INK, RULE, TEXT, Formats

_CELL = TEXT | {"align": "center", "valign": "vcenter", "border": 4, "border_color": RULE}
# Three greys far apart, and a word in each: colour alone says nothing on a copier.
STYLES: dict[str, dict[str, Any]] = {
    "legend": {"italic": True},
    "year_empty": _CELL,
    "year_window": _CELL | {"bg_color": "#BFDAD6"},
    "year_peak": _CELL | {"bg_color": "#12625B", "font_color": "#FFFFFF", "bold": True},
    "year_act": _CELL | {"bold": True, "border": 2, "border_color": INK},
    "year_act_window": _CELL | {"bold": True, "border": 2, "border_color": INK, "bg_color": "#BFDAD6"},
}
ACT, PEAK = "动", "峰"
LEGEND = f"{ACT}：最迟动手；浅色：窗口；深色“{PEAK}”：高峰。处数和件数是各窗口合计。"
_BEFORE = ("事项", "处数", "预计件数")
_PARTS = ("上", "中", "下")


def write(sheet: Any, formats: Formats, handout: Handout) -> None:
    """Write the year of a list; its columns reach from the first day to act to the last window's end."""
    months = _months(handout)
    _heading(sheet, formats, handout.year, months)
    rows: dict[str, list[Season]] = {}
    for season in seasons(handout.kept):
        rows.setdefault(season.first.category, []).append(season)
    line = 1
    for line, windows in enumerate(rows.values(), 2):
        _category(sheet, formats, line, windows)
        for place, (start, end) in enumerate(_xun(months), len(_BEFORE)):
            style, mark = _state(windows, start, end)
            sheet.write_string(line, place, mark, formats[style])
    sheet.write_string(line + 2, 0, LEGEND if rows else words.nothing(handout), formats["legend"])


def _months(handout: Handout) -> list[tuple[int, int]]:
    days = [day for item in handout.kept for day in (item.act_by, item.end_on)]
    first = min([date(handout.year, 1, 1), *days])
    last = max([date(handout.year, 12, 31), *days])
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    return [(first.year + n // 12, n % 12 + 1) for n in range(first.month - 1, first.month - 1 + count)]


def _xun(months: list[tuple[int, int]]) -> list[tuple[date, date]]:
    """Return the first and the last day of every 旬 of some months in a row."""
    year, month = months[-1]
    after = date(year + month // 12, month % 12 + 1, 1)
    starts = [date(*month, first) for month in months for first in (1, 11, 21)]
    return [(start, following - timedelta(days=1)) for start, following in pairwise([*starts, after])]


def _heading(sheet: Any, formats: Formats, year: int, months: list[tuple[int, int]]) -> None:
    for place, name in enumerate(_BEFORE):
        sheet.merge_range(0, place, 1, place, name, formats["head"])
    for n, (of_year, month) in enumerate(months):
        first = len(_BEFORE) + 3 * n
        name = f"{month}月" if of_year == year else f"{of_year}年{month}月"
        sheet.merge_range(0, first, 0, first + 2, name, formats["head"])
        for part, word in enumerate(_PARTS):
            sheet.write_string(1, first + part, word, formats["head"])
    sheet.set_column(0, 0, 22)
    sheet.set_column(1, 2, 9)
    sheet.set_column(len(_BEFORE), len(_BEFORE) + 3 * len(months) - 1, 3.6)
    sheet.freeze_panes(2, 1)
    sheet.repeat_rows(0, 1)


def _category(sheet: Any, formats: Formats, line: int, windows: list[Season]) -> None:
    sheet.write_string(line, 0, windows[0].first.category_name, formats["text"])
    sheet.write_number(line, 1, sum(len(season.items) for season in windows), formats["whole"])
    sheet.write_number(line, 2, sum(season.expected for season in windows), formats["tenth"])


def _state(windows: list[Season], start: date, end: date) -> tuple[str, str]:
    """Return the style and the mark of a category's cell for the 旬 from `start` to `end`."""
    inside = any(season.first.start_on <= end and start <= season.first.end_on for season in windows)
    if any(start <= season.act_by <= end for season in windows):
        return ("year_act_window" if inside else "year_act"), ACT
    if any(start <= season.first.peak_on <= end for season in windows):
        return "year_peak", PEAK
    return ("year_window" if inside else "year_empty"), ""

"""The ranked table of a map as a workbook, and the same columns for GeoJSON."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from io import BytesIO
from typing import Any

import xlsxwriter

from gridmgmt.config import FEWEST_HOUSEHOLDS
from gridmgmt.grids.codes import DIGITS
from gridmgmt.seasonal.export.table import A4, STYLES, Column, Formats, write_table
from gridmgmt.web.areas import Place
from gridmgmt.web.map_view import View
from gridmgmt.web.ranking import GI_WORDS, Line

Value = str | float | None
_OPTIONS = {
    "in_memory": True, "strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False,
}  # fmt: skip
_MORE = {
    "hundredth": STYLES["tenth"] | {"num_format": "#,##0.00"},
    "title": {"bold": True, "font_size": 14, "quote_prefix": True},
}
NOTHING = "这一期没有分析结果。"


@dataclass(frozen=True)
class Field:
    """A column: its key in GeoJSON, its heading with unit, its style in the workbook, and its value."""

    key: str
    heading: str
    style: str
    value: Callable[[Line], Value]


def columns(view: View) -> list[Field]:
    """Return the columns of a view's table; numbers that tell of few households are left empty."""
    unit = view.run.rate_unit
    rank = {line.place.code: n for n, line in enumerate(view.lines, 1)}
    return [
        Field("rank", "名次", "whole", lambda line: rank[line.place.code]),
        Field("code", "代码", "text", lambda line: line.place.code),
        Field("name", "名称", "text", lambda line: line.place.name),
        Field("town", "镇街", "text", lambda line: _above(view, line.place, "town")),
        Field("village", "村社区", "text", lambda line: _above(view, line.place, "village")),
        Field("households", "户数", "whole", lambda line: line.place.shown_households(own=view.own)),
        Field("count", "诉求数（件）", "whole", lambda line: line.count),
        Field("expected", "按全市水平应有（件）", "tenth", lambda line: _rounded(line.expected, 2)),
        Field("rate", f"诉求率（{unit}）", "hundredth", lambda line: _rounded(line.rate, 4)),
        Field("smoothed", f"平滑诉求率（{unit}）", "hundredth", lambda line: _of(line, "smoothed", 4)),
        Field("hot", "热点判断", "text", lambda line: GI_WORDS[line.gi_class]),
        Field("q", "校正后 q", "q", lambda line: _of(line, "q", 6)),
        Field("pattern", "走势", "text", lambda line: line.pattern or None),
        Field("previous", "上一期（件，今日边界）", "whole", lambda line: _of(line, "previous", 0)),
        Field("weak", "依据", "text", lambda line: "偏弱" if line.weak else None),
        *_shown(view),
    ]


def _shown(view: View) -> list[Field]:
    """Return the column of what the map shows, when it is none of the run's own."""
    if view.scale.numbers is None:
        return []
    heading = f"{view.scale.title}（{view.scale.unit}）"
    return [Field("shown", heading, "tenth", lambda line: _rounded(view.scale.value(line), 2))]


def _above(view: View, place: Place, level: str) -> str | None:
    digits = DIGITS[level]
    return view.here.name(place.code[:digits]) if digits < len(place.code) else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _of(line: Line, name: str, digits: int) -> float | None:
    """Return a number of the run's result; None where it may not be shown."""
    return _rounded(getattr(line.result, name), digits) if line.result else None


def plain(value: Value) -> Value:
    """Return a value as JSON has it: whole numbers without a point."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def notes(view: View) -> list[tuple[str, str]]:
    """Return what a reader of the table must know, as name and words."""
    before = view.run.previous
    return [
        ("内容", f"{view.title}，按{view.level}"),
        ("期间", f"{view.run.start:%Y年%-m月%-d日}至{view.run.end:%Y年%-m月%-d日}"),
        ("上一期", f"{before[0]:%Y年%-m月%-d日}至{before[1]:%Y年%-m月%-d日}" if before else "没有"),
        ("类别", view.choice.category_name),
        ("单位", f"诉求率 {view.run.rate_unit}；应有：全市同率时该处的件数"),
        ("边界", "两期都按今日的网格边界计数"),
        ("依据偏弱", "应有不足 3 件且不显著，或户数不足 5 户：多一两件就会变色，地图上加斜线"),
        ("不显示", f"户数不足 {FEWEST_HOUSEHOLDS} 户的，率和应有件数不显示"),
        ("方法", view.method),
        ("来源", view.source.removeprefix("来源：")),
    ]


def workbook(view: View) -> bytes:
    """Return the table as an XLSX file: the ranked areas, and a sheet that says what they rest on."""
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, _OPTIONS) as book:
        # The same data makes the same bytes: nothing of the moment of asking stands in the file.
        made = view.run.finished_at.astimezone(UTC).replace(tzinfo=None)
        book.set_properties({"title": view.title, "author": f"{view.here.city}网格治理", "created": made})
        formats = Formats(book, STYLES | _MORE)
        _areas(book.add_worksheet(view.level), formats, view)
        _notes(book.add_worksheet("说明"), formats, view)
    return stream.getvalue()


def _areas(sheet: Any, formats: Formats, view: View) -> None:
    table = [Column(each.heading, each.style, each.value, 32) for each in columns(view)]
    write_table(sheet, formats, table, view.lines, NOTHING)
    sheet.freeze_panes(1, 3)
    sheet.set_landscape()
    sheet.set_paper(A4)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    sheet.set_footer("&R第 &P 页，共 &N 页")


def _notes(sheet: Any, formats: Formats, view: View) -> None:
    sheet.set_column(0, 0, 14)
    sheet.set_column(1, 1, 100)
    sheet.write_string(0, 0, view.title, formats["title"])
    for row, (name, words) in enumerate(notes(view), 2):
        sheet.write_string(row, 0, name, formats["text"])
        sheet.write_string(row, 1, words, formats["wrapped"])
    sheet.set_paper(A4)
    sheet.fit_to_pages(1, 0)

"""The board as a workbook: one sheet of scores a level, one of values."""

import math
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import xlsxwriter

from gridmgmt.index.models import Status
from gridmgmt.index.periods import Period
from gridmgmt.index.tree import LEVEL_NAMES, Level
from gridmgmt.web.index.boards import Seen

FONT = "微软雅黑"
STATUS_NAMES = {Status.MEASURED: "测得", Status.ENTERED: "填报", Status.MISSING: "缺"}
_OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}


def workbook(period: Period, found: Mapping[Level, Seen]) -> bytes:
    """Return scores and values of a period as an XLSX file."""
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, _OPTIONS) as book:
        book.set_properties({"title": f"{period.name}平安指数"})
        plain = {"font_name": FONT, "font_size": 10}
        head = book.add_format(plain | {"bold": True, "bg_color": "#E8EEEE", "text_wrap": True, "bottom": 1})
        text, number = book.add_format(plain), book.add_format(plain | {"num_format": "0.00"})
        formats = {"head": head, "text": text, "number": number}
        for level, seen in found.items():
            _scores(_sheet(book, f"{LEVEL_NAMES[level]}得分"), formats, seen)
            _values(_sheet(book, f"{LEVEL_NAMES[level]}指标值"), formats, seen)
    return stream.getvalue()


def _sheet(book: Any, name: str) -> Any:
    sheet = book.add_worksheet(name)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.freeze_panes(1, 1)
    sheet.set_column(0, 0, 20)
    return sheet


def _scores(sheet: Any, formats: dict[str, Any], seen: Seen) -> None:
    parts = seen.now.tree.parts
    names = ("单位", "名次", "得分", "比上期", *(part.name for part in parts))
    for column, name in enumerate(names):
        sheet.write_string(0, column, name, formats["head"])
    order = sorted(range(len(seen.now.units)), key=lambda n: (seen.now.ranks[n] or 999, n))
    for row, n in enumerate(order, 1):
        sheet.write_string(row, 0, seen.now.units[n].name, formats["text"])
        sheet.write_number(row, 1, int(seen.now.ranks[n]), formats["text"])
        moved = seen.moved.total[n] if seen.moved else math.nan
        points = [seen.now.points[part.code][n] for part in parts]
        for column, value in enumerate((seen.now.total[n], moved, *points), 2):
            if math.isfinite(value):
                sheet.write_number(row, column, round(float(value), 4), formats["number"])


def _values(sheet: Any, formats: dict[str, Any], seen: Seen) -> None:
    board = seen.now.boards[-1]
    asked = [each for each in board.tree.indicators if board.level in each.levels]
    for column, name in enumerate(
        ("单位", "指标代码", "指标", "计量单位", "月份", "值", "来源", "分子", "分母", "得分")
    ):
        sheet.write_string(0, column, name, formats["head"])
    row = 0
    for n, unit in enumerate(board.units):
        for each in asked:
            row += 1
            value = board.value(each.code, unit.code)
            told = (unit.name, each.code, each.name, each.unit, f"{board.month:%Y-%m}")
            for column, words in enumerate(told):
                sheet.write_string(row, column, words, formats["text"])
            sheet.write_string(row, 6, STATUS_NAMES[value.status], formats["text"])
            numbers = {5: value.value, 7: value.part, 8: value.whole, 9: board.scored.points[each.code][n]}
            for column, known in numbers.items():
                if known is not None and math.isfinite(known):
                    sheet.write_number(row, column, round(float(known), 4), formats["number"])

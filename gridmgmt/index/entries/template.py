"""The form of a department and month: a sheet a level, a row a unit, a column an indicator.

What was entered so far stands in it, Excel itself refuses what cannot be, and a hidden sheet says what the
form is of, so that nobody has to write it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from io import BytesIO
from typing import Any

import xlsxwriter
from sqlalchemy import Connection, select
from xlsxwriter.utility import xl_rowcol_to_cell

from gridmgmt.errors import NotFoundError
from gridmgmt.index.entries.service import Asked
from gridmgmt.index.models import IndicatorValue, Status
from gridmgmt.index.periods import Period, write_month
from gridmgmt.index.stored import Unit
from gridmgmt.index.tree import LEVEL_NAMES, Better, Indicator, Level

FONT = "微软雅黑"
MARK, MARKS = "平安指数填报表", "表信息"
GUIDE = "填报说明"
NOTHING = "无"
ORDER = (Level.TOWN, Level.DEPARTMENT, Level.CITY)
BETTER_NAMES = {Better.MORE: "越高越好", Better.LESS: "越低越好"}
HEADS = ("代码", "指标", "单位", "允许范围", "方向", "说明")
CODES = 2  # the row, counted from 0, of the indicators' codes: what is read by
FIRST = CODES + len(HEADS)
UNITS = 2  # so many columns name the unit
_OPTIONS = {
    "in_memory": True, "strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False,
}  # fmt: skip
_EDGE = {"border": 1, "border_color": "#98A6A8"}
_HEAD = {"bg_color": "#E8EEEE", "text_wrap": True, "align": "center", "valign": "vcenter"} | _EDGE
_STYLES: dict[str, dict[str, Any]] = {
    "title": {"bold": True, "font_size": 14},
    "plain": {"font_color": "#54656A"},
    "head": {"bold": True} | _HEAD,
    "small": {"font_size": 9, "valign": "top", "align": "left"} | {
        name: value for name, value in _HEAD.items() if name not in ("align", "valign")
    },
    "unit": {"bg_color": "#F6F8F7", "num_format": "@"} | _EDGE,
    # A cell of no format shows 95% as it was typed, and is read as 95; one of a number's would hide it.
    "value": {"locked": False, "align": "right"} | _EDGE,
    "wrapped": {"text_wrap": True, "valign": "top"},
}  # fmt: skip
RULES = (
    ("填哪里", "只填白色单元格。行是镇街、部门或全市，列是本部门负责的指标；次序可以变，代码和名称不要改。"),
    ("数字", "直接填数，不带单位。百分比填 95.3；填 95.3% 也认。每个数都要在“允许范围”之内。"),
    ("没有数", "确实没有的填“无”；空着表示还没有填，以前填过的保留。"),
    ("不要", "不要写公式后留下错误（如 #DIV/0!），不要合并单元格，不要加列。合计行不读。"),
    ("入库", "在“数据填报”页上传。先试算，有一处不对整个文件都不入库；每一处都会说明在哪个单元格。"),
    ("再交", "改了再交一次即可，只更新有变化的。已发布的月份不能再改。"),
)  # fmt: skip


@dataclass(frozen=True)
class Form:
    """What a department is asked for in a month, and what stands: (indicator, unit) -> value, None for 无."""

    month: date
    department: str
    asked: Asked
    values: Mapping[tuple[str, str], float | None]

    @property
    def levels(self) -> dict[Level, tuple[list[Unit], list[Indicator]]]:
        """Units and indicators of each level that has both."""
        found = {
            level: (self.asked.units[level], self.asked.indicators(self.department, level)) for level in ORDER
        }
        return {level: both for level, both in found.items() if all(both)}


def book(connection: Connection, month: date, department: str) -> bytes:
    """Return the XLSX file that a department fills in for a month.

    Raises NotFoundError for a department that fills in nothing, or a month without a tree.
    """
    return written(form(connection, month, department))


def form(connection: Connection, month: date, department: str) -> Form:
    """Return what a department is asked for in a month; see `book`."""
    asked = Asked(connection, month)
    if department not in asked.departments:
        raise NotFoundError(f"{department} fills in no indicator in {write_month(month)}")
    table = IndicatorValue.__table__
    codes = [each.code for each in asked.indicators(department)]
    query = select(table).where(table.c.month == month, table.c.indicator.in_(codes))
    values = {
        (row.indicator, row.unit): row.value
        for row in connection.execute(query)
        if row.status == Status.ENTERED.value or row.entry_id is not None
    }
    return Form(month, department, asked, values)


def filled(blank: Form, values: Mapping[tuple[str, str], float | None]) -> Form:
    """Return a form with other values."""
    return replace(blank, values=values)


def written(form: Form) -> bytes:
    """Return a form as an XLSX file."""
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, _OPTIONS) as made:
        made.set_properties({"title": f"{MARK} {form.department} {write_month(form.month)}"})
        formats = {
            name: made.add_format({"font_name": FONT, "font_size": 10} | style)
            for name, style in _STYLES.items()
        }
        for level in form.levels:
            _level(made.add_worksheet(LEVEL_NAMES[level]), formats, form, level)
        _guide(made.add_worksheet("说明"), formats, form)
        _marks(made.add_worksheet(MARKS), form)
    return stream.getvalue()


# --- a level's sheet


def _level(sheet: Any, formats: dict[str, Any], form: Form, level: Level) -> None:
    units, indicators = form.levels[level]
    _page(sheet, form, level)
    title = f"{Period(form.month).name}平安指数填报表（{LEVEL_NAMES[level]}）"
    sheet.write_string(0, 0, title, formats["title"])
    told = f"{form.department}填报。只填白色单元格；没有数填“{NOTHING}”，空着表示还没有填。"
    sheet.write_string(1, 0, told, formats["plain"])
    for n, name in enumerate(HEADS):
        label = ("代码", "名称") if n == 0 else (name, "")
        for place, words in enumerate(label):
            sheet.write_string(CODES + n, place, words, formats["head"])
    sheet.set_row(CODES + 1, 32)
    sheet.set_row(FIRST - 1, _height(indicators))
    for n, unit in enumerate(units, FIRST):
        sheet.write_string(n, 0, unit.code, formats["unit"])
        sheet.write_string(n, 1, unit.name, formats["unit"])
    for place, indicator in enumerate(indicators, UNITS):
        _column(sheet, formats, form, units, indicator, place)


def _page(sheet: Any, form: Form, level: Level) -> None:
    sheet.set_column(0, 0, 16)
    sheet.set_column(1, 1, 18)
    sheet.set_column(UNITS, UNITS + 1 + len(form.levels[level][1]), 20)
    sheet.freeze_panes(FIRST, UNITS)
    sheet.protect("", {"format_columns": True, "format_rows": True})
    sheet.set_paper(9)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(CODES, FIRST - 1)
    sheet.set_footer(f"&L{form.department}填报    负责人签字：　　　　　日期：&R第 &P 页，共 &N 页")


def _height(indicators: list[Indicator]) -> int:
    """Return how high the row of explanations is: about 13 characters of 9 points stand in a line."""
    return 14 * max(2, *(math.ceil(len(each.about) / 13) for each in indicators))


def _column(
    sheet: Any, formats: dict[str, Any], form: Form, units: list[Unit], indicator: Indicator, place: int
) -> None:
    heads = (
        indicator.code, indicator.name, indicator.unit, bounds(indicator), BETTER_NAMES[indicator.better],
        indicator.about,
    )  # fmt: skip
    for n, words in enumerate(heads, CODES):
        sheet.write_string(n, place, words, formats["small" if n == FIRST - 1 else "head"])
    for n, unit in enumerate(units, FIRST):
        key = indicator.code, unit.code
        value = form.values.get(key)
        if value is not None:
            sheet.write_number(n, place, value, formats["value"])
        else:
            sheet.write(n, place, NOTHING if key in form.values else None, formats["value"])
    sheet.data_validation(FIRST, place, FIRST + len(units) - 1, place, _rule(indicator, place))


def _rule(indicator: Indicator, place: int) -> dict[str, Any]:
    """Return what Excel lets be typed: a number within the bounds, or 无."""
    cell = xl_rowcol_to_cell(FIRST, place)
    tests = [f"ISNUMBER({cell})"]
    tests += [f"{cell}>={indicator.lowest!r}"] if math.isfinite(indicator.lowest) else []
    tests += [f"{cell}<={indicator.highest!r}"] if math.isfinite(indicator.highest) else []
    told = f"{bounds(indicator)}；没有数填“{NOTHING}”"
    return {
        "validate": "custom", "value": f'=OR({cell}="{NOTHING}",AND({",".join(tests)}))',
        "input_title": indicator.name[:32], "input_message": told,
        "error_title": "填得不对", "error_message": f"应为{told}。",
    }  # fmt: skip


def bounds(indicator: Indicator) -> str:
    """Return the values that can be, with their unit, in words.

    >>> bounds(Indicator("1", "", 1, "%", Better.MORE, frozenset(), "rank", "share", highest=100.0))
    '0 至 100 %'
    """
    low, high = indicator.lowest, indicator.highest
    if math.isfinite(low) and math.isfinite(high):
        words = f"{low:.12g} 至 {high:.12g}"
    elif math.isfinite(low):
        words = f"{low:.12g} 以上"
    else:
        words = f"{high:.12g} 以下" if math.isfinite(high) else "任何数"
    return f"{words} {indicator.unit}".strip()


# --- the other sheets


def _guide(sheet: Any, formats: dict[str, Any], form: Form) -> None:
    sheet.set_column(0, 0, 14)
    sheet.set_column(1, 1, 96)
    sheet.write_string(0, 0, GUIDE, formats["title"])
    tree = form.asked.version
    told = f"{form.department}，{Period(form.month).name}；指标体系：{tree.name}，第 {tree.id} 版"
    sheet.write_string(1, 0, told, formats["plain"])
    for n, (name, words) in enumerate(RULES, 3):
        sheet.write_string(n, 0, name, formats["head"])
        sheet.write_string(n, 1, words, formats["wrapped"])
    sheet.protect()
    sheet.set_paper(9)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)


def _marks(sheet: Any, form: Form) -> None:
    """Write what the form is of; read by the words in the first column, wherever the sheet is moved to."""
    marks = {
        MARK: "1", "month": write_month(form.month), "department": form.department,
        "tree": str(form.asked.version.id), "sha256": form.asked.version.sha256,
    }  # fmt: skip
    for n, (name, words) in enumerate(marks.items()):
        sheet.write_string(n, 0, name)
        sheet.write_string(n, 1, words)
    sheet.protect()
    sheet.very_hidden()

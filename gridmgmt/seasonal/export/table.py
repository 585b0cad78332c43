"""Tables in a workbook: columns declared once, cells written by what they are, pages set up for print."""

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, TypeVar

from gridmgmt.seasonal.export.handout import Handout

Row = TypeVar("Row")
Value = str | float | date | None

FONT = "微软雅黑"
A4 = 9
INK, RULE, PAPER = "#222222", "#BFBFBF", "#E8EEEE"
_LONGEST_HEADER = 200  # of the 255 characters that a printed header may have

# Text cells are marked as text and quoted: "=1+1" or 0371 stays what it is, even when the cell is edited.
TEXT = {"num_format": "@", "quote_prefix": True}
_BODY = {"valign": "top", "bottom": 4, "bottom_color": RULE}
STYLES: dict[str, dict[str, Any]] = {
    "head": TEXT | {
        "bold": True, "text_wrap": True, "valign": "vcenter", "align": "center", "bg_color": PAPER,
        "top": 1, "bottom": 1,
    },
    "text": _BODY | TEXT,
    "wrapped": _BODY | {"text_wrap": True, "quote_prefix": True},
    "day": _BODY | {"num_format": "yyyy-mm-dd", "align": "left"},
    "whole": _BODY | {"num_format": "#,##0"},
    "tenth": _BODY | {"num_format": "#,##0.0"},
    "q": _BODY | {"num_format": '[<0.0001]"<0.0001";0.0000'},
    "note": {"text_wrap": True, "valign": "top", "italic": True, "quote_prefix": True},
}  # fmt: skip


@dataclass(frozen=True)
class Column(Generic[Row]):
    """A column: its heading, the style of its cells, what it reads of a row, and its widest width."""

    heading: str
    style: str
    value: Callable[[Row], Value]
    widest: float = 30


class Formats(dict[str, Any]):
    """The styles as formats of one workbook."""

    def __init__(self, book: Any, styles: dict[str, dict[str, Any]]) -> None:
        ours = {"font_name": FONT, "font_size": 10, "font_color": INK}
        super().__init__({name: book.add_format(ours | style) for name, style in styles.items()})


def write_table(
    sheet: Any, formats: Formats, columns: Sequence[Column[Row]], rows: Sequence[Row], nothing: str
) -> None:
    """Write a heading and a row each; `nothing` is said where there are no rows."""
    sheet.set_row(0, 32)
    for place, column in enumerate(columns):
        sheet.write_string(0, place, column.heading, formats["head"])
        values = [column.value(row) for row in rows]
        for line, value in enumerate(values, 1):
            write_cell(sheet, line, place, value, formats[column.style], formats["text"])
        sheet.set_column(place, place, _width_of_column(column, values))
    if rows:
        sheet.autofilter(0, 0, len(rows), len(columns) - 1)
    else:
        sheet.merge_range(1, 0, 1, min(7, len(columns) - 1), "", formats["note"])
        sheet.write_string(1, 0, nothing, formats["note"])


def write_cell(sheet: Any, line: int, place: int, value: Value, style: Any, text: Any) -> None:
    """Write a value as what it is; never a formula, never an address."""
    if value is None:
        sheet.write_blank(line, place, None, style)
    elif isinstance(value, str):
        sheet.write_string(line, place, value, style)
    elif isinstance(value, date):
        sheet.write_datetime(line, place, value, style)
    elif math.isfinite(value):
        sheet.write_number(line, place, value, style)
    else:  # nothing at all in the rest of the year
        sheet.write_string(line, place, "—", text)


def set_up_page(sheet: Any, handout: Handout, name: str) -> None:
    """Make a sheet print on A4 across, as wide as the page, with its heading, who exported it and when."""
    sheet.set_landscape()
    sheet.set_paper(A4)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    sheet.set_margins(left=0.4, right=0.4, top=0.7, bottom=0.6)
    sheet.set_header(f'&C&"{FONT},Bold"&11{_literally(handout.heading)} · {name}')
    sheet.set_footer(f"&L&9导出：{_literally(handout.signature)}&R&9第 &P 页，共 &N 页")


def _literally(text: str) -> str:
    """Return text that a printed header shows as it is: & would begin a code, a size eats digits after it."""
    return " " + text[:_LONGEST_HEADER].replace("&", "＆")


def width(text: str) -> int:
    """Return how wide a text is in digits; Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _width_of_column(column: Column[Row], values: Sequence[Value]) -> float:
    heading = math.ceil(width(column.heading) / 2) + 4  # headings wrap; the rest is for the filter's button
    texts = {value for value in values if isinstance(value, str)}
    content = max([*map(width, texts), 11 if column.style == "day" else 6]) + 1
    return min(max(heading, content), column.widest)

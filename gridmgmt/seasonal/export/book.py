"""The list as a workbook: 清单, 超出承载, 年历, 没有列入的类别, 说明."""

from collections.abc import Callable, Sequence
from datetime import UTC
from io import BytesIO
from typing import Any

import xlsxwriter

from gridmgmt.seasonal.export import words, year_sheet
from gridmgmt.seasonal.export.handout import Handout
from gridmgmt.seasonal.export.table import STYLES, Column, Formats, set_up_page, write_table
from gridmgmt.seasonal.models import VERDICT_NAMES, Verdict
from gridmgmt.seasonal.stored import CategoryVerdict, Item

_OPTIONS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}
_FIRST_COLUMNS = 2  # stay in sight: the day and the matter
_LAST_PRINTED = (
    "对口部门"  # what follows is evidence for the screen; with it a page would be too small to read
)
_BAR = "#9FC5C0"


def workbook(handout: Handout) -> bytes:
    """Return a list as an XLSX file; every item stands in 清单 or in 超出承载."""
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, _OPTIONS) as book:
        made = handout.at.astimezone(UTC)
        book.set_properties({"title": handout.heading, "author": handout.by, "created": made})
        formats = Formats(book, STYLES | year_sheet.STYLES)
        _list(book, formats, handout, "清单", handout.kept, words.nothing(handout))
        _list(book, formats, handout, "超出承载", handout.cut, "没有超出承载的事项")
        year_sheet.write(_sheet(book, handout, "年历"), formats, handout)
        _left_out(book, formats, handout)
        _notes(book, formats, handout)
    return stream.getvalue()


def _sheet(book: Any, handout: Handout, name: str) -> Any:
    sheet = book.add_worksheet(name)
    set_up_page(sheet, handout, name)
    return sheet


def _list(
    book: Any, formats: Formats, handout: Handout, name: str, items: Sequence[Item], nothing: str
) -> None:
    sheet = _sheet(book, handout, name)
    columns = _columns(handout)
    headings = [column.heading for column in columns]
    write_table(sheet, formats, columns, items, nothing)
    sheet.freeze_panes(1, _FIRST_COLUMNS)
    sheet.print_area(0, 0, max(1, len(items)), headings.index(_LAST_PRINTED))
    if items:
        place = headings.index("预计件数")
        bar = {"type": "data_bar", "bar_color": _BAR, "bar_solid": True, "min_type": "num", "min_value": 0}
        sheet.conditional_format(1, place, len(items), place, bar)


def _columns(handout: Handout) -> list[Column[Item]]:
    """Return the columns of the list: first what one works by, then what it rests on."""
    return [
        Column("最迟动手日", "day", lambda item: item.act_by),
        Column("事项", "text", lambda item: item.category_name),
        Column("镇街", "text", lambda item: handout.division(item, "town")),
        Column("村社区", "text", lambda item: handout.division(item, "village")),
        Column("地方", "text", lambda item: item.area_name),
        Column("级别", "text", words.level),
        Column("窗口起", "day", lambda item: item.start_on),
        Column("高峰", "day", lambda item: item.peak_on),
        Column("窗口止", "day", lambda item: item.end_on),
        Column("预计件数", "tenth", lambda item: item.expected),
        Column("预计下限", "whole", lambda item: item.expected_low),
        Column("预计上限", "whole", lambda item: item.expected_high),
        Column("把握", "text", lambda item: item.confidence),
        Column("怎么做", "wrapped", lambda item: item.action, 34),
        Column("网格长", "text", lambda item: item.chief or ""),
        Column(_LAST_PRINTED, "wrapped", lambda item: item.department or "", 18),
        Column("历法", "text", lambda item: item.clock_name),
        Column("平时件数", "tenth", lambda item: item.usual),
        Column("倍数", "tenth", lambda item: item.ratio),
        Column("q", "q", lambda item: item.q),
        Column("去掉任一年仍成立", "text", lambda item: f"{item.stable}/{len(item.years)}"),
        *(Column(f"{year}年窗口内件数", "whole", _inside(year)) for year in _years(handout)),
        Column("提前天数", "whole", lambda item: item.lead_days),
        Column("提前天数由来", "text", words.lead_source),
        Column("是否超出承载", "text", lambda item: "是" if item.cut else "否"),
        Column("事项代码", "text", lambda item: item.category),
        Column("地方代码", "text", lambda item: item.area),
    ]


def _years(handout: Handout) -> list[int]:
    return sorted({one["year"] for item in handout.items for one in item.years})


def _inside(year: int) -> Callable[[Item], float | None]:
    return lambda item: next((one["inside"] for one in item.years if one["year"] == year), None)


def _left_out(book: Any, formats: Formats, handout: Handout) -> None:
    rows = [verdict for verdict in handout.verdicts if verdict.verdict is not Verdict.SEASONAL]
    columns: list[Column[CategoryVerdict]] = [
        Column("类别", "text", lambda row: row.category_name),
        Column("结论", "text", lambda row: VERDICT_NAMES[row.verdict]),
        Column("说明", "wrapped", lambda row: words.WHY_NOT[row.verdict], 60),
        Column("类别代码", "text", lambda row: row.category),
    ]
    if not handout.area:  # totals of the whole city are for those who see it
        columns[3:3] = [
            Column("合并重复后问题数", "whole", lambda row: row.problems),
            Column("诉求件数", "whole", lambda row: row.told),
            Column("环形扫描 q", "q", lambda row: row.q_scan),
        ]
    sheet = _sheet(book, handout, "没有列入的类别")
    write_table(sheet, formats, columns, rows, "没有这样的类别")
    sheet.freeze_panes(1, 1)


def _notes(book: Any, formats: Formats, handout: Handout) -> None:
    sheet = _sheet(book, handout, "说明")
    sheet.set_column(0, 0, 20)
    sheet.set_column(1, 1, 100)
    method = [(f"方法 {place}", line) for place, line in enumerate(words.METHOD, 1)]
    paper = ("打印", "清单只打印到“对口部门”一列，其后的证据各列在屏幕上看")
    blocks = [
        ("这份清单", words.facts(handout)),
        ("怎么读", [*words.HOW_TO_READ, paper]),
        ("怎么来的", method),
    ]
    line = 0
    for title, rows in blocks:
        sheet.merge_range(line, 0, line, 1, "", formats["head"])
        sheet.write_string(line, 0, title, formats["head"])
        for below, (name, text) in enumerate(rows, line + 1):
            sheet.write_string(below, 0, name, formats["text"])
            sheet.write_string(below, 1, text, formats["wrapped"])
        line += len(rows) + 2

"""The board as a workbook: one sheet of scores a level, one of values."""

import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import xlsxwriter

from gridmgmt.index.models import Status
from gridmgmt.index.periods import Period
from gridmgmt.index.stored import Unit
from gridmgmt.index.tree import LEVEL_NAMES, Indicator, Level
from gridmgmt.seasonal.export.table import A4, STYLES, Column, Formats, write_table
from gridmgmt.web.index.boards import Seen
from gridmgmt.web.table_book import NOTHING

STATUS_NAMES = {Status.MEASURED: "测得", Status.ENTERED: "填报", Status.MISSING: "缺"}
_OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
_MORE = {"hundredth": STYLES["tenth"] | {"num_format": "0.00"}}


def workbook(period: Period, found: Mapping[Level, Seen]) -> bytes:
    """Return scores and values of a period as an XLSX file."""
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, _OPTIONS) as book:
        book.set_properties({"title": f"{period.name}平安指数"})
        formats = Formats(book, STYLES | _MORE)
        for level, seen in found.items():
            ranks = seen.now.ranks
            order = sorted(range(len(ranks)), key=lambda n, by=ranks: (by[n] or 999, n))  # type: ignore[misc]
            _sheet(book, formats, f"{LEVEL_NAMES[level]}得分", _scores(seen), order)
            _sheet(book, formats, f"{LEVEL_NAMES[level]}指标值", _values(seen), _asked(seen))
    return stream.getvalue()


def _sheet(
    book: Any, formats: Formats, name: str, columns: Sequence[Column[Any]], rows: Sequence[Any]
) -> None:
    sheet = book.add_worksheet(name)
    write_table(sheet, formats, columns, rows, NOTHING)
    sheet.freeze_panes(1, 1)
    sheet.set_landscape()
    sheet.set_paper(A4)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)


def _scores(seen: Seen) -> list[Column[int]]:
    """Return what is said of the unit at a place."""
    now = seen.now
    return [
        Column("单位", "text", lambda n: now.units[n].name),
        Column("名次", "whole", lambda n: int(now.ranks[n]) or None),
        Column("得分", "hundredth", lambda n: _number(now.total[n])),
        Column("比上期", "hundredth", lambda n: _number(seen.moved.total[n]) if seen.moved else None),
        *(
            Column(part.name, "hundredth", lambda n, of=now.points[part.code]: _number(of[n]))  # type: ignore[misc]
            for part in now.tree.parts
        ),
    ]


def _asked(seen: Seen) -> list[tuple[int, Unit, Indicator]]:
    """Return every unit with each indicator that is asked of it."""
    board = seen.now.boards[-1]
    asked = [each for each in board.tree.indicators if board.level in each.levels]
    return [(n, unit, each) for n, unit in enumerate(board.units) for each in asked]


def _values(seen: Seen) -> list[Column[tuple[int, Unit, Indicator]]]:
    """Return what is said of a unit and an indicator in the last month of the period."""
    board = seen.now.boards[-1]

    def of(row: tuple[int, Unit, Indicator], name: str) -> Any:
        return getattr(board.value(row[2].code, row[1].code), name)

    return [
        Column("单位", "text", lambda row: row[1].name),
        Column("指标代码", "text", lambda row: row[2].code),
        Column("指标", "text", lambda row: row[2].name, 40),
        Column("计量单位", "text", lambda row: row[2].unit),
        Column("月份", "text", lambda row: f"{board.month:%Y-%m}"),
        Column("值", "hundredth", lambda row: _number(of(row, "value"))),
        Column("来源", "text", lambda row: STATUS_NAMES[of(row, "status")]),
        Column("分子", "hundredth", lambda row: _number(of(row, "part"))),
        Column("分母", "hundredth", lambda row: _number(of(row, "whole"))),
        Column("得分", "hundredth", lambda row: _number(board.scored.points[row[2].code][row[0]])),
    ]


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), 4)

"""The lists beside the map as workbooks: hot fields, peak times, recent clusters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import xlsxwriter
from sqlalchemy import Connection

from gridmgmt.hotspots import explain, tables
from gridmgmt.hotspots.tables import Row
from gridmgmt.seasonal.export.table import A4, STYLES, Column, Formats, write_table
from gridmgmt.web.choice import Choice

_OPTIONS = {
    "in_memory": True, "strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False,
}  # fmt: skip
NOTHING = "没有可列的。"


@dataclass(frozen=True)
class Table:
    """A list: what its sheet is called, how its rows are read, and its columns."""

    name: str
    rows: Callable[[Connection, Choice], list[Row[Any]]]
    columns: tuple[Column[Row[Any]], ...]


def _fields(connection: Connection, choice: Choice) -> list[Row[Any]]:
    return list(tables.ranked_fields(connection, choice.run, choice.category)) if choice.run else []


def _peaks(connection: Connection, choice: Choice) -> list[Row[Any]]:
    return list(tables.ranked_peaks(connection, choice.run, choice.category)) if choice.run else []


def _recent(connection: Connection, choice: Choice) -> list[Row[Any]]:
    return list(tables.recent_clusters(connection, choice.category))


def _window(row: Row[Any]) -> str:
    return explain.peak_window(row.result.start, row.result.length).zh


_WHAT: Column[Row[Any]] = Column("类别", "text", lambda row: row.category_name, 24)
_Q: Column[Row[Any]] = Column("校正后 q", "q", lambda row: row.result.q)
_WHY: Column[Row[Any]] = Column("依据", "text", lambda row: row.text.zh, 100)

TABLES: Mapping[str, Table] = {
    "fields": Table("热点领域", _fields, (
        _WHAT,
        Column("件数", "whole", lambda row: row.result.count),
        Column("上一期（今日边界）", "whole", lambda row: row.result.previous),
        Column("率", "tenth", lambda row: row.result.rate),
        Column("热点个数", "whole", lambda row: row.result.hot_areas),
        Column("热点内件数", "whole", lambda row: row.result.hot_count),
        Column("按全市水平应有", "tenth", lambda row: row.result.hot_expected),
        Column("多出", "tenth", lambda row: row.result.excess),
        Column("多出最多的", "text", lambda row: row.area_name, 24),
        _Q, _WHY,
    )),
    "peaks": Table("频发时间", _peaks, (
        _WHAT,
        Column("时段", "text", _window, 24),
        Column("件数", "whole", lambda row: row.result.count),
        Column("若全年均匀应有", "tenth", lambda row: row.result.expected),
        Column("日均倍数", "tenth", lambda row: row.result.ratio),
        _Q, _WHY,
    )),
    "recent": Table("近期聚集", _recent, (
        _WHAT,
        Column("地方", "text", lambda row: row.area_name, 24),
        Column("处数", "whole", lambda row: len(row.result.areas)),
        Column("自", "text", lambda row: row.result.start_on.isoformat(), 12),
        Column("至", "text", lambda row: row.result.end_on.isoformat(), 12),
        Column("件数", "whole", lambda row: row.result.observed),
        Column("按平时应有", "tenth", lambda row: row.result.expected),
        _Q, _WHY,
    )),
}  # fmt: skip


def of(connection: Connection, name: str, choice: Choice) -> bytes:
    """Return one of `TABLES` for the chosen category and period as an XLSX file, all its rows."""
    found, stream = TABLES[name], BytesIO()
    rows = found.rows(connection, choice)
    with xlsxwriter.Workbook(stream, _OPTIONS) as book:
        if choice.run:  # the same data makes the same bytes
            book.set_properties({"created": choice.run.finished_at.replace(tzinfo=None)})
        sheet = book.add_worksheet(found.name)
        write_table(sheet, Formats(book, STYLES), found.columns, rows, NOTHING)
        sheet.freeze_panes(1, 1)
        sheet.set_landscape()
        sheet.set_paper(A4)
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0)
    return stream.getvalue()

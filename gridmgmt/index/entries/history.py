"""Values of many months as a long table: 指标, 单位, 月份, 值."""

import re
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from gridmgmt.calendar import china_today
from gridmgmt.errors import InputError, NotFoundError
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.report import Report
from gridmgmt.importing.tables import read_chunks
from gridmgmt.index.entries.faults import Wrong
from gridmgmt.index.entries.forms import Found, Names, column_wrong
from gridmgmt.index.entries.numbers import clean, number
from gridmgmt.index.entries.service import Cell
from gridmgmt.index.periods import read_month
from gridmgmt.index.stored import Unit
from gridmgmt.index.tree import Indicator, Level

COLUMNS = {
    "indicator": ("指标", "指标代码", "指标名称", "indicator"),
    "unit": ("单位", "单位代码", "单位名称", "镇街", "unit"),
    "month": ("月份", "month"),
    "value": ("值", "数值", "value"),
}
_MONTH = re.compile(r"(\d{4})(?:(\d{2})|[-/.年](\d{1,2})(?:月|[-/.月]0?1日?)?)", re.ASCII)
OLDEST = date(2000, 1, 1)
Row = tuple[int, dict[str, str]]


def rows(path: Path) -> tuple[list[Row], Report]:
    """Return the rows of a CSV file by their numbers; the report has those that could not be read.

    Raises FileError for one that cannot be read as a whole or lacks a column.
    """
    report, found = Report("index", path), list[Row]()
    for chunk in read_chunks(
        path, Mapping(), known=tuple(COLUMNS), required=tuple(COLUMNS), report=report, aliases=COLUMNS,
        only_known=True,
    ):  # fmt: skip
        columns = {name: chunk.column(name).tolist() for name in COLUMNS}
        for n in chunk.good.nonzero()[0].tolist():
            found.append((int(chunk.rows[n]), {name: str(values[n]) for name, values in columns.items()}))
    return found, report


def month_of(words: str) -> date:
    """Return a month as offices write it; InputError for anything else.

    >>> month_of("2026年3月"), month_of("202603"), month_of("2026/3/1")
    (datetime.date(2026, 3, 1), datetime.date(2026, 3, 1), datetime.date(2026, 3, 1))
    """
    told = _MONTH.fullmatch(clean(words))
    if not told:
        raise InputError("month", words, "a month such as 2026-03")
    return read_month(f"{told[1]}-{int(told[2] or told[3]):02d}")


def read(listed: Sequence[Row], report: Report, names_of: Callable[[date], Names], department: str) -> Found:
    """Return the cells and faults of rows; `names_of` raises NotFoundError for a month without a tree."""
    found, seen = Found(), dict[tuple[str, str, date], str]()
    for told in report.first_reasons:
        found.fault(f"第{told.split(':')[0].removeprefix('row ')}行", Wrong.FIELDS)
    if report.rejected > len(report.first_reasons):
        found.fault(f"另有{report.rejected - len(report.first_reasons)}行", Wrong.FIELDS)
    for n, row in listed:
        cell = _cell(f"第{n}行", row, names_of, department, found)
        if cell and cell.key in seen:
            found.fault(f"第{n}行", Wrong.DOUBLED, " ".join(row.values()), seen[cell.key])
        elif cell:
            seen[cell.key] = f"第{n}行"
            found.cells.append(cell)
    return found


def _cell(
    where: str, row: dict[str, str], names_of: Callable[[date], Names], department: str, found: Found
) -> Cell | None:
    """Return what a row says, None with a fault noted, or where it gives nothing."""
    try:
        month = month_of(row["month"])
        if not OLDEST <= month <= china_today():
            raise InputError("month", row["month"], "a month that has begun")
        names = names_of(month)
    except (InputError, NotFoundError):
        found.fault(f"{where} 月份", Wrong.MONTH, row["month"])
        return None
    indicator = names.indicator(row["indicator"])
    wrong = column_wrong(indicator, None, department)
    if wrong or indicator is None:
        found.fault(f"{where} 指标", wrong or Wrong.UNKNOWN_INDICATOR, row["indicator"])
        return None
    level, unit = _unit(names, indicator, row["unit"])
    if unit is None:
        found.fault(f"{where} 单位", Wrong.UNKNOWN_UNIT, row["unit"])
        return None
    if not clean(row["value"]):
        return None
    read = number(row["value"], indicator)
    if read.wrong:
        found.fault(f"{where} 值", read.wrong, row["value"], read.allowed)
        return None
    return Cell(indicator.code, level, unit.code, month, read.value)


def _unit(names: Names, indicator: Indicator, words: str) -> tuple[Level, Unit | None]:
    for level in Level:
        if level in indicator.levels and (unit := names.unit(level, words)):
            return level, unit
    return Level.TOWN, None

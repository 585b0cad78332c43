"""Records of spreadsheets (XLSX, XLS, ODS): cells as the text a person sees, never rounded."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetVisibleEnum

from gridmgmt.errors import FileError
from gridmgmt.importing.progress import Progress

SHEETS = (".xlsx", ".xlsm", ".xls", ".ods")
# A spreadsheet keeps 15 digits of a number; of a longer code typed as a number the rest is lost.
EXACT_BELOW = 1e15
REPORT_EVERY = 5_000
Record = tuple[int, list[str]]


class Rounded(str):
    """A number too long for a spreadsheet to hold: what stands there is no longer what was typed."""

    __slots__ = ()


@contextmanager
def sheet_records(path: Path, sheet: str | None, progress: Progress) -> Iterator[Iterator[Record]]:
    """Give (row number as the spreadsheet shows it, cells as text) of every row that is not empty.

    Raises FileError when the file is no spreadsheet, is locked by a password, or has no such sheet.
    """
    try:
        with CalamineWorkbook.from_path(path) as book:
            yield _cells(_chosen(path, book, sheet), progress)
    except (CalamineError, OSError) as why:
        raise FileError(path, "spreadsheet", str(why), "an XLSX, XLS or ODS file without a password") from why


def _chosen(path: Path, book: CalamineWorkbook, sheet: str | None) -> CalamineSheet:
    names = book.sheet_names
    if sheet is not None and sheet not in names:
        raise FileError(path, "sheet", sheet, ", ".join(names))
    seen = [meta.name for meta in book.sheets_metadata if meta.visible == SheetVisibleEnum.Visible]
    if not names:
        raise FileError(path, "sheet", "none", "a spreadsheet with a sheet")
    return book.get_sheet_by_name(sheet or (seen or names)[0])


def _cells(sheet: CalamineSheet, progress: Progress) -> Iterator[Record]:
    progress.total(sheet.total_height)
    inside = _merged_columns(sheet)
    above: dict[int, str] = {}
    for number, cells in enumerate(sheet.iter_rows(), 1):
        if number % REPORT_EVERY == 0:
            progress.at(number)
        texts = [as_text(cell) for cell in cells]
        if not any(texts) and not any(number in rows for rows in inside.values()):
            continue
        for column, rows in inside.items():
            if number in rows:
                texts[column] = above.get(column, "")
            else:
                above[column] = texts[column]
        yield number, texts


def _merged_columns(sheet: CalamineSheet) -> dict[int, set[int]]:
    """Return by column the rows hidden in a cell merged downwards: they take the value above.

    A cell merged across columns is a title and is left as it is.
    """
    hidden: dict[int, set[int]] = {}
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or []:
        if left == right and bottom > top:
            hidden.setdefault(left, set()).update(range(top + 2, bottom + 2))
    return hidden


def as_text(cell: Any) -> str:
    """Return a cell as text: 3.0 as "3", dates in ISO form, nothing as "".

    >>> as_text(3.0), as_text(2.5), as_text(date(2023, 5, 1)), as_text(None)
    ('3', '2.5', '2023-05-01', '')
    """
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int | float):
        text = str(int(cell)) if cell == int(cell) else repr(cell)
        return Rounded(text) if abs(cell) >= EXACT_BELOW else text
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return "" if cell is None else str(cell)

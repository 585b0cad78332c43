"""Reads one spreadsheet in a process of its own; its arguments are MEMORY ROWS SHEET PATH.

It says what it reads on standard output, for `sheet_table` alone. Memory beyond the bound ends it, as does
whatever else a broken file does to the library that parses it.
"""

import resource
import sys
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.compute as pc
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetVisibleEnum

from gridmgmt.importing import sheet_xml
from gridmgmt.importing.packed import BROKEN_ZIP
from gridmgmt.importing.pipes import send
from gridmgmt.importing.sheet_table import HEAD_ROWS, MOST_COLUMNS, Lost, as_text

Row = tuple[int, list[Any]]


class _Refused(Exception):
    """What is wrong with the file: field, found, allowed."""


def main() -> None:
    """Read the file named by the arguments to its end, or say what is wrong with it."""
    memory, rows, sheet, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = sys.stdout.buffer
    try:
        with CalamineWorkbook.from_path(path) as book:
            chosen = _chosen(book, sheet)
            _tell(out, chosen, _errors(path, chosen.name), rows)
    except _Refused as why:
        send(out, ("error", why.args))
    except (CalamineError, OSError, ValueError, OverflowError) as why:
        send(out, ("error", ("spreadsheet", str(why), "an XLSX, XLS or ODS file without a password")))


def _chosen(book: CalamineWorkbook, sheet: str) -> CalamineSheet:
    names = book.sheet_names
    if sheet and sheet not in names:
        raise _Refused("sheet", sheet, ", ".join(names))
    if not names:
        raise _Refused("sheet", "none", "a spreadsheet with a sheet")
    seen = [meta.name for meta in book.sheets_metadata if meta.visible == SheetVisibleEnum.Visible]
    return book.get_sheet_by_name(sheet or (seen or names)[0])


def _errors(path: Path, sheet: str) -> dict[sheet_xml.Place, str]:
    """Return the errors of formulas in an XLSX file's sheet, which calamine reads as nothing."""
    if not zipfile.is_zipfile(path):
        return {}
    try:
        with zipfile.ZipFile(path) as packed:
            return sheet_xml.errors(packed, sheet_xml.sheet_parts(packed)[sheet])
    except (KeyError, ElementTree.ParseError, *BROKEN_ZIP):
        return {}  # no XLSX, or one that is read for all that is wrong with it


def _tell(out: IO[bytes], sheet: CalamineSheet, errors: dict[sheet_xml.Place, str], rows: int) -> None:
    if sheet.total_width > MOST_COLUMNS:
        raise _Refused(
            "columns", sheet.total_width, f"at most {MOST_COLUMNS}; is a stray cell far to the right?"
        )
    send(out, ("total", sheet.total_height))
    cells = _rows(sheet, errors)
    send(out, ("head", [(number, list(map(as_text, row))) for number, row in islice(cells, HEAD_ROWS)]))
    while block := list(islice(cells, rows)):
        columns = [_column(column, bool(errors)) for column in zip(*(row for _, row in block), strict=True)]
        lost = {place: places for place, (_, places) in enumerate(columns) if places}
        send(out, ("block", ([number for number, _ in block], [texts for texts, _ in columns], lost)))
    send(out, ("end", None))


def _column(cells: tuple[Any, ...], errors: bool) -> tuple[pa.Array, list[int]]:
    """Return a column as text, and the places of cells that lost what they said."""
    if not (errors and any(type(cell) is Lost for cell in cells)):
        try:
            return pa.array(cells, pa.large_string()), []  # most columns are text already
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            if (numbers := _fractions(cells)) is not None:
                return numbers, []
    texts = [as_text(cell) for cell in cells]
    return pa.array(texts, pa.large_string()), [i for i, text in enumerate(texts) if type(text) is Lost]


def _fractions(cells: tuple[Any, ...]) -> pa.Array | None:
    """Return a column of nothing but fractions of ordinary size as text, None when it is anything else."""
    try:
        numbers = pa.array(cells, pa.float64())
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None
    plain = pc.and_(pc.not_equal(numbers, pc.floor(numbers)), pc.less(pc.abs(numbers), 1e9))
    plain = pc.and_(plain, pc.greater(pc.abs(numbers), 1e-3))
    return numbers.cast(pa.large_string()) if pc.all(pc.fill_null(plain, False)).as_py() else None


def _rows(sheet: CalamineSheet, errors: dict[sheet_xml.Place, str]) -> Iterator[Row]:
    """Give the rows that are not empty; a cell merged downwards counts for all its rows."""
    inside, every = _merged_columns(sheet), _with_errors(sheet, errors)
    if not inside:
        yield from ((number, cells) for number, cells in every if _says(cells))
        return
    above: dict[int, Any] = {}
    for number, cells in every:
        hidden = [column for column, rows in inside.items() if number in rows]
        if not hidden and not _says(cells):
            continue
        for column in inside:
            if column in hidden:
                cells[column] = above.get(column, "")
            else:
                above[column] = cells[column]
        yield number, cells


def _with_errors(sheet: CalamineSheet, errors: dict[sheet_xml.Place, str]) -> Iterator[Row]:
    """Give every row; it begins with the sheet's first column that is not empty."""
    if not errors:
        yield from enumerate(sheet.iter_rows(), 1)
        return
    first, by_row = _first_column(sheet), dict[int, list[tuple[int, str]]]()
    for (row, column), words in errors.items():
        by_row.setdefault(row + 1, []).append((column - first, words))
    for number, cells in enumerate(sheet.iter_rows(), 1):
        for column, words in by_row.get(number, ()):
            if 0 <= column < len(cells):
                cells[column] = Lost(words)
        yield number, cells


def _first_column(sheet: CalamineSheet) -> int:
    return sheet.start[1] if sheet.start else 0


def _says(cells: list[Any]) -> bool:
    """Say whether any cell of a row holds something; 0 is something."""
    return any(cells) or any(cell != "" and cell is not None for cell in cells)


def _merged_columns(sheet: CalamineSheet) -> dict[int, set[int]]:
    """Return by column the rows hidden in a cell merged downwards: they take the value above.

    A cell merged across columns is a title and is left as it is.
    """
    hidden: dict[int, set[int]] = {}
    first = _first_column(sheet)  # where rows begin; ranges count from A
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or []:
        if left == right and bottom > top:
            bottom = min(bottom, sheet.total_height)
            if 0 <= left - first < sheet.width:
                hidden.setdefault(left - first, set()).update(range(top + 2, bottom + 2))
    return hidden


if __name__ == "__main__":
    main()

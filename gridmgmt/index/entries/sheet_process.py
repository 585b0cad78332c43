"""Reads one workbook in a process of its own; its arguments are MEMORY SECONDS PATH.

It says what it reads on standard output, for `sheets` alone: memory and time beyond the bounds end it, as
does whatever else a broken file does to the libraries that parse it. Values are calamine's. It does not
tell errors of formulas from blanks, nor percentages from fractions: they are found in the XML of each sheet.
"""

import re
import resource
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from gridmgmt.importing.packed import BROKEN_ZIP
from gridmgmt.importing.pipes import send
from gridmgmt.importing.sheet_xml import cells, error_of, plain, sheet_parts

MOST_SHEETS, MOST_ROWS, MOST_COLUMNS = 20, 2_000, 300
PERCENT = (9, 10)  # the built-in formats 0% and 0.00%
_QUOTED = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')
Marks = dict[tuple[int, int], str]


class _Refused(Exception):
    """What is wrong with the file: field, found, allowed."""


def main() -> None:
    """Read the file named by the arguments, or say what is wrong with it."""
    memory, seconds, path = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = sys.stdout.buffer
    try:
        send(out, ("sheets", _sheets(path)))
    except _Refused as why:
        send(out, ("error", why.args))
    except (CalamineError, ElementTree.ParseError, KeyError, *BROKEN_ZIP) as why:
        send(out, ("error", ("spreadsheet", str(why)[:200], "a whole XLSX file without a password")))


def _sheets(path: Path) -> list[dict[str, Any]]:
    with CalamineWorkbook.from_path(path) as book, zipfile.ZipFile(path) as packed:
        listed = [each for each in book.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
        if len(listed) > MOST_SHEETS:
            raise _Refused("sheets", len(listed), f"at most {MOST_SHEETS}")
        parts, shares = sheet_parts(packed), _percent_styles(packed)
        return [
            _sheet(book, each.name, each.visible == SheetVisibleEnum.Visible)
            | {"marks": dict(_marks(packed, parts[each.name], shares))}
            for each in listed
        ]


def _sheet(book: CalamineWorkbook, name: str, visible: bool) -> dict[str, Any]:
    sheet = book.get_sheet_by_name(name)
    if sheet.total_height > MOST_ROWS or sheet.total_width > MOST_COLUMNS:
        size = f"{sheet.total_height} × {sheet.total_width}"
        raise _Refused(
            name, size, f"at most {MOST_ROWS} rows and {MOST_COLUMNS} columns; is a stray cell far away?"
        )
    merged = sheet.merged_cell_ranges or []
    rows = sheet.to_python(skip_empty_area=False) if sheet.total_height else []
    held = {
        (row, column): cell
        for row, line in enumerate(rows)
        for column, cell in enumerate(line)
        if cell != "" and cell is not None
    }
    return {"name": name, "visible": visible, "cells": held, "merged": list(merged)}


# --- what calamine does not tell


def _percent_styles(packed: zipfile.ZipFile) -> set[str]:
    """Return the numbers of the styles that show a fraction as a percentage."""
    if "xl/styles.xml" not in packed.namelist():
        return set()
    styles = ElementTree.fromstring(packed.read("xl/styles.xml"))
    shares = {str(number) for number in PERCENT}
    for each in styles.iter():
        if plain(each.tag) == "numFmt" and "%" in _QUOTED.sub("", each.attrib.get("formatCode", "")):
            shares.add(each.attrib["numFmtId"])
    used = next((each for each in styles if plain(each.tag) == "cellXfs"), ())
    return {str(n) for n, style in enumerate(used) if style.attrib.get("numFmtId") in shares}


def _marks(packed: zipfile.ZipFile, part: str, shares: set[str]) -> Iterator[tuple[tuple[int, int], str]]:
    """Give the places of formula errors, with their words, of formulas without a value, and of "%"."""
    for place, cell in cells(packed, part):
        parts = {plain(child.tag): child.text for child in cell}
        value = parts.get("v")
        if error := error_of(cell):
            yield place, error
        elif "f" in parts and not value and cell.attrib.get("t") != "str":
            yield place, f"={parts['f'] or ''}"
        elif value and cell.attrib.get("s") in shares and cell.attrib.get("t", "n") == "n":
            yield place, "%"


if __name__ == "__main__":
    main()

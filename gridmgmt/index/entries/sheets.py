"""Workbooks that were sent in, as cells by their places: read by a process that may harm itself alone."""

import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from gridmgmt.errors import FileError
from gridmgmt.importing.packed import BROKEN_ZIP
from gridmgmt.importing.pipes import receive

LARGEST_FILE = 2 << 20
MOST_UNPACKED = 32 << 20
MEMORY, SECONDS = 512 << 20, 10
Place = tuple[int, int]


@dataclass(frozen=True)
class Sheet:
    """A sheet: what cells hold by (row, column) from 0; `marks` are "%" or an error such as #N/A."""

    name: str
    visible: bool
    cells: Mapping[Place, Any]
    marks: Mapping[Place, str]
    merged: tuple[tuple[Place, Place], ...]

    def text(self, place: Place) -> str:
        """Return a cell as text without blanks around, "" for none; whole numbers without a point."""
        cell = self.cells.get(place, self.marks.get(place, ""))
        if isinstance(cell, float) and cell == int(cell) and abs(cell) < 1e15:
            return str(int(cell))
        if isinstance(cell, datetime | date | time | timedelta):
            return str(cell)
        return str(cell).strip()

    def at(self, place: Place) -> str:
        """Return a place as a spreadsheet names it.

        >>> Sheet("镇街", True, {}, {}, ()).at((6, 3))
        '镇街!D7'
        """
        return f"{self.name}!{address(place)}"


def address(place: Place) -> str:
    """Return the letters and number of a cell.

    >>> address((0, 26))
    'AA1'
    """
    letters, column = "", place[1] + 1
    while column:
        column, letter = divmod(column - 1, 26)
        letters = chr(65 + letter) + letters
    return f"{letters}{place[0] + 1}"


def read(path: Path, name: str) -> list[Sheet]:
    """Return the sheets of an XLSX file; `name` is what errors call it.

    Raises FileError for what is no XLSX file, is above 2 MB, unpacks to far more, holds macros or a sheet of
    more than 2,000 rows, or cannot be read within 10 seconds and 512 MiB.
    """
    _check(path, name)
    command = [sys.executable, "-m", "gridmgmt.index.entries.sheet_process", str(MEMORY), str(SECONDS)]
    with subprocess.Popen(
        [*command, str(path.absolute())], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as reader:  # fmt: skip
        assert reader.stdout is not None
        try:
            kind, content = receive(reader.stdout)
        except EOFError:
            found = f"it cannot be read within {SECONDS} seconds and {MEMORY >> 20} MiB"
            raise FileError(name, "spreadsheet", found, "a form of this system") from None
        finally:
            reader.kill()
    if kind == "error":
        raise FileError(name, *content)
    return [Sheet(**each | {"merged": tuple(each["merged"])}) for each in content]


def _check(path: Path, name: str) -> None:
    """Refuse by its outside what is no plain workbook."""
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise FileError(name, "size", f"{size:,} bytes", f"at most {LARGEST_FILE:,}")
    try:
        with zipfile.ZipFile(path) as packed:
            unpacked = sum(member.file_size for member in packed.infolist())
            names = {each.lower() for each in packed.namelist()}
    except BROKEN_ZIP as why:
        raise FileError(name, "file type", str(why)[:200], "XLSX without a password") from why
    if "xl/workbook.xml" not in names:
        raise FileError(name, "file type", "a packed file that is no workbook", "XLSX without a password")
    if any(each.endswith("vbaproject.bin") for each in names):
        raise FileError(name, "macros", "macros", "XLSX without macros")
    if unpacked > MOST_UNPACKED:
        raise FileError(name, "size", f"{unpacked:,} bytes when unpacked", f"at most {MOST_UNPACKED:,}")

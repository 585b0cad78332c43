"""Rows of spreadsheets (XLSX, XLS, ODS): cells as the text a person sees, never rounded.

The file is read in a process of its own with a bound on its memory (`sheet_process`): a file made to harm can
end that process and nothing else, and reading goes on while the rows before are checked here.
"""

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa

from gridmgmt.errors import FileError
from gridmgmt.importing.packed import BROKEN_ZIP
from gridmgmt.importing.pipes import receive

if TYPE_CHECKING:  # the reading process imports this module and should start at once
    from gridmgmt.importing.progress import Progress

SHEETS = (".xlsx", ".xlsm", ".xls", ".ods")
# A spreadsheet keeps 15 digits of a number; of a longer code typed as a number the rest is lost.
EXACT_BELOW = 1e15
MOST_COLUMNS = 1_000
HEAD_ROWS = 20  # so many records come first, as texts, for the header to be found among them
MOST_UNPACKED, SMALL = 100, 64 << 20
LEAST_MEMORY, MOST_MEMORY, MEMORY_A_BYTE = 320 << 20, 8 << 30, 48
Record = tuple[int, list[str]]


class Lost(str):
    """A cell that does not hold what it should: a number too long for a spreadsheet, a formula's error."""

    __slots__ = ()


@dataclass(frozen=True)
class Block:
    """Some rows as columns of text; `lost` has by column the places of cells that lost what they said."""

    numbers: list[int]
    columns: list[pa.Array]
    lost: dict[int, list[int]]


@contextmanager
def sheet_blocks(
    path: Path, sheet: str | None, rows: int, progress: "Progress"
) -> Iterator[Iterator[list[Record] | Block]]:
    """Give the first records that are not empty (20 at most) and then blocks of `rows` rows.

    Row numbers are those that the spreadsheet shows.

    Raises FileError when the file is no spreadsheet, is locked by a password, has no such sheet, or unpacks
    to far more than a table would.
    """
    _check_packing(path)
    memory = min(LEAST_MEMORY + MEMORY_A_BYTE * path.stat().st_size, MOST_MEMORY)
    command = [sys.executable, "-m", "gridmgmt.importing.sheet_process", str(memory), str(rows), sheet or ""]
    with path.open("rb") as stream:
        reader = subprocess.Popen(
            [*command, os.fspath(path.absolute())],
            stdin=stream,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    try:
        assert reader.stdout is not None
        yield _messages(path, reader.stdout, memory, progress)
    finally:
        reader.kill()
        reader.wait()
        if reader.stdout:
            reader.stdout.close()


def _check_packing(path: Path) -> None:
    """Refuse a packed file that unpacks to more than a table ever does, before anything unpacks it."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as packed:
            members = packed.infolist()
    except BROKEN_ZIP as why:
        raise FileError(path, "spreadsheet", str(why), "a whole spreadsheet") from why
    unpacked, room = sum(member.file_size for member in members), SMALL + MOST_UNPACKED * path.stat().st_size
    if unpacked > room or len(members) > 10_000:
        raise FileError(path, "spreadsheet", f"{unpacked:,} bytes when unpacked", f"at most {room:,}")


def _messages(
    path: Path, stream: IO[bytes], memory: int, progress: "Progress"
) -> Iterator[list[Record] | Block]:
    while True:
        kind, content = _message(path, stream, memory)
        if kind == "total":
            progress.total(content)
        elif kind == "head":
            yield content
        elif kind == "block":
            block = Block(*content)
            progress.at(block.numbers[-1])
            yield block
        elif kind == "error":
            raise FileError(path, *content)
        else:
            return


def _message(path: Path, stream: IO[bytes], memory: int) -> tuple[str, Any]:
    """Return what the reading process says next; its end without a word is an error of the file."""
    try:
        kind, content = receive(stream)
    except EOFError:
        found = f"it cannot be read within {memory >> 20} MiB of memory"
        allowed = "a sheet without stray cells far to the right or below, or the same table as CSV"
        raise FileError(path, "spreadsheet", found, allowed) from None
    return str(kind), content


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
        return Lost(text) if abs(cell) >= EXACT_BELOW else text
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return "" if cell is None else str(cell)

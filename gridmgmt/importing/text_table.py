"""Records of CSV files: any delimiter, any of the encodings met, packed or not."""

import codecs
import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from gridmgmt.errors import FileError
from gridmgmt.importing.progress import Progress
from gridmgmt.importing.survey import open_bytes, text_encoding, text_suffix

DELIMITERS = ",\t;|"
REPORT_EVERY = 5_000  # rows
LONGEST_LINE = 4_000_000  # characters
Record = tuple[int, list[str]]


@contextmanager
def text_records(path: Path, encoding: str | None, progress: Progress) -> Iterator[Iterator[Record]]:
    """Give (row number, fields) of every record, the header's row being 1; blank records are left out.

    Raises FileError for a file that cannot be read to its end; see `survey.text_encoding`.
    """
    name = text_encoding(path, encoding)
    raw, content = open_bytes(path)
    with raw, content, io.TextIOWrapper(content, codecs.lookup(name).name, newline="") as text:
        delimiter = _delimiter(path, name)
        progress.total(path.stat().st_size)
        yield _numbered(path, csv.reader(_lines(path, text), delimiter=delimiter), raw, progress)


def _delimiter(path: Path, encoding: str) -> str:
    """Return the delimiter that stands most often in the file's first lines."""
    if text_suffix(path) == ".tsv":
        return "\t"
    raw, content = open_bytes(path)
    with raw, content, io.TextIOWrapper(content, encoding, newline="") as text:
        start = "".join(islice(_lines(path, text), 5))
    return max(DELIMITERS, key=start.count)


def _lines(path: Path, text: io.TextIOWrapper) -> Iterator[str]:
    """Give lines; one that never ends would fill the memory before anything could be said of it."""
    number = 0
    while line := text.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise FileError(path, f"line {number}", f"over {LONGEST_LINE:,} characters", "a table's row")
        yield line


def _numbered(
    path: Path, reader: "Iterator[list[str]]", raw: io.BufferedReader, progress: Progress
) -> Iterator[Record]:
    number = 0
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as why:
            allowed = "fields below 131072 characters; a quote may have been opened and never closed"
            raise FileError(path, f"row {number + 1}", str(why), allowed) from why
        if fields is None:
            progress.at(path.stat().st_size)
            return
        number += 1
        if number % REPORT_EVERY == 0:
            progress.at(raw.tell())
        if fields and (fields[0] or any(fields)):
            yield number, fields

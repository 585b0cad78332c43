"""Tables of any format as chunks of text columns under our own names.

Everything is read as text: leading zeros stay, long codes never become numbers. Whole rows that cannot be
read are rejected with their reason, rows that [keep] leaves out are counted as filtered, columns that the
product may not hold are named and dropped.
"""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gridmgmt.errors import FileError
from gridmgmt.importing.columns import Layout, Required, Wanted
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.parquet_table import as_text, opened_parquet
from gridmgmt.importing.progress import Progress
from gridmgmt.importing.report import Report
from gridmgmt.importing.sheet_table import HEAD_ROWS, SHEETS, Block, Lost, sheet_blocks
from gridmgmt.importing.survey import file_digest, text_suffix
from gridmgmt.importing.text_table import text_records

ROWS = 50_000
TITLE_ROWS = HEAD_ROWS  # so many rows at most may stand above the header
PARQUET = (".parquet", ".pq")
KINDS = "CSV (.csv, .txt, .tsv, also .gz), XLSX, XLS, ODS or Parquet"
LOST_DIGITS = "a code stored as text: as a number it has lost digits"
FORMULA_ERROR = "a value: the formula in this cell ended in an error"
Record = tuple[int, list[str]]


@dataclass
class Chunk:
    """Some rows of a table. Its checks are `reject`; what is left at the end is `good`.

    Attributes
    ----------
    frame : DataFrame
        Text columns by our names, "" for nothing, blanks around taken off; index 0, 1, …
    rows : int64 array
        Row numbers as a person sees them (the header is row 1, or the row the sheet shows).
    raw : DataFrame
        The same rows as they stand in the file, for the rejects file.
    good : bool array
        Rows that are neither filtered nor rejected so far.
    """

    frame: pd.DataFrame
    rows: np.ndarray
    raw: pd.DataFrame
    report: Report
    good: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.good = np.ones(len(self.rows), bool)

    def reject(self, bad: object, name: str, found: object, allowed: object) -> None:
        """Reject the rows of a mask that are still good; `found` and `allowed` are a text or a column."""
        mask = np.asarray(bad, bool) & self.good
        if mask.any():
            self.good &= ~mask
            self.report.reject(self.rows[mask], name, _at(found, mask), _at(allowed, mask), self.raw[mask])

    def filter_out(self, mask: object) -> None:
        """Leave rows out that are still good; they count as filtered."""
        out = np.asarray(mask, bool) & self.good
        self.good &= ~out
        self.report.filtered += int(out.sum())

    def column(self, name: str) -> pd.Series:
        """Return a column of the frame, or one of empty texts when the file has none."""
        return self.frame[name] if name in self.frame else pd.Series("", index=self.frame.index, dtype="str")


def read_chunks(
    path: Path,
    mapping: Mapping,
    *,
    known: Sequence[str],
    required: Required,
    report: Report,
    aliases: Table[str, Sequence[str]] | None = None,
    only_known: bool = False,
    personal: Sequence[str] = (),
    rows: int = ROWS,
    progress: Progress | None = None,
) -> Iterator[Chunk]:
    """Give the rows of a table, `rows` at a time, and count them in the report.

    Parameters
    ----------
    known, required : sequences of str
        Our fields that this import takes, and those that a column or a constant must give (of a tuple one).
    aliases : mapping of str to sequences of str
        Other spellings of a field's column, tried in order.
    only_known : bool
        Take nothing but the known fields out of the file: for rosters, whose other columns are personal.
    personal : sequence of str
        Fields whose values are told by their length only.

    Raises
    ------
    FileError
        When the file as a whole cannot be read or lacks a required column.
    """
    path, progress = Path(path), progress or Progress()
    wanted = Wanted(known, required, aliases or {}, only_known, personal)
    wanted.check(mapping)
    report.sha256 = file_digest(path)
    if path.suffix.lower() in PARQUET:
        yield from _parquet_chunks(path, mapping, wanted, report, rows, progress)
    elif path.suffix.lower() in SHEETS:
        with sheet_blocks(path, mapping.sheet, rows, progress) as parts:
            yield from _sheet_chunks(path, parts, mapping, wanted, report)
    elif text_suffix(path):
        with text_records(path, mapping.encoding, progress) as records:
            yield from _record_chunks(path, records, mapping, wanted, report, rows)
    else:
        raise FileError(path, "file type", path.suffix or path.name, KINDS)


def _record_chunks(
    path: Path, records: Iterator[Record], mapping: Mapping, wanted: Wanted, report: Report, rows: int
) -> Iterator[Chunk]:
    head = list(islice(records, TITLE_ROWS))
    layout, rest = _header(path, head, mapping, wanted, report)
    rest_of_all = chain(rest, records)
    while block := list(islice(rest_of_all, rows)):
        report.read += len(block)
        block = _whole(block, layout, report)
        if block:
            yield _chunk(np.array([number for number, _ in block]), _columns(block, layout), layout, report)


def _header(
    path: Path, head: list[Record], mapping: Mapping, wanted: Wanted, report: Report
) -> tuple[Layout, list[Record]]:
    """Return the layout that the first fitting row gives, and the records below it."""
    if not head:
        raise FileError(path, "file", "no rows", "a table with a header row")
    at = next((i for i, (_, cells) in enumerate(head) if not wanted.missing(cells, mapping)), 0)
    layout = wanted.layout(path, head[at][1], mapping)
    report.name_forbidden(layout.forbidden)
    return layout, head[at + 1 :]


def _sheet_chunks(
    path: Path, parts: Iterator[list[Record] | Block], mapping: Mapping, wanted: Wanted, report: Report
) -> Iterator[Chunk]:
    head = next(parts)
    assert isinstance(head, list)
    layout, rest = _header(path, head, mapping, wanted, report)
    first = [_as_block(rest)] if rest else []
    for block in chain(first, parts):
        assert isinstance(block, Block)
        report.read += len(block.numbers)
        columns = {place: block.columns[place] for place in layout.kept}
        chunk = _chunk(np.array(block.numbers), columns, layout, report)
        _refuse_lost(chunk, layout, block.lost, wanted.personal)
        yield chunk


def _as_block(records: list[Record]) -> Block:
    columns = list(zip(*(cells for _, cells in records), strict=True))
    lost = {p: [i for i, text in enumerate(c) if type(text) is Lost] for p, c in enumerate(columns)}
    return Block([number for number, _ in records], [pa.array(c, pa.large_string()) for c in columns], lost)


def _whole(block: list[Record], layout: Layout, report: Report) -> list[Record]:
    """Return the records that have as many fields as the header; reject the others."""
    width = len(layout.header)
    whole: list[Record] = []
    ragged: list[Record] = []
    for record in block:
        fields = record[1]
        if len(fields) > width and not any(fields[width:]):  # some exports end every row with a delimiter
            del fields[width:]
        (whole if len(fields) == width else ragged).append(record)
    if ragged:
        padded = [(number, (fields + [""] * width)[:width]) for number, fields in ragged]
        raw, rows = _raw(_columns(padded, layout), layout), [number for number, _ in ragged]
        report.reject(rows, "fields", [_size(r) for r in ragged], f"{width} fields as in the header", raw)
    return whole


def _size(record: Record) -> str:
    fields = record[1]
    lines = sum(text.count("\n") for text in fields)
    return f"{len(fields)} fields" + (f" over {lines + 1} lines: is a quote left open?" if lines else "")


def _columns(block: Iterable[Record], layout: Layout) -> dict[int, Sequence[str]]:
    values = list(zip(*(fields for _, fields in block), strict=True))
    return {position: values[position] for position in layout.kept}


def _parquet_chunks(
    path: Path, mapping: Mapping, wanted: Wanted, report: Report, rows: int, progress: Progress
) -> Iterator[Chunk]:
    with opened_parquet(path) as file:
        header = file.schema_arrow.names
        layout = wanted.layout(path, header, mapping)
        report.name_forbidden(layout.forbidden)
        progress.total(file.metadata.num_rows)
        done = 0
        for batch in file.iter_batches(rows, columns=[header[p] for p in layout.kept]):
            report.read += batch.num_rows
            texts = {p: as_text(batch.column(header[p])) for p in layout.kept}
            numbers = np.arange(done + 2, done + 2 + batch.num_rows)
            chunk = _chunk(numbers, {p: text for p, (text, _) in texts.items()}, layout, report)
            _refuse_lost(chunk, layout, {p: lost for p, (_, lost) in texts.items()}, wanted.personal)
            done += batch.num_rows
            progress.at(done)
            yield chunk


def _chunk(rows: np.ndarray, columns: Table[int, object], layout: Layout, report: Report) -> Chunk:
    raw = _raw(columns, layout)
    by_position = dict(zip(layout.kept, raw.columns, strict=True))
    trimmed = {p: _unquoted(raw[by_position[p]].str.strip()) for p in layout.used}
    frame = layout.frame(trimmed, raw.index)
    chunk = Chunk(frame, rows, raw, report)
    broken = np.zeros(len(rows), bool)
    for name in raw:
        broken |= pc.match_substring(pa.array(raw[name]), "\0").to_numpy(zero_copy_only=False)
    chunk.reject(broken, "text", "a NUL byte", "text without NUL bytes")
    for position, allowed in layout.filters:
        chunk.filter_out(~trimmed[position].isin(allowed))
    return chunk


def _unquoted(texts: pd.Series) -> pd.Series:
    """Return texts without the quote that stands before = + - @ so that no spreadsheet runs them."""
    if pc.any(pc.starts_with(pa.array(texts), "'")).as_py():
        return texts.str.replace(r"^'([=+\-@])", r"\1", regex=True)
    return texts


def _refuse_lost(
    chunk: Chunk, layout: Layout, lost: Table[int, Sequence[int] | np.ndarray], personal: Sequence[str]
) -> None:
    hidden = {place for name in personal for place in layout.fields.get(name, ())}
    raw = dict(zip(layout.kept, chunk.raw, strict=True))
    for position in layout.used:
        if len(lost.get(position, ())):
            bad = np.zeros(len(chunk.rows), bool)
            bad[lost[position]] = True
            texts = chunk.raw[raw[position]]
            errors = texts.str.startswith("#")
            found = texts.where(errors, "a long number") if position in hidden else texts
            name = layout.header[position]
            chunk.reject(bad & errors, name, found, FORMULA_ERROR)
            chunk.reject(bad & ~errors, name, found, LOST_DIGITS)


def _raw(columns: Table[int, object], layout: Layout) -> pd.DataFrame:
    arrays = (columns[position] for position in layout.kept)
    texts = [a if isinstance(a, pa.Array) else pa.array(a, pa.large_string()) for a in arrays]
    names = layout.names()
    return pd.DataFrame(dict(zip(names, (pd.Series(text, dtype="str") for text in texts), strict=True)))


def _at(value: object, mask: np.ndarray) -> object:
    if isinstance(value, str):
        return value
    return pd.Series(value).to_numpy()[mask]

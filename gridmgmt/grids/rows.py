"""The rows of a small file, one object each: what importers of the territory check and reject one by one."""

from collections.abc import Mapping as Table
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from gridmgmt.errors import InputError
from gridmgmt.grids import coverage
from gridmgmt.grids.coverage import Breach, BreachKind
from gridmgmt.importing import features, tables, values
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.progress import Progress
from gridmgmt.importing.report import Report

ALLOWED_SHAPE = {
    BreachKind.EMPTY: "a polygon within its reference system, longitude before latitude",
    BreachKind.SELF_CROSSING: "a boundary that does not cross or touch itself; correct it in the source",
    BreachKind.INVALID: "a valid polygon; correct it in the source",
}


class Row:
    """One row or feature of a file. Rejecting it writes its reason down; a rejected row stays rejected."""

    def __init__(
        self,
        number: int,
        texts: dict[str, str],
        report: Report,
        raw: tuple[pd.DataFrame, int],
        geometry: BaseGeometry | None = None,
    ) -> None:
        self.number = number
        self.geometry = geometry
        self.rejected = False
        self._texts, self._report = texts, report
        self._raw = raw  # the rows as read, and which of them this is

    def __getitem__(self, name: str) -> str:
        """Return the text of a field, "" when the file has no such column or nothing in it."""
        return self._texts.get(name, "")

    def reject(self, field: str, found: object, allowed: str) -> None:
        if not self.rejected:
            self.rejected = True
            table, position = self._raw
            self._report.reject([self.number], field, str(found), allowed, table.iloc[[position]])

    def reject_for(self, why: InputError) -> None:
        self.reject(why.field, why.found, why.allowed)


def read_rows(
    path: Path,
    mapping: Mapping,
    report: Report,
    *,
    known: Sequence[str],
    required: Sequence[str],
    aliases: Table[str, Sequence[str]],
    progress: Progress | None = None,
    map_only: bool = False,
) -> list[Row]:
    """Return the rows of a table or the features of a map file; the unreadable ones are rejected already.

    With `map_only` a table is refused.

    Raises FileError when the file as a whole cannot be read or lacks a required field.
    """
    path = Path(path)
    if map_only or path.suffix.lower() in features.KINDS:
        found = features.read_features(
            path, mapping, known=known, required=required, aliases=aliases, report=report
        )
        texts = pd.DataFrame(found.drop(columns="geometry"))
        numbers = texts.pop("feature").tolist()
        return _rows(texts, numbers, texts, report, found.geometry.tolist())
    rows: list[Row] = []
    chunks = tables.read_chunks(
        path, mapping, known=known, required=required, aliases=aliases, report=report, progress=progress
    )
    for chunk in chunks:
        good = np.flatnonzero(chunk.good)
        rows += _rows(chunk.frame.iloc[good], chunk.rows[good].tolist(), chunk.raw.iloc[good], report)
    return rows


def _rows(
    frame: pd.DataFrame,
    numbers: list[int],
    raw: pd.DataFrame,
    report: Report,
    shapes: list[BaseGeometry] | None = None,
) -> list[Row]:
    return [
        Row(
            number,
            {str(name): text for name, text in texts.items()},
            report,
            (raw, k),
            shapes[k] if shapes else None,
        )
        for k, (number, texts) in enumerate(zip(numbers, frame.to_dict("records"), strict=True))
    ]


def kept(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that are not rejected so far."""
    return [row for row in rows if not row.rejected]


def reject_repeated(rows: Sequence[Row], field: str, keys: Sequence[object]) -> None:
    """Reject every row whose key an earlier row has; a key that is None repeats nothing."""
    first: dict[object, int] = {}
    for row, key in zip(rows, keys, strict=True):
        if key is None or row.rejected:
            continue
        if key in first:
            found = " ".join(key) if isinstance(key, tuple) else key
            row.reject(field, found, f"once in a file; it stands in {first[key]} already")
        first.setdefault(key, row.number)


def dates(rows: Sequence[Row], field: str, mapping: Mapping) -> list[date | None]:
    """Return the day that each row's field says, None where it says nothing; rejects what is no date."""
    texts = pd.Series([row[field] for row in rows], dtype="str")
    _, days, bad = values.parse_times(texts, mapping.timezone, mapping.time_format)
    for row, wrong in zip(rows, bad, strict=True):
        if wrong:
            row.reject(field, row[field], values.TIME_EXAMPLES)
    return [None if np.isnat(day) else day.item() for day in days]


def word(row: Row, field: str, words: Table[str, str], default: str) -> str:
    """Return what a field's word means by `words` (Chinese and English); rejects a word that is not there."""
    text = row[field]
    if text and text.lower() not in words:
        row.reject(field, text, ", ".join(words))
    return words.get(text.lower(), default)


def polygon(row: Row) -> MultiPolygon | None:
    """Return a row's shape as a multipolygon; rejects and returns None when it is not a valid polygon."""
    shape = row.geometry
    if not isinstance(shape, Polygon | MultiPolygon | None):
        row.reject("geometry", shape.geom_type, "Polygon or MultiPolygon")
        return None
    breach = coverage.check_shape("", shape)
    if breach is not None:
        row.reject("geometry", describe(breach), ALLOWED_SHAPE[breach.kind])
    if shape is None or breach is not None:
        return None
    return MultiPolygon([shape]) if isinstance(shape, Polygon) else shape


def describe(breach: Breach) -> str:
    """Return a breach of a shape by itself in words, with its place when it has one."""
    words = breach.note or breach.kind.value
    return words if np.isnan(breach.lon) else f"{words} at {place(breach.lon, breach.lat)}"


def place(lon: float, lat: float) -> str:
    """Return a point as longitude and latitude to a metre.

    >>> place(117.1234567, 34.0)
    '117.12346, 34.00000'
    """
    return f"{lon:.5f}, {lat:.5f}"


def same_shape(one: BaseGeometry | None, other: BaseGeometry | None) -> bool:
    """Say whether two shapes are the same vertex by vertex, wherever their rings begin."""
    if one is None or other is None:
        return one is other
    return bool(shapely.equals_exact(one, other, 0.0, normalize=True))

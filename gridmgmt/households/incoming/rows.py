"""The rows of a whole file that are still good, as columns, and how they are refused late."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from gridmgmt.households.incoming.people import People
from gridmgmt.households.incoming.seals import Seals
from gridmgmt.importing.report import Report
from gridmgmt.importing.tables import Chunk

Mask = NDArray[np.bool_]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, repr=False)
class Rows:
    """n rows: number in the file, dwelling, household (-1: none), what it says of a person, when verified.

    `people` is None when the file names nobody: then a row counts as one person.
    """

    row: Numbers
    home: Numbers
    family: Numbers
    people: People | None
    verified_on: NDArray[np.datetime64]
    verified_by: pa.Array
    seals: Seals | None = None  # made beside, once all rows are joined

    def taken(self, which: Any) -> Self:
        """Return some of the rows, by a mask or by places."""
        which = np.asarray(which)
        if which.dtype == bool and which.all():
            return self
        people = None if self.people is None else _picked(self.people, which)
        seals = None if self.seals is None else _picked(self.seals, which)
        return replace(_picked(replace(self, people=None, seals=None), which), people=people, seals=seals)

    @staticmethod
    def joined(parts: Sequence["Rows"]) -> "Rows":
        """Return the rows of all parts one after the other."""
        people = [part.people for part in parts if part.people is not None]
        bare = stacked([replace(part, people=None) for part in parts])
        return replace(bare, people=stacked(people) if people else None)


def _picked(table: Any, which: Any) -> Any:
    places = np.flatnonzero(which) if np.asarray(which).dtype == bool else np.asarray(which)
    columns = {f.name: getattr(table, f.name) for f in fields(table)}
    return replace(
        table,
        **{
            name: column.take(pa.array(places)) if isinstance(column, pa.Array) else column[places]
            for name, column in columns.items()
            if column is not None
        },
    )


def stacked(tables: Sequence[Any]) -> Any:
    """Return tables of the same columns one below the other."""
    first = tables[0]
    columns = {}
    for f in fields(first):
        parts = [getattr(table, f.name) for table in tables]
        if parts[0] is not None:
            columns[f.name] = (
                pa.concat_arrays(parts) if isinstance(parts[0], pa.Array) else np.concatenate(parts)
            )
    return replace(first, **columns)


class Kept:
    """What stood in the file, for rows that are refused only when the whole file is known."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._raw: list[pd.DataFrame | None] = []
        self._rows: list[Numbers] = []

    def add(self, chunk: Chunk) -> None:
        """Remember a chunk's rows as they stood."""
        self._raw.append(chunk.raw if self._report.writes_rejects else None)
        self._rows.append(chunk.rows)

    def reject(self, rows: Numbers, field: str, found: Sequence[str], allowed: str | Sequence[str]) -> None:
        """Reject rows by their numbers in the file."""
        found_of = dict(zip(rows.tolist(), found, strict=True))
        allowed_of = (
            dict.fromkeys(found_of, allowed)
            if isinstance(allowed, str)
            else dict(zip(rows.tolist(), allowed, strict=True))
        )
        for numbers, raw in zip(self._rows, self._raw, strict=True):
            here = np.isin(numbers, rows)
            if here.any():
                told = numbers[here].tolist()
                stood = None if raw is None else raw[here]
                self._report.reject(
                    numbers[here], field, [found_of[n] for n in told], [allowed_of[n] for n in told], stood
                )

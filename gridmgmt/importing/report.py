"""What came of every row of one file: counted, and the rejected ones written down with their reasons."""

import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd

from gridmgmt.errors import FileError, GridmgmtError

SHOWN = 20
_FORMULA = re.compile(r"^(?=[=+\-@\t\r])(?!-?[0-9]+(?:\.[0-9]+)?$).", re.DOTALL)
COUNTS = ("read", "filtered", "new", "updated", "unchanged", "rejected")


class Report:
    """Counts of one imported file, as a context: leaving it checks the sum and places the rejects file.

    read = filtered + new + updated + unchanged + rejected holds at the end, or the import stops. `extra`
    holds counts that are no part of this sum (matters outside every grid, without a place).
    """

    def __init__(self, kind: str, file: Path, rejects: Path | None = None) -> None:
        self.kind = kind
        self.file = Path(file)
        self.read = self.filtered = self.new = self.updated = self.unchanged = self.rejected = 0
        self.extra: dict[str, int] = {}
        self.warnings: list[str] = []
        self.unit = "row"  # what its numbers count: rows of a table, or features of a map file
        self.first_reasons: list[str] = []  # of the first 20 rejected rows
        self.sha256 = ""
        self.dry_run = False
        self.seconds = 0.0
        self._started = time.perf_counter()
        self._rejects = _RejectsFile(Path(rejects)) if rejects else None

    @property
    def writes_rejects(self) -> bool:
        """Whether rejected rows are written to a file, so that it is of use to know how they stood."""
        return self._rejects is not None

    def reject(
        self,
        rows: Sequence[int] | np.ndarray,
        field: str,
        found: object,
        allowed: object,
        raw: pd.DataFrame | None = None,
    ) -> None:
        """Note rejected rows; `found` and `allowed` are a text for all or one a row, `raw` what was read."""
        numbers = np.asarray(rows, dtype=np.int64)
        if not numbers.size:
            return
        self.rejected += numbers.size
        columns = {"row": numbers, "field": field, "found": _each(found), "allowed": _each(allowed)}
        reasons = pd.DataFrame(columns)
        reasons["reason"] = (
            field + ": found " + _quoted(reasons["found"]) + ", allowed: " + reasons["allowed"].astype(str)
        )
        room = SHOWN - len(self.first_reasons)
        shown = reasons.head(max(room, 0))
        self.first_reasons += [
            f"{self.unit} {row}: {why}" for row, why in zip(shown["row"], shown["reason"], strict=True)
        ]
        if self._rejects:
            self._rejects.write(reasons, raw)

    def warn(self, text: str) -> None:
        """Note something that the user should know and that rejects no row."""
        if text not in self.warnings:
            self.warnings.append(text)

    def name_forbidden(self, columns: Sequence[str]) -> None:
        """Warn of columns that were dropped, if any: the product serves residents, it does not watch them."""
        if columns:
            names = ", ".join(columns)
            self.warn(f"columns not taken, because no such thing is held about residents: {names}")

    def counts(self) -> dict[str, int]:
        """Return the counts by name, the extra ones after the six."""
        return {name: getattr(self, name) for name in COUNTS} | self.extra

    def as_json(self) -> dict[str, Any]:
        """Return counts, seconds and warnings as the last line of `--json` shows them."""
        return {**self.counts(), "seconds": round(self.seconds, 3), "warnings": self.warnings}

    def check(self) -> None:
        """Raise GridmgmtError when a row was lost or counted twice; call before the transaction ends."""
        told = self.filtered + self.new + self.updated + self.unchanged + self.rejected
        if self.read != told:
            raise GridmgmtError(
                f"{self.file}: read {self.read} rows but accounted for {told}: nothing was imported"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, _: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._started
        if self._rejects:
            self._rejects.close(keep=why is None)
        if why is None:
            self.check()


class _RejectsFile:
    """A CSV that appears under its name only when whole; UTF-8 with a mark, so that spreadsheets read it.

    Rows stand in it as they were, so it is for its owner alone; no cell of it is run as a formula.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            self._partial.unlink(missing_ok=True)
            made = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._stream = os.fdopen(made, "w", encoding="utf-8-sig", newline="")
        except OSError as why:
            raise FileError(path, "rejects file", why.strerror, "a path that can be written") from why
        self._header = False

    def write(self, reasons: pd.DataFrame, raw: pd.DataFrame | None) -> None:
        parts = [reasons[["row"]], reasons.drop(columns="row")]
        if raw is not None:
            parts.insert(1, raw.replace("\0", "\\0", regex=False))
        table = pd.concat([harmless(part.reset_index(drop=True)) for part in parts], axis=1)
        table.to_csv(self._stream, index=False, header=not self._header)
        self._header = True

    def close(self, *, keep: bool) -> None:
        if keep and not self._header:
            self._stream.write("row,field,found,allowed,reason\r\n")
        self._stream.close()
        if keep:
            self._partial.replace(self._path)
        else:
            with suppress(FileNotFoundError):
                self._partial.unlink()


def harmless(table: pd.DataFrame) -> pd.DataFrame:
    """Return texts so that no spreadsheet takes one for a formula: a quote stands before = + - @ and tabs.

    Plain numbers stay; `tables` takes the quote off again when the file is loaded.
    """
    texts = table.select_dtypes(exclude="number").astype("str")
    return table.assign(
        **{str(name): texts[name].str.replace(_FORMULA, r"'\g<0>", regex=True) for name in texts}
    )


def _each(value: object) -> object:
    """Return one text for all, or the values of a column without its index."""
    return value.to_numpy() if isinstance(value, pd.Series) else value


def _quoted(found: pd.Series) -> pd.Series:
    """Return found values between quotes, cut at 60 characters."""
    text = found.astype(str)
    return "'" + text.str.slice(0, 60) + np.where(text.str.len() > 60, "…", "") + "'"

"""What an exported county is: two Parquet files without anything personal, and a manifest that sums them up.

A matter is a point, a day, a category and the code of the grid it was reported in; a grid is its shape, its
code and its households, which are left out where they are few. The same content gives the same bytes.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gridmgmt.errors import FileError

SCHEMA = 1
MANIFEST, GRIDS_FILE, MATTERS_FILE = "manifest.json", "grids.parquet", "matters.parquet"
CODE = pa.dictionary(pa.int32(), pa.string())
GRIDS = pa.schema([("code", pa.string()), ("households", pa.int32()), ("geometry", pa.binary())])
MATTERS = pa.schema(
    [("lon", pa.float64()), ("lat", pa.float64()), ("day", pa.date32()), ("category", CODE), ("grid", CODE)]
)


@dataclass(frozen=True)
class Written:
    """A file as it was written: rows, bytes and the sum of its content."""

    rows: int
    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Written":
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return cls(pq.read_metadata(path).num_rows, path.stat().st_size, digest)


@dataclass(frozen=True)
class Manifest:
    """What stands in `manifest.json`: `period` is the first and last day of matters, None without any;
    `categories` are (code, code of the one above or None), in order of code."""

    schema: int
    county: str
    data_version: int
    period: tuple[date, date] | None
    categories: tuple[tuple[str, str | None], ...]
    files: dict[str, Written]

    def write(self, folder: Path) -> None:
        days = self.period and [day.isoformat() for day in self.period]
        write_json(folder / MANIFEST, asdict(self) | {"period": days})

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Return the manifest of an exported county; FileError when it is none, or of another schema."""
        path = folder / MANIFEST
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            days = found["period"]
            manifest = cls(
                schema=found["schema"],
                county=found["county"],
                data_version=found["data_version"],
                period=(date.fromisoformat(days[0]), date.fromisoformat(days[1])) if days else None,
                categories=tuple((code, above) for code, above in found["categories"]),
                files={name: Written(**found["files"][name]) for name in (GRIDS_FILE, MATTERS_FILE)},
            )
        except (OSError, ValueError, KeyError, TypeError) as why:
            raise FileError(path, "manifest", repr(why), "what gridmgmt province export writes") from why
        if manifest.schema != SCHEMA:
            raise FileError(path, "schema", manifest.schema, str(SCHEMA))
        if not (manifest.county.isascii() and manifest.county.isdecimal()):  # it becomes a folder's name
            raise FileError(path, "county", manifest.county, "digits")
        return manifest


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table whole or not at all; a task that is done twice writes the same file again."""
    half = path.with_name(f"{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, half, compression="zstd")
    half.replace(path)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a manifest, one entry a line, in the order given."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def folders_in(folders: list[Path]) -> list[Path]:
    """Return the exported counties among folders and their children, each once, in order of path.

    Raises FileError for a folder that neither is one nor holds one.
    """
    found: set[Path] = set()
    for folder in folders:
        inside = (
            [folder] if (folder / MANIFEST).exists() else [p.parent for p in folder.glob(f"*/{MANIFEST}")]
        )
        if not inside:
            raise FileError(folder, "folder", "no manifest.json", "what gridmgmt province export writes")
        found.update(path.resolve() for path in inside)
    return sorted(found)


def check_columns(path: Path, wanted: pa.Schema) -> None:
    """Refuse a file of other columns than an export has; what is more may be personal."""
    names = pq.read_schema(path).names
    if names != wanted.names:
        raise FileError(path, "columns", names, str(wanted.names))

"""Writing files so that the same content is the same bytes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import shapely
from pyarrow import csv


def write_geojson(path: Path, features: Iterable[tuple[dict[str, Any], Any]]) -> None:
    """Write features; coordinates are written so that reading gives back the same doubles."""
    lines = [
        json.dumps(
            {"type": "Feature", "properties": properties, "geometry": shapely.geometry.mapping(shape)},
            ensure_ascii=False,
            separators=(",", ":"),
        )
        for properties, shape in features
    ]
    body = ",\n".join(lines)
    path.write_text(
        f'{{"type":"FeatureCollection","features":[\n{body}\n]}}\n', encoding="utf-8", newline="\n"
    )


def write_csv(path: Path, table: pa.Table, encoding: str) -> None:
    """Write a table whose text needs no quotes, in an encoding such as an office sends."""
    buffer = io.BytesIO()
    header = ",".join(table.column_names) + "\n"
    csv.write_csv(table, buffer, csv.WriteOptions(include_header=False, quoting_style="none"))
    path.write_bytes((header + buffer.getvalue().decode("utf-8")).encode(encoding))


def write_json(path: Path, value: Any) -> None:
    """Write a value as readable JSON."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", newline="\n")

"""Binary COPY: columns into a table without a row of Python, an order of magnitude faster than INSERT."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from gridmgmt.db.base import SRID
from gridmgmt.errors import InputError

BLOCK = 20_000  # rows encoded at a time; about 10 MB
SIGNATURE = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
TRAILER = b"\xff\xff"
EPOCH = np.datetime64("2000-01-01")
# EWKB of a point, little-endian, with its SRID.
POINT_HEAD = b"\x01" + (0x20000001).to_bytes(4, "little") + SRID.to_bytes(4, "little")
POINT_BYTES = len(POINT_HEAD) + 16

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Points:
    """A column of EPSG:4490 points, degrees; NaN in either number is NULL."""

    lon: ArrayLike
    lat: ArrayLike


def copy_rows(cursor: Any, table: str, columns: Mapping[str, object]) -> int:
    """Append rows to a table and return how many.

    Parameters
    ----------
    cursor : psycopg2 cursor
        Nothing is committed.
    table : str
        Name, trusted and quoted by the caller where needed.
    columns : mapping of column name to values, all of one length
        numpy arrays, pandas Series, pyarrow arrays or lists, or `Points`. The value's type must be the
        column's: int16/32/64 -> smallint/integer/bigint, float64 -> double precision, bool -> boolean,
        datetime64[D] -> date, datetime64[us] (UTC) -> timestamptz, str -> text, fixed_size_binary(16) ->
        uuid, Points -> geometry(Point, 4490). NaN, NaT, None and masked values are NULL.

    Raises
    ------
    InputError
        When lengths differ or a type has no binary form here.
    """
    prepared = {name: _prepared(name, values) for name, values in columns.items()}
    lengths = {len(values) for values in prepared.values()}
    if len(lengths) != 1:
        raise InputError("columns", sorted(lengths), "columns of one length")
    count = lengths.pop()
    names = ", ".join(f'"{name}"' for name in prepared)
    for start in range(0, count, BLOCK):
        fields = [_encoded(name, values[start : start + BLOCK]) for name, values in prepared.items()]
        stream = io.BytesIO(SIGNATURE + _rows(fields).tobytes() + TRAILER)
        cursor.copy_expert(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)", stream, size=1 << 20)
    return count


def _prepared(name: str, values: object) -> Any:
    """Return a column as a pyarrow array, or as an (n, 2) array of points."""
    if isinstance(values, Points):
        return np.column_stack([np.asarray(values.lon, np.float64), np.asarray(values.lat, np.float64)])
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, np.ma.MaskedArray):
        return pa.array(values.data, mask=np.ma.getmaskarray(values))
    try:
        array = values if isinstance(values, pa.Array) else pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError) as why:
        raise InputError(name, str(why), "a column of one type") from why
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


@dataclass(frozen=True)
class _Field:
    """One column as bytes: `data` of all values in a row, `sizes` in bytes a row, -1 for NULL."""

    data: Bytes
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    width: int  # of every value that is not NULL, or 0 when it varies


def _encoded(name: str, values: Any) -> _Field:
    if isinstance(values, np.ndarray):
        return _points(values)
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return _texts(values.cast(pa.large_string()))
    null = values.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_fixed_size_binary(kind) and kind.byte_width == 16:
        filled = values.fill_null(b"\0" * 16)
        data = np.frombuffer(filled.buffers()[1], np.uint8)[
            filled.offset * 16 : (filled.offset + len(filled)) * 16
        ]
        return _fixed(data, null, 16)
    numbers = _numbers(name, values)
    return _fixed(np.frombuffer(numbers.tobytes(), np.uint8), null, numbers.dtype.itemsize)


def _numbers(name: str, values: pa.Array) -> NDArray[Any]:
    """Return values as big-endian numbers, the way PostgreSQL sends them."""
    kind = values.type
    if pa.types.is_boolean(kind):
        return values.fill_null(False).cast(pa.int8()).to_numpy()
    if pa.types.is_date32(kind):
        days = values.cast(pa.int32()).fill_null(0).to_numpy() - EPOCH.astype("datetime64[D]").astype(int)
        return days.astype(">i4")
    if pa.types.is_timestamp(kind):
        moments = values.cast(pa.timestamp("us")).cast(pa.int64()).fill_null(0).to_numpy()
        return (moments - EPOCH.astype("datetime64[us]").astype(int)).astype(">i8")
    if pa.types.is_floating(kind):
        return values.cast(pa.float64()).fill_null(0.0).to_numpy().astype(">f8")
    if kind in (pa.int16(), pa.int32(), pa.int64()):
        return values.fill_null(0).to_numpy().astype(f">i{kind.bit_width // 8}")
    raise InputError(name, str(kind), "a type that copy_rows lists")


def _fixed(data: Bytes, null: NDArray[np.bool_], width: int) -> _Field:
    starts = np.arange(len(null), dtype=np.int64) * width
    return _Field(data, starts, np.where(null, -1, width), width)


def _points(lonlat: NDArray[np.float64]) -> _Field:
    data = np.empty((len(lonlat), POINT_BYTES), np.uint8)
    data[:, : len(POINT_HEAD)] = np.frombuffer(POINT_HEAD, np.uint8)
    data[:, len(POINT_HEAD) :] = np.frombuffer(lonlat.astype("<f8").tobytes(), np.uint8).reshape(-1, 16)
    nowhere = np.isnan(lonlat[:, 0]) | np.isnan(lonlat[:, 1])
    return _fixed(data.ravel(), nowhere, POINT_BYTES)


def _texts(values: pa.Array) -> _Field:
    _, offsets_buffer, data_buffer = values.buffers()
    first = values.offset
    offsets = np.frombuffer(offsets_buffer, np.int64)[first : first + len(values) + 1]
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer else np.empty(0, np.uint8)
    null = values.is_null().to_numpy(zero_copy_only=False)
    return _Field(data, offsets[:-1], np.where(null, -1, np.diff(offsets)), 0)


def _rows(fields: list[_Field]) -> Bytes:
    """Return tuples in COPY's binary form: field count, then each field's size and bytes."""
    sizes = np.column_stack([field.sizes for field in fields])
    held = np.maximum(sizes, 0)
    ends = np.cumsum(held + 4, axis=1)
    begins = np.concatenate([[0], np.cumsum(ends[:, -1] + 2)])
    out = np.zeros(int(begins[-1]), np.uint8)
    _put(out, begins[:-1], np.full(len(sizes), len(fields), ">i2"))
    for k, field in enumerate(fields):
        at = begins[:-1] + 2 + ends[:, k] - held[:, k] - 4
        _put(out, at, sizes[:, k].astype(">i4"))
        _scatter(out, at + 4, field, held[:, k])
    return out


def _put(out: Bytes, at: NDArray[np.int64], numbers: NDArray[Any]) -> None:
    width = numbers.dtype.itemsize
    out[at[:, None] + np.arange(width)] = np.frombuffer(numbers.tobytes(), np.uint8).reshape(-1, width)


def _scatter(out: Bytes, at: NDArray[np.int64], field: _Field, held: NDArray[np.int64]) -> None:
    """Write every value's bytes to its place; `held` are bytes a row, 0 for NULL."""
    if field.width:
        there = held > 0
        steps = np.arange(field.width)
        out[at[there, None] + steps] = field.data[field.starts[there, None] + steps]
        return
    total = int(held.sum())
    within = np.arange(total) - np.repeat(np.cumsum(held) - held, held)
    out[np.repeat(at, held) + within] = field.data[np.repeat(field.starts, held) + within]


def texts_or_null(texts: pd.Series) -> pd.Series:
    """Return texts with "" as NULL."""
    return texts.where(texts != "", None)

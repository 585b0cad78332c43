"""Columns of Parquet files as text, batch by batch; columns that nobody asks for are not read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gridmgmt.errors import FileError

EXACT_BELOW = 1e15  # a float beyond it stands for a code that was once longer


@contextmanager
def opened_parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """Give an open Parquet file; raises FileError when it is none or is damaged, also while it is read."""
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as why:
        raise FileError(path, "Parquet file", str(why).splitlines()[0], "a whole Parquet file") from why


def as_text(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Return a column as text, "" for nothing, and the positions of numbers that have lost digits."""
    lost = np.empty(0, np.intp)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        numbers = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        lost = np.flatnonzero(np.abs(np.nan_to_num(numbers)) >= EXACT_BELOW)
        column = _floats(column, numbers)
    elif pa.types.is_timestamp(column.type):
        column = _timestamps(column)
    elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = pc.binary_join(column.cast(pa.list_(pa.string())), ",")
    text = column.cast(pa.large_string())
    text.validate(full=True)  # a damaged file may call bytes text that are none
    return pc.fill_null(text, ""), lost


def _floats(column: pa.Array, numbers: np.ndarray) -> pa.Array:
    """Return floats as text, whole ones without a point, NaN as nothing."""
    whole = pa.array((numbers == np.floor(numbers)) & (np.abs(numbers) < EXACT_BELOW), from_pandas=True)
    integers = pa.array(
        np.where(np.isfinite(numbers) & (np.abs(numbers) < EXACT_BELOW), numbers, 0).astype(np.int64)
    )
    text = pc.if_else(whole, integers.cast(pa.large_string()), column.cast(pa.large_string()))
    return pc.if_else(pa.array(np.isnan(numbers)), pa.scalar("", pa.large_string()), text)


def _timestamps(column: pa.Array) -> pa.Array:
    """Return timestamps in ISO form; those with a zone in UTC with a Z."""
    zoned = column.type.tz is not None
    text = column.cast(pa.timestamp("us")).cast(pa.large_string())
    return (
        pc.binary_join_element_wise(text, *(pa.scalar(end, pa.large_string()) for end in ("Z", "")))
        if zoned
        else text
    )

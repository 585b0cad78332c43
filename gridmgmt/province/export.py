"""Writes the county that stands in this database for an analysis over many counties."""

import os
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from sqlalchemy import Connection

from gridmgmt.config import FEWEST_HOUSEHOLDS
from gridmgmt.errors import SetupError
from gridmgmt.grids import service as grids
from gridmgmt.hotspots.stored import data_version
from gridmgmt.importing.progress import Progress
from gridmgmt.incidents import service as incidents
from gridmgmt.incidents.service import Matters
from gridmgmt.province.files import (
    GRIDS,
    GRIDS_FILE,
    MATTERS,
    MATTERS_FILE,
    SCHEMA,
    Manifest,
    Written,
    write_table,
)


def export(connection: Connection, out: Path, progress: Progress | None = None) -> Manifest:
    """Write the county into a folder of its code under `out` and return what was written.

    Matters are read and written month by month, each a row group, so that memory is bounded by a month.
    Needs no right but the reader's. An export that stood there is replaced file by file, its manifest last.

    Raises SetupError when there are no grids.
    """
    ground = grids.grids_in_force(connection)
    if not len(ground):
        raise SetupError("there are no grids yet; import them with: gridmgmt import grids FILE")
    counties = {code[:6] for code in ground.codes}
    county = counties.pop() if len(counties) == 1 else ground.codes[0][:4]  # several of one city
    folder = out / county
    write_table(folder / GRIDS_FILE, _grids(connection, ground))
    period = incidents.period(connection)
    _write_matters(connection, folder / MATTERS_FILE, months(period), progress or Progress())
    names = incidents.categories(connection)
    manifest = Manifest(
        schema=SCHEMA,
        county=county,
        data_version=data_version(connection),
        period=period,
        categories=tuple(zip(names.codes, names.parents, strict=True)),
        files={name: Written.of(folder / name) for name in (GRIDS_FILE, MATTERS_FILE)},
    )
    manifest.write(folder)
    return manifest


def months(period: tuple[date, date] | None) -> list[tuple[date, date]]:
    """Return the first and the last day of every month that a period touches."""
    if period is None:
        return []
    first, last = (np.datetime64(day, "M") for day in period)
    starts = [month.astype("datetime64[D]").item() for month in np.arange(first, last + 2)]
    return [(start, after - timedelta(days=1)) for start, after in pairwise(starts)]


def _grids(connection: Connection, ground: grids.GridSet) -> pa.Table:
    by_grid = grids.households_by_grid(connection)
    counted = [by_grid[int(grid)][0] if int(grid) in by_grid else None for grid in ground.ids]
    columns = {
        "code": list(ground.codes),
        "households": [n if n is not None and n >= FEWEST_HOUSEHOLDS else None for n in counted],
        "geometry": [shapely.to_wkb(shape) for shape in ground.geometries],
    }
    return pa.Table.from_pydict(columns, schema=GRIDS)


def _write_matters(
    connection: Connection, path: Path, parts: Sequence[tuple[date, date]], progress: Progress
) -> None:
    half = path.with_name(f"{path.name}.{os.getpid()}")
    progress.total(len(parts))
    with pq.ParquetWriter(half, MATTERS, compression="zstd") as writer:
        for number, table in enumerate(_tables(connection, parts), 1):
            if table.num_rows:
                writer.write_table(table)
            progress.at(number)
    half.replace(path)


def _tables(connection: Connection, parts: Sequence[tuple[date, date]]) -> Iterator[pa.Table]:
    codes = grids.code_of_ids(connection)
    known = np.array(sorted(codes), dtype=np.int64)
    names = pa.array([codes[each] for each in known.tolist()], pa.string())
    for start, end in parts:
        yield as_table(incidents.matters(connection, start, end), known, names)


def as_table(matters: Matters, known: np.ndarray, names: pa.Array) -> pa.Table:
    """Return matters as an export holds them; `names` are the codes of the grid ids in `known`."""
    nowhere = np.isnan(matters.lon)
    at = np.searchsorted(known, matters.recorded)
    kinds = pa.array(matters.categories, pa.string())
    columns = [
        pa.array(matters.lon, mask=nowhere),
        pa.array(matters.lat, mask=nowhere),
        pa.array(matters.day.astype("datetime64[D]"), pa.date32()),
        pa.DictionaryArray.from_arrays(matters.category.astype(np.int32), kinds),
        pa.DictionaryArray.from_arrays(pa.array(at.astype(np.int32), mask=matters.recorded < 0), names),
    ]
    return pa.Table.from_arrays(columns, schema=MATTERS)

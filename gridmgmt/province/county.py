"""An exported county as the analysis reads it: its ground, and its matters laid on it, a period at a time."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from gridmgmt.errors import FileError
from gridmgmt.grids import service as grids
from gridmgmt.grids.adjacency import contiguity
from gridmgmt.grids.assign import PointAssigner
from gridmgmt.hotspots.cube import Located
from gridmgmt.hotspots.statistics.weights import Weights
from gridmgmt.incidents.service import Categories
from gridmgmt.province.files import (
    GRIDS,
    GRIDS_FILE,
    MATTERS,
    MATTERS_FILE,
    Manifest,
    Written,
    check_columns,
    write_table,
)

FEW = 2  # households that stand for a count that was left out: the middle of 0 to 4
ROWS_A_TASK = 250_000

Period = tuple[date, date]


@dataclass(frozen=True, eq=False)
class Territory:
    """The grids of a county, `n` of them in order of code."""

    grids: grids.GridSet
    households: np.ndarray  # (n,), 0 everywhere when none is known

    @cached_property
    def assigner(self) -> PointAssigner:
        return PointAssigner(self.grids.codes, self.grids.geometries)

    @cached_property
    def near(self) -> Weights:
        """Who is whose neighbour (queen), none with itself."""
        return Weights.from_pairs(len(self.grids), *contiguity(self.grids.geometries))

    @cached_property
    def middles(self) -> np.ndarray:
        return grids.middles_m(self.grids.geometries)


@lru_cache(maxsize=2)  # tasks of one county follow each other
def _territory(path: Path, sha256: str) -> Territory:
    table = pq.read_table(path)
    codes = tuple(table["code"].to_pylist())
    shapes = np.array(shapely.from_wkb(table["geometry"].to_pylist()), dtype=object)
    counted = table["households"].to_numpy(zero_copy_only=False).astype(float)
    unknown = np.isnan(counted)
    households = np.where(unknown, 0 if unknown.all() else FEW, counted)
    ground = grids.GridSet(np.arange(len(codes)), codes, codes, tuple(code[:12] for code in codes), shapes)
    return Territory(ground, households)


@dataclass(frozen=True)
class County:
    """An exported county, and the folder that its results go to."""

    folder: Path
    manifest: Manifest
    out: Path

    @property
    def parts(self) -> Path:
        """Where tasks leave what is to be joined; gone when all is done."""
        return self.out / "parts"

    @property
    def matters(self) -> Path:
        return self.folder / MATTERS_FILE

    @property
    def territory(self) -> Territory:
        return _territory(self.folder / GRIDS_FILE, self.manifest.files[GRIDS_FILE].sha256)

    @property
    def code_list(self) -> Categories:
        codes, above = zip(*self.manifest.categories, strict=True) if self.manifest.categories else ((), ())
        return Categories(codes, codes, above, (None,) * len(codes))

    def check(self) -> None:
        """Raise FileError when a file is not what the manifest says, or holds other columns than it may."""
        for name, columns in ((GRIDS_FILE, GRIDS), (MATTERS_FILE, MATTERS)):
            path = self.folder / name
            try:
                found = Written.of(path)
            except (OSError, pa.ArrowException) as why:
                raise FileError(path, "file", repr(why), "the file that the manifest names") from why
            if found != self.manifest.files[name]:
                raise FileError(path, "content", found, f"{self.manifest.files[name]} of the manifest")
            check_columns(path, columns)

    # --- matters and their grids

    def blocks(self) -> list[tuple[int, int]]:
        """Return runs of row groups of about a quarter of a million matters, the first and after the last."""
        sizes = [rows for rows, _, _ in self._groups()]
        place = np.cumsum([0, *sizes])[:-1] // ROWS_A_TASK
        cuts = [0, *(np.flatnonzero(np.diff(place)) + 1).tolist(), len(sizes)] if sizes else [0]
        return list(pairwise(cuts))

    def assign(self, first: int, last: int) -> None:
        """Find the grid of the matters in some row groups and write it, as row of the county's grids."""
        source, assigner = pq.ParquetFile(self.matters), self.territory.assigner
        found = []
        for group in range(first, last):
            table = source.read_row_group(group, ["lon", "lat"])
            found.append(assigner.assign(_numbers(table["lon"]), _numbers(table["lat"])).astype(np.int32))
        write_table(self._assigned(first), pa.table({"grid": np.concatenate(found)}))

    def located(self, period: Period, *, places: bool = False) -> Located:
        """Return the matters of a period on their grids; without `places` their points are left NaN.

        Categories are those that occur, as `hotspots.cube.locate` has them.
        """
        columns = ["day", "category", *(("lon", "lat") if places else ())]
        parts = [_chosen(table, grid, period) for table, grid in self._with_grid(columns, period)]
        codes = sorted({code for table, _ in parts for code in table["category"].unique().to_pylist()})
        grid = np.concatenate([each for _, each in parts] or [np.empty(0, np.int64)])
        n = len(grid)

        def joined(name: str, dtype: Any) -> np.ndarray:
            return np.concatenate([np.empty(0, dtype), *(_numbers(table[name]) for table, _ in parts)])

        nowhere = np.broadcast_to(np.nan, n)
        return Located(
            grids=self.territory.grids,
            grid=grid,
            recorded=np.broadcast_to(-1, n),
            category=np.concatenate(
                [np.empty(0, np.int64), *(_coded(t["category"], codes) for t, _ in parts)]
            ),
            day=joined("day", "datetime64[D]"),
            categories=tuple(codes),
            lon=joined("lon", float) if places else nowhere,
            lat=joined("lat", float) if places else nowhere,
        )

    def _with_grid(self, columns: list[str], period: Period) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """Give the row groups that a period touches, with the grid of each matter."""
        source, groups = pq.ParquetFile(self.matters, read_dictionary=["category"]), self._groups()
        for first, last in self.blocks():
            wanted = [
                g for g in range(first, last) if groups[g][1] <= period[1] and groups[g][2] >= period[0]
            ]
            if not wanted:
                continue
            grid = pq.read_table(self._assigned(first))["grid"].to_numpy().astype(np.int64)
            ends = np.cumsum([0, *(rows for rows, _, _ in groups[first:last])])
            for group in wanted:
                yield (
                    source.read_row_group(group, columns),
                    grid[ends[group - first] : ends[group - first + 1]],
                )

    def _groups(self) -> list[tuple[int, date, date]]:
        """Return rows, first and last day of every row group."""
        found = pq.read_metadata(self.matters)
        day = MATTERS.names.index("day")
        parts = [found.row_group(group) for group in range(found.num_row_groups)]
        stats = [part.column(day).statistics for part in parts]
        return [(part.num_rows, each.min, each.max) for part, each in zip(parts, stats, strict=True)]

    def _assigned(self, first: int) -> Path:
        return self.out / f"assigned-{first:05d}.parquet"

    # --- parts and what is left of them

    def keep(self, name: str, **arrays: np.ndarray) -> None:
        """Leave arrays for the task that joins them; whole or not at all."""
        path = self.parts / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(f".{id(arrays)}.half")
        with half.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        half.replace(path)

    def kept(self, name: str) -> list[dict[str, np.ndarray]]:
        """Return the parts whose names begin so, in order of name."""
        return [dict(np.load(path)) for path in sorted(self.parts.glob(f"{name}*.npz"))]

    def sum_up(self) -> dict[str, Written]:
        """Remove the parts and return what stands in the folder of results."""
        shutil.rmtree(self.parts, ignore_errors=True)
        for half in self.out.glob("*.parquet.*"):  # of a worker that died
            half.unlink()
        return {f"{self.out.name}/{path.name}": Written.of(path) for path in sorted(self.out.iterdir())}


def _chosen(table: pa.Table, grid: np.ndarray, period: Period) -> tuple[pa.Table, np.ndarray]:
    day = _numbers(table["day"])
    kept = (day >= np.datetime64(period[0], "D")) & (day <= np.datetime64(period[1], "D"))
    return (table, grid) if kept.all() else (table.filter(pa.array(kept)), grid[kept])


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column as an array, NaN where there is none."""
    found: np.ndarray = column.combine_chunks().to_numpy(zero_copy_only=False)
    return found


def _coded(column: pa.ChunkedArray, codes: list[str]) -> np.ndarray:
    """Return the place of every category among sorted codes."""
    found = column.unify_dictionaries().combine_chunks()
    place = np.searchsorted(codes, found.dictionary.to_pylist()) if codes else np.empty(0, np.int64)
    return place.astype(np.int64)[found.indices.to_numpy(zero_copy_only=False)]

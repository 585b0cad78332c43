"""Exported counties of synthetic points for `bench_growth`: one county's ground, moved; matters by numpy."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from benchmarks.bench_assign import BOX, voronoi_city
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

GRIDS_A_COUNTY, TOWNS, TOPS, EACH = 1000, 16, 6, 10
MONTHS = np.arange(np.datetime64("2022-01"), np.datetime64("2026-01"))
CODES = np.array([f"{1 + top:02d}{1 + kind:02d}" for top in range(TOPS) for kind in range(EACH)])
CATEGORIES = tuple(
    sorted([*((f"{1 + top:02d}", None) for top in range(TOPS)), *((c, c[:2]) for c in CODES.tolist())])
)
STEP = 1.0  # degrees from one county to the next


def write_counties(folder: Path, counties: int, matters: int, grids: int = GRIDS_A_COUNTY) -> Path:
    """Write counties of `matters` in four years each, once; what stands there is used again.

    Categories differ a thousandfold, every fifth has a season of six weeks in some of the grids, a twentieth
    of the matters lies outside all grids or has no place.
    """
    ground = voronoi_city(grids)
    for number in range(counties):
        code = f"{990000 + number:06d}"
        if not (folder / code / "manifest.json").exists():
            _write(folder / code, code, ground, number, matters)
    return folder


def _write(folder: Path, code: str, ground: np.ndarray, number: int, matters: int) -> None:
    rng = np.random.default_rng([number, matters])
    east, north = STEP * (number % 10), STEP * (number // 10 % 10)
    shapes = shapely.transform(ground, lambda xy: xy + np.array([east, north]))
    each = -(-len(shapes) // TOWNS)
    names = [
        f"{code}{101 + n // each:03d}{1 + n % each // 999:03d}{1 + n % each % 999:03d}"
        for n in range(len(shapes))
    ]
    households = rng.integers(50, 600, len(shapes)).tolist()
    table = {"code": names, "households": households, "geometry": shapely.to_wkb(shapes).tolist()}
    write_table(folder / GRIDS_FILE, pa.Table.from_pydict(table, schema=GRIDS))
    share = rng.permutation(np.geomspace(1000, 1, len(CODES)))
    share /= share.sum()
    edges = np.linspace(0, matters, len(MONTHS) + 1).astype(int)
    with pq.ParquetWriter(folder / MATTERS_FILE, MATTERS, compression="zstd") as writer:
        for month, size in zip(MONTHS, np.diff(edges).tolist(), strict=True):
            writer.write_table(_month(rng, month, size, share, (east, north)))
    files = {name: Written.of(folder / name) for name in (GRIDS_FILE, MATTERS_FILE)}
    days = MONTHS[0].astype("datetime64[D]").item(), ((MONTHS[-1] + 1).astype("datetime64[D]") - 1).item()
    Manifest(SCHEMA, code, 1, days, CATEGORIES, files).write(folder)


def _month(
    rng: np.random.Generator, month: np.datetime64, size: int, share: np.ndarray, away: tuple[float, float]
) -> pa.Table:
    first = month.astype("datetime64[D]")
    length = ((month + 1).astype("datetime64[D]") - first).astype(int)
    kind = rng.choice(len(CODES), size, p=share)
    # Of a seasonal category half the matters that fall elsewhere in the year are moved out of the months.
    season = (kind % 5 == 0) & (kind * 12 // len(CODES) != month.astype(int) % 12) & (rng.random(size) < 0.5)
    kind[season] = rng.choice(np.flatnonzero(np.arange(len(CODES)) % 5), int(season.sum()))
    lon, lat = (rng.normal((low + high) / 2 + by, (high - low) / 5, size)
                for low, high, by in zip(BOX[:2], BOX[2:], away, strict=True))  # fmt: skip
    nowhere = rng.random(size) < 0.02
    columns = [
        pa.array(lon, mask=nowhere),
        pa.array(lat, mask=nowhere),
        pa.array(first + rng.integers(0, length, size), pa.date32()),
        pa.DictionaryArray.from_arrays(kind.astype(np.int32), CODES.tolist()),
        pa.DictionaryArray.from_arrays(pa.nulls(size, pa.int32()), pa.array([], pa.string())),
    ]
    return pa.Table.from_arrays(columns, schema=MATTERS)

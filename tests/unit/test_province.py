"""Two counties of 36 grids and three years: however the work is cut, ordered and carried out, and whoever
dies of it, the same bytes come out, and they are what the kernels say of the whole."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from gridmgmt.config import SEED
from gridmgmt.errors import ConflictError, FileError, InputError, SetupError
from gridmgmt.grids.assign import PointAssigner
from gridmgmt.hotspots import areas as hot
from gridmgmt.hotspots import recent
from gridmgmt.hotspots.analysis import PERMUTATIONS
from gridmgmt.province import county as counties
from gridmgmt.province import engines, service, work
from gridmgmt.province.county import FEW, County
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
from gridmgmt.seasonal.expected import fit
from gridmgmt.seasonal.history import history_of

SIDE, STEP = 6, 0.01
YEARS = range(2022, 2025)
CATEGORIES = (("01", None), ("0101", "01"), ("0102", "01"), ("0103", "01"))
CODES = ("990101", "990102")


def make_county(folder: Path, code: str, seed: int) -> Path:
    """Write a county: 0101 comes in June, 0102 gathers in one corner at the end, 0103 comes at any time."""
    rng = np.random.default_rng(seed)
    west, north = 114.0 + seed, 33.0
    column, row = np.divmod(np.arange(SIDE * SIDE), SIDE)
    x, y = west + column * STEP, north + row * STEP
    shapes = shapely.box(x, y, x + STEP, y + STEP)
    names = [f"{code}{1 + n // 18:03d}{1:03d}{n:03d}" for n in range(len(shapes))]
    households: list[int | None] = rng.integers(50, 400, len(shapes)).tolist()
    households[7] = None
    table = {"code": names, "households": households, "geometry": shapely.to_wkb(shapes).tolist()}
    write_table(folder / GRIDS_FILE, pa.Table.from_pydict(table, schema=GRIDS))
    first, days = np.datetime64("2022-01-01"), 1096
    june = [first + (np.datetime64(f"{year}-06-05") - first) + rng.integers(0, 15, 200) for year in YEARS]
    day = np.concatenate(
        [*june, first + days - 1 - rng.integers(0, 14, 60), first + rng.integers(0, days, 1100)]
    )
    kind = np.repeat([0, 1, 2, 1], [600, 60, 700, 400])
    lon, lat = (low + rng.uniform(-0.01, SIDE * STEP, len(day)) for low in (west, north))
    lon[600:660], lat[600:660] = west + rng.uniform(0, STEP, (2, 60)) + [[0], [north - west]]
    lon[:50] = lat[:50] = np.nan
    order = np.lexsort((np.arange(len(day)), day.astype("datetime64[M]")))
    rows = [
        pa.array(lon[order], mask=np.isnan(lon[order])),
        pa.array(lat[order], mask=np.isnan(lat[order])),
        pa.array(day[order].astype("datetime64[D]"), pa.date32()),
        pa.DictionaryArray.from_arrays(kind[order].astype(np.int32), ["0101", "0102", "0103"]),
        pa.DictionaryArray.from_arrays(pa.array([None] * len(day), pa.int32()), pa.array([], pa.string())),
    ]
    pq.write_table(pa.Table.from_arrays(rows, schema=MATTERS), folder / MATTERS_FILE, row_group_size=300)
    files = {name: Written.of(folder / name) for name in (GRIDS_FILE, MATTERS_FILE)}
    period = (day.min().item(), day.max().item())
    Manifest(SCHEMA, code, 1, period, CATEGORIES, files).write(folder)
    return folder


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    for seed, code in enumerate(CODES, 1):
        make_county(folder / code, code, seed)
    return folder


@pytest.fixture(scope="module")
def alone(exports: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("local") / "out"
    service.run([exports], out, engines.local)
    return out


def bytes_in(out: Path, but: str = "nothing") -> dict[str, bytes]:
    paths = sorted(path for path in out.rglob("*") if path.is_file() and but not in path.name)
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


def shuffled(work: Callable[[Any], Any], tasks: Sequence[Any]) -> list[Any]:
    """Do tasks in another order, every one twice."""
    done: list[Any] = [None] * len(tasks)
    for at in np.random.default_rng(len(tasks)).permutation(np.repeat(np.arange(len(tasks)), 2)):
        done[at] = work(tasks[at])
    return done


@contextmanager
def dying(flag: Path) -> Iterator[engines.Engine]:
    """Give two workers of Dask; the first one to draw worlds is killed over it."""
    with engines.opened("dask", workers=2) as engine:

        def mapped(work: Callable[[Any], Any], tasks: Sequence[Any]) -> list[Any]:
            def mortal(task: Any) -> Any:  # a closure travels whole; this module is not on the worker's path
                if work.__name__ == "draw_worlds":
                    try:
                        os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
                        os.kill(os.getpid(), signal.SIGKILL)
                    except FileExistsError:
                        pass
                return work(task)

            return engine(mortal, tasks)

        yield mapped


def test_workers_of_dask_write_the_bytes_of_one_process_though_one_is_killed(
    exports: Path, alone: Path, tmp_path: Path
) -> None:
    pytest.importorskip("distributed", reason="dask is not installed: extra `cluster`")
    with dying(tmp_path / "killed") as engine:
        service.run([exports], tmp_path / "out", engine)
    assert (tmp_path / "killed").exists()
    assert bytes_in(tmp_path / "out") == bytes_in(alone)


def test_neither_the_order_of_tasks_nor_doing_them_twice_changes_a_byte(
    exports: Path, alone: Path, tmp_path: Path
) -> None:
    service.run([exports / code for code in reversed(CODES)], tmp_path / "out", shuffled)
    assert bytes_in(tmp_path / "out") == bytes_in(alone)


def test_smaller_tasks_add_up_to_the_same_bytes(
    exports: Path, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in (
        (counties, "ROWS_A_TASK", 500), (work, "COLUMNS_A_TASK", 1), (work, "CATEGORIES_A_TASK", 1),
        (work, "REPLICATIONS_A_TASK", 100),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    service.run([exports], tmp_path / "out", engines.local)
    parts = sorted((tmp_path / "out" / CODES[0]).glob("assigned-*"))
    assert len(parts) > 2
    whole = pq.read_table(alone / CODES[0] / "assigned-00000.parquet")
    assert pa.concat_tables([pq.read_table(part) for part in parts]).equals(whole)
    cut = bytes_in(tmp_path / "out", but="assigned")
    del cut["manifest.json"]  # which names the parts
    assert cut == {name: each for name, each in bytes_in(alone, but="assigned").items() if name in cut}


def test_what_is_written_is_what_the_kernels_say_of_the_whole_county(exports: Path, alone: Path) -> None:
    code = CODES[0]
    county = County(exports / code, Manifest.read(exports / code), alone / code)
    ground, table = county.territory, pq.read_table(exports / code / MATTERS_FILE)
    lon, lat = (table[name].to_numpy() for name in ("lon", "lat"))
    grid = PointAssigner(ground.grids.codes, ground.grids.geometries).assign(lon, lat)
    assert (pq.read_table(alone / code / "assigned-00000.parquet")["grid"].to_numpy() == grid).all()
    assert (grid < 0).sum() > 50

    period = county.manifest.period
    assert period
    located = county.located(period, places=True)
    cube = pq.read_table(alone / code / "cube.parquet").to_pandas()
    assert cube["count"].sum() == (grid >= 0).sum()

    year = county.located((date(2023, 1, 1), date(2023, 12, 31)))
    columns = hot.tested_columns(year, county.code_list, None)
    cells = [
        np.bincount(year.grid[(year.grid >= 0) & m[year.category]], minlength=36) for m in columns.members
    ]
    households = np.array(pq.read_table(exports / code / GRIDS_FILE)["households"].to_pylist(), dtype=float)
    assert np.isnan(households).sum() == 1
    size = np.nan_to_num(households, nan=FEW)
    found = hot.assess_areas(
        np.array(cells).T, hot.Exposure("households", size / 1000, size.astype(int)), ground.near.with_self(),
        365 / 365.25, permutations=PERMUTATIONS, seed=SEED,
    )  # fmt: skip
    areas = pq.read_table(alone / code / "areas.parquet").to_pandas().query("year == 2023")
    assert set(areas["category"]) == set(columns.codes) == {"", "01", "0101", "0102", "0103"}
    for name in ("count", "smoothed", "z", "p", "q", "gi_class"):
        stored = areas[name].to_numpy().reshape(36, -1)
        assert (stored == found[name].astype(stored.dtype)).all(), name

    clusters = pq.read_table(alone / code / "clusters.parquet").to_pylist()
    assert [each["category"] for each in clusters] == ["0102"]
    week = (located.day - (np.datetime64(period[1]) - 52 * 7 + 1)).astype(int) // 7
    mine = (located.category == 1) & (week >= 0) & (located.grid >= 0)
    cases = np.zeros((36, 52), np.int64)
    np.add.at(cases, (located.grid[mine], week[mine]), 1)
    best = recent.prepared(cases, ground.middles, SEED).run(recent.REPLICATIONS).clusters[0]
    assert clusters[0]["observed"] == best.observed
    assert clusters[0]["llr"] == np.float32(best.llr)

    seasons = pq.read_table(alone / code / "seasons.parquet").to_pandas()
    assert set(seasons["category"]) == {"0101"}
    assert {day.month for day in seasons["start_on"]} <= {5, 6}
    problems = located.problems()
    town = np.arange(36) // 18
    expected = fit(history_of(problems, "grid", YEARS), ground.near, town, 2025, [0])[0].expected
    stored = np.array(pq.read_table(alone / code / "expected.parquet")["cells"].to_pylist(), np.float32)
    assert (stored == np.round(expected, 4).astype(np.float32)).all()


def test_a_period_leaves_out_what_is_before_and_after_it(exports: Path, tmp_path: Path) -> None:
    stages = [stage for stage in service.STAGES if stage.work in (work.assign, work.make_cube)]
    span = {"start": date(2022, 3, 10), "end": date(2023, 2, 5)}
    service.run([exports], tmp_path / "out", engines.local, stages=stages, **span)
    cube = pq.read_table(tmp_path / "out" / CODES[0] / "cube.parquet").to_pandas()
    assert (cube["month"].min(), cube["month"].max()) == (date(2022, 3, 1), date(2023, 2, 1))
    days = pq.read_table(exports / CODES[0] / MATTERS_FILE)["day"].to_numpy()
    lying = pq.read_table(tmp_path / "out" / CODES[0] / "assigned-00000.parquet")["grid"].to_numpy() >= 0
    inside = (days >= np.datetime64("2022-03-10")) & (days <= np.datetime64("2023-02-05"))
    assert cube["count"].sum() == (inside & lying).sum() > 0


def test_an_export_that_was_changed_or_holds_more_is_refused(tmp_path: Path) -> None:
    folder = make_county(tmp_path / "in" / CODES[0], CODES[0], 1)
    manifest = Manifest.read(folder)
    table = pq.read_table(folder / MATTERS_FILE)
    pq.write_table(table.append_column("text", pa.array(["噪音"] * table.num_rows)), folder / MATTERS_FILE)
    with pytest.raises(FileError, match="content"):
        service.run([folder], tmp_path / "out", engines.local)
    replace(manifest, files=manifest.files | {MATTERS_FILE: Written.of(folder / MATTERS_FILE)}).write(folder)
    with pytest.raises(FileError, match="text"):
        service.run([folder], tmp_path / "out", engines.local)
    replace(manifest, county="../../x").write(folder)
    with pytest.raises(FileError, match="county"):
        service.run([folder], tmp_path / "out", engines.local)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_asked_is_said_at_the_door(exports: Path, alone: Path, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="stands already"):
        service.run([exports], alone, engines.local)
    with pytest.raises(FileError, match=r"manifest\.json"):
        service.run([tmp_path], tmp_path / "out", engines.local)
    again = make_county(tmp_path / "again", CODES[0], 3)
    with pytest.raises(InputError, match="each once"):
        service.run([exports, again], tmp_path / "out", engines.local)
    with pytest.raises(InputError, match="engine"), engines.opened("spark"):
        pass
    pytest.importorskip("distributed", reason="dask is not installed: extra `cluster`")
    with pytest.raises(SetupError, match="scheduler"), engines.opened("dask", "tcp://127.0.0.1:x"):
        pass

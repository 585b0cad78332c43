"""Many counties: Dask beside this process, the same bytes; how throughput and memory go with size.

`./dev bench growth` analyses 200,000 matters in all stages by both. The curve of docs/scale.md comes from
`./dev run python -m benchmarks.bench_growth --curve FOLDER`: up to 10 M matters, with `--full` up to 100 M
and 100,000 grids; a row a size and engine as JSON, drawn with `--picture PNG`.
"""

import argparse
import hashlib
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from matplotlib.figure import Figure

from benchmarks.province_city import write_counties
from gridmgmt.importing import progress
from gridmgmt.province import engines, service
from gridmgmt.province.files import MANIFEST

COUNTIES, MATTERS, GRIDS = 2, 100_000, 1000
GOAL = 0.7  # of this process's speed on the same cores: what Dask may cost
DRAWN = ("assign", "make_cube", "test_areas", "draw_worlds", "find_seasons")


def run() -> Iterator[dict[str, Any]]:
    """Give a row each for Dask with 1, 2 and 4 workers, and with one of two killed; against this process."""
    with tempfile.TemporaryDirectory(prefix="gridmgmt-growth-") as name:
        folder = Path(name)
        exports = write_counties(folder / "in", COUNTIES, MATTERS, GRIDS)
        _warm(0)
        yield _row(exports, folder, "dask, 2 workers, one killed", workers=2, kill=True)
        for workers in (1, 2, 4):
            yield _row(exports, folder, f"dask, {workers} worker{'s' * (workers > 1)}", workers=workers)


def _row(exports: Path, folder: Path, how: str, *, workers: int, kill: bool = False) -> dict[str, Any]:
    ours = analysed(exports, folder / "dask", "dask", workers, kill=kill)
    theirs = analysed(exports, folder / "local", "local")
    return {
        "work": f"{COUNTIES} counties x {MATTERS:,} matters x {GRIDS:,} grids, all stages: {how}",
        "ours_s": round(ours["seconds"], 2),
        "peer": "the same tasks in one process",
        "peer_version": version("distributed"),
        "peer_s": round(theirs["seconds"], 2),
        "ratio": round(theirs["seconds"] / ours["seconds"], 2),
        "goal": GOAL / 2 if kill else GOAL,  # of two workers one is left for a while
        "same_result": ours["sum"] == theirs["sum"],
        "ours_peak_mb": ours["largest_mb"],
        "note": f"largest process {ours['largest_mb']} MB, this process alone {theirs['largest_mb']} MB",
    }


def analysed(
    exports: Path, out: Path, name: str, workers: int | None = None, *, kill: bool = False
) -> dict[str, Any]:
    """Analyse counties; return seconds in all and by stage, the megabytes of the largest process and one sum
    over all results. Workers stand and have their kernels before the clock runs.
    """
    shutil.rmtree(out, ignore_errors=True)
    by_stage: dict[str, float] = {}
    cpu_by_stage: dict[str, float] = {}
    with (
        engines.opened(name, workers=workers) as engine,
        largest_process() as largest,
        progress.shown(f"{exports.name}, {name}") as bar,
    ):
        engine(_warm, list(range(workers or 1)))

        def timed(work: Callable[[Any], Any], tasks: Sequence[Any]) -> list[Any]:
            start, cpu, killer = time.perf_counter(), _cpu_seconds(), threading.Timer(1.0, _kill_a_worker)
            if kill and work.__name__ == "draw_worlds":
                killer.start()
            done = engine(work, tasks)
            killer.cancel()
            by_stage[work.__name__] = round(time.perf_counter() - start, 2)
            cpu_by_stage[work.__name__] = round(_cpu_seconds() - cpu, 2)
            return done

        start = time.perf_counter()
        service.run([exports], out, timed, progress=bar)
        seconds = time.perf_counter() - start
        megabytes = largest()
    digest = hashlib.sha256((out / MANIFEST).read_bytes()).hexdigest()  # it names the sum of every file
    return {
        "seconds": round(seconds, 2), "largest_mb": megabytes, "sum": digest[:16], "stages": by_stage,
        "cpu": cpu_by_stage,
    }  # fmt: skip


def _warm(_: int) -> None:
    from gridmgmt.hotspots.statistics import getis_ord, scan
    from gridmgmt.seasonal import windows

    for module in (getis_ord, scan, windows):
        module.warm_up()


def _family() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _cpu_seconds() -> float:
    """Return what this process and those that it started have used of processors."""
    times = [each.cpu_times() for each in (psutil.Process(), *_family())]
    return sum(each.user + each.system for each in times)


def _kill_a_worker() -> None:
    """Kill our descendant that has most memory: a worker in the midst of its task."""
    max(_family(), key=lambda each: each.memory_info().rss).kill()


@contextmanager
def largest_process() -> Iterator[Callable[[], int]]:
    """Give what tells the most megabytes that this process or one that it started had, seen every 0.2 s."""
    most, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            for each in (psutil.Process(), *_family()):
                with suppress(psutil.Error):
                    most[0] = max(most[0], each.memory_info().rss >> 20)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield lambda: most[0]
    finally:
        over.set()
        watcher.join()


# --- the curve


def curve(folder: Path, *, full: bool, workers: int) -> list[dict[str, Any]]:
    """Return a row a size and engine, all stages: counties of at most a million matters and 1,000 grids. One
    process does up to 10 M, Dask the 100 M too."""
    sizes = [(1, 100_000), (1, 300_000), (1, 1_000_000), (10, 1_000_000)]
    both = [(*size, name) for size in sizes for name in engines.ENGINES]
    rows = []
    for counties, each, name in [*both, *([(100, 1_000_000, "dask")] if full else [])]:
        exports = write_counties(folder / f"in-{counties}-{each}", counties, each)
        found = analysed(exports, folder / "out", name, workers)
        rows.append({"matters": counties * each, "grids": counties * 1000, "engine": name} | found)
        print(json.dumps(rows[-1]), flush=True)
    return rows


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw matters by second of processor and stage, and the largest process, against the number of matters.

    Seconds of processor, because other programs on the machine do not lengthen them as much as the clock's.
    """
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, style in (("local", "o--"), ("dask", "s-")):
        mine = sorted((row for row in rows if row["engine"] == name), key=lambda row: row["matters"])
        for number, stage in enumerate(DRAWN):
            points = [
                (row["matters"], row["matters"] / row["cpu"][stage]) for row in mine if stage in row["cpu"]
            ]
            label = stage if name == "local" else None
            left.loglog(*zip(*points, strict=True), style, color=f"C{number}", markersize=4, label=label)
        sizes = [row["matters"] for row in mine]
        right.semilogx(sizes, [row["largest_mb"] for row in mine], style, markersize=4, label=name)
    left.set(
        xlabel="matters", ylabel="matters a second of processor", title="circles: one process; squares: Dask",
        ylim=(6e3, None),
    )  # fmt: skip
    right.set(xlabel="matters", ylabel="MB", title="largest process", ylim=(0, None))
    left.legend(fontsize=7, ncols=3, loc="lower right")
    right.legend(fontsize=7)
    figure.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev run python -m benchmarks.bench_growth")
    parser.add_argument(
        "--curve", type=Path, required=True, metavar="FOLDER", help="where inputs and results go"
    )
    parser.add_argument("--full", action="store_true", help="also 100 M matters, 4 GB on the disk")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--picture", type=Path, help="PNG to draw")
    chosen = parser.parse_args()
    rows = curve(chosen.curve, full=chosen.full, workers=chosen.workers)
    if chosen.picture:
        draw(rows, chosen.picture)


if __name__ == "__main__":
    main()

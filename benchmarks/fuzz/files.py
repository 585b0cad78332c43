"""Hostile files through every importer and every door for uploads; each ends in a clear error or a report.

They are made from good ones (`seeds`) by `mutate`, and read by processes that may harm themselves alone
(`reading`): memory bounded, three minutes a file. Beside them atheris looks for ways through the readers that
need no database, guided by what of `gridmgmt.importing` a file reaches (`guided`). A file that ends in
anything else is kept in `fuzz-found/`.
"""

import json
import os
import random
import select
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from benchmarks.faults import city
from benchmarks.faults.machine import ROOT
from benchmarks.fuzz.mutate import mutated
from benchmarks.fuzz.seeds import seeds
from benchmarks.fuzz.world import world

SECONDS = 180.0
MOST_MB = 1_024
GOOD = ("error", "report")
FOUND = Path("fuzz-found").absolute()
GUIDED_RUNS = 20_000
LONGEST = 20_000
# What `guided` reads a file as, by its last byte.
KIND_BYTES = {".csv": 0, ".parquet": 3, ".toml": 4, ".jpeg": 5, ".png": 5, ".webp": 5, ".pdf": 6}
End = tuple[str, str, float, int]


def run(count: int, seed: int) -> bool:
    """Read so many files, print counts, and say whether all ended well and within their bounds."""
    with world() as here:
        shutil.copytree(city.origin(here.folder) / "sample", here.folder / "sample")
        ends = _read(_write(here.folder, count, seed), here.url, here.home)
        fine = _print(ends)
        return _guided(here.folder) and fine


def _write(work: Path, count: int, seed: int) -> list[Path]:
    """Write so many files in folders called after who reads them, the good ones first."""
    rng, good, paths = random.Random(seed), list(seeds(work / "sample")), []
    for number in range(max(count, len(good))):
        kind, ending, content = good[number % len(good)]
        if number >= len(good):
            content = mutated(content, rng)
            ending = ending if rng.random() < 0.97 else rng.choice([".csv", ".xlsx", ".zip", ".parquet", ""])
        (work / "files" / kind).mkdir(parents=True, exist_ok=True)
        paths.append(work / "files" / kind / f"{number}{ending}")
        paths[-1].write_bytes(content)
    return paths


def _read(paths: list[Path], url: str, home: Path) -> list[End]:
    """Return how each file ended; one that ends its reader, or takes too long, ended badly."""
    ends: list[End] = []
    while len(ends) < len(paths):
        reader = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fuzz.reading", url, str(home)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
        )  # fmt: skip
        assert reader.stdin
        assert reader.stdout
        for path in paths[len(ends) :]:
            reader.stdin.write(f"{path}\n")
            reader.stdin.flush()
            answered = select.select([reader.stdout], [], [], SECONDS)[0]
            line = reader.stdout.readline() if answered else ""
            if not line:
                reader.kill()
                why = f"the reader ended with {reader.wait()}" if answered else f"no end in {SECONDS:.0f} s"
                ends.append((str(path), why, SECONDS, 0))
                break
            told = json.loads(line)
            ends.append((told[0], told[1], told[2], told[3]))
            if told[3] > MOST_MB:  # the highest so far is all that is told: begin anew
                reader.kill()
                break
        reader.kill()
        reader.wait()
    return ends


def _print(ends: list[End]) -> bool:
    kinds = Counter((Path(path).parent.name, end if end in GOOD else "wrong") for path, end, _, _ in ends)
    for kind in sorted({kind for kind, _ in kinds}):
        print(f"{kind:10} " + ", ".join(f"{kinds[kind, end]} {end}" for end in (*GOOD, "wrong")))
    wrong = [(path, end) for path, end, _, _ in ends if end not in GOOD]
    large = [(path, f"{mb} MB") for path, _, _, mb in ends if mb > MOST_MB]
    for path, end in [*wrong, *large]:
        FOUND.mkdir(exist_ok=True)
        kept = FOUND / f"{Path(path).parent.name}-{Path(path).name}"
        shutil.copy(path, kept)
        print(f"wrong: {kept}: {end}")
    slowest, peak = max(end[2] for end in ends), max(end[3] for end in ends)
    print(
        f"{len(ends)} files: {len(wrong)} ended badly, {len(large)} took over {MOST_MB} MB;"
        f" slowest {slowest:.1f} s, highest memory {peak} MB"
    )
    return not wrong and not large


def _guided(work: Path) -> bool:
    """Let atheris look for crashes; says whether it found none."""
    folder = work / "corpus"
    folder.mkdir()
    for path in (work / "files").rglob("*"):
        if path.suffix in KIND_BYTES and path.stat().st_size < LONGEST:
            kind = bytes([KIND_BYTES[path.suffix]])
            (folder / f"{path.parent.name}-{path.name}").write_bytes(path.read_bytes() + kind)
    FOUND.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fuzz.guided", f"-runs={GUIDED_RUNS}", f"-max_len={LONGEST}",
         "-rss_limit_mb=2048", "-timeout=30", f"-artifact_prefix={FOUND.absolute()}/", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    last = [line for line in done.stderr.splitlines() if line.startswith(("#", "Done", " ==", "SUMMARY"))]
    print(f"guided: {last[-1] if last else done.stderr[-300:]}; ended with {done.returncode}")
    return done.returncode == 0

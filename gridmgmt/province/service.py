"""Runs the analysis of many counties: the list of tasks, stage after stage, on whatever engine."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from gridmgmt.calendar import china_today
from gridmgmt.config import SEED
from gridmgmt.errors import ConflictError, InputError
from gridmgmt.importing.progress import Progress
from gridmgmt.province import work
from gridmgmt.province.county import County, Period
from gridmgmt.province.engines import Engine
from gridmgmt.province.files import MANIFEST, SCHEMA, Manifest, folders_in, write_json
from gridmgmt.province.work import Task


class Stage(NamedTuple):
    """What is done, and how the task of a county is cut into those that do it."""

    work: Callable[[Task], Any]
    cut: Callable[[Task], Iterator[Task]]


# Each begins when the one before is done.
STAGES = (
    Stage(work.check, work.whole),
    Stage(work.assign, work.row_blocks),
    Stage(work.make_cube, work.whole),
    Stage(work.test_areas, work.years_and_columns),
    Stage(work.join_areas, work.whole),
    Stage(work.draw_worlds, work.categories_and_replications),
    Stage(work.join_clusters, work.whole),
    Stage(work.find_seasons, work.whole),
    Stage(work.expect, work.categories),
    Stage(work.join_expected, work.whole),
)


def run(
    folders: Sequence[Path],
    out: Path,
    engine: Engine,
    *,
    start: date | None = None,
    end: date | None = None,
    year: int | None = None,
    seed: int = SEED,
    stages: Sequence[Stage] = STAGES,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Analyse exported counties into a folder of results and return its manifest.

    Every engine, with any number of workers that come and go, writes the same bytes. The folder appears when
    all of it is done. Workers on several machines need `folders` and `out` at the same path on each.

    Parameters
    ----------
    start, end : first and last day; by default what each county has
    year : that seasons are forecast for; by default the one after the last day of all

    Raises
    ------
    ConflictError
        When `out` stands already.
    FileError
        When a folder holds no export, or a file is not what its manifest says.
    InputError
        When a county comes twice, or the period is empty.
    """
    if out.exists():
        raise ConflictError(f"{out} stands already; name another folder or remove it")
    if start and end and start > end:
        raise InputError("from", start.isoformat(), f"a day not after {end.isoformat()}")
    half = out.absolute().with_name(f"{out.name}.unfinished")
    shutil.rmtree(half, ignore_errors=True)
    counties = _counties(folders, half)
    periods = [_period(each.manifest.period, start, end) for each in counties]
    target = year or max((each[1].year for each in periods if each), default=china_today().year) + 1
    tasks = [Task(each, span, target, seed) for each, span in zip(counties, periods, strict=True)]
    half.mkdir(parents=True)
    shown = progress or Progress()
    shown.total(len(stages) + 1)
    for number, stage in enumerate(stages):
        shown.doing(stage.work.__name__)
        engine(stage.work, [part for task in tasks for part in stage.cut(task)])
        shown.at(number + 1)
    manifest = _manifest(tasks, engine(work.sum_up, tasks))
    write_json(half / MANIFEST, manifest)
    half.rename(out)
    return manifest


def _counties(folders: Sequence[Path], out: Path) -> list[County]:
    found: dict[str, County] = {}
    for folder in folders_in(list(folders)):
        manifest = Manifest.read(folder)
        if manifest.county in found:
            raise InputError("county", manifest.county, f"each once; also in {found[manifest.county].folder}")
        found[manifest.county] = County(folder, manifest, out / manifest.county)
    return [found[code] for code in sorted(found)]


def _period(known: Period | None, start: date | None, end: date | None) -> Period | None:
    if known is None:
        return None
    first, last = max(known[0], start or known[0]), min(known[1], end or known[1])
    return (first, last) if first <= last else None


def _manifest(tasks: Sequence[Task], written: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "seed": tasks[0].seed,
        "year": tasks[0].target,
        "counties": [
            {
                "county": task.county.manifest.county,
                "period": task.period and [day.isoformat() for day in task.period],
                "read": {name: asdict(each) for name, each in task.county.manifest.files.items()},
                "wrote": {name: asdict(each) for name, each in files.items()},
            }
            for task, files in zip(tasks, written, strict=True)
        ],
    }

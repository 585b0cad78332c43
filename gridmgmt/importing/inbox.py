"""Files that other programs leave to be imported: GRIDMGMT_HOME/inbox/<kind>/, one job a file.

A job takes its file away by renaming it into `inbox/working/<job>/`, so that nobody writes on it any
more, and puts it with its report into `inbox/done` or `inbox/rejected`. Each step can be done twice.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gridmgmt.errors import NotFoundError
from gridmgmt.importing.uploads import BESIDE, KIND_NAMES, MAPPING

# Not changed for so many seconds, a file is complete.
COMPLETE = 60
REPORT = "report.json"
# Endings under which programs write what they then rename.
UNFINISHED = (".part", ".partial", ".tmp", ".filepart", ".crdownload")


def complete(home: Path, now: float | None = None) -> Iterator[tuple[str, str]]:
    """Give kind and name of every file that can be taken, the kinds that others stand on first.

    A Shapefile is taken when its parts are complete too. `now` is in seconds since 1970, this moment unless
    given.
    """
    before = (time.time() if now is None else now) - COMPLETE
    for kind in KIND_NAMES:
        folder = home / "inbox" / kind
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            main = path.name != MAPPING and path.suffix.lower() not in (*BESIDE, *UNFINISHED)
            if main and _plain(path) and all(each.stat().st_mtime <= before for each in _parts(path)):
                yield kind, path.name


def _plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and not path.name.startswith(".")


def _parts(path: Path) -> list[Path]:
    """Return a file and the parts of a Shapefile beside it."""
    beside = path.suffix.lower() == ".shp"
    return [
        each for each in path.parent.iterdir()
        if each == path or (beside and each.stem == path.stem and each.suffix.lower() in BESIDE)
    ]  # fmt: skip


def take(home: Path, job: int, kind: str, name: str) -> Path:
    """Return the folder into which a job has taken its file; NotFoundError when the file is gone."""
    folder = _made(home / "inbox" / "working" / str(job))
    left = home / "inbox" / kind / name
    for path in _parts(left) if left.parent.is_dir() else ():
        path.rename(folder / path.name)
    if not (folder / name).is_file():
        folder.rmdir()
        raise NotFoundError(f"{name} is gone from the inbox")
    return folder


def mapping(home: Path, kind: str) -> Path | None:
    """Return the mapping file that stands in the inbox of a kind and holds for all its files."""
    path = home / "inbox" / kind / MAPPING
    return path if path.is_file() else None


def put_away(home: Path, job: int, report: Mapping[str, Any], *, done: bool) -> None:
    """Keep what a job had taken, with its report, among what is done or what was rejected."""
    taken = home / "inbox" / "working" / str(job)
    if not taken.is_dir():
        return
    path = taken / REPORT
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        json.dump(report, stream, ensure_ascii=False, indent=1)
    taken.rename(_made(home / "inbox" / ("done" if done else "rejected")) / taken.name)


def taken(home: Path) -> list[int]:
    """Return the jobs whose files were taken and not put away."""
    folder = home / "inbox" / "working"
    return sorted(int(each.name) for each in folder.iterdir()) if folder.is_dir() else []


def clear(home: Path, days: int) -> int:
    """Remove what was put away more than some days ago, and return how many jobs' files that were."""
    before, gone = time.time() - 86_400 * days, 0
    for state in ("done", "rejected"):
        folder = home / "inbox" / state
        for each in folder.iterdir() if folder.is_dir() else ():
            if each.stat().st_mtime < before:
                shutil.rmtree(each)
                gone += 1
    return gone


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder

"""Files that an administrator sent to be imported: kept for their owner alone, and gone when it is done.

Each upload is a folder of its own under GRIDMGMT_HOME/uploads; its name is random and stands in the job.
What was rejected stands under GRIDMGMT_HOME/rejects.
"""

import csv
import io
import os
import re
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from gridmgmt.errors import InputError, NotFoundError

# Kinds that may be sent on a page, in the order in which they stand on each other. The roster is the town's.
KIND_NAMES = {
    "divisions": "区划", "categories": "诉求分类", "grids": "网格", "workers": "网格员", "layers": "底图要素",
    "incidents": "诉求", "mediators": "调解员", "tasks": "清单任务",
}  # fmt: skip
# Their rows name nobody; of all others an administrator sees which row and why, not what stands in it.
PLAIN_KINDS = frozenset({"divisions", "categories", "grids", "layers", "tasks"})
# Parts of a Shapefile: they stand beside it and are no files of their own.
BESIDE = (".dbf", ".shx", ".prj", ".cpg", ".sbn", ".sbx", ".qix", ".xml")
MAPPING = "mapping.toml"
LONGEST_NAME = 80
MOST_FILES = 30
MOST_REASONS = 30
KEPT_HOURS = 24
_UNFIT = re.compile(r"[\x00-\x1f/\\:*?\"<>|]+")
_TOKEN = re.compile(r"[0-9a-f]{16}")
# What another row said of the same person stands before these words, and is left out.
_OTHER_ROW = re.compile(r"\brow [0-9]+\b")
_SAID_BEFORE = re.compile(r"^.*, (?=as row [0-9]+ says)")


class Sent(Protocol):
    """A file of a form, as the web gives one."""

    filename: str | None

    def save(self, dst: Any) -> None: ...


@dataclass(frozen=True)
class Reason:
    """Rows that were rejected for one reason: the field, what is allowed, how many, the first of them."""

    field: str
    allowed: str
    rows: int
    first: str


def keep(home: Path, sent: Iterable[Sent], mapping: Sent | None = None) -> tuple[str, list[str]]:
    """Put files into a folder of their own; returns its name and the names of those to be imported.

    InputError when there is none, when there are more than 30, or two of one name. On an error nothing stays.
    """
    wanted = [each for each in sent if each.filename]
    if not 0 < len(wanted) <= MOST_FILES:
        raise InputError("files", len(wanted), f"1 to {MOST_FILES} files")
    token = secrets.token_hex(8)
    folder = home / "uploads" / token
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    try:
        names = [_put(folder, each, _plain_name(each)) for each in wanted]
        if mapping is not None and mapping.filename:
            _put(folder, mapping, MAPPING)
        found = [name for name in names if Path(name).suffix.lower() not in BESIDE]
        if not found:
            raise InputError("files", names[0], "a file with rows, not only parts of a Shapefile")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return token, found


def _plain_name(sent: Sent) -> str:
    """Return a file's own name, fit to stand in a folder: paths and what shells would read are taken out."""
    name = _UNFIT.sub("_", (sent.filename or "").replace("\\", "/").rpartition("/")[2]).lstrip(".")
    stem, dot, ending = name.rpartition(".")
    return f"{(stem or 'file')[: LONGEST_NAME - len(ending)]}{dot}{ending}" if dot else (name or "file")


def _put(folder: Path, sent: Sent, name: str) -> str:
    path = folder / name
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as why:
        raise InputError("files", name, "each file once, under a name of its own") from why
    with os.fdopen(made, "wb") as stream:
        sent.save(stream)
    return name


def folder(home: Path, token: str) -> Path:
    """Return where an upload stands; NotFoundError when it is gone or the name is none."""
    path = home / "uploads" / token
    if not _TOKEN.fullmatch(token) or not path.is_dir():
        raise NotFoundError("the files that were sent are gone; send them again")
    return path


def drop(home: Path, token: str) -> None:
    """Remove an upload, if it is still there."""
    if _TOKEN.fullmatch(token):
        shutil.rmtree(home / "uploads" / token, ignore_errors=True)


def left_over(home: Path, needed: Iterable[str] = (), hours: float = KEPT_HOURS) -> list[str]:
    """Return the uploads older than some hours that no job under way needs."""
    oldest, wanted = time.time() - 3600 * hours, set(needed)
    found = (home / "uploads").iterdir() if (home / "uploads").is_dir() else iter(())
    return sorted(each.name for each in found if each.name not in wanted and each.stat().st_mtime < oldest)


# --- what was rejected


def rejects_path(home: Path, job: int, number: int) -> Path:
    """Return where the rejected rows of a job's file stand, its folder made for its owner alone."""
    place = home / "rejects"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place / f"job-{job}-{number}.csv"


def rejected(home: Path, name: str) -> Path:
    """Return a rejects file of the home folder; NotFoundError when it is gone or stands elsewhere."""
    path = (home / name).resolve()
    if not (path.is_relative_to((home / "rejects").resolve()) and path.is_file()):
        raise NotFoundError("the file of rejected rows is gone")
    return path


def reasons(path: Path) -> list[dict[str, Any]]:
    """Return why rows were rejected, most frequent first, as JSON keeps it: no value of any row."""
    counts: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], str] = {}
    for row, field, allowed in _told(path):
        why = field, _OTHER_ROW.sub("another row", allowed)
        counts[why] += 1
        first.setdefault(why, row)
    found = [Reason(*why, rows, first[why]) for why, rows in counts.most_common(MOST_REASONS)]
    return [asdict(each) for each in found]


def without_values(path: Path) -> str:
    """Return a rejects file as CSV text that says which row and why, and nothing of what stood in it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("row", "field", "allowed"))
    writer.writerows(_told(path))
    return out.getvalue()


def strip_values(path: Path) -> None:
    """Replace a rejects file by one without values, whole or not at all."""
    words, partial = without_values(path), path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(words.encode("utf-8-sig"))
    partial.replace(path)


def _told(path: Path) -> Iterator[tuple[str, str, str]]:
    """Give row number, field and what is allowed; between the row and the field stands what was read."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.reader(stream)
        stripped = next(rows, []) == ["row", "field", "allowed"]
        for row in rows:
            if len(row) >= 3:
                allowed = row[2 if stripped else -2]
                yield row[0], row[1 if stripped else -4], _SAID_BEFORE.sub("", allowed)

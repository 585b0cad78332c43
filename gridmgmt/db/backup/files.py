"""What a city keeps beside its database: photos, attachments, rejected rows, templates of papers.

A base backup takes all of it; the archive of the log takes what changed since, as often as it copies the log,
so that a row that comes back finds its photo.
"""

import tarfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gridmgmt.db.backup import sealing

# What a home holds that is no part of a backup: the database (it has its own), keys (kept apart), what is
# made anew, and counters.
LEFT_OUT = {
    "backups", "cache", "cluster", "create.lock", "keyring.json", "keyring.json.lock", "metrics", "sample",
    "session.key", "uploads", "wal",
}  # fmt: skip
COUNTERS = (".sqlite", ".log", ".lock")
STAMP = "%Y%m%dT%H%M%S.%fZ"


def kept(home: Path, since: float = 0.0) -> Iterator[Path]:
    """Give the files of a home that belong into a backup and came or changed since then (seconds of Unix)."""
    for each in sorted(home.iterdir()):
        if each.name in LEFT_OUT or each.suffix in COUNTERS or each.name.startswith("."):
            continue
        for path in (each, *each.rglob("*")):
            try:  # a file that is moved here keeps its time of change, but not of its entry
                if not path.is_dir() and path.lstat().st_ctime >= since:
                    yield path
            except FileNotFoundError:
                continue


def seal(home: Path, paths: Iterable[Path], sealed: Path, key: Any) -> int:
    """Write files of a home into one sealed file, but what went away meanwhile; return its bytes."""

    def write(into: Any) -> None:
        with tarfile.open(fileobj=into, mode="w|") as archive:
            for path in paths:
                try:
                    archive.add(path, str(path.relative_to(home)), recursive=False)
                except FileNotFoundError:
                    continue

    with sealing.packed(write) as stream:
        return sealing.seal(stream, sealed, key)


def later(folder: Path, at: datetime, until: datetime | None = None) -> list[Path]:
    """Return the sealed changes since `at`, the oldest first, up to the one that was under way at `until`."""
    found = [path for path in sorted(folder.glob(f"*{sealing.SUFFIX}")) if _stamp(path) >= _named(at)]
    if until is None:
        return found
    after = sum(_stamp(path) < _named(until) for path in found)
    return found[: after + 1]


def clear(folder: Path, before: datetime) -> None:
    """Remove the changes that were sealed before a moment."""
    for path in folder.glob(f"*{sealing.SUFFIX}"):
        if _stamp(path) < _named(before):
            path.unlink()


def name(at: datetime) -> str:
    """Return the name of what changed up to a moment."""
    return f"{_named(at)}{sealing.SUFFIX}"


def _named(at: datetime) -> str:
    return f"{at.astimezone(UTC):{STAMP}}"


def _stamp(path: Path) -> str:
    return path.name.removesuffix(sealing.SUFFIX)

"""What lies on disk: room that is left, backups, the archived log."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gridmgmt.calendar import CHINA
from gridmgmt.config import Settings
from gridmgmt.db.backup.base import listed
from gridmgmt.db.backup.wal import archived
from gridmgmt.db.cluster import Cluster
from gridmgmt.health.line import Line, Number, State, above, size, span

LEAST_FREE, LOW_FREE = 2 << 30, 10 << 30
OLD_BACKUP_DAYS = 7
# Seconds; the archive is at most half a minute behind while it runs.
BEHIND, FAR_BEHIND = 300.0, 3600.0
FOLDERS = {"home": "程序", "backups": "备份", "database": "数据库"}


def lines(chosen: Settings) -> Iterator[Line]:
    """Give the lines of the folders that a city's settings name."""
    yield _disk(chosen)
    yield _backup(chosen)
    yield _archive(chosen)


def _folders(chosen: Settings) -> dict[str, Path]:
    found = {"home": chosen.home, "backups": chosen.backup_folder()}
    if not chosen.database_url:
        found["database"] = Cluster(chosen.home).root
    return {name: path for name, path in found.items() if path.is_dir()}


def _disk(chosen: Settings) -> Line:
    folders = _folders(chosen)
    used = {name: shutil.disk_usage(path) for name, path in folders.items()}
    least = min((each.free for each in used.values()), default=0)
    state = State.BAD if least < LEAST_FREE else State.WATCH if least < LOW_FREE else State.OK
    return Line(
        "disk", "磁盘", state, _room(folders, used),
        "" if state is State.OK else "清理磁盘或扩容；空间用完后不能再登记和导入。",
        numbers=(
            *(Number("disk_free_bytes", each.free, ("folder", name)) for name, each in used.items()),
            *(Number("disk_bytes", each.total, ("folder", name)) for name, each in used.items()),
        ),
    )  # fmt: skip


def _room(folders: Mapping[str, Path], used: Mapping[str, shutil._ntuple_diskusage]) -> str:
    """Return in words how much is free, once for the folders of one disk."""
    disks: dict[int, list[str]] = {}
    for name, path in folders.items():
        disks.setdefault(path.stat().st_dev, []).append(name)
    told = (("、".join(FOLDERS[name] for name in names), used[names[0]]) for names in disks.values())
    return "；".join(f"{names}：剩余 {size(room.free)}，共 {size(room.total)}" for names, room in told)


def _backup(chosen: Settings) -> Line:
    made = newest_backup(chosen.backup_folder())
    age = (datetime.now(UTC) - made.at).total_seconds() if made else None
    good = age is not None and age <= 86_400 * OLD_BACKUP_DAYS
    says = f"最近一次 {made.at.astimezone(CHINA):%Y-%m-%d %H:%M}，{made.how}" if made else "还没有备份"
    return Line(
        "backup", "备份", State.OK if good else State.BAD, says,
        "" if good else "见“备份”一页：做什么、放在哪里。", "backups.page",
        numbers=() if age is None else (Number("backup_age_seconds", round(age)),),
    )  # fmt: skip


def _archive(chosen: Settings) -> Line:
    found = archived(chosen.backup_folder())
    if found is None:
        return Line(
            "archive", "日志归档", State.WATCH, "没有归档：出事时只能回到最近一次备份",
            "让 gridmgmt db archive 作为服务一直运行。",
        )  # fmt: skip
    state = above(found.behind_s, BEHIND, FAR_BEHIND)
    return Line(
        "archive", "日志归档", state, f"落后 {span(max(0.0, found.behind_s))}，共 {found.files} 个文件",
        "" if state is State.OK else "归档停了：查看 gridmgmt db archive 的日志并重新启动它。",
        numbers=(Number("archive_behind_seconds", round(found.behind_s)),),
    )  # fmt: skip


@dataclass(frozen=True)
class Backup:
    """The newest backup: when it was made, and how in words."""

    at: datetime
    how: str


def newest_backup(folder: Path) -> Backup | None:
    """Return the newest backup of the folder of backups, None when there is none.

    One that another tool made counts too, by its note: a JSON file with `at` (ISO, with its zone) and `how`;
    the time of the file counts where those cannot be read.
    """
    own = listed(folder)
    notes = (_foreign(path) for path in folder.glob("*.json"))
    found = [*(Backup(each.at, each.how) for each in own), *(each for each in notes if each)]
    return max(found, key=lambda each: each.at, default=None)


def _foreign(path: Path) -> Backup | None:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if "wal" in said:  # a note of ours, which `listed` reads: it counts while its files stand
            return None
        at = datetime.fromisoformat(said["at"])
        return Backup(at if at.tzinfo else at.replace(tzinfo=CHINA), str(said.get("how", "")) or "已记录")
    except (ValueError, KeyError, TypeError):
        return Backup(datetime.fromtimestamp(path.stat().st_mtime, UTC), "记录读不全，按文件时间计")

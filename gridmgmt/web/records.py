"""The record of imports and analyses, as the administrator and the auditor read it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from gridmgmt.db.models import ImportRun
from gridmgmt.hotspots import stored as hotspots

KINDS = {
    "divisions": "区划", "categories": "诉求分类", "grids": "网格", "workers": "网格员", "layers": "底图要素",
    "roster": "房屋住户", "buildings": "房屋住户", "incidents": "诉求",
    "tasks": "清单任务",
}  # fmt: skip
COUNTS = (
    ("read", "读入"), ("filtered", "筛除"), ("new", "新增"),
    ("updated", "更新"), ("unchanged", "未变"), ("rejected", "退回"),
)  # fmt: skip
LEVELS = {"grid": "网格", "village": "村社区", "town": "镇街", "county": "县市"}
LATEST = 200


@dataclass(frozen=True)
class ImportLine:
    """One import: what, from which file, and what came of its rows in the order of `COUNTS`."""

    number: int
    kind: str
    file: str
    sha256: str
    finished_at: datetime
    counts: list[int | None]


@dataclass(frozen=True)
class RunLine:
    """One analysis: of what, on which data version, when."""

    number: int
    kind: str
    subject: str
    data_version: int
    finished_at: datetime


def imports(connection: Connection) -> list[ImportLine]:
    """Return the latest imports, newest first."""
    rows = connection.execute(select(ImportRun.__table__).order_by(ImportRun.id.desc()).limit(LATEST))
    return [_import_line(row) for row in rows]


def _import_line(row: Any) -> ImportLine:
    counts = [row.counts.get(name) for name, _ in COUNTS]
    return ImportLine(row.id, KINDS.get(row.kind, row.kind), row.file, row.sha256, row.finished_at, counts)


def runs(connection: Connection) -> list[RunLine]:
    """Return the stored analyses, newest first."""
    found = [
        RunLine(
            run.id, "热点", f"{LEVELS[level]} {run.start} 至 {run.end}，热点 {run.hot_areas} 个",
            run.data_version, run.finished_at,
        )
        for level in LEVELS
        for run in hotspots.runs(connection, level)
    ]  # fmt: skip
    return sorted(found, key=lambda line: -line.number)[:LATEST]

"""The record of imports and analyses, as the administrator and the auditor read it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from gridmgmt.db.jobs import JobLine
from gridmgmt.db.models import ImportRun
from gridmgmt.importing.uploads import KIND_NAMES
from gridmgmt.seasonal import record
from gridmgmt.seasonal.record import Analysis

KINDS = KIND_NAMES | {"roster": "房屋住户", "buildings": "房屋住户"}
COUNTS = (
    ("read", "读入"), ("filtered", "筛除"), ("new", "新增"),
    ("updated", "更新"), ("unchanged", "未变"), ("rejected", "退回"),
)  # fmt: skip
LEVELS = {"grid": "网格", "village": "村社区", "town": "镇街", "county": "县市"}
ANALYSES = {"hotspots": "热点", "clusters": "近期聚集", "seasonal": "时令清单"}
LATEST = 200


@dataclass(frozen=True)
class ImportLine:
    """One import: what, from which file, and what came of its rows in the order of `COUNTS`.

    `rejects` is the file of rejected rows; `who` asked for it on a page, in which job, None on the server.
    """

    number: int
    code: str
    kind: str
    file: str
    sha256: str
    finished_at: datetime
    counts: list[int | None]
    rejects: str | None
    who: str | None = None
    job: int | None = None


@dataclass(frozen=True)
class RunLine:
    """One analysis: of what, on which data version, when, and what it found."""

    number: int
    kind: str
    subject: str
    data_version: int
    finished_at: datetime


def imports(connection: Connection, jobs: Iterable[JobLine] = ()) -> list[ImportLine]:
    """Return the latest imports, newest first; with the jobs of imports, also who asked for which."""
    asked = list(_asked(jobs))
    rows = connection.execute(select(ImportRun.__table__).order_by(ImportRun.id.desc()).limit(LATEST))
    return [_import_line(row, asked) for row in rows]


def import_of(connection: Connection, number: int) -> ImportLine | None:
    """Return one import, or None."""
    row = connection.execute(select(ImportRun.__table__).where(ImportRun.id == number)).one_or_none()
    return _import_line(row, []) if row else None


def _asked(jobs: Iterable[JobLine]) -> Iterable[tuple[str, JobLine]]:
    for job in jobs:
        for file in (job.result or {}).get("files", []):
            yield file["sha256"], job


def _import_line(row: Any, asked: list[tuple[str, JobLine]]) -> ImportLine:
    counts = [row.counts.get(name) for name, _ in COUNTS]
    job = next((job for digest, job in asked if digest == row.sha256 and _within(row, job)), None)
    return ImportLine(
        row.id, row.kind, KINDS.get(row.kind, row.kind), row.file, row.sha256, row.finished_at, counts,
        row.rejects, job.asked_by if job else None, job.id if job else None,
    )  # fmt: skip


def _within(row: Any, job: JobLine) -> bool:
    """Say whether an import was recorded while a job was worked on: the same file may come by other ways."""
    ended = job.finished_at or row.finished_at
    same = row.kind == job.parameters.get("kind")
    return same and job.started_at is not None and job.started_at <= row.finished_at <= ended


def runs(connection: Connection) -> list[RunLine]:
    """Return the stored analyses, newest first."""
    return [
        RunLine(
            each.number, ANALYSES.get(each.kind, each.kind), subject(each), each.data_version,
            each.finished_at,
        )
        for each in record.analyses(connection, LATEST)
    ]  # fmt: skip


def subject(each: Analysis) -> str:
    """Return in words what an analysis asked and how much it found."""
    asked = each.parameters
    if each.kind == "seasonal":
        return f"{asked['year']} 年，依据 {asked['from']} 至 {asked['to']}，列出 {each.found} 项"
    if each.kind == "clusters":
        return f"截至 {asked['to']}，聚集 {each.found} 处"
    return f"{LEVELS[asked['level']]} {asked['from']} 至 {asked['to']}，热点 {each.found} 个"

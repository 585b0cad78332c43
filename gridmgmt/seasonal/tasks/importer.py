"""Imports work that was done elsewhere: each row becomes a done task of the list, or completes one."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from gridmgmt.calendar import china_today
from gridmgmt.grids import rows
from gridmgmt.grids import service as grids
from gridmgmt.grids.codes import DIGITS
from gridmgmt.grids.rows import Row, read_rows
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.progress import Progress
from gridmgmt.importing.report import Report
from gridmgmt.importing.run import import_run
from gridmgmt.incidents.lookups import category_lookup
from gridmgmt.seasonal.models import SeasonalItem
from gridmgmt.seasonal.tasks.models import SeasonalTask, TaskStatus, TaskStepKind
from gridmgmt.seasonal.tasks.service import LONGEST_TEXT, chiefs_of, note_steps

FIELDS = ("year", "area", "category", "done_on", "note")
REQUIRED = ("year", "area", "category", "done_on")
ALIASES = {
    "year": ("年份", "清单年份", "年度"),
    "area": ("区域", "区域编码", "网格编码", "网格"),
    "category": ("类别", "事项", "类别编码"),
    "done_on": ("办理日期", "完成日期", "办结日期"),
    "note": ("备注", "办理情况", "说明"),
}
WHO = "import"
LEVELS = {digits: level for level, digits in DIGITS.items()}

# A task by what makes it one: year, category, area, first day of its window.
Key = tuple[int, str, str, date]


@dataclass(frozen=True)
class _Work:
    """One row that can be taken: the item whose window it belongs to, where, when, and a note."""

    item: Any
    area: str
    done_on: date
    note: str | None

    @property
    def key(self) -> Key:
        return self.item.year, self.item.category, self.area, self.item.start_on


def import_tasks(
    engine: Engine,
    path: Path,
    mapping: Mapping,
    *,
    dry_run: bool = False,
    rejects: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Import done work in one transaction; idempotent on year, category, area and window.

    The window is that of the list item of that year for the category and the area: the area's own, else
    that of the closest place around it; of several, the one that begins nearest to the day of the work.
    Rejected: a year, area or category that is not known, no list item, a day that is none or is to come.

    Raises FileError when the file cannot be read or lacks year, area, category or done_on.
    """
    with import_run(engine, "tasks", path, dry_run=dry_run, rejects=rejects) as (connection, report):
        found = read_rows(
            path, mapping, report, known=FIELDS, required=REQUIRED, aliases=ALIASES, progress=progress
        )
        days = rows.dates(found, "done_on", mapping)
        finder = _Finder(connection)
        works = [finder.work(row, day) for row, day in zip(found, days, strict=True)]
        keys = [None if work is None else tuple(map(str, work.key)) for work in works]
        rows.reject_repeated(found, "area", keys)
        taken = [work for row, work in zip(found, works, strict=True) if work and not row.rejected]
        _merge(connection, taken, report)
    return report


class _Finder:
    """Knows areas, categories and list items, and says which item a row of the file is about."""

    def __init__(self, connection: Connection) -> None:
        self._areas = {*grids.division_names(connection), *grids.grid_names(connection)}
        self._categories = category_lookup(connection)
        self._items: dict[tuple[int, str, str], list[Any]] = {}
        for item in connection.execute(select(SeasonalItem.__table__).order_by(SeasonalItem.start_on)):
            self._items.setdefault((item.year, item.category, item.area), []).append(item)
        self._years = {year for year, _, _ in self._items}
        self._today = china_today()

    def work(self, row: Row, done_on: date | None) -> _Work | None:
        """Return what a row says, or None when it is rejected."""
        category = self._categories.codes.get(row["category"])
        if not row["year"].isdecimal() or int(row["year"]) not in self._years:
            years = ", ".join(map(str, sorted(self._years))) or "none yet"
            row.reject("year", row["year"], f"a year that has a list: {years}")
        if row["area"] not in self._areas:
            row.reject("area", row["area"], "the code of a division or grid")
        if category is None:
            row.reject("category", row["category"], "the code or the unambiguous name of a category")
        if not row.rejected and (done_on is None or done_on > self._today):
            row.reject("done_on", row["done_on"], f"a day up to {self._today}")
        if len(row["note"]) > LONGEST_TEXT:
            row.reject("note", row["note"], f"up to {LONGEST_TEXT} characters")
        if row.rejected or category is None or done_on is None:
            return None
        return self._on_list(row, int(row["year"]), category, done_on)

    def _on_list(self, row: Row, year: int, category: str, done_on: date) -> _Work | None:
        area = row["area"]
        wider = sorted((digits for digits in DIGITS.values() if digits <= len(area)), reverse=True)
        for digits in wider:
            items = self._items.get((year, category, area[:digits]))
            if items:
                item = min(items, key=lambda each: abs(each.start_on - done_on))
                return _Work(item, area, done_on, row["note"] or None)
        row.reject("category", row["category"], f"one on the list of {year} here; there is no list item")
        return None


def _merge(connection: Connection, works: list[_Work], report: Report) -> None:
    """Write what is new, complete what stands as not done or differently, count what is the same."""
    table = SeasonalTask
    standing: dict[Key, Any] = {
        (row.year, row.category, row.area, row.start_on): row
        for row in connection.execute(select(table.__table__))
    }
    new = [work for work in works if work.key not in standing]
    changed = [work for work in works if work.key in standing and not _same(work, standing[work.key])]
    report.new, report.updated = len(new), len(changed)
    report.unchanged = len(works) - len(new) - len(changed)
    if new:
        made = connection.scalars(insert(table).returning(table.id), _new_rows(connection, new)).all()
        note_steps(connection, WHO, made, TaskStepKind.IMPORTED)
    for work in changed:
        before = standing[work.key]
        connection.execute(update(table).where(table.id == before.id).values(_closing(work)))
        detail = before.done_on or before.reason
        note_steps(connection, WHO, [before.id], TaskStepKind.IMPORTED, detail and f"原为 {detail}")


def _same(work: _Work, row: Any) -> bool:
    return (row.status, row.done_on, row.note) == (TaskStatus.DONE, work.done_on, work.note)


def _new_rows(connection: Connection, works: list[_Work]) -> list[dict[str, Any]]:
    """Return rows of new tasks; the responsible is whoever was the grid's chief when the work was done."""
    chiefs = {
        day: chiefs_of(connection, {work.area for work in works if work.done_on == day}, day)
        for day in {work.done_on for work in works}
    }
    return [
        {
            "year": work.item.year, "item_id": work.item.id if work.item.area == work.area else None,
            "level": LEVELS[len(work.area)], "area": work.area, "category": work.item.category,
            "start_on": work.item.start_on, "end_on": work.item.end_on, "due_on": work.item.act_by,
            "action": work.item.action,
            "expected": work.item.expected if work.item.area == work.area else None,
            "worker_id": chiefs[work.done_on].get(work.area), "handed_out_by": WHO, **_closing(work),
        }
        for work in works
    ]  # fmt: skip


def _closing(work: _Work) -> dict[str, Any]:
    return {
        "status": TaskStatus.DONE, "done_on": work.done_on, "closed_at": datetime.now(UTC),
        "closed_by": WHO, "reason": None, "note": work.note,
    }  # fmt: skip

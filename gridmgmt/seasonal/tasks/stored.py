"""Reads tasks of the seasonal list.

`treatments`, `of_item`, `by_item` and `overdue_count` need the reader's rights only. Everything that shows
who did what, and why not, needs the writer's: the database then gives the rows of the caller's area alone.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Integer, Select, any_, bindparam, case, exists, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from gridmgmt.calendar import CHINA
from gridmgmt.errors import NotFoundError
from gridmgmt.grids import service as grids
from gridmgmt.grids.models import LEVEL_NAMES, Worker
from gridmgmt.incidents import service as incidents
from gridmgmt.seasonal.models import SeasonalItem
from gridmgmt.seasonal.stored import Item
from gridmgmt.seasonal.tasks.models import (
    STATUS_NAMES,
    STEP_NAMES,
    SeasonalTask,
    SeasonalTaskPhoto,
    SeasonalTaskStep,
    TaskStatus,
    TaskStepKind,
)

# Windows of one season move by a lunar month at most from year to year.
SAME_SEASON = timedelta(days=45)


@dataclass(frozen=True)
class Treatment:
    """What became of a task, to weigh whether acting beforehand helped; `done_on` only where it was done."""

    level: str
    area: str
    category: str
    start_on: date
    end_on: date
    done_on: date | None
    status: TaskStatus


def treatments(connection: Connection, year: int) -> list[Treatment]:
    """Return all tasks of a year's list, those split off from wider ones included, by area and window."""
    table = SeasonalTask
    columns = (table.level, table.area, table.category, table.start_on, table.end_on, table.done_on)
    rows = connection.execute(
        select(*columns, table.status)
        .where(table.year == year)
        .order_by(table.area, table.start_on, table.category)
    )
    return [Treatment(*row[:-1], TaskStatus(row.status)) for row in rows]


@dataclass(frozen=True)
class Task:
    """A task with every name a reader needs.

    Attributes
    ----------
    level, area : grid | village | town | county, and its code
    start_on, end_on : the window that the list expects
    due_on : the day by which to have acted
    expected : matters in the window without action, None for a task split off from a wider one
    chief : the grid's chief when it was handed out, None for villages, towns and vacant grids
    done_on, closed_at : day the work was done, as told; moment when that was written down
    reason : why it could not be done
    parts, parts_closed : tasks split off from this one, and how many of them are no longer open
    """

    id: int
    year: int
    item_id: int | None
    level: str
    area: str
    area_name: str
    category: str
    category_name: str
    start_on: date
    end_on: date
    due_on: date
    action: str
    expected: float | None
    chief: str | None
    parent_id: int | None
    status: TaskStatus
    handed_out_at: datetime
    handed_out_by: str
    closed_at: datetime | None
    done_on: date | None
    closed_by: str | None
    reason: str | None
    note: str | None
    parts: int
    parts_closed: int

    @property
    def status_name(self) -> str:
        return STATUS_NAMES[self.status]

    @property
    def level_name(self) -> str:
        return LEVEL_NAMES[self.level]

    @property
    def is_open(self) -> bool:
        return self.status is TaskStatus.OPEN

    @property
    def is_done(self) -> bool:
        return self.status is TaskStatus.DONE

    def days_over(self, today: date) -> int:
        """Return by how many days an open task is overdue, 0 when it is not."""
        return max(0, (today - self.due_on).days) if self.is_open else 0

    def closed_today(self, today: date) -> bool:
        return self.closed_at is not None and self.closed_at.astimezone(CHINA).date() == today


def tasks(
    connection: Connection, area: str = "", year: int | None = None, *, parent: int | None = None
) -> list[Task]:
    """Return the tasks inside an area ('' for all) in the order of their due days; writer's rights.

    `year` keeps those of one list, `parent` those split off from one task.
    """
    statement = _query().where(func.starts_with(SeasonalTask.area, area))
    if year is not None:
        statement = statement.where(SeasonalTask.year == year)
    if parent is not None:
        statement = statement.where(SeasonalTask.parent_id == parent)
    return _tasks(connection, statement.order_by(SeasonalTask.due_on, SeasonalTask.area, SeasonalTask.id))


def current(connection: Connection, area: str, today: date) -> list[Task]:
    """Return the tasks inside an area of this year's and later lists, and what is open of older ones."""
    return [task for task in tasks(connection, area) if task.is_open or task.year >= today.year]


def task(connection: Connection, number: int) -> Task:
    """Return one task; NotFoundError when there is none that the caller may see. Writer's rights."""
    found = _tasks(connection, _query().where(SeasonalTask.id == number))
    if not found:
        raise NotFoundError(f"no task {number} here")
    return found[0]


def years(connection: Connection) -> list[int]:
    """Return the years that have tasks, the latest first."""
    return list(connection.scalars(select(SeasonalTask.year).distinct().order_by(SeasonalTask.year.desc())))


def _query() -> Select[Any]:
    parts = (
        select(
            SeasonalTask.parent_id.label("parent"),
            func.count().label("parts"),
            func.count(case((SeasonalTask.status != TaskStatus.OPEN, 1))).label("closed"),
        )
        .where(SeasonalTask.parent_id.is_not(None))
        .group_by(SeasonalTask.parent_id)
        .subquery()
    )
    finer = exists().where(
        SeasonalItem.year == SeasonalTask.year,
        SeasonalItem.category == SeasonalTask.category,
        SeasonalItem.start_on == SeasonalTask.start_on,
        SeasonalItem.area != SeasonalTask.area,
        func.starts_with(SeasonalItem.area, SeasonalTask.area),
    )
    return (
        select(
            SeasonalTask.__table__,
            Worker.name.label("chief"),
            finer.label("rest"),
            parts.c.parts,
            parts.c.closed,
        )
        .outerjoin(Worker, Worker.id == SeasonalTask.worker_id)
        .outerjoin(parts, parts.c.parent == SeasonalTask.id)
    )


def _tasks(connection: Connection, statement: Select[Any]) -> list[Task]:
    rows = connection.execute(statement).all()
    if not rows:
        return []
    areas: dict[str, str] = {code: name for code, (name, _) in grids.grid_names(connection).items()}
    areas.update(grids.division_names(connection))
    categories = incidents.categories(connection)
    return [_task(row, areas, categories) for row in rows]


def _task(row: Any, areas: dict[str, str], categories: incidents.Categories) -> Task:
    name = areas.get(row.area, row.area)
    if row.rest:  # as the list says it: parts of the place have items of their own
        name = f"{name}其余地方"
    return Task(
        id=row.id, year=row.year, item_id=row.item_id, level=row.level, area=row.area,
        area_name=name, category=row.category,
        category_name=categories.name(row.category), start_on=row.start_on, end_on=row.end_on,
        due_on=row.due_on, action=row.action, expected=row.expected, chief=row.chief,
        parent_id=row.parent_id, status=TaskStatus(row.status), handed_out_at=row.handed_out_at,
        handed_out_by=row.handed_out_by, closed_at=row.closed_at, done_on=row.done_on,
        closed_by=row.closed_by, reason=row.reason, note=row.note, parts=row.parts or 0,
        parts_closed=row.closed or 0,
    )  # fmt: skip


def overdue_count(connection: Connection, area: str, today: date) -> int:
    """Return how many tasks inside an area ('' for all) are open after their due day."""
    statement = select(func.count()).select_from(SeasonalTask)
    overdue = (SeasonalTask.status == TaskStatus.OPEN, SeasonalTask.due_on < today)
    return connection.scalar(statement.where(*overdue, func.starts_with(SeasonalTask.area, area))) or 0


def by_item(connection: Connection, items: Collection[int]) -> dict[int, TaskStatus]:
    """Return where the task of each of these items stands; items that were not handed out are left out."""
    if not items:
        return {}
    # One array: thousands of bound values take longer to write down than the tasks to find.
    asked = any_(bindparam("items", list(items), ARRAY(Integer)))
    statement = select(SeasonalTask.item_id, SeasonalTask.status).where(SeasonalTask.item_id == asked)
    return {row.item_id: TaskStatus(row.status) for row in connection.execute(statement)}


# --- the evidence of one item


@dataclass(frozen=True)
class YearOfTasks:
    """What was done about one season in one year.

    Attributes
    ----------
    year : of the list
    own : the status of the item's own task, None when it had none
    due_on, done_on : of the own task
    total, done, not_done : tasks of smaller places inside the item's area
    """

    year: int
    own: TaskStatus | None
    due_on: date | None
    done_on: date | None
    total: int
    done: int
    not_done: int

    @property
    def status_name(self) -> str:
        return STATUS_NAMES[self.own] if self.own else "没有下发"


def of_item(connection: Connection, item: Item) -> list[YearOfTasks]:
    """Return what was done about an item's season last year and this year, in that order.

    A season is the category's window at most 45 days away; last year's is looked for a year earlier.
    """
    return [_year_of(connection, item, back) for back in (1, 0)]


def _year_of(connection: Connection, item: Item, back: int) -> YearOfTasks:
    table, year = SeasonalTask, item.year - back
    start = item.start_on - timedelta(days=365 * back)
    rows = connection.execute(
        select(table.area, table.status, table.due_on, table.done_on).where(
            table.year == year,
            table.category == item.category,
            func.starts_with(table.area, item.area),
            table.start_on.between(start - SAME_SEASON, start + SAME_SEASON),
        )
    ).all()
    own = [row for row in rows if row.area == item.area]
    first = min(own, key=lambda row: row.due_on, default=None)
    inside = [row.status for row in rows if row.area != item.area]
    return YearOfTasks(
        year=year,
        own=TaskStatus(first.status) if first else None,
        due_on=first.due_on if first else None,
        done_on=first.done_on if first else None,
        total=len(inside),
        done=inside.count(TaskStatus.DONE),
        not_done=inside.count(TaskStatus.NOT_DONE),
    )


# --- the record of one task; writer's rights


@dataclass(frozen=True)
class Step:
    """One line of a task's record."""

    at: datetime
    who: str
    what: str
    detail: str | None


def steps(connection: Connection, number: int) -> list[Step]:
    """Return the record of a task from its first step on."""
    table = SeasonalTaskStep
    rows = connection.execute(
        select(table.at, table.who, table.what, table.detail)
        .where(table.task_id == number)
        .order_by(table.id)
    )
    return [Step(at, who, STEP_NAMES[TaskStepKind(what)], detail) for at, who, what, detail in rows]


def photos(connection: Connection, number: int) -> list[int]:
    """Return the ids of a task's photos, the first one first."""
    table = SeasonalTaskPhoto
    return list(connection.scalars(select(table.id).where(table.task_id == number).order_by(table.id)))


def photo(connection: Connection, number: int) -> str:
    """Return the sha256 of a photo; NotFoundError when there is none that the caller may see."""
    found = connection.scalar(select(SeasonalTaskPhoto.sha256).where(SeasonalTaskPhoto.id == number))
    if found is None:
        raise NotFoundError(f"no photo {number} here")
    return found

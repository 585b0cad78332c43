"""Hands out list items as tasks, splits them to grids, closes, reopens and moves them.

Each function is one transaction that knows who acts and in which area, so that the database refuses, for the
writer's role, what the checks here might let through.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, exists, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from gridmgmt.calendar import china_today
from gridmgmt.db.engine import acting
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from gridmgmt.grids.codes import GRID_LENGTH
from gridmgmt.grids.models import Assignment, AssignmentRole, Grid, GridKind, Level
from gridmgmt.seasonal.models import SeasonalItem
from gridmgmt.seasonal.stored import Item
from gridmgmt.seasonal.tasks.models import (
    SeasonalTask,
    SeasonalTaskPhoto,
    SeasonalTaskStep,
    TaskStatus,
    TaskStepKind,
)

GRID = "grid"
# Whose tasks are whose: a chief closes the grid's, a town office those of villages and of the town.
CLOSES: dict[Role, frozenset[str]] = {
    Role.GRID_WORKER: frozenset({GRID}),
    Role.TOWN_OFFICER: frozenset({Level.VILLAGE, Level.TOWN}),
    Role.COMMAND: frozenset({Level.COUNTY}),
}
HANDS_OUT = frozenset({Role.TOWN_OFFICER, Role.COMMAND})
SPLITS = frozenset({Level.VILLAGE, Level.TOWN})
# What is handed out after its day to act has so long.
LATE_DAYS = timedelta(days=7)
# A rebuilt list may move a window by about a 旬 or a term; another window of the category is another task.
RELINK_DAYS = 31
LONGEST_TEXT = 500
OLDEST_WORK = timedelta(days=366)


@dataclass(frozen=True)
class Actor:
    """Who acts: account, role, and the code that everything touched must begin with ('' for the city)."""

    username: str
    role: Role
    area: str


@dataclass(frozen=True)
class HandedOut:
    """What came of handing out: tasks made, and items left with the reason, by its word in `LEFT_NAMES`."""

    made: int
    left: dict[str, int]


CUT, OVER, ALREADY, ELSEWHERE = "cut", "over", "already", "elsewhere"
LEFT_NAMES = {
    CUT: "超出一旬能办的件数", OVER: "窗口已过", ALREADY: "已经下发", ELSEWHERE: "属于上级或别处",
}  # fmt: skip


def hand_out(engine: Engine, actor: Actor, items: Iterable[Item], today: date | None = None) -> HandedOut:
    """Make tasks of list items and return how many, and how many items were left and why.

    An item that is cut, whose window is over, that has a task already, or that reaches beyond the actor's
    area is left. Doing it twice makes each task once.

    Raises NotAllowedError when the role hands out nothing.
    """
    _check_role(actor, HANDS_OUT, "hand out")
    day = today or china_today()
    left: Counter[str] = Counter()
    with acting(engine, actor.username, actor.area) as connection:
        linked = _linked(connection)
        fit = []
        for item in items:
            why = left_because(item, actor.area, linked, day)
            if why is None:
                fit.append(item)
            else:
                left[why] += 1
        chiefs = chiefs_of(connection, {item.area for item in fit}, day)
        made = _insert(connection, actor, [_of_item(item, chiefs, day) for item in fit])
    left[ALREADY] += len(fit) - made
    return HandedOut(made, {why: count for why, count in left.items() if count})


def left_because(item: Item, area: str, linked: Collection[int], today: date) -> str | None:
    """Return why an item is not handed out inside an area, as a word of `LEFT_NAMES`; None when it is.

    `linked` are the items that have a task.
    """
    reasons = {
        ELSEWHERE: not item.area.startswith(area),
        ALREADY: item.id in linked,
        OVER: item.end_on < today,
        CUT: item.cut,
    }
    return next((why for why, holds in reasons.items() if holds), None)


def _linked(connection: Connection) -> set[int]:
    """Return the items that have a task, also under a window that a rebuilt list has moved since."""
    statement = select(SeasonalTask.item_id).where(SeasonalTask.item_id.is_not(None))
    return {item for item in connection.scalars(statement) if item is not None}


def chiefs_of(connection: Connection, areas: Collection[str], on: date) -> dict[str, int]:
    """Return the chief in force on a day of each grid among some areas, by the grid's code."""
    statement = (
        select(Grid.code15, Assignment.worker_id)
        .join(Assignment, Assignment.grid_id == Grid.id)
        .where(
            Grid.code15.in_([area for area in areas if len(area) == GRID_LENGTH]),
            Assignment.role == AssignmentRole.CHIEF,
            Assignment.valid_from <= on,
            or_(Assignment.valid_to.is_(None), Assignment.valid_to > on),
        )
    )
    return dict(connection.execute(statement).all())


def _due(act_by: date, end_on: date, today: date) -> date:
    """Return the day by which to act; one that has passed gives a week, but not more than the window has."""
    return act_by if act_by >= today else max(today, min(today + LATE_DAYS, end_on))


def _of_item(item: Item, chiefs: dict[str, int], today: date) -> dict[str, Any]:
    return {
        "year": item.year, "item_id": item.id, "level": item.level, "area": item.area,
        "category": item.category, "start_on": item.start_on, "end_on": item.end_on,
        "due_on": _due(item.act_by, item.end_on, today), "action": item.action, "expected": item.expected,
        "worker_id": chiefs.get(item.area), "parent_id": None,
    }  # fmt: skip


def _insert(connection: Connection, actor: Actor, rows: list[dict[str, Any]], how: str = "") -> int:
    """Write tasks that do not stand yet, with their first step; return how many were new."""
    if not rows:
        return 0
    statement = insert_or_skip(SeasonalTask).on_conflict_do_nothing().returning(SeasonalTask.id)
    made = connection.scalars(statement, [row | {"handed_out_by": actor.username} for row in rows]).all()
    note_steps(connection, actor.username, made, TaskStepKind.HANDED_OUT, how or None)
    return len(made)


def note_steps(
    connection: Connection, who: str, numbers: Collection[int], what: TaskStepKind, detail: str | None = None
) -> None:
    """Add one line to the record of each of these tasks."""
    rows = [{"task_id": number, "who": who, "what": what, "detail": detail} for number in numbers]
    if rows:
        connection.execute(insert(SeasonalTaskStep), rows)


def split(engine: Engine, actor: Actor, number: int, today: date | None = None) -> int:
    """Make a task for every grid inside an open task of a village or town and return how many.

    Grids that have a task of that season already are left, and those for which the list has an item of its
    own, or one of their village. Raises NotFoundError for a task that the actor may not see, NotAllowedError
    for a role or level that is not split, ConflictError when it is closed.
    """
    _check_role(actor, frozenset({Role.TOWN_OFFICER}), "split")
    day = today or china_today()
    with acting(engine, actor.username, actor.area) as connection:
        task = _locked(connection, number)
        if task.level not in SPLITS:
            raise NotAllowedError(f"a task of a {task.level} is not split")
        if task.status != TaskStatus.OPEN:
            raise ConflictError(f"task {number} is {task.status}")
        areas = _grids_inside(connection, task, day)
        chiefs = chiefs_of(connection, areas, day)
        shared = ("year", "category", "start_on", "end_on", "action")
        due = {"due_on": _due(task.due_on, task.end_on, day)}
        row = {name: getattr(task, name) for name in shared} | due | {"level": GRID, "parent_id": number}
        rows = [row | {"area": area, "worker_id": chiefs.get(area)} for area in areas]
        made = _insert(connection, actor, rows, f"由 {number} 号任务分来")
        note_steps(connection, actor.username, [number], TaskStepKind.SPLIT, f"{made} 个网格")
    return made


def _grids_inside(connection: Connection, task: Any, on: date) -> list[str]:
    """Return the grids in force on a day inside a task's area, without those that finer items speak for."""
    finer = exists().where(
        SeasonalItem.year == task.year,
        SeasonalItem.category == task.category,
        SeasonalItem.start_on == task.start_on,
        func.length(SeasonalItem.area) > len(task.area),
        func.starts_with(Grid.code15, SeasonalItem.area),
    )
    statement = select(Grid.code15).where(
        func.starts_with(Grid.code15, task.area),
        Grid.kind == GridKind.BASE,
        Grid.valid_from <= on,
        or_(Grid.valid_to.is_(None), Grid.valid_to > on),
        ~finer,
    )
    return list(connection.scalars(statement.order_by(Grid.code15)))


# --- closing


@dataclass(frozen=True)
class Outcome:
    """What somebody says became of a task: done on a day (today when None), or not done for a reason."""

    done: bool
    done_on: date | None = None
    reason: str = ""
    note: str = ""

    @property
    def status(self) -> TaskStatus:
        return TaskStatus.DONE if self.done else TaskStatus.NOT_DONE

    def checked(self, today: date) -> dict[str, Any]:
        """Return the columns that it fills; InputError names the field that is not allowed."""
        for field in ("reason", "note"):
            if len(getattr(self, field)) > LONGEST_TEXT:
                raise InputError(field, "a longer text", f"up to {LONGEST_TEXT} characters")
        columns = {"status": self.status, "note": self.note.strip() or None}
        if self.done:
            return columns | {"done_on": _day_of_work(self.done_on or today, today), "reason": None}
        if not self.reason.strip():
            raise InputError("reason", self.reason, "why it could not be done")
        return columns | {"done_on": None, "reason": self.reason.strip()}


def _day_of_work(day: date, today: date) -> date:
    if not today - OLDEST_WORK <= day <= today:
        raise InputError("done_on", day.isoformat(), f"a day of the last year, up to {today}")
    return day


def close(
    engine: Engine,
    actor: Actor,
    number: int,
    outcome: Outcome,
    photo: str | None = None,
    keep_photo: Callable[[], None] = lambda: None,
    today: date | None = None,
) -> None:
    """Close an open task with what became of it.

    `photo` is the sha256 of a prepared picture; `keep_photo` puts its file in place as the last step before
    the commit, so that a refused report leaves none behind. Pressing the button twice closes it once.

    Raises InputError for an outcome that is not allowed (a reason is required when it was not done),
    NotFoundError for a task the actor may not see, NotAllowedError when it is not the actor's to close,
    ConflictError when somebody else has closed it.
    """
    columns = outcome.checked(today or china_today())
    with acting(engine, actor.username, actor.area) as connection:
        task = _own(connection, actor, number)
        if task.status != TaskStatus.OPEN:
            if (task.status, task.closed_by) == (outcome.status, actor.username):
                return
            raise ConflictError(f"task {number} is {task.status} already")
        now = {"closed_at": datetime.now(UTC), "closed_by": actor.username}
        connection.execute(update(SeasonalTask).where(SeasonalTask.id == number).values(**columns | now))
        detail = columns["reason"] or columns["done_on"].isoformat()
        note_steps(connection, actor.username, [number], TaskStepKind(outcome.status.value), detail)
        if photo:
            row = {"task_id": number, "sha256": photo, "added_by": actor.username}
            connection.execute(insert_or_skip(SeasonalTaskPhoto).on_conflict_do_nothing(), row)
            keep_photo()


def reopen(engine: Engine, actor: Actor, number: int, today: date | None = None) -> None:
    """Take back a report on the day it was made; the record keeps that it was.

    Raises NotFoundError, NotAllowedError as `close`, ConflictError for a task that is open or was closed on
    an earlier day.
    """
    day = today or china_today()
    with acting(engine, actor.username, actor.area) as connection:
        task = _own(connection, actor, number)
        on = func.date(func.timezone("Asia/Shanghai", SeasonalTask.closed_at))
        same_day = connection.scalar(select(on == day).where(SeasonalTask.id == number))
        if not same_day:
            raise ConflictError(f"task {number} is {task.status} and was not closed on {day}")
        nothing = dict.fromkeys(("closed_at", "closed_by", "done_on", "reason", "note"))
        connection.execute(
            update(SeasonalTask).where(SeasonalTask.id == number).values(status=TaskStatus.OPEN, **nothing)
        )
        note_steps(connection, actor.username, [number], TaskStepKind.REOPENED, task.reason or task.note)


def move(engine: Engine, actor: Actor, number: int, due_on: date, today: date | None = None) -> None:
    """Give an open task another day by which to act, from today to the end of its window.

    A town office moves every task of its town, the command those of the county. Raises InputError for
    another day, NotFoundError, NotAllowedError, ConflictError as `close`.
    """
    _check_role(actor, HANDS_OUT, "move")
    day = today or china_today()
    with acting(engine, actor.username, actor.area) as connection:
        task = _locked(connection, number)
        if actor.role is Role.COMMAND and task.level != Level.COUNTY:
            raise NotAllowedError(f"the day of task {number} is its town's to move")
        if task.status != TaskStatus.OPEN:
            raise ConflictError(f"task {number} is {task.status}")
        last = max(task.end_on, day)
        if not day <= due_on <= last:
            raise InputError("due_on", due_on.isoformat(), f"a day from {day} to {last}")
        connection.execute(update(SeasonalTask).where(SeasonalTask.id == number).values(due_on=due_on))
        note_steps(connection, actor.username, [number], TaskStepKind.MOVED, f"{task.due_on} → {due_on}")


def may_close(role: Role, level: str) -> bool:
    """Say whether tasks of a level are for this role to close."""
    return level in CLOSES.get(role, frozenset())


def _check_role(actor: Actor, roles: Collection[Role], what: str) -> None:
    if actor.role not in roles:
        raise NotAllowedError(f"{actor.username} ({actor.role}) may not {what} tasks")


def _own(connection: Connection, actor: Actor, number: int) -> Any:
    task = _locked(connection, number)
    if not may_close(actor.role, task.level):
        raise NotAllowedError(f"task {number} of a {task.level} is not {actor.username}'s to close")
    return task


def _locked(connection: Connection, number: int) -> Any:
    """Return a task that nobody else changes until the end; NotFoundError when it is not in the area."""
    statement = select(SeasonalTask.__table__).where(SeasonalTask.id == number).with_for_update()
    task = connection.execute(statement).one_or_none()
    if task is None:
        raise NotFoundError(f"no task {number} here")
    return task


# --- after grids or a list were made anew


def rehome(connection: Connection, successors: Mapping[str, str]) -> int:
    """Give the open tasks of grids that are gone to the grids in their place; how many moved.

    A task that its new grid has already is left where it was. Commits nothing; owner's rights.
    """
    moved = 0
    for old, new in successors.items():
        moved += connection.execute(
            text("""
            UPDATE seasonal_task t SET area = :new WHERE t.area = :old AND t.status = 'open' AND NOT EXISTS (
                SELECT FROM seasonal_task o WHERE (o.year, o.category, o.area, o.start_on)
                    = (t.year, t.category, :new, t.start_on))
            """),
            {"old": old, "new": new},
        ).rowcount
    return moved


def relink(connection: Connection, year: int) -> int:
    """Tie tasks whose list was built anew to the items that took their place; return how many.

    An item takes the place of another when category and area are the same and its window begins nearest, at
    most 31 days away. Tasks without such an item stay as they are. Commits nothing; owner's rights.
    """
    statement = text("""
        UPDATE seasonal_task t SET item_id = nearest.item FROM (
            SELECT DISTINCT ON (t.id) t.id AS task, i.id AS item
            FROM seasonal_task t JOIN seasonal_item i
                ON (i.year, i.category, i.area) = (t.year, t.category, t.area)
                AND abs(i.start_on - t.start_on) <= :days
            WHERE t.year = :year AND t.item_id IS NULL AND t.parent_id IS NULL
            ORDER BY t.id, abs(i.start_on - t.start_on), i.start_on
        ) AS nearest WHERE t.id = nearest.task
    """)
    return connection.execute(statement, {"year": year, "days": RELINK_DAYS}).rowcount

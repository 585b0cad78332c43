"""Tables of the tasks that list items become: the task, every step of it, and its photos."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base
from gridmgmt.db.models import NOW, Timestamp, one_of


class TaskStatus(StrEnum):
    """Where a task stands."""

    OPEN = "open"
    DONE = "done"
    NOT_DONE = "not_done"


STATUS_NAMES = {TaskStatus.OPEN: "待办", TaskStatus.DONE: "已办好", TaskStatus.NOT_DONE: "没有办成"}


class TaskStepKind(StrEnum):
    """What somebody did with a task."""

    HANDED_OUT = "handed_out"
    SPLIT = "split"
    DONE = "done"
    NOT_DONE = "not_done"
    REOPENED = "reopened"
    MOVED = "moved"
    IMPORTED = "imported"


STEP_NAMES = {
    TaskStepKind.HANDED_OUT: "下发", TaskStepKind.SPLIT: "分到网格", TaskStepKind.DONE: "办好",
    TaskStepKind.NOT_DONE: "没有办成", TaskStepKind.REOPENED: "撤销填报", TaskStepKind.MOVED: "改期限",
    TaskStepKind.IMPORTED: "导入",
}  # fmt: skip


class SeasonalTask(Base):
    """A list item handed out: what to do in an area, until when, by whom, and what came of it.

    It keeps what the item said (window, action, expected), so that it outlives a rebuilt list; `item_id` is
    empty between the list's deletion and `service.relink`, and for tasks that rest on no item of their own.
    `worker_id` is the grid's chief on the day it was handed out; villages and towns answer as offices.
    `done_on` is the day the work was done, as told by who did it; `closed_at` when that was written down.
    """

    __tablename__ = "seasonal_task"
    __table_args__ = (
        one_of("status", TaskStatus),
        UniqueConstraint("year", "category", "area", "start_on"),
        CheckConstraint("(status = 'open') = (closed_at IS NULL)", name="closed"),
        CheckConstraint("(status = 'done') = (done_on IS NOT NULL)", name="done_on"),
        CheckConstraint("(status = 'not_done') = (reason IS NOT NULL)", name="reason"),
        Index("ix_seasonal_task_status_due_on", "status", "due_on"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    year: Mapped[int]
    item_id: Mapped[int | None] = mapped_column(
        ForeignKey("seasonal_item.id", ondelete="SET NULL"), index=True
    )
    level: Mapped[str] = mapped_column(Text)
    area: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(ForeignKey("category.code"))
    start_on: Mapped[date]
    end_on: Mapped[date]
    due_on: Mapped[date]
    action: Mapped[str] = mapped_column(Text)
    expected: Mapped[float | None]
    worker_id: Mapped[int | None] = mapped_column(ForeignKey("worker.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("seasonal_task.id"), index=True)
    status: Mapped[str] = mapped_column(Text, server_default=text("'open'"))
    handed_out_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    handed_out_by: Mapped[str] = mapped_column(Text)
    closed_at: Mapped[datetime | None] = mapped_column(Timestamp)
    done_on: Mapped[date | None]
    closed_by: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)


class SeasonalTaskStep(Base):
    """Who did what with a task and when; rows are only ever added, so a reopened task shows that it was."""

    __tablename__ = "seasonal_task_step"
    __table_args__ = (one_of("what", TaskStepKind),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("seasonal_task.id"), index=True)
    at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    who: Mapped[str] = mapped_column(Text)
    what: Mapped[str] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)


class SeasonalTaskPhoto(Base):
    """A photo of a task; `sha256` is of the stored file, which holds pixels and nothing else."""

    __tablename__ = "seasonal_task_photo"
    __table_args__ = (UniqueConstraint("task_id", "sha256"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("seasonal_task.id"))
    sha256: Mapped[str] = mapped_column(Text)
    added_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    added_by: Mapped[str] = mapped_column(Text)

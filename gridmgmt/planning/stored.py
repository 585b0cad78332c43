"""Reads plans: what there is, its grids, its log, what others did since, and two plans side by side."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from geoalchemy2.functions import ST_X, ST_Y
from sqlalchemy import Connection, func, select

from gridmgmt.planning import states
from gridmgmt.planning.checking import check
from gridmgmt.planning.comparing import PlanDiff, diff
from gridmgmt.planning.models import OPERATION_NAMES, Operation, PlanComment, PlanEdit
from gridmgmt.planning.rebasing import outdated
from gridmgmt.planning.states import GridState, PlanInfo, plan, plans

__all__ = [
    "CommentInfo", "EditInfo", "GridState", "PlanDiff", "PlanInfo", "check", "comments", "diff", "edits",
    "grids", "outdated", "plan", "plans", "since",
]  # fmt: skip


@dataclass(frozen=True)
class EditInfo:
    """One edit of the log. `number` is the version that it made; `keys` are the grids it changed.

    `conflicts` are what could not be done again when the plan was rebased, with the reason of each.
    """

    number: int
    operation: Operation
    arguments: dict[str, Any]
    keys: list[str]
    author: str
    at: datetime
    undone: bool

    @property
    def operation_name(self) -> str:
        return OPERATION_NAMES[self.operation]

    @property
    def conflicts(self) -> list[dict[str, Any]]:
        return list(self.arguments.get("conflicts", ()))


@dataclass(frozen=True)
class CommentInfo:
    """What somebody wrote on a plan; `at_place` in degrees, None when it is about the whole."""

    id: int
    author: str
    at: datetime
    text: str
    at_place: tuple[float, float] | None


def grids(connection: Connection, plan_id: int, area: str = "") -> list[GridState]:
    """Return every grid of a plan in an area, in order of key, those that are gone too; NotFoundError."""
    return states.as_seen(connection, plan(connection, plan_id), area)


def edits(connection: Connection, plan_id: int) -> list[EditInfo]:
    """Return the log of a plan, oldest first; undone edits that can be redone stand at its end."""
    return since(connection, plan_id, 0)


def since(connection: Connection, plan_id: int, version: int) -> list[EditInfo]:
    """Return the edits made after somebody saw a plan at a version, oldest first.

    What was only undone or redone since is not among them; `undone` says how each edit stands now.
    """
    keys = select(func.array_agg(func.jsonb_object_keys(PlanEdit.after).column_valued("key")))
    columns = (
        PlanEdit.number, PlanEdit.operation, PlanEdit.arguments, keys.scalar_subquery(), PlanEdit.author,
        PlanEdit.at, PlanEdit.undone,
    )  # fmt: skip
    rows = connection.execute(
        select(*columns)
        .where(PlanEdit.plan_id == plan_id, PlanEdit.number > version)
        .order_by(PlanEdit.number)
    )
    return [
        EditInfo(number, Operation(operation), arguments, sorted(keys or ()), author, at, undone)
        for number, operation, arguments, keys, author, at, undone in rows
    ]


def comments(connection: Connection, plan_id: int) -> list[CommentInfo]:
    """Return what was written on a plan, oldest first."""
    columns = (
        PlanComment.id, PlanComment.author, PlanComment.at, PlanComment.text, ST_X(PlanComment.geom),
        ST_Y(PlanComment.geom),
    )  # fmt: skip
    rows = connection.execute(select(*columns).where(PlanComment.plan_id == plan_id).order_by(PlanComment.id))
    return [
        CommentInfo(number, author, at, words, None if lon is None else (lon, lat))
        for number, author, at, words, lon, lat in rows
    ]

"""Follows the grids in force when they changed under a plan: its edits are done again, as far as they fit."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, text, update

from gridmgmt.calendar import china_today
from gridmgmt.errors import GridmgmtError
from gridmgmt.grids.models import Grid
from gridmgmt.planning import states
from gridmgmt.planning.edits import Scene, apply
from gridmgmt.planning.models import OPERATION_NAMES, Operation, Plan, PlanEdit, PlanGrid
from gridmgmt.planning.states import Drawn, PlanInfo, States


@dataclass(frozen=True)
class Redone:
    """What became of the edits: those that fit still, and those that do not, as JSON with the reason."""

    kept: list[int]
    conflicts: list[dict[str, Any]]


def base_day(connection: Connection) -> date:
    """Return the day whose grids a plan begins from: today, or when the last published ones take over."""
    last = connection.scalar(select(func.max(Grid.valid_from)).where(Grid.valid_to.is_(None)))
    return max(last or china_today(), china_today())


def outdated(connection: Connection, chosen: PlanInfo) -> list[str]:
    """Return the codes of grids that a plan changed and that are others now than when it began from them.

    In order of code; then it must follow them before it is edited or published.
    """
    today = base_day(connection)
    began = dict(_originals(connection, chosen.id))
    now = states.in_force(connection, today, keys=began)
    return sorted(key for key, drawn in began.items() if key[0] != "n" and drawn != now.get(key))


def maybe_outdated(connection: Connection, chosen: PlanInfo) -> bool:
    """Say, at little cost, whether any grid at all began or ended since the plan's day, or on it."""
    statement = text("""
        SELECT EXISTS (SELECT FROM grid WHERE valid_from >= :on OR valid_to >= :on)
    """)
    return bool(connection.scalar(statement, {"on": chosen.base_on}))


def _originals(connection: Connection, plan_id: int) -> Iterator[tuple[str, Drawn | None]]:
    """Give every grid that the edits changed, as it was before the first of them."""
    rows = connection.execute(
        text("""
        SELECT DISTINCT ON (was.key) was.key, was.value
        FROM plan_edit e, jsonb_each(e.before) AS was
        WHERE e.plan_id = :plan AND NOT e.undone ORDER BY was.key, e.number
        """),
        {"plan": plan_id},
    )
    return ((key, Drawn.from_json(value)) for key, value in rows)


def redo_all(connection: Connection, chosen: PlanInfo, next_key: int) -> Redone:
    """Do the edits of a plan again, in order, on the grids of its day, and keep those that fit.

    New grids keep their keys. Those that do not fit leave the log; they are returned. Commits nothing.
    """
    connection.execute(delete(PlanGrid).where(PlanGrid.plan_id == chosen.id))
    edits = connection.execute(
        select(PlanEdit.__table__)
        .where(PlanEdit.plan_id == chosen.id, ~PlanEdit.undone)
        .order_by(PlanEdit.number)
    ).all()
    scene = _Replay(connection, chosen, next_key)
    kept, conflicts = [], []
    for edit in edits:
        if edit.operation == Operation.REBASE:
            continue
        try:
            before, after = scene.again(edit)
        except GridmgmtError as why:
            conflicts.append(_conflict(edit, why))
            continue
        states.write(connection, chosen, after)
        _rewrite(connection, edit.id, before, after)
        kept.append(edit.number)
    connection.execute(
        delete(PlanEdit).where(
            PlanEdit.plan_id == chosen.id, PlanEdit.number.in_([each["number"] for each in conflicts])
        )
    )
    return Redone(kept, conflicts)


class _Replay(Scene):
    """A scene that gives new grids the keys that they had when the edit was first made."""

    old_keys: Iterator[str] = iter(())

    def new_key(self) -> str:
        return next(self.old_keys, None) or super().new_key()

    def again(self, edit: Any) -> tuple[States, States]:
        born = [key for key, was in edit.before.items() if was is None and edit.after[key] is not None]
        self.old_keys = iter(sorted(born, key=lambda key: int(key[1:])))
        self.seen = {}
        after = apply(self, Operation(edit.operation), edit.arguments)
        return {key: self.seen.get(key) for key in after}, after


def _conflict(edit: Any, why: GridmgmtError) -> dict[str, Any]:
    return {
        "number": edit.number, "operation": edit.operation,
        "name": OPERATION_NAMES[Operation(edit.operation)], "arguments": edit.arguments,
        "keys": sorted(edit.after), "author": edit.author, "at": edit.at.isoformat(), "why": str(why),
    }  # fmt: skip


def as_json(grids: States) -> dict[str, Any]:
    """Return grids by key as the log keeps them."""
    return {key: drawn and drawn.as_json() for key, drawn in grids.items()}


def _rewrite(connection: Connection, edit_id: int, before: States, after: States) -> None:
    statement = update(PlanEdit).where(PlanEdit.id == bindparam("edit"))
    connection.execute(statement.values(before=as_json(before), after=as_json(after)), {"edit": edit_id})


def move_base(connection: Connection, chosen: PlanInfo, on: date) -> None:
    """Let a plan begin from the grids of another day."""
    connection.execute(update(Plan).where(Plan.id == chosen.id).values(base_on=on))

"""Begins plans, edits them, undoes and redoes, follows the grids in force; each function is one transaction.

A plan has a version that every change of its grids raises. Who edits an older version than stands is told who
was faster, and nothing is overwritten. The transaction knows who acts, so that the database refuses writes of
nobody.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import shapely
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    true,
    update,
)

from gridmgmt.calendar import CHINA
from gridmgmt.db.base import SRID
from gridmgmt.db.engine import acting
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError, NotAllowedError
from gridmgmt.grids.checks import Finding
from gridmgmt.grids.models import Division, GridKind
from gridmgmt.planning import rebasing, states
from gridmgmt.planning.checking import check_near
from gridmgmt.planning.edits import Scene, apply
from gridmgmt.planning.figures import Figures, figures
from gridmgmt.planning.models import (
    OPERATION_NAMES,
    PLAN_STATUS_NAMES,
    Operation,
    Plan,
    PlanComment,
    PlanEdit,
    PlanGrid,
    PlanStatus,
)
from gridmgmt.planning.states import GridState, PlanInfo, States

LONGEST_NAME = 60
LONGEST_TEXT = 500


@dataclass(frozen=True)
class Actor:
    """Who acts: account and role. Planners draw in the whole city."""

    username: str
    role: Role


@dataclass(frozen=True)
class Edited:
    """What came of an edit, an undo or a redo.

    Attributes
    ----------
    version : of the plan now; send it with the next edit
    number : of the edit in the log that was made, undone or redone
    changed : grids by key as they are now; None for those that are not in the plan any more
    figures : of the changed grids
    findings : broken rules of the changed grids and around them
    conflicts : after rebasing, the edits that could not be done again, with the reason of each
    """

    version: int
    number: int
    changed: dict[str, GridState | None]
    figures: list[Figures]
    findings: list[Finding]
    conflicts: list[dict[str, Any]]


def create(engine: Engine, actor: Actor, name: str, scope: str = "", parent: int | None = None) -> PlanInfo:
    """Begin a plan from the grids in force, or, with `parent`, from another plan and its log.

    `scope` is the code of a division, '' for the whole city; a plan inside another one keeps its scope when
    none is given. Raises InputError, NotAllowedError, NotFoundError.
    """
    with _drawing(engine, actor) as connection:
        origin = states.plan(connection, parent) if parent is not None else None
        scope = scope or (origin.scope if origin else "")
        _check_scope(connection, scope, origin)
        row = {
            "name": _short(name, "name", LONGEST_NAME), "parent_id": parent, "scope": scope,
            "author": actor.username, "version": origin.version if origin else 0,
            "base_on": origin.base_on if origin else rebasing.base_day(connection),
        }  # fmt: skip
        plan_id = connection.scalars(insert(Plan).values(row).returning(Plan.id)).one()
        if origin:
            _copy(connection, origin.id, plan_id)
        return states.plan(connection, plan_id)


def _check_scope(connection: Connection, scope: str, origin: PlanInfo | None) -> None:
    if scope and not connection.scalar(select(Division.code).where(Division.code == scope)):
        raise InputError("scope", scope, "镇街或村社区的编码，全市留空")
    if origin and not scope.startswith(origin.scope):
        raise InputError("scope", scope, f"上级方案范围 {origin.scope} 以内")


def _copy(connection: Connection, origin: int, plan_id: int) -> None:
    """Give a plan the grids and the log of another one."""
    tables: tuple[tuple[type[PlanGrid | PlanEdit], ColumnElement[bool]], ...]
    tables = (PlanGrid, true()), (PlanEdit, ~PlanEdit.undone)
    for table, live in tables:
        names = [column.name for column in table.__table__.columns if column.name not in ("id", "plan_id")]
        columns = (getattr(table, name) for name in names)
        source = select(literal(plan_id), *columns).where(table.plan_id == origin, live)
        connection.execute(insert(table).from_select(["plan_id", *names], source))


def edit(
    engine: Engine,
    actor: Actor,
    plan_id: int,
    operation: Operation,
    arguments: Mapping[str, Any],
    version: int,
) -> Edited:
    """Do one edit on a plan and return what it changed, with figures and findings near it.

    Broken rules are told, not forbidden. Edits that were undone are dropped from the log.

    Raises
    ------
    ConflictError
        When `version` is not the plan's, it is no draft, somebody else has locked it, or the grids in force
        that it changes have changed.
    InputError, NotAllowedError, NotFoundError
    """
    if operation == Operation.REBASE:
        return rebase(engine, actor, plan_id, version)
    with _drawing(engine, actor) as connection:
        chosen = _current(connection, actor, plan_id, version)
        last = _last_key(connection, plan_id)
        scene = Scene(connection, chosen, last + 1)
        after = apply(scene, Operation(operation), arguments)
        before: States = {key: scene.seen.get(key) for key in after}
        number = _log(connection, actor, chosen, _Entry(operation, dict(arguments), before, after, last))
        states.write(connection, chosen, after)
        return _edited(connection, chosen, number, after)


def undo(engine: Engine, actor: Actor, plan_id: int, version: int) -> Edited:
    """Take back the last edit; without limit, down to the grids in force. Raises as `edit`."""
    return _step(engine, actor, plan_id, version, back=True)


def redo(engine: Engine, actor: Actor, plan_id: int, version: int) -> Edited:
    """Do the edit again that was undone last. Raises as `edit`."""
    return _step(engine, actor, plan_id, version, back=False)


def _step(engine: Engine, actor: Actor, plan_id: int, version: int, *, back: bool) -> Edited:
    # That a plan was rebased is noted in its log, and nothing that could be taken back.
    order = PlanEdit.number.desc() if back else PlanEdit.number.asc()
    statement = (
        select(PlanEdit.id, PlanEdit.number, PlanEdit.before if back else PlanEdit.after)
        .where(
            PlanEdit.plan_id == plan_id, PlanEdit.undone.is_(not back), PlanEdit.operation != Operation.REBASE
        )
        .order_by(order)
        .limit(1)
    )
    with _drawing(engine, actor) as connection:
        chosen = _current(connection, actor, plan_id, version)
        found = connection.execute(statement).one_or_none()
        if found is None:
            raise ConflictError("没有可以撤销的编辑" if back else "没有可以重做的编辑")
        id_, number, grids = found
        after = {key: states.Drawn.from_json(value) for key, value in grids.items()}
        connection.execute(update(PlanEdit).where(PlanEdit.id == id_).values(undone=back))
        _raise_version(connection, chosen)
        states.write(connection, chosen, after)
        return _edited(connection, chosen, number, after)


def rebase(engine: Engine, actor: Actor, plan_id: int, version: int) -> Edited:
    """Follow the grids in force: do the plan's edits again, in order, on those of today.

    Edits that do not fit any more leave the plan; the log says which, and why. Raises as `edit`.
    """
    with _drawing(engine, actor) as connection:
        chosen = _current(connection, actor, plan_id, version, rebasing_now=True)
        was = {state.key: state for state in states.as_seen(connection, chosen)}
        last, old_day = _last_key(connection, plan_id), chosen.base_on
        rebasing.move_base(connection, chosen, rebasing.base_day(connection))
        chosen = states.plan(connection, plan_id)
        redone = rebasing.redo_all(connection, chosen, last + 1)
        arguments = {
            "from": old_day.isoformat(), "to": chosen.base_on.isoformat(), "kept": redone.kept,
            "conflicts": redone.conflicts,
        }  # fmt: skip
        number = _log(connection, actor, chosen, _Entry(Operation.REBASE, arguments, {}, {}, last))
        now = {state.key: state for state in states.as_seen(connection, chosen)}
        changed = sorted(key for key in was.keys() | now.keys() if _differs(was.get(key), now.get(key)))
        grids = states.current(connection, chosen, keys=changed)
        return _edited(connection, chosen, number, {key: grids.get(key) for key in changed}, redone.conflicts)


def _differs(was: GridState | None, now: GridState | None) -> bool:
    """Say whether a grid is another one; that it counts as changed because its base did is no difference."""
    if was is None or now is None or "gone" in (was.status, now.status):
        return (was and was.status != "gone") != (now and now.status != "gone")
    return (was.name, was.kind, was.village, was.code, was.purpose) != (
        now.name, now.kind, now.village, now.code, now.purpose,
    ) or not shapely.equals_identical(was.shape, now.shape)  # fmt: skip


def lock(engine: Engine, actor: Actor, plan_id: int) -> None:
    """Keep others from editing a plan. Raises ConflictError when somebody else has locked it, as `edit`."""
    with _drawing(engine, actor) as connection:
        _draft(connection, actor, plan_id)
        _set(connection, plan_id, locked_by=actor.username)


def unlock(engine: Engine, actor: Actor, plan_id: int) -> None:
    """Let others edit a plan again. Raises ConflictError when somebody else has locked it, as `edit`."""
    with _drawing(engine, actor) as connection:
        _draft(connection, actor, plan_id)
        _set(connection, plan_id, locked_by=None)


def retire(engine: Engine, actor: Actor, plan_id: int) -> None:
    """Give a draft up; it stays readable. Raises as `lock`."""
    with _drawing(engine, actor) as connection:
        _draft(connection, actor, plan_id)
        _set(connection, plan_id, status=PlanStatus.RETIRED, locked_by=None)


def comment(
    engine: Engine, actor: Actor, plan_id: int, words: str, at: tuple[float, float] | None = None
) -> None:
    """Write a comment on a plan, at a place (longitude, latitude) or on the whole; also on a published one.

    Raises InputError, NotAllowedError, NotFoundError.
    """
    with _drawing(engine, actor) as connection:
        states.plan(connection, plan_id)
        place = None if at is None else func.ST_SetSRID(func.ST_Point(*at), SRID)
        connection.execute(
            insert(PlanComment).values(
                plan_id=plan_id, author=actor.username, text=_short(words, "text", LONGEST_TEXT), geom=place
            )
        )


# --- who may, and whether the plan is as they think


def _drawing(engine: Engine, actor: Actor) -> Any:
    """Give a transaction of a planner; NotAllowedError for anybody else."""
    if actor.role != Role.PLANNER:
        raise NotAllowedError(f"{actor.username} ({actor.role}) may not draw plans")
    return acting(engine, actor.username, "")


def _draft(connection: Connection, actor: Actor, plan_id: int) -> PlanInfo:
    """Return a plan that nobody else changes until the end; ConflictError unless the actor may edit it."""
    # The database locks only a draft for the writer; any other plan is read, to say what it is.
    connection.execute(select(Plan.id).where(Plan.id == plan_id).with_for_update())
    chosen = states.plan(connection, plan_id)
    if chosen.status != PlanStatus.DRAFT:
        raise ConflictError(f"方案“{chosen.name}”{PLAN_STATUS_NAMES[PlanStatus(chosen.status)]}，不能再改")
    if chosen.locked_by not in (None, actor.username):
        raise ConflictError(f"方案“{chosen.name}”由 {chosen.locked_by} 锁定")
    return chosen


def _current(
    connection: Connection, actor: Actor, plan_id: int, version: int, rebasing_now: bool = False
) -> PlanInfo:
    """Return a plan that is as the actor saw it, and on the grids in force; ConflictError else."""
    chosen = _draft(connection, actor, plan_id)
    if chosen.version != version:
        raise ConflictError(_who_was_faster(connection, chosen))
    if not rebasing_now and rebasing.maybe_outdated(connection, chosen):
        if stale := rebasing.outdated(connection, chosen):
            raise ConflictError(f"现行网格 {'、'.join(stale[:5])} 已经改过，请先“跟上现行网格”")
        rebasing.move_base(connection, chosen, rebasing.base_day(connection))
        chosen = states.plan(connection, plan_id)
    return chosen


def _who_was_faster(connection: Connection, chosen: PlanInfo) -> str:
    statement = select(PlanEdit.author, PlanEdit.at, PlanEdit.operation, PlanEdit.undone).where(
        PlanEdit.plan_id == chosen.id
    )
    last = connection.execute(statement.order_by(PlanEdit.number.desc()).limit(1)).one_or_none()
    if last is None:
        return f"方案“{chosen.name}”的编辑已全部撤销"
    what = OPERATION_NAMES[Operation(last.operation)] + ("（已撤销）" if last.undone else "")
    at = last.at.astimezone(CHINA)
    return f"{last.author} 在 {at:%Y-%m-%d %H:%M} 改过方案“{chosen.name}”：{what}"


def _short(words: str, field: str, longest: int) -> str:
    words = words.strip()
    if not 0 < len(words) <= longest:
        raise InputError(field, words[:longest], f"1 到 {longest} 个字")
    return words


# --- writing


def _set(connection: Connection, plan_id: int, **values: Any) -> None:
    connection.execute(update(Plan).where(Plan.id == plan_id).values(values))


def _raise_version(connection: Connection, chosen: PlanInfo) -> int:
    _set(connection, chosen.id, version=chosen.version + 1)
    return chosen.version + 1


def _last_key(connection: Connection, plan_id: int) -> int:
    """Return the number of the newest grid of a plan, those of undone edits too; 0 for none."""
    statement = text("""
        SELECT max(substr(key, 2)::integer)
        FROM plan_edit e, jsonb_object_keys(e.after) AS key WHERE e.plan_id = :plan AND key ~ '^n[0-9]+$'
    """)
    return int(connection.scalar(statement, {"plan": plan_id}) or 0)


@dataclass(frozen=True)
class _Entry:
    """What the log gets to know of an edit; `last` is the newest key that was given before it."""

    operation: Operation
    arguments: dict[str, Any]
    before: States
    after: States
    last: int


def _log(connection: Connection, actor: Actor, chosen: PlanInfo, entry: _Entry) -> int:
    """Write an edit behind those that stand, drop the undone ones, and return its number, the new version."""
    connection.execute(delete(PlanEdit).where(PlanEdit.plan_id == chosen.id, PlanEdit.undone))
    # A key that only dropped edits knew stays in the log, as a grid that is not there: it is not given again.
    forgotten = entry.last > _last_key(connection, chosen.id)
    mark: States = {f"n{entry.last}": None} if forgotten else {}
    number = _raise_version(connection, chosen)
    row = {
        "plan_id": chosen.id, "number": number, "operation": entry.operation, "arguments": entry.arguments,
        "before": rebasing.as_json(mark | entry.before), "after": rebasing.as_json(mark | entry.after),
        "author": actor.username,
    }  # fmt: skip
    connection.execute(insert(PlanEdit).values(row))
    return number


def _edited(
    connection: Connection,
    chosen: PlanInfo,
    number: int,
    after: States,
    conflicts: Collection[dict[str, Any]] = (),
) -> Edited:
    base = states.in_force(connection, chosen.base_on, keys=after)
    changed = {
        key: None if drawn is None else states.seen_as(key, drawn, base.get(key))
        for key, drawn in after.items()
    }
    there = {key: drawn for key, drawn in after.items() if drawn is not None}
    alone = {key for key, drawn in there.items() if drawn.kind != GridKind.BASE}
    counted = figures(connection, {key: drawn.shape for key, drawn in there.items()}, alone)
    return Edited(
        version=chosen.version + 1,
        number=number,
        changed=changed,
        figures=counted,
        findings=check_near(connection, chosen, {each.key: each.households for each in counted}),
        conflicts=list(conflicts),
    )

"""Puts a plan in force: old grids end, new ones begin, and what hangs on them moves along. All or nothing.

Rights of the owner: publishing writes grids, assignments, lineage, households' grids, open matters and tasks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import shapely
from sqlalchemy import Connection, Engine, delete, insert, select, text, update

from gridmgmt.calendar import china_today
from gridmgmt.db import identity
from gridmgmt.db.models import ImportRun, Role
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from gridmgmt.grids import codes
from gridmgmt.grids.measure import as_array
from gridmgmt.grids.models import Assignment, AssignmentRole, Grid, GridKind, GridLineage
from gridmgmt.grids.store import GridRow, insert_rows, read_grids, update_rows
from gridmgmt.households import assignment as households
from gridmgmt.importing.run import LOCK
from gridmgmt.incidents import assignment as matters
from gridmgmt.planning import checking, rebasing, states
from gridmgmt.planning.crosswalk import Share, crosswalk, successors
from gridmgmt.planning.models import Plan, PlanGrid, PlanStatus
from gridmgmt.planning.service import Actor
from gridmgmt.seasonal.tasks import service as tasks

SHOWN = 5  # findings that a refusal names


@dataclass(frozen=True)
class Published:
    """What publishing did.

    Attributes
    ----------
    in_force_on : the day from which the new grids are in force
    codes : key in the plan -> code, of grids that are new or have a new shape or name
    closed : codes that end
    crosswalk : shares of old grids' ground and households, old and new by code
    settled : households and open matters moved; None when the day is still to come
    """

    plan: int
    in_force_on: date
    codes: dict[str, str]
    closed: list[str]
    crosswalk: list[dict[str, Any]]
    settled: dict[str, int] | None


def publish(engine: Engine, actor: Actor, plan_id: int, on: date, explanation: str) -> Published:
    """Put a plan in force on a day, today or to come, and freeze it. One transaction.

    Raises
    ------
    NotAllowedError
        When the actor is no planner.
    ConflictError
        When the plan is no draft, somebody else has locked it, or a grid that it changes has changed since.
    InputError
        When the day is past, the explanation is empty, the plan changes nothing, or the check finds errors.
    """
    _check_asked(actor, on, explanation)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        plan = _draft(connection, plan_id, actor)
        rows = _rows(connection, plan_id)
        standing = {grid.code: grid for grid in read_grids(connection) if grid.valid_to is None}
        _refuse_drift(connection, plan, rows, standing, on)
        _refuse_errors(connection, plan_id)
        change = _Change(rows, standing)
        given = _codes(connection, change)
        ended, begun = _write_grids(connection, change, given, on)
        shares = _lineage(connection, change, ended, begun)
        moved = _move_assignments(connection, shares, ended, begun, on)
        heirs = {ended_code: given.get(key, key) for ended_code, key in _heirs(change, shares, ended).items()}
        record = {
            "ended": sorted(ended.values()), "begun": sorted(begun.values()), "heirs": heirs,
            "assignments": moved, "corners": change.corners,
        }  # fmt: skip
        connection.execute(
            update(Plan).where(Plan.id == plan_id).values(
                status=PlanStatus.PUBLISHED, published_at=datetime.now(UTC), published_by=actor.username,
                in_force_on=on, explanation=explanation.strip(), record=record, locked_by=None,
            )
        )  # fmt: skip
        _note_version(connection, plan, len(begun))
        settled = settle(connection, china_today())
    named = {id_: code for code, id_ in ended.items()}
    walk = [asdict(s) | {"old": named[s.old], "new": given.get(s.new, s.new)} for s in shares]
    done = settled.get(plan_id)
    return Published(plan_id, on, given, sorted(change.closed), walk, done)


def unpublish(engine: Engine, actor: Actor, plan_id: int) -> None:
    """Take back a plan whose day is still to come; it is a draft again. One transaction.

    Raises ConflictError when its day has come, or it was not published.
    """
    _check_role(actor)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        plan = _locked(connection, plan_id)
        if plan.status != PlanStatus.PUBLISHED or plan.in_force_on <= china_today():
            why = "没有发布" if plan.status != PlanStatus.PUBLISHED else "已经启用，不能撤回"
            raise ConflictError(f"方案“{plan.name}”{why}")
        record = plan.record
        begun, ended = record["begun"], record["ended"]
        connection.execute(
            delete(GridLineage).where(GridLineage.to_grid.in_(begun) | GridLineage.from_grid.in_(ended))
        )
        connection.execute(delete(Assignment).where(Assignment.grid_id.in_(begun)))
        connection.execute(
            update(Assignment).where(Assignment.id.in_(record["assignments"])).values(valid_to=None)
        )
        connection.execute(delete(Grid).where(Grid.id.in_(begun)))
        connection.execute(update(Grid).where(Grid.id.in_(ended)).values(valid_to=None))
        corners = {int(id_): shapely.from_wkb(wkb) for id_, wkb in record["corners"].items()}
        _reshape(connection, corners)
        connection.execute(
            update(Plan).where(Plan.id == plan_id).values(
                status=PlanStatus.DRAFT, published_at=None, published_by=None, in_force_on=None,
                explanation=None, record=None,
            )
        )  # fmt: skip
        _note_version(connection, plan, len(begun))


def settle(connection: Connection, today: date) -> dict[int, dict[str, int]]:
    """Move households, open matters, tasks and accounts to the grids of all plans whose day has come.

    Returns what moved by plan. Doing it again moves nothing. Commits nothing; run it daily.
    """
    due = connection.execute(
        select(Plan.id, Plan.record)
        .where(Plan.status == PlanStatus.PUBLISHED, Plan.in_force_on <= today, Plan.settled_at.is_(None))
        .order_by(Plan.in_force_on, Plan.id)
    ).all()
    if not due:
        return {}
    buildings = households.place_buildings(connection)
    done = {}
    for plan_id, record in due:
        done[plan_id] = {
            "buildings": buildings,
            "matters": matters.rehome_open(connection, record["ended"]),
            "tasks": tasks.rehome(connection, record["heirs"]),
            "accounts": identity.rebind(connection, record["heirs"]),
        }
        connection.execute(update(Plan).where(Plan.id == plan_id).values(settled_at=datetime.now(UTC)))
    return done


# --- what may be published


def _check_role(actor: Actor) -> None:
    if actor.role != Role.PLANNER:
        raise NotAllowedError(f"{actor.username} may not publish plans")


def _check_asked(actor: Actor, on: date, explanation: str) -> None:
    _check_role(actor)
    if on < china_today():
        raise InputError("启用日期", on.isoformat(), "今天或以后")
    if not explanation.strip():
        raise InputError("说明", "空", "为什么这样调整，写一句话")


def _locked(connection: Connection, plan_id: int) -> Any:
    row = connection.execute(select(Plan.__table__).where(Plan.id == plan_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFoundError(f"no plan {plan_id}")
    return row


def _draft(connection: Connection, plan_id: int, actor: Actor) -> Any:
    plan = _locked(connection, plan_id)
    if plan.status != PlanStatus.DRAFT:
        raise ConflictError(f"方案“{plan.name}”不是草稿，不能发布")
    if plan.locked_by not in (None, actor.username):
        raise ConflictError(f"方案“{plan.name}”由 {plan.locked_by} 锁定")
    return plan


def _rows(connection: Connection, plan_id: int) -> list[Any]:
    columns = [column for column in PlanGrid.__table__.c if column.name != "geom"]
    shape = PlanGrid.geom.ST_AsBinary().label("wkb")
    rows = connection.execute(
        select(*columns, shape).where(PlanGrid.plan_id == plan_id).order_by(PlanGrid.key)
    )
    found = rows.all()
    if not found:
        raise InputError("方案", "没有改动", "至少一处改动")
    return list(found)


def _refuse_drift(
    connection: Connection, plan: Any, rows: Sequence[Any], standing: dict[str, GridRow], on: date
) -> None:
    """Refuse when a grid that the plan changes was changed since it began, or begins no earlier than `on`."""
    stale = rebasing.outdated(connection, states.plan(connection, plan.id))
    moved = sorted({*stale, *(row.key for row in rows if row.key[0] != "n" and row.key not in standing)})
    if moved:
        raise ConflictError(f"现行网格 {'、'.join(moved[:SHOWN])} 已在方案之后改过，请先“跟上现行网格”")
    late = sorted(row.key for row in rows if row.key in standing and standing[row.key].valid_from >= on)
    if late:
        following = max(standing[key].valid_from for key in late) + timedelta(days=1)
        raise InputError("启用日期", on.isoformat(), f"{following.isoformat()} 或以后（{late[0]} 刚启用）")


def _refuse_errors(connection: Connection, plan_id: int) -> None:
    errors = [each for each in checking.check(connection, plan_id) if each.severity == "error"]
    if errors:
        first = "；".join(each.text for each in errors[:SHOWN])
        raise InputError("检查", f"{len(errors)} 处不合规：{first}", "没有错误才能发布")


# --- writing


class _Change:
    """The rows of a plan by what becomes of them.

    A grid that is only renamed ends and begins too, under its code: so its name is dated as its shape is. One
    that only gained a corner on its edge, where a neighbour was cut, stays as it is and gets the corner.
    """

    def __init__(self, rows: Sequence[Any], standing: dict[str, GridRow]) -> None:
        kept = [row for row in rows if not row.gone]
        self.shapes = {row.key: cast(shapely.MultiPolygon, shapely.from_wkb(bytes(row.wkb))) for row in kept}
        self.new = [row for row in kept if row.key not in standing]
        here = [row for row in kept if row.key in standing]
        self.recoded = [row for row in here if row.code and row.code != row.key]
        rest = [row for row in here if row not in self.recoded]
        self.altered = [row for row in rest if self._differs(row, standing[row.key])]
        self.cornered = {standing[row.key].id: row.key for row in rest if row not in self.altered}
        before = {id_: standing[key].geometry for id_, key in self.cornered.items()}
        self.corners = {id_: shapely.to_wkb(shape, hex=True) for id_, shape in before.items()}
        gone = [row for row in rows if row.gone and row.key in standing]
        self.begins = [*self.new, *self.recoded, *self.altered]
        self.ends = [standing[row.key] for row in (*gone, *self.recoded, *self.altered)]
        self.closed = [row.key for row in (*gone, *self.recoded)]

    def _differs(self, row: Any, grid: GridRow) -> bool:
        return _named(row) != _named(grid) or not states.same_ground(self.shapes[row.key], grid.geometry)


def _named(row: Any) -> dict[str, Any]:
    return {"name": row.name, "kind": row.kind, "purpose": row.purpose}


def _codes(connection: Connection, change: _Change) -> dict[str, str]:
    """Return key -> code of every grid that begins: its own, that asked for, or the next in its village."""
    ever = set(connection.scalars(select(Grid.code15)))
    given = {row.key: row.key for row in change.altered}
    for row in (*change.recoded, *(row for row in change.new if row.code)):
        code = str(codes.check_code(row.code, row.village))
        if code in ever or code in given.values():
            raise InputError("编码", code, "没有用过的编码")
        given[row.key] = code
    free = [row for row in change.new if not row.code]
    for village in sorted({row.village for row in free}):
        mine = [row for row in free if row.village == village]
        taken = {codes.parse_code(code).sequence for code in (*ever, *given.values()) if code[:12] == village}
        numbers = codes.number_grids(as_array([change.shapes[row.key] for row in mine]), taken)
        given |= {
            row.key: codes.make_code(village, number)
            for row, number in zip(mine, numbers.tolist(), strict=True)
        }
    return given


def _write_grids(
    connection: Connection, change: _Change, given: dict[str, str], on: date
) -> tuple[dict[str, int], dict[str, int]]:
    """End and begin grids; returns code -> id of the ended and key -> id of the begun."""
    ended = {grid.code: grid.id for grid in change.ends}
    connection.execute(update(Grid).where(Grid.id.in_(ended.values())).values(valid_to=on))
    rows = [
        _named(row)
        | {"code15": given[row.key], "village": row.village, "geom": change.shapes[row.key], "valid_from": on,
           "valid_to": None}
        for row in change.begins
    ]  # fmt: skip
    insert_rows(connection, Grid, rows)
    _reshape(connection, {id_: change.shapes[key] for id_, key in change.cornered.items()})
    ids = dict(
        connection.execute(
            select(Grid.code15, Grid.id).where(Grid.code15.in_(given.values()), Grid.valid_from == on)
        ).all()
    )
    return ended, {key: ids[code] for key, code in given.items()}


def _reshape(connection: Connection, shapes: Mapping[int, Any]) -> None:
    update_rows(connection, Grid, ["id"], [{"id": id_, "geom": shape} for id_, shape in shapes.items()])


def _lineage(
    connection: Connection, change: _Change, ended: dict[str, int], begun: dict[str, int]
) -> list[Share]:
    base = {grid.id: grid.geometry for grid in change.ends if grid.kind == GridKind.BASE}
    new = {row.key: change.shapes[row.key] for row in change.begins if row.kind == GridKind.BASE}
    places, weights = households.households_at(connection, list(ended.values()))
    shares = crosswalk(base, new, places, weights)
    insert_rows(
        connection,
        GridLineage,
        [
            {
                "from_grid": share.old, "to_grid": begun[share.new], "area_share": share.area_share,
                "household_share": share.household_share,
            }
            for share in shares
        ],
    )  # fmt: skip
    return shares


def _heirs(change: _Change, shares: list[Share], ended: dict[str, int]) -> dict[str, str]:
    """Return, for every code that is no longer in force, the key of the grid that got most of it."""
    main = successors(shares)
    return {code: main[id_] for code, id_ in ended.items() if code in change.closed and id_ in main}


def _move_assignments(
    connection: Connection, shares: list[Share], ended: dict[str, int], begun: dict[str, int], on: date
) -> list[int]:
    """Let workers follow their grid to its main heir from the day on; returns the assignments that end then.

    Where two chiefs meet, the one of whom more came stays chief and the others become members. What a split
    leaves without a chief is vacant, and the check of staffing says so.
    """
    main = successors(shares)
    weight = {(share.old, share.new): share.area_share for share in shares}
    open_ones = connection.execute(
        select(Assignment.__table__).where(
            Assignment.grid_id.in_(ended.values()), Assignment.valid_to.is_(None), Assignment.valid_from < on
        )
    ).all()
    ordered = sorted(open_ones, key=lambda row: -weight.get((row.grid_id, main.get(row.grid_id, "")), 0.0))
    chiefs: set[int] = set()
    following = []
    for row in ordered:
        heir = begun.get(main.get(row.grid_id, ""))
        if heir is None:
            continue
        role = row.role
        if role == AssignmentRole.CHIEF:
            role = AssignmentRole.MEMBER if heir in chiefs else role
            chiefs.add(heir)
        following.append(
            {"worker_id": row.worker_id, "grid_id": heir, "role": role, "valid_from": on, "valid_to": None}
        )
    ids = [row.id for row in ordered]
    connection.execute(update(Assignment).where(Assignment.id.in_(ids)).values(valid_to=on))
    unique = {(row["worker_id"], row["grid_id"]): row for row in reversed(following)}
    insert_rows(connection, Assignment, list(unique.values()))
    return ids


def _note_version(connection: Connection, plan: Any, changed: int) -> None:
    """Let everything that keeps results by data version see that the grids are others now."""
    counts = {"read": changed, "filtered": 0, "new": changed, "updated": 0, "unchanged": 0, "rejected": 0}
    connection.execute(
        insert(ImportRun).values(kind="plan", file=plan.name, sha256=f"plan {plan.id}", counts=counts)
    )

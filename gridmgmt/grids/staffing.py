"""Who works where: places of workers in grids, vacancies, how much falls to each; and the moves between them.

A place lasts from a day until the day before `valid_to`. Nobody is scored or ranked: lists are in order of
code, and schooling and age are only told of groups.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, func, or_, select, update

from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.grids.models import Assignment, AssignmentRole, Employment, Grid, GridKind, Worker
from gridmgmt.grids.store import insert_rows

EMPLOYMENT_NAMES = {Employment.FULL_TIME: "专职", Employment.PART_TIME: "兼职"}
ROLE_NAMES = {AssignmentRole.CHIEF: "网格长", AssignmentRole.MEMBER: "网格员"}
# Secondary-vocational schooling or above; a general upper school (高中) is not counted in.
SCHOOLED = ("中专", "中技", "职高", "技校", "大专", "专科", "本科", "大学", "硕士", "研究生", "博士")
YOUNG = 40
# Shares among fewer workers would tell of single ones.
FEWEST = 5
FOREVER = date.max
Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])


@dataclass(frozen=True)
class Place:
    """A worker's place in a grid."""

    id: int
    worker_id: int
    name: str
    employment: str
    grid_id: int
    code: str
    role: str
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True)
class Vacancy:
    """A base grid without a chief, and the first day of that."""

    grid_id: int
    code: str
    name: str
    since: date


@dataclass(frozen=True)
class Load:
    """What falls to a worker: the grids, and of each amount the worker's part."""

    worker_id: int
    name: str
    employment: str
    grids: tuple[str, ...]
    amounts: Mapping[str, float]


@dataclass(frozen=True)
class Staff:
    """The workers of an area as totals; a share is None where fewer than 5 workers told."""

    workers: int
    full_time: int
    part_time: int
    schooled_share: float | None
    young_share: float | None


def places(connection: Connection, area: str = "", on: date | None = None) -> list[Place]:
    """Return the places held on a day (today when None) in an area ('': all), in order of grid."""
    query = (
        select(
            Assignment.id, Worker.id, Worker.name, Worker.employment,
            Grid.id, Grid.code15, Assignment.role, Assignment.valid_from, Assignment.valid_to,
        )
        .join(Worker, Worker.id == Assignment.worker_id)
        .join(Grid, Grid.id == Assignment.grid_id)
        .order_by(Grid.code15, Assignment.role, Worker.name, Assignment.id)
    )  # fmt: skip
    return [Place(*row) for row in connection.execute(_held(query, area, on or date.today()))]


def vacancies(connection: Connection, area: str = "", on: date | None = None) -> list[Vacancy]:
    """Return the base grids in force on a day (today when None) that have no chief then, in order of code."""
    day = on or date.today()
    chief = Assignment.role == AssignmentRole.CHIEF
    held = select(Assignment.grid_id).where(chief, _lasts(Assignment, day))
    last = (
        select(func.max(Assignment.valid_to))
        .where(Assignment.grid_id == Grid.id, chief, Assignment.valid_to <= day)
        .scalar_subquery()
    )
    query = (
        select(Grid.id, Grid.code15, Grid.name, func.coalesce(last, Grid.valid_from))
        .where(Grid.kind == GridKind.BASE, _lasts(Grid, day), Grid.code15.startswith(area, autoescape=True))
        .where(Grid.id.not_in(held))
        .order_by(Grid.code15)
    )
    return [Vacancy(grid, code, name, since or day) for grid, code, name, since in connection.execute(query)]


def chief_counts(connection: Connection, on: date | None = None) -> dict[str, int]:
    """Return how many chiefs each base grid in force on a day has then, by code; 0 where there is none."""
    day = on or date.today()
    of_chief = and_(
        Assignment.grid_id == Grid.id, Assignment.role == AssignmentRole.CHIEF, _lasts(Assignment, day)
    )
    query = (
        select(Grid.code15, func.count(Assignment.id))
        .outerjoin(Assignment, of_chief)
        .where(Grid.kind == GridKind.BASE, _lasts(Grid, day))
        .group_by(Grid.code15)
    )
    return dict(connection.execute(query).all())


def loads(
    connection: Connection,
    amounts: Mapping[str, Mapping[int, float]],
    area: str = "",
    on: date | None = None,
) -> list[Load]:
    """Return what falls to each worker on a day, in order of the first grid.

    Parameters
    ----------
    amounts : name -> grid id -> number
        For instance households, matters a year, open tasks. The workers of a grid share its number equally.
    """
    held = places(connection, area, on)
    sharing: dict[int, set[int]] = {}
    mine: dict[int, list[Place]] = {}
    for each in held:
        sharing.setdefault(each.grid_id, set()).add(each.worker_id)
        mine.setdefault(each.worker_id, []).append(each)
    return [
        Load(
            worker,
            own[0].name,
            own[0].employment,
            tuple(dict.fromkeys(each.code for each in own)),
            {
                name: sum(numbers.get(grid, 0) / len(sharing[grid]) for grid in {p.grid_id for p in own})
                for name, numbers in amounts.items()
            },
        )
        for worker, own in mine.items()
    ]


def staff(connection: Connection, area: str = "", on: date | None = None) -> Staff:
    """Return the workers of an area on a day as totals, with the shares schooled and under 40.

    For the owner's connection: the role of maps and analysis may not read schooling and birth year. Shares
    are of those of whom it is known. Age is what the birth year gives.
    """
    day = on or date.today()
    query = (
        select(Worker.id, Worker.employment, Worker.education, Worker.birth_year)
        .join(Assignment, Assignment.worker_id == Worker.id)
        .join(Grid, Grid.id == Assignment.grid_id)
        .distinct()
    )
    rows = connection.execute(_held(query, area, day)).all()
    full = sum(employment == Employment.FULL_TIME for _, employment, _, _ in rows)
    schooled = [any(word in each for word in SCHOOLED) for _, _, each, _ in rows if each]
    young = [day.year - year < YOUNG for *_, year in rows if year]
    return Staff(len(rows), full, len(rows) - full, _share(schooled), _share(young))


def _share(said: list[bool]) -> float | None:
    return sum(said) / len(said) if len(said) >= FEWEST else None


def _held(query: Query, area: str, day: date) -> Query:
    return query.where(_lasts(Assignment, day), Grid.code15.startswith(area, autoescape=True))


def _lasts(table: type[Assignment] | type[Grid], day: date) -> ColumnElement[bool]:
    return and_(table.valid_from <= day, or_(table.valid_to.is_(None), table.valid_to > day))


def assign(
    engine: Engine, worker_id: int, code: str, role: str, since: date, until: date | None = None
) -> None:
    """Give a worker a place in a grid from a day, until the day before another.

    A grid whose edge moved in that time has several shapes: the worker gets a place in each.

    Raises
    ------
    InputError
        When the role is none, `until` is not after `since`, or the grid is not in force on `since`.
    NotFoundError
        When there is no such worker or grid.
    ConflictError
        When the worker has a place there already in that time, or the grid another chief.
    """
    with engine.begin() as connection:
        _place(connection, worker_id, code, role, since, until)


def end(engine: Engine, assignment_id: int, on: date) -> None:
    """End a place: the day before `on` is its last.

    Raises NotFoundError when there is no such place, InputError when it begins on that day or later, or has
    ended before.
    """
    with engine.begin() as connection:
        _end(connection, assignment_id, on)


def appoint(engine: Engine, worker_id: int, code: str, on: date, leaving: str | None = None) -> None:
    """Make a worker the chief of a grid from a day on.

    The chief until then, and the worker's own place there as a member, end the day before. With `leaving`,
    the code of another grid, the worker's place there ends the day before too: a chief that moves.

    Raises
    ------
    NotFoundError
        When there is no such worker or grid, or the worker has no place in the grid to leave.
    InputError
        When the grid is not in force on the day, or a place that has to end begins on it or later.
    ConflictError
        When the worker is its chief already, or another chief's place begins later.
    """
    with engine.begin() as connection:
        _lock(connection, code)
        for held in places(connection, code, on):
            if held.role == AssignmentRole.CHIEF and held.worker_id == worker_id:
                raise ConflictError(f"{held.name} 已是网格 {code} 的网格长")
            if held.role == AssignmentRole.CHIEF or held.worker_id == worker_id:
                _end(connection, held.id, on)
        if leaving is not None:
            own = [each for each in places(connection, leaving, on) if each.worker_id == worker_id]
            if not own:
                raise NotFoundError(f"该人员 {on} 不在网格 {leaving}")
            for each in own:
                _end(connection, each.id, on)
        _place(connection, worker_id, code, AssignmentRole.CHIEF, on, None)


def _end(connection: Connection, assignment_id: int, on: date) -> None:
    query = select(Assignment.valid_from, Assignment.valid_to).where(Assignment.id == assignment_id)
    found = connection.execute(query.with_for_update()).one_or_none()
    if found is None:
        raise NotFoundError(f"place {assignment_id}")
    since, until = found
    if not since < on <= (until or FOREVER):
        raise InputError("离任日期", on, f"{since} 之后" + (f"，{until} 及以前" if until else ""))
    connection.execute(update(Assignment).where(Assignment.id == assignment_id).values(valid_to=on))


def _place(
    connection: Connection, worker_id: int, code: str, role: str, since: date, until: date | None
) -> None:
    if role not in list(AssignmentRole):
        raise InputError("role", role, ", ".join(AssignmentRole))
    if until is not None and until <= since:
        raise InputError("离任日期", until, f"{since} 之后")
    if connection.execute(select(Worker.id).where(Worker.id == worker_id)).one_or_none() is None:
        raise NotFoundError(f"worker {worker_id}")
    shapes = _lock(connection, code)
    if not any(begun <= since < (ended or FOREVER) for _, begun, ended in shapes):
        raise InputError("任职日期", since, f"网格 {code} 启用期间的日期")
    _refuse_double(connection, worker_id, code, role, since, until)
    meeting = [each for each in shapes if each[1] < (until or FOREVER) and since < (each[2] or FOREVER)]
    rows = [
        {
            "worker_id": worker_id, "grid_id": grid, "role": role, "valid_from": max(since, begun),
            "valid_to": until if grid == meeting[-1][0] else ended,
        }
        for grid, begun, ended in meeting
    ]  # fmt: skip
    insert_rows(connection, Assignment, rows)


def _lock(connection: Connection, code: str) -> list[tuple[int, date, date | None]]:
    """Return id, first day and end of each shape of a grid, and keep others from staffing it meanwhile."""
    query = select(Grid.id, Grid.valid_from, Grid.valid_to).where(Grid.code15 == code)
    rows = connection.execute(query.order_by(Grid.valid_from).with_for_update()).all()
    if not rows:
        raise NotFoundError(f"grid {code}")
    return [(grid, begun, ended) for grid, begun, ended in rows]


def _refuse_double(
    connection: Connection, worker_id: int, code: str, role: str, since: date, until: date | None
) -> None:
    query = (
        select(Worker.id, Worker.name, Assignment.role, Assignment.valid_from, Assignment.valid_to)
        .join(Assignment, Assignment.worker_id == Worker.id)
        .join(Grid, Grid.id == Assignment.grid_id)
        .where(Grid.code15 == code, Assignment.valid_from < (until or FOREVER))
        .where(or_(Assignment.valid_to.is_(None), Assignment.valid_to > since))
        .order_by(Assignment.valid_from)
    )
    for other, name, held, begun, ended in connection.execute(query):
        if other == worker_id or role == held == AssignmentRole.CHIEF:
            until_when = f"到 {ended}" if ended else "至今"
            raise ConflictError(
                f"{name} 从 {begun} {until_when}是网格 {code} 的{ROLE_NAMES[AssignmentRole(held)]}"
            )

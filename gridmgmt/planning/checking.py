"""The check of a plan: its grids with their households and chiefs, held against every rule."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date

import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, text

from gridmgmt.calendar import china_today
from gridmgmt.grids.checks import Finding, Rule, Subject
from gridmgmt.grids.checks import check as check_subjects
from gridmgmt.grids.models import AssignmentRole, GridKind, Level
from gridmgmt.planning import bands, figures
from gridmgmt.planning.states import Drawn, PlanInfo, current, in_force, plan, touched

# Rules about all grids together say nothing about the few near an edit.
OF_THE_WHOLE = frozenset({Rule.COUNT})


def check(connection: Connection, plan_id: int | None) -> list[Finding]:
    """Return every broken rule in a plan's scope, or in the grids in force today when None.

    Errors first, the largest first. Raises NotFoundError.
    """
    if plan_id is None:
        today = china_today()
        grids = in_force(connection, today)
        return _check(connection, grids, _counts(connection, grids, today, ()), "")
    chosen = plan(connection, plan_id)
    grids = current(connection, chosen, area=chosen.scope)
    counts = _counts(connection, grids, chosen.base_on, touched(connection, plan_id))
    return _check(connection, grids, counts, chosen.scope)


def check_near(
    connection: Connection, chosen: PlanInfo, households: Mapping[str, int | None]
) -> list[Finding]:
    """Return the broken rules of some grids of a plan, of their villages' ground, and in the box around them.

    For an edit: reads only these, given with their households, and what is around them, and leaves out what
    counts all grids.
    """
    grids = current(connection, chosen, keys=households)
    if not grids:
        return []
    box = shapely.total_bounds([drawn.shape for drawn in grids.values()])
    around = current(connection, chosen, box=tuple(box.tolist()))
    villages = {drawn.village for drawn in grids.values()}
    for village in villages:
        around |= current(connection, chosen, area=village)
    found = check_subjects(
        subjects(connection, around, households), outlines(connection, villages), bands.limits()
    )
    near = households.keys() | villages
    west, south, east, north = box.tolist()

    def concerns(each: Finding) -> bool:
        inside = west <= each.lon <= east and south <= each.lat <= north
        about_shape = each.area_m2 is not None and inside
        return each.rule not in OF_THE_WHOLE and (about_shape or bool(near & {each.key, each.other}))

    return [each for each in found if concerns(each)]


def _check(
    connection: Connection, grids: Mapping[str, Drawn], counts: Mapping[str, int | None], scope: str
) -> list[Finding]:
    villages = {drawn.village for drawn in grids.values()} | set(_villages_in(connection, scope))
    return check_subjects(subjects(connection, grids, counts), outlines(connection, villages), bands.limits())


def subjects(
    connection: Connection, grids: Mapping[str, Drawn], counts: Mapping[str, int | None]
) -> list[Subject]:
    """Return grids with their households and chiefs, as the check wants them; a new one has no chief yet."""
    chiefs = figures.workers_of(connection, list(grids), AssignmentRole.CHIEF)
    return [
        Subject(
            key, drawn.village, drawn.shape, drawn.kind, counts.get(key), chiefs.get(key, 0),
            figures.urban(drawn.village),
        )
        for key, drawn in grids.items()
    ]  # fmt: skip


def _counts(
    connection: Connection, grids: Mapping[str, Drawn], on: date, drawn_anew: Collection[str]
) -> dict[str, int | None]:
    """Return the households of base grids; one that was not drawn anew keeps the number that maps show."""
    standing = known(connection, on)
    counts: dict[str, int | None] = {
        key: standing[key][0] for key in grids if key in standing and key not in drawn_anew
    }
    rest = {key: drawn for key, drawn in grids.items() if key not in counts}
    return counts | _people(connection, rest)


def known(connection: Connection, on: date) -> dict[str, tuple[int, int]]:
    """Return households and persons by code of the base grids that are in force both today and on a day."""
    today = china_today()
    rows = connection.execute(
        text("""
        SELECT g.code15, coalesce(h.households, 0), coalesce(h.persons, 0)
        FROM grid g LEFT JOIN grid_households h ON h.grid_id = g.id
        WHERE g.kind = 'base' AND g.valid_from <= :first AND (g.valid_to IS NULL OR g.valid_to > :last)
        """),
        {"first": min(on, today), "last": max(on, today)},
    )
    return {code: (households, persons) for code, households, persons in rows}


def _people(connection: Connection, grids: Mapping[str, Drawn]) -> dict[str, int | None]:
    shapes = {key: drawn.shape for key, drawn in grids.items() if drawn.kind == GridKind.BASE}
    return {key: count for key, (count, _) in figures.households_in(connection, shapes).items()}


def outlines(connection: Connection, villages: Collection[str]) -> dict[str, BaseGeometry | None]:
    """Return the shapes of villages by code, None of those that are not drawn."""
    rows = connection.execute(
        text("SELECT code, ST_AsBinary(geom) FROM division WHERE code = ANY(:codes) ORDER BY code"),
        {"codes": list(villages)},
    )
    return {code: None if wkb is None else shapely.from_wkb(bytes(wkb)) for code, wkb in rows}


def _villages_in(connection: Connection, area: str) -> Sequence[str]:
    statement = text("SELECT code FROM division WHERE level = :level AND starts_with(code, :area)")
    return connection.scalars(statement, {"level": Level.VILLAGE, "area": area}).all()

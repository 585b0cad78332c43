"""Builds the index of a month: measures what this system knows and marks what is missing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, Engine, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from gridmgmt.calendar import china_today
from gridmgmt.errors import InputError
from gridmgmt.importing.progress import Progress
from gridmgmt.index import stored
from gridmgmt.index.facts import Facts, gather, passes
from gridmgmt.index.models import IndexMonth, IndicatorValue, Status
from gridmgmt.index.periods import months_before
from gridmgmt.index.stored import Unit, Version
from gridmgmt.index.tree import Gap, Indicator, Level, Measured, Tree

# Whoever writes values and whoever issues a month wait for each other on this lock.
_LOCK = 7_340_029


@dataclass(frozen=True)
class Built:
    """What building some months came to; months that were issued are left as they stand."""

    months: tuple[date, ...]
    issued: tuple[date, ...]
    measured: int
    entered: int
    missing: int


def lock(connection: Connection) -> None:
    """Keep others from writing values or issuing months until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def build(engine: Engine, months: Sequence[date], who: str, progress: Progress | None = None) -> Built:
    """Measure the indicators of some months for every unit; `engine` is the owner's.

    Values that were entered stay, what is missing is marked, with the last known value beside it where the
    tree lets it stand in. What can no more be measured stays as it was measured in time. Doing it again gives
    the same. Issued months are left alone. Raises InputError for a month that has not begun, NotFoundError
    for one without a tree.
    """
    bar, today = progress or Progress(), china_today()
    wanted = sorted({_begun(month, today) for month in months})
    with engine.begin() as connection:
        lock(connection)
        issued = set(stored.months(connection, issued=True)) & set(wanted)
        due = [month for month in wanted if month not in issued]
        if due:
            _build(connection, due, who, today, bar)
        counts = _counts(connection, due)
    return Built(
        tuple(due), tuple(sorted(issued)),
        *(counts.get(status, 0) for status in (Status.MEASURED, Status.ENTERED, Status.MISSING)),
    )  # fmt: skip


def _begun(month: date, today: date) -> date:
    if month.day != 1 or month > today:
        raise InputError("month", month.isoformat(), f"the first day of a month up to {today:%Y-%m}")
    return month


def _build(connection: Connection, months: list[date], who: str, today: date, bar: Progress) -> None:
    versions = {month: stored.version_of(connection, month) for month in months}
    units = {level: stored.units(connection, level) for level in Level}
    bar.doing("测量本系统的指标")
    facts = gather(connection, _earliest(versions), months[-1], today)
    in_time = _measured_in_time(connection, versions)
    kept = _clear(connection, versions)
    bar.total(len(months))
    for n, month in enumerate(months, 1):
        tree = versions[month].tree
        measured = [row for each in tree.indicators for row in _measured(facts, each, units, month, in_time)]
        to_enter = [row for each in tree.indicators for row in _to_enter(each, units, month)]
        rows = [*measured, *(row for row in to_enter if _key(row) not in kept)]
        if rows:
            connection.execute(insert(IndicatorValue), [row | {"made_by": who} for row in rows])
        _carry(connection, versions[month], month)
        bar.at(n)
    _note(connection, versions, who)


Key = tuple[object, object, object]
Numbers = tuple[float | None, float | None, float | None]
Row = dict[str, object]


def _key(row: Row) -> Key:
    return row["indicator"], row["unit"], row["month"]


def _measured_in_time(connection: Connection, versions: dict[date, Version]) -> dict[Key, Numbers]:
    """Return value, part and whole of what was measured when it could be, by the rule that still holds."""
    trees = {each.id: each.tree for each in stored.versions(connection)}
    value, month = IndicatorValue.__table__.c, IndexMonth.__table__.c
    query = select(
        value.indicator, value.unit, value.month, value.value, value.part, value.whole, month.tree_id
    ).where(
        value.month == month.month, value.month.in_(list(versions)), value.status == Status.MEASURED.value
    )  # fmt: skip
    return {
        (row.indicator, row.unit, row.month): (row.value, row.part, row.whole)
        for row in connection.execute(query)
        if (how := _how(versions[row.month].tree, row.indicator))
        and how == _how(trees[row.tree_id], row.indicator)
        and (passes(how.part) or passes(how.of or ""))
    }


def _how(tree: Tree, code: str) -> Measured | None:
    return getattr(tree.by_code.get(code), "measured", None)


def _clear(connection: Connection, versions: dict[date, Version]) -> set[Key]:
    """Delete what is made anew; return what stays: what departments sent in, if only that there is none."""
    value = IndicatorValue.__table__.c
    sent = (value.status == Status.ENTERED.value) | value.entry_id.is_not(None)
    for month, version in versions.items():
        # One that was entered by hand before may be measured now.
        measured = [each.code for each in version.tree.indicators if each.measured]
        anew = value.indicator.in_(measured) | ~sent
        connection.execute(delete(IndicatorValue).where(value.month == month, anew))
    stay = select(value.indicator, value.unit, value.month).where(value.month.in_(list(versions)))
    return {tuple(row) for row in connection.execute(stay)}


def _earliest(versions: dict[date, Version]) -> date:
    """Return the first month of which facts are needed."""
    return min(
        months_before(month, each.measured.of_months_before if each.measured else 0)
        for month, version in versions.items()
        for each in version.tree.indicators
    )


def _measured(
    facts: Facts,
    indicator: Indicator,
    units: dict[Level, list[Unit]],
    month: date,
    in_time: dict[Key, Numbers],
) -> Iterator[Row]:
    if (how := indicator.measured) is None:
        return
    for level in sorted(indicator.levels):
        for unit in units[level]:
            part = facts.of(how.part, level, unit.code, month, how.categories)
            whole = _whole(facts, how, level, unit.code, month)
            numbers: Numbers = (_value(how, part, whole), part, whole if how.of else None)
            if part is None or whole is None:
                numbers = in_time.get((indicator.code, unit.code, month), numbers)
            yield {
                "indicator": indicator.code, "unit": unit.code, "month": month, "level": level.value,
                "status": (Status.MISSING if numbers[0] is None else Status.MEASURED).value,
                "value": numbers[0], "part": numbers[1], "whole": numbers[2],
            }  # fmt: skip


def _whole(facts: Facts, how: Measured, level: Level, unit: str, month: date) -> float | None:
    if how.of is None:
        return 1.0
    return facts.of(how.of, level, unit, months_before(month, how.of_months_before), how.categories)


def _value(how: Measured, part: float | None, whole: float | None) -> float | None:
    """Return a measured value; None where a number is not known, or too small to divide by."""
    if part is None or whole is None or whole <= 0 or (how.of is not None and whole < how.fewest):
        return None
    return how.per * part / whole


def _to_enter(indicator: Indicator, units: dict[Level, list[Unit]], month: date) -> Iterator[Row]:
    if indicator.measured is None:
        for level in sorted(indicator.levels):
            for unit in units[level]:
                yield {
                    "indicator": indicator.code, "unit": unit.code, "month": month, "level": level.value,
                    "status": Status.MISSING.value, "value": None, "part": None, "whole": None,
                }  # fmt: skip


_CARRY = text("""
UPDATE indicator_value v SET carried = found.value, carried_from = found.month
FROM unnest(CAST(:codes AS text[]), CAST(:back AS integer[])) AS rule (code, back), LATERAL (
    SELECT DISTINCT ON (p.unit) p.unit, p.value, p.month FROM indicator_value p
    WHERE p.indicator = rule.code AND p.status <> 'missing' AND p.month < :month
        AND p.month >= (CAST(:month AS date) - make_interval(months => rule.back))::date
    ORDER BY p.unit, p.month DESC) AS found
WHERE v.indicator = rule.code AND v.month = :month AND v.unit = found.unit AND v.status = 'missing'
""")


def _carry(connection: Connection, version: Version, month: date) -> None:
    """Note beside what is missing the last value that is known, where the tree lets it stand in."""
    table = IndicatorValue.__table__
    old = (table.c.month == month, table.c.carried.is_not(None))
    connection.execute(update(IndicatorValue).where(*old).values(carried=None, carried_from=None))
    rules = [each for each in version.tree.indicators if each.gap is Gap.LAST]
    bound = {"codes": [each.code for each in rules], "back": [each.gap_months for each in rules]}
    connection.execute(_CARRY, bound | {"month": month})


def _note(connection: Connection, versions: dict[date, Version], who: str) -> None:
    statement = upsert(IndexMonth)
    rows = [{"month": month, "tree_id": each.id, "built_by": who} for month, each in versions.items()]
    renewed = {"tree_id": statement.excluded.tree_id, "built_by": who, "built_at": func.now()}
    keys = (IndexMonth.__table__.c.month,)
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=renewed), rows)


def _counts(connection: Connection, months: Sequence[date]) -> dict[str, int]:
    table = IndicatorValue.__table__
    query = select(table.c.status, func.count()).where(table.c.month.in_(list(months)))
    return {row[0]: row[1] for row in connection.execute(query.group_by(table.c.status))}

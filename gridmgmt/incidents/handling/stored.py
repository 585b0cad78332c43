"""Matters as lists: the inbox of open ones, and all of them with the history that was only imported.

Both read what the actor's rights leave (`incidents.actor.on_matters`) in a handful of statements, however
many matters stand: the numbers of a page are found first, and filled in by number afterwards.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from gridmgmt.calendar import CHINA
from gridmgmt.incidents import holidays, service
from gridmgmt.incidents.actor import Actor
from gridmgmt.incidents.flows import stored as flows
from gridmgmt.incidents.handling.models import LIVE, HandStatus
from gridmgmt.incidents.working_days import SOON, Light, WorkingDays, left, light

PAGE = 50
MOST_PAGES = 40
# Of all matters, so many of the newest are looked through and counted: a month or an area brings older ones.
NEWEST = 10_000
# Whose limit runs: what is answered waits for the office.
AT_WORK = LIVE - {HandStatus.ANSWERED}
# Longer than any number of a matter.
_BEYOND = "9" * 20


@dataclass(frozen=True)
class Filter:
    """What is asked for; '' asks for everything. `light` is one of `Light`, `unit` a department that has it.

    `state` is a key of STATES, `month` the first day of the month in which a matter was told, `start` and
    `end` the first and last day, `q` the beginning of a number, or words that title, text and address hold.
    """

    light: str = ""
    stage: str = ""
    category: str = ""
    channel: str = ""
    level: str = ""
    unit: str = ""
    ledger: str = ""
    area: str = ""
    state: str = ""
    q: str = ""
    month: date | None = None
    start: date | None = None
    end: date | None = None
    sort: str = ""
    page: int = 1


@dataclass(frozen=True)
class Line:
    """A matter in a list; of imported history number, version and limits are None, and `level` may be."""

    id: int
    number: str | None
    version: int | None
    title: str | None
    category: str
    category_name: str
    channel: str | None
    ledger: str | None
    reported_at: datetime
    village: str | None
    grid: str | None
    address: str | None
    is_open: bool
    stage: str | None
    stage_name: str | None
    level: str | None
    due_at: datetime | None
    suspended_at: datetime | None
    supervised_at: datetime | None
    reopened: int
    duplicate_of: int | None
    satisfaction: int | None
    closed_at: datetime | None
    light: Light
    left: str
    units: tuple[tuple[str, str], ...] = ()  # department and how it stands there

    @property
    def area(self) -> str:
        """The code of the grid, else of the village; '' where nobody knows the place."""
        return self.grid or self.village or ""


@dataclass(frozen=True)
class Page:
    """One page of a list. `lights` counts what the other filters leave by light; `cut` says that there are
    older matters than those that were looked through."""

    lines: list[Line]
    count: int
    lights: Mapping[str, int] = field(default_factory=dict)
    cut: bool = False

    @property
    def pages(self) -> int:
        """How many pages can be turned to."""
        return min(-(-self.count // PAGE), MOST_PAGES)


# --- the two lists


def inbox(connection: Connection, actor: Actor, chosen: Filter, now: datetime, size: int = PAGE) -> Page:
    """Return a page of the open matters of an area, the one due first on top."""
    days = holidays.working_days(connection)
    asked = _asked(connection, actor, chosen, "c")
    joined = f"JOIN incident i ON i.id = c.id AND {STATES['open']}" if asked.kind or asked.matter else ""
    conditions = _all("c.open", *asked.place, *asked.number, *asked.case, *asked.kind, *asked.matter)
    bound = asked.bound | {"now": now, "soon": soon(days, now), **_rows(chosen, size)}
    lit = "WHERE light = :light" if chosen.light else ""
    row = connection.execute(
        text(f"""
        WITH found AS MATERIALIZED (
            SELECT c.id, c.next_due_at, c.opened_at, c.stage_since, {_LIGHT} AS light
            FROM incident_case c {joined} WHERE {conditions}
        )
        SELECT ARRAY(SELECT id FROM found {lit} ORDER BY {_SORTS.get(chosen.sort, _SORTS[""])}
                LIMIT :limit OFFSET :offset) AS ids,
            (SELECT jsonb_object_agg(light, matters)
                FROM (SELECT light, count(*) AS matters FROM found GROUP BY light) AS each) AS lights
        """),
        bound,
    ).one()
    lights = {each.value: 0 for each in Light} | (row.lights or {})
    count = lights.get(chosen.light, 0) if chosen.light else sum(lights.values())
    return Page(lines_of(connection, row.ids, days, now), count, lights)


def all_matters(
    connection: Connection, actor: Actor, chosen: Filter, now: datetime, size: int = PAGE
) -> Page:
    """Return a page of all matters of an area, closed ones and imported history too, the newest on top.

    Place, category, month and number find matters by an index; among the newest of what they leave the other
    filters look one by one.
    """
    days = holidays.working_days(connection)
    asked = _asked(connection, actor, chosen, "i")
    # What a place and a category leave together is found once, and is little enough to be counted then.
    through = asked.case or asked.matter or (asked.place and chosen.category)
    statement = _LOOKED_THROUGH if through else _FOUND
    row = connection.execute(
        text(
            statement.format(
                found=_all(*asked.place, *asked.kind, *asked.number), fits=_all(*asked.case, *asked.matter)
            )
        ),
        asked.bound | _rows(chosen, size),
    ).one()
    return Page(lines_of(connection, row.ids, days, now), row.found, cut=row.looked_through == NEWEST)


# Other filters look one by one through the newest of what the indexes find.
_LOOKED_THROUGH = f"""
WITH newest AS MATERIALIZED (
    SELECT i.id, i.reported_at, ({{fits}}) AS fits
    FROM (
        SELECT i.* FROM incident i WHERE {{found}} ORDER BY i.reported_at DESC, i.id DESC LIMIT {NEWEST}
    ) AS i LEFT JOIN incident_case c ON c.id = i.id
)
SELECT ARRAY(SELECT id FROM newest WHERE fits ORDER BY reported_at DESC, id DESC
        LIMIT :limit OFFSET :offset) AS ids,
    count(*) FILTER (WHERE fits) AS found, count(*) AS looked_through
FROM newest
"""
# Without them nothing is looked through: a page is read off the index of days, and the count in any order.
_FOUND = f"""
SELECT ARRAY(SELECT i.id FROM incident i WHERE {{found}} ORDER BY i.reported_at DESC, i.id DESC
        LIMIT :limit OFFSET :offset) AS ids,
    counted.n AS found, counted.n AS looked_through
FROM (SELECT count(*) AS n FROM (SELECT FROM incident i WHERE {{found}} LIMIT {NEWEST}) AS each) AS counted
"""


def soon(days: WorkingDays, now: datetime) -> datetime:
    """Return the moment before which what is due shows yellow, as `working_days.light` has it."""
    return datetime.combine(days.plus(now, SOON + 1).date(), time(), CHINA)


# --- what a filter asks of the tables

_LIGHT = """CASE WHEN c.suspended_at IS NOT NULL OR c.next_due_at IS NULL THEN 'none'
    WHEN c.next_due_at < :now THEN 'red' WHEN c.next_due_at < :soon THEN 'yellow' ELSE 'green' END"""
_SORTS = {"": "next_due_at, id", "new": "opened_at DESC, id DESC", "longest": "stage_since, id"}
STATES = {
    "suspended": "c.suspended_at IS NOT NULL",
    "supervised": "c.supervised_at IS NOT NULL",
    "reopened": "c.reopened > 0",
    "along": "c.duplicate_of IS NOT NULL",
    "open": "i.status = 'open'",
    "closed": "i.status = 'closed'",
    "history": "c.id IS NULL",
}
_UNIT_HAS = """EXISTS (SELECT FROM incident_hand h
    WHERE h.case_id = c.id AND h.unit = :unit AND h.status = ANY(:live))"""
# The same condition on a number, of the case and by way of it.
_NUMBER = "number BETWEEN :number AND :beyond"


@dataclass
class _Asked:
    """Conditions by what they look at: the place, kind and day of a matter, its case, what it says."""

    place: list[str] = field(default_factory=list)
    number: list[str] = field(default_factory=list)
    kind: list[str] = field(default_factory=list)
    case: list[str] = field(default_factory=list)
    matter: list[str] = field(default_factory=list)
    bound: dict[str, Any] = field(default_factory=dict)


def _asked(connection: Connection, actor: Actor, chosen: Filter, table: str) -> _Asked:
    """Return what a filter asks; `table` is the one that says where, `c` or `i`.

    The area stands among the conditions although the policies ask for it too: theirs cannot use an index.
    """
    asked = _Asked()
    area = chosen.area if chosen.area.startswith(actor.area) else actor.area
    simple = (
        (asked.place, f"starts_with({table}.village, :area)", "area", area if len(area) < 15 else ""),
        (asked.case, "c.stage = :stage", "stage", chosen.stage),
        (asked.case, "c.level = :level" if table == "c" else "coalesce(c.level, i.level) = :level",
         "level", chosen.level),
        (asked.case, _UNIT_HAS, "unit", chosen.unit),
        (asked.matter, "i.channel = :channel", "channel", chosen.channel),
        (asked.matter, "i.ledger = :ledger", "ledger", chosen.ledger),
    )  # fmt: skip
    for conditions, condition, name, value in simple:
        if value:
            conditions.append(condition)
            asked.bound[name] = value
    if len(area) == 15:
        asked.place.append(f"{table}.grid_id = ANY(:grids)")
        asked.bound["grids"] = _grids(connection, area)
    asked.bound |= {"live": [status.value for status in LIVE], "light": chosen.light}
    if chosen.state in STATES:
        # Nearly all are closed: no need to look through them one by one.
        of_matter = asked.kind if chosen.state == "closed" else asked.matter
        (of_matter if "i." in STATES[chosen.state] else asked.case).append(STATES[chosen.state])
    if chosen.category:
        asked.kind.append("i.category = ANY(:categories)")
        asked.bound["categories"] = sorted(service.categories(connection).below(chosen.category))
    for begin, beyond, name in _periods(chosen):
        asked.kind.append(f"i.reported_at >= :{name}_from AND i.reported_at < :{name}_to")
        asked.bound |= {f"{name}_from": _midnight(begin), f"{name}_to": _midnight(beyond)}
    _ask_for(asked, chosen.q.strip(), table)
    return asked


def _ask_for(asked: _Asked, q: str, table: str) -> None:
    """Add what was typed into the search: digits begin a number, words stand in what was told."""
    if q.isdecimal() and q.isascii() and len(q) >= 4:
        by_case = f"i.id = ANY(ARRAY(SELECT id FROM incident_case WHERE {_NUMBER}))"
        asked.number.append(f"c.{_NUMBER}" if table == "c" else by_case)
        asked.bound |= {"number": q, "beyond": q + _BEYOND}
        return
    for n, word in enumerate(q.split()[:5]):
        asked.matter.append(f"concat_ws(' ', i.title, i.text, i.address) ILIKE :word{n}")
        escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        asked.bound[f"word{n}"] = f"%{escaped}%"


def _grids(connection: Connection, area: str) -> list[int]:
    """Return the numbers of a grid; asked first, because a plan is better when it knows them."""
    return list(connection.scalars(text("SELECT id FROM grid WHERE code15 = :area"), {"area": area}))


def _periods(chosen: Filter) -> Iterator[tuple[date, date, str]]:
    """Give each period asked for: its first day, the day after its last, and what it is called."""
    if chosen.month:
        first = chosen.month.replace(day=1)
        yield first, (first + timedelta(days=31)).replace(day=1), "month"
    if chosen.start or chosen.end:
        last = min(chosen.end or date.max, date(9998, 12, 31))
        yield chosen.start or date(1970, 1, 1), last + timedelta(days=1), "period"


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), CHINA)


def _rows(chosen: Filter, size: int) -> dict[str, int]:
    return {"limit": size, "offset": (min(max(chosen.page, 1), MOST_PAGES) - 1) * size}


def _all(*conditions: str) -> str:
    return " AND ".join(conditions) or "true"


# --- lines


def lines_of(connection: Connection, ids: Sequence[int], days: WorkingDays, now: datetime) -> list[Line]:
    """Return matters by number, in the order in which they are named."""
    rows = connection.execute(
        text("""
        SELECT i.id, i.title, i.category, k.name AS category_name, i.channel, i.ledger, i.reported_at,
            i.village, g.code15 AS grid, i.address, i.status = 'open' AS is_open, i.stage,
            coalesce(c.level, i.level) AS level, i.satisfaction, i.closed_at, c.number, c.version, c.flow_id,
            c.next_due_at, c.suspended_at, c.supervised_at, coalesce(c.reopened, 0) AS reopened,
            c.duplicate_of
        FROM incident i JOIN category k ON k.code = i.category LEFT JOIN incident_case c ON c.id = i.id
        LEFT JOIN grid g ON g.id = i.grid_id WHERE i.id = ANY(:ids)
        """),
        {"ids": list(ids)},
    ).all()
    units = _units(connection, ids)
    found = {row.id: _line(connection, row, units.get(row.id, ()), days, now) for row in rows}
    return [found[number] for number in ids if number in found]


def _line(
    connection: Connection,
    row: Row[Any],
    units: tuple[tuple[str, str], ...],
    days: WorkingDays,
    now: datetime,
) -> Line:
    columns = dict(row._mapping)
    flow_id, due_at = columns.pop("flow_id"), columns.pop("next_due_at")
    running = due_at if row.is_open and not row.suspended_at else None
    return Line(
        **columns,
        due_at=due_at,
        stage_name=stage_name(connection, flow_id, row.stage),
        light=light(running, now, days),
        left=left(running, now, days),
        units=units,
    )


def stage_name(connection: Connection, flow_id: int | None, stage: str | None) -> str | None:
    """Return what a step is called; of imported history the word that came with it."""
    if flow_id is None or stage is None:
        return stage
    return flows.flow_of(connection, flow_id).step(stage).name


def _units(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[tuple[str, str], ...]]:
    """Return the departments that have matters in their hands, the one that leads first."""
    rows = connection.execute(
        text("""
        SELECT case_id, unit, status FROM incident_hand WHERE case_id = ANY(:ids) AND status = ANY(:live)
        ORDER BY case_id, part DESC, id
        """),
        {"ids": list(ids), "live": [status.value for status in LIVE]},
    )
    found: dict[int, tuple[tuple[str, str], ...]] = {}
    for row in rows:
        found[row.case_id] = (*found.get(row.case_id, ()), (row.unit, row.status))
    return found

"""The lists of matters against reading every matter one by one, and what they read to say the same."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Row, event, text

from gridmgmt.calendar import CHINA
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import create_database, drop_database, make_engine
from gridmgmt.incidents import holidays
from gridmgmt.incidents.actor import Actor, on_matters
from gridmgmt.incidents.handling import stored
from gridmgmt.incidents.handling.stored import Filter
from gridmgmt.incidents.working_days import Light, WorkingDays, light
from tests.db import matter_world as w
from tests.db.matter_world import World

NOW = datetime(2026, 6, 10, 9, tzinfo=CHINA)
CHANNELS = ("12345", "wechat", "centre_register")
CATEGORIES = (w.NOISE, w.RUBBISH, w.WATER, w.FEE)
# More than a page of open ones in a town, and some that an import brought long ago, with no case.
OPEN, CLOSED, HISTORY = 80, 20, 300

HISTORIC = text("""
    INSERT INTO incident (source, external_id, category, channel, occurred_at, occurred_on, reported_at,
        status, grid_id, village, title, digest)
    SELECT 'import', :n, :category, :channel, :at, :day, :at, 'closed', id, village, '以前的事',
        gen_random_uuid()
    FROM grid WHERE id = :grid
""")
CLOSE = text("""
    WITH closed AS (UPDATE incident SET status = 'closed', closed_at = :now WHERE id = ANY(:ids))
    UPDATE incident_case SET open = false, next_due_at = NULL WHERE id = ANY(:ids)
""")
EVERY = text("""
    SELECT i.id, i.category, i.channel, i.status, i.village, i.reported_at, i.title, c.id AS case_id, c.stage,
        c.level, c.next_due_at, c.suspended_at, c.opened_at, c.stage_since
    FROM incident i LEFT JOIN incident_case c ON c.id = i.id
""")


@dataclass(frozen=True)
class Full:
    """A world with many matters, and every one of them as the owner reads it."""

    world: World
    every: list[Row[Any]]
    days: WorkingDays


@pytest.fixture(scope="module")
def full(cluster: Cluster, template: str) -> Iterator[Full]:
    """No test here writes, so all read the same one."""
    create_database(cluster.url("postgres"), "matter_lists", template=template)
    engine = make_engine(cluster.url("matter_lists"))
    world = w.build(engine)
    yield _full(world)
    world.matters.dispose()
    engine.dispose()
    drop_database(cluster.url("postgres"), "matter_lists")


def _full(world: World) -> Full:
    dice = random.Random(7)
    grids = (w.GRID_OWN, w.GRID_SIBLING, w.GRID_SECOND, w.GRID_OTHER)
    cases = []
    for _ in range(OPEN + CLOSED):
        grid, told = dice.choice(grids), NOW - timedelta(hours=dice.randrange(20 * 24))
        taken = world.take_in(
            w.OTHER_OFFICE if grid == w.GRID_OTHER else w.OFFICE, grid=grid, now=told,
            category=dice.choice(CATEGORIES), channel=dice.choice(CHANNELS),
            title=dice.choice(("路灯不亮", "夜里施工", "水泵坏了")),
        )  # fmt: skip
        cases.append(taken.case_id)
    with world.owner.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))  # no step: only closed
        connection.execute(CLOSE, {"ids": cases[:CLOSED], "now": NOW})
    with world.owner.begin() as connection:
        connection.execute(text("SELECT ensure_incident_year(y) FROM generate_series(2024, 2026) AS y"))
        for n in range(HISTORY):
            noon = datetime(2024, 1, 1, 12, tzinfo=CHINA) + timedelta(days=dice.randrange(880))
            connection.execute(HISTORIC, {
                "n": str(n), "category": dice.choice(CATEGORIES), "channel": dice.choice(CHANNELS),
                "at": noon, "day": noon.date(), "grid": world.grid[dice.choice(grids)],
            })  # fmt: skip
        every = list(connection.execute(EVERY))
        connection.execute(text("ANALYZE"))
        days = holidays.working_days(connection)
    return Full(world, every, days)


FILTERS = st.builds(
    Filter,
    category=st.sampled_from(("", *CATEGORIES, "11", "12")),
    channel=st.sampled_from(("", *CHANNELS)),
    area=st.sampled_from(("", w.VILLAGE_OWN, w.TOWN_OTHER)),
    month=st.sampled_from((None, date(2026, 5, 1), date(2025, 3, 1))),
    q=st.sampled_from(("", "路灯", "以前")),
    sort=st.sampled_from(("", "new", "longest")),
    page=st.integers(1, 3),
)
OFFICES = st.sampled_from((w.OFFICE, w.CENTRE))


@given(chosen=FILTERS, who=OFFICES, lit=st.sampled_from(("", *(each.value for each in Light))))
@settings(max_examples=150)
def test_the_inbox_is_what_reading_every_matter_leaves(
    full: Full, chosen: Filter, who: Actor, lit: str
) -> None:
    chosen = Filter(**vars(chosen) | {"light": lit})
    left = [row for row in full.every if row.status == "open" and _fits(row, who, chosen)]
    lights = {row.id: light(None if row.suspended_at else row.next_due_at, NOW, full.days) for row in left}
    order = {
        "": lambda row: (row.next_due_at, row.id),
        "new": lambda row: (-row.opened_at.timestamp(), -row.id),
        "longest": lambda row: (row.stage_since, row.id),
    }[chosen.sort]
    shown = sorted((row for row in left if lit in ("", lights[row.id])), key=order)
    with on_matters(full.world.matters, who) as connection:
        found = stored.inbox(connection, who, chosen, NOW)
    assert [line.id for line in found.lines] == [row.id for row in _page(shown, chosen)]
    assert found.count == len(shown)
    assert found.lights == {each.value: 0 for each in Light} | Counter(lights.values())


@given(chosen=FILTERS, who=OFFICES, state=st.sampled_from(("", "open", "closed", "history")))
@settings(max_examples=150)
def test_all_matters_are_what_reading_every_one_leaves(
    full: Full, chosen: Filter, who: Actor, state: str
) -> None:
    chosen = Filter(**vars(chosen) | {"state": state})
    kinds = {"": lambda row: True, "history": lambda row: row.case_id is None}
    of_state = kinds.get(state, lambda row: row.status == state)
    left = [row for row in full.every if of_state(row) and _fits(row, who, chosen)]
    left.sort(key=lambda row: (row.reported_at, row.id), reverse=True)
    with on_matters(full.world.matters, who) as connection:
        found = stored.all_matters(connection, who, chosen, NOW)
    assert [line.id for line in found.lines] == [row.id for row in _page(left, chosen)]
    assert (found.count, found.cut) == (len(left), False)


def _fits(row: Row[Any], who: Actor, chosen: Filter) -> bool:
    """Say whether a matter is here and what the filter asks for, whatever its light and state."""
    area = chosen.area if chosen.area.startswith(who.area) else who.area
    told = row.reported_at.astimezone(CHINA).date()
    return (
        row.village.startswith(area)
        and row.category.startswith(chosen.category)
        and chosen.channel in ("", row.channel)
        and chosen.month in (None, told.replace(day=1))
        and chosen.q in row.title
    )


def _page(rows: list[Row[Any]], chosen: Filter) -> list[Row[Any]]:
    return rows[(chosen.page - 1) * stored.PAGE : chosen.page * stored.PAGE]


# --- what is read for it


def test_an_inbox_of_one_kind_looks_no_case_up_in_the_tables_of_other_years(full: Full) -> None:
    plan = _plan(full, "inbox", Filter(category=w.NOISE))
    assert "Index Scan using incident_2026_category_idx" in plan or "on incident_2026_category_idx" in plan
    assert "pkey" not in plan.replace("pk_incident_case", "")


@pytest.mark.parametrize("chosen", [Filter(), Filter(category=w.NOISE), Filter(channel="12345")])
def test_all_matters_are_counted_once(full: Full, chosen: Filter) -> None:
    """A subquery that is named twice may be worked out twice."""
    assert _plan(full, "all_matters", chosen).count("Aggregate ") == 1


def _plan(full: Full, name: str, chosen: Filter) -> str:
    """Return the plan of the statement that finds the numbers of a list."""
    statements: list[tuple[str, Any]] = []
    engine = full.world.matters

    def keep(_connection: Any, _cursor: Any, statement: str, bound: Any, *_: Any) -> None:
        statements.append((statement, bound))

    with on_matters(engine, w.OFFICE) as connection:
        event.listen(engine, "before_cursor_execute", keep)
        getattr(stored, name)(connection, w.OFFICE, chosen, NOW)
        event.remove(engine, "before_cursor_execute", keep)
        [(finding, bound)] = [each for each in statements if "OFFSET" in each[0]]
        return "\n".join(connection.exec_driver_sql(f"EXPLAIN {finding}", bound).scalars())

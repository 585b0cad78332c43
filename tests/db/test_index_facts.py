"""Facts of the index that are not counts of matters, in worlds small enough to count by hand."""

import uuid
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from sqlalchemy import Engine

from gridmgmt.incidents.flows import stored as flows
from gridmgmt.incidents.handling import hands
from gridmgmt.incidents.handling import service as handling
from gridmgmt.incidents.handling.visits import VisitTold
from gridmgmt.index.facts import NAMES, passes
from gridmgmt.index.service import build

from . import matter_world as world
from .index_build_world import (
    DECEMBER,
    FEBRUARY,
    JANUARY,
    MARCH,
    NOVEMBER,
    Matter,
    at_day,
    made,
    measured,
    rows,
    run,
    start,
    value,
    write,
)  # fmt: skip
from .matter_world import (
    CENTRE,
    COUNTY,
    DEPARTMENT,
    NOISE,
    OFFICE,
    TOWN_OTHER,
    TOWN_OWN,
    URBAN,
    WATER,
    WATER_BUREAU,
    World,
)  # fmt: skip


@pytest.fixture
def small(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    yield from made(engine, monkeypatch)


QUICK = """
code = "quick"
name = "快办"
days = 9
begins = "a"
reopens_at = "a"
[[step]]
code = "a"
name = "办理"
days = 5
[[step.move]]
to = "z"
says = "办结"
who = ["office"]
needs = ["answer"]
[[step]]
code = "z"
name = "终"
final = true
"""


def test_cases_and_lines_count_by_their_own_months_and_departments(small):
    """Three matters in January: one supervised and closed, one closed, opened again and closed in February,
    one that nobody closed; two lines at the urban management, one struck off after it was sent back."""
    flows.load(small.owner, "test", QUICK, "quick.toml")
    base = start(JANUARY) + timedelta(days=4, hours=9)
    pool, cases = small.matters, []
    for _ in range(3):
        cases.append(small.take_in(flow="quick", now=base).case_id)
    handling.supervise(pool, CENTRE, cases[0], None, "请加快", now=base)
    handling.move(pool, OFFICE, cases[0], None, "z", answer="已办", now=base + timedelta(days=1))
    handling.visit(pool, OFFICE, cases[0], None, VisitTold(True, 4), now=base + timedelta(days=2))
    handling.move(pool, OFFICE, cases[1], None, "z", answer="已办", now=base)
    handling.reopen(pool, OFFICE, cases[1], None, "没有办好", now=base + timedelta(days=1))
    hands.hand(pool, OFFICE, cases[1], None, [URBAN], now=base + timedelta(days=2))
    hands.hand(pool, OFFICE, cases[2], None, [URBAN], now=base + timedelta(days=2))
    first, second = (row.id for row in run(small, "SELECT id FROM incident_hand ORDER BY id"))
    hands.accept(pool, DEPARTMENT, first, now=base + timedelta(days=2, hours=24))
    hands.accept(pool, DEPARTMENT, second, now=base + timedelta(days=3, hours=1))
    for day in (4, 5):
        hands.answer(pool, DEPARTMENT, first, "已查", now=base + timedelta(days=day))
        if day == 4:
            hands.return_(pool, OFFICE, first, "还在吵", now=base + timedelta(days=4))
    hands.strike_off(pool, OFFICE, first, now=base + timedelta(days=5))
    handling.move(pool, OFFICE, cases[1], None, "z", answer="已办", now=base + timedelta(days=30))
    names = [name for name in NAMES if name.startswith(("cases.", "hands."))]
    january = measured(small, names, JANUARY)
    build(small.owner, [DECEMBER, FEBRUARY], "t")
    february = {name: value(small, URBAN, FEBRUARY, f"1.1.{n}") for n, name in enumerate(names, 1)}
    of_town = {name.split(".")[1]: january[name, TOWN_OWN] for name in names if name.startswith("cases.")}
    assert of_town == {"closed": 1, "reopened": 0, "supervised": 1, "returns": 1}
    assert (january["cases.closed", URBAN], february["cases.closed"], february["cases.reopened"]) == (0, 1, 1)
    lines = {name.split(".")[1]: january[name, URBAN] for name in names if name.startswith("hands.")}
    due = run(small, "SELECT count(*) FROM incident_hand WHERE due_at < '2026-02-01'")[0].count
    assert lines == {"asked": 2, "accepted_day": 1, "refused": 0, "due": due, "answered_in_time": min(due, 1),
                     "verified": 1, "returned": 1}  # fmt: skip
    assert january["hands.asked", WATER_BUREAU] == 0
    assert {value(small, COUNTY, DECEMBER, f"1.1.{n}") for n in range(1, len(names) + 1)} == {None}


def add_homes(small: World, grid: str, count: int, verified_on: date | None) -> None:
    run(
        small,
        """
        WITH b AS (INSERT INTO building (code, address, grid_id, geom)
            VALUES (:code, '某路', :grid, NULL) RETURNING id),
        d AS (INSERT INTO dwelling (building_id, door, verified_on)
            SELECT b.id, n::text, CAST(:day AS date) FROM b, generate_series(1, :count) n RETURNING id)
        INSERT INTO household (code, dwelling_id, persons) SELECT gen_random_uuid()::text, id, 3 FROM d
        """,
        code=str(uuid.uuid4()), grid=small.grid[grid], count=count, day=verified_on,
    )  # fmt: skip


HOMES = ("dwellings.known", "dwellings.fresh", "households.total", "buildings.total", "buildings.placed")


def test_homes_seen_since_are_left_out_and_too_many_of_them_leave_nothing_known(small):
    """Town 1 has 40 homes, 2 of them seen in April; town 2 has 10, one seen in April."""
    add_homes(small, world.GRID_OWN, 20, date(2025, 4, 1))
    add_homes(small, world.GRID_OWN, 18, date(2025, 3, 31))
    add_homes(small, world.GRID_SECOND, 2, date(2026, 4, 2))
    add_homes(small, world.GRID_OTHER, 9, None)
    add_homes(small, world.GRID_OTHER, 1, date(2026, 4, 2))
    found = measured(small, HOMES, MARCH)
    assert [found[name, TOWN_OWN] for name in HOMES] == [38, 20, 40, 3, 0]
    assert [found[name, TOWN_OTHER] for name in HOMES] == [None, None, 10, 2, 0]
    assert [found[name, COUNTY] for name in HOMES[:2]] == [None, None]  # 3 of 50 are more than one in twenty
    run(small, "UPDATE dwelling SET verified_on = '2026-04-03' WHERE verified_on = '2025-04-01'")
    before = rows(small)
    build(small.owner, [MARCH], "t")
    assert rows(small) == before  # what was measured in time stands


def test_what_only_the_present_is_known_of_is_measured_for_45_days_and_then_stands(small, monkeypatch):
    """330 homes make a grid of the right size; of two households in care one was met in March."""
    add_homes(small, world.GRID_OWN, 330, None)
    run(small, """
        INSERT INTO household_care (household_id, category, basis, valid_from, expires)
        SELECT id, 'elderly_alone', '入户核实', '2020-01-01', '2099-12-31' FROM household LIMIT 2
        """)  # fmt: skip
    for at, outcome in ((start(MARCH), "met"), (start(MARCH), "met"), (start(MARCH), "absent"),
                        (start(FEBRUARY), "met")):  # fmt: skip
        run(small, """
            INSERT INTO visit (key, dwelling_id, household_id, purpose, outcome, visited_at, made_by)
            SELECT gen_random_uuid(), h.dwelling_id, h.id, 'care', :outcome, :at, 't'
            FROM household_care c JOIN household h ON h.id = c.household_id ORDER BY h.id LIMIT 1
            """, at=at, outcome=outcome)  # fmt: skip
    write(small, [
        Matter(world.GRID_OWN, NOISE, start(MARCH)),
        Matter(world.GRID_SIBLING, NOISE, start(MARCH), channel="grid_round"),
    ])  # fmt: skip
    names = ["grids.in_band", "care.total", "care.visited", "visits.made", "visits.met", "mediators.active",
             "grids.active", "grids.total"]  # fmt: skip
    found = measured(small, names, MARCH)
    assert [found[name, COUNTY] for name in names] == [1, 2, 1, 3, 2, 0, 2, 4]
    assert found["care.visited", TOWN_OTHER] == 0
    before = rows(small)
    at_day(monkeypatch, date(2026, 5, 16))
    build(small.owner, [FEBRUARY, MARCH], "t")
    assert [row for row in rows(small) if row.month == MARCH] == before
    late = {name: value(small, COUNTY, FEBRUARY, f"1.1.{n}") for n, name in enumerate(names, 1)}
    assert {name for name, number in late.items() if number is None} == {
        name for name in names if passes(name)
    }


def test_grids_and_workers_are_those_of_the_months_last_day(small):
    run(small, "UPDATE grid SET valid_to = '2026-03-31' WHERE code15 = :code", code=world.GRID_SIBLING)
    for name, education, until in (
        ("甲", "大专", None),
        ("乙", "高中", "2026-03-31"),
        ("丙", "中专", "2026-04-01"),
    ):
        run(
            small,
            """
            WITH w AS (INSERT INTO worker (name, employment, education)
                VALUES (:name, :employment, :education) RETURNING id)
            INSERT INTO assignment (worker_id, grid_id, role, valid_from, valid_to)
            SELECT w.id, g.id, 'chief', '2026-03-15', CAST(:until AS date) FROM w, grid g
            WHERE g.code15 = :grid
            """,
            name=name, education=education, until=until, employment="full_time" if until else "part_time",
            grid=world.GRID_SECOND if until else world.GRID_OWN,
        )  # fmt: skip
    write(small, [
        Matter(grid, NOISE, start(MARCH), channel="grid_round")
        for grid in (world.GRID_OWN, world.GRID_OWN, world.GRID_SIBLING)
    ])  # fmt: skip
    of_grids = ["grids.total", "grids.with_chief", "grids.active"]
    names = [name for name in NAMES if name.startswith("workers.")] + of_grids
    found = measured(small, names, MARCH)
    assert [found[name, TOWN_OWN] for name in names] == [2, 1, 2, 2, 2, 1]
    build(small.owner, [FEBRUARY], "t")
    assert [value(small, COUNTY, FEBRUARY, f"1.1.{n}") for n in range(1, 6)] == [0, 0, 0, 4, 0]


def add_run(small: World, kind: str, parameters: str) -> int:
    return int(run(
        small,
        "INSERT INTO analysis_run (kind, parameters, data_version, seed, started_at)"
        " VALUES (:kind, CAST(:parameters AS jsonb), 1, 1, now()) RETURNING id",
        kind=kind, parameters=parameters,
    )[0].id)  # fmt: skip


def test_the_hot_grids_are_those_of_the_newest_run_that_was_over(small):
    for first, last, level, category, hot in (
        ("2025-01-01", "2025-12-31", "grid", "null", 2), ("2025-02-01", "2026-01-31", "grid", "null", 3),
        ("2025-02-01", "2026-01-31", "grid", '"1101"', 0), ("2025-02-01", "2026-01-31", "town", "null", 0),
        ("2022-02-01", "2026-01-31", "grid", "null", 0), ("2025-03-01", "2026-02-28", "grid", "null", 4),
    ):  # fmt: skip
        said = f'{{"from": "{first}", "to": "{last}", "level": "{level}", "category": {category}}}'
        number = add_run(small, "hotspots", said)
        # The last of the hot ones is hot in one category alone.
        for n, code in enumerate(sorted(world.CORNERS)):
            for category, is_hot, count in (("", n < hot - 1, 10), (NOISE, n == hot - 1, 4)):
                run(small, """
                    INSERT INTO hotspot_result (run_id, category, area, count, expected, rate, smoothed, p, q,
                        gi_class)
                    VALUES (:run, :category, :area, :count, 5, 1, 1, 0.01, 0.01, :class)
                    """, run=number, category=category, area=code, count=count,
                    **{"class": 2 if is_hot else 1})  # fmt: skip
    names = ["hot.grids", "hot.hot_grids", "hot.matters", "hot.hot_matters"]
    assert [measured(small, names, JANUARY)[name, COUNTY] for name in names] == [4, 3, 40, 30]
    build(small.owner, [NOVEMBER, DECEMBER, MARCH], "t")
    codes = [f"1.1.{n}" for n in range(1, 5)]
    assert [value(small, COUNTY, DECEMBER, code) for code in codes] == [4, 2, 40, 20]
    assert [value(small, COUNTY, MARCH, code) for code in codes] == [4, 4, 40, 40]
    assert [value(small, COUNTY, NOVEMBER, code) for code in codes] == [None] * 4


def test_the_list_and_its_tasks_count_where_their_day_lies(small):
    number = add_run(small, "seasonal", '{"year": 2026}')
    for grid, act_by, cut in (
        (world.GRID_OWN, MARCH, False), (world.GRID_OWN, date(2026, 3, 31), False),
        (world.GRID_OTHER, MARCH, True), (world.GRID_OTHER, date(2026, 4, 1), False),
    ):  # fmt: skip
        run(small, """
            INSERT INTO seasonal_item (run_id, year, level, area, category, clock, start_on, peak_on, end_on,
                act_by, expected, expected_low, expected_high, ratio, p, q, years, action, usual, lead_days,
                lead_learnt, stable, cut)
            VALUES (:run, 2026, 'grid', :grid, :category, 'gregorian', :day, :day, :day, :day, 9, 1, 2, 3,
                0.01, 0.01, '[]', '提前走访', 4, 4, false, 4, :cut)
            """, run=number, grid=grid, category=NOISE, day=act_by, cut=cut)  # fmt: skip
    for start_on, due_on, done_on in ((MARCH, date(2026, 3, 20), date(2026, 3, 20)),
                                      (FEBRUARY, date(2026, 3, 31), date(2026, 4, 1))):  # fmt: skip
        run(small, """
            INSERT INTO seasonal_task (year, level, area, category, start_on, end_on, due_on, action, status,
                done_on, closed_at, handed_out_by)
            VALUES (2026, 'grid', :grid, :category, :start_on, :start_on, :due_on, '走访', 'done', :done_on,
                now(), 't')
            """, grid=world.GRID_OWN, category=NOISE, start_on=start_on, due_on=due_on,
            done_on=done_on)  # fmt: skip
    for grid, each in ((world.GRID_OWN, 2.0), (world.GRID_SIBLING, 0.5)):
        run(small, """
            INSERT INTO seasonal_expected (run_id, category, area, cells) VALUES (:run, :kind, :grid, :cells)
            """, run=number, kind=NOISE, grid=grid, cells=[0.0] * 6 + [each] * 3 + [9.0] * 27)  # fmt: skip
    write(small, [
        Matter(grid, kind, start(MARCH), metres)
        for grid, kind, metres in ((world.GRID_OWN, NOISE, 0), (world.GRID_OWN, NOISE, 0),
                                   (world.GRID_SECOND, NOISE, None), (world.GRID_OTHER, NOISE, 0),
                                   (world.GRID_OWN, WATER, 0))
    ])  # fmt: skip
    names = [name for name in NAMES if name.startswith("season.")]
    found = measured(small, names, MARCH)
    for unit in (TOWN_OWN, URBAN, COUNTY):
        assert [found[name, unit] for name in names] == [2, 1, 2, 1, 7.5, 2], unit
    for unit in (TOWN_OTHER, WATER_BUREAU):
        assert [found[name, unit] for name in names] == [0, 0, 0, 0, None, None], unit


def test_mediation_deliberation_and_meetings_count_by_the_day_they_took_place(small):
    case = small.take_in(now=start(MARCH)).case_id
    for status, ended in (("agreed", start(MARCH)), ("failed", start(MARCH)), ("withdrawn", start(MARCH)),
                          ("agreed", start(FEBRUARY))):  # fmt: skip
        run(small, """
            INSERT INTO mediation (case_id, kind, level, status, opened_by, ended_at, followed_up_on, kept)
            VALUES (:case, 'people', 'village', :status, 't', :ended,
                CASE WHEN :status = 'agreed' THEN DATE '2026-03-31' END,
                CASE WHEN :status = 'agreed' THEN :ended < '2026-02-15' END)
            """, case=case, status=status, ended=ended)  # fmt: skip
    run(small, """
        INSERT INTO incident_visit (kind, area, held_at, made_by) VALUES ('legal_day', :village, :at, 't'),
            ('enterprise', :village, :at, 't'), ('legal_day', :county, :at, 't')
        """, village=world.VILLAGE_OWN, county=COUNTY, at=start(MARCH))  # fmt: skip
    names = [name for name in NAMES if name.startswith(("mediations.", "service_days.", "villages."))]
    found = measured(small, names, MARCH)
    assert [found[name, TOWN_OWN] for name in names] == [2, 1, 2, 1, 1, 2]
    assert [found[name, COUNTY] for name in names] == [2, 1, 2, 1, 2, 3]

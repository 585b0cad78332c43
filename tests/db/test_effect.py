"""From the list, the tasks and the matters of a small land to what may be said of the treatments."""

import json
from datetime import date, timedelta

import numpy as np
import pytest
from sqlalchemy import Engine, text

from gridmgmt.db.engine import READER, make_engine
from gridmgmt.errors import NotFoundError
from gridmgmt.seasonal.effects import service, stored
from gridmgmt.seasonal.effects.estimate import EffectVerdict, Reason
from gridmgmt.seasonal.effects.learning import OTHERS
from gridmgmt.seasonal.effects.stored import CITY
from gridmgmt.seasonal.tasks import stored as tasks

from .land import SIDE, VILLAGES, YEARS, build_land, code, write

WATER, NOISE = "0102", "0101"
CELLS = SIDE * SIDE
JULY = date(2025, 7, 1), date(2025, 7, 31)
FACTOR = 0.5
TOWNS = tuple(village[:9] for village in VILLAGES)


@pytest.fixture
def land(engine: Engine) -> Engine:
    """Standing water every July, treated in 2025 where 2024 was worst; noise that nobody treats."""
    build_land(engine)
    rng = np.random.default_rng(3)
    rate = rng.gamma(6.0, 0.7, CELLS)
    july = {year: rng.poisson(rate) for year in YEARS}
    treated = np.argsort(-july[2024], kind="stable")[:20]
    july[2025][treated] = rng.poisson(rate[treated] * FACTOR)
    matters = [
        (WATER, cell, date(year, 7, 1) + timedelta(int(day)))
        for year in YEARS
        for cell in range(CELLS)
        for day in rng.integers(0, 31, july[year][cell])
    ]
    for category, often in ((WATER, 4), (NOISE, 6)):
        matters += [
            (category, cell, date(year, 1, 1) + timedelta(int(day)))
            for year in YEARS
            for cell in range(CELLS)
            for day in rng.integers(0, 365, often)
        ]
    write(engine, matters, apart=0.4)
    list_of(engine, 2025, [("990101", WATER, *JULY), ("990101", NOISE, *JULY)])
    for cell in treated.tolist():
        done(engine, code(cell), WATER, date(2025, 6, 20))
    return engine


def list_of(engine: Engine, year: int, items: list[tuple[str, str, date, date]]) -> None:
    """Store a list of a year: area, category, first and last day of each item."""
    parameters = {
        "year": year, "from": "2022-01-01", "to": f"{year - 1}-12-31", "told": 1, "problems": 1, "capacity": 3
    }  # fmt: skip
    with engine.begin() as connection:
        run = connection.execute(
            text(
                "INSERT INTO analysis_run (kind, parameters, data_version, seed, started_at)"
                " VALUES ('seasonal', :p, 1, 1, now()) RETURNING id"
            ),
            {"p": json.dumps(parameters)},
        ).scalar_one()
        for area, category, start, end in items:
            connection.execute(
                text(
                    "INSERT INTO seasonal_item (run_id, year, level, area, category, clock, start_on,"
                    " peak_on, end_on, act_by, expected, expected_low, expected_high, ratio, p, q, years,"
                    " action, usual, lead_days, lead_learnt, stable, cut) VALUES (:run, :year, 'county',"
                    " :area, :category, 'gregorian', :start, :start, :end, :start, 9, 5, 14, 3, 0, 0, '[]',"
                    " 'x', 3, 10, false, 3, false)"
                ),
                {
                    "run": run, "year": year, "area": area, "category": category, "start": start, "end": end
                },
            )  # fmt: skip


def done(engine: Engine, area: str, category: str, day: date) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO seasonal_task (year, level, area, category, start_on, end_on, due_on, action,"
                " status, handed_out_by, closed_at, done_on) VALUES (2025, 'grid', :area, :category, :start,"
                " :end, :start, 'x', 'done', 'x', now(), :day)"
            ),
            {"area": area, "category": category, "start": JULY[0], "end": JULY[1], "day": day},
        )


def rows(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT * FROM seasonal_effect ORDER BY year, scope, category")
        ).mappings()
        return [tuple(str(row[name]) for name in row if name != "measured_at") for row in found]


def figures(engine: Engine) -> list[tuple[str, float, float | None]]:
    with engine.connect() as connection:
        found = stored.effects(connection, 2025, [CITY])
    return [(each.category, each.expected_treated, each.low) for each in found]


def test_a_planted_effect_is_found_beside_the_figure_that_exaggerates_it(land: Engine) -> None:
    measured = service.measure(land, 2025)
    assert (measured.categories, measured.helped, measured.cannot_say) == (2, 1, 1)
    with land.connect() as connection:
        found = {(each.scope, each.category): each for each in stored.effects(connection, 2025)}
        learnt = stored.learnt(connection, 2026)
        assert stored.learnt(connection, 2025) == {}
        assert stored.years(connection) == [2025]
    water, noise = found[CITY, WATER], found[CITY, NOISE]
    assert water.verdict is EffectVerdict.HELPED
    assert water.low is not None
    assert water.high is not None
    assert water.low < FACTOR - 1 < water.high < 0
    assert water.published is not None
    assert water.published < FACTOR - 1 - 0.1
    assert (water.n_treated, water.n_untreated) == (20, CELLS - 20)
    assert water.placebo is not None
    assert water.placebo["before"]["mean"] > 0.1  # it was picked because that year was bad
    assert (noise.verdict, noise.reason) == (EffectVerdict.CANNOT_SAY, Reason.NO_TREATED)
    assert water.high > learnt[WATER].mean > FACTOR - 1 - 0.1
    assert set(learnt) == {WATER, OTHERS}
    towns = [found[town, ""] for town in TOWNS if (town, "") in found]
    assert sum(each.n_treated for each in towns) == 20
    assert all(each.n_untreated == CELLS - 20 for each in towns)


def test_measuring_again_gives_the_same_rows_and_a_year_without_a_list_is_refused(land: Engine) -> None:
    service.measure(land, 2025)
    first, before = rows(land), figures(land)
    service.measure(land, 2025)
    assert rows(land) == first
    with pytest.raises(NotFoundError, match="2024"):
        service.measure(land, 2024)
    assert rows(land) == first
    # Matters of the year itself are no part of what was expected of it.
    write(land, [(WATER, cell, date(2025, 11, 11)) for cell in range(CELLS)], apart=0.45)
    service.measure(land, 2025)
    assert figures(land) == before


def test_work_done_within_the_window_counts_from_the_day_after(land: Engine) -> None:
    with land.begin() as connection:
        connection.execute(text("UPDATE seasonal_task SET done_on = '2025-07-15'"))
    service.measure(land, 2025)
    with land.connect() as connection:
        half = next(e for e in stored.effects(connection, 2025, [CITY]) if e.category == WATER)
        treated = [each.area for each in tasks.treatments(connection, 2025)]
        told = connection.execute(
            text(
                "SELECT count(*) FROM incident i JOIN grid g ON ST_Covers(g.geom, i.geom)"
                " WHERE i.category = :c AND occurred_on BETWEEN '2025-07-16' AND '2025-07-31'"
                " AND g.code15 = ANY(:grids)"
            ),
            {"c": WATER, "grids": treated},
        ).scalar_one()
    assert 0.85 * told <= half.observed_treated <= told  # some are told twice
    assert (half.start_on, half.end_on) == JULY


def test_what_was_done_last_year_is_told_with_the_item_of_this_year(land: Engine, database: str) -> None:
    service.measure(land, 2025)
    reader = make_engine(database, role=READER)
    with reader.connect() as connection:
        area = tasks.treatments(connection, 2025)[0].area
        past = stored.past(connection, 2026, area, WATER)
        untouched = stored.past(connection, 2026, code(CELLS - 1)[:9], NOISE)
        assert stored.past(connection, 2027, area, WATER) is None
    reader.dispose()
    assert past is not None
    assert (past.year, past.asked, past.done, past.last_done) == (2025, 1, 1, date(2025, 6, 20))
    assert past.effect.verdict is EffectVerdict.HELPED
    assert untouched is not None
    assert (untouched.asked, untouched.effect.effect) == (0, None)


def test_a_window_that_the_matters_do_not_reach_is_said_to_be_open(land: Engine) -> None:
    with land.begin() as connection:
        connection.execute(text("DELETE FROM incident WHERE occurred_on > '2025-07-20'"))
    measured = service.measure(land, 2025)
    assert measured.cannot_say == 2
    with land.connect() as connection:
        found = stored.effects(connection, 2025, [CITY])
        assert stored.learnt(connection, 2026) == {}
    assert {each.reason for each in found if each.category} == {Reason.NOT_OVER}
    assert {each.effect for each in found} == {None}

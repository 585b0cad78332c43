"""Building the list of a small city: what stands in it, and what is said where nothing does."""

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import shapely
from sqlalchemy import Engine, text

from gridmgmt.errors import FileError, InputError, NotEnoughDataError
from gridmgmt.seasonal import actions, service, stored
from gridmgmt.seasonal.models import Verdict
from gridmgmt.seasonal.score import Planted, read_truth, score
from gridmgmt.seasonal.stored import Item

from .land import SIDE, YEARS, add_grids, build_land, code, square, write

SOUTH = range(SIDE * SIDE // 2, SIDE * SIDE)


@pytest.fixture
def city(engine: Engine) -> Engine:
    """Every July water in the south; noise all year, and in the last eight grids a July of its own."""
    build_land(engine)
    rng = np.random.default_rng(1)
    matters = []
    for year in YEARS:
        for cell in range(SIDE * SIDE):
            noise = rng.integers(0, 365, rng.poisson(6))
            matters += [("0101", cell, date(year, 1, 1) + timedelta(int(day))) for day in noise]
            if cell in SOUTH:
                water = rng.integers(0, 31, rng.poisson(6))
                matters += [("0102", cell, date(year, 7, 1) + timedelta(int(day))) for day in water]
    write(engine, matters, apart=0.45)
    return engine


def listed(engine: Engine, year: int = 2026) -> list[Item]:
    with engine.connect() as connection:
        return stored.items(connection, year)


def told(item: Item) -> tuple[object, ...]:
    return (
        item.category, item.start_on, item.end_on, item.act_by, round(item.expected, 9), item.expected_low,
        item.expected_high, round(item.q, 12), item.years, item.stable, item.level,
    )  # fmt: skip


def test_a_list_says_what_comes_where_and_what_it_found_of_every_category(city: Engine) -> None:
    built = service.build(city, 2026)
    items = listed(city)
    assert built.items == len(items) >= 20
    assert {item.area[:12] for item in items} == {code(SOUTH[0])[:12]}
    assert {(item.category, item.start_on) for item in items} == {("0102", date(2026, 7, 1))}
    assert (built.seasonal, built.no_season, built.not_enough, built.no_matters) == (1, 1, 0, 1)
    with city.connect() as connection:
        run = stored.run_of(connection, 2026)
        verdicts = {each.category: each for each in stored.verdicts(connection, run)}
        grids, cells = stored.expected_cells(connection, run, area=code(SOUTH[0])[:9])
        whole = stored.expected_cells(connection, run, category="0102")[1]
    assert (run.start, run.end, run.told) == (date(2022, 1, 1), date(2025, 12, 31), built.told)
    assert 0.9 * run.told < run.problems <= run.told
    assert verdicts["0102"].verdict is Verdict.SEASONAL
    assert verdicts["0101"].verdict is Verdict.NO_SEASON
    assert verdicts["0103"].verdict is Verdict.NO_MATTERS
    assert verdicts["0102"].p_harmonic == 0.001
    assert (len(grids), cells.shape, whole.shape) == (32, (32, 36), (64, 36))
    assert cells[:, 18:21].sum() > 0.9 * whole.sum()
    july = cells[:, 18:21].sum(axis=1)
    alone = {item.area: item.expected for item in items if item.level == "grid"}
    for area, expected in zip(grids, july.tolist(), strict=True):
        assert alone.get(area, expected) == pytest.approx(expected, abs=0.01)


def test_building_twice_gives_the_same_list_once(city: Engine) -> None:
    first = (service.build(city, 2026), [told(item) for item in listed(city)])[1]
    service.build(city, 2026)
    assert [told(item) for item in listed(city)] == first
    with city.connect() as connection:
        assert stored.years(connection) == [2026]


def test_boundaries_that_changed_give_the_list_as_if_todays_grids_had_always_been_there(city: Engine) -> None:
    # Two grids of the flooded half become one and a new line, with new codes; first since 2025, then ever.
    old = [code(SOUTH[0]), code(SOUTH[1])]
    west, south, _, north = square(SOUTH[0]).bounds
    east = square(SOUTH[1]).bounds[2]
    middle = (south + north) / 2
    upper, lower = shapely.box(west, middle, east, north), shapely.box(west, south, east, middle)
    new = {f"{old[0][:12]}101": upper, f"{old[0][:12]}102": lower}
    with city.begin() as connection:
        connection.execute(
            text("UPDATE grid SET valid_to = '2025-06-01' WHERE code15 = ANY(:old)"), {"old": old}
        )
    add_grids(city, new, date(2025, 6, 1))
    service.build(city, 2026)
    since_2025 = {item.area: told(item) for item in listed(city)}
    assert set(since_2025) & set(new)
    assert not set(since_2025) & set(old)
    with city.begin() as connection:
        connection.execute(text("DELETE FROM grid WHERE code15 = ANY(:old)"), {"old": old})
        connection.execute(
            text("UPDATE grid SET valid_from = '2020-01-01' WHERE code15 = ANY(:new)"), {"new": list(new)}
        )
    service.build(city, 2026)
    assert {item.area: told(item) for item in listed(city)} == since_2025


def test_a_grid_born_last_month_where_nothing_happened_has_no_item(city: Engine) -> None:
    x = 114 + (SIDE + 1) * 0.01
    born = f"{code(SOUTH[0])[:12]}200"
    add_grids(city, {born: shapely.box(x, 32.9, x + 0.01, 32.91)}, date(2025, 12, 1))
    service.build(city, 2026)
    assert not [item for item in listed(city) if item.area == born]
    with city.connect() as connection:
        run = stored.run_of(connection, 2026)
        grids, cells = stored.expected_cells(connection, run, area=born)
    assert grids == [born]
    assert 0 < cells.sum() < 6  # nothing seen is not nothing expected, but less than in its neighbours


def test_what_is_beyond_the_capacity_stays_and_says_so(
    city: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDMGMT_HOME", str(tmp_path))
    (tmp_path / "actions.toml").write_text('[default]\ntext = "走访"\nlead_days = 10\n', encoding="utf-8")
    rng = np.random.default_rng(2)
    dust = [
        ("0103", cell, date(year, 7, 1) + timedelta(int(day)))
        for year in YEARS
        for cell in SOUTH[-4:]
        for day in rng.integers(0, 31, 3)
    ]
    write(city, dust, apart=0.3)
    assert service.build(city, 2026).cut == 0
    tight = service.build(city, 2026, capacity=1)
    cut = [item for item in listed(city) if item.cut]
    assert len(cut) == tight.cut > 0
    for item in cut:
        kept = [other for other in listed(city) if other.area == item.area and not other.cut]
        assert len(kept) == 1
        assert kept[0].excess >= item.excess
    with pytest.raises(InputError, match="capacity"):
        service.build(city, 2026, capacity=0)


def test_too_little_is_said_and_leaves_no_list(city: Engine) -> None:
    with pytest.raises(NotEnoughDataError, match="at least 2"):
        service.build(city, 2023)
    with pytest.raises(InputError, match="2090"):
        service.build(city, 2090)
    with city.connect() as connection:
        assert stored.years(connection) == []
    with city.begin() as connection:
        connection.execute(text("DELETE FROM incident WHERE category = '0102'"))
    assert service.build(city, 2026).items == 0  # noise alone is a list without items, and no error
    with city.connect() as connection:
        assert stored.run_of(connection, 2026).year == 2026


def test_a_citys_own_actions_stand_in_for_ours_and_a_wrong_file_names_the_entry(
    city: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDMGMT_HOME", str(tmp_path))
    own = tmp_path / "actions.toml"
    own.write_text(
        '[[action]]\ncategories = ["0102"]\nlead_days = 9\ntext = "清理雨水口"\n[default]\ntext = "走访"\n',
        encoding="utf-8",
    )
    service.build(city, 2026)
    assert {(item.action, item.lead_days, item.lead_learnt) for item in listed(city)} == {
        ("清理雨水口", 9, False)
    }
    own.write_text('[default]\ntext = "走访"\n', encoding="utf-8")
    service.build(city, 2026)
    assert {(item.action, item.lead_days, item.lead_learnt) for item in listed(city)} == {("走访", 1, True)}
    own.write_text('[[action]]\nwords = ["水"]\nlead_days = 400\ntext = "x"\n[default]\ntext = "y"\n')
    with pytest.raises(FileError, match="action 1, lead_days"):
        actions.library(tmp_path)
    own.write_text('[[action]]\ntext = "x"\n[default]\ntext = "y"\n')
    with pytest.raises(FileError, match="words or categories"):
        actions.library(tmp_path)


def test_a_score_counts_what_is_right_what_is_late_and_what_was_never_planted(
    city: Engine, tmp_path: Path
) -> None:
    service.build(city, 2026)
    items = listed(city)
    town = code(SOUTH[0])[:9]
    right = Planted("0102", "gregorian", date(2026, 7, 1), (town,))
    assert score(items, [right]).recall == score(items, [right]).precision == 1.0
    late = score(items, [Planted("0102", "gregorian", date(2026, 7, 21), (town,))])
    assert (late.found, late.precision, late.start_error_xun_p95) == (0, 0.0, 2.0)
    elsewhere = score(items, [Planted("0102", "gregorian", date(2026, 7, 1), (code(0)[:9],))])
    assert (elsewhere.found, elsewhere.precision, elsewhere.places_found) == (0, 0.0, 0)
    other = score(items, [right, Planted("0101", "lunar", date(2026, 2, 1), ("990101",))])
    assert (other.found, other.recall, other.clock_right, other.precision) == (1, 0.5, 0.5, 1.0)
    truth = {
        "category": "0102", "clock": "gregorian", "area_codes": [town],
        "dates": {"2026": {"start": "2026-07-01"}},
    }  # fmt: skip
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"seasonal": [truth]}))
    assert read_truth(path, 2026) == [right]
    with pytest.raises(FileError, match="2031"):
        read_truth(path, 2031)

"""The backtest of a small city of 64 grids in two towns, 2022 to 2025: what it says, and what it refuses.

Standing water comes every July in one town; noise has no season.
"""

import json
from datetime import date, timedelta

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from gridmgmt.cli.backtest import command
from gridmgmt.errors import InputError, NotEnoughDataError
from gridmgmt.seasonal import backtest
from gridmgmt.seasonal.baselines import NAMES

from .land import SIDE, YEARS, build_land, write


@pytest.fixture
def town(engine: Engine) -> Engine:
    """Land and code list, without any matter."""
    build_land(engine)
    return engine


@pytest.fixture
def city(town: Engine) -> Engine:
    rng = np.random.default_rng(1)
    matters = []
    for year in YEARS:
        for cell in range(SIDE * SIDE):
            noise = rng.integers(0, 365, rng.poisson(12 if cell % SIDE < 2 else 3))
            matters += [("0101", cell, date(year, 1, 1) + timedelta(int(day))) for day in noise]
            if cell >= SIDE * SIDE // 2:
                water = rng.integers(0, 31, rng.poisson(4))
                matters += [("0102", cell, date(year, 7, 1) + timedelta(int(day))) for day in water]
    write(town, matters)
    return town


def test_a_backtest_says_which_categories_have_a_season_and_scores_them_beside_the_baselines(
    city: Engine,
) -> None:
    with city.connect() as connection:
        found = backtest.run(connection, 2025)
    assert (found.years, found.areas, found.without_place) == ((2022, 2024), 64, 0)
    noise, water, never = found.categories
    assert (noise.category, water.category, never.category) == ("0101", "0102", "0103")
    assert (noise.seasonal, water.seasonal) == (False, True)
    assert (never.n, never.model, never.note) == (0, None, "no matters in any year")
    assert noise.expected == pytest.approx(16 * 12 + 48 * 3, rel=0.1)
    assert water.expected == pytest.approx(32 * 4, rel=0.1)
    for each in (noise, water):
        assert each.baselines is not None
        assert tuple(each.baselines) == NAMES
        assert each.gain is not None
        assert each.gain > -0.02  # a few hundred matters of one year: the luck of the draw
        assert each.model is not None
        assert each.model.log_score > each.baselines["last_year"].log_score + 1
    assert found.overall.n == noise.n + water.n
    assert found.frequent is None
    assert sum(found.calibration.observed) == found.overall.n


def test_the_years_after_the_test_year_are_not_looked_at(city: Engine) -> None:
    with city.connect() as connection:
        before = backtest.run(connection, 2024)
    write(city, [("0102", 3, date(2025, 3, 1) + timedelta(day)) for day in range(60)])
    with city.connect() as connection:
        assert backtest.run(connection, 2024) == before


def test_other_levels_have_the_same_matters_in_fewer_areas(city: Engine) -> None:
    with city.connect() as connection:
        n = backtest.run(connection, 2025).overall.n
        for level in ("village", "town"):
            found = backtest.run(connection, 2025, level=level)
            assert (found.areas, found.overall.n) == (2, n)


def test_what_cannot_be_tested_is_said(city: Engine) -> None:
    with city.connect() as connection:
        with pytest.raises(NotEnoughDataError, match=r"full years of matters before 2023.*1.*at least 2"):
            backtest.run(connection, 2023)
        with pytest.raises(NotEnoughDataError, match="matters of 2026"):
            backtest.run(connection, 2026)
        with pytest.raises(InputError, match="2000 to 2060"):
            backtest.run(connection, 2090)
        with pytest.raises(InputError, match=r"grid \| village \| town"):
            backtest.run(connection, 2025, level="county")


def test_without_matters_there_is_nothing_to_test(town: Engine) -> None:
    with town.connect() as connection, pytest.raises(NotEnoughDataError, match="import incidents"):
        backtest.run(connection, 2025)


def test_a_year_that_began_in_spring_is_no_full_year(town: Engine) -> None:
    write(
        town, [("0101", 5, date(year, 4, 1) + timedelta(day)) for year in YEARS for day in range(0, 260, 7)]
    )
    with town.connect() as connection:
        assert backtest.run(connection, 2025).years == (2023, 2024)


def test_the_command_prints_what_others_read(city: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDMGMT_DATABASE_URL", city.url.render_as_string(hide_password=False))
    ran = CliRunner().invoke(command, ["--test-year", "2025", "--json"], catch_exceptions=False)
    found = json.loads(ran.stdout)
    assert (ran.exit_code, found["test_year"]) == (0, 2025)
    noise, water, never = found["categories"]
    assert (noise["category"], noise["name"], noise["clock"]) == ("0101", "噪声", "gregorian")
    assert water["seasonal"] is True
    assert never["model"] is None
    keys = {"log_score", *(f"{name}_{share}" for name in ("hit", "pai", "pei") for share in (1, 5, 10))}
    for row in (noise, water, found["overall"]):
        assert set(row["model"]) == keys
        assert {name: set(each) for name, each in row["baselines"].items()} == dict.fromkeys(NAMES, keys)
        assert len(row["calibration"]) == 10
    assert water["model"]["pai_5"] == pytest.approx(water["model"]["hit_5"] / 0.05)
    plain = CliRunner().invoke(command, ["--test-year", "2025"], catch_exceptions=False)
    assert "噪声" in plain.stdout
    assert "比最好基准" in plain.stdout

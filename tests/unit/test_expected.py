"""Expected matters in small worlds whose truth is known, and on St. Louis, which nobody here made."""

from datetime import date, timedelta
from pathlib import Path

import numba
import numpy as np
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pytest
from scipy.optimize import minimize
from scipy.stats import nbinom

from gridmgmt import calendar
from gridmgmt.errors import InputError, NotEnoughDataError
from gridmgmt.hotspots.statistics.weights import Weights
from gridmgmt.seasonal import city_season, scoring
from gridmgmt.seasonal.backtest import score_year, summary
from gridmgmt.seasonal.clocks import days_between
from gridmgmt.seasonal.expected import fit
from gridmgmt.seasonal.expected_kernels import fit_negative_binomial, warm_up
from gridmgmt.seasonal.forecast import Expected
from gridmgmt.seasonal.history import History
from gridmgmt.seasonal.models import Clock

SIDE = 12
AREAS = SIDE * SIDE
YEARS = range(2022, 2026)
TOWN = np.arange(AREAS) // (AREAS // 4)  # four bands of three rows
ROW, COLUMN = np.divmod(np.arange(AREAS), SIDE)
XY = np.stack([COLUMN, ROW], axis=1) * 100.0
NEIGHBOURS = Weights.distance_band(XY, 150.0)
LENGTH = np.array([(calendar.xun_end(2026, b) - calendar.xun_start(2026, b)).days + 1 for b in range(36)])

Matters = tuple[np.ndarray, np.ndarray]


def around_the_year(rng: np.random.Generator, rate: np.ndarray, years: range = YEARS) -> Matters:
    """Matters at `rate` a year in each area, on any day."""
    days = days_between(date(years[0], 1, 1), date(years[-1], 12, 31))
    area = np.repeat(np.arange(len(rate)), rng.poisson(rate * len(years)))
    return area, rng.choice(days, len(area))


def every_year(rng: np.random.Generator, rate: np.ndarray, starts: list[date], length: int) -> Matters:
    """Matters at `rate` an occurrence in each area, in the `length` days from every start."""
    areas, days = [], []
    for start in starts:
        areas.append(np.repeat(np.arange(len(rate)), rng.poisson(rate)))
        days.append(np.datetime64(start) + rng.integers(0, length, len(areas[-1])))
    return np.concatenate(areas), np.concatenate(days)


def history(*categories: list[Matters], years: range = YEARS, areas: int = AREAS) -> History:
    """One category an argument, each of one or several sets of matters."""
    area = [each for category in categories for each, _ in category]
    day = [each for category in categories for _, each in category]
    numbers = [np.full(len(each), k) for k, category in enumerate(categories) for each, _ in category]
    return History(
        np.concatenate(area), np.concatenate(numbers), np.concatenate(day), areas, len(categories), years
    )


def expect(*categories: list[Matters], target: int = 2026) -> list[Expected]:
    return fit(history(*categories), NEIGHBOURS, TOWN, target)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    warm_up()


@pytest.fixture(scope="module")
def gamma_city() -> list[Matters]:
    """Areas that differ, about two matters a year each, no season."""
    rng = np.random.default_rng(1)
    return [around_the_year(rng, rng.gamma(2.0, 1.0, AREAS))]


def test_a_planted_season_is_expected_in_its_own_days() -> None:
    rng = np.random.default_rng(2)
    even = around_the_year(rng, np.full(AREAS, 1.0))
    season = every_year(rng, np.full(AREAS, 2.0), [date(year, 6, 11) for year in YEARS], 20)
    (found,) = expect([even, season])
    assert found.season.seasonal
    assert found.season.clock in (Clock.GREGORIAN, Clock.SOLAR_TERM)
    share = found.expected.sum(axis=0) / found.expected.sum()
    inside = [16, 17]  # 6月中旬, 6月下旬
    assert share[inside].sum() == pytest.approx(2 / 3 + 20 / 365 / 3, abs=0.06)
    assert np.delete(share, inside).max() < 0.04
    assert found.expected.sum() == pytest.approx(3 * AREAS, rel=0.1)


def test_a_season_of_the_moon_is_expected_before_the_coming_festivals() -> None:
    rng = np.random.default_rng(3)
    before = [calendar.spring_festival(year) - timedelta(days=30) for year in YEARS]
    even = around_the_year(rng, np.full(AREAS, 1.0))
    season = every_year(rng, np.full(AREAS, 3.0), before, 30)
    for target in (2026, 2027):  # Spring Festival on 17 and on 6 February, and on 26 January 2028
        (found,) = expect([even, season], target=target)
        starts = [calendar.spring_festival(year) - timedelta(days=30) for year in (target, target + 1)]
        days = np.concatenate([days_between(start, start + timedelta(days=29)) for start in starts])
        days = days[days.astype("M8[Y]") == np.datetime64(str(target))]
        truth = AREAS * (LENGTH / 365 + 3 / 30 * np.bincount(calendar.xun_of(days), minlength=36))
        assert found.season.clock is Clock.LUNAR
        assert found.expected.sum(axis=0) == pytest.approx(truth, rel=0.25, abs=5)


def test_without_a_season_every_day_is_expected_alike(gamma_city: list[Matters]) -> None:
    (found,) = expect(gamma_city)
    assert not found.season.seasonal
    share = found.expected / found.expected.sum(axis=1, keepdims=True)
    assert share == pytest.approx(np.broadcast_to(LENGTH / LENGTH.sum(), share.shape), rel=1e-9)


def test_noise_is_seldom_taken_for_a_season() -> None:
    rng = np.random.default_rng(4)
    days = days_between(date(2022, 1, 1), date(2025, 12, 31))
    n = rng.integers(20, 500, 200)
    category = np.repeat(np.arange(200), n)
    null = History(np.zeros(n.sum(), int), category, rng.choice(days, n.sum()), 1, 200, YEARS)
    counts = {clock: null.by_clock(clock) for clock in Clock}
    seasons = city_season.choose(counts, {clock: city_season.overlaps(clock, YEARS) for clock in Clock})
    assert sum(season.seasonal for season in seasons) <= 10


def test_three_a_year_is_neither_ignored_nor_taken_at_its_word() -> None:
    rng = np.random.default_rng(5)
    even = around_the_year(rng, rng.gamma(0.5, 0.6, AREAS))
    lonely = 66
    kept = even[0] != lonely
    three = np.full(12, lonely), np.array([f"{y}-{m}-15" for y in YEARS for m in ("02", "05", "09")], "M8[D]")
    (found,) = expect([(even[0][kept], even[1][kept]), three])
    of_area = found.expected.sum(axis=1)
    assert 1.0 < of_area[lonely] < 3.0
    empty = np.bincount(even[0][kept], minlength=AREAS) == 0
    empty[lonely] = False
    assert (of_area[empty] > 0.01).all()
    assert of_area[empty].mean() < 0.15


def test_what_is_around_and_what_else_happens_speaks_for_an_area_without_matters() -> None:
    rng = np.random.default_rng(6)
    west = COLUMN < SIDE // 2
    rare = around_the_year(rng, np.where(west, 0.6, 0.05))
    busy = ROW % 2 == 0
    common = around_the_year(rng, np.where(busy, 12.0, 2.0))
    follows = around_the_year(rng, np.where(busy, 0.6, 0.05))
    by_neighbours, _, by_others = expect([rare], [common], [follows])
    for found, matters, likely in ((by_neighbours, rare, west), (by_others, follows, busy)):
        of_area = found.expected.sum(axis=1)
        none = np.bincount(matters[0], minlength=AREAS) == 0
        assert of_area[none & likely].mean() > 2 * of_area[none & ~likely].mean()


def test_recent_years_weigh_more() -> None:
    rng = np.random.default_rng(7)
    even = around_the_year(rng, rng.gamma(1.0, 3.0, AREAS))
    kept = ~np.isin(even[0], [20, 100])
    long_ago, lately = (
        (np.full(12, area), np.datetime64(f"{year}-01-01") + 30 * np.arange(12))
        for area, year in ((20, 2022), (100, 2025))
    )
    (found,) = expect([(even[0][kept], even[1][kept]), long_ago, lately])
    of_area = found.expected.sum(axis=1)
    assert of_area[100] > 1.1 * of_area[20]


def test_a_town_that_alone_has_the_season_is_alone_expected_to_have_it() -> None:
    rng = np.random.default_rng(8)
    even = around_the_year(rng, np.full(AREAS, 2.0))
    season = every_year(rng, np.where(TOWN == 1, 3.0, 0.0), [date(year, 9, 1) for year in YEARS], 20)
    (found,) = expect([even, season])
    assert found.choices.town_spread > 0
    of_area = found.expected / found.expected.sum(axis=1, keepdims=True)
    inside = of_area[:, 24:26].sum(axis=1)
    assert inside[TOWN == 1].min() > 0.4
    assert inside[TOWN != 1].max() < 0.15


def test_the_same_matters_in_any_order_of_rows_and_on_any_number_of_threads_give_the_same_bytes(
    gamma_city: list[Matters], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(9)
    one = history(gamma_city, [around_the_year(rng, np.full(AREAS, 0.5))], gamma_city)
    first = fit(one, NEIGHBOURS, TOWN, 2026)
    order = rng.permutation(len(one.area))
    mixed = History(one.area[order], one.category[order], one.day[order], AREAS, 3, YEARS)
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 1)
    for mine, other in zip(first, fit(mixed, NEIGHBOURS, TOWN, 2026), strict=True):
        assert mine.expected.tobytes() == other.expected.tobytes()
        assert mine.shape.tobytes() == other.shape.tobytes()


def test_numbering_the_areas_anew_numbers_the_results_anew(gamma_city: list[Matters]) -> None:
    rng = np.random.default_rng(10)
    new = rng.permutation(AREAS)  # new number of each area
    (first,) = expect(gamma_city)
    back = np.argsort(new)
    moved = history([(new[area], day) for area, day in gamma_city])
    (second,) = fit(moved, Weights.distance_band(XY[back], 150.0), TOWN[back], 2026)
    assert second.expected[new] == pytest.approx(first.expected, rel=1e-6)


def test_the_interval_holds_the_coming_year_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    rate = rng.gamma(2.0, 2.0, AREAS)
    (found,) = expect([around_the_year(rng, rate)])
    low, high = found.interval(range(36))
    coming = rng.poisson(rate, (200, AREAS))
    assert 0.87 < ((low <= coming) & (coming <= high)).mean() < 0.97


def test_the_regression_finds_the_maximum_that_a_general_search_finds() -> None:
    rng = np.random.default_rng(12)
    x = np.column_stack([rng.normal(size=(300, 2)), np.ones(300)])
    truth = np.exp(x @ [0.5, -0.3, 0.2])
    counts = rng.poisson(2.5 * truth * rng.gamma(3.0, 1 / 3.0, 300)).astype(float)
    beta, mean = np.zeros(3), np.empty(300)
    kappa = fit_negative_binomial(x, counts, 2.5, 3.0, beta, mean)

    def loss(parameters: np.ndarray) -> float:
        k, m = np.exp(parameters[3]), 2.5 * np.exp(x @ parameters[:3])
        prior = 1.5 * (parameters[:2] ** 2).sum() + parameters[3] ** 2 / 8
        return float(prior - nbinom.logpmf(counts, k, k / (k + m)).sum())

    best = minimize(loss, np.zeros(4), tol=1e-10)
    assert beta == pytest.approx(best.x[:3], abs=2e-3)
    assert np.log(kappa) == pytest.approx(best.x[3], abs=2e-2)
    assert mean == pytest.approx(np.exp(x @ beta))


def test_a_category_without_matters_is_spread_like_the_others_and_almost_nothing() -> None:
    rng = np.random.default_rng(13)
    nothing = np.empty(0, dtype=int), np.empty(0, dtype="M8[D]")
    busy, never = expect([around_the_year(rng, np.where(TOWN == 0, 9.0, 1.0))], [nothing])
    assert 0 < never.expected.sum() < 0.5
    assert never.expected[TOWN == 0].sum() > never.expected[TOWN != 0].sum()
    assert not never.season.seasonal
    assert busy.expected.sum() > 1


def test_what_cannot_be_fitted_is_said(gamma_city: list[Matters]) -> None:
    area, day = gamma_city[0]
    late = day >= np.datetime64("2025-01-01")
    with pytest.raises(NotEnoughDataError, match="years"):
        fit(history([(area[late], day[late])], years=range(2025, 2026)), NEIGHBOURS, TOWN, 2026)
    with pytest.raises(NotEnoughDataError, match="matters"):
        fit(history([(area[:0], day[:0])]), NEIGHBOURS, TOWN, 2026)
    with pytest.raises(InputError, match="neighbours"):
        fit(history(gamma_city), Weights.knn(XY[:50], 4), TOWN[:50], 2026)
    with pytest.raises(InputError, match="town"):
        fit(history(gamma_city), NEIGHBOURS, TOWN[:50], 2026)
    with pytest.raises(InputError, match="day"):
        history(gamma_city, years=range(2022, 2025))
    with pytest.raises(InputError, match="year"):
        fit(history(gamma_city), NEIGHBOURS, TOWN, 2090)


# --- St. Louis


def equal_cells(xy: np.ndarray, known: np.ndarray, n: int) -> np.ndarray:
    """Return the cell of every point: the fullest cell of known points is halved at its median, n - 1 times.

    Cut along its longer side. Points of one address stay together.
    """
    cells = [np.arange(len(xy))]
    sizes = [int(known.sum())]
    while len(cells) < n:
        k = int(np.argmax(sizes))
        points = cells[k]
        below = _lower_half(xy[points], known[points])
        if below is None:
            sizes[k] = 0
            continue
        cells[k], other = points[below], points[~below]
        sizes[k] = int(known[cells[k]].sum())
        cells.append(other)
        sizes.append(int(known[other].sum()))
    cell = np.empty(len(xy), dtype=int)
    for k, points in enumerate(cells):
        cell[points] = k
    return cell


def _lower_half(xy: np.ndarray, known: np.ndarray) -> np.ndarray | None:
    inside = xy[known]
    for axis in np.argsort(-np.ptp(inside, axis=0), kind="stable"):
        values = np.sort(inside[:, axis])
        cut = values[(len(values) - 1) // 2]
        if cut == values[-1]:
            cut = values[values < cut].max(initial=-np.inf)
        if np.isfinite(cut):
            return xy[:, axis] <= cut
    return None


@pytest.fixture(scope="module")
def st_louis(shared_data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Place in metres, day and category of 235,972 incidents of 2015 to 2019."""
    table = pacsv.read_csv(shared_data / "stl" / "incidents.csv.gz")
    table = table.filter(pc.and_(pc.equal(table["count"], 1), pc.is_valid(table["lon"])))
    day = table["occurred"].to_numpy().astype("M8[D]")
    kept = (day >= np.datetime64("2015-01-01")) & (day < np.datetime64("2020-01-01"))
    lon, lat = (table[name].to_numpy()[kept] for name in ("lon", "lat"))
    xy = np.stack([lon * 111_320 * np.cos(np.radians(38.63)), lat * 110_540], axis=1)
    names, category = np.unique(table["category"].to_numpy(zero_copy_only=False)[kept], return_inverse=True)
    return xy, day[kept], category, tuple(names.tolist())


@pytest.mark.parametrize("year", [2018, 2019])
def test_st_louis_is_foretold_better_than_by_any_baseline(
    st_louis: tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]], year: int
) -> None:
    xy, day, category, names = st_louis
    seen = day < np.datetime64(f"{year + 1}-01-01")
    xy, day, category = xy[seen], day[seen], category[seen]
    cell = equal_cells(xy, day < np.datetime64(f"{year}-01-01"), 1001)
    size = np.bincount(cell)
    middle = np.stack([np.bincount(cell, xy[:, axis]) / size for axis in (0, 1)], axis=1)
    town = equal_cells(middle, np.ones(1001, dtype=bool), 16)
    everything = History(cell, category, day, 1001, len(names), range(2015, year + 1))
    scored = score_year(everything, Weights.knn(middle, 8), town, names)
    frequent = [each for each in scored if each.n >= 1000]
    found = summary(frequent, by_matters=False)
    best = max(each.pai[1] for each in found.baselines.values())
    assert len(frequent) >= 9
    assert found.lowest_gain > 0.003
    assert found.gain > {2018: 0.05, 2019: 0.065}[year]
    assert found.model.pai[1] > 1.01 * best
    assert found.model.pai[1] > 1.55 * found.baselines["last_year"].pai[1]


def test_in_small_cities_the_model_gains_on_the_best_baseline_on_average() -> None:
    gains = []
    rate = np.where(COLUMN < 2, 9.0, 2.0)
    july = [date(year, 7, 1) for year in YEARS]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        even = around_the_year(rng, rate)
        season = every_year(rng, np.where(TOWN > 1, 3.0, 0.0), july, 31)
        everything = history([even], [season])
        gains.append([each.gain for each in score_year(everything, NEIGHBOURS, TOWN, ("even", "season"))])
    assert np.mean(gains, axis=0).min() > 0.005


def test_a_forecast_by_the_model_is_calibrated_where_the_world_stays_as_it_was() -> None:
    rng = np.random.default_rng(14)
    rate = rng.gamma(1.0, 3.0, AREAS)
    (found,) = expect([around_the_year(rng, rate)])
    coming = rng.poisson(np.outer(rate, LENGTH / 365) * 50) / 50
    parts = scoring.calibration(found.expected, coming)
    assert np.array(parts.observed) == pytest.approx(np.array(parts.expected), rel=0.35, abs=3)

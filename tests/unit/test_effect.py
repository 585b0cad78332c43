"""Whether treating helped, in worlds whose truth is known: chance, the city and a drift are no effect."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from gridmgmt.hotspots.statistics.weights import Weights
from gridmgmt.seasonal.clocks import Span, days_between
from gridmgmt.seasonal.effects.estimate import (
    Change,
    EffectVerdict,
    Reason,
    Units,
    change,
    comparable,
    estimate,
    sides,
    together,
)
from gridmgmt.seasonal.effects.gather import Season, a_year_before, elsewhere, first_done
from gridmgmt.seasonal.effects.learning import OTHERS, learn
from gridmgmt.seasonal.expected import fit
from gridmgmt.seasonal.history import History
from gridmgmt.seasonal.models import Clock
from gridmgmt.seasonal.tasks.models import TaskStatus
from gridmgmt.seasonal.tasks.stored import Treatment

WORLDS, YEARS = 200, 3
CODES = ["990101001001001", "990101001001002", "990101002001001"]


class Worlds:
    """Grids with rates of their own, three years of matters, and a year in which the worst were treated."""

    def __init__(
        self, *, grids: int = 60, mean: float = 4.0, factor: float = 1.0, city: float = 1.0, seed: int = 1
    ) -> None:
        rng = np.random.default_rng(seed)
        rate = rng.gamma(2.0, mean / 2.0, (WORLDS, grids))
        past = rng.poisson(rate[:, None], (WORLDS, YEARS, grids)).astype(float)
        self.last_year = past[:, -1]
        picked = self.last_year + rng.random((WORLDS, grids)) / 2  # equal counts by lot
        self.treated = picked >= np.sort(picked, axis=1)[:, [-grids // 3]]
        self.observed = rng.poisson(rate * city * np.where(self.treated, factor, 1.0)).astype(float)
        # Gamma-Poisson with the shape that moments say, as docs/methods/expected.md does with more around it.
        total = past.sum(axis=1)
        usual, variance = total.mean(axis=1, keepdims=True), total.var(axis=1, ddof=1, keepdims=True)
        shape = usual**2 / np.maximum(variance - usual, usual / 100)
        self.expected = usual / YEARS * (shape + total) / (shape + usual)
        self.shape = shape + total

    def change(self) -> Change:
        return change([sides(self.observed, self.expected, self.shape, self.treated)])

    def year_on_year(self) -> np.ndarray:
        now, last = ((each * self.treated).sum(axis=1) for each in (self.observed, self.last_year))
        result: np.ndarray = now / last - 1.0
        return result


def held(found: Change, truth: float) -> float:
    return float(((found.low <= truth) & (truth <= found.high)).mean())


def test_where_nothing_was_done_the_worst_fall_by_themselves_and_no_effect_is_claimed() -> None:
    worlds = Worlds(mean=2.0)
    found = worlds.change()
    assert worlds.year_on_year().mean() < -0.2
    assert abs(np.nanmean(found.mean)) < 0.04
    assert 0.91 <= held(found, 0.0) <= 0.99  # 95 % give or take 2.6 standard errors of 200 worlds
    assert found.found.mean() <= 0.09
    assert ((found.p < 0.05) == found.found).all()


@pytest.mark.parametrize(("grids", "mean"), [(30, 15.0), (300, 1.2)])
def test_a_third_less_is_found_with_an_interval_that_means_it(grids: int, mean: float) -> None:
    found = Worlds(grids=grids, mean=mean, factor=0.7, seed=2).change()
    assert np.nanmean(found.mean) == pytest.approx(-0.3, abs=0.03)
    assert 0.91 <= held(found, -0.3) <= 0.99
    assert (found.high < 0).mean() > 0.6


def test_a_fall_of_the_whole_city_is_no_effect() -> None:
    worlds = Worlds(city=0.8, seed=3)
    found = worlds.change()
    assert (worlds.observed.sum() / worlds.expected.sum()) == pytest.approx(0.8, abs=0.02)
    assert found.found.mean() <= 0.09
    assert abs(np.nanmean(found.mean)) < 0.04


def test_grids_that_stray_more_than_expected_widen_the_interval() -> None:
    worlds, rng = Worlds(grids=60, mean=15.0, seed=4), np.random.default_rng(5)
    before = worlds.change()
    worlds.observed = rng.poisson(worlds.expected * rng.gamma(5.0, 0.2, worlds.expected.shape)).astype(float)
    after = worlds.change()
    assert np.median(after.error) > 1.4 * np.median(before.error)
    assert held(after, 0.0) >= 0.9


def test_the_expectation_of_the_list_controls_for_the_picking_too() -> None:
    """A category is a world: the worst quarter of 2024 is treated in 2025, to no avail."""
    rng, side, categories = np.random.default_rng(6), 12, 120
    areas = side * side
    row, column = np.divmod(np.arange(areas), side)
    near = Weights.distance_band(np.stack([column, row], axis=1) * 100.0, 150.0)
    counts = rng.poisson(rng.gamma(2.0, 1.0, (categories, areas))[None], (4, categories, areas))
    year, category, area = np.nonzero(counts[:3])
    often = counts[year, category, area]
    start = np.array([f"{each}-06-11" for each in (2022, 2023, 2024)], dtype="datetime64[D]")
    day = np.repeat(start[year], often) + rng.integers(0, 30, often.sum())
    history = History(
        np.repeat(area, often), np.repeat(category, often), day, areas, categories, range(2022, 2025)
    )
    fitted = fit(history, near, row // 3, 2025)
    expected = np.stack([each.over(date(2025, 6, 11), date(2025, 7, 10)) for each in fitted])
    picked = counts[2] + rng.random((categories, areas)) / 2
    treated = picked >= np.sort(picked, axis=1)[:, [-areas // 4]]
    certain = np.stack([each.certain for each in fitted])
    found = change([sides(counts[3].astype(float), expected, certain, treated)])
    assert ((counts[3] * treated).sum() / (counts[2] * treated).sum() - 1) < -0.2
    assert held(found, 0.0) >= 0.9
    assert abs(np.nanmean(found.mean)) < 0.05


# --- one world, in words


def units(*, grids: int = 40, treated: int = 15, factor: float = 1.0, elsewhere: float = 1.0) -> Units:
    """Exactly what is expected, but `factor` and `elsewhere` of it in the treated grids."""
    acted = np.arange(grids) < treated
    expected, other = np.full(grids, 8.0), np.full((5, grids), 2.0)
    return Units(
        treated=acted,
        observed=np.round(expected * np.where(acted, factor, 1.0)),
        expected=expected,
        shape=np.full(grids, 20.0),
        last_year=np.where(acted, 12.0, 7.0),
        elsewhere=other * np.where(acted, elsewhere, 1.0),
        elsewhere_expected=other,
        early=np.arange(5) < 3,
    )


def test_the_effect_is_told_beside_the_figure_that_towns_publish() -> None:
    found = estimate(units(factor=0.625))
    assert (found.verdict, found.reason) == (EffectVerdict.HELPED, None)
    assert found.change is not None
    assert float(found.change.mean) == pytest.approx(-0.375)
    assert found.published == pytest.approx(5 / 12 - 1)
    assert found.placebo is not None
    assert (found.placebo.failed, found.placebo.share) == (False, 0.0)
    assert estimate(units(factor=1.5)).verdict is EffectVerdict.WORSE
    assert estimate(units()).verdict is EffectVerdict.NO_EFFECT_SEEN


def test_groups_that_drift_apart_before_anything_is_done_cannot_be_compared() -> None:
    drifted = estimate(units(factor=0.5, elsewhere=0.5))
    assert (drifted.verdict, drifted.reason) == (EffectVerdict.CANNOT_SAY, Reason.PLACEBO)
    assert drifted.change is not None  # it is still shown
    assert not comparable(drifted)
    # What goes on after the work was done is no drift.
    lasting = units(factor=0.5)
    lasting.elsewhere[3:, lasting.treated] = 0.0
    assert estimate(lasting).verdict is EffectVerdict.HELPED


def test_the_year_they_were_picked_for_stands_out_but_a_fall_before_it_is_a_drift() -> None:
    plain = units(factor=0.625)
    acted, due = plain.treated, (plain.expected, plain.shape)
    picked = replace(plain, before=(np.where(acted, 12.0, 8.0), *due))
    falling = replace(plain, before=(np.where(acted, 4.0, 8.0), *due))
    found = estimate(picked)
    assert found.verdict is EffectVerdict.HELPED
    assert found.placebo is not None
    assert found.placebo.before is not None
    assert float(found.placebo.before.low) > 0
    assert estimate(falling).reason is Reason.PLACEBO


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        (units(treated=0), Reason.NO_TREATED),
        (units(treated=40), Reason.NO_UNTREATED),
        (units(treated=2), Reason.FEW_GRIDS),
        (replace(units(), expected=np.full(40, 0.2)), Reason.FEW_MATTERS),
    ],
)
def test_what_cannot_be_said_is_said(world: Units, reason: Reason) -> None:
    found = estimate(world)
    assert (found.verdict, found.reason) == (EffectVerdict.CANNOT_SAY, reason)
    assert (found.change is None) == (reason in (Reason.NO_TREATED, Reason.NO_UNTREATED))


def test_before_the_window_is_over_nothing_is_compared() -> None:
    found = estimate(units(factor=0.1), over=False)
    assert (found.verdict, found.reason) == (EffectVerdict.CANNOT_SAY, Reason.NOT_OVER)
    assert (found.change, found.published) == (None, None)


def test_no_matter_at_all_in_treated_grids_is_an_effect_with_an_interval() -> None:
    found = estimate(units(factor=0.0)).change
    assert found is not None
    assert float(found.mean) == -1.0
    assert -1.0 < float(found.low) < float(found.high) < -0.8


def test_categories_together_are_the_one_when_there_is_one_and_surer_when_there_are_two() -> None:
    one, alone = estimate(units(factor=0.75)), together([units(factor=0.75)])
    assert one.change is not None
    assert alone.change is not None
    assert float(alone.change.low) == pytest.approx(float(one.change.low))
    assert alone.published == one.published
    both = together([units(factor=0.75), units(factor=0.75)])
    assert both.change is not None
    assert float(both.change.mean) == pytest.approx(-0.25)
    assert float(both.change.error) == pytest.approx(float(one.change.error) / np.sqrt(2), rel=0.05)
    town = together([units(factor=0.75)], [np.arange(40) < 5])
    assert (town.treated.n, town.untreated.n) == (5, 25)
    assert together([]).reason is Reason.NO_TREATED


def test_next_year_counts_on_what_categories_share_where_their_own_evidence_is_thin() -> None:
    def effect(log: float, error: float) -> Change:
        return Change(*(np.nan,) * 4, log=np.float64(log), error=np.float64(error))

    sure = {f"{n}": effect(np.log(0.7), 0.05) for n in range(4)}
    learnt = learn(sure | {"thin": effect(np.log(1.2), 0.5), "other": effect(np.log(1.2), 0.05)})
    assert learnt["0"].mean == pytest.approx(-0.3, abs=0.02)
    assert learnt["other"].mean == pytest.approx(0.2, abs=0.05)  # much evidence is believed
    assert -0.3 < learnt["thin"].mean < 0.05  # little is drawn to the rest
    assert learnt[OTHERS].low < learnt["0"].low
    assert learnt[OTHERS].high > learnt["0"].high
    nothing = learn({})[OTHERS]
    assert nothing.mean == pytest.approx(0.0)
    assert nothing.low < -0.5


# --- which grids, which days


def season(*windows: tuple[date, date], clock: Clock = Clock.GREGORIAN) -> Season:
    spans = tuple(Span(*each) for each in windows)
    return Season("0102", clock, spans, np.ones((len(spans), len(CODES)), dtype=bool))


def test_a_grid_is_treated_by_a_task_of_its_own_or_of_what_it_lies_in_done_in_time() -> None:
    july = date(2025, 7, 1), date(2025, 7, 31)

    def done(area: str, day: date | None, category: str = "0102") -> Treatment:
        status = TaskStatus.DONE if day else TaskStatus.OPEN
        return Treatment("", area, category, *july, day, status)

    tasks = [
        done(CODES[0][:9], date(2025, 7, 10)),
        done(CODES[0], date(2025, 6, 20)),
        done(CODES[2], None),
        done(CODES[2], date(2025, 6, 20), "0101"),
    ]
    found = first_done(season(july), tasks, CODES)[0]
    assert found.tolist() == [date(2025, 6, 20), date(2025, 7, 10), None]
    late = first_done(season(july), [done(CODES[0][:6], date(2025, 7, 31))], CODES)
    assert np.isnat(late).all()  # the window was over: nothing could be spared


def test_placebo_windows_are_as_long_and_touch_no_window_of_the_season() -> None:
    windows = [Span(date(2025, 3, 1), date(2025, 3, 20)), Span(date(2025, 9, 1), date(2025, 9, 10))]
    found = elsewhere(windows, 2025, date(2025, 11, 30))
    days = np.concatenate([days_between(each.start, each.end) for each in found])
    assert len(days) == len(np.unique(days)) == 20 * len(found)
    assert not any(np.isin(days, days_between(each.start, each.end)).any() for each in windows)
    assert days.min() == np.datetime64("2025-01-01")
    assert days.max() <= np.datetime64("2025-11-30")


def test_the_window_of_the_year_before_follows_its_clock() -> None:
    # Spring Festival on 29 January 2025 and on 10 February 2024.
    wages = Span(date(2025, 1, 1), date(2025, 1, 28))
    assert a_year_before(wages, Clock.LUNAR) == Span(date(2024, 1, 13), date(2024, 2, 9))
    assert a_year_before(wages, Clock.GREGORIAN) == Span(date(2024, 1, 1), date(2024, 1, 28))
    assert a_year_before(Span(date(2024, 2, 20), date(2024, 2, 29)), Clock.SOLAR_TERM).end == date(
        2023, 2, 28
    )

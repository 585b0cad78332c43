"""Expected matters of a year in every area, 旬 and category: arrays in, frozen results out.

    expected = rate of the area x share of the 旬 in the area's season x what town and cell add of their own

Each factor is a count held against what was expected without it, so that little evidence changes little.
How much, and whether a factor is used at all, is what predicted the last years best from those before.

Method and limits: docs/methods/expected.md
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gridmgmt.errors import InputError, NotEnoughDataError
from gridmgmt.hotspots.statistics.kernels import FloatArray, IntArray, in_blocks
from gridmgmt.hotspots.statistics.weights import Weights
from gridmgmt.seasonal import city_season
from gridmgmt.seasonal.amplitude import SeasonCurve
from gridmgmt.seasonal.forecast import BEFOREHAND, DECAYS, Choices, Expected
from gridmgmt.seasonal.history import History
from gridmgmt.seasonal.models import Clock
from gridmgmt.seasonal.shrinkage import Ground, Rates, Yearly

MIN_YEARS = 2
SAME_MIX = 100.0  # matters that hold for the shares beforehand
# What is tried beside the plainest, in this order: how far amplitudes of towns stray from the city, and those
# of areas from their town; the matters that hold against what a cell has seen before.
OPTIONS = {
    "town_spread": (0.15, 0.4, 1.0),
    "area_spread": (0.15, 0.4, 1.0),
    "cell_stiffness": (100.0, 30.0, 10.0),
}
PAYS = 2.0  # nats by which a choice must predict better than the plainer one: odds of seven to one
OF_A_SEASON = ("town_spread", "area_spread")  # of no use where the city has none
FOLDS = 2  # years that are predicted from those before them, the last ones
MIN_MATTERS = 30  # fewer say nothing about amplitudes or cells
_TURNS = 100
_BLOCK = 4


def fit(
    history: History, neighbours: Weights, town: IntArray, target: int, only: Sequence[int] | None = None
) -> list[Expected]:
    """Return what is to be expected in the year `target`, one result a category.

    A category without any matter gets half a matter in all the years together, spread like all others.
    The result depends neither on the order of the rows nor on the number of threads.

    Parameters
    ----------
    history : matters of two or more whole years before the target
    neighbours : n areas
    town : index of each area's town, shape (n,)
    target : a Gregorian year that the calendar knows
    only : the categories that are wanted, in this order; the others are still looked at as surroundings

    Raises
    ------
    NotEnoughDataError
        When there are fewer than two years, or no matters at all.
    InputError
        When sizes do not fit, or a year is outside the calendar.
    """
    if len(history.years) < MIN_YEARS:
        raise NotEnoughDataError("years", len(history.years), f"at least {MIN_YEARS}")
    if not history.area.size:
        raise NotEnoughDataError("matters", 0, "at least one")
    if neighbours.n != history.n_areas:
        raise InputError("neighbours", f"{neighbours.n} areas", f"{history.n_areas} areas")
    fitter = _Fitter(history, Ground(neighbours, town), target)
    wanted = range(history.n_categories) if only is None else only
    results: list[Expected | None] = [None] * len(wanted)

    def work(first: int, last: int) -> None:
        for row in range(first, last):
            results[row] = fitter.fit(wanted[row])

    in_blocks(work, len(wanted), _BLOCK)
    return [result for result in results if result is not None]


@dataclass(frozen=True, eq=False)
class _Origin:
    """A point in time: the first `known` years are known, the next one is to be predicted."""

    known: int
    yearly: tuple[Yearly, ...]  # by decay

    def rates(self, category: int, starts: Sequence[Rates] | None = None) -> list[Rates]:
        """Return the rates under every decay; `starts` are those from another origin, to be quick."""
        found: list[Rates] = []
        for row, yearly in enumerate(self.yearly):
            near = starts[row] if starts else found[-1] if found else None
            found.append(yearly.rates(category, near.beta if near else None))
        return found


@dataclass(frozen=True, eq=False)
class _Case:
    """One category seen from one origin: what the choices are tried on."""

    weights: FloatArray  # of the known years
    counts: FloatArray  # (known, areas, 36)
    curve: SeasonCurve  # over the known years
    coming: SeasonCurve  # over the year to predict
    rate: FloatArray  # matters a year of each area
    profile: FloatArray  # matters a day in each bin of the season's clock, over their mean


class _Fitter:
    def __init__(self, history: History, ground: Ground, target: int) -> None:
        self.history, self.ground, self.target = history, ground, target
        years, coming = history.years, range(target, target + 1)
        self.days = {
            clock: np.concatenate([city_season.overlaps(clock, years), city_season.overlaps(clock, coming)])
            for clock in Clock
        }
        self.by_clock = {clock: history.by_clock(clock) for clock in Clock}
        known_days = {clock: days[:-1] for clock, days in self.days.items()}
        self.seasons = city_season.choose(self.by_clock, known_days)
        n = len(years)
        self.now = self._origin(n)
        self.folds = [self._origin(known) for known in range(max(1, n - FOLDS), n)]

    def _origin(self, known: int) -> _Origin:
        counts = self.history.yearly[:known]
        return _Origin(known, tuple(Yearly(counts, _weights(decay, known), self.ground) for decay in DECAYS))

    def fit(self, category: int) -> Expected:
        cube = self.history.cube(category)
        choices, season = Choices(), self.seasons[category]
        near: list[Rates] | None = None
        if cube.sum() >= MIN_MATTERS:
            past = [fold.rates(category) for fold in self.folds]
            held = [cube[fold.known] for fold in self.folds]
            choices = Choices(_mix(past, held))
            tried = [
                (self._case(category, cube, fold, rates, choices), coming)
                for fold, rates, coming in zip(self.folds, past, held, strict=True)
            ]
            choices = _choose(choices, tried, self.ground, season.seasonal)
            near = past[-1]
        rates = self.now.rates(category, near)
        case = self._case(category, cube, self.now, rates, choices)
        seen = [yearly.counts[category] for yearly in self.now.yearly]
        certain = choices.mix @ np.stack([each.shape + own for each, own in zip(rates, seen, strict=True)])
        return Expected(
            target=self.target,
            expected=predicted(case, choices, self.ground),
            certain=certain,
            between=between_years(cube.sum(axis=(1, 2))),
            season=season,
            profile=case.profile,
            amplitude=_amplitudes(case, choices, self.ground),
            choices=choices,
        )

    def _case(
        self, category: int, cube: FloatArray, origin: _Origin, rates: list[Rates], choices: Choices
    ) -> _Case:
        season, known = self.seasons[category], origin.known
        days, counts = self.days[season.clock], self.by_clock[season.clock][:known, category]
        rate = city_season.profiles(
            counts.sum(axis=0)[None], days[:known].sum(axis=(0, 1)), season.harmonics, season.stiffness
        )[0]
        of_bin = days.sum(axis=2)
        intensity = days @ rate / of_bin
        return _Case(
            weights=choices.mix @ np.stack([_weights(decay, known) for decay in DECAYS]),
            counts=cube[:known],
            curve=SeasonCurve(intensity[:known], of_bin[:known]),
            coming=SeasonCurve(intensity[known : known + 1], of_bin[known : known + 1]),
            rate=choices.mix @ np.stack([each.rate for each in rates]),
            profile=rate,
        )


def _mix(past: list[list[Rates]], held: list[FloatArray]) -> tuple[float, ...]:
    """Return the shares of the decays that best predict in which areas the held years' matters fell.

    A mixture by expectation-maximisation, drawn towards the shares beforehand: a few years can hardly tell
    decays apart, and a mean of forecasts is seldom worse than the one that looked best.
    """
    shares = np.concatenate([np.stack([each.rate / each.rate.sum() for each in rates]) for rates in past], 1)
    matters = np.concatenate([coming.sum(axis=1) for coming in held])
    before = np.array(BEFOREHAND)
    mix = before
    for _ in range(_TURNS):
        mixed = mix[:, None] * shares
        earned = (mixed * (matters / mixed.sum(axis=0))).sum(axis=1)
        mix = (SAME_MIX * before + earned) / (SAME_MIX + matters.sum())
    return tuple(mix.tolist())


def _weights(decay: float, years: int) -> FloatArray:
    weights: FloatArray = decay ** np.arange(years - 1, -1, -1.0)
    return weights


def between_years(totals: FloatArray) -> float:
    """Return the variance of yearly totals beyond Poisson, relative to the square of their mean."""
    mean = totals.mean()
    return max(0.0, float(totals.var(ddof=1) - mean) / float(mean) ** 2) if mean > 0 else 0.0


def _choose(
    choices: Choices, tried: list[tuple[_Case, FloatArray]], ground: Ground, seasonal: bool
) -> Choices:
    """Take up one choice after the other, each only when it predicts the held years clearly better."""
    highest = _score(choices, tried, ground)
    for name, values in OPTIONS.items():
        if name in OF_A_SEASON and not seasonal:
            continue
        changes: list[dict[str, Any]] = [{name: value} for value in values]
        options = [replace(choices, **change) for change in changes]
        scores = [_score(option, tried, ground) for option in options]
        best = int(np.argmax(scores))
        if scores[best] > highest + PAYS:
            choices, highest = options[best], scores[best]
    return choices


def _score(choices: Choices, tried: list[tuple[_Case, FloatArray]], ground: Ground) -> float:
    """Log-likelihood of the cells in which the held years' matters fell."""
    score = 0.0
    for case, held in tried:
        forecast = predicted(case, choices, ground)
        area, bin_ = np.nonzero(held)
        score += float((held[area, bin_] * np.log(forecast[area, bin_] / forecast.sum())).sum())
    return score


def predicted(case: _Case, choices: Choices, ground: Ground) -> FloatArray:
    """Return the expected matters of the coming year, shape (areas, 36)."""
    amplitude = _amplitudes(case, choices, ground)
    # A season of the moon may fall once, twice or not at all into a calendar year: rates are of a mean year.
    rate = case.rate * len(case.weights) / np.exp(case.curve.log_total(amplitude))
    expected = rate[:, None] * case.coming.mass(0, amplitude)
    if not np.isfinite(choices.cell_stiffness):
        return expected
    found = np.tensordot(case.weights, case.counts, 1)
    mass = sum(weight * case.curve.mass(year, amplitude) for year, weight in enumerate(case.weights))
    fitted = rate[:, None] * mass
    stiffness = choices.cell_stiffness
    return expected * (stiffness + _neighbouring(found)) / (stiffness + _neighbouring(fitted))


def _amplitudes(case: _Case, choices: Choices, ground: Ground) -> FloatArray:
    amplitude = np.ones(case.counts.shape[1])
    if not (choices.town_spread or choices.area_spread):
        return amplitude
    matters = case.counts.sum(axis=(0, 2))
    sum_log = np.einsum("yab,yb->a", case.counts, case.curve.log)
    if choices.town_spread:
        rows = ground.towns
        centre = np.ones(rows.shape[0])
        of_town = case.curve.amplitudes(rows @ matters, rows @ sum_log, centre, choices.town_spread)
        amplitude = of_town[ground.town]
    if choices.area_spread:
        amplitude = case.curve.amplitudes(matters, sum_log, amplitude, choices.area_spread)
    return amplitude


def _neighbouring(table: FloatArray) -> FloatArray:
    """A quarter of the bin before, half of itself, a quarter of the one after; the year is a circle."""
    smoothed: FloatArray = 0.5 * table + 0.25 * (np.roll(table, 1, axis=1) + np.roll(table, -1, axis=1))
    return smoothed

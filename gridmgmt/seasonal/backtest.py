"""How well would the expected matters have foretold a year that is now known? Reads matters, fits, scores.

Only matters of the years before the test year are fitted; it writes nothing.

Definitions: docs/methods/backtest.md
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
from sqlalchemy import Connection

from gridmgmt.errors import InputError, NotEnoughDataError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.hotspots.cube import locate, neighbours
from gridmgmt.hotspots.statistics.kernels import FloatArray, in_blocks
from gridmgmt.hotspots.statistics.weights import Weights
from gridmgmt.incidents import service as incidents
from gridmgmt.seasonal import clocks, scoring
from gridmgmt.seasonal.baselines import NAMES, baselines
from gridmgmt.seasonal.expected import fit
from gridmgmt.seasonal.forecast import Expected
from gridmgmt.seasonal.history import XUN, History, history_of
from gridmgmt.seasonal.models import Clock
from gridmgmt.seasonal.scoring import Calibration, Scores
from gridmgmt.seasonal.service import full_years

LEVELS = ("grid", "village", "town")
FREQUENT = 1000  # test matters from which a category's scores are more than noise
_BLOCK = 4


@dataclass(frozen=True)
class Scored:
    """One category: what was expected and how it compares with what anybody would have forecast.

    Attributes
    ----------
    n, expected : matters of the test year, found and expected
    clock, seasonal : the year that it follows, and whether a season predicted better than none
    model, baselines, calibration : None when there was nothing to score; `note` then says why
    """

    category: str
    n: int
    expected: float
    clock: Clock
    seasonal: bool
    model: Scores | None = None
    baselines: dict[str, Scores] | None = None
    calibration: Calibration | None = None
    note: str | None = None

    @property
    def best_baseline(self) -> str | None:
        """The name of the baseline with the highest log score."""
        scores = self.baselines
        return max(scores, key=lambda name: scores[name].log_score) if scores else None

    @property
    def gain(self) -> float | None:
        """Log score of the model less that of the best baseline."""
        if self.model is None or not self.baselines:
            return None
        return self.model.log_score - max(each.log_score for each in self.baselines.values())


@dataclass(frozen=True)
class Overall:
    """Means over categories: each matter counting alike, or each category.

    `gain` is the mean of the gains in log score over each category's best baseline, `lowest_gain` the worst.
    """

    categories: int
    n: int
    model: Scores
    baselines: dict[str, Scores]
    gain: float
    lowest_gain: float


@dataclass(frozen=True)
class Backtest:
    """What a backtest found; `overall` weighs by matters, `frequent` counts each frequent category alike."""

    test_year: int
    level: str
    years: tuple[int, int]  # first and last year that was fitted
    areas: int
    without_place: int  # matters of the test year that lie in no grid; they are not scored
    categories: tuple[Scored, ...]
    overall: Overall
    frequent: Overall | None
    calibration: Calibration


def run(connection: Connection, year: int, *, level: str = "grid") -> Backtest:
    """Fit the years before `year`, score the forecast of it and return the result.

    Raises
    ------
    InputError
        When the year is outside the calendar or the level is none of grid, village and town.
    NotEnoughDataError
        When there are fewer than two full years before it, or it is not known to its end.
    SetupError
        When there are no grids.
    """
    if level not in LEVELS:
        raise InputError("level", level, " | ".join(LEVELS))
    first = _first_year(connection, year)
    located = locate(connection, date(first, 1, 1), date(year, 12, 31))
    codes = located.areas(level)[0]
    everything = history_of(located, level, range(first, year + 1))
    near = neighbours(connection, located, level, codes)
    wider = DIGITS["county" if level == "town" else "town"]
    town = np.unique([code[:wider] for code in codes], return_inverse=True)[1]
    scored = score_year(everything, near, town, located.categories)
    if not any(each.model for each in scored):
        raise NotEnoughDataError(f"matters of {year} with a place in a grid", 0, "at least one")
    known = {each.category for each in scored}
    never = [
        Scored(code, 0, 0.0, Clock.GREGORIAN, seasonal=False, note="no matters in any year")
        for code in incidents.categories(connection).leaves()
        if code not in known
    ]
    often = [each for each in scored if each.n >= FREQUENT]
    return Backtest(
        test_year=year,
        level=level,
        years=(first, year - 1),
        areas=len(codes),
        without_place=int(((located.grid < 0) & (located.day >= np.datetime64(f"{year}-01-01"))).sum()),
        categories=tuple(sorted([*scored, *never], key=lambda each: each.category)),
        overall=summary(scored, by_matters=True),
        frequent=summary(often, by_matters=False) if often else None,
        calibration=_together([each.calibration for each in scored if each.calibration]),
    )


def score_year(
    everything: History, near: Weights, town: np.ndarray, categories: tuple[str, ...]
) -> list[Scored]:
    """Fit all years but the last of a history and score each category's forecast of the last."""
    year = everything.years.stop - 1
    found = fit(everything.before(year), near, town, year)
    spans = [clocks.bin_days(Clock.GREGORIAN, year, bin_) for bin_ in range(XUN)]
    days = np.array([(span.end - span.start).days + 1.0 for span in spans])
    results: list[Scored | None] = [None] * len(categories)

    def work(first: int, last: int) -> None:
        for row in range(first, last):
            results[row] = _scored(categories[row], found[row], everything.cube(row), days)

    in_blocks(work, len(categories), _BLOCK)
    return [each for each in results if each is not None]


def _scored(category: str, found: Expected, cube: FloatArray, days: FloatArray) -> Scored:
    past, observed = cube[:-1], cube[-1]
    n = int(observed.sum())
    head = (category, n, float(found.expected.sum()), found.season.clock, found.season.seasonal)
    if not n:
        return Scored(*head, note="no matters in the test year")
    return Scored(
        *head,
        model=scoring.score(found.expected, observed),
        baselines={name: scoring.score(each, observed) for name, each in baselines(past, days).items()},
        calibration=scoring.calibration(found.expected, observed),
        note=None if past.any() else "no matters before the test year",
    )


def summary(scored: list[Scored], *, by_matters: bool) -> Overall:
    """Return means over the categories that could be scored."""
    rows = [(each, each.model, each.baselines) for each in scored if each.model and each.baselines]
    weights = np.array([each.n if by_matters else 1 for each, _, _ in rows], dtype=float)
    weights /= weights.sum()
    gains = np.array([each.gain for each, _, _ in rows], dtype=float)
    return Overall(
        categories=len(rows),
        n=sum(each.n for each, _, _ in rows),
        model=_mean([model for _, model, _ in rows], weights),
        baselines={name: _mean([by_name[name] for _, _, by_name in rows], weights) for name in NAMES},
        gain=float(weights @ gains),
        lowest_gain=float(gains.min()),
    )


def _mean(scores: list[Scores], weights: FloatArray) -> Scores:
    def across(name: str) -> tuple[float, ...]:
        return tuple((weights @ np.array([getattr(each, name) for each in scores])).tolist())

    log = float(weights @ np.array([each.log_score for each in scores]))
    return Scores(log, across("hit"), across("pai"), across("pei"))


def _together(parts: list[Calibration]) -> Calibration:
    """Return the sums over categories, tenth by tenth."""
    expected = np.sum([each.expected for each in parts], axis=0)
    observed = np.sum([each.observed for each in parts], axis=0)
    return Calibration(tuple(expected.tolist()), tuple(observed.tolist()))


def _first_year(connection: Connection, year: int) -> int:
    """Return the first full year of matters, when the test year is known to its end."""
    first = full_years(connection, year)[0].year
    known = incidents.period(connection)
    if known is None or known[1] < date(year, 12, 1):
        last = "none" if known is None else f"the last on {known[1]}"
        raise NotEnoughDataError(f"matters of {year}", last, "matters of the whole year")
    return first

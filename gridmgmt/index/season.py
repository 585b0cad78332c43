"""Scores with the season taken out, so that a month can be compared with the one before.

What is usual for a calendar month is fitted to the mean of all units, beside a trend and a step wherever a
new tree came into force; it is taken for real only when chance hardly makes such a pattern. Each unit's own
departure from it is drawn towards it, the more the less its months say.

Source: Efron & Morris, "Data analysis using Stein's estimator and its generalizations", JASA 70 (1975);
docs/methods/index.md has the model, what it assumes and how well it finds a season that is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy import stats

from gridmgmt.index.periods import months_before
from gridmgmt.index.scoring import Floats
from gridmgmt.index.stored import Board

FEWEST = 24
ALPHA = 0.05
YEAR = 12
ROUNDING = 1e-9


@dataclass(frozen=True)
class Season:
    """Scores (months, units) as if every month were an ordinary one, in points.

    `effect` (12,) is what January to December do to the mean of the units, `own` (12, units) what they do to
    each unit beyond that; both sum to zero over the year, and are zero where no season was found.
    `year_before` (months, units) is the raw change against the same month of the year before, NaN without
    one. With `enough` false nothing was fitted, `adjusted` are the scores as they are, and `why` says why;
    otherwise `why` says whether a season was found.
    """

    months: list[date]
    adjusted: Floats
    effect: Floats
    enough: bool
    why: str
    own: Floats
    year_before: Floats


def adjust(boards: Sequence[Board]) -> Season:
    """Return the scores of some months of one level with the season taken out.

    It takes 24 months at least, in which every calendar month comes twice, and a unit that has a score in
    each of them; units without one follow the others. Where there are enough without it, the newest month
    has no say: a fall in it is not taken for the season.
    """
    boards = sorted(boards, key=lambda board: board.month)
    months = [board.month for board in boards]
    units = len(boards[0].units) if boards else 0
    scores = np.array([board.scored.total for board in boards]).reshape(len(boards), units)
    fit = _fit(boards[:-1], scores[:-1])
    if not fit.enough:
        fit = _fit(boards, scores)
    usual = (fit.effect[:, None] + fit.own)[[month.month - 1 for month in months]]
    year_before = _year_before(months, scores)
    return Season(months, scores - usual, fit.effect, fit.enough, fit.why, fit.own, year_before)


@dataclass(frozen=True)
class _Fit:
    effect: Floats
    own: Floats
    enough: bool
    why: str


def _fit(boards: Sequence[Board], scores: Floats) -> _Fit:
    rest, season = _rest(boards), _season(boards)
    lacking = _lacking(boards, scores, rest, season)
    if lacking:
        return _Fit(np.zeros(YEAR), np.zeros((YEAR, scores.shape[1])), False, lacking)
    return _fitted(scores, rest, season)


def _lacking(boards: Sequence[Board], scores: Floats, rest: Floats, season: Floats) -> str:
    """Return why no season can be fitted; '' when it can."""
    if len(boards) < FEWEST:
        return f"只有{len(boards)}个月的得分，满{FEWEST}个月才能剔除季节影响"
    if min(np.bincount([board.month.month for board in boards], minlength=YEAR + 1)[1:]) < 2:
        return "得分未覆盖两个完整年度，不能剔除季节影响"
    if not np.isfinite(scores).all(axis=0).any():
        return "没有一个单位各月都有得分，不能剔除季节影响"
    both = np.linalg.matrix_rank(np.hstack([rest, season]))
    if both < np.linalg.matrix_rank(rest) + YEAR - 1 or both >= len(boards):
        return "指标体系更换过于频繁，不能剔除季节影响"
    return ""


# --- the model: scores = level, trend and steps (`rest`) + season + chance


def _rest(boards: Sequence[Board]) -> Floats:
    """Return columns (months, …) of a level, a line that bends once a year, a step for each new tree."""
    if not boards:
        return np.zeros((0, 1))
    first = boards[0].month
    at = np.array(
        [(each.month.year - first.year) * YEAR + each.month.month - first.month for each in boards], float
    )
    # A bend needs some months behind it, or it would be of the newest ones alone.
    bends = [np.maximum(at - knot, 0) for knot in range(YEAR, int(at[-1]) - YEAR // 2, YEAR)]
    versions = [board.version.id for board in boards]
    steps = [
        (np.arange(len(boards)) >= n).astype(float)
        for n in range(1, len(boards))
        if versions[n] != versions[n - 1]
    ]
    return np.column_stack([np.ones(len(boards)), at / YEAR, *(bend / YEAR for bend in bends), *steps])


def _season(boards: Sequence[Board]) -> Floats:
    """Return columns (months, 11) for effects of January to November; December's is less their sum."""
    return _contrasts()[[board.month.month - 1 for board in boards]]


def _contrasts() -> Floats:
    return np.vstack([np.eye(YEAR - 1), -np.ones(YEAR - 1)])


def _fitted(scores: Floats, rest: Floats, season: Floats) -> _Fit:
    """Return the effects of the months on all units, and on each beyond that."""
    whole = np.isfinite(scores).all(axis=0)
    known = scores[:, whole]
    city = known.mean(axis=1, keepdims=True)
    raw, noise, p = _effects(city, rest, season)
    own = np.zeros((YEAR, scores.shape[1]))
    if p[0] > ALPHA:
        return _Fit(np.zeros(YEAR), own, True, "没有发现高于偶然的季节规律，得分未作调整")
    departures, chance, _ = _effects(known - city, rest, season)
    # How much units differ for real: what their effects vary by, less what chance makes them vary by.
    real = max(0.0, float((departures.var(axis=0) - chance).mean()))
    own[:, whole] = departures * real / (real + chance)
    drawn = max(0.0, 1 - float(noise[0] / raw.var()))
    return _Fit(raw[:, 0] * drawn, own, True, "已剔除季节影响")


def _effects(series: Floats, rest: Floats, season: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the least-squares effects (12, k) of the months on series (months, k).

    Beside them, by series, the variance that chance alone gives them (mean over the months) and the chance
    (p of the F test) of a pattern as strong without a season.
    """
    design = np.hstack([rest, season])
    found, *_ = np.linalg.lstsq(design, series, rcond=None)
    effects = _contrasts() @ found[rest.shape[1] :]
    free = len(series) - np.linalg.matrix_rank(design)
    # Scores without any chance in them still have rounding errors.
    left = ((series - design @ found) ** 2).sum(axis=0) + len(series) * ROUNDING**2
    plain = ((series - rest @ np.linalg.lstsq(rest, series, rcond=None)[0]) ** 2).sum(axis=0)
    cover = _contrasts() @ np.linalg.pinv(design)[rest.shape[1] :]
    noise = left / free * (cover**2).sum() / YEAR
    ratio = np.maximum(plain - left, 0) / left * free / (YEAR - 1)
    return effects, noise, stats.f.sf(ratio, YEAR - 1, free)


def _year_before(months: Sequence[date], scores: Floats) -> Floats:
    """Return the change (months, units) against the same month of the year before."""
    row = {month: n for n, month in enumerate(months)}
    nothing = np.full(scores.shape[1], np.nan)
    before = [
        scores[row[each]] if each in row else nothing for each in (months_before(m, YEAR) for m in months)
    ]
    return scores - np.array(before).reshape(scores.shape)

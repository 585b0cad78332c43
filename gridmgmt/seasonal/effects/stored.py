"""Reads what treating beforehand did, and what next year's list may count on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from gridmgmt.grids import service as grids
from gridmgmt.incidents import service as incidents
from gridmgmt.seasonal.effects.estimate import EffectVerdict, Reason
from gridmgmt.seasonal.effects.learning import OTHERS
from gridmgmt.seasonal.effects.models import SeasonalEffect
from gridmgmt.seasonal.tasks import stored as tasks

CITY = "city"  # the scope of what is not one town's
ALL_NAME = "各类合计"
VERDICT_NAMES = {
    EffectVerdict.HELPED: "有效",
    EffectVerdict.NO_EFFECT_SEEN: "看不出效果",
    EffectVerdict.WORSE: "反而更多",
    EffectVerdict.CANNOT_SAY: "不能下结论",
}
REASON_NAMES = {
    Reason.NOT_OVER: "窗口还没过完，或诉求还没有导入到窗口结束",
    Reason.NO_TREATED: "清单上的网格没有按时办结的任务",
    Reason.NO_UNTREATED: "清单上的网格都办了，没有可比的网格",
    Reason.FEW_GRIDS: "处理过的或没处理的网格不足 3 个",
    Reason.FEW_MATTERS: "预计的件数太少，差别看不出来",
    Reason.PLACEBO: "没有处理的时段里两组网格也不一样，不可比",
}


@dataclass(frozen=True)
class Effect:
    """What the treatments of a year did in one category (or all: '') in the city or a town.

    Attributes
    ----------
    scope, scope_name : 'city' or a town's code, and what to call it
    start_on, end_on : the window's days in that year; None for all categories together
    known_to : the last day with matters when it was measured
    observed_..., expected_... : matters, and those due without action
    effect, low, high, p : treated over untreated less 1, its 95 % interval; None where it cannot be said
    published : year-on-year change of the treated grids, as towns publish it
    placebo : windows, pooled, before, share, failed; None where nothing was compared
    learnt, learnt_low, learnt_high : what next year may count on
    """

    year: int
    scope: str
    scope_name: str
    category: str
    category_name: str
    start_on: date | None
    end_on: date | None
    known_to: date
    n_treated: int
    n_untreated: int
    observed_treated: float
    expected_treated: float
    observed_untreated: float
    expected_untreated: float
    effect: float | None
    low: float | None
    high: float | None
    p: float | None
    published: float | None
    placebo: dict[str, Any] | None
    learnt: float | None
    learnt_low: float | None
    learnt_high: float | None
    verdict: EffectVerdict
    reason: Reason | None
    measured_at: datetime

    @property
    def verdict_name(self) -> str:
        return VERDICT_NAMES[self.verdict]

    @property
    def reason_name(self) -> str:
        return REASON_NAMES[self.reason] if self.reason else ""

    @property
    def treated_change(self) -> float | None:
        """Observed over expected of the treated, less 1."""
        return _over(self.observed_treated, self.expected_treated)

    @property
    def untreated_change(self) -> float | None:
        return _over(self.observed_untreated, self.expected_untreated)


def _over(observed: float, expected: float) -> float | None:
    return observed / expected - 1.0 if expected > 0 else None


@dataclass(frozen=True)
class Learnt:
    """The change to expect of treating a category, -0.3 being 30 % fewer, with a 95 % interval.

    `year` is the one it was measured in; `n_treated` and `n_untreated` are its grids, 0 in what is to be
    expected of categories that were not measured.
    """

    year: int
    mean: float
    low: float
    high: float
    n_treated: int
    n_untreated: int


def years(connection: Connection) -> list[int]:
    """Return the years that were measured, the latest first."""
    return list(
        connection.scalars(select(SeasonalEffect.year).distinct().order_by(SeasonalEffect.year.desc()))
    )


def effects(connection: Connection, year: int, scopes: Sequence[str] | None = None) -> list[Effect]:
    """Return what was measured of a year: the city first, then towns; in each all together, then categories.

    `scopes` keeps some of 'city' and codes of towns.
    """
    table = SeasonalEffect
    statement = select(table.__table__).where(table.year == year)
    if scopes is not None:
        statement = statement.where(table.scope.in_(scopes))
    rows = connection.execute(statement.order_by(table.scope != CITY, table.scope, table.category)).all()
    if not rows:
        return []
    towns, names = grids.division_names(connection), incidents.categories(connection)
    return [_effect(row._asdict(), towns, names) for row in rows]


def _effect(row: dict[str, Any], towns: dict[str, str], names: incidents.Categories) -> Effect:
    scope, category = row["scope"], row["category"]
    words = {
        "scope_name": "全市" if scope == CITY else towns.get(scope, scope),
        "category_name": names.name(category) if category else ALL_NAME,
        "verdict": EffectVerdict(row["verdict"]),
        "reason": Reason(row["reason"]) if row["reason"] else None,
    }
    return Effect(**(row | words))


def learnt(connection: Connection, before: int) -> dict[str, Learnt]:
    """Return by category what to expect of treating it, from the last year measured before a year.

    Key '' is for every category that is not in it. Empty when nothing was measured.
    """
    table = SeasonalEffect
    last = select(func.max(table.year)).where(table.year < before).scalar_subquery()
    rows = connection.execute(
        select(table.__table__).where(table.year == last, table.scope == CITY, table.learnt.is_not(None))
    ).all()
    return {
        row.category: Learnt(
            year=row.year, mean=row.learnt, low=row.learnt_low, high=row.learnt_high,
            n_treated=0 if row.category == OTHERS else row.n_treated,
            n_untreated=0 if row.category == OTHERS else row.n_untreated,
        )
        for row in rows
    }  # fmt: skip


@dataclass(frozen=True)
class Past:
    """What was done last year about a category in a place, and whether it helped in the city.

    `done` and `asked` count the tasks of the place, of all in it and around it; `effect` is the city's.
    """

    year: int
    asked: int
    done: int
    last_done: date | None
    effect: Effect


def past(connection: Connection, year: int, area: str, category: str) -> Past | None:
    """Return what the year before `year` says of a category, for a place; None when it was not measured."""
    found = [each for each in effects(connection, year - 1, [CITY]) if each.category == category]
    if not found:
        return None
    here = [
        each
        for each in tasks.treatments(connection, year - 1)
        if each.category == category and (each.area.startswith(area) or area.startswith(each.area))
    ]
    days = [each.done_on for each in here if each.done_on is not None]
    return Past(year - 1, len(here), len(days), max(days, default=None), found[0])

"""What was done beforehand in the last year, where, and what it spared: the planted effects of treating."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sample_data.cells import Ints
from sample_data.matters import Days, Matters, Plan, Planted
from sample_data.people import pick, text
from sample_data.taxonomy import Taxonomy
from sample_data.territory import Territory

FACTORS = {  # season: what is left of its matters in a treated grid
    "flooding": 0.65,
    "wages": 0.75,
    "heating-cold": 0.7,
    "property-fee": 0.8,
    "barbecue": 1.0,  # what is done about it does nothing
}
SHARE = 0.35  # of a season's grids that are treated
WORST = 0.7  # of these, the ones that had most in the year before, as practice picks them; the rest by lot
EARLIEST, LATEST = 25, 4  # days before the window in which the work was done
NOTES = ("已提前走访", "已提前排查整改", "已联合部门处理")


@dataclass(frozen=True)
class Treatment:
    """A season that was acted on in some of its grids, with the day of the work in each."""

    planted: Planted
    grids: Ints
    done: Days
    factor: float


def treat(
    plan: Plan, matters: Matters, years: list[int], rng: np.random.Generator
) -> tuple[list[Treatment], NDArray[np.bool_]]:
    """Return what was done in the last year, and which matters are left after it."""
    left = np.ones(len(matters.day), bool)
    done = []
    for planted in plan.seasons:
        factor = FACTORS.get(planted.season.id)
        if factor is None:
            continue
        grids = _chosen(planted, matters, years[-2], rng)
        start = np.datetime64(planted.season.dates(years[-1])[0])
        days = start - rng.integers(LATEST, EARLIEST + 1, len(grids))
        done.append(Treatment(planted, grids, days, factor))
        left &= ~_spared(done[-1], matters, years[-1], rng)
    return done, left


def _chosen(planted: Planted, matters: Matters, year: int, rng: np.random.Generator) -> Ints:
    """Return the grids to treat: most of them those with most matters in the window of a year."""
    count = min(round(SHARE * len(planted.grids)), len(planted.grids) - 1)
    rows = _in_window(planted, planted.grids, matters, year)
    # Equal counts are put in order by lot.
    had = np.bincount(matters.grid[rows], minlength=planted.grids.max() + 1)[planted.grids]
    order = np.argsort(-(had + rng.random(len(had))), kind="stable")
    worst = round(WORST * count)
    by_lot = rng.permutation(order[worst:])[: count - worst]
    return np.sort(planted.grids[np.concatenate([order[:worst], by_lot])])


def _in_window(planted: Planted, grids: Ints, matters: Matters, year: int) -> NDArray[np.bool_]:
    start, _, end = (np.datetime64(day) for day in planted.season.dates(year))
    rows: NDArray[np.bool_] = (matters.category == planted.category) & np.isin(matters.grid, grids)
    return rows & (matters.day >= start) & (matters.day <= end)


def _spared(treatment: Treatment, matters: Matters, year: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return the matters that did not come to be; nobody tells a second time of one of these."""
    inside = np.flatnonzero(_in_window(treatment.planted, treatment.grids, matters, year) & ~matters.repeat)
    gone = inside[rng.random(len(inside)) >= treatment.factor]
    spared = np.zeros(len(matters.day), bool)
    spared[gone] = True
    told = {tuple(place) for place in matters.xy[gone].tolist()}
    later = np.flatnonzero(matters.repeat & (matters.category == treatment.planted.category))
    for row in later[matters.day[later] >= matters.day[inside].min(initial=matters.day[-1])].tolist():
        spared[row] = tuple(matters.xy[row].tolist()) in told
    return spared


def task_table(treatments: list[Treatment], territory: Territory, names: Taxonomy, year: int) -> pa.Table:
    """Return the work done, a row a grid and category, as an office keeps it."""
    grids = np.concatenate([each.grids for each in treatments])
    category = np.repeat([each.planted.category for each in treatments], [len(t.grids) for t in treatments])
    day = np.concatenate([each.done for each in treatments])
    return pa.table(
        {
            "年度": text(np.full(len(grids), year)),
            "区域": pick(territory.grids.codes, grids),
            "类别": pick(names.names, category),
            "办结日期": pa.array(np.datetime_as_string(day, unit="D")),
            "说明": pick(list(NOTES), np.arange(len(grids)) % len(NOTES)),
        }
    )

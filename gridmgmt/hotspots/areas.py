"""Counts, rates and tests of every area and category at once: arrays in, arrays out."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from gridmgmt.hotspots.cube import Located, count
from gridmgmt.hotspots.rates import empirical_bayes
from gridmgmt.hotspots.statistics import getis_ord, significance
from gridmgmt.hotspots.statistics.weights import Weights
from gridmgmt.incidents.service import Categories

ALL = ""  # the column of all categories together
FEWEST_AREAS = 4  # fewer cannot be told apart: nothing is tested, and nothing called hot
FEWEST_MATTERS = 30  # a 小类 with fewer in the whole period is not tested alone, only within its 大类
# A class is the confidence that is left after correction for all tests of the run.
CLASS_LIMITS = ((3, 0.01), (2, 0.05), (1, 0.10))


@dataclass(frozen=True)
class Exposure:
    """What rates of a level's areas are taken over."""

    kind: str  # households | area
    size: np.ndarray  # (n,) thousand households, or km2
    households: np.ndarray | None  # (n,)


def column_counts(
    located: Located, known: Categories, n_areas: int, area_of_grid: np.ndarray, category: str | None
) -> tuple[list[str], np.ndarray]:
    """Return the tested categories and counts[area, column].

    All together comes first, then every 大类 followed by its 小类; with a category, that one and those
    under it.
    """
    area = np.where(located.grid >= 0, area_of_grid[located.grid], -1)
    single = count(area, located.category, n_areas, len(located.categories))
    wanted = {ALL} if category is None else {category}
    inside = set(located.categories) if category is None else known.below(category)
    tops = {known.top(code) for code in inside} if category is None else set()
    frequent = single.sum(axis=0) >= FEWEST_MATTERS
    leaves = {code for code, often in zip(located.categories, frequent, strict=True) if often} & inside

    def order(code: str) -> tuple[str, bool, str]:
        return (code and known.top(code), code not in tops, code)

    columns = sorted(wanted | tops | leaves, key=order)
    rows = np.array(located.categories)
    members = [np.isin(rows, list(known.below(column) if column else known.codes)) for column in columns]
    return columns, single @ np.array(members, dtype=np.int64).T


def assess_areas(
    counts: np.ndarray, exposure: Exposure, neighbours: Weights, years: float, *, permutations: int, seed: int
) -> dict[str, np.ndarray]:
    """Return count, expected, rate, smoothed, z, p, q, gi_class and households, each (areas, categories).

    Rates are a year and a unit of exposure. A column without variation has nothing hot or cold in it: it
    stays out of the test, which its p = 1 says. q counts all areas and categories together.

    p is the larger of two: of Gi* among permuted places, and of the bare counts. The first alone calls
    small grids hot where matters are rare, because their rates jump; the second alone calls a grid hot
    where places differ anyhow. What is hot by both is hot.
    """
    size = exposure.size[:, None]
    rate = np.divide(counts, size * years, out=np.zeros(counts.shape), where=size > 0)
    smoothed = empirical_bayes(counts, exposure.size) / years
    z, p, q = np.full(counts.shape, np.nan), np.ones(counts.shape), np.ones(counts.shape)
    tested = np.ptp(smoothed, axis=0) > 0
    if tested.any() and len(counts) >= FEWEST_AREAS:
        found = getis_ord.gi_star_test(smoothed[:, tested], neighbours, permutations=permutations, seed=seed)
        chance = chance_p(counts[:, tested], exposure.size, neighbours, above=found.z > 0)
        z[:, tested], p[:, tested] = found.z, np.maximum(found.p_tail, chance)
        q[:, tested] = significance.q_values(p[:, tested])
    confidence = np.zeros(counts.shape, dtype=int)
    for step, limit in reversed(CLASS_LIMITS):
        confidence[q <= limit] = step
    table = {
        "count": counts.astype(np.int32),
        "expected": size / size.sum() * counts.sum(axis=0),
        "rate": rate,
        "smoothed": smoothed,
        "z": z,
        "p": p,
        "q": q,
        "gi_class": (confidence * np.sign(np.nan_to_num(z))).astype(np.int32),
    }
    if exposure.households is not None:
        table["households"] = np.broadcast_to(exposure.households[:, None], counts.shape).astype(np.int32)
    return table


def chance_p(counts: np.ndarray, exposure: np.ndarray, neighbours: Weights, above: np.ndarray) -> np.ndarray:
    """Return the two-sided p of the matters in each area and around it, given the city's total.

    Were the rate the same everywhere, they would be binomial: the total, and the share of the exposure.

    Parameters
    ----------
    counts : ndarray, shape (n, m)
    exposure : ndarray, shape (n,)
    neighbours : Weights, n cells, each with itself
    above : ndarray of bool, shape (n, m)
        Which tail is meant.
    """
    around = neighbours.sparse != 0
    found = np.rint(around @ counts)
    share = np.minimum(around @ exposure / exposure.sum(), 1.0)[:, None]
    total = counts.sum(axis=0)
    tail = np.where(above, stats.binom.sf(found - 1, total, share), stats.binom.cdf(found, total, share))
    return np.minimum(2 * tail, 1.0)

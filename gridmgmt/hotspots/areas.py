"""Counts, rates and tests of every area and category at once: arrays in, arrays out."""

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, bdtrc

from gridmgmt.errors import NotFoundError
from gridmgmt.hotspots.cube import Located
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


@dataclass(frozen=True)
class Columns:
    """The tested categories: all together first, then every 大类 followed by its 小类."""

    codes: tuple[str, ...]
    members: np.ndarray  # (columns, categories of the matters) bool: which of them a column counts

    def sums(self, single: np.ndarray) -> np.ndarray:
        """Return counts[..., column] from counts[..., category]."""
        return single @ self.members.T.astype(np.int64)


def tested_columns(located: Located, known: Categories, category: str | None) -> Columns:
    """Return what a run tests: everything that is frequent enough, or one category and those under it.

    Raises NotFoundError for a category that is not in the code list.
    """
    if category is not None and category not in known.codes:
        raise NotFoundError(f"there is no category {category!r} in the code list")
    wanted = {ALL} if category is None else {category}
    inside = set(located.categories) if category is None else known.below(category)
    tops = {known.top(code) for code in inside} if category is None else set()
    placed = located.category[located.grid >= 0]
    frequent = np.bincount(placed, minlength=len(located.categories)) >= FEWEST_MATTERS
    leaves = {code for code, often in zip(located.categories, frequent, strict=True) if often} & inside

    def order(code: str) -> tuple[str, bool, str]:
        return (code and known.top(code), code not in tops, code)

    codes = tuple(sorted(wanted | tops | leaves, key=order))
    rows = np.array(located.categories)
    members = [np.isin(rows, list(known.below(code) if code else known.codes)) for code in codes]
    return Columns(codes, np.array(members, dtype=bool).reshape(len(codes), len(rows)))


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
    z, p = np.full(counts.shape, np.nan), np.ones(counts.shape)
    tested = testable(smoothed)
    if tested.any():
        found = getis_ord.gi_star_test(smoothed[:, tested], neighbours, permutations=permutations, seed=seed)
        chance = chance_p(counts[:, tested], exposure.size, neighbours, above=found.z > 0)
        z[:, tested], p[:, tested] = found.z, np.maximum(found.p_tail, chance)
    q, classes = corrected(z, p, tested)
    table = {
        "count": counts.astype(np.int32),
        "expected": size / size.sum() * counts.sum(axis=0),
        "rate": rate,
        "smoothed": smoothed,
        "z": z,
        "p": p,
        "q": q,
        "gi_class": classes,
    }
    if exposure.households is not None:
        table["households"] = np.broadcast_to(exposure.households[:, None], counts.shape).astype(np.int32)
    return table


def testable(smoothed: np.ndarray) -> np.ndarray:
    """Return which columns of smoothed rates (areas, categories) can have anything hot or cold in them."""
    return (np.ptp(smoothed, axis=0) > 0) & (len(smoothed) >= FEWEST_AREAS)


def corrected(z: np.ndarray, p: np.ndarray, tested: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return q over all tested columns together, and the class that it gives each area, -3 to 3."""
    q, confidence = np.ones(p.shape), np.zeros(p.shape, dtype=int)
    if tested.any():
        q[:, tested] = significance.q_values(p[:, tested])
    for step, limit in reversed(CLASS_LIMITS):
        confidence[q <= limit] = step
    return q, (confidence * np.sign(np.nan_to_num(z))).astype(np.int32)


def at_least(found: np.ndarray, total: np.ndarray | int, share: np.ndarray) -> np.ndarray:
    """Return P(binomial >= found), elementwise; scipy.stats says the same and takes a second to import."""
    chance: np.ndarray = np.where(found > 0, bdtrc(np.maximum(found - 1, 0), total, share), 1.0)
    return chance


def two_sided(found: np.ndarray, total: np.ndarray | int, share: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Return the two-sided binomial p of what was found, elementwise; `above` says which tail is meant."""
    tail = np.where(above, at_least(found, total, share), bdtr(found, total, share))
    return np.minimum(2 * tail, 1.0)


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
    return two_sided(found, total, share, above)

"""Hot areas in small worlds: what concentrates is found, what does not is left alone."""

import numpy as np

from gridmgmt.hotspots.areas import Exposure, assess_areas
from gridmgmt.hotspots.statistics.weights import Weights

SIDE = 20
PLANTED = np.array([105, 106, 107, 125, 126, 127])


def lattice() -> Weights:
    row, column = np.divmod(np.arange(SIDE * SIDE), SIDE)
    near = (abs(row[:, None] - row) <= 1) & (abs(column[:, None] - column) <= 1)
    i, j = np.nonzero(near & ~np.eye(SIDE * SIDE, dtype=bool))
    return Weights.from_pairs(SIDE * SIDE, i, j).with_self()


def city(rng: np.random.Generator) -> Exposure:
    """Dense streets in the west, hamlets of a few households in the east."""
    east = np.arange(SIDE * SIDE) % SIDE >= SIDE // 2
    households = np.where(east, rng.integers(10, 60, SIDE * SIDE), rng.integers(300, 500, SIDE * SIDE))
    return Exposure("households", households / 1000, households)


def test_rare_matters_in_small_grids_make_nothing_hot() -> None:
    rng = np.random.default_rng(1)
    exposure = city(rng)
    totals = np.repeat([20, 60, 200, 1000], 40)
    counts = rng.poisson(exposure.size[:, None] / exposure.size.sum() * totals)
    called = 0
    for seed in range(5):
        table = assess_areas(counts, exposure, lattice(), 1.0, permutations=499, seed=seed)
        called += int((abs(table["gi_class"]) >= 2).sum())
    assert called <= 5  # of 5 x 64,000 tests, each run held to 5 % of what it calls


def test_a_planted_cluster_is_hot_and_its_numbers_stand_side_by_side() -> None:
    rng = np.random.default_rng(2)
    exposure = city(rng)
    risk = np.ones(SIDE * SIDE)
    risk[PLANTED] = 6
    counts = rng.poisson(exposure.size[:, None] * 30 * np.column_stack([risk, np.ones_like(risk)]))
    table = assess_areas(counts, exposure, lattice(), 2.0, permutations=499, seed=1)
    assert (table["gi_class"][PLANTED, 0] >= 2).all()
    assert (table["gi_class"][[106, 126], 0] == 3).all()  # in the middle of it
    assert (table["gi_class"][:, 1] == 0).all()
    np.testing.assert_allclose(table["rate"] * exposure.size[:, None] * 2, counts)
    np.testing.assert_allclose(table["expected"].sum(axis=0), counts.sum(axis=0))
    again = assess_areas(counts, exposure, lattice(), 2.0, permutations=499, seed=1)
    assert all(np.array_equal(table[name], again[name], equal_nan=True) for name in table)


def test_three_areas_are_too_few_to_call_any_of_them_hot() -> None:
    exposure = Exposure("area", np.ones(3), None)
    triangle = Weights.from_pairs(3, [0, 1, 1, 2, 0, 2], [1, 0, 2, 1, 2, 0]).with_self()
    table = assess_areas(np.array([[90], [1], [1]]), exposure, triangle, 1.0, permutations=99, seed=1)
    assert (table["p"] == 1).all()
    assert (table["gi_class"] == 0).all()
    assert "households" not in table

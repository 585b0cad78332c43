import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmgmt.errors import InputError
from gridmgmt.hotspots.statistics.weights import Weights

SQUARE = np.array([[x, y] for y in range(5) for x in range(5)], dtype=float)


def dense(weights: Weights) -> np.ndarray:
    return weights.sparse.toarray()


def test_pairs_are_directed_and_kept_as_given() -> None:
    weights = Weights.from_pairs(4, [2, 0, 0], [0, 3, 1], [1.0, 2.0, 0.0])
    assert dense(weights).tolist() == [[0, 0, 0, 2], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert weights.islands.tolist() == [1, 3]
    assert weights.cardinalities.tolist() == [1, 0, 1, 0]


@given(st.permutations(range(6)))
def test_the_order_of_pairs_does_not_matter(order: list[int]) -> None:
    i, j, w = np.array([0, 1, 2, 2, 3, 3]), np.array([1, 0, 1, 3, 3, 0]), np.arange(1.0, 7.0)
    shuffled = Weights.from_pairs(4, i[order], j[order], w[order])
    assert np.array_equal(dense(shuffled), dense(Weights.from_pairs(4, i, j, w)))


@pytest.mark.parametrize(
    ("n", "i", "j", "w"),
    [
        (0, [], [], None),
        (2, [0], [2], None),
        (2, [-1], [0], None),
        (2, [0, 0], [1, 1], None),
        (2, [0], [1, 0], None),
        (2, [0.5], [1], None),
        (2, [0], [1], [np.nan]),
        (2, [0], [1], [-1.0]),
    ],
)
def test_pairs_that_make_no_sense_are_refused(n: int, i: list, j: list, w: list | None) -> None:
    with pytest.raises(InputError):
        Weights.from_pairs(n, i, j, w)


def test_self_weight_follows_the_largest_of_the_row_so_scaling_rows_before_or_after_is_the_same() -> None:
    weights = Weights.from_pairs(3, [0, 0, 1], [1, 2, 0], [2.0, 6.0, 5.0])
    starred = weights.with_self()
    assert dense(starred).tolist() == [[6, 2, 6], [5, 5, 0], [0, 0, 1]]
    assert np.array_equal(dense(starred.with_self()), dense(starred))
    assert np.array_equal(dense(starred.without_self()), dense(weights))
    assert starred.islands.tolist() == weights.islands.tolist() == [2]
    before, after = weights.row_standardised().with_self().row_standardised(), starred.row_standardised()
    np.testing.assert_allclose(dense(before), dense(after), rtol=1e-15)
    assert dense(weights.row_standardised()).sum(axis=1).tolist() == [1, 1, 0]


def test_nearest_neighbours_equal_a_full_sort_with_ties_to_the_lower_number() -> None:
    twins = np.vstack([SQUARE, SQUARE[:13], np.zeros((14, 2))])  # ties, and many cells at one place
    for k in (1, 4, 11, len(twins) - 1):
        found = Weights.knn(twins, k)
        distance = np.linalg.norm(twins[:, None] - twins[None], axis=2)
        np.fill_diagonal(distance, np.inf)
        expected = np.sort(np.argsort(distance, axis=1, kind="stable")[:, :k], axis=1)
        assert np.array_equal(found.indices.reshape(-1, k), expected)


def test_a_distance_band_holds_its_bound_and_is_symmetric() -> None:
    rook = Weights.distance_band(SQUARE, 1.0)
    assert rook.cardinalities.reshape(5, 5)[[0, 0, 2], [0, 2, 2]].tolist() == [2, 3, 4]
    assert np.array_equal(dense(rook), dense(rook).T)
    assert Weights.distance_band(SQUARE, 0.5).islands.size == 25


@pytest.mark.parametrize("bad", [SQUARE[:1], SQUARE[:, 0], np.where(SQUARE == 2, np.nan, SQUARE)])
def test_points_that_make_no_sense_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(InputError):
        Weights.knn(bad, 1)
    with pytest.raises(InputError):
        Weights.distance_band(bad, 1.0)


def test_weights_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Weights.knn(SQUARE, 2).data[0] = 5

"""Cutting a graph of cells into contiguous parts: growth from centres, and balanced halving."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, dijkstra

from gridmgmt.errors import GridmgmtError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DIRECTIONS = 7


def grow(n: int, pairs: Ints, cost: Floats, seeds: Ints) -> Ints:
    """Return for each of n cells the number of the seed nearest along the graph; every part is contiguous.

    Raises
    ------
    GridmgmtError
        When some cells cannot be reached from any seed.
    """
    graph = coo_array((cost, (pairs[:, 0], pairs[:, 1])), shape=(n, n)).tocsr()
    _, _, source = dijkstra(graph, directed=False, indices=seeds, min_only=True, return_predecessors=True)
    if (source < 0).any():
        raise GridmgmtError(f"{int((source < 0).sum())} cells lie apart from every centre")
    number = np.full(n, -1)
    number[seeds] = np.arange(len(seeds))
    return number[source]


def _largest(members: Bools, pairs: Ints) -> Bools:
    """Return the largest contiguous piece of the member cells."""
    inner = pairs[members[pairs].all(axis=1)]
    graph = coo_array((np.ones(len(inner)), (inner[:, 0], inner[:, 1])), shape=(len(members),) * 2)
    label = connected_components(graph.tocsr(), directed=False)[1]
    label = np.where(members, label, -1)
    counts = np.bincount(label[members])
    return label == np.argmax(counts)


def _halve(xy: Floats, weight: Floats, pairs: Ints, length: Floats, share: float, turn: float) -> Bools:
    """Return the cells of the first of two contiguous parts that holds about `share` of the weight.

    Several straight sweeps are tried; the best is near the share and has a short cut.
    """
    best, best_score = np.zeros(len(xy), bool), np.inf
    total, scale = weight.sum(), np.sqrt(length.sum() * length.mean())
    for angle in turn + np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS:
        order = np.argsort(xy @ np.array([np.cos(angle), np.sin(angle)]), kind="stable")
        run = np.cumsum(weight[order]) - weight[order] / 2
        cut = min(max(1, int(np.searchsorted(run, share * total))), len(order) - 1)
        first = np.zeros(len(xy), bool)
        first[order[:cut]] = True
        first = _largest(first, pairs)
        first = ~_largest(~first, pairs)
        off = abs(weight[first].sum() / total - share) / min(share, 1 - share)
        across = length[first[pairs[:, 0]] != first[pairs[:, 1]]].sum()
        score = 3 * off + 0.6 * across / scale
        if score < best_score:
            best, best_score = first, score
    return best


def divide(
    xy: Floats, weight: Floats, pairs: Ints, length: Floats, shares: Sequence[float], rng: np.random.Generator
) -> Ints:
    """Return a part number 0.. for every cell: contiguous parts whose weights follow `shares`.

    `xy` (n, 2), `weight` (n,), `pairs` (m, 2) neighbours with `length` (m,) of their shared edge.
    """
    label = np.zeros(len(xy), np.int64)
    if len(shares) == 1:
        return label
    middle = len(shares) // 2
    wanted = sum(shares[:middle]) / sum(shares)
    first = _halve(xy, weight, pairs, length, wanted, rng.uniform(0, np.pi))
    for side, part, offset in ((first, shares[:middle], 0), (~first, shares[middle:], middle)):
        inside = side[pairs].all(axis=1)
        renumber = np.cumsum(side) - 1
        label[side] = offset + divide(
            xy[side], weight[side], renumber[pairs[inside]], length[inside], part, rng
        )
    return label


def apportion(weight: Floats, seats: int) -> Ints:
    """Return whole seats, at least one each, proportional to `weight` (Sainte-Laguë), summing to `seats`."""
    given = np.ones(len(weight), np.int64)
    for _ in range(seats - len(weight)):
        given[np.argmax(weight / (given + 0.5))] += 1
    return given

"""Balanced, contiguous, compact parts of a graph of blocks, each with a weight (households).

Halving by sweeps gives the first parts; then single blocks change sides by simulated annealing, never so
that a part falls in two. Method and measurements: docs/methods/partition.md.
"""

import heapq

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gridmgmt.errors import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DIRECTIONS = 8
# A sweep waits at a barrier for up to this share of the way it has to go.
WAIT = 0.5
# Moves tried for each block; fewer is faster, more brings little.
TRIES = 4_000
LEAST_TRIES = 40_000
# How much a part's border counts beside the square of its relative deviation: a border longer by a tenth
# weighs as much as a deviation of about 7 %.
BORDER = 0.1
# Temperatures of the first and the last try: a part may stray 10 % at the beginning, hardly at the end.
HOT, COLD = 0.03, 2e-5
# Each unit of squared relative deviation outside the band counts for this many.
OUTSIDE = 20.0


def assign_blocks(
    weights: ArrayLike,
    i: ArrayLike,
    j: ArrayLike,
    parts: int,
    xy: ArrayLike,
    low: float | None = None,
    high: float | None = None,
    seed: int = 0,
    border: ArrayLike | None = None,
) -> IntArray:
    """Return the part 0.. of every block: each part contiguous, of about equal weight, with a short border.

    Parameters
    ----------
    weights : array, shape (n,)
        Not negative, not all zero.
    i, j : arrays of int, shape (m,)
        Pairs of neighbours, in one direction or both.
    parts : int
    xy : array, shape (n, 2)
        Middle of every block, metres.
    low, high : float, optional
        The band a part should lie in; without it only the even share counts.
    seed : int
        The same seed gives the same parts.
    border : array, shape (m,), optional
        What it costs to part a pair, for instance the length of its common edge; 1 each by default.

    Raises
    ------
    InputError
        When weights or pairs are no such arrays, or there are fewer blocks than parts, or more pieces of land
        without connection than parts.
    """
    weight = np.ascontiguousarray(weights, np.float64)
    place = np.ascontiguousarray(xy, np.float64)
    pairs = np.stack([np.asarray(i, np.int64), np.asarray(j, np.int64)])
    cost = np.ones(pairs.shape[1]) if border is None else np.asarray(border, np.float64)
    _check(weight, place, pairs, cost, parts)
    first, other, cut = _graph(len(weight), pairs, cost)
    label = _first_labels(weight, place, first, other, cut, parts, seed)
    band = (0.0 if low is None else float(low), np.inf if high is None else float(high))
    tries = max(LEAST_TRIES, TRIES * len(weight))
    _anneal(label, weight, first, other, cut, parts, band, tries, _scale(cut, len(weight), parts), seed)
    return label


def _check(weight: FloatArray, xy: FloatArray, pairs: IntArray, cost: FloatArray, parts: int) -> None:
    n = len(weight)
    if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.sum() > 0):
        raise InputError("weights", float(weight.sum()), "finite, not negative, not all zero")
    if xy.shape != (n, 2) or not np.isfinite(xy).all():
        raise InputError("xy", xy.shape, f"{n} finite places")
    if pairs.size and (pairs.min() < 0 or pairs.max() >= n):
        raise InputError("i, j", int(pairs.max()), f"numbers of blocks, 0 to {n - 1}")
    if cost.shape != pairs.shape[1:] or not np.isfinite(cost).all():
        raise InputError("border", cost.shape, f"{pairs.shape[1]} finite numbers")
    if not 1 <= parts <= n:
        raise InputError("parts", parts, f"1 to {n}, the number of blocks")


def _graph(n: int, pairs: IntArray, cost: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Return neighbours of block b, `other[first[b]:first[b + 1]]`, each once, and what each cut costs."""
    a, b = np.sort(pairs, axis=0)
    key, which = np.unique(a * n + b, return_inverse=True)
    once = np.zeros(len(key))
    np.maximum.at(once, which, cost)
    a, b = key // n, key % n
    a, b, once = a[a != b], b[a != b], once[a != b]
    graph = coo_array(
        (np.r_[once, once], (np.r_[a, b].astype(np.int32), np.r_[b, a].astype(np.int32))), shape=(n, n)
    ).tocsr()
    return graph.indptr.astype(np.int64), graph.indices.astype(np.int64), graph.data


def _scale(cut: FloatArray, n: int, parts: int) -> float:
    """Return about the border that one part has when parts are compact: what each cut is measured by."""
    mean = float(cut.mean()) if len(cut) else 1.0
    return max(4.0 * mean * np.sqrt(n / parts), 1e-12)


def _first_labels(
    weight: FloatArray,
    xy: FloatArray,
    first: IntArray,
    other: IntArray,
    cut: FloatArray,
    parts: int,
    seed: int,
) -> IntArray:
    """Return parts by halving each piece of land again and again."""
    n = len(weight)
    graph = coo_array((np.ones(len(other)), (np.repeat(np.arange(n), np.diff(first)), other)), shape=(n, n))
    pieces, piece = connected_components(graph.tocsr(), directed=False)
    if pieces > parts:
        raise InputError("parts", parts, f"at least {pieces}, the pieces of land that do not touch")
    seats = _seats(np.bincount(piece, weight).astype(np.float64), np.bincount(piece), parts)
    label = np.zeros(n, np.int64)
    start = np.r_[0, np.cumsum(seats)]
    turn = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    for number in range(pieces):
        label[piece == number] = start[number]
    _halve_all(label, start[:-1].copy(), seats, weight, xy, first, other, cut, turn)
    return label


def _seats(weight: FloatArray, blocks: IntArray, parts: int) -> IntArray:
    """Return whole parts for each piece, at least one and at most its blocks, by Sainte-Laguë."""
    seats = np.ones(len(weight), np.int64)
    for _ in range(parts - len(weight)):
        seats[np.argmax(np.where(seats < blocks, weight / (seats + 0.5), -1.0))] += 1
    return seats


@njit(cache=True, nogil=True)
def _halve_all(label, starts, seats, weight, xy, first, other, cut, turn):  # type: ignore[no-untyped-def]
    """Halve the blocks labelled starts[p] into seats[p] labels from there on, in place."""
    todo = [(starts[p], seats[p]) for p in range(len(starts))]
    side = np.zeros(len(label), np.int8)
    while len(todo) > 0:
        start, count = todo.pop()
        if count == 1:
            continue
        members = np.flatnonzero(label == start)
        half = count // 2
        if not _halve(members, half, count - half, side, weight, xy, first, other, cut, turn):
            half = 1
            _peel(members, side, first, other)
        for b in members:
            if side[b] == 2:
                label[b] = start + half
            side[b] = 0
        todo.append((start, half))
        todo.append((start + half, count - half))
        turn += 1.0


@njit(cache=True, nogil=True)
def _halve(members, parts_a, parts_b, side, weight, xy, first, other, cut, turn):  # type: ignore[no-untyped-def]
    """Mark members with side 1 or 2, both contiguous, the best of several sweeps; False when none does."""
    share = parts_a / (parts_a + parts_b)
    total = max(weight[members].sum(), 1e-12)
    scale = 1e-12
    for b in members:
        for e in range(first[b], first[b + 1]):
            scale += cut[e]
    mean = scale / max(1, (first[members + 1] - first[members]).sum())
    scale = np.sqrt(scale * scale / len(members))
    best_score = np.inf
    best = np.zeros(len(members), np.int8)
    for d in range(2 * DIRECTIONS):  # each direction without and with waiting at barriers
        angle = turn + d * 2 * np.pi / DIRECTIONS
        along = xy[members, 0] * np.cos(angle) + xy[members, 1] * np.sin(angle)
        wait = WAIT * (along.max() - along.min()) / mean if d >= DIRECTIONS else 0.0
        _sweep(members, along, share * total, parts_a, parts_b, side, weight, first, other, cut, mean, wait)
        got, blocks, across = 0.0, 0, 0.0
        for b in members:
            if side[b] == 1:
                got += weight[b]
                blocks += 1
                for e in range(first[b], first[b + 1]):
                    if side[other[e]] == 2:
                        across += cut[e]
        score = 3 * abs(got / total - share) / min(share, 1 - share) + across / scale
        if blocks >= parts_a and len(members) - blocks >= parts_b and score < best_score:
            best_score = score
            best[:] = side[members]
    side[members] = best
    return best_score < np.inf


@njit(cache=True, nogil=True)
def _sweep(members, along, wanted, parts_a, parts_b, side, weight, first, other, cut, mean, wait):  # type: ignore[no-untyped-def]
    """Grow side 1 from the block furthest back along a direction; what it cuts off from side 2 joins it.

    Growth waits before it crosses what is cheap to cut, such as a road: this far along the direction for each
    unit that the cut is below the mean.
    """
    side[members] = 2
    value = np.empty(len(side))
    value[members] = along
    start = members[np.argmin(along)]
    heap = [(value[start], start)]
    side[start] = 3
    got, blocks = 0.0, 0
    while len(heap) > 0:
        reached, b = heapq.heappop(heap)
        if side[b] == 1:
            continue
        enough = got + weight[b] / 2 > wanted and blocks >= parts_a
        if enough or blocks >= len(members) - parts_b:
            side[b] = 2
            break
        side[b] = 1
        got += weight[b]
        blocks += 1
        for e in range(first[b], first[b + 1]):
            c = other[e]
            if side[c] == 2 or (side[c] == 3 and wait > 0):
                side[c] = 3
                delay = wait * max(mean - cut[e], 0.0)
                heapq.heappush(heap, (max(value[c], reached if wait > 0 else value[c]) + delay, c))
    for b in members:
        if side[b] == 3:
            side[b] = 2
    _keep_heaviest(members, side, weight, first, other)


@njit(cache=True, nogil=True)
def _keep_heaviest(members, side, weight, first, other):  # type: ignore[no-untyped-def]
    """Leave of side 2 its heaviest contiguous piece (of equal ones that with most blocks)."""
    piece = np.zeros(len(side), np.int64)
    pieces, heaviest, most, largest = 0, 0, -1.0, 0
    stack = [members[0]]
    for root in members:
        if side[root] != 2 or piece[root] > 0:
            continue
        pieces += 1
        total, blocks = 0.0, 0
        stack.clear()
        stack.append(root)
        piece[root] = pieces
        while len(stack) > 0:
            b = stack.pop()
            total += weight[b]
            blocks += 1
            for e in range(first[b], first[b + 1]):
                c = other[e]
                if side[c] == 2 and piece[c] == 0:
                    piece[c] = pieces
                    stack.append(c)
        if total > most or (total == most and blocks > largest):
            heaviest, most, largest = pieces, total, blocks
    for b in members:
        if side[b] == 2 and piece[b] != heaviest:
            side[b] = 1


@njit(cache=True, nogil=True)
def _peel(members, side, first, other):  # type: ignore[no-untyped-def]
    """Mark one block as side 1 without which the rest is still contiguous: the last one a walk reaches."""
    side[members] = 4
    reached = [members[0]]
    side[members[0]] = 2
    at = 0
    while at < len(reached):
        b = reached[at]
        at += 1
        for e in range(first[b], first[b + 1]):
            if side[other[e]] == 4:
                side[other[e]] = 2
                reached.append(other[e])
    side[reached[-1]] = 1


@njit(cache=True, nogil=True)
def _random(state):  # type: ignore[no-untyped-def]
    """Return the next number of splitmix64 in [0, 1)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True)
def _off(weight, even, low, high):  # type: ignore[no-untyped-def]
    """Return what a part of this weight costs."""
    outside = max(low - weight, weight - high, 0.0) / even
    return ((weight - even) / even) ** 2 + OUTSIDE * outside**2


@njit(cache=True, nogil=True)
def _anneal(label, weight, first, other, cut, parts, band, tries, scale, seed):  # type: ignore[no-untyped-def]
    """Move single blocks to a neighbouring part, in place, ever less willingly to a worse state."""
    n = len(label)
    held = np.zeros(parts)
    for b in range(n):
        held[label[b]] += weight[b]
    even = held.sum() / parts
    low, high = band
    state = np.array([seed], np.uint64)
    seen = np.full(n, -1, np.int64)
    stack = np.empty(n, np.int64)
    cooling = (COLD / HOT) ** (1.0 / tries)
    heat = HOT
    for t in range(tries):
        heat *= cooling
        b = int(_random(state) * n)
        if first[b] == first[b + 1]:
            continue
        a = label[b]
        to = label[other[first[b] + int(_random(state) * (first[b + 1] - first[b]))]]
        if to == a:
            continue
        stays = leaves = 0.0
        for e in range(first[b], first[b + 1]):
            if label[other[e]] == a:
                stays += cut[e]
            elif label[other[e]] == to:
                leaves += cut[e]
        w = weight[b]
        change = 2 * BORDER * (stays - leaves) / scale
        change += _off(held[a] - w, even, low, high) - _off(held[a], even, low, high)
        change += _off(held[to] + w, even, low, high) - _off(held[to], even, low, high)
        if change > 0 and _random(state) >= np.exp(-change / heat):
            continue
        if _whole_without(b, label, first, other, seen, stack, t):
            label[b] = to
            held[a] -= w
            held[to] += w


@njit(cache=True, nogil=True)
def _whole_without(b, label, first, other, seen, stack, stamp):  # type: ignore[no-untyped-def]
    """Tell whether the part of a block stays contiguous, and is not empty, without it."""
    a = label[b]
    left = 0
    for e in range(first[b], first[b + 1]):
        if label[other[e]] == a:
            left += 1
            root = other[e]
    if left <= 1:
        return left == 1
    for e in range(first[b], first[b + 1]):  # most blocks are found near by, so begin among them
        if label[other[e]] == a:
            seen[other[e]] = -2 - stamp
    seen[b] = stamp
    seen[root] = stamp
    left -= 1
    stack[0] = root
    top = 1
    while top > 0:
        top -= 1
        c = stack[top]
        for e in range(first[c], first[c + 1]):
            d = other[e]
            if label[d] != a or seen[d] == stamp:
                continue
            if seen[d] == -2 - stamp:
                left -= 1
                if left == 0:
                    return True
            seen[d] = stamp
            stack[top] = d
            top += 1
    return False

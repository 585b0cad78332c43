"""2,000 blocks to 200 districts of even weight: ours beside peers; balance, contiguity and seconds of each.

Each peer runs in a process of its own and is stopped after a minute. What is not installed is said, not
guessed.
"""

import importlib.metadata
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Voronoi

from benchmarks.measure import peak_mb
from gridmgmt.grids.partition import assign_blocks

BLOCKS, DISTRICTS = 2_000, 200
LIMIT_S = 60.0
# The promise: no wider spread of weights than this, every district in one piece.
CV = 0.12
GOAL = 1.0

Labels = NDArray[np.int64]


def blocks() -> tuple[NDArray[np.float64], Labels, Labels, NDArray[np.float64]]:
    """Return places (n, 2), pairs i and j of neighbours, and households (n,) of uneven blocks."""
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 10_000, (BLOCKS, 2))
    i, j = Voronoi(xy).ridge_points.T.astype(np.int64)
    return xy, i, j, np.ceil(rng.lognormal(3.5, 0.6, BLOCKS))


def run() -> list[dict[str, Any]]:
    """Return a row for each installed peer that ends in time; say which do not, and which are missing."""
    xy, i, j, weights = blocks()

    def ours() -> Labels:
        return assign_blocks(weights, i, j, DISTRICTS, xy)

    ours()
    began = time.perf_counter()
    labels = ours()
    seconds = time.perf_counter() - began
    mine = quality(labels, weights, i, j)
    print(f"partition: ours {seconds:.2f} s, {_said(mine)}", flush=True)
    found = [_row(name, seconds, mine) for name in PEERS]
    peak = peak_mb(ours)
    return [row | {"ours_peak_mb": peak} for row in found if row]


def quality(labels: Labels, weights: NDArray[np.float64], i: Labels, j: Labels) -> dict[str, float]:
    """Return the number of districts, the share in one piece, and the spread of their weights."""
    _, labels = np.unique(labels, return_inverse=True)
    count = int(labels.max()) + 1
    same = labels[i] == labels[j]
    graph = coo_array((np.ones(same.sum()), (i[same], j[same])), shape=(len(labels),) * 2)
    _, piece = connected_components(graph.tocsr(), directed=False)
    pieces = np.bincount(np.unique(np.stack([labels, piece]), axis=1)[0], minlength=count)
    held = np.bincount(labels, weights)
    return {
        "districts": count,
        "contiguous": float((pieces == 1).mean()),
        "cv": float(held.std() / held.mean()),
    }


def _row(name: str, seconds: float, mine: dict[str, float]) -> dict[str, Any] | None:
    package, _ = PEERS[name]
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        print(f"partition: {name} is not installed (package {package}): not compared", flush=True)
        return None
    command = [sys.executable, "-m", "benchmarks.bench_partition", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S + 30, check=True)
        answer = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        answer = None
    except subprocess.CalledProcessError as why:
        print(f"partition: {name} {version} failed: {why.stderr.strip().splitlines()[-1]}", flush=True)
        return None
    if answer is None or answer["seconds"] > LIMIT_S:
        print(f"partition: {name} {version} did not end in {LIMIT_S:.0f} s", flush=True)
        theirs, words = LIMIT_S, "did not end"
    else:
        theirs, words = answer["seconds"], _said(answer)
    return {
        "work": f"{BLOCKS} blocks to {DISTRICTS} districts",
        "note": f"ours: {_said(mine)}; peer: {words}",
        "ours_s": round(seconds, 4),
        "peer": name,
        "peer_version": version,
        "peer_s": round(theirs, 4),
        "ratio": round(theirs / seconds, 1),
        "goal": GOAL,
        "same_result": mine["cv"] <= CV and mine["contiguous"] == 1.0 and mine["districts"] == DISTRICTS,
        "ours_cv": mine["cv"],
        "peer_cv": answer["cv"] if answer else None,
        "peer_contiguous": answer["contiguous"] if answer else None,
    }


def _said(answer: dict[str, float]) -> str:
    return (
        f"{answer['districts']:.0f} districts, CV {answer['cv']:.3f}, {answer['contiguous']:.0%} in one piece"
    )


def _kmeans() -> Labels:
    from sklearn.cluster import KMeans

    xy, _, _, weights = blocks()
    return KMeans(DISTRICTS, n_init=4, random_state=0).fit(xy, sample_weight=weights).labels_


def _ward() -> Labels:
    from sklearn.cluster import AgglomerativeClustering

    xy, i, j, _ = blocks()
    graph = coo_array((np.ones(2 * len(i)), (np.r_[i, j], np.r_[j, i])), shape=(BLOCKS, BLOCKS)).tocsr()
    return AgglomerativeClustering(DISTRICTS, connectivity=graph, linkage="ward").fit(xy).labels_


def _frame() -> tuple[Any, Any]:
    import geopandas
    from libpysal.weights import W

    xy, i, j, weights = blocks()
    neighbours: dict[int, list[int]] = {k: [] for k in range(BLOCKS)}
    for a, b in zip(i.tolist(), j.tolist(), strict=True):
        neighbours[a].append(b)
        neighbours[b].append(a)
    columns = {"x": xy[:, 0], "y": xy[:, 1], "households": weights}
    frame = geopandas.GeoDataFrame(columns, geometry=geopandas.points_from_xy(*xy.T))
    return frame, W(neighbours, silence_warnings=True)


def _max_p() -> Labels:
    from spopt.region import MaxPHeuristic

    frame, w = _frame()
    # It is told the least weight, not the number: the largest that still gives about as many districts.
    least = 0.85 * frame["households"].sum() / DISTRICTS
    model = MaxPHeuristic(frame, w, ["x", "y"], "households", least, 2)
    model.solve()
    return np.asarray(model.labels_, np.int64)


def _skater() -> Labels:
    from spopt.region import Skater

    frame, w = _frame()
    model = Skater(frame, w, ["x", "y"], n_clusters=DISTRICTS)
    model.solve()
    return np.asarray(model.labels_, np.int64)


def _recursive_tree() -> Labels:
    import networkx
    from gerrychain import Graph
    from gerrychain.tree import recursive_tree_part

    _, i, j, weights = blocks()
    plain = networkx.Graph(zip(i.tolist(), j.tolist(), strict=True))
    networkx.set_node_attributes(plain, dict(enumerate(weights.tolist())), "households")
    even = weights.sum() / DISTRICTS
    parts = recursive_tree_part(Graph.from_networkx(plain), range(DISTRICTS), even, "households", 0.25)
    return np.array([parts[k] for k in range(BLOCKS)], np.int64)


PEERS: dict[str, tuple[str, Callable[[], Labels]]] = {
    "sklearn KMeans": ("scikit-learn", _kmeans),
    "sklearn Ward with connectivity": ("scikit-learn", _ward),
    "spopt MaxPHeuristic": ("spopt", _max_p),
    "spopt Skater": ("spopt", _skater),
    "gerrychain recursive_tree_part": ("gerrychain", _recursive_tree),
}


def _answer(name: str) -> None:
    """Print what one peer made, as JSON on the last line; its libraries are read before the clock starts."""
    _, i, j, weights = blocks()
    began = time.perf_counter()
    labels = PEERS[name][1]()
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds} | quality(labels, weights, i, j)))


if __name__ == "__main__":
    _answer(sys.argv[1])

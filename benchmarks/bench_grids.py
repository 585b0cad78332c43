"""The full geometric check of a coverage beside shapely.coverage_is_valid, which tells less: see `_faulty`.

Ours tells the place, size and both grids of every gap, overlap and sliver, whether a shape crosses itself, is
in pieces, has a hole or is too long for its width. The peer says yes or no, and sees no gap.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.bench_assign import voronoi_city
from benchmarks.measure import compare
from gridmgmt.grids import measure
from gridmgmt.grids.checks import PlanLimits, Rule, Subject, check
from gridmgmt.grids.halfedges import pair

SIZES = (1001, 10_000)
FAULTS = 20  # of each kind
GOAL = 2.0
VILLAGES = 45  # each of about as many grids as in the sample city
LIMITS = PlanLimits(compactness=0.0)  # slim cells of chance are no fault here
BETWEEN = (Rule.GAP, Rule.OVERLAP, Rule.SLIVER)
Geometries = NDArray[np.object_]


def exact_city(grids: int) -> Geometries:
    """Return polygons that share their vertices exactly, on a lattice of 1e-9 degrees."""
    cells = shapely.transform(voronoi_city(grids), lambda xy: np.rint(xy * 1e9) / 1e9)
    # Cutting at the box gives neighbours ends that differ by a step; three in a thousand vertices.
    snapped = shapely.coverage_clean(cells, snapping_distance=2e-9)
    return shapely.transform(snapped, lambda xy: np.rint(xy * 1e9) / 1e9)


def with_faults(cells: Geometries, seed: int = 0) -> tuple[Geometries, Geometries, int]:
    """Return cells of which some lack a corner (a gap) and some took one of their neighbours (an overlap),
    the patches of ground put in, and how many of them are gaps. No two touch, and none is on the rim."""
    rng = np.random.default_rng(seed)
    edges = pair(cells)
    rim = set(edges.owner[edges.twin < 0].tolist())
    taken: set[int] = set()
    chosen: list[int] = []
    tree = shapely.STRtree(cells)
    for k in rng.permutation(len(cells)).tolist():
        near = set(tree.query(cells[k], "intersects").tolist())
        around = set(tree.query(cells[list(near)], "intersects")[1].tolist())
        if not rim & near and not taken & around:
            chosen.append(k)
            taken |= around
        if len(chosen) == 2 * FAULTS:
            break
    faulty = cells.copy()
    for place, k in enumerate(chosen):
        corner = shapely.Point(shapely.get_coordinates(cells[k])[0]).buffer(2e-5, quad_segs=2)
        faulty[k] = (shapely.difference if place % 2 else shapely.union)(cells[k], corner)
    lost, won = shapely.difference(cells, faulty), shapely.difference(faulty, cells)
    gaps = shapely.get_parts(lost[chosen[1::2]])
    # Ground won is split among the neighbours that lost it: each has an overlap of its own.
    pairs = tree.query(won[chosen[::2]], "intersects")
    won = shapely.get_parts(shapely.intersection(won[chosen[::2]][pairs[0]], cells[pairs[1]]))
    won = won[shapely.area(won) > 0]
    return faulty, np.concatenate([gaps, won]), len(gaps)


def run() -> list[dict[str, Any]]:
    """Return for each size a row for a right coverage, for one with villages, and for one with faults."""
    return [row for grids in SIZES for row in _rows(grids)]


def _rows(grids: int) -> list[dict[str, Any]]:
    cells = exact_city(grids)
    faulty, patches, gaps = with_faults(cells)
    of, outlines = _villages(cells)
    right, wrong = _subjects(cells, of), _subjects(faulty, of)
    return [
        _row(
            f"full check of {grids} grids",
            lambda: check(right, {}, LIMITS),
            cells,
            check(right, {}, LIMITS) == [] and bool(shapely.coverage_is_valid(cells)),
        ),
        _row(
            f"full check of {grids} grids and their {len(outlines)} villages (the peer: the grids)",
            lambda: check(right, outlines, LIMITS),
            cells,
            check(right, outlines, LIMITS) == [] and bool(shapely.coverage_is_valid(cells)),
        ),
        _faulty(f"full check of {grids} grids", wrong, faulty, patches, gaps),
    ]


def _faulty(
    work: str, wrong: list[Subject], faulty: Geometries, patches: Geometries, gaps: int
) -> dict[str, Any]:
    """The same result: ours finds all the ground that was put in and no other, the peer finds the coverage
    invalid and names no grid but such that have a patch. Patches of which it names no grid are in the row."""
    found = [each for each in check(wrong, {}, LIMITS) if each.rule in BETWEEN]
    places = shapely.points([(each.lon, each.lat) for each in found])
    placed, _ = shapely.STRtree(shapely.buffer(patches, 1e-8)).query(places, "intersects")
    total = sum(each.area_m2 or 0.0 for each in found), measure.area_m2(patches).sum()
    exact = len(np.unique(placed)) == len(found) and np.isclose(*total, rtol=1e-3)
    patch, grid = shapely.STRtree(faulty).query(patches, "dwithin", distance=1e-8)
    invalid = np.flatnonzero(~shapely.is_empty(shapely.coverage_invalid_edges(faulty)))
    named = np.isin(grid, invalid)
    missed = len(patches) - len(np.unique(patch[named]))
    return _row(
        f"{work}, {gaps} gaps and {len(patches) - gaps} overlaps put in (the peer misses {missed})",
        lambda: check(wrong, {}, LIMITS),
        faulty,
        bool(exact and len(invalid) and np.isin(invalid, grid).all()),
    )


def _row(work: str, ours: Callable[[], object], cells: Geometries, same: bool) -> dict[str, Any]:
    return compare(
        work,
        ours,
        lambda: shapely.coverage_is_valid(cells),
        peer_name="shapely.coverage_is_valid",
        peer_version=f"{shapely.__version__} (GEOS {shapely.geos_version_string})",
        goal=GOAL,
        same_result=same,
        repeats=15,
    )


def _villages(cells: Geometries) -> tuple[list[str], dict[str, Any]]:
    """Return the village of each cell, and the outlines: cells around the same centre are one village."""
    middles = shapely.get_coordinates(shapely.centroid(cells))
    count = max(VILLAGES, len(cells) // 22)
    centres = middles[np.random.default_rng(0).choice(len(cells), count, replace=False)]
    nearest = shapely.STRtree(shapely.points(centres)).nearest(shapely.points(middles))
    codes = [f"999999001{k:03d}" for k in nearest.tolist()]
    outlines = {
        f"999999001{k:03d}": shapely.coverage_union_all(cells[nearest == k]) for k in np.unique(nearest)
    }
    return codes, outlines


def _subjects(cells: Geometries, of: list[str]) -> list[Subject]:
    return [Subject(str(k), village, shape) for k, (village, shape) in enumerate(zip(of, cells, strict=True))]

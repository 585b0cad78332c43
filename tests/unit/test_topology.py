"""Outlines as TopoJSON: what comes back is what went in, and shared edges are written once."""

from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmgmt.web.topology import topology


def unpacked(found: dict) -> list[shapely.Geometry]:  # type: ignore[type-arg]
    """Read a topology by the book, independently of how it was written."""
    scale = np.array(found["transform"]["scale"])
    arcs = [
        np.cumsum(np.array(arc), axis=0) * scale + found["transform"]["translate"] for arc in found["arcs"]
    ]

    def ring(numbers: list[int]) -> np.ndarray:
        parts = [arcs[n] if n >= 0 else arcs[~n][::-1] for n in numbers]
        for before, after in pairwise(parts):
            assert (before[-1] == after[0]).all(), "arcs meet"
        return np.concatenate([parts[0], *(part[1:] for part in parts[1:])])

    return [
        shapely.MultiPolygon([shapely.Polygon(ring(p[0]), [ring(h) for h in p[1:]]) for p in each["arcs"]])
        for each in found["objects"]["areas"]["geometries"]
    ]


def _same(shapes: list[shapely.Geometry]) -> dict:  # type: ignore[type-arg]
    found = topology(shapes, [{"code": str(n)} for n in range(len(shapes))], 5)
    for before, after in zip(shapes, unpacked(found), strict=True):
        assert shapely.symmetric_difference(before, after).area < 1e-9 * max(before.area, 1e-9) + 1e-12
    return found


def test_two_neighbours_write_their_common_edge_once() -> None:
    found = _same([shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)])
    assert len(found["arcs"]) == 3
    first, second = (each["arcs"][0][0] for each in found["objects"]["areas"]["geometries"])
    assert {~n for n in first} & set(second), "one walks it forwards, the other backwards"


def test_an_area_in_the_hole_of_another_shares_the_whole_ring() -> None:
    outer = shapely.Polygon(shapely.box(0, 0, 3, 3).exterior, [shapely.box(1, 1, 2, 2).exterior])
    found = _same([outer, shapely.box(1, 1, 2, 2)])
    assert len(found["arcs"]) == 2


def test_parts_and_lonely_islands_come_back() -> None:
    _same(
        [shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(5, 5, 6, 6)]), shapely.box(9, 9, 10, 10)]
    )


def test_no_areas_are_an_empty_topology() -> None:
    found = topology([], [], 5)
    assert (found["arcs"], found["objects"]["areas"]["geometries"]) == ([], [])


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(0, 10_000))
def test_any_tiling_comes_back_and_every_inner_edge_is_shared(n: int, seed: int) -> None:
    points = np.random.default_rng(seed).random((n, 2))
    cells = shapely.voronoi_polygons(shapely.MultiPoint(points), extend_to=shapely.box(0, 0, 1, 1))
    whole = [
        shapely.set_precision(c, 1e-5)
        for c in shapely.intersection(shapely.get_parts(cells), shapely.box(0, 0, 1, 1))
    ]
    shapes = [shape for shape in whole if shape.geom_type == "Polygon" and shape.area > 1e-6]
    found = _same(shapes)
    steps = sum(len(arc) - 1 for arc in found["arcs"])
    edges = {frozenset(pair) for shape in shapes for pair in pairwise(shape.exterior.coords)}
    assert steps == pytest.approx(len(edges), rel=0.02, abs=1)

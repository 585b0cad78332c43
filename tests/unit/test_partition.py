"""Dividing ground: parts tile it, hold together, weigh about the same and follow roads."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Voronoi
from shapely.geometry import LineString, Point, box

from gridmgmt.errors import InputError
from gridmgmt.grids import halfedges, measure
from gridmgmt.grids.partition import assign_blocks, divide, parts_for, with_vertices
from gridmgmt.grids.partition_groups import rural_groups, town_groups
from gridmgmt.grids.partition_rings import on_lattice

LON, LAT, STEP = 117.0, 35.0, 0.01
SQUARE = box(LON, LAT, LON + STEP, LAT + STEP)
BENT = on_lattice(shapely.union(SQUARE, box(LON + STEP, LAT, LON + 3 * STEP, LAT + STEP / 3)))
HOLLOW = on_lattice(shapely.difference(SQUARE, Point(LON + STEP / 2, LAT + STEP / 2).buffer(STEP / 6)))


def town(area: shapely.Geometry, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Buildings of up to 40 households in an area, none on its rim."""
    rng = np.random.default_rng(seed)
    west, south, east, north = area.bounds
    xy = rng.uniform((west, south), (east, north), (20 * count, 2))
    xy = xy[shapely.contains_xy(area, xy)][:count]
    return xy, rng.integers(1, 41, len(xy)).astype(float)


def held(parts: list, xy: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.array([weights[shapely.contains_xy(part, xy)].sum() for part in parts])


def blocks(n: int, seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 1000, (n, 2))
    i, j = Voronoi(xy).ridge_points.T.astype(np.int64)
    return rng.lognormal(3.5, 0.6, n), i, j, xy


def pieces(labels: np.ndarray, i: np.ndarray, j: np.ndarray) -> int:
    same = labels[i] == labels[j]
    graph = coo_array((np.ones(same.sum()), (i[same], j[same])), shape=(len(labels),) * 2)
    return int(connected_components(graph.tocsr(), directed=False)[0])


@settings(max_examples=25)
@given(
    area=st.sampled_from([SQUARE, BENT, HOLLOW]),
    count=st.integers(30, 150),
    parts=st.integers(2, 7),
    seed=st.integers(0, 10_000),
)
def test_parts_tile_the_area_and_every_building_lies_in_one(
    area: shapely.Geometry, count: int, parts: int, seed: int
) -> None:
    xy, weights = town(area, count, seed)
    road = LineString([(LON - STEP, LAT + STEP / 5), (LON + 4 * STEP, LAT + STEP / 4)])
    found = measure.as_array(divide(area, xy, weights, parts, [road], seed))
    assert len(found) == parts
    assert shapely.is_valid(found).all()
    assert (shapely.get_num_geometries(found) == 1).all()
    assert measure.area_m2(found).sum() == pytest.approx(measure.area_m2([area])[0], abs=0.05)
    rim, _ = halfedges.pair(found).unpaired_lines()  # inside, every edge has its other side
    assert shapely.length(rim).sum() == pytest.approx(area.length, abs=1e-8)
    assert held(list(found), xy, weights).sum() == weights.sum()
    at = shapely.get_coordinates(found)
    assert (at == np.round(at, 9)).all()


def test_the_rim_keeps_its_vertices_and_gets_one_only_where_a_border_meets_it() -> None:
    xy, weights = town(BENT, 200, 1)
    found = divide(BENT, xy, weights, 4)
    old = set(map(tuple, np.round(shapely.get_coordinates(BENT), 9).tolist()))
    corners = [set(map(tuple, shapely.get_coordinates(part).tolist())) for part in found]
    assert old <= set().union(*corners)
    for xy_new in set().union(*corners) - old:
        if Point(xy_new).distance(BENT.boundary) < 2e-9:
            assert sum(xy_new in own for own in corners) == 2


def test_a_neighbour_gets_the_vertices_of_new_borders() -> None:
    xy, weights = town(SQUARE, 100, 2)
    found = divide(SQUARE, xy, weights, 5)
    west = box(LON - STEP, LAT, LON, LAT + STEP)
    beside = with_vertices(measure.as_array([west]), shapely.get_coordinates(found))[0]
    edges = halfedges.pair(measure.as_array([*found, beside]))
    rim, _ = edges.unpaired_lines()
    assert shapely.length(rim).sum() == pytest.approx(shapely.union(SQUARE, west).length, abs=1e-8)
    far = box(LON + 5, LAT, LON + 6, LAT + 1)
    assert with_vertices(measure.as_array([far]), shapely.get_coordinates(found))[0] is far


@pytest.mark.parametrize("seed", range(4))
def test_parts_weigh_about_the_same(seed: int) -> None:
    xy, weights = town(SQUARE, 300, seed)
    got = held(divide(SQUARE, xy, weights, 6, seed=seed), xy, weights)
    assert got.std() / got.mean() < 0.08


def test_borders_follow_a_road_when_balance_allows() -> None:
    xy, weights = town(SQUARE, 300, 3)
    order = np.argsort(xy[:, 0])
    middle = xy[order, 0][np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)]
    road = LineString([(middle, LAT - STEP), (middle + STEP / 50, LAT + 2 * STEP)])

    def along(parts: list) -> float:
        border = shapely.difference(parts[0].boundary, SQUARE.boundary.buffer(1e-9))
        return float(shapely.intersection(border, road.buffer(1e-7)).length / border.length)

    assert along(divide(SQUARE, xy, weights, 2, [road])) > 0.7
    assert along(divide(SQUARE, xy, weights, 2)) < 0.1


def test_the_same_seed_gives_the_same_bytes() -> None:
    xy, weights = town(HOLLOW, 120, 4)
    first, again = (divide(HOLLOW, xy, weights, 5, seed=7) for _ in range(2))
    assert [part.wkb for part in first] == [part.wkb for part in again]


def test_land_in_pieces_is_divided_too() -> None:
    island = shapely.MultiPolygon([SQUARE, box(LON + 2 * STEP, LAT, LON + 2.2 * STEP, LAT + STEP / 5)])
    xy, weights = town(island, 100, 5)
    found = measure.as_array(divide(island, xy, weights, 2))
    assert len(found) == 2
    assert measure.area_m2(found).sum() == pytest.approx(measure.area_m2([island])[0], abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_2000_blocks_become_200_districts_of_even_weight(seed: int) -> None:
    weights, i, j, xy = blocks(2000, seed)
    labels = assign_blocks(weights, i, j, 200, xy, seed=seed)
    got = np.bincount(labels, weights, 200)
    assert pieces(labels, i, j) == 200
    assert got.std() / got.mean() <= 0.12


@settings(max_examples=40)
@given(n=st.integers(5, 60), share=st.floats(0, 1), seed=st.integers(0, 10_000))
def test_any_number_of_parts_is_contiguous_and_none_is_empty(n: int, share: float, seed: int) -> None:
    weights, i, j, xy = blocks(n, seed)
    parts = 1 + round(share * (n - 1))
    labels = assign_blocks(weights, i, j, parts, xy, seed=seed)
    assert sorted(set(labels.tolist())) == list(range(parts))
    assert pieces(labels, i, j) == parts


def test_a_star_of_blocks_has_only_its_centre_to_share() -> None:
    rays = np.arange(1, 9)
    angle = rays * 2 * np.pi / 8
    xy = np.vstack([[0, 0], np.column_stack([np.cos(angle), np.sin(angle)])])
    labels = assign_blocks(np.ones(9), np.zeros(8, int), rays, 6, xy)
    assert pieces(labels, np.zeros(8, int), rays) == 6
    assert sorted(np.bincount(labels).tolist()) == [1, 1, 1, 1, 1, 4]


@pytest.mark.parametrize(
    ("weight", "parts"), [(0, 1), (299, 1), (400, 1), (600, 2), (560, 2), (1000, 3), (800, 2), (4000, 10)]
)
def test_a_weight_is_divided_so_that_parts_are_near_the_middle_of_the_band(weight: int, parts: int) -> None:
    assert parts_for(weight, 300, 500) == parts


def test_what_cannot_be_divided_is_said() -> None:
    xy, weights = town(SQUARE, 5, 6)
    for field, call in (
        ("parts", lambda: divide(SQUARE, xy, weights, 6)),
        ("parts", lambda: divide(SQUARE, xy, weights, 0)),
        ("weights", lambda: divide(SQUARE, xy, weights * 0, 2)),
        ("weights", lambda: divide(SQUARE, xy, weights[:3], 2)),
        ("area", lambda: divide(SQUARE.boundary, xy, weights, 2)),
        ("area", lambda: divide(shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), xy, weights, 2)),
        ("parts", lambda: assign_blocks([1, 1], [], [], 1, [[0, 0], [1, 1]])),
        ("weights", lambda: assign_blocks([0, 0], [0], [1], 1, [[0, 0], [1, 1]])),
        ("i, j", lambda: assign_blocks([1, 1], [0], [2], 1, [[0, 0], [1, 1]])),
        ("low, high", lambda: parts_for(10, 500, 300)),
    ):
        with pytest.raises(InputError) as error:
            call()
        assert error.value.field == field


def test_town_grids_in_the_band_stay_and_others_join_a_neighbour_only_when_they_must() -> None:
    chain = {"a": ["b"], "b": ["a", "c"], "c": ["b", "d"], "d": ["c"]}

    def done(*weights: float) -> list[tuple[str, int]]:
        groups = town_groups(dict(zip("abcd", weights, strict=True)), chain, 300, 500)
        return [("".join(group.keys), group.parts) for group in groups]

    assert done(400, 300, 500, 350) == [("a", 1), ("b", 1), ("c", 1), ("d", 1)]
    assert done(400, 800, 500, 350) == [("a", 1), ("b", 2), ("c", 1), ("d", 1)]
    assert done(150, 250, 500, 350) == [("ab", 1), ("c", 1), ("d", 1)]
    assert done(400, 400, 400, 550) == [("a", 1), ("b", 1), ("cd", 2)]  # 550 fits no number of parts


def test_a_rural_grid_is_touched_only_when_tiny_or_above_the_band() -> None:
    chain = {"a": ["b"], "b": ["a", "c"], "c": ["b"]}
    groups = rural_groups({"a": 20, "b": 150, "c": 560}, chain, 300, 500)
    assert [("".join(group.keys), group.parts) for group in groups] == [("ab", 1), ("c", 2)]

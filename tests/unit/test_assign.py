"""Points to grids: the same answer as shapely for every point, the lowest code where several hold it."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridmgmt.errors import InputError
from gridmgmt.grids.assign import PointAssigner


def by_shapely(codes: NDArray[np.str_], geometries: NDArray[np.object_], lon, lat) -> NDArray[np.int64]:  # type: ignore[no-untyped-def]
    """The answer point for point, from the definition: of the polygons that intersect it, the lowest code."""
    found = np.full(len(lon), -1)
    for index in np.argsort(codes, kind="stable")[::-1]:
        if geometries[index] is not None:
            shapely.prepare(geometries[index])
            found[shapely.intersects_xy(geometries[index], lon, lat)] = index
    return found


def voronoi(seed: int, count: int, decimals: int) -> NDArray[np.object_]:
    rng = np.random.default_rng(seed)
    box = shapely.box(116.0, 33.0, 117.0, 34.0)
    seeds = shapely.multipoints(rng.uniform([116, 33], [117, 34], (count, 2)))
    cells = shapely.intersection(shapely.get_parts(shapely.voronoi_polygons(seeds, extend_to=box)), box)
    rounded = shapely.transform(cells, lambda xy: np.round(xy, decimals))
    return rounded[shapely.is_valid(rounded) & ~shapely.is_empty(rounded)]


def awkward_points(geometries: NDArray[np.object_], seed: int) -> tuple[NDArray, NDArray]:
    """Vertices, points on edges, points a rounding error beside them, points level with vertices."""
    rng = np.random.default_rng(seed)
    vertices = shapely.get_coordinates(geometries)
    share = rng.integers(0, 9, (len(vertices) - 1, 1)) / 8
    on_edge = vertices[:-1] + share * (vertices[1:] - vertices[:-1])
    beside = np.nextafter(on_edge, rng.uniform(0, 200, on_edge.shape))
    level = np.column_stack([rng.uniform(116, 117, len(vertices)), vertices[:, 1]])
    anywhere = rng.uniform([115.9, 32.9], [117.1, 34.1], (300, 2))
    return np.vstack([vertices, on_edge, beside, level, anywhere]).T


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 40), decimals=st.sampled_from([1, 2, 6, 15]))
def test_every_point_goes_where_shapely_puts_it(seed: int, count: int, decimals: int) -> None:
    geometries = voronoi(seed, count, decimals)
    codes = np.random.default_rng(seed).permutation(np.array([f"{i:015d}" for i in range(len(geometries))]))
    lon, lat = awkward_points(geometries, seed)
    assert np.array_equal(
        PointAssigner(codes, geometries).assign(lon, lat), by_shapely(codes, geometries, lon, lat)
    )


lattice = st.integers(0, 6).map(float)
triangles = st.lists(st.tuples(lattice, lattice), min_size=3, max_size=3, unique=True).map(shapely.Polygon)


@settings(max_examples=200, deadline=None)
@given(shapes=st.lists(triangles.filter(lambda t: t.area > 0), min_size=1, max_size=6))
def test_overlaps_and_points_on_lines_of_a_small_lattice_are_decided_like_shapely(
    shapes: list[shapely.Polygon],
) -> None:
    geometries, codes = np.array(shapes, dtype=object), np.array([f"{9 - i}" for i in range(len(shapes))])
    lon, lat = (axis.ravel() for axis in np.meshgrid(np.arange(-0.5, 7, 0.25), np.arange(-0.5, 7, 0.25)))
    assert np.array_equal(
        PointAssigner(codes, geometries).assign(lon, lat), by_shapely(codes, geometries, lon, lat)
    )


def test_a_point_on_a_shared_edge_or_corner_goes_to_the_lower_code() -> None:
    squares = [shapely.box(x, y, x + 1, y + 1) for x, y in [(0, 0), (1, 0), (0, 1), (1, 1)]]
    found = PointAssigner(["4", "3", "2", "1"], squares).assign([1, 1, 0.5, 1], [0.5, 1.5, 1, 1])
    assert found.tolist() == [1, 3, 2, 3]


def test_no_place_no_grid_and_a_hole_all_give_minus_one() -> None:
    ring = shapely.box(0, 0, 3, 3).difference(shapely.box(1, 1, 2, 2))
    found = PointAssigner(["a"], [ring]).assign([np.nan, 9, 1.5, 1.0], [1, 9, 1.5, 1.5])
    assert found.tolist() == [-1, -1, -1, 0]


def test_a_grid_of_several_parts_and_empty_grids_are_taken_as_they_are() -> None:
    two = shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(4, 4, 5, 5)])
    found = PointAssigner(["a", "b", "c"], [None, shapely.Polygon(), two]).assign(
        [0.5, 4.5, 2.5], [0.5, 4.5, 2.5]
    )
    assert found.tolist() == [2, 2, -1]
    assert PointAssigner([], []).assign([1.0], [1.0]).tolist() == [-1]


def test_a_line_instead_of_a_polygon_is_refused_by_its_place() -> None:
    with pytest.raises(InputError, match="geometry 0: found 'LineString'"):
        PointAssigner(["a"], [shapely.LineString([(0, 0), (1, 1)])])


def test_more_points_than_one_thread_takes_give_the_same_answer() -> None:
    geometries, codes = voronoi(5, 30, 15), None
    codes = np.array([f"{i:03d}" for i in range(len(geometries))])
    lon, lat = np.random.default_rng(0).uniform([[115.9], [32.9]], [[117.1], [34.1]], (2, 250_001))
    assert np.array_equal(
        PointAssigner(codes, geometries).assign(lon, lat), by_shapely(codes, geometries, lon, lat)
    )


@pytest.mark.parametrize(
    "name", ["stl/stl_neighborhoods.geojson", "greater_manchester/gm_lsoa_generalised.geojson"]
)
def test_real_areas_are_answered_like_shapely_at_their_own_vertices(name: str, shared_data: Path) -> None:
    geometries = geopandas.read_file(shared_data / name).geometry.to_numpy()
    geometries = geometries[shapely.is_valid(geometries)]
    codes = np.array([f"{i:05d}" for i in range(len(geometries))])
    lon, lat = shapely.get_coordinates(geometries)[::7].T
    lon, lat = np.append(lon, lon[:-1] / 2 + lon[1:] / 2), np.append(lat, lat[:-1] / 2 + lat[1:] / 2)
    assert np.array_equal(
        PointAssigner(codes, geometries).assign(lon, lat), by_shapely(codes, geometries, lon, lat)
    )

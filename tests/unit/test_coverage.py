"""Shapes of grids: every breach is found with its place, on worlds small enough to see."""

from pathlib import Path

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from numpy.typing import NDArray

from gridmgmt.grids import adjacency, coverage, halfedges, measure
from gridmgmt.grids.coverage import BreachKind

STEP = 0.01  # degrees: about 1.1 km north to south


def cells(columns: int, rows: int) -> NDArray[np.object_]:
    """Squares of STEP from (117, 34) eastwards, then northwards."""
    return np.array(
        [
            shapely.box(117 + c * STEP, 34 + r * STEP, 117 + (c + 1) * STEP, 34 + (r + 1) * STEP)
            for r in range(rows)
            for c in range(columns)
        ],
        dtype=object,
    )


def moved_vertex(cell: shapely.Polygon, corner: int, east: float, north: float) -> shapely.Polygon:
    points = shapely.get_coordinates(cell)[:-1]
    points[corner] += east, north
    return shapely.Polygon(points)


def test_areas_are_those_on_the_ellipsoid() -> None:
    geod = pyproj.Geod(ellps="GRS80")
    cell = shapely.box(117, 34, 117.02, 34.01)
    truth = abs(geod.geometry_area_perimeter(shapely.segmentize(cell, 1e-4))[0])
    assert measure.area_m2([cell])[0] == pytest.approx(truth, rel=1e-7)
    assert shapely.length(measure.to_plane(cell, 34.005)) == pytest.approx(
        abs(geod.geometry_area_perimeter(cell)[1]), rel=1e-4
    )


def test_a_polygon_that_crosses_itself_is_named_with_the_place() -> None:
    bow = shapely.Polygon([(117, 34), (117.02, 34.02), (117.02, 34), (117, 34.02)])
    breach = coverage.check_shape("a", bow)
    assert breach is not None
    assert breach.kind == BreachKind.SELF_CROSSING
    assert (breach.lon, breach.lat) == pytest.approx((117.01, 34.01))


def test_empty_and_missing_shapes_are_named_and_right_ones_pass() -> None:
    assert coverage.check_shape("a", None).kind == BreachKind.EMPTY  # type: ignore[union-attr]
    assert coverage.check_shape("a", shapely.Polygon()).kind == BreachKind.EMPTY  # type: ignore[union-attr]
    assert coverage.check_shape("a", cells(1, 1)[0]) is None


def test_an_exact_coverage_has_no_overlap_and_no_gap() -> None:
    world = cells(4, 3)
    assert coverage.overlaps([str(k) for k in range(12)], world) == []
    assert coverage.gaps(world) == []
    assert coverage.gaps(world, outline=shapely.union_all(world)) == []


def test_an_overlap_is_found_with_its_area_and_a_point_inside_it() -> None:
    a, b = cells(2, 1)
    wide = shapely.box(117, 34, 117 + 1.5 * STEP, 34 + STEP)
    (breach,) = coverage.overlaps(["a", "b"], np.array([wide, b]))
    assert (breach.grid, breach.other, breach.sliver) == ("a", "b", False)
    assert breach.area_m2 == pytest.approx(measure.area_m2([a])[0] / 2, rel=1e-3)
    inside = shapely.Point(breach.lon, breach.lat)
    assert wide.contains(inside)
    assert b.contains(inside)


def test_a_strip_too_thin_for_a_house_is_a_sliver_and_a_wider_one_is_not() -> None:
    b = cells(2, 1)[1]
    half_metre, two_metres = (shapely.box(117, 34, 117 + STEP + d, 34 + STEP) for d in (0.5e-5, 2.2e-5))
    assert coverage.overlaps(["a", "b"], np.array([half_metre, b]))[0].sliver
    assert not coverage.overlaps(["a", "b"], np.array([two_metres, b]))[0].sliver


def test_grids_that_are_not_in_force_together_may_cover_the_same_ground() -> None:
    twice = np.array([cells(1, 1)[0]] * 2)
    days = np.array([["2000-01-01", "2020-01-01"], ["2020-01-01", "NaT"]], "datetime64[D]")
    assert len(coverage.overlap_patches(twice, days)) == 0
    days[0, 1] += 1
    assert len(coverage.overlap_patches(twice, days)) == 1


def test_a_missing_grid_and_a_vertex_pulled_inwards_are_gaps() -> None:
    world = cells(3, 3)
    (hole,) = coverage.gaps(np.delete(world, 4))
    assert hole.area_m2 == pytest.approx(measure.area_m2([world[4]])[0])
    assert world[4].contains(shapely.Point(hole.lon, hole.lat))
    world[4] = moved_vertex(world[4], 0, -2e-5, 2e-5)  # a corner two metres inwards
    assert shapely.coverage_is_valid(world)  # why we look for ourselves
    assert len(coverage.gaps(world)) == 1


def test_a_gap_open_to_the_rim_shows_against_the_village() -> None:
    world = cells(2, 2)
    (gap,) = coverage.gaps(world[:3], outline=shapely.union_all(world))
    assert gap.area_m2 == pytest.approx(measure.area_m2([world[3]])[0])


def test_a_grid_across_two_villages_and_one_on_nobodys_land_are_told_apart() -> None:
    villages = cells(2, 1)
    across = shapely.box(117 + 0.8 * STEP, 34, 117 + 1.2 * STEP, 34 + STEP)
    outside = shapely.box(117, 34 - 0.5 * STEP, 117 + STEP, 34 + 0.5 * STEP)
    breaches = coverage.village_breaches(
        ["in", "across", "outside"],
        np.array([villages[0], across, outside]),
        ["v1"] * 3,
        ["v1", "v2"],
        villages,
    )
    assert {(b.grid, b.kind, b.other) for b in breaches} == {
        ("across", BreachKind.ACROSS, "v2"),
        ("outside", BreachKind.OUTSIDE, None),
    }


def test_villages_without_a_polygon_are_not_checked() -> None:
    assert coverage.village_breaches(["a"], cells(1, 1), ["v"], ["v"], np.array([None], dtype=object)) == []


def test_only_the_rim_of_an_exact_coverage_is_unpaired() -> None:
    edges = halfedges.pair(cells(3, 2))
    assert (edges.twin < 0).sum() == 10
    paired = np.flatnonzero(edges.twin >= 0)
    assert np.array_equal(edges.twin[edges.twin[paired]], paired)


def brute_force(world: NDArray[np.object_], rook: bool) -> set[tuple[int, int]]:
    """All pairs by definition: they touch, for a rook along a line (dimension 1 where boundaries meet)."""
    pairs = [(i, j) for i in range(len(world)) for j in range(len(world)) if i != j]
    if rook:
        return {(i, j) for i, j in pairs if shapely.relate_pattern(world[i], world[j], "F***1****")}
    return {(i, j) for i, j in pairs if world[i].touches(world[j])}


@pytest.mark.parametrize("rook", [False, True])
def test_neighbours_of_an_exact_coverage_are_those_shapely_finds(rook: bool) -> None:
    world = cells(5, 4)
    world[7] = shapely.MultiPolygon([world[7], shapely.box(118, 35, 118.01, 35.01)])
    i, j = adjacency.contiguity(world, rook=rook)
    assert set(zip(i.tolist(), j.tolist(), strict=True)) == brute_force(world, rook)
    assert np.array_equal(np.lexsort((j, i)), np.arange(len(i)))


def test_sides_a_little_apart_make_neighbours_and_sides_far_apart_do_not() -> None:
    a, b = cells(2, 1)
    near, far = (shapely.transform(b, lambda xy, d=d: xy + np.array([d, 0])) for d in (0.5e-5, 3e-5))
    for rook in (False, True):
        assert [k.tolist() for k in adjacency.contiguity(np.array([a, near]), rook=rook)] == [[0, 1], [1, 0]]
        assert not adjacency.contiguity(np.array([a, far]), rook=rook)[0].size


def test_a_vertex_that_only_one_side_has_does_not_part_neighbours() -> None:
    a, b = cells(2, 1)
    world = np.array([shapely.segmentize(a, STEP / 3), b])
    assert adjacency.contiguity(world, rook=True)[0].tolist() == [0, 1]


def test_no_grids_have_no_neighbours() -> None:
    assert adjacency.contiguity([])[0].size == 0
    assert coverage.overlaps([], np.array([], dtype=object)) == []
    assert coverage.gaps(np.array([], dtype=object)) == []


REAL = {
    "stl/STL_BOUNDARY_GridsClipped.geojson": (203, 0, 0),
    "stl/stl_neighborhoods.geojson": (88, 0, 6),
    "greater_manchester/gm_msoa_generalised.geojson": (353, 0, 0),
    "greater_manchester/gm_lsoa_generalised.geojson": (1702, 4, 0),
}


@pytest.mark.parametrize("name", REAL)
def test_real_coverages_have_no_overlap_worse_than_a_sliver(name: str, shared_data: Path) -> None:
    world = geopandas.read_file(shared_data / name).geometry.to_numpy()
    broken = np.array([coverage.check_shape("", shape) is not None for shape in world])
    found = coverage.overlap_patches(world[~broken])
    assert (len(world), broken.sum(), len(found)) == REAL[name]
    assert found.sliver.all()
    i, _ = adjacency.contiguity(world[~broken])
    assert len(np.unique(i)) == (~broken).sum()  # nobody is left without a neighbour

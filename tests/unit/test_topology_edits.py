"""Redrawing a coverage: every edit keeps the land seamless, and can be taken back to the byte."""

from collections.abc import Callable, Iterator, Mapping
from itertools import count

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from scipy.spatial import Voronoi
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box
from shapely.geometry.base import BaseGeometry

from gridmgmt.errors import InputError
from gridmgmt.grids import halfedges, measure
from gridmgmt.grids.topology import (
    Change,
    Coverage,
    draw,
    merge,
    move_edge,
    move_vertex,
    reassign,
    split,
    split_evenly,
)
from sample_data.sizes import size_at
from sample_data.territory import make_territory

FloatArray = NDArray[np.float64]

STEP = 0.01  # degrees: 920 m west to east, 1.1 km north to south
WEST, SOUTH = 117.0, 34.0
METRE = 9e-6  # degrees of latitude


def at(column: float, row: float) -> tuple[float, float]:
    """A place, counted in cells from the south-west corner."""
    return WEST + column * STEP, SOUTH + row * STEP


def line(*places: tuple[float, float]) -> LineString:
    return LineString([at(*place) for place in places])


def polygon(*places: tuple[float, float]) -> Polygon:
    return Polygon([at(*place) for place in places])


def rectangle(west: float, south: float, east: float, north: float) -> Polygon:
    return box(*at(west, south), *at(east, north))


def cells(columns: int, rows: int) -> Coverage:
    """Squares named by their column and row, from the south-west: "00", "10" ..."""
    return Coverage.of(
        {f"{c}{r}": rectangle(c, r, c + 1, r + 1) for r in range(rows) for c in range(columns)}
    )


def keys() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"n{next(numbers)}"


def area(shape: BaseGeometry | None) -> float:
    """Area in cells."""
    return 0.0 if shape is None else shape.area / STEP**2


def as_bytes(coverage: Coverage) -> dict[str, bytes]:
    return {key: face.wkb for key, face in coverage.faces.items()}


def assert_seamless(faces: Mapping[str, MultiPolygon]) -> None:
    """No face overlaps another, no edge inside lacks its twin: what is unpaired is the rim of all."""
    shapes = measure.as_array(list(faces.values()))
    assert shapely.is_valid(shapes).all()
    edges = halfedges.pair(shapes)
    loose = edges.ends[edges.twin < 0].reshape(-1, 2, 2)
    union = shapely.union_all(shapes)
    assert shapely.length(shapely.linestrings(loose)).sum() == pytest.approx(union.length, rel=1e-9)
    assert shapely.area(shapes).sum() == pytest.approx(union.area, rel=1e-12)


def assert_good(before: Coverage, change: Change) -> Coverage:
    """Return the coverage after a change that is seamless, keeps the ground and can be taken back."""
    bytes_before = as_bytes(before)
    after = before.changed(change)
    assert set(change.before) == set(change.after)
    assert_seamless(after.faces)
    assert as_bytes(before) == bytes_before
    assert as_bytes(after.changed(change.inverse)) == bytes_before
    return after


def refused(words: str) -> "pytest.RaisesExc[InputError]":
    return pytest.raises(InputError, match=words)


# ---- the coverage


def test_a_shape_that_is_no_polygon_is_named_with_the_place() -> None:
    bow = polygon((0, 0), (1, 1), (1, 0), (0, 1))
    with refused(r"网格 b.*117\.005000, 34\.005000"):
        Coverage.of({"a": rectangle(0, 0, 1, 1), "b": bow})
    with refused("网格 a"):
        Coverage.of({"a": LineString([(0, 0), (1, 1)])})


def test_vertices_come_onto_the_lattice_and_stay_there() -> None:
    third = Polygon([(117, 34), (117 + 1 / 3e4, 34), (117, 34 + 1 / 3e4)])
    once = Coverage.of({"a": third})
    assert shapely.get_coordinates(once.faces["a"]).max() == 117.000033333
    assert as_bytes(Coverage.of(once.faces)) == as_bytes(once)


def test_neighbours_share_at_least_a_vertex() -> None:
    world = cells(4, 3)
    assert world.neighbours(["00"]) == {"10", "01", "11"}
    assert world.neighbours(["00", "10"]) == {"20", "01", "11", "21"}
    with refused("网格"):
        world.neighbours(["99"])


# ---- split


def test_a_split_gives_new_faces_and_puts_the_new_vertices_into_the_neighbours() -> None:
    world = cells(3, 3)
    change = split(world, "11", line((1.3, 0.7), (1.6, 2.2)), keys())
    after = assert_good(world, change)
    assert set(change.after) == {"11", "n1", "n2", "10", "12"}  # who only looks on keeps its bytes
    assert change.after["11"] is None
    assert change.before["n1"] is None
    assert area(after.faces["n1"]) == pytest.approx(0.46, abs=1e-4)  # n1 lies west of n2
    for key in ("10", "12"):
        assert shapely.get_num_coordinates(after.faces[key]) == 6
        assert area(after.faces[key]) == pytest.approx(1, abs=1e-6)


def test_a_split_works_on_the_faces_near_the_edit_alone() -> None:
    world = cells(5, 5)
    near = Coverage({key: world.faces[key] for key in {"22", *world.neighbours(["22"])}})
    assert_good(world, split(near, "22", line((2.1, 1.9), (2.7, 3.1)), keys()))


def test_a_line_that_ends_a_metre_short_is_drawn_on_and_one_fifty_metres_short_is_not() -> None:
    world = cells(2, 1)
    short = METRE / STEP
    after = assert_good(world, split(world, "00", line((0.5, short), (0.5, 1 - 4 * short)), keys()))
    assert area(after.faces["n1"]) == pytest.approx(0.5, abs=1e-4)
    with refused(r"离边界还有 \d\d\.\d 米"):
        split(world, "00", line((0.5, 0), (0.5, 1 - 50 * short)), keys())


def test_a_line_that_ends_on_an_edge_cuts_it_there_and_not_beside_it_too() -> None:
    world = Coverage.of({"a": polygon((0, 0), (3, 0.7), (2.9, 2.3), (0.1, 1.1))})
    south, north = LineString([at(0, 0), at(3, 0.7)]), LineString([at(0.1, 1.1), at(2.9, 2.3)])
    for share in np.linspace(0.05, 0.45, 30):
        start = south.interpolate(share, normalized=True)
        stop = north.interpolate(share + 0.5, normalized=True)
        after = assert_good(world, split(world, "a", LineString([start, stop]), keys()))
        assert [shapely.get_num_coordinates(face) for face in after.faces.values()] == [5, 5]


def test_a_line_that_misses_or_does_not_part_the_face_is_refused() -> None:
    world = cells(2, 1)
    with refused("不在网格内"):
        split(world, "00", line((1.2, -1), (1.3, 2)), keys())
    with refused("没有把网格分开"):
        split(world, "00", line((0, 0), (1, 0)), keys())
    with refused("同一处"):
        split(world, "00", line((0.5, 0.5), (0.5, 0.5)), keys())


def test_a_part_smaller_than_a_house_is_refused() -> None:
    nook = 4 * METRE / STEP
    with refused(r"只有 6\.6 平方米"):
        split(cells(1, 1), "00", line((-nook, 2 * nook), (2 * nook, -nook)), keys())


def test_a_line_may_enter_and_leave_many_times() -> None:
    world = cells(2, 2)
    zigzag = line((0.2, -0.1), (0.3, 1.1), (0.5, 1.1), (0.6, -0.1), (0.8, -0.1), (0.9, 1.1))
    after = assert_good(world, split(world, "00", zigzag, keys()))
    assert sum(area(face) for key, face in after.faces.items() if key.startswith("n")) == pytest.approx(1)
    assert len(after.faces) == 7


def test_a_line_traced_along_a_neighbour_to_the_centimetre_leaves_no_strip() -> None:
    world = cells(2, 2)
    traced = line((0.5, 1), (0.5, 0.5), (1 + 1e-6, 0.5 - 1e-6), (1 - 1e-6, 0.8))
    after = assert_good(world, split(world, "00", traced, keys()))
    assert [area(after.faces[key]) for key in ("n1", "n2")] == pytest.approx([0.75, 0.25], abs=1e-5)


def test_a_part_that_the_line_leaves_whole_goes_with_the_piece_next_to_it() -> None:
    world = Coverage.of({"a": MultiPolygon([rectangle(0, 0, 2, 1), rectangle(3, 0, 4, 1)])})
    after = assert_good(world, split(world, "a", line((1, -1), (1, 2)), keys()))
    assert [area(after.faces[key]) for key in ("n1", "n2")] == pytest.approx([1, 2])


def test_a_new_key_that_is_taken_is_refused() -> None:
    with refused("新网格"):
        split(cells(2, 1), "00", line((0.5, -1), (0.5, 2)), lambda: "10")


# ---- split evenly

HOOK = polygon((0, 0), (3, 0), (3, 3), (2, 3), (2, 1), (1, 1), (1, 3), (0, 3))


@pytest.mark.parametrize("parts", [2, 3, 5, 8])
@pytest.mark.parametrize("shape", [rectangle(0, 0, 3, 2), HOOK], ids=["box", "hook"])
def test_even_parts_hang_together_and_hold_equal_weight(shape: Polygon, parts: int) -> None:
    rng = np.random.default_rng(parts)
    cloud = np.array(at(0, 0)) + rng.uniform(0, 3 * STEP, (4000, 2))
    points = cloud[shapely.contains_xy(shape, *cloud.T)]
    weights = rng.integers(1, 4, len(points)).astype(float)
    world = Coverage.of({"a": shape, "b": polygon((-1, -1), (4, -1), (3, 0), (0, 0))})
    after = assert_good(world, split_evenly(world, "a", parts, points, weights, keys()))
    made = [face for key, face in after.faces.items() if key.startswith("n")]
    held = np.array([weights[shapely.contains_xy(face, *points.T)].sum() for face in made])
    assert len(made) == parts
    assert all(len(face.geoms) == 1 for face in made)
    assert np.abs(held / weights.sum() * parts - 1).max() < 0.05


def test_a_face_in_which_nobody_lives_is_cut_into_equal_areas() -> None:
    world = cells(1, 1)
    change = split_evenly(world, "00", 4, np.empty((0, 2)), np.empty(0), keys())
    made = [area(face) for face in assert_good(world, change).faces.values()]
    assert made == pytest.approx([0.25] * 4, rel=0.03)


def test_points_outside_the_face_do_not_count() -> None:
    world = cells(2, 1)
    rng = np.random.default_rng(1)
    inside, outside = (np.array(at(c, 0)) + rng.uniform(0, STEP, (500, 2)) for c in (0, 1))
    alone = split_evenly(world, "00", 3, inside, np.ones(500), keys())
    both = split_evenly(world, "00", 3, np.vstack([inside, outside]), np.ones(1000), keys())
    assert {k: f and f.wkb for k, f in alone.after.items()} == {k: f and f.wkb for k, f in both.after.items()}


def test_fewer_than_two_parts_or_weights_that_do_not_fit_are_refused() -> None:
    world = cells(1, 1)
    for parts, points, weights in (
        (1, [at(0.5, 0.5)], [1.0]),
        (2, [at(0.5, 0.5)], [1.0, 2.0]),
        (2, [at(0.5, 0.5)], [-1.0]),
    ):
        with pytest.raises(InputError):
            split_evenly(world, "00", parts, np.array(points), np.array(weights), keys())


# ---- merge


def test_merged_faces_are_one_and_the_neighbours_keep_their_bytes() -> None:
    world = cells(3, 3)
    change = merge(world, ["00", "10", "11"], "n1")
    assert set(change.after) == {"00", "10", "11", "n1"}
    after = assert_good(world, change)
    assert len(after.faces["n1"].geoms) == 1
    assert area(after.faces["n1"]) == pytest.approx(3)


def test_a_split_merged_again_is_the_shape_it_was() -> None:
    world = cells(3, 3)
    parted = world.changed(split(world, "11", line((1.3, 0.7), (1.6, 2.2)), keys()))
    whole = assert_good(parted, merge(parted, ["n1", "n2"], "n3")).faces["n3"]
    assert area(whole.symmetric_difference(world.faces["11"])) < 1e-6


def test_faces_that_meet_at_a_corner_or_not_at_all_cannot_be_merged() -> None:
    for pair in (["00", "11"], ["00", "20"]):
        with refused(f"网格 {pair[1]} 与其余的没有公共边"):
            merge(cells(3, 2), pair, "n1")
    with refused("两个不同的网格"):
        merge(cells(2, 1), ["00", "00"], "n1")


def test_a_ring_around_a_face_is_refused_and_a_hole_that_was_there_stays() -> None:
    world = cells(3, 3)
    ring = [key for key in world.faces if key != "11"]
    with refused(r"会围住 117\.015000, 34\.015000"):
        merge(world, ring, "n1")
    lake = Coverage.of({"a": rectangle(0, 0, 2, 2) - rectangle(0.5, 0.5, 1, 1), "b": rectangle(2, 0, 3, 2)})
    merged = assert_good(lake, merge(lake, ["a", "b"], "n1")).faces["n1"]
    assert len(merged.geoms[0].interiors) == 1


# ---- move a vertex


def test_a_vertex_moves_for_all_faces_that_have_it_and_back_to_the_same_bytes() -> None:
    world = cells(3, 3)
    change = move_vertex(world, at(1, 1), at(1.3, 1.2))
    assert set(change.after) == {"00", "10", "01", "11"}
    after = assert_good(world, change)
    assert area(after.faces["00"]) == pytest.approx(1.25)
    assert sum(map(area, after.faces.values())) == pytest.approx(9)
    back = after.changed(move_vertex(after, at(1.3, 1.2), at(1, 1)))
    assert as_bytes(back) == as_bytes(world)


def test_a_vertex_is_taken_hold_of_within_a_metre() -> None:
    world = cells(2, 2)
    exact = move_vertex(world, at(1, 1), at(1.2, 1))
    near = move_vertex(world, at(1 + 0.5 * METRE / STEP, 1), at(1.2, 1))
    assert as_bytes(world.changed(near)) == as_bytes(world.changed(exact))
    with refused("没有界点"):
        move_vertex(world, at(1 + 5 * METRE / STEP, 1), at(1.2, 1))


@pytest.mark.parametrize("goal", [(1.6, 2.5), (0.5, 2.5), (1.5, 2), (2.5, 1.5)])
def test_a_vertex_may_not_be_moved_over_or_onto_other_edges(goal: tuple[float, float]) -> None:
    with refused("移点"):
        move_vertex(cells(3, 3), at(1, 1), at(*goal))


def test_a_vertex_moved_onto_the_next_one_becomes_one_with_it() -> None:
    world = cells(2, 1)
    bulged = world.changed(move_edge(world, ("00", "10"), line((1, 0.2), (1.2, 0.5), (1, 0.8))))
    after = assert_good(bulged, move_vertex(bulged, at(1.2, 0.5), at(1, 0.8)))
    assert area(after.faces["00"]) == pytest.approx(1)


def test_a_vertex_on_the_rim_may_move_outwards() -> None:
    world = cells(2, 1)
    after = assert_good(world, move_vertex(world, at(1, 1), at(1, 1.5)))
    assert [area(face) for face in after.faces.values()] == pytest.approx([1.25, 1.25])


def test_a_face_may_not_swallow_an_island_by_a_moved_vertex() -> None:
    lake = rectangle(0.4, 0.4, 0.6, 0.6)
    world = Coverage.of({"a": rectangle(0, 0, 1, 1) - lake, "lake": lake, "b": rectangle(1, 0, 2, 1)})
    bulged = world.changed(move_edge(world, ("a", "b"), line((1, 0.3), (0.9, 0.5), (1, 0.7))))
    with refused("移点"):
        move_vertex(bulged, at(0.9, 0.5), at(0.2, 0.5))


# ---- move an edge


def test_ground_on_the_wrong_side_of_the_new_border_goes_to_the_other_face() -> None:
    world = cells(3, 3)
    change = move_edge(world, ("11", "21"), line((2, 1.2), (2.5, 1.5), (2, 1.8)))
    assert set(change.after) == {"11", "21"}
    after = assert_good(world, change)
    assert area(after.faces["11"]) == pytest.approx(1.15)
    crossing = move_edge(world, ("11", "21"), line((2, 1.1), (2.3, 1.3), (1.7, 1.7), (2, 1.9)))
    assert area(assert_good(world, crossing).faces["11"]) == pytest.approx(1, abs=1e-6)


def test_a_border_drawn_from_rim_to_rim_moves_the_junctions_too() -> None:
    world = cells(3, 3)
    change = move_edge(world, ("11", "21"), line((2.3, 0.9), (2.3, 2.2)))
    assert set(change.after) == {"11", "21", "20", "22"}
    after = assert_good(world, change)
    assert area(after.faces["11"]) == pytest.approx(1.3)
    one_end = assert_good(world, move_edge(world, ("11", "21"), line((2, 1.5), (2.3, 2.1))))
    assert area(one_end.faces["11"]) == pytest.approx(1 + 0.25 * 0.25, abs=1e-3)


def test_ends_a_little_off_are_put_on_the_shared_line_and_tails_are_cut_off() -> None:
    world = cells(3, 3)
    exact = world.changed(move_edge(world, ("11", "21"), line((2, 1.2), (2.5, 1.5), (2, 1.8)))).faces["11"]
    loose = assert_good(world, move_edge(world, ("11", "21"), line((2.03, 1.2), (2.5, 1.5), (1.97, 1.8))))
    assert area(exact.symmetric_difference(loose.faces["11"])) < 0.02
    tails = line((1.75, 1.05), (2, 1.2), (2.5, 1.5), (2, 1.8), (1.75, 1.95))
    tailed = assert_good(world, move_edge(world, ("11", "21"), tails))
    assert area(exact.symmetric_difference(tailed.faces["11"])) < 1e-6


def test_of_several_shared_lines_the_one_nearest_to_the_drawn_line_moves() -> None:
    world = Coverage.of(
        {
            "a": polygon((0, 0), (1, 0), (1, 1), (0.5, 1), (0.5, 2), (1, 2), (1, 3), (0, 3)),
            "b": polygon((1, 0), (2, 0), (2, 3), (1, 3), (1, 2), (1, 1)),
            "c": rectangle(0.5, 1, 1, 2),
        }
    )
    after = assert_good(world, move_edge(world, ("a", "b"), line((1, 2.2), (1.4, 2.5), (1, 2.8))))
    assert area(after.faces["a"]) == pytest.approx(2.5 + 0.12)
    assert after.faces["c"].equals(world.faces["c"])
    assert after.faces["b"].covers(Point(at(1.1, 0.5)))


def test_the_border_of_an_island_can_be_moved() -> None:
    lake = rectangle(0.4, 0.4, 0.6, 0.6)
    world = Coverage.of({"a": rectangle(0, 0, 1, 1) - lake, "lake": lake})
    after = assert_good(world, move_edge(world, ("lake", "a"), line((0.6, 0.4), (0.8, 0.5), (0.6, 0.6))))
    assert area(after.faces["lake"]) == pytest.approx(0.04 + 0.02)


def test_a_line_that_runs_into_a_third_face_counts_only_inside_the_two() -> None:
    world = cells(3, 2)
    after = assert_good(world, move_edge(world, ("00", "10"), line((1, 0.2), (1.5, 1.2), (1, 1))))
    assert area(after.faces["00"]) == pytest.approx(1.16)
    assert area(after.faces["11"]) == pytest.approx(1, abs=1e-6)


def test_borders_that_make_no_sense_are_refused() -> None:
    world = cells(3, 2)
    with refused("公共边"):
        move_edge(world, ("00", "20"), line((1, 0), (1, 1)))
    with refused("公共边"):
        move_edge(world, ("00", "11"), line((1, 0), (1, 1)))
    with refused(r"一端离两格的公共边还有 \d+ 米"):
        move_edge(world, ("00", "10"), line((1.5, 0.5), (1.6, 0.6)))
    with refused("与原来相同"):
        move_edge(world, ("00", "10"), line((1, 0), (1, 1)))
    with refused(r"断开的一块在 117\.01"):
        move_edge(world, ("00", "10"), line((1, 0.1), (2.1, 0.4), (2.1, 0.6), (1, 0.9)))


# ---- reassign


def test_a_block_goes_to_its_neighbour_and_nothing_else_changes_ground() -> None:
    world = cells(3, 3)
    change = reassign(world, rectangle(1.8, 1.2, 2.1, 1.6), "21")
    assert set(change.after) == {"11", "21"}
    after = assert_good(world, change)
    assert area(after.faces["21"]) == pytest.approx(1.08)
    two_donors = reassign(world, rectangle(1.5, 0.9, 2.1, 1.2), "21")
    assert area(assert_good(world, two_donors).faces["10"]) == pytest.approx(0.95)


def test_a_block_may_be_a_shape_traced_to_the_centimetre_only() -> None:
    world = cells(2, 1)
    after = assert_good(world, reassign(world, rectangle(0.8, 0.2, 1 - 2e-5, 0.6), "10"))
    assert area(after.faces["10"]) == pytest.approx(1.08, abs=1e-4)


def test_a_block_must_touch_the_face_and_hold_ground_of_others() -> None:
    world = cells(3, 1)
    with refused(r"离网格 20 还有 9\d\d 米"):
        reassign(world, rectangle(0.5, 0.2, 1, 0.4), "20")
    with refused("没有公共边"):
        reassign(world, polygon((1, 0), (1, 1), (0.5, 0.5)).union(rectangle(0.1, 0.1, 0.2, 0.2)), "10")
    with refused("全部已在网格 10 里"):
        reassign(world, rectangle(1.2, 0.2, 1.4, 0.4), "10")
    with refused("不自相交"):
        reassign(world, polygon((0, 0), (1, 1), (1, 0), (0, 1)), "10")


def test_a_donor_may_be_neither_swallowed_nor_cut_in_two() -> None:
    world = cells(3, 1)
    with refused("占去整个网格 10.*请用合并"):
        reassign(world, rectangle(0.9, -0.1, 2.1, 1.1), "20")
    with refused(r"网格 10 会被断开，断开的一块在 117\.01"):
        reassign(world, rectangle(1, 0.3, 2, 0.6), "20")


def test_a_crumb_that_would_be_left_over_goes_along() -> None:
    world = cells(2, 1)
    almost = 2 * METRE / STEP
    nook = polygon((1, 0), (1, almost), (1 - almost, 0))
    block = rectangle(0.5, 0, 1, 0.5) - nook
    after = assert_good(world, reassign(world, block, "10"))
    assert area(after.faces["00"]) == pytest.approx(0.75)


# ---- draw


def test_a_drawn_face_takes_its_ground_from_what_it_covers() -> None:
    world = cells(3, 3)
    change = draw(world, rectangle(0.5, 0.5, 1.5, 1.5), "n1")
    assert set(change.after) == {"00", "10", "01", "11", "n1"}
    after = assert_good(world, change)
    assert [area(after.faces[key]) for key in ("00", "11", "n1")] == pytest.approx([0.75, 0.75, 1])
    island = assert_good(world, draw(world, rectangle(0.4, 0.4, 0.6, 0.6), "n1"))
    assert len(island.faces["00"].geoms[0].interiors) == 1


def test_new_land_becomes_a_face_and_a_shape_over_the_rim_does_not() -> None:
    world = cells(2, 1)
    new_land = draw(world, rectangle(2, -0.5, 3, 0.5), "n1")
    after = assert_good(world, new_land)
    assert area(after.faces["n1"]) == pytest.approx(1)
    assert shapely.get_num_coordinates(after.faces["10"]) == 6  # the new corner is on its side
    with refused(r"平方米在所有网格之外"):
        draw(world, rectangle(1.5, 0.2, 2.5, 0.8), "n1")


def test_a_gap_that_the_shape_closes_belongs_to_the_new_face() -> None:
    world = cells(3, 3)
    gap = Coverage({key: face for key, face in world.faces.items() if key != "11"})
    after = assert_good(gap, draw(gap, rectangle(0.9, 0.9, 2.1, 2.1), "n1"))
    assert area(after.faces["n1"]) == pytest.approx(1.44)


def test_a_drawn_face_must_leave_the_others_whole() -> None:
    world = cells(3, 1)
    with refused("占去整个网格 10"):
        draw(world, rectangle(0.5, 0, 2.5, 1), "n1")
    with refused("会被断开"):
        draw(world, rectangle(0.2, 0, 0.4, 1), "n1")
    with refused("连成一片"):
        draw(world, rectangle(0.1, 0.1, 0.2, 0.2).union(rectangle(0.5, 0.5, 0.6, 0.6)), "n1")
    with refused("平方米"):
        draw(world, rectangle(0.1, 0.1, 0.1002, 0.1002), "n1")
    with refused("没有用过"):
        draw(world, rectangle(0.1, 0.1, 0.3, 0.3), "10")


# ---- long sequences of edits on irregular land


def irregular(rng: np.random.Generator, side: int) -> Coverage:
    """Voronoi cells of jittered seeds, cut to a square; edges as odd as coordinates of a survey are."""
    seeds = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)
    points = seeds + rng.uniform(-0.45, 0.45, seeds.shape)
    frame = np.array([(-1e3, -1e3), (1e3, -1e3), (-1e3, 1e3), (1e3, 1e3)])
    diagram = Voronoi(np.vstack([points, frame]))
    corners = np.round(np.array(at(0, 0)) + diagram.vertices * STEP, 9)
    regions = [diagram.regions[region] for region in diagram.point_region[: len(points)]]
    inner = {
        f"{k}": Polygon(corners[region])
        for k, region in enumerate(regions)
        if rectangle(-0.5, -0.5, side, side).contains(Polygon(corners[region]))
    }
    return Coverage.of(inner)


def random_edit(world: Coverage, key: str, rng: np.random.Generator, new_keys: Callable[[], str]) -> Change:
    """Some edit at a face, as a hurried planner would draw it."""
    face = world.faces[key]
    centre, size = np.array(face.point_on_surface().coords[0]), np.sqrt(face.area)
    near = sorted(world.neighbours([key]))
    other = near[rng.integers(len(near))]

    def around(spread: float) -> FloatArray:
        return centre + rng.normal(size=2) * size * spread

    def corner() -> FloatArray:
        corners = shapely.get_coordinates(face)
        return corners[rng.integers(len(corners))]

    match rng.integers(9):
        case 0:
            turn = rng.uniform(0, 2 * np.pi)
            far = 4 * size * np.array([np.cos(turn), np.sin(turn)])
            return split(
                world, key, LineString([around(0.1) - far, around(0.2), around(0.1) + far]), new_keys
            )
        case 1:  # from vertex to vertex
            return split(world, key, LineString([corner(), around(0.1), corner()]), new_keys)
        case 2:
            points = centre + rng.normal(size=(200, 2)) * size * 0.4
            return split_evenly(world, key, int(rng.integers(2, 4)), points, np.ones(200), new_keys)
        case 3:
            return merge(world, [key, other], new_keys())
        case 4:
            vertex = corner()
            goal = vertex + rng.normal(size=2) * size * 0.05
            return move_vertex(world, (vertex[0], vertex[1]), (goal[0], goal[1]))
        case 5:
            border = shapely.line_merge(face.intersection(world.faces[other]))
            if border.is_empty:
                return merge(world, [key, other], new_keys())  # they meet at a corner only: refused
            ends = [border.interpolate(t, normalized=True) for t in sorted(rng.uniform(0, 1, 3))]
            places = [
                np.array(end.coords[0]) + rng.normal(size=2) * size * spread
                for end, spread in zip(ends, (0, 0.1, 0), strict=True)
            ]
            return move_edge(world, (key, other), LineString(places))
        case 6:  # from rim to rim
            rim = face.union(world.faces[other]).boundary
            ends = [rim.interpolate(t, normalized=True) for t in rng.uniform(0, 1, 2)]
            return move_edge(world, (key, other), LineString([ends[0], centre, ends[1]]))
        case 7:
            middle = face.intersection(world.faces[other]).point_on_surface()
            return reassign(world, middle.buffer(size * rng.uniform(0.02, 0.3), quad_segs=2), other)
        case _:  # with a corner where others meet
            block = Point(around(0.4)).buffer(size * rng.uniform(0.1, 0.4), quad_segs=2)
            return draw(world, block.union(Point(corner())).convex_hull, new_keys())


def edits(world: Coverage, number: int, rng: np.random.Generator) -> Iterator[tuple[Coverage, Change]]:
    """Edits one after another on the faces near each, and the whole coverage before each."""
    new_keys, done = keys(), 0
    while done < number:
        names = list(world.faces)
        key = names[rng.integers(len(names))]
        ring = [world.faces[name] for name in (key, *world.neighbours([key]))]
        if len(ring) == 1:
            continue
        touched = world.near(*ring)
        local = Coverage(world.near(*touched.values()))  # all that the edit may touch, and their neighbours
        try:
            change = random_edit(local, key, rng, new_keys)
        except InputError:
            continue
        yield world, change
        world, done = world.changed(change), done + 1


def rim_moved(change: Change) -> float:
    """How much ground an edit gave to or took from the rim: a moved vertex there, or new land."""
    before, after = (
        sum(face.area for face in side.values() if face) for side in (change.before, change.after)
    )
    return after - before


@pytest.mark.parametrize("seed", range(6))
def test_any_sequence_of_edits_keeps_the_land_seamless_and_goes_back_to_the_same_bytes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert_any_sequence_is_good(irregular(rng, 7), 160, rng)


def test_so_does_any_sequence_of_edits_of_the_sample_city() -> None:
    rng = np.random.default_rng(7)
    grids = make_territory(size_at(0.03), rng).grids
    assert_any_sequence_is_good(Coverage.of(dict(zip(grids.codes, grids.shapes, strict=True))), 60, rng)


def assert_any_sequence_is_good(start: Coverage, number: int, rng: np.random.Generator) -> None:
    assert_seamless(start.faces)
    world = start
    changes: list[Change] = []
    for before, change in edits(start, number, rng):
        world = before.changed(change)
        touched = [key for key, face in change.after.items() if face is not None]
        near = {*touched, *world.neighbours(touched)}
        assert_seamless({key: world.faces[key] for key in near})
        changes.append(change)
    assert_seamless(world.faces)
    total = [sum(face.area for face in coverage.faces.values()) for coverage in (start, world)]
    assert total[1] == pytest.approx(total[0] + sum(map(rim_moved, changes)), rel=1e-9)
    assert_each_point_has_one_face(world, rng)
    for change in reversed(changes):
        world = world.changed(change.inverse)
    assert as_bytes(world) == as_bytes(start)


def assert_each_point_has_one_face(world: Coverage, rng: np.random.Generator) -> None:
    shapes = measure.as_array(list(world.faces.values()))
    union = shapely.union_all(shapes)
    west, south, east, north = union.bounds
    points = measure.as_array(
        [Point(place) for place in rng.uniform((west, south), (east, north), (2000, 2))]
    )
    points = points[shapely.contains_properly(union, points)]
    held, _ = shapely.STRtree(shapes).query(points, predicate="within")
    assert np.array_equal(held, np.arange(len(points)))

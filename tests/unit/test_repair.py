"""Mending a coverage: what comes out passes the checks, mending again changes nothing, right ground stays."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from gridmgmt.grids import measure
from gridmgmt.grids.checks import PlanLimits, Rule, Subject, check
from gridmgmt.grids.repair import repair

STEP, METRE = 0.002, 1 / 111_000
WEST, SOUTH = 117.0, 34.0
VILLAGE, OTHER = "379981001001", "379981001002"
GEOMETRIC = {
    Rule.EMPTY, Rule.SELF_CROSSING, Rule.GAP, Rule.OVERLAP, Rule.SLIVER,
    Rule.OUTSIDE_VILLAGE, Rule.ACROSS_VILLAGE, Rule.UNASSIGNED,
}  # fmt: skip


def box(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    """A rectangle in steps of 200 m, on the lattice."""
    shape = shapely.box(WEST + west * STEP, SOUTH + south * STEP, WEST + east * STEP, SOUTH + north * STEP)
    return shapely.transform(shape, lambda xy: np.rint(xy * 1e9) / 1e9)


def cells(columns: int, rows: int, village: str = VILLAGE) -> dict[str, BaseGeometry]:
    return {
        f"{village}{r * columns + c + 1:03d}": box(c, r, c + 1, r + 1)
        for r in range(rows)
        for c in range(columns)
    }


def faults(
    shapes: dict[str, BaseGeometry], villages: dict[str, BaseGeometry | None] | None = None
) -> list[str]:
    subjects = [Subject(key, key[:12], shape) for key, shape in shapes.items()]
    found = check(subjects, villages, PlanLimits(compactness=0.0))
    return [each.text for each in found if each.rule in GEOMETRIC]


def area(*shapes: BaseGeometry) -> float:
    return float(measure.area_m2(np.array(shapes, object)).sum())


def test_what_is_right_comes_back_as_it_was() -> None:
    shapes = cells(4, 3)
    mended, said = repair(shapes)
    assert said == []
    assert all(mended[key].equals(shape) for key, shape in shapes.items())
    assert list(mended) == list(shapes)


def test_ground_of_two_goes_to_the_smaller_and_ground_of_none_to_the_longest_edge() -> None:
    shapes = cells(4, 1)
    second, third = list(shapes)[1:3]
    shapes[second] = box(1, 0, 2.2, 1)  # the larger: takes 0.2 of the third, which keeps it
    mended, said = repair(shapes)
    assert mended[third].equals(box(2, 0, 3, 1))
    assert mended[second].equals(box(1, 0, 2, 1))
    assert said == [f"消除重叠 1 处共 {area(box(2, 0, 2.2, 1)):,.0f} 平方米，归面积较小的网格。"]

    shapes = cells(3, 3)
    middle = f"{VILLAGE}005"
    shapes[middle] = box(1, 1, 1.5, 2)  # half is left over: a whole side of the east, half sides of two more
    mended, said = repair(shapes)
    east, own = f"{VILLAGE}006", area(box(1.5, 1, 2, 2))
    grown = [key for key, shape in mended.items() if area(shape) > area(shapes[key]) + 1]
    assert grown in ([middle], [east])
    assert area(*mended.values()) == pytest.approx(area(*shapes.values()) + own, rel=1e-6)
    (sentence,) = said
    assert sentence.startswith(f"补上空缺 1 处共 {own:,.0f} 平方米，归共用边最长的网格；")
    assert sentence.endswith(f"归网格 {grown[0]}。")
    assert faults(mended) == []


def test_vertices_centimetres_apart_become_one() -> None:
    shapes = cells(2, 2)
    key = f"{VILLAGE}001"
    shapes[key] = shapely.Polygon(shapely.get_coordinates(shapes[key])[:-1] + 0.03 * METRE)
    assert faults(shapes) != []
    mended, said = repair(shapes)
    assert faults(mended) == []
    assert said[0].startswith("对齐")


def test_ground_beyond_the_village_is_cut_and_land_of_the_village_filled_by_its_own() -> None:
    shapes = cells(2, 1) | {f"{OTHER}001": box(2.2, 0, 3, 1)}
    shapes[f"{VILLAGE}001"] = box(-0.3, 0, 1, 1)
    shapes[f"{VILLAGE}002"] = box(1, 0, 2.1, 1)
    villages = {VILLAGE: box(0, 0, 2, 1), OTHER: box(2, 0, 3, 1)}
    assert len(faults(shapes, villages)) == 3
    mended, said = repair(shapes, villages)
    assert faults(mended, villages) == []
    assert shapely.union_all([mended[f"{VILLAGE}001"], mended[f"{VILLAGE}002"]]).equals(villages[VILLAGE])
    assert mended[f"{OTHER}001"].equals(villages[OTHER])
    assert any("裁去超出村界的地" in each for each in said)


def test_a_crumb_goes_to_the_grid_beside_it_and_a_real_piece_stays() -> None:
    shapes = cells(3, 1)
    a, _, c = shapes
    crumb = box(2.4, 0, 2.45, 0.05)  # 100 m² inside the third, belonging to the first
    shapes[c] = shapely.difference(shapes[c], crumb)
    shapes[a] = shapely.union(shapes[a], crumb)
    mended, said = repair(shapes)
    assert shapely.get_num_geometries(mended[a]) == 1
    assert mended[c].equals(box(2, 0, 3, 1))
    assert len(said) == 1
    piece = box(5, 5, 5.5, 5.5)
    apart, said = repair({a: shapely.union(box(0, 0, 1, 1), piece)})
    assert (shapely.get_num_geometries(apart[a]), said) == (2, [])


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([0.02, 0.5, 5.0]))
def test_a_shaken_coverage_is_mended_and_mending_again_changes_nothing(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    shapes = {}
    for key, shape in cells(4, 3).items():
        points = shapely.get_coordinates(shapely.segmentize(shape, STEP / 2))[:-1]
        shapes[key] = shapely.Polygon(points + rng.uniform(-size, size, points.shape) * METRE)
    villages = {VILLAGE: box(0, 0, 4, 3)}
    for outlines in ({}, villages):
        mended, _ = repair(shapes, outlines)
        assert faults(mended, outlines) == []
        again, said = repair(mended, outlines)
        assert said == []
        assert [shape.wkb for shape in again.values()] == [shape.wkb for shape in mended.values()]
    assert area(*mended.values()) == pytest.approx(area(villages[VILLAGE]), abs=0.01)


REAL = {  # faults before; m² by which all shapes together change at most
    "stl/STL_BOUNDARY_GridsClipped.geojson": (8, 13_800_000),
    "stl/stl_neighborhoods.geojson": (23, 650),
    "greater_manchester/gm_lsoa_generalised.geojson": (4, 650),
}


@pytest.mark.parametrize("name", REAL)
def test_real_coverages_are_mended_and_hardly_moved(name: str, shared_data: Path) -> None:
    given_shapes = geopandas.read_file(shared_data / name).geometry
    shapes = {f"{VILLAGE}{k:05d}": shape for k, shape in enumerate(given_shapes)}
    mended, said = repair(shapes)
    moved = [
        shapely.symmetric_difference(shapely.make_valid(shape), mended[key]) for key, shape in shapes.items()
    ]
    assert len(faults(shapes)) == REAL[name][0]
    assert area(*moved) < REAL[name][1]
    assert faults(mended) == []
    assert shapely.coverage_is_valid(np.array(list(mended.values())))
    assert said
    again, said = repair(mended)
    assert said == []
    assert [shape.wkb for shape in again.values()] == [shape.wkb for shape in mended.values()]

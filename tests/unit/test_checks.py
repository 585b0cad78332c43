"""The rules of a division: every fault that is put in is found, with its place inside it and its size."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from gridmgmt.errors import InputError
from gridmgmt.grids import chains, measure
from gridmgmt.grids.checks import (
    RULE_NAMES,
    Finding,
    PlanLimits,
    Rule,
    Severity,
    Subject,
    check,
    errors,
)

STEP = 0.002  # degrees: about 200 m
WEST, SOUTH = 117.0, 34.0
METRE = 1 / 111_000  # degrees of latitude, near enough to make faults with
VILLAGE = "379981001001"


def cell(column: float, row: float, wide: float = 1.0, high: float = 1.0) -> shapely.Polygon:
    x, y = WEST + column * STEP, SOUTH + row * STEP
    return shapely.box(x, y, x + wide * STEP, y + high * STEP)


def on_lattice(shape: BaseGeometry) -> BaseGeometry:
    return shapely.transform(shape, lambda xy: np.rint(xy * 1e9) / 1e9)


def cells(columns: int, rows: int) -> dict[str, BaseGeometry]:
    """Squares named column-row, which share their vertices exactly."""
    return {f"{c}-{r}": on_lattice(cell(c, r)) for r in range(rows) for c in range(columns)}


def found(
    shapes: dict[str, BaseGeometry],
    villages: dict[str, BaseGeometry | None] | None = None,
    **limits: object,
) -> list[Finding]:
    subjects = [Subject(key, VILLAGE, shape) for key, shape in shapes.items()]
    return check(subjects, villages, PlanLimits(compactness=0.0, **limits))  # type: ignore[arg-type]


def inside(one: Finding, place: BaseGeometry) -> bool:
    return bool(place.intersects(shapely.Point(one.lon, one.lat)))


def area(shape: BaseGeometry) -> float:
    return float(measure.area_m2(np.array([shape], object))[0])


WHOLE = {VILLAGE: on_lattice(shapely.union_all(list(cells(4, 3).values())))}


# --- right


def test_nothing_is_said_of_a_coverage_that_is_right() -> None:
    assert found(cells(4, 3)) == []
    assert found(cells(4, 3), WHOLE) == []
    assert found({}) == []


def test_vertices_less_than_a_millimetre_apart_are_one() -> None:
    rng = np.random.default_rng(0)
    shapes = {
        key: shapely.Polygon(shapely.get_coordinates(shape)[:-1] + rng.uniform(-3e-9, 3e-9, (4, 2)))
        for key, shape in cells(4, 3).items()
    }
    assert found(shapes) == []
    assert found(shapes, WHOLE) == []


def test_a_vertex_that_only_one_side_has_is_no_fault() -> None:
    shapes = cells(4, 3)
    shapes["1-1"] = on_lattice(shapely.segmentize(shapes["1-1"], STEP / 3))
    assert found(shapes, WHOLE) == []


def test_land_apart_is_no_fault() -> None:
    assert found(cells(2, 2) | {"far": cell(9, 9), "corner": cell(10, 10)}) == []


# --- faults by hand


def test_a_missing_grid_is_a_gap_between_its_neighbours() -> None:
    shapes = cells(4, 3)
    hole = shapes.pop("1-1")
    (one,) = found(shapes)
    assert (one.rule, one.severity) == (Rule.GAP, Severity.ERROR)
    assert one.area_m2 == pytest.approx(area(hole), rel=1e-6)
    assert inside(one, hole)
    assert {one.key, one.other} < {"0-1", "2-1", "1-0", "1-2"}
    assert one.text == f"网格 {one.key} 与 {one.other} 之间有 {area(hole):,.0f} 平方米 没有网格。"


def test_a_vertex_pulled_two_metres_inwards_is_a_gap_that_others_miss() -> None:
    shapes = cells(4, 3)
    points = shapely.get_coordinates(shapes["1-1"])[:-1]
    points[0] += -2 * METRE, 2 * METRE
    shapes["1-1"] = shapely.Polygon(points)
    assert shapely.coverage_is_valid(np.array(list(shapes.values())))
    (one,) = found(shapes, WHOLE)
    assert one.rule == Rule.SLIVER
    assert one.area_m2 == pytest.approx(area(cells(4, 3)["1-1"]) - area(shapes["1-1"]), rel=1e-3)
    assert inside(one, shapely.difference(cells(4, 3)["1-1"], shapes["1-1"]))


def test_ground_of_two_grids_is_an_overlap_and_of_three_one_for_each_two() -> None:
    shapes = cells(4, 3)
    shapes["1-1"] = on_lattice(cell(1, 1, 1.5))
    (one,) = found(shapes)
    assert (one.rule, one.key, one.other) == (Rule.OVERLAP, "1-1", "2-1")
    assert one.area_m2 == pytest.approx(area(cell(0, 1, 0.5)), rel=1e-6)
    assert inside(one, on_lattice(cell(2, 1, 0.5)))
    shapes["new"] = on_lattice(cell(2, 1, 0.5))
    pairs = [(each.key, each.other) for each in found(shapes)]
    assert sorted(pairs) == [("1-1", "2-1"), ("1-1", "new"), ("2-1", "new")]


def test_a_grid_that_stands_twice_overlaps_itself() -> None:
    shapes = cells(4, 3)
    (one,) = found({**shapes, "again": shapes["1-1"]})
    assert (one.rule, one.key, one.other) == (Rule.OVERLAP, "1-1", "again")
    assert one.area_m2 == pytest.approx(area(shapes["1-1"]), rel=1e-6)


def test_slivers_of_two_neighbours_are_told_once() -> None:
    shapes = cells(4, 3)
    points = shapely.get_coordinates(shapely.segmentize(shapes["1-1"], STEP / 2))[:-1]
    east = np.abs(points[:, 0] - shapes["1-1"].bounds[2]) < 1e-9
    points[east, 0] += np.where(np.arange(east.sum()) % 2, 0.3, -0.3) * METRE
    shapes["1-1"] = shapely.Polygon(points)
    slivers = [each for each in found(shapes) if {each.key, each.other} == {"1-1", "2-1"}]
    (one,) = slivers
    assert one.rule == Rule.SLIVER
    assert one.value is not None
    assert one.value >= 2
    assert errors([one]) == [one]


def test_a_grid_that_crosses_itself_is_named_with_the_place_and_its_ground_still_counts() -> None:
    shapes = cells(4, 1)
    x, y = WEST, SOUTH
    shapes["0-0"] = shapely.Polygon(
        [(x, y), (x + STEP, y), (x + STEP, y + STEP), (x + STEP / 2, y - STEP / 4), (x, y + STEP)]
    )
    crossing = next(each for each in found(shapes) if each.rule == Rule.SELF_CROSSING)
    assert (crossing.key, crossing.severity) == ("0-0", Severity.ERROR)
    assert shapes["0-0"].distance(shapely.Point(crossing.lon, crossing.lat)) < 1e-9
    assert all(each.rule != Rule.OVERLAP for each in found(shapes))


def test_a_grid_without_a_shape_is_named() -> None:
    (one,) = check([Subject("a", VILLAGE, None)])
    assert (one.rule, one.key, one.text) == (Rule.EMPTY, "a", "网格 a 没有图形。")


def test_land_of_a_village_without_a_grid_is_told_with_the_village() -> None:
    shapes = cells(4, 3)
    rim = shapes.pop("3-2")
    (one,) = found(shapes, WHOLE)
    assert (one.rule, one.key, one.other) == (Rule.UNASSIGNED, "", VILLAGE)
    assert one.area_m2 == pytest.approx(area(rim), rel=1e-6)
    assert inside(one, rim)
    assert found(shapes) == []  # open to the rim: only the village tells


def test_a_grid_beyond_its_village_is_outside_or_across() -> None:
    other = "379981001002"
    villages = WHOLE | {other: on_lattice(cell(4, 0, 1, 3))}
    shapes = cells(4, 3)
    shapes["3-0"] = on_lattice(cell(3, 0, 1.4))
    shapes["0-1"] = on_lattice(cell(-0.3, 1, 1.3))
    told = {(each.rule, each.key, each.other) for each in found(shapes, villages)}
    assert told == {
        (Rule.ACROSS_VILLAGE, "3-0", other),
        (Rule.OUTSIDE_VILLAGE, "0-1", None),
        (Rule.UNASSIGNED, "", other),
    }
    across = next(each for each in found(shapes, villages) if each.rule == Rule.ACROSS_VILLAGE)
    assert inside(across, on_lattice(cell(4, 0, 0.4)))
    assert across.area_m2 == pytest.approx(area(cell(4, 0, 0.4)), rel=1e-6)


def test_ground_between_villages_that_is_nobodys_is_no_gap() -> None:
    ring = shapely.difference(WHOLE[VILLAGE], on_lattice(cell(1, 1)))
    shapes = cells(4, 3)
    del shapes["1-1"]
    assert found(shapes, {VILLAGE: ring}) == []


def test_pieces_are_an_error_where_the_village_is_whole_and_a_word_where_it_is_not() -> None:
    apart = shapely.union(cell(0, 0), cell(2, 0))
    between = {"b": on_lattice(cell(1, 0))}
    village = on_lattice(cell(0, 0, 3))
    whole = found({"a": on_lattice(apart), **between}, {VILLAGE: village})
    assert [(each.rule, each.key, each.value) for each in whole] == [(Rule.CONTIGUITY, "a", 2.0)]
    (word,) = found({"a": on_lattice(apart)}, {VILLAGE: on_lattice(apart)})
    assert (word.rule, word.severity, word.value) == (Rule.MULTIPART, Severity.WARNING, 2.0)


def test_a_grid_around_another_has_a_hole() -> None:
    outer = on_lattice(shapely.difference(cell(0, 0, 3, 3), cell(1, 1)))
    (one,) = found({"outer": outer, "inner": on_lattice(cell(1, 1))})
    assert (one.rule, one.key, one.value, one.severity) == (Rule.HOLE, "outer", 1.0, Severity.WARNING)
    assert inside(one, cell(1, 1))


def test_special_grids_may_lie_over_base_grids_but_not_cross_themselves() -> None:
    base = [Subject(key, VILLAGE, shape) for key, shape in cells(4, 3).items()]
    over = Subject("s", VILLAGE, cell(0.5, 0.5, 2, 1), kind="special", chiefs=0, households=9)
    assert check([*base, over], WHOLE) == []
    bow = shapely.Polygon([(117, 34), (117.01, 34.01), (117.01, 34), (117, 34.01)])
    assert [each.rule for each in check([*base, Subject("s", VILLAGE, bow, kind="special")])] == [
        Rule.SELF_CROSSING
    ]


# --- numbers


def test_households_are_held_against_the_band_of_the_division() -> None:
    limits = PlanLimits(bands={"379981": (200, 400), VILLAGE[:9]: (100, 150)})
    shapes = cells(3, 1)

    def of(key: str, village: str, households: int, urban: bool = True) -> Subject:
        return Subject(key, village, shapes[key], households=households, urban=urban)

    subjects = [
        of("0-0", VILLAGE, 160),
        of("1-0", "379981002001", 160),
        of("2-0", "120000001001", 299, urban=False),
    ]
    told = [(each.key, each.value, each.allowed, each.severity) for each in check(subjects, {}, limits)]
    assert told == [
        ("0-0", 160.0, "100 至 150 户", Severity.WARNING),
        ("1-0", 160.0, "200 至 400 户", Severity.WARNING),
    ]
    rural = [of("2-0", "120000001001", 501, urban=False)]
    assert [each.allowed for each in check(rural, {}, limits)] == ["不超过 500 户"]


def test_chiefs_count_and_form_are_checked() -> None:
    strip = on_lattice(cell(0, 0, 30, 0.5))
    subjects = [
        Subject("a", VILLAGE, strip, chiefs=0),
        Subject("b", VILLAGE, on_lattice(cell(0, 1)), chiefs=2),
        Subject("c", VILLAGE, on_lattice(cell(0, 2)), chiefs=1),
    ]
    told = [(each.rule, each.key, each.severity) for each in check(subjects, {}, PlanLimits(count=4))]
    assert told == [
        (Rule.COUNT, "", Severity.ERROR),
        (Rule.TWO_CHIEFS, "b", Severity.ERROR),
        (Rule.COMPACTNESS, "a", Severity.WARNING),
        (Rule.NO_CHIEF, "a", Severity.WARNING),
    ]


def test_every_rule_has_a_name_and_a_sentence() -> None:
    for rule in Rule:
        one = Finding(rule, "a", "b", 12.0, 2.0, "1", 117.0, 34.0)
        assert RULE_NAMES[rule]
        assert one.text.endswith("。")


def test_what_cannot_be_checked_is_refused() -> None:
    with pytest.raises(InputError, match="key"):
        check([Subject("a", VILLAGE, cell(0, 0))] * 2)
    with pytest.raises(InputError, match="shape of a"):
        check([Subject("a", VILLAGE, shapely.Point(117, 34))])
    with pytest.raises(InputError, match="band"):
        PlanLimits(band=(500, 300))


# --- anything that is put in is found


def surveyed(seed: int) -> dict[str, BaseGeometry]:
    """Forty polygons as land is cut: no right angles, shared vertices, edges of many points."""
    rng = np.random.default_rng(seed)
    box = shapely.box(WEST, SOUTH, WEST + 0.02, SOUTH + 0.02)
    points = rng.uniform((WEST, SOUTH), (WEST + 0.02, SOUTH + 0.02), (40, 2))
    parts = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(points), extend_to=box))
    parts = shapely.segmentize(shapely.intersection(parts, box), 0.001)
    return {str(k): on_lattice(shape) for k, shape in enumerate(parts)}


@given(
    seed=st.integers(0, 20),
    which=st.integers(0, 39),
    across=st.floats(0.3, 60),
    along=st.floats(3.5, 60),
    turn=st.floats(0, np.pi),
    gap=st.booleans(),
)
def test_any_fault_of_a_square_metre_is_found_with_its_place_inside_it(
    seed: int, which: int, across: float, along: float, turn: float, gap: bool
) -> None:
    shapes = surveyed(seed)
    key = str(which)
    middle = np.array(shapes[key].representative_point().coords[0])
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (across / 2, along / 2) * METRE
    spin = np.array([(np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))])
    fault = on_lattice(shapely.Polygon(corners @ spin + middle))
    fault = shapely.intersection(fault, shapely.buffer(shapes[key], -2 * METRE))
    if fault.is_empty or area(fault) < 1:
        return
    assert found(shapes) == []
    if gap:
        shapes[key] = shapely.difference(shapes[key], fault)
    else:
        shapes["new"] = fault
    told = [each for each in found(shapes) if each.rule in (Rule.GAP, Rule.OVERLAP, Rule.SLIVER)]
    assert sum(each.area_m2 or 0 for each in told) == pytest.approx(area(fault), abs=0.5, rel=1e-3)
    assert all(inside(each, shapely.buffer(fault, 1e-8)) for each in told)
    assert {each.key for each in told} == {key}


@given(seed=st.integers(0, 200), count=st.integers(1, 6))
def test_the_winding_says_how_many_polygons_cover_a_place(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 6, (count, 2)) * STEP + (WEST, SOUTH)
    shapes = np.array([on_lattice(shapely.Point(c).buffer(STEP, quad_segs=2)) for c in centres], object)
    rest = chains.rest(shapes, np.full(count, -1), np.empty(0, object))
    faces = chains.faces(rest.city)
    tree = shapely.STRtree(shapes)
    covering = [len(tree.query(shapely.Point(place), "intersects")) for place in faces.inside]
    assert faces.winding.tolist() == covering

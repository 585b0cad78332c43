"""Coordinates: published vectors, then relations that hold for every point."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from pyproj import Geod

from gridmgmt import crs
from gridmgmt.errors import InputError

Convert = Callable[[ArrayLike, ArrayLike], crs.LonLat]
Point = tuple[float, float]
Vectors = dict[str, Any]

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "published" / "expected.json"
CGCS2000 = Geod(a=6378137.0, rf=298.257222101)
THERE_AND_BACK = [
    (crs.wgs84_to_gcj02, crs.gcj02_to_wgs84),
    (crs.gcj02_to_bd09, crs.bd09_to_gcj02),
    (crs.wgs84_to_bd09, crs.bd09_to_wgs84),
]
# All of China, from the Pamirs to the Ussuri and from Zengmu Shoal to Mohe.
LONGITUDES, LATITUDES = st.floats(73.4, 135.2), st.floats(3.8, 53.6)
COLUMNS = st.lists(st.tuples(LONGITUDES, LATITUDES), min_size=1, max_size=50).map(np.array)


def metres_apart(a: tuple[ArrayLike, ArrayLike], b: tuple[ArrayLike, ArrayLike]) -> float:
    lon_a, lat_a, lon_b, lat_b = np.broadcast_arrays(a[0], a[1], b[0], b[1])
    return float(np.max(CGCS2000.inv(lon_a, lat_a, lon_b, lat_b)[2]))


@pytest.fixture(scope="module")
def published() -> Vectors:
    if not PUBLISHED.exists():
        pytest.skip(f"published vectors are not on this machine: no {PUBLISHED.name} beside the repository")
    coordinates = json.loads(PUBLISHED.read_text(encoding="utf-8"))["coordinates"]
    vectors: Vectors = coordinates | coordinates["coordtransform_lnglat_of_116.404_39.915"]
    return vectors


@pytest.mark.parametrize(
    ("convert", "point", "expected", "tolerance"),
    [
        # wandergis/coordtransform 606c6f3, its README: forward formulas agree to the last digits.
        (crs.wgs84_to_gcj02, (116.404, 39.915), (116.41024449916938, 39.91640428150164), 1e-6),
        (crs.gcj02_to_bd09, (116.404, 39.915), (116.41036949371029, 39.92133699351021), 1e-6),
        # Alibaba Cloud, address service, TransferCoord example: a service's own answer, 6 decimals (0.1 m),
        # and its way back to WGS 84 is the one-step inverse, which is metres off.
        (crs.gcj02_to_bd09, (120.026268, 30.279164), (120.032768, 30.285238), 0.2),
        (crs.gcj02_to_wgs84, (120.026268, 30.279164), (120.021519, 30.281543), 3.0),
    ],
)
def test_a_point_lands_where_published_code_puts_it(
    convert: Convert, point: Point, expected: Point, tolerance: float
) -> None:
    assert metres_apart(convert(*point), expected) < tolerance


def test_forward_conversions_repeat_every_published_vector(published: Vectors) -> None:
    for lat, lon, gcj_lat, gcj_lon in published["wgs_to_gcj_latlng"]:
        assert metres_apart(crs.wgs84_to_gcj02(lon, lat), (gcj_lon, gcj_lat)) < 1e-3
    for name, convert in (("wgs84togcj02", crs.wgs84_to_gcj02), ("gcj02tobd09", crs.gcj02_to_bd09)):
        assert metres_apart(convert(116.404, 39.915), published[name]) < 1e-3


def test_inverse_conversions_are_as_near_the_published_ones_as_those_are_to_the_truth(
    published: Vectors,
) -> None:
    """The published inverses take one step: GCJ-02 is off by up to 6 m, BD-09 by up to 1 m."""
    for name, convert, bound in (
        ("gcj02towgs84", crs.gcj02_to_wgs84, 6.0),
        ("bd09togcj02", crs.bd09_to_gcj02, 1.0),
    ):
        assert metres_apart(convert(116.404, 39.915), published[name]) < bound


def test_the_published_bd09_to_wgs84_vectors_carry_a_wrong_constant(
    published: Vectors,
) -> None:
    """They come from code with pi where BD-09 has 3000 pi / 180 (googollee/eviltransform, issue 43).

    So ours must be near them, yet not on them.
    """
    gaps = [
        metres_apart(crs.bd09_to_wgs84(bd_lon, bd_lat), (lon, lat))
        for bd_lat, bd_lon, lat, lon in published["bd_to_wgs_latlng"]
    ]
    assert min(gaps) > 5
    assert max(gaps) < 60


@pytest.mark.parametrize(("there", "back"), THERE_AND_BACK)
@given(points=COLUMNS)
def test_every_point_of_china_returns_to_itself_within_a_millimetre(
    there: Convert, back: Convert, points: np.ndarray
) -> None:
    lon, lat = points.T
    assert metres_apart(back(*there(lon, lat)), (lon, lat)) < 1e-3
    assert metres_apart(there(*back(lon, lat)), (lon, lat)) < 1e-3


@given(points=COLUMNS)
def test_a_shift_moves_every_point_of_china_but_never_to_another_town(points: np.ndarray) -> None:
    lon, lat = points.T
    for there, farthest in ((crs.wgs84_to_gcj02, 800.0), (crs.gcj02_to_bd09, 1100.0)):
        moved = CGCS2000.inv(lon, lat, *there(lon, lat))[2]
        assert np.all((moved > 1.0) & (moved < farthest))


def test_points_on_the_edge_of_the_box_return_to_themselves() -> None:
    along = np.linspace(0.0, 1.0, 2001)
    lon = 72.004 + along * (137.8347 - 72.004)
    lat = 0.8293 + along * (55.8271 - 0.8293)
    for x, y in ((lon, 0.8293), (lon, 55.8271), (72.004, lat), (137.8347, lat)):
        for there, back in THERE_AND_BACK[:2]:
            assert metres_apart(back(*there(x, y)), (x, y)) < 1e-3


@pytest.mark.parametrize("lonlat", [(139.69, 35.68), (-74.0, 40.7), (0.0, 0.0), (72.0, 35.0), (np.inf, 35.0)])
def test_points_outside_the_box_stay_where_they_are(lonlat: Point) -> None:
    for convert in (step for pair in THERE_AND_BACK for step in pair):
        assert tuple(float(v) for v in convert(*lonlat)) == lonlat


def test_a_missing_number_makes_the_point_missing_and_leaves_its_neighbours() -> None:
    lon, lat = np.array([108.25, np.nan, 108.25]), np.array([33.05, 33.05, np.nan])
    for convert in (*(step for pair in THERE_AND_BACK for step in pair), as_epsg(4326), as_epsg(4490)):
        x, y = convert(lon, lat)
        assert np.isnan(x).tolist() == np.isnan(y).tolist() == [False, True, True]


def as_epsg(code: int) -> Convert:
    return lambda lon, lat: crs.to_cgcs2000(lon, lat, f"EPSG:{code}")


def test_a_column_longer_than_a_block_is_converted_point_by_point_into_new_arrays() -> None:
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(105, 111, 20_001), rng.uniform(31, 36, 20_001)
    before = lon.copy(), lat.copy()
    x, y = crs.bd09_to_wgs84(lon, lat)
    for k in (0, 8191, 8192, 20_000):
        assert metres_apart(crs.bd09_to_wgs84(lon[k], lat[k]), (x[k], y[k])) < 1e-3
    same_x, _ = crs.to_cgcs2000(lon, lat, "wgs84")
    same_x[:] = 0.0
    assert np.array_equal((lon, lat), before)


def test_shapes_broadcast_and_shapes_that_do_not_fit_are_named() -> None:
    assert crs.wgs84_to_gcj02(np.full((3, 1), 108.0), np.full(4, 33.0))[0].shape == (3, 4)
    assert crs.wgs84_to_gcj02(108, 33)[0].shape == ()
    assert crs.wgs84_to_gcj02([], [])[0].shape == (0,)
    for lon, lat in (([1.0, 2.0], [1.0, 2.0, 3.0]), (["east"], [33.0])):
        with pytest.raises(InputError, match="lon, lat"):
            crs.gcj02_to_wgs84(lon, lat)


def test_one_doorstep_is_one_place_whatever_system_its_file_used() -> None:
    home = 108.247, 33.046
    written: tuple[tuple[str, tuple[ArrayLike, ArrayLike]], ...] = (
        ("wgs84", home),
        ("CGCS2000", home),
        ("epsg:4326", home),
        ("EPSG:4490", home),
        ("GCJ-02", crs.wgs84_to_gcj02(*home)),
        ("BD09", crs.wgs84_to_bd09(*home)),
    )
    for name, (x, y) in written:
        assert metres_apart(crs.to_cgcs2000(x, y, name), home) < 1e-3


def test_a_gauss_krueger_northing_is_the_length_of_the_meridian() -> None:
    """Easting first, northing second: the length from the equator is summed degree by degree of `my`."""
    edges = np.linspace(0.0, 33.0, 3301)
    _, my = crs.metres_per_degree((edges[1:] + edges[:-1]) / 2)
    northing = float(np.sum(my * np.diff(edges)))
    assert metres_apart(crs.to_cgcs2000(500_000.0, northing, "EPSG:4547"), (114.0, 33.0)) < 0.001


def test_a_foreign_city_in_survey_feet_comes_out_in_degrees() -> None:
    # The false origin of New York's State Plane zone: 984,250 feet at 74° W 40°10' N, by definition.
    assert metres_apart(crs.to_cgcs2000(984_250.0, 0.0, "EPSG:2263"), (-74.0, 40 + 1 / 6)) < 0.01
    assert np.isnan(crs.to_cgcs2000(1e30, 1e30, "EPSG:4547")[0])


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("WGS84", "wgs84"),
        (" wgs-84 ", "wgs84"),
        ("Gcj 02", "gcj02"),
        ("BD_09", "bd09"),
        ("epsg:4547", "EPSG:4547"),
    ],
)
def test_a_system_has_one_spelling(given: str, name: str) -> None:
    assert crs.parse_crs(given) == name == crs.parse_crs(name)


@pytest.mark.parametrize(
    "name",
    [
        "mercator", "", "EPSG:", "EPSG:-4490", "EPSG:999999", "4490",
        "EPSG:4978",  # geocentric: three numbers a point
        "EPSG:4610",  # Xi'an 1980: PROJ alone would leave its datum shift out, silently
        "EPSG:2437",  # Beijing 1954: PROJ alone would use an oil basin's parameters anywhere
    ],
)  # fmt: skip
def test_an_unknown_or_unknowable_system_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError) as caught:
        crs.to_cgcs2000(108.0, 33.0, name)
    assert caught.value.field == "crs"
    assert name in str(caught.value.found)


@given(lon=LONGITUDES, lat=LATITUDES, bearing=st.floats(0, 360), other=st.floats(0, 360))
def test_local_metres_keep_distances_of_a_neighbourhood_to_a_thousandth(
    lon: float, lat: float, bearing: float, other: float
) -> None:
    lat = min(lat, 50.0)
    lons, lats, _ = CGCS2000.fwd([lon] * 2, [lat] * 2, [bearing, other], [5000.0, 5000.0])
    x, y = crs.to_local_metres(lons, lats, lon, lat)
    _, _, true = CGCS2000.inv(lons[0], lats[0], lons[1], lats[1])
    assert np.hypot(x, y) == pytest.approx(5000.0, rel=1e-3)
    assert np.hypot(x[0] - x[1], y[0] - y[1]) == pytest.approx(true, rel=1e-3, abs=0.01)


@given(lat=LATITUDES)
def test_a_degree_is_as_long_as_the_geodesic_says(lat: float) -> None:
    mx, my = crs.metres_per_degree(lat)
    step = 1e-3
    assert float(mx) * step == pytest.approx(CGCS2000.inv(108, lat, 108 + step, lat)[2], rel=1e-6)
    assert float(my) * step == pytest.approx(
        CGCS2000.inv(108, lat - step / 2, 108, lat + step / 2)[2], rel=1e-6
    )

"""Tiles as the web gives them: edges that agree, one cache, tags that hold as long as the data does."""

import itertools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import folium
import numpy as np
import pytest
import shapely
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from benchmarks.vector_tiles import Feature, read
from gridmgmt.db.models import Role
from gridmgmt.errors import InputError, SetupError
from gridmgmt.web import basemap, layers, tile_encoding, tile_layers, tiles
from gridmgmt.web.pmtiles import Archive, tile_number
from gridmgmt.web.security import policy
from gridmgmt.web.tile_cache import Remembered, Shelf, believed
from gridmgmt.web.tile_shapes import to_units

from .small_city import GRIDS, HOSTILE, HOSTILE_NAME, MINE, NORTH, SIDE, TOWN_1, WEST

Client = Callable[[Role | None], FlaskClient]


def _place(z: int, lon: float = WEST + 1.5 * SIDE, lat: float = NORTH - 1.5 * SIDE) -> tuple[int, int]:
    x, y = shapely.get_coordinates(to_units(np.array([shapely.Point(lon, lat)], object), z))[0]
    return int(x // 4096), int(y // 4096)


def _url(layer: str, z: int, x: int | None = None, y: int | None = None) -> str:
    here = _place(z)
    return f"/tiles/{layer}/{z}/{here[0] if x is None else x}/{here[1] if y is None else y}.mvt"


def _counted(call: Callable[..., Any], calls: list[int]) -> Callable[..., Any]:
    """The same call, which leaves a mark each time that it is made."""

    def counted(*given: Any) -> Any:
        calls.append(1)
        return call(*given)

    return counted


def _codes(client: FlaskClient, layer: str) -> set[str]:
    x, y = _place(12)
    around = [(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    found = [client.get(_url(layer, 12, *each)).data for each in around]
    return {feature.properties["code"] for tile in found for feature in read(tile).get(layer, [])}


def _edges(feature: Feature) -> set[frozenset[tuple[int, int]]]:
    return {frozenset(edge) for ring in feature.paths for edge in zip(ring, ring[1:] + ring[:1], strict=True)}


# --- areas


@pytest.mark.parametrize("z", [9, 12, 14])
def test_neighbours_share_their_edges_point_by_point_in_a_tile(as_role: Client, z: int) -> None:
    """Every edge inside the tile is that of two grids, or of one at the rim of the city."""
    found = read(as_role(Role.COMMAND).get(_url("grids", z)).data)["grids"]
    edges = [_edges(feature) for feature in found]
    for k, mine in enumerate(edges):
        corners = {point for edge in mine for point in edge}
        for other in edges[k + 1 :]:
            both = corners & {point for edge in other for point in edge}
            assert len(mine & other) == max(0, len(both) - 1)
    assert all(-64 <= part <= 4160 for f in found for ring in f.paths for point in ring for part in point)
    area = sum(
        (a[0] * b[1] - b[0] * a[1])
        for f in found
        for r in f.paths
        for a, b in zip(r, r[1:] + r[:1], strict=True)
    )
    assert area > 0  # outer rings run clockwise, y down


def test_towns_run_along_their_grids_and_a_hostile_name_is_only_a_text(as_role: Client) -> None:
    grids = read(as_role(Role.COMMAND).get(_url("grids", 9)).data)["grids"]
    towns = read(as_role(Role.COMMAND).get(_url("towns", 9)).data)["towns"]
    of_grids = set().union(*map(_edges, grids))
    assert set().union(*map(_edges, towns)) <= of_grids
    assert {f.properties["name"] for f in grids if f.properties["code"] == HOSTILE} == {HOSTILE_NAME}
    assert {key for f in grids for key in f.properties} == {"code", "name", "kind", "village"}


def test_everybody_sees_the_own_area_and_no_more(as_role: Client) -> None:
    assert _codes(as_role(Role.COMMAND), "grids") == set(GRIDS)
    assert _codes(as_role(Role.TOWN_OFFICER), "grids") == {g for g in GRIDS if g.startswith(TOWN_1)}
    assert _codes(as_role(Role.GRID_WORKER), "grids") == {MINE}
    assert _codes(as_role(Role.TOWN_OFFICER), "towns") == {TOWN_1}
    assert _codes(as_role(Role.GRID_WORKER), "towns") == set()
    names = as_role(Role.GRID_WORKER).get("/tiles/names.json").json
    assert list(names["grids"]) == [MINE]
    assert names["categories"]["01"] == "噪声扰民"


def test_a_planner_counts_matters_but_does_not_see_each(as_role: Client) -> None:
    assert as_role(Role.PLANNER).get(_url("matters", 12)).status_code == 403
    assert as_role(Role.ADMIN).get(_url("grids", 12)).status_code == 403
    assert as_role(Role.TOWN_OFFICER).get("/tiles/density.json").status_code == 403


def test_an_address_out_of_bounds_is_refused(as_role: Client) -> None:
    for address in (
        "/tiles/persons/14/1/1.mvt", "/tiles/grids/3/1/1.mvt", "/tiles/grids/17/1/1.mvt",
        "/tiles/grids/9/512/1.mvt", "/tiles/grids/9/1/512.mvt", "/tiles/matters/9/1/1.mvt?from=gestern",
        "/tiles/matters/9/1/1.mvt?category=../..", "/tiles/density.json?from=2025-02-01&to=2025-01-01",
    ):  # fmt: skip
        assert as_role(Role.COMMAND).get(address).status_code == 400, address
    assert as_role(Role.COMMAND).get("/tiles/grids/9/-1/1.mvt").status_code == 404


# --- the cache


def test_a_tile_is_made_once_and_asked_for_again_costs_no_data(
    as_role: Client, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, made = as_role(Role.COMMAND), list[int]()
    make = tiles.LAYERS["grids"].make
    monkeypatch.setitem(
        tiles.LAYERS, "grids",
        tiles.Layer((8, 16), tiles._by_day, _counted(make, made)),
    )  # fmt: skip
    first = client.get(_url("grids", 12), headers={"Accept-Encoding": "gzip"})
    second = client.get(_url("grids", 12))
    assert (first.headers["Content-Encoding"], second.headers.get("Content-Encoding")) == ("gzip", None)
    assert read(first.data) == read(second.data)
    assert len(made) == 1
    assert first.headers["Cache-Control"] == "private, no-cache"
    held = client.get(_url("grids", 12), headers={"If-None-Match": first.headers["ETag"]})
    assert (held.status_code, held.data, len(made)) == (304, b"", 1)
    other = as_role(Role.TOWN_OFFICER).get(_url("grids", 12))
    assert other.headers["ETag"] != first.headers["ETag"]
    assert len(made) == 2
    home = app.config["SETTINGS"].home / "cache" / "tiles"
    assert len(list(home.rglob("*.gz"))) == 2
    empty = client.get("/tiles/grids/12/1/1.mvt")
    assert (empty.status_code, empty.data) == (204, b"")


def test_a_new_import_ends_what_was_kept(city: Engine, make_app: Callable[..., Flask]) -> None:
    from .conftest import sign_in

    app = make_app(city)
    app.config["TILE_VERSION_SECONDS"] = 0
    client = app.test_client()
    sign_in(client, "command")
    before = client.get(_url("grids", 12))
    with city.begin() as connection:
        connection.execute(text("UPDATE grid SET name = '新名' WHERE code15 = :c"), {"c": MINE})
        kept = client.get(_url("grids", 12))
        assert kept.headers["ETag"] == before.headers["ETag"]
        run = "INSERT INTO import_run (kind, file, sha256, counts) VALUES ('grids', 'g', 'x', '{}')"
        connection.execute(text(run))
    after = client.get(_url("grids", 12), headers={"If-None-Match": before.headers["ETag"]})
    names = {feature.properties["name"] for feature in read(after.data)["grids"]}
    assert after.status_code == 200
    assert "新名" in names
    folder = app.config["SETTINGS"].home / "cache" / "tiles" / "grids"
    assert len(list(folder.iterdir())) == 1  # the old version's files are gone


def test_a_shelf_keeps_one_version_and_stays_within_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridmgmt.web.tile_cache.LOOK_EVERY", 4)
    shelf = Shelf(tmp_path, limit=100)
    for number in range(8):
        shelf.put("1", f"city/{number}", b"x" * 40)
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in kept) <= 100
    shelf.put("2", "city/1", b"new")
    assert shelf.get("1", "city/7") is None
    assert shelf.get("2", "city/1") == b"new"
    assert shelf.get("2", "no/such") is None


def test_a_version_is_looked_up_once_in_a_while() -> None:
    asked: list[int] = []
    version = Remembered(_counted(lambda: len(asked), asked), 3600)
    assert [version(), version()] == [1, 1]
    again = Remembered(_counted(lambda: len(asked), asked), 0)
    assert [again(), again()] == [2, 3]


def test_who_asks_is_believed_for_a_moment_for_tiles_and_for_nothing_else(app: Flask) -> None:
    asked: list[int] = []
    loaded = believed(_counted(lambda _: len(asked), asked), "/tiles/", 3600)
    with app.test_request_context("/tiles/grids/9/1/1.mvt"):
        assert (loaded("a"), loaded("a"), loaded("b")) == (1, 1, 2)
    with app.test_request_context("/command"):
        assert loaded("a") == 3
    with app.test_request_context("/tiles/grids/9/1/1.mvt"):
        assert loaded("a") == 3  # what a page learned counts for tiles at once


# --- encoding


@given(st.lists(st.tuples(st.integers(-70, 4170), st.integers(-70, 4170)), min_size=2, max_size=30))
def test_lines_come_out_of_a_tile_as_they_went_in(points: list[tuple[int, int]]) -> None:
    line = np.array([shapely.LineString(points)], object)
    drawn = read(tile_encoding.tile({"roads": (line, [{"name": "路"}])})).get("roads", [])
    expected = [p for k, p in enumerate(points) if k == 0 or p != points[k - 1]]
    assert [f.paths for f in drawn] == ([(tuple(expected),)] if len(expected) > 1 else [])


def test_an_area_with_a_hole_is_cut_at_the_tile_and_wound_as_the_format_asks() -> None:
    ring = shapely.box(4000, 100, 4500, 600).difference(shapely.box(4010, 200, 4050, 300))
    shapes = np.array([shapely.MultiPolygon([ring]), shapely.box(9000, 9000, 9100, 9100)], object)
    cut = tile_encoding.cut(shapes, 0, 0)
    (feature,) = read(tile_encoding.tile({"grids": (cut, [{"code": "a"}, {"code": "b"}])}))["grids"]
    outer, hole = feature.paths
    (moved,) = tile_encoding.cut(shapes[:1], 1, 0)
    assert shapely.bounds(moved).tolist() == [-64, 100, 404, 600]
    assert max(x for x, _ in outer) == 4096 + tile_encoding.MARGIN
    assert {x for x, _ in hole} == {4010, 4050}
    doubled = [
        sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(r, r[1:] + r[:1], strict=True)) for r in (outer, hole)
    ]
    assert doubled[0] > 0 > doubled[1]


# --- density and clusters


def test_a_density_is_made_once_lies_on_its_ground_and_says_its_classes(
    as_role: Client, city: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with city.begin() as connection:
        connection.execute(text("SELECT ensure_incident_year(2025)"))
        connection.execute(
            text("""INSERT INTO incident (source, external_id, category, occurred_at, occurred_on,
            reported_at, geom, status, digest) SELECT 's', n::text, '01', '2025-05-01', '2025-05-01',
            '2025-05-01',
            ST_Point(:x, :y, 4490), 'closed', gen_random_uuid() FROM generate_series(1, 50) n"""),
            {"x": WEST + 2.5 * SIDE, "y": NORTH - 0.5 * SIDE},
        )
    made: list[int] = []
    monkeypatch.setattr(layers, "surface", _counted(layers.surface, made))
    client, asked = as_role(Role.COMMAND), "from=2025-01-01&to=2025-12-31&category=01"
    told = client.get(f"/tiles/density.json?{asked}").json
    picture = client.get(f"/tiles/density.png?{asked}")
    assert (picture.mimetype, len(made), told["unit"]) == ("image/png", 1, "件/平方公里·年")
    assert told["breaks"] == sorted(told["breaks"])
    assert len(told["breaks"]) == 5
    west, south, east, north = told["bounds"]
    assert (west, south) == (WEST, NORTH - 3 * SIDE)
    assert east >= WEST + 3 * SIDE
    assert north >= NORTH
    classes = np.asarray(_opened(picture.data))
    row, column = np.unravel_index(classes.argmax(), classes.shape)
    assert classes.max() == 5
    assert classes.min() == 0
    assert abs(west + (column + 0.5) / classes.shape[1] * (east - west) - (WEST + 2.5 * SIDE)) < 0.002
    assert abs(north - (row + 0.5) / classes.shape[0] * (north - south) - (NORTH - 0.5 * SIDE)) < 0.002
    assert client.get("/tiles/density.json?category=02&from=2025-01-01&to=2025-12-31").status_code == 400


def _opened(png: bytes) -> object:
    import io

    from PIL import Image

    return Image.open(io.BytesIO(png))


def test_while_one_worker_makes_a_density_another_is_told_to_wait(tmp_path: Path) -> None:
    mark = tmp_path / "1" / "all.busy"
    with layers._alone(mark) as first, layers._alone(mark) as second:
        assert (first, second) == (True, False)
    with layers._alone(mark) as again:
        assert again


def test_clusters_are_the_ground_of_their_grids_with_what_was_expected(as_role: Client, city: Engine) -> None:
    with city.begin() as connection:
        run = connection.execute(
            text("""INSERT INTO analysis_run (kind, parameters, data_version, seed, started_at)
            VALUES ('clusters', '{"to": "2026-01-01"}', 1, 1, now()) RETURNING id""")
        ).scalar_one()
        connection.execute(
            text("""INSERT INTO hotspot_cluster VALUES (:r, '01', 1, CAST(:a AS jsonb), '2025-12-01',
            '2026-01-01', 45, 12.3, 3.6, 900, 20, 0.0001, 0.001, 4000)"""),
            {"r": run, "a": f'["{GRIDS[0]}", "{GRIDS[1]}"]'},
        )
    (found,) = as_role(Role.COMMAND).get("/tiles/clusters.geojson").json["features"]
    told = found["properties"]
    assert (told["observed"], told["expected"], told["areas"]) == (45, 12.3, 2)
    assert shapely.from_geojson(__import__("json").dumps(found["geometry"])).area == pytest.approx(
        2 * SIDE**2
    )
    assert as_role(Role.COMMAND).get("/tiles/clusters.geojson?category=02").json["features"] == []


# --- basemaps


def test_tianditu_is_asked_by_its_own_matrix_and_the_policy_names_its_eight_hosts() -> None:
    flat, degrees = (basemap.read_basemap(f"tianditu:vec_{plane}:0123456789abcdef") for plane in "wc")
    assert flat
    assert degrees
    assert flat.addresses[0].startswith(
        "https://t{s}.tianditu.gov.cn/vec_w/wmts?SERVICE=WMTS&REQUEST=GetTile"
    )
    assert "LAYER=cva" in flat.addresses[1]
    assert "TILEMATRIXSET=w" in flat.addresses[1]
    assert (flat.crs, flat.deeper, flat.in_degrees) == ("EPSG3857", 0, False)
    # Level 1 in degrees is two tiles wide, as Leaflet's level 0 is.
    assert (degrees.crs, degrees.deeper, degrees.in_degrees) == ("EPSG4326", 1, True)
    hosts = " ".join(f"https://t{n}.tianditu.gov.cn" for n in range(8))
    assert basemap.basemap_origin("tianditu:img_c:0123456789abcdef") == hosts
    assert f"img-src 'self' data: {hosts};" in policy("n", hosts)
    assert "connect-src 'self';" in policy("n", hosts)


@pytest.mark.parametrize(
    "told", ["tianditu:vec_w:", "tianditu:vec_x:0123456789", "tianditu:vec_w:a b;c'*****"]
)
def test_a_tianditu_without_a_key_is_refused_and_the_key_is_not_repeated(told: str) -> None:
    with pytest.raises(InputError, match="tianditu:vec_w:KEY") as refused:
        basemap.read_basemap(told)
    assert "*****" not in str(refused.value)


def test_a_folder_of_tiles_is_handed_out_by_us(
    tmp_path: Path, city: Engine, make_app: Callable[..., Flask]
) -> None:
    from .conftest import sign_in

    (tmp_path / "tiles" / "3" / "1").mkdir(parents=True)
    (tmp_path / "tiles" / "3" / "1" / "2.png").write_bytes(b"a picture")
    app = make_app(city, f"{tmp_path}/tiles/{{z}}/{{x}}/{{y}}.png")
    client = app.test_client()
    assert client.get("/tiles/basemap/3/1/2").status_code in (302, 401)
    sign_in(client, "command")
    found = client.get("/tiles/basemap/3/1/2")
    assert (found.data, found.mimetype) == (b"a picture", "image/png")
    assert client.get("/tiles/basemap/3/1/3").status_code == 204
    assert basemap.basemap_origin(f"{tmp_path}/tiles/{{z}}/{{x}}/{{y}}.png") is None


def _archive(path: Path, kind: int, tiles_: dict[tuple[int, int, int], bytes]) -> None:
    """Write a PMTiles archive: a root that points to one directory of tiles, by its specification."""

    def varint(number: int) -> bytes:
        return (
            b""
            if number < 0
            else bytes([number])
            if number < 128
            else bytes([number & 127 | 128]) + varint(number >> 7)
        )

    def directory(entries: list[tuple[int, int, int, int]]) -> bytes:
        before = [0] + [entry[0] for entry in entries]
        columns = (
            [entry[0] - old for entry, old in zip(entries, before, strict=False)], [e[1] for e in entries],
            [e[2] for e in entries], [e[3] + 1 for e in entries],
        )  # fmt: skip
        return varint(len(entries)) + b"".join(varint(n) for column in columns for n in column)

    ordered = sorted(tiles_.items(), key=lambda each: tile_number(*each[0]))
    offset, entries = 0, []
    for place, content in ordered:
        entries.append((tile_number(*place), 1, len(content), offset))
        offset += len(content)
    leaf = directory(entries)
    root = directory([(entries[0][0], 0, len(leaf), 0)])
    numbers = (127, len(root), 0, 0, 127 + len(root), len(leaf), 127 + len(root) + len(leaf), offset, 0, 0, 0)
    header = struct.pack("<7sB11Q6B", b"PMTiles", 3, *numbers, 1, 1, 1, kind, 0, 12).ljust(127, b"\0")
    path.write_bytes(header + root + leaf + b"".join(content for _, content in ordered))


def test_an_archive_gives_each_tile_and_nothing_for_the_others(tmp_path: Path) -> None:
    path = tmp_path / "city.pmtiles"
    wanted = {(0, 0, 0): b"world", (12, 3378, 1614): b"here", (12, 3379, 1614): b"there!"}
    _archive(path, 2, wanted)
    archive = Archive.opened(path)
    assert {place: archive.tile(*place) for place in wanted} == {
        place: (content, "image/png", "") for place, content in wanted.items()
    }
    assert archive.tile(12, 3377, 1614) is None
    assert archive.tile(11, 0, 0) is None
    found = basemap.read_basemap(str(path))
    assert found
    assert (found.vector, found.deepest, found.origins) == (False, 12, ())
    assert len({tile_number(3, x, y) for x in range(8) for y in range(8)}) == 64
    steps = sorted((tile_number(3, x, y), x, y) for x in range(8) for y in range(8))
    assert all(abs(a[1] - b[1]) + abs(a[2] - b[2]) == 1 for a, b in itertools.pairwise(steps))


def test_a_basemap_that_is_no_archive_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.pmtiles").write_bytes(b"no tiles".ljust(200))
    for name in ("a.pmtiles", "missing.pmtiles"):
        with pytest.raises(SetupError, match="basemap"):
            basemap.basemap_origin(str(tmp_path / name))


# --- the layers of a folium map


def test_layers_are_off_at_first_and_hold_no_address_of_a_stranger(app: Flask) -> None:
    page = folium.Map(tiles=None)
    with app.test_request_context():
        tile_layers.add(page, tuple(tile_layers.NAMES))
        tile_layers.north(page)
        script = page.get_root().script.render() if page.get_root().render() else ""
        with pytest.raises(InputError, match="layer"):
            tile_layers.add(page, ("persons",))
    assert "/tiles/buildings/{z}/{x}/{y}.mvt" in script
    assert "gridmgmtTiles.north()" in script
    assert not any(f"_{kind}.addTo" in script for kind in tile_layers.NAMES)
    assert script.count("gridmgmtTiles.") == len(tile_layers.NAMES) + 1

"""Tiles of points as the database writes them: every point in its tile, at its place, nobody beyond it."""

from collections import Counter
from collections.abc import Iterator
from datetime import date

import numpy as np
import pyproj
import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError

from benchmarks.vector_tiles import Feature, read
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import READER, ROSTER, acting, create_database, drop_database, make_engine

HOUSES, MATTERS = 400, 288
WEST, SOUTH = 117.0, 35.0
TOWNS = ("990101001", "990101002")
GRIDS = tuple(f"{town}001{n:03d}" for town in TOWNS for n in (1, 2))


@pytest.fixture(scope="module")
def world(cluster: Cluster, template: str) -> Iterator[Engine]:
    """400 houses and 288 matters on two villages of two grids; every tenth house is dilapidated.

    No test here writes, so all read the same one.
    """
    create_database(cluster.url("postgres"), "tile_world", template=template)
    engine = make_engine(cluster.url("tile_world"))
    _build(engine)
    yield engine
    engine.dispose()
    drop_database(cluster.url("postgres"), "tile_world")


def _build(engine: Engine) -> None:
    rng = np.random.default_rng(4)
    with engine.begin() as connection:
        run = connection.execute
        run(text("SELECT ensure_incident_year(2025)"))
        rows = [("990101", "县", "county", None), *((t, "镇", "town", "990101") for t in TOWNS)]
        rows += [(f"{t}001", "村", "village", t) for t in TOWNS]
        for row in rows:
            run(
                text("INSERT INTO division VALUES (:a, :b, :c, :d, NULL)"),
                dict(zip("abcd", row, strict=True)),
            )
        for n, code in enumerate(GRIDS):
            run(
                text("""INSERT INTO grid (code15, name, kind, village, geom, valid_from)
                VALUES (:c, :c, 'base', :v,
                ST_Multi(ST_MakeEnvelope(:w, 35, :w + 0.01, 35.04, 4490)), '2020-01-01')"""),
                {"c": code, "v": code[:12], "w": WEST + 0.01 * n},
            )
        run(text("INSERT INTO category VALUES ('01', '噪声', NULL, NULL), ('0101', '夜间', '01', NULL),"
                 " ('02', '灌溉', NULL, NULL)"))  # fmt: skip
        places = (rng.random((HOUSES, 2)) * 0.04 + (WEST, SOUTH)).tolist()
        run(
            text("""INSERT INTO building (code, address, geom, dilapidated, grid_id) SELECT :n, '某路',
            ST_Point(:x, :y, 4490), :d,
            (SELECT id FROM grid WHERE ST_Covers(geom, ST_Point(:x, :y, 4490)))"""),
            [{"n": str(n), "x": x, "y": y, "d": n % 10 == 0} for n, (x, y) in enumerate(places)],
        )
        places = (rng.random((MATTERS, 2)) * 0.04 + (WEST, SOUTH)).tolist()
        run(
            text("""INSERT INTO incident (source, external_id, category, occurred_at, occurred_on,
            reported_at, geom, grid_id, village, title, text, status, digest) SELECT 's', :n, :k, :d, :d, :d,
            ST_Point(:x, :y, 4490), g.id, g.village, '某人', '说的话', :s, gen_random_uuid()
            FROM grid g WHERE ST_Covers(g.geom, ST_Point(:x, :y, 4490)) LIMIT 1"""),
            [
                {"n": str(n), "k": ("0101", "02")[n // 12 % 2], "d": date(2025, 1 + n % 12, 3),
                 "x": x, "y": y,
                 "s": "open" if n % 5 == 0 else "closed"}
                for n, (x, y) in enumerate(places)
            ],
        )  # fmt: skip
        run(text("INSERT INTO dwelling (building_id, door) SELECT id, '1' FROM building"))
        run(text("INSERT INTO household (code, dwelling_id, persons) SELECT 'h' || id, id, 2 FROM dwelling"))
        run(text("INSERT INTO household (code, dwelling_id, persons, ended_on)"
                 " SELECT 'e' || id, id, 2, '2024-01-01' FROM dwelling WHERE id % 2 = 0"))  # fmt: skip


@pytest.fixture
def reader(world: Engine) -> Iterator[Connection]:
    engine = make_engine(_url(world), role=READER)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def _url(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def _tiles(z: int) -> list[tuple[int, int]]:
    """The tiles around the world, one more on every side."""
    across = [int((lon + 180) / 360 * 2**z) for lon in (WEST, WEST + 0.04)]
    down = [int(_down(lat) * 2**z) for lat in (SOUTH + 0.04, SOUTH)]
    return [(x, y) for x in range(across[0] - 1, across[1] + 2) for y in range(down[0] - 1, down[1] + 2)]


def _down(lat: float) -> float:
    return float(0.5 - np.arcsinh(np.tan(np.radians(lat))) / (2 * np.pi))


def _inside(feature: Feature) -> bool:
    return all(0 <= part < 4096 for part in feature.paths[0][0])


def _features(
    connection: Connection, layer: str, z: int, x: int, y: int, area: str = "", *more: object
) -> list[Feature]:
    call = f"tile_{layer}(%s, %s, %s, %s{', %s' * len(more)})"
    tile = connection.exec_driver_sql(f"SELECT {call}", (z, x, y, area, *more)).scalar_one()
    return read(bytes(tile or b"")).get(layer, [])


ALL = ("", None, None)


@pytest.mark.parametrize("z", [14, 15, 17])
def test_every_building_is_in_the_one_tile_that_contains_it_at_the_place_that_proj_says(
    world: Engine, reader: Connection, z: int
) -> None:
    """Web Mercator by arithmetic is PROJ's (EPSG:4490 to 3857) within a unit of 4096 a tile."""
    with world.connect() as connection:
        rows = connection.execute(text("SELECT id, ST_X(geom), ST_Y(geom) FROM building")).all()
    x, y = pyproj.Transformer.from_crs(4490, 3857, always_xy=True).transform(
        *list(zip(*rows, strict=True))[1:]
    )
    half = 20037508.342789244
    units = {
        row[0]: ((east + half) / (2 * half) * 2**z * 4096, (half - north) / (2 * half) * 2**z * 4096)
        for row, east, north in zip(rows, x, y, strict=True)
    }
    seen: Counter[int] = Counter()
    for tile_x, tile_y in _tiles(z):
        for feature in _features(reader, "buildings", z, tile_x, tile_y):
            px, py = feature.paths[0][0]
            east, north = units[feature.id or 0]
            assert abs(tile_x * 4096 + px - east) <= 1
            assert abs(tile_y * 4096 + py - north) <= 1
            seen[feature.id or 0] += _inside(feature)
            assert -96 <= px <= 4192
            assert -96 <= py <= 4192
    assert seen == Counter(dict.fromkeys(units, 1))


def test_below_zoom_14_buildings_are_counted_and_none_is_lost(reader: Connection) -> None:
    found = [f for x, y in _tiles(13) for f in _features(reader, "buildings", 13, x, y) if _inside(f)]
    assert sum(f.properties["n"] for f in found) == HOUSES
    assert {key for f in found for key in f.properties} == {"n", "dilapidated"}


@pytest.mark.parametrize("z", [8, 12, 13, 14, 17])
def test_every_matter_is_counted_once_at_every_zoom(reader: Connection, z: int) -> None:
    found = [f for x, y in _tiles(z) for f in _features(reader, "matters", z, x, y, "", *ALL) if _inside(f)]
    assert sum(f.properties.get("n", 1) for f in found) == MATTERS
    opened = sum(f.properties.get("n_open", 0) + f.properties.get("open", False) for f in found)
    assert opened == -(-MATTERS // 5)


def test_a_tile_says_place_day_and_category_and_nothing_else(reader: Connection) -> None:
    houses = [f for x, y in _tiles(15) for f in _features(reader, "buildings", 15, x, y)]
    matters = [f for x, y in _tiles(15) for f in _features(reader, "matters", 15, x, y, "", *ALL)]
    assert {key for f in houses for key in f.properties} == {"dilapidated"}
    assert {key for f in matters for key in f.properties} == {"category", "day", "grid", "open"}
    assert all(f.id is None for f in matters)  # none of them is handled here, so none has a page


def test_matters_are_those_of_the_category_and_period(reader: Connection) -> None:
    (x, y), z = _tiles(8)[4], 8
    count = lambda *asked: sum(  # noqa: E731
        f.properties.get("n", 1) for f in _features(reader, "matters", z, x, y, "", *asked) if _inside(f)
    )
    assert count("01", None, None) == count("0101", None, None) == MATTERS // 2
    assert count("", date(2025, 3, 1), date(2025, 4, 30)) == MATTERS // 6
    assert count("02", date(2025, 12, 1), None) == MATTERS // 12 // 2
    assert count("77", None, None) == 0


@pytest.mark.parametrize("layer", ["buildings", "matters"])
@pytest.mark.parametrize("area", [GRIDS[1], TOWNS[1], "-"])
def test_a_tile_is_narrowed_to_the_area(world: Engine, reader: Connection, layer: str, area: str) -> None:
    table, more = ("building", ()) if layer == "buildings" else ("incident", ALL)
    with world.connect() as connection:
        expected = connection.execute(
            text(
                f"SELECT count(*) FROM {table} b JOIN grid g ON g.id = grid_id WHERE starts_with(code15, :a)"
            ),
            {"a": area},
        ).scalar_one()
    tiles = [(x, y) for x, y in _tiles(15)]
    found = [f for x, y in tiles for f in _features(reader, layer, 15, x, y, area, *more) if _inside(f)]
    assert len(found) == expected
    assert (expected == 0) == (area == "-")


def test_households_are_told_to_who_acts_in_the_area_alone(world: Engine, reader: Connection) -> None:
    """The reader may not ask; the roster's role sees the grid of whoever acts, nothing when nobody does."""
    with pytest.raises(ProgrammingError, match="permission denied"):
        reader.execute(text("SELECT tile_own_buildings(14, 0, 0)"))
    roster = make_engine(_url(world), role=ROSTER)
    for user, area in (("somebody", GRIDS[0]), ("", GRIDS[0]), ("somebody", "")):
        with acting(roster, user, area) as connection:
            found = [
                f
                for x, y in _tiles(15)
                for f in read(bytes(connection.exec_driver_sql(
                    "SELECT tile_own_buildings(15, %s, %s)", (x, y)
                ).scalar_one() or b"")).get("buildings", [])
            ]  # fmt: skip
        assert bool(found) == (user == "somebody" and area != "")
        assert all(f.properties["households"] == 1 for f in found)  # those that ended are none
    roster.dispose()


def test_a_point_read_uses_the_index(world: Engine) -> None:
    with world.connect() as connection:
        connection.execute(text("SET enable_seqscan = off"))
        for table in ("building", "incident"):
            plan = connection.execute(
                text(f"EXPLAIN SELECT id FROM {table} WHERE geom && tile_box(17, 108134, 51670, 0)")
            ).scalars()
            assert "geom" in " ".join(plan)

"""Proposals on a small land: a community with a large, a small and a good grid, beside a rural village."""

import json
from datetime import date
from pathlib import Path

import click
import numpy as np
import pytest
import shapely
from click.testing import CliRunner
from sqlalchemy import Engine, text

from gridmgmt.cli import propose as command
from gridmgmt.errors import FileError, InputError
from gridmgmt.grids import halfedges, measure
from gridmgmt.planning import propose
from tests.db.land import add_grids

LARGE, SMALL, GOOD = "990101001001001", "990101001001002", "990101001001003"
RURAL, TINY = "990101001200001", "990101001200002"
# Households of each grid, side by side from west to east.
HOUSEHOLDS = {LARGE: 1200, SMALL: 120, GOOD: 300, RURAL: 180, TINY: 20}
STEP = 0.01
SHAPES = {
    code: shapely.box(114 + k * STEP, 33, 114 + (k + 1) * STEP, 33 + STEP)
    for k, code in enumerate(HOUSEHOLDS)
}


@pytest.fixture
def land(engine: Engine) -> Engine:
    with engine.begin() as connection:
        for row in (
            ("990101", "样例县", "county", None), ("990101001", "样例镇", "town", "990101"),
            (LARGE[:12], "社区", "village", "990101001"), (RURAL[:12], "村", "village", "990101001"),
        ):  # fmt: skip
            connection.execute(
                text("INSERT INTO division VALUES (:a, :b, :c, :d, NULL)"),
                dict(zip("abcd", row, strict=True)),
            )
    add_grids(engine, SHAPES, date(2020, 1, 1))
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO map_layer (layer, name, geom) VALUES "
                "('road', '路', ST_GeomFromText('LINESTRING(113.9 33.005, 114.1 33.005)', 4490))"
            )
        )
        _settle(connection)
    return engine


def _settle(connection) -> None:  # type: ignore[no-untyped-def]
    """Build houses of ten households each, all over every grid."""
    rng = np.random.default_rng(0)
    for code, households in HOUSEHOLDS.items():
        west, south, *_ = SHAPES[code].bounds
        for lon, lat in (west, south) + rng.uniform(0.05, 0.95, (households // 10, 2)) * STEP:
            building = connection.scalar(
                text("""
                INSERT INTO building (code, address, geom, grid_id)
                SELECT gen_random_uuid(), '', ST_SetSRID(ST_Point(:lon, :lat), 4490), id
                FROM grid WHERE code15 = :code RETURNING id
                """),
                {"lon": float(lon), "lat": float(lat), "code": code},
            )
            connection.execute(
                text("""
                WITH door AS (
                    INSERT INTO dwelling (building_id, door)
                    SELECT :building, n::text FROM generate_series(1, 10) n RETURNING id
                )
                INSERT INTO household (code, dwelling_id, persons) SELECT gen_random_uuid(), id, 3 FROM door
                """),
                {"building": building},
            )


def all_of(engine: Engine, **options) -> propose.Proposal:  # type: ignore[no-untyped-def]
    with engine.connect() as connection:
        shapes, villages = propose.read_grids_in_force(connection, date(2026, 1, 1))
        buildings = propose.read_buildings(connection)
        barriers = propose.read_barriers(connection)
    return propose.propose(shapes, villages, buildings, barriers, **options)


def rim(shapes: list) -> float:  # type: ignore[type-arg]
    lines, _ = halfedges.pair(measure.as_array(shapes)).unpaired_lines()
    return float(shapely.length(lines).sum())


def test_what_leaves_the_band_is_divided_or_put_together_and_the_rest_stays(land: Engine) -> None:
    found = all_of(land)
    assert found.gone == {LARGE, SMALL, RURAL, TINY}
    assert set(found.shapes) - found.changed == {GOOD}
    assert sum(found.households.values()) == sum(HOUSEHOLDS.values())
    town = [n for key, n in found.households.items() if propose.in_town(found.villages[key])]
    assert sum(town) == 1620
    assert all(300 <= n <= 500 for n in town)
    assert (found.in_band_share, found.contiguous, found.gap_m2, found.overlap_m2) == (1.0, 1.0, 0.0, 0.0)
    assert [n for key, n in found.households.items() if found.villages[key] == RURAL[:12]] == [200]


def test_all_edges_inside_the_land_are_shared(land: Engine) -> None:
    found = all_of(land)
    whole = shapely.union_all(list(SHAPES.values()))
    assert rim(list(found.shapes.values())) == pytest.approx(whole.length, abs=1e-8)


def test_lineage_says_where_ground_and_households_went(land: Engine) -> None:
    found = all_of(land)
    for old in found.gone:
        mine = [each for each in found.lineage if each.old == old]
        assert sum(each.area_share for each in mine) == pytest.approx(1, abs=1e-3)
        assert sum(each.household_share for each in mine) == pytest.approx(1)


def test_only_named_grids_change_and_the_answer_is_the_same_bytes(land: Engine) -> None:
    with land.connect() as connection:
        shapes, villages = propose.read_grids_in_force(connection, date(2026, 1, 1))
        keys = iter(["n8", "n9", "n10"])
        after = propose.for_keys(connection, shapes, villages, [LARGE], new_key=lambda: next(keys))
        again = propose.for_keys(connection, shapes, villages, [LARGE])
    assert after[LARGE] is None
    assert {"n8", "n9", "n10"} <= set(after) <= {"n8", "n9", "n10", LARGE, SMALL}
    new = [after[key] for key in ("n8", "n9", "n10")]
    assert [shape.wkb for shape in new if shape] == [again[k].wkb for k in ("n1", "n2", "n3")]  # type: ignore[union-attr]
    # The neighbour has the vertices of the new borders that end on its edge.
    assert rim([*new, after.get(SMALL) or shapes[SMALL]]) == pytest.approx(6 * STEP, abs=1e-8)


def test_a_village_is_divided_anew_whatever_its_grids_are_like(land: Engine) -> None:
    found = all_of(land, whole=[LARGE[:12]], keys=[LARGE, SMALL, GOOD])
    assert found.gone == {LARGE, SMALL, GOOD}
    assert len(found.changed) == 4  # 1,620 households
    assert found.balance_cv is not None
    assert found.balance_cv < 0.08


def test_the_command_writes_grids_and_prints_its_figures(
    land: Engine, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDMGMT_DATABASE_URL", database)
    features = [
        {
            "type": "Feature",
            "properties": {"code": code, "village": code[:12]},
            "geometry": shape.__geo_interface__,
        }
        for code, shape in SHAPES.items()
    ]
    given, out = tmp_path / "given.geojson", tmp_path / "out.geojson"
    given.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    arguments = ["--all", "--from-file", str(given), "--out", str(out), "--json"]
    done = CliRunner().invoke(command.propose, arguments, catch_exceptions=False)
    figures = json.loads(done.output)
    assert list(figures) == [
        "grids", "contiguous", "gap_m2", "overlap_m2", "in_band_share", "balance_cv", "compactness_median",
        "seconds",
    ]  # fmt: skip
    written = json.loads(out.read_text())["features"]
    assert len(written) == figures["grids"] == 5
    assert {each["properties"]["from"] for each in written if not each["properties"]["new"]} == {""}


def test_what_is_asked_wrongly_is_said(tmp_path: Path) -> None:
    run = command.propose.callback
    assert run is not None
    plain = dict.fromkeys(["grids", "from_file", "out"]) | {"low": 300, "high": 500, "seed": 0}
    plain |= {"everything": False, "village": (), "in_force": False, "as_json": True}
    with pytest.raises(InputError, match="one of them"):
        run(**plain)
    with pytest.raises(FileError):
        command.read_file(tmp_path / "none.geojson")
    (tmp_path / "bad.geojson").write_text("{}")
    with pytest.raises(FileError, match="GeoJSON"):
        command.read_file(tmp_path / "bad.geojson")
    buildings = propose.Buildings(np.empty((0, 2)), np.empty(0), np.empty(0))
    with pytest.raises(InputError, match="a grid or village"):
        propose.propose({GOOD: SHAPES[GOOD]}, {GOOD: GOOD[:12]}, buildings, keys=["nowhere"])
    assert isinstance(command.propose, click.Command)

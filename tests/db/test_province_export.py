"""A county leaves its database as points, days and categories; nothing of anybody goes along."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from click.testing import CliRunner
from sqlalchemy import Engine, text

from gridmgmt.cli import cli
from gridmgmt.db.engine import READER, make_engine
from gridmgmt.errors import SetupError
from gridmgmt.grids.assign import PointAssigner
from gridmgmt.hotspots.cube import locate
from gridmgmt.province import engines, service
from gridmgmt.province.county import County
from gridmgmt.province.export import export
from gridmgmt.province.files import GRIDS_FILE, MATTERS_FILE, Manifest
from tests.web import small_city

# What somebody told in the fields of a matter, and what stands in the roster.
CANARIES = ("李春天家漏水", "春天路77号402", "15412345678", "37998119900101001X", "某路", "市民热线-77")


@pytest.fixture
def city(engine: Engine) -> Engine:
    small_city.build(engine)
    small_city.add_history(engine)
    title, address, phone, number, _, external = CANARIES
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE incident SET title = :a, address = :b, text = :c, external_id = :d || id"),
            {"a": title, "b": address, "c": f"{phone} {number}", "d": external},
        )
        connection.execute(text("UPDATE incident SET geom = NULL, grid_id = NULL WHERE category = '02'"))
        connection.execute(
            text("INSERT INTO import_run (kind, file, sha256, counts) VALUES ('incidents', 'f', 'x', '{}')")
        )
    return engine


@pytest.fixture
def reader(city: Engine, database: str) -> Iterator[Engine]:
    reader = make_engine(database, role=READER)
    yield reader
    reader.dispose()


def exported(reader: Engine, out: Path) -> tuple[Path, Manifest]:
    with reader.connect() as connection:
        manifest = export(connection, out)
    return out / manifest.county, manifest


def test_an_export_has_exactly_the_columns_that_it_may(reader: Engine, tmp_path: Path) -> None:
    folder, manifest = exported(reader, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == [GRIDS_FILE, "manifest.json", MATTERS_FILE]
    code = pa.dictionary(pa.int32(), pa.string())
    grids, matters = pq.read_table(folder / GRIDS_FILE), pq.read_table(folder / MATTERS_FILE)
    assert dict(zip(grids.schema.names, grids.schema.types, strict=True)) == {
        "code": pa.string(), "households": pa.int32(), "geometry": pa.binary(),
    }  # fmt: skip
    assert dict(zip(matters.schema.names, matters.schema.types, strict=True)) == {
        "lon": pa.float64(), "lat": pa.float64(), "day": pa.date32(), "category": code, "grid": code,
    }  # fmt: skip
    written = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert set(written) == {"schema", "county", "data_version", "period", "categories", "files"}
    assert written["files"][MATTERS_FILE]["rows"] == matters.num_rows > 50
    assert manifest.data_version > 0


def test_no_word_of_a_matter_or_of_the_roster_is_in_any_file(
    city: Engine, reader: Engine, tmp_path: Path
) -> None:
    folder, _ = exported(reader, tmp_path)
    with city.connect() as connection:
        found = connection.execute(text("SELECT count(*) FROM incident WHERE title = :a"), {"a": CANARIES[0]})
        assert found.scalar_one() > 50  # the bird is there to be found
    content = [path.read_bytes() for path in folder.iterdir()]
    for name in (GRIDS_FILE, MATTERS_FILE):  # and as they stand unpacked
        table = pq.read_table(folder / name)
        content += [
            repr(pq.read_schema(folder / name).metadata).encode(),
            table.to_pandas().to_csv().encode(),
        ]
    for canary in CANARIES:
        assert not any(canary.encode() in each for each in content), canary


def test_few_households_are_left_out_and_a_matter_without_a_place_has_none(
    reader: Engine, tmp_path: Path
) -> None:
    folder, _ = exported(reader, tmp_path)
    grids = pq.read_table(folder / GRIDS_FILE).to_pydict()
    households = dict(zip(grids["code"], grids["households"], strict=True))
    assert households.pop(small_city.FEW) is None
    assert set(households.values()) == {400}
    assert all(shapely.from_wkb(each).is_valid for each in grids["geometry"])
    matters = pq.read_table(folder / MATTERS_FILE).to_pandas()
    nowhere = matters["category"] == "02"
    assert matters[nowhere][["lon", "lat", "grid"]].isna().all().all()
    assert matters[~nowhere][["lon", "lat"]].notna().all().all()


def test_the_same_matters_lie_in_the_same_grids_as_in_the_city(reader: Engine, tmp_path: Path) -> None:
    folder, manifest = exported(reader, tmp_path / "in")
    assert manifest.period
    with reader.connect() as connection:
        here = locate(connection, *manifest.period)
    service.run([tmp_path / "in"], tmp_path / "out", engines.local, stages=service.STAGES[:3])
    there = County(folder, manifest, tmp_path / "out" / manifest.county).located(manifest.period, places=True)
    assert there.categories == here.categories
    assert there.grids.codes == here.grids.codes

    def rows(found: object) -> list[tuple[object, ...]]:
        columns = [getattr(found, name) for name in ("day", "category", "grid", "lon", "lat")]
        return sorted(zip(*(np.nan_to_num(each).tolist() for each in columns), strict=True))

    assert rows(there) == rows(here)
    again = PointAssigner(there.grids.codes, there.grids.geometries).assign(there.lon, there.lat)
    assert (again == there.grid).all()


def test_the_same_data_gives_the_same_bytes(reader: Engine, tmp_path: Path) -> None:
    first, _ = exported(reader, tmp_path / "a")
    second, _ = exported(reader, tmp_path / "b")
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_a_month_without_matters_and_a_city_without_any_are_no_trouble(
    city: Engine, reader: Engine, tmp_path: Path
) -> None:
    with city.begin() as connection:
        connection.execute(text("DELETE FROM incident"))
    _, manifest = exported(reader, tmp_path / "in")
    assert manifest.period is None
    done = service.run([tmp_path / "in"], tmp_path / "out", engines.local)
    assert {each["rows"] for each in done["counties"][0]["wrote"].values()} == {0}


def test_without_grids_there_is_nothing_to_export(engine: Engine, tmp_path: Path) -> None:
    with engine.connect() as connection, pytest.raises(SetupError, match="no grids yet"):
        export(connection, tmp_path)


def test_the_command_says_what_it_wrote(
    city: Engine, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDMGMT_DATABASE_URL", database)
    done = CliRunner().invoke(cli, ["province", "export", "--out", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "9 grids, 76 matters" in done.output
    manifest = Manifest.read(next(tmp_path.iterdir()))
    assert manifest.period
    assert manifest.period[1] < datetime.date.today()

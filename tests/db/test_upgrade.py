"""Up from the versions before and back again: what such a version had stored is there as it was."""

from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, inspect, text

from gridmgmt.cli.database import db
from gridmgmt.db import migrations
from tests.db import matter_world as world

# Not of the city: where the schema stands, and what PostGIS brings.
NOT_OURS = {"alembic_version", "spatial_ref_sys"}


@pytest.fixture
def city(engine: Engine) -> Iterator[Engine]:
    """A county with its lists, accounts, flows and three matters."""
    built = world.build(engine)
    for grid in (world.GRID_OWN, world.GRID_SECOND, world.GRID_OTHER):
        built.take_in(world.CENTRE, grid=grid)
    yield engine
    built.matters.dispose()


def digests(engine: Engine) -> dict[str, str]:
    """Return a digest of the rows of every table, whatever their order."""
    query = "SELECT md5(coalesce(string_agg(t::text, '' ORDER BY t::text), '')) FROM {} t"
    with engine.connect() as connection:
        tables = sorted(set(inspect(connection).get_table_names()) - NOT_OURS)
        return {each: connection.execute(text(query.format(f'"{each}"'))).scalar_one() for each in tables}


@pytest.mark.parametrize("versions", [1, 2])
def test_an_upgrade_and_its_way_back_lose_nothing(
    city: Engine, database: str, versions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDMGMT_DATABASE_URL", database)
    head = migrations.status(city).head
    older = f"{int(head) - versions:04d}"
    run = CliRunner().invoke
    assert run(db, ["down", older, "--yes"]).output == f"schema at {older}\n"
    as_the_older_had_it = digests(city)
    with city.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM incident")).scalar_one() == 3
    assert run(db, ["up"]).output == f"schema at {head}\n"
    assert run(db, ["down", older, "--yes"]).exit_code == 0
    assert digests(city) == as_the_older_had_it


def test_no_revision_but_one_of_the_line_is_gone_back_to(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDMGMT_DATABASE_URL", database)
    for wrong in ("base", "15", "9999", "0000"):
        refused = CliRunner().invoke(db, ["down", wrong, "--yes"])
        assert "allowed: 0001 to" in str(refused.exception)

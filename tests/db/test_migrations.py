"""The schema: one line of migrations, both ways, and equal to the models."""

import importlib
import pkgutil
import re

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import ProgrammingError

import gridmgmt
from gridmgmt.config import sql_folder
from gridmgmt.db import migrations
from gridmgmt.db.base import Base
from gridmgmt.db.engine import READER, make_engine


def load_all_models() -> None:
    for module in pkgutil.walk_packages(gridmgmt.__path__, "gridmgmt."):
        if module.name.endswith(".models"):
            importlib.import_module(module.name)


def is_ours(_object: object, name: str | None, kind: str, reflected: bool, _compare_to: object) -> bool:
    partition = kind == "table" and reflected and re.fullmatch(r"incident_\d{4}", str(name))
    return not partition and name != "spatial_ref_sys"


def test_models_and_schema_do_not_drift(engine: Engine) -> None:
    load_all_models()
    options = {"compare_type": True, "compare_server_default": False, "include_object": is_ours}
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
    assert found == []


def test_the_migrations_are_one_numbered_line() -> None:
    config = Config()
    config.set_main_option("script_location", str(sql_folder() / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    names = [script.revision for script in scripts.walk_revisions()][::-1]
    assert len(scripts.get_heads()) == 1
    assert names == [f"{number:04d}" for number in range(1, len(names) + 1)]


def test_every_migration_goes_both_ways(engine: Engine) -> None:
    before = sorted(inspect(engine).get_table_names())
    migrations.down(engine, "base")
    assert set(inspect(engine).get_table_names()) <= {"alembic_version", "spatial_ref_sys"}
    migrations.up(engine)
    assert sorted(inspect(engine).get_table_names()) == before
    migrations.up(engine)
    assert migrations.status(engine).up_to_date


PERSONAL = {"household", "dwelling", "building", "account"}
COLUMNS_FOR_OFFICES_ONLY = {
    "incident": {"title", "text", "address", "external_id"},
    "worker": {"education", "birth_year", "employment"},
}


def test_the_reader_of_maps_and_analysis_sees_no_personal_table(engine: Engine, database: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT ensure_incident_year(2024)"))
    reader = make_engine(database, role=READER)
    with reader.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM grid_households")).scalar() == 0
    closed = [f"SELECT 1 FROM {table}" for table in PERSONAL | {"incident_2024"}]
    closed += [
        f"SELECT {column} FROM {table}"
        for table, columns in COLUMNS_FOR_OFFICES_ONLY.items()
        for column in columns
    ]
    for statement in [*closed, "DELETE FROM incident", "INSERT INTO channel VALUES ('a', 'b')"]:
        with reader.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text(statement))

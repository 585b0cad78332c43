"""Brings a database to the schema of this version, and says where it stands."""

from dataclasses import dataclass

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from gridmgmt.config import sql_folder

# Two `db up` at once wait for each other on this lock.
UP_LOCK = 7_340_001


@dataclass(frozen=True)
class SchemaStatus:
    """Which migration the database is at and which one this version wants."""

    current: str | None
    head: str

    @property
    def up_to_date(self) -> bool:
        return self.current == self.head


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(sql_folder() / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def status(engine: Engine) -> SchemaStatus:
    """Return where the database stands."""
    with engine.connect() as connection:
        head = ScriptDirectory.from_config(_config(connection)).get_current_head()
        return SchemaStatus(MigrationContext.configure(connection).get_current_revision(), str(head))


def up(engine: Engine, revision: str = "head") -> None:
    """Run the missing migrations, then lay functions, views and rights anew. Safe to repeat."""
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": UP_LOCK})
        connection.commit()
        command.upgrade(_config(connection), revision)
        if revision == "head":
            _lay(connection)
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": UP_LOCK})
        connection.commit()


def down(engine: Engine, revision: str) -> None:
    """Take migrations back, down to `revision` ("base" for none)."""
    with engine.connect() as connection:
        command.downgrade(_config(connection), revision)
        connection.commit()


def _lay(connection: Connection) -> None:
    for folder in ("functions", "policies"):
        for path in sorted((sql_folder() / folder).glob("*.sql")):
            connection.exec_driver_sql(path.read_text(encoding="utf-8").replace("%", "%%"))
    connection.commit()

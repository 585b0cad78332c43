"""The database: programs, server, schema, roles, and that the key ring is its own."""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, make_url, text

from gridmgmt.cli.checks.finding import Finding, good
from gridmgmt.config import Settings
from gridmgmt.db import migrations
from gridmgmt.db.cluster import Cluster, server_programs
from gridmgmt.db.engine import ROLES
from gridmgmt.errors import GridmgmtError, SetupError
from gridmgmt.health import State
from gridmgmt.privacy.binding import bind
from gridmgmt.privacy.keyring import KeyRing

OLDEST_POSTGRES, OLDEST_POSTGIS = 15, (3, 3)


def programs(chosen: Settings) -> Iterator[Finding]:
    """Find PostgreSQL's programs and PostGIS for a private cluster; a named server has its own."""
    if chosen.database_url:
        return
    try:
        version = server_programs().parent.name
    except SetupError as missing:
        mend = str(missing).partition("with: ")[2]
        yield Finding("programs", State.BAD, "PostgreSQL is not installed", "there is no database", mend)
        return
    control = Path(f"/usr/share/postgresql/{version}/extension/postgis.control")
    if version.isdecimal() and not control.exists():
        yield Finding(
            "programs", State.BAD, f"PostGIS for PostgreSQL {version} is not installed", "there are no maps",
            f"apt-get install postgresql-{version}-postgis-3 postgresql-{version}-postgis-3-scripts",
        )  # fmt: skip
    elif not (Cluster(chosen.home).data / "PG_VERSION").exists():
        why = "there is no database in this home folder, and none is named"
        yield Finding("programs", State.BAD, f"{chosen.home} holds no city", why, "gridmgmt db up")
    else:
        yield good("programs", f"PostgreSQL {version} with PostGIS")


def encryption(chosen: Settings) -> Iterator[Finding]:
    """Find whether what a database on another machine is told and tells can be read or forged on the way."""
    url = make_url(chosen.database_url or "postgresql://")
    host, mode = str(url.query.get("host") or url.host or "/"), url.query.get("sslmode")
    if host.startswith(("/", "127.", "::1")) or host == "localhost":
        return
    if mode == "verify-full":
        yield good("encryption", f"{host}: encrypted, its certificate is checked")
        return
    yield Finding(
        "encryption", State.WATCH, f"{host}: sslmode is {mode or 'not set'}",
        "who sits on the way can read what the database is told and tells, or answer in its place",
        "put sslmode=verify-full&sslrootcert=FILE into GRIDMGMT_DATABASE_URL",
    )  # fmt: skip


def found(owner: Engine, chosen: Settings) -> Iterator[Finding]:
    """Find whether server and schema are new enough, the roles there, and the key ring the right one.

    `owner` is an engine of who owns the schema. DBAPIError when the server does not answer.
    """
    with owner.connect() as connection:
        yield from _server(connection)
    schema = migrations.status(owner)
    if not schema.up_to_date:
        known = schema.current is None or schema.current < schema.head
        yield Finding(
            "schema", State.BAD, f"schema {schema.current or 'nothing'}, this version wants {schema.head}",
            "pages fail" if known else "the program is older than its database",
            "gridmgmt db up" if known else "install the version that belongs to it (docs/upgrade.md)",
        )  # fmt: skip
        return
    yield good("schema", f"schema {schema.current}")
    with owner.connect() as connection:
        yield from _roles(connection)
        yield from _keys(connection, chosen)


def _server(connection: Connection) -> Iterator[Finding]:
    query = """
        SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding'),
            current_setting('log_min_error_statement'), current_database(),
            (SELECT extversion FROM pg_extension WHERE extname = 'postgis')
    """
    version, encoding, logged, name, postgis = connection.execute(text(query)).one()
    if version < OLDEST_POSTGRES:
        why = f"this version was tested with {OLDEST_POSTGRES} and newer"
        yield Finding("server", State.BAD, f"PostgreSQL {version}", why, "upgrade it with pg_upgradecluster")
    if encoding != "UTF8":
        mend = "make a new one: CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'"
        yield Finding("server", State.BAD, f"encoding {encoding}", "Chinese names do not fit into it", mend)
    if postgis is None or tuple(map(int, postgis.split(".")[:2])) < OLDEST_POSTGIS:
        mend = f"psql -d {name} -c 'CREATE EXTENSION postgis' (or ALTER … UPDATE), as a superuser"
        yield Finding("server", State.BAD, f"PostGIS {postgis or 'is not there'}", "there are no maps", mend)
    if logged not in ("panic", "fatal", "log"):
        mend = f"psql -d {name} -c \"ALTER DATABASE {name} SET log_min_error_statement = 'panic'\""
        why = "statements that fail are written into the server's log, personal values with them"
        yield Finding("server", State.WATCH, f"log_min_error_statement is {logged}", why, mend)
    yield good("server", f"PostgreSQL {version}, PostGIS {postgis}, {encoding}")


def _roles(connection: Connection) -> Iterator[Finding]:
    query = """
        SELECT wanted, EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) AS stands
        FROM unnest(:roles) AS wanted
    """
    there: dict[str, bool] = {
        row.wanted: row.stands for row in connection.execute(text(query), {"roles": list(ROLES)})
    }
    missing = [role for role, stands in there.items() if not stands]
    may = text("SELECT pg_has_role(:role, 'MEMBER')")
    closed = [
        role for role in ROLES if there[role] and not connection.execute(may, {"role": role}).scalar_one()
    ]
    if missing:
        says = f"roles are missing: {', '.join(missing)}"
        yield Finding("roles", State.BAD, says, "pages that act as them fail", "gridmgmt db up")
    if closed:
        user = connection.execute(text("SELECT current_user")).scalar_one()
        says = f"{user} may not act as {', '.join(closed)}"
        mend = f"psql -c 'GRANT {', '.join(closed)} TO {user}' as a superuser"
        yield Finding("roles", State.BAD, says, "pages that act as them fail", mend)
    if not (missing or closed):
        yield good("roles", f"{len(ROLES)} roles")


def _keys(connection: Connection, chosen: Settings) -> Iterator[Finding]:

    path = chosen.keyring_file()
    if not path.exists():
        bound = connection.execute(text("SELECT count(*) FROM key_ring")).scalar_one()
        if bound:
            yield Finding(
                "keys", State.BAD, f"{path} is missing", "identity numbers, telephones and notes stay closed",
                "put back the key ring of this database from its backup; never let a new one be made",
            )  # fmt: skip
        else:
            yield good("keys", "no key ring yet; the first sealed value makes one")
        return
    try:
        bind(connection, KeyRing.opened(chosen))
        yield good("keys", f"the key ring belongs to this database: {path}")
    except GridmgmtError as why:
        mend = f"put the right file at {path}, chmod 600 it"
        yield Finding("keys", State.BAD, str(why), "identity numbers, telephones and notes stay closed", mend)
    finally:
        connection.rollback()  # who only looks binds nothing

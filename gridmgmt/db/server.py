"""What the database server says of itself."""

from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class Server:
    """Versions of PostgreSQL and PostGIS, bytes of the database, connections open and allowed."""

    version: str
    postgis: str
    size: int
    connections: int
    most_connections: int


def server(connection: Connection) -> Server:
    """Return what stands behind a connection."""
    query = text("""
        SELECT current_setting('server_version'), postgis_lib_version(),
            pg_database_size(current_database()), (SELECT sum(numbackends) FROM pg_stat_database),
            current_setting('max_connections')::integer
    """)
    return Server(*connection.execute(query).one())

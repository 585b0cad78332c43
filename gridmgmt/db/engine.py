"""Opens the database that the settings name: a real server, or the private cluster, started as needed."""

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoneFree
from sqlalchemy.pool import NullPool

from gridmgmt.config import Settings, settings
from gridmgmt.db.cluster import DATABASE, Cluster

READER = "gridmgmt_reader"
WRITER = "gridmgmt_writer"
ROSTER = "gridmgmt_roster"
AUDITOR = "gridmgmt_auditor"
MATTERS = "gridmgmt_matters"
ROLES = (READER, WRITER, ROSTER, AUDITOR, MATTERS)

log = logging.getLogger("gridmgmt.sql")
# What is logged of a statement that is long: enough to find it.
LONGEST_LOGGED = 2000
# Seconds until a server that does not answer is given up, and until a cut connection is found out.
CONNECT_SECONDS = 10
_REACH: dict[str, int | str] = {
    "connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": 10_000, "keepalives_idle": 5,
    "keepalives_interval": 2, "keepalives_count": 3,
}  # fmt: skip


def make_engine(
    url: str, *, role: str | None = None, pooled: bool = False, patience: int | None = None
) -> Engine:
    """Return an engine on China's clock; with `role` every connection gives up all rights but that role's.

    Days in SQL (`current_date`) are then the days of `calendar.china_today`, whatever clock the server has.
    With `patience` connecting and every statement is given up after so many seconds, 2 at least.
    Raises nothing: a server that does not answer shows at the first connection.
    """
    # A worker has several engines and eight threads: few connections wait, and every thread may have one.
    kept = {"pool_pre_ping": True, "pool_size": 2, "max_overflow": 6}
    options = kept if pooled else {"poolclass": NullPool}
    reach = dict(_REACH)
    if patience:
        reach |= {"connect_timeout": patience, "options": f"-c statement_timeout={patience}s"}
    # Bound values may be names: the text of an error, which may reach a log, does not show them.
    where = make_url(url).set(drivername="postgresql+psycopg2")
    engine = create_engine(where, hide_parameters=True, connect_args=reach, **options)

    @event.listens_for(engine, "connect")
    def begin(connection, _record) -> None:  # type: ignore[no-untyped-def]
        statement = "SET TIME ZONE 'Asia/Shanghai'" + (f'; SET ROLE "{role}"' if role else "")
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
            connection.commit()
        except psycopg2.OperationalError as why:  # said here by the driver, elsewhere by SQLAlchemy
            raise OperationalError(statement, None, why) from why

    return engine


def is_away(error: BaseException) -> bool:
    """Say whether an error means that the database does not answer, a connection was cut, or none is free.

    What was to be written may stand or not: whoever sends it again must send it with its key.
    """
    if isinstance(error, DBAPIError) and error.connection_invalidated:  # cut within a statement
        return True
    # The driver's own come from what SQLAlchemy does beside statements, such as choosing how they commit.
    driver = psycopg2.OperationalError | psycopg2.InterfaceError
    return isinstance(error, OperationalError | InterfaceError | NoneFree | driver)


def log_slow(engine: Engine, milliseconds: int) -> None:
    """Log every statement of an engine that takes longer: its text without values, its hash, its seconds.

    For engines that answer people; an import or an analysis is long by nature.
    """

    @event.listens_for(engine, "before_cursor_execute")
    def begin(_c: Any, _s: Any, _q: str, _p: Any, context: Any, _m: bool) -> None:
        context.gridmgmt_began = time.perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def end(_c: Any, _s: Any, statement: str, _p: Any, context: Any, _m: bool) -> None:
        seconds = time.perf_counter() - context.gridmgmt_began
        if seconds * 1000 > milliseconds:
            words = " ".join(statement.split())
            digest = hashlib.sha256(words.encode()).hexdigest()[:8]
            told = {"seconds": round(seconds, 3), "hash": digest, "sql": words[:LONGEST_LOGGED]}
            log.warning("slow statement", extra=told)


@contextmanager
def acting(engine: Engine, username: str, area: str, unit: str = "") -> Iterator[Connection]:
    """Give a transaction that knows who acts, in which area ('' for the whole city), for which department.

    Row policies read all three, and the audit log says who; they end with the transaction, so that a pooled
    connection carries nobody's rights to the next request.
    """
    with engine.begin() as connection:
        statement = text(
            "SELECT set_config('app.user', :user, true), set_config('app.area', :area, true),"
            " set_config('app.unit', :unit, true)"
        )
        connection.execute(statement, {"user": username, "area": area, "unit": unit})
        yield connection


@contextmanager
def database_url(chosen: Settings | None = None) -> Iterator[str]:
    """Give the address of a database that answers, and let go of it afterwards.

    The private cluster is started when no server is named, and stopped with its last user.
    """
    chosen = chosen or settings()
    if chosen.database_url:
        yield chosen.database_url
        return
    cluster = Cluster(chosen.home)
    cluster.start()
    try:
        create_database(cluster.url("postgres"), DATABASE)
        yield cluster.url()
    finally:
        cluster.release()


@contextmanager
def opened(chosen: Settings | None = None, *, role: str | None = None) -> Iterator[Engine]:
    """Give an engine on the database that the settings name."""
    with database_url(chosen) as url:
        engine = make_engine(url, role=role)
        try:
            yield engine
        finally:
            engine.dispose()


def create_database(server_url: str, name: str, template: str | None = None) -> None:
    """Create a database unless it stands; with `template` as a copy of that one."""
    engine = make_engine(server_url).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if connection.execute(
            text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}
        ).first():
            return
        # By file: logging a copy page by page takes many times as long.
        copy = f' TEMPLATE "{template}" STRATEGY file_copy' if template else ""
        connection.execute(text(f'CREATE DATABASE "{name}"{copy}'))


def drop_database(server_url: str, name: str) -> None:
    """Drop a database and whoever is connected to it."""
    engine = make_engine(server_url).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))

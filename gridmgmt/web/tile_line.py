"""A line to the database for one short question at a time: no transaction around it, no greeting before it.

A pooled connection asks four times for one answer (is it alive, begin, the question, roll back); on a busy
machine each waits for its turn, and that is longer than a tile takes to make.
"""

import threading
from typing import Any

import psycopg2
from sqlalchemy import Engine


class Line:
    """A connection a thread, with the role of its engine, opened at the first question and then kept."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._own = threading.local()

    def ask(self, statement: str, values: tuple[object, ...] = ()) -> Any:
        """Return the one value of a statement with `%s` for bound values.

        Raises sqlalchemy's OperationalError when the server is away; one that only restarted is asked again.
        """
        try:
            return self._asked(statement, values)
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            self._own.connection = None
        with self._engine.connect() as connection:
            return connection.exec_driver_sql(statement, values).scalar_one()

    def _asked(self, statement: str, values: tuple[object, ...]) -> Any:
        with self._connection().cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchone()[0]

    def _connection(self) -> Any:
        found: Any = getattr(self._own, "connection", None)
        if found is None:
            pooled = self._engine.raw_connection()
            found = pooled.driver_connection
            self._own.connection = found
            pooled.detach()  # it is this thread's now, and set as the pool would not have it
            found.rollback()
            found.autocommit = True
        return found

"""The two doors to the database: accounts by their owner, everything that is shown by the reader's role."""

import os
import weakref
from dataclasses import dataclass

from flask import current_app
from sqlalchemy import Engine

from gridmgmt.config import Settings
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import READER, make_engine

EXTENSION = "gridmgmt.databases"


@dataclass(frozen=True, eq=False)
class Databases:
    """`accounts` is for `db.identity` alone; `reader` cannot select personal tables."""

    accounts: Engine
    reader: Engine

    def dispose(self) -> None:
        """Close the pooled connections."""
        self.accounts.dispose()
        self.reader.dispose()


def open_databases(settings: Settings) -> Databases:
    """Return the engines for the server that the settings name; SetupError when the cluster does not run.

    A worker forked from a process that already spoke to the server must not share its sockets: the child
    forgets them without closing what still belongs to the parent.
    """
    url = settings.database_url or Cluster(settings.home).url()
    databases = Databases(make_engine(url, pooled=True), make_engine(url, role=READER, pooled=True))
    known = weakref.ref(databases)

    def forget() -> None:
        mine = known()
        if mine:
            mine.accounts.dispose(close=False)
            mine.reader.dispose(close=False)

    os.register_at_fork(after_in_child=forget)
    return databases


def databases() -> Databases:
    """Return the engines of the application that answers this request."""
    found: Databases = current_app.extensions[EXTENSION]
    return found


def reader() -> Engine:
    """Return the reader's engine of the application that answers this request."""
    return databases().reader

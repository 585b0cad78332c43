"""The doors to the database: each opens what its role may see and write, and no more."""

import os
import weakref
from dataclasses import dataclass

from flask import current_app
from sqlalchemy import Engine

from gridmgmt.config import Settings
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import ROLES, make_engine
from gridmgmt.privacy.binding import bind
from gridmgmt.privacy.keyring import KeyRing

EXTENSION = "gridmgmt.databases"
RING = "gridmgmt.ring"


@dataclass(frozen=True, eq=False)
class Databases:
    """`accounts` is the owner's, for `db.identity` and for publishing plans; `reader` cannot select personal
    tables; `writer` can besides write what it is granted, in the area that it names (`db.engine.acting`).
    `roster` sees and writes the people of that area; `auditor` reads the audit log and nothing else;
    `matters` handles matters of that area, or of a department.
    """

    accounts: Engine
    reader: Engine
    writer: Engine
    roster: Engine
    auditor: Engine
    matters: Engine

    def dispose(self, *, close: bool = True) -> None:
        """Forget the pooled connections, and close them unless they belong to another process."""
        for engine in vars(self).values():
            engine.dispose(close=close)


def open_databases(settings: Settings) -> Databases:
    """Return the engines for the server that the settings name; SetupError when the cluster does not run.

    A worker forked from a process that already spoke to the server must not share its sockets: the child
    forgets them without closing what still belongs to the parent.
    """
    url = settings.database_url or Cluster(settings.home).url()
    doors = {role.removeprefix("gridmgmt_"): make_engine(url, role=role, pooled=True) for role in ROLES}
    databases = Databases(accounts=make_engine(url, pooled=True), **doors)
    known = weakref.ref(databases)

    def forget() -> None:
        mine = known()
        if mine:
            mine.dispose(close=False)

    os.register_at_fork(after_in_child=forget)
    return databases


def databases() -> Databases:
    """Return the engines of the application that answers this request."""
    found: Databases = current_app.extensions[EXTENSION]
    return found


def reader() -> Engine:
    """Return the reader's engine of the application that answers this request."""
    return databases().reader


def writer() -> Engine:
    """Return the writer's engine of the application that answers this request."""
    return databases().writer


def roster() -> Engine:
    """Return the roster's engine of the application that answers this request."""
    return databases().roster


def auditor() -> Engine:
    """Return the auditor's engine of the application that answers this request."""
    return databases().auditor


def matters() -> Engine:
    """Return the engine of those who handle matters, of the application that answers this request."""
    return databases().matters


def ring() -> KeyRing:
    """Return the key ring of the city that this application serves; SetupError when it is another city's."""
    opened = KeyRing.opened(current_app.config["SETTINGS"])
    if current_app.extensions.get(RING) != opened.index_key:
        with databases().accounts.begin() as connection:
            bind(connection, opened)
        current_app.extensions[RING] = opened.index_key
    return opened

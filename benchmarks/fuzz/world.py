"""A copy of the small city with a server of its own, for whatever is to be thrown at it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from benchmarks.faults import city
from benchmarks.faults.machine import Database, waited
from gridmgmt.cli.database import bring_up
from gridmgmt.db.engine import make_engine


@dataclass(frozen=True)
class World:
    """A folder to work in, the home of the copy, and its database with the owner's rights."""

    folder: Path
    home: Path
    url: str
    engine: Engine


@contextmanager
def world() -> Iterator[World]:
    """Give a copy that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="gridmgmt-fuzz-"))
    folder.chmod(0o755)  # the server may run as another account
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        home, data = stack.enter_context(city.copied(folder))
        database = Database(data, folder, folder / "database.log")
        stack.callback(database.stop)
        waited(database.socket)
        url = f"postgresql://postgres@/gridmgmt?host={database.sockets}"
        engine = make_engine(url)
        stack.callback(engine.dispose)
        bring_up(engine)
        yield World(folder, home, url, engine)

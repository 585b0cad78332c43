"""One private cluster a run; every test that asks for `engine` gets a fresh copy of a migrated template."""

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from argon2 import PasswordHasher
from flask import Flask
from jinja2 import Environment, FileSystemBytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Engine

from gridmgmt.cli.database import bring_up
from gridmgmt.db import passwords
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import create_database, drop_database, make_engine

# A busy machine is slow now and then; that is no failure of the property under test.
hypothesis.settings.register_profile("gridmgmt", deadline=None)
hypothesis.settings.load_profile("gridmgmt")

TEMPLATE = "test_template"
# What a run's databases take at most, with room for others.
IN_MEMORY_BYTES = 8 << 30
_numbers = itertools.count(1)


class Compiled(FileSystemBytecodeCache):
    """Keeps compiled templates; those of another language are compiled with an extension."""

    def get_bucket(self, environment: Environment, name: str, filename: str | None, source: str) -> Bucket:
        return super().get_bucket(environment, f"{sorted(environment.extensions)} {name}", filename, source)


@pytest.fixture(scope="session", autouse=True)
def slow_hasher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PasswordHasher]:
    """Hash passwords in no time and compile a template once, for a thousand sign-ins and applications.

    Gives what hashes passwords otherwise.
    """
    compiled = Compiled(str(tmp_path_factory.mktemp("templates")))
    with pytest.MonkeyPatch.context() as patch:
        slow = passwords._hasher
        patch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1))
        patch.setattr(Flask, "jinja_options", {"bytecode_cache": compiled})
        yield slow


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data that nobody here wrote, where it stands beside the checkout."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data of ../shared/data is not beside this checkout")
    return folder


def _quick_folder() -> Path | None:
    """Where a database of a thousand files is copied in no time: in memory, if there is plenty."""
    folder, room = Path("/dev/shm"), 0
    with contextlib.suppress(OSError):
        room = shutil.disk_usage(folder).free
    return folder if room > IN_MEMORY_BYTES and os.access(folder, os.W_OK) else None


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A private cluster for this run, dropped at its end."""
    home = Path(tempfile.mkdtemp(prefix="gridmgmt-test-", dir=_quick_folder()))
    home.chmod(0o755)
    os.environ["GRIDMGMT_HOME"] = str(home)
    server = Cluster(home)
    server.start()
    yield server
    server.drop()
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def template(cluster: Cluster) -> str:
    """The name of an empty database at the newest schema, with the packaged flows, days and panels."""
    create_database(cluster.url("postgres"), TEMPLATE)
    engine = make_engine(cluster.url(TEMPLATE))
    bring_up(engine)
    engine.dispose()
    return TEMPLATE


@pytest.fixture
def database(cluster: Cluster, template: str) -> Iterator[str]:
    """The address of a fresh database of this test's own."""
    name = f"test_{next(_numbers)}"
    create_database(cluster.url("postgres"), name, template=template)
    yield cluster.url(name)
    drop_database(cluster.url("postgres"), name)


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    """An engine with its owner's rights on a fresh database."""
    engine = make_engine(database)
    yield engine
    engine.dispose()

"""A database knows its own key ring."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from gridmgmt.errors import SetupError
from gridmgmt.privacy.binding import bind
from tests.db.roster_world import make_ring


def test_a_database_opens_with_the_ring_that_sealed_it_and_with_no_other(
    engine: Engine, tmp_path: Path
) -> None:
    ring, other = (make_ring(tmp_path / name) for name in ("one", "two"))
    with engine.begin() as connection:
        bind(connection, ring)
    ring.add()
    with engine.begin() as connection:
        bind(connection, make_ring(tmp_path / "one"))
    with engine.begin() as connection, pytest.raises(SetupError, match="not the key ring of this database"):
        bind(connection, other)

"""Sealed values are put under a newer key, from AES to SM4 and back, broken off and beside writers."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from gridmgmt.errors import ConflictError
from gridmgmt.households import rotation
from gridmgmt.privacy.cipher import new_salts, seal, unseal
from gridmgmt.privacy.keyring import Algorithm, KeyRing

from . import roster_world
from .roster_world import World

PLACES = (
    ("person", "identity", "identity"), ("person", "phone", "phone"), ("visit", "note", "note"),
    ("roster_change", "sealed", "change"), ("roster_review", "sealed", "review"),
)  # fmt: skip


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> World:
    """The roster world with a note, a request and a row in review, and one phone changed once."""
    world = roster_world.build(engine, roster_world.make_ring(tmp_path))
    salts = new_salts(3)
    with engine.begin() as connection:
        for statement, salt, field in (
            ("INSERT INTO visit (key, dwelling_id, purpose, outcome, visited_at, made_by, salt, note)"
             " SELECT gen_random_uuid(), min(id), 'care', 'met', now(), 'x', :salt, :sealed FROM dwelling",
             salts[0], "note"),
            ("INSERT INTO roster_change (household_id, kind, on_date, payload, reason, made_by, salt, sealed)"
             " SELECT min(id), 'correct', current_date, '{}', '', 'x', :salt, :sealed FROM household",
             salts[1], "change"),
            ("INSERT INTO roster_review (kind, area, fingerprint, file, row_number, salt, sealed)"
             " VALUES ('same_person', '990101001', gen_random_uuid(), 'f', 1, :salt, :sealed)",
             salts[2], "review"),
        ):  # fmt: skip
            sealed = seal(world.ring, salt, field, f'"{field} of before"')
            connection.execute(text(statement), {"salt": salt, "sealed": sealed})
        connection.execute(text("UPDATE person SET relation = 'other' WHERE name = '王小明'"))
    return world


def opened(engine: Engine, ring: KeyRing) -> list[tuple[str, int, str, str]]:
    """Every sealed value there is, in clear, those of the history with them."""
    found = []
    with engine.connect() as connection:
        for table, column, field in PLACES:
            for row in connection.execute(
                text(f"SELECT id, salt, {column} AS sealed FROM {table} WHERE {column} IS NOT NULL")
            ):
                found.append((table, row.id, column, unseal(ring, bytes(row.salt), field, row.sealed)))
        for row in connection.execute(
            text(
                "SELECT h.id, p.salt, h.before ->> 'identity' AS sealed FROM roster_history h"
                " JOIN person p ON p.id = h.person_id WHERE h.before ->> 'identity' IS NOT NULL"
            )
        ):
            sealed = bytes.fromhex(row.sealed.removeprefix("\\x"))
            found.append(("history", row.id, "identity", unseal(ring, bytes(row.salt), "identity", sealed)))
    return sorted(found)


def test_every_value_says_the_same_under_the_new_key_from_aes_to_sm4_and_back(
    engine: Engine, world: World
) -> None:
    ring, before = world.ring, opened(engine, world.ring)
    history = _count(engine, "roster_history")
    assert rotation.counts(engine) == {1: len(before)}
    for algorithm in (Algorithm.SM4_GCM, Algorithm.AES_256_GCM):
        old = ring.active
        kid = ring.add(algorithm)
        with pytest.raises(ConflictError, match=f"{len(before)} values"):
            rotation.retire(engine, ring, old)
        assert rotation.rotate(engine, ring, batch=4) == rotation.Rotated(len(before), 0, ())
        assert rotation.counts(engine) == {kid: len(before)}
        rotation.retire(engine, ring, old)
        assert opened(engine, ring) == before
    assert rotation.rotate(engine, ring) == rotation.Rotated(0, 0, ())
    assert _count(engine, "roster_history") == history  # a value sealed anew is no change
    assert _count(engine, "audit_log WHERE what = 'keys.rotate'") == 3


def test_a_damaged_value_is_named_left_alone_and_keeps_its_key(engine: Engine, world: World) -> None:
    who = world.person["孙德明"]
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE person SET phone = set_byte(phone, 20, get_byte(phone, 20) # 1) WHERE id = :who"),
            {"who": who},
        )
        damaged = connection.execute(
            text("SELECT phone FROM person WHERE id = :who"), {"who": who}
        ).scalar_one()
    world.ring.add()
    done = rotation.rotate(engine, world.ring, batch=3)
    # The whole row stays: its other value too, and the change itself was written to the history.
    assert ("person", who) in done.damaged
    assert done.left == 2
    with engine.connect() as connection:
        now = connection.execute(text("SELECT phone FROM person WHERE id = :who"), {"who": who}).scalar_one()
    assert bytes(now) == bytes(damaged)
    with pytest.raises(ConflictError):
        rotation.retire(engine, world.ring, 1)


KILLED = """
import sys
from pathlib import Path
from gridmgmt.config import Settings
from gridmgmt.db.engine import make_engine
from gridmgmt.households import rotation
from gridmgmt.importing.progress import Progress
from gridmgmt.privacy.keyring import KeyRing

class Told(Progress):
    def at(self, amount):
        print(amount, flush=True)

home = Path(sys.argv[1])
ring = KeyRing.opened(Settings(home=home, database_url=None, secret_key=None, basemap=None))
rotation.rotate(make_engine(sys.argv[2]), ring, batch=1, progress=Told())
"""


def test_killed_after_any_batch_and_run_again_nothing_is_lost(
    engine: Engine, world: World, tmp_path: Path
) -> None:
    before = opened(engine, world.ring)
    url = engine.url.render_as_string(hide_password=False)
    for steps in (1, 4, 9):
        world.ring.add()
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), url], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout
            for _ in range(steps):
                assert child.stdout.readline()
            os.kill(child.pid, signal.SIGKILL)
        assert opened(engine, world.ring) == before
    done = rotation.rotate(engine, world.ring)
    assert done.left == 0
    assert opened(engine, world.ring) == before


def test_a_writer_in_the_middle_is_waited_for_and_not_written_over(engine: Engine, world: World) -> None:
    who, ring = world.person["王建国"], world.ring
    ring.add()
    with engine.connect() as connection:
        salt = bytes(
            connection.execute(text("SELECT salt FROM person WHERE id = :who"), {"who": who}).scalar_one()
        )
    writing = _writer(engine, who, seal(ring, salt, "phone", "15499999999"))
    passed_by = next(writing)

    class Watching(rotation.Progress):
        def at(self, amount: int) -> None:
            # Everybody else's values come first; then the writer ends and the row is free.
            if amount >= passed_by - 2:
                next(writing, None)

    done = rotation.rotate(engine, ring, batch=100, progress=Watching())
    assert done.left == 0
    assert ("person", who, "phone", "15499999999") in opened(engine, ring)


def _writer(engine: Engine, who: int, sealed: bytes) -> Iterator[int]:
    with engine.connect() as connection, connection.begin():
        connection.execute(
            text("UPDATE person SET phone = :sealed WHERE id = :who"), {"sealed": sealed, "who": who}
        )
        yield connection.execute(text("SELECT count(identity) + count(phone) FROM person")).scalar_one()


def _count(engine: Engine, what: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {what}")).scalar_one())

"""`gridmgmt doctor`: each fault planted in a sound installation is found, named, and told how to mend."""

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from pyrage import x25519
from sqlalchemy import Engine, text

from gridmgmt.cli.checks import database as checks
from gridmgmt.cli.checks import program
from gridmgmt.cli.checks.finding import Finding
from gridmgmt.cli.doctor import doctor, examined
from gridmgmt.config import Settings, settings
from gridmgmt.db import migrations
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import drop_database, make_engine
from gridmgmt.health import State
from gridmgmt.privacy.binding import bind
from gridmgmt.privacy.keyring import KeyRing
from gridmgmt.seasonal.export import fonts

# Of what stands in a city, and not of its installation: a fresh one has no backup and no matters.
OF_THE_CITY = {"backup", "archive", "data", "hotspots", "clusters", "seasonal", "holidays", "queue", "slots"}

Place = pytest.MonkeyPatch
Plant = Callable[[Path, Engine, Place], None]


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def sound(tmp_path: Path, database: str, engine: Engine, monkeypatch: Place) -> Path:
    """The home folder of an installation that lacks nothing but a backup."""
    for name in [name for name in os.environ if name.startswith("GRIDMGMT_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GRIDMGMT_HOME", str(home))
    monkeypatch.setenv("GRIDMGMT_DATABASE_URL", database)
    recipient = str(x25519.Identity.generate().to_public())
    monkeypatch.setenv("GRIDMGMT_BACKUP_RECIPIENT", recipient)
    with engine.begin() as connection:
        bind(connection, KeyRing.opened(settings()))
    return home


def bad(port: int) -> list[Finding]:
    return [each for each in examined("127.0.0.1", port) if each.state is State.BAD]


def test_a_sound_installation_has_no_fault(sound: Path, free_port: int) -> None:
    assert [each for each in bad(free_port) if each.key not in OF_THE_CITY] == []
    assert {each.key for each in examined("127.0.0.1", free_port)} >= {"server", "schema", "roles", "keys"}


def a_wrong_value(home: Path, engine: Engine, place: Place) -> None:
    place.setenv("GRIDMGMT_SLOW_MS", "soon")


def a_secret_that_is_not_there(home: Path, engine: Engine, place: Place) -> None:
    place.setenv("GRIDMGMT_METRICS_TOKEN_FILE", str(home / "nowhere"))


def a_secret_for_everybody(home: Path, engine: Engine, place: Place) -> None:
    (home / "token").write_text("a-token")
    (home / "token").chmod(0o644)
    place.setenv("GRIDMGMT_METRICS_TOKEN_FILE", str(home / "token"))


def half_an_identity_provider(home: Path, engine: Engine, place: Place) -> None:
    place.setenv("GRIDMGMT_OIDC_DISCOVERY", "https://id.example/.well-known/openid-configuration")


def a_role_that_is_none(home: Path, engine: Engine, place: Place) -> None:
    place.setenv("GRIDMGMT_SECOND_FACTOR", "admin,administrator")


def a_basemap_without_tiles(home: Path, engine: Engine, place: Place) -> None:
    place.setenv("GRIDMGMT_BASEMAP", "https://tiles.example/all.png")


def a_private_key_for_a_public_one(home: Path, engine: Engine, place: Place) -> None:
    place.setenv("GRIDMGMT_BACKUP_RECIPIENT", "age1notakey")


def no_home(home: Path, engine: Engine, place: Place) -> None:
    place.setenv("GRIDMGMT_HOME", str(home / "elsewhere"))


def a_home_for_everybody(home: Path, engine: Engine, place: Place) -> None:
    home.chmod(0o777)


def no_key_ring(home: Path, engine: Engine, place: Place) -> None:
    (home / "keyring.json").unlink()


def another_citys_key_ring(home: Path, engine: Engine, place: Place) -> None:
    (home / "keyring.json").unlink()
    KeyRing.opened(settings())


def an_open_key_ring(home: Path, engine: Engine, place: Place) -> None:
    (home / "keyring.json").chmod(0o640)


def an_old_schema(home: Path, engine: Engine, place: Place) -> None:
    migrations.down(engine, "0014")


def a_newer_schema(home: Path, engine: Engine, place: Place) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))


def a_server_that_is_down(home: Path, engine: Engine, place: Place) -> None:
    place.setenv("GRIDMGMT_DATABASE_URL", "postgresql://wang:hidden-word@/gridmgmt?host=/nowhere")


def no_chinese_font(home: Path, engine: Engine, place: Place) -> None:
    place.setattr(fonts, "font", lambda _: None)


def a_missing_browser_file(home: Path, engine: Engine, place: Place) -> None:
    shutil.copytree(program.VENDOR, home / "vendor")
    (home / "vendor" / "leaflet.js").unlink()
    place.setattr(program, "VENDOR", home / "vendor")


def another_library(home: Path, engine: Engine, place: Place) -> None:
    (home / "requirements.lock").write_text("numpy==0.1 --hash=sha256:00\n")
    place.setattr(program, "_locks", lambda: (home / "requirements.lock",))


FAULTS: list[tuple[Plant, str, str]] = [
    (a_wrong_value, "settings", "GRIDMGMT_SLOW_MS"),
    (a_secret_that_is_not_there, "settings", "GRIDMGMT_METRICS_TOKEN_FILE"),
    (a_secret_for_everybody, "secrets", "mode 0644"),
    (half_an_identity_provider, "settings", "GRIDMGMT_OIDC_DISCOVERY"),
    (a_role_that_is_none, "settings", "administrator"),
    (a_basemap_without_tiles, "settings", "GRIDMGMT_BASEMAP"),
    (a_private_key_for_a_public_one, "backup-key", "no public key"),
    (no_home, "home", "is not there"),
    (a_home_for_everybody, "home", "mode 0777"),
    (no_key_ring, "keys", "is missing"),
    (another_citys_key_ring, "keys", "not the key ring of this database"),
    (an_open_key_ring, "keys", "mode 0640"),
    (an_old_schema, "schema", "schema 0014"),
    (a_newer_schema, "schema", "schema 9999"),
    (a_server_that_is_down, "server", "/nowhere"),
    (no_chinese_font, "fonts", "no font"),
    (a_missing_browser_file, "assets", "leaflet.js is missing"),
    (another_library, "libraries", "numpy"),
]


@pytest.mark.parametrize(("plant", "key", "words"), FAULTS, ids=[plant.__name__ for plant, _, _ in FAULTS])
def test_a_fault_is_named_with_what_to_do(
    plant: Plant, key: str, words: str, sound: Path, engine: Engine, free_port: int, monkeypatch: Place
) -> None:
    plant(sound, engine, monkeypatch)
    named = [each for each in bad(free_port) if each.key == key and words in each.says]
    assert len(named) == 1
    assert named[0].why
    assert named[0].mend
    assert "hidden-word" not in repr(named)


@pytest.mark.parametrize(
    ("url", "state"),
    [
        (None, None),
        ("postgresql://grid@/gridmgmt?host=/run/postgresql", None),
        ("postgresql://grid:hidden-word@127.0.0.1:5432/gridmgmt", None),
        ("postgresql://grid:hidden-word@db.city.example/gridmgmt", State.WATCH),
        ("postgresql://grid:hidden-word@/gridmgmt?host=db.city.example&sslmode=require", State.WATCH),
        ("postgresql://grid:hidden-word@db.city.example/gridmgmt?sslmode=verify-full", State.OK),
    ],
)
def test_a_database_elsewhere_is_spoken_to_under_a_certificate_that_is_checked(
    url: str | None, state: State | None, tmp_path: Path
) -> None:
    said = list(checks.encryption(Settings(tmp_path, url, None, None)))
    assert [each.state for each in said] == ([] if state is None else [state])
    assert "hidden-word" not in repr(said)


def test_a_misspelt_variable_is_named_with_the_one_that_was_meant(
    sound: Path, free_port: int, monkeypatch: Place
) -> None:
    monkeypatch.setenv("GRIDMGMT_PORXIES", "1")
    found = [each for each in examined("127.0.0.1", free_port) if "GRIDMGMT_PORXIES" in each.says]
    assert [each.mend for each in found] == ["unset GRIDMGMT_PORXIES, set GRIDMGMT_PROXIES"]


def test_a_port_that_somebody_else_has_is_named(sound: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = int(other.getsockname()[1])
        assert [each.key for each in bad(taken) if each.key == "port"] == ["port"]


@pytest.fixture
def of_bytes(cluster: Cluster) -> Iterator[str]:
    """The address of a database that knows no Unicode and no PostGIS."""
    server = make_engine(cluster.url("postgres")).execution_options(isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        how = "TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"
        connection.execute(text(f"CREATE DATABASE of_bytes {how}"))
    yield cluster.url("of_bytes")
    drop_database(cluster.url("postgres"), "of_bytes")


def test_a_database_that_cannot_hold_chinese_or_maps_is_named(
    sound: Path, of_bytes: str, free_port: int, monkeypatch: Place
) -> None:
    monkeypatch.setenv("GRIDMGMT_DATABASE_URL", of_bytes)
    said = [each.says for each in bad(free_port) if each.key == "server"]
    assert said == ["encoding SQL_ASCII", "PostGIS is not there"]


def test_the_command_ends_with_6_and_says_the_same_as_json(
    sound: Path, free_port: int, monkeypatch: Place
) -> None:
    monkeypatch.delenv("GRIDMGMT_BACKUP_RECIPIENT")
    as_table = CliRunner().invoke(doctor, ["--port", str(free_port)])
    as_json = CliRunner().invoke(doctor, ["--port", str(free_port), "--json"])
    assert (as_table.exit_code, as_json.exit_code) == (6, 6)
    assert "backup-key" in as_table.output
    told = json.loads(as_json.output)
    assert told["status"] == "bad"
    assert {"backup-key", "schema", "keys"} <= {each["key"] for each in told["findings"]}


def test_whoever_only_looks_binds_no_key_ring(
    sound: Path, engine: Engine, free_port: int, monkeypatch: Place
) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM key_ring"))
    assert not [each for each in bad(free_port) if each.key == "keys"]
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM key_ring")).scalar_one() == 0

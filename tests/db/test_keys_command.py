"""`gridmgmt keys`: the ring is shown without secrets, and a key that values still carry is not destroyed."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from gridmgmt.cli import cli
from gridmgmt.errors import ConflictError, NotFoundError

from . import roster_world as w


def keys(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["keys", *arguments])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRIDMGMT_HOME", str(tmp_path))
    monkeypatch.setenv("GRIDMGMT_DATABASE_URL", database)
    return tmp_path


def test_keys_are_listed_by_number_and_kind_without_their_secrets(home: Path) -> None:
    assert keys("add", "--algorithm", "sm4-gcm").output.startswith("key 2 (sm4-gcm) seals new values")
    shown = keys("list", "--json").output
    assert [(key["id"], key["algorithm"], key["active"]) for key in json.loads(shown)] == [
        (1, "aes-256-gcm", False),
        (2, "sm4-gcm", True),
    ]
    secrets = json.loads((home / "keyring.json").read_text())
    for secret in (secrets["index_key"], *(key["key"] for key in secrets["keys"].values())):
        assert secret not in shown + keys("list").output


def test_a_key_is_retired_only_when_no_value_carries_it(engine: Engine, home: Path) -> None:
    w.build(engine, w.make_ring(home))
    keys("add")
    refused = keys("retire", "1", "--yes")
    assert isinstance(refused.exception, ConflictError)
    assert "values are sealed with key 1; first: gridmgmt keys rotate" in str(refused.exception)
    assert isinstance(keys("retire", "2", "--yes").exception, ConflictError)
    assert isinstance(keys("retire", "3", "--yes").exception, NotFoundError)
    assert keys("rotate").exit_code == 0
    assert keys("retire", "1", "--yes").output == "key 1 is gone\n"
    assert [key["id"] for key in json.loads(keys("list", "--json").output)] == [2]

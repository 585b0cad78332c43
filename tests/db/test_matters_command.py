"""`gridmgmt matters`: flows and holidays by file, and what time does to matters that nobody looks after."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text

from gridmgmt.calendar import CHINA
from gridmgmt.cli.matters import matters
from gridmgmt.errors import FileError
from gridmgmt.incidents import holidays
from gridmgmt.incidents.flows import packaged, stored
from gridmgmt.incidents.flows.reading import as_text
from gridmgmt.incidents.handling import service
from gridmgmt.incidents.handling.tick import Ticked, tick
from tests.db import matter_world
from tests.db.matter_world import OFFICE, World

NINE = next(flow for flow in packaged.flows() if flow.code == "nine_steps")
FRIDAY = datetime(2026, 11, 20, 9, tzinfo=CHINA)


@pytest.fixture
def command(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("GRIDMGMT_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    return CliRunner()


@pytest.fixture
def world(engine: Engine) -> Iterator[World]:
    made = matter_world.build(engine)
    yield made
    made.matters.dispose()


def run(command: CliRunner, *words: str) -> str:
    answer = command.invoke(matters, words, catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_a_flow_is_printed_changed_checked_and_loaded(
    command: CliRunner, engine: Engine, tmp_path: Path
) -> None:
    file = tmp_path / "nine.toml"
    file.write_text(run(command, "flows", "show", "nine_steps").replace("days = 15", "days = 20"), "utf-8")
    assert "可以使用" in run(command, "flows", "check", str(file))
    assert json.loads(run(command, "flows", "list", "--json"))[0]["days"] == 15
    run(command, "flows", "load", str(file))
    run(command, "flows", "load", str(file))
    with engine.connect() as connection:
        found = [(version.active, version.flow.days) for version in stored.versions(connection)
                 if version.code == "nine_steps"]  # fmt: skip
    assert found == [(True, 20), (False, 15)]
    stored.install(engine)  # the city's own stays
    with engine.connect() as connection:
        assert stored.active(connection)["nine_steps"].days == 20
    file.write_text(as_text(NINE).replace('to = "review"', 'to = "nowhere"'), "utf-8")
    with pytest.raises(FileError, match=r"nine\.toml: step classify, to: found 'nowhere'"):
        run(command, "flows", "load", str(file))


def test_a_year_is_loaded_by_file_and_a_missing_one_warned_of(
    command: CliRunner, engine: Engine, tmp_path: Path
) -> None:
    file = tmp_path / "2027.csv"
    file.write_text("day,kind,name\n2027-01-01,休,元旦\n", "utf-8")
    run(command, "holidays", "load", str(file))
    assert json.loads(run(command, "holidays", "list", "--json"))["years"]["2027"][0]["name"] == "元旦"
    holidays.replace_year(engine, "test", 2027, [])
    assert "缺 2027 年节假日" in command.invoke(matters, ["holidays", "list"]).output
    file.write_text("day,kind,name\n2027-01-01,休,元旦\n2028-01-01,休,元旦\n", "utf-8")
    with pytest.raises(FileError, match="2027, 2028"):
        run(command, "holidays", "load", str(file))
    file.write_text("day,kind,name\n2027-01-01,休,元旦\n2027-01-02,?,元旦\n", "utf-8")
    with pytest.raises(FileError, match=r"row 3, kind: found '\?', allowed: off, work, 休, 班"):
        run(command, "holidays", "load", str(file))


def test_a_matter_long_over_its_limit_comes_under_supervision_once(world: World) -> None:
    """Told on Friday, due on Monday at 17:30, three working days over it on Thursday."""
    late = world.take_in(OFFICE, now=FRIDAY).case_id
    waits = world.take_in(OFFICE, now=FRIDAY).case_id
    service.suspend(world.matters, OFFICE, waits, 1, "等判决", now=FRIDAY)
    assert tick(world.owner, FRIDAY + timedelta(days=5)).escalated == 0  # Wednesday
    assert tick(world.owner, FRIDAY + timedelta(days=6)) == Ticked(1, 0, (2027,))
    assert tick(world.owner, FRIDAY + timedelta(days=9)).escalated == 0
    with world.owner.connect() as connection:
        row = connection.execute(
            text("SELECT who, act, detail FROM incident_step WHERE case_id = :id AND n = 2"), {"id": late}
        ).one()
    assert tuple(row) == ("clock", "escalate", {"over": 3})
    assert (world.version(late), world.version(waits)) == (2, 2)


def test_keys_of_retries_go_after_thirty_days_and_the_matter_stays(world: World, command: CliRunner) -> None:
    case = world.take_in(OFFICE).case_id
    now = datetime.now(CHINA)
    assert tick(world.owner, now + timedelta(days=29)).keys == 0
    assert tick(world.owner, now + timedelta(days=31)).keys == 1
    assert world.version(case) >= 1
    assert json.loads(run(command, "tick", "--json"))["keys"] == 0

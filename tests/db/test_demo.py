"""The main job from end to end, as a newcomer runs it, on a small city."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text

from gridmgmt.cli import cli
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import WRITER, make_engine, opened
from gridmgmt.db.models import Role
from gridmgmt.errors import NotEnoughDataError
from gridmgmt.planning import service as plans
from gridmgmt.planning.models import Operation

from . import docs_commands

SCALE = "0.03"
PASSWORD = "一个够长的密码 2026"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    home = tmp_path_factory.mktemp("city")
    yield home
    Cluster(home).drop()


def gridmgmt(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GRIDMGMT_HOME": str(home), "COLUMNS": "160"}
    environment.pop("GRIDMGMT_DATABASE_URL", None)
    return subprocess.run(
        [sys.executable, "-m", "gridmgmt", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


@pytest.fixture(scope="module")
def demo(home: Path) -> subprocess.CompletedProcess[str]:
    return gridmgmt(home, "demo", "--no-serve", "--json", "--scale", SCALE)


def test_the_demo_ends_with_the_list_and_its_counts(demo: subprocess.CompletedProcess[str]) -> None:
    assert demo.returncode == 0, demo.stderr
    last = json.loads(demo.stdout.splitlines()[-1])
    assert list(last) == [
        "grids", "households", "persons", "incidents", "seasonal_items", "hot_grids", "seconds",
        "peak_memory_mb",
    ]  # fmt: skip
    assert (last["grids"], last["households"], last["persons"]) == (30, 9000, 24000)
    steps = ["setup", "generate", "import", "assign", "hotspots", "effects", "seasonal", "matters", "index"]
    assert list(last["seconds"]) == steps
    assert last["seasonal_items"] > 50
    assert "2026 年时令清单治未病" in demo.stdout


def test_the_list_finds_what_was_planted(home: Path, demo: subprocess.CompletedProcess[str]) -> None:
    truth = json.loads((home / "sample" / "truth.json").read_text())
    items = json.loads(gridmgmt(home, "seasonal", "show", "--json").stdout)
    planted = {entry["category"]: entry for entry in truth["seasonal"]}
    right = [item for item in items if item["category"] in planted]
    assert len(right) >= 0.95 * len(items)
    found = {item["category"] for item in right}
    assert len(found) >= 0.8 * len(planted), sorted(set(planted) - found)
    on_time = [
        item["category"]
        for item in right
        if abs_days(item["start_on"], planted[item["category"]]["dates"]["2026"]["start"]) <= 15
    ]
    assert len(set(on_time)) >= 0.9 * len(found)


def abs_days(one: str, other: str) -> int:
    from datetime import date

    return abs((date.fromisoformat(one) - date.fromisoformat(other)).days)


def test_a_second_demo_changes_nothing(home: Path, demo: subprocess.CompletedProcess[str]) -> None:
    first = json.loads(demo.stdout.splitlines()[-1])
    again = gridmgmt(home, "demo", "--no-serve", "--json", "--scale", SCALE)
    second = json.loads(again.stdout.splitlines()[-1])
    counted = ("grids", "households", "persons", "incidents", "seasonal_items", "hot_grids")
    assert [second[name] for name in counted] == [first[name] for name in counted]


def test_another_city_is_refused_in_the_same_home(home: Path, demo: subprocess.CompletedProcess[str]) -> None:
    refused = gridmgmt(home, "demo", "--no-serve", "--scale", "0.05")
    assert refused.returncode == 6
    assert "GRIDMGMT_HOME" in refused.stderr


def test_a_year_without_history_and_one_outside_the_calendar_are_told_apart(
    home: Path, demo: subprocess.CompletedProcess[str]
) -> None:
    early = gridmgmt(home, "seasonal", "build", "--year", "2023")
    assert (early.returncode, "at least 2" in early.stderr) == (2, True), early.stderr
    late = gridmgmt(home, "seasonal", "build", "--year", "2090")
    assert (late.returncode, "2090" in late.stderr) == (2, True), late.stderr


def test_the_same_hotspot_run_twice_gives_the_same_rows(
    home: Path, demo: subprocess.CompletedProcess[str]
) -> None:
    ask = ("hotspots", "run", "--from", "2023-01-01", "--to", "2024-12-31", "--json")
    one, two = (json.loads(gridmgmt(home, *ask).stdout) for _ in range(2))
    assert one["hot"] == two["hot"]
    assert one["run"]["id"] != two["run"]["id"]
    nothing = gridmgmt(home, "hotspots", "run", "--from", "2001-01-01", "--to", "2001-12-31")
    assert nothing.returncode == 2
    assert "2001" in nothing.stderr


# --- what the pages tell people to type


def test_every_command_of_the_docs_runs(
    home: Path,
    demo: subprocess.CompletedProcess[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRIDMGMT_HOME", str(home))
    monkeypatch.delenv("GRIDMGMT_DATABASE_URL", raising=False)
    docs_commands.write_files(home / "sample", tmp_path / "files")
    wanted, failed = list(docs_commands.commands()), []
    with opened() as engine:
        _draw_plans(engine, 7)
        with engine.begin() as connection:  # a page that begins with nothing makes them
            connection.execute(text("DELETE FROM account WHERE role IN ('admin', 'security', 'auditor')"))
        for command in wanted:
            folder = tmp_path / command.page.replace("/", "-")
            if not folder.exists():
                shutil.copytree(tmp_path / "files", folder)
            monkeypatch.chdir(folder)
            why = _typed(command)
            if why:
                failed.append(f"{command.page}: gridmgmt {' '.join(command.arguments)}: {why}")
    assert not failed, "\n".join(failed)
    assert sum(command.runs for command in wanted) > 50


def _typed(command: docs_commands.Command) -> str:
    """Run a command, or read it to its last option where it cannot run here; return what went wrong."""
    runner, answers = CliRunner(), f"{PASSWORD}\n{PASSWORD}\n" if "account" in command.arguments else "y\n"
    if not command.runs:
        with runner.isolation(answers):
            return _read(cli, list(command.arguments))
    done = runner.invoke(cli, command.arguments, answers)
    if command.out:
        Path(command.out).write_text(done.stdout, encoding="utf-8")
    small = isinstance(done.exception, NotEnoughDataError)  # that is the city's size, and said so
    return "" if small or not done.exception else repr(done.exception)


def _read(group: click.Command, arguments: list[str]) -> str:
    """Return what is wrong with a call: no such command or option."""
    try:
        with group.make_context(group.name, arguments) as context:
            if not isinstance(group, click.Group):
                return ""
            _, found, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    except click.UsageError as why:
        return why.format_message()
    return _read(found, rest) if found else f"no command {arguments}"


def _draw_plans(engine: Engine, number: int) -> None:
    """Make plans until there is one of this number, and let it change something."""
    with engine.connect() as connection:
        query = "SELECT username FROM account WHERE role = 'planner'"
        planner = plans.Actor(connection.execute(text(query)).scalars().one(), Role.PLANNER)
        query = "SELECT code15 FROM grid WHERE kind = 'base' AND valid_to IS NULL ORDER BY code15 LIMIT 1"
        grid = str(connection.execute(text(query)).scalar_one())
    own = make_engine(engine.url.render_as_string(hide_password=False), role=WRITER)
    while (plan := plans.create(own, planner, f"方案{number}", "")).id < number:
        pass
    plans.edit(own, planner, plan.id, Operation.SPLIT_EVENLY, {"key": grid, "parts": 2}, plan.version)
    own.dispose()

"""Long work: one of a kind at a time, and what was killed says so and leaves nothing half-done."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from gridmgmt.db import jobs
from gridmgmt.db.models import JobKind, JobStatus
from gridmgmt.errors import ConflictError, InputError, NotFoundError

AT_ONCE = timedelta(0)


@pytest.fixture
def ask(engine: Engine) -> Callable[[JobKind], int]:
    return lambda kind: jobs.ask(engine, kind, f"一项{kind}", {}, "admin")


def status(engine: Engine, number: int) -> str:
    return jobs.of(engine, number).status


def test_jobs_of_a_kind_are_done_one_after_the_other_in_the_order_asked(
    engine: Engine, ask: Callable[[JobKind], int]
) -> None:
    first, second, third = (ask(JobKind.IMPORT) for _ in range(3))
    other = ask(JobKind.SEASONAL)
    assert jobs.begin(engine, second) is None  # the first has waited longer
    begun = jobs.begin(engine, first)
    assert begun is not None
    assert begun.status == JobStatus.RUNNING
    assert begun.started_at == begun.beat_at
    assert jobs.begin(engine, second) is None
    assert jobs.begin(engine, other) is not None  # another kind goes on beside it
    jobs.finish(engine, first, {"found": "3 项"})
    assert jobs.begin(engine, third) is None
    assert jobs.begin(engine, second) is not None
    jobs.fail(engine, second, "文件不能导入")
    assert jobs.begin(engine, third) is not None
    assert [(job.id, job.status) for job in jobs.listed(engine, JobKind.IMPORT)] == [
        (third, "running"), (second, "failed"), (first, "done"),
    ]  # fmt: skip
    assert [job.id for job in jobs.under_way(engine)] == [other, third]
    with pytest.raises(ConflictError):
        jobs.begin(engine, first)
    with pytest.raises(NotFoundError):
        jobs.begin(engine, 99)


def test_asking_leaves_a_line_in_the_audit_log(engine: Engine, ask: Callable[[JobKind], int]) -> None:
    ask(JobKind.IMPORT)
    ask(JobKind.CLUSTERS)
    with pytest.raises(InputError):
        jobs.ask(engine, "roster", "人房", {}, "admin")
    with engine.connect() as connection:
        lines = connection.execute(text("SELECT who, what FROM audit_log ORDER BY id")).all()
    assert lines == [("admin", "import.ask"), ("admin", "analysis.ask")]


def test_how_far_a_job_is_stands_until_it_ends(engine: Engine, ask: Callable[[JobKind], int]) -> None:
    number = ask(JobKind.IMPORT)
    jobs.begin(engine, number)
    with engine.connect() as connection:
        heard = []
        for at in (0, 250, 999):
            jobs.beat(connection, number, "读入 a.csv", at, 1000)
            job = jobs.of(engine, number)
            heard.append(job.told_at)
            assert (job.doing, job.at, job.percent) == ("读入 a.csv", at, at // 10)
        assert heard == sorted(set(heard))
        jobs.finish(engine, number, {})
        jobs.beat(connection, number, "late", 1, 2)
    job = jobs.of(engine, number)
    assert (job.percent, job.doing, job.over) == (100, None, True)
    assert job.told_at > heard[-1]


def test_a_job_that_somebody_holds_is_not_stale_and_is_not_held_twice(
    engine: Engine, ask: Callable[[JobKind], int]
) -> None:
    number, lost = ask(JobKind.IMPORT), ask(JobKind.SEASONAL)
    jobs.begin(engine, number)
    assert jobs.clear_stale(engine) == 0  # heard of a moment ago
    with jobs.held(engine, number):
        with pytest.raises(ConflictError), jobs.held(engine, number):
            pass
        assert jobs.clear_stale(engine, AT_ONCE) == 1
        assert (status(engine, number), status(engine, lost)) == ("running", "failed")
    assert jobs.clear_stale(engine, AT_ONCE) == 1
    assert jobs.of(engine, number).error == jobs.INTERRUPTED


def test_a_runner_killed_before_its_last_statement_leaves_nothing_and_the_job_says_so(
    engine: Engine, database: str, tmp_path: Path
) -> None:
    folder = tmp_path / "uploads" / "0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / "类别.csv").write_text("code,name\n01,噪声\n02,灌溉\n", encoding="gb18030")
    asked = {
        "kind": "categories", "files": ["类别.csv"], "folder": folder.name, "mapping": False, "crs": None,
        "dry_run": False,
    }  # fmt: skip
    number = jobs.ask(engine, JobKind.IMPORT, "导入诉求分类", asked, "admin")
    home = {"GRIDMGMT_HOME": str(tmp_path), "GRIDMGMT_DATABASE_URL": database}
    command = [sys.executable, "-m", "gridmgmt", "jobs", "run", str(number)]
    with engine.connect() as blocking:
        blocking.execute(text("LOCK TABLE import_run IN EXCLUSIVE MODE"))  # what an import writes last
        with subprocess.Popen(command, env=os.environ | home) as runner:
            _wait_until_blocked(engine, runner)
            assert status(engine, number) == "running"
            os.kill(runner.pid, signal.SIGKILL)
            assert runner.wait() == -signal.SIGKILL
        blocking.rollback()
    with engine.connect() as connection:
        # The server's process ends as it finds nobody there; until then its transaction holds the lock.
        connection.execute(text("LOCK TABLE import_run IN EXCLUSIVE MODE"))
        assert connection.execute(text("SELECT count(*) FROM category")).scalar_one() == 0
        assert connection.execute(text("SELECT count(*) FROM import_run")).scalar_one() == 0
    assert jobs.clear_stale(engine, AT_ONCE) == 1
    job = jobs.of(engine, number)
    assert (job.status, job.error) == ("failed", jobs.INTERRUPTED)
    again = jobs.ask(engine, JobKind.IMPORT, job.title, job.parameters, "admin")
    done = subprocess.run([*command[:-1], str(again)], env=os.environ | home, check=False)
    assert done.returncode == 0
    assert jobs.of(engine, again).status == "done"
    assert not folder.exists()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM category")).scalar_one() == 2


def _wait_until_blocked(engine: Engine, runner: "subprocess.Popen[bytes]") -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'import_run'::regclass")
    with engine.connect() as connection:
        while not connection.execute(waiting).scalar_one():
            connection.rollback()
            assert runner.poll() is None, "the runner ended before it wrote anything"

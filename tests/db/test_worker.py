"""The worker: whatever is killed, a job is done once, by one process at a time; what is stopped stays so."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from procrastinate.periodic import PeriodicDeferrer
from sqlalchemy import Engine, text

from gridmgmt.calendar import CHINA
from gridmgmt.cli import jobs as commands
from gridmgmt.cli import plan
from gridmgmt.cli import serve as serving
from gridmgmt.cli import worker as working
from gridmgmt.cli.worker import Ended, Pace, Worker
from gridmgmt.cli.works import WORKS
from gridmgmt.config import Settings
from gridmgmt.db import jobs
from gridmgmt.db.jobs import JobLine
from gridmgmt.db.models import JobKind
from gridmgmt.db.queue import make_app

LONGEST = 60.0
FAST = Pace(alive=0.3, silent=3, look=0.2, grace=0.2, kill=2, wait=0)
SCRIPT = f"""
import asyncio, sys
from gridmgmt.cli.worker import run, Pace
from gridmgmt.config import settings
from gridmgmt.db.engine import make_engine
url = settings().database_url
asyncio.run(run(make_engine(url), url, settings(), concurrency=2, pace={FAST!r}, planned=False))
"""
Process = subprocess.Popen[bytes]


@pytest.fixture
def worker(database: str, tmp_path: Path) -> Iterator[Callable[[], Process]]:
    """Starts workers that do what is asked for; they end with the test."""
    started: list[Process] = []
    home = {"GRIDMGMT_HOME": str(tmp_path), "GRIDMGMT_DATABASE_URL": database}

    def start() -> Process:
        with (tmp_path / "worker.log").open("ab") as log:
            started.append(
                subprocess.Popen([sys.executable, "-c", SCRIPT], env=os.environ | home, stderr=log)
            )
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.wait()


@pytest.fixture
def asked(engine: Engine, tmp_path: Path) -> int:
    """A job that imports two categories."""
    folder = tmp_path / "uploads" / "0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / "类别.csv").write_text("code,name\n01,噪声\n02,灌溉\n", encoding="gb18030")
    asked = {
        "kind": "categories", "files": ["类别.csv"], "folder": folder.name, "mapping": False, "crs": None,
        "dry_run": False,
    }  # fmt: skip
    return jobs.ask(engine, JobKind.IMPORT, "导入诉求分类", asked, "admin")


def until(true: Callable[[], object]) -> None:
    ends = time.monotonic() + LONGEST
    while not true():
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.02)  # between two looks


def children(worker: Process) -> set[int]:
    """Return the processes that a worker has started and that live."""
    found = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    return {int(pid) for pid in found if alive(int(pid))}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def midway(engine: Engine, worker: Process) -> Iterator[int]:
    """Give the process of an import that is about to write its last row and cannot, until this is left."""
    with engine.connect() as blocking:
        blocking.execute(text("LOCK TABLE import_run IN EXCLUSIVE MODE"))

        def begun() -> bool:
            assert worker.poll() is None, "the worker ended"
            return bool(blocked(engine))

        until(begun)
        (child,) = children(worker)
        yield child
        blocking.rollback()


def blocked(engine: Engine) -> set[int]:
    """Return the sessions of the database that wait to write the last row of an import."""
    query = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'import_run'::regclass"
    with engine.connect() as connection:
        return set(connection.execute(text(query)).scalars())


def one(engine: Engine, query: str) -> Any:
    with engine.connect() as connection:
        return connection.execute(text(query)).scalar_one()


def done_once(engine: Engine, number: int) -> JobLine:
    job = jobs.of(engine, number)
    assert (job.status, job.error) == ("done", None)
    assert one(engine, "SELECT count(*) FROM category") == 2
    assert one(engine, "SELECT count(*) FROM import_run") == 1
    return job


def test_a_killed_process_leaves_nothing_and_its_job_is_done_by_the_next(
    engine: Engine, asked: int, worker: Callable[[], Process], tmp_path: Path
) -> None:
    mine = worker()
    with midway(engine, mine) as child:
        before = blocked(engine)
        os.kill(child, signal.SIGKILL)
        until(lambda: (now := blocked(engine)) and not now & before)  # its statement has ended as well
        assert jobs.of(engine, asked).attempt == 2
        assert not alive(child)
        assert one(engine, "SELECT count(*) FROM category") == 0
    until(lambda: jobs.of(engine, asked).over)
    assert done_once(engine, asked).attempt == 2
    until(lambda: one(engine, "SELECT status::text FROM queue.procrastinate_jobs") == "succeeded")
    until(lambda: not (tmp_path / "uploads" / "0123456789abcdef").exists())


def test_with_a_killed_worker_its_process_dies_and_another_worker_takes_over(
    engine: Engine, asked: int, worker: Callable[[], Process]
) -> None:
    first = worker()
    seen: set[int] = set()
    with midway(engine, first) as child:
        second = worker()
        until(lambda: one(engine, "SELECT count(*) FROM queue.procrastinate_workers") == 2)
        first.kill()

        def one_at_a_time() -> bool:
            now = children(second) | ({child} if alive(child) else set())
            seen.update(now)
            assert len(now) <= 1
            return jobs.of(engine, asked).attempt == 2

        until(one_at_a_time)
    assert len(seen - {child}) == 1
    until(lambda: jobs.of(engine, asked).over)
    done_once(engine, asked)


def test_a_worker_that_is_ended_puts_its_job_back(
    engine: Engine, asked: int, worker: Callable[[], Process]
) -> None:
    first = worker()
    with midway(engine, first) as child:
        first.terminate()
        assert first.wait(LONGEST) == 0
        assert not alive(child)
        job = jobs.of(engine, asked)
        assert (job.status, job.error) == ("waiting", jobs.AGAIN)
    worker()
    until(lambda: jobs.of(engine, asked).over)
    assert done_once(engine, asked).attempt == 2


def test_what_is_stopped_ends_and_is_not_tried_again(
    engine: Engine, asked: int, worker: Callable[[], Process]
) -> None:
    mine = worker()
    with midway(engine, mine) as child:
        jobs.stop(engine, asked, "admin")
        until(lambda: jobs.of(engine, asked).over)
        assert not alive(child)
    until(lambda: one(engine, "SELECT status::text FROM queue.procrastinate_jobs") == "aborted")
    assert jobs.of(engine, asked).status == "stopped"
    assert one(engine, "SELECT count(*) FROM category") == 0


# --- in one process: how the queue gives out


def in_a_thread(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine where no loop runs: the browser of other tests leaves one in this thread."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def work(engine: Engine, database: str, workers: int) -> None:
    """Have some workers work together until nothing is left to do."""
    chosen = Settings(home=Path(), database_url=database, secret_key=None, basemap=None)

    async def together() -> None:
        for each in asyncio.as_completed([
            working.run(engine, database, chosen, concurrency=3, pace=FAST, planned=False, wait=False)
            for _ in range(workers)
        ]):  # fmt: skip
            await each

    while jobs.under_way(engine):  # who finds another busy with the last of a kind has ended by then
        in_a_thread(together())


def here(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    """Have the workers do in this process what they would do in one of its own."""

    async def in_thread(_: Worker, number: int) -> int:
        return await asyncio.to_thread(commands.attempt, engine, number)

    monkeypatch.setattr(Worker, "_in_process", in_thread)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_of_a_kind_one_is_worked_on_at_a_time_in_the_order_asked(
    engine: Engine, database: str, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    kinds = (JobKind.IMPORT, JobKind.SEASONAL, JobKind.INDEX)
    asked = [(jobs.ask(engine, kind, kind, {}, "a"), kind) for kind in chance.choices(kinds, k=20)]
    busy: list[str] = []
    ended: list[int] = []

    async def pretend(_: Worker, number: int) -> int:
        job = jobs.begin(engine, number)
        assert job is not None
        assert job.kind not in busy
        busy.append(job.kind)
        for _turn in range(chance.randrange(5)):
            await asyncio.sleep(0)
        busy.remove(job.kind)
        if chance.random() < 0.3 and job.attempt < 3:
            return -signal.SIGKILL
        ended.append(number)
        jobs.finish(engine, number, {})
        return Ended.DONE

    monkeypatch.setattr(Worker, "_in_process", pretend)
    work(engine, database, 2)
    for kind in kinds:
        mine = [number for number, its in asked if its == kind]
        assert [number for number in ended if number in mine] == mine
    assert any(job.attempt > 1 for job in jobs.listed(engine))


def test_wrong_input_is_told_and_not_tried_again(
    engine: Engine, asked: int, database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "uploads" / "0123456789abcdef" / "类别.csv").write_text("甲,乙\n1,2\n", encoding="gb18030")
    monkeypatch.setenv("GRIDMGMT_HOME", str(tmp_path))
    here(monkeypatch, engine)
    work(engine, database, 1)
    job = jobs.of(engine, asked)
    assert (job.status, job.attempt) == ("failed", 1)
    assert job.error is not None
    assert job.error.startswith("文件不能导入")
    assert one(engine, "SELECT status::text FROM queue.procrastinate_jobs") == "failed"


def test_a_database_that_goes_away_is_tried_again_and_a_kind_that_is_held_is_waited_for(
    engine: Engine, asked: int, database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRIDMGMT_HOME", str(tmp_path))
    importing = WORKS[JobKind.IMPORT]

    def broken_off(engine: Engine, *rest: Any) -> None:
        monkeypatch.setitem(WORKS, JobKind.IMPORT, importing)
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    monkeypatch.setitem(WORKS, JobKind.IMPORT, broken_off)
    assert commands.attempt(engine, asked) == Ended.AGAIN
    jobs.interrupted(engine, asked, again=True)
    assert jobs.of(engine, asked).status == "waiting"
    with jobs.held(engine, JobKind.IMPORT):
        assert commands.attempt(engine, asked) == Ended.BUSY
    assert jobs.of(engine, asked).attempt == 1
    here(monkeypatch, engine)
    work(engine, database, 1)
    assert done_once(engine, asked).attempt == 2


def test_what_is_killed_every_time_is_given_up_after_three_more_tries(
    engine: Engine, asked: int, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(_: Worker, number: int) -> int:
        jobs.begin(engine, number)
        return -signal.SIGKILL

    monkeypatch.setattr(Worker, "_in_process", killed)
    work(engine, database, 1)
    job = jobs.of(engine, asked)
    assert (job.status, job.attempt, job.error) == ("failed", 4, jobs.INTERRUPTED)


def test_two_workers_on_two_machines_do_not_double_a_work_of_the_plan(engine: Engine, database: str) -> None:
    chosen = Settings(home=Path(), database_url=database, secret_key=None, basemap=None)

    async def defer() -> None:
        for _ in range(2):
            app = make_app(database)
            working._plan(app, engine, chosen)
            periodic = app.periodic_registry.periodic_tasks["plan", "verify"]
            async with app.open_async():
                await PeriodicDeferrer(app.periodic_registry).defer_jobs([(periodic, 1_772_400_600)])

    in_a_thread(defer())
    assert one(engine, "SELECT count(*) FROM queue.procrastinate_jobs") == 1


def test_files_of_the_inbox_are_imported_once_complete_and_kept_with_their_report(
    engine: Engine, database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chosen = Settings(home=tmp_path, database_url=database, secret_key=None, basemap=None)
    monkeypatch.setenv("GRIDMGMT_HOME", str(tmp_path))
    here(monkeypatch, engine)
    inbox, secret = tmp_path / "inbox", tmp_path / "secret.csv"
    (inbox / "categories").mkdir(parents=True)
    secret.write_text("code,name\n09,别处\n", encoding="utf-8")
    for name, words in (
        ("好.csv", "code,name\n01,噪声\n"), ("坏.csv", "甲,乙\n1,2\n"), ("正在写.csv", "code,name\n02,"),
        ("半.csv.part", "code,name\n03,半\n"), (".隐.csv", "code,name\n04,隐\n"),
    ):  # fmt: skip
        (inbox / "categories" / name).write_text(words, encoding="utf-8")
        age = 1 if name == "正在写.csv" else 600
        os.utime(inbox / "categories" / name, (time.time() - age,) * 2)
    (inbox / "categories" / "别处.csv").symlink_to(secret)
    turn = plan.TURNS["inbox"]
    asked = turn.asked(engine, chosen, date(2026, 3, 2))
    assert [each.parameters["files"] for each in asked] == [["坏.csv"], ["好.csv"]]
    numbers = jobs.ask_due(engine, "inbox", datetime(2026, 3, 2, 1, tzinfo=CHINA), asked)
    assert turn.asked(engine, chosen, date(2026, 3, 2)) == []  # asked for already
    work(engine, database, 1)
    assert [jobs.of(engine, number).status for number in numbers] == ["failed", "done"]
    kept = {path.relative_to(inbox).as_posix() for path in inbox.rglob("*") if path.is_file()}
    assert kept == {
        f"rejected/{numbers[0]}/坏.csv", f"rejected/{numbers[0]}/report.json",
        f"done/{numbers[1]}/好.csv", f"done/{numbers[1]}/report.json",
        *(f"categories/{name}" for name in ("正在写.csv", "半.csv.part", ".隐.csv", "别处.csv")),
    }  # fmt: skip
    report = json.loads((inbox / "done" / str(numbers[1]) / "report.json").read_text(encoding="utf-8"))
    assert report["files"][0]["counts"]["new"] == 1
    assert one(engine, "SELECT string_agg(code, ',') FROM category") == "01"


def test_the_server_keeps_a_worker_and_ends_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    begin = subprocess.Popen

    def instead(command: list[str], **options: Any) -> Process:
        started.append(command[2:])
        return begin(["sleep", "600"], **options)

    clock = [100.0]
    monkeypatch.setattr(serving.subprocess, "Popen", instead)
    monkeypatch.setattr(serving.time, "monotonic", lambda: clock[0])
    kept = serving.Worker()
    kept.keep()
    assert kept._process is None, "pages first"
    clock[0] += serving.RESTART + 1
    kept.keep()
    first = kept._process
    assert first is not None
    clock[0] += 2 * serving.RESTART
    kept.keep()
    assert kept._process is first
    first.kill()
    first.wait()
    kept.keep()
    second = kept._process
    assert second is not None
    second.kill()
    second.wait()
    kept.keep()  # a moment after it was begun: one that cannot begin does not spin
    assert started == [["gridmgmt", "jobs", "work", "--parent", str(os.getpid())]] * 2
    clock[0] += 2 * serving.RESTART
    kept.keep()
    third = kept._process
    assert third is not None
    kept._mine = 1  # in a forked web worker
    kept.end()
    assert third.poll() is None
    kept._mine = os.getpid()
    monkeypatch.undo()
    kept.end()
    assert third.poll() == -signal.SIGTERM

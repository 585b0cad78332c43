"""Long work: asked for whole or not at all, begun, followed, stopped, ended; what the plan asks for, once."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from procrastinate.schema import SchemaManager
from sqlalchemy import Engine, text

from gridmgmt.calendar import CHINA
from gridmgmt.cli import plan
from gridmgmt.config import Settings, sql_folder
from gridmgmt.db import jobs
from gridmgmt.db.jobs import Asked
from gridmgmt.db.models import JobKind, JobStatus
from gridmgmt.errors import ConflictError, InputError, NotFoundError

REFUSE = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'full'; END $$"
QUEUED = "SELECT lock, status::text, abort_requested FROM queue.procrastinate_jobs ORDER BY id"
MOMENT = datetime(2026, 3, 2, 1, 0, tzinfo=CHINA)


@pytest.fixture
def ask(engine: Engine) -> Callable[[JobKind], int]:
    return lambda kind: jobs.ask(engine, kind, f"一项{kind}", {}, "admin")


def rows(engine: Engine, query: str) -> list[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def status(engine: Engine, number: int) -> str:
    return jobs.of(engine, number).status


def test_the_library_wants_the_schema_that_the_migration_laid() -> None:
    laid = (sql_folder() / "queue" / "procrastinate.sql").read_text(encoding="utf-8")
    assert laid.partition("\n\n")[2] == SchemaManager.get_schema()


def test_a_job_its_audit_line_and_its_place_in_the_queue_stand_together_or_not_at_all(
    engine: Engine, ask: Callable[[JobKind], int]
) -> None:
    first, second = ask(JobKind.IMPORT), ask(JobKind.CLUSTERS)
    with pytest.raises(InputError):
        jobs.ask(engine, "roster", "人房", {}, "admin")
    stands = (
        rows(engine, "SELECT id, queue_id FROM job ORDER BY id"),
        rows(engine, "SELECT who, what FROM audit_log ORDER BY id"),
        rows(engine, "SELECT id, lock, args->>'number' FROM queue.procrastinate_jobs ORDER BY id"),
    )
    assert stands[1] == [("admin", "import.ask"), ("admin", "analysis.ask")]
    assert stands[2] == [
        (jobs.of(engine, number).queue_id, kind, str(number))
        for number, kind in ((first, "import"), (second, "clusters"))
    ]
    for table in ("queue.procrastinate_jobs", "audit_log", "job"):  # whichever of the three cannot be written
        with engine.begin() as connection:
            connection.execute(text(f"{REFUSE}; CREATE TRIGGER zz BEFORE INSERT ON {table} FOR EACH ROW"
                                    " EXECUTE FUNCTION public.refuse()"))  # fmt: skip
        with pytest.raises(Exception, match="full"):
            ask(JobKind.IMPORT)
        with engine.begin() as connection:
            connection.execute(text("DROP FUNCTION refuse() CASCADE"))
    assert stands == (
        rows(engine, "SELECT id, queue_id FROM job ORDER BY id"),
        rows(engine, "SELECT who, what FROM audit_log ORDER BY id"),
        rows(engine, "SELECT id, lock, args->>'number' FROM queue.procrastinate_jobs ORDER BY id"),
    )


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
    jobs.fail(engine, number, "late")
    jobs.interrupted(engine, number, again=True)
    assert jobs.begin(engine, number) is None  # over is over
    assert jobs.of(engine, number) == job
    with pytest.raises(NotFoundError):
        jobs.begin(engine, 99)


def test_a_kind_is_held_by_one_process(engine: Engine) -> None:
    with (
        jobs.held(engine, "import"),
        jobs.held(engine, "seasonal"),
        pytest.raises(ConflictError),
        jobs.held(engine, "import"),
    ):
        pass
    with jobs.held(engine, "import"):
        pass


def test_what_waits_is_stopped_at_once_what_runs_when_its_process_is_gone(
    engine: Engine, ask: Callable[[JobKind], int]
) -> None:
    waits, runs = ask(JobKind.IMPORT), ask(JobKind.SEASONAL)
    jobs.stop(engine, waits, "admin")
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE queue.procrastinate_jobs SET status = 'doing' WHERE lock = 'seasonal'")
        )
    jobs.begin(engine, runs)
    jobs.stop(engine, runs, "admin")
    assert (status(engine, waits), status(engine, runs)) == ("stopped", "running")
    jobs.interrupted(engine, runs, again=True)  # whoever wants to try again does not
    assert status(engine, runs) == "stopped"
    assert rows(engine, QUEUED) == [
        ("import", "cancelled", True), ("seasonal", "doing", True),
    ]  # fmt: skip
    assert rows(engine, "SELECT who, detail->>'job' FROM audit_log WHERE what = 'job.stop' ORDER BY id") == [
        ("admin", str(waits)), ("admin", str(runs)),
    ]  # fmt: skip
    with pytest.raises(ConflictError):
        jobs.stop(engine, waits, "admin")
    with pytest.raises(NotFoundError):
        jobs.stop(engine, 99, "admin")


def test_of_many_who_ask_for_a_moment_of_the_plan_one_is_heard(engine: Engine) -> None:
    asked = [Asked(JobKind.VERIFY, "核验日志", {})]
    jobs.ask_due(engine, "verify", MOMENT, asked)
    heard: list[int] = []
    together = threading.Barrier(4)

    def one() -> None:
        together.wait()
        heard.extend(jobs.ask_due(engine, "verify", MOMENT + timedelta(days=1), asked))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) == 1
    assert jobs.ask_due(engine, "verify", MOMENT, asked) == []  # it was before
    assert len(jobs.listed(engine)) == 2
    assert {job.asked_by for job in jobs.listed(engine)} == {jobs.SCHEDULE}


def test_a_week_without_a_worker_is_caught_up_once_and_a_new_installation_begins_with_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chosen = Settings(home=tmp_path, database_url=None, secret_key=None, basemap=None)
    morning = datetime(2026, 3, 9, 8, 0, tzinfo=CHINA)
    nights = [
        datetime(2026, 3, day, 4, 30, tzinfo=CHINA) for day in range(2, 10)
    ]  # 核验日志 at half past four

    def see(nights: list[datetime], now: datetime) -> list[int]:
        monkeypatch.setattr(plan.time, "time", now.timestamp)
        return [n for night in nights for n in plan.due(engine, chosen, "verify", int(night.timestamp()))]

    assert see(nights[:1], nights[0] + timedelta(hours=4)) == []  # installed that morning
    assert len(see(nights[1:], morning)) == 1
    assert see(nights, morning) == []
    assert len(see([nights[-1] + timedelta(days=1)], nights[-1] + timedelta(days=1, seconds=3))) == 1


def test_the_plan_is_kept_by_the_clock_of_china() -> None:
    after = datetime(2026, 12, 31, 17, 0, tzinfo=UTC).timestamp()  # one o'clock of 1 January there
    found = {turn.work: turn.next(after) for turn in plan.PLAN}
    assert found["retention"] == datetime(2027, 1, 1, 1, 30, tzinfo=CHINA)
    assert found["index"] == datetime(2027, 1, 2, 3, 30, tzinfo=CHINA)
    assert found["seasonal"] == datetime(2027, 12, 20, 3, 0, tzinfo=CHINA)
    assert found["delivery"] == datetime(2027, 1, 1, 1, 1, tzinfo=CHINA)


def test_what_the_plan_asks_for_names_its_period(engine: Engine, tmp_path: Path) -> None:
    chosen = Settings(home=tmp_path, database_url=None, secret_key=None, basemap=None)

    def asked(work: str, day: date) -> list[Any]:
        return [(each.kind, each.parameters) for each in plan.TURNS[work].asked(engine, chosen, day)]

    assert asked("index", date(2027, 1, 2)) == [(JobKind.INDEX, {"months": ["2026-12"]})]
    assert asked("seasonal", date(2026, 12, 20)) == [(JobKind.SEASONAL, {"year": 2027})]
    assert asked("hotspots", date(2026, 12, 20)) == asked("delivery", date(2026, 12, 20)) == []  # no data


def test_light_work_leaves_one_row_of_a_day_and_its_failures(engine: Engine) -> None:
    numbers = [
        jobs.ask_due(engine, "tick", MOMENT + timedelta(hours=hour), [Asked(JobKind.TICK, "超期督办", {})])[0]
        for hour in range(4)
    ]
    jobs.fail(engine, numbers[0], "没有办成")
    for number in numbers[1:]:
        jobs.begin(engine, number)
        jobs.finish(engine, number, {})
        jobs.keep_newest(engine, jobs.of(engine, number))
    assert [job.id for job in jobs.listed(engine)] == [numbers[3], numbers[0]]
    assert rows(engine, "SELECT count(*) FROM audit_log") == [(0,)]  # nobody asked


def test_jobs_are_forgotten_after_a_year_but_not_while_they_wait(
    engine: Engine, ask: Callable[[JobKind], int]
) -> None:
    old, waits = ask(JobKind.IMPORT), ask(JobKind.IMPORT)
    jobs.fail(engine, old, "没有办成")
    with engine.begin() as connection:
        ended = "UPDATE job SET finished_at = now() - interval '2 days' WHERE status <> 'waiting'"
        connection.execute(text(ended))
    assert jobs.forget(engine, datetime.now(UTC) - timedelta(days=3)) == 0
    assert jobs.forget(engine, datetime.now(UTC) - timedelta(days=1)) == 1
    assert [(job.id, job.status) for job in jobs.under_way(engine)] == [(waits, JobStatus.WAITING)]

"""`gridmgmt jobs`: the worker that does long work, what it does by plan, and how jobs stand."""

import asyncio
import getpass
import logging
import secrets
import signal
import sys
import time
from pathlib import Path

import click
from procrastinate.exceptions import ConnectorException
from sqlalchemy import Engine

from gridmgmt import logs
from gridmgmt.calendar import CHINA
from gridmgmt.cli.database import ready
from gridmgmt.cli.following import Lost, Told, followed
from gridmgmt.cli.plan import PLAN
from gridmgmt.cli.printing import new_table, print_json, print_table
from gridmgmt.cli.worker import Ended, Pace, die_with
from gridmgmt.cli.worker import run as run_worker
from gridmgmt.cli.works import WORKS, Result, tidy_after
from gridmgmt.config import settings
from gridmgmt.db import jobs as stored
from gridmgmt.db.jobs import JOB_NAMES, SCHEDULE, STATUS_NAMES, JobLine
from gridmgmt.db.models import JobKind, JobStatus
from gridmgmt.errors import (
    ConflictError,
    FileError,
    GridmgmtError,
    InputError,
    NotEnoughDataError,
    NotFoundError,
    SetupError,
)

log = logging.getLogger("gridmgmt.jobs")

# What happened, before what the error itself says; the first class that fits.
SAID: tuple[tuple[type[GridmgmtError], str], ...] = (
    (FileError, "文件不能导入"), (NotEnoughDataError, "数据还不够"), (InputError, "有一项不对"),
    (NotFoundError, "没有找到"), (ConflictError, "与别的工作冲突"), (SetupError, "系统还没有准备好"),
)  # fmt: skip
PARENT = click.option("--parent", type=int, hidden=True, help="The process with which this one ends.")


@click.group()
def jobs() -> None:
    """Long work: imports, analyses and what the night does."""


@jobs.command("work")
@click.option("--concurrency", type=click.IntRange(1, 16), default=2, show_default=True, help="Jobs at once.")
@click.option("--no-plan", is_flag=True, help="Do what is asked for, and nothing by itself.")
@PARENT
def work_on(concurrency: int, no_plan: bool, parent: int | None) -> None:
    """Do the jobs that wait, and the works of the plan when they are due, until Ctrl+C."""
    if parent:
        die_with(parent, signal.SIGTERM)
    chosen = settings()
    logs.install(chosen)
    with ready() as engine:
        url = engine.url.render_as_string(hide_password=False)
        working = run_worker(engine, url, chosen, concurrency=concurrency, pace=Pace(), planned=not no_plan)
        try:
            asyncio.run(working)
        except ConnectorException:
            raise SetupError("the database went away; start the worker again when it is back") from None


@jobs.command("run")
@click.argument("number", type=int)
@PARENT
def run(number: int, parent: int | None) -> None:
    """Do job NUMBER here and now, and write down what came of it; the worker calls this."""
    if parent:
        die_with(parent, signal.SIGKILL)
    # What is asked to stop leaves its locks in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ready() as engine:
        sys.exit(attempt(engine, number))


@jobs.command("stop")
@click.argument("number", type=int)
def stop(number: int) -> None:
    """Stop job NUMBER: one that waits at once, one that runs within some seconds."""
    with ready() as engine:
        stored.stop(engine, number, f"cli:{getpass.getuser()}")
    click.echo(f"job {number} is stopped, or about to be")


@jobs.command("list")
def show() -> None:
    """Print the latest jobs."""
    with ready() as engine:
        found, alive = stored.listed(engine, most=30), stored.workers(engine)
    table = new_table("后台工作", ("#编号", "种类", "内容", "谁", "发起", "#次数", "状态"))
    for job in found:
        when = f"{job.asked_at.astimezone(CHINA):%Y-%m-%d %H:%M}"
        came = job.error or (job.result or {}).get("found")
        status = STATUS_NAMES[JobStatus(job.status)] + (f"：{came}" if came else "")
        name = JOB_NAMES[JobKind(job.kind)]
        table.add_row(str(job.id), name, job.title, job.asked_by, when, str(job.attempt), status)
    print_table(table)
    if not alive:
        click.echo("no worker is alive: start one with `gridmgmt jobs work`", err=True)


@jobs.command("schedule")
@click.option("--json", "as_json", is_flag=True)
def schedule(as_json: bool) -> None:
    """Print the plan: what is done by itself, when it is due next, and when it was due last."""
    with ready() as engine:
        before = stored.last_due(engine)
    now = time.time()
    if as_json:
        print_json([
            {"work": turn.work, "name": turn.name, "cron": turn.cron, "next": turn.next(now),
             "last": before.get(turn.work)}
            for turn in PLAN
        ])  # fmt: skip
        return
    table = new_table("计划（北京时间）", ("代码", "工作", "时刻", "下一次", "上一次"))
    for turn in PLAN:
        last = before.get(turn.work)
        told = f"{last.astimezone(CHINA):%Y-%m-%d %H:%M}" if last else ""
        table.add_row(turn.work, turn.name, turn.cron, f"{turn.next(now):%Y-%m-%d %H:%M}", told)
    print_table(table)


def attempt(engine: Engine, number: int) -> Ended:
    """Return how a job ended that is done here; the job says what came of it unless it is to be tried again.

    What is over already is not done twice. NotFoundError when there is none of this number.
    """
    try:
        with stored.held(engine, stored.of(engine, number).kind):
            job = stored.begin(engine, number)
            if job is None:
                return Ended.DONE
            with followed(engine, number) as bar:
                ended = _done(engine, job, bar)
            tidy_after(engine, job)
            return ended
    except ConflictError:
        return Ended.BUSY
    except Lost as why:
        log.warning("job %s: the database went away (%s)", number, type(why).__name__)
        return Ended.AGAIN


def _done(engine: Engine, job: JobLine, bar: Told) -> Ended:
    result: Result = {}
    try:
        WORKS[JobKind(job.kind)](engine, job, bar, result)
    except Lost:
        raise
    except NotEnoughDataError as why:
        if job.asked_by != SCHEDULE:
            return _failed(engine, job, said(why), result)
        result.update(found=f"没有做：{said(why)}")  # nobody asked for it: no failure of anybody
    except GridmgmtError as why:
        return _failed(engine, job, said(why), result)
    except Exception as why:
        reference = secrets.token_hex(4).upper()
        log.error("reference %s: job %s", reference, job.id, exc_info=why)
        return _failed(engine, job, f"出错了，请把编号 {reference} 告诉维护人员。", result)
    stored.finish(engine, job.id, result)
    return Ended.DONE


def _failed(engine: Engine, job: JobLine, error: str, result: Result) -> Ended:
    stored.fail(engine, job.id, error, result)
    return Ended.FAILED


def said(why: GridmgmtError) -> str:
    """Return what an administrator reads of an error; a path of this machine is cut to the file's name.

    >>> said(InputError("year", 1800, "1900 to 2100"))
    '有一项不对：year 写的是 1800，可以是：1900 to 2100'
    """
    words = next((words for kind, words in SAID if isinstance(why, kind)), "没有办成")
    if not isinstance(why, InputError):
        return f"{words}：{why}"
    file = f"{Path(why.file).name}，" if isinstance(why, FileError) else ""
    return f"{words}：{file}{why.field} 写的是 {why.found}，可以是：{why.allowed}"

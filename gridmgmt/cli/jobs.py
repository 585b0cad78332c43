"""`gridmgmt jobs`: does the long work that was asked for on a page, each job in a process of its own."""

import logging
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from threading import Event, Thread
from typing import Any

import click
from sqlalchemy import Engine

from gridmgmt.calendar import CHINA
from gridmgmt.cli.database import ready
from gridmgmt.cli.importers import KINDS, place_again
from gridmgmt.cli.printing import new_table, print_table
from gridmgmt.config import settings
from gridmgmt.db import jobs as stored
from gridmgmt.db.jobs import JOB_NAMES, STATUS_NAMES, JobLine
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
from gridmgmt.importing import uploads
from gridmgmt.importing.mapping import load_mapping
from gridmgmt.importing.progress import Progress

log = logging.getLogger("gridmgmt.jobs")

# Seconds between two looks for a turn, two writings of progress, and two signs of life without progress.
TURN, TOLD, ALIVE = 1.0, 0.25, 5.0
# What happened, before what the error itself says; the first class that fits.
SAID: tuple[tuple[type[GridmgmtError], str], ...] = (
    (FileError, "文件不能导入"), (NotEnoughDataError, "数据还不够"), (InputError, "有一项不对"),
    (NotFoundError, "没有找到"), (ConflictError, "与别的工作冲突"), (SetupError, "系统还没有准备好"),
)  # fmt: skip

Result = dict[str, Any]
Work = Callable[[Engine, JobLine, "Told", Result], None]


@click.group()
def jobs() -> None:
    """Long work that was asked for on a page: imports and analyses."""


@jobs.command("run")
@click.argument("number", type=int)
def run(number: int) -> None:
    """Wait for the turn of job NUMBER, do it, and write down what came of it."""
    # What is asked to stop says so, instead of falling silent.
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(SystemExit(143)))
    with ready() as engine:
        work(engine, number)


@jobs.command("list")
def show() -> None:
    """Print the latest jobs."""
    with ready() as engine:
        found = stored.listed(engine, most=30)
    table = new_table("后台工作", ("#编号", "种类", "内容", "谁", "发起", "状态"))
    for job in found:
        when = f"{job.asked_at.astimezone(CHINA):%Y-%m-%d %H:%M}"
        status = STATUS_NAMES[JobStatus(job.status)] + (f"：{job.error}" if job.error else "")
        table.add_row(str(job.id), JOB_NAMES[JobKind(job.kind)], job.title, job.asked_by, when, status)
    print_table(table)


def work(engine: Engine, number: int) -> None:
    """Do a job when its turn comes; whatever happens, the job says what came of it.

    ConflictError when another process has it, NotFoundError when there is none of this number.
    """
    with stored.held(engine, number), _followed(engine, number) as bar:
        job = _turn_of(engine, number)
        result: Result = {}
        try:
            WORKS[JobKind(job.kind)](engine, job, bar, result)
        except GridmgmtError as why:
            stored.fail(engine, number, said(why), result)
        except Exception as why:
            reference = secrets.token_hex(4).upper()
            log.error("reference %s: job %s", reference, number, exc_info=why)
            stored.fail(engine, number, f"出错了，请把编号 {reference} 告诉维护人员。", result)
        except BaseException:
            stored.fail(engine, number, stored.INTERRUPTED, result)
            raise
        else:
            stored.finish(engine, number, result)


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


def _turn_of(engine: Engine, number: int) -> JobLine:
    while (job := stored.begin(engine, number)) is None:
        time.sleep(TURN)
    return job


class Told(Progress):
    """Holds how far the work is; a thread beside it writes that down."""

    def __init__(self) -> None:
        self.prefix = ""
        self._state: tuple[str | None, int | None, int | None] = (None, None, None)

    def total(self, amount: int) -> None:
        self._state = (self._state[0], 0, amount)

    def at(self, amount: int) -> None:
        self._state = (self._state[0], amount, self._state[2])

    def doing(self, what: str) -> None:
        self._state = (f"{self.prefix}{what}", *self._state[1:])

    def state(self) -> tuple[str | None, int | None, int | None]:
        """Return what is done now, how far it is, and how much there is."""
        return self._state


@contextmanager
def _followed(engine: Engine, number: int) -> Iterator[Told]:
    """Give a progress that is written down at most four times a second, with a sign of life in between."""
    told, over = Told(), Event()
    thread = Thread(target=_tell, args=(engine, number, told, over), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        over.set()
        thread.join()


def _tell(engine: Engine, number: int, told: Told, over: Event) -> None:
    last, written = None, 0.0
    with engine.connect() as connection:
        while not over.wait(TOLD):
            state, now = told.state(), time.monotonic()
            if state != last or now - written > ALIVE:
                stored.beat(connection, number, *state)
                last, written = state, now


# --- the kinds of work


def _import(engine: Engine, job: JobLine, bar: Told, result: Result) -> None:
    asked, home = job.parameters, settings().home
    folder = uploads.folder(home, asked["folder"])
    kind, dry_run = KINDS[asked["kind"]], bool(asked["dry_run"])
    bar.doing("准备")
    importer = kind.importer()
    mapping = load_mapping(folder / uploads.MAPPING if asked["mapping"] else None, crs=asked["crs"])
    result.update(dry_run=dry_run, files=[])
    for place, name in enumerate(asked["files"], 1):
        if isinstance(bar, Told):
            bar.prefix = (
                f"第 {place} 个文件，共 {len(asked['files'])} 个：" if len(asked["files"]) > 1 else ""
            )
        bar.doing(f"读入 {name}")
        rejects = uploads.rejects_path(home, job.id, place)
        report = importer(engine, folder / name, mapping, dry_run=dry_run, rejects=rejects, progress=bar)
        result["files"].append(_file(home, asked["kind"], report, rejects))
    changed = any(each["counts"]["new"] + each["counts"]["updated"] for each in result["files"])
    if kind.moves and changed and not dry_run:
        bar.doing("把诉求和房屋归入新的网格")
        result["moved"] = place_again(engine)
    if not dry_run:
        uploads.drop(home, asked["folder"])


def _file(home: Path, kind: str, report: Any, rejects: Path) -> Result:
    """Return what came of a file; rejects stay if there are any, without values where those are personal."""
    found = {
        "file": report.file.name, "sha256": report.sha256, "counts": report.counts(),
        "warnings": report.warnings, "seconds": round(report.seconds, 1), "reasons": [], "rejects": None,
    }  # fmt: skip
    if not report.rejected:
        rejects.unlink(missing_ok=True)
        return found
    if kind not in uploads.PLAIN_KINDS:
        uploads.strip_values(rejects)
    return found | {"reasons": uploads.reasons(rejects), "rejects": str(rejects.relative_to(home))}


def _hotspots(engine: Engine, job: JobLine, bar: Told, result: Result) -> None:
    from gridmgmt.hotspots import service

    asked = job.parameters
    first, last = (date.fromisoformat(asked[name]) for name in ("from", "to"))
    bar.doing("逐个地方检验是否集中")
    run = service.run(engine, first, last, level=asked["level"])
    result.update(run=run.id, found=f"热点 {run.hot_areas} 个")


def _clusters(engine: Engine, job: JobLine, bar: Told, result: Result) -> None:
    from gridmgmt.hotspots import recent

    bar.doing("逐类扫描最近的聚集")
    found = recent.find_recent(engine, date.fromisoformat(job.parameters["to"]), progress=bar)
    result.update(found=f"近期聚集 {len(found)} 处")


def _seasonal(engine: Engine, job: JobLine, bar: Told, result: Result) -> None:
    from gridmgmt.seasonal import service

    bar.doing("查找每年重来的时段")
    built = service.build(engine, int(job.parameters["year"]))
    result.update(
        run=built.run_id,
        found=f"清单 {built.items} 项，另有 {built.cut} 项超出承载；有时令 {built.seasonal} 类，"
        f"没有时令规律 {built.no_season} 类，数量不足 {built.not_enough} 类",
    )


def _index(engine: Engine, job: JobLine, bar: Told, result: Result) -> None:
    from gridmgmt.index import service
    from gridmgmt.index.periods import read_month

    bar.doing("计算各项指标")
    months = [read_month(month) for month in job.parameters["months"]]
    built = service.build(engine, months, job.asked_by, progress=bar)
    result.update(
        found=f"已计算 {len(built.months)} 个月：测得 {built.measured} 个值，填报 {built.entered} 个，"
        f"缺 {built.missing} 个"
    )


WORKS: dict[JobKind, Work] = {
    JobKind.IMPORT: _import,
    JobKind.HOTSPOTS: _hotspots,
    JobKind.CLUSTERS: _clusters,
    JobKind.SEASONAL: _seasonal,
    JobKind.INDEX: _index,
}

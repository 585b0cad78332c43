"""The kinds of long work: what each does when its turn comes, and what is tidied up after it.

Each can be done twice: a worker that is killed after the work and before it is written down does it again.
An import takes what is there already as unchanged, an analysis replaces its equal, the night's works leave
nothing to do for their second run.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from gridmgmt.calendar import CHINA, china_today
from gridmgmt.cli.following import Told
from gridmgmt.cli.importers import KINDS, place_again
from gridmgmt.config import settings
from gridmgmt.db import jobs as stored
from gridmgmt.db.jobs import LIGHT, SCHEDULE, JobLine
from gridmgmt.db.models import JobKind
from gridmgmt.errors import TamperedError
from gridmgmt.importing import inbox, uploads
from gridmgmt.importing.mapping import load_mapping

Result = dict[str, Any]
Work = Callable[[Engine, JobLine, Told, Result], None]

# What is kept: lines of the queue in hours, jobs and imported files of the inbox in days, backups.
QUEUE_HOURS, JOB_DAYS, INBOX_DAYS, BACKUPS = 48, 365, 30, 7


def tidy_after(engine: Engine, job: JobLine) -> None:
    """Put away what a job that is over does not need any more; safe to repeat."""
    home, asked = settings().home, job.parameters
    now = stored.of(engine, job.id)
    if asked.get("inbox"):
        report = {"job": job.id, "file": asked["files"], "error": now.error, **(now.result or {})}
        inbox.put_away(home, job.id, report, done=now.status == "done")
    elif job.kind == JobKind.IMPORT and now.status == "done" and not asked["dry_run"]:
        uploads.drop(home, asked["folder"])
    if job.kind in LIGHT and job.asked_by == SCHEDULE and now.status == "done":
        stored.keep_newest(engine, now)


def _import(engine: Engine, job: JobLine, bar: Told, result: Result) -> None:
    asked, home = job.parameters, settings().home
    kind, dry_run = KINDS[asked["kind"]], bool(asked["dry_run"])
    bar.doing("准备")
    folder, mapped = _files_of(home, job)
    importer = kind.importer()
    mapping = load_mapping(mapped, crs=asked["crs"])
    result.update(dry_run=dry_run, files=[])
    for place, name in enumerate(asked["files"], 1):
        bar.prefix = f"第 {place} 个文件，共 {len(asked['files'])} 个：" if len(asked["files"]) > 1 else ""
        bar.doing(f"读入 {name}")
        rejects = uploads.rejects_path(home, job.id, place)
        report = importer(engine, folder / name, mapping, dry_run=dry_run, rejects=rejects, progress=bar)
        result["files"].append(_file(home, asked["kind"], report, rejects))
    changed = any(each["counts"]["new"] + each["counts"]["updated"] for each in result["files"])
    if kind.moves and changed and not dry_run:
        bar.doing("把诉求和房屋归入新的网格")
        result["moved"] = place_again(engine)


def _files_of(home: Path, job: JobLine) -> tuple[Path, Path | None]:
    """Return the folder of a job's files and its mapping file: of the inbox, or of an upload."""
    asked = job.parameters
    if asked.get("inbox"):
        return inbox.take(home, job.id, asked["kind"], asked["files"][0]), inbox.mapping(home, asked["kind"])
    folder = uploads.folder(home, asked["folder"])
    return folder, folder / uploads.MAPPING if asked["mapping"] else None


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


# --- what the plan asks for


def _settle(engine: Engine, job: JobLine, bar: Told, result: Result) -> None:
    from gridmgmt.planning import publish

    with engine.begin() as connection:
        done = publish.settle(connection, china_today())
    result.update(found=f"落实方案 {len(done)} 个")


def _retention(engine: Engine, job: JobLine, bar: Told, result: Result) -> None:
    from gridmgmt.households.rights import retention
    from gridmgmt.incidents.parties import service as parties
    from gridmgmt.privacy import accounts
    from gridmgmt.privacy.keyring import KeyRing

    chosen, today = settings(), china_today()
    ended = retention.nightly(engine, KeyRing.opened(chosen), chosen.home, today)
    erased, sessions = parties.erase_old(engine, today), accounts.clear_sessions(engine, today)
    counts = [(name, getattr(ended, key)) for key, name in retention.ENDED_NAMES.items()]
    counts += [(parties.ERASED_NAME, erased), (accounts.CLEARED_NAME, sessions)]
    said = "，".join(f"{name} {count}" for name, count in counts if count)
    result.update(found=said or "没有到期的")


def _tick(engine: Engine, job: JobLine, bar: Told, result: Result) -> None:
    from gridmgmt.incidents.handling.tick import tick

    result.update(found=f"自动督办 {tick(engine).escalated} 件")


def _delivery(engine: Engine, job: JobLine, bar: Told, result: Result) -> None:
    from gridmgmt.incidents.opening import webhooks
    from gridmgmt.privacy.keyring import KeyRing

    done = webhooks.Delivered()
    while (once := webhooks.deliver(engine, KeyRing.opened(), datetime.now(UTC))).sent:
        done += once
    done += once
    result.update(found=f"送达 {done.sent} 条，没有送达 {done.failed} 次，停用地址 {done.switched_off} 个")


def _learn(engine: Engine, job: JobLine, bar: Told, result: Result) -> None:
    from gridmgmt.incidents import suggest

    report = suggest.learn(engine, settings().home / suggest.FILE)
    result.update(found=f"{report.matters} 件诉求、{report.categories} 类；首选正确 {report.top_1:.1%}")


def _verify(engine: Engine, job: JobLine, bar: Told, result: Result) -> None:
    from gridmgmt.privacy import audit

    with engine.connect() as connection:
        found = audit.verify(connection)
    if found.faults:
        raise TamperedError(f"日志不完整：{len(found.faults)} 处，见“核验日志”")
    result.update(found=f"{found.lines} 行，完整；末行 {found.last}：{found.head or '-'}")


def _backup(engine: Engine, job: JobLine, bar: Told, result: Result) -> None:
    chosen = settings()
    if not chosen.backup_recipient:
        result.update(found="没有备份：没有设置 GRIDMGMT_BACKUP_RECIPIENT")
        return
    from gridmgmt.db.backup import base

    bar.doing("备份")
    made = base.make(chosen, keep=BACKUPS)
    result.update(found=f"{made.name}，{made.bytes / (1 << 20):,.0f} MB")


def _tidy(engine: Engine, job: JobLine, bar: Told, result: Result) -> None:
    home = settings().home
    asyncio.run(_clear_queue(engine))
    gone = stored.forget(engine, datetime.now(CHINA) - timedelta(days=JOB_DAYS))
    for number in inbox.taken(home):
        left = stored.of(engine, number)
        if left.over:
            tidy_after(engine, left)
    files = inbox.clear(home, INBOX_DAYS)
    needed = [str(each.parameters.get("folder")) for each in stored.under_way(engine)]
    for token in uploads.left_over(home, needed):
        uploads.drop(home, token)
    result.update(found=f"删除一年前的后台工作 {gone} 项，收件夹里导入过的文件 {files} 份")


async def _clear_queue(engine: Engine) -> None:
    """Remove lines of the queue that ended two days ago or more."""
    from gridmgmt.db.queue import make_app

    app = make_app(engine.url.render_as_string(hide_password=False))
    async with app.open_async():
        await app.job_manager.delete_old_jobs(
            nb_hours=QUEUE_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
        )


WORKS: dict[JobKind, Work] = {
    JobKind.IMPORT: _import,
    JobKind.HOTSPOTS: _hotspots,
    JobKind.CLUSTERS: _clusters,
    JobKind.SEASONAL: _seasonal,
    JobKind.INDEX: _index,
    JobKind.SETTLE: _settle,
    JobKind.RETENTION: _retention,
    JobKind.TICK: _tick,
    JobKind.DELIVERY: _delivery,
    JobKind.LEARN: _learn,
    JobKind.VERIFY: _verify,
    JobKind.BACKUP: _backup,
    JobKind.TIDY: _tidy,
}

"""Long work: what waits, what failed, what was left behind."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, text

from gridmgmt.config import Settings
from gridmgmt.db import jobs
from gridmgmt.db.models import JobStatus
from gridmgmt.health.line import Line, Number, State, above, span
from gridmgmt.importing import uploads

FAILED_DAYS = 7
LATE, FORGOTTEN = 15 * 60.0, 2 * 3600.0


def lines(owner: Engine, chosen: Settings) -> Iterator[Line]:
    """Give the lines of long work."""
    yield _queue(owner)
    yield _failed(owner)
    needed = {str(job.parameters.get("folder", "")) for job in jobs.under_way(owner)}
    left = uploads.left_over(chosen.home, needed)
    yield Line(
        "uploads", "上传的文件", State.WATCH if left else State.OK,
        f"{len(left)} 份超过一天没有导入" if left else "没有遗留",
        "下次上传时自动删除；也可在那项工作的页面删除。" if left else "", "admin.imports",
    )  # fmt: skip


def _queue(owner: Engine) -> Line:
    query = """
        SELECT status, count(*) AS jobs, extract(epoch FROM now() - min(asked_at))::float AS oldest
        FROM job GROUP BY status
    """
    with owner.connect() as connection:
        found = {row.status: (int(row.jobs), float(row.oldest)) for row in connection.execute(text(query))}
    counts = {status.value: found.get(status, (0, 0.0))[0] for status in JobStatus}
    waited = max(0.0, found.get(JobStatus.WAITING, (0, 0.0))[1])
    workers = jobs.workers(owner)
    state = above(waited, LATE, FORGOTTEN if workers else LATE)
    if state is State.OK and not workers:
        state = State.WATCH
    waiting, running = counts[JobStatus.WAITING], counts[JobStatus.RUNNING]
    says = f"{waiting} 项在等，{running} 项进行中" + (f"，最久的等了 {span(waited)}" if waiting else "")
    todo = "看是否有一项卡住了。" if workers else "让 gridmgmt jobs work 作为服务一直运行。"
    return Line(
        "queue", "排队的工作", state, says if workers else f"{says}；没有做工作的进程",
        "" if state is State.OK else todo, "jobs.listed",
        numbers=(
            Number("jobs_workers", workers),
            Number("jobs_oldest_waiting_seconds", round(waited)),
            *(Number("jobs", count, ("status", status)) for status, count in counts.items()),
        ),
    )  # fmt: skip


def _failed(owner: Engine) -> Line:
    since = datetime.now(UTC) - timedelta(days=FAILED_DAYS)
    failed = [job for job in jobs.ended_since(owner, since) if job.status == JobStatus.FAILED]
    return Line(
        "jobs", "后台工作", State.WATCH if failed else State.OK,
        f"最近 {FAILED_DAYS} 天有 {len(failed)} 项没有办成" if failed else f"最近 {FAILED_DAYS} 天没有失败的",
        "逐项看原因，改好后重新发起。" if failed else "", "jobs.listed",
        numbers=(Number("jobs_failed_week", len(failed)),),
    )  # fmt: skip

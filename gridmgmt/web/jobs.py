"""Long work asked for on a page: an upload, an analysis; how far it is, told as it happens.

A worker (`gridmgmt jobs work`) does it, whatever becomes of the page and the server that asked for it; it is
followed through its row in the database alone.
"""

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from threading import BoundedSemaphore
from typing import Any

from flask import (
    Blueprint,
    Response,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_login import current_user
from sqlalchemy import Engine

from gridmgmt.db import jobs as stored
from gridmgmt.db.jobs import JOB_NAMES, STATUS_NAMES, JobLine
from gridmgmt.db.models import JobKind, JobStatus, Role
from gridmgmt.errors import ConflictError
from gridmgmt.importing import uploads
from gridmgmt.web import import_words
from gridmgmt.web.access import allow
from gridmgmt.web.databases import databases
from gridmgmt.web.sending import attachment

pages = Blueprint("jobs", __name__, url_prefix="/jobs")

# A stream ends by itself, and the browser asks anew: a thread is not held for ever, a restart not held up.
LONGEST_STREAM, EVERY, RETRY_MS = 50.0, 0.5, 1000
# So many threads of a worker may tell events; whoever comes later hears how it stands and asks again.
STREAMS, BUSY_RETRY_MS = 4, 4000
SEEN = "jobs_seen"
_streams = BoundedSemaphore(STREAMS)
# Counts of an import in the order in which they are read.
COUNT_NAMES = {
    "read": "读入", "filtered": "筛除", "new": "新增", "updated": "更新", "unchanged": "未变",
    "rejected": "退回", "outside": "在网格之外", "without_place": "没有位置",
}  # fmt: skip


def begin(kind: JobKind, title: str, parameters: Mapping[str, Any]) -> int:
    """Return the number of a job asked for by the person signed in; a worker will do it."""
    return stored.ask(databases().accounts, kind, title, parameters, current_user.who.username)


def unseen() -> tuple[list[JobLine], list[JobLine]]:
    """Return the jobs under way, and those that ended since this person last looked at the list."""
    engine = databases().accounts
    return stored.under_way(engine), stored.ended_since(engine, _looked())


def _looked() -> datetime:
    """Return when the list was last seen in this session; a day ago when it was not."""
    told = session.get(SEEN)
    return datetime.fromtimestamp(told, UTC) if told else datetime.now(UTC) - timedelta(days=1)


# --- pages


@pages.get("")
@allow(Role.ADMIN)
def listed() -> Any:
    """Every job, newest first."""
    engine, before = databases().accounts, _looked()
    found = stored.listed(engine)
    session[SEEN] = time.time()
    return render_template(
        "jobs.html", jobs=found, before=before, now=datetime.now(UTC), workers=stored.workers(engine), **WORDS
    )


@pages.get("/<int:number>")
@allow(Role.ADMIN)
def shown(number: int) -> Any:
    """One job: how far it is, or what came of it."""
    engine = databases().accounts
    job = stored.of(engine, number)
    return render_template(
        "job.html", job=job, now=datetime.now(UTC), again=_can_again(job), count_names=COUNT_NAMES,
        words=import_words, plain=job.parameters.get("kind") in uploads.PLAIN_KINDS,
        seconds=words_of_seconds, workers=stored.workers(engine), **WORDS,
    )  # fmt: skip


WORDS = {
    "schedule": stored.SCHEDULE,
    "kind_names": {kind.value: name for kind, name in JOB_NAMES.items()},
    "status_names": {status.value: name for status, name in STATUS_NAMES.items()},
}


@pages.get("/<int:number>/rejects/<int:file>.csv")
@allow(Role.ADMIN)
def rejects(number: int, file: int) -> Any:
    """The rejected rows of one file of a job."""
    job = stored.of(databases().accounts, number)
    files = (job.result or {}).get("files", [])
    name = files[file - 1]["rejects"] if 0 < file <= len(files) else None
    return rejects_file(str(name or "rejects/none"), str(job.parameters.get("kind")))


def rejects_file(name: str, kind: str) -> Response:
    """Return a rejects file: whole where its rows name nobody, else which row and why, without a value."""
    path = uploads.rejected(current_app.config["SETTINGS"].home, name)
    whole = kind in uploads.PLAIN_KINDS
    data = path.read_bytes() if whole else uploads.without_values(path).encode("utf-8-sig")
    return attachment(data, path.name, "text/csv")


# --- stop, and once more


@pages.post("/<int:number>/stop")
@allow(Role.ADMIN)
def stop(number: int) -> Any:
    """Stop a job: what it has done so far is undone."""
    stored.stop(databases().accounts, number, current_user.who.username)
    return redirect(url_for("jobs.shown", number=number), 303)


@pages.post("/<int:number>/again")
@allow(Role.ADMIN)
def again(number: int) -> Any:
    """Do it for real after a trial, or once more after it came to nothing."""
    job = stored.of(databases().accounts, number)
    if not _can_again(job):
        raise ConflictError(f"job {number} cannot be asked for again")
    asked = dict(job.parameters)
    if asked.get("dry_run") and job.status == JobStatus.DONE:
        asked["dry_run"] = False
    title = job.title if asked.get("dry_run") else job.title.removesuffix(TRIAL)
    return redirect(url_for("jobs.shown", number=begin(JobKind(job.kind), title, asked)), 303)


TRIAL = "（试跑）"


def _can_again(job: JobLine) -> bool:
    """Say whether a job can be asked for again: what a file was sent for, while the file is there."""
    came_to_nothing = job.status in (JobStatus.FAILED, JobStatus.STOPPED)
    if job.kind != JobKind.IMPORT:
        return came_to_nothing
    token = job.parameters.get("folder")  # a file of the inbox has none: it is put there once more
    stands = bool(token) and (current_app.config["SETTINGS"].home / "uploads" / token).is_dir()
    trial = bool(job.parameters["dry_run"]) and job.status == JobStatus.DONE
    return stands and (trial or came_to_nothing)


@pages.post("/<int:number>/discard")
@allow(Role.ADMIN)
def discard(number: int) -> Any:
    """Remove the files that were sent for a job that is over."""
    job = stored.of(databases().accounts, number)
    if not job.over or "folder" not in job.parameters:
        raise ConflictError(f"job {number} still needs its files, or has none")
    uploads.drop(current_app.config["SETTINGS"].home, job.parameters["folder"])
    flash("已删除上传的文件。")
    return redirect(url_for("jobs.shown", number=number), 303)


# --- as it happens


@pages.get("/<int:number>/events")
@allow(Role.ADMIN)
def events(number: int) -> Any:
    """How a job goes on, as server-sent events; ends with the job, or after a while."""
    engine = databases().accounts
    stored.of(engine, number)  # there is none: 404, not an empty stream
    answer = Response(_told(engine, number, request.headers.get("Last-Event-ID", "")), mimetype=EVENTS)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Accel-Buffering"] = "no"  # a proxy passes each event on at once
    return answer


EVENTS = "text/event-stream"


def _told(engine: Engine, number: int, last: str) -> Iterator[str]:
    """Give an event for every change of a job; after what the browser heard last, nothing twice."""
    if not _streams.acquire(blocking=False):
        yield f"retry: {BUSY_RETRY_MS}\n\n{_event(stored.of(engine, number))}"
        return
    try:
        yield f"retry: {RETRY_MS}\n\n"
        ends = time.monotonic() + LONGEST_STREAM
        while time.monotonic() < ends:
            job = stored.of(engine, number)
            if _mark(job) != last:
                last = _mark(job)
                yield _event(job)
            if job.over:
                return
            time.sleep(EVERY)
    finally:
        _streams.release()


def _mark(job: JobLine) -> str:
    """Return an event's id: microseconds of when something was last heard, so that it only grows."""
    return str(int(job.told_at.timestamp() * 1_000_000))


def _event(job: JobLine) -> str:
    told = {
        "status": job.status, "state": state_words(job), "over": job.over,
        "doing": job.doing or "", "percent": job.percent, "amount": _amount(job),
        "seconds": job.seconds(datetime.now(UTC)),
    }  # fmt: skip
    return f"id: {_mark(job)}\ndata: {json.dumps(told, ensure_ascii=False)}\n\n"


def state_words(job: JobLine) -> str:
    """Return in a word how a job stands."""
    if job.stopped_by and not job.over:
        return "正在停止"
    return STATUS_NAMES[JobStatus(job.status)]


def _amount(job: JobLine) -> str:
    if job.total is None or job.at is None:
        return ""
    return f"{job.at:,} / {job.total:,}"


def words_of_seconds(seconds: int) -> str:
    """Return a time as an office says it.

    >>> words_of_seconds(75), words_of_seconds(3700)
    ('1 分 15 秒', '1 小时 1 分')
    """
    if seconds < 60:
        return f"{seconds} 秒"
    if seconds < 3600:
        return f"{seconds // 60} 分 {seconds % 60} 秒"
    return f"{seconds // 3600} 小时 {seconds % 3600 // 60} 分"

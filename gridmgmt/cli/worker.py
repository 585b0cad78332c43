"""The worker: takes jobs out of the queue, and does each in a process of its own, which it can end.

Such a process dies with its worker, however that one ends, and holds the lock of its kind in the database: no
two jobs of a kind are ever worked on at once.
"""

import asyncio
import ctypes
import logging
import os
import signal
import sys
from asyncio.subprocess import Process
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum

from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.exceptions import ConnectorException, JobAborted
from procrastinate.job_context import AbortReason
from procrastinate.jobs import Job, Status
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Engine

from gridmgmt.cli import plan
from gridmgmt.config import Settings
from gridmgmt.db import jobs
from gridmgmt.db.queue import WAIT, Busy, Failed, Retry, Stopping, TryAgain, make_app

log = logging.getLogger("gridmgmt.jobs")

_SWEEP_LOCK = 7_340_023
_ALONE = "SELECT pg_try_advisory_xact_lock(%s)"
_PR_SET_PDEATHSIG = 1


class Ended(IntEnum):
    """How the process of a job ends; with any other code it was killed, or could not say."""

    DONE = 0
    FAILED = 70
    AGAIN = 75
    BUSY = 76


@dataclass(frozen=True)
class Pace:
    """Seconds: between signs of life, until a silent worker counts as dead, between looks for work.

    `grace` is what work gets to end by itself when the worker is stopped, `kill` what is between SIGTERM and
    SIGKILL, `wait` the base of the waits before another try.
    """

    alive: float = 2.0
    silent: float = 8.0
    look: float = 2.0
    grace: float = 10.0
    kill: float = 5.0
    wait: int = WAIT


def die_with(parent: int, how: signal.Signals) -> None:
    """Have the kernel end this process when its parent ends; at once when that one is gone already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(how))
    if os.getppid() != parent:
        sys.exit(Ended.AGAIN)


async def run(
    engine: Engine,
    url: str,
    chosen: Settings,
    *,
    concurrency: int,
    pace: Pace,
    planned: bool,
    wait: bool = True,
) -> None:
    """Work until SIGTERM; without `wait` until it finds nothing to begin."""
    app = make_app(url)
    worker = Worker(app, engine, pace)
    if planned:
        _plan(app, engine, chosen)
    async with app.open_async():
        sweeping = asyncio.create_task(worker.sweep_for_ever())
        try:
            await app.run_worker_async(
                concurrency=concurrency, wait=wait, fetch_job_polling_interval=pace.look,
                abort_job_polling_interval=pace.look, shutdown_graceful_timeout=pace.grace,
                update_heartbeat_interval=pace.alive, stalled_worker_timeout=pace.silent,
            )  # fmt: skip
        finally:
            sweeping.cancel()


def _plan(app: App, engine: Engine, chosen: Settings) -> None:
    """Have the works of the plan asked for when they are due, whichever of several workers sees it first."""

    @app.task(name="plan", queue="plan", priority=2, retry=Retry())
    async def ask(timestamp: int, work: str) -> None:
        await asyncio.to_thread(plan.due, engine, chosen, work, timestamp)

    for turn in plan.PLAN:
        periodic = plan.InChina(
            task=ask,
            cron=turn.cron,
            periodic_id=turn.work,
            configure_kwargs={"task_kwargs": {"work": turn.work}},
        )
        app.periodic_registry.periodic_tasks["plan", turn.work] = periodic


class Worker:
    """Does the jobs of the queue, and takes over those of workers that died."""

    def __init__(self, app: App, engine: Engine, pace: Pace) -> None:
        self.app, self.engine, self.pace = app, engine, pace
        self.retry = Retry(pace.wait)
        app.task(name=jobs.TASK, queue=jobs.QUEUE, pass_context=True, retry=self.retry)(self._work)

    async def _work(self, context: JobContext, number: int) -> None:
        """Do one job; what is raised tells the queue how it ended."""
        try:
            code = await self._in_process(number)
        except asyncio.CancelledError:
            if context.abort_reason() == AbortReason.USER_REQUEST:
                await self._settle(number, again=False)
                raise JobAborted from None
            await self._settle(number, again=True)
            raise Stopping from None
        if code == Ended.DONE:
            return
        if code == Ended.FAILED:
            raise Failed
        why = Busy() if code == Ended.BUSY else TryAgain(f"its process ended with {code}")
        again = self.retry.get_retry_decision(exception=why, job=context.job) is not None
        if code != Ended.BUSY:
            await self._settle(number, again=again)
        raise why

    async def _settle(self, number: int, *, again: bool) -> None:
        await asyncio.to_thread(jobs.interrupted, self.engine, number, again=again)

    async def _in_process(self, number: int) -> int:
        """Return the exit code of a process that does a job; ends that process when this is cancelled."""
        command = [sys.executable, "-m", "gridmgmt", "jobs", "run", str(number), "--parent", str(os.getpid())]
        # A statement whose process was killed ends as well, instead of when it next has something to say.
        options = f"{os.environ.get('PGOPTIONS', '')} -c client_connection_check_interval=1000"
        child = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            env=os.environ | {"PGOPTIONS": options}, start_new_session=True,
        )  # fmt: skip
        try:
            return await child.wait()
        finally:
            await self._end(child)

    async def _end(self, child: Process) -> None:
        """End a process and whatever it started: asked first, then made to."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(child.pid, how)
            with suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), self.pace.kill)

    # --- what a dead worker left

    async def sweep_for_ever(self) -> None:
        """Put back the jobs of workers that fell silent, again and again."""
        while True:
            try:
                await self.sweep()
            except Exception as why:  # the database is away: the worker itself finds that out
                log.warning("cannot look for jobs of dead workers: %s", type(why).__name__)
            await asyncio.sleep(self.pace.alive)

    async def sweep(self) -> None:
        """Put back the jobs of workers that fell silent; of several workers one does so at a time."""
        manager = self.app.job_manager
        async with _pool(self.app).connection() as connection:  # one transaction, and its lock
            row = await (await connection.execute(_ALONE, (_SWEEP_LOCK,))).fetchone()
            if not row or not row[0]:
                return
            for job in await manager.get_stalled_jobs(seconds_since_heartbeat=self.pace.silent):
                with suppress(ConnectorException):  # it ended after all
                    await self._put_back(job)

    async def _put_back(self, job: Job) -> None:
        decided = self.retry.get_retry_decision(exception=TryAgain(), job=job)
        if decided is None:
            await self.app.job_manager.finish_job(job, Status.FAILED, delete_job=False)
        else:
            await self.app.job_manager.retry_job(job, retry_at=decided.retry_at)
        if job.task_name == jobs.TASK:
            await self._settle(int(str(job.task_kwargs["number"])), again=decided is not None)


def _pool(app: App) -> AsyncConnectionPool:
    assert isinstance(app.connector, PsycopgConnector)
    return app.connector.pool

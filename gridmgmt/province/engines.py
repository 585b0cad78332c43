"""Where tasks run: in this process, or on the workers of Dask. An engine maps; it decides nothing."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from gridmgmt.errors import InputError, SetupError

ENGINES = ("local", "dask")
# Dask's workers give memory back as soon as 64 kB are free; our kernels then ask for it again at every step,
# which is a third of their time.
KEEP_MEMORY = "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_"
# engine(work, tasks) calls the work on every task and gives the results in the order of the tasks.
Engine = Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]


def local(work: Callable[[Any], Any], tasks: Sequence[Any]) -> list[Any]:
    """Do one task after the other here; the kernels use all processors by themselves."""
    return [work(task) for task in tasks]


@contextmanager
def opened(name: str, scheduler: str | None = None, workers: int | None = None) -> Iterator[Engine]:
    """Give the engine of a name; for Dask without a scheduler, workers of its own on this machine's loopback.

    A worker that dies has its tasks done by another. Raises InputError for an unknown engine, SetupError when
    Dask is not installed, its scheduler is not there, or a task takes several workers along.
    """
    if name not in ENGINES:
        raise InputError("engine", name, " | ".join(ENGINES))
    if name == "local":
        yield local
        return
    try:
        import distributed
    except ImportError as why:
        raise SetupError("dask is not installed; install gridmgmt with the extra: cluster") from why
    with ExitStack() as stack:
        try:
            address = scheduler or stack.enter_context(_own(distributed, workers))
            client = stack.enter_context(distributed.Client(address, set_as_default=False))
        except (OSError, TimeoutError, ValueError) as why:
            raise SetupError(
                f"the scheduler {scheduler or 'on this machine'} cannot be reached: {why}"
            ) from why

        def mapped(work: Callable[[Any], Any], tasks: Sequence[Any]) -> list[Any]:
            try:
                # What two runs ask for alike is asked for twice: a task writes files.
                return list(client.gather(client.map(work, tasks, pure=False)))
            except distributed.KilledWorker as why:
                raise SetupError(f"a task has killed several workers, memory may be short: {why}") from why

        yield mapped


@contextmanager
def _own(distributed: Any, workers: int | None) -> Iterator[Any]:
    """Give a cluster on this machine: nobody else reaches it, and no page tells of it."""
    import dask

    processors = os.cpu_count() or 1
    count = workers or processors
    with (
        tempfile.TemporaryDirectory(prefix="gridmgmt-dask-") as folder,
        dask.config.set({KEEP_MEMORY: 256 << 20}),
        distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            # Who reaches a scheduler runs what he likes as its user: others on this machine lack the keys.
            security=True,
            # Without pages it listens all the same, by itself on a port that another may have.
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.ERROR,
            local_directory=folder,
            # The kernels' own threads: as many workers as processors need none.
            env={"NUMBA_NUM_THREADS": str(max(1, processors // count))},
        ) as cluster,
    ):
        yield cluster

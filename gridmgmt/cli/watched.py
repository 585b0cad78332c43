"""What the server's own process does so that its workers can be watched: their log, their numbers."""

import os
import shutil
from typing import Any

from gunicorn.glogging import Logger

from gridmgmt import logs
from gridmgmt.config import Settings


class Log(Logger):
    """gunicorn's words in our lines. It keeps no record of requests: the application writes a better one."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


def watched(chosen: Settings) -> dict[str, Any]:
    """Return what gunicorn must be told; from then on this process and its workers write our log lines.

    The workers' counters stand in files of <home>/metrics, made anew; those of a worker that ended still
    count, but for what is true only while it lives.
    """
    logs.install(chosen)
    folder = chosen.home / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)  # read when the library is first imported
    from prometheus_client.multiprocess import mark_process_dead

    def gone(_: Any, worker: Any) -> None:
        mark_process_dead(worker.pid, path=str(folder))

    return {"logger_class": Log, "child_exit": gone, "accesslog": None}

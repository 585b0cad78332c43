"""What is noted of every request: a number that tells its log lines from others, how long it took, what came
of it. The address is not: it may hold a resident's secret link or a name that was looked for.
"""

import logging
import os
import re
import resource
import secrets
import time

from flask import Flask, Response, g, request, request_started
from structlog.contextvars import bind_contextvars, clear_contextvars

from gridmgmt.config import Settings
from gridmgmt.db.engine import log_slow
from gridmgmt.logs import redact
from gridmgmt.web import metrics
from gridmgmt.web.databases import EXTENSION

log = logging.getLogger("gridmgmt.request")

HEADER = "X-Request-ID"
_FORM = re.compile("[A-Za-z0-9-]{8,64}")
# Letters alone: what is cut out of log lines, numbers of persons, it cannot look like.
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghjkmnpqrs")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Answered every few seconds, for every page or many times for one map; noted when they fail.
QUIET = frozenset({
    "files.static", "files.favicon", "files.health", "metrics.metrics", "metrics.ready", "tiles.tile",
    "tiles.basemap",
})  # fmt: skip
_PAGE = resource.getpagesize()


def install(app: Flask, chosen: Settings) -> None:
    """Hang this on an application, before anything else that looks at a request; its databases are open."""
    doors = app.extensions[EXTENSION]
    for engine in vars(doors).values():
        log_slow(engine, chosen.slow_ms)
    metrics.install(app, chosen)

    def begin(_: Flask) -> None:
        clear_contextvars()
        g.began, g.request_id = time.perf_counter(), _number(trusted=chosen.proxies > 0)
        bind_contextvars(request_id=g.request_id, method=_method(), route=route())
        metrics.in_progress.inc()
        g.in_progress = True

    def end(response: Response) -> Response:
        took = time.perf_counter() - g.began
        response.headers[HEADER] = g.request_id
        _count(response.status_code, took)
        _note(response.status_code, took, chosen.slow_ms)
        return response

    request_started.connect(begin, app, weak=False)  # before_request comes after what a blueprint may refuse
    app.after_request(end)
    app.teardown_request(_over)


def route() -> str:
    """Return the rule of this request's address, never the address itself."""
    return request.url_rule.rule if request.url_rule else "none"


def _over(_: BaseException | None) -> None:
    if g.pop("in_progress", False):
        metrics.in_progress.dec()


def _number(*, trusted: bool) -> str:
    """Return the number that a web server of ours gave this request, else a new one."""
    told = request.headers.get(HEADER, "") if trusted else ""
    if _FORM.fullmatch(told) and redact(told) == told:
        return told
    return secrets.token_hex(8).translate(_LETTERS)


def _method() -> str:
    return request.method if request.method in METHODS else "other"


def _count(status: int, took: float) -> None:
    metrics.requests.labels(route(), _method(), f"{status // 100}xx").inc()
    metrics.seconds.labels(route(), _method()).observe(took)
    metrics.workers.set(1)
    metrics.memory.set(_memory())


def _memory() -> int:
    descriptor = os.open("/proc/self/statm", os.O_RDONLY)
    try:
        return int(os.read(descriptor, 100).split()[1]) * _PAGE
    finally:
        os.close(descriptor)


def _note(status: int, took: float, slow_ms: int) -> None:
    slow = took * 1000 > slow_ms
    if request.endpoint in QUIET and status < 400 and not slow:
        return
    who = g.get("_login_user")  # flask-login's; asking for the person would ask the database for him
    told = {"status": status, "ms": round(took * 1000, 1), "role": str(getattr(who, "role", "none"))}
    log.log(logging.WARNING if slow else logging.INFO, "slow request" if slow else "request", extra=told)

"""What a program may read of the system: GET /metrics in Prometheus' text, GET /readyz for who spreads load.

Counters are kept by every worker in files that all of them read (`prometheus_client`'s multiprocess mode,
whose folder the server names before it forks); what stands in the database is looked up at a scrape. No label
holds a person, an account or anything that somebody typed: addresses are those of the routes.
"""

import hmac
import logging
import os
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from flask import Blueprint, Flask, Response, abort, current_app, jsonify, request
from limits import parse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import Engine, event

from gridmgmt import health
from gridmgmt.config import Settings
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import make_engine
from gridmgmt.health import Line, State
from gridmgmt.web import throttle
from gridmgmt.web.access import public
from gridmgmt.web.databases import EXTENSION, Databases
from gridmgmt.web.tile_cache import Remembered

pages = Blueprint("metrics", __name__)
log = logging.getLogger("gridmgmt.web")

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
NOW, PROBE = "gridmgmt.metrics", "gridmgmt.probe"
# Seconds for which a worker believes what it looked up for a scrape.
FRESH = 10.0
WRONG_TOKENS = parse("20 per minute")
COUNTED = CollectorRegistry()
_ROUTE = ("route", "method")

requests = Counter("gridmgmt_requests", "Requests answered.", (*_ROUTE, "status"), registry=COUNTED)
seconds = Histogram(
    "gridmgmt_request_seconds", "Time until an answer began.", _ROUTE, registry=COUNTED,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 10, 30),
)  # fmt: skip
errors = Counter(
    "gridmgmt_errors", "Answers that only showed a reference number.", ("kind",), registry=COUNTED
)
in_progress = Gauge(
    "gridmgmt_requests_in_progress", "Requests that wait for an answer.", registry=COUNTED,
    multiprocess_mode="livesum",
)  # fmt: skip
memory = Gauge(
    "gridmgmt_web_memory_bytes", "Memory that the web workers hold, together.", registry=COUNTED,
    multiprocess_mode="livesum",
)  # fmt: skip
workers = Gauge(
    "gridmgmt_web_workers", "Web workers that have answered.", registry=COUNTED, multiprocess_mode="livesum"
)
pool = Gauge(
    "gridmgmt_pool_in_use", "Database connections that requests hold.", ("engine",), registry=COUNTED,
    multiprocess_mode="livesum",
)  # fmt: skip

# The numbers of `health`'s lines.
SAYS = {
    "database_up": "Whether the database answers.",
    "database_bytes": "Size of the database.",
    "database_connections": "Connections that the server has.",
    "database_connections_most": "Connections that the server allows.",
    "database_clock_skew_seconds": "The server's clock less this machine's.",
    "database_longest_transaction_seconds": "Age of the oldest open transaction.",
    "database_slot_kept_bytes": "Log kept for the replication slot that is furthest behind.",
    "schema_up_to_date": "Whether the schema is that of this version.",
    "disk_free_bytes": "Room left where a folder lies.",
    "disk_bytes": "Room altogether where a folder lies.",
    "backup_age_seconds": "Age of the newest backup.",
    "archive_behind_seconds": "How far the archived log is behind.",
    "jobs": "Long work by where it stands.",
    "jobs_workers": "Processes that do long work.",
    "jobs_oldest_waiting_seconds": "How long the oldest waiting work waits.",
    "jobs_failed_week": "Long work that failed in seven days.",
    "data_version": "Number of the newest import.",
    "newest_matter_days": "Days since the newest matter occurred.",
    "analysis_age_seconds": "Age of the newest analysis of a kind; seasonal is the list.",
    "matters_open": "Open matters.",
    "matters_overdue": "Open matters over their limit.",
    "grids_without_chief": "Grids without a chief.",
}


class Now(Collector):
    """What `health` says, as gauges; looked up at most every FRESH seconds by a worker."""

    def __init__(self, doors: Databases, chosen: Settings) -> None:
        self._lines = Remembered(lambda: health.lines(doors.accounts, doors.reader, chosen), FRESH)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        found: list[Line] = self._lines()
        states = GaugeMetricFamily(
            "gridmgmt_health_state", "0 well, 1 watch it, 2 do something.", labels=["line"]
        )
        for line in found:
            states.add_metric([line.key], list(State).index(line.state))
        info = GaugeMetricFamily("gridmgmt_info", "Always 1; its label says the version.", labels=["version"])
        info.add_metric([version("gridmgmt")], 1)
        yield from (states, info, *_families(found))


def _families(found: list[Line]) -> Iterator[GaugeMetricFamily]:
    families: dict[str, GaugeMetricFamily] = {}
    for number in (number for line in found for number in line.numbers):
        kind = number.kind
        if number.name not in families:
            says, labels = SAYS[number.name], [kind[0]] if kind else []
            families[number.name] = GaugeMetricFamily(f"gridmgmt_{number.name}", says, labels=labels)
        families[number.name].add_metric([kind[1]] if kind else [], number.value)
    yield from families.values()


@pages.get("/metrics")
@public
def metrics() -> Response:
    """Every number, for whoever sends the token of the settings."""
    token = current_app.config["SETTINGS"].metrics_token
    if not token:
        abort(404)
    shown = request.headers.get("Authorization", "").partition(" ")[2].strip()
    right = hmac.compare_digest(shown.encode(), token.encode())
    # A wrong one counts and is judged in one step, so that two at once cannot both be the last allowed; after
    # too many a right one is not told from a wrong one.
    judge = throttle.limiter.limiter.test if right else throttle.limiter.limiter.hit
    if not judge(WRONG_TOKENS, "metrics", throttle.address()):
        abort(Response("too many wrong tokens\n", 429, mimetype="text/plain"))
    if not right:
        abort(Response("the token is wrong\n", 401, {"WWW-Authenticate": "Bearer"}, mimetype="text/plain"))
    return Response(exposed(), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def exposed() -> bytes:
    """Return the counters of all workers and what this one knows of the rest."""
    counted = COUNTED
    if os.environ.get(FOLDER):
        counted = CollectorRegistry()
        MultiProcessCollector(counted)
    now: CollectorRegistry = current_app.extensions[NOW]
    return generate_latest(counted) + generate_latest(now)


@pages.get("/readyz")
@public
def ready() -> Any:
    """Whether requests may be sent here; which part failed, and nothing more of it, when they may not."""
    failed = health.unready(current_app.extensions[PROBE])
    if not failed:
        return jsonify(status="ready")
    log.warning("not ready", extra={"failed": failed})
    return jsonify(status="not ready", failed=sorted(failed)), 503


def install(app: Flask, chosen: Settings) -> None:
    """Fit the numbers into an application, whose databases are open."""
    doors: Databases = app.extensions[EXTENSION]
    for name, engine in vars(doors).items():
        _watch(name, engine)
    for kind in ("unexpected", "database"):
        errors.labels(kind)  # there from the first scrape on, so that the first error is a rise
    now = CollectorRegistry()
    now.register(Now(doors, chosen))
    app.extensions[NOW] = now
    url = chosen.database_url or Cluster(chosen.home).url()
    app.extensions[PROBE] = make_engine(url, patience=health.PATIENCE)


def _watch(name: str, engine: Engine) -> None:
    """Keep the gauge of an engine's pool: a connection that comes back still counts while it does."""

    @event.listens_for(engine, "checkout")
    def out(*_: Any) -> None:
        pool.labels(name).set(engine.pool.checkedout())  # type: ignore[attr-defined]

    @event.listens_for(engine, "checkin")
    def back(*_: Any) -> None:
        pool.labels(name).set(max(0, engine.pool.checkedout() - 1))  # type: ignore[attr-defined]

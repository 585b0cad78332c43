"""Clusters of now (近期聚集): what has gathered in place and time and was still there on the last day."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
from sqlalchemy import Engine, insert

from gridmgmt.config import ALPHA, SEED
from gridmgmt.errors import InputError, NotEnoughDataError
from gridmgmt.grids import service as grids
from gridmgmt.hotspots.cube import Located, count, locate
from gridmgmt.hotspots.models import HotspotCluster, RunKind
from gridmgmt.hotspots.statistics import scan
from gridmgmt.hotspots.statistics.scan import Cluster, Prepared, ScanResult
from gridmgmt.hotspots.stored import ClusterResult
from gridmgmt.hotspots.storing import store_run
from gridmgmt.importing.progress import Progress

WEEK = 7
WEEKS = 52
LONGEST = 8  # weeks that a cluster may have lasted: what lasts longer is a hot grid, not news
LARGEST = 0.5  # share of a category's matters that a cluster may hold
REACH = 3000.0  # metres; what reaches farther is not a place that somebody could go to
FEWEST = 100  # matters in the weeks; a cluster of a rarer category would be two or three of them
REPLICATIONS = 999
# With fewer replications as high, a fitted Gumbel tells the tail better (Abrams, Kulldorff & Kleinman 2010).
ENOUGH = 10


def find_recent(
    engine: Engine, end: date, *, weeks: int = WEEKS, seed: int = SEED, progress: Progress | None = None
) -> list[ClusterResult]:
    """Scan the weeks up to a day for clusters that are still there, store them and return them.

    Every 小类 by itself is scanned by the space-time permutation model, which asks whether places and times
    go together more than their totals tell: neither a busy place nor a busy season is a cluster. All together
    would be: winter is not the same in town and village. Kept are clusters that stand after Bonferroni's
    correction for the number of categories. One transaction; the same question replaces the earlier answer.

    Raises InputError for fewer than 4 weeks, NotEnoughDataError when no category has matters enough.
    """
    if weeks < 4:
        raise InputError("weeks", weeks, "at least 4")
    started, bar = datetime.now(UTC), progress or Progress()
    start = end - timedelta(days=WEEK * weeks - 1)
    with engine.begin() as connection:
        located = locate(connection, start, end)
        cubes = dict(frequent(located, start, weeks))
        if not cubes:
            raise NotEnoughDataError("matters of one category with a place", "too few", f"at least {FEWEST}")
        bar.total(len(cubes))
        xy = grids.middles_m(located.grids.geometries)
        rows: list[ClusterResult] = []
        for number, (category, cases) in enumerate(cubes.items(), 1):
            found = prepared(cases, xy, seed).run(REPLICATIONS)
            rows += kept(found, category, xy, located.grids.codes, end, weeks, len(cubes))
            bar.at(number)
        parameters = {
            "from": start.isoformat(), "to": end.isoformat(), "level": "grid", "category": None,
            "columns": list(cubes), "model": "space-time permutation", "bin_days": WEEK,
            "max_duration": LONGEST, "max_population": LARGEST, "max_radius": REACH,
            "replications": REPLICATIONS, "correction": "bonferroni over categories",
        }  # fmt: skip
        run_id = store_run(connection, RunKind.CLUSTERS, parameters, seed, started)
        if rows:
            connection.execute(insert(HotspotCluster), [{"run_id": run_id} | row.__dict__ for row in rows])
    return rows


def prepared(cases: np.ndarray, xy: np.ndarray, seed: int) -> Prepared:
    """Return the scan of one category, cases[grid, week], with its replications still to be drawn."""
    # A grid without any matter adds nothing to a circle but time; circles about the others suffice.
    told = cases.any(axis=1)
    return scan.prepare(
        cases[told],
        xy[told],
        max_population=LARGEST,
        max_radius=REACH,
        max_duration=min(LONGEST, cases.shape[1] // 2),
        prospective=True,
        seed=seed,
    )


def frequent(located: Located, start: date, weeks: int) -> Iterator[tuple[str, np.ndarray]]:
    """Return cases[grid, week] of every category that has enough of them."""
    week = (located.day - np.datetime64(start, "D")).astype(int) // WEEK
    for k, code in enumerate(located.categories):
        chosen = located.category == k
        cases = count(located.grid[chosen], week[chosen], len(located.grids), weeks)
        if cases.sum() >= FEWEST:
            yield code, cases


def kept(
    found: ScanResult,
    category: str,
    xy: np.ndarray,
    codes: tuple[str, ...],
    end: date,
    weeks: int,
    tests: int,
) -> Iterator[ClusterResult]:
    """Give the clusters of one category that stand after correction for `tests` categories."""
    for rank, cluster in enumerate(found.clusters, 1):
        p = tail_p(cluster, found)
        q = min(1.0, p * tests)
        if q > ALPHA:
            continue
        away = np.hypot(*(xy - cluster.centre).T)
        inside = np.flatnonzero(away <= cluster.radius * (1 + 1e-9))
        yield ClusterResult(
            category=category,
            rank=rank,
            areas=[codes[member] for member in inside[np.argsort(away[inside], kind="stable")]],
            start_on=end - timedelta(days=WEEK * (weeks - cluster.start) - 1),
            end_on=end,
            observed=cluster.observed,
            expected=cluster.expected,
            relative_risk=cluster.relative_risk,
            radius_m=cluster.radius,
            llr=cluster.llr,
            p=p,
            q=q,
            recurrence_days=WEEK / q,
        )


def tail_p(cluster: Cluster, found: ScanResult) -> float:
    """Return the cluster's p, of a Gumbel fitted to the replications where fewer than ten reach it."""
    if cluster.p * (found.replications + 1) > ENOUGH:
        return cluster.p
    scale = found.max_llr.std() * np.sqrt(6) / np.pi
    location = found.max_llr.mean() - np.euler_gamma * scale
    return float(-np.expm1(-np.exp(-(cluster.statistic - location) / scale)))

"""Every stored analysis, whatever its kind, with how much it found: for the record of an administrator."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from gridmgmt.hotspots.models import AnalysisRun, HotspotCluster, HotspotResult, RunKind
from gridmgmt.seasonal.models import SeasonalItem

LATEST = 200


@dataclass(frozen=True)
class Analysis:
    """One analysis: what was asked, on which data version, when, and how many areas, clusters or items."""

    number: int
    kind: str
    parameters: dict[str, Any]
    data_version: int
    finished_at: datetime
    found: int


def analyses(connection: Connection, most: int = LATEST) -> list[Analysis]:
    """Return the stored analyses, newest first; hot are areas at 95 % or more in any tested category."""
    run = AnalysisRun
    query = (
        select(run.id, run.kind, run.parameters, run.data_version, run.finished_at)
        .order_by(run.id.desc())
        .limit(most)
    )
    rows = connection.execute(query).all()
    numbers = [row.id for row in rows]
    hot = select(HotspotResult.run_id, func.count(HotspotResult.area.distinct())).where(
        HotspotResult.gi_class >= 2, HotspotResult.run_id.in_(numbers)
    )
    found: dict[int, int] = dict(connection.execute(hot.group_by(HotspotResult.run_id)).all())
    for table in (HotspotCluster, SeasonalItem):
        counted = select(table.run_id, func.count()).where(table.run_id.in_(numbers)).group_by(table.run_id)
        found.update(connection.execute(counted).all())
    return [_analysis(row, found.get(row.id, 0)) for row in rows]


def newest(connection: Connection) -> dict[str, Analysis]:
    """Return the newest analysis of each kind, of hotspots that of grids; nothing of kinds never made.

    How much they found is not counted: `found` is 0.
    """
    run = AnalysisRun
    level = func.coalesce(run.parameters["level"].astext, "grid")
    latest = select(func.max(run.id)).where((run.kind != RunKind.HOTSPOTS) | (level == "grid"))
    rows = connection.execute(
        select(run.id, run.kind, run.parameters, run.data_version, run.finished_at).where(
            run.id.in_(latest.group_by(run.kind))
        )
    )
    return {row.kind: _analysis(row, 0) for row in rows}


def _analysis(row: Any, found: int) -> Analysis:
    return Analysis(row.id, row.kind, row.parameters, row.data_version, row.finished_at, found)

"""Imports matters: a stream of checked rows into a temporary table, then one set-based merge."""

from pathlib import Path

import numpy as np
from sqlalchemy import Connection, Engine, text

from gridmgmt.db.copy import Points, copy_rows
from gridmgmt.grids.by_day import GridsByDay, territory_bounds
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.progress import Progress
from gridmgmt.importing.report import Report
from gridmgmt.importing.run import import_run
from gridmgmt.importing.tables import read_chunks
from gridmgmt.incidents.assignment import grid_days
from gridmgmt.incidents.checks import ALIASES, KNOWN, REQUIRED, Checker
from gridmgmt.incidents.lookups import category_lookup, channel_lookup

COLUMNS = (
    "external_id", "ledger", "channel", "category", "occurred_at", "occurred_on", "reported_at", "geom",
    "address", "grid_id", "title", "text", "status", "stage", "level", "satisfaction", "digest",
)  # fmt: skip


def import_incidents(
    engine: Engine,
    path: Path,
    mapping: Mapping,
    *,
    dry_run: bool = False,
    rejects: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Import one file of matters in one transaction, and return what came of its rows.

    A matter is known by its source (`mapping.source`) and external id: absent ones are new, others are
    updated when their content changed. `extra` counts those outside every grid and those without a place.

    Raises
    ------
    FileError
        When the file as a whole cannot be read, lacks a required column, or has coordinates whose reference
        system is not declared.
    """
    path, progress = Path(path), progress or Progress()
    with import_run(engine, "incidents", path, dry_run=dry_run, rejects=rejects) as (connection, report):
        connection.execute(
            text(f"CREATE TEMP TABLE incoming ON COMMIT DROP AS SELECT {_names()} FROM incident LIMIT 0")
        )
        _stage(connection, path, mapping, report, progress)
        progress.doing("merging")
        _merge(connection, mapping.source, report)
    return report


def _stage(connection: Connection, path: Path, mapping: Mapping, report: Report, progress: Progress) -> None:
    """Copy the good rows of a file into `incoming`, each with the grid of its day."""
    grids = GridsByDay(connection)
    checker = Checker(
        path, mapping, category_lookup(connection), channel_lookup(connection), territory_bounds(connection)
    )
    report.extra = {"outside": 0, "without_place": 0}
    early = 0
    chunks = read_chunks(
        path, mapping, known=KNOWN, required=REQUIRED, aliases=ALIASES, report=report, progress=progress
    )
    cursor = connection.connection.cursor()
    for chunk in chunks:
        columns = checker.matters(chunk)
        days = grid_days(columns["occurred_at"], columns["occurred_on"], columns["reported_at"])
        place = columns["geom"]
        assert isinstance(place, Points)
        grid = grids.assign(days, place.lon, place.lat)
        columns["grid_id"] = np.ma.masked_equal(grid, -1)
        nowhere = np.isnan(np.asarray(place.lon))
        report.extra["without_place"] += int(nowhere.sum())
        report.extra["outside"] += int(((grid == -1) & ~nowhere).sum())
        if grids.first_day:
            early += int((days < np.datetime64(grids.first_day)).sum())
        copy_rows(cursor, "incoming", columns)
    if early:
        report.warn(
            f"{early} matters were reported before {grids.first_day}, when the first grid came into force"
        )


def _merge(connection: Connection, source: str, report: Report) -> None:
    """Bring `incoming` into `incident`: update what changed, leave what did not, insert the rest."""
    connection.execute(text("ANALYZE incoming"))
    _ensure_years(connection)
    same = "i.source = :source AND i.external_id = x.external_id"
    assignments = ", ".join(f"{name} = x.{name}" for name in COLUMNS if name != "external_id")
    bound = {"source": source}
    # A matter whose year changed moves to that year's partition by itself.
    update = f"UPDATE incident i SET {assignments} FROM incoming x WHERE {same} AND i.digest <> x.digest"
    report.updated = connection.execute(text(update), bound).rowcount
    known = connection.execute(text(f"DELETE FROM incoming x USING incident i WHERE {same}"), bound).rowcount
    report.unchanged = known - report.updated
    insert = f"INSERT INTO incident (source, {_names()}) SELECT :source, {_names()} FROM incoming"
    report.new = connection.execute(text(insert), bound).rowcount


def _ensure_years(connection: Connection) -> None:
    """Make partitions only where they are missing: making one shuts everybody else out of the table."""
    connection.execute(
        text("""
        SELECT ensure_incident_year(year) FROM (
            SELECT DISTINCT extract(year FROM occurred_on)::integer AS year FROM incoming
        ) AS years WHERE to_regclass('incident_' || year) IS NULL
        """)
    )


def _names() -> str:
    return ", ".join(COLUMNS)

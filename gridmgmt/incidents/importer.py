"""Imports matters: a stream of checked rows into a temporary table, then one set-based merge."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, Engine, text

from gridmgmt.db.copy import Points, copy_rows
from gridmgmt.grids.by_day import GridsByDay, territory_bounds
from gridmgmt.importing.columns import plain
from gridmgmt.importing.mapping import HERE, Mapping
from gridmgmt.importing.progress import Progress
from gridmgmt.importing.report import Report
from gridmgmt.importing.run import import_run
from gridmgmt.importing.tables import Chunk, read_chunks
from gridmgmt.incidents import imported_cases
from gridmgmt.incidents.assignment import grid_days
from gridmgmt.incidents.checks import ALIASES, KNOWN, PEOPLE, REQUIRED, Checker
from gridmgmt.incidents.imported_people import People
from gridmgmt.incidents.lookups import category_lookup, channel_lookup
from gridmgmt.privacy.keyring import KeyRing

COLUMNS = (
    "external_id", "ledger", "channel", "category", "occurred_at", "occurred_on", "reported_at", "geom",
    "address", "grid_id", "title", "text", "status", "stage", "level", "satisfaction", "closed_at", "due_at",
    "digest",
)  # fmt: skip


def import_incidents(
    engine: Engine,
    path: Path,
    mapping: Mapping,
    *,
    dry_run: bool = False,
    rejects: Path | None = None,
    progress: Progress | None = None,
    ring: KeyRing | None = None,
) -> Report:
    """Import one file of matters in one transaction, and return what came of its rows.

    A matter is known by its source (`mapping.source`) and external id: absent ones are new, others are
    updated when their content changed. `extra` counts those outside every grid and those without a place.

    With `mapping.handling` "here" open matters become cases of the default flow, and who told them is sealed
    under `ring` (by default the city's); otherwise such columns are named and dropped. A matter that is
    handled here keeps what stands here, whatever a later file says, but for this: closed there closes it.

    Raises
    ------
    FileError
        When the file as a whole cannot be read, lacks a required column, or has coordinates whose reference
        system is not declared.
    """
    path, progress = Path(path), progress or Progress()
    here = mapping.handling == HERE
    with import_run(engine, "incidents", path, dry_run=dry_run, rejects=rejects) as (connection, report):
        connection.execute(
            text(f"CREATE TEMP TABLE incoming ON COMMIT DROP AS SELECT {_names()} FROM incident LIMIT 0")
        )
        people = People(connection, ring) if here else None
        _stage(connection, path, mapping, report, progress, people)
        progress.doing("merging")
        _merge(connection, mapping.source, report, here)
        if people:
            begun = imported_cases.begin(connection, mapping.source)
            people.write(mapping.source, report)
            report.extra["cases_begun"] = begun
    return report


def _stage(
    connection: Connection,
    path: Path,
    mapping: Mapping,
    report: Report,
    progress: Progress,
    people: People | None,
) -> None:
    """Copy the good rows of a file into `incoming`, each with the grid of its day."""
    grids = GridsByDay(connection)
    checker = Checker(
        path, mapping, category_lookup(connection), channel_lookup(connection), territory_bounds(connection)
    )
    report.extra = {"outside": 0, "without_place": 0}
    early = 0
    chunks = read_chunks(
        path, mapping, known=KNOWN, required=REQUIRED, aliases=ALIASES, report=report, progress=progress,
        personal=PEOPLE,
    )  # fmt: skip
    cursor = connection.connection.cursor()
    for chunk in chunks if people else _without_people(chunks, mapping, report):
        columns = checker.matters(chunk)
        if people:
            people.add(columns, *checker.people(chunk))
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


def _without_people(chunks: Iterator[Chunk], mapping: Mapping, report: Report) -> Iterator[Chunk]:
    """Give chunks without who told the matters: nothing of it is kept, in the rejects file neither."""
    names = {plain(name) for field in PEOPLE for name in (*ALIASES[field], *mapping.fields.get(field, ()))}
    for chunk in chunks:
        found = [name for name in map(str, chunk.raw) if plain(name) in names]
        if found:
            report.warn(
                f"columns not taken, because history names nobody: {', '.join(found)}; with [source] "
                'handling = "here" they are kept, sealed, for open matters'
            )
            chunk.raw = chunk.raw.assign(**dict.fromkeys(found, ""))
            chunk.frame = chunk.frame.drop(columns=list(PEOPLE), errors="ignore")
        yield chunk


def _merge(connection: Connection, source: str, report: Report, here: bool) -> None:
    """Bring `incoming` into `incident`: update what changed, leave what did not, insert the rest."""
    connection.execute(text("ANALYZE incoming"))
    _ensure_years(connection)
    handled = imported_cases.follow(connection, source)
    report.extra |= {"cases_closed": handled.closed} if handled.known else {}
    if here:
        imported_cases.remember_open(connection)
    same = "i.source = :source AND i.external_id = x.external_id"
    assignments = ", ".join(f"{name} = x.{name}" for name in COLUMNS if name != "external_id")
    bound = {"source": source}
    # A matter whose year changed moves to that year's partition by itself.
    update = f"UPDATE incident i SET {assignments} FROM incoming x WHERE {same} AND i.digest <> x.digest"
    if handled.known:
        update += " AND NOT EXISTS (SELECT FROM handled h WHERE h.id = i.id)"
    report.updated = connection.execute(text(update), bound).rowcount + handled.changed
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

"""One import is one transaction: it counts, records itself, and is whole or has never been."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, text

from gridmgmt.config import settings
from gridmgmt.db.models import ImportRun
from gridmgmt.importing.report import Report

# Imports wait for each other: two of them could both find a matter absent and both insert it.
LOCK = 7_340_002


@contextmanager
def import_run(
    engine: Engine, kind: str, path: Path, *, dry_run: bool = False, rejects: Path | None = None
) -> Iterator[tuple[Connection, Report]]:
    """Give a connection in a transaction and the report of one file.

    Leaving without an exception checks that every row is accounted for, records the import unless nothing
    changed, and commits; with `dry_run` everything is taken back. Any exception takes everything back.
    """
    with engine.connect() as connection, Report(kind, path, rejects) as report:
        report.dry_run = dry_run
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        yield connection, report
        report.check()
        if dry_run:
            connection.rollback()
            return
        if report.new + report.updated:
            record = insert(ImportRun).values(
                kind=kind,
                file=Path(path).name,
                sha256=report.sha256,
                counts=report.counts(),
                rejects=_kept(rejects) if report.rejected else None,
            )
            connection.execute(record)
        connection.commit()


def _kept(rejects: Path | None) -> str | None:
    """Return where in the home folder a rejects file stands; what somebody put elsewhere is theirs alone."""
    home = settings().home
    if rejects is None or not Path(rejects).absolute().is_relative_to(home):
        return None
    return str(Path(rejects).absolute().relative_to(home))

"""Makes stored hotspot runs and lists anew on the grids of today, and says what only the boundary changed."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, Engine, text

from gridmgmt.errors import GridmgmtError
from gridmgmt.hotspots import service as hotspots
from gridmgmt.hotspots import stored
from gridmgmt.importing.progress import Progress
from gridmgmt.seasonal import service as lists
from gridmgmt.seasonal import stored as stored_lists

HOT = 2  # class from which an area counts as hot: 95 %
LEVELS = ("grid", "village", "town")


@dataclass(frozen=True)
class BoundaryChange:
    """An area that became hot or ceased to be although not one matter changed: only boundaries did.

    `was` and `now` are classes of Gi* (-3..3) of all categories together; `was_code` is the grid that most of
    its ground came from, its own code when it kept it.
    """

    level: str
    start: date
    end: date
    code: str
    was_code: str
    was: int
    now: int


@dataclass(frozen=True)
class Recomputed:
    """What was made anew; `failed` names what could not be, and why."""

    runs: int
    lists: int
    changes: tuple[BoundaryChange, ...]
    failed: tuple[str, ...]


def recompute(engine: Engine, *, progress: Progress | None = None) -> Recomputed:
    """Make every stored hotspot run and the lists of this and later years anew, each in its own transaction.

    The same matters of the same periods are counted: whatever differs, differs by the boundaries alone.
    """
    bar = progress or Progress()
    with engine.connect() as connection:
        runs = [run for level in LEVELS for run in stored.runs(connection, level)]
        years = [year for year in stored_lists.years(connection) if year >= date.today().year]
        before = {run: _classes(connection, run) for run in runs}
        parents = _parents(connection)
    bar.total(len(runs) + len(years))
    changes: list[BoundaryChange] = []
    failed: list[str] = []
    for done, run in enumerate(runs, 1):
        bar.doing(f"{run.level} {run.start} 至 {run.end}")
        try:
            again = hotspots.run(engine, run.start, run.end, level=run.level, seed=run.seed)
        except GridmgmtError as why:
            failed.append(f"{run.level} {run.start} 至 {run.end}: {why}")
            continue
        with engine.connect() as connection:
            changes += _changes(again, before[run], _classes(connection, again), parents)
        bar.at(done)
    for done, year in enumerate(years, len(runs) + 1):
        bar.doing(f"{year} 年时令清单")
        with engine.connect() as connection:
            capacity = stored_lists.run_of(connection, year).capacity
        try:
            lists.build(engine, year, capacity=capacity)
        except GridmgmtError as why:
            failed.append(f"{year}: {why}")
        bar.at(done)
    return Recomputed(len(runs), len(years), tuple(changes), tuple(failed))


def _classes(connection: Connection, run: stored.Run) -> dict[str, int]:
    return {each.area: each.gi_class for each in stored.results(connection, run.id)}


def _parents(connection: Connection) -> dict[str, str]:
    """Return code -> code of the ended grid that most of each grid's ground came from."""
    rows = connection.execute(
        text("""
        SELECT DISTINCT ON (born.code15) born.code15, ended.code15
        FROM grid_lineage l JOIN grid born ON born.id = l.to_grid JOIN grid ended ON ended.id = l.from_grid
        WHERE born.valid_to IS NULL
        ORDER BY born.code15, ended.valid_to DESC, l.area_share * ST_Area(ended.geom) DESC, l.from_grid
        """)
    )
    return dict(rows.all())


def _changes(
    run: stored.Run, was: dict[str, int], now: dict[str, int], parents: dict[str, str]
) -> list[BoundaryChange]:
    found = []
    for code, step in now.items():
        old = code if code in was else parents.get(code, "")
        if old in was and (was[old] >= HOT) != (step >= HOT):
            found.append(BoundaryChange(run.level, run.start, run.end, code, old, was[old], step))
    return found

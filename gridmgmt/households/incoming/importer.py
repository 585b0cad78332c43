"""Imports the roster (人房关联): who lives where, one row a person.

The file has one row a person; without a column of names its rows only count the people of each household.
Identity numbers and telephones are sealed before they reach the database and are quoted nowhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, Engine, text

from gridmgmt.errors import ConflictError
from gridmgmt.grids.by_day import territory_bounds
from gridmgmt.households.incoming.bare import bare_while_filled
from gridmgmt.households.incoming.care import enter_care
from gridmgmt.households.incoming.enter import Standing, enter
from gridmgmt.households.incoming.fields import ALIASES, KNOWN, PERSONAL, REQUIRED
from gridmgmt.households.incoming.gather import Gathered
from gridmgmt.households.incoming.known import Match, match
from gridmgmt.households.incoming.merge import NEW, UNCHANGED, UPDATED, Merged, Roster, merge_homes
from gridmgmt.households.incoming.people import People
from gridmgmt.households.incoming.reviews import queue
from gridmgmt.households.incoming.rows import Rows
from gridmgmt.households.incoming.seals import Sealer
from gridmgmt.households.incoming.whole import Doubles, doubles_in_file, one_head_each
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.places import read_places
from gridmgmt.importing.progress import Progress
from gridmgmt.importing.report import Report
from gridmgmt.importing.run import import_run
from gridmgmt.importing.tables import Chunk, read_chunks
from gridmgmt.privacy import audit
from gridmgmt.privacy.binding import bind
from gridmgmt.privacy.keyring import KeyRing

WHO = "import"
ROWS = 25_000  # read at a time: few enough that all processes have work from the start to the end
FILLED = ("dwelling", "household", "person", "residency")
LARGE = 1 << 20  # bytes of a file for which the sealing process is worth starting ahead
COUNTED_ONLY = "the file has no column name: persons are counted, not entered"
FIRST_IS_HEAD = "{:,} households without any relation (与户主关系): the first row of each became its head"
__all__ = ["ALIASES", "KNOWN", "import_roster"]

BULK = "SELECT set_config('app.user', :who, true), set_config('app.bulk', 'on', true)"
# Whoever writes or reads people leaves a line there first, so this waits for them, and they for this.
ALONE = "SELECT id FROM audit_head FOR UPDATE"
COUNTS = """
UPDATE household h SET persons = c.persons FROM (
    SELECT t.id, count(p.id)::integer AS persons FROM unnest(CAST(:households AS integer[])) AS t (id)
    LEFT JOIN person p ON p.household_id = t.id AND p.left_on IS NULL GROUP BY t.id
) c WHERE h.id = c.id AND h.persons <> c.persons
"""
FAULTS = """
SELECT h.code FROM household h LEFT JOIN person p ON p.household_id = h.id AND p.left_on IS NULL
WHERE h.id = ANY (CAST(:households AS integer[])) GROUP BY h.id
HAVING count(p.id) <> h.persons OR count(p.id) FILTER (WHERE p.relation = 'head') <> 1 LIMIT 1
"""
ANALYZE = "ANALYZE building, dwelling, household, person, residency, household_care"


def import_roster(
    engine: Engine,
    path: Path,
    mapping: Mapping,
    *,
    dry_run: bool = False,
    rejects: Path | None = None,
    progress: Progress | None = None,
    ring: KeyRing | None = None,
) -> Report:
    """Import one roster file in one transaction, and return what came of its rows (one a person).

    Idempotent on the codes of buildings and households and on people's numbers, else names. A file holds the
    whole of every household it names: who is missing there has moved away; households that it does not name
    stay. A household is taken whole or not at all. A row without a household tells of an empty dwelling.
    `extra` counts buildings outside every grid and without a place, people who have left, and rows that now
    wait for review.

    Raises
    ------
    FileError
        When the file cannot be read, lacks a required column, or has coordinates whose reference system is
        not declared.
    """
    path, progress = Path(path), progress or Progress()
    with import_run(engine, "roster", path, dry_run=dry_run, rejects=rejects) as (connection, report):
        connection.execute(text(BULK), {"who": WHO})
        keys = ring or KeyRing.opened()
        bind(connection, keys)
        with Sealer(keys) as sealer:
            if path.exists() and path.stat().st_size > LARGE:
                sealer.start()
            gathered = Gathered(connection, report, sealer)
            for chunk in _chunks(connection, path, mapping, report, progress):
                gathered.add(*chunk)
            progress.doing("merging")
            connection.execute(text(ALONE))
            _Merge(connection, report, path, gathered, keys).run()
        audit.record(connection, "import.roster", detail=report.counts())
    return report


def _chunks(
    connection: Connection, path: Path, mapping: Mapping, report: Report, progress: Progress
) -> Iterator[tuple[Chunk, np.ndarray, np.ndarray]]:
    """Give chunks with the places of their buildings."""
    bounds = territory_bounds(connection)
    for chunk in read_chunks(
        path, mapping, known=KNOWN, required=REQUIRED, aliases=ALIASES, only_known=True, personal=PERSONAL,
        report=report, progress=progress, rows=ROWS,
    ):  # fmt: skip
        yield chunk, *read_places(chunk, path, mapping, bounds, "building_lon", "building_lat")


@dataclass(frozen=True, repr=False)
class _Entered:
    """The rows of people that were written: places among all rows, who they are, what became of them."""

    at: np.ndarray
    people: People
    household: np.ndarray
    known: np.ndarray
    person: np.ndarray
    states: np.ndarray
    left: set[int]  # households that somebody left


class _Merge:
    """The second half of an import, when the whole file is known."""

    def __init__(
        self, connection: Connection, report: Report, path: Path, gathered: Gathered, ring: KeyRing
    ) -> None:
        self.connection, self.report, self.path = connection, report, path
        self.gathered, self.ring = gathered, ring

    def run(self) -> None:
        """Write what is new or has changed, and count the rows by what came of them."""
        self.report.extra = {"outside": 0, "without_place": 0}
        rows = self.gathered.rows()
        if rows is None:
            return
        if rows.people is None:
            self.report.warn(COUNTED_ONLY)
            roster = self._roster(rows, rows.family)
            self._count(merge_homes(self.connection, roster, self.report).states(roster))
            self.connection.execute(text(ANALYZE))
            return
        self._people(rows)

    def _people(self, rows: Rows) -> None:
        """Write homes, people, care and reviews of a file that names people."""
        gathered, connection = self.gathered, self.connection
        rows, doubles, found = self._known(rows)
        waiting = np.zeros(len(rows.row), bool)
        waiting[doubles.place] = True
        stay, relation, first_heads = one_head_each(rows, waiting, gathered.kept, gathered.codes)
        if first_heads:
            self.report.warn(FIRST_IS_HEAD.format(first_heads))
        good = stay & ~waiting
        roster = self._roster(rows, np.where(good, rows.family, -1))
        with bare_while_filled(connection, FILLED):
            merged = merge_homes(connection, roster, self.report)
            entered = self._enter(rows, good, waiting, relation, merged, found)
        connection.execute(text(ANALYZE))  # plans join all of them at once
        at = doubles.place
        self.report.extra["waiting"] = queue(
            connection, self.ring, self.path, rows.taken(at), gathered.homes_of(rows.taken(at)), doubles,
            merged.dwelling[rows.home[at]].tolist(), gathered.kept,
        )  # fmt: skip
        self._finish(rows, good, merged, roster, entered)

    def _known(self, rows: Rows) -> tuple[Rows, Doubles, Match]:
        """Return the rows without those that repeat a person, the doubtful ones, and who each row is."""
        stay, inside = doubles_in_file(rows, self.gathered.kept)
        inside = Doubles(np.cumsum(stay)[inside.place] - 1, inside.kind, inside.person)
        rows = rows.taken(stay)
        homes, named = self.gathered.homes_of(rows), self.gathered.codes_named(rows)
        found, outside = match(self.connection, rows, homes, named)
        return rows, inside + outside, found

    def _enter(
        self, rows: Rows, good: np.ndarray, waiting: np.ndarray, relation: np.ndarray, merged: Merged,
        found: Match,
    ) -> "_Entered":  # fmt: skip
        """Write the people of good rows."""
        at = np.flatnonzero(good & (rows.family >= 0))
        family, mine = rows.family[at], rows.taken(at)
        assert mine.people is not None
        assert mine.seals is not None
        building = self.gathered.dwellings["building"].to_numpy()[mine.home]
        standing = Standing(
            merged.household[family], merged.grid_of_building[building], merged.dwelling[mine.home]
        )
        doubtful = np.unique(rows.family[waiting & (rows.family >= 0)])
        told = np.setdiff1d(np.unique(family), doubtful)
        whole = merged.household[told][merged.household_state[told] != NEW]
        found = Match(found.person[at], found.arrives[at])
        person, states, left = enter(
            self.connection, self.ring, mine.people, mine.seals, relation[at], standing, found, whole
        )
        return _Entered(at, mine.people, standing.household, found.person > 0, person, states, left)

    def _finish(
        self, rows: Rows, good: np.ndarray, merged: Merged, roster: Roster, entered: "_Entered"
    ) -> None:
        """Write care and the number of people a household, check that all are whole, and count the rows."""
        states = entered.states
        if self.gathered.has("care"):
            changed = enter_care(
                self.connection, entered.people, entered.person, entered.household, entered.known
            )
            states[changed] |= UPDATED
        touched = np.unique(entered.household)
        if entered.known.any() or entered.left:
            self.connection.execute(text(COUNTS), {"households": touched.tolist()})
        fault = self.connection.execute(text(FAULTS), {"households": touched.tolist()}).scalar()
        if fault is not None:
            raise ConflictError(f"household {fault} would not have one head and as many persons as people")
        homes = merged.states(roster)
        if entered.left:
            family = np.maximum(rows.family, 0)
            homes[np.isin(merged.household[family], list(entered.left)) & (rows.family >= 0)] |= UPDATED
        homes[entered.at] = np.where(states == UNCHANGED, np.minimum(homes[entered.at], UPDATED), states)
        self.report.extra["left"] = self._left(entered.left)
        self._count(homes[good])

    def _left(self, households: set[int]) -> int:
        """Return how many people have left these households in this import."""
        query = "SELECT count(*) FROM roster_event WHERE kind = 'move_out' AND at = now()"
        return int(self.connection.execute(text(query)).scalar_one()) if households else 0

    def _roster(self, rows: Rows, family: np.ndarray, used: np.ndarray | None = None) -> Roster:
        gathered = self.gathered
        return Roster(
            gathered.buildings, gathered.verified(rows), gathered.households, rows.home, family,
            named=rows.people is not None, flagged=gathered.has("building_flags"),
        )  # fmt: skip

    def _count(self, states: np.ndarray) -> None:
        self.report.new = int((states == NEW).sum())
        self.report.updated = int((states == UPDATED).sum())
        self.report.unchanged = int((states == UNCHANGED).sum())

"""Import of grid workers and their places."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import Connection, Engine, select

from gridmgmt.grids import rows
from gridmgmt.grids.models import Assignment, AssignmentRole, Employment, Grid, Worker
from gridmgmt.grids.rows import Row, read_rows
from gridmgmt.grids.store import insert_rows, update_rows
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.progress import Progress
from gridmgmt.importing.report import Report
from gridmgmt.importing.run import import_run

FIELDS = ("name", "employment", "education", "birth_year", "grid", "role", "from", "to")
ALIASES = {
    "name": ("姓名",),
    "employment": ("专兼职", "用工性质"),
    "education": ("学历", "文化程度"),
    "birth_year": ("出生年", "出生年份"),
    "grid": ("网格编码", "网格"),
    "role": ("职务", "角色"),
    "from": ("任职日期", "起始日期"),
    "to": ("离任日期", "截止日期"),
}
EMPLOYMENT_WORDS = {each.value: each.value for each in Employment} | {
    "专职": Employment.FULL_TIME, "兼职": Employment.PART_TIME,
}  # fmt: skip
ROLE_WORDS = {each.value: each.value for each in AssignmentRole} | {
    "网格长": AssignmentRole.CHIEF, "网格员": AssignmentRole.MEMBER,
}  # fmt: skip
BIRTH_YEARS = 1900, 2100
FOREVER = date.max


@dataclass
class _Person:
    """A worker as the file says, or as stands; `id` once written."""

    name: str
    birth_year: int | None
    employment: str
    education: str | None
    id: int | None = None
    since_row: int | None = None


@dataclass
class _Place:
    """A worker's place in a grid, from a day until the day before another."""

    person: _Person
    grid: int
    role: str
    valid_from: date
    valid_to: date | None
    id: int | None = None

    def meets(self, other: "_Place") -> bool:
        return self.valid_from < (other.valid_to or FOREVER) and other.valid_from < (self.valid_to or FOREVER)


def import_workers(
    engine: Engine,
    path: Path,
    mapping: Mapping,
    *,
    dry_run: bool = False,
    rejects: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Import workers with their grids; idempotent on name and birth year, and on worker, grid and first day.

    A worker of several grids has a row for each. Without `grid` the worker has no place yet; without `from`
    the place begins with the grid; without `role` it is a member's. Rejected: an unknown grid, a day outside
    the grid's own, a second chief of a grid at one time, rows that contradict each other about a worker.

    Raises
    ------
    FileError
        When the file cannot be read or lacks name or employment.
    """
    with import_run(engine, "workers", path, dry_run=dry_run, rejects=rejects) as (connection, report):
        required = ("name", "employment")
        found = read_rows(
            path, mapping, report, known=FIELDS, required=required, aliases=ALIASES, progress=progress
        )
        first, last = rows.dates(found, "from", mapping), rows.dates(found, "to", mapping)
        roster = _Roster(connection)
        for row, since, until in zip(found, first, last, strict=True):
            if not row.rejected:
                _take(row, since, until, roster, report)
        roster.write(connection)
    return report


def _take(row: Row, since: date | None, until: date | None, roster: "_Roster", report: Report) -> None:
    """Take one row into the roster, counted as new, updated or unchanged; or reject it."""
    person = _person(row)
    places = roster.places(row, person, since, until)
    roster.check_person(row, person)
    if row.rejected:
        return
    changes = [roster.put_person(row, person), *(roster.put_place(place) for place in places)]
    outcome = next((each for each in ("new", "updated") if each in changes), "unchanged")
    setattr(report, outcome, getattr(report, outcome) + 1)


def _person(row: Row) -> _Person:
    if not row["name"]:
        row.reject("name", "", "a name")
    if not row["employment"]:
        row.reject("employment", "", ", ".join(EMPLOYMENT_WORDS))
    year = row["birth_year"].removesuffix(".0")
    if year and not (year.isascii() and year.isdigit() and BIRTH_YEARS[0] <= int(year) <= BIRTH_YEARS[1]):
        row.reject("birth_year", row["birth_year"], "a year such as 1985, or nothing")
        year = ""
    employment = rows.word(row, "employment", EMPLOYMENT_WORDS, "")
    return _Person(row["name"], int(year) if year else None, employment, row["education"] or None)


class _Roster:
    """All workers and places: those that stand, and those taken from the file so far."""

    def __init__(self, connection: Connection) -> None:
        self._grids: dict[str, list[tuple[int, date, date | None]]] = {}
        for grid, code, begun, ended in connection.execute(
            select(Grid.id, Grid.code15, Grid.valid_from, Grid.valid_to).order_by(Grid.valid_from)
        ):
            self._grids.setdefault(code, []).append((grid, begun, ended))
        columns = Worker.id, Worker.name, Worker.birth_year, Worker.employment, Worker.education
        people = [_Person(r[1], r[2], r[3], r[4], r[0]) for r in connection.execute(select(*columns))]
        self._people = {(each.name, each.birth_year): each for each in people}
        by_id = {each.id: each for each in people}
        places = select(
            Assignment.worker_id, Assignment.grid_id, Assignment.role,
            Assignment.valid_from, Assignment.valid_to, Assignment.id,
        )  # fmt: skip
        self._places: dict[int, list[_Place]] = {}
        for r in connection.execute(places):
            self._places.setdefault(r[1], []).append(_Place(by_id[r[0]], *r[1:]))
        self._changed_people: dict[int, _Person] = {}
        self._changed_places: dict[int, _Place] = {}

    def places(self, row: Row, person: _Person, since: date | None, until: date | None) -> list[_Place]:
        """Return the places that a row gives, none when it names no grid; rejects what cannot be.

        A grid whose edge moved has several shapes in time: its worker has a place in each.
        """
        role = rows.word(row, "role", ROLE_WORDS, AssignmentRole.MEMBER)
        if not row["grid"]:
            return []
        if row["grid"] not in self._grids:
            row.reject("grid", row["grid"], "the code of a grid that is imported")
            return []
        shapes = self._grids[row["grid"]]
        since = since or self._standing_since(person, shapes) or shapes[-1][1]
        first, last = shapes[0][1], shapes[-1][2]
        if not first <= since < (last or FOREVER):
            row.reject("from", since, f"a day of the grid's own, {first} to {last or 'now'}")
        if until is not None and until <= since:
            row.reject("to", until, f"a day after from, {since}")
        places = _in_each_shape(person, role, since, until, shapes)
        for place in places:
            self._check_chief(row, place)
        return places

    def _standing_since(self, person: _Person, shapes: list[tuple[int, date, date | None]]) -> date | None:
        grids = [grid for grid, _, _ in shapes]
        mine = [
            each.valid_from
            for grid in grids
            for each in self._places.get(grid, [])
            if _same(each.person, person)
        ]
        return max(mine, default=None)

    def _check_chief(self, row: Row, place: _Place) -> None:
        for other in self._places.get(place.grid, []):
            both = place.role == other.role == AssignmentRole.CHIEF and place.meets(other)
            if both and not _same(other.person, place.person):
                row.reject(
                    "role",
                    f"{place.person.name} as chief of {row['grid']} from {place.valid_from}",
                    f"one chief at a time; {other.person.name} is chief from {other.valid_from} to "
                    f"{other.valid_to or 'now'}: first import the day on which that ends (to)",
                )

    def check_person(self, row: Row, person: _Person) -> None:
        """Reject a row that says otherwise about a worker than an earlier row of the file."""
        known = self._people.get((person.name, person.birth_year))
        if known is None or known.since_row is None:
            return
        for field in ("employment", "education"):
            mine, earlier = getattr(person, field), getattr(known, field)
            if mine and earlier and mine != earlier:
                row.reject(field, mine, f"{earlier}, as row {known.since_row} says of the same worker")

    def put_person(self, row: Row, person: _Person) -> str:
        """Take in a worker; return what that was: new, updated or unchanged."""
        key = person.name, person.birth_year
        known = self._people.setdefault(key, person)
        said_before, known.since_row = known.since_row, known.since_row or row.number
        if known is person:
            self._changed_people[id(known)] = known
            return "new"
        education = person.education or known.education
        if said_before is None and (person.employment, education) != (known.employment, known.education):
            known.employment, known.education = person.employment, education
            self._changed_people[id(known)] = known
            return "updated"
        return "unchanged"

    def put_place(self, place: _Place) -> str:
        """Take in a place; return what that was: new, updated or unchanged."""
        place.person = self._people[place.person.name, place.person.birth_year]
        mine = self._places.setdefault(place.grid, [])
        known = next((p for p in mine if p.person is place.person and p.valid_from == place.valid_from), None)
        if known is None:
            mine.append(place)
            self._changed_places[id(place)] = place
            return "new"
        until = place.valid_to or known.valid_to
        if (known.role, known.valid_to) == (place.role, until):
            return "unchanged"
        known.role, known.valid_to = place.role, until
        self._changed_places[id(known)] = known
        return "updated"

    def write(self, connection: Connection) -> None:
        """Write what was taken in."""
        people = self._changed_people.values()
        insert_rows(connection, Worker, [_worker(each) for each in people if each.id is None])
        update_rows(
            connection, Worker, ["id"], [{"id": p.id, **_worker(p)} for p in people if p.id is not None]
        )
        ids = {
            (name, year): number
            for number, name, year in connection.execute(select(Worker.id, Worker.name, Worker.birth_year))
        }
        places = self._changed_places.values()
        for each in places:
            each.person.id = each.person.id or ids[each.person.name, each.person.birth_year]
        insert_rows(connection, Assignment, [_assignment(each) for each in places if each.id is None])
        changed = [{"id": each.id, **_assignment(each)} for each in places if each.id is not None]
        update_rows(connection, Assignment, ["id"], changed)


def _in_each_shape(
    person: _Person, role: str, since: date, until: date | None, shapes: list[tuple[int, date, date | None]]
) -> list[_Place]:
    """Return a place in each shape that a grid has between two days; in the last one without an end of its
    own, as the grid's own end says it."""
    meeting = [each for each in shapes if each[1] < (until or FOREVER) and since < (each[2] or FOREVER)]
    return [
        _Place(person, grid, role, max(since, begun), until if shape is meeting[-1] else ended)
        for shape in meeting
        for grid, begun, ended in (shape,)
    ]


def _same(one: _Person, other: _Person) -> bool:
    return (one.name, one.birth_year) == (other.name, other.birth_year)


def _worker(each: _Person) -> dict[str, object]:
    return {
        "name": each.name, "birth_year": each.birth_year,
        "employment": each.employment, "education": each.education,
    }  # fmt: skip


def _assignment(each: _Place) -> dict[str, object]:
    return {
        "worker_id": each.person.id, "grid_id": each.grid, "role": each.role,
        "valid_from": each.valid_from, "valid_to": each.valid_to,
    }  # fmt: skip

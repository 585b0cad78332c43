"""The holiday table of a city: read from TOML or CSV, kept in the database, edited a year at a time.

The State Council announces a year towards the end of the one before. `holidays.toml` holds the years that
were known when this version was made; it says where its days come from. A year without any day is not known:
then weekends alone count, and pages and commands say so.
"""

import csv
import io
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, extract, insert, select, text

from gridmgmt.db.engine import acting
from gridmgmt.errors import FileError, InputError
from gridmgmt.incidents.handling.models import DayKind, Holiday
from gridmgmt.incidents.working_days import WorkingDays
from gridmgmt.privacy import audit

PACKAGED = Path(__file__).with_name("holidays.toml")
LONGEST_NAME = 20
FIRST_YEAR, LAST_YEAR = 2000, 2100
# Nobody gets more than a month off at once, and a whole year has fewer days than that off or worked.
LONGEST_RUN, MOST_DAYS = 31, 120
_KINDS = {"off": DayKind.OFF, "work": DayKind.WORK, "休": DayKind.OFF, "班": DayKind.WORK}
_COLUMNS = ("day", "kind", "name")
_NAMED, _PLAIN = f"节日名称 1 至 {LONGEST_NAME} 个字", "日期应写作 2027-02-06，不加引号"


@dataclass(frozen=True, order=True)
class Day:
    """A day that is off, or worked although it is a weekend's."""

    day: date
    kind: DayKind
    name: str


@dataclass(frozen=True)
class BadRow:
    """A row of a file that is not allowed, what was found and what is allowed, and the same in Chinese."""

    row: str
    found: object
    allowed: str
    wrong: str = "文件读不出来或格式不对"

    def __str__(self) -> str:
        return f"{self.row}: found {self.found!r}, allowed: {self.allowed}"


class HolidayError(FileError):
    """A holiday file is not what is allowed; `rows` are all the bad ones, each on a line of the message."""

    def __init__(self, file: str, rows: Sequence[BadRow]) -> None:
        super().__init__(file, rows[0].row, rows[0].found, rows[0].allowed)
        self.args = ("\n".join(f"{file}: {row}" for row in rows),)
        self.rows = tuple(rows)


def read(words: str, file: str) -> list[Day]:
    """Return the days of a TOML text ([[holiday]]: name, from, to, work) or a CSV one (day, kind, name).

    Raises HolidayError that names every row that is not allowed, with what was found.
    """
    found: list[Day | BadRow] = list(_from_csv(words) if file.lower().endswith(".csv") else _from_toml(words))
    bad = [row for row in found if isinstance(row, BadRow)]
    days = [row for row in found if isinstance(row, Day)]
    bad = bad or list(_together(days))
    if bad or not days:
        raise HolidayError(file, bad or [BadRow("file", "no day", "the days of a year")])
    return sorted(days)


def check(year: int, days: Sequence[Day]) -> None:
    """Raise InputError unless these may be a year's days: each once, of that year, weekends if worked."""
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise InputError("year", year, f"{FIRST_YEAR} to {LAST_YEAR}")
    for each in days:
        if each.day.year != year:
            raise InputError("day", each.day.isoformat(), f"a day of {year}")
    bad = list(_together(days))
    if bad:
        raise HolidayError(str(year), bad)


def _together(days: Sequence[Day]) -> Iterator[BadRow]:
    """Give what is wrong with days of which each is right by itself."""
    seen: set[date] = set()
    for each in days:
        if each.day in seen:
            yield BadRow(each.day.isoformat(), "the same day again", "each day once", "这一天写了两次")
        if each.kind is DayKind.WORK and each.day.weekday() < 5:
            yield BadRow(
                each.day.isoformat(),
                "a weekday worked",
                "a weekend day that is worked",
                "调休上班的应是周六或周日",
            )
        seen.add(each.day)
    if len(days) > MOST_DAYS * len({day.year for day in seen}):
        yield BadRow("file", f"{len(days)} days", f"up to {MOST_DAYS} days a year", "天数太多")


def _from_csv(words: str) -> Iterator[Day | BadRow]:
    rows = csv.DictReader(io.StringIO(words.lstrip("\ufeff")))
    if tuple(rows.fieldnames or ()) != _COLUMNS:
        yield BadRow("row 1", ",".join(rows.fieldnames or ()), ",".join(_COLUMNS))
        return
    for number, row in enumerate(rows, 2):
        yield entry(f"row {number}", row["day"], row["kind"], row["name"])


def entry(row: str, day: str | None, kind: str | None, name: str | None) -> Day | BadRow:
    """Return the day that three texts name, or what is wrong with them; `kind` is off, work, 休 or 班."""
    try:
        found = date.fromisoformat((day or "").strip())
    except ValueError:
        return BadRow(f"{row}, day", day, "a day such as 2027-02-06", "日期应写作 2027-02-06")
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        return BadRow(f"{row}, day", day, f"a day of {FIRST_YEAR} to {LAST_YEAR}", "年份不对")
    if (kind or "").strip() not in _KINDS:
        return BadRow(f"{row}, kind", kind, ", ".join(_KINDS), "应为 休 或 班")
    if not _is_name(name):
        return BadRow(f"{row}, name", name, f"a name of 1 to {LONGEST_NAME} characters", _NAMED)
    return Day(found, _KINDS[str(kind).strip()], str(name).strip())


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name.strip()) <= LONGEST_NAME and name.isprintable()


def _from_toml(words: str) -> Iterator[Day | BadRow]:
    try:
        raw = tomllib.loads(words)
    except tomllib.TOMLDecodeError as error:
        yield BadRow("file", str(error), "TOML in UTF-8")
        return
    entries = raw.get("holiday")
    if set(raw) != {"holiday"} or not isinstance(entries, list):
        yield BadRow("file", ", ".join(raw), "[[holiday]] tables")
        return
    for number, holiday in enumerate(entries, 1):
        yield from _holiday(f"holiday {number}", holiday)


def _holiday(row: str, raw: Any) -> Iterator[Day | BadRow]:
    allowed = ("name", "from", "to", "work")
    if not isinstance(raw, dict) or set(raw) - set(allowed):
        yield BadRow(row, raw, f"a table of {', '.join(allowed)}")
        return
    name: Any = raw.get("name")
    first: Any = raw.get("from")
    last: Any = raw.get("to")
    work: Any = raw.get("work", [])
    if not _is_name(name):
        yield BadRow(f"{row}, name", name, f"a name of 1 to {LONGEST_NAME} characters", _NAMED)
    elif not (_is_day(first) and _is_day(last)):
        yield BadRow(
            f"{row}, from and to", f"{first} and {last}", "days such as 2027-02-06, without quotes", _PLAIN
        )
    elif not 0 <= (last - first).days < LONGEST_RUN:
        yield BadRow(f"{row}, to", str(last), f"from {first} on, up to {LONGEST_RUN} days", "起止日期不对")
    elif not isinstance(work, list) or not all(map(_is_day, work)):
        yield BadRow(f"{row}, work", work, "a list of days", _PLAIN)
    else:
        for n in range((last - first).days + 1):
            yield Day(first + timedelta(days=n), DayKind.OFF, str(name))
        yield from (Day(day, DayKind.WORK, str(name)) for day in work)


def _is_day(value: object) -> bool:
    return type(value) is date and FIRST_YEAR <= value.year <= LAST_YEAR


# --- in the database


def working_days(connection: Connection) -> WorkingDays:
    """Return the working days that the city's table gives."""
    rows = connection.execute(select(Holiday.day, Holiday.kind)).all()
    return _working_days(rows)


def packaged() -> WorkingDays:
    """Return the working days of the packaged table, for who has no database."""
    return _working_days((each.day, each.kind) for each in packaged_days())


def packaged_days() -> list[Day]:
    """Return the days that come with the program."""
    return read(PACKAGED.read_text(encoding="utf-8"), PACKAGED.name)


def _working_days(rows: Iterable[Any]) -> WorkingDays:
    days = {day: DayKind(kind) for day, kind in rows}
    return WorkingDays(
        off=frozenset(day for day, kind in days.items() if kind is DayKind.OFF),
        work=frozenset(day for day, kind in days.items() if kind is DayKind.WORK),
        known=frozenset(day.year for day in days),
    )


def years(connection: Connection) -> list[int]:
    """Return the years that are known, the first first."""
    year = extract("year", Holiday.day)
    return [int(found) for found in connection.scalars(select(year).distinct().order_by(year))]


def days_of(connection: Connection, year: int) -> list[Day]:
    """Return the days of a year that the table holds, in order."""
    rows = connection.execute(
        select(Holiday.day, Holiday.kind, Holiday.name)
        .where(extract("year", Holiday.day) == year)
        .order_by(Holiday.day)
    )
    return [Day(day, DayKind(kind), name) for day, kind, name in rows]


def replace_year(engine: Engine, who: str, year: int, rows: Sequence[Day]) -> None:
    """Put these days in the place of a year's, or make the year unknown with none; `engine` is the owner's.

    Limits that are set already stay as they are. Raises InputError as `check` does.
    """
    check(year, rows)
    with acting(engine, who, "") as connection:
        audit.record(connection, "code.change", detail={"kind": "工作日", "of": str(year)})
        connection.execute(text("LOCK TABLE holiday IN SHARE ROW EXCLUSIVE MODE"))
        connection.execute(delete(Holiday).where(extract("year", Holiday.day) == year))
        _add(connection, rows)


def install(engine: Engine) -> None:
    """Add the packaged days of the years that are not known yet; safe to repeat."""
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE holiday IN SHARE ROW EXCLUSIVE MODE"))
        known = set(years(connection))
        _add(connection, [day for day in packaged_days() if day.day.year not in known])


def _add(connection: Connection, rows: Sequence[Day]) -> None:
    if rows:
        values = [{"day": row.day, "kind": row.kind.value, "name": row.name} for row in rows]
        connection.execute(insert(Holiday), values)

"""Matters by month: numbers of towns and departments that an index divides one by another.

Each number counts a cohort that is complete when its month is over, so that it does not change afterwards
unless a matter itself does: is corrected, rated, or opened again. A department's matters are those of its
categories.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from gridmgmt.incidents.figures.values import SATISFIED
from gridmgmt.incidents.pool import problems
from gridmgmt.incidents.terms import Tier
from gridmgmt.incidents.words import TIER_WORDS

Numbers = NDArray[np.int64]
Count = Callable[[Numbers, int, Numbers, Any], Numbers]
PLEASED = 4
NEVER = 1 << 30
HOTLINE, ROUND = "12345", "grid_round"

_READ = """
COPY (SELECT coalesce(left(i.village, 9), '') AS town, i.category, coalesce(i.channel, '') AS channel,
    coalesce(i.level, '') AS level, {reported} AS reported, {due} AS due, {closed} AS closed,
    coalesce(i.closed_at <= i.due_at, false)::integer AS in_time,
    coalesce(i.closed_at - i.reported_at <= interval '7 days', false)::integer AS in_week,
    (i.status = 'closed' AND i.closed_at IS NULL)::integer AS lost,
    coalesce(i.satisfaction, 0) AS satisfaction,
    coalesce(ST_X(i.geom), 'nan') AS lon, coalesce(ST_Y(i.geom), 'nan') AS lat,
    (i.reported_at AT TIME ZONE 'Asia/Shanghai')::date - DATE '1970-01-01' AS day
FROM incident i WHERE i.reported_at < %(end)s ORDER BY i.reported_at, i.id) TO STDOUT (FORMAT csv, HEADER)
""".format(
    **{
        name: f"coalesce(date_part('year', i.{name}_at AT TIME ZONE 'Asia/Shanghai') * 12"
        f" + date_part('month', i.{name}_at AT TIME ZONE 'Asia/Shanghai') - 1, {NEVER})"
        for name in ("reported", "due", "closed")
    }
)


@dataclass(frozen=True)
class Counts:
    """A number of matters (units, categories, months); units are codes of towns or names of departments.

    A matter without a village is under '', one whose category has no department as well.
    """

    fact: str
    level: str
    units: list[str]
    categories: list[str]
    numbers: Numbers


def monthly(connection: Connection, first: date, last: date) -> Iterator[Counts]:
    """Give the numbers of matters of every month from `first` to `last`, both first days.

    A matter repeats another when that was told before, so that what is told later changes nothing: problems
    are folded by the day of the telling, from the first matter of all on. `connection` is the owner's.
    """
    table = _read(connection, last)
    codes, category = _encoded(table, "category")
    towns, town = _encoded(table, "town")
    query = text("SELECT code, coalesce(department, '') AS department FROM category")
    answers = {row.code: str(row.department) for row in connection.execute(query)}
    departments = sorted({answers.get(code, "") for code in codes})
    of_category = np.array([departments.index(answers.get(code, "")) for code in codes], np.int64)
    counted = _Counted(table, first, last, category, len(codes))
    numbers: list[tuple[str, Count, Numbers, Any]] = [
        *((fact, counted.grid, months, there) for fact, months, there in counted.cohorts()),
        *((fact, counted.standing, begin, end) for fact, begin, end in counted.stocks()),
    ]
    for level, names, unit in (("town", towns, town), ("department", departments, of_category[category])):
        for fact, count, when, which in numbers:
            yield Counts(fact, level, names, codes, count(unit, len(names), when, which))


def first_month(connection: Connection) -> date | None:
    """Return the month in which the first matter of all was reported, None without any."""
    query = "SELECT date_trunc('month', min(reported_at) AT TIME ZONE 'Asia/Shanghai')::date FROM incident"
    return connection.scalar(text(query))


def _read(connection: Connection, last: date) -> pa.Table:
    cursor = connection.connection.cursor()
    buffer = io.BytesIO()
    cursor.copy_expert(cursor.mogrify(_READ, {"end": _after(last)}).decode(), buffer)
    texts = dict.fromkeys(("town", "category", "channel", "level"), pa.string())
    numbers = dict.fromkeys(
        ("reported", "due", "closed", "in_time", "in_week", "lost", "satisfaction", "day"), pa.int32()
    )
    types = texts | numbers | dict.fromkeys(("lon", "lat"), pa.float64())
    options = pacsv.ConvertOptions(column_types=types, strings_can_be_null=False)
    return pacsv.read_csv(pa.BufferReader(buffer.getbuffer()), convert_options=options)


def _encoded(table: pa.Table, name: str) -> tuple[list[str], Numbers]:
    """Return the different words of a column, and which of them stands in each row."""
    found = table[name].combine_chunks().dictionary_encode()
    return found.dictionary.to_pylist(), np.asarray(found.indices.to_numpy(zero_copy_only=False), np.int64)


class _Counted:
    """The matters as columns, and how they are counted into months."""

    def __init__(self, table: pa.Table, first: date, last: date, category: Numbers, categories: int) -> None:
        self.categories = categories
        self.start = first.year * 12 + first.month - 1
        self.months = last.year * 12 + last.month - self.start
        self.category = category
        self.table = table
        self.reported = self._of("reported")
        # What was over before anybody told of it counts from then on.
        self.due, self.closed = (np.maximum(self._of(name), self.reported) for name in ("due", "closed"))

    def _of(self, name: str) -> Numbers:
        return np.asarray(self.table[name].to_numpy(), np.int64)

    def _is(self, name: str, *words: str) -> NDArray[np.bool_]:
        found = np.asarray(self.table[name].to_numpy(zero_copy_only=False), object)
        return np.isin(found.astype(str), words)

    def cohorts(self) -> Iterator[tuple[str, Numbers, NDArray[np.bool_]]]:
        """Give each number of a cohort: of which month each matter is, and whether it counts."""
        everything = np.ones(len(self.reported), bool)
        lon, lat, day = (self.table[name].to_numpy() for name in ("lon", "lat", "day"))
        placed = np.isfinite(lon)
        leads = problems(lon, lat, self.category, day.astype("datetime64[D]"))
        satisfaction = self._of("satisfaction")
        yield "matters.received", self.reported, everything
        yield "matters.placed", self.reported, placed
        yield "matters.repeated", self.reported, placed & (leads != np.arange(len(leads)))
        yield "matters.by_round", self.reported, self._is("channel", ROUND)
        yield "matters.by_hotline", self.reported, self._is("channel", HOTLINE)
        yield "matters.due", self.due, self._of("lost") == 0
        yield "matters.on_time", self.due, self._of("in_time") == 1
        yield "matters.closed", self.closed, everything
        yield "matters.closed_week", self.closed, self._of("in_week") == 1
        yield "matters.asked", self.closed, satisfaction > 0
        yield "matters.satisfied", self.closed, satisfaction >= SATISFIED
        yield "matters.pleased", self.closed, satisfaction >= PLEASED
        yield "matters.level_known", self.closed, self._is("level", *TIER_WORDS)
        for tier in Tier:
            words = [word for word, meant in TIER_WORDS.items() if meant is tier]
            yield f"matters.at_{tier.value}", self.closed, self._is("level", *words)

    def stocks(self) -> Iterator[tuple[str, Numbers, Numbers]]:
        """Give each stock: the months at whose end a matter begins and ceases to stand in it."""
        # When one was closed that has no time of closing is not known: it stands in none.
        ends = np.where(self._of("lost") == 1, -1, self.closed)
        yield "matters.open", self.reported, ends
        yield "matters.overdue", self.due, ends

    def grid(self, unit: Numbers, units: int, months: Numbers, there: NDArray[np.bool_]) -> Numbers:
        """Return counts (units, categories, months) of the matters that count."""
        month = months - self.start
        return self._summed(unit, units, month, there & (month >= 0) & (month < self.months))

    def standing(self, unit: Numbers, units: int, begin: Numbers, end: Numbers) -> Numbers:
        """Return how many stand at the end of each month, (units, categories, months)."""
        begin = np.maximum(begin - self.start, 0)
        end = np.clip(end - self.start, 0, self.months)
        there = (begin < self.months) & (end > begin)
        came = self._summed(unit, units, begin, there)
        left = self._summed(unit, units, end, there & (end < self.months))
        standing: Numbers = np.cumsum(came - left, axis=2)
        return standing

    def _summed(self, unit: Numbers, units: int, month: Numbers, there: NDArray[np.bool_]) -> Numbers:
        shape = (units, self.categories, self.months)
        key = np.ravel_multi_index((unit[there], self.category[there], month[there]), shape)
        return np.bincount(key, minlength=int(np.prod(shape))).reshape(shape)


_ROUNDS = """
SELECT DISTINCT g.code15 AS grid,
    date_trunc('month', i.reported_at AT TIME ZONE 'Asia/Shanghai')::date AS month
FROM incident i JOIN grid g ON g.id = i.grid_id
WHERE i.channel = :channel AND i.reported_at >= :start AND i.reported_at < :end
"""


def round_grids(connection: Connection, first: date, last: date) -> set[tuple[str, date]]:
    """Return grids with the months in which a matter was found on a round (网格排查) of theirs."""
    bound = {"channel": ROUND, "start": first, "end": _after(last)}
    return {(row.grid, row.month) for row in connection.execute(text(_ROUNDS), bound)}


def _after(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)

"""Trees whose values are the facts themselves, and matters of any kind, for whoever tests building."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from gridmgmt.calendar import CHINA
from gridmgmt.index import service
from gridmgmt.index.facts import NAMES
from gridmgmt.index.periods import months_before
from gridmgmt.index.service import build
from gridmgmt.index.tree import Level

from . import matter_world as world
from .form_tree import add_tree
from .matter_world import COUNTY, TOWN_OTHER, TOWN_OWN, URBAN, WATER_BUREAU, World

NOVEMBER, DECEMBER, JANUARY, FEBRUARY, MARCH = (
    months_before(date(2026, 3, 1), back) for back in range(4, -1, -1)
)
TODAY = date(2026, 4, 10)
UNITS = (TOWN_OWN, TOWN_OTHER, URBAN, WATER_BUREAU, COUNTY)
HEAD = """
code = "facts"
name = "数字"
ways = ["arithmetic", "arithmetic", "arithmetic"]
[[group]]
code = "1"
name = "全部"
weight = 1
[[group]]
code = "1.1"
name = "全部"
weight = 1
"""


def tree(*leaves: str) -> str:
    """A tree of indicators that are given by their own keys."""
    return HEAD + "".join(
        f'[[indicator]]\ncode = "1.1.{n}"\nname = "指标{n}"\nweight = {1 / len(leaves)!r}\nunit = "件"\n'
        f'better = "more"\nfloor = 0\ntarget = 100\n{leaf}\n'
        for n, leaf in enumerate(leaves, 1)
    )


def leaf(measured: str, *levels: Level) -> str:
    listed = ", ".join(f'"{level}"' for level in levels or (Level.TOWN, Level.CITY))
    return f"levels = [{listed}]\nmeasured = {{ {measured} }}"


def facts_tree(names: Sequence[str]) -> str:
    """A tree whose values are the facts themselves."""
    return tree(*(leaf(f'part = "{name}", per = 1', *NAMES[name].levels) for name in names))


ENTERED = 'levels = ["town"]\ndepartment = "水利局"\ngap = "last"\ngap_months = 2'


def made(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The county of `matter_world` on a day in April."""
    small = world.build(engine)
    run(small, "SELECT ensure_incident_year(y) FROM generate_series(2024, 2026) AS y")
    at_day(monkeypatch, TODAY)
    yield small
    small.matters.dispose()


def at_day(monkeypatch: pytest.MonkeyPatch, day: date) -> None:
    monkeypatch.setattr(service, "china_today", lambda: day)


def run(small: World, statement: str, **bound: Any) -> Any:
    with small.owner.begin() as connection:
        found = connection.execute(text(statement), bound)
        return found.fetchall() if found.returns_rows else None


def go_by(small: World, document: str, since: date = date(2020, 1, 1)) -> None:
    with small.owner.begin() as connection:
        add_tree(connection, document, since)


def rows(small: World) -> list[Any]:
    """All values as they stand, without the moment."""
    columns = (
        "indicator, unit, month, level, status, value, part, whole, carried, carried_from, entry_id, made_by"
    )
    return list(run(small, f"SELECT {columns} FROM indicator_value ORDER BY 1, 2, 3"))


def value(small: World, unit: str, month: date, indicator: str = "1.1.1") -> float | None:
    return {(row.indicator, row.unit, row.month): row.value for row in rows(small)}[indicator, unit, month]


def measured(small: World, names: Sequence[str], month: date) -> dict[tuple[str, str], float | None]:
    """Build a month by a tree of facts; return them by name and unit."""
    go_by(small, facts_tree(names))
    build(small.owner, [month], "t")
    by_code = {f"1.1.{n}": name for n, name in enumerate(names, 1)}
    return {(by_code[row.indicator], row.unit): row.value for row in rows(small) if row.month == month}


@dataclass(frozen=True)
class Matter:
    """A matter as a file or a person tells it; `metres` is its place in its grid, None for nobody knows."""

    grid: str | None
    category: str
    reported: datetime
    metres: int | None = 0
    due: datetime | None = None
    closed: datetime | None = None
    is_open: bool = False
    channel: str | None = "12345"
    level: str | None = None
    satisfaction: int | None = None
    days_ago: int = 0


def write(small: World, matters: Sequence[Matter]) -> None:
    for told in matters:
        lon, lat = (None, None)
        if told.grid and told.metres is not None:
            lon, lat = world.middle(told.grid)
            lat += told.metres / 111_195
        occurred = min(told.reported, told.closed or told.reported) - timedelta(days=told.days_ago)
        run(
            small,
            """
            INSERT INTO incident (source, external_id, category, channel, occurred_at, occurred_on,
                reported_at, status, due_at, closed_at, satisfaction, level, grid_id, village, digest, geom)
            VALUES ('t', :id, :category, :channel, :at, :day, :reported, :status, :due, :closed,
                :satisfaction, :level, :grid, :village, :id, ST_SetSRID(ST_MakePoint(:lon, :lat), 4490))
            """,
            id=str(uuid.uuid4()), category=told.category, channel=told.channel, at=occurred,
            day=occurred.astimezone(CHINA).date(), reported=told.reported,
            status="open" if told.is_open else "closed", due=told.due, closed=told.closed,
            satisfaction=told.satisfaction, level=told.level, grid=told.grid and small.grid[told.grid],
            village=told.grid and told.grid[:12], lon=lon, lat=lat,
        )  # fmt: skip


def start(month: date) -> datetime:
    return datetime(month.year, month.month, 1, tzinfo=CHINA)

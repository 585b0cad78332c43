"""Figures of handling over worlds small enough to count by hand; parts add up to the whole."""

import uuid
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from io import BytesIO
from typing import Any

import openpyxl
import pytest
from sqlalchemy import Engine, text

from gridmgmt.calendar import CHINA
from gridmgmt.errors import InputError
from gridmgmt.incidents.actor import Actor
from gridmgmt.incidents.figures import book, draw
from gridmgmt.incidents.figures.repeats import repeats
from gridmgmt.incidents.figures.stored import figures
from gridmgmt.incidents.figures.values import FEWEST, By, Figures, Line, Period, Question
from gridmgmt.incidents.handling import hands
from gridmgmt.incidents.terms import Tier

from . import matter_world as world
from .matter_world import CENTRE, DEPARTMENT, NOISE, OFFICE, OTHER_OFFICE, RUBBISH, URBAN, WATER, World

YEAR = Question(Period(date(2026, 1, 1), date(2026, 12, 31)))


@pytest.fixture
def small(engine: Engine) -> Iterator[World]:
    made = world.build(engine)
    yield made
    made.matters.dispose()


def tell(small: World, count: int = 1, *, grid: str | None = world.GRID_OWN, **said: Any) -> None:
    """Write matters as an import does: closed after 10 hours in time, nobody asked, unless said otherwise."""
    at = said.pop("at", datetime(2026, 3, 2, 9, tzinfo=CHINA))
    hours = said.pop("hours", 10)
    closed_at = at + timedelta(hours=hours) if hours is not None else None
    row = {
        "category": NOISE, "channel": "12345", "status": "closed", "due_at": at + timedelta(days=3),
        "closed_at": closed_at, "satisfaction": None, "level": None, **said,
    }  # fmt: skip
    lon, lat = world.middle(grid) if grid else (None, None)
    with small.owner.begin() as connection:
        connection.execute(text("SELECT ensure_incident_year(:year)"), {"year": at.year})
        for _ in range(count):
            connection.execute(
                text("""
                INSERT INTO incident (source, external_id, category, channel, occurred_at, occurred_on,
                    reported_at, status, due_at, closed_at, satisfaction, level, grid_id, digest, geom)
                VALUES ('t', :id, :category, :channel, :at, :day, :at, :status, :due_at, :closed_at,
                    :satisfaction, :level, :grid, :id, ST_SetSRID(ST_MakePoint(:lon, :lat), 4490))
                """),
                row | {
                    "id": str(uuid.uuid4()), "at": at, "day": at.astimezone(CHINA).date(),
                    "grid": small.grid[grid] if grid else None, "lon": lon, "lat": lat,
                },
            )  # fmt: skip


def whole(small: World, actor: Actor = CENTRE, question: Question = YEAR) -> Line:
    return figures(small.matters, actor, question).whole


def received(lines: list[Line]) -> dict[str, int]:
    return {line.code: line.now.received for line in lines if line.now.received}


def test_each_figure_is_what_a_hand_counts(small):
    tell(small, 6, satisfaction=5)
    tell(small, 3, satisfaction=3, hours=20)
    tell(small, 2, satisfaction=2, hours=100)  # late: due after 72 hours
    tell(small, 4, hours=None)  # closed, nobody knows when
    tell(small, 3, status="open", hours=None)  # open and over its limit
    later = datetime.now(CHINA) + timedelta(days=90)
    tell(small, 2, status="open", hours=None, due_at=later)
    found = whole(small).now
    assert (found.received, found.closed, found.closed_rate) == (20, 15, 15 / 20)
    assert (found.timed, found.on_time, found.on_time_rate) == (14, 9, 9 / 14)
    assert (found.asked, found.satisfied, found.satisfied_rate) == (11, 9, 9 / 11)
    assert (found.measured, found.median_hours) == (11, 10.0)


def test_the_median_of_an_even_number_lies_between_the_two_in_the_middle():
    assert Figures(hours={1: 5, 4: 5}).median_hours == 2.5
    assert Figures(hours={1: 5, 4: 6}).median_hours == 4.0


def test_a_rate_of_few_is_not_shown_and_their_number_is(small):
    tell(small, FEWEST - 1, satisfaction=5)
    few = whole(small).now
    assert (few.closed_rate, few.on_time_rate, few.satisfied_rate, few.median_hours) == (None,) * 4
    assert (few.received, few.closed, few.asked) == (FEWEST - 1,) * 3
    tell(small)
    assert whole(small).now.closed_rate == 1.0


def test_a_day_is_chinas_day(small):
    tell(small, at=datetime(2025, 12, 31, 23, 59, tzinfo=CHINA))
    tell(small, 2, at=datetime(2026, 1, 1, 0, 0, tzinfo=CHINA))
    tell(small, 4, at=datetime(2026, 12, 31, 23, 59, tzinfo=CHINA))
    found = whole(small)
    assert (found.now.received, found.before.received) == (6, 1)


def test_the_year_before_is_the_same_days_of_it(small):
    period = Period(date(2026, 3, 1), date(2026, 3, 31))
    tell(small, 2, at=datetime(2025, 3, 15, tzinfo=CHINA))
    tell(small, 4, at=datetime(2025, 4, 1, tzinfo=CHINA))
    tell(small)
    found = whole(small, question=Question(period))
    assert (found.now.received, found.before.received) == (1, 2)
    assert Period(date(2024, 2, 29), date(2024, 3, 1)).year_before == Period(
        date(2023, 2, 28), date(2023, 3, 1)
    )


@pytest.fixture
def mixed(small: World) -> World:
    """Matters of two towns and of no place, three categories, two channels, two months, two years."""
    tell(small, 3, satisfaction=5, level="village")
    tell(small, 2, grid=world.GRID_SECOND, category=WATER, channel="wechat", level="镇街", hours=30)
    tell(small, 4, grid=world.GRID_OTHER, category=RUBBISH, channel=None, level="city", satisfaction=1)
    tell(small, 1, grid=None, status="open", hours=None, at=datetime(2026, 7, 1, tzinfo=CHINA))
    tell(small, 5, grid=world.GRID_OTHER, at=datetime(2025, 3, 1, tzinfo=CHINA))
    return small


@pytest.mark.parametrize("area", ["", world.TOWN_OWN, world.VILLAGE_OWN, world.TOWN_OTHER])
def test_the_lines_of_every_breakdown_add_up_to_the_whole(mixed, area):
    answer = figures(mixed.matters, CENTRE, Question(YEAR.period, area))
    for by in By:
        for side in ("now", "before"):
            lines, total = [getattr(line, side) for line in answer.lines[by]], getattr(answer.whole, side)
            for name in ("received", "closed", "timed", "on_time", "asked", "satisfied", "measured"):
                assert sum(getattr(line, name) for line in lines) == getattr(total, name), (by, name)
            for tier in Tier:
                assert sum(line.settled.get(tier, 0) for line in lines) == total.settled.get(tier, 0)


def test_breakdowns_say_what_belongs_where(mixed):
    lines = figures(mixed.matters, CENTRE, YEAR).lines
    assert received(lines[By.AREA]) == {world.TOWN_OWN: 5, world.TOWN_OTHER: 4, "": 1}
    assert received(lines[By.CATEGORY]) == {"11": 8, "12": 2}
    assert received(lines[By.CHANNEL]) == {"12345": 4, "wechat": 2, "": 4}
    assert received(lines[By.DEPARTMENT]) == {URBAN: 8, world.WATER_BUREAU: 2}
    assert received(lines[By.MONTH]) == {"3": 9, "7": 1}
    assert [line.name for line in lines[By.MONTH]] == [f"{month}月" for month in range(1, 13)]
    own = figures(mixed.matters, CENTRE, Question(YEAR.period, world.TOWN_OWN)).lines
    assert received(own[By.AREA]) == {world.VILLAGE_OWN: 3, world.VILLAGE_SECOND: 2}
    kinds = figures(mixed.matters, CENTRE, Question(YEAR.period, category="11")).lines[By.CATEGORY]
    assert received(kinds) == {NOISE: 4, RUBBISH: 4}


def test_levels_are_read_in_the_words_of_files_too(mixed):
    assert whole(mixed).now.settled == {Tier.VILLAGE: 3, Tier.TOWN: 2, Tier.CITY: 4}


def test_leaving_breakdowns_out_changes_nothing_of_the_others(mixed):
    every = figures(mixed.matters, CENTRE, YEAR)
    some = figures(mixed.matters, CENTRE, YEAR, (By.AREA, By.CHANNEL), (By.AREA,))
    assert set(some.lines) == {By.AREA, By.CHANNEL}
    assert (some.whole, some.lines[By.AREA]) == (every.whole, every.lines[By.AREA])
    assert received(some.lines[By.CHANNEL]) == received(every.lines[By.CHANNEL])


def test_an_office_counts_its_own_town_and_asks_for_no_other(mixed):
    own = Question(YEAR.period, world.TOWN_OWN)
    assert whole(mixed, OFFICE, own).now == whole(mixed, CENTRE, own).now
    assert whole(mixed, OTHER_OFFICE, Question(YEAR.period, world.TOWN_OTHER)).now.received == 4
    with pytest.raises(InputError, match=f"area.*{world.TOWN_OWN}"):
        figures(mixed.matters, OFFICE, Question(YEAR.period, world.TOWN_OTHER))


def test_a_department_counts_what_it_has_or_had_in_hand_under_whoever_leads(small):
    now = datetime.now(CHINA)
    question = Question(Period(now.date(), now.date()))
    first, other = small.take_in(category=WATER), small.take_in()
    hands.hand(small.matters, OFFICE, first.case_id, None, [URBAN])
    answer = figures(small.matters, DEPARTMENT, question)
    assert answer.whole.now.received == 1
    assert received(answer.lines[By.DEPARTMENT]) == {URBAN: 1}
    # At the centre the one that was handed counts for who leads it, the other for its category's department.
    assert received(figures(small.matters, CENTRE, question).lines[By.DEPARTMENT]) == {URBAN: 2}
    assert other.case_id != first.case_id


def test_what_is_not_known_is_refused(small):
    with pytest.raises(InputError, match="category"):
        whole(small, question=Question(YEAR.period, category="99"))
    with pytest.raises(InputError, match="channel"):
        whole(small, question=Question(YEAR.period, channel="smoke"))
    with pytest.raises(InputError, match="to"):
        Period(date(2026, 1, 2), date(2026, 1, 1))


def test_a_problem_told_again_within_14_days_at_the_place_counts_as_a_repeat(small):
    for day in (1, 10, 20, 30):  # the first takes in the second; the third opens a new one, with the fourth
        tell(small, at=datetime(2026, 3, day, 9, tzinfo=CHINA))
    tell(small, category=WATER, at=datetime(2026, 3, 2, 9, tzinfo=CHINA))
    tell(small, grid=world.GRID_OTHER, at=datetime(2026, 3, 3, 9, tzinfo=CHINA))
    tell(small, grid=None, at=datetime(2026, 3, 4, 9, tzinfo=CHINA))
    now, before = repeats(small.matters, CENTRE, YEAR)
    assert (now.placed, now.again, before.placed) == (6, 2, 0)
    assert now.by_category == {"11": (5, 2), "12": (1, 0)}


def test_the_first_days_of_a_period_know_what_was_told_just_before_it(small):
    tell(small, at=datetime(2026, 2, 25, 9, tzinfo=CHINA))
    tell(small, at=datetime(2026, 3, 2, 9, tzinfo=CHINA))
    now, _ = repeats(small.matters, CENTRE, Question(Period(date(2026, 3, 1), date(2026, 3, 31))))
    assert (now.placed, now.again) == (1, 1)


def test_the_workbook_says_whole_lines_period_and_what_the_figures_mean(mixed):
    tell(mixed, 5)
    handout = book.Handout(
        figures(mixed.matters, CENTRE, YEAR), repeats(mixed.matters, CENTRE, YEAR), "样例县", "", "=1+1",
        datetime(2026, 11, 22, 9, tzinfo=CHINA),
    )  # fmt: skip
    read = openpyxl.load_workbook(BytesIO(book.workbook(handout)))
    assert read.sheetnames == ["总表", "按区域", "按月份", "按类别", "按渠道", "按部门", "指标说明"]
    rows = {row[0]: row[1:] for row in read["总表"].iter_rows(min_row=5, max_row=17, values_only=True)}
    assert rows["受理"][:3] == ("件", 15, 5)
    assert rows["办结率"] == ("%", 14 / 15, "不足10件", 0.974)
    towns = list(read["按区域"].iter_rows(min_row=2, values_only=True))
    assert sum(row[2] for row in towns[:-1]) == towns[-1][2] == 15
    assert "2026年1月1日至2026年12月31日" in read["总表"]["A1"].value
    assert "=1+1" in read["总表"]["A2"].value


def test_bars_and_columns_are_drawn_to_one_scale():
    lines = [Line(str(n), str(n), Figures(received=n), Figures(received=2 * n)) for n in (10, 40)]
    chart = draw.columns(lines)
    assert [value for value, _ in chart.ticks] == [0, 20, 40, 60, 80]
    assert [each.now[3] for each in chart.columns] == [20.0, 80.0]
    assert [each.before[3] for each in chart.columns] == [40.0, 160.0]
    assert [(bar.line.code, bar.width, bar.mark) for bar in draw.bars(lines)] == [
        ("40", 50.0, 100.0), ("10", 12.5, 25.0),
    ]  # fmt: skip

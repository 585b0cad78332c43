"""Building months of the index: facts of matters against a plain count, and what building leaves as it is."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from gridmgmt.calendar import CHINA
from gridmgmt.errors import InputError, NotFoundError
from gridmgmt.index import stored
from gridmgmt.index.facts import NAMES
from gridmgmt.index.periods import months_before
from gridmgmt.index.service import build
from gridmgmt.index.tree import Level

from . import matter_world as world
from .index_build_world import (
    DECEMBER,
    ENTERED,
    FEBRUARY,
    JANUARY,
    MARCH,
    NOVEMBER,
    UNITS,
    Matter,
    facts_tree,
    go_by,
    leaf,
    made,
    measured,
    rows,
    run,
    start,
    tree,
    value,
    write,
)  # fmt: skip
from .matter_world import (
    COUNTY,
    FEE,
    NOISE,
    RUBBISH,
    TOWN_OTHER,
    TOWN_OWN,
    URBAN,
    WATER,
    WATER_BUREAU,
    World,
)  # fmt: skip


@pytest.fixture
def small(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    yield from made(engine, monkeypatch)


ANSWERS = {NOISE: URBAN, RUBBISH: URBAN, WATER: WATER_BUREAU, FEE: None}
OFFSETS = [timedelta(milliseconds=-1), *(timedelta(days=n) for n in (0, 3, 7, 10, 14, 15, 24))]
moments = st.builds(
    lambda month, offset: start(month) + offset,
    st.sampled_from([NOVEMBER, DECEMBER, JANUARY, FEBRUARY]), st.sampled_from(OFFSETS),
)  # fmt: skip


@st.composite
def matters(draw: st.DrawFn) -> Matter:
    reported = draw(moments)
    is_open = draw(st.booleans())
    spans = st.sampled_from([timedelta(days=n) for n in (-2, 0, 7, 8, 20, 40)])
    closed = None if is_open or draw(st.booleans()) else reported + draw(spans)
    grid = draw(st.sampled_from([world.GRID_OWN, world.GRID_SECOND, world.GRID_OTHER, None]))
    return Matter(
        grid,
        draw(st.sampled_from([NOISE, NOISE, WATER, FEE])),
        reported,
        draw(st.sampled_from([0, 0, 40, 80, None])) if grid else None,
        due=draw(st.none() | st.just(reported + draw(spans))),
        closed=closed,
        is_open=is_open,
        channel=draw(st.sampled_from(["12345", "grid_round", None])),
        level=draw(st.sampled_from([None, "village", "镇街", "市"])),
        satisfaction=draw(st.sampled_from([None, 1, 3, 4, 5])),
        days_ago=draw(st.sampled_from([0, 0, 20])),
    )


def again(told: Sequence[Matter]) -> set[int]:
    """Return which matters tell of a problem that one before them opened."""
    opened: list[Matter] = []
    found = set()
    for n in sorted(range(len(told)), key=lambda n: (told[n].reported, n)):
        one = told[n]
        if one.metres is None:
            continue
        if any(
            (one.grid, one.category) == (other.grid, other.category)
            and abs(one.metres - (other.metres or 0)) <= 50
            and (one.reported.astimezone(CHINA).date() - other.reported.astimezone(CHINA).date()).days <= 14
            for other in opened
        ):
            found.add(n)
        else:
            opened.append(one)
    return found


TIERS = {"village": "village", "镇街": "town", "市": "city"}


def counted(told: Sequence[Matter], month: date) -> Counter[tuple[str, str]]:
    """Return the facts of matters in a month as a reader of their words would count them."""
    end = start(months_before(month, -1))
    repeats, counts = again(told), Counter[tuple[str, str]]()
    for n, one in enumerate(told):
        received, due, closed = (
            at is not None and start(month) <= max(at, one.reported) < end
            for at in (one.reported, one.due, one.closed)
        )
        lost, tier = not one.is_open and one.closed is None, TIERS.get(one.level or "")
        stands = one.reported < end and not lost and not (one.closed and max(one.closed, one.reported) < end)
        late = bool(one.due and max(one.due, one.reported) < end)
        facts = {
            "received": received,
            "placed": received and one.metres is not None,
            "repeated": received and n in repeats,
            "by_round": received and one.channel == "grid_round",
            "by_hotline": received and one.channel == "12345",
            "due": due and not lost,
            "on_time": due and one.closed and one.closed <= one.due,
            "closed": closed,
            "closed_week": closed and one.closed and one.closed - one.reported <= timedelta(days=7),
            "asked": closed and one.satisfaction,
            "satisfied": closed and (one.satisfaction or 0) >= 3,
            "pleased": closed and (one.satisfaction or 0) >= 4,
            "level_known": closed and tier,
            **{f"at_{each}": closed and tier == each for each in ("village", "town", "city")},
            "open": stands,
            "overdue": stands and late,
        }
        units = {COUNTY, one.grid[:9] if one.grid else "", ANSWERS[one.category] or ""} - {""}
        counts.update((f"matters.{name}", unit) for name, holds in facts.items() if holds for unit in units)
    return counts


OF_MATTERS = [name for name in NAMES if name.startswith("matters.")]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(matters(), max_size=25))
def test_facts_of_matters_are_what_a_plain_count_finds_and_months_together_as_one_by_one(small, told):
    run(
        small,
        "DELETE FROM indicator_value; DELETE FROM index_month; DELETE FROM index_tree; DELETE FROM incident",
    )
    go_by(small, facts_tree(OF_MATTERS))
    write(small, told)
    months = [NOVEMBER, DECEMBER, JANUARY, FEBRUARY]
    assert build(small.owner, months, "t").months == tuple(months)
    together = rows(small)
    first = min((one.reported for one in told), default=start(MARCH))
    found = {(row.indicator, row.unit, row.month): row.value for row in together}
    for month in months:
        expected, known = counted(told, month), first < start(months_before(month, -1))
        for n, name in enumerate(OF_MATTERS, 1):
            for unit in UNITS:
                number = expected[name, unit] if known else None
                assert found[f"1.1.{n}", unit, month] == number, (name, unit, month)
    run(small, "DELETE FROM indicator_value; DELETE FROM index_month")
    for month in months:
        build(small.owner, [month], "t")
    assert rows(small) == together


def test_a_month_ends_with_the_last_moment_of_chinas_day(small):
    write(small, [
        Matter(world.GRID_OWN, NOISE, start(MARCH) - timedelta(milliseconds=1), is_open=True),
        Matter(world.GRID_OWN, NOISE, start(MARCH), is_open=True),
        Matter(world.GRID_OWN, WATER, start(FEBRUARY), closed=start(MARCH), due=start(MARCH)),
    ])  # fmt: skip
    found = measured(small, ["matters.received", "matters.open", "matters.closed", "matters.due"], FEBRUARY)
    assert [found[f"matters.{name}", COUNTY] for name in ("received", "open", "closed", "due")] == [
        2,
        2,
        0,
        0,
    ]


def test_what_was_over_before_anybody_told_of_it_counts_from_then_on(small):
    day_before = start(MARCH) - timedelta(days=1)
    write(small, [
        Matter(world.GRID_OWN, NOISE, start(MARCH), closed=day_before, due=day_before),
        Matter(world.GRID_OTHER, NOISE, start(FEBRUARY), closed=start(FEBRUARY)),
    ])  # fmt: skip
    go_by(small, facts_tree(["matters.due", "matters.closed", "matters.open"]))
    build(small.owner, [FEBRUARY, MARCH], "t")
    for month, expected in ((FEBRUARY, [0, 0, 0]), (MARCH, [1, 1, 0])):
        assert [value(small, TOWN_OWN, month, f"1.1.{n}") for n in (1, 2, 3)] == expected


def test_a_problem_is_known_however_long_ago_its_row_began(small):
    """Three tellings 10 days apart: the third is beyond the first one's reach and opens a problem anew."""
    days = (start(JANUARY) + timedelta(days=n) for n in (13, 23, 33))
    write(small, [Matter(world.GRID_OWN, NOISE, day) for day in days])
    assert measured(small, ["matters.repeated"], FEBRUARY)["matters.repeated", COUNTY] == 0
    build(small.owner, [JANUARY], "t")
    assert value(small, COUNTY, JANUARY) == 1


def test_categories_narrow_with_all_below_them(small):
    told = [(NOISE, 2), (RUBBISH, 3), (WATER, 4), (FEE, 5)]
    write(small, [Matter(world.GRID_OWN, kind, start(MARCH)) for kind, count in told for _ in range(count)])
    go_by(small, tree(
        leaf('part = "matters.received", per = 1, categories = ["市容环境", "灌溉用水"]'),
        leaf('part = "matters.received", per = 1, categories = ["垃圾清运"]'),
    ))  # fmt: skip
    build(small.owner, [MARCH], "t")
    assert [value(small, TOWN_OWN, MARCH, f"1.1.{n}") for n in (1, 2)] == [9, 3]


# --- values


def test_a_value_is_a_share_of_the_month_or_of_one_before_and_nothing_of_too_few(small):
    for month, count in ((FEBRUARY, 4), (MARCH, 6)):
        write(small, [
            Matter(world.GRID_OWN, NOISE, start(month), channel="grid_round" if n < 3 else None)
            for n in range(count)
        ])  # fmt: skip
    go_by(small, tree(
        leaf('part = "matters.by_round", of = "matters.received", fewest = 5'),
        leaf('part = "matters.received", of = "matters.received", of_months_before = 1, fewest = 4'),
    ))  # fmt: skip
    assert build(small.owner, [FEBRUARY, MARCH], "t").measured == 2 + 2
    assert [value(small, TOWN_OWN, month) for month in (FEBRUARY, MARCH)] == [None, 50]
    assert [value(small, TOWN_OWN, month, "1.1.2") for month in (FEBRUARY, MARCH)] == [None, 150]
    assert value(small, TOWN_OTHER, MARCH) is None
    shown = next(row for row in rows(small) if (row.unit, row.month) == (TOWN_OWN, FEBRUARY))
    assert (shown.status, shown.part, shown.whole) == ("missing", 3, 4)


def enter(
    small: World, month: date, number: float | None, unit: str = TOWN_OWN, entry: int | None = None
) -> None:
    run(
        small,
        "INSERT INTO indicator_value (indicator, unit, month, level, status, value, entry_id, made_by)"
        " VALUES ('1.1.1', :unit, :month, 'town', :status, :value, :entry, 'clerk')",
        unit=unit, month=month, value=number, status="missing" if number is None else "entered", entry=entry,
    )  # fmt: skip


def test_what_was_entered_stays_and_stands_in_for_two_months(small):
    go_by(small, tree(ENTERED))
    enter(small, NOVEMBER, 80)
    enter(small, DECEMBER, 90)
    build(small.owner, [DECEMBER, JANUARY, FEBRUARY, MARCH], "t")
    found = {(row.unit, row.month): row for row in rows(small)}
    assert (found[TOWN_OWN, DECEMBER].value, found[TOWN_OWN, DECEMBER].made_by) == (90, "clerk")
    carried = [
        (found[TOWN_OWN, month].carried, found[TOWN_OWN, month].carried_from) for month in (JANUARY, FEBRUARY)
    ]
    assert carried == [(90, DECEMBER)] * 2
    assert found[TOWN_OWN, MARCH].carried is None
    assert found[TOWN_OTHER, JANUARY][4:9] == ("missing", None, None, None, None)


def test_a_department_that_said_there_is_none_has_said_so_after_building_too(small):
    go_by(small, tree(ENTERED))
    add = "INSERT INTO index_entry (file, sha256, cells, added_by) VALUES ('f', 'x', 1, 'clerk') RETURNING id"
    enter(small, FEBRUARY, 70)
    enter(small, MARCH, None, entry=run(small, add)[0].id)
    build(small.owner, [MARCH], "t")
    said = next(row for row in rows(small) if (row.unit, row.month) == (TOWN_OWN, MARCH))
    assert (said.entry_id is not None, said.made_by, said.carried, said.carried_from) == (
        True,
        "clerk",
        70,
        FEBRUARY,
    )
    run(small, "DELETE FROM indicator_value WHERE month = :month", month=FEBRUARY)
    build(small.owner, [MARCH], "t")
    assert [row.carried for row in rows(small)] == [None, None]


def test_building_again_gives_the_same_and_issued_months_stand(small):
    go_by(small, tree(leaf('part = "matters.received", per = 1'), ENTERED))
    write(small, [Matter(world.GRID_OWN, NOISE, start(month)) for month in (FEBRUARY, MARCH)])
    first = build(small.owner, [FEBRUARY, MARCH, MARCH], "t")
    before = rows(small)
    assert (first.months, first.issued, first.measured, first.missing) == ((FEBRUARY, MARCH), (), 6, 4)
    build(small.owner, [MARCH, FEBRUARY], "t")
    assert rows(small) == before
    run(small, "UPDATE index_month SET issued_at = now() WHERE month = :month", month=FEBRUARY)
    write(small, [Matter(world.GRID_OWN, NOISE, start(month)) for month in (FEBRUARY, MARCH)])
    later = build(small.owner, [FEBRUARY, MARCH], "t")
    assert (later.months, later.issued) == ((MARCH,), (FEBRUARY,))
    assert [value(small, TOWN_OWN, month) for month in (FEBRUARY, MARCH)] == [1, 2]


def test_a_new_tree_takes_away_what_it_does_not_ask_for(small):
    go_by(small, tree(leaf('part = "matters.received", per = 1'), leaf('part = "matters.open", per = 1')))
    write(small, [Matter(world.GRID_OWN, NOISE, start(MARCH))])
    build(small.owner, [MARCH], "t")
    go_by(small, tree(leaf('part = "matters.received", per = 1', Level.CITY)), MARCH)
    build(small.owner, [MARCH], "t")
    assert [(row.indicator, row.unit, row.value) for row in rows(small)] == [("1.1.1", COUNTY, 1)]
    with small.owner.connect() as connection:
        newest = stored.version_of(connection, MARCH).id
    assert run(small, "SELECT month, tree_id, built_by FROM index_month") == [(MARCH, newest, "t")]


@pytest.mark.parametrize("month", [date(2026, 5, 1), date(2026, 4, 2)])
def test_only_months_that_have_begun_are_built(small, month):
    with pytest.raises(InputError, match="2026-04"):
        build(small.owner, [MARCH, month], "t")
    assert rows(small) == []


def test_a_month_before_all_trees_has_none(small):
    with pytest.raises(NotFoundError, match="1899-12"):
        build(small.owner, [MARCH, date(1899, 12, 1)], "t")
    assert rows(small) == []

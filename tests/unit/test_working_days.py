"""Working days: the starting day does not count, a period ends at closing, holidays move it; hours run on."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmgmt.calendar import CHINA
from gridmgmt.errors import InputError
from gridmgmt.incidents import holidays
from gridmgmt.incidents.flows.flow import Limit
from gridmgmt.incidents.handling.models import DayKind
from gridmgmt.incidents.holidays import Day, HolidayError
from gridmgmt.incidents.working_days import CLOSES, Light, WorkingDays, left, light

DAYS = holidays.packaged()

moments = st.datetimes(
    datetime(2022, 1, 1), datetime(2027, 6, 30), timezones=st.just(CHINA)  # 2027 counts by weekends
)  # fmt: skip
numbers = st.integers(1, 40)


def at(words: str) -> datetime:
    return datetime.fromisoformat(words).replace(tzinfo=CHINA)


# --- relations


@given(moments, numbers)
def test_a_period_ends_on_a_working_day_at_closing_and_between_counts_it_again(start, days) -> None:
    end = DAYS.after(start, Limit(days=days))
    assert DAYS.is_working(end.date())
    assert end.timetz().replace(tzinfo=None) == CLOSES
    assert end.date() > start.date()
    assert DAYS.between(start, end) == days


@given(moments, moments, numbers)
def test_who_begins_later_never_ends_earlier_and_more_days_end_later(a, b, days) -> None:
    first, last = sorted((a, b))
    assert DAYS.after(first, Limit(days=days)) <= DAYS.after(last, Limit(days=days))
    assert DAYS.after(a, Limit(days=days)) < DAYS.after(a, Limit(days=days + 1))


@given(moments, moments, moments)
def test_between_adds_up_and_changes_its_sign_with_its_direction(a, b, c) -> None:
    assert DAYS.between(a, b) + DAYS.between(b, c) == DAYS.between(a, c)
    assert DAYS.between(a, b) == -DAYS.between(b, a)


@given(moments, numbers, st.integers(0, 20), st.integers(0, 20))
def test_standing_still_costs_nothing(start, limit, worked, stood) -> None:
    """A limit put off by the working days of a pause leaves as many as there were when it began."""
    due = DAYS.after(start, Limit(days=limit))
    paused = DAYS.plus(start, worked)
    resumed = DAYS.plus(paused, stood)
    moved = DAYS.plus(due, DAYS.between(paused, resumed))
    assert DAYS.between(resumed, moved) == DAYS.between(paused, due)
    assert moved.time() == due.time()


@given(moments, numbers, numbers)
def test_two_periods_one_after_the_other_are_as_long_as_both_together(start, a, b) -> None:
    assert DAYS.plus(DAYS.plus(start, a), b) == DAYS.plus(start, a + b)
    assert DAYS.plus(start, 0) == start


@given(moments, st.integers(1, 240))
def test_hours_run_by_the_clock_through_nights_and_holidays(start, hours) -> None:
    assert DAYS.after(start, Limit(hours=hours)) - start == timedelta(hours=hours)


@given(moments, st.integers(0, 20))
def test_back_is_the_last_day_from_which_so_many_working_days_have_passed(moment, days) -> None:
    last = datetime.combine(DAYS.back(moment.date(), days), datetime.min.time(), CHINA)
    assert DAYS.between(last, moment) >= days
    assert DAYS.between(last + timedelta(days=1), moment) < days or days == 0


@given(moments, moments)
def test_the_light_and_the_words_agree(due, now) -> None:
    seen, words = light(due, now, DAYS), left(due, now, DAYS)
    assert ("超期" in words) == (seen is Light.RED) == (now > due)
    assert seen is not Light.GREEN or words == f"还剩 {DAYS.between(now, due)} 个工作日"


# --- days counted by hand, from the notices of 2025 and 2026


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        # 2026-02-14 is a worked Saturday, 15 to 23 are off: the first day after Friday is that Saturday.
        ("2026-02-13T09:00", 1, "2026-02-14"),
        ("2026-02-13T09:00", 2, "2026-02-24"),
        # Told on the worked Saturday: Tue 24 to Fri 27, then the worked Saturday 28 is the fifth.
        ("2026-02-14T16:00", 5, "2026-02-28"),
        ("2026-02-14T16:00", 6, "2026-03-02"),
        # Told in the middle of the holiday counts as told on its last day.
        ("2026-02-18T11:00", 1, "2026-02-24"),
        # 1 to 7 October off; Thu 8, Fri 9 and the worked Saturday 10.
        ("2026-09-30T17:29", 3, "2026-10-10"),
        ("2026-09-30T17:29", 4, "2026-10-12"),
        # From Mon 14 September: 15-18 (4), worked Sunday 20 (5), 21-24 (9), 28-30 (12), 8-10 (15).
        ("2026-09-14T08:00", 15, "2026-10-10"),
        # 2025: 1 to 8 October off, Saturday 11 worked.
        ("2025-09-30T12:00", 3, "2025-10-11"),
        # An ordinary week-end, and the same at a minute to midnight.
        ("2026-11-20T10:00", 1, "2026-11-23"),
        ("2026-11-20T23:59", 1, "2026-11-23"),
    ],
)
def test_the_end_of_a_period_across_a_holiday(start: str, days: int, end: str) -> None:
    assert DAYS.after(at(start), Limit(days=days)) == at(f"{end}T17:30")


def test_the_day_is_china_s_wherever_the_clock_stands() -> None:
    """17:00 UTC on Thursday is Friday in China already, so Friday does not count."""
    told = datetime.fromisoformat("2026-11-19T17:00+00:00")
    assert DAYS.after(told, Limit(days=1)).isoformat() == "2026-11-23T17:30:00+08:00"


def test_twenty_four_hours_from_the_eve_of_the_festival_end_in_it() -> None:
    assert DAYS.after(at("2026-02-14T18:00"), Limit(hours=24)) == at("2026-02-15T18:00")


@pytest.mark.parametrize(
    ("now", "seen", "words"),
    [
        ("2026-09-28T09:00", Light.GREEN, "还剩 3 个工作日"),
        ("2026-09-30T18:00", Light.YELLOW, "还剩 1 个工作日"),
        ("2026-10-08T09:00", Light.YELLOW, "今天到期"),
        ("2026-10-08T17:31", Light.RED, "超期不到 1 个工作日"),
        ("2026-10-11T09:00", Light.RED, "超期 2 个工作日"),
    ],
)
def test_what_a_deadline_of_8_october_says(now: str, seen: Light, words: str) -> None:
    due = DAYS.after(at("2026-09-30T10:00"), Limit(days=1))
    assert due == at("2026-10-08T17:30")
    assert (light(due, at(now), DAYS), left(due, at(now), DAYS)) == (seen, words)


def test_a_deadline_by_the_hour_says_its_hour() -> None:
    due, now = at("2026-11-20T14:05"), at("2026-11-20T09:00")
    assert left(due, now, DAYS) == "今天 14:05 到期"
    assert left(at("2026-11-21T14:05"), now, DAYS) == "还剩不到 1 个工作日"
    assert (light(None, now, DAYS), left(None, now, DAYS)) == (Light.NONE, "")


def test_a_year_that_is_not_known_counts_by_weekends_and_is_named() -> None:
    """1 January 2027 is a Friday: a holiday for certain, and the table does not know it."""
    assert DAYS.missing(date(2026, 12, 1), date(2027, 3, 1)) == [2027]
    assert DAYS.is_working(date(2027, 1, 1))


def test_a_wrong_period_is_refused() -> None:
    for wrong in (Limit(), Limit(days=-1)):
        with pytest.raises(InputError):
            DAYS.after(at("2026-11-20T09:00"), wrong)
    with pytest.raises(InputError):
        DAYS.plus(at("2026-11-20T09:00"), -1)
    with pytest.raises(InputError):
        DAYS.between(datetime(2026, 11, 20), at("2026-11-20T09:00"))
    with pytest.raises(InputError):
        WorkingDays(off=frozenset(date(2026, 1, 1) + timedelta(days=n) for n in range(5000))).after(
            at("2026-01-01T09:00"), Limit(days=1)
        )


# --- the holiday file


def test_the_packaged_years_have_as_many_working_days_as_were_published() -> None:
    """What pay offices go by: the year less its weekends and holidays, with the worked weekend days."""
    begun = [date(2022, 1, 1) + timedelta(days=n) for n in range(5 * 365 + 1)]
    worked = [day.year for day in begun if DAYS.is_working(day)]
    found = {year: worked.count(year) for year in sorted(DAYS.known)}
    assert found == {2022: 249, 2023: 249, 2024: 251, 2025: 248, 2026: 248}


def test_both_forms_of_a_file_say_the_same() -> None:
    toml = '[[holiday]]\nname = "元旦"\nfrom = 2027-01-01\nto = 2027-01-03\nwork = [2027-01-09]\n'
    rows = ["day,kind,name", *(f"2027-01-0{n},off,元旦" for n in (1, 2, 3)), "2027-01-09,班,元旦"]
    found = holidays.read(toml, "2027.toml")
    assert found == holidays.read("\ufeff" + "\r\n".join(rows), "2027.CSV")
    assert found[-1] == Day(date(2027, 1, 9), DayKind.WORK, "元旦")


@pytest.mark.parametrize(
    ("file", "words", "said"),
    [
        ("a.csv", "day,kind,name\n2027-02-30,off,春节\n2027-02-06,x,春节\n",
         ["row 2, day: found '2027-02-30'", "row 3, kind: found 'x'"]),
        ("a.csv", "day,name\n", ["row 1: found 'day,name', allowed: day,kind,name"]),
        ("a.csv", "day,kind,name\n2027-02-06,off,春节\n2027-02-06,off,春节\n", ["the same day again"]),
        ("a.csv", "day,kind,name\n2027-02-08,work,春节\n", ["2027-02-08: found 'a weekday worked'"]),
        ("a.csv", "day,kind,name\n", ["no day"]),
        ("a.toml", "[[holiday]]\nname = '春节'\nfrom = 2027-02-06\nto = 2027-02-01\n",
         ["holiday 1, to: found '2027-02-01'"]),
        ("a.toml", "[[holiday]]\nname = '春节'\nfrom = '2027-02-06'\nto = 2027-02-07\n", ["without quotes"]),
        ("a.toml", "[[holiday]]\nname = ''\nfrom = 2027-02-06\nto = 2027-02-07\n", ["holiday 1, name"]),
        ("a.toml", "holiday = 3", ["[[holiday]] tables"]),
        ("a.toml", "[[", ["TOML"]),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_with_what_was_found(file: str, words: str, said: list[str]) -> None:
    with pytest.raises(HolidayError) as why:
        holidays.read(words, file)
    assert all(part in str(why.value) for part in said)
    assert str(why.value).startswith(f"{file}: ")

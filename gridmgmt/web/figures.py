"""The figures of handling: the city's for the centre, a town's for its office, its own for a department.

Planners see counts of matters on the map (`overview`), not how offices handle them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from flask_login import current_user

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.errors import InputError
from gridmgmt.incidents.actor import on_matters
from gridmgmt.incidents.figures import book, draw, stored, values
from gridmgmt.incidents.figures.repeats import repeats
from gridmgmt.incidents.figures.values import BY_NAMES, FEWEST, By, Line, Period, Question
from gridmgmt.incidents.terms import TIER_NAMES
from gridmgmt.web.access import allow
from gridmgmt.web.areas import territory
from gridmgmt.web.databases import matters, reader
from gridmgmt.web.scope import WHOLE_CITY, matter_actor
from gridmgmt.web.sending import XLSX, attachment

pages = Blueprint("figures", __name__, url_prefix="/figures")

READERS = (Role.TOWN_OFFICER, Role.COMMAND, Role.DEPARTMENT)
SHOWN_CATEGORIES = 10


@dataclass(frozen=True)
class Chosen:
    """What the address asks for; what it leaves out is the newest year with matters, and everything."""

    question: Question
    by: By

    def arguments(self, **changed: str) -> dict[str, str]:
        """Return the address's values with some changed; what is empty is left out."""
        found = self.question
        given = {
            "from": found.period.start.isoformat(), "to": found.period.end.isoformat(), "area": found.area,
            "category": found.category, "channel": found.channel, "by": self.by.value,
        }  # fmt: skip
        return {name: value for name, value in (given | changed).items() if value}


@pages.get("")
@allow(*READERS)
def home() -> Any:
    chosen = _chosen()
    wanted = tuple(dict.fromkeys((By.MONTH, By.AREA, By.CATEGORY, chosen.by)))
    answer = stored.figures(matters(), matter_actor(), chosen.question, wanted, (chosen.by,))
    with reader().connect() as connection:
        here = territory(connection)
    with on_matters(matters(), matter_actor()) as connection:
        names = stored.Names(connection, Question(chosen.question.period, matter_actor().area))
    ranked = draw.bars(answer.lines[By.CATEGORY])
    return render_template(
        "figures.html",
        here=here,
        chosen=chosen,
        answer=answer,
        whole=answer.whole,
        lines=answer.lines[chosen.by],
        by_names=_breakdowns(),
        months=draw.columns(answer.lines[By.MONTH]),
        areas=draw.bars(
            [line for line in answer.lines[By.AREA] if line.now.received or line.before.received]
        ),
        categories=ranked[:SHOWN_CATEGORIES],
        categories_left=len(ranked) - SHOWN_CATEGORIES,
        place=_place(here, chosen.question.area),
        own=matter_actor().area,
        places=names.areas,
        tops={code: name for code, name in names.categories.items() if names.group[code] == code},
        channels=names.channels,
        periods=_periods(chosen.question.period),
        to=lambda **changed: _url("figures.home", chosen.arguments(**changed)),
        listed=_lister(chosen),
        narrowed=lambda by, line: _narrowed(chosen, By(by), line),
        targets=values,
        fewest=FEWEST,
        percent=_percent,
        change=_change,
        tiers=TIER_NAMES,
        meanings=book.MEANINGS,
    )


@pages.get("/repeats")
@allow(*READERS)
def told_again() -> Any:
    """The share of repeats, which takes longer than all the rest and is fetched on its own."""
    chosen = _chosen()
    now, before = repeats(matters(), matter_actor(), chosen.question)
    return render_template("figures_repeats.html", now=now, before=before, percent=_percent, fewest=FEWEST)


@pages.get("/figures.xlsx")
@allow(*READERS)
def export() -> Response:
    """The figures that the page shows with the same address, all breakdowns, as a workbook."""
    chosen = _chosen()
    actor = matter_actor()
    with reader().connect() as connection:
        here = territory(connection)
    handout = book.Handout(
        answer=stored.figures(matters(), actor, chosen.question, tuple(_breakdowns())),
        repeats=repeats(matters(), actor, chosen.question),
        place=_place(here, chosen.question.area),
        chosen=_in_words(chosen),
        by=current_user.display_name,
        at=datetime.now(UTC),
    )
    return attachment(book.workbook(handout), f"{handout.heading}.xlsx", XLSX, "figures.xlsx")


# --- the address


def _chosen() -> Chosen:
    asked = request.args
    own = matter_actor().area
    area = asked.get("area", "").strip() or own
    by = asked.get("by", By.AREA.value)
    if by not in _breakdowns():
        raise InputError("by", by, ", ".join(_breakdowns()))
    question = Question(_period(asked), area, asked.get("category", ""), asked.get("channel", ""))
    return Chosen(question, By(by))


def _breakdowns() -> dict[By, str]:
    """Return what figures may be broken down by: a department has no other department's lines."""
    left_out = {By.DEPARTMENT} if current_user.role is Role.DEPARTMENT else set()
    return {by: name for by, name in BY_NAMES.items() if by not in left_out}


def _period(asked: Mapping[str, str]) -> Period:
    """Return the period of the address, by default the newest year of which there is much to say."""
    first, last = _day(asked, "from"), _day(asked, "to")
    today = china_today()
    if first is None and last is None:
        with reader().connect() as connection:
            newest = stored.newest_day(connection) or today
        return Period(date(newest.year, 1, 1), min(date(newest.year, 12, 31), max(today, newest)))
    first = first or date((last or today).year, 1, 1)
    return Period(first, last or min(today, date(first.year, 12, 31)))


def _day(asked: Mapping[str, str], name: str) -> date | None:
    words = asked.get(name, "").strip()
    try:
        return date.fromisoformat(words) if words else None
    except ValueError:
        raise InputError(name, words, "a day such as 2026-01-31") from None


def _periods(now: Period) -> list[tuple[str, dict[str, str]]]:
    """Return periods that are asked for most, as words and the address's values."""
    year = now.end.year
    found = [(f"{each}年", date(each, 1, 1), date(each, 12, 31)) for each in (year - 1, year, year + 1)]
    today = china_today()
    return [
        (name, {"from": first.isoformat(), "to": min(last, today).isoformat()})
        for name, first, last in found
        if first <= today
    ]


def _lister(chosen: Chosen) -> Callable[..., str] | None:
    """Return what gives the addresses of lists; None for a department, which has no list of them all."""
    if current_user.role is Role.DEPARTMENT:
        return None
    return lambda **narrowed: _list_url(chosen, **narrowed)


def _list_url(chosen: Chosen, **narrowed: str) -> str:
    """Return the address of the list that makes a number up."""
    given = chosen.arguments(**narrowed)
    given.pop("by", None)
    if given.get("area") == matter_actor().area:
        del given["area"]
    return _url("matters.everything", given)


def _url(endpoint: str, arguments: Mapping[str, Any]) -> str:
    return url_for(endpoint, **arguments)


def _narrowed(chosen: Chosen, by: By, line: Line) -> dict[str, str] | None:
    """Return what the list is narrowed to for a line; None where it cannot be."""
    if not line.code:
        return None
    if by is By.MONTH:
        return _month(chosen.question.period, int(line.code))
    name = {By.AREA: "area", By.CATEGORY: "category", By.CHANNEL: "channel", By.DEPARTMENT: "unit"}[by]
    return {name: line.code}


def _month(period: Period, month: int) -> dict[str, str]:
    """Return the days of a period that lie in a month of the year."""
    year = period.start.year if month >= period.start.month else period.end.year
    first = date(year, month, 1)
    last = date(year + month // 12, month % 12 + 1, 1).toordinal() - 1
    return {
        "from": max(first, period.start).isoformat(),
        "to": min(date.fromordinal(last), period.end).isoformat(),
    }


# --- words


def _place(here: Any, area: str) -> str:
    actor = matter_actor()
    if actor.unit:
        return actor.unit + (here.name(area) if area else "")
    return here.name(area) if area != WHOLE_CITY else here.city


def _in_words(chosen: Chosen) -> str:
    found = chosen.question
    with on_matters(matters(), matter_actor()) as connection:
        names = stored.Names(connection, found)
    said = (
        ("类别", names.categories.get(found.category, "")),
        ("渠道", names.channels.get(found.channel, "")),
    )
    return "；".join(f"{name}：{words}" for name, words in said if words)


def _percent(rate: float | None) -> str:
    return "—" if rate is None else f"{rate:.1%}"


def _change(now: float | None, before: float | None, *, points: bool = False) -> str:
    """Return how a figure changed in words: in percent, or in points of a rate."""
    if now is None or before is None or (not points and not before):
        return ""
    difference = (now - before) * 100 if points else (now - before) / before * 100
    if abs(difference) < 0.05:
        return "持平"
    unit = " 个百分点" if points else "%"
    return f"{'升' if difference > 0 else '降'} {abs(difference):.1f}{unit}"

"""The areas that lead by the measure on the map, where that is not what the hot list is ordered by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from gridmgmt.calendar import china_today
from gridmgmt.web import measured, present, ranking
from gridmgmt.web.areas import LEVELS, Place, territory
from gridmgmt.web.choice import Choice
from gridmgmt.web.ranking import Line
from gridmgmt.web.scope import own_area, own_staff

SHOWN = 20
# Less is as good as nothing: it would be written 0.
LEAST = 0.05
# Patterns that call for a look, in the order in which they do.
TOLD = ("new", "growing", "seasonal", "lasting", "now_and_then", "fading")


@dataclass(frozen=True)
class Leader:
    """An area, its value (what the bar is long of), how it is said, and the look of its class."""

    place: Place
    value: float
    words: str
    look: str


@dataclass(frozen=True)
class Leaders:
    """The first areas by a measure.

    `what` is what is counted, `total` how many areas have it at all and `amount` what they have together;
    `empty` says what to do when none has.
    """

    what: str
    title: str
    about: str
    rows: tuple[Leader, ...]
    total: int
    amount: float
    empty: str

    @property
    def most(self) -> float:
        return max((row.value for row in self.rows), default=0.0)


def of(connection: Connection, choice: Choice, found: Sequence[Line]) -> Leaders | None:
    """Return who leads by the chosen measure; None where the hot list itself says so."""
    if choice.measure == "expected":
        return _expected(connection, choice)
    if choice.measure == "overdue":
        return _overdue(connection, choice)
    if choice.measure == "pattern":
        return _patterns(choice, found)
    return None


def _expected(connection: Connection, choice: Choice) -> Leaders:
    here, today = territory(connection), china_today()
    values = present.expected(connection, here, choice.level, choice.category, today) or {}
    places = here.inside(choice.level, own_area())
    rows = _ranked([place for place in places if not place.few(own=own_staff())], values)
    return Leaders(
        what=f"{present.xun_name(today)}预计",
        title=f"{present.xun_name(today)}预计最多的{LEVELS[choice.level]}",
        about="按时令清单预计，只含有时令的类别；不采取行动时的件数。",
        rows=rows[:SHOWN],
        total=len(rows),
        amount=sum(row.value for row in rows),
        empty="下一旬没有列入清单的预计：这一类没有时令，或那一年的清单还没有编制。",
    )


def _overdue(connection: Connection, choice: Choice) -> Leaders:
    here = territory(connection)
    values = present.overdue(connection, choice.level, choice.category, datetime.now(UTC))
    rows = _ranked(here.inside(choice.level, own_area()), values, whole=True)
    return Leaders(
        what="今天超期",
        title=f"超期最多的{LEVELS[choice.level]}",
        about="此刻在办、过了办理时限、没有暂停的诉求。",
        rows=rows[:SHOWN],
        total=len(rows),
        amount=sum(row.value for row in rows),
        empty="没有超期的诉求。",
    )


def _ranked(
    places: Sequence[Place], values: Mapping[str, float], *, whole: bool = False
) -> tuple[Leader, ...]:
    known = [(place, float(values[place.code])) for place in places if values.get(place.code, 0) >= LEAST]
    numbers = [value for _, value in known]
    limits = ranking.whole_breaks(numbers) if whole else ranking.breaks(numbers)
    step = ranking.whole_class if whole else ranking.class_of
    known.sort(key=lambda pair: (-pair[1], pair[0].code))
    return tuple(
        Leader(place, value, f"{measured.number(round(value, 2))} 件", f"rate-{step(value, limits)}")
        for place, value in known
    )


def _patterns(choice: Choice, found: Sequence[Line]) -> Leaders:
    told = [(line, line.pattern_look) for line in found if line.pattern_look in TOLD]
    told.sort(key=lambda pair: (TOLD.index(pair[1]), -pair[0].count, pair[0].place.code))
    months = choice.run.months if choice.run else None
    few = "这一期不足 24 个月，看不出走势：请选多年的期间。"
    rows = (
        Leader(line.place, line.count, ranking.PATTERN_WORDS[look], f"pattern-{look}")
        for line, look in told[:SHOWN]
    )
    return Leaders(
        what="走势",
        title=f"有走势的{LEVELS[choice.level]}",
        about="按月看热点怎样变化：新增、增强在前，减弱在后。条长是诉求件数。",
        rows=tuple(rows),
        total=len(told),
        amount=0.0,
        empty="这一类没有哪个地方的热点有明显走势。" if months else few,
    )

"""What the address of a map shows, ready to be handed out as a file: lines, scale, and what they rest on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import request
from flask_login import current_user
from sqlalchemy import Connection

from gridmgmt.calendar import CHINA, china_today
from gridmgmt.errors import NotFoundError
from gridmgmt.hotspots import explain
from gridmgmt.hotspots.stored import Run
from gridmgmt.web import measured, present, ranking, times
from gridmgmt.web.areas import LEVELS, Territory, territory
from gridmgmt.web.choice import Choice, period_name, read_choice
from gridmgmt.web.databases import reader
from gridmgmt.web.measured import Scale
from gridmgmt.web.ranking import Line
from gridmgmt.web.scope import own_area, own_staff


@dataclass(frozen=True)
class View:
    """A view of the map: `area` is what it is narrowed to, '' for the city; `lines` are in order of rank.

    `own` says whether small numbers of households may be read, `by` who asked.
    """

    here: Territory
    choice: Choice
    run: Run
    area: str
    lines: tuple[Line, ...]
    scale: Scale
    own: bool
    by: str

    @property
    def place(self) -> str:
        return self.here.name(self.area) if self.area else self.here.city

    @property
    def period(self) -> str:
        return period_name(self.run)

    @property
    def level(self) -> str:
        return LEVELS[self.choice.level]

    @property
    def title(self) -> str:
        """The heading of the file."""
        when = self.period if self.scale.numbers is None else ""
        return f"{self.place}{when}{self.scale.title}（{self.choice.category_name}）"

    @property
    def source(self) -> str:
        """What the file rests on and of which day; the same for the same data."""
        made = self.run.finished_at.astimezone(CHINA)
        run = f"分析第 {self.run.id} 号（{made:%Y年%-m月%-d日}），数据版本 {self.run.data_version}"
        return f"来源：{self.here.city}网格治理平台，{run}"

    @property
    def method(self) -> str:
        return explain.method_text(self.run).zh

    def file_name(self, form: str) -> str:
        """Return the file's name in Chinese."""
        words = (self.place, self.level, self.choice.category_name, self.scale.title, self.choice.period)
        return "_".join(words).replace("/", "-") + f".{form}"


def read() -> View:
    """Return the view that the address asks for, inside the own area.

    Raises InputError as `read_choice`, NotFoundError where nothing has been analysed or nothing lies there.
    """
    with reader().connect() as connection:
        here = territory(connection)
        choice = read_choice(request.args, connection)
        found = ranking.of_choice(connection, choice, here, own_area(), own=own_staff())
        run = choice.run
        if run is None or not found:
            raise NotFoundError(f"nothing to hand out of level {choice.level} in {own_area() or 'the city'}")
        scale = _scale(connection, here, choice, found)
    ranked = sorted(found, key=lambda line: _rank(scale, line))
    by = current_user.display_name
    return View(here, choice, run, own_area(), tuple(ranked), scale, own_staff(), by)


def _scale(connection: Connection, here: Territory, choice: Choice, found: list[Line]) -> Scale:
    """Return the scale of what the address shows: of the period, of a part of it, or of today."""
    window = times.window(request.args.get("window", ""))
    if window:
        counted = times.within(connection, here, choice, window)
        return _of_numbers(choice, counted, f"{window[0]:%Y年%-m月%-d日}至{window[1]:%-m月%-d日}诉求数")
    if choice.measure == "expected":
        coming = present.expected(connection, here, choice.level, choice.category, china_today())
        if coming is None:
            raise NotFoundError("no list stands for the 旬 to come")
        hidden = {line.place.code for line in found if line.result is None}
        shown = {code: None if code in hidden else value for code, value in coming.items()}
        return _of_numbers(choice, shown, f"{present.xun_name(china_today())}预计")
    if choice.measure == "overdue":
        late = present.overdue(connection, choice.level, choice.category, datetime.now(UTC))
        return _of_numbers(choice, late, "超期诉求")
    if choice.measure == "pattern":
        return Scale("pattern", (), "")
    return measured.scale_of(choice.measure, choice.run.rate_unit if choice.run else "", [found])


def _of_numbers(choice: Choice, numbers: Mapping[str, float | None], name: str) -> Scale:
    known = [value for value in numbers.values() if value]
    whole = all(value == int(value) for value in known)
    limits = (ranking.whole_breaks if whole else ranking.breaks)(known)
    return Scale(choice.measure, tuple(limits), "件", numbers, name, whole)


def _rank(scale: Scale, line: Line) -> tuple[float, ...] | tuple[object, ...]:
    value = scale.value(line)
    strength = -line.z if scale.measure in measured.CLASSED else -line.count
    return (value is None, -(value or 0.0), strength, line.place.code)

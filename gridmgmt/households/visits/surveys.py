"""The door-to-door survey: begun by a town office, seen by everybody as numbers of dwellings."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, Engine, text

from gridmgmt.errors import InputError, NotAllowedError
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.privacy import audit

LONGEST_NAME = 60


@dataclass(frozen=True)
class SurveyLine:
    """A survey: of which area, from when until when."""

    id: int
    area: str
    name: str
    start_on: date
    due_on: date

    def runs(self, today: date) -> bool:
        """Whether it is not over yet."""
        return self.start_on <= today <= self.due_on


@dataclass(frozen=True)
class Share:
    """How far an area is; None where there are fewer than 5 dwellings and the reader is not its own staff."""

    area: str
    dwellings: int | None
    verified: int | None

    @property
    def share(self) -> float | None:
        """The part of the dwellings that are verified, 0 to 1."""
        return self.verified / self.dwellings if self.dwellings and self.verified is not None else None


@dataclass(frozen=True)
class Progress:
    """How a survey stands: by grid, and how many dwellings were verified on each day."""

    grids: tuple[Share, ...]
    days: tuple[tuple[date, int], ...]

    def by(self, digits: int) -> list[Share]:
        """Return the shares of villages (12 digits) or towns (9); grids without numbers are in no sum."""
        groups: dict[str, list[Share]] = {}
        for grid in self.grids:
            groups.setdefault(grid.area[:digits], []).append(grid)
        return [_sum(code, members) for code, members in groups.items()]

    @property
    def whole(self) -> Share:
        """All grids together."""
        return _sum("", self.grids)


def _sum(code: str, members: Iterable[Share]) -> Share:
    shown = [each for each in members if each.dwellings is not None]
    if not shown:
        return Share(code, None, None)
    return Share(code, sum(each.dwellings or 0 for each in shown), sum(each.verified or 0 for each in shown))


def begin_survey(engine: Engine, actor: Actor, name: str, start_on: date, due_on: date) -> int:
    """Begin a survey of a town and return its number.

    Raises NotAllowedError for grid staff, InputError for a name or days that are not allowed.
    """
    if not actor.is_office:
        raise NotAllowedError(f"{actor.username} is no town office and begins no survey")
    if not 1 <= len(name.strip()) <= LONGEST_NAME:
        raise InputError("name", "another length", f"1 to {LONGEST_NAME} characters")
    if not 0 <= (due_on - start_on).days <= 366:
        raise InputError("due_on", due_on.isoformat(), "a day up to a year after the first")
    with on_roster(engine, actor) as connection:
        audit.record(connection, "survey.begin", area=actor.area)
        number = connection.execute(
            text("""
            INSERT INTO survey (area, name, start_on, due_on, created_by)
            VALUES (:area, :name, :start, :due, :user) RETURNING id
            """),
            {
                "area": actor.area,
                "name": name.strip(),
                "start": start_on,
                "due": due_on,
                "user": actor.username,
            },
        ).scalar_one()  # fmt: skip
    return int(number)


def surveys(connection: Connection, area: str) -> list[SurveyLine]:
    """Return the surveys inside an area or around it ('' for all), newest first; any role may ask."""
    return [
        SurveyLine(*row)
        for row in connection.execute(text("SELECT * FROM surveys_of(:area)"), {"area": area})
    ]


def progress(connection: Connection, area: str, survey_id: int) -> Progress:
    """Return how a survey stands in an area; numbers only, so any role may ask and nothing is noted.

    Through a connection of `on_roster` a grid's own staff see its numbers however few they are.
    """
    values = {"survey": survey_id, "area": area}
    grids = connection.execute(text("SELECT * FROM survey_progress(:survey, :area)"), values)
    days = connection.execute(text("SELECT * FROM survey_days(:survey, :area)"), values)
    return Progress(tuple(Share(*row) for row in grids), tuple((day, n) for day, n in days))


def running(connection: Connection, area: str, today: date) -> SurveyLine | None:
    """Return the newest survey that runs in an area, None when none does."""
    return next((each for each in surveys(connection, area) if each.runs(today)), None)

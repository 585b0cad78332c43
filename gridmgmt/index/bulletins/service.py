"""Bulletins from a draft to the issue: draft, approved, issued, and then they stand with their months.

Functions raise NotAllowedError unless the actor is of the centre, NotFoundError for a bulletin that the actor
does not see, ConflictError when it is not in the state for the act or not what the actor looked at.
"""

import re
from datetime import date, datetime
from io import BytesIO
from json import dumps, loads
from typing import Any
from zipfile import ZipFile

from sqlalchemy import Connection, Engine, insert, select, text, update

from gridmgmt.calendar import CHINA
from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.index import service
from gridmgmt.index import stored as months
from gridmgmt.index.actor import Actor, on_index
from gridmgmt.index.bulletins import facts, stored, words
from gridmgmt.index.bulletins.blocks import Figure
from gridmgmt.index.bulletins.layout import Stand, files
from gridmgmt.index.bulletins.stored import Whole
from gridmgmt.index.models import Bulletin, BulletinStatus, IndexMonth
from gridmgmt.index.periods import Period, write_month

FORMS = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pdf": "application/pdf",
}  # fmt: skip
LONGEST_REMARKS = 3000
_SERIAL = re.compile(r"〔(\d{4})〕(\d+)号")


class MonthsMissingError(ConflictError):
    """A bulletin cannot be issued while `missing` months of its period are not built."""

    def __init__(self, missing: list[date]) -> None:
        super().__init__(f"not built: {', '.join(map(write_month, missing))}")
        self.missing = missing


class ChangedError(ConflictError):
    """What a bulletin says is no longer what was approved, or looked at."""


def draft(engine: Engine, actor: Actor, period: Period) -> int:
    """Make the draft of a period's bulletin, or make it anew of the figures of now; returns its number."""
    actor.check_centre()
    with on_index(engine, actor) as connection:
        service.lock(connection)
        number = stored.bulletin_of(connection, period)
        if number is not None:
            _held(connection, number, BulletinStatus.DRAFT)
        data = facts.data(connection, period)
        if number is not None:
            _change(connection, number, data=data, made_at=text("now()"), made_by=actor.username)
            return number
        new = insert(Bulletin).values(
            span=period.span.value, month=period.last, data=data, made_by=actor.username
        )
        return int(connection.execute(new.returning(Bulletin.id)).scalar_one())


def remark(engine: Engine, actor: Actor, number: int, remarks: str, seen: str | None = None) -> None:
    """Set the editor's own paragraphs of a draft; InputError of "remarks" when they are too long."""
    actor.check_centre()
    told = "\n".join(line.strip() for line in remarks.splitlines() if line.strip())
    if len(told) > LONGEST_REMARKS:
        raise InputError("remarks", len(told), f"at most {LONGEST_REMARKS} characters")
    with on_index(engine, actor) as connection:
        _held(connection, number, BulletinStatus.DRAFT, seen)
        _change(connection, number, remarks=told or None)


def approve(engine: Engine, actor: Actor, number: int, seen: str | None = None) -> None:
    """Approve a draft as it was seen."""
    actor.check_centre()
    with on_index(engine, actor) as connection:
        _held(connection, number, BulletinStatus.DRAFT, seen)
        approved = {"approved_at": text("now()"), "approved_by": actor.username}
        _change(connection, number, status=BulletinStatus.APPROVED.value, **approved)


def send_back(engine: Engine, actor: Actor, number: int, seen: str | None = None) -> None:
    """Make an approved bulletin a draft again."""
    actor.check_centre()
    with on_index(engine, actor) as connection:
        _held(connection, number, BulletinStatus.APPROVED, seen)
        _change(connection, number, status=BulletinStatus.DRAFT.value, approved_at=None, approved_by=None)


def issue(engine: Engine, actor: Actor, number: int, seen: str | None = None) -> str:
    """Issue an approved bulletin and freeze all built months up to its last; returns its document number.

    Raises MonthsMissingError while a month of the period is not built, ChangedError when the figures are
    no longer those that were approved.
    """
    actor.check_centre()
    with on_index(engine, actor) as connection:
        service.lock(connection)
        found = _held(connection, number, BulletinStatus.APPROVED, seen)
        period = found.line.period
        missing = sorted(set(period.months) - set(months.months(connection)))
        if missing:
            raise MonthsMissingError(missing)
        if loads(dumps(facts.data(connection, period))) != found.data:
            raise ChangedError(f"the figures of bulletin {number} changed since it was approved")
        moment: datetime = connection.execute(text("SELECT now()")).scalar_one()
        said = _next_number(connection, found.data["city"], moment.astimezone(CHINA).year)
        stand = Stand(said, moment.astimezone(CHINA).date(), moment, actor.username)
        _change(
            connection, number, status=BulletinStatus.ISSUED.value, number=said, issued_at=moment,
            issued_by=actor.username, **files(found.data, found.remarks, stand),
        )  # fmt: skip
        built = update(IndexMonth).where(IndexMonth.month <= period.last, IndexMonth.issued_at.is_(None))
        connection.execute(built.values(issued_at=moment))
        return said


# --- what it looks like


def file(engine: Engine, actor: Actor, number: int, form: str) -> tuple[str, bytes]:
    """Return the name and bytes of a bulletin as docx or pdf: as it was issued, or marked as a draft.

    Raises NotFoundError for a form that there is not.
    """
    if form not in FORMS:
        raise NotFoundError(f"no bulletin as {form}")
    found = whole(engine, actor, number)
    title = words.title(found.data)
    if found.files:
        return f"{found.line.number}{title}.{form}", found.files[form]
    return f"{title}（草稿）.{form}", files(found.data, found.remarks, _draft_stand(found))[form]


def whole(engine: Engine, actor: Actor, number: int) -> Whole:
    """Return a bulletin with what it says."""
    with on_index(engine, actor) as connection:
        return stored.bulletin(connection, number)


def picture(engine: Engine, actor: Actor, number: int, name: str) -> bytes:
    """Return a figure of a bulletin as PNG: the one of its file once it is issued."""
    from gridmgmt.index.bulletins import charts  # it loads a library that lists do not need

    found = whole(engine, actor, number)
    figures = [
        block
        for section in words.sections(found.data, found.remarks)
        for block in section.blocks
        if isinstance(block, Figure)
    ]
    for n, figure in enumerate(figures, 1):
        if figure.name == name:
            if found.files:
                return ZipFile(BytesIO(found.files["docx"])).read(f"word/media/image{n}.png")
            return charts.picture(found.data, figure).png
    raise NotFoundError(f"no figure {name} in bulletin {number}")


def _draft_stand(found: Whole) -> Stand:
    return Stand(None, None, found.line.made_at, found.line.made_by)


# --- rows


def _held(connection: Connection, number: int, status: BulletinStatus, seen: str | None = None) -> Whole:
    """Return a bulletin that nobody else changes meanwhile, in the state for an act and as it was seen."""
    found = stored.bulletin(connection, number, held=True)
    if found.line.status is not status:
        raise ConflictError(f"bulletin {number} is {found.line.status}, not {status}")
    if seen is not None and found.seen != seen:
        raise ChangedError(f"bulletin {number} is not what was looked at")
    return found


def _change(connection: Connection, bulletin: int, **values: Any) -> None:
    connection.execute(update(Bulletin).where(Bulletin.id == bulletin).values(**values))


def _next_number(connection: Connection, city: str, year: int) -> str:
    """Return the next number of a year; whoever issues holds the lock, so no two get the same."""
    known = connection.scalars(select(Bulletin.number).where(Bulletin.number.is_not(None)))
    serials = [
        int(found[2]) for each in known if (found := _SERIAL.search(each or "")) and int(found[1]) == year
    ]
    return f"{city.rstrip('市县区旗')}网格通报〔{year}〕{max(serials, default=0) + 1}号"

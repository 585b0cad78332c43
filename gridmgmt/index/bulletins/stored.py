"""Reads bulletins: whoever is not of the centre sees those that were issued."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from json import dumps
from typing import Any

from sqlalchemy import Connection, select

from gridmgmt.errors import NotFoundError
from gridmgmt.index.models import Bulletin, BulletinStatus
from gridmgmt.index.periods import Period, Span

STATUS_NAMES = {
    BulletinStatus.DRAFT: "草稿", BulletinStatus.APPROVED: "已审核", BulletinStatus.ISSUED: "已签发",
}  # fmt: skip
_TABLE = Bulletin.__table__
_LINE = [
    _TABLE.c[name]
    for name in (
        "id", "span", "month", "status", "number", "made_at", "made_by", "approved_at", "approved_by",
        "issued_at", "issued_by",
    )
]  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A bulletin in a list."""

    id: int
    period: Period
    status: BulletinStatus
    number: str | None
    made_at: datetime
    made_by: str
    approved_at: datetime | None
    approved_by: str | None
    issued_at: datetime | None
    issued_by: str | None

    @property
    def issued(self) -> bool:
        """Whether it was issued and stands for good."""
        return self.status is BulletinStatus.ISSUED


@dataclass(frozen=True)
class Whole:
    """A bulletin with what it says; `seen` tells whether it is still what somebody looked at."""

    line: Line
    data: dict[str, Any]
    remarks: str
    files: dict[str, bytes]

    @property
    def seen(self) -> str:
        """A mark of its state, its figures and the editor's words."""
        said = dumps([self.line.status, self.remarks, self.data], sort_keys=True, ensure_ascii=False)
        return sha256(said.encode()).hexdigest()[:16]


def bulletins(connection: Connection) -> list[Line]:
    """Return the bulletins that whoever acts may see, those of the newest months first."""
    order = (_TABLE.c.month.desc(), _TABLE.c.id.desc())
    return [_line(row) for row in connection.execute(select(*_LINE).order_by(*order)).all()]


def bulletin(connection: Connection, number: int, *, held: bool = False) -> Whole:
    """Return one bulletin, for oneself until the transaction ends if `held`; NotFoundError for none."""
    query = select(*_LINE, _TABLE.c.data, _TABLE.c.remarks, _TABLE.c.docx, _TABLE.c.pdf)
    query = query.where(_TABLE.c.id == number)
    row = connection.execute(query.with_for_update() if held else query).one_or_none()
    if row is None:
        raise NotFoundError(f"no bulletin {number} here")
    files = {"docx": bytes(row.docx), "pdf": bytes(row.pdf)} if row.docx and row.pdf else {}
    return Whole(_line(row), row.data, row.remarks or "", files)


def bulletin_of(connection: Connection, period: Period) -> int | None:
    """Return the number of the bulletin of a period, None where there is none."""
    query = select(_TABLE.c.id).where(_TABLE.c.span == period.span.value, _TABLE.c.month == period.last)
    found: int | None = connection.scalar(query)
    return found


def _line(row: Any) -> Line:
    return Line(
        row.id, Period(row.month, Span(row.span)), BulletinStatus(row.status), row.number, row.made_at,
        row.made_by, row.approved_at, row.approved_by, row.issued_at, row.issued_by,
    )  # fmt: skip

"""Files of the roster: asked for with a purpose, allowed by a second person of the office, fetched once.

Numbers are masked unless the column in full was asked for and allowed. Every row names who fetched it and
when, so that a copy found anywhere says whose it is. People whose data are restricted stand in no file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, text

from gridmgmt.calendar import CHINA
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.households.changes.models import ExportStatus
from gridmgmt.households.rights import export_book
from gridmgmt.households.rights.export_book import COLUMNS, FULL
from gridmgmt.privacy import audit
from gridmgmt.privacy.keyring import KeyRing

MOST_HOUSEHOLDS = 500
HOURS = 24
# What a file may be for; the audit log keeps the key.
PURPOSES = {
    "visit": "入户走访用名单", "drill": "防汛、消防等应急准备", "benefit": "惠民政策落实核对",
    "census": "人口和住房普查核对", "report": "按上级要求核对上报",
}  # fmt: skip
STATUS_NAMES = {
    ExportStatus.OPEN: "待审批", ExportStatus.APPROVED: "可下载", ExportStatus.REFUSED: "未同意",
    ExportStatus.FETCHED: "已下载",
}  # fmt: skip


@dataclass(frozen=True)
class ExportLine:
    """A request as the list of requests shows it; `rows` once it was fetched."""

    id: int
    area: str
    columns: tuple[str, ...]
    purpose: str
    status: ExportStatus
    made_at: datetime
    made_by: str
    decided_at: datetime | None
    decided_by: str | None
    expires_at: datetime | None
    rows: int | None
    expired: bool

    @property
    def status_name(self) -> str:
        return "已过期" if self.expired else STATUS_NAMES[self.status]

    @property
    def column_names(self) -> str:
        return "、".join(COLUMNS[column].heading for column in self.columns)

    @property
    def in_full(self) -> bool:
        """Whether numbers stand in it without a mask."""
        return not FULL.isdisjoint(self.columns)

    @property
    def purpose_name(self) -> str:
        return PURPOSES.get(self.purpose, self.purpose)


@dataclass(frozen=True)
class Fetched:
    """A file of the roster: its name, and an XLSX workbook."""

    name: str
    content: bytes


def ask(engine: Engine, actor: Actor, area: str, columns: Sequence[str], purpose: str) -> int:
    """Ask for a file on an area, and return the request's number.

    Parameters
    ----------
    area : code of a grid, a village or the own town, within the actor's
    columns : keys of `COLUMNS`; door, relation and name are always there
    purpose : a key of PURPOSES

    Raises NotFoundError for an area outside one's own; InputError for unknown columns or purposes, and when
    the area has more than 500 households.
    """
    if purpose not in PURPOSES:
        raise InputError("purpose", purpose, " | ".join(PURPOSES))
    if unknown := set(columns) - set(COLUMNS):
        raise InputError("columns", sorted(unknown), " | ".join(COLUMNS))
    if len(area) not in DIGITS.values() or not area.startswith(actor.area):
        raise NotFoundError(f"area {area} is not within {actor.area}")
    with on_roster(engine, actor) as connection:
        _few_enough(len(_households(connection, area)))
        audit.record(
            connection,
            "export.ask",
            area=actor.area,
            purpose=purpose,
            detail={"of": area, "columns": [*columns]},
        )
        return int(
            connection.execute(
                text(
                    "INSERT INTO roster_export (area, columns, purpose, made_by)"
                    " VALUES (:area, :columns, :purpose, :who) RETURNING id"
                ),
                {
                    "area": area,
                    "columns": [column for column in COLUMNS if column in columns or COLUMNS[column].always],
                    "purpose": purpose,
                    "who": actor.username,
                },
            ).scalar_one()
        )


def decide(engine: Engine, actor: Actor, export_id: int, *, approve: bool) -> None:
    """Allow or refuse a request; what is allowed can be fetched for 24 hours.

    Raises NotFoundError for what is not there or elsewhere; NotAllowedError for grid staff and for whoever
    asked; ConflictError when it was decided already. The database refuses all of these too.
    """
    with on_roster(engine, actor) as connection:
        line = _line(connection, export_id, lock=True)
        if not actor.is_office or line.made_by == actor.username:
            raise NotAllowedError("a second person of the town office decides")
        if line.status != ExportStatus.OPEN:
            raise ConflictError(f"request {export_id} is {line.status} already")
        audit.record(
            connection, "export.decide", area=actor.area, detail={"request": export_id, "approve": approve}
        )
        connection.execute(
            text(
                "UPDATE roster_export SET status = :status, decided_at = now(), decided_by = :who,"
                " expires_at = CASE WHEN :approve THEN now() + make_interval(hours => :hours) END"
                " WHERE id = :number"
            ),
            {
                "status": ExportStatus.APPROVED if approve else ExportStatus.REFUSED,
                "who": actor.username, "approve": approve, "hours": HOURS, "number": export_id,
            },
        )  # fmt: skip


def fetch(engine: Engine, ring: KeyRing, actor: Actor, export_id: int) -> Fetched:
    """Return the file of one's own request, once.

    Raises NotFoundError as in `decide`; NotAllowedError when somebody else asked for it; ConflictError when
    it is not allowed, past its 24 hours, or fetched already; InputError when the area has grown beyond 500
    households.
    """
    with on_roster(engine, actor) as connection:
        line = _line(connection, export_id, lock=True)
        if line.made_by != actor.username:
            raise NotAllowedError("whoever asked for a file fetches it")
        if line.status != ExportStatus.APPROVED or line.expired:
            raise ConflictError(f"request {export_id} is {'past its time' if line.expired else line.status}")
        now = connection.execute(text("SELECT now()")).scalar_one().astimezone(CHINA)
        homes = _households(connection, line.area)
        _few_enough(len(homes))
        people = _people(connection, homes)
        made = export_book.Made(export_id, actor.username, now, line.purpose_name, line.area)
        content = export_book.workbook(ring, made, line.columns, people, today=now.date())
        audit.record(
            connection, "export.fetch", area=actor.area, purpose=line.purpose,
            households={row.household_id for row in people},
            detail={"request": export_id, "columns": [*line.columns], "rows": len(people)},
        )  # fmt: skip
        connection.execute(
            text("UPDATE roster_export SET status = 'fetched', rows = :rows WHERE id = :number"),
            {"rows": len(people), "number": export_id},
        )
    return Fetched(f"名册-{line.area}-{export_id}号.xlsx", content)


def requests(engine: Engine, actor: Actor) -> list[ExportLine]:
    """Return one's own requests and, for the office, those of the town; what waits first, then the newest.

    Nobody's data stands in them, so reading them leaves no line in the audit log.
    """
    with on_roster(engine, actor) as connection:
        rows = connection.execute(text(f"{_LINES} ORDER BY status <> 'open', id DESC LIMIT 100")).mappings()
        return [_read(row) for row in rows]


_LINES = "SELECT *, status = 'approved' AND expires_at <= now() AS expired FROM roster_export"


def _line(connection: Connection, export_id: int, *, lock: bool) -> ExportLine:
    statement = f"{_LINES} WHERE id = :number {'FOR UPDATE' if lock else ''}"
    row = connection.execute(text(statement), {"number": export_id}).mappings().first()
    if row is None:
        raise NotFoundError(f"request {export_id}")
    return _read(row)


def _read(row: Any) -> ExportLine:
    return ExportLine(**{**row, "columns": tuple(row["columns"]), "status": ExportStatus(row["status"])})


def _few_enough(households: int) -> None:
    if households > MOST_HOUSEHOLDS:
        raise InputError("area", f"{households} households", f"at most {MOST_HOUSEHOLDS}: ask grid by grid")


def _households(connection: Connection, area: str) -> list[int]:
    """Return the households of an area that still stand."""
    return list(
        connection.execute(
            text(
                "SELECT h.id FROM household h JOIN grid g ON g.id = h.grid_id"
                " WHERE starts_with(g.code15, :area) AND h.ended_on IS NULL"
            ),
            {"area": area},
        ).scalars()
    )


def _people(connection: Connection, homes: Sequence[int]) -> Sequence[Any]:
    return connection.execute(
        text("""
        SELECT p.household_id, p.name, p.relation, p.sex, p.birth_on, p.identity, p.phone, p.salt,
            b.address, d.door, g.name AS grid, r.relation AS tenure,
            p.registered_dwelling_id IS NOT DISTINCT FROM h.dwelling_id AS registered_here,
            ARRAY(SELECT c.category FROM household_care c
                WHERE c.person_id = p.id AND c.ended_on IS NULL ORDER BY 1) AS care
        FROM person p JOIN household h ON h.id = p.household_id JOIN dwelling d ON d.id = h.dwelling_id
            JOIN building b ON b.id = d.building_id JOIN grid g ON g.id = h.grid_id
            LEFT JOIN residency r ON r.person_id = p.id AND r.valid_to IS NULL
        WHERE p.household_id = ANY(:homes) AND p.left_on IS NULL AND p.restricted_on IS NULL
        ORDER BY g.code15, b.address, b.id, d.door, d.id, h.id, p.relation <> 'head', p.birth_on, p.id
        """),
        {"homes": list(homes)},
    ).all()

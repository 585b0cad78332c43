"""Mediations, deliberations and meetings as lists and pages show them; nothing that is sealed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from gridmgmt.errors import NotFoundError
from gridmgmt.incidents.mediation.deliberations import QUORUM, Count, Outcome, outcome
from gridmgmt.incidents.mediation.models import (
    DELIBERATION_NAMES,
    HELD_NAMES,
    MEDIATION_NAMES,
    MEDIATION_STATUS_NAMES,
    Held,
    MediationStatus,
)
from gridmgmt.incidents.terms import TIER_NAMES, Tier

LEVEL_NAMES = {level.value: name for level, name in TIER_NAMES.items()}
# How the office's list may be narrowed; `due` are agreements to ask after by today.
SHOWS = {
    "open": "调解中", "due": "待回访", "agreed": "已达成", "broken": "未履行", "ended": "未成或终止",
    "all": "全部",
}  # fmt: skip
PAGE = 50


@dataclass(frozen=True)
class Sitting:
    """One sitting, without what was said."""

    id: int
    held_at: datetime
    place: str


@dataclass(frozen=True)
class MediationLine:
    """A mediation with its matter's number and kind; `rows` counts all that the list holds."""

    id: int
    case_id: int
    number: str
    village: str | None
    category: str
    case_open: bool
    kind: str
    panel: str | None
    level: str
    status: str
    opened_at: datetime
    opened_by: str
    ended_at: datetime | None
    reason: str | None
    has_agreement: bool
    follow_up_on: date | None
    followed_up_on: date | None
    kept: bool | None
    version: int
    mediators: tuple[str, ...]
    rows: int
    sittings: tuple[Sitting, ...] = ()

    @property
    def kind_name(self) -> str:
        return MEDIATION_NAMES[self.kind]  # type: ignore[index]

    @property
    def status_name(self) -> str:
        return MEDIATION_STATUS_NAMES[self.status]  # type: ignore[index]

    @property
    def level_name(self) -> str:
        return LEVEL_NAMES[self.level]

    @property
    def is_open(self) -> bool:
        return self.status == MediationStatus.OPEN

    @property
    def asks(self) -> bool:
        """Whether somebody has still to ask if the agreement is kept."""
        return self.status == MediationStatus.AGREED and self.followed_up_on is None


@dataclass(frozen=True)
class DeliberationLine:
    """A deliberation; `outcome` once it was held."""

    id: int
    case_id: int
    kind: str
    status: str
    question: str
    place: str
    held_at: datetime
    invited: int
    present: int | None
    votes_for: int | None
    votes_against: int | None
    abstained: int | None
    advice: str | None
    minutes: str | None
    made_by: str

    @property
    def kind_name(self) -> str:
        return DELIBERATION_NAMES[self.kind]  # type: ignore[index]

    @property
    def status_name(self) -> str:
        return HELD_NAMES[self.status]  # type: ignore[index]

    @property
    def is_planned(self) -> bool:
        return self.status == Held.PLANNED

    @property
    def needed(self) -> int:
        """How many must be present."""
        return -(-self.invited * QUORUM.numerator // QUORUM.denominator) if self.kind == "on_site" else 1

    @property
    def outcome(self) -> Outcome | None:
        if self.status != Held.HELD:
            return None
        count = (self.present, self.votes_for, self.votes_against, self.abstained)
        return outcome(self.kind, self.invited, Count(*(number or 0 for number in count)))


@dataclass(frozen=True)
class MeetingLine:
    """A meeting; `matters` counts its agenda, `rows` all that the list holds."""

    id: int
    area: str
    title: str
    place: str
    held_at: datetime
    status: str
    attended: int | None
    report: str | None
    made_by: str
    matters: int

    @property
    def status_name(self) -> str:
        return HELD_NAMES[self.status]  # type: ignore[index]

    @property
    def is_planned(self) -> bool:
        return self.status == Held.PLANNED


@dataclass(frozen=True)
class AgendaItem:
    """A matter on an agenda: by number, place, kind and state, as may be said aloud."""

    case_id: int
    number: str
    village: str | None
    village_name: str
    category: str
    reported_at: datetime
    open: bool
    closed_at: datetime | None


@dataclass(frozen=True)
class CaseHead:
    """What a matter is, as far as its mediation asks."""

    id: int
    number: str
    village: str | None
    level: str
    open: bool
    suspended: bool
    version: int
    category: str
    category_name: str


@dataclass(frozen=True)
class Offered:
    """A matter that may go on an agenda."""

    number: str
    category: str
    village_name: str
    open: bool
    day: datetime


def case_head(connection: Connection, case_id: int) -> CaseHead:
    """Return a matter; NotFoundError when it is not here, or is only history."""
    row = connection.execute(_HEAD, {"case": case_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"no matter {case_id} here")
    return CaseHead(**row._mapping)


def offered(connection: Connection, area: str = "", most: int = 24) -> list[Offered]:
    """Return the matters of an area that were settled last, of which a meeting would report."""
    rows = connection.execute(_OFFERED, {"area": area, "most": most})
    return [Offered(**row._mapping) for row in rows]


def of_case(connection: Connection, case_id: int) -> list[MediationLine]:
    """Return the mediations of a matter with their sittings, the newest first."""
    rows = connection.execute(text(_LINES + " WHERE m.case_id = :case ORDER BY m.id DESC"), {"case": case_id})
    return _with_sittings(connection, rows.all())


def one(connection: Connection, mediation_id: int) -> MediationLine:
    """Return one mediation; NotFoundError when it is not here."""
    rows = connection.execute(text(_LINES + " WHERE m.id = :id"), {"id": mediation_id}).all()
    if not rows:
        raise NotFoundError(f"no mediation {mediation_id} here")
    return _with_sittings(connection, rows)[0]


def office(
    connection: Connection, show: str, today: date, level: str = "", area: str = "", page: int = 1
) -> list[MediationLine]:
    """Return a page of the mediations of an area ('' for all that the actor sees), the longest open first.

    `show` is one of SHOWS, `level` a tier or '' for all.
    """
    order = {"due": "m.follow_up_on, m.id", "open": "m.opened_at, m.id"}.get(show, "m.id DESC")
    statement = _LINES + _AMONG + f" ORDER BY {order} LIMIT :most OFFSET :skip"
    chosen = {"show": show, "level": level, "area": area, "today": today}
    rows = connection.execute(text(statement), {**chosen, "most": PAGE, "skip": (page - 1) * PAGE})
    return [_line(row) for row in rows]


def counts(connection: Connection, today: date, area: str = "") -> dict[str, int]:
    """Return how many mediations each of SHOWS has, and, by level, how many are open ('level:town')."""
    row = connection.execute(text(_COUNTS), {"today": today, "area": area}).one()
    return {name.replace("__", ":"): int(number) for name, number in row._mapping.items()}


def deliberations(connection: Connection, case_id: int) -> list[DeliberationLine]:
    """Return the deliberations of a matter, the newest first."""
    rows = connection.execute(
        text("""
        SELECT id, case_id, kind, status, question, place, held_at, invited, present, votes_for,
            votes_against, abstained, advice, minutes, made_by
        FROM deliberation WHERE case_id = :case ORDER BY held_at DESC, id DESC
        """),
        {"case": case_id},
    )
    return [DeliberationLine(**row._mapping) for row in rows]


def case_of_deliberation(connection: Connection, deliberation_id: int) -> int:
    """Return the matter of a deliberation; NotFoundError when it is not here."""
    statement = text("SELECT case_id FROM deliberation WHERE id = :id")
    found = connection.execute(statement, {"id": deliberation_id}).scalar_one_or_none()
    if found is None:
        raise NotFoundError(f"no deliberation {deliberation_id} here")
    return int(found)


def meetings(connection: Connection, area: str = "", most: int = 200) -> list[MeetingLine]:
    """Return the meetings of an area, those to come first, then the latest."""
    rows = connection.execute(
        text(
            _MEETINGS + " WHERE starts_with(m.area, :area)"
            " ORDER BY m.status <> 'planned', CASE m.status WHEN 'planned' THEN m.held_at END, m.held_at DESC"
            " LIMIT :most"
        ),
        {"area": area, "most": most},
    )
    return [MeetingLine(**row._mapping) for row in rows]


def meeting(connection: Connection, meeting_id: int) -> tuple[MeetingLine, list[AgendaItem]]:
    """Return a meeting with its agenda; NotFoundError when it is not here."""
    row = connection.execute(text(_MEETINGS + " WHERE m.id = :id"), {"id": meeting_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"no meeting {meeting_id} here")
    items = connection.execute(text(_AGENDA), {"id": meeting_id})
    return MeetingLine(**row._mapping), [AgendaItem(**item._mapping) for item in items]


def _line(row: Row[Any], sittings: Sequence[Sitting] = ()) -> MediationLine:
    columns = row._mapping
    return MediationLine(**{**columns, "mediators": tuple(columns["mediators"])}, sittings=tuple(sittings))


def _with_sittings(connection: Connection, rows: Sequence[Row[Any]]) -> list[MediationLine]:
    numbers = [row.id for row in rows]
    found: dict[int, list[Sitting]] = defaultdict(list)
    for row in connection.execute(_SITTINGS, {"numbers": numbers}):
        found[row.mediation_id].append(Sitting(row.id, row.held_at, row.place))
    return [_line(row, found[row.id]) for row in rows]


_HEAD = text("""
SELECT c.id, c.number, c.village, c.level, c.open, c.suspended_at IS NOT NULL AS suspended, c.version,
    i.category, k.name AS category_name
FROM incident_case c JOIN incident i ON i.id = c.id JOIN category k ON k.code = i.category WHERE c.id = :case
""")
_OFFERED = text("""
SELECT c.number, k.name AS category, coalesce(d.name, '') AS village_name, c.open,
    coalesce(i.closed_at, i.reported_at) AS day
FROM incident_case c JOIN incident i ON i.id = c.id JOIN category k ON k.code = i.category
LEFT JOIN division d ON d.code = c.village
WHERE NOT c.open AND starts_with(coalesce(c.village, ''), :area)
ORDER BY i.closed_at DESC NULLS LAST LIMIT :most
""")
_LINES = """
SELECT m.id, m.case_id, c.number, c.village, k.name AS category, c.open AS case_open, m.kind,
    p.name AS panel, m.level, m.status, m.opened_at, m.opened_by, m.ended_at, m.reason,
    m.agreement IS NOT NULL AS has_agreement, m.follow_up_on, m.followed_up_on, m.kept, m.version,
    ARRAY(SELECT w.name FROM mediation_mediator l JOIN mediator w ON w.id = l.mediator_id
        WHERE l.mediation_id = m.id ORDER BY w.name) AS mediators,
    count(*) OVER ()::integer AS rows
FROM mediation m JOIN incident_case c ON c.id = m.case_id JOIN incident i ON i.id = m.case_id
JOIN category k ON k.code = i.category LEFT JOIN mediation_panel p ON p.code = m.panel
"""
_SHOWN = """CASE show
    WHEN 'open' THEN m.status = 'open'
    WHEN 'due' THEN m.status = 'agreed' AND m.followed_up_on IS NULL AND m.follow_up_on <= :today
    WHEN 'agreed' THEN m.status = 'agreed'
    WHEN 'broken' THEN m.kept IS FALSE
    WHEN 'ended' THEN m.status IN ('failed', 'withdrawn')
    ELSE true END"""
_AMONG = (
    f" WHERE {_SHOWN.replace('CASE show', 'CASE :show')} AND (:level = '' OR m.level = :level)"
    " AND starts_with(coalesce(c.village, ''), :area)"
)
_COUNTS = (
    "SELECT "
    + ", ".join(
        f"count(*) FILTER (WHERE {_SHOWN.replace('CASE show', f'CASE {show!r}')}) AS {show}" for show in SHOWS
    )
    + "".join(
        f", count(*) FILTER (WHERE m.status = 'open' AND m.level = '{level}') AS level__{level}"
        for level in Tier
    )
    + " FROM mediation m JOIN incident_case c ON c.id = m.case_id"
    " WHERE starts_with(coalesce(c.village, ''), :area)"
)
_SITTINGS = text("""
SELECT id, mediation_id, held_at, place FROM mediation_session
WHERE mediation_id = ANY (:numbers) ORDER BY held_at, id
""")
_MEETINGS = """
SELECT m.id, m.area, m.title, m.place, m.held_at, m.status, m.attended, m.report, m.made_by,
    (SELECT count(*) FROM matter_meeting_item t WHERE t.meeting_id = m.id)::integer AS matters
FROM matter_meeting m
"""
_AGENDA = """
SELECT c.id AS case_id, c.number, c.village, coalesce(d.name, '') AS village_name, k.name AS category,
    i.reported_at, c.open, i.closed_at
FROM matter_meeting_item t JOIN incident_case c ON c.id = t.case_id JOIN incident i ON i.id = c.id
JOIN category k ON k.code = i.category LEFT JOIN division d ON d.code = c.village
WHERE t.meeting_id = :id ORDER BY c.number
"""

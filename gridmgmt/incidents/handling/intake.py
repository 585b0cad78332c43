"""Takes in a matter from any channel: place, office and limits are derived; a retry makes no second one."""

import hashlib
import json
import math
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, insert, select, text
from sqlalchemy.dialects import postgresql

from gridmgmt.calendar import CHINA
from gridmgmt.db.engine import acting
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError
from gridmgmt.incidents import holidays
from gridmgmt.incidents.actor import Actor
from gridmgmt.incidents.flows import stored as flows
from gridmgmt.incidents.flows.flow import Limit
from gridmgmt.incidents.handling.models import IncidentCase, IncidentKey
from gridmgmt.incidents.handling.work import first_step, grid_at, moment_of, nearer
from gridmgmt.incidents.intake import TITLE_LENGTH, check_words, leaf
from gridmgmt.incidents.models import Category, Channel, Incident
from gridmgmt.incidents.parties import service as parties
from gridmgmt.incidents.parties.told import PartyTold
from gridmgmt.incidents.plain import plain, plain_line
from gridmgmt.incidents.terms import Ledger, Status, Tier
from gridmgmt.privacy.keyring import KeyRing

DEFAULT_FLOW = "nine_steps"
# A form's clock may run ahead of the server's by so much.
AHEAD = timedelta(minutes=10)
OLDEST = timedelta(days=366)
LONGEST_ADDRESS = 200


@dataclass(frozen=True)
class Told:
    """What somebody told: kind, words, channel, and where.

    A place is a point in CGCS2000 degrees; without one `village` may name a village or a grid, or nothing
    when only the centre can find out. `follow` asks for a secret link to the matter.
    """

    category: str
    words: str
    channel: str
    ledger: str | None = None
    lon: float | None = None
    lat: float | None = None
    address: str = ""
    title: str = ""
    village: str | None = None
    occurred_at: datetime | None = None
    flow: str = DEFAULT_FLOW
    parties: tuple[PartyTold, ...] = ()
    duplicate_of: int | None = None
    follow: bool = False
    source: str = "gridmgmt"

    def digest(self) -> bytes:
        """Return a sum of all that was told, by which a retry is known from another matter."""
        words = json.dumps(asdict(self), ensure_ascii=False, default=str, sort_keys=True)
        return hashlib.sha256(words.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True)
class Taken:
    """A matter that stands: `token` opens its page to whoever told it, and is not given again."""

    case_id: int
    number: str
    token: str | None
    again: bool


@dataclass(frozen=True)
class Place:
    """Where a matter lies: the grid and its village, or a village alone, or neither."""

    grid_id: int | None
    village: str | None
    area: str


def take_in(
    engine: Engine,
    ring: KeyRing | None,
    actor: Actor,
    told: Told,
    key: UUID,
    attach: Callable[[Connection, int], None] | None = None,
    now: datetime | None = None,
) -> Taken:
    """Write a matter with its case, parties and first step in one transaction, and return its number.

    Whoever tells of it may be of another area: it is written in the area of the place, which handles it.
    `key` is the caller's own for this telling; the same key with the same words gives the same matter.
    `attach` is called inside the transaction with the case's number.

    Raises InputError naming the field that is not allowed, ConflictError when the key was used for something
    else.
    """
    told = replace(
        told, words=plain(told.words), title=plain_line(told.title), address=plain_line(told.address)
    )
    with acting(engine, actor.username, actor.area, actor.unit) as connection:
        place, leader = _place(connection, told, actor), _leader(connection, told.duplicate_of)
    with acting(engine, actor.username, place.area) as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 7))"), {"key": str(key)})
        before = _before(connection, key, told)
        if before:
            return before
        return _write(connection, ring, actor, told, key, place, leader, attach, now or moment_of(connection))


def _place(connection: Connection, told: Told, actor: Actor) -> Place:
    if (told.lon is None) != (told.lat is None):
        raise InputError("place", "half a place", "longitude and latitude, or neither")
    if told.lon is not None and told.lat is not None:
        if not (math.isfinite(told.lon) and math.isfinite(told.lat)):
            raise InputError("place", "no number", "degrees inside the city")
        grid = grid_at(connection, told.lon, told.lat)
        if grid is None:
            raise InputError("place", f"{told.lon:.5f}, {told.lat:.5f}", "a place inside a grid of the city")
        return Place(grid.id, grid.village, grid.code15)
    if told.village:
        return _named(connection, told.village)
    if actor.role is not Role.COMMAND:
        raise InputError("place", "nothing", "a place, or the village")
    return Place(None, None, "")


def _named(connection: Connection, code: str) -> Place:
    """Return the village or the grid in force that a code names."""
    row = connection.execute(
        text("""
        SELECT CAST(NULL AS integer) AS id, code AS village FROM division
        WHERE code = :code AND level = 'village'
        UNION ALL
        SELECT id, village FROM grid WHERE code15 = :code AND kind = 'base' AND valid_to IS NULL
        """),
        {"code": code},
    ).one_or_none()
    if row is None:
        raise InputError("village", code, "the code of a village, community or grid")
    return Place(row.id, row.village, code)


def _before(connection: Connection, key: UUID, told: Told) -> Taken | None:
    """Return the matter that this key made before; ConflictError when it was told something else."""
    row = connection.execute(
        select(IncidentKey.case_id, IncidentKey.digest).where(IncidentKey.key == key)
    ).one_or_none()
    if row is None:
        return None
    if bytes(row.digest) != told.digest():
        raise ConflictError(f"key {key} was used for another matter")
    number = connection.scalar(select(IncidentCase.number).where(IncidentCase.id == row.case_id))
    return Taken(row.case_id, str(number), None, True)


def _write(
    connection: Connection,
    ring: KeyRing | None,
    actor: Actor,
    told: Told,
    key: UUID,
    place: Place,
    leader: int | None,
    attach: Callable[[Connection, int], None] | None,
    now: datetime,
) -> Taken:
    columns = _checked(connection, told, now)
    flow = flows.active(connection).get(told.flow)
    if flow is None:
        raise InputError("flow", told.flow, ", ".join(flows.active(connection)))
    days = holidays.working_days(connection)
    category = connection.execute(select(Category.days).where(Category.code == told.category)).one()
    due_at = days.after(now, Limit(days=category.days or flow.days))
    level = _level(actor, place)
    number = connection.execute(text("SELECT matter_number(:now)"), {"now": now}).scalar_one()
    begins = flow.step(flow.begins)
    case_id = connection.execute(
        insert(Incident)
        .values(
            **columns, external_id=number, reported_at=now, grid_id=place.grid_id, village=place.village,
            status=Status.OPEN, stage=begins.code, level=level, due_at=due_at,
            digest=UUID(bytes=told.digest()[:16]),
        )
        .returning(Incident.id)
    ).scalar_one()  # fmt: skip
    token = secrets.token_urlsafe(24) if told.follow else None
    step_due_at = days.after(now, begins.limit) if begins.limit.is_set else None
    connection.execute(
        insert(IncidentCase).values(
            id=case_id, number=number, flow_id=flows.active_id(connection, told.flow), stage=begins.code,
            stage_since=now, opened_at=now, step_due_at=step_due_at,
            next_due_at=nearer(step_due_at, due_at), level=level, version=1,
            duplicate_of=leader,
            follow_hash=follow_hash(token) if token else None,
        )
    )  # fmt: skip
    first_step(connection, actor, case_id, now, begins.code, due_at, {"channel": told.channel})
    if told.parties:
        if ring is None:
            raise InputError("parties", "no keys", "the city's key ring")
        parties.add(connection, ring, case_id, place.area, told.parties, actor.username)
    if attach:
        attach(connection, case_id)
    _remember(connection, actor, key, case_id, told)
    return Taken(case_id, number, token, False)


def _checked(connection: Connection, told: Told, now: datetime) -> dict[str, Any]:
    """Return the columns that say what the matter is; InputError names the field that is not allowed."""
    check_words(told.words)
    leaf(connection, told.category)
    if told.title:
        check_words(told.title)
    if told.address:
        if len(told.address) > LONGEST_ADDRESS:
            raise InputError("address", "a longer text", f"up to {LONGEST_ADDRESS} characters")
        check_words(told.address)
    if told.ledger and told.ledger not in set(Ledger):
        raise InputError("ledger", told.ledger, ", ".join(Ledger))
    if connection.scalar(select(Channel.code).where(Channel.code == told.channel)) is None:
        raise InputError("channel", told.channel, "the code of a channel")
    occurred = told.occurred_at or now
    if occurred.tzinfo is None or not now - OLDEST <= occurred <= now + AHEAD:
        raise InputError("occurred_at", str(occurred), "a moment of the last year, with its time zone")
    day = occurred.astimezone(CHINA).date()
    connection.execute(
        text("SELECT ensure_incident_year(:year) WHERE to_regclass('incident_' || :year) IS NULL"),
        {"year": day.year},
    )
    summary = " ".join((told.title or told.words).split())[:TITLE_LENGTH]
    point = None if told.lon is None else f"SRID=4490;POINT({told.lon!r} {told.lat!r})"
    return {
        "source": told.source, "ledger": told.ledger or Ledger.DEMAND, "channel": told.channel,
        "category": told.category, "occurred_at": occurred, "occurred_on": day, "geom": point,
        "address": told.address.strip() or None, "title": summary, "text": told.words.strip(),
    }  # fmt: skip


def _level(actor: Actor, place: Place) -> Tier:
    """Return where a matter begins: at the centre when it was told there or nobody knows the place."""
    if actor.role is Role.COMMAND or place.village is None:
        return Tier.CITY
    return Tier.VILLAGE if actor.role is Role.GRID_WORKER else Tier.TOWN


def _leader(connection: Connection, number: int | None) -> int | None:
    """Return the case that this one goes along with: the first of those linked, and visible here."""
    if number is None:
        return None
    row = found_case(connection, number)
    return int(row.duplicate_of or row.id)


def found_case(connection: Connection, number: int) -> Row[Any]:
    """Return an open case by its id; InputError when it is closed or not here."""
    row = connection.execute(
        select(IncidentCase.__table__).where(IncidentCase.id == number, IncidentCase.open)
    ).one_or_none()
    if row is None:
        raise InputError("duplicate_of", number, "an open matter of this area")
    return row


def _remember(connection: Connection, actor: Actor, key: UUID, case_id: int, told: Told) -> None:
    row = {"key": key, "who": actor.username, "case_id": case_id, "digest": told.digest()}
    written = connection.execute(postgresql.insert(IncidentKey).values(row).on_conflict_do_nothing())
    if not written.rowcount:  # the policies hide the keys of others, so `_before` has not seen it
        raise ConflictError(f"key {key}: somebody else has used it")


def follow_hash(token: str) -> bytes:
    """Return what is kept of a secret link: enough to know it again, not to make it."""
    return hashlib.sha256(token.encode()).digest()

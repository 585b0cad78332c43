"""Matters as programs of others see them: what is shown to whom is decided here and nowhere else.

Without a key a matter of an open category is a kind, a day, a village and a point to three decimals, which is
about 100 m. A key shows more by its scopes; parties, notes and answers are shown to nobody.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text

from gridmgmt.calendar import CHINA
from gridmgmt.errors import InputError, NotFoundError
from gridmgmt.incidents.actor import on_matters
from gridmgmt.incidents.flows import stored as flows
from gridmgmt.incidents.handling.acts import ACT_NAMES, Act
from gridmgmt.incidents.handling.intake import Taken, Told, take_in
from gridmgmt.incidents.opening.keys import Caller, Scope
from gridmgmt.incidents.parties.models import PartyPart
from gridmgmt.incidents.parties.told import PartyTold
from gridmgmt.privacy.keyring import KeyRing

DECIMALS, EXACT = 3, 7  # of a degree: about 100 m, and 1 cm
MOST_ROWS = 1000
WINDOW = timedelta(days=90)
CHANNEL = "open311"


@dataclass(frozen=True)
class Sight:
    """How much of a matter is shown: all categories with the exact point, and what somebody wrote."""

    everything: bool = False
    words: bool = False

    @staticmethod
    def of(caller: Caller | None) -> "Sight":
        """Return what a key's scopes open; nothing for nobody."""
        scopes = caller.scopes if caller else frozenset()
        words = Scope.TEXT in scopes
        return Sight(words or Scope.READ in scopes, words)


@dataclass(frozen=True)
class Wanted:
    """Which matters: empty fields mean all. `bbox` is west, south, east, north in CGCS2000 degrees.

    `before` asks for those with a smaller id, the largest first; else the newest come first, `offset` of
    them left out.
    """

    ids: tuple[int, ...] = ()
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    bbox: tuple[float, float, float, float] | None = None
    area: str = ""
    before: int | None = None
    by_id: bool = False
    limit: int = MOST_ROWS
    offset: int = 0


@dataclass(frozen=True)
class Matter:
    """A matter as it may be shown to whoever asked; what may not is None."""

    id: int
    number: str | None
    category: str
    category_name: str
    department: str | None
    ledger: str | None
    channel: str | None
    status: str
    stage: str | None
    stage_name: str | None
    level: str | None
    village: str | None
    village_name: str | None
    lon: float | None
    lat: float | None
    reported_at: datetime
    updated_at: datetime
    due_at: datetime | None
    closed_at: datetime | None
    title: str | None
    text: str | None
    address: str | None


@dataclass(frozen=True)
class StepLine:
    """One act on a matter, without who did it and what they wrote."""

    n: int
    at: datetime
    act: str
    act_name: str
    from_stage: str | None
    to_stage: str | None
    unit: str | None
    due_at: datetime | None


@dataclass(frozen=True)
class Kind:
    """A category that matters are told under."""

    code: str
    name: str
    parent: str | None
    parent_name: str | None
    department: str | None
    days: int | None
    open: bool


@dataclass(frozen=True)
class Doors:
    """The two ways to the tables: one that cannot read words, and one that handles matters."""

    reader: Engine
    matters: Engine


def kinds(reader: Engine) -> list[Kind]:
    """Return the categories without finer ones, in order of code."""
    with reader.connect() as connection:
        rows = connection.execute(
            text("""
            SELECT c.code, c.name, c.parent, p.name AS parent_name, c.department, c.days, c.open
            FROM category c LEFT JOIN category p ON p.code = c.parent
            WHERE NOT EXISTS (SELECT FROM category finer WHERE finer.parent = c.code) ORDER BY c.code
            """)
        ).mappings()
        return [Kind(**row) for row in rows]


def county(reader: Engine) -> str | None:
    """Return the code of the county, by which Open311 knows the jurisdiction; None before an import."""
    with reader.connect() as connection:
        query = text("SELECT code FROM division WHERE level = 'county' ORDER BY code LIMIT 1")
        return connection.scalar(query)


def found(doors: Doors, caller: Caller | None, wanted: Wanted) -> list[Matter]:
    """Return the matters that are wanted and may be shown."""
    sight = Sight.of(caller)
    conditions, values = _conditions(wanted, sight)
    order = "i.id DESC" if wanted.by_id else "i.reported_at DESC, i.id DESC"
    query = text(f"""
        {_columns(sight)} WHERE {" AND ".join(conditions)} ORDER BY {order} LIMIT :limit OFFSET :offset
        """)
    with _connected(doors, caller, sight) as connection:
        names = _stage_names(connection)
        rows = connection.execute(query, {**values, "limit": wanted.limit, "offset": wanted.offset})
        return [_shown(row, sight, names) for row in rows.mappings()]


def steps(doors: Doors, caller: Caller, case_id: int) -> list[StepLine]:
    """Return the acts on a matter that `found` has shown to this caller, oldest first."""
    with on_matters(doors.matters, caller.actor) as connection:
        rows = connection.execute(
            text("""
            SELECT n, at, act, from_stage, to_stage, unit, due_at FROM incident_step
            WHERE case_id = :id ORDER BY n
            """),
            {"id": case_id},
        ).mappings()
        return [StepLine(**row, act_name=ACT_NAMES[Act(row["act"])]) for row in rows]


def tell(
    matters: Engine, ring: KeyRing, caller: Caller, form: Mapping[str, Any], key: uuid.UUID | None
) -> Taken:
    """Take in what a program tells: `service_code`, `description`, place, and who (sealed).

    A retry with the same key makes no second matter. Raises NotFoundError for a category that there is not,
    InputError for another field, ConflictError for a key that was used for another matter.
    """
    who = PartyTold(
        PartyPart.COMPLAINANT,
        name=f"{form.get('last_name') or ''}{form.get('first_name') or ''}".strip(),
        phone=(form.get("phone") or "").strip(),
    )
    told = Told(
        category=form["service_code"],
        words=form["description"],
        channel=CHANNEL,
        ledger=form.get("ledger"),
        lon=form.get("long"),
        lat=form.get("lat"),
        address=form.get("address_string") or "",
        village=form.get("address_id"),
        occurred_at=form.get("occurred_at"),
        parties=(who,) if who.name or who.phone else (),
    )
    try:
        return take_in(matters, ring, caller.actor, told, key or uuid.uuid4())
    except InputError as why:
        if why.field == "category":
            raise NotFoundError(f"service_code: there is no service {form['service_code']}") from None
        raise


def made_with(matters: Engine, caller: Caller, key: uuid.UUID) -> int:
    """Return the matter that this caller told with a key; NotFoundError when there is none."""
    with on_matters(matters, caller.actor) as connection:
        # The policy of the table shows a caller's own keys only.
        case_id = connection.scalar(text("SELECT case_id FROM incident_key WHERE key = :key"), {"key": key})
    if case_id is None:
        raise NotFoundError("token: no request was made with it")
    return int(case_id)


def _connected(doors: Doors, caller: Caller | None, sight: Sight) -> Any:
    if caller and sight.everything:
        return on_matters(doors.matters, caller.actor)
    return doors.reader.connect()


def _columns(sight: Sight) -> str:
    """Return the SELECT of a matter: what may not be shown is not even read."""
    decimals = EXACT if sight.everything else DECIMALS
    place = ", ".join(
        f"round(ST_{axis}(i.geom)::numeric, {decimals})::float8 AS {name}"
        for axis, name in (("X", "lon"), ("Y", "lat"))
    )
    words = "i.title, i.text, i.address" if sight.words else "NULL AS title, NULL AS text, NULL AS address"
    case_ = "NULL AS number, NULL AS updated_at"
    if sight.everything:
        case_ = """k.number, (SELECT s.at FROM incident_step s WHERE s.case_id = k.id AND s.n = k.version)
            AS updated_at"""
    join = "LEFT JOIN incident_case k ON k.id = i.id" if sight.everything else ""
    return f"""
        SELECT i.id, {case_}, i.category, c.name AS category_name, c.department, i.ledger, i.channel,
            i.status, i.stage, i.level, i.village, concat(t.name, v.name) AS village_name, {place},
            i.reported_at, i.due_at, i.closed_at, {words}
        FROM incident i JOIN category c ON c.code = i.category {join}
            LEFT JOIN division v ON v.code = i.village LEFT JOIN division t ON t.code = v.parent"""


def _conditions(wanted: Wanted, sight: Sight) -> tuple[list[str], dict[str, Any]]:
    conditions, values = ["true"], dict[str, Any]()

    def also(condition: str, **bound: Any) -> None:
        conditions.append(condition)
        values.update(bound)

    if not sight.everything:
        also("i.category IN (SELECT code FROM category WHERE open)")
    if wanted.ids:
        also("i.id = ANY(:ids)", ids=list(wanted.ids))
    if wanted.numbers and sight.everything:
        also("k.number = ANY(:numbers)", numbers=list(wanted.numbers))
    elif wanted.numbers:
        also("false")
    if wanted.categories:
        also(
            "i.category IN (SELECT code FROM category WHERE code = ANY(:kinds) OR parent = ANY(:kinds))",
            kinds=list(wanted.categories),
        )
    if wanted.statuses:
        also("i.status = ANY(:statuses)", statuses=list(wanted.statuses))
    if wanted.area:
        also("i.village LIKE :area", area=f"{wanted.area}%")
    if wanted.before is not None:
        also("i.id < :before", before=wanted.before)
    start, end = (wanted.start, wanted.end) if sight.everything else _days(wanted.start, wanted.end)
    if start:
        also("i.reported_at >= :start", start=start)
    if end:
        also("i.reported_at <= :end" if sight.everything else "i.reported_at < :end", end=end)
    if wanted.bbox:
        _inside(also, wanted.bbox, sight)
    return conditions, values


def _days(start: datetime | None, end: datetime | None) -> tuple[datetime | None, datetime | None]:
    """Return a period as whole days, its end open: who sees days must not find out the hour by asking."""
    return (
        _midnight(start + timedelta(days=1) - timedelta(microseconds=1)) if start else None,
        _midnight(end) + timedelta(days=1) if end else None,
    )


def _inside(also: Any, bbox: tuple[float, ...], sight: Sight) -> None:
    # Who sees rounded places is answered by rounded places, or a box could be narrowed down to the door.
    slack = 0 if sight.everything else 10**-DECIMALS
    sides = dict(zip(("west", "south", "east", "north"), bbox, strict=True))
    also(
        "i.geom && ST_MakeEnvelope(:west - :slack, :south - :slack, :east + :slack, :north + :slack, 4490)",
        **sides, slack=slack,
    )  # fmt: skip
    if not sight.everything:
        also(
            f"round(ST_X(i.geom)::numeric, {DECIMALS}) BETWEEN :west AND :east"
            f" AND round(ST_Y(i.geom)::numeric, {DECIMALS}) BETWEEN :south AND :north"
        )


def _shown(row: Mapping[str, Any], sight: Sight, stages: Mapping[str, str]) -> Matter:
    """Return a row as it may be shown: without a key days instead of moments."""
    said = dict(row)
    said["stage_name"] = stages.get(row["stage"] or "", row["stage"])
    said["village_name"] = row["village_name"] or None
    said["updated_at"] = row["closed_at"] or row["updated_at"] or row["reported_at"]
    for name in ("reported_at", "updated_at", "due_at", "closed_at"):
        moment = said[name]
        if moment is not None:
            said[name] = moment.astimezone(CHINA) if sight.everything else _midnight(moment)
    return Matter(**said)


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)


def _stage_names(connection: Connection) -> dict[str, str]:
    return names_of(flows.active(connection).values())


def names_of(active: Iterable[Any]) -> dict[str, str]:
    """Return the names of the steps of flows by their codes."""
    return {step.code: step.name for flow in active for step in flow.steps}


def one(doors: Doors, caller: Caller | None, reference: str) -> Matter:
    """Return a matter by its id or its number; NotFoundError when there is none to show."""
    for wanted in _readings(reference):
        shown: Sequence[Matter] = found(doors, caller, wanted)
        if shown:
            return shown[0]
    raise NotFoundError(f"{reference}: no such matter, or it may not be shown")


def _readings(reference: str) -> list[Wanted]:
    """Return what a reference may mean: a number has the day in front and is longer than any id so far."""
    readings = [Wanted(numbers=(reference,), limit=1)]
    if reference.isdecimal() and reference.isascii() and len(reference) <= 18:
        readings.insert(0, Wanted(ids=(int(reference),), limit=1))
    return readings

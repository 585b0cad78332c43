"""Mediation of a matter: opened, sat, agreed or not, withdrawn, followed up; and its sealed text shown.

Each function is one transaction, one step in the history of the matter and one line of the audit log. They
raise NotFoundError for what is not in the actor's area, NotAllowedError unless the actor is of the office
that has the matter, ConflictError when somebody has acted on it since or its state does not allow the act,
InputError for a field. `version` is the mediation's own; `now` is the server's clock unless given.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, update

from gridmgmt.calendar import CHINA
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from gridmgmt.incidents.actor import Actor, on_matters
from gridmgmt.incidents.handling.acts import Act
from gridmgmt.incidents.handling.work import Work, held, on_case, required
from gridmgmt.incidents.intake import check_words
from gridmgmt.incidents.mediation import sealed
from gridmgmt.incidents.mediation.models import (
    Mediation,
    MediationKind,
    MediationMediator,
    MediationPanel,
    MediationSession,
    MediationStatus,
    Mediator,
)
from gridmgmt.incidents.mediation.sealed import Minutes, Terms
from gridmgmt.incidents.mediation.words import YEAR, moment_near, named, sealed_words
from gridmgmt.incidents.terms import Tier
from gridmgmt.privacy import audit
from gridmgmt.privacy.keyring import KeyRing

MOST_MEDIATORS = 5
LATEST_FOLLOW_UP = timedelta(days=3 * 366)
# What sealed text may be read for; the audit log keeps the key.
PURPOSES = {
    "handle": "办理本件", "follow_up": "回访履行情况", "request": "当事人要求查阅",
    "confirm": "司法确认或诉讼", "reopen": "研究重新办理",
}  # fmt: skip
# What a step of mediation says was done.
STEP_NAMES = {
    "open": "启动调解", "session": "召开调解会", "agreed": "达成协议", "failed": "调解未成",
    "withdrawn": "终止调解", "kept": "回访：已履行", "broken": "回访：未履行",
}  # fmt: skip
_UP = list(Tier)


@dataclass(frozen=True)
class MediationTold:
    """How a matter is to be mediated: kind of linkage, by whom, under which panel, at which level.

    Without a level it is the matter's own; a mediation may be held below it, not above.
    """

    kind: str = MediationKind.PEOPLE
    mediators: tuple[int, ...] = ()
    panel: str | None = None
    level: str | None = None


@dataclass(frozen=True)
class Opened:
    """The sealed text of a mediation, for whoever said what for."""

    mediation_id: int
    case_id: int
    agreed: Terms | None
    minutes: tuple[Minutes, ...]


def open_(
    engine: Engine,
    actor: Actor,
    case_id: int,
    version: int | None,
    told: MediationTold,
    *,
    now: datetime | None = None,
) -> int:
    """Open a mediation and return its number; `version` is the matter's."""
    with on_case(engine, actor, case_id, version, now) as work:
        work.check_live()
        actor.check_office(work.case.level)
        columns = _told(work, told)
        if work.connection.scalar(_of_case(case_id).where(Mediation.status == MediationStatus.OPEN)):
            raise ConflictError(f"matter {work.case.number} is being mediated already")
        _line(work, "mediation.write", "open")
        number = int(
            work.connection.execute(insert(Mediation).values(columns).returning(Mediation.id)).scalar_one()
        )
        pairs = [{"mediation_id": number, "mediator_id": each} for each in told.mediators]
        work.connection.execute(insert(MediationMediator), pairs)
        detail = {"kind": columns["kind"], "panel": told.panel, "level": columns["level"]}
        work.write(Act.MEDIATE, detail={"what": "open", "mediation": number} | detail)
        return number


def _of_case(case_id: int) -> Any:
    return select(Mediation.id).where(Mediation.case_id == case_id)


def _told(work: Work, told: MediationTold) -> dict[str, Any]:
    if told.kind not in set(MediationKind):
        raise InputError("kind", told.kind, ", ".join(MediationKind))
    level = told.level or work.case.level
    if level not in _UP[: _UP.index(Tier(work.case.level)) + 1]:
        raise InputError("level", level, f"village to {work.case.level}, where the matter stands")
    if told.panel and not work.connection.scalar(
        select(MediationPanel.active).where(MediationPanel.code == told.panel)
    ):
        raise InputError("panel", told.panel, "the code of a panel")
    _check_mediators(work.connection, told.mediators)
    return {
        "case_id": work.case.id, "kind": told.kind, "panel": told.panel or None, "level": level,
        "status": MediationStatus.OPEN, "opened_at": work.now, "opened_by": work.actor.username,
    }  # fmt: skip


def _check_mediators(connection: Connection, numbers: tuple[int, ...]) -> None:
    if not 1 <= len(numbers) <= MOST_MEDIATORS or len(set(numbers)) < len(numbers):
        raise InputError("mediators", len(numbers), f"1 to {MOST_MEDIATORS} mediators, each once")
    known = connection.execute(select(Mediator.id).where(Mediator.id.in_(numbers), Mediator.active))
    if len(known.all()) < len(numbers):
        raise InputError("mediators", "somebody else", "mediators of the talent pool")


def sit(
    engine: Engine,
    ring: KeyRing,
    actor: Actor,
    mediation_id: int,
    version: int | None,
    held_at: datetime,
    place: str,
    minutes: str,
    *,
    now: datetime | None = None,
) -> int:
    """Keep one sitting with its minutes, sealed; return the mediation's new version."""
    text = sealed_words("minutes", minutes)
    with _on(engine, actor, mediation_id, version, now) as (work, row):
        _check_open(work, row)
        moment = moment_near("held_at", held_at, row.opened_at - YEAR, work.now)
        _line(work, "mediation.write", "session", row.id)
        work.connection.execute(
            insert(MediationSession).values(
                mediation_id=row.id, held_at=moment, place=named("place", place), made_at=work.now,
                made_by=actor.username, **sealed.sealed(ring, "minutes", text),
            )
        )  # fmt: skip
        return _write(work, row, {}, "session", {"held_at": moment.isoformat(timespec="minutes")})


def agree(
    engine: Engine,
    ring: KeyRing,
    actor: Actor,
    mediation_id: int,
    version: int | None,
    agreed: Terms,
    follow_up_on: date,
    *,
    now: datetime | None = None,
) -> int:
    """End a mediation with an agreement, sealed, and the day on which to ask whether it is kept."""
    done = agreed.performance.strip()
    terms = Terms(sealed_words("terms", agreed.terms), done and sealed_words("performance", done))
    with _on(engine, actor, mediation_id, version, now) as (work, row):
        _check_open(work, row)
        today = work.now.astimezone(CHINA).date()
        if not today <= follow_up_on <= today + LATEST_FOLLOW_UP:
            raise InputError("follow_up_on", follow_up_on, "a day from today on, within three years")
        _line(work, "mediation.write", "agreed", row.id)
        ended = _ended(work, MediationStatus.AGREED) | {"follow_up_on": follow_up_on}
        columns = ended | sealed.sealed(ring, "agreement", terms.packed())
        return _write(work, row, columns, "agreed", {"follow_up_on": follow_up_on.isoformat()})


def fail(
    engine: Engine,
    actor: Actor,
    mediation_id: int,
    version: int | None,
    reason: str,
    *,
    now: datetime | None = None,
) -> int:
    """End a mediation without an agreement, with the reason."""
    return _end(engine, actor, mediation_id, version, MediationStatus.FAILED, reason, now)


def withdraw(
    engine: Engine,
    actor: Actor,
    mediation_id: int,
    version: int | None,
    reason: str,
    *,
    now: datetime | None = None,
) -> int:
    """End a mediation because somebody wants it no longer (终止), with the reason."""
    return _end(engine, actor, mediation_id, version, MediationStatus.WITHDRAWN, reason, now)


def _end(
    engine: Engine,
    actor: Actor,
    mediation_id: int,
    version: int | None,
    status: MediationStatus,
    reason: str,
    now: datetime | None,
) -> int:
    words = required("reason", reason)
    check_words(words)
    with _on(engine, actor, mediation_id, version, now) as (work, row):
        if row.status != MediationStatus.OPEN:
            raise ConflictError(f"mediation {row.id} is over")
        _line(work, "mediation.write", status.value, row.id)
        return _write(work, row, _ended(work, status) | {"reason": words}, status.value, {}, words)


def follow_up(
    engine: Engine,
    actor: Actor,
    mediation_id: int,
    version: int | None,
    *,
    kept: bool,
    note: str = "",
    now: datetime | None = None,
) -> int:
    """Write down whether an agreement was kept; where it was not, the office may reopen or mediate anew."""
    with _on(engine, actor, mediation_id, version, now) as (work, row):
        if row.status != MediationStatus.AGREED or row.followed_up_on:
            raise ConflictError(f"mediation {row.id} has no agreement to ask after")
        _line(work, "mediation.write", "follow_up", row.id)
        columns = {"followed_up_on": work.now.astimezone(CHINA).date(), "kept": kept}
        return _write(work, row, columns, "kept" if kept else "broken", {}, note.strip())


def read(engine: Engine, ring: KeyRing, actor: Actor, mediation_id: int, purpose: str) -> Opened:
    """Return minutes and agreement of a mediation, for one of PURPOSES."""
    if purpose not in PURPOSES:
        raise InputError("purpose", purpose, " | ".join(PURPOSES))
    with on_matters(engine, actor) as connection:
        work = held(connection, actor, _row(connection, mediation_id).case_id)
        check_reader(actor, work.case.level)
        agreed = sealed.agreements(connection, ring, [mediation_id]).get(mediation_id)
        minutes = tuple(sealed.minutes(connection, ring, [mediation_id]))
        _line(work, "mediation.read", "read", mediation_id, purpose)
        return Opened(mediation_id, work.case.id, agreed, minutes)


def check_reader(actor: Actor, level: str) -> None:
    """Raise NotAllowedError unless this person may read what is sealed: the town's office, the centre at
    city level."""
    if actor.role is Role.TOWN_OFFICER or (actor.role is Role.COMMAND and level == Tier.CITY):
        return
    raise NotAllowedError(f"{actor.username} may not read what was said in a mediation")


# --- what all acts share


@contextmanager
def _on(
    engine: Engine, actor: Actor, mediation_id: int, version: int | None, now: datetime | None
) -> Iterator[tuple[Work, Row[Any]]]:
    """Give a mediation with its case held, so that nobody else changes either until the end."""
    with on_matters(engine, actor) as connection:
        work = held(connection, actor, _row(connection, mediation_id).case_id, None, now)
        actor.check_office(work.case.level)
        row = _row(connection, mediation_id)
        if version is not None and version != row.version:
            raise ConflictError(f"mediation {row.id} is at version {row.version}, not {version}")
        yield work, row


def _row(connection: Connection, mediation_id: int) -> Row[Any]:
    row = connection.execute(select(Mediation.__table__).where(Mediation.id == mediation_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"no mediation {mediation_id} here")
    return row


def _check_open(work: Work, row: Row[Any]) -> None:
    if row.status != MediationStatus.OPEN:
        raise ConflictError(f"mediation {row.id} is over")
    if not work.case.open:
        raise ConflictError(f"matter {work.case.number} is closed")


def _ended(work: Work, status: MediationStatus) -> dict[str, Any]:
    return {"status": status, "ended_at": work.now, "ended_by": work.actor.username}


def _line(
    work: Work, what: str, did: str, mediation_id: int | None = None, purpose: str | None = None
) -> None:
    """Leave the one audit line of this transaction."""
    detail = {"case": work.case.id, "mediation": mediation_id, "what": did}
    area = work.case.village or ""
    audit.record(work.connection, what, area=area, purpose=purpose, detail=detail)


def _write(
    work: Work,
    row: Row[Any],
    columns: Mapping[str, Any],
    what: str,
    detail: Mapping[str, Any],
    note: str = "",
) -> int:
    """Write what changes of a mediation with its step on the case; return the mediation's new version."""
    version = int(row.version) + 1
    work.connection.execute(
        update(Mediation).where(Mediation.id == row.id).values(**columns, version=version)
    )
    work.write(Act.MEDIATE, note=note, detail={"what": what, "mediation": row.id, **detail})
    return version

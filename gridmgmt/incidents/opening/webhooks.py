"""Tells other programs of every act on a matter: in order, at least once, signed, with nobody in it.

Headers and signature are those of Standard Webhooks 1.0.0. A step is told once no earlier step can still
appear: its transaction is older than every one that still runs (an act takes its transaction's number before
its step's). A long import makes all wait; nothing is lost.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from gridmgmt.calendar import CHINA
from gridmgmt.db.engine import acting
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from gridmgmt.incidents.flows import stored as flows
from gridmgmt.incidents.handling.acts import Act
from gridmgmt.incidents.opening import sending
from gridmgmt.incidents.opening.keys import MOST_LETTERS
from gridmgmt.incidents.opening.models import Webhook
from gridmgmt.incidents.terms import Status
from gridmgmt.privacy import audit
from gridmgmt.privacy.cipher import new_salts, seal, unseal
from gridmgmt.privacy.keyring import KeyRing

FIELD = "webhook_secret"
PREFIX = "whsec_"
SECRET_BYTES = 32
STEPS_AT_ONCE = 200
# How long to wait after each failure in a row; after the last of them it is switched off.
DELAYS = tuple(
    timedelta(seconds=seconds) for seconds in (5, 60, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
GONE = 410
OFF = "switched off"
_NAME = re.compile(rf"[\w.-]{{2,{MOST_LETTERS}}}")
_LOCK = 7_311  # the class of the advisory locks: one sender an address at a time
_SETTLED = "txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


@dataclass(frozen=True)
class HookLine:
    """An address that is told, as the administrator sees it."""

    id: int
    name: str
    url: str
    acts: tuple[str, ...]
    active: bool
    failures: int
    next_try_at: datetime
    last_answer: str | None
    made_at: datetime
    made_by: str
    waiting: int


@dataclass(frozen=True)
class Delivered:
    """What one round did: messages taken, tries that failed, addresses switched off."""

    sent: int = 0
    failed: int = 0
    switched_off: int = 0

    def __add__(self, other: "Delivered") -> "Delivered":
        return Delivered(
            self.sent + other.sent, self.failed + other.failed, self.switched_off + other.switched_off
        )


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`; `secret` is base64 with or without `whsec_` in front."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    content = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()


def add(engine: Engine, ring: KeyRing, name: str, url: str, acts: Iterable[str], who: str) -> str:
    """Begin to tell an address of the acts it wants (none for all), and return the secret; shown once.

    It is told of what happens from now on. InputError for a field that is not allowed, ConflictError for a
    name that is taken.
    """
    told = set(acts)
    if not _NAME.fullmatch(name):
        raise InputError("name", name, "2 to 60 letters, digits, or . _ -")
    if not told <= set(Act):
        raise InputError("acts", ", ".join(sorted(told)), ", ".join(Act))
    sending.check_url(url)
    secret = PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    salt = new_salts(1)[0]
    row = {
        "name": name, "url": url, "salt": salt, "secret": seal(ring, salt, FIELD, secret),
        "acts": [act.value for act in Act if act in told], "made_by": who,
    }  # fmt: skip
    try:
        with acting(engine, who, "") as connection:
            audit.record(connection, "key.change", detail={"kind": "新建推送地址", "of": name})
            last = connection.scalar(text(f"SELECT coalesce(max(id), 0) FROM incident_step WHERE {_SETTLED}"))
            connection.execute(insert(Webhook).values(**row, after_step=last))
    except IntegrityError:
        raise ConflictError(f"there is a webhook {name} already") from None
    return secret


def listed(engine: Engine) -> list[HookLine]:
    """Return every address with the number of steps that it has not been told of, by name."""
    waiting = "(SELECT count(*) FROM incident_step s WHERE s.id > webhook.after_step) AS waiting"
    kept = ("salt", "secret", "after_step")
    columns = [column for column in Webhook.__table__.columns if column.name not in kept]
    with engine.connect() as connection:
        rows = connection.execute(select(*columns, text(waiting)).order_by(Webhook.name)).mappings()
        return [HookLine(**{**row, "acts": tuple(row["acts"])}) for row in rows]


def switch(engine: Engine, name: str, who: str, *, on: bool) -> None:
    """Switch an address off, or on again: it is then told of all that happened since."""
    fresh = {"failures": 0, "next_try_at": text("now()")} if on else {"last_answer": OFF}
    with acting(engine, who, "") as connection:
        audit.record(
            connection, "key.change", detail={"kind": "推送地址", "of": name[:MOST_LETTERS], "active": on}
        )
        statement = update(Webhook).where(Webhook.name == name).values(active=on, **fresh)
        if not connection.execute(statement).rowcount:
            raise NotFoundError(f"no webhook {name}")


def ping(engine: Engine, ring: KeyRing, name: str, *, allow_here: bool = False) -> sending.Answer:
    """Send one signed message of the type `ping` and return what came of it; nothing else changes."""
    with engine.connect() as connection:
        hook = connection.execute(select(Webhook.__table__).where(Webhook.name == name)).one_or_none()
    if hook is None:
        raise NotFoundError(f"no webhook {name}")
    now = datetime.now(UTC)
    body = _body("ping", now, {})
    return _post(hook, _secret(ring, hook), f"ping_{int(now.timestamp())}", body, allow_here=allow_here)


def deliver(engine: Engine, ring: KeyRing, now: datetime, *, allow_here: bool = False) -> Delivered:
    """Tell every address that is due what it has not been told yet, and return what came of it.

    `engine` is the owner's. At most 200 steps an address; call again until nothing is sent. Two calls at a
    time do not tell anybody twice. `now` decides who is due.
    """
    due = select(Webhook.id).where(Webhook.active, Webhook.next_try_at <= now).order_by(Webhook.id)
    with engine.connect() as connection:
        hooks = list(connection.scalars(due))
    done = Delivered()
    for number in hooks:
        with _alone(engine, number) as free:
            if free:
                done += _tell(engine, ring, number, now, allow_here=allow_here)
    return done


@contextmanager
def _alone(engine: Engine, number: int) -> Iterator[bool]:
    """Hold an address against other senders, without a transaction that would hold back the stream."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        key = {"class": _LOCK, "id": number}
        free = bool(connection.scalar(text("SELECT pg_try_advisory_lock(:class, :id)"), key))
        try:
            yield free
        finally:
            if free:
                connection.execute(text("SELECT pg_advisory_unlock(:class, :id)"), key)


def _tell(engine: Engine, ring: KeyRing, number: int, now: datetime, *, allow_here: bool) -> Delivered:
    with engine.connect() as connection:
        hook = connection.execute(select(Webhook.__table__).where(Webhook.id == number)).one()
        waiting = _waiting(connection, hook.after_step)
    secret = _secret(ring, hook)
    sent = 0
    for step_id, act, body in waiting:
        if hook.acts and act not in hook.acts:
            _note(engine, number, after_step=step_id)
            continue
        answer = _post(hook, secret, f"step_{step_id}", body, allow_here=allow_here)
        if not answer.taken:
            off = _failed(engine, hook, hook.failures if not sent else 0, answer, now)
            return Delivered(sent, 1, int(off))
        _note(engine, number, after_step=step_id, failures=0, last_answer=answer.words)
        sent += 1
    return Delivered(sent)


def _waiting(connection: Connection, after: int) -> list[tuple[int, str, bytes]]:
    """Return id, act and message of the next steps, oldest first."""
    rows = connection.execute(
        text(f"""
        SELECT s.id, s.case_id, s.n, s.at, s.act, s.from_stage, coalesce(s.to_stage, s.from_stage) AS stage,
            k.number, k.flow_id, i.category
        FROM incident_step s JOIN incident_case k ON k.id = s.case_id JOIN incident i ON i.id = s.case_id
        WHERE s.id > :after AND s.{_SETTLED} ORDER BY s.id LIMIT :most
        """),
        {"after": after, "most": STEPS_AT_ONCE},
    ).all()
    return [(row.id, row.act, _message(connection, row)) for row in rows]


def _message(connection: Connection, row: Row[Any]) -> bytes:
    step = flows.flow_of(connection, row.flow_id).step(row.stage)
    status = Status.CLOSED if step.final else Status.OPEN
    at = row.at.astimezone(CHINA)
    data = {
        "id": row.case_id, "number": row.number, "n": row.n, "act": row.act, "category": row.category,
        "status": status, "from_stage": row.from_stage, "stage": row.stage, "stage_name": step.name,
        "at": at.isoformat(),
    }  # fmt: skip
    return _body(f"matter.{row.act}", at, data)


def _body(kind: str, at: datetime, data: dict[str, Any]) -> bytes:
    said = {"type": kind, "timestamp": at.isoformat(), "data": data}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _secret(ring: KeyRing, hook: Row[Any]) -> str:
    return unseal(ring, bytes(hook.salt), FIELD, bytes(hook.secret))


def _post(hook: Row[Any], secret: str, message_id: str, body: bytes, *, allow_here: bool) -> sending.Answer:
    timestamp = int(datetime.now(UTC).timestamp())  # of this attempt: receivers refuse old ones
    headers = {
        "content-type": "application/json; charset=utf-8",
        "user-agent": "gridmgmt-webhook/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, message_id, timestamp, body),
    }
    try:
        return sending.post(hook.url, body, headers, allow_here=allow_here)
    except NotAllowedError:
        return sending.Answer(None, "an address of this machine")


def _failed(engine: Engine, hook: Row[Any], before: int, answer: sending.Answer, now: datetime) -> bool:
    """Note a failure and say whether that was the last one that was borne."""
    failures = before + 1
    off = failures > len(DELAYS) or answer.status == GONE
    wait = DELAYS[min(failures, len(DELAYS)) - 1]
    _note(
        engine, hook.id, failures=failures, last_answer=answer.words, active=not off, next_try_at=now + wait
    )
    return off


def _note(engine: Engine, number: int, **columns: Any) -> None:
    with engine.begin() as connection:
        connection.execute(update(Webhook).where(Webhook.id == number).values(**columns))

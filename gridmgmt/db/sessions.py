"""Sign-ins that stand on the server, so that they can be ended: the browser holds a token, we its SHA-256.

Every request asks once who its token belongs to. The row is written at most once a minute.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from gridmgmt.db.models import Account, AccountSession, Role, SessionEnd

TOKEN_BYTES = 32

# The first that fits: Edge and the Chinese browsers call themselves Chrome as well.
_BROWSERS = (
    ("微信", "MicroMessenger"), ("钉钉", "DingTalk"), ("Edge", "Edg(?:e|A|iOS)?/"),
    ("QQ 浏览器", "QQBrowser"), ("UC 浏览器", "UCBrowser"), ("360 浏览器", "360SE|360EE|QihooBrowser"),
    ("Opera", "OPR/"), ("Firefox", "Firefox/|FxiOS/"), ("Chromium", "Chromium/|HeadlessChrome/"), 
    ("Chrome", "Chrome/|CriOS/"), ("Safari", "Safari/"),
)  # fmt: skip
_SYSTEMS = (
    ("鸿蒙", "HarmonyOS|OpenHarmony"), ("Android", "Android"), ("iOS", "iPhone|iPad|iPod"),
    ("Windows", "Windows"), ("macOS", "Macintosh|Mac OS X"), ("Linux", "Linux|X11"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is signed in. `must_change`: somebody else gave the password, it is to be replaced."""

    username: str
    role: Role
    display_name: str
    area: str | None
    unit: str | None = None
    must_change: bool = False
    second_factor: bool = False


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A sign-in that stands: its id in hexadecimal, when it began and was last used, browser and system."""

    id: str
    started_at: datetime
    seen_at: datetime
    agent: str | None


def begin(engine: Engine, username: str, agent: str = "") -> str:
    """Begin a session and return its token, which is kept nowhere here; `agent` is a browser's header."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = {"id": digest(token), "username": username, "agent": agent_words(agent)}
    with engine.begin() as connection:
        connection.execute(insert(AccountSession).values(row))
        connection.execute(
            update(Account).where(Account.username == username).values(signed_in_at=func.now())
        )
    return token


def digest(token: str) -> bytes:
    """Return the id of the session that a token opens."""
    return hashlib.sha256(token.encode()).digest()


def agent_words(header: str) -> str | None:
    """Return browser and system in a word each, never the header itself; None when neither is known.

    >>> agent_words("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0 Safari/537.36")
    'Chrome · Windows'
    """
    found = [
        next((name for name, pattern in known if re.search(pattern, header)), "")
        for known in (_BROWSERS, _SYSTEMS)
    ]
    return " · ".join(filter(None, found)) or None


_FOUND = text("""
    SELECT a.username, a.role, a.display_name, a.area, a.unit, a.must_change, a.totp_sealed IS NOT NULL,
        s.seen_at < now() - interval '1 minute',
        s.seen_at < now() - :idle OR s.started_at < now() - :longest
    FROM account_session s JOIN account a ON a.username = s.username
    WHERE s.id = :id AND s.ended_at IS NULL AND a.active
""")
_SEEN = text("""
    UPDATE account_session SET seen_at = now() WHERE id = :id AND seen_at < now() - interval '1 minute'
""")
_IDLE = text("""
    UPDATE account_session SET ended_at = now(), ended_why = 'idle' WHERE id = :id AND ended_at IS NULL
""")


def identified(engine: Engine, token: str, idle: timedelta, longest: timedelta) -> Identity | None:
    """Return who a token belongs to, or None when its session is over or its account switched off.

    A session is over once it was not used for as long as `idle`, or is older than `longest`.
    """
    number = digest(token)
    # One statement needs no transaction around it: two of three trips to the server are saved.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        asked = {"id": number, "idle": idle, "longest": longest}
        row = connection.execute(_FOUND, asked).one_or_none()
        if row is None:
            return None
        *who, stale, over = row
        if over or stale:
            connection.execute(_IDLE if over else _SEEN, {"id": number})
    return None if over else Identity(who[0], Role(who[1]), *who[2:])


def end(engine: Engine, username: str, session_id: bytes, why: SessionEnd) -> bool:
    """End one session of an account; False when it has none of that id that stands."""
    statement = update(AccountSession).where(
        AccountSession.id == session_id,
        AccountSession.username == username,
        AccountSession.ended_at.is_(None),
    )
    with engine.begin() as connection:
        ended = connection.execute(statement.values(ended_at=func.now(), ended_why=why.value))
    return bool(ended.rowcount)


def end_all(connection: Connection, username: str, why: SessionEnd, *, keep: bytes | None = None) -> int:
    """End the sessions of an account but the one to `keep`; how many there were. Commits nothing."""
    statement = update(AccountSession).where(
        AccountSession.username == username, AccountSession.ended_at.is_(None)
    )
    if keep is not None:
        statement = statement.where(AccountSession.id != keep)
    return connection.execute(statement.values(ended_at=func.now(), ended_why=why.value)).rowcount


def standing(engine: Engine, username: str, idle: timedelta, longest: timedelta) -> list[SessionLine]:
    """Return the sessions of an account that are not over, the one used last on top."""
    columns = (AccountSession.id, AccountSession.started_at, AccountSession.seen_at, AccountSession.agent)
    asked = select(*columns).where(
        AccountSession.username == username,
        AccountSession.ended_at.is_(None),
        AccountSession.seen_at >= func.now() - idle,
        AccountSession.started_at >= func.now() - longest,
    )
    with engine.connect() as connection:
        rows = connection.execute(asked.order_by(AccountSession.seen_at.desc())).all()
    return [SessionLine(bytes(row.id).hex(), row.started_at, row.seen_at, row.agent) for row in rows]


def clear_old(connection: Connection, before: object, longest: timedelta) -> int:
    """Remove sessions that ended before a day, and return how many; commits nothing.

    One that nobody ended and that is older than `longest` counts as ended when it was last used.
    """
    connection.execute(
        text(
            "UPDATE account_session SET ended_at = seen_at, ended_why = 'idle'"
            " WHERE ended_at IS NULL AND started_at < now() - :longest"
        ),
        {"longest": longest},
    )
    gone = connection.execute(
        text("DELETE FROM account_session WHERE ended_at < :before"), {"before": before}
    )
    return gone.rowcount

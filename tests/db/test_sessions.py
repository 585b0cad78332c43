"""Sessions on the server, and passwords: what ends a sign-in, and what may be chosen."""

import hashlib
from datetime import date, timedelta

import pytest
from argon2 import PasswordHasher, Type
from sqlalchemy import Engine, text

from gridmgmt.db import identity, passwords, sessions
from gridmgmt.db.models import Role, SessionEnd
from gridmgmt.errors import ConflictError, InputError
from gridmgmt.privacy import accounts
from gridmgmt.privacy.accounts import NewAccount

IDLE, LONGEST = timedelta(minutes=60), timedelta(hours=10)
PASSWORD = "right horse battery"


@pytest.fixture
def chief(engine: Engine) -> Engine:
    """A database with one administrator, `chief`."""
    identity.create_account(engine, "chief", PASSWORD, Role.ADMIN, "主任")
    return engine


def who(engine: Engine, token: str) -> str | None:
    found = sessions.identified(engine, token, IDLE, LONGEST)
    return found.username if found else None


def past(engine: Engine, column: str, minutes: int) -> None:
    with engine.begin() as connection:
        statement = f"UPDATE account_session SET {column} = now() - make_interval(mins => :minutes)"
        connection.execute(text(statement), {"minutes": minutes})


def seen(engine: Engine) -> object:
    with engine.connect() as connection:
        return connection.scalar(text("SELECT seen_at FROM account_session"))


def why(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(text("SELECT ended_why FROM account_session ORDER BY started_at")))


def test_the_server_keeps_the_hash_of_a_token_and_no_header(chief: Engine) -> None:
    header = "Mozilla/5.0 (Linux; Android 14; secret-model 7) Chrome/120.0.1 Mobile Safari/537.36"
    token = sessions.begin(chief, "chief", header)
    with chief.connect() as connection:
        row = connection.execute(text("SELECT id, agent FROM account_session")).one()
        signed_in = connection.scalar(text("SELECT signed_in_at FROM account"))
    assert bytes(row.id) == hashlib.sha256(token.encode()).digest()
    assert row.agent == "Chrome · Android"
    assert len(token) >= 43
    assert signed_in is not None
    assert (who(chief, token), who(chief, token[:-1]), who(chief, "")) == ("chief", None, None)


def test_a_session_is_written_at_most_once_a_minute(chief: Engine) -> None:
    token = sessions.begin(chief, "chief")
    begun = seen(chief)
    assert who(chief, token) == "chief"
    assert seen(chief) == begun
    past(chief, "seen_at", 2)
    assert who(chief, token) == "chief"
    assert seen(chief) > begun  # type: ignore[operator]


@pytest.mark.parametrize(("column", "last", "over"), [("seen_at", 59, 61), ("started_at", 599, 601)])
def test_a_session_ends_when_it_is_idle_or_too_old(chief: Engine, column: str, last: int, over: int) -> None:
    token = sessions.begin(chief, "chief")
    past(chief, column, last)
    assert who(chief, token) == "chief"
    past(chief, column, over)
    assert who(chief, token) is None
    past(chief, column, 0)
    assert who(chief, token) is None, "what is over does not come back"
    assert why(chief) == ["idle"]


def test_a_password_ends_all_sessions_and_ones_own_all_others(chief: Engine) -> None:
    first, second = sessions.begin(chief, "chief"), sessions.begin(chief, "chief")
    accounts.own_password(chief, "chief", "another horse battery", sessions.digest(second))
    assert (who(chief, first), who(chief, second)) == (None, "chief")
    identity.set_password(chief, "chief", PASSWORD)
    assert who(chief, second) is None
    assert why(chief) == ["password", "password"]


def test_an_account_switched_off_is_out_and_comes_back_without_its_sessions(chief: Engine) -> None:
    identity.create_account(chief, "other", PASSWORD, Role.ADMIN, "")
    token = sessions.begin(chief, "other")
    accounts.switch(chief, "chief", "other", on=False)
    assert who(chief, token) is None
    accounts.switch(chief, "chief", "other", on=True)
    assert who(chief, token) is None
    assert why(chief) == ["revoked"]


def test_nobody_ends_a_session_of_somebody_else(chief: Engine) -> None:
    identity.create_account(chief, "other", PASSWORD, Role.ADMIN, "")
    token = sessions.begin(chief, "chief")
    assert not sessions.end(chief, "other", sessions.digest(token), SessionEnd.REVOKED)
    assert who(chief, token) == "chief"


def test_old_sessions_are_removed_after_the_registers_period(chief: Engine) -> None:
    sessions.begin(chief, "chief")
    past(chief, "started_at", 3 * 24 * 60)
    past(chief, "seen_at", 3 * 24 * 60)  # nobody ended it: it counts from when it was last used
    later = date.today() + timedelta(days=95)
    assert accounts.clear_sessions(chief, date.today()) == 0
    assert accounts.clear_sessions(chief, later, dry_run=True) == 1
    assert accounts.clear_sessions(chief, later) == 1
    assert why(chief) == []


@pytest.mark.parametrize(
    "password",
    ["1234567", "x" * 257, "Chief-of-Staff", "12345678", "WoAiNi1314", "Wangge123", "11111111"],
)
def test_passwords_that_anybody_would_guess_are_refused_without_being_quoted(
    engine: Engine, password: str
) -> None:
    with pytest.raises(InputError) as why_not:
        identity.create_account(engine, "chief-of-staff", password, Role.ADMIN, "")
    assert why_not.value.field == "password"
    assert password not in str(why_not.value)


def test_the_old_password_is_no_new_one(chief: Engine) -> None:
    with pytest.raises(InputError) as why_not:
        accounts.own_password(chief, "chief", PASSWORD, b"")
    assert why_not.value.found == "the old one"


def test_a_hash_takes_the_memory_and_rounds_that_make_guessing_dear(slow_hasher: PasswordHasher) -> None:
    # OWASP's password storage cheat sheet: Argon2id with 19 MiB, two rounds, one lane at the least.
    assert slow_hasher.type is Type.ID
    assert slow_hasher.memory_cost >= 19 * 1024
    assert slow_hasher.time_cost >= 2
    assert slow_hasher.hash_len >= 32
    assert slow_hasher.salt_len >= 16


def test_generated_passwords_are_kept_with_a_quick_hash_until_they_are_used(chief: Engine) -> None:
    given = accounts.put_password(chief, "chief", "chief")
    quick = identity.kept_hash(chief, "chief")
    assert quick is not None
    assert passwords.is_old(quick)
    found = identity.authenticate(chief, "chief", given)
    assert found is not None
    assert found.must_change
    slow = identity.kept_hash(chief, "chief")
    assert slow is not None
    assert not passwords.is_old(slow)
    assert len({passwords.generated() for _ in range(100)}) == 100


def test_of_many_accounts_one_that_is_taken_makes_none(chief: Engine) -> None:
    new = [NewAccount(name, "某", "command") for name in ("a1", "chief", "b1")]
    with pytest.raises(ConflictError):
        accounts.create_many(chief, "chief", new)
    assert [line.username for line in identity.accounts(chief)] == ["chief"]
    with chief.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM audit_log")) == 0

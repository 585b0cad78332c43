"""What OWASP ASVS 5.0 level 2 asks for and no other test shows; docs/security/asvs.md says which is which.

Beside it stand `test_security`, `test_attacks`, `test_access`, `test_accounts` and `test_oidc`.
"""

import logging
import re
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.cli import accounts as commands
from gridmgmt.db import identity, passwords
from gridmgmt.db.models import Role
from gridmgmt.errors import InputError
from gridmgmt.web import assets
from gridmgmt.web.access import WORKSPACES

from . import small_city
from .conftest import sign_in
from .test_attacks import _filled, _pages

AsRole = Callable[[Role | None], FlaskClient]


SECURE = {"X-Forwarded-Proto": "https", "Referer": "https://localhost/login"}


# --- cookies


def test_over_https_every_cookie_is_bound_to_its_host(app: Flask) -> None:
    client = app.test_client()
    client.environ_base |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in SECURE.items()}
    signed_in = sign_in(client, "command")
    token = _token(client.get("/command").get_data(as_text=True))
    chosen = client.post("/language", data={"language": "en", "csrf_token": token})
    cookies = [*signed_in.headers.getlist("Set-Cookie"), *chosen.headers.getlist("Set-Cookie")]  # type: ignore[attr-defined]
    assert {cookie.partition("=")[0] for cookie in cookies} == {"__Host-gridmgmt", "__Host-lang"}
    for cookie in cookies:
        assert re.search(r"; Secure", cookie), cookie
        assert "Path=/" in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Domain" not in cookie
    assert '<html lang="en"' in client.get("/command").get_data(as_text=True)
    found = client.get_cookie("__Host-gridmgmt", domain="localhost")
    assert found is not None
    planted = app.test_client()
    planted.set_cookie("gridmgmt", found.value)  # as a neighbouring host or plain http could
    assert planted.get("/command", headers=SECURE).status_code == 302


def test_what_is_in_the_cookie_is_signed_with_256_bits(app: Flask) -> None:
    client = app.test_client()
    client.get("/login")
    cookie = client.get_cookie("gridmgmt")
    assert cookie is not None
    assert len(cookie.value.rpartition(".")[2]) == 43, "32 bytes in base64"


# --- passwords


@pytest.mark.parametrize(
    "password",
    ["only small letters", "1357924680135", "网格里的一只白鹭在看书", "Ä \t~`'\"<>&%", "x" * 64, "长" * 256],
)
def test_a_password_may_be_of_any_signs_and_long(password: str) -> None:
    passwords.check(password, "somebody")


@pytest.mark.parametrize(
    "password", ["Wangge2026!", "admin-12345678", "##pingan##88", "网格治理20260101", "somebody99"]
)
def test_names_of_this_system_with_digits_around_them_are_no_passwords(password: str) -> None:
    with pytest.raises(InputError, match="word of this system"):
        passwords.check(password, "somebody")


@pytest.mark.parametrize("password", ["corvette", "Samantha", "1QAZ2WSX", "woaini1314", "qq123456"])
def test_a_password_that_many_have_is_refused(password: str) -> None:
    with pytest.raises(InputError, match="one of the commonest"):
        passwords.check(password, "somebody")
    assert sum(len(each) >= passwords.SHORTEST_PASSWORD for each in passwords._common()) > 11_000


def test_a_password_is_taken_exactly_as_it_was_typed(city: Engine) -> None:
    def known(password: str) -> bool:
        return identity.authenticate(city, "command", password) is not None

    right = small_city.PASSWORD
    assert known(right)
    assert not any(map(known, (right.upper(), right + " ", " " + right, right[:-1], right + "\0", "")))


def test_password_fields_are_covered_and_helpers_are_welcome(as_role: AsRole) -> None:
    seen = 0
    for role, path in ((None, "/login"), (Role.COMMAND, "/account/password")):
        page = as_role(role).get(path).get_data(as_text=True)
        for field in re.findall(r"<input[^>]*name=\"(?:password|old|new|again)\"[^>]*>", page):
            seen += 1
            assert 'type="password"' in field
            assert re.search(r'autocomplete="(?:current|new)-password"', field)
    assert seen == 4
    for script in assets.STATIC.glob("*.js"):
        assert not re.search(r"[\"']paste[\"']|onpaste", script.read_text(encoding="utf-8")), script.name


def test_the_command_line_reads_a_password_and_never_takes_it_as_an_argument(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[str] = []

    @contextmanager
    def nowhere():  # type: ignore[no-untyped-def]
        yield None

    monkeypatch.setattr(commands, "ready", nowhere)
    monkeypatch.setattr(commands.accounts, "put_password", lambda *told, **_: given.append(told[3]))
    run = CliRunner().invoke
    assert run(commands.account, ["password", "wang"], input="of the input 7\n").exit_code == 0
    assert given == ["of the input 7"]
    assert run(commands.account, ["password", "wang", "--password", "x"]).exit_code == 2


def test_a_new_city_has_no_account_at_all(engine: Engine) -> None:
    assert identity.accounts(engine) == []


# --- sessions and what is written down


def test_every_workspace_lets_one_sign_out(app: Flask, as_role: AsRole) -> None:
    for role, endpoint in WORKSPACES.items():
        with app.test_request_context():
            path = app.url_for(endpoint)
        assert 'action="/logout"' in as_role(role).get(path).get_data(as_text=True), role


def test_who_came_in_and_who_did_not_is_written_down_without_what_was_typed(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gridmgmt")
    client = app.test_client()
    for name, password in (
        ("command", "not the secret 1"),
        ("secret typed 2", "x"),
        ("command", small_city.PASSWORD),
    ):
        sign_in(client, name, password)
    refused = client.get("/admin")
    token = _token(client.get("/command").get_data(as_text=True))
    client.post("/logout", data={"csrf_token": token})
    told = [
        (line.getMessage(), vars(line)["account"], vars(line)["address"])
        for line in caplog.records
        if line.name == "gridmgmt.security"
    ]
    assert told == [
        ("sign-in refused", "command", "127.0.0.1"),
        ("sign-in refused", "", "127.0.0.1"),
        ("sign-in", "command", "127.0.0.1"),
        ("sign-out", "command", "127.0.0.1"),
    ]
    everything = " ".join(str(vars(line)) for line in caplog.records)
    assert not any(
        secret in everything for secret in ("not the secret 1", "secret typed 2", small_city.PASSWORD)
    )
    assert refused.status_code == 403
    assert "NotAllowedError" in {vars(line).get("error") for line in caplog.records}


# --- answers and arguments


def test_every_text_says_how_its_signs_are_written_and_no_page_is_lent_to_other_sites(
    app: Flask, as_role: AsRole
) -> None:
    faults = []
    for method, rule, role in _pages(app):
        with as_role(role).open(
            _filled(rule, "1"), method=method, headers={"Origin": "https://evil.example"}
        ) as answer:
            kind = answer.headers.get("Content-Type", "")
            if answer.content_length and not kind:
                faults.append((rule, "no type"))
            if re.match(r"text/|[^;]*[/+]xml\b", kind) and "charset=utf-8" not in kind.lower():
                faults.append((rule, kind))
            lent = answer.headers.get("Access-Control-Allow-Origin")
            if lent != ("*" if rule.startswith("/api/") else None):
                faults.append((rule, f"lent to {lent}"))
            if "Access-Control-Allow-Credentials" in answer.headers:
                faults.append((rule, "credentials"))
    assert faults == []


def test_a_form_is_read_from_its_body_and_its_first_value_alone(app: Flask) -> None:
    client = app.test_client()
    token = _token(client.get("/login").get_data(as_text=True))
    told = {"username": "command", "password": small_city.PASSWORD}
    in_address = client.post("/login", query_string=told, data={"csrf_token": token})
    assert in_address.status_code == 401
    twice = {"username": ["nobody", "command"], "password": small_city.PASSWORD, "csrf_token": token}
    assert client.post("/login", data=twice).status_code == 401


def test_a_form_changes_the_fields_that_it_shows_and_no_others(city: Engine, as_role: AsRole) -> None:
    client = as_role(Role.GRID_WORKER)
    token = _token(client.get("/account/password").get_data(as_text=True))
    more = {"role": "admin", "area": "", "username": "admin", "active": "false", "totp_sealed": "x"}
    new = "another horse battery"
    form = {"old": small_city.PASSWORD, "new": new, "again": new, "csrf_token": token}
    columns = text(
        "SELECT username, role, area, active, totp_sealed FROM account"
        " WHERE username IN ('grid_worker', 'admin') ORDER BY 1"
    )
    with city.connect() as connection:
        before = connection.execute(columns).all()
    assert client.post("/account/password", data=more | form).status_code == 303
    with city.connect() as connection:
        assert connection.execute(columns).all() == before
    assert identity.authenticate(city, "grid_worker", new)
    assert identity.authenticate(city, "admin", small_city.PASSWORD)


def test_no_setting_of_flask_opens_its_debugger(
    city: Engine, make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    app = make_app(city)
    app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=None)

    def broken() -> str:
        raise RuntimeError("a secret of the inside")

    app.view_functions["login.form"] = _public(broken)
    answer = app.test_client().get("/login")
    assert answer.status_code == 500
    page = answer.get_data(as_text=True)
    assert "secret of the inside" not in page
    assert "Traceback" not in page


def test_nothing_is_traced_back(app: Flask) -> None:
    for path in ("/login", "/static/app.css", "/api/openapi.json", "/nowhere"):
        answer = app.test_client().open(path, method="TRACE", headers={"X-Secret": "sesame"})
        assert answer.status_code in (404, 405), path
        assert b"sesame" not in answer.data


def _public(view: Callable[[], str]) -> Callable[[], str]:
    from gridmgmt.web.access import public

    return public(view)


def _token(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert found
    return found[1]


def test_the_words_of_this_system_are_told_to_operators() -> None:
    told = Path(__file__).parents[2] / "docs" / "security" / "README.md"
    assert "gridmgmt/db/context_words.txt" in told.read_text(encoding="utf-8")

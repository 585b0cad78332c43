"""Signing in through an identity provider: a small one on this machine, honest and otherwise."""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from sqlalchemy import Engine, text

from gridmgmt.config import Oidc, Settings
from gridmgmt.privacy import accounts
from gridmgmt.web import create_app
from gridmgmt.web.databases import EXTENSION

from . import small_city
from .conftest import sign_in
from .test_accounts import factor_on, post, status, words

CLIENT, SECRET, SUBJECT = "gridmgmt-web", "a secret of two", "staff-0042"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"}, private=True)
OTHER = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"}, private=True)
SHARED = OctKey.import_key(SECRET)


class Provider:
    """An identity provider; a test changes what its next token says, how it is signed, or leaves it out."""

    def __init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        self.codes: dict[str, dict[str, str]] = {}
        self.claims: dict[str, Any] = {}
        self.key: Any = KEY
        self.algorithm = "RS256"
        self.answer: dict[str, Any] = {}
        self.without_token = False
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "code_challenge_methods_supported": ["S256"],
        }  # fmt: skip

    def authorize(self, address: str) -> tuple[str, str]:
        """Take an authorization request as the browser brings it; returns code and state."""
        told = {key: values[0] for key, values in parse_qs(urlsplit(address).query).items()}
        assert address.startswith(f"{self.issuer}/authorize?")
        assert told["response_type"] == "code"
        assert (told["client_id"], told["code_challenge_method"]) == (CLIENT, "S256")
        assert len(told["nonce"]) >= 16
        assert len(told["state"]) >= 16
        code = f"code-{len(self.codes)}"
        self.codes[code] = told
        return code, told["state"]

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any]:
        told = self.codes.pop(form["code"])  # a code serves once
        expected = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert authorization == expected
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == told["code_challenge"]
        assert form["redirect_uri"] == told["redirect_uri"]
        now = int(time.time())
        claims = {
            "iss": self.issuer, "sub": SUBJECT, "aud": CLIENT, "iat": now, "exp": now + 300,
            "nonce": told["nonce"], **self.claims,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": self.algorithm, "kid": "one"}
        answer = {"access_token": "opaque", "token_type": "Bearer", **self.answer}
        if not self.without_token:
            answer["id_token"] = self._signed(header, claims)
        return answer

    def _signed(self, header: dict[str, str], claims: dict[str, Any]) -> str:
        if self.algorithm != "none":
            return jwt.encode(header, claims, self.key, algorithms=[self.algorithm])
        parts = (
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)
        )
        return b".".join(parts).decode() + "."


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages = {
                "/.well-known/openid-configuration": provider.discovery,
                "/jwks": lambda: {"keys": [KEY.as_dict(private=False)]},
            }
            self._send(pages[self.path]())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {key: values[0] for key, values in parse_qs(body).items()}
            self._send(provider.token(form, self.headers.get("Authorization", "")))

        def _send(self, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def linked_app(city: Engine, tmp_path: Path, provider: Provider) -> Iterator[Flask]:
    """The application with that provider; the account `command` is bound to its subject."""
    url = city.url.render_as_string(hide_password=False)
    chosen = Oidc(f"{provider.issuer}/.well-known/openid-configuration", CLIENT, SECRET)
    app = create_app(Settings(tmp_path, url, "a key for tests", None, oidc=chosen))
    app.config.update(TESTING=True, PROPAGATE_EXCEPTIONS=False)
    accounts.bind_subject(city, "test", "command", provider.issuer, SUBJECT)
    yield app
    app.extensions[EXTENSION].dispose()


def through(client: FlaskClient, provider: Provider, query: str = "") -> Any:
    """Go to the provider and come back; returns the answer to the way back."""
    sent = client.get(f"/oidc/start{query}")
    assert sent.status_code == 302
    code, state = provider.authorize(sent.headers["Location"])
    return client.get("/oidc/callback", query_string={"code": code, "state": state})


def test_a_bound_subject_signs_in_and_is_led_where_it_wanted_to_go(
    linked_app: Flask, provider: Provider, city: Engine
) -> None:
    client = linked_app.test_client()
    assert "统一身份认证" in client.get("/login").get_data(as_text=True)
    assert through(client, provider).headers["Location"] == "/command"
    assert client.get("/account").status_code == 200
    other = linked_app.test_client()
    assert through(other, provider, "?next=/seasonal").headers["Location"] == "/seasonal"
    third = linked_app.test_client()
    assert through(third, provider, "?next=//evil.example").headers["Location"] == "/command"
    with city.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM account_session WHERE ended_at IS NULL")) == 3


Change = Callable[[Provider], None]
ATTACKS: dict[str, Change] = {
    "another audience": lambda p: p.claims.update(aud="somebody-else"),
    "another audience, our azp": lambda p: p.claims.update(aud="somebody-else", azp=CLIENT),
    "another issuer": lambda p: p.claims.update(iss="http://127.0.0.1:1"),
    "another nonce": lambda p: p.claims.update(nonce="of another sign-in"),
    "no nonce": lambda p: p.claims.update(nonce=None),
    "expired": lambda p: p.claims.update(exp=int(time.time()) - 3600),
    "no expiry": lambda p: p.claims.update(exp=None),
    "not yet": lambda p: p.claims.update(nbf=int(time.time()) + 3600),
    "no subject": lambda p: p.claims.update(sub=None),
    "signed by somebody else": lambda p: setattr(p, "key", OTHER),
    "signed by nobody": lambda p: setattr(p, "algorithm", "none"),
    "signed with the client's secret": lambda p: vars(p).update(key=SHARED, algorithm="HS256"),
    "no token, but words": lambda p: vars(p).update(
        without_token=True, answer={"userinfo": {"sub": SUBJECT, "iss": p.issuer}}
    ),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_unsound_token_opens_nothing_and_is_not_told(
    linked_app: Flask, provider: Provider, attack: Change, caplog: pytest.LogCaptureFixture
) -> None:
    attack(provider)
    client = linked_app.test_client()
    answer = through(client, provider)
    assert answer.status_code == 403
    assert "统一身份登录没有通过" in answer.get_data(as_text=True)
    assert client.get("/account").status_code == 302
    assert SUBJECT not in caplog.text


def test_an_answer_that_this_browser_did_not_ask_for_is_refused(
    linked_app: Flask, provider: Provider
) -> None:
    mine, theirs = linked_app.test_client(), linked_app.test_client()
    code, state = provider.authorize(theirs.get("/oidc/start").headers["Location"])
    asked = {"code": code, "state": state}
    assert mine.get("/oidc/callback", query_string=asked).status_code == 403, "somebody else's state"
    assert mine.get("/oidc/callback", query_string={"code": code}).status_code == 403
    assert mine.get("/oidc/callback", query_string={"error": "access_denied"}).status_code == 403
    assert theirs.get("/oidc/callback", query_string=asked).status_code == 302
    replayed = theirs.get("/oidc/callback", query_string=asked)
    assert replayed.status_code == 403, "a state serves once"


def test_an_unknown_subject_is_told_so_and_gets_no_account(
    linked_app: Flask, provider: Provider, city: Engine
) -> None:
    provider.claims["sub"] = "a stranger"
    client = linked_app.test_client()
    answer = through(client, provider)
    assert answer.status_code == 403
    assert "这个身份还没有对应的账号" in answer.get_data(as_text=True)
    with city.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM account WHERE oidc_subject IS NOT NULL")) == 1
    with city.begin() as connection:
        connection.execute(text("UPDATE account SET active = false WHERE username = 'command'"))
    provider.claims.clear()
    assert through(client, provider).status_code == 403, "an account switched off stays out"


def test_a_second_factor_is_asked_for_on_this_way_too(linked_app: Flask, provider: Provider) -> None:
    client = linked_app.test_client()
    sign_in(client, "command")
    factor_on(client)
    other = linked_app.test_client()
    assert through(other, provider).headers["Location"] == "/login/code"
    assert other.get("/account").status_code == 302


def test_the_owner_binds_an_account_with_its_password_alone(
    linked_app: Flask, provider: Provider, city: Engine
) -> None:
    provider.claims["sub"] = "staff-0043"
    client = linked_app.test_client()
    sign_in(client, "planner")
    through(client, provider)  # without having said so first, a stranger's subject is bound to nobody
    assert _subject(city, "planner") is None
    sign_in(client, "planner") if client.get("/account").status_code == 302 else None
    assert status(post(client, "/account/provider", "/account", password="wrong horse")) == 401
    page = words(post(client, "/account/provider", "/account", password=small_city.PASSWORD))
    assert re.search(r'href="/oidc/start"', page)
    assert through(client, provider).headers["Location"] == "/account"
    assert _subject(city, "planner") == "staff-0043"
    fresh = linked_app.test_client()
    assert through(fresh, provider).headers["Location"] == "/plan"
    provider.claims["sub"] = SUBJECT
    post(client, "/account/provider", "/account", password=small_city.PASSWORD)
    assert through(client, provider).status_code == 409, "that one is another account's"
    again = {"password": small_city.PASSWORD}
    assert status(post(client, "/account/provider/off", "/account", **again)) == 303
    assert _subject(city, "planner") is None


def test_a_provider_is_the_one_whose_description_the_settings_name(
    linked_app: Flask, provider: Provider, city: Engine
) -> None:
    with city.begin() as connection:
        connection.execute(
            text("UPDATE account SET oidc_issuer = 'https://id.other.example' WHERE username = 'command'")
        )
    provider.claims["iss"] = "https://id.other.example"
    told = provider.discovery() | {"issuer": "https://id.other.example"}
    provider.discovery = lambda: told  # type: ignore[method-assign]
    client = linked_app.test_client()
    assert through(client, provider).status_code == 403
    assert client.get("/account").status_code == 302


def test_a_page_of_a_stranger_begins_no_sign_in(linked_app: Flask, provider: Provider) -> None:
    for site in ("cross-site", "same-site"):
        answer = linked_app.test_client().get("/oidc/start", headers={"Sec-Fetch-Site": site})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    own = linked_app.test_client().get("/oidc/start", headers={"Sec-Fetch-Site": "same-origin"})
    assert own.headers["Location"].startswith(f"{provider.issuer}/authorize?")


def test_without_a_provider_there_is_neither_button_nor_way(app: Flask) -> None:
    client = app.test_client()
    assert "/oidc/" not in client.get("/login").get_data(as_text=True)
    assert client.get("/oidc/start").status_code == 404
    assert client.get("/oidc/callback").status_code == 404


def test_a_provider_that_does_not_answer_leaves_the_password(linked_app: Flask, provider: Provider) -> None:
    provider.server.shutdown()
    provider.server.server_close()
    client = linked_app.test_client()
    answer = client.get("/oidc/start")
    assert answer.status_code == 502
    assert "暂时连不上统一身份平台" in answer.get_data(as_text=True)
    assert status(sign_in(client, "command")) == 302


def _subject(city: Engine, username: str) -> str | None:
    with city.connect() as connection:
        asked = text("SELECT oidc_subject FROM account WHERE username = :u")
        found: str | None = connection.scalar(asked, {"u": username})
    return found

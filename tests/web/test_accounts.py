"""Accounts: the own one, the administrator's, and whatever could be stepped around on the way in."""

import io
import json
import random
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import openpyxl
import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.config import Oidc, Settings
from gridmgmt.db import accounts as stored
from gridmgmt.db import identity
from gridmgmt.db.models import ADMINISTRATORS, Role
from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.privacy import accounts, factors
from gridmgmt.privacy.accounts import COMMAND_LINE, NewAccount
from gridmgmt.privacy.keyring import KeyRing
from gridmgmt.web import access, create_app, second_factor
from gridmgmt.web.databases import EXTENSION

from . import small_city
from .conftest import sign_in

AsRole = Callable[[Role | None], FlaskClient]
Made = Callable[..., Flask]
NEW = "another horse battery"


@pytest.fixture
def with_settings(city: Engine, tmp_path: Path) -> Iterator[Made]:
    """Makes the application on the small city with settings of one's own."""
    made: list[Flask] = []

    def make(**chosen: object) -> Flask:
        url = city.url.render_as_string(hide_password=False)
        app = create_app(Settings(tmp_path, url, "a key for tests", None, **chosen))  # type: ignore[arg-type]
        app.config.update(TESTING=True, PROPAGATE_EXCEPTIONS=False)
        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions[EXTENSION].dispose()


def post(client: FlaskClient, path: str, page: str = "", **form: object) -> object:
    """Post a form with the token of a page, as a browser does; returns the answer."""
    found = re.search(
        r'name="csrf_token" (?:type="hidden" )?value="([^"]+)"',
        client.get(page or path).get_data(as_text=True),
    )
    token = found[1] if found else ""
    return client.post(path, data={"csrf_token": token, **form}, content_type="multipart/form-data")


def status(answer: object) -> int:
    return int(answer.status_code)  # type: ignore[attr-defined]


def words(answer: object) -> str:
    return str(answer.get_data(as_text=True))  # type: ignore[attr-defined]


def lines(city: Engine) -> list[tuple[str, str, dict[str, object]]]:
    with city.connect() as connection:
        rows = connection.execute(text("SELECT what, who, detail FROM audit_log ORDER BY id")).all()
    return [(row.what, row.who, row.detail) for row in rows]


def set_columns(city: Engine, username: str, values: str) -> None:
    with city.begin() as connection:
        connection.execute(text(f"UPDATE account SET {values} WHERE username = :u"), {"u": username})


def factor_on(client: FlaskClient) -> pyotp.TOTP:
    """Turn the second factor on as a person does, and return the app that now makes the codes."""
    return with_recovery(client)[0]


def with_recovery(client: FlaskClient) -> tuple[pyotp.TOTP, list[str]]:
    """Turn the second factor on and return the app and the recovery codes that the page shows."""
    page = client.get("/account/factor").get_data(as_text=True)
    found = re.search(r'class="secret">([A-Z2-7]+)<', page)
    assert found
    app = pyotp.TOTP(found[1])
    answer = post(client, "/account/factor", code=app.now(), password=small_city.PASSWORD)
    assert status(answer) == 200
    return app, shown_codes(answer)


def shown_codes(answer: object) -> list[str]:
    return re.findall(r"<li><code>([a-z0-9-]{19})</code>", words(answer))


# --- sessions


def test_a_token_known_before_signing_in_opens_nothing_after(app: Flask) -> None:
    client = app.test_client()
    client.get("/login")
    planted = client.get_cookie("gridmgmt")
    sign_in(client, "command")
    assert planted is not None
    thief = app.test_client()
    thief.set_cookie("gridmgmt", planted.value)
    assert thief.get("/command").status_code == 302
    with client.session_transaction() as session:
        token = session["_user_id"]
    again = app.test_client()
    with again.session_transaction() as session:
        session["_user_id"] = "a token of the attacker's choice"
    sign_in(again, "command")
    with again.session_transaction() as session:
        assert session["_user_id"] not in (token, "a token of the attacker's choice")


def test_ending_the_other_sessions_ends_the_very_next_request_of_another_browser(app: Flask) -> None:
    mine, theirs = app.test_client(), app.test_client()
    for client in (mine, theirs):
        sign_in(client, "command")
    assert theirs.get("/account").status_code == 200
    page = mine.get("/account").get_data(as_text=True)
    assert page.count("结束登录</button>") == 1
    assert page.count("本机") == 1
    number = re.search(r'name="session" value="([0-9a-f]{64})"', page)
    assert number
    end = {"session": number[1], "password": small_city.PASSWORD}
    assert status(post(mine, "/account/sessions/end", "/account", **end)) == 303
    assert theirs.get("/account").status_code == 302
    assert mine.get("/account").status_code == 200
    sign_in(theirs, "command")
    others = {"password": small_city.PASSWORD}
    assert status(post(mine, "/account/sessions/end-others", "/account", **others)) == 303
    assert theirs.get("/account").status_code == 302


@pytest.mark.parametrize(
    "path", ["sessions/end", "sessions/end-others", "factor", "factor/off", "provider", "provider/off"]
)
def test_how_one_signs_in_and_where_changes_for_who_says_the_password_once_more(
    path: str, with_settings: Made, city: Engine
) -> None:
    app = with_settings(oidc=Oidc("https://id.example/about", "grid", "secret"))
    set_columns(city, "command", "oidc_issuer = 'https://id.example', oidc_subject = 'staff-7'")
    mine, theirs = app.test_client(), app.test_client()
    for client in (theirs, mine):
        sign_in(client, "command")
    number = re.search(r'name="session" value="([0-9a-f]{64})"', words(mine.get("/account")))
    assert number
    code = "000000"
    if path == "factor":
        found = re.search(r'class="secret">([A-Z2-7]+)<', words(mine.get("/account/factor")))
        assert found
        code = pyotp.TOTP(found[1]).now()
    elif path == "factor/off":
        code = factor_on(mine).now()
        set_columns(city, "command", "totp_step = NULL")
    before = stored.one(city, "command")
    for told in ({}, {"password": ""}, {"password": "wrong horse"}):
        answer = post(mine, f"/account/{path}", "/account", session=number[1], code=code, **told)
        assert status(answer) == 401
        assert "现在的密码不对" in words(answer)
    after = stored.one(city, "command")
    assert (after.second_factor, after.oidc_subject) == (before.second_factor, "staff-7")
    assert theirs.get("/account").status_code == 200


def test_a_cookie_kept_back_is_worth_nothing_after_signing_out(as_role: AsRole, app: Flask) -> None:
    client = as_role(Role.COMMAND)
    cookie = client.get_cookie("gridmgmt")
    assert cookie is not None
    assert status(post(client, "/logout", "/account")) == 302
    thief = app.test_client()
    thief.set_cookie("gridmgmt", cookie.value)
    assert thief.get("/account").status_code == 302


def test_a_session_of_somebody_else_is_not_found(as_role: AsRole) -> None:
    admin, command = as_role(Role.SECURITY), as_role(Role.COMMAND)
    page = admin.get("/admin/accounts/of/command").get_data(as_text=True)
    assert "登录中的设备" in page
    with command.session_transaction() as session:
        number = stored_id(session["_user_id"])

    def end(client: FlaskClient, session: str) -> int:
        form = {"session": session, "password": small_city.PASSWORD}
        return status(post(client, "/account/sessions/end", "/account", **form))

    assert end(admin, number) == 404
    assert end(command, number) == 404, "its own: sign out"
    for wrong in ("", "zz" * 32, "00" * 32, "0" * 63):
        assert end(command, wrong) == 404
    assert command.get("/account").status_code == 200


def stored_id(token: str) -> str:
    from gridmgmt.db import sessions

    return sessions.digest(token).hex()


def test_who_is_idle_signs_in_again(with_settings: Made, city: Engine) -> None:
    client = with_settings(idle_minutes=5).test_client()
    sign_in(client, "command")
    assert client.get("/account").status_code == 200
    with city.begin() as connection:
        connection.execute(text("UPDATE account_session SET seen_at = now() - interval '6 minutes'"))
    assert client.get("/account").status_code == 302


def test_answers_of_a_session_that_goes_on_set_no_cookie(as_role: AsRole) -> None:
    client = as_role(Role.COMMAND)
    client.get("/account")
    assert "Set-Cookie" not in client.get("/account").headers


# --- the first password, and a needed second factor, come before everything


def reached(app: Flask, client: FlaskClient, first: str, allowed: set[str]) -> list[str]:
    """Return the routes that a client reaches although something comes first."""
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint in allowed or access.declared(app, rule.endpoint) == access.PUBLIC:
            continue
        path = re.sub(r"<int:\w+>", "1", rule.rule)
        path = re.sub(r'<any\("?([\w-]+).*?\):\w+>', r"\1", re.sub(r"<path:\w+>|<(?!int|any)\w+>", "x", path))
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            answer = client.open(path, method=method)
            held = answer.status_code == 303 and answer.headers["Location"] == first
            if not held and not (path.startswith(access.DATA) and answer.status_code == 403):
                found.append(f"{method} {path} {answer.status_code}")
    return found


def test_no_route_leads_around_the_first_change_of_password(app: Flask, city: Engine) -> None:
    set_columns(city, "admin", "must_change = true")
    client = app.test_client()
    assert sign_in(client, "admin", query="?next=/admin").headers["Location"] == "/account/password"  # type: ignore[attr-defined]
    assert reached(app, client, "/account/password", access.FIRST["account.password"]) == []
    answer = client.get("/admin", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/account/password")
    page = client.get("/account/password").get_data(as_text=True)
    assert "先设一个自己的密码" in page
    for wrong in ({"new": "short", "again": "short"}, {"new": NEW, "again": "other"},
                  {"new": small_city.PASSWORD, "again": small_city.PASSWORD}):  # fmt: skip
        assert status(post(client, "/account/password", **wrong)) == 400
    assert client.get("/admin").status_code == 303
    assert status(post(client, "/account/password", new=NEW, again=NEW)) == 303
    assert client.get("/account").status_code == 200
    assert sign_in(app.test_client(), "admin", NEW).headers["Location"] == "/admin"  # type: ignore[attr-defined]


def test_a_role_that_needs_a_second_factor_sets_it_up_before_anything_else(with_settings: Made) -> None:
    app = with_settings(second_factor=frozenset({"admin"}))
    client = app.test_client()
    assert sign_in(client, "admin").headers["Location"] == "/account/factor"  # type: ignore[attr-defined]
    assert reached(app, client, "/account/factor", access.FIRST["account.factor"]) == []
    factor_on(client)
    assert client.get("/account").status_code == 200
    assert sign_in(app.test_client(), "command").headers["Location"] == "/command"  # type: ignore[attr-defined]


def test_a_role_that_does_not_exist_is_refused_at_the_start(with_settings: Made) -> None:
    with pytest.raises(InputError, match="GRIDMGMT_SECOND_FACTOR"):
        with_settings(second_factor=frozenset({"boss"}))


def test_changing_ones_password_takes_the_old_one_and_ends_the_others(app: Flask) -> None:
    mine, theirs = app.test_client(), app.test_client()
    for client in (mine, theirs):
        sign_in(client, "command")
    refused = post(mine, "/account/password", old="wrong horse", new=NEW, again=NEW)
    assert status(refused) == 401
    assert "现在的密码不对" in words(refused)
    assert status(post(mine, "/account/password", old=small_city.PASSWORD, new=NEW, again=NEW)) == 303
    assert mine.get("/account").status_code == 200
    assert theirs.get("/account").status_code == 302


# --- second factor


def test_the_second_page_asks_for_a_code_and_a_code_serves_once(app: Flask, city: Engine) -> None:
    client = app.test_client()
    sign_in(client, "command")
    codes = factor_on(client)
    with city.connect() as connection:
        sealed = bytes(
            connection.scalar(text("SELECT totp_sealed FROM account WHERE totp_sealed IS NOT NULL"))
        )
    assert codes.secret.encode() not in sealed
    used = codes.now()
    other = app.test_client()
    answer = sign_in(other, "command", query="?next=/seasonal")
    assert answer.headers["Location"] == "/login/code"  # type: ignore[attr-defined]
    assert other.get("/command").status_code == 302, "half signed in is not signed in"
    assert status(post(other, "/login/code", code=used)) == 401, "used when it was turned on"
    for wrong in ("", "12345", "abcdef", "1" * 40):
        assert status(post(other, "/login/code", code=wrong)) == 401
    set_columns(city, "command", "totp_step = totp_step - 5")
    answer = post(other, "/login/code", code=f"{used[:3]} {used[3:]}")
    assert answer.headers["Location"] == "/seasonal"  # type: ignore[attr-defined]
    third = app.test_client()
    sign_in(third, "command")
    assert status(post(third, "/login/code", code=used)) == 401, "replayed in another browser"
    assert status(third.get("/account")) == 302


def test_codes_of_the_neighbouring_steps_count_and_of_none_further(app: Flask) -> None:
    with app.test_request_context():
        factor = second_factor.prepared()
        codes = pyotp.TOTP(second_factor.secret(factor))
        now = int(second_factor.time.time())
        for steps, right in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
            code = codes.at(now + 30 * steps)
            if right:
                assert second_factor.confirmed(factor, code).step is not None
            else:
                with pytest.raises(InputError):
                    second_factor.confirmed(factor, code)


def test_wrong_codes_count_towards_the_lock_out(app: Flask) -> None:
    client = app.test_client()
    sign_in(client, "command")
    factor_on(client)
    other = app.test_client()
    for _ in range(5):
        sign_in(app.test_client(), "command", "wrong")
    sign_in(other, "command")
    for _ in range(5):
        assert status(post(other, "/login/code", code="000000")) == 401
    assert status(post(other, "/login/code", code="000000")) == 429
    assert status(sign_in(app.test_client(), "command")) == 429


def test_a_second_factor_goes_with_the_key_ring(app: Flask, city: Engine) -> None:
    client = app.test_client()
    sign_in(client, "command")
    codes = factor_on(client)
    ring = KeyRing.opened(app.config["SETTINGS"])
    ring.add()
    assert (factors.reseal(city, ring), factors.reseal(city, ring)) == (1, 0)
    set_columns(city, "command", "totp_step = NULL")
    other = app.test_client()
    sign_in(other, "command")
    assert status(post(other, "/login/code", code=codes.now())) == 302


def test_a_sign_in_that_waits_dies_with_the_password(app: Flask, city: Engine) -> None:
    client = app.test_client()
    sign_in(client, "command")
    codes = factor_on(client)
    half = app.test_client()
    sign_in(half, "command")
    identity.set_password(city, "command", NEW)
    set_columns(city, "command", "totp_step = NULL")
    assert half.post("/login/code", data={"code": codes.now()}).status_code == 400, "no token"
    assert half.get("/login/code").headers["Location"] == "/login"


def test_turning_it_off_takes_password_and_code(app: Flask, city: Engine) -> None:
    client = app.test_client()
    sign_in(client, "command")
    codes = factor_on(client)
    set_columns(city, "command", "totp_step = NULL")
    for form in (
        {"password": "wrong horse", "code": codes.now()},
        {"password": small_city.PASSWORD, "code": "000000"},
    ):
        assert status(post(client, "/account/factor/off", "/account", **form)) == 401
    set_columns(city, "command", "totp_step = NULL")
    right = {"password": small_city.PASSWORD, "code": codes.now()}
    assert status(post(client, "/account/factor/off", "/account", **right)) == 303
    assert sign_in(app.test_client(), "command").headers["Location"] == "/command"  # type: ignore[attr-defined]


# --- recovery codes


def at_the_code(app: Flask) -> FlaskClient:
    """Return a browser that has shown the password of `command` and is asked for a code."""
    client = app.test_client()
    assert sign_in(client, "command").headers["Location"] == "/login/code"  # type: ignore[attr-defined]
    return client


def test_a_recovery_code_serves_once_and_leads_to_where_the_telephone_is_replaced(
    as_role: AsRole, app: Flask, city: Engine
) -> None:
    _, codes = with_recovery(as_role(Role.COMMAND))
    _, of_another = with_recovery(as_role(Role.PLANNER))
    assert len({*codes, *of_another}) == 20
    with city.connect() as connection:
        kept = str(connection.scalar(text("SELECT recovery FROM account WHERE username = 'command'")))
    assert not any(code in kept for code in codes)
    page = as_role(Role.COMMAND).get("/account").get_data(as_text=True)
    assert "恢复码还剩 10 个" in page
    assert not any(code in page for code in codes)
    assert status(post(at_the_code(app), "/login/code", code=of_another[0])) == 401
    client = at_the_code(app)
    typed = codes[0].upper().replace("-", " ")
    assert post(client, "/login/code", code=typed).headers["Location"] == "/account"  # type: ignore[attr-defined]
    page = client.get("/account").get_data(as_text=True)
    assert "用掉了一个恢复码" in page
    assert "恢复码还剩 9 个" in page
    assert status(post(at_the_code(app), "/login/code", code=codes[0])) == 401, "used"
    assert [line[:2] for line in lines(city)] == [
        ("account.factor", "command"), ("account.factor", "planner"), ("account.recovery", "command"),
    ]  # fmt: skip


def test_of_many_who_show_the_same_recovery_code_at_once_one_comes_in(as_role: AsRole, city: Engine) -> None:
    _, codes = with_recovery(as_role(Role.COMMAND))
    with ThreadPoolExecutor(4) as pool:
        came_in = list(pool.map(lambda _: accounts.use_recovery(city, "command", codes[3]), range(8)))
    assert came_in.count(True) == 1
    assert stored.one(city, "command").recovery_left == 9
    assert [line[0] for line in lines(city)] == ["account.factor", "account.recovery"]


def test_new_recovery_codes_take_password_and_code_and_end_the_old_ones(
    as_role: AsRole, city: Engine
) -> None:
    client, path = as_role(Role.COMMAND), "/account/factor/codes"
    assert status(post(client, path, "/account")) == 303, "there is no second factor"
    codes, old = with_recovery(client)
    set_columns(city, "command", "totp_step = NULL")
    for form in (
        {"password": "wrong horse", "code": old[0]},
        {"password": small_city.PASSWORD, "code": "abcd-abcd-abcd-abcd"},
        {"password": small_city.PASSWORD, "code": ""},
    ):
        assert status(post(client, path, "/account", **form)) == 401
    answer = post(client, path, "/account", password=small_city.PASSWORD, code=codes.now())
    new = shown_codes(answer)
    assert len(new) == 10
    assert answer.headers["Cache-Control"] == "no-store"  # type: ignore[attr-defined]
    assert not accounts.use_recovery(city, "command", old[0])
    assert accounts.use_recovery(city, "command", new[0])
    lost = {"password": small_city.PASSWORD, "code": new[1]}
    assert status(post(client, "/account/factor/off", "/account", **lost)) == 303
    assert not accounts.use_recovery(city, "command", new[2]), "gone with the second factor"


def test_guessed_recovery_codes_lock_the_name_out(as_role: AsRole, app: Flask) -> None:
    with_recovery(as_role(Role.COMMAND))
    guesser = at_the_code(app)
    for _ in range(10):
        assert status(post(guesser, "/login/code", code="abcd-2345-efgh-6789")) == 401
    assert status(post(guesser, "/login/code", code="abcd-2345-efgh-6789")) == 429


# --- a second person for administrators' accounts

PASSWORD = r'class="secret">([a-z0-9-]{19})<'


def confirm(client: FlaskClient, account: str, *why: str, agree: str = "yes") -> str:
    """Answer a proposal as the page of the system administrator does, and return what it says then."""
    form = {"account": account, "why": list(why), "agree": agree}
    assert status(post(client, "/admin/confirm", "/account", **form)) == 303
    return client.get("/admin").get_data(as_text=True)


@pytest.mark.parametrize("kind", ADMINISTRATORS)
def test_a_new_administrator_comes_in_once_another_person_has_confirmed(
    as_role: AsRole, app: Flask, city: Engine, kind: Role
) -> None:
    form = {"username": "second", "display_name": "王", "role": kind.value}
    page = words(post(as_role(Role.SECURITY), "/admin/accounts/new", **form))
    given = re.search(PASSWORD, page)
    assert given
    assert "系统管理员确认以后才能登录" in page
    assert "待确认" in as_role(Role.SECURITY).get("/admin/accounts?state=waiting").get_data(as_text=True)
    assert status(sign_in(app.test_client(), "second", given[1])) == 401
    waiting = as_role(Role.ADMIN).get("/admin").get_data(as_text=True)
    assert "新建账号，由 security 提请；从未登录" in waiting
    assert "second 可以登录了" in confirm(as_role(Role.ADMIN), "second", "new")
    assert sign_in(app.test_client(), "second", given[1]).headers["Location"] == "/account/password"  # type: ignore[attr-defined]
    assert lines(city) == [
        ("account.create", "security", {"account": "second", "role": kind.value}),
        ("account.confirm", "admin", {"account": "second", "approve": True}),
    ]


OPENED_WAYS = (
    ("password", {}), ("factor", {}), ("subject", {"issuer": "https://id.example", "subject": "7"}),
)  # fmt: skip


@pytest.mark.parametrize(("way", "form"), OPENED_WAYS, ids=[way for way, _ in OPENED_WAYS])
def test_a_way_into_an_administrators_account_that_somebody_else_opens_waits_too(
    as_role: AsRole, app: Flask, city: Engine, way: str, form: dict[str, str]
) -> None:
    auditor, page = as_role(Role.AUDITOR), "/admin/accounts/of/auditor"
    assert status(post(as_role(Role.SECURITY), f"{page}/{way}", page, **form)) in (200, 303)
    assert auditor.get("/audit").status_code == 302, "its sessions are over"
    assert status(sign_in(app.test_client(), "auditor")) == 401
    why = stored.one(city, "auditor").proposed_why
    assert "auditor 仍然停用" in confirm(as_role(Role.ADMIN), "auditor", *why, agree="no")
    assert stored.listed(city, stored.Filter(state="waiting"))[1] == 0
    assert status(post(as_role(Role.SECURITY), f"{page}/switch", page, on="yes")) == 303
    assert stored.one(city, "auditor").proposed_why == [*why, "opened"], "what was done before still shows"
    assert "情况已经变了" in confirm(as_role(Role.ADMIN), "auditor", "opened")
    assert not stored.one(city, "auditor").active
    confirm(as_role(Role.ADMIN), "auditor", *why, "opened")
    assert stored.one(city, "auditor").active


def test_who_proposed_an_account_does_not_confirm_it_and_a_closed_one_is_not_opened_by_the_way(
    city: Engine,
) -> None:
    accounts.create(city, "security", NewAccount("second", "王", "auditor"))
    with pytest.raises(ConflictError):
        accounts.confirm(city, "security", "second", ["new"], agreed=True)
    accounts.switch(city, "security", "second", on=False)
    accounts.put_password(city, "security", "second")
    for why in (["new"], ["new", "password"]):
        with pytest.raises(ConflictError):
            accounts.confirm(city, "admin", "second", why, agreed=True)
    assert not stored.one(city, "second").active


def test_the_only_one_who_could_confirm_is_helped_on_the_server_alone(as_role: AsRole, city: Engine) -> None:
    page = "/admin/accounts/of/admin"
    for way, form in OPENED_WAYS:
        answer = post(as_role(Role.SECURITY), f"{page}/{way}", page, **form)
        assert status(answer) == 400
        assert "用命令行办理" in words(answer)
    assert as_role(Role.ADMIN).get("/admin").status_code == 200
    given = accounts.put_password(city, COMMAND_LINE, "admin")
    assert identity.authenticate(city, "admin", given) is not None


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_security_administrator_does_alone_no_second_identity_comes_of_it(
    city: Engine, seed: int
) -> None:
    accounts.create(city, COMMAND_LINE, NewAccount("chief", "某", "admin"))
    chosen, known, came_in = random.Random(seed), dict[str, str](), set[str]()
    for turn in range(60):
        name = chosen.choice(["one", "two", "three", "admin", "auditor"])
        fields = NewAccount(name, "某", chosen.choice([*ADMINISTRATORS, *[Role.COMMAND] * 3]))
        acts: tuple[Callable[[], object], ...] = (
            lambda: known.update({name: accounts.create(city, "security", fields)}),  # noqa: B023
            lambda: known.update({name: accounts.put_password(city, "security", name)}),  # noqa: B023
            lambda: accounts.change(city, "security", fields),  # noqa: B023
            lambda: accounts.switch(city, "security", name, on=chosen.random() < 0.7),  # noqa: B023
            lambda: accounts.bind_subject(city, "security", name, "https://id", f"{turn}"),  # noqa: B023
            lambda: accounts.set_factor(city, "security", name, None),  # noqa: B023
        )
        with suppress(InputError, ConflictError, NotFoundError):
            chosen.choice(acts)()
        standing = {line.username: line for line in stored.listed(city, stored.Filter(state="on"), None)[0]}
        mine = [standing[each] for each in known if each in standing]
        assert not [line for line in mine if line.role in ADMINISTRATORS], turn
        came_in |= {line.username for line in mine}
    assert came_in, "ordinary accounts were opened meanwhile"


# --- the administrator


def test_only_administrators_come_in_and_every_form_wants_its_token(as_role: AsRole, app: Flask) -> None:
    rules = [
        rule for rule in app.url_map.iter_rules() if rule.endpoint.split(".")[0] in ("accounts", "account")
    ]
    assert len(rules) > 15
    for rule in rules:
        path = rule.rule.replace("<username>", "command").replace("<form>", "csv")
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            if rule.endpoint.startswith("accounts."):
                assert as_role(Role.COMMAND).open(path, method=method).status_code == 403, (method, path)
                assert as_role(None).open(path, method=method).status_code == 302, (method, path)
            if method == "POST":
                assert as_role(Role.SECURITY).post(path).status_code == 400, path


ACTS = (
    ("/admin/accounts/new", "account.create",
     {"username": "wang01", "display_name": "王", "role": "grid_worker", "area": small_city.NEIGHBOUR}),
    ("/admin/accounts/of/command", "account.change", {"display_name": "李", "role": "planner"}),
    ("/admin/accounts/of/command/switch", "account.change", {}),
    ("/admin/accounts/of/command/password", "account.password", {}),
    ("/admin/accounts/of/command/sessions", "account.sessions", {}),
    ("/admin/accounts/of/command/factor", "account.factor", {}),
    ("/admin/accounts/of/command/subject", "account.change",
     {"issuer": "https://id.example", "subject": "7"}),
)  # fmt: skip


@pytest.mark.parametrize(("path", "what", "form"), ACTS, ids=[path for path, _, _ in ACTS])
def test_every_act_of_the_administrator_leaves_one_line(
    as_role: AsRole, city: Engine, path: str, what: str, form: dict[str, str]
) -> None:
    client = as_role(Role.SECURITY)
    assert status(post(client, path, "/admin/accounts/of/command", **form)) in (200, 303)
    ((done, who, detail),) = lines(city)
    assert (done, who) == (what, "security")
    assert detail["account"] == form.get("username", "command")
    assert not {"王", "李"} & set(re.findall(r"\w", json.dumps(detail, ensure_ascii=False)))


def test_a_refused_act_leaves_no_line(as_role: AsRole, city: Engine) -> None:
    client = as_role(Role.SECURITY)
    for path, form in (
        ("/admin/accounts/new", {"username": "x", "display_name": "王", "role": "command"}),
        ("/admin/accounts/new", {"username": "w1", "display_name": "王", "role": "grid_worker",
                                 "area": "999"}),
        ("/admin/accounts/new", {"username": "w1", "display_name": "王", "role": "town_officer",
                                 "area": small_city.MINE}),
        ("/admin/accounts/new", {"username": "w1", "display_name": "王", "role": "department",
                                 "unit": "无此局"}),
        ("/admin/accounts/new", {"username": "w1", "display_name": "", "role": "command"}),
        ("/admin/accounts/new", {"username": "w1", "display_name": "王", "role": "boss"}),
        ("/admin/accounts/of/security", {"display_name": "我", "role": "security"}),
        ("/admin/accounts/of/security/switch", {}),
        ("/admin/accounts/of/admin", {"display_name": "某", "role": "auditor"}),
        ("/admin/accounts/of/command/subject", {"subject": "7", "issuer": "x"}),
    ):  # fmt: skip
        answer = post(client, path, "/admin/accounts/of/command", **form)
        assert status(answer) == 400, (path, form)
        assert 'role="alert"' in words(answer), path
    taken = {"username": "command", "display_name": "王", "role": "command"}
    assert status(post(client, "/admin/accounts/new", "/admin/accounts/new", **taken)) == 409
    assert status(post(client, "/admin/accounts/of/nobody", "/admin/accounts/new", **taken)) == 404
    assert lines(city) == []


@pytest.mark.parametrize("kind", ADMINISTRATORS)
def test_the_last_administrator_of_a_kind_stays_and_none_becomes_another(city: Engine, kind: Role) -> None:
    with pytest.raises(InputError, match="no administrator left"):
        accounts.switch(city, "somebody", kind, on=False)
    with pytest.raises(InputError, match="no administrator left"):
        accounts.change(city, "somebody", NewAccount(kind, "某", "command"))
    accounts.create(city, COMMAND_LINE, NewAccount("second", "某", kind))
    other = next(each for each in ADMINISTRATORS if each is not kind)
    with pytest.raises(InputError, match="of its own"):
        accounts.change(city, "somebody", NewAccount("second", "某", other))
    assert (stored.one(city, kind).role, stored.one(city, kind).active) == (kind, True)
    accounts.switch(city, "somebody", kind, on=False)
    assert not stored.one(city, kind).active
    assert [line[0] for line in lines(city)] == ["account.create", "account.change"]


def test_a_new_grid_worker_gets_a_password_once_and_must_change_it(as_role: AsRole, app: Flask) -> None:
    form = {"username": "wang01", "display_name": "王", "role": "grid_worker", "area": "2号网格", "unit": "x"}
    page = words(post(as_role(Role.SECURITY), "/admin/accounts/new", **form))
    given = re.search(r'class="secret">([a-z0-9-]{19})<', page)
    assert given
    again = as_role(Role.SECURITY).get("/admin/accounts/of/wang01").get_data(as_text=True)
    assert given[1] not in again
    assert small_city.NEIGHBOUR in again
    client = app.test_client()
    assert sign_in(client, "wang01", given[1]).headers["Location"] == "/account/password"  # type: ignore[attr-defined]


def test_switching_off_and_resetting_end_what_is_open(as_role: AsRole, app: Flask) -> None:
    admin, command, planner = as_role(Role.SECURITY), as_role(Role.COMMAND), as_role(Role.PLANNER)
    page = "/admin/accounts/of/command"
    assert status(post(admin, f"{page}/switch", page)) == 303
    assert command.get("/account").status_code == 302
    assert status(sign_in(app.test_client(), "command")) == 401
    assert status(post(admin, f"{page}/switch", page, on="yes")) == 303
    assert status(sign_in(app.test_client(), "command")) == 302
    shown = words(post(admin, "/admin/accounts/of/planner/password", page))
    given = re.search(r'class="secret">([a-z0-9-]{19})<', shown)
    assert given
    assert planner.get("/account").status_code == 302
    assert status(sign_in(app.test_client(), "planner")) == 401
    assert status(sign_in(app.test_client(), "planner", given[1])) == 302


def test_a_locked_name_is_seen_and_unlocked(as_role: AsRole, app: Flask, city: Engine) -> None:
    admin = as_role(Role.SECURITY)
    for _ in range(10):
        sign_in(app.test_client(), "Command", "wrong")
    assert status(sign_in(app.test_client(), "command")) == 429
    shown = admin.get("/admin/accounts?state=locked").get_data(as_text=True)
    assert "已锁" in shown
    assert "/of/command" in shown
    assert "/of/planner" not in shown
    path = "/admin/accounts/of/command/unlock"
    assert status(post(admin, path, "/admin/accounts/of/command")) == 303
    assert status(sign_in(app.test_client(), "command")) == 302
    assert lines(city) == [("account.change", "security", {"account": "command", "unlocked": True})]


def test_the_list_is_narrowed_by_the_address_and_exported_as_seen(as_role: AsRole, city: Engine) -> None:
    admin = as_role(Role.SECURITY)
    set_columns(city, "planner", "active = false, display_name = '=1+1'")
    for query, names in (
        ("", {role.value for role in Role}),
        ("?role=grid_worker", {"grid_worker"}),
        (f"?area={small_city.TOWN_1}", {"grid_worker", "town_officer"}),
        ("?state=off", {"planner"}),
        ("?q=城管", {"department"}),
        ("?q=%25", set()),
    ):
        page = admin.get(f"/admin/accounts{query}").get_data(as_text=True)
        assert set(re.findall(r'/admin/accounts/of/(\w+)"', page)) == names, query
    csv = admin.get("/admin/accounts/list.csv?state=off").get_data(as_text=True)
    assert "'=1+1" in csv
    assert "command" not in csv
    book = openpyxl.load_workbook(io.BytesIO(admin.get("/admin/accounts/list.xlsx").data))
    cells = [str(cell.value) for row in book.active.iter_rows() for cell in row]
    assert "城关街道" in " ".join(cells)
    assert not any("argon2" in cell for cell in cells)


def test_areas_are_suggested_by_name_at_the_level_of_the_role(as_role: AsRole) -> None:
    admin = as_role(Role.SECURITY)
    grids = admin.get("/admin/accounts/areas?role=grid_worker&area=2号").get_data(as_text=True)
    assert re.findall(r'value="(\d+)"', grids) == [small_city.GRIDS[1]]
    towns = admin.get("/admin/accounts/areas?role=town_officer&area=").get_data(as_text=True)
    assert re.findall(r'value="(\d+)"', towns) == [small_city.TOWN_1, small_city.TOWN_2]
    assert (
        re.findall(r"value", admin.get("/admin/accounts/areas?role=command&area=1").get_data(as_text=True))
        == []
    )


# --- many at once

GOOD = f"""账号,姓名,角色,范围,部门
w1,王一,网格长,{small_city.NEIGHBOUR},
t2,李二,镇街,河西镇,
c3,赵三,指挥中心,,
"""


def load(client: FlaskClient, content: str, name: str = "accounts.csv") -> object:
    file = (io.BytesIO(content.encode()), name)
    return post(client, "/admin/accounts/import", file=file)


def test_accounts_of_a_file_come_with_a_book_of_first_passwords(
    as_role: AsRole, app: Flask, city: Engine
) -> None:
    answer = load(as_role(Role.SECURITY), GOOD)
    assert answer.headers["Cache-Control"] == "no-store"  # type: ignore[attr-defined]
    rows = list(openpyxl.load_workbook(io.BytesIO(answer.data)).active.values)  # type: ignore[attr-defined]
    first = {str(row[0]): str(row[5]) for row in rows[1:4]}
    assert set(first) == {"w1", "t2", "c3"}
    assert stored.one(city, "t2").area == small_city.TOWN_2
    for name, password in first.items():
        found = identity.authenticate(city, name, password)
        assert found is not None
        assert found.must_change
    assert lines(city) == [("account.create", "security", {"rows": 3, "accounts": ["w1", "t2", "c3"]})]


def test_faults_of_a_file_name_row_and_column_and_nothing_is_made(as_role: AsRole, city: Engine) -> None:
    bad = (
        GOOD + "command,甲,指挥中心,,\nw1,乙,网格长,1,\nx y,丙,指挥中心,,\nd1,丁,部门,,无此局\ne1,戊,站长,,\n"
    )
    page = words(load(as_role(Role.SECURITY), bad))
    rows = re.findall(r'class="number">(\d+)</td><td>(\w+)</td><td>([^<]*)</td>', page)
    assert rows == [
        ("5", "账号", "command"), ("6", "范围", "1"), ("7", "账号", "x y"), ("8", "部门", "无此局"),
        ("9", "角色", "站长"),
    ]  # fmt: skip
    for name, content in (("a.csv", "姓名\n王\n"), ("a.exe", GOOD), ("a.xlsx", "no book"), ("a.csv", "")):
        assert status(load(as_role(Role.SECURITY), content, name)) == 400, name
    assert lines(city) == []
    assert len(identity.accounts(city)) == len(Role)


def test_an_area_that_is_gone_is_told_to_both(as_role: AsRole, city: Engine) -> None:
    set_columns(city, "grid_worker", "area = '990101001001999'")
    assert "已撤并" in as_role(Role.GRID_WORKER).get("/account").get_data(as_text=True)
    assert "已撤并" in as_role(Role.SECURITY).get("/admin/accounts/of/grid_worker").get_data(as_text=True)
    assert "已撤并" in as_role(Role.SECURITY).get("/admin/accounts").get_data(as_text=True)


def test_the_pages_keep_the_policy(as_role: AsRole) -> None:
    client = as_role(Role.SECURITY)
    for path in ("/account", "/account/password", "/account/factor", "/admin/accounts", "/admin/accounts/new",
                 "/admin/accounts/of/command", "/admin/accounts/import"):  # fmt: skip
        answer = client.get(path)
        page = answer.get_data(as_text=True)
        assert answer.status_code == 200, path
        assert answer.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<[^>]+\s(style|on[a-z]+)=", page), path
        assert "argon2" not in page

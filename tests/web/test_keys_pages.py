"""The administrator's pages of keys and webhooks, and the same from the command line."""

import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from html import unescape

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from gridmgmt.cli.api import api
from gridmgmt.db.models import Role
from gridmgmt.incidents.opening import keys
from gridmgmt.incidents.opening.keys import Scope
from gridmgmt.web.keys import ALLOW_HERE

AsRole = Callable[[Role | None], FlaskClient]
# Nobody listens there: the port of the discard service, on this machine.
NOBODY = "http://127.0.0.1:9/hook"


@pytest.fixture
def admin(as_role: AsRole) -> FlaskClient:
    return as_role(Role.SECURITY)


def send(client: FlaskClient, path: str, **form: object) -> TestResponse:
    """Send a form of the page on which it stands, with that page's token."""
    page = client.get(re.sub("/(revoke|switch|ping)$", "", path)).get_data(as_text=True)
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    return client.post(path, data={"csrf_token": token, **form})


def shown(answer: TestResponse) -> str:
    return unescape(re.search('<code class="secret">([^<]+)</code>', answer.text).group(1))  # type: ignore[union-attr]


def test_a_key_is_shown_once_and_opens_what_it_says_until_it_is_revoked(
    city: Engine, app: Flask, admin: FlaskClient
) -> None:
    answer = send(admin, "/admin/keys", name="热线平台", scope=["matters:read", "bulk:read"], a_minute="120")
    made = shown(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(made) == len("gm_") + 43  # 256 bits
    page = admin.get("/admin/keys").text
    assert made not in page
    assert "热线平台" in page
    assert "未用过" in page
    with city.connect() as connection:
        stored = connection.execute(text("SELECT * FROM api_key")).one()
    assert made.encode() not in bytes(stored.hash)
    client = app.test_client()

    def asked() -> TestResponse:
        return client.get("/api/v1/bulk/matters.csv", headers={"Authorization": f"Bearer {made}"})

    found = asked()
    assert (found.status_code, found.headers["RateLimit-Limit"]) == (200, "120")
    assert "未用过" not in admin.get("/admin/keys").text
    assert send(admin, "/admin/keys/revoke", name="热线平台").status_code == 303
    assert asked().status_code == 401
    assert "已作废" in admin.get("/admin/keys").text
    assert send(admin, "/admin/keys/revoke", name="热线平台").status_code == 404


def test_a_key_is_over_the_day_after_its_last(city: Engine) -> None:
    last = date(2026, 11, 30)
    made = keys.add(city, "short", [Scope.READ], "admin", expires_on=last)
    assert keys.find(city, made, last) is not None
    assert keys.find(city, made, last + timedelta(days=1)) is None
    assert keys.find(city, made + "x", last) is None


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": "a", "scope": "matters:read", "a_minute": "60"}, "名称须为"),
        ({"name": "<script>", "scope": "matters:read", "a_minute": "60"}, "名称须为"),
        ({"name": "ab", "a_minute": "60"}, "请至少选一项权限"),
        ({"name": "ab", "scope": "everything", "a_minute": "60"}, "请至少选一项权限"),
        ({"name": "ab", "scope": "matters:read", "a_minute": "0"}, "每分钟次数"),
        ({"name": "ab", "scope": "matters:read", "a_minute": "很多"}, "每分钟次数"),
        ({"name": "ab", "scope": "matters:read", "a_minute": "60", "expires_on": "2020-01-01"}, "有效期至"),
    ],
)
def test_a_form_that_is_wrong_says_so_and_makes_nothing(
    city: Engine, admin: FlaskClient, form: dict[str, str], words: str
) -> None:
    answer = send(admin, "/admin/keys", **form)
    assert answer.status_code == 400
    assert words in answer.text
    assert f'value="{form["name"]}"' in answer.text.replace("&lt;", "<").replace("&gt;", ">")
    assert "<script>" not in answer.text
    assert keys.listed(city) == []


def test_a_name_is_given_once(admin: FlaskClient) -> None:
    form = {"name": "ab", "scope": "matters:read", "a_minute": "60"}
    assert [send(admin, "/admin/keys", **form).status_code for _ in range(2)] == [200, 409]


def test_a_webhook_is_made_tried_and_switched_off_and_on(app: Flask, admin: FlaskClient) -> None:
    answer = send(admin, "/admin/webhooks", name="大屏", url=NOBODY, act=["take_in", "move"])
    assert shown(answer).startswith("whsec_")
    page = admin.get("/admin/webhooks").text
    assert shown(answer) not in page
    assert "登记、流转" in page
    send(admin, "/admin/webhooks/ping", name="大屏")
    assert "没有送到（an address of this machine）" in admin.get("/admin/webhooks").text
    app.config[ALLOW_HERE] = True
    send(admin, "/admin/webhooks/ping", name="大屏")
    assert "没有送到（ConnectionRefusedError）" in admin.get("/admin/webhooks").text
    send(admin, "/admin/webhooks/switch", name="大屏", on="no")
    assert "已停用" in admin.get("/admin/webhooks").text
    send(admin, "/admin/webhooks/switch", name="大屏", on="yes")
    assert "推送中" in admin.get("/admin/webhooks").text
    assert send(admin, "/admin/webhooks", name="坏", url="ftp://x").status_code == 400
    assert send(admin, "/admin/webhooks", name="大屏", url=NOBODY).status_code == 409
    assert send(admin, "/admin/webhooks/ping", name="无").status_code == 404


def test_every_act_on_keys_and_webhooks_leaves_one_line_and_a_refused_one_none(
    city: Engine, admin: FlaskClient
) -> None:
    send(admin, "/admin/keys", name="ab", scope="matters:read", a_minute="60")
    send(admin, "/admin/webhooks", name="大屏", url=NOBODY)
    for _ in range(2):  # the second time the name is taken, or the key is revoked already
        send(admin, "/admin/keys", name="ab", scope="matters:read", a_minute="60")
        send(admin, "/admin/webhooks", name="大屏", url=NOBODY)
        send(admin, "/admin/keys/revoke", name="ab")
    send(admin, "/admin/webhooks/switch", name="大屏", on="no")
    send(admin, "/admin/webhooks/switch", name="无", on="no")
    with city.connect() as connection:
        rows = connection.execute(text("SELECT what, who, detail FROM audit_log ORDER BY id")).all()
    assert {row[:2] for row in rows} == {("key.change", "security")}
    assert [(row.detail["kind"], row.detail["of"]) for row in rows] == [
        ("新建密钥", "ab"), ("新建推送地址", "大屏"), ("作废密钥", "ab"), ("推送地址", "大屏"),
    ]  # fmt: skip


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SECURITY])
def test_nobody_but_the_administrator_comes_near_them(as_role: AsRole, role: Role) -> None:
    client = as_role(role)
    for path in ("/admin/keys", "/admin/webhooks"):
        assert client.get(path).status_code == 403


def test_the_command_line_makes_lists_and_ends_keys_and_webhooks(
    city: Engine, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDMGMT_DATABASE_URL", city.url.render_as_string(hide_password=False))

    def run(*arguments: str) -> str:
        return CliRunner().invoke(api, list(arguments), catch_exceptions=False).output

    made = run("key", "add", "open-data", "--scope", "bulk:read", "--expires", "2099-12-31").strip()
    asked = app.test_client().get("/api/v1/bulk/matters.csv", headers={"Authorization": f"Bearer {made}"})
    assert asked.status_code == 200
    assert [line["stands"] for line in json.loads(run("key", "list", "--json"))] == [True]
    run("key", "revoke", "open-data")
    assert "open-data" in run("key", "list")
    assert [line["stands"] for line in json.loads(run("key", "list", "--json"))] == [False]
    assert run("webhook", "add", "wall", NOBODY, "--act", "move").startswith("whsec_")
    assert "not taken: an address of this machine" in run("webhook", "test", "wall")
    assert [line["acts"] for line in json.loads(run("webhook", "list", "--json"))] == [["move"]]
    assert json.loads(run("deliver", "--json")) == {"sent": 0, "failed": 0, "switched_off": 0}
    assert "wall is off" in run("webhook", "switch", "wall", "--off")

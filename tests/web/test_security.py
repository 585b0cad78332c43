"""What an attacker would try first, and what every answer must carry."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, NotEnoughDataError, SetupError
from gridmgmt.web import assets
from gridmgmt.web.access import safe_target

from . import small_city
from .conftest import sign_in

AsRole = Callable[[Role | None], FlaskClient]

PAGES = {
    None: ("/login",),
    Role.COMMAND: (
        "/command",
        "/command?tab=seasonal",
        "/command?level=town&measure=gi",
        "/seasonal",
        "/nowhere",
    ),
    Role.TOWN_OFFICER: ("/office", "/seasonal", "/command"),
    Role.PLANNER: ("/plan",),
    Role.GRID_WORKER: ("/grid", "/grid/map"),
    Role.ADMIN: ("/admin",),
    Role.AUDITOR: ("/audit",),
}
# What a browser would load by itself: never an address of another host.
LOADED = re.compile(
    r"""(?:src|href|action|hx-get|url\(|@import)\s*[=:]?\s*["'(]?\s*((?:https?:)?//[^\s"')]+)""",
    re.IGNORECASE,
)
# A word of its own: a form's token may hold the three letters by chance.
CDN = re.compile(r"\bcdn\b|cdnjs", re.IGNORECASE)


def _pages(as_role: AsRole) -> list[tuple[str, object]]:
    return [(path, as_role(role).get(path)) for role, paths in PAGES.items() for path in paths]


def test_no_page_names_another_host(as_role: AsRole) -> None:
    for path, answer in _pages(as_role):
        page = answer.get_data(as_text=True)  # type: ignore[attr-defined]
        assert LOADED.findall(page) == [], path
        assert not CDN.search(page), path


def test_no_file_of_ours_loads_from_another_host() -> None:
    files = [path for path in assets.STATIC.rglob("*") if path.suffix in (".css", ".js", ".svg")]
    assert len(files) >= 5
    for path in files:
        found = [url for url in LOADED.findall(path.read_text(encoding="utf-8")) if "w3.org" not in url]
        # What map libraries write into their attribution unless told otherwise; ours is told otherwise.
        credits = ("leafletjs.com", "protomaps.com", "openstreetmap.org/copyright")
        assert [url for url in found if not any(each in url for each in credits)] == [], path.name


def test_every_page_has_a_policy_without_unsafe_and_scripts_carry_its_nonce(as_role: AsRole) -> None:
    seen = set()
    for path, answer in _pages(as_role):
        policy = answer.headers["Content-Security-Policy"]  # type: ignore[attr-defined]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        nonce = re.search(r"'nonce-([^']+)'", policy)
        assert nonce is not None
        seen.add(nonce[1])
        page = answer.get_data(as_text=True)  # type: ignore[attr-defined]
        scripts = re.findall(r"<script\b[^>]*>", page)
        assert all(f'nonce="{nonce[1]}"' in script for script in scripts), path
        files = re.findall(r'<script\b[^>]* src=[^>]*>|<link rel="stylesheet"[^>]*>', page)
        assert all('integrity="sha384-' in each for each in files), path
        assert not re.search(r"<[^>]+\s(style|on[a-z]+)=", page), path
        assert "<style" not in page, path
    assert len(seen) == sum(len(paths) for paths in PAGES.values()), "a nonce was used twice"


def test_pages_are_not_kept_framed_or_sniffed(as_role: AsRole) -> None:
    for path, answer in _pages(as_role):
        headers = answer.headers  # type: ignore[attr-defined]
        assert headers["Cache-Control"] == "no-store", path
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"


def test_static_files_are_kept_for_good_only_under_their_present_fingerprint(app: Flask) -> None:
    client = app.test_client()
    with app.test_request_context():
        current = app.jinja_env.globals["url_for"](
            "files.static", name="app.css", v=assets.fingerprint("app.css")
        )
    for path, kept in (
        (current, "immutable"),
        ("/static/app.css?v=0", "max-age=300"),
        ("/static/app.css", "max-age=300"),
    ):
        with client.get(path) as answer:
            assert kept in answer.headers["Cache-Control"]
            assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "name",
    [
        "../__init__.py",
        "..%2f..%2fconfig.py",
        "vendor/../../access.py",
        "vendor",
        "none.css",
        "é" * 300,
        "%00",
    ],
)
def test_no_file_outside_the_static_folder_is_served(app: Flask, name: str) -> None:
    with app.test_client().get(f"/static/{name}") as answer:
        assert answer.status_code == 404


def test_forms_without_a_token_are_refused(app: Flask, as_role: AsRole) -> None:
    form = {"username": "command", "password": small_city.PASSWORD}
    assert app.test_client().post("/login", data=form).status_code == 400
    client = as_role(Role.COMMAND)
    assert client.post("/logout").status_code == 400
    assert client.get("/command").status_code == 200, "still signed in"


def test_signing_out_ends_the_session(as_role: AsRole) -> None:
    client = as_role(Role.COMMAND)
    page = client.get("/command").get_data(as_text=True)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token is not None
    assert client.post("/logout", data={"csrf_token": token[1]}).status_code == 302
    assert client.get("/command").status_code == 302


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(app: Flask) -> None:
    answer = sign_in(app.test_client(), "command")
    cookie = answer.headers["Set-Cookie"]  # type: ignore[attr-defined]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    secure = app.test_client()
    secure.environ_base["HTTP_X_FORWARDED_PROTO"] = "https"
    secure.environ_base["HTTP_REFERER"] = "https://localhost/login"
    assert "Secure" in sign_in(secure, "command").headers["Set-Cookie"]  # type: ignore[attr-defined]


def test_what_was_planted_before_signing_in_is_gone_after(app: Flask) -> None:
    client = app.test_client()
    with client.session_transaction() as session:
        session["planted"] = "by somebody else"
    sign_in(client, "command")
    with client.session_transaction() as session:
        assert "planted" not in session


def test_a_new_password_ends_the_sessions_of_the_old_one(as_role: AsRole, city: Engine) -> None:
    from gridmgmt.db import identity

    client = as_role(Role.COMMAND)
    identity.set_password(city, "command", "another horse battery")
    assert client.get("/command").status_code == 302


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
     "javascript:alert(1)", "http:evil.example", " //evil.example", "/\n/evil.example", "evil.example"],
)  # fmt: skip
def test_next_never_leads_out(app: Flask, target: str) -> None:
    assert safe_target(target) is None
    client = app.test_client()
    with app.test_request_context():
        from urllib.parse import quote

        answer = sign_in(client, "command", query=f"?next={quote(target)}")
    assert answer.headers["Location"] == "/command"  # type: ignore[attr-defined]


def test_next_leads_back_to_where_one_wanted_to_go(app: Flask) -> None:
    client = app.test_client()
    sent = client.get("/seasonal?when=coming").headers["Location"]
    assert sent == "/login?next=/seasonal?when%3Dcoming"
    answer = sign_in(client, "command", query=sent.removeprefix("/login"))
    assert answer.headers["Location"] == "/seasonal?when=coming"  # type: ignore[attr-defined]


def test_ten_wrong_passwords_lock_a_name_out_and_no_other(
    app: Flask, city: Engine, make_app: Callable[..., Flask]
) -> None:
    # Another application on the same home: what one worker counts, the other one knows.
    workers = [app.test_client(), make_app(city).test_client()]
    for attempt in range(10):
        assert sign_in(workers[attempt % 2], "command", "wrong").status_code == 401  # type: ignore[attr-defined]
    for worker in workers:
        assert sign_in(worker, "command").status_code == 429  # type: ignore[attr-defined]
        assert sign_in(worker, "Command ", "wrong").status_code == 429  # type: ignore[attr-defined]
    assert sign_in(workers[0], "planner").status_code == 302  # type: ignore[attr-defined]


def test_right_passwords_never_lock_anybody_out(app: Flask) -> None:
    for _ in range(12):
        assert sign_in(app.test_client(), "command").status_code == 302  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["nobody", "command' OR 1=1 --", "", "x" * 500])
def test_an_unknown_name_reads_like_a_wrong_password(app: Flask, name: str) -> None:
    answer = sign_in(app.test_client(), name)
    assert answer.status_code == 401  # type: ignore[attr-defined]
    assert "账号或密码不对" in answer.get_data(as_text=True)  # type: ignore[attr-defined]


def test_names_from_data_are_neither_markup_nor_template(as_role: AsRole, city: Engine) -> None:
    with city.begin() as connection:
        connection.execute(
            text("UPDATE hotspot_result SET gi_class = 3 WHERE area = :a"), {"a": small_city.HOSTILE}
        )
        connection.execute(
            text("UPDATE division SET name = :n WHERE level <> 'county'"), {"n": small_city.HOSTILE_NAME}
        )
        connection.execute(text("UPDATE category SET name = :n"), {"n": '"><img src=x>{{ 7 * 7 }}'})
    for path in ("/command", "/command?tab=seasonal", "/seasonal", "/plan"):
        page = as_role(Role.PLANNER).get(path).get_data(as_text=True)
        assert "{{ 7 * 7 }}" in page, path
        assert "<script>alert" not in page
        assert "<img" not in page


def test_an_unexpected_error_shows_a_reference_and_nothing_else(
    app: Flask, as_role: AsRole, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("password=hunter2 in /etc/secret")

    monkeypatch.setattr("gridmgmt.web.overview.territory", broken)
    client = as_role(Role.COMMAND)
    answer = client.get("/command")
    page = answer.get_data(as_text=True)
    assert answer.status_code == 500
    assert "hunter2" not in page
    assert "Traceback" not in page
    reference = re.search(r"编号 <b>([0-9A-F]{8})</b>", page)
    assert reference is not None
    assert reference[1] in caplog.text


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotEnoughDataError("years", 1, "2"), 400), (ConflictError("held"), 409), (SetupError("start it"), 503)],
)
def test_our_errors_have_one_status_each(
    as_role: AsRole, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr("gridmgmt.web.overview.territory", broken)
    assert as_role(Role.COMMAND).get("/command").status_code == status


@pytest.mark.parametrize(
    "query",
    ["level=street", "measure=secret", "category=99", "period=2025", "period=abcdefgh-ijklmnop", "level='"],
)
def test_an_address_that_makes_no_sense_is_a_bad_request(as_role: AsRole, query: str) -> None:
    answer = as_role(Role.COMMAND).get(f"/command?{query}")
    assert answer.status_code == 400
    assert "地址里有一项不对" in answer.get_data(as_text=True)


def test_the_basemap_is_the_only_stranger_and_for_pictures_alone(
    city: Engine, make_app: Callable[..., Flask]
) -> None:
    client = make_app(city, "https://t{s}.tiles.example/{z}/{x}/{y}.png").test_client()
    sign_in(client, "command")
    answer = client.get("/command")
    policy = answer.headers["Content-Security-Policy"]
    assert "img-src 'self' data: https://*.tiles.example;" in policy
    assert policy.count("tiles.example") == 1
    assert "tiles.example" in answer.get_data(as_text=True)


def test_maps_read_with_the_role_that_cannot_see_personal_tables(app: Flask) -> None:
    from sqlalchemy.exc import ProgrammingError

    from gridmgmt.web.databases import EXTENSION

    with app.extensions[EXTENSION].reader.connect() as connection:
        for table in ("account", "household", "dwelling", "building"):
            with pytest.raises(ProgrammingError, match="permission denied"):
                connection.execute(text(f"SELECT 1 FROM {table}"))
            connection.rollback()


def test_health_needs_no_account_and_tells_nothing(app: Flask) -> None:
    with app.test_client().get("/healthz") as answer:
        assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_the_nonce_is_made_once_an_answer(app: Flask) -> None:
    from gridmgmt.web.security import nonce

    with app.test_request_context():
        assert nonce() == nonce() == g.nonce
        assert len(nonce()) >= 20


def test_the_session_key_stands_in_no_page(as_role: AsRole, tmp_path: Path) -> None:
    assert "a key for tests" not in "".join(a.get_data(as_text=True) for _, a in _pages(as_role))  # type: ignore[attr-defined]

"""What an attacker tries, over every route there is: the map of addresses is walked, new ones included.

Beside it stand `test_access` (roles), `test_security` (headers of pages, sign-in), `test_roster_matrix` and
`test_matter_matrix` (what lies in another area); what they prove is not said again here.
"""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.web import access
from gridmgmt.web.sending import attachment

from . import small_city
from .conftest import sign_in

AsRole = Callable[[Role | None], FlaskClient]
Case = tuple[str, str, Role | None]

# Checks its own token or key: a form without cookies, machines with a key.
OWN_CHECK = ("/follow/", "/api/")
FILLED = {
    "path:name": "app.css", "form": "json", "code": small_city.HOSTILE, "kind": "opinion_slip",
    "layer": "grids", "username": "planner", "token": "x" * 43, "area": small_city.VILLAGES[2], "z": "12",
}  # fmt: skip
NOWHERE = "987654"


def _filled(rule: str, number: str = NOWHERE, **values: str) -> str:
    """Return an address of a rule, with numbers that nobody has."""
    known = FILLED | values
    path = re.sub(r'<any\("?([\w-]+).*?\):\w+>', r"\1", rule)
    path = re.sub(r"<int:(\w+)>", lambda found: known.get(found[1], number), path)
    return re.sub(r"<((?:\w+:)?\w+)>", lambda found: known.get(found[1], "1"), path)


def _cases(app: Flask, methods: set[str]) -> Iterator[Case]:
    """Give method, rule and one role that may call it, for every route with one of these methods."""
    for rule in app.url_map.iter_rules():
        allowed = access.declared(app, rule.endpoint)
        roles = sorted(allowed) if isinstance(allowed, frozenset) else [None]
        for method in sorted((rule.methods or set()) & methods):
            if roles and rule.endpoint != "login.sign_out":
                yield method, rule.rule, roles[0]


def _pages(app: Flask) -> Iterator[Case]:
    """Give every route that is read, but for streams, which do not end."""
    return (case for case in _cases(app, {"GET"}) if not case[1].endswith("/events"))


# --- requests from other sites


def test_no_route_that_writes_takes_a_form_without_its_token(app: Flask, as_role: AsRole) -> None:
    tried, passed = 0, []
    for method, rule, role in _cases(app, {"POST", "PUT", "PATCH", "DELETE"}):
        if rule.startswith(OWN_CHECK):
            continue
        answer = as_role(role).open(_filled(rule), method=method, data={"note": "x"})
        tried += 1
        said = str(answer.json) if answer.is_json else answer.get_data(as_text=True)
        if answer.status_code != 400 or "过期" not in said:
            passed.append((method, rule, answer.status_code))
    assert passed == []
    assert tried > 60


def test_the_token_of_one_session_opens_no_form_of_another(app: Flask, as_role: AsRole) -> None:
    def token(role: Role, path: str) -> str:
        found = re.search(
            r'name="csrf_token"[^>]*value="([^"]+)"', as_role(role).get(path).get_data(as_text=True)
        )
        assert found
        return found[1]

    stolen = token(Role.PLANNER, "/plan")
    answer = as_role(Role.TOWN_OFFICER).post("/homes/search", data={"csrf_token": stolen, "words": "王"})
    assert answer.status_code == 400
    own = token(Role.TOWN_OFFICER, "/homes")
    assert (
        as_role(Role.TOWN_OFFICER).post("/homes/search", data={"csrf_token": own, "words": "王"}).status_code
        == 200
    )


# What a reading request may leave behind: who read what, when somebody was last seen, whose keys these are.
LEFT_BEHIND = {"audit_log", "audit_head", "account_session", "account", "key_ring"}


def test_reading_changes_nothing(app: Flask, as_role: AsRole, city: Engine) -> None:
    for role in Role:
        as_role(role)
    before = _counts(city)
    for method, rule, role in _pages(app):
        as_role(role).open(_filled(rule, "1"), method=method).close()
    assert _counts(city) == before


def _counts(engine: Engine) -> dict[str, str]:
    """Return a print of every table's rows."""
    with engine.connect() as connection:
        names = connection.execute(
            text(
                "SELECT relname FROM pg_stat_user_tables"
                " WHERE schemaname = 'public' AND relname <> 'spatial_ref_sys'"
            )
        ).scalars()
        return {
            name: str(
                connection.scalar(
                    text(f'SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{name}" t')
                )
            )
            for name in names
            if name not in LEFT_BEHIND
        }


# --- other methods, sizes and hosts


def test_a_method_that_is_not_declared_is_refused_and_none_can_be_smuggled(
    app: Flask, as_role: AsRole
) -> None:
    methods, adapter = {"GET", "POST", "PUT", "PATCH", "DELETE"}, app.url_map.bind("localhost")
    nobody, wrong = app.test_client(), []
    for path in {_filled(rule.rule) for rule in app.url_map.iter_rules()}:
        for method in methods - set(adapter.allowed_methods(path)):
            if nobody.open(path, method=method).status_code != 405:
                wrong.append((method, path))
    assert wrong == []
    client = as_role(Role.PLANNER)
    smuggled = client.get("/logout", headers={"X-HTTP-Method-Override": "POST"})
    assert smuggled.status_code == 405
    assert client.get("/plan").status_code == 200, "still signed in"


def test_asking_for_the_head_or_the_options_passes_the_same_door_and_holds_nothing(
    app: Flask, as_role: AsRole
) -> None:
    open_doors = []
    for rule in app.url_map.iter_rules():
        if access.declared(app, rule.endpoint) == access.PUBLIC:
            continue
        for method in ("HEAD", "OPTIONS"):
            if method not in (rule.methods or ()):
                continue
            answer = as_role(None).open(_filled(rule.rule), method=method)
            if answer.status_code not in (302, 401, 405) or (method == "HEAD" and answer.data):
                open_doors.append((method, rule.rule, answer.status_code))
    assert open_doors == []


def test_what_is_too_large_is_refused_by_every_route_before_it_is_read(app: Flask, as_role: AsRole) -> None:
    taken = []
    body = b"note=" + b"x" * (64 << 20)
    for method, rule, role in _cases(app, {"POST"}):
        answer = as_role(role).open(
            _filled(rule), method=method, data=body, content_type="application/x-www-form-urlencoded"
        )
        if answer.status_code not in (400, 401, 403, 413, 429):
            taken.append((rule, answer.status_code))
    assert taken == []


HOSTILE_WORDS = ("x" * 20_000, "\0", "'\"><svg/onload=1>", "-1", "1e400", "\U0001f600" * 50)
ASKED = (
    "q", "page", "area", "category", "year", "survey", "grid", "tab", "view", "period", "with", "at", "level",
)  # fmt: skip


@pytest.mark.parametrize("turn", range(2))
def test_no_page_breaks_over_what_stands_in_the_address(app: Flask, as_role: AsRole, turn: int) -> None:
    words = {name: HOSTILE_WORDS[(n + 3 * turn) % len(HOSTILE_WORDS)] for n, name in enumerate(ASKED)}
    broken = []
    for method, rule, role in _pages(app):
        with as_role(role).open(_filled(rule, "1"), method=method, query_string=words) as answer:
            markup = answer.mimetype == "text/html" and b"<svg/onload" in answer.data
            if answer.status_code >= 500 or markup:
                broken.append((rule, answer.status_code))
    assert broken == []


@pytest.mark.parametrize(
    "name",
    ["..%2f..%2f..%2fetc%2fpasswd", "%2e%2e%2fsession.key", "..\\keyring.json", "....//keyring.json", "%00"],
)
def test_no_name_in_an_address_leads_out_of_its_folder(app: Flask, as_role: AsRole, name: str) -> None:
    walked = 0
    for method, rule, role in _cases(app, {"GET"}):
        if not re.search(r"<(?!int:|any)", rule):
            continue
        path = re.sub(r"<(?:path:)?\w+>", lambda _: name, _filled_numbers(rule))
        with as_role(role).open(path, method=method) as answer:
            walked += 1
            assert answer.status_code in (302, 308, 400, 401, 403, 404), (path, answer.status_code)
    assert walked >= 8


def _filled_numbers(rule: str) -> str:
    return re.sub(r"<int:\w+>", "1", re.sub(r'<any\("?([\w-]+).*?\):\w+>', r"\1", rule))


# --- what every answer carries


FORGED = {
    "X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "//evil.example",
    "Forwarded": "host=evil.example",
}  # fmt: skip


def test_what_fuzzing_found_in_addresses_is_refused_with_words(as_role: AsRole) -> None:
    client = as_role(Role.SECURITY)
    assert client.get("/admin/accounts/of/%00").status_code == 404
    assert client.post("/admin/accounts/of/a%00b/switch").status_code in (400, 404)
    assert client.get("/admin/accounts?form=2&endpoint=x").status_code == 200


def test_every_answer_is_closed_to_frames_and_caches_and_to_hosts_that_a_request_makes_up(
    app: Flask, as_role: AsRole
) -> None:
    faults = []
    for method, rule, role in _pages(app):
        with as_role(role).open(_filled(rule, "1"), method=method, headers=FORGED) as answer:
            found = [*_open_to_frames(answer), *_made_up(answer)]
            if role or answer.mimetype == "text/html":  # files and data for anybody hold nobody
                found += _kept(answer)
            faults += [(rule, answer.status_code, fault) for fault in found]
    for path in ("/nowhere", "/static/none.css", "/homes", "/data/areas.geojson"):
        with app.test_client().get(path, headers={"Host": "evil.example"}) as answer:
            found = [*_open_to_frames(answer), *_made_up(answer)]
            faults += [(path, answer.status_code, fault) for fault in found]
    assert faults == []


def _open_to_frames(answer: TestResponse) -> list[str]:
    rules = answer.headers.get("Content-Security-Policy", "")
    wanted = {"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff"}
    faults = [name for name, value in wanted.items() if answer.headers.get(name) != value]
    # A secret address tells even less than the others.
    if answer.headers.get("Referrer-Policy") not in ("same-origin", "no-referrer"):
        faults.append("Referrer-Policy")
    return faults + ([] if "frame-ancestors 'none'" in rules and "unsafe" not in rules else ["policy"])


def _kept(answer: TestResponse) -> list[str]:
    """Say so when a page may be kept at all, or data by anybody but the browser that asked."""
    rules = answer.headers.get("Cache-Control", "")
    own = "private" in rules and "Cookie" in answer.headers.get("Vary", "") and answer.mimetype != "text/html"
    return [] if rules == "no-store" or own else [f"kept: {rules}"]


def _made_up(answer: TestResponse) -> list[str]:
    where = answer.headers.get("Location", "")
    leads_out = where.startswith(("http", "//")) or "evil.example" in where
    return ["leads elsewhere"] if leads_out or b"evil.example" in answer.data else []


# --- sessions


def _cookie(client: FlaskClient) -> str:
    found = client.get_cookie("gridmgmt")
    return found.value if found else ""


def test_a_session_that_somebody_planted_is_not_the_one_that_is_signed_in(app: Flask) -> None:
    victim, attacker = app.test_client(), app.test_client()
    attacker.get("/login")
    planted = _cookie(attacker)
    assert planted
    victim.set_cookie("gridmgmt", planted)
    sign_in(victim, "command")
    assert _cookie(victim) != planted
    assert attacker.get("/command").status_code == 302
    attacker.set_cookie("gridmgmt", planted)
    assert attacker.get("/command").status_code == 302


def test_a_cookie_kept_from_before_signing_out_opens_nothing(app: Flask) -> None:
    client = app.test_client()
    sign_in(client, "command")
    kept = _cookie(client)
    page = client.get("/command").get_data(as_text=True)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    client.post("/logout", data={"csrf_token": token[1]})
    client.set_cookie("gridmgmt", kept)
    assert client.get("/command").status_code == 302


def test_a_cookie_that_was_changed_opens_nothing(app: Flask) -> None:
    client = app.test_client()
    sign_in(client, "command")
    head, _, tail = _cookie(client).partition(".")
    mixed = f"{tail[:-12]}{tail[-12:][::-1]}"
    for forged in (f"{head}.{mixed}", f"x{head}.{tail}", head, ""):
        client.set_cookie("gridmgmt", forged)
        assert client.get("/command").status_code == 302


# --- what lies in another area, where no other matrix looks

# Routes with a name or number in them that nothing of another area hangs on, and why.
ELSEWHERE = {
    "/command/": "the city's", "/plan": "a plan is the city's",
    "/admin": "accounts and settings are the city's",
    "/jobs": "administrators alone ask for long work", "/api": "machines, with a key: test_open311",
    "/say": "anybody", "/follow": "who holds the link", "/static": "anybody",
    "/matters/qr": "a village's address",
    "/matters/list.": "a form's name", "/seasonal/list.": "a form's name", "/map/view.": "a form's name",
    "/tiles/basemap": "a map under ours", "/tiles/density": "the centre's", "/papers": "test_matter_matrix",
    "/matters": "test_matter_matrix", "/mediation": "test_matter_matrix", "/mediators": "test_matter_matrix",
    "/meetings": "test_matter_matrix", "/deliberations": "test_matter_matrix", "/homes": "test_roster_matrix",
    "/dwellings": "test_roster_matrix", "/people": "test_roster_matrix", "/exports": "test_roster_matrix",
    "/rounds": "test_roster_matrix", "/office/changes": "test_roster_matrix",
    "/office/reviews": "test_roster_matrix", "/index/talks": "test_index_talk_pages",
    "/index/bulletins": "test_index_bulletin_pages",
    "/index": "what was issued is everybody's: test_index_pages",
}  # fmt: skip
HERE = {"/seasonal/items", "/grid/tasks", "/areas", "/tiles/<layer>"}
TASK = """
    WITH made AS (
        INSERT INTO seasonal_task
            (year, level, area, category, start_on, end_on, due_on, action, handed_out_by)
        SELECT :year, 'grid', :area, '01', :due, :due, :due, '秘密办法', 'x' RETURNING id
    )
    INSERT INTO seasonal_task_photo (task_id, sha256, added_by)
    SELECT id, 's', 'x' FROM made RETURNING task_id, id
"""


def test_every_route_with_a_name_or_number_is_tried_from_another_area_somewhere(app: Flask) -> None:
    rules = {rule.rule for rule in app.url_map.iter_rules() if rule.arguments}
    left = {rule for rule in rules if not rule.startswith((*ELSEWHERE, *HERE))}
    assert left == set(), "try them here, or say where that is done"


def test_what_lies_in_another_town_answers_as_what_is_not_there(
    app: Flask, as_role: AsRole, city: Engine
) -> None:
    due = china_today() + timedelta(9)
    with city.begin() as connection:
        columns = {"year": due.year, "due": due, "area": small_city.HOSTILE}
        task, photo = connection.execute(text(TASK), columns).one()
        item = connection.scalar(text("SELECT min(id) FROM seasonal_item WHERE area = :area"), columns)
    numbers = {"/grid/tasks/photos": photo, "/grid/tasks": task, "/seasonal/items": item}
    leaks, tried = [], 0
    for rule in app.url_map.iter_rules():
        where = next((each for each in numbers if rule.rule.startswith(each) and rule.arguments), None)
        for role in (Role.GRID_WORKER, Role.TOWN_OFFICER):
            allowed = access.declared(app, rule.endpoint)
            if not where or not isinstance(allowed, frozenset) or role not in allowed:
                continue
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                told = [
                    as_role(role).open(_filled(rule.rule, number), method=method, data=_form(as_role(role)))
                    for number in (str(numbers[where]), NOWHERE)
                ]
                tried += 1
                if [each.status_code for each in told] != [404, 404] or "秘密" in told[0].get_data(
                    as_text=True
                ):
                    leaks.append((method, rule.rule, role, [each.status_code for each in told]))
    assert leaks == []
    assert tried >= 9
    with city.connect() as connection:
        assert (
            connection.scalar(text("SELECT status FROM seasonal_task WHERE id = :task"), {"task": task})
            == "open"
        )


def _form(client: FlaskClient) -> dict[str, str]:
    page = client.get("/seasonal").get_data(as_text=True)
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert found
    due = (china_today() + timedelta(5)).isoformat()
    return {
        "csrf_token": found[1],
        "done_on": china_today().isoformat(),
        "status": "done",
        "note": "x",
        "due_on": due,
    }


def test_the_card_of_an_area_elsewhere_is_not_there(as_role: AsRole) -> None:
    for role in (Role.GRID_WORKER, Role.TOWN_OFFICER):
        for code in (small_city.HOSTILE, small_city.VILLAGES[2], small_city.TOWN_2, "999999999999999", "%"):
            answer = as_role(role).get(f"/areas/{code}")
            assert answer.status_code in (403, 404), (role, code)
            assert "河西镇" not in answer.get_data(as_text=True)


# --- names that become headers


@pytest.mark.parametrize(
    "name", ['a"; filename="b.exe', "a\r\nSet-Cookie: x=1", "清单\u2028\x00.pdf", "a" * 5000]
)
def test_the_name_of_a_file_stays_one_value_of_one_header(app: Flask, name: str) -> None:
    with app.test_request_context():
        answer = attachment(b"x", name, "application/pdf", "list.pdf")
    said = answer.headers["Content-Disposition"]
    assert not re.search(r"[\r\n\0]", said)
    assert said.count("filename=") == 1
    assert "Set-Cookie" not in answer.headers


def test_names_from_data_break_no_header(as_role: AsRole, city: Engine) -> None:
    with city.begin() as connection:
        connection.execute(
            text("UPDATE division SET name = :name"), {"name": '县\r\nX-Evil: 1"; filename="b.exe'}
        )
    for role, path in (
        (Role.TOWN_OFFICER, "/seasonal/list.xlsx"), (Role.TOWN_OFFICER, "/seasonal/list.docx"),
        (Role.COMMAND, "/matters/list.csv"), (Role.COMMAND, "/figures/figures.xlsx"),
        (Role.COMMAND, "/map/view.geojson"), (Role.COMMAND, "/map/view.xlsx"),
    ):  # fmt: skip
        answer = as_role(role).get(path)
        assert answer.status_code in (200, 404), (path, answer.status_code)
        assert "X-Evil" not in answer.headers, path
        assert answer.headers.get("Content-Disposition", "").count("filename=") <= 1, path

"""What a city's machine room sees: numbers without names, log lines without addresses, limits that hold."""

import io
import json
import logging
import multiprocessing
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from gridmgmt import health, logs
from gridmgmt.config import Settings
from gridmgmt.db.engine import make_engine
from gridmgmt.db.models import Role
from gridmgmt.web import create_app, metrics, say, throttle, watching
from gridmgmt.web.databases import EXTENSION

from . import small_city
from .conftest import sign_in

AsRole = Callable[[Role | None], FlaskClient]
TOKEN = "a token of thirty letters or so"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
SAMPLE = re.compile(r"^(gridmgmt_\w+)(?:\{(.*)\})? (\S+)$", re.M)


@pytest.fixture
def make(city: Engine, tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """Makes the application of the small city with settings of a test's own."""
    made: list[Flask] = []

    def app(**chosen: object) -> Flask:
        url = city.url.render_as_string(hide_password=False)
        settings = Settings(
            home=tmp_path, database_url=url, secret_key="a key for tests", basemap=None, metrics_token=TOKEN
        )
        made.append(create_app(replace(settings, **chosen)))  # type: ignore[arg-type]
        return made[-1]

    yield app
    for each in made:
        each.extensions[EXTENSION].dispose()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, object]]]]:
    """What our loggers wrote, as JSON."""
    stream, ours = io.StringIO(), logging.getLogger("gridmgmt")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter("json"))
    ours.addHandler(handler)
    monkeypatch.setattr(ours, "level", logging.INFO)
    logging.getLogger("gridmgmt.request").manager._clear_cache()  # type: ignore[attr-defined]
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    ours.removeHandler(handler)


def samples(app: Flask) -> dict[str, dict[str, float]]:
    """Every number of /metrics: its name, its labels as written, its value."""
    answer = app.test_client().get("/metrics", headers=BEARER)
    assert answer.status_code == 200
    found: dict[str, dict[str, float]] = {}
    for name, labels, value in SAMPLE.findall(answer.text):
        found.setdefault(name, {})[labels] = float(value)
    return found


# --- log lines of requests


def test_a_request_is_one_line_that_names_the_route_and_nobody(
    make: Callable[..., Flask], lines: Callable[[], list[dict[str, object]]]
) -> None:
    client = make().test_client()
    sign_in(client, "town_officer")
    answer = client.get("/homes?words=张三丰&village=13812345678")
    line = lines()[-1]
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert (line["event"], line["method"], line["route"]) == ("request", "GET", "/homes")
    assert (line["status"], line["role"]) == (answer.status_code, "town_officer")
    client.get("/follow/a-secret-of-a-resident-43-letters-long-0123")
    assert lines()[-1]["route"] == "/follow/<token>"
    client.get("/no/such/page/of/张三丰")
    assert (lines()[-1]["route"], lines()[-1]["status"]) == ("none", 404)
    before = len(lines())
    for quiet in ("/healthz", "/readyz", "/static/app.css"):
        with client.get(quiet) as answer:
            assert answer.status_code == 200
    said = json.dumps(lines(), ensure_ascii=False)
    assert len(lines()) == before
    for secret in ("张三丰", "13812345678", "a-secret-of", "town_officer@", small_city.PASSWORD):
        assert secret not in said


NUMBERS = {
    "0f8fad5b-d9cb-469f-a165-7086f728950e": True,
    "short": False,
    "a" * 65: False,
    "abcdefgh ijkl": False,
    "13812345678": False,  # log lines would not show it
}


def test_the_number_of_a_request_is_the_proxys_only_where_there_is_one(make: Callable[..., Flask]) -> None:
    for proxies in (0, 1):
        client = make(proxies=proxies).test_client()
        for told, good in NUMBERS.items():
            given = client.get("/login", headers={"X-Request-ID": told}).headers["X-Request-ID"]
            assert (given == told) == (bool(proxies) and good), told
            assert re.fullmatch("[A-Za-z0-9-]{8,64}", given)


def test_the_reference_of_an_error_page_stands_beside_the_number_of_the_request(
    make: Callable[..., Flask], lines: Callable[[], list[dict[str, object]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("password=hunter2, of 张三丰, 13812345678")

    monkeypatch.setattr("gridmgmt.web.overview.territory", broken)
    app = make()
    client = app.test_client()
    sign_in(client, "command")
    before = samples(app)["gridmgmt_errors_total"].get('kind="unexpected"', 0)
    answer = client.get("/command")
    reference = re.search(r"编号 <b>([0-9A-F]{8})</b>", answer.text)
    assert reference
    line = next(each for each in lines() if reference[1] in str(each["event"]))
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert "RuntimeError" in str(line["exception"])
    said = json.dumps(lines(), ensure_ascii=False)
    for secret in ("hunter2", "张三丰", "13812345678"):
        assert secret not in said.replace(f"of {secret}, ", "").replace(f"={secret}, of", "")
    assert samples(app)["gridmgmt_errors_total"]['kind="unexpected"'] == before + 1


def test_what_was_typed_is_not_logged_when_it_is_refused(
    make: Callable[..., Flask], lines: Callable[[], list[dict[str, object]]]
) -> None:
    client = make().test_client()
    sign_in(client, "command")
    assert client.get("/command?level=ZhangSan").status_code == 400
    refused = next(each for each in lines() if each["event"] == "refused")
    assert (refused["error"], refused["field"]) == ("InputError", "level")
    assert "ZhangSan" not in json.dumps(lines())


def test_what_takes_long_is_logged_as_slow(
    make: Callable[..., Flask], lines: Callable[[], list[dict[str, object]]]
) -> None:
    client = make(slow_ms=0).test_client()
    sign_in(client, "command")
    slow = [each for each in lines() if each["event"] == "slow statement"]
    assert {each["route"] for each in slow} == {"/login"}
    assert all(each["request_id"] and each["sql"] and each["hash"] for each in slow)
    assert "'command'" not in json.dumps(slow)
    assert any(each["event"] == "slow request" for each in lines())


# --- numbers


def test_numbers_are_for_whoever_has_the_token(make: Callable[..., Flask], as_role: AsRole) -> None:
    assert as_role(Role.ADMIN).get("/metrics", headers=BEARER).status_code == 404  # no token, no page
    client = make().test_client()
    for wrong in (
        {},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": TOKEN},
        {"Authorization": "é"},
    ):
        answer = client.get("/metrics", headers=wrong)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert client.get("/metrics", headers=BEARER).status_code == 200
    for _ in range(metrics.WRONG_TOKENS.amount):
        client.get("/metrics")
    assert client.get("/metrics", headers=BEARER).status_code == 429


def test_requests_are_counted_by_route_and_no_label_holds_what_was_typed(make: Callable[..., Flask]) -> None:
    app = make()
    client = app.test_client()
    sign_in(client, "command")
    counted = 'method="GET",route="/areas/<code>",status="4xx"'
    before = samples(app)["gridmgmt_requests_total"].get(counted, 0)
    for code in ("ZhangSan", "987654", "13812345678"):
        client.get(f"/areas/{code}?name=ZhangSan")
    client.open("/login", method="ZHANGSAN")
    client.get("/zhangsan/13812345678")
    found = samples(app)
    assert found["gridmgmt_requests_total"][counted] == before + 3
    assert found["gridmgmt_request_seconds_count"]['method="GET",route="/areas/<code>"'] >= 3
    assert found["gridmgmt_requests_in_progress"][""] == 1  # this one
    routes = {rule.rule for rule in app.url_map.iter_rules()} | {"none", "/undeclared"}  # of another test
    allowed = {
        "route": routes, "method": {*watching.METHODS, "other"}, "status": {f"{n}xx" for n in range(1, 6)},
    }  # fmt: skip
    for labels in found["gridmgmt_requests_total"]:
        for name, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels):
            assert value.replace('\\"', '"') in allowed[name], labels
    for name, kinds in found.items():
        for labels in kinds:
            assert not re.search("(?i)zhangsan|13812345678|town_officer", labels), name


def test_every_number_of_every_line_is_exposed_and_said_what_it_is(
    make: Callable[..., Flask], city: Engine, tmp_path: Path
) -> None:
    (tmp_path / "backups" / "wal").mkdir(parents=True)
    (tmp_path / "backups" / "a.json").write_text('{"at": "2026-01-01T02:00:00+08:00", "how": "x"}')
    (tmp_path / "backups" / "wal" / "looked").write_text("2026-01-01T00:00:00+00:00")
    _a_matter(city)
    app = make()
    doors = app.extensions[EXTENSION]
    found = health.lines(doors.accounts, doors.reader, app.config["SETTINGS"])
    names = {number.name for line in found for number in line.numbers}
    assert names == set(metrics.SAYS)  # no number without words, no words without a number
    exposed = samples(app)
    assert {f"gridmgmt_{name}" for name in names} <= set(exposed)
    states = exposed["gridmgmt_health_state"]
    assert states['line="schema"'] == 0
    assert states['line="backup"'] == 2
    assert exposed["gridmgmt_jobs"]['status="waiting"'] == 0


def _a_matter(city: Engine) -> None:
    row = """
        INSERT INTO incident
            (source, external_id, category, occurred_at, occurred_on, reported_at, status, digest)
        SELECT 'test', '1', min(code), now(), current_date, now(), 'open', gen_random_uuid()
        FROM category
    """
    with city.begin() as connection:
        connection.execute(text("SELECT ensure_incident_year(extract(year FROM current_date)::int)"))
        connection.execute(text(row))


def _metrics_of(expression: str) -> set[str]:
    return set(re.findall(r"\bgridmgmt_\w+", expression))


def test_the_dashboard_and_the_alarms_name_numbers_that_there_are(
    make: Callable[..., Flask], city: Engine, tmp_path: Path
) -> None:
    (tmp_path / "backups" / "wal").mkdir(parents=True)
    (tmp_path / "backups" / "a.json").write_text('{"at": "2026-01-01T02:00:00+08:00"}')
    (tmp_path / "backups" / "wal" / "looked").write_text("2026-01-01T00:00:00+00:00")
    app = make()
    app.test_client().get("/login")
    exposed = set(samples(app))
    board = json.loads((MONITORING / "grafana.json").read_text(encoding="utf-8"))
    panels = [each for each in board["panels"] if each["type"] != "row"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    alarms = (MONITORING / "alerts.yml").read_text(encoding="utf-8")
    queries += re.findall(r"^ +expr: (.+)$", alarms, re.M)
    assert len(panels) >= 15
    assert alarms.count("expr:") == alarms.count("- alert:") >= 10
    assert len({panel["id"] for panel in panels}) == len(panels)
    for query in queries:
        assert _metrics_of(query), query
        assert _metrics_of(query) <= exposed, query
    lines = {line for labels in samples(app)["gridmgmt_health_state"] for line in [labels[6:-1]]}
    for line in re.findall(r'line="(\w+)"', "".join(queries)):
        assert line in lines


# --- ready


def test_ready_is_a_database_that_answers_can_write_and_has_the_schema(
    make: Callable[..., Flask], city: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make()
    client = app.test_client()
    assert client.get("/readyz").json == {"status": "ready"}
    with city.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json) == (503, {"status": "not ready", "failed": ["schema"]})
    nowhere = make_engine("postgresql://u:hunter2@127.0.0.1:1/city", patience=2)
    app.extensions[metrics.PROBE] = nowhere
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json) == (503, {"status": "not ready", "failed": ["database"]})
    assert "hunter2" not in answer.text


def test_a_database_that_is_gone_is_a_line_and_a_number_and_no_error(
    make: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make()

    def gone(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr("gridmgmt.health.server.migrations.status", gone)
    found = samples(app)
    assert found["gridmgmt_database_up"][""] == 0
    assert found["gridmgmt_health_state"]['line="database"'] == 2
    assert "gridmgmt_disk_free_bytes" in found


# --- who is counted, and by how many


BEHIND = (
    (0, "198.51.100.7", "127.0.0.1"),
    (1, "198.51.100.7", "198.51.100.7"),
    (1, "10.9.9.9, 203.0.113.1, 198.51.100.7", "198.51.100.7"),  # what stands left anybody may have sent
    (2, "10.9.9.9, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
)


def test_who_is_counted_behind_servers_of_ours(
    make: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []
    right = throttle.address
    monkeypatch.setattr(throttle, "address", lambda: found.append(right()) or found[-1])
    for proxies, header, counted in BEHIND:
        found.clear()
        make(proxies=proxies).test_client().get("/metrics", headers={"X-Forwarded-For": header})
        assert set(found) == {counted}, header


def test_limits_by_address_hold_for_two_processes_at_once(
    make: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make()
    app.config.update(WTF_CSRF_ENABLED=False, API_NAMELESS_A_MINUTE=25)
    monkeypatch.setattr(say, "LOOKS", say.parse("30 per hour"))
    forked = multiprocessing.get_context("fork")  # as the server makes its workers
    passed, start = forked.Queue(), forked.Barrier(2)

    def call() -> None:
        client = app.test_client()
        start.wait(60)
        places = (("GET", "/metrics"), ("POST", "/say/where"), ("GET", "/api/v1/categories"))
        for method, path in places:
            answers = [client.open(path, method=method).status_code for _ in range(25)]
            passed.put((path, sum(status != 429 for status in answers)))

    workers = [forked.Process(target=call) for _ in range(2)]
    for each in workers:
        each.start()
    found: Counter[str] = Counter()
    for path, count in (passed.get(timeout=60) for _ in range(6)):
        found[path] += count
    for each in workers:
        each.join()
    assert found == {"/metrics": 20, "/say/where": 30, "/api/v1/categories": 25}

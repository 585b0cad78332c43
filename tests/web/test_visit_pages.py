"""Visits as people meet them: recorded at a door, sent again by a phone, walked as a round, counted above."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from gridmgmt.calendar import china_today
from gridmgmt.db import identity
from gridmgmt.db.models import Role
from tests.db import roster_world
from tests.db.roster_world import World

from . import small_city
from .conftest import sign_in

AsRole = Callable[[Role | None], FlaskClient]
TODAY = china_today()
SECRETS = ("赵桂英", "王大山", "王建国")


@pytest.fixture(autouse=True)
def world(app: Flask, city: Engine) -> World:
    """The homes of the roster's world, in the small city, under the application's own keys."""
    return roster_world.build(city, roster_world.make_ring(app.config["SETTINGS"].home))


@pytest.fixture
def chief(as_role: AsRole) -> FlaskClient:
    """The chief of the grid with 春天路1号."""
    return as_role(Role.GRID_WORKER)


@pytest.fixture
def office(as_role: AsRole) -> FlaskClient:
    """The office of the chief's town."""
    return as_role(Role.TOWN_OFFICER)


@pytest.fixture
def stranger(app: Flask, city: Engine) -> FlaskClient:
    """The chief of another town's grid."""
    identity.create_account(
        city, "stranger", small_city.PASSWORD, Role.GRID_WORKER, "", roster_world.GRID_OTHER
    )
    client = app.test_client()
    sign_in(client, "stranger")
    return client


def _post(client: FlaskClient, path: str, **form: object) -> TestResponse:
    token = client.get("/seasonal").get_data(as_text=True).split('name="csrf_token"')[1]
    return client.post(path, data={"csrf_token": token.split('value="')[1].split('"')[0], **form})


def _send(client: FlaskClient, **fields: str) -> TestResponse:
    token = client.get("/visits/token").json["token"]
    return client.post("/visits/send", json=fields, headers={"X-CSRFToken": token})


def _fields(world: World, **other: str) -> dict[str, str]:
    return {
        "key": str(uuid4()), "dwelling": str(world.dwelling["low 102"]), "purpose": "care", "outcome": "met",
        "visited_at": datetime.now(UTC).isoformat(), "note": "提醒按时吃药",
    } | other  # fmt: skip


def _count(engine: Engine, table: str, where: str = "true") -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table} WHERE {where}")).scalar_one())


def _begin(office: FlaskClient, **other: object) -> int:
    form = {
        "title": "汛期提醒", "message": "请到村部过夜", "care": ["elderly_alone"], "alone_from": "80",
        "flags": ["low_lying"], "due_on": (TODAY + timedelta(days=2)).isoformat(),
    } | other  # fmt: skip
    answer = _post(office, "/office/rounds", **form)
    assert answer.status_code == 303, answer.get_data(as_text=True)
    return int(answer.location.rsplit("/", 1)[1])


def test_the_form_lists_the_own_doors_without_a_name(
    chief: FlaskClient, office: FlaskClient, world: World
) -> None:
    page = chief.get("/visits/new").get_data(as_text=True)
    assert "春天路1号" in page
    assert "夏天路2号" not in page
    assert not any(name in page for name in SECRETS)
    theirs = office.get(f"/visits/new?dwelling={world.dwelling['old 101']}").get_data(as_text=True)
    assert "夏天路2号" in theirs
    assert "春天路1号" not in theirs
    assert "请从住户进入" in office.get("/visits/new").get_data(as_text=True)
    assert office.get(f"/visits/new?dwelling={world.dwelling['other 201']}").status_code == 404
    assert office.get("/visits/new?dwelling=999999").status_code == 404


def test_a_form_pressed_twice_is_one_visit_in_the_notebook(
    chief: FlaskClient, office: FlaskClient, stranger: FlaskClient, city: Engine, world: World
) -> None:
    fields = _fields(world)
    for _ in range(2):
        assert _post(chief, "/visits", **fields).status_code == 303
    assert _count(city, "visit") == 1
    assert "提醒按时吃药" in chief.get("/visits").get_data(as_text=True)
    assert "提醒按时吃药" in office.get("/visits").get_data(as_text=True)
    assert "提醒按时吃药" not in office.get("/visits?own=1").get_data(as_text=True)
    assert "提醒按时吃药" not in stranger.get("/visits").get_data(as_text=True)


def test_what_is_not_allowed_brings_the_form_back_with_what_was_typed(
    chief: FlaskClient, stranger: FlaskClient, city: Engine, world: World
) -> None:
    for wrong, words in (
        ({"visited_at": (datetime.now(UTC) - timedelta(days=40)).isoformat()}, "最近 30 天"),
        ({"outcome": ""}, "见到人没有"),
        ({"dwelling": ""}, "请选楼栋和门牌"),
        ({"category": "01", "matter_text": "找15400000003"}, "像有身份证号或电话"),
        ({"matter_text": "夜里唱歌"}, "请选一个诉求类别"),
    ):
        answer = _post(chief, "/visits", **_fields(world, **wrong))
        page = answer.get_data(as_text=True)
        assert answer.status_code == 400, wrong
        assert words in page
        assert "提醒按时吃药" in page
    assert _post(stranger, "/visits", **_fields(world)).status_code == 404
    assert _count(city, "visit") == _count(city, "incident") == _count(city, "audit_log") == 0


def test_a_phone_sends_until_it_is_told_and_nothing_is_made_twice(
    chief: FlaskClient, stranger: FlaskClient, city: Engine, world: World
) -> None:
    fields = _fields(world, category="01", matter_text="夜里有人唱歌")
    answers = [_send(chief, **fields) for _ in range(3)]
    assert [answer.json for answer in answers] == [{"kept": fields["key"]}] * 3
    assert _count(city, "visit") == _count(city, "incident", "source = 'visit'") == 1
    assert _count(city, "audit_log", "what = 'visit.record'") == 1
    for client, key, status in ((stranger, str(uuid4()), 404), (chief, "no key", 400)):
        refused = _send(client, **{**fields, "key": key})
        assert refused.status_code == status
        assert refused.json["why"]
    assert chief.post("/visits/send", json=fields).status_code == 400, "not without a token"
    assert chief.get("/visits/token").json["user"] == "grid_worker"


def test_the_form_names_the_worker_to_grid_staff_alone(chief: FlaskClient, office: FlaskClient) -> None:
    assert "data-worker" in chief.get("/visits/new").get_data(as_text=True)
    assert "data-worker" not in office.get("/visits/new").get_data(as_text=True)


def test_a_matters_category_that_is_usual_here_stands_first(chief: FlaskClient, city: Engine) -> None:
    small_city.add_history(city)
    with city.begin() as connection:
        connection.execute(
            text("UPDATE incident i SET grid_id = g.id FROM grid g WHERE ST_Covers(g.geom, i.geom)")
        )
    page = chief.get("/visits/new").get_data(as_text=True)
    assert re.findall(r'name="tile" value="(\d+)"', page)[0] == "01"


def test_an_office_sees_how_many_before_it_sends_out_a_round(office: FlaskClient, world: World) -> None:
    shown = _post(
        office, "/office/rounds/preview", care=["elderly_alone"], alone_from="80", flags=["low_lying"]
    )
    words = re.sub(r"<[^>]+>", "", shown.get_data(as_text=True))
    assert "现在有 2 户，在 1 个网格：1号网格 2 户" in words
    assert "请先选人群或房屋" in _post(office, "/office/rounds/preview").get_data(as_text=True)
    number = _begin(office)
    page = office.get(f"/rounds/{number}").get_data(as_text=True)
    assert "赵桂英" in page
    assert "王大山" in page
    assert "town_officer" in page, "who opened it stands on it"
    assert "0 / 0 / 2" in office.get("/office/rounds").get_data(as_text=True)
    nobody = {"care": ["left_behind"], "flags": ["low_lying"]}
    for wrong in ({"due_on": "soon"}, {"title": " "}, {"alone_from": "old"}, {}, nobody):
        answer = _post(office, "/office/rounds", **{"title": "x", "message": "y", "due_on": TODAY, **wrong})
        assert answer.status_code == 400
        assert 'role="alert"' in answer.get_data(as_text=True)


def test_a_chief_walks_the_round_and_the_command_centre_learns_no_name(
    chief: FlaskClient, office: FlaskClient, stranger: FlaskClient, as_role: AsRole, city: Engine
) -> None:
    number = _begin(office)
    today = chief.get("/grid").get_data(as_text=True)
    assert "汛期提醒" in today
    assert "还有 <b>2</b> 户要走" in today
    assert not any(name in today for name in SECRETS)
    page = chief.get(f"/rounds/{number}").get_data(as_text=True)
    (one, other) = re.findall(r'name="stop" value="(\d+)"', page)
    fields = _stop_fields(page, one)
    assert _post(chief, f"/rounds/{number}/stops", **fields, result="done").status_code == 303
    sent = _send(chief, **_stop_fields(page, other), result="无人在家")
    assert sent.status_code == 200
    assert "<b>0</b> 户待走访" in chief.get(f"/rounds/{number}").get_data(as_text=True)
    assert _count(city, "visit", "purpose = 'reminder'") == 2
    again = _send(chief, **{**_stop_fields(page, one), "key": str(uuid4())}, result="无人在家")
    assert again.status_code == 409
    for client in (stranger, as_role(Role.COMMAND)):
        assert client.get(f"/rounds/{number}").status_code in (403, 404)
    counted = as_role(Role.COMMAND).get("/command/rounds").get_data(as_text=True)
    assert "汛期提醒" in counted
    assert "不足 5 户" in counted
    assert not any(name in counted for name in SECRETS)


def _stop_fields(page: str, stop: str) -> dict[str, str]:
    form = page.split(f'id="stop-{stop}"')[1].split("</form>")[0]
    return {
        name: value
        for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form)
        if name not in ("csrf_token", "result")
    }


def test_a_survey_shows_its_progress_and_hides_small_grids(
    office: FlaskClient, chief: FlaskClient, as_role: AsRole, city: Engine, world: World
) -> None:
    assert "还没有开始入户核对" in office.get("/office/survey").get_data(as_text=True)
    days = {"start_on": TODAY - timedelta(days=3), "due_on": TODAY + timedelta(days=30)}
    assert _post(office, "/office/survey", name="秋季核对", **days).status_code == 303
    backwards = {"start_on": days["due_on"], "due_on": days["start_on"]}
    assert _post(office, "/office/survey", name="秋季核对", **backwards).status_code == 400
    _post(chief, "/visits", **_fields(world, purpose="verify"))
    page = office.get("/office/survey").get_data(as_text=True)
    assert "1 / 6" in page, "six doors of the own grid: five of the world, one of the city"
    assert "不足 5 套，不显示" in page, "the sibling has two"
    assert page.count("<path class=") >= 6
    command = as_role(Role.COMMAND).get("/office/survey").get_data(as_text=True)
    assert "1 / 6" in command
    assert "春天路" not in command
    assert "还有 5 套没有核对" in chief.get("/grid").get_data(as_text=True)
    assert as_role(Role.COMMAND).post("/office/survey").status_code in (400, 403)


def test_every_reading_of_notes_and_names_is_noted_and_no_other(
    chief: FlaskClient, office: FlaskClient, city: Engine, world: World
) -> None:
    number = _begin(office)
    _send(chief, **_fields(world))
    before = _count(city, "audit_log")
    for path in ("/visits/new", "/grid", "/office/rounds", "/office/survey"):
        (office if path.startswith("/office") else chief).get(path)
    assert _count(city, "audit_log") == before
    chief.get("/visits")
    chief.get(f"/rounds/{number}")
    with city.connect() as connection:
        lines = connection.execute(
            text("SELECT what, detail::text FROM audit_log ORDER BY id OFFSET :n"), {"n": before}
        )
        found = lines.all()
    assert [what for what, _ in found] == ["visit.list", "round.view"]
    assert not any("吃药" in detail or "桂英" in detail for _, detail in found)

"""The chief's telephone on the server's side: the day, a matter told once, and what a phone may keep."""

import io
import json
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from shapely import box
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from gridmgmt.db.models import Role
from gridmgmt.web.areas import Place
from gridmgmt.web.sketch import Sketch
from tests.db import matter_world as w
from tests.db import roster_world
from tests.db.matter_world import World
from tests.unit.test_attachments import with_position

from .test_say_pages import photo, posted, rows, token

AsRole = Callable[[Role | None], FlaskClient]
SECRETS = ("赵桂英", "王大山", "王建国", "陈志强")
LON, LAT = 114.0031, 32.9969  # in the own grid


@pytest.fixture
def homes(city: Engine, app: Flask) -> roster_world.World:
    """Buildings, doors and people of the roster's world, in the own grid and in others."""
    return roster_world.build(city, roster_world.make_ring(app.config["SETTINGS"].home))


@pytest.fixture
def world(city: Engine, homes: roster_world.World, tmp_path: Path) -> Iterator[World]:
    made = w.build(city, tmp_path)
    yield made
    made.matters.dispose()


@pytest.fixture
def chief(as_role: AsRole) -> FlaskClient:
    return as_role(Role.GRID_WORKER)


def _sent(client: FlaskClient, **fields: object) -> TestResponse:
    """Send a matter as a phone does that had it waiting."""
    given = client.get("/visits/token").json["token"]
    form = {"csrf_token": given, "key": str(uuid.uuid4()), "tile": w.NOISE, "at": _now()} | fields
    return posted(client, "/grid/report/send", form)


def _now() -> str:
    return datetime.now(UTC).isoformat()


def test_what_a_phone_sends_twice_is_one_matter_with_its_photo_once(chief: FlaskClient, world: World) -> None:
    fields = {"key": str(uuid.uuid4()), "at": _now(), "words": "", "lon": f"{LON}", "lat": f"{LAT}"}
    first, again = (_sent(chief, **fields, crs="wgs84", photos=[photo(with_position())]) for _ in range(2))
    assert (first.status_code, again.json) == (200, first.json)
    assert first.json["kept"] == fields["key"]
    [(words, channel, grid, lon, lat)] = rows(
        world,
        "SELECT i.text, channel, g.code15, ST_X(i.geom), ST_Y(i.geom) FROM incident i"
        " JOIN incident_case c ON c.id = i.id JOIN grid g ON g.id = i.grid_id",
    )
    assert (words, channel, grid) == ("噪声扰民", "grid_round", w.GRID_OWN), (
        "who writes nothing says the tile"
    )
    assert (lon, lat) == pytest.approx((LON, LAT), abs=1e-9), "WGS 84 is CGCS2000 within decimetres"
    [(number,)] = rows(world, "SELECT id FROM incident_attachment")
    kept = chief.get(f"/matters/attachments/{number}")
    assert not Image.open(io.BytesIO(kept.data)).getexif()


def test_where_nothing_nearer_is_known_it_is_the_grid_itself(
    chief: FlaskClient, world: World, homes: roster_world.World
) -> None:
    assert _sent(chief).status_code == 200
    door = homes.dwelling["low 102"]
    assert _sent(chief, dwelling=str(door), words="楼道灯不亮").status_code == 200
    found = rows(
        world,
        "SELECT v.code, i.geom IS NOT NULL, i.address FROM incident i JOIN incident_case c ON c.id = i.id"
        " JOIN division v ON v.code = i.village ORDER BY i.id",
    )
    assert [row[0] for row in found] == [w.VILLAGE_OWN] * 2
    assert [row[1] for row in found] == [False, True]
    assert "春天路1号" in str(found[1][2])


def test_what_is_not_taken_says_why_and_writes_nothing(
    chief: FlaskClient, world: World, homes: roster_world.World
) -> None:
    point = {"lon": f"{LON}", "lat": f"{LAT}"}
    elsewhere = next(number for name, number in homes.dwelling.items() if name.startswith("other"))
    for fields, said in (
        ({"tile": "11"}, "请选是什么事"),
        ({"tile": ""}, "请选是什么事"),
        (point, "坐标系"),
        (point | {"crs": "gcj02"}, "坐标系"),
        ({"lon": "0.5", "lat": "0.5", "crs": "wgs84"}, "不在本市"),
        ({"dwelling": str(elsewhere)}, "这栋楼已经变动"),
        ({"words": "请打 138 1234 5678"}, "电话号码"),
        ({"at": "2001-01-01T00:00:00Z"}, "时间不对"),
        ({"key": "again"}, "页面已过期"),
        ({"photos": [photo(b"<svg/>", "a.svg")]}, "SVG"),
    ):
        answer = _sent(chief, **fields)
        assert (answer.status_code, said in answer.json["why"]) == (400, True), (fields, answer.json)
    assert rows(world, "SELECT count(*) FROM incident_case") == [(0,)]
    assert chief.post("/grid/report/send", data={"tile": w.NOISE}).status_code == 400, "not without a token"


def test_the_form_works_without_scripts_and_keeps_what_was_typed(chief: FlaskClient, world: World) -> None:
    page = chief.get("/grid/report").text
    form = {
        "csrf_token": token(page),
        "key": str(uuid.uuid4()),
        "tile": "",
        "category": "",
        "words": "井盖坏了",
    }
    refused = posted(chief, "/grid/report", form)
    assert (refused.status_code, "请选是什么事" in refused.text, "井盖坏了" in refused.text) == (
        400,
        True,
        True,
    )
    answer = posted(chief, "/grid/report", form | {"category": w.WATER})
    assert answer.status_code == 303
    assert re.search(r"已上报，编号 \d+", chief.get(answer.location).text)


def test_today_holds_the_matters_that_wait_for_the_grid_and_no_word_of_them(
    chief: FlaskClient, world: World
) -> None:
    told = {"category": w.NOISE, "lon": LON, "lat": LAT, "channel": "grid_round"}
    world.take_in(w.WORKER, words="夜市吵到半夜", flow="village_first", **told)
    world.take_in(w.OFFICE, words="请镇街来看看", flow="nine_steps", **told)
    page = chief.get("/grid").text
    cards = [card for card in page.split("<article")[1:] if "办理这件诉求" in card]
    assert len(cards) == 1
    assert "噪声扰民" in cards[0]
    assert "夜市" not in page
    assert "请镇街" not in page


def test_what_a_phone_may_keep_names_nobody(chief: FlaskClient, world: World) -> None:
    world.take_in(w.WORKER, words="夜市吵到半夜", category=w.NOISE, lon=LON, lat=LAT, flow="village_first")
    before = rows(world, "SELECT count(*) FROM audit_log")
    for path in ("/grid/offline", "/grid/report", "/visits/new"):
        page = chief.get(path).text
        assert not any(name in page for name in (*SECRETS, "夜市")), path
        assert 'rel="manifest"' in page
    assert "春天路1号" in chief.get("/grid/report").text
    assert rows(world, "SELECT count(*) FROM audit_log") == before, "doors are no reading of a person"


def test_only_pages_with_a_map_or_a_place_to_tell_may_ask_for_the_position(chief: FlaskClient) -> None:
    allowed = {
        path: "geolocation=(self)" in chief.get(path).headers["Permissions-Policy"]
        for path in ("/grid", "/grid/map", "/grid/report", "/visits/new", "/homes")
    }
    assert [path for path, yes in allowed.items() if yes] == ["/grid/map", "/grid/report"]


def test_manifest_and_worker_are_for_everybody_and_hold_nothing_of_the_city(app: Flask) -> None:
    client = app.test_client()
    manifest = client.get("/grid/manifest.webmanifest")
    assert manifest.mimetype == "application/manifest+json"
    told = json.loads(manifest.text)
    assert (told["start_url"], told["scope"], told["display"]) == ("/grid", "/", "standalone")
    assert {icon["sizes"] for icon in told["icons"]} == {"192x192", "512x512"}
    for icon in told["icons"]:
        answer = client.get(icon["src"])
        size = Image.open(io.BytesIO(answer.data)).size
        answer.close()
        assert "x".join(map(str, size)) == icon["sizes"]
    assert "样例县" not in manifest.text
    worker = client.get("/grid/worker.js")
    worker.close()
    assert (worker.headers["Service-Worker-Allowed"], worker.headers["Cache-Control"]) == ("/", "no-cache")
    assert client.get("/grid/report").status_code == 302


def test_the_drawing_of_a_grid_turns_places_into_points_and_back() -> None:
    shape = box(114.0, 32.99, 114.01, 33.0)
    place = Place("1", "一号", "grid", "", None, None, shape.bounds, shape, (114.005, 32.995))
    drawn = Sketch.of(place)
    west, north, across, down, margin = map(float, drawn.frame.split())
    x, y = drawn.at((LON, LAT))
    assert (west + (x - margin) / across, north - (y - margin) / down) == pytest.approx((LON, LAT), abs=1e-6)
    left, right = drawn.at((114.0, 33.0)), drawn.at((114.01, 32.99))
    assert 0 <= left[0] < right[0] <= 320
    assert (right[1] - left[1]) / (right[0] - left[0]) == pytest.approx(1.19, abs=0.01), "1 / cos 33°"

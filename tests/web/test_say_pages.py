"""What a resident can do without signing in, and what somebody who means harm cannot."""

import html
import io
import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import Engine, text
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from gridmgmt.db.models import Role
from gridmgmt.incidents.handling import service
from gridmgmt.web import say, throttle
from tests.db import matter_world as w
from tests.db.matter_world import World
from tests.unit.test_attachments import PDF, SVG, picture, with_position, zipped

from .test_roster_pages import AsRole

HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(64)
ADDRESS = f"/say/{w.GRID_OWN}"


@pytest.fixture
def world(city: Engine, app: Flask, tmp_path: Path) -> Iterator[World]:
    made = w.build(city, tmp_path)
    yield made
    made.matters.dispose()


def token(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    return found[1]


def told(client: FlaskClient, page_at: str = ADDRESS, /, **fields: object) -> TestResponse:
    """Open the form and send it, with what a resident would write but for `fields`."""
    page = client.get(page_at).get_data(as_text=True)
    form = {"csrf_token": token(page), "key": str(uuid.uuid4()), "words": "路灯坏了三天", "category": w.NOISE}
    return posted(client, page_at, form | fields)


def posted(client: FlaskClient, address: str, form: Mapping[str, object]) -> TestResponse:
    """Send a form with its files; a client left to itself forgets to close what it wrote of a large one."""
    boundary, body = encode_multipart({name: _as_file(value) for name, value in form.items()})
    return client.post(address, data=body, content_type=f"multipart/form-data; boundary={boundary}")


def _as_file(value: object) -> object:
    if isinstance(value, list):
        return [_as_file(each) for each in value]
    return FileStorage(*value) if isinstance(value, tuple) else value


def photo(data: bytes, name: str = "a.jpg") -> tuple[io.BytesIO, str]:
    return io.BytesIO(data), name


def rows(world: World, query: str) -> list[tuple[object, ...]]:
    with world.owner.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_the_code_of_a_grid_says_where_and_the_link_leads_back(as_role: AsRole, world: World) -> None:
    client = as_role(None)
    form = client.get(ADDRESS)
    assert "第1村" in form.text
    assert 'name="village"' not in form.text
    assert "geolocation=(self)" in form.headers["Permissions-Policy"]
    answer = told(client)
    assert answer.status_code == 303
    page = client.get(answer.location)
    [(number, channel, village)] = rows(
        world, "SELECT c.number, i.channel, i.village FROM incident_case c JOIN incident i USING (id)"
    )
    assert (channel, village) == ("qr_code", w.VILLAGE_OWN)
    assert f"{number}" in page.text
    assert "已收到您的诉求" in page.text
    assert "路灯坏了三天" in page.text


def test_the_secret_page_leaks_by_no_header_and_only_the_form_asks_for_the_position(
    as_role: AsRole, world: World
) -> None:
    page = as_role(None).get(told(as_role(None)).location)
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    assert "geolocation=()" in page.headers["Permissions-Policy"]
    nothing = as_role(None).get("/follow/" + "x" * 32)
    assert nothing.status_code == 404
    assert nothing.headers["Referrer-Policy"] == "no-referrer"


def test_without_a_code_the_village_is_chosen_or_read_from_the_address(as_role: AsRole, world: World) -> None:
    client = as_role(None)
    assert told(client, "/say").status_code == 400
    assert told(client, "/say", village=w.VILLAGE_SECOND).status_code == 303
    assert told(client, "/say", address="河西镇第3村东头").status_code == 303
    lon, lat = w.middle(w.GRID_OWN)
    assert told(client, "/say", lon=str(lon), lat=str(lat)).status_code == 303
    assert rows(world, "SELECT village FROM incident_case ORDER BY id") == [
        (w.VILLAGE_SECOND,), (w.VILLAGE_OTHER,), (w.VILLAGE_OWN,)
    ]  # fmt: skip


def test_a_place_that_is_none_is_refused(as_role: AsRole, world: World) -> None:
    csrf = token(as_role(None).get(ADDRESS).get_data(as_text=True))
    for lon, lat in (("nan", "33"), ("114", ""), ("x", "y"), ("0", "0"), ("1e400", "1"), ("114", "900")):
        answer = told(as_role(None), lon=lon, lat=lat)
        assert answer.status_code == 400
        assert "这个位置不在本市的网格里" in answer.text
        where = as_role(None).post("/say/where", data={"csrf_token": csrf, "lon": lon, "lat": lat})
        assert where.json == {"name": ""}


def test_a_code_of_a_grid_that_is_gone_leads_to_its_village(as_role: AsRole, world: World) -> None:
    page = as_role(None).get(f"/say/{w.VILLAGE_OWN}099").text
    assert "已为您转到第1村" in page
    assert as_role(None).get("/say/" + "9" * 15).status_code == 200
    for wrong in ("abc", "1", "9" * 14, "..%2f", "٣" * 12):
        assert as_role(None).get(f"/say/{wrong}").status_code == 404


def test_a_name_needs_consent_and_is_sealed(as_role: AsRole, world: World) -> None:
    client, me = as_role(None), {"name": "王小明", "phone": "15400000001"}
    refused = told(client, **me)
    assert refused.status_code == 400
    assert "请勾选同意" in refused.text
    assert "15400000001" in refused.text  # what was typed is kept
    assert told(client, **me, consent="yes").status_code == 303
    [(name,)] = rows(world, "SELECT name FROM incident_party")
    assert "王小明".encode() not in bytes(name)  # type: ignore[call-overload]
    assert rows(world, "SELECT who, what FROM audit_log") == [("resident", "party.add")]


def test_pressed_twice_is_one_matter_and_both_lead_to_it(as_role: AsRole, world: World) -> None:
    client, key = as_role(None), str(uuid.uuid4())
    first, second = told(client, key=key), told(client, key=key)
    assert first.location == second.location
    assert rows(world, "SELECT count(*) FROM incident_case") == [(1,)]
    assert told(client, key=key, words="另一件事").status_code == 409


def test_a_robot_that_fills_every_field_is_told_what_to_leave_out(as_role: AsRole, world: World) -> None:
    answer = told(as_role(None), homepage="http://x")
    assert answer.status_code == 400
    assert "请不要填写“主页”" in answer.text
    assert rows(world, "SELECT count(*) FROM incident_case") == [(0,)]


def test_a_form_without_its_token_is_refused(as_role: AsRole, world: World) -> None:
    form = {"words": "路灯坏了", "category": w.NOISE, "key": str(uuid.uuid4())}
    assert as_role(None).post(ADDRESS, data=form).status_code == 400
    link = told(as_role(None)).location
    assert as_role(None).post(link, data={"satisfaction": "5"}).status_code == 400


# --- how often


def test_an_address_and_a_grid_may_tell_so_much_an_hour(
    as_role: AsRole, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(say, "AN_ADDRESS", say.parse("2 per hour"))
    monkeypatch.setattr(say, "A_GRID", say.parse("3 per hour"))
    client = as_role(None)
    assert [told(client).status_code for _ in range(3)] == [303, 303, 429]
    assert "一小时内提交得太多" in told(client, words="还在的话").text
    assert "还在的话" in told(client, words="还在的话").text
    client.environ_base["REMOTE_ADDR"] = "203.0.113.9"
    assert [told(client).status_code for _ in range(2)] == [303, 429]  # now it is the grid that is full
    assert told(client, f"/say/{w.GRID_OTHER}").status_code == 303


@pytest.mark.parametrize(
    ("remote", "header", "counted"),
    [
        ("203.0.113.9", "10.0.0.1", "203.0.113.9"),  # who comes directly cannot say that he is another
        ("127.0.0.1", "198.51.100.7", "127.0.0.1"),  # nor by way of a server that nobody told us of
        ("2001:db8::1", "", "2001:db8::/64"),
        ("<script>", "", "unknown"),
    ],
)
def test_who_is_counted(app: Flask, remote: str, header: str, counted: str) -> None:
    with app.test_request_context(environ_base={"REMOTE_ADDR": remote}, headers={"X-Forwarded-For": header}):
        assert throttle.address() == counted


# --- what somebody may send


def test_a_photo_is_kept_without_where_it_was_taken(as_role: AsRole, world: World, tmp_path: Path) -> None:
    assert told(as_role(None), photos=photo(with_position(), "../../x.jpg")).status_code == 303
    [path] = (tmp_path / "attachments").rglob("*.jpg")
    assert dict(Image.open(io.BytesIO(path.read_bytes())).getexif()) == {}
    assert b"a maker" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    [(name, kind)] = rows(world, "SELECT name, kind FROM incident_attachment")
    assert (name, kind) == ("x.jpg", "photo")


NO_PHOTOS = {
    "不收 SVG": lambda: SVG,
    "不收压缩包": lambda: zipped(a=b"x"),
    "HEIC": lambda: HEIC,
    "这里只收照片": lambda: PDF,
    "不收网页文件": lambda: b"<html><script>alert(1)</script>",
    "夹着别的内容": lambda: PDF + zipped(a=b"x"),
    "打不开": lambda: picture()[:150],
    "不超过 12 MB": lambda: picture() + bytes(50 << 20),
}


def test_what_is_no_photo_is_refused_with_a_word_and_the_rest_is_kept(
    as_role: AsRole, world: World, tmp_path: Path
) -> None:
    for words, make in NO_PHOTOS.items():
        answer = told(as_role(None), photos=photo(make(), "a.jpg"))
        assert answer.status_code == 400
        assert words in answer.text
        assert "路灯坏了三天" in answer.text
    assert rows(world, "SELECT count(*) FROM incident_case") == [(0,)]
    assert not list((tmp_path / "attachments").rglob("*.*"))


def test_more_photos_than_are_taken_are_refused(as_role: AsRole, world: World) -> None:
    answer = told(as_role(None), photos=[photo(picture(), f"{n}.jpg") for n in range(4)])
    assert answer.status_code == 400
    assert "最多附" in answer.text


TEXTS = {
    "<script>alert(1)</script>{{ 7 * 7 }}": "<script>alert(1)</script>{{ 7 * 7 }}",
    "路灯\u202e坏了\u2066\u200f": "路灯坏了",
    "𠮷野家门口 😀 很吵": "𠮷野家门口 😀 很吵",
    "路灯\x00坏了\x1b[31m": "路灯坏了[31m",
    "'; DROP TABLE incident; --": "'; DROP TABLE incident; --",
}


def test_any_text_is_kept_harmless_and_shown_as_text(as_role: AsRole, world: World) -> None:
    for given, stored in TEXTS.items():
        answer = told(as_role(None), words=given)
        assert answer.status_code == 303
        page = as_role(None).get(answer.location).text
        assert html.escape(stored) in page.replace("&#34;", "&quot;").replace("&#39;", "&#x27;")
        assert "<script>alert" not in page
    assert rows(world, "SELECT text FROM incident ORDER BY id") == [(stored,) for stored in TEXTS.values()]


WRONG: tuple[tuple[dict[str, str], str], ...] = (
    ({"words": "请打15400000001"}, "像有身份证号或电话号码"),
    ({"words": "请打154\u200b0000\u200b0001"}, "像有身份证号或电话号码"),
    ({"words": ""}, "请写清是什么事"),
    ({"words": "长" * 501}, "请写清是什么事"),
    ({"category": "11"}, "选到小类"),
    ({"category": "' OR 1=1"}, "选到小类"),
    ({"key": "x"}, "页面已过期"),
    ({"name": "王明", "phone": "123", "consent": "yes"}, "电话号码不对"),
    ({"address": "长" * 201}, "不超过 200 字"),
)


def test_what_is_wrong_is_said_and_everything_typed_is_kept(as_role: AsRole, world: World) -> None:
    for fields, words in WRONG:
        answer = told(as_role(None), **{"address": "幸福路", **fields})
        assert answer.status_code == 400
        assert words in answer.text
        assert "幸福路" in answer.text or "address" in fields
    assert rows(world, "SELECT count(*) FROM incident_case") == [(0,)]


# --- afterwards


def _closed(world: World) -> None:
    with world.owner.begin() as connection:
        connection.execute(text("ALTER TABLE incident_case DISABLE TRIGGER USER"))
        connection.execute(
            text(
                "UPDATE incident_case SET open = false, stage = 'archive', answer = '灯已修好',"
                " stage_since = now()"
            )
        )
        connection.execute(text("ALTER TABLE incident_case ENABLE TRIGGER USER"))
        connection.execute(text("UPDATE incident SET status = 'closed', closed_at = now()"))


def _rate(client: FlaskClient, link: str, satisfaction: str, **fields: str) -> TestResponse:
    link = link.split("?")[0]
    page = client.get(link).get_data(as_text=True)
    return client.post(link, data={"csrf_token": token(page), "satisfaction": satisfaction, **fields})


def test_once_closed_the_resident_reads_the_answer_and_says_how_it_was(as_role: AsRole, world: World) -> None:
    client = as_role(None)
    link = told(client).location
    assert "灯已修好" not in client.get(link).text
    _closed(world)
    page = client.get(link).text
    assert "灯已修好" in page
    assert "您满意吗" in page
    assert _rate(client, link, "9").status_code == 400
    assert _rate(client, link, "5").status_code == 303
    after = client.get(link).text
    assert "您满意吗" not in after
    assert "您的评价：非常满意" in after
    assert rows(world, "SELECT satisfaction, made_by FROM incident_visit") == [(5, "resident")]


def test_a_dissatisfied_resident_opens_the_matter_again(as_role: AsRole, world: World) -> None:
    client = as_role(None)
    link = told(client).location
    _closed(world)
    answer = _rate(client, link, "1", note="还是<b>不亮</b>")
    assert "会重新办理" in client.get(answer.location).text
    assert rows(world, "SELECT open, reopened FROM incident_case") == [(True, 1)]
    assert "<b>不亮" not in client.get(link).text
    csrf = token(client.get(ADDRESS).get_data(as_text=True))
    again = client.post(link.split("?")[0], data={"csrf_token": csrf, "satisfaction": "1"})
    assert again.status_code == 409


def test_rating_works_behind_https_though_the_page_gives_no_referrer(as_role: AsRole, world: World) -> None:
    client = as_role(None)
    link = told(client).location.split("?")[0]
    _closed(world)
    page = client.get(link, base_url="https://localhost").get_data(as_text=True)
    form = {"csrf_token": token(page), "satisfaction": "4"}
    assert client.post(link, data=form, base_url="https://localhost").status_code == 303


def test_staff_steps_show_no_name_and_no_remark(as_role: AsRole, world: World) -> None:
    link = told(as_role(None)).location
    [(case_id,)] = rows(world, "SELECT id FROM incident_case")
    service.note(world.matters, w.OFFICE, int(str(case_id)), None, "内部意见：先放一放")
    page = as_role(None).get(link).text
    assert "内部意见" not in page
    assert w.OFFICE.username not in page


def test_a_signed_in_officer_sees_the_same_form(as_role: AsRole, world: World) -> None:
    assert "有事请说" in as_role(Role.TOWN_OFFICER).get(ADDRESS).text

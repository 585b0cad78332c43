"""Tasks as people meet them: handed out from the list, seen by the office, closed at a door."""

import io
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import Engine, text
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from gridmgmt.calendar import china_today
from gridmgmt.db import identity
from gridmgmt.db.models import Role

from . import small_city
from .conftest import sign_in

AsRole = Callable[[Role | None], FlaskClient]
TODAY = china_today()
OTHER_TOWN = "other_town"


@pytest.fixture(autouse=True)
def photos(app: Flask, tmp_path: Path) -> Path:
    """The folder of photos of this test's application."""
    app.config["PHOTOS"] = tmp_path / "photos"
    return tmp_path / "photos"


@pytest.fixture
def other_town(app: Flask, city: Engine) -> FlaskClient:
    """The officer of the town that is not the town officer's."""
    identity.create_account(city, OTHER_TOWN, small_city.PASSWORD, Role.TOWN_OFFICER, "", small_city.TOWN_2)
    client = app.test_client()
    sign_in(client, OTHER_TOWN)
    return client


def _task(engine: Engine, area: str, due: int, category: str = "01") -> int:
    """Write an open task due in so many days, and return its number."""
    with engine.begin() as connection:
        number = connection.execute(
            text(
                "INSERT INTO seasonal_task (year, level, area, category, start_on, end_on, due_on, action,"
                " expected, handed_out_by) VALUES (:year, :level, :area, :category, :due, :end, :due,"
                " '先走访再说', 12, 'command') RETURNING id"
            ),
            {
                "year": TODAY.year, "level": {9: "town", 15: "grid"}[len(area)], "area": area,
                "category": category, "due": TODAY + timedelta(days=due),
                "end": TODAY + timedelta(days=due + 30),
            },
        )  # fmt: skip
        return int(number.scalar_one())


def _row(engine: Engine, number: int) -> dict[str, object]:
    with engine.connect() as connection:
        found = connection.execute(text("SELECT * FROM seasonal_task WHERE id = :n"), {"n": number})
        return dict(found.mappings().one())


def _token(client: FlaskClient, path: str) -> str:
    page = client.get(path).get_data(as_text=True)
    return page.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]


def _post(client: FlaskClient, path: str, **form: object) -> object:
    """Press a button; every page has a token in its sign-out form."""
    sent = {"csrf_token": _token(client, "/seasonal"), **form}
    boundary, body = encode_multipart(sent)
    return client.post(path, data=body, content_type=f"multipart/form-data; boundary={boundary}")


def _picture() -> bytes:
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    Image.new("RGB", (2000, 1000), "teal").save(stream, "JPEG", exif=exif)
    return stream.getvalue()


def _rows(page: str) -> list[str]:
    body = page.split("<tbody>")[1].split("</tbody>")[0]
    return [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in body.split("</tr>")[:-1]]


def test_all_of_the_filter_or_single_items_are_handed_out_once(as_role: AsRole, city: Engine) -> None:
    client = as_role(Role.COMMAND)
    answer = _post(client, f"/seasonal/hand-out?category=01&town={small_city.TOWN_2}", all="1")
    assert answer.location == f"/seasonal?category=01&town={small_city.TOWN_2}"
    with city.connect() as connection:
        areas = connection.execute(text("SELECT area FROM seasonal_task")).scalars().all()
        town_item = connection.execute(
            text("SELECT id FROM seasonal_item WHERE area = :a"), {"a": small_city.TOWN_2}
        ).scalar_one()
    assert areas == [small_city.HOSTILE]
    _post(client, "/seasonal/hand-out", item=str(town_item))
    page = _post(client, "/seasonal/hand-out?category=01", all="1")
    told = client.get(page.location).get_data(as_text=True)
    assert "下发了 1 项；已经下发 1 项。" in told
    assert len(_rows(client.get("/office/tasks").get_data(as_text=True))) == 3


def test_a_town_hands_out_its_own_only(as_role: AsRole, city: Engine) -> None:
    with city.connect() as connection:
        every = connection.execute(text("SELECT id FROM seasonal_item")).scalars().all()
    _post(as_role(Role.TOWN_OFFICER), "/seasonal/hand-out", item=list(map(str, every)))
    with city.connect() as connection:
        areas = set(connection.execute(text("SELECT area FROM seasonal_task")).scalars())
    assert areas == {small_city.MINE}


def test_an_overdue_task_shows_to_its_town_and_to_no_other(
    as_role: AsRole, city: Engine, other_town: FlaskClient
) -> None:
    _task(city, small_city.MINE, -3)
    _task(city, small_city.NEIGHBOUR, 0)
    _task(city, small_city.NEIGHBOUR, 40, category="02")
    page = as_role(Role.TOWN_OFFICER).get("/office/tasks").get_data(as_text=True)
    rows = _rows(page)
    assert [row.split()[1:3] for row in rows] == [["超期", "3"], ["今天到期", "噪声扰民"], ["还有", "40"]]
    states = dict(re.findall(r"(超期|14 天内到期|待办|全部) <b>(\d+)</b>", page))
    assert states == {"全部": "3", "超期": "1", "14 天内到期": "1", "待办": "3"}
    over = as_role(Role.TOWN_OFFICER).get("/office/tasks?state=over").get_data(as_text=True)
    assert len(_rows(over)) == 1
    found = as_role(Role.COMMAND).get("/office/tasks?q=2号网格").get_data(as_text=True)
    assert len(_rows(found)) == 2
    assert "还没有下发任务" in other_town.get("/office/tasks").get_data(as_text=True)
    _task(city, small_city.HOSTILE, 3)
    theirs = other_town.get("/office/tasks").get_data(as_text=True)
    assert (len(_rows(theirs)), "1号网格" in theirs, "<script>alert" in theirs) == (1, False, False)


def test_another_grids_task_is_not_found(as_role: AsRole, city: Engine) -> None:
    theirs = _task(city, small_city.NEIGHBOUR, 3)
    client = as_role(Role.GRID_WORKER)
    assert client.get(f"/grid/tasks/{theirs}").status_code == 404
    for path in ("", "/reopen"):
        assert _post(client, f"/grid/tasks/{theirs}{path}", outcome="done").status_code == 404
    for path in ("/due", "/split"):
        assert _post(client, f"/grid/tasks/{theirs}{path}").status_code == 403
    assert _row(city, theirs)["status"] == "open"


def test_a_report_with_a_photo_closes_the_task_and_can_be_taken_back(
    as_role: AsRole, city: Engine, photos: Path, other_town: FlaskClient
) -> None:
    number = _task(city, small_city.MINE, 3)
    chief = as_role(Role.GRID_WORKER)
    photo = FileStorage(io.BytesIO(_picture()), "IMG_1.jpg")
    yesterday = TODAY - timedelta(days=1)
    answer = _post(
        chief, f"/grid/tasks/{number}", outcome="done", done_on=yesterday, note="走了三户", photo=photo
    )
    assert answer.status_code == 303
    assert (_row(city, number)["status"], _row(city, number)["done_on"]) == ("done", yesterday)
    [path] = photos.rglob("*.jpg")
    assert b"a maker" not in path.read_bytes()
    page = as_role(Role.TOWN_OFFICER).get(f"/grid/tasks/{number}").get_data(as_text=True)
    assert "走了三户" in page
    [address] = set(re.findall(r'src="(/grid/tasks/photos/\d+)"', page))
    shown = as_role(Role.TOWN_OFFICER).get(address)
    assert shown.data == path.read_bytes()
    assert (shown.headers["Cache-Control"], shown.mimetype) == ("private, no-cache", "image/jpeg")
    assert other_town.get(address).status_code == 404
    assert as_role(Role.PLANNER).get(address).status_code == 403
    assert as_role(None).get(address).status_code == 302
    assert "撤销，重新填报" in chief.get(f"/grid/tasks/{number}").get_data(as_text=True)
    _post(chief, f"/grid/tasks/{number}/reopen")
    page = chief.get(f"/grid/tasks/{number}").get_data(as_text=True)
    assert "撤销填报" in page
    assert "办得怎样" in page


@pytest.mark.parametrize(
    "data", [_picture()[:700], b"MZ not a picture", b"\xff\xd8" * (5 << 20)], ids=["cut", "program", "10 MB"]
)
def test_a_bad_photo_is_refused_and_what_was_typed_stays(
    as_role: AsRole, city: Engine, photos: Path, data: bytes
) -> None:
    number = _task(city, small_city.MINE, 3)
    photo = FileStorage(io.BytesIO(data), "IMG_1.jpg")
    form = {"outcome": "done", "note": "走了三户", "photo": photo}
    answer = _post(as_role(Role.GRID_WORKER), f"/grid/tasks/{number}", **form)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 400
    assert "这张照片收不下" in page
    assert "走了三户</textarea>" in page
    assert _row(city, number)["status"] == "open"
    assert not photos.exists() or not [path for path in photos.rglob("*") if path.is_file()]


def test_not_done_asks_why(as_role: AsRole, city: Engine) -> None:
    number = _task(city, small_city.MINE, 3)
    client = as_role(Role.GRID_WORKER)
    for why in ("", "其他"):
        answer = _post(client, f"/grid/tasks/{number}", outcome="not_done", why=why)
        assert (answer.status_code, _row(city, number)["status"]) == (400, "open")
        assert "请选一个没有办成的原因" in answer.get_data(as_text=True)
    _post(client, f"/grid/tasks/{number}", outcome="not_done", why="需部门支持", reason="要农机站来")
    assert _row(city, number)["reason"] == "需部门支持：要农机站来"
    board = as_role(Role.TOWN_OFFICER).get("/office/tasks?state=not_done").get_data(as_text=True)
    assert "需部门支持：要农机站来" in board


def test_the_phone_shows_tasks_first_and_how_many_are_done(as_role: AsRole, city: Engine) -> None:
    late, done = _task(city, small_city.MINE, -3), _task(city, small_city.MINE, 9, category="02")
    client = as_role(Role.GRID_WORKER)
    _post(client, f"/grid/tasks/{done}", outcome="done")
    page = client.get("/grid").get_data(as_text=True)
    assert "已办 1 / 共 2" in page
    cards = page.split("<article")[1:]
    assert "超期 3 天" in cards[0]
    assert f"/grid/tasks/{late}" in cards[0]
    assert all("看往年依据" in card for card in cards[1:])


def test_a_town_splits_its_task_and_moves_its_day(as_role: AsRole, city: Engine) -> None:
    number = _task(city, small_city.TOWN_1, 3)
    office = as_role(Role.TOWN_OFFICER)
    told = office.get(_post(office, f"/grid/tasks/{number}/split").location).get_data(as_text=True)
    assert "分到了 6 个网格。" in told
    assert "王网格" in told
    refused = _post(office, f"/grid/tasks/{number}/due", due_on=TODAY - timedelta(days=1))
    assert (refused.status_code, "新期限应在今天到窗口" in refused.get_data(as_text=True)) == (400, True)
    later = TODAY + timedelta(days=20)
    _post(office, f"/grid/tasks/{number}/due", due_on=later)
    assert _row(city, number)["due_on"] == later
    assert _post(as_role(Role.COMMAND), f"/grid/tasks/{number}/due", due_on=later).status_code == 403


def test_no_button_works_without_its_token(as_role: AsRole, city: Engine) -> None:
    mine, town = _task(city, small_city.MINE, 3), _task(city, small_city.TOWN_1, 3)
    for role, path in (
        (Role.COMMAND, "/seasonal/hand-out"),
        (Role.GRID_WORKER, f"/grid/tasks/{mine}"),
        (Role.GRID_WORKER, f"/grid/tasks/{mine}/reopen"),
        (Role.TOWN_OFFICER, f"/grid/tasks/{town}/due"),
        (Role.TOWN_OFFICER, f"/grid/tasks/{town}/split"),
    ):
        answer = as_role(role).post(path, data={"all": "1", "outcome": "done", "due_on": date.max})
        assert answer.status_code == 400, path
    with city.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM seasonal_task_step")).scalar_one() == 0


def test_planners_auditors_and_administrators_have_no_tasks(as_role: AsRole, city: Engine) -> None:
    number = _task(city, small_city.MINE, 3)
    for role in (Role.PLANNER, Role.AUDITOR, Role.ADMIN):
        for path in ("/office/tasks", f"/grid/tasks/{number}"):
            assert as_role(role).get(path).status_code == 403, (role, path)
    with city.connect() as connection:
        item = connection.execute(text("SELECT min(id) FROM seasonal_item")).scalar_one()
    assert "治理情况" in as_role(Role.COMMAND).get(f"/seasonal/items/{item}").get_data(as_text=True)
    assert "治理情况" not in as_role(Role.PLANNER).get(f"/seasonal/items/{item}").get_data(as_text=True)

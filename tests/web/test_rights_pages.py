"""The office's pages of a person's rights, and files of the roster from the request to the download."""

import json
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.db import identity
from gridmgmt.db.models import Role
from tests.db import roster_world
from tests.db.roster_world import GRID_OTHER, GRID_OWN, TOWN_OTHER, TOWN_OWN, World

from .conftest import sign_in
from .small_city import PASSWORD

AsRole = Callable[[Role | None], FlaskClient]


@pytest.fixture
def world(city: Engine, tmp_path: Path) -> World:
    for name, area in (("second", TOWN_OWN), ("far", TOWN_OTHER)):
        identity.create_account(city, name, PASSWORD, Role.TOWN_OFFICER, name, area)
    return roster_world.build(city, roster_world.make_ring(tmp_path))


@pytest.fixture
def office(as_role: AsRole, world: World) -> FlaskClient:
    return as_role(Role.TOWN_OFFICER)


@pytest.fixture
def as_account(app: Flask) -> Iterator[Callable[[str], FlaskClient]]:
    def client(username: str) -> FlaskClient:
        made = app.test_client()
        sign_in(made, username)
        return made

    return client


def page(client: FlaskClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, path
    return answer.get_data(as_text=True)


def press(client: FlaskClient, path: str, form: dict[str, Any], status: int = 303) -> Any:
    token = page(client, "/exports").split('name="csrf_token" value="')[1].split('"')[0]
    answer = client.post(path, data={"csrf_token": token, **form})
    assert answer.status_code == status, answer.get_data(as_text=True)
    return answer


def count(engine: Engine, what: str) -> int:
    with engine.connect() as connection:
        statement = text("SELECT count(*) FROM audit_log WHERE what = :what")
        return int(connection.execute(statement, {"what": what}).scalar_one())


def test_the_office_gives_a_copy_in_three_forms_and_each_leaves_one_line(
    city: Engine, office: FlaskClient, world: World
) -> None:
    who = world.person["王建国"]
    shown = page(office, f"/people/{who}/rights")
    assert "名册里有什么" in shown
    assert world.identity["王建国"] not in shown
    for n, form in enumerate(("html", "docx", "json"), 1):
        answer = press(office, f"/people/{who}/copy", {"form": form, "asked_by": "self"}, 200)
        assert answer.headers["Cache-Control"] == "no-store"
        assert count(city, "person.copy") == n
        if form != "docx":
            assert world.identity["王建国"] in answer.get_data(as_text=True)
    assert json.loads(answer.data)["parts"][0]["rows"][4]["内容"] == world.identity["王建国"]
    press(office, f"/people/{who}/copy", {"form": "json", "asked_by": "?"})
    record = page(office, f"/people/{who}/access")
    assert record.count("提供本人信息副本") == 3
    assert "本人申请" in record
    assert "提供本人信息副本" in page(office, f"/homes/{world.home['own']}/access")


def test_restriction_shows_and_is_lifted(office: FlaskClient, world: World) -> None:
    who = world.person["王建国"]
    press(office, f"/people/{who}/restrict", {"restricted": "yes"})
    assert "已限制处理" in page(office, f"/people/{who}/rights")
    press(office, f"/people/{who}/restrict", {"restricted": "yes"}, 409)
    press(office, f"/people/{who}/restrict", {"restricted": "no"})
    assert "解除限制" not in page(office, f"/people/{who}/rights").replace("已解除限制", "")


def test_erasure_wants_the_name_a_reason_and_the_next_head(
    city: Engine, office: FlaskClient, world: World, tmp_path: Path
) -> None:
    who, wife = world.person["王建国"], world.person["李秀兰"]
    path, whole = f"/people/{who}/erase", {"name": "王建国", "why": "asked", "new_head": wife}
    for wrong, told in (
        ({"name": "王建"}, "姓名与登记的不一致"), ({"why": ""}, "选一个删除的原因"),
        ({"new_head": ""}, "接任户主"),
    ):  # fmt: skip
        press(office, path, whole | wrong)
        assert told in page(office, f"/people/{who}/rights")
    assert count(city, "person.erase") == 0
    answer = press(office, path, whole)
    assert answer.headers["Location"] == f"/homes/{world.home['own']}"
    shown = page(office, answer.headers["Location"])
    assert "已删除。" in shown
    assert "王建国" not in shown
    assert (tmp_path / "erasures.log").read_text().startswith(f"{who} ")
    page(office, f"/people/{who}/rights", 404)


def test_a_file_goes_from_the_request_over_a_second_person_to_one_download(
    office: FlaskClient, as_account: Callable[[str], FlaskClient], world: World
) -> None:
    asked = {"area": GRID_OWN, "purpose": "drill", "column": ["phone", "care"]}
    press(office, "/exports", asked | {"purpose": ""})
    assert "请选择导出的用途" in page(office, "/exports")
    press(office, "/exports", asked)
    press(office, "/exports/1/decide", {"approve": "yes"})
    assert "另一位工作人员审批" in page(office, "/exports")
    press(as_account("second"), "/exports/1/decide", {"approve": "yes"})
    answer = press(office, "/exports/1/file", {}, 200)
    sheet = openpyxl.load_workbook(BytesIO(answer.data)).active
    assert [cell.value for cell in sheet[1]][:2] == ["住址", "姓名"]
    assert "154****0001" in str([cell.value for row in sheet.iter_rows() for cell in row])
    press(office, "/exports/1/file", {})
    assert "已下载" in page(office, "/exports")


def test_of_another_town_nothing_is_found_whatever_the_address(
    as_account: Callable[[str], FlaskClient], office: FlaskClient, world: World
) -> None:
    far, who, home = as_account("far"), world.person["王建国"], world.home["own"]
    press(office, "/exports", {"area": GRID_OWN, "purpose": "drill"})
    for path in (f"/people/{who}/rights", f"/people/{who}/access", f"/homes/{home}/access",
                 "/people/999999/rights", "/homes/999999/access"):  # fmt: skip
        page(far, path, 404)
    for path, form in (
        (f"/people/{who}/copy", {"asked_by": "self", "form": "json"}),
        (f"/people/{who}/restrict", {"restricted": "yes"}),
        (f"/people/{who}/erase", {"name": "王建国", "why": "asked"}),
        ("/exports", {"area": GRID_OWN, "purpose": "drill"}),
        ("/exports/1/decide", {"approve": "yes"}),
        ("/exports/1/file", {}),
    ):
        press(far, path, form, 404)
    press(office, "/exports", {"area": GRID_OTHER, "purpose": "drill"}, 404)
    assert "第 1 号" not in page(far, "/exports")

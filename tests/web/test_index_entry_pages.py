"""The page on which departments send in their figures: who sees whose, trial and entering, refusals."""

import html
import io
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import openpyxl
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.index.periods import months_before, write_month
from tests.db.form_tree import TREE, add_tree

from .small_city import TOWN_1, UNITS

AsRole = Callable[[Role | None], FlaskClient]
OWN, OTHER = UNITS[Role.DEPARTMENT], "公安局"
MONTH = months_before(china_today().replace(day=1), 1)
SAID = write_month(MONTH)


@pytest.fixture(autouse=True)
def tree(city: Engine) -> None:
    """The small tree; what it asks of 民政局 is asked of the department that has an account here."""
    with city.begin() as connection:
        for name in (OWN, OTHER):
            connection.execute(text("INSERT INTO department VALUES (:a) ON CONFLICT DO NOTHING"), {"a": name})
        add_tree(connection, TREE.replace("民政局", OWN), date(1900, 1, 1))


def form(client: FlaskClient, department: str = OWN, **cells: Any) -> bytes:
    """Return the downloaded form with some cells of the first sheet filled in."""
    answer = client.get("/index/entry/template.xlsx", query_string={"month": SAID, "department": department})
    assert answer.status_code == 200
    book = openpyxl.load_workbook(io.BytesIO(answer.data))
    for place, value in cells.items():
        book["镇街"][place] = value
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def sent(client: FlaskClient, data: bytes, name: str = "表.xlsx") -> TestResponse:
    parts = (("csrf_token", token(client)), ("month", SAID), (f'file"; filename="{name}', data))
    body = b"".join(
        f'--b\r\nContent-Disposition: form-data; name="{part}"\r\n\r\n'.encode()
        + (value if isinstance(value, bytes) else value.encode())
        + b"\r\n"
        for part, value in parts
    )
    return client.post("/index/entry", data=body + b"--b--", content_type="multipart/form-data; boundary=b")


def token(client: FlaskClient) -> str:
    page = client.get("/index/entry").get_data(as_text=True)
    return page.split('name="csrf_token" value="')[1].split('"')[0]


def confirm(client: FlaskClient, page: str) -> TestResponse:
    """Press 确认入库 on the page of a trial."""
    inner = page.split("/index/entry/enter")[1]
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', inner.split("</form>")[0]))
    told = {name: html.unescape(value) for name, value in fields.items()}
    return client.post("/index/entry/enter", data=told | {"csrf_token": token(client)})


def values(city: Engine) -> dict[tuple[str, str], float]:
    with city.connect() as connection:
        rows = connection.execute(text("SELECT indicator, unit, value FROM indicator_value"))
        return {(row.indicator, row.unit): row.value for row in rows}


@pytest.mark.parametrize(
    "role", [Role.TOWN_OFFICER, Role.GRID_WORKER, Role.PLANNER, Role.AUDITOR, Role.ADMIN]
)
def test_only_the_centre_and_departments_get_in(as_role: AsRole, role: Role):
    client = as_role(role)
    assert client.get("/index/entry").status_code == 403
    assert client.get("/index/entry/template.xlsx").status_code == 403
    assert client.post("/index/entry", data={"month": SAID}).status_code == 403
    assert client.post("/index/entry/enter", data={"month": SAID}).status_code == 403


def test_the_centre_sees_all_departments_a_department_its_own(as_role: AsRole):
    whole = as_role(Role.COMMAND).get("/index/entry").get_data(as_text=True)
    assert OWN in whole
    assert OTHER in whole
    assert "0 / 7" in whole
    own = as_role(Role.DEPARTMENT).get(f"/index/entry?department={OTHER}").get_data(as_text=True)
    assert OTHER not in own
    assert "救助按期率" in own


def test_a_department_does_not_get_anothers_form(as_role: AsRole):
    asked = {"month": SAID, "department": OTHER}
    assert as_role(Role.DEPARTMENT).get("/index/entry/template.xlsx", query_string=asked).status_code == 403
    assert as_role(Role.COMMAND).get("/index/entry/template.xlsx", query_string=asked).status_code == 200
    nobody = {"month": SAID, "department": "没有的局"}
    assert as_role(Role.COMMAND).get("/index/entry/template.xlsx", query_string=nobody).status_code == 404


def test_a_trial_enters_nothing_and_its_confirmation_does(as_role: AsRole, city: Engine):
    client = as_role(Role.DEPARTMENT)
    tried = sent(client, form(client, C9=95.5, D9=12))
    page = tried.get_data(as_text=True)
    assert tried.status_code == 200
    assert "试算通过" in page
    assert "<dt>新填</dt><dd>2</dd>" in page
    assert values(city) == {}
    done = confirm(client, page)
    assert done.status_code == 303
    assert values(city) == {("1.1.2", TOWN_1): 95.5, ("1.1.3", TOWN_1): 12.0}
    after = client.get(done.headers["Location"]).get_data(as_text=True)
    assert "新填 2 个" in after
    assert "2 / 7" in after
    assert "表.xlsx" in after
    again = sent(client, form(client)).get_data(as_text=True)
    assert "完全相同" in again
    assert "确认入库" not in again
    changed = sent(client, form(client, C9=90)).get_data(as_text=True)
    assert '<td class="number">95.5</td><td class="number">90</td>' in changed


def test_all_faults_are_shown_by_cell_and_nothing_can_be_confirmed(as_role: AsRole, city: Engine):
    client = as_role(Role.DEPARTMENT)
    tried = sent(client, form(client, C9=101, D9="<script>alert(1)</script>", D10="#REF!"))
    page = tried.get_data(as_text=True)
    assert tried.status_code == 400
    assert "有 3 处要改，一个数都没有入库" in page
    for words in ("镇街!C9", "超出允许范围", "0 至 100 %", "镇街!D9", "不是数字", "镇街!D10", "公式出错"):
        assert words in page
    assert "<script>alert" not in page
    assert "确认入库" not in page
    assert values(city) == {}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("表.xlsm", b"PK", "请传 XLSX 或 CSV 文件"),
        ("表.exe", b"MZ", "请传 XLSX 或 CSV 文件"),
        ("表.xlsx", b"x" * ((2 << 20) + 1), "至多 2 MB"),
        ("表.csv", b"a,b\n1,2\n", "指标,单位,月份,值"),
        ("表.csv", b"", "指标,单位,月份,值"),
        ("", b"", "没有选择文件"),
    ],
)
def test_other_files_are_turned_away_in_words(as_role: AsRole, name: str, data: bytes, words: str):
    answer = sent(as_role(Role.DEPARTMENT), data, name)
    assert answer.status_code == 400
    assert words in answer.get_data(as_text=True)


def test_what_is_far_too_large_is_cut_off(as_role: AsRole):
    assert sent(as_role(Role.DEPARTMENT), b"x" * (4 << 20)).status_code == 413


def test_a_confirmation_is_checked_again(as_role: AsRole, city: Engine):
    client = as_role(Role.DEPARTMENT)
    page = sent(client, form(client, C9=5)).get_data(as_text=True)
    other = sent(as_role(Role.COMMAND), form(as_role(Role.COMMAND), OTHER, C9=5)).get_data(as_text=True)
    assert confirm(client, other).status_code == 400  # another department's form
    with city.begin() as connection:
        connection.execute(
            text("INSERT INTO index_month SELECT :month, max(id), now(), 't', now() FROM index_tree"),
            {"month": MONTH},
        )
    assert confirm(client, page).status_code == 400
    assert "已发布" in client.get(f"/index/entry?month={SAID}").get_data(as_text=True)
    bent = {"month": SAID, "name": "a.csv", "data": "?", "csrf_token": token(client)}
    assert client.post("/index/entry/enter", data=bent).status_code == 400
    assert values(city) == {}


def test_the_centre_enters_for_any_department(as_role: AsRole, city: Engine):
    client = as_role(Role.COMMAND)
    table = f"指标,单位,月份,值\n停车秩序达标率,{TOWN_1},{SAID},88\n1.1.2,{TOWN_1},{SAID},77\n"
    page = sent(client, table.encode(), "历史.csv").get_data(as_text=True)
    assert confirm(client, page).status_code == 303
    assert values(city) == {("1.1.4", TOWN_1): 88.0, ("1.1.2", TOWN_1): 77.0}


@pytest.mark.parametrize("month", ["x", "2026-13", "1800-01", "2026-1"])
def test_a_month_that_is_none_is_refused(as_role: AsRole, month: str):
    assert as_role(Role.COMMAND).get(f"/index/entry?month={month}").status_code == 400


def test_without_a_tree_the_page_says_what_to_do(as_role: AsRole, city: Engine):
    with city.begin() as connection:
        connection.execute(text("DELETE FROM index_tree"))
    assert "还没有指标体系" in as_role(Role.COMMAND).get("/index/entry").get_data(as_text=True)

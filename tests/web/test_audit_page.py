"""The auditor's log as a page: what it shows and finds, and that reading it leaves nothing."""

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.db.engine import ROSTER, acting, make_engine
from gridmgmt.db.models import Role
from gridmgmt.privacy import audit

from . import small_city

AsRole = Callable[[Role | None], FlaskClient]
HOSTILE_USER = "<script>alert(1)</script>"


@pytest.fixture
def logged(city: Engine) -> Engine:
    """105 lines: a chief looks at homes, an office reveals a telephone, one name is a script."""
    roster = make_engine(city.url.render_as_string(hide_password=False), role=ROSTER)
    with acting(roster, "chief", small_city.MINE) as connection:
        for n in range(1, 104):
            audit.record(connection, "household.view", area=small_city.MINE, households=[n])
    with acting(roster, "office", small_city.TOWN_1) as connection:
        audit.record(
            connection, "person.reveal", area=small_city.TOWN_1, households=[7], person_id=70,
            purpose="care", detail={"field": "phone"},
        )  # fmt: skip
    with acting(roster, HOSTILE_USER, small_city.MINE) as connection:
        audit.record(connection, "roster.grid", households=range(1, 9), detail={"n": HOSTILE_USER})
    roster.dispose()
    return city


@pytest.fixture
def auditor(logged: Engine, as_role: AsRole) -> FlaskClient:
    return as_role(Role.AUDITOR)


def rows(client: FlaskClient, address: str) -> list[str]:
    """Return the rows of the table, without marks of HTML."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    body = answer.get_data(as_text=True).partition("<tbody>")[2].partition("</tbody>")[0]
    return [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in body.split("<tr>")[1:]]


def test_the_newest_lines_stand_first_with_who_what_where_whom_and_what_for(auditor: FlaskClient) -> None:
    found = rows(auditor, "/audit/log")
    assert len(found) == 100
    assert re.fullmatch(
        r"104 \d{4}-\d\d-\d\d \d\d:\d\d office 查看隐去的内容 城关街道 990101001 7 70 关爱走访 项目 电话",
        found[1],
    )
    assert "8 户 1 2 3 4 5 6 7 8" in found[0]


def test_a_name_that_is_a_script_is_only_a_name(auditor: FlaskClient) -> None:
    page = auditor.get("/audit/log").get_data(as_text=True)
    assert HOSTILE_USER not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_second_page_goes_on_where_the_first_ended_and_keeps_the_filter(auditor: FlaskClient) -> None:
    page = auditor.get("/audit/log?who=chief").get_data(as_text=True)
    (further,) = re.findall(r'href="(/audit/log\?below=[^"]*)"', page)
    numbers = [int(row.split()[0]) for row in rows(auditor, further.replace("&amp;", "&"))]
    assert numbers == [3, 2, 1]


FOUND = {
    "household=7": [105, 104, 7],
    "person=70": [104],
    "who=office": [104],
    "what=person.reveal": [104],
    "who=office&what=household.view": [],
    "household=2147483647": [],
    "last=2020-01-01": [],
    "first=2020-01-01&person=70": [104],
    "below=3": [2, 1],
}


def test_lines_are_found_by_what_is_asked(auditor: FlaskClient) -> None:
    for query, numbers in FOUND.items():
        assert [int(row.split()[0]) for row in rows(auditor, f"/audit/log?{query}")] == numbers, query


def test_a_household_has_its_own_story(auditor: FlaskClient) -> None:
    assert "住户 7：谁在何时看过或改过" in auditor.get("/audit/log?household=7").get_data(as_text=True)


def test_what_is_no_number_or_day_is_refused(auditor: FlaskClient) -> None:
    for query in ("household=x", "person=-1", "person=99999999999", "below=%F0%9F%98%80", "first=gestern"):
        assert auditor.get(f"/audit/log?{query}").status_code == 400, query


def test_a_whole_log_is_said_to_be_whole_and_a_broken_one_where_it_is_broken(
    auditor: FlaskClient, logged: Engine
) -> None:
    whole = auditor.get("/audit/verify").get_data(as_text=True)
    assert "日志完整" in whole
    assert "105 条记录" in whole
    with logged.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("DELETE FROM audit_log WHERE id = 40"))
        connection.execute(text("UPDATE audit_log SET who = 'nobody' WHERE id = 50"))
    broken = auditor.get("/audit/verify").get_data(as_text=True)
    assert "日志不完整：2 处不符" in broken
    assert "第 41 条：之前缺了记录" in broken
    assert "第 50 条：内容被改动" in broken


def test_reading_the_log_leaves_no_line_in_it(auditor: FlaskClient, logged: Engine) -> None:
    for address in ("/audit/log", "/audit/log?household=7", "/audit/verify", "/audit"):
        assert auditor.get(address).status_code == 200
    with logged.connect() as connection:
        assert audit.verify(connection).lines == 105


def test_an_empty_log_says_what_will_stand_there(as_role: AsRole) -> None:
    page = as_role(Role.AUDITOR).get("/audit/log").get_data(as_text=True)
    assert "没有这样的记录" in page
    assert "日志完整" in as_role(Role.AUDITOR).get("/audit/verify").get_data(as_text=True)


def test_nobody_else_reads_it(as_role: AsRole) -> None:
    for role in set(Role) - {Role.AUDITOR}:
        for address in ("/audit/log", "/audit/verify"):
            assert as_role(role).get(address).status_code == 403, role

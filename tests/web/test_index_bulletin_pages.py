"""The pages of bulletins: the centre takes one from draft to issue, others read what was issued."""

import html
import io
from collections.abc import Callable
from datetime import date
from pathlib import Path

import docx
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.db.models import Role
from tests.db import bulletin_world as small
from tests.db import matter_world

AsRole = Callable[[Role | None], FlaskClient]
OTHERS = (Role.TOWN_OFFICER, Role.DEPARTMENT)
STRANGERS = (Role.GRID_WORKER, Role.PLANNER, Role.AUDITOR, Role.ADMIN)
PLACE = "/index/bulletins"


@pytest.fixture(autouse=True)
def index(city: Engine, tmp_path: Path) -> None:
    matter_world.build(city, tmp_path).matters.dispose()
    small.draw_towns(city)
    small.build(city)


def seen(client: FlaskClient, place: str) -> str:
    answer = client.get(place)
    assert answer.status_code == 200, place
    return html.unescape(answer.get_data(as_text=True))


def post(client: FlaskClient, place: str, from_page: str, status: int = 303, **form: str) -> str:
    """Press a button of a page with what stands in its hidden fields; returns the page after it."""
    page = client.get(from_page).get_data(as_text=True)
    hidden = {
        name: page.split(f'name="{name}" value="')[1].split('"')[0]
        for name in ("csrf_token", "seen")
        if f'name="{name}" value="' in page
    }
    answer = client.post(place, data=hidden | form)
    assert answer.status_code == status, answer.get_data(as_text=True)
    after = client.get(answer.location) if status == 303 else answer
    return html.unescape(after.get_data(as_text=True))


def drafted(client: FlaskClient) -> str:
    """Make the draft of December and return its address."""
    post(client, PLACE, PLACE, period="month:2025-12")
    return f"{PLACE}/1"


def test_the_centre_takes_a_bulletin_from_draft_to_issue_and_others_read_it(as_role: AsRole):
    centre = as_role(Role.COMMAND)
    place = drafted(centre)
    assert "降幅最大的镇街是河西镇" in seen(centre, place)
    page = post(centre, f"{place}/remarks", place, remarks="请抓好整改。")
    assert "七、工作要求" in page
    assert "更新草稿" in page
    page = post(centre, f"{place}/approve", place)
    assert "已审核" in page
    assert "保存工作要求" not in page
    for role in OTHERS:
        assert "还没有通报" in seen(as_role(role), PLACE)
        for hidden in ("", "/map.png", "/file.docx"):
            assert as_role(role).get(f"{place}{hidden}").status_code == 404
    page = post(centre, f"{place}/issue", place)
    assert "样例网格通报〔" in page
    for role in (Role.COMMAND, *OTHERS):
        page = seen(as_role(role), place)
        assert "请抓好整改。" in page
        assert "签发</button>" not in page
        assert as_role(role).get(f"{place}/map.png").mimetype == "image/png"
        assert as_role(role).get(f"{place}/file.pdf").data.startswith(b"%PDF")


def test_a_draft_is_handed_out_marked(as_role: AsRole):
    centre = as_role(Role.COMMAND)
    place = drafted(centre)
    answer = centre.get(f"{place}/file.docx")
    head = docx.Document(io.BytesIO(answer.data)).sections[0].header.paragraphs[0].text
    assert "草稿" in head
    assert answer.headers["Cache-Control"] == "no-store"
    assert centre.get(f"{place}/file.txt").status_code == 404


def test_what_changed_since_it_was_looked_at_is_not_approved_or_issued(as_role: AsRole, city: Engine):
    centre = as_role(Role.COMMAND)
    place = drafted(centre)
    answer = post(centre, f"{place}/approve", place, 409, seen="0")
    assert "数据有变化" in answer
    post(centre, f"{place}/approve", place)
    with city.begin() as connection:
        connection.execute(text("UPDATE indicator_value SET value = 1 WHERE value = 72"))
    assert "数据有变化" in post(centre, f"{place}/issue", place, 409)
    post(centre, f"{place}/back", place)
    # 0.6 × (84 + 1) / 2 + 0.4 × 92
    assert "62.30" in post(centre, f"{place}/renew", place)


def test_missing_months_are_named(as_role: AsRole, city: Engine):
    small.add_month(city, date(2025, 6, 1), 0)
    centre = as_role(Role.COMMAND)
    post(centre, PLACE, PLACE, period="quarter:2025-06")
    place = f"{PLACE}/1"
    assert "缺 2025-04、2025-05 的数据" in seen(centre, place)
    post(centre, f"{place}/approve", place)
    assert "2025年4月、2025年5月没有计算" in post(centre, f"{place}/issue", place, 409)


def test_only_the_centre_acts_and_strangers_see_nothing(as_role: AsRole):
    place = drafted(as_role(Role.COMMAND))
    for role in OTHERS:
        for act in ("renew", "remarks", "approve", "back", "issue"):
            page = as_role(role).get(PLACE).get_data(as_text=True)
            token = page.split('name="csrf_token" value="')[1].split('"')[0]
            assert as_role(role).post(f"{place}/{act}", data={"csrf_token": token}).status_code == 403
    for role in STRANGERS:
        for shown in (PLACE, place, f"{place}/map.png", f"{place}/file.pdf"):
            assert as_role(role).get(shown).status_code == 403


def test_a_period_that_is_none_or_was_not_built_is_refused_in_words(as_role: AsRole):
    centre = as_role(Role.COMMAND)
    assert "请选一个期间" in post(centre, PLACE, PLACE, 400, period="week:2025-12")
    assert "还没有计算" in post(centre, PLACE, PLACE, 404, period="month:2020-12")
    assert centre.get(f"{PLACE}/9").status_code == 404

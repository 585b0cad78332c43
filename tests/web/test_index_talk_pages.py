"""Pages of talks: the centre finds, calls and lifts; a unit sees its own once called, and answers."""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.index.periods import Period
from gridmgmt.index.talks import service
from tests.db import talk_world
from tests.db.talk_world import BUREAU, CENTRE, OCTOBER, rule

from .small_city import HOSTILE_NAME, TOWN_1, TOWN_2

AsRole = Callable[[Role | None], FlaskClient]
ANSWER = "原因：人手不足，夜间没有值班。措施：每晚两人值班，月底前办完积压。"
CENTRES_OWN = ("查找应约谈的", "待决定", "不予采用")


@pytest.fixture
def writer(city: Engine) -> Iterator[Engine]:
    """Four months of the two towns of the small city and two departments, of which three are far below."""
    writer = talk_world.build(city, rule("below = 60"), rule("below = 60", span="quarter"))
    for month in range(7, 11):
        scores = {TOWN_1: 50.0 - month, TOWN_2: 55.5, BUREAU: 40.0, talk_world.OTHER_BUREAU: 90.0}
        talk_world.put(city, date(2026, month, 1), scores)
    yield writer
    writer.dispose()


@pytest.fixture
def talks(writer: Engine, city: Engine) -> dict[str, int]:
    """The number of the talk that is proposed to each unit after October."""
    service.propose(writer, CENTRE, Period(OCTOBER))
    with city.connect() as connection:
        rows = connection.execute(text("SELECT unit, id FROM index_talk")).all()
    return {row.unit: row.id for row in rows}


def page(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.get_data(as_text=True)


def post(client: FlaskClient, path: str, **form: object):
    token = re.search(r'name="csrf_token" value="([^"]+)"', page(client, "/account"))
    assert token
    return client.post(path, data={"csrf_token": token[1], **form})


def version(client: FlaskClient, number: int) -> int:
    found = re.search(r'name="version" value="(\d+)"', page(client, f"/index/talks/{number}"))
    assert found
    return int(found[1])


def test_the_centre_finds_calls_and_strikes_off_what_a_town_answers(as_role: AsRole, writer, city):
    centre, town = as_role(Role.COMMAND), as_role(Role.TOWN_OFFICER)
    assert "没有待决定的" in page(centre, "/index/talks")
    assert post(centre, "/index/talks/find", period="month:2026-10").status_code == 303
    body = page(centre, "/index/talks?state=to_decide")
    assert "2026年10月：新提出 3 件" in body
    assert body.count('class="talk-list"') == 1
    [number] = re.findall(r"/index/talks/(\d+)\">城关街道<", body)
    shown = page(centre, f"/index/talks/{number}")
    assert all(words in shown for words in ("40.00", "第 2 位", "失分最多"))
    due = china_today() + timedelta(20)
    answer = post(centre, f"/index/talks/{number}/call", version=0, due_on=due, note="请说明夜间值守")
    assert answer.status_code == 303

    assert "请说明夜间值守" in page(town, f"/index/talks/{number}")
    refused = post(town, f"/index/talks/{number}/answer", version=1, note="知道了")
    assert refused.status_code == 400
    assert "请写 20 到 2000 字" in refused.get_data(as_text=True)
    assert "知道了" in refused.get_data(as_text=True)
    assert post(town, f"/index/talks/{number}/answer", version=1, note=ANSWER).status_code == 303
    assert "等指挥中心核实后销号" in page(town, f"/index/talks/{number}")

    assert ANSWER in page(centre, f"/index/talks/{number}")
    assert post(centre, f"/index/talks/{number}/give-back", version=2, note="缺时限").status_code == 303
    assert "重新回复" in page(town, f"/index/talks/{number}")
    assert post(town, f"/index/talks/{number}/answer", version=3, note=f"{ANSWER}改").status_code == 303
    assert post(centre, f"/index/talks/{number}/follow-up", version=4, note="已到现场看过").status_code == 303
    later = due + timedelta(10)
    extended = post(centre, f"/index/talks/{number}/extend", version=5, due_on=later, note="等设备到货")
    assert extended.status_code == 303
    assert post(centre, f"/index/talks/{number}/lift", version=6, note="值守到位").status_code == 303
    ended = page(town, "/index/talks?state=ended")
    assert "城关街道" in ended
    assert "已销号" in ended
    assert not set(CENTRES_OWN) & set(re.findall(r"[一-龥]+", ended))


def test_a_unit_finds_its_own_once_called_and_nothing_of_others(as_role, writer, talks):
    town, department = as_role(Role.TOWN_OFFICER), as_role(Role.DEPARTMENT)
    for number in talks.values():
        assert as_role(Role.COMMAND).get(f"/index/talks/{number}").status_code == 200
        assert town.get(f"/index/talks/{number}").status_code == 404
        assert department.get(f"/index/talks/{number}").status_code == 404
    for number in talks.values():
        service.call(writer, CENTRE, number, 0, china_today())
    for unit, number in talks.items():
        assert town.get(f"/index/talks/{number}").status_code == (200 if unit == TOWN_1 else 404)
        assert department.get(f"/index/talks/{number}").status_code == (200 if unit == BUREAU else 404)
        if unit != TOWN_1:
            assert post(town, f"/index/talks/{number}/answer", version=1, note=ANSWER).status_code == 404
    listed = page(town, "/index/talks")
    assert "城关街道" in listed
    assert "河西镇" not in listed
    assert BUREAU not in listed
    assert post(town, f"/index/talks/{talks[TOWN_1]}/lift", version=1, note="好了").status_code == 403
    assert town.get("/index/talks/9999999999999").status_code == 404


def test_who_comes_second_keeps_what_was_written(as_role, writer, talks):
    centre, number = as_role(Role.COMMAND), talks[TOWN_2]
    service.drop(writer, talk_world.SECOND_CENTRE, number, 0, "不采用")
    late = post(centre, f"/index/talks/{number}/call", version=0, due_on=china_today(), note="请说明")
    assert late.status_code == 409
    body = late.get_data(as_text=True)
    assert "别人刚刚改过" in body
    assert "不予采用" in body


def test_lists_are_narrowed_by_the_address_and_survive_nonsense(as_role, writer, talks):
    centre = as_role(Role.COMMAND)
    service.propose(writer, CENTRE, Period(date(2026, 9, 1)))
    narrowed = page(centre, f"/index/talks?unit={TOWN_1}&period=month:2026-10")
    rows = re.search(r"<tbody>(.*?)</tbody>", narrowed, re.DOTALL)
    assert rows
    assert rows[1].count("<tr>") == 1
    assert "没有这样的约谈" in page(centre, "/index/talks?kind=supervision&state=ended")
    for query in (
        "period=quarter:2026-10",
        "period=x",
        "state=x&page=-4",
        "kind=%00&unit=%F0%9F%98%80",
        "page=99",
    ):
        assert centre.get(f"/index/talks?{query}").status_code == 200
    for period in ("", "quarter:2026-12", "month:2026-13", "week:2026-10"):
        assert post(centre, "/index/talks/find", period=period).status_code == 400


def test_a_unit_is_led_to_its_figures_only_in_months_that_were_issued(as_role, writer, city, talks):
    number = talks[TOWN_1]
    service.call(writer, CENTRE, number, 0, china_today())
    link = f"/index/units/{TOWN_1}?month=2026-10"
    assert link in page(as_role(Role.COMMAND), f"/index/talks/{number}")
    assert link not in page(as_role(Role.TOWN_OFFICER), f"/index/talks/{number}")
    with city.begin() as connection:
        connection.execute(text("UPDATE index_month SET issued_at = now() WHERE month = '2026-10-01'"))
    assert link in page(as_role(Role.TOWN_OFFICER), f"/index/talks/{number}")


def test_what_is_written_is_text(as_role, writer, talks):
    number = talks[TOWN_1]
    service.call(writer, CENTRE, number, 0, china_today(), HOSTILE_NAME)
    service.answer(
        writer, talk_world.Actor("town_officer", Role.TOWN_OFFICER, TOWN_1), number, 1, ANSWER + HOSTILE_NAME
    )
    body = page(as_role(Role.COMMAND), f"/index/talks/{number}")
    assert "<script>alert" not in body
    assert "{{ 7 * 7 }}" in body
    assert "style=" not in body

"""Pages of mediation, meetings and papers: who sees what, what is asked for a purpose, what is handed out."""

import io
import re
from collections.abc import Callable
from datetime import datetime, timedelta

import docx
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.calendar import CHINA
from gridmgmt.db.models import Role
from gridmgmt.incidents.handling import hands
from gridmgmt.incidents.mediation import mediators, panels
from gridmgmt.incidents.mediation.mediators import MediatorTold
from gridmgmt.incidents.parties.models import PartyPart
from gridmgmt.incidents.parties.told import PartyTold
from tests.db import matter_world
from tests.db.matter_world import FEE, OFFICE, URBAN, VILLAGE_OWN, World

AsRole = Callable[[Role | None], FlaskClient]
SAID = "王小明说：李大力多收了钱"
PARTIES = (
    PartyTold(PartyPart.COMPLAINANT, "王小明", "13812345678"),
    PartyTold(PartyPart.RESPONDENT, "李大力", ""),
)


@pytest.fixture
def world(app: Flask, city: Engine) -> World:
    """The world of matters in the small city, under the application's own key ring."""
    found = matter_world.build(city, app.config["SETTINGS"].home)
    panels.install(city)
    yield found
    found.matters.dispose()


@pytest.fixture
def case(world: World) -> int:
    return world.take_in(category=FEE, words="物业乱收费", parties=PARTIES).case_id


@pytest.fixture
def mediator(world: World) -> int:
    return mediators.add(world.matters, OFFICE, MediatorTold("赵物", VILLAGE_OWN, "property"))


def page(client: FlaskClient, path: str, **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, path
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.get_data(as_text=True)


def post(client: FlaskClient, path: str, **form: object):
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/mediators").get_data(as_text=True))
    assert token
    headers = form.pop("headers", None)
    return client.post(path, data={"csrf_token": token[1], **form}, headers=headers)


def ago(hours: int) -> str:
    return f"{datetime.now(CHINA) - timedelta(hours=hours):%Y-%m-%dT%H:%M}"


def audited(world: World, what: str) -> int:
    with world.owner.connect() as connection:
        query = text("SELECT count(*) FROM audit_log WHERE what = :what")
        return int(connection.execute(query, {"what": what}).scalar_one())


def mediation_of(world: World, case: int) -> tuple[int, int]:
    query = "SELECT id, version FROM mediation WHERE case_id = :case ORDER BY id DESC LIMIT 1"
    with world.owner.connect() as connection:
        return tuple(connection.execute(text(query), {"case": case}).one())


def opened(client: FlaskClient, world: World, case: int, mediator: int) -> int:
    answer = post(
        client, f"/mediation/of/{case}/open",
        kind="property", panel="property", level="village", mediator=mediator, version=world.version(case),
    )  # fmt: skip
    assert answer.status_code == 303
    number, _ = mediation_of(world, case)
    answer = post(
        client, f"/mediation/{number}/session", held_at=ago(1), place="村委会", minutes=SAID, version=0
    )
    assert answer.status_code == 303
    return number


def test_an_office_mediates_from_the_page_of_a_matter(as_role: AsRole, world, case, mediator):
    office = as_role(Role.TOWN_OFFICER)
    assert "赵物" in page(office, f"/mediation/of/{case}")
    number = opened(office, world, case, mediator)
    body = page(office, f"/mediation/of/{case}", **{"HX-Request": "true"})
    assert "<html" not in body
    assert "调解中" in body
    assert "笔录已加密" in body
    assert SAID not in body
    assert "物业纠纷人民调解委员会" in page(office, "/mediation")

    day = f"{datetime.now(CHINA):%Y-%m-%d}"
    answer = post(
        office, f"/mediation/{number}/agree", terms="退三百元", performance="", follow_up_on=day, version=1
    )
    assert answer.status_code == 303
    assert "今天回访" in page(office, "/mediation?show=due")
    post(office, f"/mediation/{number}/follow-up", kept="no", version=2)
    assert "协议未履行" in page(office, f"/mediation/of/{case}")


def test_minutes_are_read_for_a_purpose_with_one_line_and_by_nobody_else(as_role, world, case, mediator):
    office = as_role(Role.TOWN_OFFICER)
    number = opened(office, world, case, mediator)
    refused = post(office, f"/mediation/{number}/read", purpose="")
    assert refused.status_code == 400
    assert audited(world, "mediation.read") == 0
    read = post(office, f"/mediation/{number}/read", purpose="follow_up")
    assert SAID in read.get_data(as_text=True)
    assert read.headers["Cache-Control"] == "no-store"
    assert audited(world, "mediation.read") == 1

    centre = post(as_role(Role.COMMAND), f"/mediation/{number}/read", purpose="handle")
    assert centre.status_code == 403
    with world.owner.begin() as connection:
        connection.execute(text("UPDATE account SET unit = :unit WHERE role = 'department'"), {"unit": URBAN})
    hands.hand(world.matters, OFFICE, case, None, [URBAN])
    for role in (Role.GRID_WORKER, Role.DEPARTMENT):
        body = page(as_role(role), f"/mediation/of/{case}")
        assert "调解中" in body
        for words in ("赵物", "村委会", "笔录", "med-form"):
            assert words not in body, (role, words)
    assert audited(world, "mediation.read") == 1


def test_what_was_typed_comes_back_with_the_reason(as_role, world, case, mediator):
    office = as_role(Role.TOWN_OFFICER)
    number = opened(office, world, case, mediator)
    late = post(
        office, f"/mediation/{number}/session", held_at=ago(1), place="村委会", minutes="第二次", version=0
    )
    body = late.get_data(as_text=True)
    assert late.status_code == 409
    assert "第二次" in body
    assert "别人刚刚改过" in body
    tomorrow = post(
        office, f"/mediation/{number}/session",
        held_at=ago(-24), place="村委会", minutes="以后的事", version=1, headers={"HX-Request": "true"},
    )  # fmt: skip
    assert tomorrow.status_code == 200  # htmx puts in place what is no error
    assert "以后的事" in tomorrow.get_data(as_text=True)


def test_a_deliberation_of_too_few_says_so(as_role, world, case):
    office = as_role(Role.TOWN_OFFICER)
    answer = post(
        office, f"/mediation/of/{case}/deliberations",
        kind="on_site", question="退不退", place="广场", held_at=ago(2), invited=30,
        version=world.version(case),
    )  # fmt: skip
    assert answer.status_code == 303
    with world.owner.connect() as connection:
        number = connection.execute(text("SELECT max(id) FROM deliberation")).scalar_one()
    wrong = post(office, f"/deliberations/{number}/hold", present=19, **{"for": 1}, against=0, abstained=0)
    assert "加起来应等于实到人数" in wrong.get_data(as_text=True)
    post(
        office,
        f"/deliberations/{number}/hold",
        present=19,
        **{"for": 19},
        against=0,
        abstained=0,
        advice="退",
    )
    body = page(office, f"/mediation/of/{case}")
    assert "未达法定人数" in body
    assert "至少 20 人" in body
    assert "供办理参考）：</b>" not in body


def test_the_talent_pool_shows_load_and_takes_its_own_area_alone(as_role, world, case, mediator):
    office = as_role(Role.TOWN_OFFICER)
    opened(office, world, case, mediator)
    assert re.search(r"赵物.*?手头\">1</td>", page(office, "/mediators?q=赵"), re.DOTALL)
    assert (
        post(office, "/mediators", name="钱二", area=VILLAGE_OWN, specialities="赡养、邻里").status_code
        == 303
    )
    assert "赡养、邻里" in page(office, "/mediators")
    again = post(office, "/mediators", name="钱二", area=VILLAGE_OWN)
    assert again.status_code == 409
    assert "同名" in again.get_data(as_text=True)
    assert post(office, "/mediators", name="孙三", area=matter_world.VILLAGE_OTHER).status_code == 400
    post(office, f"/mediators/{mediator}", panel="property", active="no")
    assert "已停用" in page(office, "/mediators?q=赵")


def test_a_meeting_is_planned_held_and_reported_on_paper(as_role, world, case):
    office = as_role(Role.TOWN_OFFICER)
    with world.owner.connect() as connection:
        number = connection.execute(text("SELECT number FROM incident_case")).scalar_one()
    form = {
        "title": "第一次沟通会",
        "place": "广场",
        "held_at": ago(3),
        "others": number,
        "area": OFFICE.area,
    }
    answer = post(office, "/meetings", **form)
    assert answer.status_code == 303, answer.get_data(as_text=True)
    where = answer.headers["Location"]
    assert "会议情况" in page(office, where)
    notice = post(office, f"/papers/meeting_notice/meeting/{where.split('/')[-1]}", form="docx")
    assert "第一次沟通会" in docx.Document(io.BytesIO(notice.data)).paragraphs[0].text
    assert post(office, f"{where}/hold", attended=40, report="都说了").status_code == 303
    body = page(office, where)
    assert "都说了" in body
    assert "0001号" in body
    assert "第一次沟通会" in page(as_role(Role.COMMAND), "/meetings")


def test_papers_are_drafted_issued_and_fetched_again_by_the_office(as_role, world, case):
    office = as_role(Role.TOWN_OFFICER)
    body = page(office, f"/papers/of/{case}")
    assert "还缺：会议记录或调解记录、办理材料（附件）、回访记录" in body
    draft = office.get(f"/papers/opinion_slip/of/{case}/draft.pdf")
    assert (draft.mimetype, draft.data[:5]) == ("application/pdf", b"%PDF-")
    assert audited(world, "paper.make") == 0
    refused = post(office, f"/papers/certificate/of/{case}", form="docx")
    assert refused.status_code == 409
    assert "还不能出具" in refused.get_data(as_text=True)
    issued = post(office, f"/papers/opinion_slip/of/{case}", form="docx")
    assert issued.headers["Cache-Control"] == "no-store"
    assert "王小明" in "".join(cell.text for row in docx.Document(io.BytesIO(issued.data)).tables[0].rows
                              for cell in row.cells)  # fmt: skip
    with world.owner.connect() as connection:
        paper = connection.execute(text("SELECT id FROM matter_paper")).scalar_one()
    assert post(office, f"/papers/{paper}/file", form="pdf").data[:5] == b"%PDF-"
    assert audited(world, "paper.make") == 2
    assert as_role(Role.COMMAND).get(f"/papers/opinion_slip/of/{case}/draft.docx").status_code == 403
    assert page(as_role(Role.GRID_WORKER), f"/papers/of/{case}") == ""
    assert office.get(f"/papers/opinion_slip/of/{case}/draft.exe").status_code == 404


def test_the_administrator_sees_which_templates_are_used_and_which_are_broken(as_role, app, world, case):
    own = app.config["SETTINGS"].home / "papers"
    own.mkdir()
    (own / "opinion_slip.html").write_text("<h1>单</h1>\n<p>{{ nobody }}</p>", encoding="utf-8")
    body = page(as_role(Role.ADMIN), "/admin/papers")
    assert "第 2 行" in body
    assert body.count("本市的") == 1
    packaged = as_role(Role.ADMIN).get("/admin/papers/opinion_slip.html")
    assert "民意报告单" in packaged.get_data(as_text=True)
    answer = post(as_role(Role.TOWN_OFFICER), f"/papers/opinion_slip/of/{case}", form="pdf")
    assert answer.status_code == 503
    assert "第 2 行" in answer.get_data(as_text=True)
    assert audited(world, "paper.make") == 0

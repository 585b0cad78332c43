"""The office's desk: a list that a link reproduces, a page that offers what may be done, and two at once."""

import io
import re

import openpyxl
from sqlalchemy import text

from gridmgmt.calendar import china_today
from gridmgmt.incidents.actor import Actor
from gridmgmt.incidents.handling import hands, service
from gridmgmt.incidents.parties.models import PartyPart
from gridmgmt.incidents.parties.told import PartyTold
from tests.db import matter_world
from tests.db.matter_world import (
    CENTRE,
    DEPARTMENT,
    FEE,
    GRID_OTHER,
    GRID_SECOND,
    NOISE,
    OFFICE,
    OTHER_OFFICE,
    SECOND_OFFICE,
    URBAN,
    WATER,
    WORKER,
    World,
)

from .matter_desk import LONG_AGO, As, app, as_, forward, hand_of, page, post, world

__all__ = ["app", "as_", "world"]

HOSTILE = "<script>alert(1)</script>{{ 7 * 7 }}"


def stage_of(world: World, case_id: int) -> str:
    with world.owner.connect() as connection:
        query = text("SELECT stage FROM incident_case WHERE id = :id")
        return str(connection.execute(query, {"id": case_id}).scalar_one())


def test_the_inbox_shows_the_own_area_overdue_first_and_filters_by_its_address(world: World, as_: As) -> None:
    late = world.take_in(title="夜里施工", now=LONG_AGO)
    fresh = world.take_in(title="水泵坏了", category=WATER, channel="wechat")
    world.take_in(title="物业乱收费", category=FEE, grid=GRID_SECOND)
    world.take_in(OTHER_OFFICE, title="外镇的事", grid=GRID_OTHER)
    found = page(as_(OFFICE), "/matters")
    assert found.index("夜里施工") < found.index("水泵坏了")
    assert "外镇的事" not in found
    assert "超期" in found
    assert [
        title
        for title in ("夜里施工", "水泵坏了", "物业乱收费")
        if title in page(as_(OFFICE), "/matters?category=12&channel=wechat")
    ] == ["水泵坏了"]
    for query, title in (
        ("light=red", "夜里施工"), (f"q={late.number}", "夜里施工"), ("q=水泵", "水泵坏了"),
        ("area=990101001002", "物业乱收费"),
    ):  # fmt: skip
        rows = re.findall(r'<tr class="" data-row>.*?</tr>', page(as_(OFFICE), f"/matters?{query}"), re.S)
        assert [title in row for row in rows] == [True], query
    assert "外镇的事" not in page(as_(OFFICE), f"/matters/all?area={matter_world.TOWN_OTHER}")
    assert "外镇的事" in page(as_(CENTRE), "/matters")
    assert "打开办理" in page(as_(WORKER), "/matters")
    page(as_(OFFICE), "/matters?page=9999&light=nothing&month=2026-99&sort=x&q=%25_\\")
    assert page(as_(OTHER_OFFICE), f"/matters/{fresh.case_id}", 404)


def test_all_shows_imported_history_too_and_its_page_has_nothing_to_do(world: World, as_: As) -> None:
    with world.owner.begin() as connection:
        connection.execute(text("SELECT ensure_incident_year(2025)"))
        number = connection.execute(
            text("""
            INSERT INTO incident (source, external_id, category, occurred_at, occurred_on, reported_at, title,
                text, status, stage, grid_id, digest) VALUES ('import', 'old', :noise, '2025-06-01 09:00+08',
                '2025-06-01', '2025-06-01 09:00+08', '去年的噪声', '酒吧太吵', 'closed', '已答复', :grid,
                gen_random_uuid()) RETURNING id
            """),
            {"noise": NOISE, "grid": world.grid[matter_world.GRID_OWN]},
        ).scalar_one()
    assert "去年的噪声" not in page(as_(OFFICE), "/matters")
    assert "去年的噪声" in page(as_(OFFICE), "/matters/all?month=2025-06&state=history")
    assert "去年的噪声" not in page(as_(OFFICE), "/matters/all?month=2025-07")
    found = page(as_(OFFICE), f"/matters/{number}")
    assert "历史导入，没有办理过程" in found
    assert "已答复" in page(as_(OFFICE), "/matters/all")
    assert "下一步" not in found
    assert "批注" not in found


def test_a_matter_goes_from_its_first_word_to_a_return_visit_by_the_buttons_of_its_page(
    world: World, as_: As
) -> None:
    taken = world.take_in(words=HOSTILE, parties=(PartyTold(PartyPart.COMPLAINANT, "钱多多", "15412345678"),))
    office, address = as_(OFFICE), f"/matters/{taken.case_id}"
    found = page(office, address)
    assert "&lt;script&gt;alert(1)" in found
    assert "<script>alert(1)" not in found
    assert "49" not in found[:400]
    assert "钱多多" not in found
    assert "15412345678" not in found
    assert "查看" in found

    def act(name: str, who: Actor = OFFICE, **form: object) -> str:
        version = world.version(taken.case_id)
        status, body = post(as_(who), f"{address}/{name}", version=version, **form)
        assert status == 200, (name, re.findall(r'class="notice".*?</div>', body, re.S))
        return body

    act("move", to="review")
    act("move", to="accept", note="请按时办")
    act("move", to="assign")
    assert URBAN in act("move", to="supervise", units=[URBAN, ""], note="去现场看")
    assert "还差：部门办理已验收销账" in page(office, address)
    hand = hand_of(world, taken.case_id)
    hands.accept(world.matters, DEPARTMENT, hand)
    hands.answer(world.matters, DEPARTMENT, hand, "已停工整改")
    assert "已停工整改" in page(office, address)
    status, _ = post(office, f"{address}/hands/{hand}/strike_off")
    assert status == 200
    act("move", to="report")
    act("move", to="check", answer="夜里不再施工")
    act("move", to="reply")
    dissatisfied = act("move", to="archive", reached="yes", satisfaction="1", visit_note="还在吵")
    assert stage_of(world, taken.case_id) == "assign"
    assert "居民不满意，已按流程退回重办" in dissatisfied
    assert "非常不满意" in dissatisfied


def test_who_comes_second_is_told_what_the_first_did_and_keeps_what_was_typed(world: World, as_: As) -> None:
    taken = world.take_in()
    seen = world.version(taken.case_id)
    address = f"/matters/{taken.case_id}"
    assert post(as_(SECOND_OFFICE), f"{address}/note", version=seen, note="我先看看")[0] == 200
    status, body = post(as_(OFFICE), f"{address}/supervise", version=seen, note="三天内办完")
    assert status == 409
    notice = re.findall(r'class="notice".*?</div>', body, re.S)[0]
    assert SECOND_OFFICE.username in notice
    assert "我先看看" in notice
    assert "三天内办完" in notice
    assert re.search(r"<textarea[^>]*>三天内办完</textarea>", body)
    assert f'name="version" value="{seen + 1}"' in body
    assert world.version(taken.case_id) == seen + 1
    assert post(as_(OFFICE), f"{address}/supervise", version=seen + 1, note="三天内办完")[0] == 200


def test_what_is_not_allowed_comes_back_with_the_reason_and_everything_typed(world: World, as_: As) -> None:
    taken = world.take_in()
    address = f"/matters/{taken.case_id}"
    for act, form, why in (
        ("note", {"note": "请打 13812345678 找他"}, "身份证号或电话号码"),
        ("extend", {"days": "99", "reason": "太难"}, "1 到 30 个工作日"),
        ("extend", {"days": "x", "reason": "太难"}, "1 到 30 个工作日"),
        ("link", {"other": "20000101000001"}, "没有找到这个编号"),
        ("hand", {"due_days": "5", "note": "办"}, "请选承办部门"),
        ("hand", {"due_days": "5", "units": "没有的局"}, "请选承办部门"),
        ("correct", {"point": "0,0"}, "不在本辖区的网格里"),
        ("visit", {"kind": "return", "reached": "yes"}, "请选满意度"),
        ("move", {"to": "archive"}, "不能这样走"),
    ):
        before = world.version(taken.case_id)
        status, body = post(as_(OFFICE), f"{address}/{act}", version=before, **form)
        assert status == 400, act
        assert why in body, act
        kept = [value for name, value in form.items() if name in ("note", "reason", "other", "point")]
        assert all(value in body for value in kept), act
        assert world.version(taken.case_id) == before
    assert post(as_(OTHER_OFFICE), f"{address}/note", version=1, note="x")[0] == 404
    assert post(as_(WORKER), f"{address}/supervise", version=1, note="快")[0] == 403


def test_only_what_may_be_done_is_offered_and_one_button_is_primary(world: World, as_: As) -> None:
    taken = world.take_in()
    found = page(as_(OFFICE), f"/matters/{taken.case_id}")
    assert len(re.findall(r'class="primary ', found)) == 1
    assert "呈书记阅批" in found
    worker = page(as_(WORKER), f"/matters/{taken.case_id}")
    assert "呈书记阅批" not in worker
    assert "现场走访" in worker
    assert "督办" not in worker
    centre = page(as_(CENTRE), f"/matters/{taken.case_id}")
    assert "呈书记阅批" not in centre
    assert "督办" in centre


def test_a_grid_worker_looks_at_the_place_and_writes_it_down(world: World, as_: As) -> None:
    taken = world.take_in()
    status, body = post(
        as_(WORKER), f"/matters/{taken.case_id}/visit",
        version=1, kind="on_site", reached="yes", visit_note="晚上十点还在响",
    )  # fmt: skip
    assert status == 200
    assert "现场走访" in body
    with world.owner.connect() as connection:
        notes = connection.scalars(text("SELECT note FROM incident_visit")).all()
    assert notes == ["晚上十点还在响"]


def test_the_overdue_are_listed_by_who_has_them(world: World, as_: As) -> None:
    world.take_in(title="镇里压着", now=LONG_AGO)
    with_unit = world.take_in(title="部门压着", now=LONG_AGO)
    forward(world, with_unit.case_id, "assign")
    service.move(world.matters, OFFICE, with_unit.case_id, None, "supervise", units=(URBAN,), now=LONG_AGO)
    world.take_in(CENTRE, title="市里压着", now=LONG_AGO)
    suspended = world.take_in(title="停着的", now=LONG_AGO)
    service.suspend(world.matters, OFFICE, suspended.case_id, None, "等鉴定")
    found = page(as_(CENTRE), "/matters/overdue")
    parts = {re.search(r"<h2>(.*?)<small>", part)[1]: part for part in found.split('class="late"')[1:]}  # type: ignore[index]
    assert set(parts) == {"城关街道", URBAN, "市综治中心"}
    assert "镇里压着" in parts["城关街道"]
    assert "部门压着" in parts[URBAN]
    assert "市里压着" in parts["市综治中心"]
    assert "停着的" not in found


def test_an_export_holds_no_words_of_people_and_runs_nothing(world: World, as_: As) -> None:
    world.take_in(title="=HYPERLINK(1)", words="=cmd()", address="某路 1 号")
    with world.owner.begin() as connection:
        connection.execute(text("UPDATE category SET name = '=1+1' WHERE code = :code"), {"code": NOISE})
    sheet = as_(OFFICE).get("/matters/list.csv").get_data().decode("utf-8-sig")
    assert "HYPERLINK" not in sheet
    assert "cmd" not in sheet
    assert "某路" not in sheet
    assert ",'=1+1," in sheet
    assert "城关街道" in sheet
    book = openpyxl.load_workbook(io.BytesIO(as_(OFFICE).get("/matters/list.xlsx?list=all").get_data()))
    cells = [cell for row in book.active.iter_rows() for cell in row]  # type: ignore[union-attr]
    assert {cell.data_type for cell in cells} <= {"s", "n"}
    assert as_(WORKER).get("/matters/list.csv").status_code == 403


def test_a_legal_service_day_counts_the_matters_that_came_of_it(world: World, as_: As) -> None:
    world.take_in(channel="legal_day")
    day = china_today().isoformat()
    status, body = post(
        as_(OFFICE),
        "/matters/visits",
        kind="legal_day",
        day=day,
        place="党群中心",
        heard="6",
        note="律师坐班",
    )
    assert status == 200
    assert "党群中心" in body
    assert "6 件" in body
    for wrong in (
        {"heard": "-1"},
        {"day": "2999-01-01"},
        {"kind": "return"},
        {"place": ""},
        {"note": "13812345678"},
    ):
        form = {"kind": "legal_day", "day": day, "place": "大厅", "heard": "1", "note": "x"} | wrong
        assert post(as_(OFFICE), "/matters/visits", **form)[0] == 400, wrong
    assert "党群中心" not in page(as_(OTHER_OFFICE), "/matters/visits")

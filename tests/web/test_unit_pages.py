"""A department's ledger: what it was asked, what it says of it, and what the office makes of that."""

from gridmgmt.incidents.handling import service
from tests.db.matter_world import (
    DEPARTMENT,
    OFFICE,
    OTHER_DEPARTMENT,
    OTHER_OFFICE,
    URBAN,
    WATER_BUREAU,
    World,
)

from .matter_desk import LONG_AGO, As, app, as_, forward, hand_of, page, post, world

__all__ = ["app", "as_", "world"]


def handed(world: World, *units: str, **told: object) -> int:
    """Take in a matter and hand it to departments, and return its id."""
    case_id = world.take_in(**told).case_id  # type: ignore[arg-type]
    forward(world, case_id, "assign")
    service.move(
        world.matters, OFFICE, case_id, None, "supervise", units=units or (URBAN,), note="请到现场看"
    )
    return case_id


def test_a_line_goes_from_asked_to_struck_off(world: World, as_: As) -> None:
    case_id = handed(world, title="夜市太吵")
    hand, address = hand_of(world, case_id), f"/matters/{case_id}"
    unit, office = as_(DEPARTMENT), as_(OFFICE)
    waiting = page(unit, "/unit")
    assert "夜市太吵" in waiting
    assert "请到现场看" in waiting
    assert post(unit, f"{address}/hands/{hand}/accept", back="1")[0] == 200
    assert "夜市太吵" in page(unit, "/unit?tab=doing")
    status, told = post(unit, f"{address}/hands/{hand}/answer", answer="  ")
    assert status == 400
    assert "请写" in told
    assert post(unit, f"{address}/hands/{hand}/answer", answer="已约谈摊主")[0] == 200
    assert post(office, f"{address}/hands/{hand}/return", reason="现场还在响")[0] == 200
    again = page(unit, "/unit?tab=doing")
    assert "验收未过" in again
    assert "现场还在响" in again
    post(unit, f"{address}/hands/{hand}/answer", answer="已划定时段")
    assert "夜市太吵" in page(unit, "/unit?tab=answered")
    assert "已验收销账" in post(office, f"{address}/hands/{hand}/strike_off")[1]
    assert "夜市太吵" in page(unit, "/unit?tab=struck_off")
    assert post(office, f"{address}/hands/{hand}/strike_off")[0] == 409


def test_what_is_not_the_departments_goes_back_with_the_reason(world: World, as_: As) -> None:
    case_id = handed(world, title="路灯不亮")
    hand = hand_of(world, case_id)
    status, told = post(as_(DEPARTMENT), f"/matters/{case_id}/hands/{hand}/refuse", reason="")
    assert status == 400
    assert "请写明原因" in told
    post(as_(DEPARTMENT), f"/matters/{case_id}/hands/{hand}/refuse", reason="路灯归住建局")
    assert "路灯归住建局" in page(as_(DEPARTMENT), "/unit?tab=given_back")
    assert "路灯归住建局" in page(as_(OFFICE), f"/matters/{case_id}")


def test_a_department_sees_its_own_lines_alone_and_acts_on_no_other(world: World, as_: As) -> None:
    own = handed(world, title="城管的事")
    other = handed(world, WATER_BUREAU, title="水利的事")
    unit = as_(DEPARTMENT)
    assert "水利的事" not in page(unit, "/unit")
    page(unit, f"/matters/{other}", 404)
    assert post(unit, f"/matters/{other}/hands/{hand_of(world, other)}/accept")[0] == 404
    assert post(as_(OTHER_DEPARTMENT), f"/matters/{own}/hands/{hand_of(world, own)}/accept")[0] == 404
    assert (
        post(as_(OTHER_OFFICE), f"/matters/{own}/hands/{hand_of(world, own)}/withdraw", reason="x")[0] == 404
    )
    assert post(unit, f"/matters/{own}/supervise", version=world.version(own), note="快")[0] == 403
    page(unit, "/matters", 403)
    page(as_(OFFICE), "/unit", 403)


def test_a_joint_panel_shows_who_leads_and_is_done_when_all_are(world: World, as_: As) -> None:
    case_id = handed(world, URBAN, WATER_BUREAU, title="排水堵了")
    found = page(as_(OFFICE), f"/matters/{case_id}")
    assert found.index("牵头") < found.index("会办")
    assert "会办" in page(as_(OTHER_DEPARTMENT), "/unit")


def test_the_ledger_says_how_many_lines_are_overdue(world: World, as_: As) -> None:
    case_id = world.take_in(now=LONG_AGO).case_id
    forward(world, case_id, "assign")
    service.move(world.matters, OFFICE, case_id, None, "supervise", units=(URBAN,), now=LONG_AGO)
    found = page(as_(DEPARTMENT), "/unit")
    assert "超期 1 件" in found

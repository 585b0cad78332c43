"""Changes on the pages: asked for at the door, decided in the office, by and for no other place."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from gridmgmt.db.models import Role
from tests.db import roster_world
from tests.db.roster_world import World

Client = Callable[[Role | None], FlaskClient]


@pytest.fixture
def world(city: Engine, app: object, tmp_path: Path) -> World:
    return roster_world.build(city, roster_world.make_ring(tmp_path))


def page(client: FlaskClient, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return answer.get_data(as_text=True)


def send(client: FlaskClient, address: str, token_from: str, **form: object) -> TestResponse:
    token = page(client, token_from).split('name="csrf_token"')[1].split('value="')[1].split('"')[0]
    return client.post(address, data={"csrf_token": token, **form})


def one(city: Engine, statement: str) -> object:
    with city.connect() as connection:
        return connection.execute(text(statement)).scalar_one()


def test_every_kind_has_a_form_and_asks_no_more_than_it_needs(as_role: Client, world: World) -> None:
    chief, home = as_role(Role.GRID_WORKER), world.home["own"]
    kinds = page(chief, f"/homes/{home}/changes/new")
    assert kinds.count('class="card"') == 10
    for kind in ("birth", "move_in", "move_out", "split", "merge", "head", "care", "care_end"):
        form = page(chief, f"/homes/{home}/changes/new?kind={kind}")
        assert 'name="reason"' in form
        assert ('name="building"' in form) == (kind in ("move_out", "split", "merge"))
    for kind in ("correct", "death"):
        assert "是谁" in page(chief, f"/homes/{home}/changes/new?kind={kind}")
        form = page(chief, f"/homes/{home}/changes/new?kind={kind}&person={world.person['王建国']}")
        assert ('name="new_head"' in form) == (kind == "death")
    assert chief.get(f"/homes/{home}/changes/new?kind=nonsense").status_code == 400


def test_a_death_is_asked_for_refused_without_an_heir_approved_and_seen(
    as_role: Client, world: World, city: Engine
) -> None:
    chief, office, home = as_role(Role.GRID_WORKER), as_role(Role.TOWN_OFFICER), world.home["own"]
    person = world.person["王建国"]
    form = f"/homes/{home}/changes/new?kind=death&person={person}"
    typed = {"kind": "death", "person": person, "reason": "看了证明"}
    refused = send(chief, f"/homes/{home}/changes", form, **typed)
    assert refused.status_code == 400
    assert "选一个新户主" in refused.get_data(as_text=True)
    assert "看了证明" in refused.get_data(as_text=True)
    asked = send(chief, f"/homes/{home}/changes", form, **typed, new_head=world.person["李秀兰"])
    assert asked.status_code == 303
    assert "王建国" in page(chief, "/grid/changes")
    table = page(office, "/office/changes")
    assert "<del>王建国</del>" in table
    assert "<ins>李秀兰</ins>" in table
    number = one(city, "SELECT id FROM roster_change")
    done = send(office, f"/office/changes/{number}", "/office/changes", approve="yes")
    assert done.status_code == 303
    assert one(city, f"SELECT left_why FROM person WHERE id = {person}") == "died"
    assert "已同意" in page(chief, "/grid/changes")
    send(office, f"/office/changes/{number}", "/office/changes", approve="yes")
    assert "已经办过" in page(office, "/office/changes")


def test_a_selection_is_approved_and_what_fails_stops_no_other(
    as_role: Client, world: World, city: Engine
) -> None:
    chief, office, home = as_role(Role.GRID_WORKER), as_role(Role.TOWN_OFFICER), world.home["own"]
    form = f"/homes/{home}/changes/new?kind=birth"
    for name in ("王一", "王二"):
        send(chief, f"/homes/{home}/changes", form, kind="birth", name=name)
    typed = {"kind": "correct", "person": world.person["王小明"], "name_was": "王小明", "name": "王大明"}
    send(chief, f"/homes/{home}/changes", form, **typed)
    # The office corrects the same name meanwhile, at once.
    send(office, f"/homes/{home}/changes", form, **typed | {"name": "王中明"})
    numbers = [1, 2, 3]
    send(office, "/office/changes", "/office/changes", change=numbers)
    told = page(office, "/office/changes")
    assert "同意并办理了 2 件；1 件没有办成：姓名在报上来以后变了" in told
    assert one(city, "SELECT count(*) FROM person WHERE name IN ('王一', '王二', '王中明')") == 3


def test_a_phone_is_changed_at_the_door_and_no_number_stands_on_any_page(
    as_role: Client, world: World, city: Engine
) -> None:
    chief, home = as_role(Role.GRID_WORKER), world.home["own"]
    person = world.person["王建国"]
    form = f"/homes/{home}/changes/new?kind=correct&person={person}"
    assert send(chief, f"/homes/{home}/changes", form, kind="correct", person=person, name="王建国",
                name_was="王建国", phone="154 0000 0098").status_code == 303  # fmt: skip
    assert one(city, "SELECT count(*) FROM roster_change") == 0
    number = roster_world.identity(date(1970, 5, 13), 17)
    send(chief, f"/homes/{home}/changes", form, kind="correct", person=person, identity_number=number)
    office = as_role(Role.TOWN_OFFICER)
    for client, address in ((chief, form), (chief, "/grid/changes"), (office, "/office/changes"),
                            (chief, f"/homes/{home}")):  # fmt: skip
        shown = page(client, address)
        for secret in (number, "15400000098", world.identity["王建国"]):
            assert secret not in shown
        assert "379981********" in shown
    bad = send(chief, f"/homes/{home}/changes", form, kind="correct", person=person, phone="12345")
    assert "电话不对" in bad.get_data(as_text=True)


def test_people_move_into_an_empty_dwelling(as_role: Client, world: World, city: Engine) -> None:
    chief, dwelling = as_role(Role.GRID_WORKER), world.dwelling["high 401"]
    form = f"/dwellings/{dwelling}/move-in"
    people = {
        "name_0": "何大伟",
        "relation_0": "head",
        "tenure_0": "tenant",
        "name_1": "何小伟",
        "relation_1": "child",
    }
    assert send(chief, form, form, **people | {"relation_0": "other"}).status_code == 400
    assert send(chief, form, form, **people).status_code == 303
    assert (
        send(as_role(Role.TOWN_OFFICER), "/office/changes", "/office/changes", change=[1]).status_code == 303
    )
    assert one(city, "SELECT persons FROM household WHERE id = (SELECT household_id FROM roster_change)") == 2
    assert chief.get(f"/dwellings/{world.dwelling['old 101']}/move-in").status_code == 404


def test_other_places_and_nothing_at_all_are_the_same_to_whoever_asks(as_role: Client, world: World) -> None:
    chief, office = as_role(Role.GRID_WORKER), as_role(Role.TOWN_OFFICER)
    elsewhere = {
        chief: (world.home["sibling"], world.home["other"], 99999),
        office: (world.home["other"], 99999),
    }
    for client, homes in elsewhere.items():
        answers = set()
        for home in homes:
            shown = client.get(f"/homes/{home}/changes/new")
            form = f"/homes/{world.home['own']}/changes/new?kind=birth"
            sent = send(client, f"/homes/{home}/changes", form, kind="birth", name="某人")
            answers.add((shown.status_code, sent.status_code))
        assert answers == {(404, 404)}
    assert send(office, "/office/changes/99999", f"/homes/{world.home['own']}/changes/new?kind=birth",
                approve="yes").status_code == 404  # fmt: skip


def test_the_office_looks_at_doubtful_rows_side_by_side(as_role: Client, world: World, city: Engine) -> None:
    office = as_role(Role.TOWN_OFFICER)
    assert "没有要核对的" in page(office, "/office/reviews")
    row = {"name": "王小明", "relation": "child", "phone": "15400000061", "household_code": "H-own"}
    number = roster_world.review_row(city, world, "same_person", "王小明", row)
    shown = page(office, "/office/reviews")
    assert "154****0061" in shown
    assert "15400000061" not in shown
    answer = send(office, f"/office/reviews/{number}", "/office/reviews", decision="same")
    assert answer.status_code == 303
    assert one(city, "SELECT phone IS NOT NULL FROM person WHERE name = '王小明'")

"""The roster's pages: masked, marked with who looks, found by POST alone, and nothing of another area."""

import json
import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.db.models import Role
from gridmgmt.households.reading.reveal import AN_HOUR
from tests.db import roster_world
from tests.db.roster_world import GRID_OTHER, GRID_OWN, GRID_SIBLING, World

AsRole = Callable[[Role | None], FlaskClient]
STAFF = (Role.GRID_WORKER, Role.TOWN_OFFICER)


@pytest.fixture
def world(app: Flask, city: Engine) -> World:
    """The people of the roster's small world, in the small city, under the application's own key ring."""
    return roster_world.build(city, roster_world.make_ring(app.config["SETTINGS"].home))


def _page(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.get_data(as_text=True)


def _post(
    client: FlaskClient, path: str, headers: dict[str, str] | None = None, **form: str
) -> tuple[int, str]:
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/homes").get_data(as_text=True))
    assert token
    answer = client.post(path, data={"csrf_token": token[1], **form}, headers=headers)
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status_code, answer.get_data(as_text=True)


def _reveal(
    client: FlaskClient, person: int, field: str = "phone", purpose: str = "call"
) -> tuple[int, dict[str, str]]:
    status, body = _post(
        client, f"/people/{person}/reveal", {"Accept": "application/json"}, field=field, purpose=purpose
    )
    return status, json.loads(body)


def _paths(world: World) -> dict[Role, list[str]]:
    homes = [f"/homes/{world.home[name]}" for name in ("own", "alone", "tenants")]
    shared = ["/homes", "/homes?show=elderly_alone&show=low_lying", *homes]
    return {
        Role.GRID_WORKER: [*shared, "/homes/buildings.geojson", "/grid/map"],
        Role.TOWN_OFFICER: [*shared, f"/homes?grid={GRID_OWN}", f"/homes?grid={GRID_SIBLING}"],
    }


def test_no_page_holds_a_number_in_full_and_every_page_says_who_looks(as_role: AsRole, world: World) -> None:
    numbers = [*world.identity.values(), *world.phone.values()]
    for role, paths in _paths(world).items():
        for path in paths:
            page = _page(as_role(role), path)
            assert not [number for number in numbers if number in page], path
            if path.startswith("/homes") and "geojson" not in path:
                assert re.search(rf'class="home-mark".*>{role.value} 20\d\d-', page, re.DOTALL), path
            assert not re.search(r"<[^>]+\s(style|on[a-z]+)=", page), path
    card = _page(as_role(Role.GRID_WORKER), f"/homes/{world.home['own']}")
    assert re.search(r"379981\*{8}\d{3}[\dX]", card)
    assert "154****0001" in card


def test_another_area_s_household_and_one_that_is_not_there_answer_alike(
    as_role: AsRole, world: World
) -> None:
    chief, office = (as_role(role) for role in STAFF)

    def answer(path: str) -> tuple[int, str]:
        told = chief.get(path)
        # Each answer has a nonce of its own, and a form's token the second it was made in.
        return told.status_code, re.sub(r'(value|nonce)="[^"]+"', "", told.get_data(as_text=True))

    unknown = answer("/homes/999999")
    assert unknown[0] == 404
    for name in ("sibling", "other"):
        assert answer(f"/homes/{world.home[name]}") == unknown
    assert office.get(f"/homes/{world.home['sibling']}").status_code == 200
    assert office.get(f"/homes/{world.home['other']}").status_code == 404
    assert office.get(f"/homes?grid={GRID_OTHER}").status_code == 404
    assert office.get("/homes?grid=990101001001999").status_code == 404
    assert "刘国庆" not in _page(chief, f"/homes?grid={GRID_SIBLING}"), "the chief's grid is the account's"
    missing = _reveal(chief, 999999)
    assert missing[0] == 404
    assert _reveal(chief, world.person["刘国庆"]) == missing
    assert _reveal(office, world.person["孙德明"]) == missing


def test_a_number_is_shown_for_a_purpose_as_json_or_as_a_page(as_role: AsRole, world: World) -> None:
    chief, who = as_role(Role.GRID_WORKER), world.person["王建国"]
    assert _reveal(chief, who) == (200, {"value": world.phone["王建国"], "refused": ""})
    assert _reveal(chief, who, "identity", "verify")[1]["value"] == world.identity["王建国"]
    status, found = _reveal(chief, who, purpose="")
    assert (status, found["value"]) == (400, "")
    assert found["refused"]
    status, page = _post(
        chief, f"/people/{who}/reveal", field="phone", purpose="call", home=str(world.home["own"])
    )
    assert status == 200
    assert world.phone["王建国"] in page
    assert f'href="/homes/{world.home["own"]}"' in page
    assert chief.post(f"/people/{who}/reveal", data={"field": "phone", "purpose": "call"}).status_code == 400
    assert chief.get(f"/people/{who}/reveal?field=phone&purpose=call").status_code == 405


def test_after_thirty_numbers_the_page_says_so(as_role: AsRole, city: Engine, world: World) -> None:
    with city.begin() as connection:
        connection.execute(text("SELECT set_config('app.user', 'grid_worker', true)"))
        connection.execute(text(f"SELECT audit('person.reveal') FROM generate_series(1, {AN_HOUR})"))
    status, found = _reveal(as_role(Role.GRID_WORKER), world.person["王建国"])
    assert (status, found["value"]) == (403, "")
    assert str(AN_HOUR) in found["refused"]


def test_what_is_looked_for_goes_by_post_and_stands_in_no_address(as_role: AsRole, world: World) -> None:
    chief = as_role(Role.GRID_WORKER)
    for words in (world.identity["王建国"], world.phone["王建国"], "王建", "春天路1号101"):
        status, page = _post(chief, "/homes/search", words=words)
        assert status == 200
        assert f'href="/homes/{world.home["own"]}"' in page, words
        addresses = "".join(re.findall(r'(?:href|action|hx-\w+)="([^"]*)"', page))
        assert words not in addresses
        assert not [
            number for number in world.identity.values() if number in page.replace(f'value="{words}"', "")
        ]
    assert chief.get("/homes/search?words=王").status_code == 405
    _, fragment = _post(chief, "/homes/search", {"HX-Request": "true"}, words="孙德明")
    assert "没有找到" in fragment
    assert "<html" not in fragment
    _, empty = _post(chief, "/homes/search", words="")
    assert "请输入" in empty


def test_filters_live_in_the_address_and_unknown_ones_do_nothing(as_role: AsRole, world: World) -> None:
    chief = as_role(Role.GRID_WORKER)
    page = _page(chief, "/homes?show=elderly_alone&show=low_lying&show=petitioner")
    assert "赵桂英" in page
    assert "王建国" not in page
    assert "petitioner" not in page
    assert 'href="/homes?show=low_lying"' in page, "a second press takes a filter away"
    assert "没有符合的住户" in _page(chief, "/homes?show=left_behind")


def test_the_office_begins_with_its_grids_and_reads_one_as_a_table(as_role: AsRole, world: World) -> None:
    office = as_role(Role.TOWN_OFFICER)
    grids = set(re.findall(r"/homes\?grid=(\d{15})", _page(office, "/homes")))
    assert {GRID_OWN, GRID_SIBLING} <= grids
    assert GRID_OTHER not in grids
    table = _page(office, f"/homes?grid={GRID_SIBLING}")
    assert [head in table for head in ("门牌", "户主", "家庭成员", "核对", "变动")] == [True] * 5
    assert "刘国庆" in table


def test_the_map_of_the_grid_gets_its_buildings_and_no_names(as_role: AsRole, world: World) -> None:
    found = as_role(Role.GRID_WORKER).get("/homes/buildings.geojson")
    assert len(found.get_json()["features"]) == 2
    page = found.get_data(as_text=True)
    assert not [name for name in world.person if name in page]
    assert 'data-buildings="/homes/buildings.geojson"' in _page(as_role(Role.GRID_WORKER), "/grid/map")


def test_nobody_else_opens_the_roster(as_role: AsRole, world: World) -> None:
    paths = ("/homes", f"/homes/{world.home['own']}", "/homes/buildings.geojson")
    for role in set(Role) - set(STAFF):
        assert [as_role(role).get(path).status_code for path in paths] == [403] * 3
    assert as_role(Role.TOWN_OFFICER).get("/homes/buildings.geojson").status_code == 403
    assert [as_role(None).get(path).status_code for path in paths] == [302] * 3


def test_an_account_without_a_grid_is_told_what_to_do(as_role: AsRole, city: Engine, world: World) -> None:
    with city.begin() as connection:
        connection.execute(text("UPDATE account SET area = NULL WHERE username = 'grid_worker'"))
    page = _page(as_role(Role.GRID_WORKER), "/homes")
    assert "账号没有绑定现行网格" in page
    assert "王建国" not in page


def test_a_grid_without_people_says_what_to_do(as_role: AsRole, city: Engine) -> None:
    with city.begin() as connection:
        for table in ("household", "dwelling", "building"):
            connection.execute(text(f"DELETE FROM {table}"))
    assert "还没有住户名册" in _page(as_role(Role.GRID_WORKER), "/homes")
    assert "还没有住户名册" in _page(as_role(Role.TOWN_OFFICER), "/homes")
    assert "gridmgmt import roster" in _page(as_role(Role.TOWN_OFFICER), f"/homes?grid={GRID_OWN}")

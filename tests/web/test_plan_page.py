"""The planner's desk: its pages, what the map sends and is told, and who may do what."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from gridmgmt.db.models import Role
from gridmgmt.planning.models import Operation

from .small_city import FEW, GRIDS, HOSTILE_NAME, MINE, NEIGHBOUR, NORTH, SIDE, TOWN_1, WEST

AsRole = Callable[[Role | None], FlaskClient]

MIDDLE = WEST + SIDE / 2
# Through the middle of grid MINE from north to south, its ends outside.
ACROSS = [[MIDDLE, NORTH + 0.001], [MIDDLE, NORTH - SIDE - 0.001]]


class Desk:
    """A planner at one plan, sending what the map sends."""

    def __init__(self, client: FlaskClient, **form: str) -> None:
        self.client = client
        page = client.get("/plan").get_data(as_text=True)
        self.token = page.split('name="csrf_token" value="')[1].split('"')[0]
        answer = client.post("/plan/create", data={"name": "调整", "csrf_token": self.token, **form})
        assert answer.status_code == 303, answer.get_data(as_text=True)
        self.path = answer.headers["Location"].partition("?")[0]
        self.api = self.path.replace("/plan/", "/plan/api/")

    def get(self, path: str) -> Any:
        answer = self.client.get(self.api + path)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return answer.get_json()

    def post(self, path: str, sent: object, status: int = 200) -> Any:
        headers = {"X-CSRFToken": self.token}
        answer = self.client.post(self.api + path, json=sent, headers=headers)
        assert answer.status_code == status, answer.get_data(as_text=True)
        return answer.get_json()

    def edit(self, operation: Operation, arguments: object, version: int, status: int = 200) -> Any:
        sent = {"operation": operation, "arguments": arguments, "version": version}
        return self.post("/edit", sent, status)


@pytest.fixture
def desk(as_role: AsRole) -> Desk:
    return Desk(as_role(Role.PLANNER))


def _page(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.get_data(as_text=True)


def test_planning_begins_from_a_grid_outside_the_band(as_role: AsRole) -> None:
    client = as_role(Role.PLANNER)
    desk = Desk(client, grid=FEW, name="")
    assert "4号网格调整" in _page(client, "/plan")
    page = _page(client, f"{desk.path}?grid={FEW}")
    assert f'data-focus="{FEW}"' in page
    assert "data-bounds=" in page
    assert 'data-may-edit="yes"' in page


def test_a_split_is_told_with_its_shapes_figures_and_what_it_breaks(desk: Desk) -> None:
    done = desk.edit(Operation.SPLIT, {"key": MINE, "line": ACROSS}, 0)
    assert (done["version"], done["gone"]) == (1, [MINE])
    new = [each for each in done["changed"] if each["properties"]["status"] == "new"]
    assert len(new) == 2
    assert {each["properties"]["in"] for each in new} == {"城关街道 · 第1村"}
    assert all(each["properties"]["figures"]["hectares"] > 0 for each in new)
    assert {"key", "households", "persons", "matters", "workers", "compactness", "deviation"} <= set(
        new[0]["properties"]["figures"]
    )
    assert done["findings"]
    assert MINE not in json.dumps(done["findings"], ensure_ascii=False)


def test_undo_and_redo_come_back_to_the_same_grids(desk: Desk) -> None:
    desk.edit(Operation.SPLIT, {"key": MINE, "line": ACROSS}, 0)
    after = desk.get("/grids.topojson")
    back = desk.post("/undo", {"version": 1})
    assert [each["properties"]["key"] for each in back["changed"] if each["properties"]["key"] == MINE]
    state = desk.get("/state")
    assert (state["touched"], state["edits"][0]["undone"]) == ([], True)
    desk.post("/redo", {"version": back["version"]})
    assert desk.get("/grids.topojson") == after


def test_who_edits_an_old_version_is_told_what_was_done_since(desk: Desk) -> None:
    desk.edit(Operation.RENAME, {"key": MINE, "name": "河东网格"}, 0)
    told = desk.edit(Operation.RENAME, {"key": NEIGHBOUR, "name": "河西网格"}, 0, status=409)
    assert told["version"] == 1
    assert [(edit["what"], edit["by"], edit["keys"]) for edit in told["edits"]] == [
        ("改名", "planner", [MINE])
    ]
    assert desk.get("/log")["version"] == 1


def test_what_cannot_be_drawn_is_refused_in_words_with_names(desk: Desk) -> None:
    beside = [[MIDDLE, NORTH + 0.001], [MIDDLE, NORTH + 0.002]]
    refused = desk.edit(Operation.SPLIT, {"key": MINE, "line": beside}, 0, status=400)
    assert "要求：" in refused["error"]
    merged = desk.edit(Operation.MERGE, {"keys": [MINE, GRIDS[8]]}, 0, status=400)
    assert HOSTILE_NAME in merged["error"]  # as text: the map puts it in as text
    assert GRIDS[8] not in merged["error"]
    assert desk.post("/edit", {"operation": "burn", "arguments": {}, "version": 0}, 400)["error"]
    assert desk.post("/edit", ["no object"], 400)["error"]
    assert desk.get("/log")["version"] == 0


def test_numbers_of_few_households_are_not_shown_anywhere(desk: Desk) -> None:
    desk.edit(Operation.RENAME, {"key": FEW, "name": "小网格"}, 0)
    own = desk.get(f"/grids.geojson?keys={FEW}")["features"][0]["properties"]["figures"]
    outlines = desk.get("/grids.topojson")["objects"]["areas"]["geometries"]
    (shown,) = (each["properties"] for each in outlines if each["properties"]["key"] == FEW)
    assert (own["households"], own["persons"], own["deviation"]) == ("<5", None, None)
    assert shown["households"] == "<5"
    listed = json.loads(desk.client.get(f"{desk.path}/files/geojson").data)["features"]
    (row,) = (each["properties"] for each in listed if each["properties"]["key"] == FEW)
    assert (row["households"], row["persons"]) == (None, None)


def test_locking_keeps_others_out_and_a_comment_has_its_place(desk: Desk) -> None:
    assert desk.post("/lock", {})["locked_by"] == "planner"
    assert desk.post("/unlock", {})["locked_by"] is None
    told = desk.post("/comment", {"text": "再商量", "at": [MIDDLE, NORTH]})
    assert [(each["text"], each["place"]) for each in told["comments"]] == [("再商量", [MIDDLE, NORTH])]
    assert desk.post("/comment", {"text": " "}, 400)["error"].startswith("批注")


def test_a_comparison_says_before_and_after_and_gives_both_shapes(desk: Desk) -> None:
    desk.edit(Operation.SPLIT, {"key": MINE, "line": ACROSS}, 0)
    page = _page(desk.client, f"{desk.path}/compare")
    assert "改动的网格" in page
    assert "撤销" in page
    sides = desk.get("/compared.json")
    before, after = (
        {each["properties"]["key"]: each["properties"]["status"] for each in sides[side]["features"]}
        for side in ("before", "after")
    )
    assert before[MINE] == "gone"
    assert list(after.values()).count("new") == 2
    other = Desk(desk.client)
    assert "没有不同" in _page(desk.client, f"{other.path}/compare")
    assert desk.get(f"/compared.json?with={other.path.rpartition('/')[2]}")["before"]["features"]
    assert desk.client.get(f"{desk.path}/compare?with=yesterday").status_code == 400


def test_every_file_of_the_menu_can_be_had(desk: Desk) -> None:
    desk.edit(Operation.SPLIT, {"key": MINE, "line": ACROSS}, 0)
    begins = {
        "geojson": b'{"type":"FeatureCollection"', "gpkg": b"SQLite format 3", "shp-gb18030": b"PK",
        "shp-utf8": b"PK", "xlsx": b"PK", "atlas": b"%PDF-",
    }  # fmt: skip
    page = _page(desk.client, desk.path)
    for form, begin in begins.items():
        assert f"{desk.path}/files/{form}" in page
        answer = desk.client.get(f"{desk.path}/files/{form}")
        assert answer.data.startswith(begin), form
        assert "filename*=UTF-8''%E8%B0%83%E6%95%B4" in answer.headers["Content-Disposition"]
    assert desk.client.get(f"{desk.path}/files/exe").status_code == 404


def test_publishing_asks_for_a_day_and_a_reason_and_can_be_taken_back_before_it(desk: Desk) -> None:
    desk.edit(Operation.RENAME, {"key": MINE, "name": "河东网格"}, 0)
    assert desk.post("/publish", {"on": "soon", "explanation": "为了试"}, 400)["error"]
    assert desk.post("/publish", {"on": "2099-01-01", "explanation": " "}, 400)["error"]
    told = desk.post("/publish", {"on": "2099-01-01", "explanation": "改用老地名"})
    assert told["status"] == "published"
    page = _page(desk.client, desk.path)
    assert "撤回发布" in page
    assert 'data-tool="split"' not in page
    assert desk.edit(Operation.RENAME, {"key": MINE, "name": "又改"}, 1, status=409)["error"]
    assert desk.post("/unpublish", {})["status"] == "draft"


def test_the_command_centre_reads_plans_and_changes_nothing(as_role: AsRole) -> None:
    desk = Desk(as_role(Role.PLANNER), scope=TOWN_1)
    reader = as_role(Role.COMMAND)
    page = _page(reader, desk.path)
    assert 'data-tool="split"' not in page
    assert "data-act" in page
    assert "新建方案" not in _page(reader, "/plan")
    for path in ("/plan", f"{desk.path}/compare", f"{desk.path}/files/geojson", f"{desk.api}/state"):
        assert reader.get(path).status_code == 200, path
    token = page.split('data-csrf="')[1].split('"')[0]
    for path in ("edit", "undo", "lock", "comment", "publish", "retire"):
        refused = reader.post(f"{desk.api}/{path}", json={}, headers={"X-CSRFToken": token})
        assert refused.status_code == 403, path
    assert as_role(Role.TOWN_OFFICER).get(desk.path).status_code == 403


def test_a_step_without_its_token_is_refused(desk: Desk) -> None:
    answer = desk.client.post(f"{desk.api}/undo", json={"version": 0})
    assert answer.status_code == 400
    assert "刷新" in answer.get_json()["error"]


def test_the_pages_carry_nothing_that_the_policy_refuses(desk: Desk) -> None:
    for path in ("/plan", desk.path, f"{desk.path}/compare"):
        page = _page(desk.client, path)
        for refused in (" style=", " onclick=", "javascript:", "<style>"):
            assert refused not in page, (path, refused)
        assert "leaflet-geoman" in page or path != desk.path

"""Staff take in a matter: what follows is derived, likely duplicates are shown, nothing typed is lost."""

import io
import re
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from gridmgmt.calendar import CHINA
from gridmgmt.db.models import Role
from gridmgmt.incidents import suggest
from gridmgmt.web import intake
from tests.db import matter_world as w
from tests.db.matter_world import World
from tests.unit.test_attachments import PDF, SVG, with_position, word
from tests.unit.test_suggest import matters as sample_matters

from .conftest import sign_in
from .test_roster_pages import AsRole
from .test_say_pages import posted, rows, token

SOMEBODY = {"part": "complainant", "party_name": "王小明", "party_phone": "15400000001"}


@pytest.fixture
def world(city: Engine, app: Flask, tmp_path: Path) -> Iterator[World]:
    made = w.build(city, tmp_path)
    yield made
    made.matters.dispose()


def here(grid: str = w.GRID_OWN, east: float = 0.0) -> dict[str, str]:
    lon, lat = w.middle(grid)
    return {"lon": f"{lon + east:.6f}", "lat": f"{lat:.6f}"}


def taken(client: FlaskClient, **fields: object) -> TestResponse:
    page = client.get("/matters/new").get_data(as_text=True)
    form = {
        "csrf_token": token(page), "key": str(uuid.uuid4()), "words": "夜市到半夜还很吵", "category": w.NOISE,
        "channel": "12345", "ledger": "complaint", "flow": "nine_steps", **here(),
    }  # fmt: skip
    return posted(client, "/matters/new", form | fields)


def near(client: FlaskClient, **fields: str) -> str:
    page = client.get("/matters/new").get_data(as_text=True)
    return str(
        client.post("/matters/near", data={"csrf_token": token(page), **fields}).get_data(as_text=True)
    )


def only_case(world: World) -> int:
    [(number,)] = rows(world, "SELECT id FROM incident_case")
    return int(str(number))


def test_a_matter_is_taken_in_with_all_that_was_told(as_role: AsRole, world: World, tmp_path: Path) -> None:
    files = [(io.BytesIO(with_position()), "现场.jpg"), (io.BytesIO(word()), "../记录.docx")]
    answer = taken(as_role(Role.TOWN_OFFICER), files=files, address="春天路1号", **SOMEBODY)
    case_id = only_case(world)
    assert (answer.status_code, answer.location) == (303, f"/matters/{case_id}")
    columns = "channel, ledger, category, village, address, status"
    assert rows(world, f"SELECT {columns} FROM incident") == [
        ("12345", "complaint", w.NOISE, w.VILLAGE_OWN, "春天路1号", "open")
    ]
    kept = rows(world, "SELECT kind, name, added_by FROM incident_attachment ORDER BY id")
    assert kept == [("photo", "现场.jpg", "town_officer"), ("document", "记录.docx", "town_officer")]
    assert len([path for path in (tmp_path / "attachments").rglob("*") if path.is_file()]) == 2
    assert rows(world, "SELECT part FROM incident_party") == [("complainant",)]
    assert rows(world, "SELECT who, what FROM audit_log") == [("town_officer", "party.add")]


def test_the_grid_is_derived_and_shown_never_asked(as_role: AsRole, world: World) -> None:
    client = as_role(Role.TOWN_OFFICER)
    assert 'name="grid' not in client.get("/matters/new").text
    assert "<b>1号网格</b>" in near(client, **here())
    assert "不在本市的网格里" in near(client, lon="0", lat="0")
    assert "<b>第2村</b>" in near(client, address="城关街道第2村小学")
    assert "还没有位置" in near(client, address="某处")


def test_what_may_be_the_same_is_shown_before_saving_and_can_be_linked(as_role: AsRole, world: World) -> None:
    client = as_role(Role.TOWN_OFFICER)
    first = world.take_in()
    found = near(client, category=w.NOISE, **here(east=0.0002))
    assert first.number in found
    assert "19 米" in found
    # Without a script nothing was shown yet: the form comes back with it, and nothing is saved.
    shown = taken(client, **here(east=0.0002))
    assert shown.status_code == 200
    assert "还没有保存" in shown.text
    assert first.number in shown.text
    seen = {"seen": str(first.case_id)}
    assert taken(client, **here(east=0.0002), **seen, duplicate_of=str(first.case_id)).status_code == 303
    linked = rows(world, "SELECT duplicate_of FROM incident_case ORDER BY id")
    assert linked == [(None,), (first.case_id,)]


def test_of_a_matter_over_the_border_no_number_and_no_word_shows(as_role: AsRole, world: World) -> None:
    other = world.take_in(actor=w.OTHER_OFFICE, grid=w.GRID_OTHER, words="别处的秘密")
    found = near(as_role(Role.TOWN_OFFICER), category=w.NOISE, **here(w.GRID_OTHER))
    assert "以往诉求" in found
    assert other.number not in found
    assert "秘密" not in found
    assert "disabled" in found


def test_the_same_key_makes_no_second_matter(as_role: AsRole, world: World) -> None:
    client, key = as_role(Role.TOWN_OFFICER), str(uuid.uuid4())
    first = taken(client, key=key)
    again = taken(client, key=key, seen=str(only_case(world)))
    assert first.location == again.location
    assert rows(world, "SELECT count(*) FROM incident_case") == [(1,)]
    other = taken(client, key=key, words="另一件事情", seen=str(only_case(world)))
    assert other.status_code == 409
    assert "另一件事情" in other.text


def test_a_key_that_somebody_else_has_used_is_refused_and_shows_nothing_of_theirs(
    as_role: AsRole, world: World
) -> None:
    key = str(uuid.uuid4())
    taken(as_role(Role.TOWN_OFFICER), key=key, words="邻里的秘密")
    answer = taken(as_role(Role.COMMAND), key=key, seen=str(only_case(world)))
    assert answer.status_code == 409
    assert "秘密" not in answer.text
    assert rows(world, "SELECT count(*) FROM incident_case") == [(1,)]


def test_a_matter_of_another_town_goes_there_and_the_teller_is_told(as_role: AsRole, world: World) -> None:
    client = as_role(Role.TOWN_OFFICER)
    answer = taken(client, **here(w.GRID_OTHER))
    assert answer.location == "/matters/new"
    assert "它在河西镇，已转那里办理" in client.get(answer.location).text
    assert rows(world, "SELECT village FROM incident_case") == [(w.VILLAGE_OTHER,)]


WRONG: tuple[tuple[dict[str, str], str], ...] = (
    ({"words": "请打15400000001"}, "像有身份证号或电话号码"),
    ({"category": "11"}, "选到小类"),
    ({"channel": "pigeon"}, "从哪里来"),
    ({"ledger": "secret"}, "归入哪本账"),
    ({"flow": "none"}, "办理流程"),
    ({"occurred_at": "2099-01-01T00:00"}, "最近一年内"),
    ({"occurred_at": "yesterday"}, "最近一年内"),
    ({"lon": "", "lat": "", "address": "幸福路"}, "请说明在哪里"),
    ({"lon": "0", "lat": "0"}, "不在本市"),
    ({"lon": "inf", "lat": "nan"}, "不在本市"),
    ({"party_name": "王明15400000001", "part": "other", "party_phone": ""}, "不要带数字"),
    ({"duplicate_of": "12345"}, "要并入的那一件"),
)


def test_what_is_wrong_is_said_and_everything_typed_is_kept(as_role: AsRole, world: World) -> None:
    for fields, words in WRONG:
        answer = taken(as_role(Role.TOWN_OFFICER), **({"address": "幸福路", **SOMEBODY} | fields))
        assert (answer.status_code, words in answer.text) == (400, True), words
        assert "幸福路" in answer.text
        assert fields.get("party_name", "王小明") in answer.text
    assert rows(world, "SELECT count(*) FROM incident_case") == [(0,)]


def test_a_file_that_is_not_taken_is_named_and_the_form_is_kept(as_role: AsRole, world: World) -> None:
    for data, words in ((SVG, "不收 SVG"), (with_position() + bytes(50 << 20), "不超过 12 MB")):
        answer = taken(as_role(Role.TOWN_OFFICER), files=(io.BytesIO(data), "a.jpg"))
        assert answer.status_code == 400
        assert words in answer.text
        assert "夜市到半夜还很吵" in answer.text


def test_a_script_in_text_and_in_the_name_of_a_grid_is_text(as_role: AsRole, world: World) -> None:
    client = as_role(Role.COMMAND)
    hostile = "<script>alert(1)</script>\u202e{{ 7 * 7 }}"
    answer = taken(
        client, words=hostile, category="11", address=hostile, **SOMEBODY | {"party_name": hostile[:20]}
    )
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;" in answer.text
    assert "\u202e" not in answer.text


def test_a_moment_is_read_as_china_says_it(as_role: AsRole, world: World) -> None:
    then = (datetime.now(CHINA) - timedelta(days=2)).replace(second=0, microsecond=0)
    assert taken(as_role(Role.COMMAND), occurred_at=then.strftime("%Y-%m-%dT%H:%M")).status_code == 303
    assert rows(world, "SELECT occurred_at FROM incident") == [(then,)]


def test_a_suggestion_shows_its_confidence_and_chooses_nothing(
    as_role: AsRole, world: World, tmp_path: Path
) -> None:
    client = as_role(Role.TOWN_OFFICER)
    assert "data-category" not in near(client, words="路灯坏了，夜里看不见")
    words, categories = sample_matters()
    codes = {"light": w.RUBBISH, "noise": w.NOISE, "water": w.WATER, "rare": w.FEE}
    model, _ = suggest.fit(words, [codes[each] for each in categories], {})
    suggest._save(model, tmp_path / suggest.FILE)
    found = near(client, words="夜市噪声太大，夜里吵闹")
    assert f'data-category="{w.NOISE}"' in found
    assert re.search(r"把握\d+%", found)
    assert taken(client, words="夜市噪声太大，夜里吵闹", category="").status_code == 400
    assert "data-category" not in near(client, words="夜市噪声太大，夜里吵闹", category=w.WATER)


# --- attached files


def _with_files(as_role: AsRole, world: World) -> int:
    files = [(io.BytesIO(with_position()), "现场.jpg"), (io.BytesIO(PDF), 'a"b;\r\nx: y.pdf')]
    assert taken(as_role(Role.TOWN_OFFICER), files=files).status_code == 303
    return only_case(world)


def test_a_photo_opens_and_a_paper_is_only_ever_a_download(as_role: AsRole, world: World) -> None:
    _with_files(as_role, world)
    client = as_role(Role.TOWN_OFFICER)
    photo, paper = (client.get(f"/matters/attachments/{n}") for n in (1, 2))
    assert (photo.mimetype, photo.headers["Content-Disposition"][:6]) == ("image/jpeg", "inline")
    assert (paper.mimetype, paper.data) == ("application/pdf", PDF)
    assert paper.headers["Content-Disposition"].startswith("attachment; ")
    assert "\n" not in paper.headers["Content-Disposition"]
    assert {each.headers["X-Content-Type-Options"] for each in (photo, paper)} == {"nosniff"}


def test_whoever_may_not_see_the_matter_does_not_see_its_files(
    as_role: AsRole, world: World, app: Flask
) -> None:
    _with_files(as_role, world)
    other = app.test_client()
    sign_in(other, w.OTHER_OFFICE.username)
    assert other.get("/matters/attachments/1").status_code == 404
    assert as_role(Role.DEPARTMENT).get("/matters/attachments/1").status_code == 404
    assert as_role(Role.PLANNER).get("/matters/attachments/1").status_code == 403
    assert as_role(None).get("/matters/attachments/1").status_code == 302


def test_files_are_attached_later_as_a_step(as_role: AsRole, world: World) -> None:
    case_id = world.take_in().case_id
    client = as_role(Role.TOWN_OFFICER)
    csrf = token(client.get("/matters/new").get_data(as_text=True))
    form = {"csrf_token": csrf, "version": "1", "files": (io.BytesIO(PDF), "a.pdf")}
    address = f"/matters/{case_id}/attach"
    assert client.post(address, data=form, content_type="multipart/form-data").status_code == 303
    assert world.version(case_id) == 2
    form["files"] = (io.BytesIO(PDF), "a.pdf")
    assert client.post(address, data=form, content_type="multipart/form-data").status_code == 409


# --- who it is about


def _reveal(
    client: FlaskClient, case_id: int, party: int, purpose: str = "call", **headers: str
) -> TestResponse:
    csrf = token(client.get("/matters/new").get_data(as_text=True))
    form = {"csrf_token": csrf, "purpose": purpose}
    return client.post(f"/matters/{case_id}/parties/{party}/reveal", data=form, headers=headers)


def test_somebody_is_shown_for_a_purpose_once_and_audited_once(as_role: AsRole, world: World) -> None:
    taken(as_role(Role.TOWN_OFFICER), **SOMEBODY)
    case_id = only_case(world)
    shown = _reveal(as_role(Role.TOWN_OFFICER), case_id, 1, Accept="application/json")
    assert shown.json == {"value": "王小明 15400000001", "refused": ""}
    assert shown.headers["Cache-Control"] == "no-store"
    assert rows(world, "SELECT purpose FROM audit_log WHERE what = 'party.reveal'") == [("call",)]
    refused = _reveal(as_role(Role.TOWN_OFFICER), case_id, 1, "", Accept="application/json")
    assert (refused.status_code, refused.json["value"]) == (400, "")
    assert _reveal(as_role(Role.COMMAND), case_id, 1).status_code == 404
    assert "王小明" in _reveal(as_role(Role.GRID_WORKER), case_id, 1).get_data(as_text=True)


def test_so_many_an_hour_and_no_more(as_role: AsRole, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "REVEALS", intake.parse("1 per hour"))
    taken(as_role(Role.TOWN_OFFICER), **SOMEBODY)
    answers = [_reveal(as_role(Role.TOWN_OFFICER), only_case(world), 1) for _ in range(2)]
    assert [each.status_code for each in answers] == [200, 403]
    assert rows(world, "SELECT count(*) FROM audit_log WHERE what = 'party.reveal'") == [(1,)]


# --- codes


def test_the_codes_of_a_village_stand_on_a_sheet(as_role: AsRole, world: World) -> None:
    client = as_role(Role.TOWN_OFFICER)
    page = client.get(f"/matters/qr?area={w.VILLAGE_OWN}").text
    assert page.count('src="/matters/qr/') == 4
    picture = client.get(f"/matters/qr/{w.GRID_OWN}.svg")
    assert picture.mimetype == "image/svg+xml"
    assert b"<script" not in picture.data
    assert "先选一个村社区" in client.get("/matters/qr").text
    for elsewhere in (w.GRID_OTHER, "x", "990101001001999"):
        assert client.get(f"/matters/qr/{elsewhere}.svg").status_code == 404
    assert client.get(f"/matters/qr?area={w.VILLAGE_OTHER}").status_code == 404
    assert as_role(Role.GRID_WORKER).get("/matters/qr").status_code == 403


def test_a_grid_worker_starts_in_the_own_village(as_role: AsRole, world: World) -> None:
    client = as_role(Role.GRID_WORKER)
    page = client.get("/matters/new").text
    assert f'value="{w.VILLAGE_OWN}" selected' in page
    assert f'value="{w.VILLAGE_SECOND}"' not in page
    assert "物业管理" in page
    with world.owner.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM incident_case")).scalar_one() == 0

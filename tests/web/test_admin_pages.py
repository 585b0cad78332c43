"""The administrator's desk: an upload to its end, code lists, health; what an administrator may not see."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from gridmgmt.db import jobs as stored
from gridmgmt.db.models import JobKind, Role
from gridmgmt.incidents import holidays
from gridmgmt.incidents.flows import stored as flows
from gridmgmt.incidents.flows.reading import as_text

from . import small_city

AsRole = Callable[[Role | None], FlaskClient]
HEADER = "编号,发生时间,类别,经度,纬度,内容"
SECRET = "张三家13800001111夜里吵"
MAPPING = """
[source]
crs = "cgcs2000"
name = "测试热线"
[fields]
external_id = "编号"
occurred_at = "发生时间"
category = "类别"
lon = "经度"
lat = "纬度"
text = "内容"
"""


@pytest.fixture
def admin(as_role: AsRole) -> FlaskClient:
    return as_role(Role.ADMIN)


@pytest.fixture
def worker(city: Engine, tmp_path: Path) -> Iterator[None]:
    """A worker that does what is asked for, and says in worker.log what it has to say."""
    address = city.url.render_as_string(hide_password=False)
    home = {"GRIDMGMT_HOME": str(tmp_path), "GRIDMGMT_DATABASE_URL": address}
    with (tmp_path / "worker.log").open("wb") as log:
        command = [sys.executable, "-m", "gridmgmt", "jobs", "work", "--no-plan"]
        running = subprocess.Popen(command, env=os.environ | home, stderr=log)
    yield
    running.terminate()
    assert running.wait() == 0


def page(client: FlaskClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, path
    return answer.get_data(as_text=True)


def send(client: FlaskClient, path: str, of: str, **form: Any) -> TestResponse:
    """Send a form with the token of the page on which it stands."""
    token = page(client, of).split('name="csrf_token" value="')[1].split('"')[0]
    return client.post(path, data={"csrf_token": token, **form})


def matters(*rows: str) -> bytes:
    return "\r\n".join((HEADER, *rows)).encode("gb18030")


def upload(client: FlaskClient, content: bytes, mapping: str | None = MAPPING, **form: Any) -> TestResponse:
    sent = {"kind": "incidents", "do": "try", "files": (BytesIO(content), "../热线 2025.csv"), **form}
    if mapping is not None:
        sent["mapping"] = (BytesIO(mapping.encode()), "m.toml")
    return send(client, "/admin/imports", "/admin/imports", **sent)


def events(answer: TestResponse) -> list[tuple[int, dict[str, Any]]]:
    found = re.findall(r"id: (\d+)\ndata: (.+)\n", answer.get_data(as_text=True))
    return [(int(number), json.loads(data)) for number, data in found]


def test_an_upload_is_tried_then_imported_and_its_rejects_name_nobody(
    admin: FlaskClient, city: Engine, tmp_path: Path, worker: None
) -> None:
    good = [f"A{n},2025-03-0{n} 08:30,01,114.00{n},32.995,楼上装修" for n in range(1, 6)]
    content = matters(
        *good, f"A6,昨天,01,114.001,32.995,{SECRET}", f"A7,2025-03-09,99,114.001,32.995,{SECRET}"
    )
    answer = upload(admin, content)
    assert answer.status_code == 303
    trial = answer.headers["Location"]
    stream = admin.get(f"{trial}/events")  # ends with the job
    assert stream.mimetype == "text/event-stream"
    assert stream.headers["Cache-Control"] == "no-store"
    told = events(stream)
    assert [number for number, _ in told] == sorted({number for number, _ in told})
    assert told[-1][1]["status"] == "done"
    assert [each["over"] for _, each in told] == [False] * (len(told) - 1) + [True]
    shown = page(admin, trial)
    assert "这是试跑" in shown
    assert "要是码表里的类别（代码或名称）" in shown
    with city.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM incident")).scalar_one() == 0
    real = send(admin, f"{trial}/again", trial).headers["Location"]
    assert events(admin.get(f"{real}/events"))[-1][1]["status"] == "done"
    job = stored.of(city, int(real.rpartition("/")[2]))
    assert job.result is not None
    (file,) = job.result["files"]
    assert (file["file"], file["counts"]["new"], file["counts"]["rejected"]) == ("热线 2025.csv", 5, 2)
    with city.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM incident")).scalar_one() == 5
    # Whatever page or file: no value of a rejected row, and none on the disk.
    kept = tmp_path / file["rejects"]
    assert kept.stat().st_mode & 0o777 == 0o600
    number = re.search(r"/admin/imports/\d+/rejects\.csv", page(admin, "/admin/imports"))
    assert number is not None
    for words in (
        kept.read_text(encoding="utf-8"), page(admin, f"{real}/rejects/1.csv"), page(admin, number[0]),
        page(admin, real), page(admin, "/jobs"), (tmp_path / "worker.log").read_text(),
    ):  # fmt: skip
        assert SECRET not in words
    assert "7,occurred_at" in page(admin, number[0])
    assert f">{Role.ADMIN.value}</a>" in page(admin, "/admin/imports")  # who
    # A file that cannot be read says why; by now what was sent before is gone.
    answer = upload(admin, "甲,乙\r\n1,2".encode("gb18030"), mapping=None)
    job = answer.headers["Location"]
    assert events(admin.get(f"{job}/events"))[-1][1]["status"] == "failed"
    shown = page(admin, job)
    assert "文件不能导入" in shown
    assert "热线 2025.csv" in shown
    assert "重新发起" in shown
    assert "uploads" not in shown  # no path of the server
    assert len(list((tmp_path / "uploads").iterdir())) == 1


def test_what_cannot_be_imported_is_refused_before_a_job_exists(
    admin: FlaskClient, city: Engine, tmp_path: Path
) -> None:
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"mapping": "[fields]\nexternal_id = 3"}, "映射文件不能使用：fields.external_id"),
        ({"mapping": "[["}, "映射文件不能使用"),
        ({"kind": "roster"}, "请选择导入什么"),
        ({"crs": "mars"}, "坐标系不对"),
        ({"crs": "epsg", "epsg": "12x"}, "坐标系不对"),
        ({"files": []}, "请选择 1 到 30 个文件"),
    )
    for form, words in wrong:
        answer = upload(admin, matters(), **form)
        assert answer.status_code == 400, form
        assert words in answer.get_data(as_text=True), form
    assert stored.listed(city) == []
    assert not list(tmp_path.glob("uploads/*"))


def test_large_requests_are_taken_for_an_upload_alone_and_from_an_administrator_alone(
    admin: FlaskClient, as_role: AsRole, city: Engine
) -> None:
    token = page(admin, "/admin/imports").split('name="csrf_token" value="')[1].split('"')[0]
    parts = (("csrf_token", token), ("kind", "incidents"), ('files"; filename="a.csv', "x" * (2 << 20)))
    body = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in parts
    )
    sent = {"data": f"{body}--b--".encode(), "content_type": "multipart/form-data; boundary=b"}
    assert admin.post("/admin/imports", **sent).status_code == 303
    assert admin.post("/admin/analyses", **sent).status_code == 413
    assert as_role(Role.COMMAND).post("/admin/imports", **sent).status_code == 403
    assert len(stored.listed(city)) == 1


def test_events_begin_after_what_was_heard_last(admin: FlaskClient, city: Engine) -> None:
    number = stored.ask(city, JobKind.SEASONAL, "编制 2026 年时令清单", {"year": 2026}, "admin")
    stored.begin(city, number)
    stored.finish(city, number, {"found": "清单 3 项"})
    (told,) = events(admin.get(f"/jobs/{number}/events"))
    assert told[1]["status"] == "done"
    again = admin.get(f"/jobs/{number}/events", headers={"Last-Event-ID": str(told[0])})
    assert events(again) == []
    assert "清单 3 项" in page(admin, f"/jobs/{number}")
    assert "清单 3 项" in page(admin, "/admin")  # not looked at yet
    page(admin, "/jobs")
    assert "清单 3 项" not in page(admin, "/admin")
    page(admin, "/jobs/99", 404)
    assert admin.get("/jobs/99/events").status_code == 404


def test_analyses_are_asked_for_with_what_they_need(admin: FlaskClient, city: Engine) -> None:
    for form in (
        {"kind": "hotspots", "from": "2025-01-01", "to": "2025-12-31", "level": "town"},
        {"kind": "clusters", "to": "2025-12-31"},
        {"kind": "seasonal", "year": "2026"},
    ):
        assert send(admin, "/admin/analyses", "/admin/analyses", **form).status_code == 303
    for form, words in (
        ({"kind": "hotspots", "from": "2025-02-01", "to": "2025-01-31", "level": "town"}, "在结束之前"),
        ({"kind": "hotspots", "from": "", "to": "2025-01-31", "level": "town"}, "请填写日期"),
        ({"kind": "seasonal", "year": "26"}, "年份要在"),
        ({"kind": "import"}, "请选一种分析"),
    ):
        answer = send(admin, "/admin/analyses", "/admin/analyses", **form)
        assert answer.status_code == 400
        assert words in answer.get_data(as_text=True)
    assert [job.kind for job in stored.listed(city)] == ["seasonal", "clusters", "hotspots"]


def test_what_is_failed_or_stopped_can_be_asked_again_and_nothing_else(
    admin: FlaskClient, city: Engine
) -> None:
    failed = stored.ask(city, JobKind.CLUSTERS, "近期聚集", {"to": "2025-12-31"}, "admin")
    assert send(admin, f"/jobs/{failed}/again", "/admin/imports").status_code == 409
    stored.fail(city, failed, stored.INTERRUPTED)
    assert stored.INTERRUPTED in page(admin, f"/jobs/{failed}")
    assert send(admin, f"/jobs/{failed}/again", "/admin/imports").status_code == 303
    again = stored.listed(city)[0]
    assert (again.status, again.parameters) == ("waiting", {"to": "2025-12-31"})
    there = f"/jobs/{again.id}"
    for words in ("停止</button>", "没有做后台工作的进程"):  # nobody works here
        assert words in page(admin, there)
    assert send(admin, f"{there}/stop", there).status_code == 303
    shown = page(admin, there)
    assert "停止</button>" not in shown
    assert "admin 停止了这项工作" in shown
    assert "已停止" in page(admin, "/jobs")
    assert send(admin, f"{there}/stop", "/admin/imports").status_code == 409
    assert send(admin, f"{there}/again", there).status_code == 303
    with city.connect() as connection:
        line = connection.execute(text("SELECT who, detail FROM audit_log WHERE what = 'job.stop'")).one()
    assert line == ("admin", {"kind": "近期聚集", "job": again.id})


def test_code_lists_change_with_a_line_in_the_log_and_what_is_used_stays(
    admin: FlaskClient, city: Engine
) -> None:
    here = "/admin/codes"
    assert send(admin, f"{here}/departments", here, name=" 水利局 ").status_code == 303
    new = {
        "code": "0201",
        "name": "渠道堵塞",
        "parent": "02",
        "department": "水利局",
        "days": "5",
        "open": "yes",
    }
    assert send(admin, f"{here}/categories", here, new="yes", **new).status_code == 303
    renamed = {**new, "name": "<b>渠道</b>淤堵", "days": ""}
    assert send(admin, f"{here}/categories", here, **renamed).status_code == 303
    shown = page(admin, here)
    assert "&lt;b&gt;渠道&lt;/b&gt;淤堵" in shown
    for wrong, words in (
        ({**new, "new": "yes"}, "已经有了"), ({**new, "parent": "0201"}, "另一个大类"),
        ({**new, "parent": "99"}, "另一个大类"), ({**new, "days": "0"}, "1 至 365"),
        ({**new, "department": "别的局"}, "先在下面添加"), ({**new, "name": "\u202e"}, "名称要有"),
        ({**new, "code": "a b"}, "代码用 1 至 30"), ({**new, "code": "0999"}, "没有这一项"),
        ({"code": "02", "name": "灌溉", "parent": "01"}, "有下级的大类"),
    ):  # fmt: skip
        answer = send(admin, f"{here}/categories", here, **wrong)
        assert answer.status_code in (400, 404, 409), wrong
        assert words in answer.get_data(as_text=True), wrong
    for path, form in (
        ("categories/remove", {"code": "02"}), ("departments/remove", {"name": "水利局"})
    ):  # fmt: skip
        assert send(admin, f"{here}/{path}", here, **form).status_code == 409, path
    assert send(admin, f"{here}/categories/remove", here, code="0201").status_code == 303
    assert send(admin, f"{here}/departments/remove", here, name="水利局").status_code == 303
    channel = {"code": "wx", "name": "微信"}
    assert send(admin, f"{here}/channels", here, new="yes", **channel).status_code == 303
    assert send(admin, f"{here}/channels", here, code="wx", name="公众号").status_code == 303
    with city.connect() as connection:
        rows = connection.execute(text("SELECT code FROM category ORDER BY code")).scalars().all()
        lines = connection.execute(text("SELECT count(*) FROM audit_log WHERE what = 'code.change'"))
        assert (rows, lines.scalar_one()) == (["01", "02"], 7)
        name = connection.execute(text("SELECT name FROM channel WHERE code = 'wx'")).scalar_one()
    assert name == "公众号"


def test_a_changed_flow_and_other_working_days_leave_a_line_and_the_same_flow_again_none(
    city: Engine,
) -> None:
    with city.connect() as connection:
        nine = as_text(flows.active(connection)["nine_steps"])
    for words in (nine, *[nine.replace("days = 15", "days = 12")] * 2):
        flows.load(city, "admin", words, "nine.toml")
    holidays.replace_year(city, "admin", 2026, [])
    with city.connect() as connection:
        rows = connection.execute(text("SELECT what, who, detail FROM audit_log ORDER BY id")).all()
    assert [tuple(row) for row in rows] == [
        ("code.change", "admin", {"kind": "流程", "of": "nine_steps"}),
        ("code.change", "admin", {"kind": "工作日", "of": "2026"}),
    ]


def test_health_says_how_it_is_and_what_to_do(admin: FlaskClient, city: Engine, tmp_path: Path) -> None:
    def state(key: str) -> tuple[str, str]:
        lines = json.loads(page(admin, "/admin/health.json"))["lines"]
        return next((line["state"], line["says"]) for line in lines if line["key"] == key)

    assert state("schema")[0] == "ok"
    assert state("backup") == ("bad", "还没有备份")
    assert state("chiefs")[0] == "watch"  # one grid of nine has a chief
    assert state("data") == ("watch", "还没有诉求")
    assert state("hotspots")[0] == "ok"
    with city.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO import_run (kind, file, sha256, counts) VALUES ('incidents', 'b.csv', 'x', '{}')"
            )
        )
    assert "比数据旧：之后又导入了 1 次" in state("hotspots")[1]
    failed = stored.ask(city, JobKind.CLUSTERS, "近期聚集", {}, "admin")
    stored.fail(city, failed, "数据还不够")
    assert state("jobs")[0] == "watch"
    (tmp_path / "backups").mkdir()
    note = {"at": "2999-01-01T02:00:00+08:00", "how": "每天 2 点，存到另一台服务器"}
    (tmp_path / "backups" / "a.json").write_text(json.dumps(note))
    assert state("backup") == ("ok", "最近一次 2999-01-01 02:00，每天 2 点，存到另一台服务器")
    shown = page(admin, "/admin/health")
    assert "要处理" not in shown.split("<tbody>")[1]
    assert "留意" in shown
    assert "每天 2 点" in page(admin, "/admin/backups")


def test_areas_show_few_households_as_few_and_whom_nothing_is_bound_to(
    admin: FlaskClient, city: Engine
) -> None:
    with city.begin() as connection:
        connection.execute(text("UPDATE account SET area = '999' WHERE username = 'town_officer'"))
        connection.execute(
            text("DELETE FROM household h USING building b, dwelling d WHERE d.id = h.dwelling_id"
                 " AND b.id = d.building_id AND b.code = ANY(:codes)"),
            {"codes": list(small_city.GRIDS[4:6])},
        )  # fmt: skip
        connection.execute(
            text("INSERT INTO import_run (kind, file, sha256, counts) VALUES ('grids', 'g', 'y', '{}')")
        )
    shown = page(admin, "/admin/areas")
    assert "没有网格长的网格<small>8 个" in shown
    assert "&lt;5" in shown  # village 002 now has the three of its first grid
    assert "town_officer" in shown
    assert "&lt;script&gt;" in shown
    assert "<script>alert" not in shown


def test_every_page_of_the_desk_stands_in_its_frame(app: Flask, admin: FlaskClient) -> None:
    paths = re.findall(r'<li><a href="([^"]+)"', page(admin, "/admin").split("</nav>")[1])
    assert len(paths) == 11
    for path in paths:
        shown = page(admin, path)
        assert 'class="admin-side"' in shown, path
        assert f'href="{path}" aria-current="page"' in shown, path
        assert "style=" not in shown, path


def test_the_auditor_reads_the_record_in_the_own_frame(as_role: AsRole) -> None:
    shown = page(as_role(Role.AUDITOR), "/audit")
    assert "incidents.csv" in shown
    assert "退回" in shown
    assert "admin-side" not in shown

"""The administrator's pages of flows and working days: what stands, and what a bad file is told."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.incidents import holidays
from gridmgmt.incidents.flows import packaged, stored
from gridmgmt.incidents.flows.reading import as_text

AsRole = Callable[[Role | None], FlaskClient]
NINE = next(flow for flow in packaged.flows() if flow.code == "nine_steps")


@pytest.fixture
def admin(as_role: AsRole) -> FlaskClient:
    return as_role(Role.ADMIN)


def page(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.get_data(as_text=True)


def send(client: FlaskClient, path: str, status: int = 303, **form: Any) -> str:
    token = page(client, "/admin/flows").split('name="csrf_token" value="')[1].split('"')[0]
    answer = client.post(path, data={"csrf_token": token, **form}, follow_redirects=False)
    assert answer.status_code == status, answer.get_data(as_text=True)
    return answer.get_data(as_text=True)


def file(words: str | bytes, name: str) -> tuple[BytesIO, str]:
    return BytesIO(words.encode() if isinstance(words, str) else words), name


def test_every_flow_is_drawn_and_written_out(admin: FlaskClient) -> None:
    shown = page(admin, "/admin/flows")
    for flow in packaged.flows():
        assert f"<code>{flow.code}</code>" in shown
        for number, step in enumerate(flow.steps, 1):
            assert f">{number} {step.name}</text>" in shown
            assert all(move.says in shown for move in step.moves)
    assert "6 个工作日" in shown
    assert "24 小时" in shown
    assert "style=" not in shown


def test_a_flow_that_is_fetched_changed_and_loaded_is_the_one_for_new_matters(
    admin: FlaskClient, city: Engine
) -> None:
    with city.connect() as connection:
        before = stored.active_id(connection, "nine_steps")
    fetched = admin.get("/admin/flows/nine_steps.toml")
    assert "nine_steps.toml" in fetched.headers["Content-Disposition"]
    words = fetched.get_data(as_text=True)
    assert words == as_text(NINE)
    changed = words.replace("days = 15", "days = 12").replace('says = "交办部门"', 'says = "交给部门"')
    send(admin, "/admin/flows", file=file(changed, "九步.toml"))
    shown = page(admin, "/admin/flows")
    assert "已装入" in shown
    assert "交给部门" in shown
    assert "以前的版本 1 个" in shown
    with city.connect() as connection:
        assert stored.active(connection)["nine_steps"].days == 12
        assert stored.flow_of(connection, before) == NINE  # by which what stands goes on
        assert {version.added_by for version in stored.versions(connection)} == {"gridmgmt", "admin"}
    send(admin, "/admin/flows", file=file(changed, "九步.toml"))
    with city.connect() as connection:
        assert len(stored.versions(connection)) == len(packaged.flows()) + 1  # the same again is nothing new


def test_only_checking_changes_nothing(admin: FlaskClient, city: Engine) -> None:
    words = as_text(NINE).replace("days = 15", "days = 12")
    send(admin, "/admin/flows", file=file(words, "a.toml"), do="check")
    assert "“九步办理”没有问题，可以装入。" in page(admin, "/admin/flows")
    with city.connect() as connection:
        assert stored.active(connection)["nine_steps"] == NINE


def test_a_bad_flow_file_is_told_everything_that_is_wrong_and_changes_nothing(
    admin: FlaskClient, city: Engine
) -> None:
    bad = (
        as_text(NINE)
        .replace('to = "archive"', 'to = "<script>"')
        .replace('name = "分类建账"\ndays = 1', 'name = "分类建账"')
        .replace('"office"', '"boss"', 1)
    )
    shown = send(admin, "/admin/flows", 400, file=file(bad, "../../nine.toml"))
    assert "nine.toml 不能使用" in shown
    assert "../" not in shown
    assert "填写的值不合规定" in shown
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown.replace("<script nonce", "")
    lost = as_text(NINE).replace('name = "分类建账"\ndays = 1', 'name = "分类建账"')
    assert "没有时限" in send(admin, "/admin/flows", 400, file=file(lost, "nine.toml"))
    with city.connect() as connection:
        assert stored.active(connection)["nine_steps"] == NINE


@pytest.mark.parametrize("sent", [b"\xff\xfe\x00", b"\x00" * 70_000, "[[", "", "x" * 70_000])
def test_what_is_no_flow_file_is_refused(admin: FlaskClient, sent: str | bytes) -> None:
    assert "不能使用" in send(admin, "/admin/flows", 400, file=file(sent, "x.toml"))
    assert "不能使用" in send(admin, "/admin/holidays/file", 400, file=file(sent, "x.toml")).replace(
        "没有保存", "不能使用"
    )


def test_no_file_at_all_is_said_so(admin: FlaskClient) -> None:
    assert "没有选择文件" in send(admin, "/admin/flows", 400)
    assert "没有选择文件" in send(admin, "/admin/holidays/file", 400)


# --- working days


def rows(*days: tuple[str, str, str]) -> dict[str, list[str]]:
    columns = zip(*days, ("", "off", ""), strict=True)
    return dict(zip(("day", "kind", "name"), map(list, columns), strict=True))


def test_a_missing_year_is_warned_of_until_it_is_filled_in(admin: FlaskClient, city: Engine) -> None:
    this = china_today().year
    with city.begin() as connection:
        connection.execute(text("DELETE FROM holiday WHERE extract(year FROM day) >= :year"), {"year": this})
    shown = page(admin, "/admin/holidays")
    assert f"缺 {this} 年节假日" in shown
    assert f"缺 {this + 1} 年节假日" in shown
    saturday = next(day for day in holidays_of(this) if day.endswith("-08"))
    filled = rows((f"{this}-01-01", "off", "元旦"), (saturday, "off", "某节"))
    send(admin, "/admin/holidays", year=str(this), **filled)
    shown = page(admin, f"/admin/holidays?year={this}")
    assert f"缺 {this} 年节假日" not in shown
    assert f"缺 {this + 1} 年节假日" in shown
    assert f'value="{this}-01-01"' in shown
    with city.connect() as connection:
        assert [day.name for day in holidays.days_of(connection, this)] == ["元旦", "某节"]


def holidays_of(year: int) -> list[str]:
    return [f"{year}-05-{day:02d}" for day in range(1, 20)]


def test_what_is_wrong_in_the_form_is_shown_and_what_was_typed_stays(
    admin: FlaskClient, city: Engine
) -> None:
    wrong = rows(
        ("2026-01-01", "off", "元旦"), ("2026-01-01", "off", "元旦"), ("2025-05-01", "off", "劳动节"),
        ("2026-13-01", "off", "?"), ("2026-01-05", "work", "周一"), ("2026-10-01", "holiday", "国庆节"),
        ("2026-10-02", "off", " "),
    )  # fmt: skip
    shown = send(admin, "/admin/holidays", 400, year="2026", **wrong)
    for words in ("日期应写作", "应为 休 或 班", "节日名称", "不是 2026 年的日子"):
        assert words in shown
    assert 'value="2026-01-05"' in shown
    wrong = rows(("2026-01-01", "off", "元旦"), ("2026-01-01", "off", "元旦"), ("2026-01-05", "work", "周一"))
    shown = send(admin, "/admin/holidays", 400, year="2026", **wrong)
    assert "这一天写了两次" in shown
    assert "调休上班的应是周六或周日" in shown
    with city.connect() as connection:
        assert len(holidays.days_of(connection, 2026)) == 39  # as it was packaged


def test_a_year_comes_by_file_and_counts_from_then_on(admin: FlaskClient, city: Engine) -> None:
    words = "day,kind,name\n2027-02-05,休,春节\n2027-02-14,班,春节\n"
    send(admin, "/admin/holidays/file", file=file(words, "2027.csv"))
    with city.connect() as connection:
        days = holidays.working_days(connection)
        assert [day.isoformat() for day in sorted(days.work) if day.year == 2027] == ["2027-02-14"]
        assert 2027 in days.known
    two = "day,kind,name\n2028-01-03,休,元旦\n2027-01-01,休,元旦\n"
    assert "不是 2027 年的日子" in send(admin, "/admin/holidays/file", 400, file=file(two, "two.csv"))


def test_nobody_but_the_administrator_comes_here(as_role: AsRole) -> None:
    for role in (Role.COMMAND, Role.TOWN_OFFICER, Role.AUDITOR):
        for path in ("/admin/flows", "/admin/flows/nine_steps.toml", "/admin/holidays"):
            assert as_role(role).get(path).status_code == 403
    assert as_role(Role.ADMIN).get("/admin/flows/no_such.toml").status_code == 404
    assert as_role(Role.ADMIN).get("/admin/holidays?year=999999").status_code == 200

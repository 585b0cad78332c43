"""Pages of the index: who sees which month, and that what they show adds up to what was stored."""

import html
import re
from collections.abc import Callable, Mapping
from datetime import date
from io import BytesIO

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from numpy import array
from openpyxl import load_workbook
from sqlalchemy import Engine, text

from gridmgmt.db.models import Role
from gridmgmt.index.periods import months_before, write_month
from gridmgmt.index.scoring import Change
from gridmgmt.index.tree import Node
from gridmgmt.web.index import drawing

from .small_city import COUNTY, HOSTILE_NAME, TOWN_1, TOWN_2

AsRole = Callable[[Role | None], FlaskClient]
NOVEMBER, DECEMBER = date(2025, 11, 1), date(2025, 12, 1)
BUREAU = "城管局"
THIRD, SILENT = f"{COUNTY}003", f"{COUNTY}004"
OTHERS = (Role.TOWN_OFFICER, Role.DEPARTMENT)
PAGES = (
    "/index", "/index?level=department", "/index?by=2", "/index?span=quarter", "/index?span=year",
    f"/index/units/{TOWN_1}", f"/index/units/{COUNTY}", f"/index/units/{BUREAU}", "/index/indicators/1.1.1",
    "/index/indicators/2.1.1?level=city", "/index/compare", "/index/what-if", "/index/tree",
)  # fmt: skip


def _group(code: str, name: str, weight: float) -> str:
    return f'[[group]]\ncode = "{code}"\nname = "{name}"\nweight = {weight}\n'


def _indicator(code: str, name: str) -> str:
    return (
        f'[[indicator]]\ncode = "{code}"\nname = "{name}"\nweight = 1\nunit = "次"\nbetter = "more"\n'
        f'levels = ["town", "department", "city"]\ndepartment = "{BUREAU}"\nfloor = 0\ntarget = 100\n'
    )


TREE = "\n".join((
    'code = "pair"\nname = "双项指数"\nways = ["arithmetic", "arithmetic", "arithmetic"]\n',
    _group("1", "办得快", 0.6), _group("1.1", "快", 1), _indicator("1.1.1", "快慢"),
    _group("2", "办得好", 0.4), _group("2.1", "好", 1), _indicator("2.1.1", "好坏"),
))  # fmt: skip
# Two towns change places with the weights: 76 and 74 as they are, 70 and 75 by halves. A fourth sent nothing.
SCORES: Mapping[str, tuple[float, float]] = {
    TOWN_1: (100.0, 40.0), TOWN_2: (70.0, 80.0), THIRD: (20.0, 30.0), BUREAU: (60.0, 70.0),
    COUNTY: (65.0, 55.0),
}  # fmt: skip


@pytest.fixture
def index(city: Engine) -> Engine:
    """November, which was issued, and December, which was not: the first town fell by 5 times 0.6."""
    with city.begin() as connection:
        for code, name in ((THIRD, HOSTILE_NAME), (SILENT, "=1+1镇")):
            connection.execute(
                text(
                    "INSERT INTO division (code, name, level, parent) VALUES (:code, :name, 'town', :county)"
                ),
                {"code": code, "name": name, "county": COUNTY},
            )
        connection.execute(text("INSERT INTO department VALUES (:name)"), {"name": BUREAU})
        connection.execute(
            text(
                "INSERT INTO index_tree (name, in_force_from, document, sha256, added_by)"
                " VALUES ('双项指数', '1900-01-01', :document, '', 'test')"
            ),
            {"document": TREE},
        )
    put(city, NOVEMBER, SCORES)
    put(city, DECEMBER, {**SCORES, TOWN_1: (95.0, 40.0)})
    issue(city, NOVEMBER)
    return city


def put(engine: Engine, month: date, scores: Mapping[str, tuple[float, float]]) -> None:
    levels = {COUNTY: "city", BUREAU: "department"}
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO index_month (month, tree_id, built_by) SELECT :month, max(id), 'test'"
                " FROM index_tree ON CONFLICT (month) DO UPDATE SET built_at = clock_timestamp()"
            ),
            {"month": month},
        )
        connection.execute(
            text(
                "INSERT INTO indicator_value (indicator, unit, month, level, status, value, made_by)"
                " VALUES (:code, :unit, :month, :level, 'entered', :value, 'test')"
                " ON CONFLICT (indicator, unit, month) DO UPDATE SET value = excluded.value"
            ),
            [
                {
                    "code": code,
                    "unit": unit,
                    "month": month,
                    "level": levels.get(unit, "town"),
                    "value": value,
                }
                for unit, pair in scores.items()
                for code, value in zip(("1.1.1", "2.1.1"), pair, strict=True)
            ],
        )


def issue(engine: Engine, month: date) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE index_month SET issued_at = now() WHERE month = :month"), {"month": month}
        )


def page(client: FlaskClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, (path, answer.status_code)
    return answer.get_data(as_text=True)


def words(body: str) -> str:
    """What a person reads of a page, as one line."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


def is_whole(body: str) -> bool:
    """Whether no number of a page is none; digests of files and tokens may hold any letters."""
    main = body.partition("<main")[2].partition("</main>")[0]
    return "nan" not in re.sub(r'<input type="hidden"[^>]*>', "", main)


def row(body: str, name: str) -> str:
    """What the table of scores says of a unit."""
    found = re.search(rf"<tr[^>]*>(?:(?!</tr>).)*>{re.escape(html.escape(name))}<.*?</tr>", body, re.DOTALL)
    assert found, name
    return words(found[0])


def test_towns_and_departments_see_issued_months_only(as_role: AsRole, index: Engine) -> None:
    centre = page(as_role(Role.COMMAND), "/index")
    assert "2025-12" in centre
    assert "未发布" in centre
    for role in OTHERS:
        own = as_role(role)
        for path in PAGES:
            body = page(own, path)
            assert not [each for each in ("2025年12月", "未发布", "73.0") if each in body], (role, path)
            hidden = f"{path}{'&' if '?' in path else '?'}month=2025-12"
            page(own, hidden, 200 if "span" in path or "tree" in path else 404)
        assert "76.0" in row(page(own, "/index?month=2025-12&span=quarter"), "城关街道")
        assert "/index/build" not in page(own, "/index")


def test_before_the_first_month_it_says_what_to_do(as_role: AsRole, city: Engine) -> None:
    assert "gridmgmt index build" in page(as_role(Role.COMMAND), "/index")
    for role in OTHERS:
        assert "还没有发布的月份" in page(as_role(role), "/index")
    for path in ("/index/compare", "/index/what-if"):
        page(as_role(Role.COMMAND), path)
    for path in (f"/index/units/{TOWN_1}", "/index/indicators/1.1.1"):
        page(as_role(Role.COMMAND), path, 404)


def test_the_first_month_of_all_stands_without_one_before(as_role: AsRole, index: Engine) -> None:
    for path in (each for each in PAGES if "span" not in each):
        body = page(as_role(Role.COMMAND), f"{path}{'&' if '?' in path else '?'}month=2025-11")
        assert is_whole(body)
    assert "76.0" in row(page(as_role(Role.COMMAND), "/index?month=2025-11"), "城关街道")


def test_the_board_says_places_changes_and_who_has_no_score(as_role: AsRole, index: Engine) -> None:
    body = page(as_role(Role.COMMAND), "/index")
    assert "1–2" in row(body, "城关街道")
    assert "73.0" in row(body, "城关街道")
    assert "−3.0" in row(body, "城关街道")
    assert "74.0" in row(body, "河西镇")
    silent = row(body, "=1+1镇")
    assert silent.strip().startswith("—")
    assert "2" in silent
    # Which of the first two is above hangs on the weights; the third is far below whatever they are.
    groups = [words(each) for each in re.findall(r"<tbody.*?</tbody>", body, re.DOTALL)]
    assert "城关街道" in groups[0]
    assert "河西镇" in groups[0]
    assert HOSTILE_NAME not in groups[0]
    assert HOSTILE_NAME not in body


def test_the_board_is_sorted_as_its_heads_say(as_role: AsRole, index: Engine) -> None:
    def order(by: str) -> list[str]:
        return re.findall(r'<tr data-unit="(\d+)"', page(as_role(Role.COMMAND), f"/index?by={by}"))

    assert order("")[:3] == [TOWN_2, TOWN_1, THIRD]
    assert order("1") == [TOWN_1, TOWN_2, THIRD, SILENT, *order("1")[4:]]
    assert order("change")[2] == TOWN_1
    assert set(order("missing")[-3:]) == {TOWN_1, TOWN_2, THIRD}
    page(as_role(Role.COMMAND), "/index?by=9", 400)


def test_a_month_that_is_built_anew_is_shown_anew(as_role: AsRole, index: Engine) -> None:
    assert "73.0" in row(page(as_role(Role.COMMAND), "/index"), "城关街道")
    put(index, DECEMBER, {TOWN_1: (0.0, 100.0)})
    assert "40.0" in row(page(as_role(Role.COMMAND), "/index"), "城关街道")


def test_a_unit_says_why_it_moved_and_where_it_lost(as_role: AsRole, index: Engine) -> None:
    body = page(as_role(Role.COMMAND), f"/index/units/{TOWN_1}")
    steps = re.findall(r'<ol class="waterfall">.*?</ol>', body, re.DOTALL)[0]
    told = [float(each.replace("−", "-")) for each in re.findall(r'<b class="figure">([^<]+)</b>', steps)]
    assert told == [76.0, -3.0, 73.0]
    assert "快慢" in words(steps)
    assert re.search(r"好坏.{0,40}−24\.00", words(body))
    assert "没有上一期" in page(as_role(Role.COMMAND), f"/index/units/{TOWN_1}?month=2025-11")


def test_a_period_is_the_mean_of_its_months_and_says_which_are_there(as_role: AsRole, index: Engine) -> None:
    assert "只有 2 个月" in (body := page(as_role(Role.COMMAND), "/index?span=quarter"))
    assert "74.5" in row(body, "城关街道")


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.lists(st.floats(-2, 2), max_size=3),
    st.floats(20, 80),
)  # fmt: skip
def test_the_steps_of_a_waterfall_add_up(moved: list[float], weighed: list[float], start: float) -> None:
    changes = [
        {f"{kind}{n}": array([each]) for n, each in enumerate(values)}
        for kind, values in (("1", moved), ("2", weighed))
    ]
    end = start + sum(moved) + sum(weighed)
    names = {code: Node(code, code, 1.0, ()) for code in changes[0]}
    steps = drawing.waterfall(Change(array([end - start]), *changes), 0, ("then", start), ("now", end), names)
    assert abs(start + sum(each.points for each in steps[1:-1]) - end) < 1e-9
    assert (steps[0].points, steps[-1].points) == (start, end)
    assert all(each.start >= -0.01 and each.start + each.width <= 100.5 for each in steps)
    assert len(steps) <= drawing.STEPS + 4


def test_two_units_are_compared_exactly(as_role: AsRole, index: Engine) -> None:
    body = page(as_role(Role.COMMAND), f"/index/compare?a={TOWN_2}&b={TOWN_1}")
    steps = re.findall(r'<b class="figure">([^<]+)</b>', re.findall(r"<ol.*?</ol>", body, re.DOTALL)[0])
    assert [float(each.replace("−", "-")) for each in steps] == [73.0, 16.0, -15.0, 74.0]
    silent = page(as_role(Role.COMMAND), f"/index/compare?a={SILENT}&b={TOWN_1}")
    assert is_whole(silent)
    assert "不能比较" in silent
    page(as_role(Role.COMMAND), "/index/compare?a=nowhere", 404)


def test_other_weights_are_tried_and_nothing_is_kept(as_role: AsRole, index: Engine) -> None:
    stored = "SELECT string_agg(v::text, ';' ORDER BY v::text) FROM indicator_value v"
    with index.connect() as connection:
        before = connection.scalar(text(stored))
    body = page(as_role(Role.TOWN_OFFICER), "/index/what-if?w1=50&w2=50")
    assert "2 个名次有变化" in words(body)
    assert "试算" in body
    assert re.search(r"1 河西镇 75\.00 74\.00 2 ▲", words(body))
    assert re.search(r"2 城关街道 70\.00 76\.00 1 ▼", words(body))
    with index.connect() as connection:
        assert connection.scalar(text(stored)) == before
    assert "0 个名次有变化" in words(page(as_role(Role.COMMAND), "/index/what-if?way=arithmetic"))
    for bad in ("w1=x", "w1=-1", "w1=101", "w1=nan", "w1=0&w2=0", "way=best", "level=city", "month=2025-13"):
        page(as_role(Role.COMMAND), f"/index/what-if?{bad}", 400)


def test_an_indicator_shows_every_unit_with_its_value(as_role: AsRole, index: Engine) -> None:
    put(index, DECEMBER, {TOWN_2: (123456.0, 80.0)})
    body = page(as_role(Role.COMMAND), "/index/indicators/1.1.1")
    assert "123,456" in words(body)
    assert HOSTILE_NAME not in body
    assert "城管局没有填报" in body
    page(as_role(Role.COMMAND), "/index/indicators/1", 404)
    page(as_role(Role.COMMAND), "/index/indicators/9.9.9", 404)


def test_the_workbook_holds_the_board_and_its_values_as_text_and_numbers(
    as_role: AsRole, index: Engine
) -> None:
    book = load_workbook(BytesIO(as_role(Role.COMMAND).get("/index/board.xlsx").data))
    assert book.sheetnames == ["镇街得分", "镇街指标值", "部门得分", "部门指标值"]
    scores = {line[0].value: [cell.value for cell in line[1:4]] for line in book["镇街得分"].iter_rows(2)}
    assert scores["城关街道"] == [2, 73, -3]
    assert scores["河西镇"] == [1, 74, 0]
    assert scores["=1+1镇"][1] is None
    values = {(line[0].value, line[1].value): line for line in book["镇街指标值"].iter_rows(2)}
    assert [cell.value for cell in values["城关街道", "1.1.1"][5:7]] == [95, "填报"]
    assert all(cell.data_type != "f" for sheet in book for line in sheet.iter_rows() for cell in line)
    others = load_workbook(BytesIO(as_role(Role.DEPARTMENT).get("/index/board.xlsx").data))
    assert others["镇街得分"]["C2"].value == 76


def test_a_department_that_comes_stands_on_the_boards_of_every_month(as_role: AsRole, index: Engine) -> None:
    client = as_role(Role.COMMAND)
    page(client, "/index?level=department")
    with index.begin() as connection:
        connection.execute(text("INSERT INTO department VALUES ('新组建的局')"))
    put(index, DECEMBER, {TOWN_1: (0.0, 100.0)})  # of the months one is read anew, the other kept
    assert "新组建的局" in page(client, "/index?level=department")
    book = load_workbook(BytesIO(client.get("/index/board.xlsx").data))
    assert "新组建的局" in [line[0].value for line in book["部门得分"].iter_rows(2)]


def test_the_tree_is_told_to_all_and_its_file_given_to_the_centre(as_role: AsRole, index: Engine) -> None:
    assert "2 / 2 / 2" in words(page(as_role(Role.TOWN_OFFICER), "/index/tree"))
    with index.connect() as connection:
        number = connection.scalar(text("SELECT max(id) FROM index_tree"))
    assert page(as_role(Role.COMMAND), f"/index/tree/{number}.toml") == TREE
    page(as_role(Role.TOWN_OFFICER), f"/index/tree/{number}.toml", 403)
    page(as_role(Role.COMMAND), f"/index/tree/{number + 1}.toml", 404)


@pytest.mark.parametrize("role", [Role.COMMAND, *OTHERS])
def test_every_link_leads_somewhere(as_role: AsRole, index: Engine, role: Role) -> None:
    client, tried = as_role(role), set()
    for path in PAGES:
        tried |= {html.unescape(each) for each in re.findall(r'href="(/index[^"]*)"', page(client, path))}
    assert len(tried) > 20
    for path in sorted(tried):
        assert client.get(path).status_code == 200, path


def test_a_year_of_months_is_drawn_as_far_as_it_is_known(as_role: AsRole, index: Engine) -> None:
    for back in range(2, 30):
        month = months_before(DECEMBER, back)
        put(index, month, {TOWN_1: (50.0 + back, 40.0), TOWN_2: (60.0, 60.0 + back)})
        issue(index, month)
    for role in (Role.COMMAND, *OTHERS):
        for path in PAGES:
            assert is_whole(page(as_role(role), path)), (role, path)
    assert f'value="{write_month(months_before(DECEMBER, 29))}"' in page(as_role(Role.COMMAND), "/index")

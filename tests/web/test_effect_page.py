"""What the page of effects says, to whom, and what an item's evidence says of the year before."""

import json
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.web import effects

from . import small_city

AsRole = Callable[[Role | None], FlaskClient]

YEAR = china_today().year - 1  # the evidence of this year's items speaks of it


@pytest.fixture(autouse=True)
def registered(app: Flask) -> None:
    """The page stands, whether or not the application registers it by itself."""
    if "effects" not in app.blueprints:
        app.register_blueprint(effects.pages)


@pytest.fixture
def measured(city: Engine) -> None:
    """Noise was treated and it helped; irrigation was not treated; town 1 and town 2 have figures."""
    placebo = {
        "windows": [{"start": "2025-03-01", "end": "2025-03-27", "mean": 0.11, "low": -0.4, "high": 0.9}],
        "pooled": {"mean": 0.02, "low": -0.1, "high": 0.15}, "share": 0.0, "failed": False,
        "before": {"mean": 0.4, "low": 0.2, "high": 0.6},
    }  # fmt: skip
    helped: dict[str, object] = {
        "n_treated": 12, "n_untreated": 30, "observed_treated": 73, "expected_treated": 103,
        "observed_untreated": 97, "expected_untreated": 100, "effect": -0.27, "low": -0.38, "high": -0.15,
        "p": 0.0002, "published": -0.45, "verdict": "helped",
    }  # fmt: skip
    learnt = {"learnt": -0.24, "learnt_low": -0.35, "learnt_high": -0.12}
    window = {"start_on": f"{YEAR}-12-05", "end_on": f"{YEAR}-12-31"}
    nothing: dict[str, object] = dict.fromkeys(
        ("n_treated", "observed_treated", "expected_treated", "observed_untreated", "expected_untreated"), 0
    )
    rows: list[dict[str, object]] = [
        {"scope": "city", "category": "", **helped, **learnt},
        {"scope": "city", "category": "01", **helped, **learnt, **window, "placebo": json.dumps(placebo)},
        {"scope": "city", "category": "02", **nothing, **window, "n_untreated": 42, "verdict": "cannot_say",
         "reason": "no_treated"},
        {"scope": small_city.TOWN_1, "category": "", **helped, "effect": -0.2, "published": -0.51},
        {"scope": small_city.TOWN_1, "category": "01", **helped, **window, "effect": -0.2},
        {"scope": small_city.TOWN_2, "category": "", **helped, "effect": 0.09, "low": -0.3, "high": 1.4,
         "verdict": "cannot_say", "reason": "few_matters"},
    ]  # fmt: skip
    with city.begin() as connection:
        for row in rows:
            values = {"year": YEAR, "known_to": f"{YEAR}-12-31"} | row
            names, places = ", ".join(values), ", ".join(f":{name}" for name in values)
            connection.execute(text(f"INSERT INTO seasonal_effect ({names}) VALUES ({places})"), values)


def page(client: FlaskClient, path: str = "/seasonal/effect") -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return str(answer.get_data(as_text=True))


@pytest.mark.usefixtures("measured")
def test_the_honest_figure_stands_beside_the_published_one(as_role: AsRole) -> None:
    shown = page(as_role(Role.COMMAND))
    assert "<b>少 27%</b>（−38% 至 −15%）" in shown
    assert "−45%" in shown
    assert "处理过的 12 个网格来了 73 件，比预计少 29%；没处理的 30 个比预计少 3%" in shown
    assert "什么都不做，今年也会回落" in shown
    assert "被挑中的网格上一年比没挑中的多 40%" in shown
    assert "编下一年清单按少 24%算" in shown
    assert "p &lt; 0.001" in shown or "p < 0.001" in shown
    assert shown.index("噪声扰民") < shown.index("没有结论的类别") < shown.rindex("灌溉用水")
    assert 'class="placebo"' in shown
    for words in ("城关街道", "河西镇", "预计的件数太少，差别看不出来"):
        assert words in shown, words
    assert "多 9%" in page(as_role(Role.PLANNER))


@pytest.mark.usefixtures("measured")
def test_a_town_sees_itself_and_the_city_and_no_other_town(as_role: AsRole) -> None:
    shown = page(as_role(Role.TOWN_OFFICER))
    assert "实际效果 · 城关街道" in shown
    assert "少 20%" in shown
    assert "−51%" in shown
    assert "全市 <b>少 27%</b>" in shown
    assert "河西镇" not in shown


def test_who_has_no_business_here_is_refused_and_an_empty_page_says_what_to_do(as_role: AsRole) -> None:
    for role in (Role.GRID_WORKER, Role.AUDITOR, Role.ADMIN):
        assert as_role(role).get("/seasonal/effect").status_code == 403
    assert as_role(None).get("/seasonal/effect").status_code == 302
    shown = page(as_role(Role.COMMAND), "/seasonal/effect?year=1999")
    assert "还没有比较过" in shown
    assert "gridmgmt seasonal effect --year" in shown


@pytest.mark.usefixtures("measured")
def test_an_item_says_what_was_done_the_year_before_and_whether_it_helped(
    city: Engine, as_role: AsRole
) -> None:
    with city.begin() as connection:
        number, _ = connection.execute(
            text("SELECT id, area FROM seasonal_item WHERE area = :a AND category = '01'"),
            {"a": small_city.MINE},
        ).one()
        connection.execute(
            text(
                "INSERT INTO seasonal_task (year, level, area, category, start_on, end_on, due_on, action,"
                " status, handed_out_by, closed_at, done_on) VALUES (:y, 'grid', :a, '01', :s, :e, :s, 'x',"
                " 'done', 'x', now(), :d)"
            ),
            {
                "y": YEAR, "a": small_city.MINE, "s": f"{YEAR}-12-05", "e": f"{YEAR}-12-31",
                "d": f"{YEAR}-11-20",
            },
        )  # fmt: skip
    shown = page(as_role(Role.GRID_WORKER), f"/seasonal/items/{number}")
    assert f"{YEAR}年提前处理有没有用" in shown
    assert "这里办了 1/1 项，最后一项在 11月20日" in shown
    assert "比没处理的<b>少 27%</b>（−38% 至 −15%），公布的同比是 −45%" in shown


def test_changes_are_written_as_people_say_them() -> None:
    assert [effects.percent(each) for each in (-0.268, 0.03, 0.001)] == ["−27%", "+3%", "0%"]
    assert [effects.fewer(each) for each in (-0.268, 0.03, -0.001)] == ["少 27%", "多 3%", "持平"]
    assert [effects.at(each) for each in (-5.0, 0.0, 9.9)] == [0.0, 50.0, 100.0]

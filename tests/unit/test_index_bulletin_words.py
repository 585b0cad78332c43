"""The words of a bulletin: a rule for each thing that figures may say, and none that reads wrong."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmgmt.index.bulletins import phrases, sheets, words
from gridmgmt.index.bulletins.attachments import attachments
from gridmgmt.index.bulletins.blocks import Table
from gridmgmt.index.bulletins.notes import lacking, notes, talks
from gridmgmt.index.bulletins.reasons import largest_mover, movers, problems
from gridmgmt.index.bulletins.standing import groups, overview, ranking
from gridmgmt.index.tree import Level

ON_TIME = {
    "code": "1.1.1", "name": "按期办结率", "unit": "%", "better": "more", "first": "1", "department": None,
    "levels": ["city", "department", "town"],
}  # fmt: skip
TOLD = ON_TIME | {"code": "2.1.1", "name": "群众满意率", "first": "2", "department": "信访局"}


def unit(code: str, score: float | None = 80.0, change: float | None = None, **said: Any) -> dict[str, Any]:
    return {
        "code": code, "name": f"{code}镇", "score": score, "rank": 1 if score is not None else 0,
        "low": 1, "high": 1, "before": None if change is None or score is None else score - change,
        "change": change, "adjusted": None, "parts": {"1": score, "2": score},
        "lost": {"1": 0.0, "2": 0.0}, "lost_most": [], "moved": [], "weighed": 0.0,
    } | said  # fmt: skip


def level(*units: dict[str, Any], grouped: list[list[str]] | None = None, **said: Any) -> dict[str, Any]:
    found = {
        "units": list(units),
        "season": {"taken_out": False, "why": "只有3个月的得分"},
        "values": {},
        "gaps": [],
    }
    return found | {"groups": grouped or [[each["code"]] for each in units if each["rank"]]} | said


def facts(
    towns: dict[str, Any] | None = None, city: dict[str, Any] | None = None, **said: Any
) -> dict[str, Any]:
    return {
        "period": {
            "span": "month", "month": "2025-12", "name": "2025年12月", "months": ["2025-12"],
            "before": "2025年11月", "missing": [],
        },
        "city": "清穗市",
        "tree": {
            "id": 1, "name": "平安指数", "sha256": "", "in_force_from": "1900-01-01", "counts": [2, 2, 2],
            "parts": [{"code": "1", "name": "社会秩序"}, {"code": "2", "name": "群众评价"}],
        },
        "indicators": [ON_TIME, TOLD],
        "levels": {
            "town": towns or level(unit("甲"), unit("乙")), "department": level(),
            "city": city or level(unit("全市", 86.5)),
        },
        "talks": {"called": [], "lifted": []},
        "outlines": {},
    } | said  # fmt: skip


def moved(points: float, before: float | None, now: float | None, code: str = "1.1.1") -> dict[str, Any]:
    return {"code": code, "points": points, "before": before, "now": now}


def text(blocks: list[Any]) -> str:
    return "".join(block for block in blocks if isinstance(block, str))


# --- 总体情况


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ((1.0, -2.0, 0.001), "，与上月相比，1个上升、1个下降、1个持平。"),
        ((1.0, 2.0, 3.0), "，与上月相比全部上升。"),
        ((-1.0, -2.0), "，与上月相比全部下降。"),
        ((0.0, 0.004), "，与上月相比全部持平。"),
        ((1.0, -2.0), "，与上月相比，1个上升、1个下降。"),
        ((None, None), "平均80.00分。"),
    ],
)
def test_how_many_rose_and_fell(changes, said):
    towns = level(*(unit(name, 79.0 + 2 * n / (len(changes) - 1), each)
                    for n, (name, each) in enumerate(zip("甲乙丙", changes, strict=False))))  # fmt: skip
    assert said in text(overview(facts(towns)))


def test_the_city_stands_first_with_its_change_and_without_a_sign():
    fell = level(unit("全市", 86.5, -1.2, adjusted=0.3))
    said = text(overview(facts(city=fell)))
    assert said.startswith(
        "2025年12月，全市平安指数为86.50分，与上月相比下降1.20分，剔除季节因素后上升0.30分。"
    )
    assert text(overview(facts(city=level(unit("全市", None))))).startswith(
        "2025年12月，全市平安指数缺数据。"
    )


def test_units_that_are_all_alike_or_alone_have_no_range():
    assert "2个镇街得分均为80.00分。" in text(overview(facts()))
    assert "1个镇街得分为80.00分，与上月相比上升1.00分。" in text(
        overview(facts(level(unit("甲", 80.0, 1.0))))
    )


def test_the_best_and_the_worst_first_level_part_are_named_unless_they_are_alike():
    parts = {"1": 90.0, "2": 70.0}
    said = text(overview(facts(level(unit("甲", parts=parts), unit("乙", parts=parts)))))
    assert "社会秩序最高，为90.00分；群众评价最低，为70.00分。" in said
    assert "一级指标" not in text(overview(facts()))


# --- 得分及排名


def test_those_that_cannot_be_told_apart_are_named_together_and_share_their_places():
    towns = level(*map(unit, "甲乙丙丁"), grouped=[["乙"], ["甲", "丁"], ["丙"]])
    assert groups(facts(towns), Level.TOWN) == (
        "4个镇街按名次为：乙镇第1名；甲镇、丁镇：得分接近、不能区分，第2至3名；丙镇第4名。"
    )


def test_one_group_and_one_unit_are_not_ranked():
    whole = level(*map(unit, "甲乙"), grouped=[["甲", "乙"]])
    assert groups(facts(whole), Level.TOWN) == "2个镇街得分接近，名次不能区分。"
    assert groups(facts(level(unit("甲"))), Level.TOWN) == "参加评价的只有甲镇，不作排名。"


def test_a_unit_without_a_score_is_told_and_stands_last_in_the_table():
    towns = level(unit("甲", None), unit("乙", rank=1), unit("丙", 70.0, rank=2))
    told = ranking(facts(towns), Level.TOWN)
    assert "甲镇没有可计算的指标，不参加排名。" in text(told)
    (table,) = (block for block in told if isinstance(block, Table))
    assert [row[:3] for row in table.rows] == [
        ("1", "乙镇", "80.00"), ("2", "丙镇", "70.00"), ("—", "甲镇", "缺"),
    ]  # fmt: skip
    assert ranking(facts(), Level.DEPARTMENT) == []


# --- 升降最大及原因


def test_the_largest_rise_and_fall_name_the_indicators_that_made_them():
    towns = level(
        unit("甲", 82.0, 2.0, moved=[moved(1.5, 85.0, 93.2), moved(-0.4, 90.0, 80.0, "2.1.1")]),
        unit("乙", 78.0, -3.0, moved=[moved(-2.4, 92.1, 85.3)], weighed=-0.6),
    )
    said = text(movers(facts(towns)))
    assert "升幅最大的镇街是甲镇，上升2.00分。主要原因：按期办结率由85%升至93.2%，拉高1.50分。" in said
    assert (
        "降幅最大的镇街是乙镇，下降3.00分。主要原因：按期办结率由92.1%降至85.3%，拉低2.40分；"
        "缺项或指标体系调整引起的权重变化拉低0.60分。"
    ) in said


def test_those_that_moved_alike_are_named_together_each_with_its_reason():
    rise = [moved(1.0, 80.0, 90.0)]
    towns = level(
        unit("甲", 80.0, 1.001, moved=rise), unit("乙", 81.0, 0.999, moved=rise), unit("丙", 79.0, 0.5)
    )
    said = text(movers(facts(towns)))
    assert (
        "升幅最大的镇街是甲镇、乙镇，均上升1.00分。甲镇：按期办结率由80%升至90%，拉高1.00分。乙镇：" in said
    )
    assert "没有镇街得分下降。" in said


def test_where_nobody_moved_it_is_said_once():
    assert movers(facts(level(unit("甲", 80.0, 0.0), unit("乙", 80.0, 0.001)))) == ["镇街得分均持平。"]


def test_nothing_to_compare_with_is_said_once():
    assert movers(facts()) == ["2025年11月的数据不全，不作比较。"]
    assert largest_mover(facts()) is None


def test_of_two_that_moved_alike_the_one_that_fell_is_drawn():
    step = [moved(1.0, 1.0, 2.0)]
    towns = level(unit("甲", 80.0, 2.0, moved=step), unit("乙", 80.0, -2.0, moved=step))
    found = largest_mover(facts(towns))
    assert found is not None
    assert found["code"] == "乙"


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        (92.1, 85.3, "办结率由92.1%降至85.3%"), (0.0, 5.0, "办结率由0%升至5%"), (7.0, 7.001, "办结率仍为7%"),
        (None, 5.0, "办结率上期缺数据，本期为5%"), (5.0, None, "办结率本期缺数据"),
    ],
)  # fmt: skip
def test_how_a_value_moved(was, now, said):
    assert phrases.moved_value(was, now, "办结率", "%") == said


# --- 突出问题


def test_what_was_lost_most_is_named_with_its_share_and_who_lost_it():
    lost = {"1": 6.0, "2": 2.0}
    towns = level(
        unit("甲", lost=lost, lost_most=[{"code": "1.1.1", "points": 6.0}]),
        unit("乙", lost=lost, lost_most=[{"code": "2.1.1", "points": 2.0}]),
    )
    said = text(problems(facts(towns)))
    assert (
        "镇街失分最多的一级指标是社会秩序（平均失6.00分，占75%）、群众评价（平均失2.00分，占25%）。" in said
    )
    assert "按期办结率（甲镇失6.00分，为最多）、群众满意率（乙镇失2.00分，为最多）" in said


def test_nothing_lost_is_no_problem():
    assert problems(facts()) == ["各镇街各项指标均为满分，没有突出问题。"]


def test_a_town_that_is_last_by_all_weights_is_named():
    towns = level(unit("甲"), unit("乙"), unit("丙", 50.0, rank=3, low=3, high=3))
    assert "丙镇在各种权重下都居末位，得分50.00分。" in text(problems(facts(towns)))


# --- 约谈和挂牌督办


def talk(kind: str, name: str) -> dict[str, Any]:
    return {"kind": kind, "name": name, "reason": "得分低于60分。", "due_on": "2026-01-20"}


def test_talks_supervision_and_lifting_each_have_their_sentence():
    said = talks(facts(talks={
        "called": [talk("talk", "甲镇"), talk("talk", "乙镇"), talk("supervision", "丙镇")],
        "lifted": [talk("talk", "丁镇")],
    }))  # fmt: skip
    assert said == [
        "本期约谈2家：甲镇，得分低于60分，限2026年1月20日前整改到位；乙镇，得分低于60分，限2026年1月20日前整改到位。",
        "本期挂牌督办1家：丙镇，得分低于60分，限2026年1月20日前整改到位。",
        "经整改验收，解除1家：丁镇（约谈）。",
    ]
    assert talks(facts()) == ["本期没有约谈和挂牌督办，也没有解除的事项。"]


# --- 数据说明


def test_missing_values_are_counted_by_who_owes_them_and_how_they_were_filled():
    cells = {"1.1.1": {"甲": [90.0, "measured", 0]}, "2.1.1": {"甲": [None, "missing", 1]}}
    gaps = [["2025-12", "2.1.1", "甲", "last", "2025-10"], ["2025-12", "1.1.1", "乙", "shared", ""]]
    data = facts(level(unit("甲"), unit("乙"), values=cells, gaps=gaps))
    said = text(notes(data))
    assert "本期应有数据3个，其中系统测算1个、缺2个。" in said
    assert "缺项沿用以前月份的值1个、权重转由同级指标分担1个。" in said
    assert lacking(data) == "未填报的部门：信访局（1个）。系统测算中基数不足的1个。"


def test_nothing_missing_is_said_in_two_words():
    cells = {"1.1.1": {"甲": [90.0, "measured", 0], "乙": [91.0, "measured", 0]}}
    said = text(notes(facts(level(unit("甲"), unit("乙"), values=cells))))
    assert "本期应有数据2个，其中系统测算2个、没有缺项。" in said
    assert "附件3" not in said


def test_a_longer_period_says_that_it_is_a_mean():
    period = {"span": "quarter", "month": "2025-12", "name": "2025年四季度", "missing": [],
              "months": ["2025-10", "2025-11", "2025-12"], "before": "2025年三季度"}  # fmt: skip
    said = facts(level(unit("甲", 80.0, 1.0), unit("乙", 79.0, -1.0)), period=period)
    assert "季度得分为期内各月得分的平均值。" in text(notes(said))
    assert "与上季度相比" in text(overview(said))
    assert words.title(said) == "关于2025年四季度平安指数情况的通报"


# --- the whole

score = st.floats(0, 100)
moves = st.none() | st.floats(-100, 100)


@given(st.lists(st.tuples(st.none() | score, moves, moves), min_size=1, max_size=8))
def test_whatever_the_figures_the_words_stand(units):
    """No sign in front of a number, no empty list, no doubled mark, nothing unfilled."""
    made = [
        unit(
            f"{n}号", points, change if points is not None else None, rank=n + 1 if points is not None else 0,
            moved=[moved(part, 1.0, abs(part))] if part else [],
        )
        for n, (points, change, part) in enumerate(units)
    ]  # fmt: skip
    data = facts(level(*made), level(*made[:1]))
    said = "".join(
        text(list(section.blocks)) for section in words.sections(data, "请各镇街抓好整改。") if section.blocks
    )
    assert not re.search(r"[升降高低]-|-\d|None|nan|[，。；：、]{2}|：。|、。|是[，。]|（）", said)
    assert [section.heading[1] for section in words.sections(data)] == ["、"] * len(words.sections(data))


def test_remarks_have_a_part_of_their_own_only_where_there_are_some():
    headings = [section.heading for section in words.sections(facts(), "抓好整改。\n\n按周调度。")]
    assert headings[-2:] == ["六、工作要求", "七、数据说明"]
    assert "工作要求" not in "".join(section.heading for section in words.sections(facts()))


# --- tables on sheets


@given(st.integers(1, 200), st.integers(1, 60))
def test_a_table_is_cut_into_sheets_that_lose_no_row(count, length):
    rows = tuple((str(n), "字" * (n % length + 1)) for n in range(count))
    table = Table("表", (10, 40), ("序", "名"), rows)
    parts = list(sheets.cut(table, sheets.DENSE, 300.0))
    assert tuple(row for part, _ in parts for row in part.rows) == rows
    assert all(height <= 300.0 or len(part.rows) == 1 for part, height in parts)


def test_values_say_what_is_missing_and_which_rest_on_some_months_only():
    cells = {
        "1.1.1": {"甲": [90.125, "measured", 1], "乙": [None, "missing", 3]},
        "2.1.1": {"甲": [1234.5, "entered", 0]},
    }
    data = facts(level(unit("甲"), unit("乙"), values=cells))
    (table,) = attachments(data)[2][1]
    assert table.head == ("指标", "单位", "全市", "甲镇", "乙镇")
    assert table.rows == (
        ("按期办结率", "%", "—", "90.12*", "缺"), ("群众满意率", "%", "—", "1234", "—"),
    )  # fmt: skip

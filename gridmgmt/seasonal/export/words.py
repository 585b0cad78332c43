"""The words that the three forms share: days, windows, numbers, what the list rests on and how to read it."""

import math
from collections.abc import Sequence
from datetime import date

from gridmgmt.calendar import CHINA, format_date
from gridmgmt.grids.models import LEVEL_NAMES
from gridmgmt.incidents.pool import FOLD_DAYS, FOLD_METRES
from gridmgmt.seasonal.export.handout import TOP_PLACES, Handout, Season
from gridmgmt.seasonal.models import Verdict
from gridmgmt.seasonal.stored import Item, ListRun

WHY_NOT = {
    Verdict.WEAK: "一年里有起伏，但没有哪个地方窗口内预计达到平时的 1.5 倍，或不是年年如此",
    Verdict.NO_SEASON: "一年里没有哪一段年年偏多，差别用偶然就能解释",
    Verdict.NOT_ENOUGH: "件数太少，看不出也排除不了规律，不下结论",
    Verdict.NO_MATTERS: "所用各年没有这类诉求",
    Verdict.SEASONAL: "有时令规律",
}

HOW_TO_READ = (
    ("最迟动手日", "最迟到这一天要动手；是窗口起日减去提前天数"),
    ("窗口、高峰", "历年这类诉求集中到来的日子，已按本类所循的历法换算到清单年份"),
    ("历法", "这类诉求循公历、节气还是农历：取历年互相预测最准的一种"),
    ("预计件数", "不提前处理时，窗口内预计的件数；区间从 5% 到 95%，按模型十次有九次落在其中"),
    ("平时件数", "同样多的天数，在窗口以外的日子里通常有多少件"),
    ("倍数", "窗口内每天的件数是窗口外的几倍"),
    ("把握", "由 q 值而来：q≤0.001 很有把握，q≤0.01 比较有把握，其余为有迹象；q 已按全部检验数校正"),
    ("去掉任一年仍成立", "n/m：m 个年份里，有 n 个去掉后这一条仍然成立；n=m 最稳"),
    ("提前天数", "按类别设定，或由历年学得：一季诉求来了二十分之一的那一天以前"),
    ("其余地方", "同一时令里证据最清楚的下级地方已单独列出，这一条只算剩下的地方"),
)


def day(when: date, year: int) -> str:
    """Return a day in words, with its year only when that is not the list's."""
    return f"{when.month}月{when.day}日" if when.year == year else format_date(when)


def window(item: Item) -> str:
    """Return a window in words, such as 4月5日—5月4日."""
    return f"{day(item.start_on, item.year)}—{day(item.end_on, item.year)}"


def number(matters: float) -> str:
    """Return a number of matters as people say it: whole, and not 0 where some are expected."""
    if not math.isfinite(matters):
        return "—"
    return "不到1" if 0 < matters < 0.5 else f"{matters:.0f}"


def expected(item: Item) -> str:
    """Return what is expected of an item in words, such as 18 件（11—27）."""
    return f"{number(item.expected)} 件（{item.expected_low:.0f}—{item.expected_high:.0f}）"


def level(item: Item) -> str:
    return LEVEL_NAMES.get(item.level, item.level)


def lead_source(item: Item) -> str:
    return "由历年学得" if item.lead_learnt else "按类别设定"


def places(season: Season, most: int = TOP_PLACES) -> str:
    """Return the places of a season where most is expected, in words."""
    named = "、".join(f"{item.area_name} {number(item.expected)} 件" for item in season.items[:most])
    return named + (f"，等 {len(season.items)} 处" if len(season.items) > most else "")


def facts(handout: Handout) -> list[tuple[str, str]]:
    """Return what a list is of and what it rests on, as pairs of a name and a sentence."""
    rows = [("范围", handout.title)]
    if handout.chosen:
        rows.append(("筛选", handout.chosen))
    rows.append(("事项", _items(handout)))
    if handout.run:
        rows += _run(handout.run, whole=not handout.area)
    return [*rows, ("导出", handout.signature)]


def _items(handout: Handout) -> str:
    if not handout.kept:
        return nothing(handout)
    beyond = f"；另有 {len(handout.cut)} 项超出承载，单独列出" if handout.cut else ""
    matters = number(sum(item.expected for item in handout.kept))
    return f"{len(handout.kept)} 项，不提前处理预计共 {matters} 件{beyond}"


def _run(run: ListRun, *, whole: bool) -> list[tuple[str, str]]:
    folded = f"{FOLD_METRES:.0f} 米、{FOLD_DAYS} 天内同类重复的合并为一个问题"
    if whole and run.told:  # how much the whole city told is not for those who see a part of it
        folded = f"共 {run.told:,} 件；{folded}，合并后 {run.problems:,} 个"
    return [
        ("依据", f"{format_date(run.start)}至{format_date(run.end)}的全市诉求，{folded}"),
        ("承载", f"每个地方每旬最多列 {run.capacity} 项，超出的另列，不删除"),
        ("生成", f"{run.built_at.astimezone(CHINA):%Y-%m-%d %H:%M}（第 {run.id} 次分析）"),
    ]


def nothing(handout: Handout) -> str:
    """Return why a list holds nothing to be done, and what to do now."""
    if handout.cut:
        return f"{len(handout.cut)} 项都超出承载，单独列出"
    if handout.chosen:
        return "按所选条件没有事项；请放宽筛选条件后再导出"
    if handout.run is None:
        return f"还没有 {handout.year} 年的清单；请管理员先生成清单"
    return "没有列入清单的事项：这里的各类诉求没有显著的时令规律，或数量不足"


METHOD: Sequence[str] = (
    "50 米以内、14 天之内的同类诉求算一个问题，以下都按问题计数。",
    "每类分别按公历三十六旬、二十四节气、以春节为原点的农历旬计数，取历年互相预测最准的历法；都测不准的不列。",
    "用环形扫描找集中到来的窗口，显著性由随机重排得出，并按所有地方和类别的检验总数校正（q≤0.05 才列入）。",
    "每一条列到证据能支持的最细一级：网格、村社区、镇街；上级只算下级没有说明的部分。",
    "预计件数由分层模型得出：全市时令、镇街时令与本地方多年水平按证据多少合成，近年分量更重。",
    "各年诉求一律按今天的网格边界归位。清单只用时间、地点和类别，不含诉求人。",
)

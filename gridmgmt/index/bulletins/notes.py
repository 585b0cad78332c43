"""Talks and supervision, and where the figures come from: the last parts of a bulletin."""

from collections import Counter
from collections.abc import Sequence
from datetime import date

from gridmgmt.index.bulletins.blocks import FILLED, STATUS, Block, Facts, by_code, day, span_of
from gridmgmt.index.periods import SPAN_NAMES, Span
from gridmgmt.index.tree import Level

# --- 约谈和挂牌督办


def talks(data: Facts) -> list[Block]:
    """Say who was called to a talk, who is under listed supervision, and what was lifted."""
    called, lifted = data["talks"]["called"], data["talks"]["lifted"]
    said = [
        _called([each for each in called if each["kind"] == "talk"], "约谈"),
        _called([each for each in called if each["kind"] == "supervision"], "挂牌督办"),
        _lifted(lifted),
    ]
    told: list[Block] = [each for each in said if each]
    return told or ["本期没有约谈和挂牌督办，也没有解除的事项。"]


def _called(listed: Sequence[Facts], word: str) -> str:
    if not listed:
        return ""
    told = [f"{each['name']}，{each['reason'].rstrip('。')}{_due(each)}" for each in listed]
    return f"本期{word}{len(listed)}家：{'；'.join(told)}。"


def _due(each: Facts) -> str:
    return f"，限{day(date.fromisoformat(each['due_on']))}前整改到位" if each["due_on"] else ""


def _lifted(listed: Sequence[Facts]) -> str:
    told = [f"{each['name']}（{'挂牌督办' if each['kind'] == 'supervision' else '约谈'}）" for each in listed]
    return f"经整改验收，解除{len(told)}家：{'、'.join(told)}。" if told else ""


# --- 数据说明


def notes(data: Facts) -> list[Block]:
    """Say by which tree the scores are, where values come from, what is missing and how it was filled."""
    first, second, third = data["tree"]["counts"]
    tree = (
        f"本期按{data['tree']['name']}（第{data['tree']['id']}版）计算，设一级指标{first}项、"
        f"二级指标{second}项、三级指标{third}项。"
    )
    span = span_of(data)
    if span is not Span.MONTH:
        tree += f"{SPAN_NAMES[span]}得分为期内各月得分的平均值。"
    method = (
        "名次区间是各项权重在上下25%内变动、试算1000次时，九成试算所在的名次；"
        "区间重叠而分不出先后的单位，一并列出。"
    )
    return [tree + method + _season(data), _sources(data), *_missing(data)]


def _season(data: Facts) -> str:
    why = data["levels"][Level.TOWN]["season"]["why"]
    return f"{why}。" if why else ""


def _sources(data: Facts) -> str:
    counts: Counter[str] = Counter()
    for level in Level:
        found = data["levels"][level]
        counts["missing"] += len(found["gaps"])
        for cells in found["values"].values():
            for _, status, missing in cells.values():
                if status != "missing":
                    counts[status] += len(data["period"]["months"]) - missing
    whole = sum(counts.values())
    if not whole:
        return "本期没有应报数据。"
    told = [f"{STATUS[status]}{counts[status]}个" for status in ("measured", "entered") if counts[status]]
    lacking = f"缺{counts['missing']}个" if counts["missing"] else "没有缺项"
    return f"本期应有数据{whole}个，其中{'、'.join([*told, lacking])}。"


def _missing(data: Facts) -> list[Block]:
    gaps = [gap for level in Level for gap in data["levels"][level]["gaps"]]
    if not gaps:
        return []
    how = Counter(gap[3] for gap in gaps)
    filled = "、".join(f"{words}{how[name]}个" for name, words in FILLED.items() if how[name])
    return [f"缺项{filled}。{lacking(data)}缺项见附件3。"]


def lacking(data: Facts) -> str:
    """Say which departments did not send in how much, and how much the system had too little for."""
    indicators = by_code(data["indicators"])
    gaps = [gap for level in Level for gap in data["levels"][level]["gaps"]]
    # What only an older version of the tree has belongs to nobody any more.
    of = [indicators[gap[1]]["department"] or "" for gap in gaps if gap[1] in indicators]
    by = Counter(of)
    owing = sorted((name for name in by if name), key=lambda name: (-by[name], name))
    said = ""
    if owing:
        said += f"未填报的部门：{'、'.join(f'{name}（{by[name]}个）' for name in owing)}。"
    if by[""]:
        said += f"系统测算中基数不足的{by['']}个。"
    return said

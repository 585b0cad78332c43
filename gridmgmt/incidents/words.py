"""Words that files use for our codes: ledgers, states, satisfaction. Said once, here."""

from gridmgmt.incidents.terms import LEDGER_NAMES, STATUS_NAMES, TIER_NAMES, Ledger, Status, Tier

LEDGER_WORDS = {each.value: each for each in Ledger} | {name: each for each, name in LEDGER_NAMES.items()}

STATUS_WORDS = {
    **{each.value: each for each in Status},
    **{name: each for each, name in STATUS_NAMES.items()},
    **dict.fromkeys(("未办结", "处理中", "在办", "待办", "待受理", "已受理", "已交办"), Status.OPEN),
    **dict.fromkeys(("办结", "已完成", "完结", "已完结", "已归档", "已销号", "已关闭"), Status.CLOSED),
}

# Where a matter is handled; an import keeps the file's word, and figures read it through this.
TIER_WORDS = {
    **{each.value: each for each in Tier},
    **{name: each for each, name in TIER_NAMES.items()},
    **dict.fromkeys(("村", "社区", "村级", "村社区级", "网格", "网格级"), Tier.VILLAGE),
    **dict.fromkeys(("镇", "乡", "街道", "乡镇", "镇级", "镇街级", "乡镇级"), Tier.TOWN),
    **dict.fromkeys(("市", "县", "县级", "区级", "市直", "部门"), Tier.CITY),
}

# 1 worst to 5 best; a return visit that was not made or not answered gives nothing.
SATISFACTION_WORDS = {
    **{str(score): score for score in range(1, 6)},
    "非常满意": 5,
    "满意": 4,
    "基本满意": 3,
    "一般": 3,
    "不满意": 2,
    "非常不满意": 1,
}
NO_ANSWER = ("", "未评价", "未回访", "无法联系", "无")

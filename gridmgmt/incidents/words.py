"""Words that files use for our codes: ledgers, states, satisfaction. Said once, here."""

from gridmgmt.incidents.models import LEDGER_NAMES, STATUS_NAMES, Ledger, Status

LEDGER_WORDS = {each.value: each for each in Ledger} | {name: each for each, name in LEDGER_NAMES.items()}

STATUS_WORDS = {
    **{each.value: each for each in Status},
    **{name: each for each, name in STATUS_NAMES.items()},
    **dict.fromkeys(("未办结", "处理中", "在办", "待办", "待受理", "已受理", "已交办"), Status.OPEN),
    **dict.fromkeys(("办结", "已完成", "完结", "已完结", "已归档", "已销号", "已关闭"), Status.CLOSED),
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

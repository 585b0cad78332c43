"""What can be done with a matter, each with the word that its history shows."""

from enum import StrEnum


class Act(StrEnum):
    """One kind of step in the history of a matter."""

    TAKE_IN = "take_in"
    MOVE = "move"
    HAND = "hand"
    ACCEPT = "accept"
    REFUSE = "refuse"
    ANSWER = "answer"
    STRIKE_OFF = "strike_off"
    RETURN = "return"
    WITHDRAW = "withdraw"
    RAISE = "raise"
    LOWER = "lower"
    SUPERVISE = "supervise"
    ESCALATE = "escalate"
    EXTEND = "extend"
    SUSPEND = "suspend"
    RESUME = "resume"
    LINK = "link"
    CORRECT = "correct"
    NOTE = "note"
    VISIT = "visit"
    REOPEN = "reopen"
    MEDIATE = "mediate"
    DELIBERATE = "deliberate"
    PAPER = "paper"
    ATTACH = "attach"
    PARTY = "party"


ACT_NAMES = {
    Act.TAKE_IN: "登记", Act.MOVE: "流转", Act.HAND: "交办", Act.ACCEPT: "签收", Act.REFUSE: "退回",
    Act.ANSWER: "反馈", Act.STRIKE_OFF: "验收销账", Act.RETURN: "验收未过", Act.WITHDRAW: "收回",
    Act.RAISE: "上报", Act.LOWER: "下派", Act.SUPERVISE: "督办", Act.ESCALATE: "自动督办",
    Act.EXTEND: "延期", Act.SUSPEND: "暂停", Act.RESUME: "恢复", Act.LINK: "并案", Act.CORRECT: "更正",
    Act.NOTE: "批注", Act.VISIT: "回访", Act.REOPEN: "重办", Act.MEDIATE: "调解", Act.DELIBERATE: "民议",
    Act.PAPER: "出具文书", Act.ATTACH: "附件", Act.PARTY: "当事人",
}  # fmt: skip

"""What a line of the audit log says, in Chinese."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from itertools import chain

from gridmgmt.households.changes.models import KIND_NAMES
from gridmgmt.households.reading import reveal
from gridmgmt.households.rights import exports
from gridmgmt.households.rights.erase import WHY_NAMES
from gridmgmt.households.rights.subject import ASKED_BY
from gridmgmt.households.visits.criteria import Criteria
from gridmgmt.households.visits.models import PURPOSE_NAMES

Words = Mapping[str, str]


def _together(*words: Mapping[object, str]) -> Words:
    return {str(key): name for key, name in chain(*(each.items() for each in words))}


PURPOSES = _together(PURPOSE_NAMES, exports.PURPOSES, reveal.PURPOSES, ASKED_BY)  # type: ignore[arg-type]
# The words of `detail`; what is not here is shown as it stands.
KEYS = {
    "account": "账号", "accounts": "账号", "active": "启用", "provider": "统一身份", "role": "角色",
    "unlocked": "解锁", "recovery": "恢复码",
    "alone_from": "独居年龄起", "applied": "当场生效", "approve": "同意", "areas": "地方", "by": "按",
    "care": "关爱", "change": "申请", "columns": "列", "dwelling": "房屋", "field": "项目", "fields": "项目",
    "flags": "房屋情况", "from": "从", "hits": "找到", "kind": "事由", "of": "范围", "on": "日期",
    "preview": "预览", "request": "申请", "restricted": "限制", "review": "核对", "round": "走访",
    "rows": "行数", "status": "结果", "stop": "走访户", "to": "到", "waiting": "待换",
    "why": "原因", "withdrawn": "撤回",
}  # fmt: skip
_FIELDS = {
    "identity": "证件号码", "phone": "电话", "note": "走访记录", "name": "姓名", "birth_on": "出生日期",
    "sex": "性别", "words": "姓名或地址", "done": "已办", "not_done": "没有办成", "low_lying": "低洼",
    "dilapidated": "危旧", "self_built": "自建",
}  # fmt: skip
VALUES = _together(KIND_NAMES, WHY_NAMES, _FIELDS)  # type: ignore[arg-type]


def told(detail: object) -> str:
    """Return the details of a line in words.

    >>> told({"field": "phone", "fields": ["name", "x"], "approve": True, "areas": [], "n": 1})
    '同意 是；项目 电话；项目 姓名、x；n 1'
    """
    if isinstance(detail, dict) and detail.keys() == asdict(Criteria()).keys():
        with suppress(KeyError, ValueError):  # a category that there was when the line was written
            return Criteria.of(detail).words
    if isinstance(detail, dict):
        return "；".join(
            f"{KEYS.get(key, key)} {told(said)}" for key, said in sorted(detail.items()) if _says(said)
        )
    if isinstance(detail, list):
        return "、".join(map(told, detail))
    if isinstance(detail, bool):
        return "是" if detail else "否"
    return VALUES.get(str(detail), str(detail))


def _says(value: object) -> bool:
    return value is not None and value != []

"""Writes lines of the audit log and says whether the log is whole."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

# What a line may say that was done.
NAMES = {
    "roster.grid": "查看网格住户", "roster.search": "查找住户", "household.view": "查看一户",
    "person.reveal": "查看隐去的内容", "change.ask": "申请变更", "change.decide": "审批变更",
    "change.list": "查看变更申请", "review.list": "查看疑似重复", "review.decide": "处理疑似重复",
    "visit.record": "记录走访", "visit.list": "查看走访记录", "survey.begin": "开始入户核查",
    "round.begin": "发起提醒走访", "round.view": "查看提醒走访", "round.report": "登记提醒结果",
    "export.ask": "申请导出", "export.decide": "审批导出", "export.fetch": "下载导出文件",
    "person.copy": "提供本人信息副本", "person.correct": "更正本人信息", "person.restrict": "限制使用",
    "person.erase": "删除本人信息", "person.access": "查询谁看过本人信息", "roster.retention": "到期清理",
    "keys.rotate": "更换密钥", "import.roster": "导入名册",
    "party.add": "登记当事人", "party.reveal": "查看当事人", "party.erase": "删除当事人",
    "account.create": "新建账号", "account.change": "修改账号", "account.password": "重设密码",
    "account.sessions": "结束登录", "account.factor": "两步验证", "account.recovery": "用恢复码验证",
    "account.confirm": "确认管理员账号", "key.change": "接口与推送", "code.change": "修改码表",
    "import.ask": "上传文件导入", "job.ask": "发起后台工作", "job.stop": "停止后台工作",
    "analysis.ask": "发起分析",
    "mediation.write": "记录调解", "mediation.read": "查看调解记录", "paper.make": "出具文书",
}  # fmt: skip
FAULT_NAMES = {
    "changed": "内容被改动", "missing before": "之前缺了记录", "missing at the end": "末尾缺了记录",
    "beyond the head": "多出的记录", "not as known": "与留存的校验码不符",
}  # fmt: skip


@dataclass(frozen=True)
class Verified:
    """How many lines there are, the last line's number and hash, and every line that is not what it was."""

    lines: int
    last: int
    head: str
    faults: tuple[tuple[int, str], ...]


def record(
    connection: Connection,
    what: str,
    *,
    area: str = "",
    households: Collection[int] = (),
    person_id: int | None = None,
    purpose: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> int:
    """Write the line of one reading or writing in its own transaction, and return the line's number.

    Nothing personal may stand in it: it names fields, households and people by number, never what was looked
    for or found. A write calls this first, a reading last, since the next line waits for this one's
    transaction. Who acts is what `db.engine.acting` was told.
    """
    row = connection.execute(
        text("SELECT audit(:what, :area, :households, :person, :purpose, CAST(:detail AS jsonb))"),
        {
            "what": what,
            "area": area,
            "households": sorted(set(households)),
            "person": person_id,
            "purpose": purpose,
            "detail": json.dumps(dict(detail or {}), ensure_ascii=False),
        },
    )
    return int(row.scalar_one())


def verify(connection: Connection, known: tuple[int, str] | None = None) -> Verified:
    """Return how the log stands: faults name each line that was changed, or before which some are missing.

    Whoever owns the database could write the whole chain anew. `known`, a line's number and the hash that
    was noted elsewhere, finds that too.
    """
    last, head = connection.execute(text("SELECT id, encode(hash, 'hex') FROM audit_head")).one()
    lines = connection.execute(text("SELECT count(*) FROM audit_log")).scalar_one()
    found = connection.execute(text("SELECT line, fault FROM audit_faults() ORDER BY 1")).all()
    faults = [(int(line), str(fault)) for line, fault in found]
    if known and _hash(connection, known[0]) != known[1]:
        faults.append((known[0], "not as known"))
    return Verified(int(lines), int(last), str(head), tuple(faults))


def _hash(connection: Connection, line: int) -> str | None:
    found = connection.execute(text("SELECT encode(hash, 'hex') FROM audit_log WHERE id = :id"), {"id": line})
    return found.scalar_one_or_none()

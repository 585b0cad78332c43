"""What does not fit, in the words of the pages of changes.

An error's own text may hold what was typed, so it is never shown.
"""

from gridmgmt.errors import ConflictError, GridmgmtError, InputError
from gridmgmt.households.changes.models import Kind
from gridmgmt.households.changes.planning import NumberTakenError

# What each kind is, in a word on its tile.
TILES = {
    Kind.CORRECT: "电话、姓名、号码写错了", Kind.BIRTH: "家里添了孩子", Kind.DEATH: "有人去世",
    Kind.MOVE_IN: "有人搬来", Kind.MOVE_OUT: "有人或全家搬走", Kind.SPLIT: "一户分成两户",
    Kind.MERGE: "并到另一户", Kind.HEAD: "换一个户主", Kind.CARE: "独居老人、残疾人等",
    Kind.CARE_END: "不再需要关爱",
}  # fmt: skip
REFUSED = {
    "on_date": "日期不对：不能晚于今天，也不能早于入住（或上一次变动）的日期。",
    "name": "请填姓名，不带数字，不超过 40 个字。",
    "identity_number": "身份证号不对：请照证件核对 18 位号码和出生日期。",
    "phone": "电话不对：请填 11 位手机号，或带区号的座机，如 0635-8123456。",
    "relation": "与户主关系不对：一户只有一个户主，换户主请用“变更户主”。",
    "birth_on": "出生日期不对；有身份证号的，以号码为准。",
    "new_head": "户主要离开，请在留下的人里选一个新户主。",
    "head": "请在分出去的人里选新户的户主。",
    "people": "请选要变动的人；分户时至少留下一个人。",
    "person_id": "这个人已不在这一户。",
    "building": "没有找到这栋楼，请照名册上的地址填写。",
    "door": "这栋楼没有这个门牌。",
    "to_dwelling": "请选另一个住处；只搬走一部分人到本镇别处，请用“分户”。",
    "into": "请选要并入的那一户。",
    "category": "请选关爱类别。",
    "basis": "请写依据，如残疾人证、入户核实。",
    "expires": "到期日期应在今天之后、五年之内。",
    "care_id": "请选要结束的关爱。",
    "reason": "说明里请不要写身份证号或电话，不超过 200 字。",
    "note": "退回时请写明原因，不超过 200 字，不要写身份证号或电话。",
    "household_id": "这一户没有在住人员。",
    "values": "没有要更正的内容。",
    "kind": "请选一种变动。",
}
NO_LONGER = {
    "name": "姓名", "relation": "与户主关系", "birth_on": "出生日期", "registered_here": "户籍",
    "identity_number": "身份证号", "head": "户主", "into_head": "对方户主", "people": "家里的人",
    "person_id": "这个人", "is_empty": "住处的情况",
}  # fmt: skip


NOT_REVIEWED = {
    "decision": "这个人登记在别的镇街，只能选“已搬来”或“另一个人”。",
    "new_head": "这个人现在是一户的户主，请先在那一户变更户主。",
    "dwelling": "名册里还没有这个住处，请先导入楼栋和门牌。",
    "person_id": "这个人已在这一户，或已不能迁来。",
}


def in_words(why: GridmgmtError) -> str:
    """Return what does not fit, in words of the form."""
    if isinstance(why, NumberTakenError):
        if why.is_dead:
            return "这个身份证号登记的人已去世，请核对号码。"
        return "这个身份证号已登记在" + ("本辖区另一户。" if why.household_id else "别处，请先请那里办迁出。")
    cause = why.__cause__ if isinstance(why, ConflictError) else why
    if isinstance(why, ConflictError) and isinstance(cause, InputError) and cause.field in NO_LONGER:
        return f"{NO_LONGER[cause.field]}在报上来以后变了，请重新核对。"
    if isinstance(cause, InputError):
        return REFUSED.get(cause.field, "有一项填写不对，请核对。")
    return "别人刚刚改过或已经办过，请刷新再看。"


def not_reviewed(why: ConflictError) -> str:
    """Return why a doubtful row could not be decided so."""
    cause = why.__cause__
    field = cause.field if isinstance(cause, InputError) else ""
    return NOT_REVIEWED.get(field, in_words(why))

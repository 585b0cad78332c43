"""The Chinese words of changes, once."""

from gridmgmt.households.changes.models import IMPORTED, KIND_NAMES, ChangeStatus, Double, ReviewStatus
from gridmgmt.households.models import CARE_NAMES, RELATION_NAMES, TENURE_NAMES, Relation

STATUS_NAMES = {
    ChangeStatus.OPEN: "待审批", ChangeStatus.APPROVED: "已同意", ChangeStatus.REFUSED: "已退回",
    ChangeStatus.WITHDRAWN: "已撤回",
}  # fmt: skip
EVENT_NAMES = {**{str(kind): name for kind, name in KIND_NAMES.items()}, IMPORTED: "导入"}
DOUBLE_NAMES = {
    Double.SAME_IDENTITY: "身份证号相同", Double.SAME_PERSON: "姓名、生日和住处相同",
    Double.SAME_PHONE: "电话相同",
}  # fmt: skip
REVIEW_NAMES = {
    ReviewStatus.OPEN: "待核对", ReviewStatus.SAME: "同一人", ReviewStatus.MOVED: "同一人，已搬来",
    ReviewStatus.OTHER: "另一个人", ReviewStatus.DROPPED: "不收这一行",
}  # fmt: skip
FIELD_NAMES = {
    "name": "姓名", "identity_number": "身份证号", "identity": "身份证号", "phone": "电话", "sex": "性别",
    "birth_on": "出生日期", "relation": "与户主关系", "registered_here": "户籍", "new_head": "新户主",
    "head": "新户户主", "people": "人员", "to_dwelling": "迁往", "into": "并入", "category": "类别",
    "basis": "依据", "expires": "到期", "valid_from": "开始", "valid_to": "结束", "ended_on": "结束",
    "left_on": "离开日期", "left_why": "离开原因", "household_id": "所在户", "dwelling_id": "住处",
    "registered_dwelling_id": "户籍", "restricted_on": "限制处理", "persons": "人数", "tenure": "居住",
}  # fmt: skip
# What a form lets one choose from.
CHOICES = {
    "relations": {word: name for word, name in RELATION_NAMES.items() if word is not Relation.HEAD},
    "all_relations": RELATION_NAMES,
    "tenures": TENURE_NAMES,
    "cares": CARE_NAMES,
}
NOTHING, NEW, AWAY, HERE, ELSEWHERE = "（无）", "（新增）", "迁往别处", "本住址", "别处"
CHANGED = "有更正"

"""Columns and words of a roster file: what they are called, and what their cells may say."""

from collections.abc import Mapping
from typing import Any

from gridmgmt.households.models import CARE_NAMES, TENURE_NAMES, Care, Relation, Tenure

HOME_FIELDS = (
    "building_code", "building_address", "building_lon", "building_lat", "building_flags", "dwelling",
    "household_code",
)  # fmt: skip
PERSON_FIELDS = (
    "relation", "name", "identity_number", "birth_on", "phone", "tenure", "registered_here", "since", "care",
    "care_basis", "care_expires",
)  # fmt: skip
VERIFIED_FIELDS = ("verified_on", "verified_by")
KNOWN = HOME_FIELDS + PERSON_FIELDS + VERIFIED_FIELDS
# A building is named by its code, or by an address that is known already and may hold the door too.
REQUIRED = (("building_code", "building_address"), ("dwelling", "building_address"))
PERSONAL = ("name", "identity_number", "phone", "birth_on")
# Columns kept in clear, in which a stray identity number would be kept in clear as well.
CLEAR = (
    "building_code", "building_address", "dwelling", "household_code", "name", "relation", "care_basis",
    "verified_by",
)  # fmt: skip
ALIASES = {
    "building_code": ("楼栋编码", "建筑编码", "楼栋编号"),
    "building_address": ("楼栋地址", "建筑地址", "地址", "现住址", "居住地址", "住址", "详细地址"),
    "building_lon": ("楼栋经度", "经度"),
    "building_lat": ("楼栋纬度", "纬度"),
    "building_flags": ("楼栋标记", "建筑标记"),
    "dwelling": ("房号", "门牌", "户室号", "房间号"),
    "household_code": ("户编号", "户号", "家庭编号"),
    "relation": ("与户主关系", "家庭关系", "关系"),
    "name": ("姓名", "居民姓名"),
    "identity_number": ("身份证号", "身份证号码", "公民身份号码", "证件号码", "身份证"),
    "birth_on": ("出生日期", "出生年月日"),
    "phone": ("联系电话", "电话", "手机号", "手机号码", "手机", "联系方式"),
    "tenure": ("居住性质", "居住方式", "房屋使用"),
    "registered_here": ("户籍在此", "户口在此", "是否户籍人口"),
    "since": ("入住日期", "居住起始日期", "入住时间"),
    "care": ("关爱类别", "关爱对象", "帮扶类别"),
    "care_basis": ("关爱依据", "认定依据"),
    "care_expires": ("关爱到期", "到期日期", "有效期至"),
    "verified_on": ("核实日期", "走访日期", "登记日期"),
    "verified_by": ("核实人", "走访人", "登记人"),
}
FLAGS = {
    "low_lying": ("low_lying", "低洼"),
    "dilapidated": ("dilapidated", "危旧", "危旧房", "危房"),
    "self_built": ("self_built", "自建", "自建房"),
}
RELATIONS = {
    Relation.HEAD: ("户主", "本人", "户主本人"),
    Relation.SPOUSE: ("配偶", "夫", "妻", "丈夫", "妻子", "爱人", "夫妻"),
    Relation.CHILD: (
        "子女", "子", "女", "儿子", "女儿", "独生子", "独生女", "长子", "次子", "三子", "长女", "次女",
        "三女", "养子", "养女", "继子", "继女",
    ),
    Relation.PARENT: (
        "父母", "父", "母", "父亲", "母亲", "公公", "婆婆", "岳父", "岳母", "养父", "养母", "继父", "继母",
    ),
    Relation.OTHER: ("其他", "其它"),
}  # fmt: skip
# The first digit of the two of GB/T 4761: 0 head, 1 spouse, 2 son, 3 daughter, 5 parents.
RELATION_DIGITS = {
    "0": Relation.HEAD, "1": Relation.SPOUSE, "2": Relation.CHILD, "3": Relation.CHILD, "4": Relation.OTHER,
    "5": Relation.PARENT, "6": Relation.OTHER, "7": Relation.OTHER, "8": Relation.OTHER,
    "9": Relation.OTHER,
}  # fmt: skip
TENURES = {
    Tenure.OWNER: ("自住", "产权", "业主", "房主", "自有住房"),
    Tenure.TENANT: ("租户", "租赁", "承租", "租房", "出租"),
    Tenure.FAMILY: ("家属", "家人", "随迁"),
    Tenure.OTHER: ("借住", "其它"),
}
CARES = {
    Care.ELDERLY_ALONE: ("独居", "孤寡老人", "空巢老人"),
    Care.DISABLED: ("残疾",),
    Care.LEFT_BEHIND: ("留守", "留守儿童"),
    Care.SUPPORT: ("帮扶", "低保", "困难家庭", "特困"),
}
YES_NO = {True: ("是", "yes", "true", "y", "1", "有"), False: ("否", "no", "false", "n", "0", "无")}


def _words(*tables: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what each word means; the value itself and its Chinese name are words for it too."""
    known: dict[str, Any] = {}
    for table in tables:
        for meaning, spelled in table.items():
            for word in (str(meaning), *((spelled,) if isinstance(spelled, str) else spelled)):
                known[word] = meaning
    return known


RELATION_WORDS = _words(RELATIONS)
TENURE_WORDS = _words(TENURES, TENURE_NAMES)
CARE_WORDS = _words(CARES, CARE_NAMES)
FLAG_WORDS = _words(FLAGS)
YES_NO_WORDS = {word: value for value, words in YES_NO.items() for word in words}
DEFAULT_BASIS = "导入名册"

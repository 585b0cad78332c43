"""Why rows were rejected, in Chinese: importers say it in English, for whoever mends a file on the server."""

import re

FIELDS = {
    "external_id": "编号", "occurred_at": "发生时间", "reported_at": "登记时间", "closed_at": "办结时间",
    "due_at": "办理期限", "category": "类别", "channel": "渠道", "ledger": "台账", "status": "状态",
    "satisfaction": "满意度", "lon/lat": "经纬度", "lon": "经度", "lat": "纬度", "name": "名称",
    "code": "代码",
    "parent": "上级", "department": "部门", "days": "办理天数", "open": "是否公开", "village": "村社区",
    "geometry": "图形", "grid": "网格", "from": "起始日期", "to": "结束日期", "valid_from": "启用日期",
    "valid_to": "停用日期", "employment": "专兼职", "education": "学历", "birth_year": "出生年",
    "role": "职务",
    "layer": "图层", "area": "区域", "panel": "调委会", "specialities": "专长", "done_on": "办理日期",
    "year": "年份", "fields": "整行", "text": "整行", "household_code": "住户编号",
    "building_code": "房屋编号",
    "identity_number": "证件号码", "phone": "电话",
}  # fmt: skip
# What is allowed, by how it begins; \1 stands for what was caught.
_ALLOWED = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"an id once in a file; .*", "编号在一个文件里只能出现一次，前面的行已有"),
        (r"an id$", "要有编号"),
        (r"a (?:code|name) once in a file.*", "在一个文件里只能出现一次"),
        (r"once in a file; .*", "在一个文件里只能出现一次，前面的行已有"),
        (r"a category's code or name", "要有类别的代码或名称"),
        (r"the code or name of a category that is loaded", "要是码表里的类别（代码或名称）"),
        (r"the code or name of a channel that is loaded", "要是码表里的渠道（代码或名称）"),
        (r"a name that stands once; give the code: (.*)", r"这个名称不止一个，请写代码：\1"),
        (r"a day not after today.*", "不能晚于今天"),
        (r"a day from (\S+) on.*", r"不能早于 \1"),
        (r"a time not before the matter arose", "不能早于发生时间"),
        (r"a date or time such as .*", "日期或时间，例如 2023-05-01 08:30、2023年5月1日"),
        (r"a time written as (.*)", r"时间要写成 \1"),
        (r"a number such as .*", "要是数字，例如 114.0321"),
        (r"both numbers, or neither", "经纬度两个都填，或都不填"),
        (r"a place; leave both empty .*", "要是真实的位置；不知道就都不填"),
        (r".* first, then .*: these two are exchanged", "经度和纬度写反了"),
        (r"a place within .*", "要在所选坐标系的范围内"),
        (r"the code of a grid that is imported", "要是已导入的网格的代码"),
        (r"as row (\d+|another row) says of the same worker", "和同一个人在前面的行里写的不一样"),
        (r"as another row says of the same worker", "和同一个人在前面的行里写的不一样"),
        (r"the code or name of a 大类 .*", "要是大类的代码或名称"),
        (r"a division of this file or one imported before", "要是本文件里的或已导入的区划"),
        (r"a point, a line or an area", "要是点、线或面"),
        (r"a name without //", "名称里不能有 //"),
        (r"Polygon or MultiPolygon", "要是面"),
        (r"(\d+) fields as in the header", r"要和表头一样是 \1 列"),
        (r"working days, 1 to 365, or nothing", "1 至 365 个工作日，或不填"),
        (r"a name$", "要有名称"),
    )
)


def field(name: str) -> str:
    """Return what a field is called on a page; a column of the file keeps its own name.

    >>> field("occurred_at"), field("自己的列")
    ('发生时间', '自己的列')
    """
    return FIELDS.get(name, name)


def allowed(words: str) -> str:
    """Return what is allowed, in Chinese; what is not known here stays as the importer says it.

    >>> allowed("a day from 2000-01-01 on; and so on"), allowed("something rare")
    ('不能早于 2000-01-01', 'something rare')
    """
    for pattern, said in _ALLOWED:
        found = pattern.fullmatch(words)
        if found:
            return found.expand(said)
    return words

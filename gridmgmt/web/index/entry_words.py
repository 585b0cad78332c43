"""What a person reads of a file that was not taken: what is wrong at a place, and what to do about it."""

from gridmgmt.errors import FileError
from gridmgmt.index.entries.faults import Fault, Wrong
from gridmgmt.index.entries.sheets import LARGEST_FILE

WRONG_NAMES = {
    Wrong.NO_FORM: "不是本系统的填报表", Wrong.MONTH: "月份不对", Wrong.OTHER_MONTH: "是另一个月的表",
    Wrong.ISSUED: "这个月已发布", Wrong.OLD_TREE: "是旧版指标体系的表", Wrong.OTHERS: "是别的部门的表",
    Wrong.NO_HEADER: "没有指标代码这一行", Wrong.NO_UNITS: "没有可读的行",
    Wrong.NO_CODE: "这一列没有指标代码", Wrong.UNKNOWN_INDICATOR: "没有这个指标",
    Wrong.DOUBLED_INDICATOR: "指标出现两次", Wrong.OTHERS_INDICATOR: "是别的部门的指标",
    Wrong.MEASURED: "由系统测得，不用填", Wrong.LEVEL: "这个指标不问这些单位",
    Wrong.UNKNOWN_UNIT: "没有这个单位", Wrong.DOUBLED_UNIT: "单位出现两次",
    Wrong.TWO_UNITS: "代码和名称不是一个单位", Wrong.TEXT: "不是数字", Wrong.ERROR: "公式出错",
    Wrong.DATE: "是日期，不是数字", Wrong.SHARE: "填了百分比", Wrong.BOUNDS: "超出允许范围",
    Wrong.MERGED: "合并单元格", Wrong.DOUBLED: "同一个数给了两次", Wrong.FIELDS: "列数和表头不一样",
}  # fmt: skip
# What to do; {allowed} is what the fault says is allowed.
ADVICE = {
    Wrong.NO_FORM: "请下载模板，填在模板里再传", Wrong.MONTH: "写成 2026-03；不能晚于本月",
    Wrong.OTHER_MONTH: "这里要的是 {allowed}", Wrong.ISSUED: "已发布的月份不能再改",
    Wrong.OLD_TREE: "请重新下载模板，现行的是第 {allowed} 版", Wrong.OTHERS: "请用本部门的模板",
    Wrong.NO_HEADER: "请用模板，不要删去表头", Wrong.NO_UNITS: "请用模板，不要删去代码和名称",
    Wrong.NO_CODE: "请删去这一列，或放到表外",
    Wrong.UNKNOWN_INDICATOR: "请删去这一列，或照模板改回代码", Wrong.DOUBLED_INDICATOR: "请只留一列",
    Wrong.OTHERS_INDICATOR: "由{allowed}填报，请删去", Wrong.MEASURED: "请删去这一列",
    Wrong.LEVEL: "请删去这一列", Wrong.UNKNOWN_UNIT: "请照模板改回代码和名称",
    Wrong.DOUBLED_UNIT: "请只留一行", Wrong.TWO_UNITS: "可能只排了一列的序，请照模板改回",
    Wrong.TEXT: "应为 {allowed}", Wrong.ERROR: "请改成数字：{allowed}", Wrong.DATE: "应为 {allowed}",
    Wrong.SHARE: "应为 {allowed}", Wrong.BOUNDS: "应为 {allowed}", Wrong.MERGED: "请取消合并，每格各填",
    Wrong.DOUBLED: "已在 {allowed}，请只留一处",
    Wrong.FIELDS: "请检查这一行的逗号和引号",
}  # fmt: skip
FILE_WORDS = {
    "file type": "请传 XLSX 或 CSV 文件。带宏的、加密的和旧格式的，请另存为 XLSX。",
    "macros": "文件里有宏，请另存为不带宏的 XLSX。",
    "size": f"文件太大，至多 {LARGEST_FILE >> 20} MB；请用本系统的模板。",
    "spreadsheet": "文件打不开或已损坏，请重新另存为 XLSX。",
}
NO_TABLE = "读不出这个文件。填报表请用模板；多个月的 CSV 第一行是：指标,单位,月份,值。"


def advice(fault: Fault) -> str:
    """Return what to do about a fault."""
    return ADVICE[fault.wrong].format(allowed=fault.allowed or "—")


def refusal(why: FileError) -> str:
    """Return what is said of a file that could not be read as a whole."""
    return FILE_WORDS.get(why.field, NO_TABLE)

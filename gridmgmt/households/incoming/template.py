"""The empty roster that an office fills in."""

from pathlib import Path

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError

from gridmgmt.errors import FileError
from gridmgmt.households.incoming.fields import ALIASES, KNOWN

NOTES = {
    "building_code": "每栋一个编码；地址已在系统中时可空 / one a building; may be empty for a known address",
    "building_address": "同一楼栋各行相同；可写到门牌号室 / the same in all rows, or down to the door",
    "building_lon": "经度，可空 / longitude, may be empty",
    "building_lat": "纬度，可空 / latitude, may be empty",
    "building_flags": "低洼；危旧；自建，可空 / may be empty",
    "dwelling": "如 1-201 / such as 1-201",
    "household_code": "每户一个编码；一房一户时可空；空置房留空 / one code a household; may be empty",
    "relation": "户主、配偶、子女、父母、其他；每户一个户主 / one 户主 a household",
    "name": "姓名；空置房留空 / empty for an empty dwelling",
    "identity_number": "18 位，文本格式，可空；生日和性别由此得出 / 18 characters as text; may be empty",
    "birth_on": "没有身份证号时填 / only without an identity number",
    "phone": "手机 11 位，或区号-号码，可空 / may be empty",
    "tenure": "自有、租住、随住、其他 / may be empty",
    "registered_here": "户籍是否在此房：是、否 / yes or no",
    "since": "如 2021-05-01，可空 / may be empty",
    "care": "独居老人、残疾人、留守儿童、持续帮扶，可空 / may be empty",
    "care_basis": "认定依据，如 残疾证、民政台账 / what it rests on",
    "care_expires": "到期日期；不填为一年 / default one year",
    "verified_on": "上门核实日期，可空 / may be empty",
    "verified_by": "核实人，可空 / may be empty",
}
WHOLE = (
    "每人一行；一户要么全写，要么不写：表里没有的人视为迁出 / whole households: who is missing has moved out"
)


def write_template(path: Path) -> None:
    """Write an XLSX with the columns that the roster import knows, as text, and a sheet that explains them.

    One row stands for one person. Raises FileError when the file cannot be written.
    """
    try:
        with xlsxwriter.Workbook(str(path)) as book:
            text, head = (
                book.add_format({"num_format": "@"}),
                book.add_format({"bold": True, "num_format": "@"}),
            )
            sheet = book.add_worksheet("人房台账")
            sheet.freeze_panes(1, 0)
            sheet.set_column(0, len(KNOWN) - 1, 22, text)
            guide = book.add_worksheet("说明")
            guide.set_column(0, 0, 16)
            guide.set_column(1, 2, 60)
            guide.write_row(0, 0, ["列", "field", "填写"], head)
            for place, name in enumerate(KNOWN):
                sheet.write_string(0, place, ALIASES[name][0], head)
                guide.write_row(place + 1, 0, [ALIASES[name][0], name, NOTES[name]])
            guide.write(len(KNOWN) + 2, 0, WHOLE)
    except (OSError, FileCreateError) as why:
        raise FileError(path, "template", str(why), "a path that can be written") from why

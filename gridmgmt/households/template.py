"""The empty roster that an office fills in."""

from pathlib import Path

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError

from gridmgmt.errors import FileError
from gridmgmt.households.importer import ALIASES, KNOWN

NOTES = {
    "building_code": "每栋一个编码，不重复 / one code a building",
    "building_address": "同一楼栋各行相同 / the same in all rows of a building",
    "building_lon": "经度，可空 / longitude, may be empty",
    "building_lat": "纬度，可空 / latitude, may be empty",
    "building_flags": "低洼；危旧；自建，可空 / may be empty",
    "dwelling": "如 1-201 / such as 1-201",
    "household_code": "每户一个编码；空置房留空 / one code a household; empty for an empty dwelling",
}


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
            guide.write(
                len(KNOWN) + 2,
                0,
                "每人一行；只统计每户人数，不收姓名、身份证号和电话 / one row a person, counted only",
            )
    except (OSError, FileCreateError) as why:
        raise FileError(path, "template", str(why), "a path that can be written") from why

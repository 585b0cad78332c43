"""A spreadsheet that does not begin at A1, with merged cells and formulas that ended in errors."""

from pathlib import Path

import xlsxwriter

from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.report import Report
from gridmgmt.importing.tables import read_chunks

HEADER = ("town", "name", "amount")


def book(path: Path, row: int, column: int, *, errors: bool = False) -> Path:
    """Write three rows under one town, which is merged downwards, from a cell on."""
    with xlsxwriter.Workbook(path) as made:
        sheet = made.add_worksheet()
        sheet.write_row(row, column, HEADER)
        sheet.merge_range(row + 1, column, row + 3, column, "杏林街道")
        sheet.write_column(row + 1, column + 1, ["甲", "乙", "丙"])
        sheet.write_column(row + 1, column + 2, [1, 2, 3])
        sheet.merge_range(row + 4, column + 2, row + 5, column + 2, 4)
        sheet.write_column(row + 4, column + 1, ["丁", "戊"])
        if errors:
            sheet.write_formula(row + 2, column + 2, "=1/0", None, "#DIV/0!")
    return path


def read(path: Path, rejects: Path) -> tuple[list[tuple[str, ...]], str]:
    """Return the good rows of a file, and the rejects file."""
    with Report("rows", path, rejects) as report:
        chunks = read_chunks(path, Mapping(), known=HEADER, required=HEADER[1:], report=report)
        good = [tuple(row) for c in chunks for row in c.frame[c.good].itertuples(index=False)]
        report.new = len(good)
    return good, rejects.read_text(encoding="utf-8-sig") if rejects.exists() else ""


def test_merged_cells_are_filled_wherever_the_table_begins_and_up_to_its_last_column(tmp_path: Path) -> None:
    wanted = [
        ("杏林街道", "甲", "1"), ("杏林街道", "乙", "2"), ("杏林街道", "丙", "3"), ("", "丁", "4"),
        ("", "戊", "4"),
    ]  # fmt: skip
    for row, column in ((0, 0), (4, 2), (0, 30)):
        path = book(tmp_path / f"at-{row}-{column}.xlsx", row, column)
        assert read(path, tmp_path / "none.csv")[0] == wanted, path.name


def test_a_formula_that_ended_in_an_error_is_a_rejected_row_and_no_blank(tmp_path: Path) -> None:
    for row, column in ((0, 0), (25, 3)):
        path = book(tmp_path / f"errors-{row}.xlsx", row, column, errors=True)
        good, rejects = read(path, tmp_path / f"rejects-{row}.csv")
        assert [name for _, name, _ in good] == ["甲", "丙", "丁", "戊"]
        assert "#DIV/0!" in rejects
        assert "formula" in rejects

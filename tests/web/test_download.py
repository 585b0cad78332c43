"""The list as files, from the page and from the command line, on the city of nine grids."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import docx
import icalendar
import openpyxl
import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.calendar import china_today
from gridmgmt.cli.export import export
from gridmgmt.cli.printing import write_whole
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, FileError, NotFoundError
from gridmgmt.seasonal.export import Form

from . import small_city
from .small_city import HOSTILE, HOSTILE_NAME, MINE, TOWN_2

AsRole = Callable[[Role | None], FlaskClient]
YEAR = china_today().year

pytestmark = pytest.mark.filterwarnings("ignore:.*xtension is not supported:UserWarning")


def _areas(content: bytes) -> set[str]:
    """The codes of the areas that a workbook lists."""
    sheet = openpyxl.load_workbook(BytesIO(content))["清单"]
    headings, *rows = sheet.iter_rows(values_only=True)
    return {str(row[headings.index("地方代码")]) for row in rows}


def _files(client: FlaskClient, query: str = "") -> dict[Form, Any]:
    answers = {form: client.get(f"/seasonal/list.{form}{query}") for form in Form}
    assert {answer.status_code for answer in answers.values()} == {200}
    return answers


def test_each_form_is_what_it_says_named_in_chinese_and_kept_nowhere(as_role: AsRole) -> None:
    for form, answer in _files(as_role(Role.GRID_WORKER)).items():
        assert answer.mimetype == form.mime_type
        assert answer.headers["Cache-Control"] == "no-store"
        disposition = answer.headers["Content-Disposition"]
        assert disposition.startswith(f"attachment; filename=seasonal-list-{YEAR}.{form}; ")
        assert f"filename*=UTF-8''{quote(f'时令清单_{YEAR}_1号网格.{form}')}" in disposition


def test_a_chief_gets_the_own_area_alone_in_every_form(as_role: AsRole) -> None:
    for query in ("", f"?area={HOSTILE}", f"?town={TOWN_2}", "?town="):
        for form, answer in _files(as_role(Role.GRID_WORKER), query).items():
            said = _words(form, answer.data)
            assert HOSTILE_NAME not in said, (form, query)
            assert "河西镇" not in said, (form, query)
    assert _areas(as_role(Role.GRID_WORKER).get("/seasonal/list.xlsx").data) == {MINE}
    assert _areas(as_role(Role.COMMAND).get("/seasonal/list.xlsx").data) == {MINE, HOSTILE, TOWN_2}


def _words(form: Form, content: bytes) -> str:
    if form is Form.XLSX:
        sheets = openpyxl.load_workbook(BytesIO(content)).worksheets
        return "\n".join(
            str(cell) for sheet in sheets for row in sheet.iter_rows(values_only=True) for cell in row
        )
    if form is Form.DOCX:
        paper = docx.Document(BytesIO(content))
        cells = [cell.text for table in paper.tables for row in table.rows for cell in row.cells]
        return "\n".join([*cells, *(part.text for part in paper.paragraphs)])
    calendar = icalendar.Calendar.from_ical(content)
    return "\n".join(str(value) for part in calendar.walk() for value in part.values())


def test_what_is_seen_is_what_is_downloaded(as_role: AsRole) -> None:
    client = as_role(Role.COMMAND)
    found = _areas(client.get("/seasonal/list.xlsx?category=02&when=coming").data)
    assert TOWN_2 in found
    assert HOSTILE not in found
    assert _areas(client.get(f"/seasonal/list.xlsx?town={TOWN_2}").data) == {HOSTILE, TOWN_2}
    words = _words(Form.DOCX, client.get(f"/seasonal/list.docx?category=02&q=河西&year={YEAR}").data)
    assert "类别：灌溉用水；搜索：河西" in words
    assert "噪声扰民" not in words
    nothing = _words(Form.ICS, client.get("/seasonal/list.ics?q=没有这样的事").data)
    assert "请放宽筛选条件" in nothing


def test_a_form_or_a_list_that_is_not_there_is_404(as_role: AsRole, city: Engine) -> None:
    client = as_role(Role.TOWN_OFFICER)
    for form in ("pdf", "XLSX", "xlsx.exe"):
        assert client.get(f"/seasonal/list.{form}").status_code == 404
    with city.begin() as connection:
        connection.execute(text("DELETE FROM analysis_run WHERE kind = 'seasonal'"))
    assert client.get("/seasonal/list.xlsx").status_code == 404


# --- from the command line


@pytest.fixture
def folder(city: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder for commands on the small city."""
    monkeypatch.setenv("GRIDMGMT_DATABASE_URL", city.url.render_as_string(hide_password=False))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run(*arguments: str) -> str:
    return CliRunner().invoke(export, arguments, catch_exceptions=False, standalone_mode=False).output


def test_the_command_writes_a_file_of_an_area_under_its_name(folder: Path) -> None:
    said = _run("--year", str(YEAR), "--format", "xlsx", "--area", small_city.TOWN_1)
    name = f"时令清单_{YEAR}_城关街道.xlsx"
    assert name in said
    assert [path.name for path in folder.iterdir()] == [name]
    assert _areas((folder / name).read_bytes()) == {MINE}
    _run("--format", "ics", "--out", "all.ics")  # the latest list, of the whole city
    assert len(icalendar.Calendar.from_ical((folder / "all.ics").read_bytes()).walk("VEVENT")) == 4


def test_a_file_is_overwritten_only_when_asked_and_nothing_half_done_stays(folder: Path) -> None:
    kept = folder / "list.ics"
    kept.write_text("mine")
    with pytest.raises(ConflictError, match="--force"):
        _run("--format", "ics", "--out", "list.ics")
    assert kept.read_text() == "mine"
    _run("--format", "ics", "--out", "list.ics", "--force")
    assert kept.read_bytes().startswith(b"BEGIN:VCALENDAR")
    with pytest.raises(FileError):
        write_whole(folder / "no" / "such" / "folder.ics", b"...")
    (folder / "taken").mkdir()
    with pytest.raises(FileError):
        write_whole(folder / "taken", b"...")
    assert sorted(path.name for path in folder.iterdir()) == ["list.ics", "taken"]


def test_a_year_or_an_area_that_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(NotFoundError, match="seasonal build --year 2001"):
        _run("--year", "2001", "--format", "xlsx")
    with pytest.raises(NotFoundError, match="123"):
        _run("--format", "xlsx", "--area", "123")
    assert list(folder.iterdir()) == []

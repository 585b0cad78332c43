"""Bulletins: what is issued stands with its months, both files say the same, the same figures give the same
bytes."""

import io
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.oxml.ns import qn
from PIL import Image
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

from gridmgmt.calendar import CHINA, china_today
from gridmgmt.db.engine import READER, WRITER, make_engine
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from gridmgmt.incidents.papers import pdf
from gridmgmt.index import stored as months
from gridmgmt.index import trees
from gridmgmt.index.actor import on_index
from gridmgmt.index.bulletins import facts, layout, service, stored
from gridmgmt.index.bulletins.blocks import by_code
from gridmgmt.index.bulletins.layout import Stand
from gridmgmt.index.bulletins.service import ChangedError, MonthsMissingError
from gridmgmt.index.periods import Period, Span
from tests.db import bulletin_world as small
from tests.db import matter_world
from tests.db.bulletin_world import CENTRE, DECEMBER, DEPARTMENT, LAST, NOVEMBER, OCTOBER, OFFICE
from tests.db.matter_world import TOWN_OTHER, TOWN_OWN

REMARKS = "各镇街要对照短板抓好整改。\n下月起按周调度。"
MOMENT = datetime(2026, 1, 8, 9, 30, tzinfo=CHINA)
STAND = Stand("样例网格通报〔2026〕1号", date(2026, 1, 8), MOMENT, "command")


@pytest.fixture
def owner(engine: Engine) -> Engine:
    matter_world.build(engine).matters.dispose()
    small.draw_towns(engine)
    small.build(engine)
    return engine


@pytest.fixture
def writer(owner: Engine) -> Iterator[Engine]:
    made = make_engine(owner.url.render_as_string(hide_password=False), role=WRITER)
    yield made
    made.dispose()


def data_of(owner: Engine, period: Period = LAST) -> dict[str, Any]:
    with owner.connect() as connection:
        return facts.data(connection, period)


def run(owner: Engine, statement: str, **values: Any) -> None:
    with owner.begin() as connection:
        connection.execute(text(statement), values)


def issued(writer: Engine, period: Period = LAST) -> int:
    number = service.draft(writer, CENTRE, period)
    service.remark(writer, CENTRE, number, REMARKS)
    service.approve(writer, CENTRE, number)
    service.issue(writer, CENTRE, number)
    return number


def towns(data: dict[str, Any]) -> dict[str, Any]:
    return by_code(data["levels"]["town"]["units"])


# --- the figures


def test_the_snapshot_is_worked_out_by_hand(owner):
    found = towns(data_of(owner))
    first, second = found[TOWN_OWN], found[TOWN_OTHER]
    # 0.6 × (84 + 72) / 2 + 0.4 × 92 and 0.6 × (92 + 86) / 2 + 0.4 × 40
    assert (first["score"], first["rank"], second["score"], second["rank"]) == (83.6, 1, 69.4, 2)
    # before: 0.6 × (82 + 71) / 2 + 0.4 × 91 = 82.3; 0.6 × (91 + 85) / 2 + 0.4 × 95 = 90.8
    assert (first["change"], second["change"]) == (1.3, -21.4)
    assert second["moved"][0] == {"code": "2.1.1", "points": -22.0, "before": 95.0, "now": 40.0}
    assert second["lost"] == {"1": 6.6, "2": 24.0}
    assert sum(each["points"] for each in second["moved"]) == pytest.approx(-21.4)


def test_a_missing_value_is_listed_with_its_month_and_how_it_was_filled(owner):
    quarter = data_of(owner, Period(DECEMBER, Span.QUARTER))
    assert quarter["levels"]["town"]["gaps"] == [["2025-10", "1.1.2", TOWN_OTHER, "shared", ""]]
    assert quarter["levels"]["town"]["values"]["1.1.2"][TOWN_OTHER] == [85.5, "entered", 1]
    assert towns(quarter)[TOWN_OWN]["change"] is None
    assert data_of(owner)["levels"]["town"]["gaps"] == []


def test_the_snapshot_is_json_and_the_same_twice(owner):
    first, second = (json.dumps(data_of(owner), ensure_ascii=False, sort_keys=True) for _ in range(2))
    assert first == second
    assert json.loads(first) == data_of(owner)
    with pytest.raises(NotFoundError):
        data_of(owner, Period(date(2024, 1, 1)))


def test_talks_called_for_the_period_and_lifted_in_it_are_named(owner):
    said = (
        "INSERT INTO index_talk (kind, level, unit, span, month, reason, evidence, status, due_on, made_by)"
    )
    run(
        owner,
        f"""{said} VALUES
            ('talk', 'town', :unit, 'month', :month, '得分低于75分', '{{}}', 'called', '2026-01-20', 'x'),
            ('talk', 'department', '城管局', 'month', '2025-09-01', '低', '{{}}', 'lifted', '2025-11-01', 'x')
        """,
        unit=TOWN_OTHER, month=DECEMBER,
    )  # fmt: skip
    lifted = "CASE status WHEN 'lifted' THEN timestamptz '2025-12-05 10:00+08' ELSE now() END"
    run(
        owner,
        "INSERT INTO index_talk_step (talk_id, who, act, at)"
        f" SELECT id, 'command', status, {lifted} FROM index_talk",
    )
    found = data_of(owner)["talks"]
    assert [each["name"] for each in found["called"]] == ["河西镇"]
    assert [each["name"] for each in found["lifted"]] == ["城管局"]


# --- from draft to issue


def test_an_issued_bulletin_has_its_number_files_and_freezes_all_months_up_to_its_last(owner, writer):
    year = china_today().year
    number = issued(writer, Period(NOVEMBER))
    with owner.connect() as connection:
        assert months.months(connection, issued=True) == [NOVEMBER, OCTOBER]
    second = issued(writer)
    for each, serial in ((number, 1), (second, 2)):
        found = service.whole(writer, CENTRE, each)
        assert found.line.number == f"样例网格通报〔{year}〕{serial}号"
        assert found.files["docx"].startswith(b"PK")
        assert found.files["pdf"].startswith(b"%PDF")
    name, content = service.file(writer, OFFICE, second, "pdf")
    assert name == f"样例网格通报〔{year}〕2号关于2025年12月平安指数情况的通报.pdf"
    assert content == service.whole(writer, DEPARTMENT, second).files["pdf"]


def test_recomputing_an_issued_month_gives_what_was_issued_whatever_comes_later(owner, writer):
    number = issued(writer)
    said = service.whole(writer, CENTRE, number).data
    assert json.loads(json.dumps(data_of(owner))) == said
    other = small.TREE.replace("weight = 0.6", "weight = 0.2").replace("weight = 0.4", "weight = 0.8")
    trees.load(owner, "test", other, "other.toml", date(2026, 1, 1))
    run(owner, "UPDATE index_tree SET in_force_from = '2021-01-01' WHERE document = :doc", doc=other)
    small.add_month(owner, date(2026, 1, 1), 0)
    small.add_month(owner, date(2025, 9, 1), 0)  # one before, that was built too late
    assert json.loads(json.dumps(data_of(owner))) == said


def test_what_was_issued_cannot_be_changed_by_sql(owner, writer):
    issued(writer)
    for statement in (
        "UPDATE indicator_value SET value = 99 WHERE month = '2025-12-01' AND value IS NOT NULL",
        "UPDATE indicator_value SET month = '2026-03-01' WHERE month = '2025-10-01'",
        "DELETE FROM indicator_value WHERE month = '2025-11-01'",
        "UPDATE index_month SET issued_at = NULL WHERE month = '2025-12-01'",
        "DELETE FROM index_month WHERE month = '2025-12-01'",
        "UPDATE bulletin SET data = '{}'",
        "UPDATE bulletin SET status = 'draft', issued_at = NULL",
        "UPDATE bulletin SET docx = 'x'",
        "DELETE FROM bulletin",
    ):
        with pytest.raises(DatabaseError, match="issued and stands"):
            run(owner, statement)


def test_each_act_needs_its_state(owner, writer):
    number = service.draft(writer, CENTRE, LAST)
    for act in (service.issue, service.send_back):
        with pytest.raises(ConflictError):
            act(writer, CENTRE, number)
    service.approve(writer, CENTRE, number)
    with pytest.raises(ConflictError):
        service.draft(writer, CENTRE, LAST)
    with pytest.raises(ConflictError):
        service.remark(writer, CENTRE, number, "改")
    service.send_back(writer, CENTRE, number)
    assert service.draft(writer, CENTRE, LAST) == number
    assert issued(writer) == number
    for again in (service.approve, service.send_back, service.issue):
        with pytest.raises(ConflictError):
            again(writer, CENTRE, number)


def test_figures_that_changed_since_the_approval_are_not_issued(owner, writer):
    number = service.draft(writer, CENTRE, LAST)
    service.approve(writer, CENTRE, number)
    run(owner, "UPDATE indicator_value SET value = 73 WHERE indicator = '1.1.2' AND unit = :unit"
        " AND month = '2025-12-01'", unit=TOWN_OWN)  # fmt: skip
    with pytest.raises(ChangedError):
        service.issue(writer, CENTRE, number)
    with owner.connect() as connection:
        assert months.months(connection, issued=True) == []
    service.send_back(writer, CENTRE, number)
    assert issued(writer) == number


def test_what_somebody_else_changed_meanwhile_is_not_approved(owner, writer):
    number = service.draft(writer, CENTRE, LAST)
    seen = service.whole(writer, CENTRE, number).seen
    service.remark(writer, CENTRE, number, REMARKS, seen)
    with pytest.raises(ChangedError):
        service.approve(writer, CENTRE, number, seen)
    service.approve(writer, CENTRE, number, service.whole(writer, CENTRE, number).seen)


def test_a_period_with_missing_months_is_drafted_but_not_issued(owner, writer):
    number = service.draft(writer, CENTRE, Period(DECEMBER, Span.HALF))
    service.approve(writer, CENTRE, number)
    with pytest.raises(MonthsMissingError) as why:
        service.issue(writer, CENTRE, number)
    assert why.value.missing == [date(2025, month, 1) for month in (7, 8, 9)]


def test_only_the_centre_acts_and_sees_drafts(owner, writer):
    number = service.draft(writer, CENTRE, LAST)
    for actor in (OFFICE, DEPARTMENT):
        with pytest.raises(NotAllowedError):
            service.draft(writer, actor, LAST)
        with pytest.raises(NotAllowedError):
            service.issue(writer, actor, number)
        with pytest.raises(NotFoundError):
            service.file(writer, actor, number, "pdf")
        with on_index(writer, actor) as connection:
            assert stored.bulletins(connection) == []
    reader = make_engine(owner.url.render_as_string(hide_password=False), role=READER)
    with reader.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM bulletin")) == 0
    reader.dispose()
    with pytest.raises(InputError):
        service.remark(writer, CENTRE, number, "字" * 3001)


# --- the files


def bare(said: str) -> str:
    return re.sub(r"\s", "", said)


def in_word(content: bytes) -> str:
    body = docx.Document(io.BytesIO(content)).element.body
    return bare("".join(node.text or "" for node in body.iter(qn("w:t"))))


def laid_out(page: Any) -> str:
    def words(box: Any) -> Iterator[str]:
        if type(box).__name__ == "TextBox":
            yield box.text
        for child in getattr(box, "children", ()) if type(box).__name__ != "MarginBox" else ():
            yield from words(child)

    return bare(
        "".join(word for sheet in pdf.laid_out(page, MOMENT).pages for word in words(sheet._page_box))
    )


def test_both_files_say_what_the_page_says_and_are_the_same_bytes_twice(owner):
    data = data_of(owner)
    first, second = (layout.files(data, REMARKS, STAND) for _ in range(2))
    assert first == second
    page = layout.page(data, REMARKS, STAND)
    assert in_word(first["docx"]) == page.text() == laid_out(page)
    for said in (
        "样例县网格化服务管理中心文件样例网格通报〔2026〕1号",
        "1号关于2025年12月平安指数情况的通报",
        "降幅最大的镇街是河西镇，下降21.40分。主要原因：隐患整改率由95%降至40%，拉低22.00分",
        "七、工作要求各镇街要对照短板抓好整改。",
        "样例县网格化服务管理中心2026年1月8日附件1",
    ):
        assert said in page.text(), said
    assert "草稿" not in page.text() + page.foot


def test_pictures_stand_in_both_files_with_their_words(owner):
    made = layout.files(data_of(owner), "", STAND)
    drawn = docx.Document(io.BytesIO(made["docx"])).inline_shapes
    told = [shape._inline.docPr.get("descr") for shape in drawn]
    assert len(told) == 3
    assert "城关街道83.60分，河西镇69.40分" in told[0]
    assert made["pdf"].count(b"/Subtype /Image") + made["pdf"].count(b"/Subtype/Image") >= 3


def test_a_draft_is_marked_in_both_files(owner, writer):
    number = service.draft(writer, CENTRE, LAST)
    name, content = service.file(writer, CENTRE, number, "docx")
    assert "草稿" in name
    head = docx.Document(io.BytesIO(content)).sections[0].header.paragraphs[0].text
    assert head == "草稿 未签发，不作依据"
    page = layout.page(data_of(owner), "", Stand(None, None, MOMENT, "command"))
    assert page.draft
    assert "草稿" in pdf.html(page, MOMENT)
    assert "（文号待编）" in page.text()


def test_pictures_of_drafts_and_issued_bulletins_are_png_and_others_are_not_found(owner, writer):
    number = service.draft(writer, CENTRE, LAST)
    drawn = {name: service.picture(writer, CENTRE, number, name) for name in ("scores-town", "mover", "map")}
    service.approve(writer, CENTRE, number)
    service.issue(writer, CENTRE, number)
    for name, png in drawn.items():
        assert Image.open(io.BytesIO(png)).format == "PNG"
        assert service.picture(writer, OFFICE, number, name) == png
    with pytest.raises(NotFoundError):
        service.picture(writer, CENTRE, number, "other")


def test_a_free_word_processor_makes_the_same_sheets_of_the_docx(owner, tmp_path):
    office, reader = shutil.which("soffice"), shutil.which("pdftotext")
    if office is None or reader is None:
        pytest.skip("LibreOffice and pdftotext, which read the files as others do, are not installed")
    for form, content in layout.files(data_of(owner), REMARKS, STAND).items():
        (tmp_path / f"own.{form}").write_bytes(content)
    theirs = tmp_path / "theirs"
    subprocess.run(
        [office, f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to", "pdf",
         "--outdir", theirs, tmp_path / "own.docx"], capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    own, other = (_sheets(reader, path) for path in (tmp_path / "own.pdf", theirs / "own.pdf"))
    assert len(own) > 4
    assert own == other


def _sheets(reader: str, path: Path) -> list[Counter[str]]:
    """Return the characters of each sheet; in what order cells are read is the reader's own choice."""
    said = subprocess.run([reader, path, "-"], capture_output=True, check=True).stdout.decode()
    return [Counter(bare(sheet)) for sheet in said.split("\f")[:-1]]

"""Papers: the same words in Word and PDF, what is missing is told, a broken template issues nothing."""

import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.oxml.ns import qn
from PIL import Image
from sqlalchemy import Engine, text

from gridmgmt.calendar import CHINA, china_today
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from gridmgmt.importing import pictures
from gridmgmt.incidents.handling import hands
from gridmgmt.incidents.handling import service as handling
from gridmgmt.incidents.handling.visits import VisitTold
from gridmgmt.incidents.mediation import deliberations, mediators, meetings, panels
from gridmgmt.incidents.mediation import service as mediation
from gridmgmt.incidents.mediation.deliberations import Count, DeliberationTold
from gridmgmt.incidents.mediation.mediators import MediatorTold
from gridmgmt.incidents.mediation.meetings import MeetingTold
from gridmgmt.incidents.mediation.sealed import Terms
from gridmgmt.incidents.mediation.service import MediationTold
from gridmgmt.incidents.papers import facts, pdf, render, service, word
from gridmgmt.incidents.papers.kinds import KINDS, Piece
from gridmgmt.incidents.papers.models import PaperKind
from gridmgmt.incidents.papers.page import Page, PageError, parse
from gridmgmt.incidents.papers.service import IncompleteError, Made
from gridmgmt.incidents.parties import attachments
from gridmgmt.incidents.parties.models import PartyPart
from gridmgmt.incidents.parties.told import PartyTold
from tests.db import matter_world
from tests.db.matter_world import (
    CENTRE,
    FEE,
    OFFICE,
    OTHER_OFFICE,
    TOWN_OWN,
    URBAN,
    VILLAGE_OWN,
    WORKER,
    World,
)

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "methods" / "papers.md"
HOSTILE = "<script>alert(1)</script>{{ 7*7 }}<b>粗</b>\x0b\u202e&amp;"
PARTIES = (
    PartyTold(PartyPart.COMPLAINANT, "王小明", "13812345678"),
    PartyTold(PartyPart.RESPONDENT, "李大力", ""),
)
WORDS = "物业多收了三个月电梯费\n要求退还"


@pytest.fixture
def world(engine: Engine) -> Iterator[World]:
    found = matter_world.build(engine)
    panels.install(engine)
    yield found
    found.matters.dispose()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The city's own folder of templates, empty."""
    folder = render.folder(tmp_path)
    folder.mkdir()
    return folder


def moment(world: World) -> datetime:
    with world.owner.connect() as connection:
        return connection.execute(text("SELECT now()")).scalar_one()


def taken(world: World, **told: Any) -> int:
    return world.take_in(
        **{"category": FEE, "words": WORDS, "title": "退还电梯费", "parties": PARTIES} | told
    ).case_id


def agreed(world: World, case: int) -> None:
    who = mediators.add(world.matters, OFFICE, MediatorTold("赵物", VILLAGE_OWN, "property"))
    number = mediation.open_(world.matters, OFFICE, case, None, MediationTold("people", (who,), "property"))
    mediation.sit(
        world.matters,
        world.ring,
        OFFICE,
        number,
        0,
        moment(world),
        "村委会",
        "王小明说多收了\n李大力说愿意退",
    )
    terms = Terms("李大力退王小明三百元", "十日内付清")
    mediation.agree(world.matters, world.ring, OFFICE, number, 1, terms, china_today())


def attached(world: World, case: int, folder: Path) -> None:
    prepared = attachments.prepare(b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n", "收费单.pdf")
    attachments.attach(world.matters, OFFICE, case, None, [prepared], folder)


def visited(world: World, case: int, reached: bool = True) -> None:
    told = VisitTold(reached, 4 if reached else None, "电话回访")
    handling.visit(world.matters, OFFICE, case, None, told)


def issued(world: World, code: str, case: int, own: Path, **options: Any) -> Made:
    return service.issue(world.matters, world.ring, OFFICE, code, case, own, **options)


def count(world: World, query: str) -> int:
    with world.owner.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


def bare(words: str) -> str:
    return re.sub(r"\s", "", words)


def in_word(data: bytes) -> str:
    """All words of a Word file's body in their order, a merged cell once."""
    body = docx.Document(io.BytesIO(data)).element.body
    return bare("".join(node.text or "" for node in body.iter(qn("w:t"))))


def laid_out(made: Made) -> str:
    """All words of the PDF's sheets as they are laid out, without head and foot."""

    def words(box: Any) -> Iterator[str]:
        if type(box).__name__ == "MarginBox":
            return
        if type(box).__name__ == "TextBox":
            yield box.text
        for child in getattr(box, "children", ()):
            yield from words(child)

    sheets = pdf.laid_out(made.page, made.made_at).pages
    return bare("".join(word for sheet in sheets for word in words(sheet._page_box)))


# --- the words


def check_both(made: Made) -> str:
    """Both forms say what the page says; returns it."""
    said = made.page.text()
    assert in_word(made.written("docx")) == said
    assert laid_out(made) == said
    return said


def test_an_opinion_slip_says_who_what_and_where(world, own):
    case = taken(world, words="灯坏了，请修")
    now = datetime(2026, 11, 22, 9, 30, tzinfo=CHINA)
    made = issued(world, "opinion_slip", case, own, now=now)
    said = check_both(made)
    assert made.number == "〔2026〕0001号"
    for words in ("民意报告单编号：〔2026〕0001号", "诉求人王小明联系电话13812345678", "城关街道第1村",
                  "利益诉求物业收费", "退还电梯费灯坏了，请修", "城关街道办事处2026年11月22日"):  # fmt: skip
        assert bare(words) in said, words


def test_the_golden_words_of_the_agreement(world, own):
    case = taken(world)
    agreed(world, case)
    now = datetime(2026, 11, 22, 9, 30, tzinfo=CHINA)
    assert check_both(issued(world, "agreement", case, own, now=now)) == bare("""
        人民调解协议书 编号：〔2026〕0001号
        当事人（诉求人） 姓名：王小明 性别 年龄 联系方式：13812345678 职业或职务： 单位或住址：
        当事人（对方） 姓名：李大力 性别 年龄 联系方式： 职业或职务： 单位或住址：
        纠纷主要事实、争议事项：退还电梯费。物业多收了三个月电梯费 要求退还
        经调解，自愿达成如下协议：李大力退王小明三百元
        履行方式、时限：十日内付清
        本协议一式 份，当事人、人民调解委员会各持一份。
        当事人（签名、盖章或按指印）： 诉求人： 年 月 日 对方： 年 月 日
        人民调解员（签名）： 记录人（签名）： 赵物
        （物业纠纷人民调解委员会印） 2026年11月22日
        """)


def test_the_form_for_a_department_holds_neither_name_nor_telephone(world, own):
    case = taken(world)
    with pytest.raises(IncompleteError) as why:
        issued(world, "feedback", case, own)
    assert why.value.missing == (Piece.HAND,)
    hands.hand(world.matters, OFFICE, case, None, [URBAN, matter_world.HOUSING], "请到现场核实")
    with world.owner.connect() as connection:
        second = connection.execute(text("SELECT max(id) FROM incident_hand")).scalar_one()
    made = issued(world, "feedback", case, own, hand_id=second)
    said = check_both(made)
    assert bare("承办部门住建局（协办）") in said
    assert "请到现场核实" in said
    assert "王小明" not in said
    assert "13812345678" not in said
    again = service.again(world.matters, world.ring, OFFICE, made.paper_id, own)
    assert (again.number, again.page.text()) == (made.number, said)


def test_the_certificate_tells_all_that_is_missing_and_is_issued_once_nothing_is(world, own, tmp_path):
    case = taken(world)

    def missing() -> tuple[Piece, ...]:
        with pytest.raises(IncompleteError) as why:
            issued(world, "certificate", case, own)
        return why.value.missing

    assert missing() == (Piece.RECORD, Piece.DOCUMENTS, Piece.RETURN_VISIT)
    agreed(world, case)
    assert missing() == (Piece.DOCUMENTS, Piece.RETURN_VISIT)
    attached(world, case, tmp_path)
    visited(world, case, reached=False)
    assert missing() == (Piece.RETURN_VISIT,)
    visited(world, case)
    assert count(world, "SELECT count(*) FROM matter_paper") == 0
    said = check_both(issued(world, "certificate", case, own))
    for words in ("12345", "王小明说多收了", "李大力退王小明三百元", "收费单", "电话回访", "满意"):
        assert words in said, words
    assert "13812345678" not in said


def test_a_certificate_without_a_source_is_refused_and_a_review_counts_as_record(world, own, tmp_path):
    case = taken(world)
    told = DeliberationTold("instant", "退不退", "广场", moment(world) - timedelta(hours=1), 5)
    number = deliberations.plan(world.matters, OFFICE, case, None, told)
    deliberations.hold(world.matters, OFFICE, number, Count(5, 4, 1, 0), "建议退还", "逐户说明")
    attached(world, case, tmp_path)
    visited(world, case)
    with world.owner.begin() as connection:
        connection.execute(text("UPDATE incident SET channel = NULL"))
    with pytest.raises(IncompleteError, match="来源") as why:
        issued(world, "certificate", case, own)
    assert why.value.missing == (Piece.SOURCE,)
    with world.owner.begin() as connection:
        connection.execute(text("UPDATE incident SET channel = '12345'"))
    assert "评议建议（供办理参考）：建议退还" in check_both(issued(world, "certificate", case, own))


def test_the_papers_of_a_meeting_name_no_words_of_a_matter(world, own):
    case = taken(world)
    number = count(world, f"SELECT number FROM incident_case WHERE id = {case}")
    when = moment(world) - timedelta(hours=2)
    told = MeetingTold("第一次民心沟通会", "文化广场", when, (str(number),))
    meeting = meetings.plan(world.matters, OFFICE, told)
    with pytest.raises(IncompleteError) as why:
        service.issue_of_meeting(world.matters, OFFICE, "meeting_report", meeting, own)
    assert why.value.missing == (Piece.REPORT,)
    notice = check_both(service.issue_of_meeting(world.matters, OFFICE, "meeting_notice", meeting, own))
    meetings.hold(world.matters, OFFICE, meeting, 42, "通报了一件\n群众满意")
    report = check_both(service.issue_of_meeting(world.matters, OFFICE, "meeting_report", meeting, own))
    assert bare(f"关于召开第一次民心沟通会的通知〔{china_today().year}〕0001号城关街道各位居民：") in notice
    for said in (notice, report):
        assert f"{number}物业收费第1村" in said
        assert "电梯费" not in said
        assert "王小明" not in said
    assert "到会42人" in report
    assert "通报了一件群众满意" in report


# --- what is left behind


def test_an_issued_paper_leaves_a_number_a_step_and_one_line(world, own):
    case = taken(world)
    steps = count(world, "SELECT count(*) FROM incident_step")
    before = count(world, "SELECT count(*) FROM audit_log")
    made = issued(world, "opinion_slip", case, own)
    service.again(world.matters, world.ring, OFFICE, made.paper_id, own)
    assert count(world, "SELECT count(*) FROM audit_log WHERE what = 'paper.make'") == 2
    assert count(world, "SELECT count(*) FROM audit_log") == before + 2
    assert count(world, "SELECT count(*) FROM incident_step WHERE act = 'paper'") == 1
    assert count(world, "SELECT count(*) FROM incident_step") == steps + 1
    assert count(world, "SELECT count(*) FROM audit_log WHERE detail::text LIKE '%王小明%'") == 0
    assert "town_officer" in made.page.foot
    assert made.number in made.page.foot


def test_a_draft_opens_nothing_writes_nothing_and_says_that_it_is_one(world, own):
    case = taken(world)
    agreed(world, case)
    before = count(world, "SELECT count(*) FROM audit_log")
    made = service.draft(world.matters, OFFICE, "agreement", case, own)
    said = check_both(_without_ghost(made))
    assert "王小明" not in said
    assert "三百元" not in said
    assert said.count("出具时填入") == 4  # two names, one telephone, the terms
    assert count(world, "SELECT count(*) FROM audit_log") == before
    assert count(world, "SELECT count(*) FROM matter_paper") == 0
    head = docx.Document(io.BytesIO(made.written("docx"))).sections[0].header.paragraphs[0].text
    assert head.startswith("草稿")
    assert "草稿" in pdf.html(made.page, made.made_at)


def _without_ghost(made: Made) -> Made:
    page = Page(made.page.root, made.page.title, made.page.foot, made.page.author)
    return Made(made.kind, made.number, page, made.made_at)


def test_only_the_office_that_has_the_matter_makes_papers(world, own):
    case = taken(world)
    for actor, error in ((WORKER, NotAllowedError), (CENTRE, NotAllowedError), (OTHER_OFFICE, NotFoundError)):
        with pytest.raises(error):
            service.issue(world.matters, world.ring, actor, "opinion_slip", case, own)
        with pytest.raises(error):
            service.draft(world.matters, actor, "opinion_slip", case, own)
    with pytest.raises(InputError):
        service.draft(world.matters, OFFICE, "meeting_notice", case, own)
    with pytest.raises(ConflictError):
        issued(world, "opinion_slip", case, own, version=0)


# --- templates


@pytest.mark.parametrize(
    ("written", "line", "words"),
    [
        ("<h1>单</h1>\n{% for x in contacts %}\n<p>{{ x.name }}</p>\n", None, "Unexpected end of template"),
        ("<h1>单</h1>\n<p>{{ identity_number }}</p>", 2, "there is no identity_number"),
        ("<h1>单</h1>\n\n<p>{{ matter.nothing }}</p>", 3, "nothing"),
        ("<h1>单</h1>\n<p onclick='x'>文</p>", 2, "onclick"),
        ("<h1>单</h1>\n<img src='http://example.org/x.png'>", 2, "<img>"),
        ("<h1>单</h1>\n<p>{{ matter.__class__.__mro__ }}</p>", 2, "__class__"),
        ("<h1>单</h1>\n<p>{{ 1 // 0 }}</p>", 2, "ZeroDivisionError"),
        ("<h1>单</h1>\n<p>没有关", 2, "<p> is not closed"),
        ("<h1>单</h1>\n{% include '/etc/passwd' %}", 2, "takes in no other file"),
    ],
)
def test_a_broken_template_of_the_city_is_told_with_its_line_and_nothing_is_issued(
    world, own, written, line, words
):
    case = taken(world)
    (own / "opinion_slip.html").write_text(written, encoding="utf-8")
    with pytest.raises(render.BrokenTemplateError, match=re.escape(words)) as why:
        issued(world, "opinion_slip", case, own)
    assert why.value.file == own / "opinion_slip.html"
    assert why.value.line == (line or why.value.line)
    assert "王小明" not in str(why.value)
    assert count(world, "SELECT count(*) FROM matter_paper") == 0
    assert count(world, "SELECT count(*) FROM audit_log WHERE what = 'paper.make'") == 0


def test_the_citys_own_template_takes_the_place_of_the_packaged_one(world, own):
    case = taken(world)
    (own / "opinion_slip.html").write_text("<h1>我市的单</h1><p>{{ matter.title }}</p>", encoding="utf-8")
    assert check_both(issued(world, "opinion_slip", case, own)) == "我市的单退还电梯费"
    found = {source.kind.code: source for source in render.sources(own)}
    assert [code for code, source in found.items() if source.replaced] == [PaperKind.OPINION_SLIP]
    assert all(source.fault is None for source in found.values())


def test_what_people_wrote_is_words_and_never_part_of_the_page(world, own):
    case = taken(world, words=HOSTILE, title=HOSTILE[:30])
    made = issued(world, "opinion_slip", case, own)
    said = check_both(made)
    assert "<script>alert(1)</script>{{7*7}}<b>粗</b>&amp;" in said
    assert "49" not in said.replace(made.number, "")
    assert "<script" not in pdf.html(made.page, made.made_at)


def test_the_documentation_lists_every_name_a_template_may_use():
    assert facts.reference() in DOCUMENTATION.read_text(encoding="utf-8")


# --- the page


def test_the_page_has_the_measures_of_an_official_paper():
    root = parse("<h1>标题</h1><p>正文</p><h2>一、小标题</h2>")
    page = Page(root, "标题", "〔2026〕0001号", "town_officer")
    now = datetime(2026, 11, 22, tzinfo=CHINA)
    (sheet,) = pdf.laid_out(page, now).pages
    assert (round(sheet.width * 25.4 / 96), round(sheet.height * 25.4 / 96)) == (210, 297)
    assert [round(getattr(sheet._page_box, f"margin_{side}") * 25.4 / 96) for side in ("top", "left")] == [
        37,
        28,
    ]
    paper = docx.Document(io.BytesIO(word.render(page, now)))
    section = paper.sections[0]
    assert [round(each.mm) for each in (section.page_width, section.top_margin, section.left_margin)] == [
        210,
        37,
        28,
    ]
    indent = paper.paragraphs[1]._p.pPr.find(qn("w:ind"))
    assert indent.get(qn("w:firstLineChars")) == "200"
    assert paper.paragraphs[0].runs[0].font.size.pt == 22
    foot = section.footer._element.xml
    assert "PAGE" in foot
    assert "—" in foot


def test_a_process_that_has_made_a_pdf_still_refuses_a_photo_that_is_cut_off():
    pdf.laid_out(Page(parse("<p>正文</p>"), "标题", "〔2026〕0001号", "town_officer"), datetime.now(CHINA))
    stream = io.BytesIO()
    Image.effect_noise((400, 300), 60).convert("RGB").save(stream, "JPEG")
    with pytest.raises(InputError):
        pictures.prepare(stream.getvalue()[:-2000])


def test_no_line_begins_with_a_mark_that_closes():
    words = "，".join(f"第{n}项请于当日办结并告知居民" for n in range(60)) + "。"
    page = Page(parse(f"<p>{words}</p>"), "", "", "")
    (*sheets,) = pdf.laid_out(page, datetime(2026, 11, 22, tzinfo=CHINA)).pages
    lines = []
    for sheet in sheets:
        stack = [sheet._page_box]
        while stack:
            box = stack.pop()
            if type(box).__name__ == "LineBox":
                texts = (child for child in box.descendants() if type(child).__name__ == "TextBox")
                lines.append("".join(child.text for child in texts))
            stack += getattr(box, "children", ())
    assert len(lines) > 20
    assert not [line for line in lines if line[:1] in "，。、；：）”"]


def test_spans_of_cells_are_the_same_in_both_forms():
    html = (
        '<table columns="20 30 50"><tr><th rowspan="2">甲</th><td colspan="2">乙</td></tr>'
        "<tr><td>丙</td><td>丁<p>戊</p></td></tr></table>"
    )
    page = Page(parse(html), "", "", "")
    table = docx.Document(io.BytesIO(word.render(page, datetime.now(CHINA)))).tables[0]
    assert [[cell.text for cell in row.cells] for row in table.rows] == [
        ["甲", "乙", "乙"],
        ["甲", "丙", "丁\n戊"],
    ]


@pytest.mark.parametrize(
    "html", ["", "文", "<p><table></table></p>", "<p class='red'>文</p>", "<td>文</td>", "</p>"]
)
def test_what_a_page_may_not_hold_is_refused(html):
    with pytest.raises(PageError):
        parse(html)


def test_a_reader_of_pdf_by_others_reads_the_same_words(world, own, tmp_path):
    reader = shutil.which("pdftotext")
    if reader is None:
        pytest.skip("no reader of PDF by others is installed")
    made = issued(world, "opinion_slip", taken(world), own)
    (tmp_path / "slip.pdf").write_bytes(made.written("pdf"))
    found = subprocess.run([reader, "-layout", tmp_path / "slip.pdf", "-"], capture_output=True, check=True)
    assert "王小明" in found.stdout.decode()
    assert "—1—" in bare(found.stdout.decode())


def test_every_kind_has_its_template_and_no_other_stands_there():
    assert {kind.template for kind in KINDS.values()} == {path.name for path in render.PACKAGED.iterdir()}
    assert TOWN_OWN.startswith(matter_world.COUNTY)

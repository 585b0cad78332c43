"""What is taken as a photo or paper of a matter, and what is refused with which word."""

import io
import zipfile
from collections.abc import Callable

import docx
import pytest
import xlsxwriter
from PIL import Image

from gridmgmt.errors import InputError
from gridmgmt.incidents.parties.attachments import (
    LARGEST_FILE,
    UNFIT_WORDS,
    AttachmentKind,
    Unfit,
    clean_name,
    prepare,
)
from gridmgmt.incidents.plain import plain, plain_line

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
SVG = b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


def picture(form: str = "JPEG", **extra: object) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(stream, form, **extra)
    return stream.getvalue()


def with_position() -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    exif.get_ifd(0x8825).update({1: "N", 2: (33.0, 30.0, 0.0), 3: "E", 4: (114.0, 15.0, 0.0)})
    return picture(exif=exif)


def word() -> bytes:
    stream = io.BytesIO()
    paper = docx.Document()
    paper.add_paragraph("调解协议")
    paper.save(stream)
    return stream.getvalue()


def sheet() -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream) as book:
        book.add_worksheet().write(0, 0, "台账")
    return stream.getvalue()


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name.replace("__", "/"), data)
    return stream.getvalue()


def word_with(name: str, data: bytes = b"x") -> bytes:
    stream = io.BytesIO(word())
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(name, data)
    return stream.getvalue()


def says_macro() -> bytes:
    types = b"<Types>application/vnd.ms-word.document.macroEnabled.main+xml</Types>"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("[Content_Types].xml", types)
        made.writestr("word/document.xml", b"<w/>")
    return stream.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_photo_is_drawn_anew_as_jpeg(form: str) -> None:
    kept = prepare(picture(form), "现场.png")
    assert (kept.kind, kept.type, kept.name) == (AttachmentKind.PHOTO, "image/jpeg", "现场.jpg")
    assert Image.open(io.BytesIO(kept.data)).size == (40, 30)


def test_where_and_with_what_a_photo_was_taken_is_gone() -> None:
    given = with_position()
    assert b"a maker" in given
    kept = prepare(given, "a.jpg")
    assert dict(Image.open(io.BytesIO(kept.data)).getexif()) == {}
    assert b"Exif" not in kept.data


@pytest.mark.parametrize("behind", [b"<script>alert(1)</script>", zipped(evil=b"x"), PDF])
def test_what_hangs_behind_a_photo_is_gone(behind: bytes) -> None:
    kept = prepare(picture() + behind, "a.jpg")
    assert behind[:12] not in kept.data
    assert kept.sha256 == prepare(picture(), "b.jpg").sha256


@pytest.mark.parametrize(
    ("make", "ending"),
    [(lambda: PDF, ".pdf"), (word, ".docx"), (sheet, ".xlsx")],
    ids=["pdf", "docx", "xlsx"],
)
def test_a_paper_is_kept_as_it_came_under_the_ending_of_what_it_is(
    make: Callable[[], bytes], ending: str
) -> None:
    data = make()
    kept = prepare(data, "调解记录.exe")
    assert (kept.kind, kept.name, kept.data) == (AttachmentKind.DOCUMENT, f"调解记录{ending}", data)


REFUSED: list[tuple[str, Callable[[], bytes], Unfit]] = [
    ("nothing", lambda: b"", Unfit.EMPTY),
    ("50 MB", lambda: picture() + bytes(50 << 20), Unfit.LARGE),
    ("an SVG", lambda: SVG, Unfit.SVG),
    ("an SVG behind a comment", lambda: b"<!-- a -->\n" + SVG, Unfit.SVG),
    ("a page", lambda: b"\xef\xbb\xbf <!DOCTYPE html><script>1</script>", Unfit.HTML),
    ("a HEIC photo", lambda: b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(64), Unfit.HEIC),
    ("a zip", lambda: zipped(a=b"x"), Unfit.ZIP),
    ("a RAR", lambda: b"Rar!\x1a\x07\x00", Unfit.ZIP),
    ("an old Word file", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), Unfit.OLD_OFFICE),
    ("a program", lambda: b"MZ" + bytes(200), Unfit.OTHER),
    ("a GIF", lambda: picture("GIF"), Unfit.OTHER),
    ("half a photo", lambda: picture()[:200], Unfit.BROKEN),
    ("half a PDF", lambda: PDF[:30], Unfit.BROKEN),
    ("half a Word file", lambda: word()[:-40], Unfit.BROKEN),
    ("a PDF that is a zip", lambda: PDF + zipped(a=b"x"), Unfit.MIXED),
    ("a PDF behind a page", lambda: b"hello\n" + PDF, Unfit.MIXED),
    ("a Word file behind a page", lambda: b"PK" + b"<script>" + word(), Unfit.MIXED),
    ("a Word file before a page", lambda: word() + b"<script>", Unfit.MIXED),
    ("a PDF that acts", lambda: PDF.replace(b"/Catalog", b"/Catalog/A<</S/JavaScript>>"), Unfit.ACTIVE),
    ("a PDF with a file inside", lambda: PDF.replace(b"/Catalog", b"/Catalog/Names<</EmbeddedFiles 2 0 R>>"),
     Unfit.ACTIVE),
    ("a Word file with macros", lambda: word_with("word/vbaProject.bin"), Unfit.ACTIVE),
    ("a Word file that says it has", says_macro, Unfit.ACTIVE),
    ("a Word file with a path", lambda: word_with("../../etc/passwd"), Unfit.BROKEN),
    ("a Word file that unpacks to 101 MB", lambda: word_with("word/a.xml", bytes(101 << 20)), Unfit.LARGE),
]  # fmt: skip


@pytest.mark.parametrize(("make", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_may_harm_is_refused_with_a_word_that_says_what_to_do(
    make: Callable[[], bytes], why: Unfit
) -> None:
    with pytest.raises(InputError) as refused:
        prepare(make(), "a.jpg")
    assert (refused.value.field, refused.value.found) == ("attachment", why)
    assert UNFIT_WORDS[why]


def test_where_photos_alone_are_asked_for_a_paper_is_refused() -> None:
    with pytest.raises(InputError) as refused:
        prepare(PDF, "a.pdf", photos_only=True)
    assert refused.value.found is Unfit.PICTURE_ONLY


def test_the_largest_file_that_is_taken_is_taken() -> None:
    assert prepare(PDF[:-7] + b" " * (LARGEST_FILE - len(PDF)) + PDF[-7:], "a.pdf").type == "application/pdf"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd.pdf"),
        ("C:\\Windows\\win.ini", "win.pdf"),
        ("合同.pdf.exe", "合同 pdf.pdf"),
        ("合同\u202efdp.exe", "合同fdp.pdf"),
        ("a\r\nSet-Cookie: x.pdf", "a Set-Cookie x.pdf"),
        ("𠮷家😀.pdf", "𠮷家😀.pdf"),
        ("\ud800.pdf", "文件.pdf"),
        ("15400000001.pdf", "文件.pdf"),
        ("", "文件.pdf"),
        ("....", "文件.pdf"),
        ("长" * 300 + ".pdf", "长" * 60 + ".pdf"),
        ("<script>.pdf", "script.pdf"),
    ],
)
def test_a_name_is_a_name_and_nothing_else(given: str, kept: str) -> None:
    assert clean_name(given, ".pdf", "文件") == kept


def test_text_keeps_what_is_seen_and_loses_what_is_not() -> None:
    assert plain("一\r\n二\x00三\u202e四\u200b五\ufeff") == "一\n二三四五"
    assert plain("𠮷野家 😀 <b>") == "𠮷野家 😀 <b>"
    assert plain_line(" 甲\n\t乙 ") == "甲 乙"

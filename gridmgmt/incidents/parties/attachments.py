"""Photos and papers of a matter: what is taken in, what is refused and why, and where it is kept.

A picture is drawn anew, so that nothing but its pixels is kept. A paper is kept as it came, once it is what
it says: it goes out as a download only, under a name and a type that stand here.
"""

import hashlib
import io
import re
import unicodedata
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects.postgresql import insert

from gridmgmt.errors import InputError, NotFoundError
from gridmgmt.importing import kept, pictures
from gridmgmt.importing.packed import BROKEN_ZIP
from gridmgmt.incidents.actor import Actor
from gridmgmt.incidents.handling.acts import Act
from gridmgmt.incidents.handling.work import on_case
from gridmgmt.incidents.intake import holds_number
from gridmgmt.incidents.parties.models import AttachmentKind, IncidentAttachment
from gridmgmt.incidents.plain import plain_line

LARGEST_FILE = 12 << 20
MOST_FILES = 6
LONGEST_NAME = 60
# An office's paper unpacks to a few megabytes; a trap unpacks to gigabytes.
MOST_UNPACKED = 100 << 20
MOST_MEMBERS = 3000

PDF = "application/pdf"
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ENDINGS = {"image/jpeg": pictures.ENDING, PDF: ".pdf", _WORD: ".docx", _SHEET: ".xlsx"}
# The part that makes an office file what it is.
_PARTS = {"word/document.xml": _WORD, "xl/workbook.xml": _SHEET}
ALLOWED = "a JPEG, PNG or WebP picture, a PDF, DOCX or XLSX, up to 12 MB"


class Unfit(StrEnum):
    """Why a file is not taken."""

    EMPTY = "empty"
    LARGE = "large"
    MANY = "many"
    HEIC = "heic"
    SVG = "svg"
    HTML = "html"
    ZIP = "zip"
    OLD_OFFICE = "old_office"
    ACTIVE = "active"
    MIXED = "mixed"
    LOCKED = "locked"
    BROKEN = "broken"
    PICTURE_ONLY = "picture_only"
    OTHER = "other"


UNFIT_WORDS = {
    Unfit.EMPTY: "文件是空的，请重新选择。",
    Unfit.LARGE: "文件太大：每个不超过 12 MB。照片可先截图或压缩再传。",
    Unfit.MANY: f"一次最多附 {MOST_FILES} 个文件。",
    Unfit.HEIC: "这是苹果手机的 HEIC 照片，请先截图再传，或在手机“设置－相机－格式”里选“兼容性最佳”后重拍。",
    Unfit.SVG: "不收 SVG 图形，请换成 JPEG、PNG 或 WebP 照片。",
    Unfit.HTML: "不收网页文件，请截图后上传照片。",
    Unfit.ZIP: "不收压缩包，请解开后逐个上传照片或 PDF、Word、Excel 文件。",
    Unfit.OLD_OFFICE: "这是旧格式的 Office 文件，请另存为 DOCX、XLSX 或 PDF 再传。",
    Unfit.ACTIVE: "文件里有宏、脚本或夹带的文件，为安全不收。请另存为不带宏的文件，或打印成 PDF 再传。",
    Unfit.MIXED: "文件前后夹着别的内容，为安全不收。请重新导出或截图后再传。",
    Unfit.LOCKED: "文件设了密码，打不开，请去掉密码再传。",
    Unfit.BROKEN: "文件打不开，可能没有传完整，请重新选择。",
    Unfit.PICTURE_ONLY: "这里只收照片（JPEG、PNG、WebP）。",
    Unfit.OTHER: "不收这种文件。可以传照片（JPEG、PNG、WebP）、PDF、DOCX、XLSX。",
}


@dataclass(frozen=True)
class Prepared:
    """A file ready to be kept: `sha256` and `data` are of what is kept, `name` is what it is called."""

    sha256: str
    kind: AttachmentKind
    type: str
    name: str
    data: bytes


@dataclass(frozen=True)
class AttachmentLine:
    """An attached file as a page lists it."""

    id: int
    kind: AttachmentKind
    type: str
    name: str
    bytes: int
    added_at: datetime
    added_by: str

    @property
    def is_photo(self) -> bool:
        return self.kind is AttachmentKind.PHOTO


def prepare(data: bytes, filename: str, *, photos_only: bool = False) -> Prepared:
    """Return a file as it may be kept; nothing is written.

    Raises InputError of the field "attachment", `found` being one of `Unfit`, whose words are UNFIT_WORDS.
    """
    kind = kind_of(data)
    if isinstance(kind, Unfit):
        raise unfit(kind)
    if kind == "image/jpeg":
        return _photo(data, filename)
    if photos_only:
        raise unfit(Unfit.PICTURE_ONLY)
    sha256 = hashlib.sha256(data).hexdigest()
    return Prepared(sha256, AttachmentKind.DOCUMENT, kind, clean_name(filename, ENDINGS[kind], "文件"), data)


def unfit(why: Unfit) -> InputError:
    """Return the error that says why a file is not taken."""
    return InputError("attachment", why, ALLOWED)


def kind_of(data: bytes) -> str | Unfit:
    """Return the type as which a file is kept, told from what is in it alone, or why it is not taken."""
    if not data:
        return Unfit.EMPTY
    if len(data) > LARGEST_FILE:
        return Unfit.LARGE
    if data[:3] == b"\xff\xd8\xff" or data[:8] == b"\x89PNG\r\n\x1a\n":
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/jpeg"
    if data[:5] == b"%PDF-":
        return _of_pdf(data)
    if data[:2] == b"PK":
        return _of_zip(data)
    return _of_others(data)


def _photo(data: bytes, filename: str) -> Prepared:
    try:
        photo = pictures.prepare(data, LARGEST_FILE)
    except InputError as why:
        raise unfit(Unfit.BROKEN) from why
    name = clean_name(filename, pictures.ENDING, "照片")
    return Prepared(photo.sha256, AttachmentKind.PHOTO, "image/jpeg", name, photo.data)


_ACTIVE_PDF = re.compile(rb"/(?:JavaScript|JS\s*[(<]|Launch\b|EmbeddedFiles?\b|RichMedia\b)")


def _of_pdf(data: bytes) -> str | Unfit:
    """What of a PDF acts by itself is refused where it is not packed; packed, it stays in a download."""
    end = data.rfind(b"%%EOF")
    if end < 0:
        return Unfit.BROKEN
    if data[end + 5 :].strip(b"\r\n \0") or b"PK\x05\x06" in data[-66_000:]:
        return Unfit.MIXED
    if _ACTIVE_PDF.search(data):
        return Unfit.ACTIVE
    return PDF


def _of_zip(data: bytes) -> str | Unfit:
    """An office file is a zip that begins at its first byte, ends at its last, and holds a known part."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            return _of_members(opened, data)
    except BROKEN_ZIP:
        return Unfit.BROKEN


def _of_members(opened: zipfile.ZipFile, data: bytes) -> str | Unfit:
    members = opened.infolist()
    names = {each.filename for each in members}
    found = next((kind for part, kind in _PARTS.items() if part in names), None)
    if found is None or "[Content_Types].xml" not in names:
        return Unfit.ZIP
    if opened.comment or data[:4] != b"PK\x03\x04" or data.rfind(b"PK\x05\x06") != len(data) - 22:
        return Unfit.MIXED
    if min(each.header_offset for each in members):
        return Unfit.MIXED
    if any(each.flag_bits & 1 for each in members):
        return Unfit.LOCKED
    if len(members) > MOST_MEMBERS or sum(each.file_size for each in members) > MOST_UNPACKED:
        return Unfit.LARGE
    if len(names) < len(members) or any(_strays(name) for name in names):
        return Unfit.BROKEN
    if any(_ACTIVE_PART.search(name) for name in names):
        return Unfit.ACTIVE
    return Unfit.ACTIVE if _says_macro(opened) else found


_ACTIVE_PART = re.compile(
    r"vbaProject|activeX/|macrosheets/|embeddings/.*\.(?:bin|exe|js|html?)$", re.IGNORECASE
)


def _strays(name: str) -> bool:
    return name.startswith("/") or "\\" in name or ".." in name.split("/") or ":" in name


def _says_macro(opened: zipfile.ZipFile) -> bool:
    if opened.getinfo("[Content_Types].xml").file_size > 1 << 20:
        return True
    return b"macroenabled" in opened.read("[Content_Types].xml").lower()


def _of_others(data: bytes) -> Unfit:
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n\0").lower()
    if data[4:8] == b"ftyp":
        brands = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif")
        return Unfit.HEIC if data[8:12] in brands else Unfit.OTHER
    if b"<svg" in head:
        return Unfit.SVG
    if head.startswith((b"<!doctype html", b"<html", b"<script", b"<head", b"<body")) or b"<script" in head:
        return Unfit.HTML
    if head[:4] in (b"rar!", b"7z\xbc\xaf") or data[:2] == b"\x1f\x8b":
        return Unfit.ZIP
    if data[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        return Unfit.OLD_OFFICE
    # A reader of PDF looks for its mark in the first kilobyte, so a file that begins otherwise is two things.
    if b"%PDF-" in data[:1100]:
        return Unfit.MIXED
    return Unfit.OTHER


_FORBIDDEN = re.compile(r'[<>:"|?*%]')


def clean_name(filename: str, ending: str, otherwise: str) -> str:
    r"""Return a name that is a name and nothing else: no path, no second ending, no sign that is not seen.

    A name that holds what reads as a number of a person is left out.

    >>> clean_name("../../etc/pas\u202efdp.exe", ".pdf", "文件"), clean_name("C:/a/合同.pdf", ".pdf", "文件")
    ('pasfdp.pdf', '合同.pdf')
    """
    last = re.split(r"[\\/]", plain_line(unicodedata.normalize("NFKC", filename)))[-1]
    stem = _FORBIDDEN.sub("", last.rsplit(".", 1)[0]).replace(".", " ").strip()
    if not stem or holds_number(stem):
        stem = otherwise
    return f"{stem[:LONGEST_NAME]}{ending}"


def keep(folder: Path, prepared: Prepared) -> None:
    """Put a file in place under the sum of what is in it."""
    kept.keep(folder, prepared.sha256, ENDINGS[prepared.type], prepared.data)


def add(connection: Connection, case_id: int, prepared: Prepared, added_by: str) -> bool:
    """Write that a matter has this file; False when it has it already."""
    row = {
        "case_id": case_id, "sha256": prepared.sha256, "kind": prepared.kind, "type": prepared.type,
        "name": prepared.name, "bytes": len(prepared.data), "added_by": added_by,
    }  # fmt: skip
    statement = insert(IncidentAttachment).values(row).on_conflict_do_nothing()
    return connection.execute(statement).rowcount == 1


def attach(
    engine: Engine, actor: Actor, case_id: int, version: int | None, files: Sequence[Prepared], folder: Path
) -> int:
    """Attach files to a matter that stands, and return its new version.

    Raises InputError when there is none or too many of them, and as `on_case` does.
    """
    check_number(files)
    if not files:
        raise unfit(Unfit.EMPTY)
    with on_case(engine, actor, case_id, version) as work:
        new = work.write(Act.ATTACH, detail={"files": len(files)})
        for each in files:
            add(work.connection, case_id, each, actor.username)
            keep(folder, each)
        return new


def check_number(files: Sequence[object]) -> None:
    """Raise InputError when somebody sends more files at once than are taken."""
    if len(files) > MOST_FILES:
        raise unfit(Unfit.MANY)


def listed(connection: Connection, case_id: int) -> list[AttachmentLine]:
    """Return what is attached to a matter, the first one first."""
    attachment = IncidentAttachment
    rows = connection.execute(
        select(
            attachment.id, attachment.kind, attachment.type, attachment.name, attachment.bytes,
            attachment.added_at, attachment.added_by,
        ).where(attachment.case_id == case_id).order_by(attachment.id)
    )  # fmt: skip
    return [AttachmentLine(row.id, AttachmentKind(row.kind), *row[2:]) for row in rows]


def read(connection: Connection, folder: Path, number: int) -> Prepared:
    """Return an attached file; NotFoundError when it is not here or its file is gone."""
    row = connection.execute(
        select(IncidentAttachment.__table__).where(IncidentAttachment.id == number)
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"no attachment {number} here")
    data = kept.read(folder, row.sha256, ENDINGS[row.type])
    return Prepared(row.sha256, AttachmentKind(row.kind), row.type, row.name, data)

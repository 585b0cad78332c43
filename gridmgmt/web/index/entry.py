"""What departments send in: forms to download, files to try out and enter, and what is still missing."""

import base64
import binascii
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_login import current_user

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.errors import FileError, InputError, NotAllowedError, NotFoundError
from gridmgmt.index.entries import importer, stored
from gridmgmt.index.entries import template as forms
from gridmgmt.index.entries.faults import EntryError, Fault
from gridmgmt.index.entries.service import Asked
from gridmgmt.index.entries.sheets import LARGEST_FILE
from gridmgmt.index.periods import Period, months_before, read_month, write_month
from gridmgmt.index.tree import LEVEL_NAMES
from gridmgmt.web.access import allow
from gridmgmt.web.databases import reader, writer
from gridmgmt.web.index import entry_words as words
from gridmgmt.web.scope import index_actor
from gridmgmt.web.sending import XLSX, attachment

pages = Blueprint("index_entry", __name__, url_prefix="/index/entry")

WRITERS = (Role.COMMAND, Role.DEPARTMENT)
# A file goes to its trial, and back with the page that confirms it: nothing of it is kept here in between.
LARGEST_FORM = LARGEST_FILE * 4 // 3 + (1 << 18)
MONTHS, FILES = 13, 8
SHOWN_FAULTS, SHOWN_CHANGES = 200, 30


@dataclass(frozen=True)
class Trial:
    """A file that may be entered: what it comes to, its bytes for the form that confirms it, names."""

    told: importer.Told
    data: str
    names: dict[str, str]


@dataclass(frozen=True)
class Refused:
    """A file that was not taken: in words, or by all its faults."""

    file: str
    words: str = ""
    faults: tuple[Fault, ...] = ()


@pages.url_value_preprocessor
def allow_files(endpoint: str | None, _: object) -> None:
    # Before the form is read for its token, which is before the view; for whoever may send files alone.
    if request.method == "POST" and current_user.is_authenticated and current_user.role in WRITERS:
        request.max_content_length = request.max_form_memory_size = LARGEST_FORM


@pages.get("")
@allow(*WRITERS)
def home() -> Any:
    """How far the departments are in a month, or the own one; what is missing, and what was sent."""
    return _page(_month(request.args.get("month", "")))


def _month(said: str) -> date:
    return read_month(said) if said else months_before(china_today().replace(day=1), 1)


def _page(month: date, trial: Trial | None = None, refused: Refused | None = None, status: int = 200) -> Any:
    own = index_actor().unit
    with reader().connect() as connection:
        listed = _progress(connection, month)
        files = stored.files(connection, own or None, FILES)
        issued = stored.standing(connection, month)
    chosen = own or request.args.get("department", "")
    shown = next((each for each in listed if each.department == chosen), None)
    this = china_today().replace(day=1)
    page = render_template(
        "index_entry.html",
        month=month, name=Period(month).name, months=[months_before(this, back) for back in range(MONTHS)],
        listed=[each for each in listed if not own or each.department == own],
        shown=shown, own=own, files=files, issued=issued, levels=LEVEL_NAMES, trial=trial, refused=refused,
        words=words, write_month=write_month, most=LARGEST_FILE >> 20, shown_faults=SHOWN_FAULTS,
        shown_changes=SHOWN_CHANGES, begun=month <= this,
    )  # fmt: skip
    return page, status


def _progress(connection: Any, month: date) -> list[stored.Progress]:
    try:
        return stored.progress(connection, month)
    except NotFoundError:  # no tree yet: the page says what to do
        return []


@pages.get("/template.xlsx")
@allow(*WRITERS)
def template() -> Any:
    """The form of a department and month with what was entered so far."""
    month, own = _month(request.args.get("month", "")), index_actor().unit
    department = request.args.get("department", own)
    if own and department != own:
        raise NotAllowedError(f"{current_user.who.username} is not of {department}")
    with reader().connect() as connection:
        data = forms.book(connection, month, department)
    name = f"平安指数填报-{department}-{write_month(month)}.xlsx"
    return attachment(data, name, XLSX, f"index-{write_month(month)}.xlsx")


@pages.post("")
@allow(*WRITERS)
def try_out() -> Any:
    """Say what a file would do, or everything that is wrong with it; nothing is entered."""
    month, sent = _month(request.form.get("month", "")), request.files.get("file")
    name = _plain(sent.filename or "") if sent else ""
    if sent is None or not name:
        return _page(month, refused=Refused("", "没有选择文件。"), status=400)
    data = sent.read(LARGEST_FILE + 1)
    try:
        told = _load(name, data, month, dry_run=True)
    except FileError as why:
        return _page(month, refused=_refused(name, why), status=why.http_status)
    return _page(month, Trial(told, base64.b64encode(data).decode(), _names(told)))


def _names(told: importer.Told) -> dict[str, str]:
    """Return what indicators and units of a file are called, by their codes."""
    names: dict[str, str] = {}
    with reader().connect() as connection:
        for month in told.months:
            asked = Asked(connection, month)
            names |= {each.code: each.name for each in asked.tree.indicators}
            names |= {unit.code: unit.name for listed in asked.units.values() for unit in listed}
    return names


@pages.post("/enter")
@allow(*WRITERS)
def enter() -> Any:
    """Enter the file whose trial was shown; it is checked again in full."""
    month, name = _month(request.form.get("month", "")), _plain(request.form.get("name", ""))
    try:
        data = base64.b64decode(request.form.get("data", ""), validate=True)
    except binascii.Error as why:
        raise InputError("data", "no file", "the form of a trial") from why
    try:
        told = _load(name, data, month, dry_run=False)
    except FileError as why:
        return _page(month, refused=_refused(name, why), status=why.http_status)
    found = told.counts
    flash(
        f"{name} 已入库：新填 {found.new} 个，更新 {found.updated} 个，报无 {found.cleared} 个，"
        f"未变 {found.unchanged} 个。"
    )
    return redirect(url_for("index_entry.home", month=write_month(month), department=told.department), 303)


def _plain(name: str) -> str:
    """Return a file's own name, without folders and what cannot be seen; its ending stays."""
    return "".join(each for each in name.replace("\\", "/").rpartition("/")[2] if each.isprintable())[-120:]


def _load(name: str, data: bytes, month: date, *, dry_run: bool) -> importer.Told:
    return importer.load(writer(), index_actor(), importer.read(name, data), month, dry_run=dry_run)


def _refused(name: str, why: FileError) -> Refused:
    if isinstance(why, EntryError):
        return Refused(name, faults=why.faults)
    return Refused(name, words.refusal(why))

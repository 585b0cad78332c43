"""Bulletins (通报): the centre drafts, approves and issues them; others read those that were issued."""

from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for

from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, GridmgmtError, InputError, NotFoundError
from gridmgmt.index import stored as months
from gridmgmt.index.actor import on_index
from gridmgmt.index.bulletins import service, stored, words
from gridmgmt.index.bulletins.blocks import Figure, Table
from gridmgmt.index.bulletins.service import FORMS, LONGEST_REMARKS, ChangedError, MonthsMissingError
from gridmgmt.index.bulletins.stored import STATUS_NAMES
from gridmgmt.index.periods import SPAN_NAMES, Period, Span, of_month, read_month, write_month
from gridmgmt.web.access import allow
from gridmgmt.web.databases import reader, writer
from gridmgmt.web.scope import index_actor, is_centre
from gridmgmt.web.sending import attachment

pages = Blueprint("bulletins", __name__, url_prefix="/index/bulletins")

READERS = (Role.TOWN_OFFICER, Role.COMMAND, Role.DEPARTMENT)


@pages.get("")
@allow(*READERS)
def listed() -> Any:
    """The bulletins, and for the centre the periods that have none yet."""
    return _listed()


def _listed(refused: str = "", status: int = 200) -> Any:
    with on_index(writer(), index_actor()) as connection:
        lines = stored.bulletins(connection)
    possible = _possible({line.period for line in lines}) if is_centre() else []
    page = render_template(
        "index_bulletins.html", lines=lines, possible=possible, refused=refused, centre=is_centre(),
        states=STATUS_NAMES, spans=SPAN_NAMES, write_month=write_month,
    )  # fmt: skip
    return page, status


def _possible(drafted: set[Period]) -> list[Period]:
    """Return the periods that ended with a month that was built and have no bulletin, the newest first."""
    with reader().connect() as connection:
        built = months.months(connection)
    ended = {of_month(month, span) for month in built for span in Span if of_month(month, span).last == month}
    order = {span: n for n, span in enumerate(Span)}
    return sorted(ended - drafted, key=lambda each: (each.last, -order[each.span]), reverse=True)


@pages.post("")
@allow(Role.COMMAND)
def draft() -> Any:
    """Make the draft of a period."""
    try:
        number = service.draft(writer(), index_actor(), _period(request.form.get("period", "")))
    except (InputError, ConflictError, NotFoundError) as error:
        return _listed(_why(error), error.http_status)
    flash("已起草。")
    return redirect(url_for("bulletins.shown", number=number), 303)


def _period(said: str) -> Period:
    """Return the period that a form names as month:2025-12; InputError of "period" for anything else."""
    span, _, month = said.partition(":")
    if span not in list(Span):
        raise InputError("period", said, "such as month:2025-12")
    return of_month(read_month(month, "period"), Span(span))


@pages.get("/<int:number>")
@allow(*READERS)
def shown(number: int) -> Any:
    """A bulletin as a page, in the words of its files."""
    return _shown(number)


def _shown(number: int, refused: str = "", status: int = 200) -> Any:
    found = service.whole(writer(), index_actor(), number)
    data = found.data
    page = render_template(
        "index_bulletin.html", found=found, line=found.line, title=words.title(data),
        office=words.office(data), sections=words.sections(data, found.remarks), of=_kind_of,
        centre=is_centre(), states=STATUS_NAMES, refused=refused, longest=LONGEST_REMARKS,
        typed=request.form.get("remarks", found.remarks), missing=data["period"]["missing"],
    )  # fmt: skip
    return page, status


def _kind_of(block: object) -> str:
    """Return what a block of a bulletin is, for the template: table, figure or words."""
    return "table" if isinstance(block, Table) else "figure" if isinstance(block, Figure) else "words"


@pages.get('/<int:number>/<any("scores-town", "mover", "map"):name>.png')
@allow(*READERS)
def picture(number: int, name: str) -> Any:
    """A chart or the map of a bulletin."""
    answer = Response(service.picture(writer(), index_actor(), number, name), mimetype="image/png")
    answer.headers["Cache-Control"] = "no-store"
    return answer


@pages.get("/<int:number>/file.<form>")
@allow(*READERS)
def file(number: int, form: str) -> Any:
    """A bulletin as docx or pdf, a draft marked as one."""
    name, content = service.file(writer(), index_actor(), number, form)
    return attachment(content, name, FORMS[form], f"bulletin-{number}.{form}")


# --- acts of the centre


@pages.post("/<int:number>/renew")
@allow(Role.COMMAND)
def renew(number: int) -> Any:
    """Make a draft anew of the figures of now."""
    period = service.whole(writer(), index_actor(), number).line.period
    return _acted(number, lambda: service.draft(writer(), index_actor(), period), "已按现有数据更新。")


@pages.post("/<int:number>/remarks")
@allow(Role.COMMAND)
def remarks(number: int) -> Any:
    """Set the editor's own paragraphs."""
    said = request.form.get("remarks", "")
    return _acted(number, lambda: service.remark(writer(), index_actor(), number, said, _seen()), "已保存。")


@pages.post("/<int:number>/approve")
@allow(Role.COMMAND)
def approve(number: int) -> Any:
    """Approve a draft."""
    return _acted(
        number, lambda: service.approve(writer(), index_actor(), number, _seen()), "已审核，可以签发。"
    )


@pages.post("/<int:number>/back")
@allow(Role.COMMAND)
def back(number: int) -> Any:
    """Make an approved bulletin a draft again."""
    return _acted(
        number, lambda: service.send_back(writer(), index_actor(), number, _seen()), "已退回为草稿。"
    )


@pages.post("/<int:number>/issue")
@allow(Role.COMMAND)
def issue(number: int) -> Any:
    """Issue an approved bulletin for good."""
    return _acted(
        number, lambda: service.issue(writer(), index_actor(), number, _seen()), "已签发，本期数据已锁定。"
    )


def _acted(number: int, act: Any, done: str) -> Any:
    try:
        act()
    except (InputError, ConflictError) as error:
        return _shown(number, _why(error), error.http_status)
    flash(done)
    return redirect(url_for("bulletins.shown", number=number), 303)


def _seen() -> str:
    return request.form.get("seen", "")


def _why(error: GridmgmtError) -> str:
    if isinstance(error, MonthsMissingError):
        missing = "、".join(Period(month).name for month in error.missing)
        return f"还不能签发：{missing}没有计算，请先计算。"
    if isinstance(error, ChangedError):
        return "数据有变化，没有办成。请看清现在的内容；已审核的请退回，更新草稿后再审核。"
    if isinstance(error, ConflictError):
        return "这份通报的状态刚刚变了，请看清后再操作。"
    if isinstance(error, NotFoundError):
        return "这一期还没有计算，不能起草。"
    if isinstance(error, InputError) and error.field == "remarks":
        return f"工作要求请不超过 {LONGEST_REMARKS} 字。"
    return "请选一个期间。"

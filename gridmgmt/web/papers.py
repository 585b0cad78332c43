"""Papers of a matter or a meeting: which can be made, drafts, issuing and fetching again; the templates.

What holds names goes by POST: it stands in no address, and no browser fetches it by itself.
"""

from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, url_for

from gridmgmt.db.models import Role
from gridmgmt.errors import NotAllowedError, NotFoundError
from gridmgmt.incidents.papers import render, service
from gridmgmt.incidents.papers.models import PaperKind
from gridmgmt.incidents.papers.render import BrokenTemplateError
from gridmgmt.incidents.papers.service import FORMS, IncompleteError, Made
from gridmgmt.web.access import allow
from gridmgmt.web.databases import matters, ring
from gridmgmt.web.mediation import OFFICES
from gridmgmt.web.scope import matter_actor
from gridmgmt.web.sending import attachment

pages = Blueprint("papers", __name__)


def own() -> Path:
    """Return the folder of the city's own templates."""
    return render.folder(current_app.config["SETTINGS"].home)


@pages.get("/papers/of/<int:number>")
@allow(*OFFICES, Role.GRID_WORKER, Role.DEPARTMENT)
def of(number: int) -> Any:
    """The papers of a matter: a part of its page, or a page of its own; nothing for whoever makes none."""
    try:
        return _of(number)
    except NotAllowedError:
        return ""


def _of(number: int, refused: str = "", status: int = 200) -> Any:
    fragment = bool(request.headers.get("HX-Request"))
    possible, issued = service.possible(matters(), matter_actor(), number)
    page = render_template(
        "papers_body.html" if fragment else "papers_of.html",
        number=number, possible=possible, issued=issued, refused=refused,
    )  # fmt: skip
    return page, status


@pages.get("/papers/<kind>/of/<int:number>/draft.<form>")
@allow(*OFFICES)
def draft(kind: str, number: int, form: str) -> Any:
    """A paper as a draft, without anything sealed."""
    hand = request.args.get("hand", type=int)
    return _file(service.draft(matters(), matter_actor(), kind, number, own(), hand), _form(form))


@pages.post("/papers/<kind>/of/<int:number>")
@allow(*OFFICES)
def issue(kind: str, number: int) -> Any:
    """Issue a paper of a matter and hand it out."""
    form = _form(request.form.get("form", "docx"))
    hand = request.form.get("hand", type=int)
    try:
        made = service.issue(matters(), ring(), matter_actor(), kind, number, own(), hand)
    except (IncompleteError, BrokenTemplateError) as error:
        return _of(number, _why(error), error.http_status)
    return _file(made, form)


@pages.get("/papers/<kind>/meeting/<int:number>/draft.<form>")
@allow(*OFFICES)
def meeting_draft(kind: str, number: int, form: str) -> Any:
    """A paper of a meeting as a draft."""
    return _file(service.draft_of_meeting(matters(), matter_actor(), kind, number, own()), _form(form))


@pages.post("/papers/<kind>/meeting/<int:number>")
@allow(*OFFICES)
def issue_meeting(kind: str, number: int) -> Any:
    """Issue a paper of a meeting and hand it out."""
    form = _form(request.form.get("form", "docx"))
    try:
        return _file(service.issue_of_meeting(matters(), matter_actor(), kind, number, own()), form)
    except (IncompleteError, BrokenTemplateError) as error:
        flash(_why(error))
        return redirect(url_for("mediation.meeting", number=number), 303)


@pages.post("/papers/<int:paper>/file")
@allow(*OFFICES)
def again(paper: int) -> Any:
    """An issued paper, made anew."""
    form = _form(request.form.get("form", "docx"))
    return _file(service.again(matters(), ring(), matter_actor(), paper, own()), form)


def _form(said: str) -> str:
    if said not in FORMS:
        raise NotFoundError(f"no paper as {said}")
    return said


def _why(error: IncompleteError | BrokenTemplateError) -> str:
    if isinstance(error, IncompleteError):
        return f"还不能出具，缺：{'、'.join(error.names)}。"
    where = f"第 {error.line} 行" if error.line else ""
    return f"文书模板 {error.file.name} {where}有误，没有出具，请告诉管理员：{error.why}"


def _file(made: Made, form: str) -> Response:
    plain = f"{made.kind.code.value}-{made.paper_id or 'draft'}.{form}"
    return attachment(made.written(form), f"{made.name}.{form}", FORMS[form], plain)


# --- templates


@pages.get("/admin/papers")
@allow(Role.ADMIN)
def templates() -> Any:
    """Which templates are used, the city's own or the packaged ones, and what is wrong with any."""
    return render_template("paper_templates.html", sources=render.sources(own()), folder=own())


@pages.get("/admin/papers/<kind>.html")
@allow(Role.ADMIN)
def template(kind: str) -> Any:
    """The packaged template of a paper, to begin one's own from."""
    known = {each.value for each in PaperKind}
    if kind not in known:
        raise NotFoundError(f"no paper {kind}")
    return attachment(render.packaged_text(PaperKind(kind)), f"{kind}.html", "text/plain")

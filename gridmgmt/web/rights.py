"""What a resident may ask for: a copy, restriction, erasure, who looked; and files of the roster.

The town office does all of it for the resident who comes to the counter. What gives numbers out goes by POST:
nothing of it stands in an address, and no browser fetches it by itself.
"""

import json
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for

from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError, NotAllowedError
from gridmgmt.households.rights import access, erase, export_book, exports, paper, restrict, subject
from gridmgmt.households.rights import copy as copies
from gridmgmt.web.access import allow
from gridmgmt.web.areas import Place, territory
from gridmgmt.web.databases import reader, ring, roster
from gridmgmt.web.scope import STAFF, actor, own_area
from gridmgmt.web.sending import XLSX, attachment

pages = Blueprint("rights", __name__)

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
# What an InputError's field means to whoever filled the form in.
REFUSED = {
    "why": "请选一个删除的原因，没有删除。",
    "name": "输入的姓名与登记的不一致，没有删除。",
    "new_head": "请选定由谁接任户主，没有删除。",
    "asked_by": "请选择是谁申请的。",
    "purpose": "请选择导出的用途。",
    "columns": "有一列不能导出，请重新选择。",
    "area": f"这一范围超过 {exports.MOST_HOUSEHOLDS} 户，请按网格分别申请。",
}


# --- one person


@pages.get("/people/<int:number>/rights")
@allow(Role.TOWN_OFFICER)
def person(number: int) -> Any:
    """What is held of a person in numbers, and what can be done about it."""
    held = subject.held(roster(), actor(), number)
    return render_template(
        "rights_person.html",
        who=held.subject,
        has=held.has,
        asked_by=subject.ASKED_BY,
        reasons={why.value: erase.WHY_NAMES[why] for why in erase.OFFERED},
    )


@pages.post("/people/<int:number>/copy")
@allow(Role.TOWN_OFFICER)
def copy(number: int) -> Any:
    """Everything held of a person: a page to print, a Word document, or JSON for another program."""
    try:
        made = copies.copy(roster(), ring(), actor(), number, request.form.get("asked_by", ""))
    except InputError as why:
        return _refused(why, "rights.person", number=number)
    form = request.form.get("form", "")
    if form == "docx":
        return attachment(paper.document(made), f"个人信息副本-{number}.docx", DOCX, f"copy-{number}.docx")
    if form == "json":
        text = json.dumps(copies.as_data(made), ensure_ascii=False, indent=1)
        return attachment(text, f"个人信息副本-{number}.json", "application/json", f"copy-{number}.json")
    return render_template("rights_copy.html", made=made, asked_by=subject.ASKED_BY[made.asked_by])


@pages.post("/people/<int:number>/restrict")
@allow(Role.TOWN_OFFICER)
def limit(number: int) -> Any:
    """Restrict what is done with a person's data, or lift that again."""
    restricted = request.form.get("restricted") == "yes"
    restrict.restrict(roster(), actor(), number, restricted=restricted)
    flash("已限制处理：不再显示号码、不导出、不列入提醒走访。" if restricted else "已解除限制。")
    return redirect(url_for("rights.person", number=number), 303)


@pages.post("/people/<int:number>/erase")
@allow(Role.TOWN_OFFICER)
def remove(number: int) -> Any:
    """Erase a person whose name was typed once more."""
    form = request.form
    try:
        home = erase.erase(
            roster(), ring(), actor(), number, form.get("why", ""), new_head=form.get("new_head", type=int),
            name=form.get("name", ""), home=current_app.config["SETTINGS"].home,
        )  # fmt: skip
    except InputError as why:
        return _refused(why, "rights.person", number=number)
    flash("已删除。备份中的旧数据恢复后也会再次删除。")
    return redirect(url_for("roster.home", number=home), 303)


@pages.get("/people/<int:number>/access")
@allow(Role.TOWN_OFFICER)
def person_access(number: int) -> Any:
    """Who looked at a person, to print."""
    return render_template("rights_access.html", record=access.access_record_of(roster(), actor(), number))


@pages.get("/homes/<int:number>/access")
@allow(Role.TOWN_OFFICER)
def home_access(number: int) -> Any:
    """Who looked at a household, to print."""
    return render_template("rights_access.html", record=access.access_record(roster(), actor(), number))


# --- files of the roster


@pages.get("/exports")
@allow(*STAFF)
def files() -> Any:
    """One's own requests, and for the office those of the town that wait."""
    with reader().connect() as connection:
        here = territory(connection)
    who = actor()
    return render_template(
        "export_list.html",
        here=here,
        lines=exports.requests(roster(), who),
        area_name=here.name,
        areas=_areas(here.inside("grid", own_area()), here.place(own_area())),
        columns={key: column for key, column in export_book.COLUMNS.items() if not column.always},
        full=export_book.FULL,
        purposes=exports.PURPOSES,
        me=who.username,
        is_office=who.is_office,
        most=exports.MOST_HOUSEHOLDS,
        hours=exports.HOURS,
    )


def _areas(grids: list[Place], whole: Place | None) -> list[tuple[str, str]]:
    """Return code and name of what can be asked for; of a town its grids, and all of it."""
    found = [(place.code, f"{place.path} · {place.name}" if whole else place.name) for place in grids]
    return [*found, (whole.code, f"{whole.name}全部")] if whole and whole.level == "town" else found


@pages.post("/exports")
@allow(*STAFF)
def ask() -> Any:
    """Ask for a file."""
    form = request.form
    try:
        exports.ask(roster(), actor(), form.get("area", ""), form.getlist("column"), form.get("purpose", ""))
    except InputError as why:
        return _refused(why, "rights.files")
    flash("已提交，等镇街另一位工作人员审批。")
    return redirect(url_for("rights.files"), 303)


@pages.post("/exports/<int:number>/decide")
@allow(Role.TOWN_OFFICER)
def decide(number: int) -> Any:
    """Allow or refuse somebody else's request."""
    approve = request.form.get("approve") == "yes"
    try:
        exports.decide(roster(), actor(), number, approve=approve)
    except ConflictError:
        flash("这项申请已经有人处理过了。")
    except NotAllowedError:
        flash("自己的申请须由另一位工作人员审批。")
    else:
        flash(f"已同意，{exports.HOURS} 小时内可下载一次。" if approve else "未同意，已告知申请人。")
    return redirect(url_for("rights.files"), 303)


@pages.post("/exports/<int:number>/file")
@allow(*STAFF)
def fetch(number: int) -> Any:
    """The file, once."""
    try:
        fetched = exports.fetch(roster(), ring(), actor(), number)
    except ConflictError:
        flash("不能下载：还没有同意、已过期，或者已下载过。")
    except NotAllowedError:
        flash("由申请人本人下载。")
    except InputError as why:
        return _refused(why, "rights.files")
    else:
        return attachment(fetched.content, fetched.name, XLSX, f"roster-{number}.xlsx")
    return redirect(url_for("rights.files"), 303)


def _refused(why: InputError, endpoint: str, **values: Any) -> Any:
    if why.field not in REFUSED:
        raise why
    flash(REFUSED[why.field])
    return redirect(url_for(endpoint, **values), 303)

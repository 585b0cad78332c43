"""The administrator's code lists: categories, departments, channels."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_login import current_user

from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, GridmgmtError, InputError, NotFoundError
from gridmgmt.incidents import code_lists
from gridmgmt.web.access import allow
from gridmgmt.web.databases import databases, reader

pages = Blueprint("codes", __name__, url_prefix="/admin/codes")

# What an InputError's field means to whoever filled the form in.
REFUSED = {
    "code": f"代码用 1 至 {code_lists.LONGEST_CODE} 个字母、数字或 _ . -。",
    "name": f"名称要有 1 至 {code_lists.LONGEST_NAME} 个字。",
    "parent": "上级要是另一个大类的代码。",
    "department": "责任部门要从名单里选；没有的先在下面添加。",
    "days": "办理天数是 1 至 365 个工作日，不填则按流程。",
}


@pages.get("")
@allow(Role.ADMIN)
def page() -> Any:
    return _page()


def _page(refused: str = "", status: int = 200) -> Any:
    with reader().connect() as connection:
        lines, channels = code_lists.categories(connection), code_lists.channels(connection)
    tops = [line for line in lines if line.parent is None]
    under = {top.code: [line for line in lines if line.parent == top.code] for top in tops}
    page = render_template(
        "codes.html", tops=tops, under=under, count=len(lines), channels=channels, refused=refused,
        departments=code_lists.departments(databases().accounts),
    )  # fmt: skip
    return page, status


@pages.post("/categories")
@allow(Role.ADMIN)
def save_category() -> Any:
    form = request.form
    try:
        code_lists.save_category(
            databases().accounts, current_user.who.username, form.get("code", "").strip(),
            name=form.get("name", ""), parent=form.get("parent", "").strip() or None,
            department=form.get("department", "").strip() or None, days=_days(form.get("days", "").strip()),
            is_open=form.get("open") == "yes", new=form.get("new") == "yes",
        )  # fmt: skip
    except (InputError, ConflictError, NotFoundError) as why:
        return _page(_why(why), why.http_status)
    return _saved(form.get("name", ""), form.get("code", ""))


@pages.post("/categories/remove")
@allow(Role.ADMIN)
def remove_category() -> Any:
    return _done(code_lists.remove_category, request.form.get("code", ""), "已删除")


@pages.post("/departments")
@allow(Role.ADMIN)
def add_department() -> Any:
    return _done(code_lists.add_department, request.form.get("name", ""), "已添加")


@pages.post("/departments/remove")
@allow(Role.ADMIN)
def remove_department() -> Any:
    return _done(code_lists.remove_department, request.form.get("name", ""), "已删除")


@pages.post("/channels")
@allow(Role.ADMIN)
def save_channel() -> Any:
    form = request.form
    try:
        code_lists.save_channel(
            databases().accounts, current_user.who.username, form.get("code", "").strip(),
            form.get("name", ""), new=form.get("new") == "yes",
        )  # fmt: skip
    except (InputError, ConflictError, NotFoundError) as why:
        return _page(_why(why), why.http_status)
    return _saved(form.get("name", ""), form.get("code", ""))


def _done(change: Any, what: str, words: str) -> Any:
    try:
        change(databases().accounts, current_user.who.username, what)
    except (InputError, ConflictError, NotFoundError) as why:
        return _page(_why(why), why.http_status)
    flash(f"{words}：{what}。")
    return redirect(url_for("codes.page"), 303)


def _saved(name: str, code: str) -> Any:
    flash(f"已保存：{name}（{code}）。")
    return redirect(url_for("codes.page", _anchor=f"code-{code}"), 303)


def _days(told: str) -> int | None:
    if not told:
        return None
    if not (told.isascii() and told.isdecimal() and len(told) <= 4):
        raise InputError("days", told[:9], "a whole number")
    return int(told)


def _why(error: GridmgmtError) -> str:
    if isinstance(error, InputError):
        return f"没有保存。{REFUSED.get(error.field, '有一项填得不对。')}"
    if isinstance(error, NotFoundError):
        return "没有保存。名单里没有这一项，可能刚被别人删除。"
    return "没有保存。代码或名称已经有了，或者它正在使用：用过的不能删除，有下级的大类不能归到别的大类下。"

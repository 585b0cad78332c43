"""The security administrator's accounts: who may sign in, as what, and which sign-ins stand.

A password that is made here is shown once, in the answer to the form that asked for it.
"""

import logging
from datetime import UTC, datetime
from functools import partial
from typing import Any

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_login import current_user

from gridmgmt.db import accounts as stored
from gridmgmt.db import sessions
from gridmgmt.db.accounts import ORDERS, PAGE, STATES, AccountRow, Filter
from gridmgmt.db.models import ADMINISTRATORS, ROLE_NAMES, Role
from gridmgmt.errors import ConflictError, FileError, InputError
from gridmgmt.privacy import accounts
from gridmgmt.web import account_files as files
from gridmgmt.web import throttle
from gridmgmt.web.access import allow, factor_needed, idle
from gridmgmt.web.account_fields import (
    PROPOSALS,
    REFUSED,
    found_place,
    listed_units,
    new_account,
    suggestions,
)
from gridmgmt.web.areas import Territory, territory
from gridmgmt.web.databases import databases, reader

pages = Blueprint("accounts", __name__, url_prefix="/admin/accounts")

log = logging.getLogger("gridmgmt.web")

TAKEN = "这个账号名已经有人用了，请换一个。"
SUBJECT_TAKEN = "这个身份标识已经绑定了另一个账号。"
NO_ISSUER = "请填写发行方地址（https:// 开头），它在平台说明的 issuer 一项里。"
NO_TABLE = "读不出这张表：请用模板，第一行是表头，至少有账号、姓名、角色三列，一次至多 2000 行。"


# What an address may narrow the list by; what else stands in it leads nowhere.
NARROWED = ("q", "role", "area", "state", "order")


def wanted() -> Filter:
    """Return what the address narrows the list to."""
    told = request.args
    return Filter(
        words=told.get("q", "").strip()[:60],
        role=told.get("role", ""),
        area=told.get("area", ""),
        state=told.get("state", ""),
        order=told.get("order", "role"),
        locked=tuple(_locked()) if told.get("state") == "locked" else (),
    )


@pages.get("")
@allow(Role.SECURITY)
def listed() -> Any:
    chosen, page = wanted(), max(1, request.args.get("page", 1, int))
    lines, total = stored.listed(databases().accounts, chosen, page)
    here = _here()
    since = datetime.now(UTC) - idle()
    return render_template(
        "accounts.html",
        here=here,
        lines=lines,
        total=total,
        tally=stored.tally(databases().accounts),
        standing=stored.session_counts(databases().accounts, [line.username for line in lines], since),
        locked=_locked(),
        chosen=chosen,
        arguments={key: request.args[key] for key in NARROWED if request.args.get(key)},
        towns=here.inside("town"),
        role_names=ROLE_NAMES,
        states=STATES,
        orders=ORDERS,
        page=page,
        last=max(1, -(-total // PAGE)),
    )


@pages.get("/areas")
@allow(Role.SECURITY)
def areas() -> Any:
    """The areas that fit what is being typed, as options of the box."""
    return render_template("accounts_areas.html", places=suggestions(_here(), request.args))


# --- a new one


@pages.get("/new")
@allow(Role.SECURITY)
def blank() -> Any:
    return _new()


@pages.post("/new")
@allow(Role.SECURITY)
def create() -> Any:
    """Make an account; the page that answers is the only place where its first password ever stands."""
    here = _here()
    try:
        new = new_account(here, listed_units(), request.form)
        password = accounts.create(databases().accounts, current_user.username, new)
    except InputError as why:
        return _new(REFUSED[why.field], why.field), 400
    except ConflictError:
        return _new(TAKEN, "username"), 409
    return _one(new.username, given=password, made=True)


def _new(refused: str = "", about: str = "") -> str:
    here = _here()
    return render_template(
        "accounts_new.html",
        form=request.form,
        refused=refused,
        about=about,
        role_names=ROLE_NAMES,
        units=listed_units(),
        place=found_place(here, request.form.get("area", "")),
    )


# --- one of them


@pages.get("/of/<username>")
@allow(Role.SECURITY)
def one(username: str) -> Any:
    return _one(username)


def _one(username: str, refused: str = "", about: str = "", given: str = "", *, made: bool = False) -> str:
    account = stored.one(databases().accounts, username)
    here, longest = _here(), current_app.permanent_session_lifetime
    area = (request.form.get("area") if refused else None) or account.area or ""
    return render_template(
        "accounts_one.html",
        account=account,
        here=here,
        form=request.form if refused and about == "fields" else _as_form(account),
        place=found_place(here, area),
        gone=bool(account.area) and here.place(str(account.area)) is None,
        lines=sessions.standing(databases().accounts, username, idle(), longest),
        until=_locked().get(username.casefold()),
        is_self=username == current_user.username,
        proposals=PROPOSALS,
        administrators=ADMINISTRATORS,
        needed=factor_needed(account),  # type: ignore[arg-type]
        provider=current_app.config["SETTINGS"].oidc,
        role_names=ROLE_NAMES,
        units=listed_units(account.unit),
        refused=refused,
        about=about,
        given=given,
        made=made,
    )


def _as_form(account: AccountRow) -> dict[str, str]:
    return {
        "display_name": account.display_name, "role": account.role.value, "area": account.area or "",
        "unit": account.unit or "",
    }  # fmt: skip


@pages.post("/of/<username>")
@allow(Role.SECURITY)
def change(username: str) -> Any:
    before = stored.one(databases().accounts, username)
    try:
        changed = new_account(_here(), listed_units(before.unit), request.form, username)
        accounts.change(databases().accounts, current_user.username, changed)
    except InputError as why:
        return _one(username, REFUSED[why.field], "fields"), 400
    return _back(username, "已保存，立即生效。")


@pages.post("/of/<username>/switch")
@allow(Role.SECURITY)
def switch(username: str) -> Any:
    on = request.form.get("on") == "yes"
    try:
        accounts.switch(databases().accounts, current_user.username, username, on=on)
    except InputError as why:
        return _one(username, REFUSED[why.field], "active"), 400
    return _back(username, "已启用。" if on else "已停用，正在进行的登录也已结束。")


@pages.post("/of/<username>/password")
@allow(Role.SECURITY)
def reset(username: str) -> Any:
    """Give an account a new first password; the page that answers shows it once."""
    try:
        given = accounts.put_password(databases().accounts, current_user.username, username)
    except InputError as why:
        return _one(username, REFUSED[why.field], "active"), 400
    return _one(username, given=given)


@pages.post("/of/<username>/sessions")
@allow(Role.SECURITY)
def end_sessions(username: str) -> Any:
    stored.one(databases().accounts, username)
    keep = current_user.session_id if username == current_user.username else None
    ended = accounts.end_sessions(databases().accounts, current_user.username, username, keep=keep)
    return _back(username, f"已结束 {ended} 处登录。")


@pages.post("/of/<username>/factor")
@allow(Role.SECURITY)
def clear_factor(username: str) -> Any:
    try:
        accounts.set_factor(databases().accounts, current_user.username, username, None)
    except InputError as why:
        return _one(username, REFUSED[why.field], "active"), 400
    return _back(username, "两步验证已清除，本人可以重新设置。")


@pages.post("/of/<username>/unlock")
@allow(Role.SECURITY)
def unlock(username: str) -> Any:
    if throttle.unlock(throttle.opened(current_app.config["SETTINGS"]), username):
        accounts.note_unlocked(databases().accounts, current_user.username, username)
    return _back(username, "已解锁，可以马上再试。")


@pages.post("/of/<username>/subject")
@allow(Role.SECURITY)
def subject(username: str) -> Any:
    """Bind an account to a subject of the identity provider, or to none."""
    told = request.form.get("subject", "").strip()[:255]
    issuer = request.form.get("issuer", "").strip()[:255] if told else None
    if told and not (issuer or "").startswith(("https://", "http://")):
        return _one(username, NO_ISSUER, "subject"), 400
    try:
        accounts.bind_subject(databases().accounts, current_user.username, username, issuer, told or None)
    except ConflictError:
        return _one(username, SUBJECT_TAKEN, "subject"), 409
    except InputError as why:
        return _one(username, REFUSED[why.field], "subject"), 400
    return _back(username, "已绑定统一身份。" if told else "已解除统一身份绑定。")


# --- many at once


@pages.get("/import")
@allow(Role.SECURITY)
def file_form() -> Any:
    return _file_form()


@pages.post("/import")
@allow(Role.SECURITY)
def load() -> Any:
    """Make the accounts of a file, all or none; the answer is the book of first passwords, given once."""
    here, sent = _here(), request.files.get("file")
    if sent is None or not sent.filename:
        return _file_form(fault="没有选择文件。"), 400
    try:
        told = files.read(sent, here, listed_units(), partial(stored.taken, databases().accounts))
    except FileError as why:
        log.info("accounts not read: %s", why)
        return _file_form(fault=NO_TABLE), 400
    if told.bad or not told.accounts:
        return _file_form(bad=told.bad, fault="" if told.bad else "文件里没有账号。"), 400
    try:
        first = accounts.create_many(databases().accounts, current_user.username, told.accounts)
    except InputError as why:
        return _file_form(fault=REFUSED[why.field]), 400
    return _attachment(files.passwords_book(told.accounts, first, here), "xlsx", "first-passwords")


def _file_form(fault: str = "", bad: tuple[files.BadRow, ...] = ()) -> str:
    return render_template(
        "accounts_import.html", fault=fault, bad=bad, headings=files.HEADINGS, most=files.MOST_ROWS
    )


@pages.get("/template.xlsx")
@allow(Role.SECURITY)
def template() -> Any:
    return _attachment(files.template_book(), "xlsx", "accounts-template")


@pages.get("/list.<form>")
@allow(Role.SECURITY)
def export(form: str) -> Any:
    """The accounts that the list shows with the same address, without anything that lets one in."""
    if form not in files.FORMS:
        abort(404)
    lines, _ = stored.listed(databases().accounts, wanted(), None)
    return _attachment(files.export(form, lines, _here()), form, "accounts")


def _attachment(body: bytes, form: str, name: str) -> Response:
    """Return a file to be saved; it is kept in no cache."""
    answer = Response(body, mimetype=files.FORMS[form])
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _back(username: str, words: str) -> Any:
    flash(words)
    return redirect(url_for("accounts.one", username=username), 303)


def _here() -> Territory:
    with reader().connect() as connection:
        return territory(connection)


def _locked() -> dict[str, datetime]:
    return throttle.locked(throttle.opened(current_app.config["SETTINGS"]))

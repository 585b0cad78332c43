"""Keys and webhooks of the interface, for the administrator: what is secret is shown once, in the answer."""

from datetime import date
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask_login import current_user

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError
from gridmgmt.incidents.handling.acts import ACT_NAMES
from gridmgmt.incidents.opening import keys, webhooks
from gridmgmt.web.access import allow
from gridmgmt.web.databases import databases, ring

pages = Blueprint("keys", __name__, url_prefix="/admin")

# Whether messages may go to this machine itself: for tests, and where a program stands beside this one.
ALLOW_HERE = "WEBHOOKS_ALLOW_HERE"
# What an InputError's field means to whoever filled the form in.
REFUSED = {
    "name": "名称须为 2 至 60 个字母、数字、汉字或 . _ -。",
    "scopes": "请至少选一项权限。",
    "a_minute": f"每分钟次数须在 1 到 {keys.MOST_A_MINUTE} 之间。",
    "expires_on": "有效期至须是今天或以后的日期。",
    "acts": "有一项动作不存在，请重新选择。",
    "url": "地址须以 http:// 或 https:// 开头，不含用户名和密码，至多 500 个字符。",
}
TAKEN = "这个名称已经用过，请换一个。"


@pages.get("/keys")
@allow(Role.SECURITY)
def listed() -> Any:
    return _keys_page()


@pages.post("/keys")
@allow(Role.SECURITY)
def add() -> Any:
    """Make a key; the page that answers is the only place where it ever stands."""
    form = request.form
    name = form.get("name", "").strip()
    try:
        made = keys.add(
            databases().accounts, name, form.getlist("scope"), current_user.who.username,
            a_minute=_whole(form.get("a_minute", "")), expires_on=_last_day(form.get("expires_on", "")),
        )  # fmt: skip
    except InputError as why:
        return _keys_page(refused=REFUSED[why.field], filled=form), 400
    except ConflictError:
        return _keys_page(refused=TAKEN, filled=form), 409
    return _keys_page(made=made, name=name)


@pages.post("/keys/revoke")
@allow(Role.SECURITY)
def revoke() -> Any:
    name = request.form.get("name", "")
    keys.revoke(databases().accounts, name, current_user.who.username)
    flash(f"已作废：{name}。用它的程序从现在起被拒绝。")
    return redirect(url_for("keys.listed"), 303)


@pages.get("/webhooks")
@allow(Role.SECURITY)
def hooks() -> Any:
    return _hooks_page()


@pages.post("/webhooks")
@allow(Role.SECURITY)
def hook() -> Any:
    """Begin to tell an address; the page that answers shows its secret once."""
    form = request.form
    name = form.get("name", "").strip()
    try:
        made = webhooks.add(
            databases().accounts, ring(), name, form.get("url", "").strip(), form.getlist("act"),
            current_user.who.username,
        )  # fmt: skip
    except InputError as why:
        return _hooks_page(refused=REFUSED[why.field], filled=form), 400
    except ConflictError:
        return _hooks_page(refused=TAKEN, filled=form), 409
    return _hooks_page(made=made, name=name)


@pages.post("/webhooks/switch")
@allow(Role.SECURITY)
def switch() -> Any:
    name, on = request.form.get("name", ""), request.form.get("on") == "yes"
    webhooks.switch(databases().accounts, name, current_user.who.username, on=on)
    flash(f"已启用：{name}，停用期间的动作会补发。" if on else f"已停用：{name}，不再推送。")
    return redirect(url_for("keys.hooks"), 303)


@pages.post("/webhooks/ping")
@allow(Role.SECURITY)
def ping() -> Any:
    """Send one message to try an address out."""
    name = request.form.get("name", "")
    here = bool(current_app.config.get(ALLOW_HERE))
    answer = webhooks.ping(databases().accounts, ring(), name, allow_here=here)
    flash(f"{name}：{'对方已收到' if answer.taken else '没有送到'}（{answer.words}）。")
    return redirect(url_for("keys.hooks"), 303)


def _keys_page(**said: Any) -> str:
    return render_template(
        "keys.html",
        lines=keys.listed(databases().accounts),
        scopes={scope.value: name for scope, name in keys.SCOPE_NAMES.items()},
        day=china_today(),
        usual=keys.A_MINUTE,
        most=keys.MOST_A_MINUTE,
        **said,
    )


def _hooks_page(**said: Any) -> str:
    return render_template(
        "keys_webhooks.html",
        lines=webhooks.listed(databases().accounts),
        acts={act.value: name for act, name in ACT_NAMES.items()},
        **said,
    )


def _whole(told: str) -> int:
    if not (told.isascii() and told.isdecimal() and len(told) <= 9):
        raise InputError("a_minute", told[:20], "a whole number")
    return int(told)


def _last_day(told: str) -> date | None:
    if not told:
        return None
    try:
        day = date.fromisoformat(told)
    except ValueError:
        day = date.min
    if day < china_today():
        raise InputError("expires_on", told[:20], "today or a later day")
    return day

"""The own account: who I am, password, second factor, where I am signed in."""

from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, session, url_for
from flask_login import current_user

from gridmgmt.db import accounts as stored
from gridmgmt.db import identity, sessions
from gridmgmt.db.accounts import Factor
from gridmgmt.db.models import ROLE_NAMES, Role
from gridmgmt.errors import InputError, NotFoundError
from gridmgmt.privacy import accounts
from gridmgmt.web import second_factor
from gridmgmt.web.access import EVERYONE, WORKSPACES, allow, factor_needed, idle
from gridmgmt.web.areas import city_name, territory
from gridmgmt.web.databases import databases, reader
from gridmgmt.web.login import note
from gridmgmt.web.throttle import count_failure, failures_limited

pages = Blueprint("account", __name__, url_prefix="/account")

# The secret that waits for its first code, sealed as it will be kept.
NEW_FACTOR = "new_factor"
NOT_CONFIRMED = "现在的密码不对，没有改动。"
WRONG_CODE = "验证码不对或已经用过。请等应用显示下一个 6 位数字再输。"
WRONG_PROOF = "验证码或恢复码不对，或已经用过。"
# What is wrong with a password, by what the check found.
REFUSED_PASSWORDS = {
    "the user name": "密码不能和账号相同。",
    "one of the commonest": "这个密码太常见，别人一猜就中，请换一个。",
    "a word of this system": "密码不能只是账号、系统或岗位的名称加数字，请换一个。",
    "the old one": "新密码不能和原来的相同。",
}
WRONG_LENGTH = f"密码须为 {identity.SHORTEST_PASSWORD} 至 {identity.LONGEST_PASSWORD} 个字符。"
NOT_TWICE = "两次输入的新密码不一样。"


@pages.get("")
@allow(*EVERYONE)
def home() -> Any:
    return _home()


def _home(refused: str = "", about: str = "") -> str:
    who = current_user.who
    with reader().connect() as connection:
        here = territory(connection)
    longest = current_app.permanent_session_lifetime
    return render_template(
        "account.html",
        here=here,
        place=here.place(who.area) if who.area else None,
        account=stored.one(databases().accounts, who.username),
        lines=sessions.standing(databases().accounts, who.username, idle(), longest),
        present=current_user.session_id.hex(),
        role_name=ROLE_NAMES[who.role],
        whole_city=who.role in (Role.COMMAND, Role.PLANNER),
        needed=factor_needed(who),
        provider=current_app.config["SETTINGS"].oidc,
        minutes=idle().seconds // 60,
        refused=refused,
        about=about,
    )


# --- password


@pages.get("/password")
@allow(*EVERYONE)
def password() -> Any:
    return _password()


@pages.post("/password")
@allow(*EVERYONE)
@failures_limited
def set_password() -> Any:
    """Change the password and end every other session; who was made to change just proved the old one."""
    form = request.form
    if not current_user.who.must_change and not _proved(form.get("old", "")):
        return _password(NOT_CONFIRMED), 401
    if form.get("new") != form.get("again"):
        return _password(NOT_TWICE), 400
    try:
        new, keep = form.get("new", ""), current_user.session_id
        accounts.own_password(databases().accounts, current_user.username, new, keep)
    except InputError as why:
        return _password(REFUSED_PASSWORDS.get(str(why.found), WRONG_LENGTH)), 400
    flash("密码已改，其他地方的登录已经结束。")
    return redirect(url_for("account.home"), 303)


def _password(refused: str = "") -> str:
    return render_template(
        "account_password.html",
        forced=current_user.who.must_change,
        refused=refused,
        shortest=identity.SHORTEST_PASSWORD,
        longest=identity.LONGEST_PASSWORD,
    )


def _proved(told: str) -> bool:
    """Say whether this is the present password; a wrong one counts towards the lock-out."""
    known = identity.authenticate(databases().accounts, current_user.username, told) is not None
    if not known:
        count_failure()
        note("confirmation refused", current_user.username, "password")
    return known


# --- second factor


@pages.get("/factor")
@allow(*EVERYONE)
def factor() -> Any:
    """The picture to scan and the box for the first code; the secret stays the same until it is confirmed."""
    if current_user.who.second_factor:
        return redirect(url_for("account.home"))
    return _factor()


def _factor(refused: str = "") -> str:
    made = _prepared() or second_factor.prepared()
    session[NEW_FACTOR] = [made.sealed.hex(), made.salt.hex()]
    return render_template(
        "account_factor.html",
        picture=second_factor.picture(made, current_user.username, city_name()),
        secret=second_factor.secret(made),
        needed=factor_needed(current_user.who),
        refused=refused,
        begins=WORKSPACES[current_user.role],
    )


def _prepared() -> Factor | None:
    kept = session.get(NEW_FACTOR)
    return Factor(bytes.fromhex(kept[0]), bytes.fromhex(kept[1]), None) if kept else None


@pages.post("/factor")
@allow(*EVERYONE)
@failures_limited
def factor_on() -> Any:
    """Turn the second factor on; the page that answers is the only place where its recovery codes stand."""
    made = _prepared()
    if made is None or current_user.who.second_factor:
        return redirect(url_for("account.factor"), 303)
    if not _proved(request.form.get("password", "")):
        return _factor(NOT_CONFIRMED), 401
    try:
        made = second_factor.confirmed(made, request.form.get("code", ""))
    except InputError:
        count_failure()
        return _factor(WRONG_CODE), 400
    codes = accounts.set_factor(databases().accounts, current_user.username, current_user.username, made)
    session.pop(NEW_FACTOR)
    return _codes(codes, made=True)


def _codes(codes: list[str], *, made: bool = False) -> str:
    begins = WORKSPACES[current_user.role]
    return render_template("account_recovery.html", codes=codes, made=made, begins=begins)


@pages.post("/factor/codes")
@allow(*EVERYONE)
@failures_limited
def new_codes() -> Any:
    """Put new recovery codes in the place of the old ones, for who has both the password and a code."""
    if not current_user.who.second_factor:
        return redirect(url_for("account.home"), 303)
    refused = _refused()
    if refused:
        return _home(refused, "codes"), 401
    return _codes(accounts.new_recovery(databases().accounts, current_user.username))


@pages.post("/factor/off")
@allow(*EVERYONE)
@failures_limited
def factor_off() -> Any:
    """Turn the second factor off, for who has both the password and a code."""
    if not current_user.who.second_factor:
        return redirect(url_for("account.home"), 303)
    refused = _refused()
    if refused:
        return _home(refused, "factor"), 401
    accounts.set_factor(databases().accounts, current_user.username, current_user.username, None)
    flash("两步验证已关闭。")
    return redirect(url_for("account.home"), 303)


def _refused() -> str:
    """Return what is wrong with the password and the code of a form, "" when both are right."""
    if not _proved(request.form.get("password", "")):
        return NOT_CONFIRMED
    if second_factor.proved(current_user.username, request.form.get("code", "")[: second_factor.LONGEST]):
        return ""
    count_failure()
    return WRONG_PROOF


# --- sessions


@pages.post("/sessions/end")
@allow(*EVERYONE)
@failures_limited
def end_session() -> Any:
    """End one of the own sessions, for who has the password; the present one is ended by signing out."""
    if not _proved(request.form.get("password", "")):
        return _home(NOT_CONFIRMED, "sessions"), 401
    told = request.form.get("session", "")
    number = bytes.fromhex(told) if len(told) == 64 and all(c in "0123456789abcdef" for c in told) else b""
    if number == current_user.session_id or not accounts.end_session(
        databases().accounts, current_user.username, number
    ):
        raise NotFoundError("no such session of this account")
    flash("那里的登录已经结束。")
    return redirect(url_for("account.home"), 303)


@pages.post("/sessions/end-others")
@allow(*EVERYONE)
@failures_limited
def end_others() -> Any:
    if not _proved(request.form.get("password", "")):
        return _home(NOT_CONFIRMED, "sessions"), 401
    who = current_user.username
    ended = accounts.end_sessions(databases().accounts, who, who, keep=current_user.session_id)
    flash(f"其他 {ended} 处登录已经结束。" if ended else "没有其他登录。")
    return redirect(url_for("account.home"), 303)


# --- identity provider


@pages.post("/provider")
@allow(*EVERYONE)
@failures_limited
def link() -> Any:
    """Let the next sign-in at the identity provider bind this account, for who has the password.

    The answer is a page with a link: the policy of pages forbids a form to lead to another host.
    """
    if current_app.config["SETTINGS"].oidc is None:
        raise NotFoundError("no identity provider")
    if not _proved(request.form.get("password", "")):
        return _home(NOT_CONFIRMED, "provider"), 401
    session["oidc_link"] = current_user.username
    return render_template("account_provider.html", provider=current_app.config["SETTINGS"].oidc)


@pages.post("/provider/off")
@allow(*EVERYONE)
@failures_limited
def unlink() -> Any:
    if not _proved(request.form.get("password", "")):
        return _home(NOT_CONFIRMED, "provider"), 401
    who = current_user.username
    accounts.bind_subject(databases().accounts, who, who, None, None)
    flash("已解除绑定，以后用账号和密码登录。")
    return redirect(url_for("account.home"), 303)

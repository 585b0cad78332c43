"""Signing in and out: the password, and on a second page the code where the account has a second factor."""

import logging
import time
from typing import Any

from flask import (
    Blueprint,
    Response,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_login import current_user, login_user, logout_user
from flask_wtf import FlaskForm
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length

from gridmgmt.db import identity, sessions
from gridmgmt.db.models import SessionEnd
from gridmgmt.db.sessions import Identity
from gridmgmt.web import second_factor
from gridmgmt.web.access import EVERYONE, WORKSPACES, User, allow, comes_first, public, safe_target
from gridmgmt.web.databases import databases
from gridmgmt.web.throttle import WAITING, count_failure, failures_limited

# Who came in, who did not, and how: what somebody looks at who asks whether passwords are being tried.
log = logging.getLogger("gridmgmt.security")

pages = Blueprint("login", __name__)

# So long the second page waits for its code.
WAIT_SECONDS = 300


class SignIn(FlaskForm):
    username = StringField("账号", [InputRequired(), Length(max=64)])
    password = PasswordField("密码", [InputRequired(), Length(max=identity.LONGEST_PASSWORD)])


@pages.get("/login")
@public
def form() -> Any:
    if current_user.is_authenticated:
        return redirect(_after(current_user, request.args.get("next")))
    return _page(SignIn())


@pages.post("/login")
@public
@failures_limited
def sign_in() -> Any:
    form = SignIn(request.form)  # never JSON, which may be no table of fields
    who = None
    if form.validate_on_submit():
        who = identity.authenticate(databases().accounts, form.username.data.strip(), form.password.data)
    if who is None:
        count_failure()
        note("sign-in refused", form.username.data, "password")
        return _page(form, failed=True), 401
    return go_on(who, request.args.get("next"))


def go_on(who: Identity, wanted: str | None) -> Response:
    """Sign a person in whose password, or identity provider, is right: at once, or after the code."""
    _end_present()
    session.clear()  # nothing planted in the session before signing in lives on in it
    if not who.second_factor:
        return _enter(who, wanted)
    mark = identity.password_mark(databases().accounts, who.username)
    session[WAITING] = {"name": who.username, "mark": mark, "at": int(time.time()), "next": wanted}
    return redirect(url_for("login.code_form"), 303)  # type: ignore[return-value]


@pages.get("/login/code")
@public
def code_form() -> Any:
    if _waiting() is None:
        return redirect(url_for("login.form"))
    return render_template("login_code.html", failed=False)


@pages.post("/login/code")
@public
@failures_limited
def code() -> Any:
    waiting = _waiting()
    if waiting is None:
        return redirect(url_for("login.form"), 303)
    how = second_factor.proved(waiting["name"], request.form.get("code", "")[: second_factor.LONGEST])
    if how is None:
        count_failure()
        note("sign-in refused", waiting["name"], "code")
        return render_template("login_code.html", failed=True), 401
    who = identity.identity(databases().accounts, waiting["name"])
    session.clear()
    if who is None:
        return redirect(url_for("login.form"), 303)
    if how == second_factor.RECOVERY:  # the telephone may be lost: the page on which to replace it
        flash("用掉了一个恢复码。手机丢了或换了，请在这里关闭两步验证，再用新手机开启。")
    return _enter(who, url_for("account.home") if how == second_factor.RECOVERY else waiting["next"], how)


@pages.post("/logout")
@allow(*EVERYONE)
def sign_out() -> Any:
    _end_present()
    note("sign-out", current_user.username)
    logout_user()
    session.clear()
    return redirect(url_for("login.form"))


def note(event: str, name: str | None, by: str = "") -> None:
    """Write a line about who comes in: the account where there is such a one, and from which address.

    A name that no account has is not written: it may be a password in the wrong field.
    """
    known = identity.identity(databases().accounts, (name or "").strip())
    about = {"account": known.username if known else "", "by": by, "address": request.remote_addr or ""}
    log.log(logging.WARNING if "refused" in event else logging.INFO, event, extra=about)


def _page(form: SignIn, *, failed: bool = False) -> str:
    return render_template(
        "login.html", form=form, failed=failed, provider=current_app.config["SETTINGS"].oidc
    )


def _enter(who: Identity, wanted: str | None, by: str = "password or provider") -> Response:
    """Begin a session under a token that nobody has seen before, and lead to where the day begins."""
    token = sessions.begin(databases().accounts, who.username, request.user_agent.string[:400])
    session.permanent = True
    user = User(who, token)
    login_user(user)
    note("sign-in", who.username, by)
    return redirect(_after(user, wanted))  # type: ignore[return-value]


def _end_present() -> None:
    """End the session that this browser has, if any: signing in anew does not leave it behind."""
    if current_user.is_authenticated:
        user = current_user
        sessions.end(databases().accounts, user.username, user.session_id, SessionEnd.SIGNED_OUT)


def _waiting() -> dict[str, Any] | None:
    """Return the sign-in that waits for its code; None when it is too old or the password has changed."""
    found: dict[str, Any] | None = session.get(WAITING)
    if not found or not 0 <= time.time() - found["at"] <= WAIT_SECONDS:
        return None
    return found if identity.password_mark(databases().accounts, found["name"]) == found["mark"] else None


def _after(user: User, wanted: str | None) -> str:
    first = comes_first(user.who)
    return url_for(first) if first else safe_target(wanted) or url_for(WORKSPACES[user.role])

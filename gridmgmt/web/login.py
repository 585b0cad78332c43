"""Signing in and out."""

from typing import Any

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask_login import current_user, login_user, logout_user
from flask_wtf import FlaskForm
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length

from gridmgmt.db import identity
from gridmgmt.web.access import EVERYONE, WORKSPACES, User, allow, public, safe_target
from gridmgmt.web.databases import databases
from gridmgmt.web.throttle import failures_limited

pages = Blueprint("login", __name__)


class SignIn(FlaskForm):
    username = StringField("账号", [InputRequired(), Length(max=64)])
    password = PasswordField("密码", [InputRequired(), Length(max=identity.LONGEST_PASSWORD)])


@pages.get("/login")
@public
def form() -> Any:
    if current_user.is_authenticated:
        return redirect(_after(current_user))
    return render_template("login.html", form=SignIn(), failed=False)


@pages.post("/login")
@public
@failures_limited
def sign_in() -> Any:
    form = SignIn()
    who = None
    if form.validate_on_submit():
        who = identity.authenticate(databases().accounts, form.username.data.strip(), form.password.data)
    if who is None:
        return render_template("login.html", form=form, failed=True), 401
    session.clear()  # nothing planted in the session before signing in lives on in it
    session.permanent = True
    login_user(User(who))
    return redirect(_after(current_user))


@pages.post("/logout")
@allow(*EVERYONE)
def sign_out() -> Any:
    logout_user()
    session.clear()
    return redirect(url_for("login.form"))


def _after(user: User) -> str:
    return safe_target(request.args.get("next")) or url_for(WORKSPACES[user.role])

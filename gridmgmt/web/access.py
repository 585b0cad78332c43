"""Who may call what: every route says so, and what is not said is refused.

`allow` and `public` mark a view; one check before every request reads the mark. A test walks all routes,
so that a view without a mark is found before a user is. Who must choose a password first, or set up a second
factor, gets to nothing else.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, redirect, request, url_for
from flask_login import LoginManager, UserMixin, current_user

from gridmgmt.config import Settings
from gridmgmt.db import sessions
from gridmgmt.db.models import ROLE_NAMES, Role
from gridmgmt.db.sessions import Identity
from gridmgmt.errors import InputError, NotAllowedError
from gridmgmt.web.databases import databases
from gridmgmt.web.tile_cache import believed

View = TypeVar("View", bound=Callable[..., object])

PUBLIC = "public"
# What scripts fetch: such an answer is for them, not a page.
DATA = ("/data/", "/tiles/", "/plan/api/")
EVERYONE = frozenset(Role)
MARK = "gridmgmt_access"
# What stands between signing in and everything else -> the endpoints that lead over it.
SIGN_OUT = "login.sign_out"
FIRST = {
    "account.password": {"account.password", "account.set_password", SIGN_OUT},
    "account.factor": {"account.factor", "account.factor_on", SIGN_OUT},
}

# Where each role's day begins.
WORKSPACES = {
    Role.GRID_WORKER: "grid.today",
    Role.TOWN_OFFICER: "overview.office",
    Role.COMMAND: "overview.command",
    Role.PLANNER: "plan.home",
    Role.AUDITOR: "admin.audit",
    Role.ADMIN: "admin.home",
    Role.DEPARTMENT: "units.ledger",
    Role.SECURITY: "accounts.listed",
}

# What stands in a role's menu, in this order.
MENUS = {
    Role.GRID_WORKER: (
        ("grid.today", "今日"), ("grid.own_map", "地图"), ("matters.inbox", "诉求"), ("roster.homes", "住户"),
        ("visits.notebook", "走访"), ("changes.own", "变动"), ("seasonal.calendar", "时令清单"),
    ),
    Role.TOWN_OFFICER: (
        ("overview.office", "镇街总览"), ("matters.inbox", "诉求"), ("mediation.listed", "调解"),
        ("figures.home", "办理统计"), ("seasonal.calendar", "时令清单"), ("tasks.board", "任务"),
        ("index.home", "平安指数"),
        ("roster.homes", "住户"), ("changes.waiting", "变动"), ("visits.survey", "入户核对"),
        ("rounds.office", "微服务"), ("rights.files", "导出"),
    ),
    Role.COMMAND: (
        ("overview.command", "指挥中心"), ("matters.inbox", "诉求"), ("mediation.listed", "调解"),
        ("figures.home", "办理统计"), ("seasonal.calendar", "时令清单"), ("tasks.board", "任务"),
        ("index.home", "平安指数"),
        ("rounds.command", "微服务"),
    ),
    Role.PLANNER: (
        ("plan.home", "网格规划"), ("overview.command", "指挥中心"), ("seasonal.calendar", "时令清单")
    ),
    Role.AUDITOR: (("admin.audit", "审计记录"), ("audit.lines", "查阅记录")),
    Role.ADMIN: (
        ("admin.home", "系统管理"), ("jobs.listed", "后台工作"),
        ("health.page", "健康"),
    ),
    Role.DEPARTMENT: (
        ("units.ledger", "民情台账"), ("figures.home", "办理统计"), ("index.home", "平安指数"),
    ),
    Role.SECURITY: (("accounts.listed", "账号管理"), ("keys.listed", "接口")),
}  # fmt: skip


class User(UserMixin):
    """The person signed in, as flask-login wants one; `token` opens the session and stands in the cookie."""

    def __init__(self, who: Identity, token: str) -> None:
        self.who = who
        self.token = token
        self.username = who.username
        self.role = who.role
        self.role_name = ROLE_NAMES[who.role]
        self.area = who.area
        self.display_name = who.display_name

    def get_id(self) -> str:
        return self.token

    @property
    def session_id(self) -> bytes:
        """The id under which this sign-in stands on the server."""
        return sessions.digest(self.token)


def allow(*roles: Role) -> Callable[[View], View]:
    """Mark a view as open to these roles."""

    def mark(view: View) -> View:
        setattr(view, MARK, frozenset(roles))
        return view

    return mark


def public(view: View) -> View:
    """Mark a view as open to anybody, signed in or not."""
    setattr(view, MARK, PUBLIC)
    return view


def declared(app: Flask, endpoint: str) -> frozenset[Role] | str | None:
    """Return what an endpoint declares: roles, `PUBLIC`, or None when it says nothing."""
    found: frozenset[Role] | str | None = getattr(app.view_functions[endpoint], MARK, None)
    return found


def may_open(endpoint: str) -> bool:
    """Say whether the person signed in may call an endpoint: a link to a refusal is no help."""
    access = declared(current_app._get_current_object(), endpoint)  # type: ignore[attr-defined]
    return access == PUBLIC or (access is not None and current_user.role in access)


def guard() -> Response | None:
    """Let a request pass to a view that its caller may call; else ask to sign in, or refuse."""
    if request.endpoint is None:  # no such address: the answer is 404, for everybody
        return None
    access = declared(current_app._get_current_object(), request.endpoint)  # type: ignore[attr-defined]
    if access == PUBLIC:
        return None
    if not current_user.is_authenticated:
        return ask_to_sign_in()
    first = comes_first(current_user.who)
    if first:
        return None if request.endpoint in FIRST[first] else _send_to(first)
    if access is None or current_user.role not in access:
        raise NotAllowedError(f"{current_user.who.username} may not call {request.endpoint}")
    return None


def comes_first(who: Identity) -> str | None:
    """Return the endpoint of what this person must do before anything else, or None."""
    if who.must_change:
        return "account.password"
    if not who.second_factor and factor_needed(who):
        return "account.factor"
    return None


def factor_needed(who: Identity) -> bool:
    """Say whether the settings ask accounts of this role for a second factor."""
    return who.role.value in current_app.config["SETTINGS"].second_factor


def _send_to(endpoint: str) -> Response:
    if request.path.startswith(DATA):
        return Response("choose a password or set up the second factor first", 403, mimetype="text/plain")
    if request.headers.get("HX-Request"):
        return Response(status=204, headers={"HX-Redirect": url_for(endpoint)})
    return redirect(url_for(endpoint), 303)  # type: ignore[return-value]


def ask_to_sign_in() -> Response:
    """Send a page to the sign-in form and back afterwards; a data route just gets 401."""
    if request.path.startswith(DATA):
        return Response("sign in first", 401, mimetype="text/plain")
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    target = url_for("login.form", next=wanted if wanted != "/" else None)
    if request.headers.get("HX-Request"):  # a fragment must not hold a sign-in page: the whole page moves
        return Response(status=204, headers={"HX-Redirect": url_for("login.form")})
    return redirect(target)  # type: ignore[return-value]


def safe_target(wanted: str | None) -> str | None:
    """Return an address inside this program, or None: `next` must not lead to a stranger's site.

    Browsers read a backslash as a slash and skip control characters, so both are refused.
    """
    if not wanted or not wanted.startswith("/") or any(c == "\\" or ord(c) < 33 for c in wanted):
        return None
    parts = urlsplit(wanted)
    if parts.scheme or parts.netloc or wanted.startswith("//"):
        return None
    return wanted


def idle() -> timedelta:
    """Return after how long without a request a sign-in is over."""
    return timedelta(minutes=current_app.config["SETTINGS"].idle_minutes)


def install(app: Flask, settings: Settings) -> None:
    """Hang the check and the session loader on an application.

    Raises InputError when the settings ask a role for a second factor that there is not.
    """
    unknown = settings.second_factor - {role.value for role in Role}
    if unknown:
        raise InputError("GRIDMGMT_SECOND_FACTOR", ",".join(sorted(unknown)), ",".join(Role))
    # Sessions end on the server; a cookie set anew by every answer would keep answers out of caches.
    app.config["SESSION_REFRESH_EACH_REQUEST"] = False
    manager = LoginManager(app)
    manager.session_protection = None  # it would bind a session to an address that changes on phones

    def load(token: str) -> User | None:
        longest = current_app.permanent_session_lifetime
        who = sessions.identified(databases().accounts, token, idle(), longest)
        return User(who, token) if who else None

    manager.user_loader(believed(load, "/tiles/", 1.0))
    app.before_request(guard)

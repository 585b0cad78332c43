"""The web of gridmgmt: `create_app` returns the Flask application; one blueprint a workspace."""

from datetime import datetime, timedelta

from flask import Flask
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter, Map

from gridmgmt.calendar import CHINA, china_today, format_date
from gridmgmt.config import Settings
from gridmgmt.config import settings as settings_now
from gridmgmt.web import (
    access,
    account,
    accounts,
    admin,
    area_card,
    audit,
    backups,
    changes,
    codes,
    compare,
    data,
    download,
    effects,
    faults,
    figures,
    files,
    grid,
    health,
    intake,
    interface,
    jobs,
    keys,
    language,
    login,
    map_export,
    matter_admin,
    matters,
    mediation,
    metrics,
    oidc,
    overview,
    papers,
    phone,
    plan,
    rights,
    roster,
    rounds,
    say,
    seasonal,
    security,
    tasks,
    throttle,
    tiles,
    times,
    units,
    visits,
    wall,
    watching,
)
from gridmgmt.web.areas import city_name
from gridmgmt.web.databases import EXTENSION, open_databases
from gridmgmt.web.index import MODULES as INDEX

# A working day: who is away longer signs in again.
SESSION_HOURS = 10
LARGEST_REQUEST = 1 << 20


class Number(IntegerConverter):
    """The number of a row in an address; one that no row can have is no address of ours."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, max=2**31 - 1)


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application for a city.

    Raises SetupError when no server is named and the private cluster does not run, InputError when the
    basemap of the settings is no tile address.
    """
    chosen = settings or settings_now()
    app = Flask(__name__, static_folder=None)
    app.config.update(
        SECRET_KEY=chosen.session_key(),
        SESSION_COOKIE_NAME="gridmgmt",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=SESSION_HOURS),
        MAX_CONTENT_LENGTH=LARGEST_REQUEST,
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: a form left open over lunch still works
        SETTINGS=chosen,
        BASEMAP=chosen.basemap,
        PHOTOS=chosen.home / "photos",
    )
    app.url_map.converters["int"] = Number
    app.extensions[EXTENSION] = open_databases(chosen)
    # Behind nginx the scheme is in a header; who forges it only spoils the cookies of his own session. The
    # address of the caller is believed only of so many servers as the settings say stand before this one.
    before = chosen.proxies
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=before, x_proto=before or 1, x_host=0)  # type: ignore[method-assign]
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters["day"] = format_date
    app.jinja_env.filters["moment"] = _moment
    app.context_processor(lambda: {"today": china_today(), "city_name": city_name})

    watching.install(app, chosen)
    security.install(app, chosen)
    faults.install(app)
    access.install(app, chosen)  # before the check of tokens: who may not call at all is told so
    CSRFProtect(app)
    throttle.install(app, chosen)
    for module in (
        files, login, overview, plan, seasonal, download, effects, grid, tasks, roster, changes, rights,
        visits, rounds, admin, audit, data, matters, intake, units, say, mediation, papers, figures,
        matter_admin, keys, interface, tiles, area_card, compare, wall, map_export, times, account, accounts,
        oidc, jobs, codes, backups, health, metrics, phone, language, *INDEX,
    ):  # fmt: skip
        app.register_blueprint(module.pages)
    return app


def _moment(when: datetime) -> str:
    return f"{when.astimezone(CHINA):%Y-%m-%d %H:%M}"

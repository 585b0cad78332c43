"""The interface in Chinese, in which it is written, or in English, out of a catalogue.

A session keeps what its user chose, a cookie what this browser chose; who chose nothing gets what the browser
asks for, and Chinese where it asks for neither.
"""

import hashlib
from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from babel.dates import format_date, format_datetime
from flask import (
    Blueprint,
    Flask,
    Response,
    g,
    has_request_context,
    jsonify,
    redirect,
    request,
    session,
    url_for,
)
from flask.blueprints import BlueprintSetupState
from flask.templating import Environment

from gridmgmt.calendar import CHINA
from gridmgmt.errors import InputError
from gridmgmt.web.access import public, safe_target
from gridmgmt.web.catalogue import LANGUAGES, catalogue, path, templates
from gridmgmt.web.security import host_only

pages = Blueprint("language", __name__)

CHINESE = "zh-CN"
# What stands on the switch: each language calls itself by its own name.
NAMES = {CHINESE: "中文", "en": "English"}
COOKIE = "lang"
COOKIE_SECONDS = 400 * 24 * 3600  # browsers keep none longer
FOR_GOOD = "public, max-age=31536000, immutable"


def current() -> str:
    """Return the language of this request, a key of NAMES."""
    if not has_request_context():
        return CHINESE
    if "language" not in g:
        g.language = _chosen()
    return str(g.language)


def _chosen() -> str:
    for wanted in (session.get(COOKIE), request.cookies.get(host_only(COOKIE))):
        if wanted in NAMES:
            return str(wanted)
    wanted = request.accept_languages.best_match([CHINESE, "zh", *LANGUAGES], CHINESE)
    return wanted if wanted in LANGUAGES else CHINESE


def say(words: str) -> str:
    """Return a whole text in the language of this request; as it is where the catalogue has no such text."""
    return words if current() == CHINESE else catalogue(current()).say(words)


def pick(text: Any) -> str:
    """Return a text that stands in both languages, with `zh` and `en`, in that of this request."""
    return str(text.zh) if current() == CHINESE else catalogue(current()).names(text.en)


@pages.post("/language")
@public
def choose() -> Response:
    """Keep the language chosen and go back to the page where it was chosen."""
    wanted = request.form.get("language", "")
    if wanted not in NAMES:
        raise InputError("language", wanted, ", ".join(NAMES))
    session[COOKIE] = wanted
    target = _page_before() or url_for("files.home")
    response: Response = redirect(target, 303)  # type: ignore[assignment]
    response.set_cookie(
        host_only(COOKIE), wanted, COOKIE_SECONDS,
        secure=request.is_secure, httponly=True, samesite="Lax",
    )  # fmt: skip
    return response


def _page_before() -> str | None:
    """Return the page of ours that the choice was made on; what a page was asked for is written into none."""
    before = urlsplit(request.referrer or "")
    if before.netloc != request.host:
        return None
    return safe_target(f"{before.path}?{before.query}" if before.query else before.path)


@pages.get("/language/words.json")
@public
def words() -> Response:
    """The words that scripts make, for a browser whose pages are not in Chinese."""
    found = catalogue(LANGUAGES[0])
    patterns = [(pattern.replace("(?P<", "(?<"), *rest) for pattern, *rest in found.patterns]
    response = jsonify(exact=found.of_scripts, patterns=patterns)
    response.headers["Cache-Control"] = FOR_GOOD if request.args.get("v") == _fingerprint() else "no-cache"
    return response


@cache
def _fingerprint() -> str:
    return hashlib.sha256(path(LANGUAGES[0]).read_bytes()).hexdigest()[:12]


@pages.app_context_processor
def common() -> dict[str, Any]:
    words_url = "" if current() == CHINESE else url_for("language.words", v=_fingerprint())
    return {"language": current(), "languages": NAMES, "language_words": words_url}


@pages.after_app_request
def vary(response: Response) -> Response:
    """A page that may be kept is kept for one language."""
    if response.mimetype == "text/html":
        response.headers.setdefault("Content-Language", current())
        response.vary.update(("Accept-Language", "Cookie"))
    return response


@pages.record_once
def install(state: BlueprintSetupState) -> None:
    """Let the application's templates be those of the language of each request.

    The Chinese environment is the application's own and stays as it is.
    """
    app: Flask = state.app  # type: ignore[assignment]
    chinese: Environment = app.jinja_env
    plain = chinese.get_or_select_template
    english = cache(lambda: _environment(chinese, LANGUAGES[0]))

    def found(*args: Any, **named: Any) -> Any:
        return (plain if current() == CHINESE else english().get_or_select_template)(*args, **named)

    chinese.get_or_select_template = found  # type: ignore[method-assign]


def _environment(chinese: Environment, language: str) -> Environment:
    """Return an environment that compiles the same templates in a language."""
    made = chinese.overlay(extensions=[templates.Translated])
    made.words = catalogue(language)  # type: ignore[attr-defined]
    made.filters = {**chinese.filters, **templates.filters(), **_dates(language)}
    # An overlay is made when all is set up, but shares what was put in its place on the original.
    made.__dict__.pop("get_or_select_template", None)
    return made


def _dates(language: str) -> dict[str, Callable[..., str]]:
    def day(when: date) -> str:
        return format_date(when, "d MMM y", locale=language)

    def moment(when: datetime) -> str:
        return format_datetime(when.astimezone(CHINA), "d MMM y HH:mm", tzinfo=CHINA, locale=language)

    return {"day": day, "moment": moment}

"""The interface for programs: OpenAPI 3.1, Open311 GeoReport v2, bulk files.

Three blueprints under `/api`, inside the application that serves the pages. APIFlask, which was meant for
this, is an application class: it would have to be the whole application, whose routes must say who may call
them and whose errors are pages. It also reads an empty argument and one given twice otherwise than GeoReport
v2 does. So the arguments describe themselves (`arguments`), and the document is made of them (`document`).
"""

from typing import Any, cast

from flask import Blueprint, Flask, Response, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException

from gridmgmt.web.access import public
from gridmgmt.web.interface import answers, callers, document, open311, own

ROOT = "/api/"
pages = Blueprint("interface", __name__)
pages.register_blueprint(open311.pages)
pages.register_blueprint(own.pages)


@pages.get("/api/openapi.json")
@public
def openapi() -> Response:
    """What stands under /api, for programs that write programs."""
    return answers.as_json(document.document(request.url_root.rstrip("/")))


@pages.before_request
def admit() -> Response | None:
    return callers.admit()


@pages.after_request
def finish(response: Response) -> Response:
    """Let pages of others read what is open: no cookie counts here, so nothing is done in anybody's name."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Headers"] = "Authorization, Idempotency-Key"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return callers.tell_limits(response)


@pages.errorhandler(Exception)
def failed(error: Exception) -> Response:
    return answers.failed(error)


@pages.record_once
def install(state: BlueprintSetupState) -> None:
    """Fit the interface into an application: counters, no form tokens, unknown addresses."""
    app = cast(Flask, state.app)
    callers.install(app)
    for blueprint in (pages, open311.pages, own.pages):
        app.extensions["csrf"].exempt(blueprint)
    usual: Any = app.error_handler_spec[None][None][HTTPException]

    def lost(error: HTTPException) -> Any:
        return answers.failed(error) if request.path.startswith(ROOT) else usual(error)

    app.register_error_handler(HTTPException, lost)

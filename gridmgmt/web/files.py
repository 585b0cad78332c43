"""Static files under addresses that change with their content, the front door, and the health check."""

from typing import Any

from flask import Blueprint, Response, jsonify, redirect, request, send_from_directory, url_for
from flask_login import current_user

from gridmgmt.web import assets
from gridmgmt.web.access import EVERYONE, MENUS, WORKSPACES, allow, public

pages = Blueprint("files", __name__)

FOR_GOOD = "public, max-age=31536000, immutable"


def asset(name: str) -> str:
    """Return the address of a static file with its fingerprint."""
    return url_for("files.static", name=name, v=assets.fingerprint(name))


@pages.app_context_processor
def common() -> dict[str, Any]:
    menu = MENUS[current_user.role] if current_user and current_user.is_authenticated else ()
    return {"asset": asset, "integrity": assets.integrity, "menu": menu}


@pages.get("/static/<path:name>")
@public
def static(name: str) -> Response:
    response = send_from_directory(assets.STATIC, name)
    # An old fingerprint must not pin a new file for a year.
    current = request.args.get("v") == assets.fingerprint(name)
    response.headers["Cache-Control"] = FOR_GOOD if current else "public, max-age=300"
    return response


@pages.get("/favicon.ico")
@public
def favicon() -> Response:
    return static("icon.svg")


@pages.get("/")
@allow(*EVERYONE)
def home() -> Any:
    return redirect(url_for(WORKSPACES[current_user.role]))


@pages.get("/healthz")
@public
def health() -> Response:
    """That this process answers; /readyz says whether it can work."""
    return jsonify(status="ok")

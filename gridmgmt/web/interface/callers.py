"""Who calls: nobody, or a program with a key; and how often it may, whichever worker it comes to.

A session's cookie means nothing here, so that no page of a stranger can call in somebody's name. A key stands
in the header `Authorization: Bearer`, or where Open311 has it, in the argument `api_key`.
"""

import hashlib
import time
from typing import Any

from flask import Flask, Response, abort, current_app, g, request

from gridmgmt.calendar import china_today
from gridmgmt.config import Settings
from gridmgmt.errors import NotAllowedError
from gridmgmt.incidents.opening import keys
from gridmgmt.incidents.opening.keys import Caller, Scope
from gridmgmt.web import throttle
from gridmgmt.web.databases import databases
from gridmgmt.web.interface.answers import OPEN311, refused
from gridmgmt.web.throttle import SCHEME, FileStorage

LIMITS = "gridmgmt.interface"
# Calls a minute from one address without a key; the configuration of an application may say otherwise.
NAMELESS = "API_NAMELESS_A_MINUTE"
NAMELESS_A_MINUTE = 60
_SECONDS = 60


def install(app: Flask) -> None:
    """Give an application the counters of its home folder, which all its workers share."""
    settings: Settings = app.config["SETTINGS"]
    app.extensions[LIMITS] = FileStorage(f"{SCHEME}:{settings.home / 'interface.sqlite'}")
    app.config.setdefault(NAMELESS, NAMELESS_A_MINUTE)


def admit() -> Response | None:
    """Find out who calls and count the call; an answer when it is refused, None when it may go on."""
    shown = _shown_key()
    caller = keys.find(databases().accounts, shown, china_today()) if shown else None
    g.caller = caller
    if caller:
        over = _count(f"key:{caller.id}", caller.a_minute)
    else:
        over = _count(f"from:{_place()}", current_app.config[NAMELESS])
    if over:
        return refused(429, "too many calls: wait until the minute is over", {"Retry-After": str(over)})
    if shown and caller is None:
        return unknown_key("the key is unknown, revoked or over")
    return None


def unknown_key(description: str) -> Response:
    """Return the refusal of a missing or wrong key: 403 in Open311, 401 elsewhere."""
    if request.path.startswith(OPEN311):
        return refused(403, description)
    return refused(401, description, {"WWW-Authenticate": 'Bearer realm="gridmgmt"'})


def caller() -> Caller | None:
    """Return the program that calls, None without a key."""
    found: Caller | None = g.get("caller")
    return found


def holder(scope: Scope) -> Caller:
    """Return the program that calls; an error for the caller when its key has not this scope."""
    found = caller()
    if found is None:
        abort(unknown_key(f"this needs a key with the scope {scope}"))
    if scope not in found.scopes:
        raise NotAllowedError(f"this needs the scope {scope}")
    return found


def tell_limits(response: Response) -> Response:
    """Say how many calls are left; nothing where none was counted."""
    left = g.get("limits")
    if left:
        for name, value in zip(("Limit", "Remaining", "Reset"), left, strict=True):
            response.headers[f"RateLimit-{name}"] = str(value)
    return response


def _shown_key() -> str:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    form: Any = request.form if request.method == "POST" else request.args
    return str(form.get("api_key") or request.args.get("api_key") or "")


def _place() -> str:
    # Counting needs no address that somebody could read in the file.
    return hashlib.sha256(throttle.address().encode()).hexdigest()[:24]


def _count(who: str, most: int) -> int:
    """Count a call and return the seconds to wait, 0 when it may go on."""
    storage: FileStorage = current_app.extensions[LIMITS]
    count = storage.incr(who, _SECONDS)
    wait = max(1, int(storage.get_expiry(who) - time.time() + 0.999))
    g.limits = (most, max(0, most - count), wait)
    return wait if count > most else 0

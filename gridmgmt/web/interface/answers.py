"""Answers for programs: JSON and XML that say the same, and one table from what went wrong to a status.

Every error is a list of a code and a description, as GeoReport v2 has it. The text of an unexpected error may
hold data, so that only its number is told.
"""

import json
import logging
import re
from datetime import date, datetime
from typing import Any
from xml.etree import ElementTree

from flask import Response, request
from werkzeug.exceptions import HTTPException

from gridmgmt.db.engine import is_away
from gridmgmt.errors import GridmgmtError, InputError
from gridmgmt.web import faults

log = logging.getLogger("gridmgmt.web")

JSON, XML = "application/json; charset=utf-8", "text/xml; charset=utf-8"
OPEN311 = "/api/open311/"
# What one element of a list is called in XML.
_ITEMS = {
    "services": "service", "service_requests": "request", "attributes": "attribute", "values": "value",
    "errors": "error", "endpoints": "endpoint", "formats": "format",
}  # fmt: skip
# What XML 1.0 cannot hold, even escaped.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def as_json(value: object, status: int = 200) -> Response:
    """Return a value as JSON; moments in ISO 8601 with their zone."""
    return Response(json.dumps(value, ensure_ascii=False, default=_plain), status, content_type=JSON)


def as_form(form: str, root: str, value: Any, status: int = 200) -> Response:
    """Return a value as JSON or XML; `root` is the name that only XML shows."""
    if form == "json":
        return as_json(value, status)
    element = ElementTree.Element(root)
    _fill(element, value)
    said = ElementTree.tostring(element, encoding="unicode", short_empty_elements=True)
    return Response(f'<?xml version="1.0" encoding="utf-8"?>\n{said}', status, content_type=XML)


def _fill(element: ElementTree.Element, value: Any) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            _fill(ElementTree.SubElement(element, name), inner)
    elif isinstance(value, list):
        for inner in value:
            _fill(ElementTree.SubElement(element, _ITEMS[element.tag]), inner)
    elif isinstance(value, bool):
        element.text = "true" if value else "false"
    elif value is not None:
        element.text = _NOT_XML.sub("", value if isinstance(value, str) else _text(value))


def _text(value: Any) -> str:
    return _plain(value) if isinstance(value, date | datetime) else str(value)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"cannot write {type(value).__name__}")


def refused(status: int, description: str, headers: dict[str, str] | None = None) -> Response:
    """Return an error in the form that the address asks for."""
    form = "xml" if request.path.startswith(OPEN311) and request.path.endswith(".xml") else "json"
    answer = as_form(form, "errors", [{"code": status, "description": description}], status)
    answer.headers.update(headers or {})
    return answer


def failed(error: Exception) -> Response:
    """Return the answer to any error."""
    if isinstance(error, HTTPException):
        return _http(error)
    if isinstance(error, GridmgmtError) and error.http_status < 500:
        log.info("%s", type(error).__name__)
        return refused(error.http_status, _words(error))
    away = is_away(error)
    number = faults.noted(error, "database" if away else "unexpected")
    busy = away or getattr(error, "http_status", 500) == 503
    return refused(503 if busy else 500, f"something went wrong here; reference {number}")


def _words(error: GridmgmtError) -> str:
    if isinstance(error, InputError):
        return f"{error.field}: {error.found}; allowed: {error.allowed}"
    return str(error)


def _http(error: HTTPException) -> Response:
    if error.response is not None:
        return error.response  # type: ignore[return-value]
    # Flask's own headers hold what must be kept: Allow of a 405.
    headers = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
    return refused(error.code or 500, error.description or error.name, headers)

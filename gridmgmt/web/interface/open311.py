"""Open311 GeoReport v2: services, their definitions, requests, tokens, discovery; JSON and XML.

What the specification leaves open: there is one jurisdiction, the county's code, which may be left out; a
category without finer ones is a service; `status` is open or closed, and the local step stands by name in
`status_notes` and by code in `extended_attributes`.
"""

import dataclasses
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any

from flask import Blueprint, Response, request, url_for

from gridmgmt.errors import InputError, NotFoundError
from gridmgmt.incidents.opening import requests as matters
from gridmgmt.incidents.opening.keys import Scope
from gridmgmt.incidents.opening.requests import MOST_ROWS, WINDOW, Kind, Matter, Wanted
from gridmgmt.incidents.terms import LEDGER_NAMES, Ledger
from gridmgmt.web.access import public
from gridmgmt.web.databases import databases, reader, ring
from gridmgmt.web.interface import arguments as ask
from gridmgmt.web.interface.answers import as_form
from gridmgmt.web.interface.arguments import Argument
from gridmgmt.web.interface.callers import caller, holder

pages = Blueprint("open311", __name__, url_prefix="/api/open311/v2")

SPECIFICATION = "http://wiki.open311.org/GeoReport_v2"
CHANGESET = "2026-11-22T00:00:00+08:00"
FORMS = ("json", "xml")
FORM = '<any("json", "xml"):form>'
MOST_IDS = 100
TAKEN = "已登记。媒体地址、邮箱和账号不读取、不保存。"

# No control characters; at least one sign that is no blank.
_LINE = r"^[^\x00-\x1f\x7f]*$"
_NAME = r"^[^\x00-\x1f\x7f0-9]*$"
CODES = r"^[0-9A-Za-z_.-]{1,40}(,[0-9A-Za-z_.-]{1,40}){0,99}$"
_IDS = rf"^[0-9]{{1,18}}(,[0-9]{{1,18}}){{0,{MOST_IDS - 1}}}$"
UUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"

JURISDICTION = ask.words(
    "jurisdiction_id", "The county's six-digit code; may be left out.", "^[0-9A-Za-z_.-]{1,60}$"
)
API_KEY = Argument("api_key", "A key, where no Authorization header can be sent.", {"type": "string"}, str)
CODE = ask.words("service_code", "Code of a service.", "^[0-9A-Za-z_.-]{1,40}$", where="path")
NUMBER = ask.words("service_request_id", "Id of a request.", "^[0-9]{1,18}$", where="path")
TOKEN = ask.words("token", "The Idempotency-Key that a request was made with.", UUID, where="path")
ALWAYS = (JURISDICTION, API_KEY)

SEARCH = (
    *ALWAYS,
    ask.words(
        "service_request_id",
        f"Up to {MOST_IDS} ids with commas; then nothing else counts.",
        _IDS,
        convert=ask.several,
    ),
    ask.words(
        "service_code", "Codes with commas, of services or of their groups.", CODES, convert=ask.several
    ),
    ask.moment("start_date", f"Earliest moment of the report; at most {WINDOW.days} days before end_date."),
    ask.moment("end_date", "Latest moment of the report; by default now, or 90 days after start_date."),
    ask.words(
        "status", "open, closed, or both with a comma.", "^(open|closed)(,(open|closed)){0,3}$",
        convert=ask.several,
    ),
    ask.box("bbox", "West, south, east, north in degrees; not part of GeoReport v2."),
    ask.whole("page", "Page, from 1; not part of GeoReport v2.", 1, 1000),
    ask.whole("page_size", "Requests a page; not part of GeoReport v2.", 1, MOST_ROWS),
)  # fmt: skip

TELL = (
    *ALWAYS,
    dataclasses.replace(CODE, where="query", required=True),
    ask.words(
        "description", "What is wrong, 1 to 500 characters; no telephone and no identity number.",
        r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$", longest=500, required=True,
    ),
    ask.decimal("lat", "Latitude in degrees, WGS 84 or CGCS2000.", -90, 90),
    ask.decimal("long", "Longitude in degrees, WGS 84 or CGCS2000.", -180, 180),
    ask.words("address_string", "Where it is, in words.", _LINE, longest=200),
    ask.words("address_id", "Without a point: the village's 12 digits.", "^[0-9]{12}$"),
    ask.words("first_name", "名; kept sealed.", _NAME, longest=20),
    ask.words("last_name", "姓; kept sealed.", _NAME, longest=20),
    ask.words("phone", "Mobile, or landline with area code; kept sealed.", "^[0-9+() -]{7,24}$"),
    ask.choice("attribute[ledger]", "Which ledger.", [ledger.value for ledger in Ledger]),
    ask.moment("attribute[occurred_at]", "When it happened, if not now."),
)  # fmt: skip


@dataclass(frozen=True)
class Route:
    """What the OpenAPI document has to know of an address, beside what its view does."""

    path: str
    summary: str
    root: str
    arguments: Sequence[Argument] = ALWAYS


ROUTES: dict[str, Route] = {}


def _get(rule: str, summary: str, root: str, arguments: Sequence[Argument] = ALWAYS) -> Callable[..., Any]:
    """Register a view that answers GET with a value, in either form, to whoever calls."""

    def register(view: Callable[..., Any]) -> Callable[..., Any]:
        ROUTES[view.__name__] = Route(f"{pages.url_prefix}/{rule}", summary, root, arguments)
        inside = [argument for argument in arguments if argument.where == "query"]

        @wraps(view)
        def answer(form: str, **path: str) -> Response:
            asked = ask.read(inside, request.args, blank=True)
            _check_jurisdiction(asked)
            return as_form(form, root, view(asked, **path))

        flask_rule = rule.replace("{", "<").replace("}", ">") + f".{FORM}"
        pages.get(f"/{flask_rule}", endpoint=view.__name__)(public(answer))
        return view

    return register


def _check_jurisdiction(asked: dict[str, Any]) -> None:
    told = asked.get("jurisdiction_id")
    if told and told != matters.county(reader()):
        raise NotFoundError(f"jurisdiction_id: {told} is not served here")


def doors() -> matters.Doors:
    """Return the ways to the tables of this application."""
    return matters.Doors(reader(), databases().matters)


@_get("discovery", "Which interfaces there are", "discovery", ())
def discovery(asked: dict[str, Any]) -> dict[str, Any]:
    address = url_for(".discovery", form="json", _external=True).rpartition("/")[0]
    endpoint = {
        "specification": SPECIFICATION, "url": address, "changeset": CHANGESET, "type": "production",
        "formats": ["text/xml", "application/json"],
    }  # fmt: skip
    contact = "向本市网格治理系统管理员申请接口密钥。"
    return {"changeset": CHANGESET, "contact": contact, "key_service": contact, "endpoints": [endpoint]}


@_get("services", "Kinds of requests", "services")
def services(asked: dict[str, Any]) -> list[dict[str, Any]]:
    return [_service(kind) for kind in matters.kinds(reader())]


def _service(kind: Kind) -> dict[str, Any]:
    group = kind.parent_name or kind.name
    return {
        "service_code": kind.code, "service_name": kind.name, "description": f"{group} · {kind.name}",
        "metadata": True, "type": "realtime", "keywords": ", ".join(filter(None, (group, kind.department))),
        "group": group,
    }  # fmt: skip


@_get(
    "services/{service_code}", "What may be told beside a request's own fields", "service_definition",
    (CODE, *ALWAYS),
)  # fmt: skip
def definition(asked: dict[str, Any], service_code: str) -> dict[str, Any]:
    if service_code not in {kind.code for kind in matters.kinds(reader())}:
        raise NotFoundError(f"service_code: there is no service {service_code[:40]}")
    ledger = {
        "variable": True, "code": "ledger", "datatype": "singlevaluelist", "required": False,
        "datatype_description": None, "order": 1, "description": "归入哪本账，不填为利益诉求",
        "values": [{"key": key.value, "name": name} for key, name in LEDGER_NAMES.items()],
    }  # fmt: skip
    occurred = {
        "variable": True, "code": "occurred_at", "datatype": "datetime", "required": False,
        "datatype_description": "ISO 8601，带时区", "order": 2, "description": "发生时间，不填为现在",
        "values": [],
    }  # fmt: skip
    return {"service_code": service_code, "attributes": [ledger, occurred]}


@_get("requests", "Requests of a time, newest first", "service_requests", SEARCH)
def search(asked: dict[str, Any]) -> list[dict[str, Any]]:
    return [_request(matter) for matter in matters.found(doors(), caller(), _wanted(asked))]


def _wanted(asked: dict[str, Any]) -> Wanted:
    size = asked.get("page_size", MOST_ROWS)
    offset = (asked.get("page", 1) - 1) * size
    if "service_request_id" in asked:
        return Wanted(ids=tuple(map(int, asked["service_request_id"])), limit=MOST_IDS)
    start, end = period(asked.get("start_date"), asked.get("end_date"))
    return Wanted(
        categories=asked.get("service_code", ()), statuses=asked.get("status", ()), start=start, end=end,
        bbox=asked.get("bbox"), limit=size, offset=offset,
    )  # fmt: skip


def period(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    """Return the period asked for, 90 days where an end is open; InputError for a longer one."""
    end = end or (start + WINDOW if start else datetime.now(UTC))
    start = start or end - WINDOW
    if end - start > WINDOW:
        raise InputError("start_date", "a longer time", f"at most {WINDOW.days} days before end_date")
    return start, end


def _request(matter: Matter) -> dict[str, Any]:
    more = {
        "number": matter.number, "ledger": matter.ledger, "stage": matter.stage, "level": matter.level,
        "village": matter.village,
    }  # fmt: skip
    return {
        "service_request_id": str(matter.id),
        "status": matter.status,
        "status_notes": matter.stage_name,
        "service_name": matter.category_name,
        "service_code": matter.category,
        "description": matter.text or matter.title,
        "agency_responsible": matter.department,
        "service_notice": None,
        "requested_datetime": matter.reported_at,
        "updated_datetime": matter.updated_at,
        "expected_datetime": matter.due_at,
        "address": matter.address or matter.village_name,
        "address_id": None,
        "zipcode": None,
        "lat": matter.lat,
        "long": matter.lon,
        "media_url": None,
        "extended_attributes": more,
    }


@_get("requests/{service_request_id}", "One request", "service_requests", (NUMBER, *ALWAYS))
def one(asked: dict[str, Any], service_request_id: str) -> list[dict[str, Any]]:
    wanted = Wanted(ids=(_number(service_request_id),), limit=1)
    found = matters.found(doors(), caller(), wanted)
    if not found:
        raise NotFoundError(f"service_request_id: no request {service_request_id} that may be shown")
    return [_request(found[0])]


def _number(told: str) -> int:
    if not (told.isascii() and told.isdecimal() and len(told) <= 18):
        raise NotFoundError("service_request_id: no such request")
    return int(told)


@_get("tokens/{token}", "Which request a retry key made", "service_requests", (TOKEN, *ALWAYS))
def token(asked: dict[str, Any], token: str) -> list[dict[str, Any]]:
    who = holder(Scope.WRITE)
    try:
        key = uuid.UUID(token)
    except ValueError:
        raise NotFoundError("token: no request was made with it") from None
    made = matters.made_with(databases().matters, who, key)
    return [{"service_request_id": str(made), "token": token}]


@pages.post(f"/requests.{FORM}", endpoint="tell")
@public
def tell(form: str) -> Response:
    """Take in a request; a program sends `Idempotency-Key` so that a retry makes no second one."""
    who = holder(Scope.WRITE)
    told = ask.read(TELL, request.form, blank=True)
    _check_jurisdiction(told)
    told |= {name: told.get(f"attribute[{name}]") for name in ("ledger", "occurred_at")}
    made = matters.tell(databases().matters, ring(), who, told, _idempotency_key())
    notice = f"编号 {made.number}。{TAKEN}"
    line = {"service_request_id": str(made.case_id), "service_notice": notice, "account_id": None}
    return as_form(form, "service_requests", [line], 200 if made.again else 201)


def _idempotency_key() -> uuid.UUID | None:
    told = request.headers.get("Idempotency-Key")
    if not told:
        return None
    try:
        return uuid.UUID(told)
    except ValueError:
        raise InputError("Idempotency-Key", told[:40], "a UUID") from None

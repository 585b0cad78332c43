"""The OpenAPI 3.1 document of everything under /api, made of the arguments that the views themselves read."""

from collections.abc import Iterable, Sequence
from importlib.metadata import version

from gridmgmt.incidents.handling.acts import Act
from gridmgmt.incidents.opening.keys import SCOPE_NAMES
from gridmgmt.incidents.terms import Ledger, Status
from gridmgmt.web.interface import open311, own
from gridmgmt.web.interface.arguments import Argument, Schema

NAMELESS: list[dict[str, list[str]]] = [{}, {"bearer": []}, {"api_key": []}]
KEYED = NAMELESS[1:]
MOMENT: Schema = {"type": "string", "format": "date-time"}
TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer"}

ABOUT = """\
诉求的开放接口。Without a key: matters of categories that lie in public space, by kind, day, village and a
point to three decimals. With a key, by its scopes: {scopes}. Nobody is ever told who a matter is about, what
somebody noted, or what was answered. Limits: 429 with Retry-After; every answer has RateLimit-Limit,
RateLimit-Remaining and RateLimit-Reset.
"""


def document(server: str) -> Schema:
    """Return the document; `server` is the address under which the program was reached."""
    about = ABOUT.format(scopes="; ".join(f"`{scope}` {name}" for scope, name in SCOPE_NAMES.items()))
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {"title": "网格治理诉求接口", "version": version("gridmgmt"), "description": about},
        "servers": [{"url": server}],
        "security": NAMELESS,
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "headers": {
                f"RateLimit-{name}": {"schema": COUNT, "description": words}
                for name, words in (
                    ("Limit", "Calls a minute."), ("Remaining", "Calls left."), ("Reset", "Seconds to wait.")
                )
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "api_key": {"type": "apiKey", "in": "query", "name": "api_key"},
            },
        },
    }  # fmt: skip


def _paths() -> Schema:
    paths: Schema = {
        "/api/openapi.json": {
            "get": _operation("openapi", "This document", (), {"200": _json("", {"type": "object"})})
        },
        "/api/v1/categories": {
            "get": _operation("categories", "Categories", (), _answers("Categories", (400, 401)))
        },
        "/api/v1/matters": {
            "get": _operation(
                "matters", "Matters by filter, the largest id first", own.FILTERS,
                _answers("Matters", (400, 401)),
            )
        },
        "/api/v1/matters/{reference}": {
            "get": _operation(
                "matter", "One matter, with a key with its steps", (own.REFERENCE,),
                _answers("MatterWithSteps", (400, 401, 404)),
            )
        },
    }  # fmt: skip
    for form, kind in own.TYPES.items():
        answers = {"200": {"description": "The file", "headers": _limits(), "content": {_media(kind): {}}}}
        paths[f"/api/v1/bulk/matters.{form}"] = {
            "get": _operation(
                f"bulk_{form}", "All matters as a file, scope bulk:read", own.PERIOD,
                answers | _errors((400, 401, 403)), security=KEYED,
            )
        }  # fmt: skip
    for form in open311.FORMS:
        _add_open311(paths, form)
    return paths


def _add_open311(paths: Schema, form: str) -> None:
    for name, route in open311.ROUTES.items():
        security = KEYED if name == "token" else NAMELESS
        answers = {"200": _form(form, name)} | _errors((400, 403, 404), form)
        operation = _operation(
            f"open311_{name}_{form}", route.summary, route.arguments, answers, blank=True, security=security
        )
        paths[f"{route.path}.{form}"] = {"get": operation}
    made = {status: _form(form, "tell") for status in ("200", "201")}
    tell = _operation(
        f"open311_tell_{form}", "Make a request, scope matters:write", (),
        made | _errors((400, 403, 404, 409, 413), form), security=KEYED,
    )  # fmt: skip
    tell["parameters"] = [_RETRY]
    tell["requestBody"] = {
        "required": True,
        "content": {"application/x-www-form-urlencoded": {"schema": _body(open311.TELL)}},
    }
    paths[f"{open311.pages.url_prefix}/requests.{form}"]["post"] = tell


_RETRY: Schema = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "description": "A UUID of the caller's own for this request: a retry with it makes no second one.",
    "schema": {"type": "string", "pattern": open311.UUID},
}  # fmt: skip


def _operation(
    name: str,
    summary: str,
    arguments: Sequence[Argument],
    answers: Schema,
    *,
    blank: bool = False,
    security: list[dict[str, list[str]]] = NAMELESS,
) -> Schema:
    parameters = [each.described(blank=blank) for each in arguments if each.name != "api_key"]
    return {
        "operationId": name, "summary": summary, "parameters": parameters, "security": security,
        "responses": answers | _errors((429,), "xml" if name.endswith("_xml") else "json"),
    }  # fmt: skip


def _body(arguments: Sequence[Argument]) -> Schema:
    needed = [argument.name for argument in arguments if argument.required]
    return {
        "type": "object",
        "properties": {each.name: {**each.schema, "description": each.about} for each in arguments},
        "required": needed,
        "anyOf": [{"required": ["lat", "long"]}, {"required": ["address_id"]}],
        "description": "A place: lat and long, or address_id. media_url, email, device_id and account_id are "
        "neither read nor kept, and no address in media_url is ever fetched.",
    }


def _form(form: str, name: str) -> Schema:
    if form == "json":
        return _json("", {"$ref": f"#/components/schemas/Open311_{name}"})
    root = open311.ROUTES[name].root if name in open311.ROUTES else "service_requests"
    words = f"What the JSON says, as XML without a namespace; the root is `{root}`."
    return {"description": words, "headers": _limits(), "content": {"text/xml": {}}}


def _answers(component: str, statuses: Iterable[int]) -> Schema:
    return {"200": _json("", {"$ref": f"#/components/schemas/{component}"})} | _errors(statuses)


def _json(words: str, schema: Schema) -> Schema:
    return {
        "description": words or "OK", "headers": _limits(),
        "content": {"application/json": {"schema": schema}},
    }  # fmt: skip


def _limits() -> Schema:
    return {
        f"RateLimit-{name}": {"$ref": f"#/components/headers/RateLimit-{name}"}
        for name in ("Limit", "Remaining", "Reset")
    }


_WORDS = {
    400: "An argument is not allowed", 401: "The key is unknown, revoked or over, or one is needed",
    403: "The key is wrong, missing, or has not the scope", 404: "There is none, or it may not be shown",
    409: "The Idempotency-Key was used for something else", 413: "Too large", 429: "Too many calls",
}  # fmt: skip


def _errors(statuses: Iterable[int], form: str = "json") -> Schema:
    schema: Schema = {"schema": {"$ref": "#/components/schemas/Errors"}}
    content = {"application/json": schema} if form == "json" else {"text/xml": {}}
    return {str(status): {"description": _WORDS[status], "content": content} for status in statuses}


def _media(content_type: str) -> str:
    return content_type.partition(";")[0]


def _object(**properties: Schema) -> Schema:
    """Return an object that has these fields, all of them and no others."""
    return {
        "type": "object", "properties": properties, "required": list(properties),
        "additionalProperties": False,
    }  # fmt: skip


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _one_of(values: Iterable[str]) -> Schema:
    return {"type": "string", "enum": [str(value) for value in values]}


def _schemas() -> Schema:
    matter = _matter()
    return {
        "Errors": {**_list(_object(code=COUNT, description=TEXT)), "minItems": 1},
        "Categories": _object(
            categories=_list(
                _object(
                    code=TEXT, name=TEXT, parent=_maybe(TEXT), parent_name=_maybe(TEXT),
                    department=_maybe(TEXT), days=_maybe(COUNT), open={"type": "boolean"},
                )
            )
        ),
        "Matters": _object(matters=_list(_object(**matter)), next=_maybe(COUNT)),
        "MatterWithSteps": _object(**matter, steps=_maybe(_list(_step()))),
        **{f"Open311_{name}": schema for name, schema in _open311().items()},
    }  # fmt: skip


def _matter() -> Schema:
    texts = ("number", "department", "channel", "stage", "stage_name", "village", "village_name")
    written = ("title", "text", "address")
    return {
        "id": COUNT, "category": TEXT, "category_name": TEXT, "status": _one_of(Status),
        "ledger": _maybe(_one_of(Ledger)), "level": _maybe(TEXT),
        "lon": _maybe({"type": "number"}), "lat": _maybe({"type": "number"}),
        "reported_at": MOMENT, "updated_at": MOMENT, "due_at": _maybe(MOMENT), "closed_at": _maybe(MOMENT),
        **{name: _maybe(TEXT) for name in (*texts, *written)},
    }  # fmt: skip


def _step() -> Schema:
    return _object(
        n=COUNT, at=MOMENT, act=_one_of(Act), act_name=TEXT, from_stage=_maybe(TEXT), to_stage=_maybe(TEXT),
        unit=_maybe(TEXT), due_at=_maybe(MOMENT),
    )  # fmt: skip


def _open311() -> Schema:
    endpoint = _object(specification=TEXT, url=TEXT, changeset=MOMENT, type=TEXT, formats=_list(TEXT))
    attribute = _object(
        variable={"type": "boolean"}, code=TEXT, datatype=TEXT, required={"type": "boolean"},
        datatype_description=_maybe(TEXT), order=COUNT, description=TEXT,
        values=_list(_object(key=TEXT, name=TEXT)),
    )  # fmt: skip
    service = _object(
        service_code=TEXT, service_name=TEXT, description=TEXT, metadata={"type": "boolean"},
        type=_one_of(("realtime",)), keywords=TEXT, group=TEXT,
    )  # fmt: skip
    nothing: Schema = {"type": "null"}
    line = _object(
        service_request_id=TEXT, status=_one_of(Status), status_notes=_maybe(TEXT), service_name=TEXT,
        service_code=TEXT, description=_maybe(TEXT), agency_responsible=_maybe(TEXT), service_notice=nothing,
        requested_datetime=MOMENT, updated_datetime=MOMENT, expected_datetime=_maybe(MOMENT),
        address=_maybe(TEXT), address_id=nothing, zipcode=nothing, lat=_maybe({"type": "number"}),
        long=_maybe({"type": "number"}), media_url=nothing,
        extended_attributes=_object(
            number=_maybe(TEXT), ledger=_maybe(_one_of(Ledger)), stage=_maybe(TEXT), level=_maybe(TEXT),
            village=_maybe(TEXT),
        ),
    )  # fmt: skip
    return {
        "discovery": _object(changeset=MOMENT, contact=TEXT, key_service=TEXT, endpoints=_list(endpoint)),
        "services": _list(service),
        "definition": _object(service_code=TEXT, attributes=_list(attribute)),
        "search": _list(line),
        "one": {**_list(line), "minItems": 1, "maxItems": 1},
        "token": _list(_object(service_request_id=TEXT, token=TEXT)),
        "tell": _list(_object(service_request_id=TEXT, service_notice=TEXT, account_id=nothing)),
    }

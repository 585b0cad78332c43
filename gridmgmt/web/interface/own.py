"""The city's own face for programs: categories, matters by filter, one with its steps, bulk files."""

import dataclasses
import zlib
from collections.abc import Iterable, Iterator

from flask import Blueprint, Response, request, stream_with_context

from gridmgmt.incidents.opening import bulk
from gridmgmt.incidents.opening import requests as matters
from gridmgmt.incidents.opening.keys import Scope
from gridmgmt.incidents.opening.requests import Sight, Wanted
from gridmgmt.incidents.terms import Status
from gridmgmt.web.access import public
from gridmgmt.web.databases import reader
from gridmgmt.web.interface import arguments as ask
from gridmgmt.web.interface.answers import as_json
from gridmgmt.web.interface.callers import caller, holder
from gridmgmt.web.interface.open311 import API_KEY, CODES, doors

pages = Blueprint("own", __name__, url_prefix="/api/v1")

MOST = 500
USUAL = 100
TYPES = {"csv": "text/csv; charset=utf-8", "geojson": "application/geo+json"}

FILTERS = (
    API_KEY,
    ask.words("category", "Codes with commas, of 小类 or 大类.", CODES, convert=ask.several),
    ask.choice("status", "open or closed.", [status.value for status in Status]),
    ask.moment("reported_from", "Earliest moment of the report."),
    ask.moment("reported_to", "Latest moment of the report."),
    ask.words("area", "What the village's code begins with: 6, 9 or 12 digits.", "^[0-9]{6}([0-9]{3}){0,2}$"),
    ask.box("bbox", "West, south, east, north in degrees."),
    ask.whole("before", "Only ids below this one: the `next` of the page before.", 1, 2**63 - 1),
    ask.whole("limit", f"How many, {USUAL} by default.", 1, MOST),
)  # fmt: skip
REFERENCE = ask.words("reference", "Id of a matter, or with a key its number.", "^[0-9]{1,18}$", where="path")
PERIOD = (
    API_KEY,
    ask.day("from", "First day on which a matter arose."),
    ask.day("to", "Last day on which a matter arose."),
)


@pages.get("/categories")
@public
def categories() -> Response:
    """The categories without finer ones."""
    ask.read((API_KEY,), request.args, blank=False)
    return as_json({"categories": [dataclasses.asdict(kind) for kind in matters.kinds(reader())]})


@pages.get("/matters")
@public
def found() -> Response:
    """Matters by filter, the largest id first."""
    asked = ask.read(FILTERS, request.args, blank=False)
    limit = asked.get("limit", USUAL)
    wanted = Wanted(
        categories=asked.get("category", ()),
        statuses=(asked["status"],) if "status" in asked else (),
        start=asked.get("reported_from"),
        end=asked.get("reported_to"),
        bbox=asked.get("bbox"),
        area=asked.get("area", ""),
        before=asked.get("before"),
        by_id=True,
        limit=limit + 1,
    )
    lines = matters.found(doors(), caller(), wanted)
    more = lines[limit - 1].id if len(lines) > limit else None
    return as_json({"matters": [dataclasses.asdict(matter) for matter in lines[:limit]], "next": more})


@pages.get("/matters/<reference>")
@public
def one(reference: str) -> Response:
    """One matter; with a key that sees all, the acts on it too."""
    ask.read((API_KEY,), request.args, blank=False)
    who = caller()
    matter = matters.one(doors(), who, reference)
    acts = None
    if who and Sight.of(who).everything:
        acts = [dataclasses.asdict(step) for step in matters.steps(doors(), who, matter.id)]
    return as_json({**dataclasses.asdict(matter), "steps": acts})


@pages.get('/bulk/matters.<any("csv", "geojson"):form>')
@public
def whole(form: str) -> Response:
    """All matters as a file, written while it is read; places have three decimals without `matters:read`."""
    who = holder(Scope.BULK)
    asked = ask.read(PERIOD, request.args, blank=False)
    found = bulk.rows(reader(), exact=Sight.of(who).everything, start=asked.get("from"), end=asked.get("to"))
    lines = (bulk.csv_lines if form == "csv" else bulk.geojson_lines)(found)
    packed = "gzip" in request.accept_encodings
    pieces = _packed(lines) if packed else _joined(lines)
    answer = Response(stream_with_context(pieces), content_type=TYPES[form])
    answer.headers["Content-Disposition"] = f'attachment; filename="matters.{form}"'
    answer.vary.add("Accept-Encoding")
    if packed:
        answer.headers["Content-Encoding"] = "gzip"
    return answer


def _joined(lines: Iterable[str], bytes_at_once: int = 1 << 16) -> Iterator[bytes]:
    piece = bytearray()
    for line in lines:
        piece += line.encode("utf-8", "replace")
        if len(piece) >= bytes_at_once:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def _packed(lines: Iterable[str]) -> Iterator[bytes]:
    squeeze = zlib.compressobj(5, zlib.DEFLATED, 31)
    for piece in _joined(lines):
        yield squeeze.compress(piece)
    yield squeeze.flush()

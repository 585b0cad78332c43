"""Vector tiles of grids, buildings and matters, from PostGIS through one cache for all workers.

Every answer is narrowed to the own area, carries a tag of the version of what it shows and may be kept by the
browser, which asks each time whether it still holds. docs/methods/tiles.md says what a version is.
"""

import gzip
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from flask import Blueprint, Response, current_app, jsonify, request
from flask_login import current_user

from gridmgmt.calendar import china_today
from gridmgmt.db.engine import acting
from gridmgmt.db.models import Role
from gridmgmt.errors import InputError, NotAllowedError, NotFoundError
from gridmgmt.hotspots import stored as hotspots
from gridmgmt.incidents import service as incidents
from gridmgmt.web import layers
from gridmgmt.web.access import allow
from gridmgmt.web.areas import territory
from gridmgmt.web.basemap import read_basemap
from gridmgmt.web.data import MAP_READERS
from gridmgmt.web.databases import reader
from gridmgmt.web.databases import roster as roster_engine
from gridmgmt.web.scope import own_area, own_staff
from gridmgmt.web.tile_cache import Remembered, Shelf
from gridmgmt.web.tile_line import Line
from gridmgmt.web.tile_shapes import ground

pages = Blueprint("tiles", __name__, url_prefix="/tiles")

MVT = "application/vnd.mapbox-vector-tile"
EXTENSION = "gridmgmt.tiles"
# How long a worker believes the data version, and how old a tile of matters can be.
VERSION_SECONDS = 1.0
MATTERS_SECONDS = 60
# What is laid over the whole city.
CENTRE = (Role.COMMAND, Role.PLANNER)
# A planner sees counts of matters, not each of them.
MATTER_READERS = frozenset(MAP_READERS) - {Role.PLANNER}
_CATEGORY = re.compile(r"[0-9A-Za-z]{0,12}")


@dataclass(frozen=True)
class Wanted:
    """What a tile shows: place, the area it is narrowed to, and what matters it holds."""

    layer: str
    z: int
    x: int
    y: int
    area: str
    category: str = ""
    since: date | None = None
    until: date | None = None

    @property
    def name(self) -> str:
        """A file's name that no other tile of the version has."""
        chosen = "-".join(str(each or "") for each in (self.category, self.since, self.until))
        return f"{self.area or 'city'}/{self.z}-{self.x}-{self.y}{chosen.rstrip('-') and '-' + chosen}.gz"


@dataclass(frozen=True)
class Layer:
    """Zoom levels that a layer has, who may see it, what its version is and how a tile of it is made."""

    zooms: tuple[int, int]
    version: Callable[[int], str]
    make: Callable[[Wanted, str], bytes]
    roles: frozenset[Role] = frozenset(MAP_READERS)


@dataclass
class Tiles:
    """What a worker keeps of an application: the data version for a moment, and the shelves of files."""

    data_version: Remembered
    line: Line
    shelves: dict[str, Shelf] = field(default_factory=dict)


# --- versions


def _by_day(data_version: int) -> str:
    """Grids are in force from one day until another."""
    return f"{data_version}-{china_today()}"


def _by_import(data_version: int) -> str:
    """Buildings come with imports, and change their grid when a plan is published."""
    return str(data_version)


def _by_hour(data_version: int) -> str:
    """What takes a second to compute, and is looked at as a whole."""
    return f"{data_version}-{int(time.time()) // 3600}"


def _by_minute(data_version: int) -> str:
    """Matters come and close all day: their tiles are a minute old at most."""
    return f"{data_version}-{int(time.time()) // MATTERS_SECONDS}"


# --- the content


def _shapes(wanted: Wanted, version: str) -> bytes:
    found = ground(reader(), version)
    # A grid worker's village and town are larger than the own area: nothing of them is drawn.
    return found.drawn(wanted.layer, wanted.z).tile(wanted.layer, wanted.x, wanted.y, wanted.area)


def _buildings(wanted: Wanted, _: str) -> bytes:
    asked = (wanted.z, wanted.x, wanted.y, wanted.area)
    return bytes(kept().line.ask("SELECT tile_buildings(%s, %s, %s, %s)", asked) or b"")


def _matters(wanted: Wanted, _: str) -> bytes:
    asked = (
        wanted.z, wanted.x, wanted.y, wanted.area, wanted.category, wanted.since, wanted.until
    )  # fmt: skip
    return bytes(kept().line.ask("SELECT tile_matters(%s, %s, %s, %s, %s, %s, %s)", asked) or b"")


LAYERS = {
    "grids": Layer((8, 16), _by_day, _shapes),
    "villages": Layer((8, 16), _by_day, _shapes),
    "towns": Layer((6, 16), _by_day, _shapes),
    "roads": Layer((8, 16), _by_day, _shapes),
    "rivers": Layer((8, 16), _by_day, _shapes),
    "buildings": Layer((13, 17), _by_import, _buildings),
    "matters": Layer((6, 17), _by_minute, _matters, MATTER_READERS),
}


# --- the answer


@pages.get("/<layer>/<int:z>/<int:x>/<int:y>.mvt")
@allow(*MAP_READERS)
def tile(layer: str, z: int, x: int, y: int) -> Response:
    wanted = _wanted(layer, z, x, y)
    if layer == "buildings" and own_staff():
        return _own_buildings(wanted)
    kind = LAYERS[layer]
    version = kind.version(kept().data_version())
    tag = _tag(version, layer, wanted.name)
    if request.if_none_match.contains_weak(tag):
        return _headed(Response(status=304), tag)
    return _headed(_packed(_content(wanted, kind, version)), tag)


def _wanted(layer: str, z: int, x: int, y: int) -> Wanted:
    """Check an address; InputError names the part that is not allowed."""
    kind = LAYERS.get(layer)
    if kind is None:
        raise InputError("layer", layer, " | ".join(LAYERS))
    if current_user.role not in kind.roles:
        raise NotAllowedError(f"{current_user.role} may not read tiles of {layer}")
    low, high = kind.zooms
    if not low <= z <= high:
        raise InputError("z", z, f"{low} to {high}")
    for name, place in (("x", x), ("y", y)):
        if place >= 2**z:
            raise InputError(name, place, f"0 to {2**z - 1}")
    if layer != "matters":
        return Wanted(layer, z, x, y, own_area())
    return Wanted(layer, z, x, y, own_area(), _category(), _day("from"), _day("to"))


def _category() -> str:
    category = request.args.get("category", "")
    if not _CATEGORY.fullmatch(category):
        raise InputError("category", category, "a code of the code list, or none for all together")
    return category


def _day(name: str) -> date | None:
    text = request.args.get(name, "")
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise InputError(name, text, "a day such as 2025-12-31") from error


def _content(wanted: Wanted, kind: Layer, version: str) -> bytes:
    """Return the compressed tile, from the shelf or made now; b'' for one that holds nothing."""
    on_shelf = current_app.config.get("TILE_CACHE", True)
    found = shelf(wanted.layer).get(version, wanted.name) if on_shelf else None
    if found is None:
        made = kind.make(wanted, version)
        found = gzip.compress(made, 1, mtime=0) if made else b""
        if on_shelf:
            shelf(wanted.layer).put(version, wanted.name, found)
    return found


def _own_buildings(wanted: Wanted) -> Response:
    """A grid's own staff sees how many households live in each; that changes with every visit, so nothing is
    kept here, and the tag is that of the content."""
    username = current_user.who.username
    with acting(roster_engine(), username, wanted.area) as connection:
        found = connection.exec_driver_sql(
            "SELECT tile_own_buildings(%s, %s, %s)", (wanted.z, wanted.x, wanted.y)
        ).scalar_one()
    made = bytes(found or b"")
    tag = _tag(made)
    if request.if_none_match.contains_weak(tag):
        return _headed(Response(status=304), tag)
    return _headed(_packed(gzip.compress(made, 1, mtime=0) if made else b""), tag)


def _packed(content: bytes) -> Response:
    if not content:
        return Response(status=204, mimetype=MVT)
    if "gzip" not in request.accept_encodings:
        return Response(gzip.decompress(content), mimetype=MVT)
    return Response(content, mimetype=MVT, headers={"Content-Encoding": "gzip"})


def _headed(response: Response, tag: str) -> Response:
    """Let a browser keep an answer and ask whether it still holds; a shared cache must not keep it."""
    response.set_etag(tag, weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Cookie, Accept-Encoding"
    return response


def _tag(*versions: object) -> str:
    text = b"|".join(each if isinstance(each, bytes) else str(each).encode() for each in versions)
    return hashlib.blake2b(text, digest_size=10).hexdigest()


@pages.get("/names.json")
@allow(*MAP_READERS)
def names() -> Response:
    """What the codes in tiles are called: every category, and the grids of the own area."""
    tag = _tag(_by_day(kept().data_version()), own_area())
    if request.if_none_match.contains_weak(tag):
        return _headed(Response(status=304), tag)
    with reader().connect() as connection:
        known = incidents.categories(connection)
        here = territory(connection)
    grids = {place.code: place.name for place in here.inside("grid", own_area())}
    return _headed(jsonify(categories=dict(zip(known.codes, known.names, strict=True)), grids=grids), tag)


# --- layers of the centre's map


@pages.get("/clusters.geojson")
@allow(*CENTRE)
def clusters() -> Response:
    category = _category()
    version = f"{_by_hour(kept().data_version())}-{category}"
    tag = _tag(version, "clusters")
    if request.if_none_match.contains_weak(tag):
        return _headed(Response(status=304), tag)
    with reader().connect() as connection:
        text = layers.clusters(connection, territory(connection), category)
    return _headed(Response(text, mimetype="application/geo+json"), tag)


@pages.get("/density.<any(json, png):form>")
@allow(*CENTRE)
def density(form: str) -> Response:
    """A density as what a legend says of it, or as its picture; 503 while another worker makes it."""
    version = _by_hour(kept().data_version())
    wanted_days = _day("from"), _day("to")
    tag = _tag(version, form, _category(), *wanted_days)
    if request.if_none_match.contains_weak(tag):
        return _headed(Response(status=304), tag)
    with reader().connect() as connection:
        here = territory(connection)
        bounds = here.bounds()
        if bounds is None:
            raise NotFoundError("there are no grids yet")
        since, until = wanted_days[0] or date(china_today().year, 1, 1), wanted_days[1] or china_today()
        wanted = layers.Surface(bounds, _category(), since, until)
        found = layers.kept_surface(connection, shelf("density"), version, wanted)
    if found is None:
        return Response(status=503, headers={"Retry-After": "1"})
    if form == "png":
        return _headed(Response(found.png, mimetype="image/png"), tag)
    return _headed(jsonify(bounds=found.bounds, breaks=found.breaks, unit=layers.UNIT), tag)


# --- the basemap of this machine


@pages.get("/basemap/<int:z>/<int:x>/<int:y>")
@allow(*MAP_READERS)
def basemap(z: int, x: int, y: int) -> Response:
    ground_map = read_basemap(current_app.config["BASEMAP"])
    found = ground_map.tile(z, x, y) if ground_map else None
    if found is None:
        return Response(status=204)
    content, kind, packing = found
    if packing == "gzip" and "gzip" not in request.accept_encodings:
        content, packing = gzip.decompress(content), ""
    headers = {"Content-Encoding": packing} if packing else {}
    response = Response(content, mimetype=kind, headers=headers)
    response.headers["Cache-Control"] = "private, max-age=86400"
    return response


# --- what a worker keeps


def kept() -> Tiles:
    """Return what this worker keeps of the application that answers."""
    found: Tiles | None = current_app.extensions.get(EXTENSION)
    if found is None:
        seconds = current_app.config.get("TILE_VERSION_SECONDS", VERSION_SECONDS)
        found = current_app.extensions[EXTENSION] = Tiles(Remembered(_data_version, seconds), Line(reader()))
    return found


def _data_version() -> int:
    with reader().connect() as connection:
        return hotspots.data_version(connection)


def shelf(name: str) -> Shelf:
    """Return the files kept of a layer."""
    shelves = kept().shelves
    if name not in shelves:
        shelves[name] = Shelf(current_app.config["SETTINGS"].home / "cache" / "tiles" / name)
    return shelves[name]

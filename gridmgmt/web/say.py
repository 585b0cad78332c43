"""What residents see without signing in: the form, and the page that follows a matter.

Whoever scans the code of a grid or village need not say where they are. Nothing is asked that the office does
not need: name and telephone are left empty by most, and sealed when they are not.
"""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from flask import (
    Blueprint,
    Response,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.blueprints import BlueprintSetupState
from flask_wtf.csrf import CSRFError, validate_csrf
from limits import RateLimitItem, parse
from sqlalchemy import Connection
from wtforms.validators import ValidationError

from gridmgmt.calendar import china_today
from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.incidents import following
from gridmgmt.incidents.actor import RESIDENT, Actor
from gridmgmt.incidents.choices import SATISFACTION
from gridmgmt.incidents.handling.intake import Taken, Told, take_in
from gridmgmt.incidents.handling.work import grid_at
from gridmgmt.incidents.parties.attachments import Unfit, unfit
from gridmgmt.incidents.parties.models import PartyPart
from gridmgmt.incidents.parties.told import PartyTold
from gridmgmt.web import security, telling, throttle
from gridmgmt.web.access import public
from gridmgmt.web.areas import Place, Territory, territory
from gridmgmt.web.databases import matters, reader, ring

pages = Blueprint("say", __name__)

# Many telephones of one network share an address, so it may send more than one person would; a grid's
# code that somebody plays with cannot fill the office's inbox. Tries count before anything is read.
AN_ADDRESS, A_GRID, TRIES = parse("10 per hour"), parse("60 per hour"), parse("40 per hour")
LOOKS = parse("120 per hour")
MOST_PHOTOS = 3
SECRET = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
# The browser's position, on the page that asks for it and nowhere else.
WITH_POSITION = security.HEADERS["Permissions-Policy"].replace("geolocation=()", "geolocation=(self)")
TOO_MANY = "这个网络或这个网格一小时内提交得太多了。填写的内容还在，请过一会儿再提交；急事请打 12345。"


@pages.url_value_preprocessor
def allow_photos(endpoint: str | None, _: object) -> None:
    # Before the form is read for its token, which is before the view.
    if endpoint == "say.tell" and request.method == "POST" and _left(TRIES, "try", throttle.address()):
        request.max_content_length = telling.LARGEST_FORM


# --- the form


@pages.get("/say")
@pages.get("/say/<area>")
@public
def form(area: str = "") -> Any:
    return _form(area, {})


def _form(area: str, typed: Mapping[str, str], refused: str = "", status: int = 200) -> Response:
    with reader().connect() as connection:
        here = territory(connection)
    place, gone = _placed(here, area)
    grouped = telling.groups(telling.leaves(place.code if place else ""))
    page = render_template(
        "say.html",
        here=here,
        area=area,
        place=place,
        gone=gone,
        villages=_villages(here, place),
        groups=grouped,
        tiles=list(grouped)[: telling.TILES],
        typed=typed,
        key=typed.get("key") or str(uuid4()),
        refused=refused,
        most_photos=MOST_PHOTOS,
    )
    response = make_response(page, status)
    response.headers["Permissions-Policy"] = WITH_POSITION
    return response


def _placed(here: Territory, area: str) -> tuple[Place | None, bool]:
    """Return the place of a code, and whether that code is gone: then the village it lay in stands for it."""
    if not area:
        return None, False
    telling.no_number(area)
    for digits in (len(area), DIGITS["village"], DIGITS["town"]):
        place = here.place(area[:digits]) if digits <= len(area) else None
        if place:
            return place, place.code != area
    return None, True


def _villages(here: Territory, place: Place | None) -> dict[str, list[Place]]:
    """Return the villages to choose from by town, none where the code of the page says it already."""
    if place and len(place.code) >= DIGITS["village"]:
        return {}
    found: dict[str, list[Place]] = {}
    for village in here.inside("village", place.code if place else ""):
        found.setdefault(here.name(village.code[: DIGITS["town"]]), []).append(village)
    return found


@pages.post("/say/where")
@public
def where() -> Any:
    """The name of the village and grid at a position, for whoever has just found it."""
    if not _hit(LOOKS, "look", throttle.address()):
        return jsonify(name=""), 429
    try:
        lon, lat = telling.point()
    except InputError:
        lon = lat = None
    with reader().connect() as connection:
        grid = at(connection, territory(connection), lon, lat)
    return jsonify(name=f"{grid.path} · {grid.name}" if grid else "")


def at(connection: Connection, here: Territory, lon: float | None, lat: float | None) -> Place | None:
    """Return the grid at a position of today, None outside of all."""
    if lon is None or lat is None or not (-180 <= lon <= 180 and -90 <= lat <= 90):
        return None
    found = grid_at(connection, lon, lat)
    return here.place(found.code15) if found else None


@pages.post("/say")
@pages.post("/say/<area>")
@public
def tell(area: str = "") -> Any:
    """Take in what a resident tells; what is not allowed brings the form back with all but the photo."""
    typed = telling.kept_typed(request.form)
    if not _hit(TRIES, "try", throttle.address()) or not _left(AN_ADDRESS, "address", throttle.address()):
        return _form(area, typed, TOO_MANY, 429)
    try:
        taken = _taken(area)
    except (InputError, ConflictError) as error:
        return _form(area, typed, telling.why(error), error.http_status)
    if taken is None:
        return _form(area, typed, TOO_MANY, 429)
    return _confirmed(taken, request.form["key"])


def _taken(area: str) -> Taken | None:
    """Return the matter, None where the place has told enough for this hour."""
    if request.form.get("homepage"):
        raise InputError("trap", "something", "nothing")
    with reader().connect() as connection:
        here = territory(connection)
        place, _ = _placed(here, area)
        told = _told(here, place)
        grid = at(connection, here, told.lon, told.lat)
    photos = telling.files("photos", photos_only=True)
    if len(photos) > MOST_PHOTOS:
        raise unfit(Unfit.MANY)
    if not _hit(A_GRID, "grid", grid.code if grid else place.code if place else told.village or ""):
        return None
    actor = Actor(RESIDENT, None, (told.village or "")[: DIGITS["village"]])
    keep = telling.keeping(photos, RESIDENT)
    taken = take_in(matters(), ring() if told.parties else None, actor, told, telling.key(), keep)
    if not taken.again:
        _hit(AN_ADDRESS, "address", throttle.address())
    return taken


def _told(here: Territory, place: Place | None) -> Told:
    lon, lat = telling.point()
    village = place.code if place and len(place.code) >= DIGITS["village"] else ""
    village = village or telling.line("village")
    address = telling.line("address")
    if lon is None and not village:
        named = telling.village_of(here, address, place.code if place else "")
        village = named.code if named else ""
    telling.need_place(lon, village)
    return Told(
        category=telling.line("category"),
        words=telling.words("words"),
        channel="qr_code",
        lon=lon,
        lat=lat,
        address=address or (place.name if place and lon is None else ""),
        village=None if lon is not None else village,
        parties=_parties(),
        follow=True,
    )


def _parties() -> tuple[PartyTold, ...]:
    name, phone = telling.line("name"), telling.line("phone")
    if not (name or phone):
        return ()
    if request.form.get("consent") != "yes":
        raise InputError("consent", "nothing", "yes")
    return (PartyTold(PartyPart.COMPLAINANT, name, phone),)


def _confirmed(taken: Taken, key: str) -> Any:
    """Lead to the matter's own page; whoever pressed twice gets there too, by the key of the form."""
    if taken.token:
        session["told"] = [key, taken.token]
    kept = session.get("told") or ["", ""]
    if kept[0] == key:
        return redirect(url_for("say.follow", token=kept[1], told=1), 303)
    return render_template("say_again.html", number=taken.number)


# --- the page that follows a matter


@pages.record_once
def check_token_here(state: BlueprintSetupState) -> None:
    # A page that gives no referrer fails the common check under https, which asks for one: `rate` checks.
    state.app.extensions["csrf"].exempt(f"{__name__}.rate")


@pages.get("/follow/<token>")
@public
def follow(token: str) -> Response:
    return _follow_page(token)


def _follow_page(token: str, refused: str = "", status: int = 200, thanks: str = "") -> Response:
    try:
        matter = following.followed(matters(), token)
    except NotFoundError:
        return _secret(render_template("follow_none.html"), 404)
    page = render_template(
        "follow.html",
        matter=matter,
        told="told" in request.args,
        link=url_for("say.follow", token=token, _external=True),
        satisfaction=SATISFACTION,
        note=request.form.get("note", ""),
        refused=refused,
        thanks=thanks or {"again": "已记下您的评价，这件事会重新办理。", "rated": "谢谢您的评价。"}.get(
            request.args.get("thanks", ""), ""
        ),
        today=china_today(),
    )  # fmt: skip
    return _secret(page, status)


def _secret(page: str, status: int) -> Response:
    response = make_response(page, status)
    response.headers.update(SECRET)
    return response


@pages.post("/follow/<token>")
@public
def rate(token: str) -> Any:
    """Write how satisfied the resident is; dissatisfied, the matter opens again by the rule of its flow."""
    try:
        validate_csrf(request.form.get("csrf_token"))
    except ValidationError as error:
        raise CSRFError(str(error)) from error
    try:
        reopened = following.rate(matters(), token, _satisfaction(), telling.words("note"))
    except NotFoundError:
        return _secret(render_template("follow_none.html"), 404)
    except ConflictError:
        return _follow_page(token, "这件事现在不能评价：可能已经评过，或正在重新办理。", 409)
    except InputError as error:
        return _follow_page(token, telling.why(error), error.http_status)
    return redirect(url_for("say.follow", token=token, thanks="again" if reopened else "rated"), 303)


def _satisfaction() -> int:
    found = request.form.get("satisfaction", "")
    if found not in map(str, SATISFACTION):
        raise InputError("satisfaction", found, "1 to 5")
    return int(found)


# --- how often


def _hit(limit: RateLimitItem, *what: str) -> bool:
    return throttle.limiter.limiter.hit(limit, "say", *what)


def _left(limit: RateLimitItem, *what: str) -> bool:
    return throttle.limiter.limiter.test(limit, "say", *what)

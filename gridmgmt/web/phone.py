"""What makes the grid chief's pages an installed application: manifest, worker, and telling of a matter.

A phone sends each matter with a key of its own until it is told that the matter is kept (`static/phone.js`).
Its form asks for no name and no telephone number, so that none lies on a phone without signal.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from flask import (
    Blueprint,
    Response,
    flash,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from flask_login import current_user

from gridmgmt import crs
from gridmgmt.calendar import CHINA
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.incidents import intake
from gridmgmt.incidents.handling.intake import Taken, Told, take_in
from gridmgmt.incidents.parties.attachments import Unfit, unfit
from gridmgmt.web import assets, say, telling, visits
from gridmgmt.web.access import allow, public
from gridmgmt.web.areas import territory
from gridmgmt.web.databases import matters, reader
from gridmgmt.web.files import asset
from gridmgmt.web.scope import matter_actor, own_area
from gridmgmt.web.sketch import Sketch, Spot, spot_of, spots_here

pages = Blueprint("phone", __name__, url_prefix="/grid")

TILES = 6
MOST_PHOTOS = 3
# What the browser's position and a point on our own drawing are; nothing else says in what it measures.
SYSTEMS = ("wgs84", "cgcs2000")
REFUSED = {
    "category": "请选是什么事。",
    "crs": "位置没有说明坐标系，请重新定位。",
    "place": "这个位置不在本市的网格里，请重新定位，或选楼栋、整个网格。",
    "dwelling": "这栋楼已经变动，请重新选。",
    "village": "网格刚刚调整过，请刷新页面再报。",
    "occurred_at": "手机的时间不对，或已超过一年。请校准手机时间再报。",
    "matter_number": "文字里像有身份证号或电话号码，请去掉：诉求会转给别的部门，只写事，不写人。",
    "matter_text": "说明请不超过 500 字。",
}
TAKEN = "这一件已经用别的内容报过，请重新填写。"


# --- what a telephone installs


@pages.get("/manifest.webmanifest")
@public
def manifest() -> Response:
    """What a browser needs to put the pages on a home screen; nothing of the city stands in it."""
    icons = (("icon-192.png", "192x192", "any"), ("icon-512.png", "512x512", "any"),
             ("icon-maskable-512.png", "512x512", "maskable"))  # fmt: skip
    shortcuts = (("上报", "phone.report"), ("走访", "visits.new"))
    response = jsonify(
        id="/grid",
        name="网格治理",
        short_name="网格",
        lang="zh-CN",
        dir="ltr",
        start_url=url_for("grid.today"),
        scope="/",
        display="standalone",
        orientation="portrait",
        theme_color="#0b5f63",
        background_color="#f6f8f7",
        icons=[
            {"src": asset(name), "sizes": size, "type": "image/png", "purpose": purpose}
            for name, size, purpose in icons
        ],
        shortcuts=[{"name": name, "url": url_for(endpoint)} for name, endpoint in shortcuts],
    )
    response.mimetype = "application/manifest+json"
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response


@pages.get("/worker.js")
@public
def worker() -> Response:
    """The script that answers for the phone's pages where there is no signal."""
    response = send_from_directory(assets.STATIC, "sw.js", mimetype="text/javascript")
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Service-Worker-Allowed"] = "/"  # the form for visits does not lie below /grid
    return response


@pages.get("/offline")
@allow(Role.GRID_WORKER)
def offline() -> Any:
    """What opens in place of a page that needs a signal: the own grid's outline, and ways to the forms."""
    with reader().connect() as connection:
        here = territory(connection)
    place = here.place(own_area())
    return render_template(
        "grid_offline.html", here=here, place=place, sketch=Sketch.of(place) if place else None
    )


# --- telling of a matter


@pages.url_value_preprocessor
def allow_photos(endpoint: str | None, _: object) -> None:
    # Before the form is read for its token, which is before the view.
    if endpoint in ("phone.tell", "phone.send") and current_user.is_authenticated:
        request.max_content_length = telling.LARGEST_FORM


@pages.get("/report")
@allow(Role.GRID_WORKER)
def report() -> Any:
    return _form(request.args)


def _form(typed: Mapping[str, str], refused: str = "", status: int = 200) -> Response:
    with reader().connect() as connection:
        here = territory(connection)
    place = here.place(own_area())
    spots = spots_here() if place and len(own_area()) == DIGITS["grid"] else []
    sketch = Sketch.of(place) if place else None
    leaves = telling.leaves(own_area())
    page = render_template(
        "grid_report.html",
        here=here,
        place=place,
        sketch=sketch,
        spots=spots,
        dots=[sketch.at((spot.lon, spot.lat)) for spot in spots] if sketch else [],
        chosen=_chosen(typed.get("dwelling", "")),
        shared=visits.shared_start(spot.address for spot in spots),
        tiles=leaves[:TILES],
        others=telling.groups(leaves[TILES:]),
        typed=typed,
        key=typed.get("key") or str(uuid4()),
        refused=refused,
        most_photos=MOST_PHOTOS,
    )
    response = make_response(page, status)
    response.headers["Permissions-Policy"] = say.WITH_POSITION
    return response


def _chosen(dwelling: str) -> Spot | None:
    try:
        return spot_of(dwelling)
    except InputError:
        return None


@pages.post("/report")
@allow(Role.GRID_WORKER)
def tell() -> Any:
    """Keep a matter from the form; what is not allowed brings the form back with everything typed."""
    try:
        taken = _keep()
    except (InputError, ConflictError) as error:
        return _form(telling.kept_typed(request.form), why(error), error.http_status)
    flash(f"已上报，编号 {taken.number}。")
    return redirect(url_for("phone.report"), 303)


@pages.post("/report/send")
@allow(Role.GRID_WORKER)
def send() -> Any:
    """Keep a matter that a phone had waiting, and say so, or why not."""
    try:
        taken = _keep()
    except (InputError, ConflictError) as error:
        return jsonify(why=why(error)), error.http_status
    return jsonify(kept=request.form["key"], number=taken.number)


def why(error: InputError | ConflictError) -> str:
    """Return what a person reads about a matter that was not taken."""
    if isinstance(error, ConflictError):
        return TAKEN
    return REFUSED.get(error.field) or telling.why(error)


def _keep() -> Taken:
    told = _told()
    files = telling.files("photos", photos_only=True)
    if len(files) > MOST_PHOTOS:
        raise unfit(Unfit.MANY)
    who = matter_actor()
    return take_in(matters(), None, who, told, telling.key(), telling.keeping(files, who.username))


def _told() -> Told:
    category = telling.line("category") or telling.line("tile")
    with reader().connect() as connection:
        name = intake.leaf(connection, category)
    building = spot_of(telling.line("dwelling"))
    lon, lat = _point(building)
    return Told(
        category=category,
        # Three taps make a matter: who writes nothing says what the tile says.
        words=telling.words("words") or name,
        channel="grid_round",
        lon=lon,
        lat=lat,
        address=building.address if building else "",
        village=own_area(),  # the grid itself, where nothing nearer is known
        occurred_at=_moment(telling.line("at")),
    )


def _point(building: Spot | None) -> tuple[float | None, float | None]:
    """Return where it is in CGCS2000: the telephone's position or a touched point, else the building."""
    lon, lat = telling.point()
    if lon is None or lat is None:
        return (building.lon, building.lat) if building else (None, None)
    system = telling.line("crs")
    if system not in SYSTEMS:
        raise InputError("crs", system, " | ".join(SYSTEMS))
    east, north = crs.to_cgcs2000([lon], [lat], system)
    return float(east[0]), float(north[0])


def _moment(typed: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(typed) if typed else None
    except ValueError as error:
        raise InputError("occurred_at", typed, "a moment as ISO 8601") from error
    return found.replace(tzinfo=CHINA) if found and found.tzinfo is None else found

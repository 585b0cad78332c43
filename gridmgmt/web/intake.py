"""Taking in a matter, by staff; the codes that residents scan; what is attached, and who it is about.

Asked is what cannot be derived: grid, village, town, office and limits follow from place and category. What
looks like the same matter is shown before anything is saved.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import segno
from flask import (
    Blueprint,
    Response,
    current_app,
    flash,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_login import current_user
from limits import parse
from werkzeug.datastructures import MultiDict

from gridmgmt.calendar import CHINA, china_today
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, GridmgmtError, InputError, NotFoundError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.incidents import duplicates, suggest
from gridmgmt.incidents.actor import on_matters
from gridmgmt.incidents.choices import LEDGERS, category_names, channels
from gridmgmt.incidents.duplicates import Near
from gridmgmt.incidents.flows import stored as flows
from gridmgmt.incidents.handling.intake import DEFAULT_FLOW, Told, take_in
from gridmgmt.incidents.parties import attachments
from gridmgmt.incidents.parties import service as parties
from gridmgmt.incidents.parties.models import PARTY_NAMES, AttachmentKind, PartyPart
from gridmgmt.incidents.parties.told import PartyTold
from gridmgmt.web import say, telling, throttle
from gridmgmt.web.access import allow
from gridmgmt.web.areas import Place, Territory, territory
from gridmgmt.web.databases import matters, reader, ring
from gridmgmt.web.scope import matter_actor, own_area

pages = Blueprint("intake", __name__, url_prefix="/matters")

TAKERS = (Role.GRID_WORKER, Role.TOWN_OFFICER, Role.COMMAND)
SEERS = (*TAKERS, Role.DEPARTMENT)
OFFICES = (Role.TOWN_OFFICER, Role.COMMAND)
# By which way matters mostly come to each desk.
USUAL = {
    Role.GRID_WORKER: "grid_round", Role.TOWN_OFFICER: "centre_register", Role.COMMAND: "12345"
}  # fmt: skip
ROWS = 2
# A suggestion less sure than this says nothing.
FAINTEST = 0.02
REVEALS = parse("30 per hour")
NOT_SHOWN: dict[type[GridmgmtError], str] = {
    NotFoundError: "没有这个人的信息，或者这件事已不在您手里。", InputError: "请先选择查看的用途。",
}  # fmt: skip
TOO_MANY = "一小时内已查看 30 次，请稍后再看。"


@pages.url_value_preprocessor
def allow_files(endpoint: str | None, _: object) -> None:
    # Before the form is read for its token, which is before the view.
    if endpoint in ("intake.take", "intake.attach") and current_user.is_authenticated:
        request.max_content_length = telling.LARGEST_FORM


# --- taking in


@dataclass(frozen=True)
class Look:
    """What follows from what is typed so far: where it is, what it may be, what it may be the same as."""

    grid: Place | None
    village: Place | None
    outside: bool
    suggested: tuple[tuple[str, str, int], ...]
    near: tuple[Near, ...]

    @property
    def seen(self) -> str:
        """The matters shown, as the form sends them back."""
        return ",".join(str(each.id) for each in self.near)


@pages.get("/new")
@allow(*TAKERS)
def new() -> Any:
    return _form(MultiDict())


@pages.post("/near")
@allow(*TAKERS)
def near() -> Any:
    """What follows from the form as it stands, as a fragment."""
    with reader().connect() as connection:
        here = territory(connection)
    return render_template("intake_near.html", here=here, look=_look(here), typed=request.form)


def _look(here: Territory) -> Look:
    try:
        lon, lat = telling.point()
    except InputError:
        lon = lat = None
    category = telling.line("category")
    with reader().connect() as connection:
        grid = say.at(connection, here, lon, lat)
        found: Sequence[Near] = ()
        if category and grid and lon is not None and lat is not None:
            found = duplicates.near(connection, category, lon, lat, china_today())
        suggested = () if category else _suggested(category_names(connection))
    if found:
        with on_matters(matters(), matter_actor()) as connection:
            found = duplicates.numbered(connection, found)
    return Look(grid, _village(here, lon), lon is not None and grid is None, suggested, tuple(found))


def _village(here: Territory, lon: float | None) -> Place | None:
    """Return the village of the form where there is no point: chosen, else the one that the address names."""
    if lon is not None:
        return None
    chosen = here.places["village"].get(telling.line("village"))
    return chosen or telling.village_of(here, telling.line("address"), own_area())


def _suggested(names: dict[str, str]) -> tuple[tuple[str, str, int], ...]:
    """Return code, name and per cent of the likeliest categories of what is written, none without a model."""
    model = suggest.Model.opened(current_app.config["SETTINGS"].home / suggest.FILE)
    if model is None:
        return ()
    found = suggest.suggest(model, telling.words("words"))
    return tuple(
        (code, names[code], round(sure * 100)) for code, sure in found if sure >= FAINTEST and code in names
    )


def _form(typed: MultiDict[str, str], refused: str = "", status: int = 200, ask: Look | None = None) -> Any:
    with reader().connect() as connection:
        here = territory(connection)
        ways, known = channels(connection), flows.active(connection)
    grouped = telling.groups(telling.leaves(own_area()))
    villages: dict[str, list[Place]] = {}
    for each in here.inside("village", own_area()[: DIGITS["village"]]):
        villages.setdefault(here.name(each.code[: DIGITS["town"]]), []).append(each)
    page = render_template(
        "intake.html",
        here=here,
        place=here.place(own_area()),
        groups=grouped,
        tiles=list(grouped)[: telling.TILES],
        villages=villages,
        channels=ways,
        usual=request.args["channel"] if request.args.get("channel") in ways else USUAL[current_user.role],
        ledgers=LEDGERS,
        flows=known,
        usual_flow=DEFAULT_FLOW,
        parts=PARTY_NAMES,
        rows=_party_rows(typed),
        typed=telling.kept_typed(typed),
        key=typed.get("key") or str(uuid4()),
        refused=refused,
        look=ask or (_look(here) if typed else None),
        ask=ask,
        phone=current_user.role is Role.GRID_WORKER,
        bounds=here.bounds(own_area()),
        now=datetime.now(CHINA),
    )
    response = make_response(page, status)
    response.headers["Permissions-Policy"] = say.WITH_POSITION
    return response


def _party_rows(typed: MultiDict[str, str]) -> list[tuple[str, str, str]]:
    columns = [typed.getlist(name) for name in ("part", "party_name", "party_phone")]
    rows = list(zip(*columns, strict=False))
    usual = (PartyPart.COMPLAINANT.value, PartyPart.RESPONDENT.value)
    return rows + [(usual[min(n, 1)], "", "") for n in range(len(rows), ROWS)]


@pages.post("/new")
@allow(*TAKERS)
def take() -> Any:
    """Take in a matter; what is not allowed, or may be told already, brings the form back with all of it."""
    form = request.form
    try:
        with reader().connect() as connection:
            here = territory(connection)
        told = _told(here)
        files = telling.files("files")
        look = _look(here)
        if _unseen(look):
            return _form(form, ask=look)
        actor = matter_actor()
        keep = telling.keeping(files, actor.username)
        taken = take_in(matters(), ring() if told.parties else None, actor, told, telling.key(), keep)
    except (InputError, ConflictError) as error:
        return _form(form, telling.why(error), error.http_status)
    flash(f"这件事已登记过，编号 {taken.number}。" if taken.again else f"已登记，编号 {taken.number}。")
    code = look.grid.code if look.grid else told.village or ""
    if not code.startswith(own_area()):
        flash(f"它在{here.name(code[: DIGITS['town']])}，已转那里办理。")
        return redirect(url_for("intake.new"), 303)
    return redirect(url_for("matters.matter", case_id=taken.case_id), 303)


def _unseen(look: Look) -> bool:
    """Say whether something may be the same matter that the form has not shown yet."""
    shown = set(request.form.get("seen", "").split(","))
    return any(str(each.id) not in shown for each in look.near)


def _told(here: Territory) -> Told:
    lon, lat = telling.point()
    village = _village(here, lon)
    if current_user.role is not Role.COMMAND:
        telling.need_place(lon, village.code if village else None)
    same = request.form.get("duplicate_of", "")
    return Told(
        category=telling.line("category"),
        words=telling.words("words"),
        channel=telling.line("channel"),
        ledger=telling.line("ledger") or None,
        lon=lon,
        lat=lat,
        address=telling.line("address"),
        village=village.code if village else None,
        occurred_at=_moment("occurred_at"),
        flow=telling.line("flow") or DEFAULT_FLOW,
        parties=_parties(),
        duplicate_of=int(same) if same.isascii() and same.isdecimal() and len(same) < 19 else None,
    )


def _parties() -> tuple[PartyTold, ...]:
    told = []
    for part, name, phone in _party_rows(request.form):
        if name.strip() or phone.strip():
            known = PartyPart(part) if part in set(PartyPart) else PartyPart.OTHER
            told.append(PartyTold(known, name, phone))
    return tuple(parties.checked(told))


def _moment(field: str) -> datetime | None:
    """Return the moment of a field in China's time, None when nothing stands there."""
    typed = telling.line(field)
    try:
        found = datetime.fromisoformat(typed) if typed else None
    except ValueError as error:
        raise InputError(field, typed, "a moment") from error
    return found.replace(tzinfo=CHINA) if found and found.tzinfo is None else found


# --- what is attached


@pages.get("/attachments/<int:number>")
@allow(*SEERS)
def attachment(number: int) -> Response:
    """A photo to look at, or a paper to keep, to whoever may see its matter; never a page of ours."""
    with on_matters(matters(), matter_actor()) as connection:
        found = attachments.read(connection, telling.folder(), number)
    response = Response(found.data, mimetype=found.type)
    way = "inline" if found.kind is AttachmentKind.PHOTO else "attachment"
    ending = attachments.ENDINGS[found.type]
    response.headers["Content-Disposition"] = (
        f"{way}; filename=\"file{ending}\"; filename*=UTF-8''{quote(found.name, safe='')}"
    )
    response.set_etag(found.sha256)
    response.headers["Cache-Control"] = "private, no-cache"
    response.vary.add("Cookie")
    return response.make_conditional(request)  # type: ignore[return-value]


@pages.post("/<int:number>/attach")
@allow(*SEERS)
def attach(number: int) -> Any:
    """Attach files to a matter that stands."""
    version = request.form.get("version", type=int)
    try:
        files = telling.files("files")
        attachments.attach(matters(), matter_actor(), number, version, files, telling.folder())
    except InputError as error:
        flash(telling.why(error))
    else:
        flash(f"已附上 {len(files)} 个文件。")
    return redirect(url_for("matters.matter", case_id=number), 303)


# --- who it is about


@pages.post("/<int:number>/parties")
@allow(*SEERS)
def add_party(number: int) -> Any:
    """Add somebody to a matter that stands."""
    version = request.form.get("version", type=int)
    try:
        parties.add_to(matters(), ring(), matter_actor(), number, version, _parties())
    except InputError as error:
        flash(telling.why(error))
    else:
        flash("已添加，姓名和电话加密保存。")
    return redirect(url_for("matters.matter", case_id=number), 303)


@pages.post("/<int:number>/parties/<int:party>/reveal")
@allow(*SEERS)
def reveal(number: int, party: int) -> Any:
    """Who somebody is, as JSON for the page, else as a page of its own; never kept by the browser."""
    value, refused, status = "", "", 200
    if not throttle.limiter.limiter.hit(REVEALS, "party", current_user.who.username):
        refused, status = TOO_MANY, 403
    else:
        try:
            shown = parties.reveal(
                matters(), ring(), matter_actor(), party, request.form.get("purpose", ""), case_id=number
            )
            value = " ".join(filter(None, (shown.name, shown.phone)))
        except tuple(NOT_SHOWN) as why:
            refused, status = NOT_SHOWN[type(why)], why.http_status
    if request.accept_mimetypes.best == "application/json":
        return jsonify(value=value, refused=refused), status
    return render_template("party_reveal.html", value=value, refused=refused, number=number), status


# --- the codes that residents scan


@pages.get("/qr/<code>.svg")
@allow(*OFFICES)
def code(code: str) -> Response:
    """The code of a place of the own area, as a picture."""
    _own_place(code)
    picture = io.BytesIO()
    segno.make(_address(code), error="m", micro=False).save(picture, kind="svg", border=2, scale=4)
    return Response(picture.getvalue(), mimetype="image/svg+xml")


@pages.get("/qr")
@allow(*OFFICES)
def sheet() -> Any:
    """All codes of a village on sheets to print: its own and one a grid."""
    area = request.args.get("area", "")
    with reader().connect() as connection:
        here = territory(connection)
    villages: dict[str, list[Place]] = {}
    for each in here.inside("village", own_area()):
        villages.setdefault(here.name(each.code[: DIGITS["town"]]), []).append(each)
    village = _own_place(area) if area else None
    places = [village, *here.inside("grid", village.code)] if village else []
    return render_template(
        "qr.html",
        here=here,
        villages=villages,
        village=village,
        places=places,
        addresses={each.code: _address(each.code) for each in places},
        site=request.host,
    )


def _own_place(code: str) -> Place:
    with reader().connect() as connection:
        here = territory(connection)
    place = here.place(code)
    if place is None or not code.startswith(own_area()):
        raise NotFoundError(f"no place {code[:20]} here")
    return place


def _address(code: str) -> str:
    return url_for("say.form", area=code, _external=True)

"""What the forms of staff and residents share: reading what was typed, and saying what is wrong with it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import UUID

from flask import current_app, request
from sqlalchemy import Connection

from gridmgmt.calendar import china_today
from gridmgmt.errors import ConflictError, GridmgmtError, InputError, NotFoundError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.incidents import code_lists, intake
from gridmgmt.incidents.parties import attachments
from gridmgmt.incidents.parties.attachments import UNFIT_WORDS, Prepared, Unfit
from gridmgmt.incidents.plain import plain, plain_line
from gridmgmt.web.areas import Place, Territory
from gridmgmt.web.databases import reader
from gridmgmt.web.kept import Kept

# What a form may carry: a photo of 50 MB is refused by its name, not as a broken request.
LARGEST_FORM = 80 << 20
TILES = 6
NUMBER = "里像有身份证号或电话号码，请去掉。姓名和电话请填在单独的栏里，会加密保存。"
REFUSED = {
    "matter_text": "请写清是什么事，不超过 500 字。",
    "matter_number": f"文字{NUMBER}",
    "category": "请选诉求类别，选到小类。",
    "place": "这个位置不在本市的网格里，请重新定位，或选所在的村社区。",
    "nowhere": "请说明在哪里：用手机定位、在地图上点，或选所在的村社区。",
    "village": "请选所在的村社区。",
    "address": "地址请不超过 200 字。",
    "channel": "请选诉求从哪里来。",
    "ledger": "请选归入哪本账。",
    "occurred_at": "发生时间应在最近一年内，不能晚于现在。",
    "flow": "请选办理流程。",
    "parties": "当事人请不超过 10 人。",
    "party_name": "姓名请不超过 40 字，不要带数字。",
    "party_phone": "电话号码不对：手机 11 位，固定电话请带区号，例如 0635-8123456。",
    "consent": "填了姓名或电话，请勾选同意，或者把它们清空。",
    "duplicate_of": "要并入的那一件已经办结，或不在同一个网格，请改为单独登记。",
    "key": "页面已过期，请刷新后重新填写。",
    "satisfaction": "请选一个满意程度。",
    "trap": "请不要填写“主页”一栏，它只用来挡住自动程序。清空后再提交。",
}
TAKEN = "这次填写已经提交过，内容不一样的请重新打开页面再登记。"

_leaves: Kept[list[tuple[str, str, str | None]]] = Kept(64)


def why(error: GridmgmtError) -> str:
    """Return what a person reads about a form that was not taken."""
    if isinstance(error, ConflictError):
        return TAKEN
    if not isinstance(error, InputError):
        return "没有办成，请稍后再试。"
    if error.field == "attachment" and isinstance(error.found, Unfit):
        return UNFIT_WORDS[error.found]
    return REFUSED.get(error.field, "有一项填得不对，请检查后再提交。")


def line(field: str) -> str:
    """Return what was typed into a field of one line, without what is not seen."""
    return plain_line(request.form.get(field, ""))


def words(field: str) -> str:
    """Return what was typed into a field of many lines, without what is not seen."""
    return plain(request.form.get(field, "")).strip()


def point() -> tuple[float | None, float | None]:
    """Return longitude and latitude of the form, or neither; InputError of "place" for what is no number."""
    typed = request.form.get("lon", "").strip(), request.form.get("lat", "").strip()
    if not any(typed):
        return None, None
    try:
        return float(typed[0]), float(typed[1])
    except ValueError as error:
        raise InputError("place", typed, "degrees") from error


def key() -> UUID:
    """Return the form's own key; InputError when it is none."""
    try:
        return UUID(request.form.get("key", ""))
    except ValueError as error:
        raise InputError("key", request.form.get("key"), "a UUID") from error


def files(field: str, *, photos_only: bool = False) -> list[Prepared]:
    """Return the files of a form, ready to be kept; InputError of "attachment" for one that is not taken."""
    sent = [each for each in request.files.getlist(field) if each.filename]
    attachments.check_number(sent)
    return [
        attachments.prepare(
            each.read(attachments.LARGEST_FILE + 1), each.filename or "", photos_only=photos_only
        )
        for each in sent
    ]


def folder() -> Path:
    """Return where attachments are kept."""
    home: Path = current_app.config["SETTINGS"].home
    return home / "attachments"


def keeping(prepared: list[Prepared], who: str) -> Callable[[Connection, int], None]:
    """Return what writes files to the matter that is being taken in, and puts them in place."""
    into = folder()

    def keep(connection: Connection, case_id: int) -> None:
        for each in prepared:
            attachments.add(connection, case_id, each, who)
            attachments.keep(into, each)

    return keep


def leaves(area: str) -> list[tuple[str, str, str | None]]:
    """Return code, name and 大类 of what can be chosen, the town's most frequent first.

    Kept for a day, or until the list of categories changes.
    """
    engine, town = reader(), area[: DIGITS["town"]]
    with engine.connect() as connection:
        state = (china_today(), code_lists.version(connection))
        return _leaves.get((str(engine.url), town), lambda: intake.leaves(connection, town), state)


def groups(found: list[tuple[str, str, str | None]]) -> dict[str, list[tuple[str, str]]]:
    """Return the 小类 of every 大类, the 大类 with the most frequent one first; a 大类 alone is its own.

    >>> groups([("0101", "噪声", "环境"), ("02", "其他", None), ("0102", "异味", "环境")])
    {'环境': [('0101', '噪声'), ('0102', '异味')], '其他': [('02', '其他')]}
    """
    under: dict[str, list[tuple[str, str]]] = {}
    for code, name, above in found:
        under.setdefault(above or name, []).append((code, name))
    return under


def village_of(here: Territory, address: str, area: str) -> Place | None:
    """Return the village that an address names, if it names one alone of the area; its town decides a tie."""
    named = [place for place in here.inside("village", area) if place.name in address]
    longest = max((len(place.name) for place in named), default=0)
    named = [place for place in named if len(place.name) == longest]
    if len(named) > 1:
        named = [place for place in named if here.name(place.code[: DIGITS["town"]]) in address]
    return named[0] if len(named) == 1 else None


def need_place(lon: float | None, village: str | None) -> None:
    """Raise InputError of "nowhere" where neither point nor village is told."""
    if lon is None and not village:
        raise InputError("nowhere", "nothing", "a place, or the village")


def kept_typed(form: Mapping[str, str]) -> dict[str, str]:
    """Return what was typed, for the form that comes back; what is not seen is gone."""
    return {name: plain(value) for name, value in form.items() if name != "csrf_token"}


def no_number(area: str) -> None:
    """Raise NotFoundError unless an area of an address is made of digits."""
    if not (area.isascii() and area.isdigit() and len(area) in DIGITS.values()):
        raise NotFoundError(f"no area {area[:20]}")

"""Acting on a matter: one address an act; who comes second is told what the first did and loses nothing."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import flash, redirect, request, url_for

from gridmgmt.calendar import CHINA
from gridmgmt.errors import ConflictError, InputError
from gridmgmt.incidents.actor import on_matters
from gridmgmt.incidents.handling import hands, page, service
from gridmgmt.incidents.handling.acts import ACT_NAMES, Act
from gridmgmt.incidents.handling.models import VisitKind
from gridmgmt.incidents.handling.options import id_of
from gridmgmt.incidents.handling.visits import VisitTold
from gridmgmt.web.access import allow, safe_target
from gridmgmt.web.databases import matters
from gridmgmt.web.matters.blueprint import SEERS, pages
from gridmgmt.web.matters.page import shown
from gridmgmt.web.scope import matter_actor

# Words under which forms send what the services want; what the service names, and what the page says of it.
REFUSED = {
    "note": "请写明意见。",
    "reason": "请写明原因。",
    "answer": "请写给居民的答复。",
    "matter_text": "内容请写 1 到 500 个字。",
    "matter_number": "这里像有身份证号或电话号码，请去掉：这些会给别的单位看到。",
    "units": "请选承办部门，每个部门只选一次。",
    "due_days": "办理期限应是 1 到 60 个工作日。",
    "days": "延期应是 1 到 30 个工作日。",
    "visit": "请先填回访情况。",
    "satisfaction": "联系上的请选满意度；没有联系上的不选。",
    "held_at": "走访时间应在现在以前、一年以内。",
    "duplicate_of": "没有找到这个编号的在办诉求，或者它已跟着这一件办。",
    "category": "请选一个小类，或者改别的一项。",
    "ledger": "请选一本账。",
    "place": "这个位置不在本辖区的网格里。属别处的，请上报市级再改。",
    "address": "地址里不能有身份证号、电话号码。",
    "to": "这一步现在不能这样走，页面已更新。",
}
STALE = "这件事刚刚有人办过，您的这一步没有做；您填的内容还在，请看过变化后再提交。"
DONE = {
    "visit": "已记下走访。", "unlink": "已取消并案。", "note": "已写批注。", "reopen": "已重新办理。"
}  # fmt: skip
NOT_NOW = "现在的状态不能这样做，页面已更新。"


@pages.post(
    "/<int:case_id>/<any(move,hand,raise,lower,supervise,extend,suspend,resume,link,unlink,correct,note,"
    "visit,reopen):act>"
)
@allow(*SEERS)
def do(case_id: int, act: str) -> Any:
    """Act on a matter as its reader saw it; whoever comes second gets the page back with what was typed."""
    version = request.form.get("version", type=int)
    try:
        ACTS[act](case_id, version)
    except InputError as error:
        return shown(case_id, REFUSED.get(error.field, "填写有误，没有办。"), error.http_status)
    except ConflictError as error:
        return _told(case_id, version, error.http_status)
    flash(_done(case_id, act, version))
    return redirect(safe_target(request.form.get("then")) or url_for("matters.matter", case_id=case_id), 303)


def _done(case_id: int, act: str, version: int | None) -> str:
    """Return what came of an act: a dissatisfied resident reopens a matter, whatever the button said."""
    if act in ("move", "visit") and version is not None:
        with on_matters(matters(), matter_actor()) as connection:
            made = page.since(connection, case_id, version)
        if any(step.act is Act.REOPEN for step in made):
            return "居民不满意，已按流程退回重办。"
    says = request.form.get("says", "").strip()[:30]
    if act == "move" and says:
        return f"已办：{says}。"
    return DONE.get(act) or f"已{ACT_NAMES[Act(act)]}。"


def _told(case_id: int, version: int | None, status: int) -> Any:
    """Return the page with what others did since a version was seen; nothing when it was no race."""
    with on_matters(matters(), matter_actor()) as connection:
        between = page.since(connection, case_id, version) if version is not None else []
    return shown(case_id, STALE if between else NOT_NOW, status, between)


# --- what the forms say


def _words(name: str) -> str:
    return request.form.get(name, "").strip()


def _number(name: str) -> int:
    found = request.form.get(name, type=int)
    if found is None:
        raise InputError(name, _words(name), "a number")
    return found


def _units() -> list[str]:
    return [unit for unit in (each.strip() for each in request.form.getlist("units")) if unit]


def _visit() -> VisitTold:
    reached = _words("reached") != "no"
    scored = request.form.get("satisfaction", type=int)
    kind = _words("kind") or VisitKind.RETURN
    if kind not in {VisitKind.RETURN.value, VisitKind.ON_SITE.value}:
        raise InputError("visit", kind, "return | on_site")
    if kind == VisitKind.RETURN and reached and scored is None:
        raise InputError("satisfaction", "nothing", "1 to 5")
    return VisitTold(
        reached, scored if reached else None, _words("visit_note"), _moment("held_at"), VisitKind(kind),
        _words("place"),
    )  # fmt: skip


def _moment(name: str) -> datetime | None:
    typed = _words(name)
    try:
        return datetime.fromisoformat(typed).replace(tzinfo=CHINA) if typed else None
    except ValueError as error:
        raise InputError(name, typed, "a moment") from error


def _point() -> tuple[float | None, float | None]:
    """Return the corrected place, typed as longitude and latitude with a comma between."""
    typed = _words("point").replace("，", ",")
    if not typed:
        return None, None
    try:
        lon, lat = (float(part) for part in typed.split(","))
    except ValueError as error:
        raise InputError("place", typed, "longitude,latitude") from error
    return lon, lat


# --- the acts

Does = Callable[[int, int | None], object]


def _move(case_id: int, version: int | None) -> None:
    visit = _visit() if "reached" in request.form else None
    service.move(
        matters(), matter_actor(), case_id, version, _words("to"), note=_words("note"), units=_units(),
        answer=_words("answer"), visit=visit,
    )  # fmt: skip


def _hand(case_id: int, version: int | None) -> None:
    due_days = _number("due_days")
    hands.hand(matters(), matter_actor(), case_id, version, _units(), _words("note"), due_days)


def _noted(act: Callable[..., int], field: str = "note") -> Does:
    """Return an act that wants nothing but words."""

    def does(case_id: int, version: int | None) -> None:
        act(matters(), matter_actor(), case_id, version, _words(field))

    return does


def _extend(case_id: int, version: int | None) -> None:
    service.extend(matters(), matter_actor(), case_id, version, _number("days"), _words("reason"))


def _resume(case_id: int, version: int | None) -> None:
    service.resume(matters(), matter_actor(), case_id, version)


def _link(case_id: int, version: int | None) -> None:
    typed = _words("other")
    with on_matters(matters(), matter_actor()) as connection:
        other = id_of(connection, typed)
    if other is None:
        raise InputError("duplicate_of", typed, "the number of an open matter")
    service.link(matters(), matter_actor(), case_id, version, other)


def _unlink(case_id: int, version: int | None) -> None:
    service.link(matters(), matter_actor(), case_id, version, None)


def _correct(case_id: int, version: int | None) -> None:
    lon, lat = _point()
    service.correct(
        matters(), matter_actor(), case_id, version,
        category=_words("category") or None, ledger=_words("ledger") or None, lon=lon, lat=lat,
        address=_words("address") if _words("address") != _words("address_was") else None,
    )  # fmt: skip


def _visited(case_id: int, version: int | None) -> None:
    service.visit(matters(), matter_actor(), case_id, version, _visit())


ACTS: dict[str, Does] = {
    "move": _move,
    "hand": _hand,
    "raise": _noted(service.raise_),
    "lower": _noted(service.lower),
    "supervise": _noted(service.supervise),
    "extend": _extend,
    "suspend": _noted(service.suspend, "reason"),
    "resume": _resume,
    "link": _link,
    "unlink": _unlink,
    "correct": _correct,
    "note": _noted(service.note),
    "visit": _visited,
    "reopen": _noted(service.reopen, "reason"),
}

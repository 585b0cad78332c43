"""A department's ledger (民情台账), and what departments and offices do with its lines."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_login import current_user

from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError
from gridmgmt.incidents.actor import on_matters
from gridmgmt.incidents.handling import hands, ledgers
from gridmgmt.incidents.handling.ledgers import MOST_COUNTED, OVER, TAB_NAMES, TABS
from gridmgmt.incidents.handling.models import HAND_NAMES
from gridmgmt.web.access import allow
from gridmgmt.web.areas import territory
from gridmgmt.web.databases import matters, reader
from gridmgmt.web.matters.acts import NOT_NOW, REFUSED
from gridmgmt.web.matters.lists import where
from gridmgmt.web.matters.page import shown
from gridmgmt.web.scope import matter_actor

pages = Blueprint("units", __name__)

DONE = {
    "accept": "已签收，请在期限内办理并反馈。",
    "refuse": "已退回，交办单位会看到原因。",
    "answer": "已反馈，等待验收。",
    "strike_off": "已验收销账。",
    "return": "已退回部门继续办理。",
    "withdraw": "已收回。",
}


@pages.get("/unit")
@allow(Role.DEPARTMENT)
def ledger() -> Any:
    """The lines of the own department by tab, the one due first on top."""
    tab = request.args.get("tab", "")
    page = max(1, request.args.get("page", 1, int))
    with reader().connect() as connection:
        here = territory(connection)
    with on_matters(matters(), matter_actor()) as connection:
        unit, now = matter_actor().unit, datetime.now(UTC)
        found = ledgers.ledger(connection, unit, tab if tab in TABS else "asked", now, page)
        late = ledgers.late_count(connection, unit, now)
    if not tab and not found.lines and found.counts["doing"]:  # nothing new: go on with what is at hand
        return redirect(url_for("units.ledger", tab="doing"))
    return render_template(
        "unit.html",
        here=here,
        unit=unit,
        found=found,
        late=late,
        tab=tab if tab in TABS else "asked",
        tabs=TAB_NAMES,
        over=OVER,
        most=MOST_COUNTED,
        page=page,
        size=ledgers.PAGE,
        where=where,
        hand_names=HAND_NAMES,
    )


@pages.post(
    "/matters/<int:case_id>/hands/<int:hand_id>/<any(accept,refuse,answer,strike_off,return,withdraw):act>"
)
@allow(Role.DEPARTMENT, Role.TOWN_OFFICER, Role.COMMAND)
def do(case_id: int, hand_id: int, act: str) -> Any:
    """Bring a department's line on; what does not hold gives the matter's page back with what was typed."""
    try:
        ACTS[act](hand_id)
    except InputError as error:
        return shown(case_id, REFUSED.get(error.field, "填写有误，没有办。"), error.http_status)
    except ConflictError as error:
        return shown(case_id, NOT_NOW, error.http_status)
    flash(DONE[act])
    if act == "refuse" or (act == "accept" and "back" in request.form):
        return redirect(url_for("units.ledger"), 303)
    return redirect(url_for("matters.matter", case_id=case_id), 303)


def _with(act: Callable[..., int], field: str = "") -> Callable[[int], int]:
    def does(hand_id: int) -> int:
        words = (request.form.get(field, ""),) if field else ()
        return act(matters(), matter_actor(), hand_id, *words)

    return does


ACTS: dict[str, Callable[[int], int]] = {
    "accept": _with(hands.accept),
    "refuse": _with(hands.refuse, "reason"),
    "answer": _with(hands.answer, "answer"),
    "strike_off": _with(hands.strike_off),
    "return": _with(hands.return_, "reason"),
    "withdraw": _with(hands.withdraw, "reason"),
}


@pages.app_context_processor
def asked_by_templates() -> dict[str, Any]:
    return {"is_department": current_user.is_authenticated and current_user.role is Role.DEPARTMENT}

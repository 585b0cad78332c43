"""Mediations and deliberations: the office's list, and the part of a matter's page with its forms.

What was said and agreed is asked for by POST, with the purpose, and stands in no address.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Response, flash, redirect, render_template, request, url_for

from gridmgmt.calendar import CHINA, china_today
from gridmgmt.errors import ConflictError, InputError, NotAllowedError
from gridmgmt.incidents.actor import on_matters
from gridmgmt.incidents.flows.flow import Who
from gridmgmt.incidents.mediation import deliberations, mediators, panels, service, stored
from gridmgmt.incidents.mediation.deliberations import Count, DeliberationTold
from gridmgmt.incidents.mediation.models import DELIBERATION_NAMES, MEDIATION_NAMES
from gridmgmt.incidents.mediation.sealed import Terms
from gridmgmt.incidents.mediation.service import MediationTold
from gridmgmt.web.access import allow
from gridmgmt.web.areas import territory
from gridmgmt.web.databases import matters, reader, ring
from gridmgmt.web.mediation import blueprint as forms
from gridmgmt.web.mediation.blueprint import CHANGED, EARLY, OFFICES, SEES, moment, pages, version, why
from gridmgmt.web.scope import matter_actor


@pages.get("/mediation")
@allow(*OFFICES)
def listed() -> Any:
    """The mediations of one's own area: those under way, and agreements to ask after."""
    show = request.args.get("show", "open")
    show = show if show in stored.SHOWS else "open"
    level = request.args.get("level", "")
    page = max(1, request.args.get("page", 1, type=int))
    with reader().connect() as connection:
        here = territory(connection)
    with on_matters(matters(), matter_actor()) as connection:
        counts = stored.counts(connection, china_today())
        lines = stored.office(connection, show, china_today(), level, page=page)
    total = lines[0].rows if lines else 0
    return render_template(
        "mediation_list.html",
        here=here, lines=lines, counts=counts, show=show, level=level, shows=stored.SHOWS,
        levels=stored.LEVEL_NAMES, page=page, pages=-(-total // stored.PAGE), total=total,
    )  # fmt: skip


@pages.get("/mediation/of/<int:number>")
@allow(*SEES)
def of(number: int) -> Any:
    """Mediations and deliberations of a matter: a part of its page, or a page of its own."""
    return _of(number)


def _of(number: int, refused: str = "", opened: Any = None, status: int = 200) -> Any:
    """Return the part of a matter's page; what was refused stands in it as it was typed."""
    actor = matter_actor()
    with on_matters(matters(), actor) as connection:
        case = stored.case_head(connection, number)
        lines = stored.of_case(connection, number)
        held = stored.deliberations(connection, number)
        office = actor.acts_as(case.level) is Who.OFFICE
        known = panels.listed(connection) if office else []
        asked = mediators.suggested(connection, case.village, case.category) if office else []
        meant = panels.panel_for(known, case.category_name)
    fragment = bool(request.headers.get("HX-Request"))
    page = render_template(
        "mediation_body.html" if fragment else "mediation_of.html",
        case=case, lines=lines, deliberations=held, office=office, staff=actor.role in OFFICES,
        reads=_reads(case.level), known=known, asked=asked, meant=meant, kinds=MEDIATION_NAMES,
        levels=stored.LEVEL_NAMES, deliberation_kinds=DELIBERATION_NAMES, purposes=service.PURPOSES,
        refused=refused, opened=opened, typed=request.form, most=service.MOST_MEDIATORS,
        moment=f"{datetime.now(CHINA):%Y-%m-%dT%H:%M}",
    )  # fmt: skip
    return page, 200 if fragment else status


def _reads(level: str) -> bool:
    try:
        service.check_reader(matter_actor(), level)
    except NotAllowedError:
        return False
    return True


def _done(case_id: int, words: str) -> Any:
    """Say what was done and show the matter anew: every form on its page has a new version."""
    flash(words)
    if request.headers.get("HX-Request"):
        return Response(status=204, headers={"HX-Refresh": "true"})
    return redirect(url_for("mediation.of", number=case_id), 303)


def _try(case_id: int, act: Callable[[], object], words: str, conflict: str = CHANGED) -> Any:
    try:
        act()
    except (InputError, ConflictError) as error:
        return _of(case_id, why(error, conflict), status=error.http_status)
    return _done(case_id, words)


def _case_of(mediation_id: int) -> int:
    with on_matters(matters(), matter_actor()) as connection:
        return stored.one(connection, mediation_id).case_id


@pages.post("/mediation/of/<int:number>/open")
@allow(*OFFICES)
def begin(number: int) -> Any:
    """Open a mediation."""
    form = request.form

    def act() -> None:
        told = MediationTold(
            form.get("kind", ""),
            forms.numbers("mediator"),
            form.get("panel") or None,
            form.get("level") or None,
        )
        service.open_(matters(), matter_actor(), number, version(), told)

    return _try(number, act, "已启动调解。")


@pages.post("/mediation/<int:mediation>/session")
@allow(*OFFICES)
def sit(mediation: int) -> Any:
    """Keep one sitting with its minutes."""
    form = request.form

    def act() -> None:
        service.sit(
            matters(), ring(), matter_actor(), mediation, version(),
            moment("held_at", form.get("held_at", "")), form.get("place", ""), form.get("minutes", ""),
        )  # fmt: skip

    return _try(_case_of(mediation), act, "已记下，笔录已加密。")


@pages.post("/mediation/<int:mediation>/agree")
@allow(*OFFICES)
def agree(mediation: int) -> Any:
    """End a mediation with an agreement."""
    form = request.form

    def act() -> None:
        terms = Terms(form.get("terms", ""), form.get("performance", ""))
        day = forms.day("follow_up_on", form.get("follow_up_on", ""))
        service.agree(matters(), ring(), matter_actor(), mediation, version(), terms, day)

    return _try(_case_of(mediation), act, "已达成协议，协议已加密；到期会提醒回访。")


@pages.post("/mediation/<int:mediation>/end")
@allow(*OFFICES)
def end(mediation: int) -> Any:
    """End a mediation without an agreement: it failed, or nobody wants it any longer."""
    reason = request.form.get("reason", "")
    failed = request.form.get("how") != "withdrawn"

    def act() -> None:
        ending = service.fail if failed else service.withdraw
        ending(matters(), matter_actor(), mediation, version(), reason)

    return _try(_case_of(mediation), act, "已记下调解未成。" if failed else "已终止调解。")


@pages.post("/mediation/<int:mediation>/follow-up")
@allow(*OFFICES)
def follow_up(mediation: int) -> Any:
    """Write down whether the agreement was kept."""
    kept = request.form.get("kept") == "yes"
    note = request.form.get("note", "")

    def act() -> None:
        service.follow_up(matters(), matter_actor(), mediation, version(), kept=kept, note=note)

    words = "已记下：协议已履行。" if kept else "已记下：协议未履行。可以再次调解，或者重办这件诉求。"
    return _try(_case_of(mediation), act, words)


@pages.post("/mediation/<int:mediation>/read")
@allow(*OFFICES)
def read(mediation: int) -> Any:
    """Minutes and agreement, for a purpose."""
    case_id = _case_of(mediation)
    try:
        opened = service.read(matters(), ring(), matter_actor(), mediation, request.form.get("purpose", ""))
    except InputError as error:
        return _of(case_id, why(error), status=error.http_status)
    return _of(case_id, opened=opened)


@pages.post("/mediation/of/<int:number>/deliberations")
@allow(*OFFICES)
def plan_deliberation(number: int) -> Any:
    """Plan a deliberation."""
    form = request.form

    def act() -> None:
        told = DeliberationTold(
            form.get("kind", ""), form.get("question", ""), form.get("place", ""),
            moment("held_at", form.get("held_at", "")), forms.number(form.get("invited")),
        )  # fmt: skip
        deliberations.plan(matters(), matter_actor(), number, version(), told)

    return _try(number, act, "已安排民议。")


@pages.post("/deliberations/<int:deliberation>/hold")
@allow(*OFFICES)
def hold_deliberation(deliberation: int) -> Any:
    """Write down how a deliberation went."""
    form = request.form
    case_id = _case_of_deliberation(deliberation)
    try:
        count = Count(*(forms.number(form.get(name)) for name in ("present", "for", "against", "abstained")))
        found = deliberations.hold(
            matters(), matter_actor(), deliberation, count, form.get("advice", ""), form.get("minutes", "")
        )
    except (InputError, ConflictError) as error:
        return _of(case_id, why(error, EARLY), status=error.http_status)
    return _done(case_id, "已记下评议结果。" if found.quorate else "到会不足，已记下；这次不形成建议。")


@pages.post("/deliberations/<int:deliberation>/call-off")
@allow(*OFFICES)
def call_off_deliberation(deliberation: int) -> Any:
    """Call a deliberation off."""
    reason = request.form.get("reason", "")
    return _try(
        _case_of_deliberation(deliberation),
        lambda: deliberations.call_off(matters(), matter_actor(), deliberation, reason),
        "已取消。", EARLY,
    )  # fmt: skip


def _case_of_deliberation(deliberation: int) -> int:
    with on_matters(matters(), matter_actor()) as connection:
        return stored.case_of_deliberation(connection, deliberation)

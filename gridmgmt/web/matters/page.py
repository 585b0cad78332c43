"""The page of a matter: from its first word to the return visit, and what can be done now."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from flask import render_template, request, url_for
from flask_login import current_user

from gridmgmt.db.models import Role
from gridmgmt.incidents.actor import on_matters
from gridmgmt.incidents.choices import LEDGERS, SATISFACTION
from gridmgmt.incidents.flows.flow import GUARD_NAMES, Need
from gridmgmt.incidents.handling import page
from gridmgmt.incidents.handling.acts import ACT_NAMES, Act
from gridmgmt.incidents.handling.models import HAND_NAMES, VISIT_NAMES, HandStatus, VisitKind
from gridmgmt.incidents.handling.options import options
from gridmgmt.incidents.handling.page import HandLine, MatterPage, StepLine
from gridmgmt.incidents.handling.rules import Choice
from gridmgmt.incidents.mediation import deliberations
from gridmgmt.incidents.mediation import service as mediation
from gridmgmt.incidents.parties import attachments
from gridmgmt.incidents.parties import service as parties
from gridmgmt.incidents.parties.models import PARTY_NAMES
from gridmgmt.incidents.terms import TIER_NAMES
from gridmgmt.web.access import allow
from gridmgmt.web.areas import territory
from gridmgmt.web.databases import matters, reader
from gridmgmt.web.matters.blueprint import SEERS, pages
from gridmgmt.web.matters.lists import where
from gridmgmt.web.matters.place import drawing
from gridmgmt.web.scope import matter_actor

# Acts that change what a matter is under, apart from the flow; the page shows them behind “其他操作”.
ASIDE = (
    Act.HAND, Act.VISIT, Act.NOTE, Act.RAISE, Act.LOWER, Act.SUPERVISE, Act.EXTEND, Act.SUSPEND, Act.RESUME,
    Act.LINK, Act.CORRECT, Act.REOPEN,
)  # fmt: skip
# What a department, and the office, may do with a line of this state.
UNIT_ACTS = {
    HandStatus.ASKED: ("accept", "refuse"), HandStatus.ACCEPTED: ("answer",), HandStatus.RETURNED: ("answer",)
}  # fmt: skip
OFFICE_ACTS = {
    HandStatus.ASKED: ("withdraw",), HandStatus.ACCEPTED: ("withdraw",), HandStatus.RETURNED: ("withdraw",),
    HandStatus.ANSWERED: ("strike_off", "return", "withdraw"),
}  # fmt: skip


@pages.get("/<int:case_id>")
@allow(*SEERS)
def matter(case_id: int) -> Any:
    return shown(case_id)


@pages.get("/<int:case_id>/preview")
@allow(*SEERS)
def preview(case_id: int) -> Any:
    """The heart of a matter beside the list, with what can be done: an act leads back to the list."""
    return shown(case_id, template="matter_preview.html", then=_list_shown())


def _list_shown() -> str:
    """Return the address of the list that asked, as htmx names it; '' for anything else."""
    asked = urlsplit(request.headers.get("HX-Current-URL", ""))
    lists = {url_for("matters.inbox"), url_for("matters.everything")}
    return f"{asked.path}?{asked.query}" if asked.path in lists else ""


def shown(
    case_id: int,
    refused: str = "",
    status: int = 200,
    between: Sequence[StepLine] = (),
    template: str = "matter.html",
    then: str = "",
) -> Any:
    """Return the page of a matter; `between` is what others did meanwhile, what was typed is kept.

    `then` is where its acts lead afterwards, when not back to the matter.
    """
    actor = matter_actor()
    with reader().connect() as connection:
        here = territory(connection)
    with on_matters(matters(), actor) as connection:
        found = page.matter(connection, actor, case_id, datetime.now(UTC))
        known = options(connection)
        people = parties.listed(connection, case_id)
        files = attachments.listed(connection, case_id)
    moves = [choice for choice in found.choices if choice.act is Act.MOVE]
    rendered = render_template(
        template,
        here=here,
        page=found,
        line=found.line,
        case=found.case,
        where=where(here, found.line.area),
        drawn=drawing(here, found.line.area, found.lon, found.lat),
        options=known,
        usual_unit=known.department(found.line.category),
        way=_way(found),
        moves=moves,
        first=_first(moves),
        keys=_keys(found, moves),
        then=then,
        aside=[choice.act for act in ASIDE for choice in found.choices if choice.act is act],
        hand_acts=lambda hand: _hand_acts(found, hand),
        people=people,
        files=files,
        typed=request.form,
        refused=refused,
        between=between,
        phone=current_user.role is Role.GRID_WORKER,
        act_names=ACT_NAMES,
        told_steps=mediation.STEP_NAMES | deliberations.STEP_NAMES,
        guard_names=GUARD_NAMES,
        hand_names=HAND_NAMES,
        visit_names=VISIT_NAMES,
        visit_kinds=_visit_kinds(found),
        return_only=[VisitKind.RETURN],
        part_names=PARTY_NAMES,
        purposes=parties.PURPOSES,
        ledgers=LEDGERS,
        levels={each.value: name for each, name in TIER_NAMES.items()},
        satisfaction=SATISFACTION,
        now=datetime.now(UTC),
    )
    return rendered, status


def _way(found: MatterPage) -> list[tuple[str, str]]:
    """Return the steps of the flow up to its end, each with `did`, `now` or nothing."""
    if found.flow is None or found.case is None:
        return []
    ends = next(n for n, step in enumerate(found.flow.steps) if step.final)
    passed = {step.to_name for step in found.steps}
    way = list(found.flow.steps[: ends + 1])
    current = found.flow.step(found.case.stage)
    if current not in way:  # a branch of the flow, which stands after its end
        way.insert(max(1, sum(step.name in passed for step in way)), current)
    at = way.index(current)
    return [
        (step.name, "now" if n == at else "did" if n < at and step.name in passed else "")
        for n, step in enumerate(way)
    ]


def _keys(found: MatterPage, moves: Sequence[Choice]) -> dict[str | None, str]:
    """Return the letter that reaches each move: d hands over, c closes, r returns, a goes on."""
    keys: dict[str | None, str] = {}
    if found.flow is None or found.case is None:
        return keys
    now = found.flow.place(found.case.stage)
    for move in moves:
        closes = found.flow.step(str(move.to)).final
        back = found.flow.place(str(move.to)) < now
        letter = "d" if Need.UNITS in move.needs else "c" if closes else "r" if back else "a"
        if letter not in keys.values() and not move.missing:
            keys[move.to] = letter
    return keys


def _first(moves: Sequence[Choice]) -> Choice | None:
    """Return the move of the one primary button: the flow's way on, when nothing is missing."""
    return moves[0] if moves and not moves[0].missing else None


def _visit_kinds(found: MatterPage) -> list[VisitKind]:
    if current_user.role is Role.GRID_WORKER:
        return [VisitKind.ON_SITE]
    return [VisitKind.ON_SITE, VisitKind.RETURN] if found.line.is_open else [VisitKind.RETURN]


def _hand_acts(found: MatterPage, hand: HandLine) -> tuple[str, ...]:
    """Return what the signed-in person may do with a department's line."""
    actor, status = matter_actor(), HandStatus(hand.status)
    if not found.line.is_open:
        return ()
    if actor.unit:
        return UNIT_ACTS.get(status, ()) if hand.unit == actor.unit else ()
    holds = found.case is not None and actor.acts_as(found.case.level) is not None
    offices = current_user.role in (Role.TOWN_OFFICER, Role.COMMAND)
    return OFFICE_ACTS.get(status, ()) if holds and offices else ()

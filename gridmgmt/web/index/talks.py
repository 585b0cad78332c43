"""Talks and listed supervision: the list, one with its evidence and history, and the acts on it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import Connection

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError, NotEnoughDataError, NotFoundError
from gridmgmt.index.actor import on_index
from gridmgmt.index.models import TalkKind
from gridmgmt.index.periods import SPAN_NAMES, Period, Span, of_month, read_month, write_month
from gridmgmt.index.talks import service, stored
from gridmgmt.index.talks.service import Act
from gridmgmt.index.talks.stored import LIFT_NAMES, State
from gridmgmt.web.access import allow
from gridmgmt.web.databases import reader, writer
from gridmgmt.web.index.boards import months_seen
from gridmgmt.web.scope import index_actor, is_centre

pages = Blueprint("index_talks", __name__, url_prefix="/index/talks")

UNITS = (Role.TOWN_OFFICER, Role.DEPARTMENT)
READERS = (*UNITS, Role.COMMAND)
PAGE = 60
# How an act is written in its address.
ACTS = {
    "call": Act.CALLED, "drop": Act.DROPPED, "give-back": Act.RETURNED, "follow-up": Act.FOLLOWED_UP,
    "extend": Act.EXTENDED, "lift": Act.LIFTED,
}  # fmt: skip
STEP_NAMES = {
    Act.PROPOSED: "系统提出", Act.UPDATED: "数据变化，依据已更新", Act.WITHDRAWN: "不再符合条件，自动撤回",
    Act.CALLED: "发出", Act.DROPPED: "不予采用", Act.ANSWERED: "回复", Act.RETURNED: "退回重报",
    Act.FOLLOWED_UP: "跟进", Act.EXTENDED: "延长整改期限", Act.LIFTED: "结束",
}  # fmt: skip
DONE = {
    Act.CALLED: "已发出，对方可以看到并回复。", Act.DROPPED: "已记下，不予采用。", Act.ANSWERED: "已回复。",
    Act.RETURNED: "已退回，等对方重报。", Act.FOLLOWED_UP: "已记下。", Act.EXTENDED: "整改期限已延长。",
}  # fmt: skip
REFUSED = {
    "due_on": "整改期限应从今天起、一年以内；延长时要晚于原来的期限。",
    "matter_number": "这里像有身份证号或电话号码，请去掉：只写事，不写人。",
}
CHANGED = "别人刚刚改过，请看最新状态后再试，您写的还在下面。"


@contextmanager
def seen() -> Iterator[Connection]:
    """Give a transaction that sees the talks of the signed-in person's unit; all for the centre."""
    with on_index(writer(), index_actor()) as connection:
        yield connection


# --- the list


@pages.get("")
@allow(*READERS)
def listed() -> Any:
    """The talks in one state, narrowed by kind, unit and period."""
    return _listed()


def _listed(refused: str = "", status: int = 200) -> Any:
    centre = is_centre()
    shown = [each for each in State if centre or each is not State.TO_DECIDE]
    fits = _chosen()
    with seen() as connection:
        counts = stored.counts(connection, **fits)
        state = _state(shown, counts)
        found = stored.talks(connection, state, **fits)
        periods, units = stored.talked(connection)
        offered = stored.periods(connection) if centre else []
    page = min(max(1, request.args.get("page", 1, int)), max(1, -(-len(found) // PAGE)))
    answer = render_template(
        "index_talks.html",
        centre=centre, states=[(each, stored.STATE_NAMES[each], counts[each]) for each in shown], state=state,
        rows=found[(page - 1) * PAGE : page * PAGE], page=page, pages=-(-len(found) // PAGE), refused=refused,
        kinds=stored.KIND_NAMES, periods=[(_written(each), each.name) for each in periods], units=units,
        offered=_by_span(offered), chosen=_arguments(), typed=request.form,
    )  # fmt: skip
    return answer, status


def _chosen() -> dict[str, Any]:
    """Return what the address narrows the list to; what cannot be read narrows nothing."""
    kind, period = request.args.get("kind", ""), request.args.get("period", "")
    try:
        chosen = read_period(period) if period else None
    except InputError:
        chosen = None
    return {
        "kind": TalkKind(kind) if kind in set(TalkKind) else None,
        "unit": request.args.get("unit", "")[:60] or None,
        "period": chosen,
    }


def _arguments() -> dict[str, str]:
    return {name: request.args.get(name, "")[:60] for name in ("kind", "unit", "period")}


def _state(shown: list[State], counts: Mapping[State, int]) -> State:
    """Return the state asked for, else the first in which there is something."""
    asked = request.args.get("state", "")
    if asked in shown:
        return State(asked)
    return next((each for each in shown if counts[each]), shown[0])


def _by_span(offered: list[Period]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for each in offered:
        found.setdefault(SPAN_NAMES[each.span], []).append((_written(each), each.name))
    return found


def _written(period: Period) -> str:
    return f"{period.span}:{write_month(period.last)}"


def read_period(words: str) -> Period:
    """Return a period written as its span and its last month, such as quarter:2026-09."""
    span, _, month = words.partition(":")
    if span not in set(Span):
        raise InputError("period", words, "a period such as quarter:2026-09")
    last = read_month(month, "period")
    if of_month(last, Span(span)).last != last:
        raise InputError("period", words, "the last month of a period")
    return Period(last, Span(span))


@pages.post("/find")
@allow(Role.COMMAND)
def find() -> Any:
    """Look for those whom the rules propose to talk with after a period."""
    try:
        period = read_period(request.form.get("period", ""))
        found = service.propose(writer(), index_actor(), period)
    except NotEnoughDataError as why:
        return _listed("这一期还有月份没有生成，请先生成各月指数。", why.http_status)
    except InputError as why:
        return _listed("请选一个期间。", why.http_status)
    changed = [
        f"{words} {count} 件"
        for words, count in (("新提出", found.made), ("更新", found.updated), ("撤回", found.withdrawn))
        if count
    ]
    flash(f"{period.name}：{'，'.join(changed) or '没有新的'}。")
    wanted = State.TO_DECIDE if found.made or found.updated else None
    return redirect(url_for("index_talks.listed", state=wanted, period=_written(period)), 303)


# --- one talk


@pages.get("/<int:number>")
@allow(*READERS)
def shown(number: int) -> Any:
    """One talk: what it rests on, what was done, and what this person may do."""
    return _shown(number)


def _shown(number: int, refused: str = "", status: int = 200, act: str = "") -> Any:
    if number > 2**31 - 1:
        raise NotFoundError(f"no talk {number}")
    centre = is_centre()
    with seen() as connection:
        talk = stored.talk(connection, number)
        steps = stored.steps(connection, number)
    with reader().connect() as connection:
        readable = set(months_seen(connection))
    may = {str(each) for each in service.allowed(talk, index_actor())}
    answer = render_template(
        "index_talk.html",
        talk=talk, steps=steps, refused=refused, act=act, typed=request.form, may=may, centre=centre,
        step_names=STEP_NAMES | {Act.LIFTED: LIFT_NAMES[talk.kind]}, lift=LIFT_NAMES[talk.kind],
        moves=service.MOVES, month=write_month(talk.period.last) if talk.period.last in readable else None,
        suggested=china_today() + timedelta(days=talk.evidence.get("days", 30)),
        latest=china_today() + service.LATEST, kinds=stored.KIND_NAMES, evidence=talk.evidence,
        statuses=stored.STATUS_NAMES,
    )  # fmt: skip
    return answer, status


@pages.post('/<int:number>/<any("call", "drop", "give-back", "follow-up", "extend", "lift"):act>')
@allow(Role.COMMAND)
def decide(number: int, act: str) -> Any:
    """Do what the centre does with a talk."""
    return _do(number, ACTS[act])


@pages.post("/<int:number>/answer")
@allow(*UNITS)
def answer(number: int) -> Any:
    """Answer for the own unit."""
    return _do(number, Act.ANSWERED)


def _do(number: int, act: Act) -> Any:
    try:
        _call(number, act)
    except (InputError, ConflictError) as why:
        return _shown(number, _why(why, act), why.http_status, act)
    flash(DONE.get(act) or f"已{_kind_of(number)}。")
    return redirect(url_for("index_talks.shown", number=number), 303)


def _call(number: int, act: Act) -> None:
    form = request.form
    version, words = form.get("version", -1, int), form.get("note", "")
    common = (writer(), index_actor(), number, version)
    if act is Act.CALLED:
        service.call(*common, _day(), words)
    elif act is Act.EXTENDED:
        service.extend(*common, _day(), words)
    else:
        plain = {
            Act.DROPPED: service.drop, Act.ANSWERED: service.answer, Act.RETURNED: service.give_back,
            Act.FOLLOWED_UP: service.follow_up, Act.LIFTED: service.lift,
        }  # fmt: skip
        plain[act](*common, words)


def _kind_of(number: int) -> str:
    with seen() as connection:
        return LIFT_NAMES[stored.talk(connection, number).kind]


def _day() -> date:
    said = request.form.get("due_on", "").strip()
    try:
        return date.fromisoformat(said)
    except ValueError as why:
        raise InputError("due_on", said, "a date") from why


def _why(error: InputError | ConflictError, act: Act) -> str:
    if isinstance(error, ConflictError):
        return CHANGED
    move = service.MOVES[act]
    return REFUSED.get(error.field) or f"请写 {move.fewest} 到 {move.most} 字。"

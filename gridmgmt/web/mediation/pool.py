"""The talent pool: mediators with how many mediations each has under way."""

from collections.abc import Mapping
from typing import Any

from flask import flash, redirect, render_template, request, url_for

from gridmgmt.errors import ConflictError, InputError
from gridmgmt.incidents.actor import on_matters
from gridmgmt.incidents.mediation import mediators, panels
from gridmgmt.incidents.mediation.mediators import MediatorTold
from gridmgmt.web.access import allow
from gridmgmt.web.areas import territory
from gridmgmt.web.databases import matters, reader
from gridmgmt.web.mediation.blueprint import OFFICES, pages, why
from gridmgmt.web.scope import matter_actor, own_area

PEOPLE_A_PAGE = 100


@pages.get("/mediators")
@allow(*OFFICES)
def pool() -> Any:
    """The mediators of one's own area, with how many mediations each has under way."""
    return _pool()


def _pool(refused: str = "", typed: Mapping[str, str] | None = None, status: int = 200) -> Any:
    chosen = {name: request.args.get(name, "") for name in ("q", "panel", "area")}
    page = max(1, request.args.get("page", 1, type=int))
    area = chosen["area"] if chosen["area"].startswith(own_area()) else own_area()
    with reader().connect() as connection:
        here = territory(connection)
    with on_matters(matters(), matter_actor()) as connection:
        lines = mediators.listed(connection, area, chosen["panel"], chosen["q"])
        known = panels.listed(connection)
    first = (page - 1) * PEOPLE_A_PAGE
    answer = render_template(
        "mediators.html",
        here=here, lines=lines[first : first + PEOPLE_A_PAGE], total=len(lines), page=page,
        pages=-(-len(lines) // PEOPLE_A_PAGE), chosen=chosen, known=known, refused=refused, 
        own_area_code=own_area(),
        towns=here.inside("town", own_area()), villages=here.inside("village", own_area()),
        typed=typed or {}, most=mediators.MOST_SPECIALITIES,
    )  # fmt: skip
    return answer, status


def _words(said: str) -> tuple[str, ...]:
    return tuple(each for each in said.replace("，", "、").replace(",", "、").split("、") if each.strip())


@pages.post("/mediators")
@allow(*OFFICES)
def add_mediator() -> Any:
    """Add somebody to the pool."""
    form = request.form
    told = MediatorTold(
        form.get("name", ""), form.get("area", ""), form.get("panel") or None,
        _words(form.get("specialities", "")),
    )  # fmt: skip
    try:
        mediators.add(matters(), matter_actor(), told)
    except (InputError, ConflictError) as error:
        words = why(error, "这个村社区或镇街已经有同名的调解员。")
        return _pool(words, form.to_dict(), error.http_status)
    flash(f"已加入人才库：{told.name.strip()}。")
    return redirect(url_for("mediation.pool"), 303)


@pages.post("/mediators/<int:mediator>")
@allow(*OFFICES)
def change_mediator(mediator: int) -> Any:
    """Change what somebody mediates, or that they mediate no more."""
    form = request.form
    words = _words(form.get("specialities", ""))
    active = form.get("active") != "no"
    try:
        mediators.change(matters(), matter_actor(), mediator, form.get("panel") or None, words, active=active)
    except InputError as error:
        return _pool(why(error), status=error.http_status)
    flash("已保存。" if active else "已停用，不再列入推荐；正在进行的调解不受影响。")
    return redirect(url_for("mediation.pool"), 303)

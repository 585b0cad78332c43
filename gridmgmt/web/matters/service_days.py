"""The Friday legal service day and visits to enterprises, as records."""

from datetime import date
from typing import Any

from flask import flash, redirect, render_template, request, url_for

from gridmgmt.calendar import china_today
from gridmgmt.errors import InputError
from gridmgmt.incidents.actor import on_matters
from gridmgmt.incidents.handling import service_days
from gridmgmt.incidents.handling.models import VISIT_NAMES
from gridmgmt.web.access import allow
from gridmgmt.web.areas import territory
from gridmgmt.web.databases import matters, reader
from gridmgmt.web.matters.blueprint import OFFICES, pages
from gridmgmt.web.scope import matter_actor

REFUSED = {
    "kind": "请选是服务日还是企业走访。",
    "day": "日期应在今天或今天以前，一年以内。",
    "place": "请写地点，不超过 80 字。",
    "heard": "接待件数应是 0 到 500。",
    "matter_text": "记录不超过 500 字。",
    "matter_number": "这里像有身份证号或电话号码，请去掉后再保存。",
}


@pages.get("/visits")
@allow(*OFFICES)
def visits() -> Any:
    return _page()


def _page(refused: str = "", status: int = 200) -> Any:
    with reader().connect() as connection:
        here = territory(connection)
    with on_matters(matters(), matter_actor()) as connection:
        days = service_days.listed(connection, matter_actor())
    return (
        render_template(
            "matters_visits.html",
            here=here,
            days=days,
            kinds={kind: VISIT_NAMES[kind] for kind in service_days.CHANNELS},
            channels=service_days.CHANNELS,
            typed=request.form,
            refused=refused,
            today=china_today(),
        ),
        status,
    )


@pages.post("/visits")
@allow(*OFFICES)
def add_visit() -> Any:
    """Write such a day down; what is not allowed brings the form back with everything typed."""
    form = request.form
    try:
        heard = form.get("heard", type=int)
        if heard is None:
            raise InputError("heard", form.get("heard"), "a number")
        service_days.add(
            matters(), matter_actor(), form.get("kind", ""), _day(), form.get("place", ""), heard,
            form.get("note", ""),
        )  # fmt: skip
    except InputError as error:
        return _page(REFUSED.get(error.field, "没有保存，请检查填写。"), error.http_status)
    flash("已记下。")
    return redirect(url_for("matters.visits"), 303)


def _day() -> date:
    typed = request.form.get("day", "")
    try:
        return date.fromisoformat(typed)
    except ValueError as error:
        raise InputError("day", typed, "a date") from error

"""The seasonal list: the year as lanes, as a wheel or by area, a row an item, and the evidence of each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import Connection

from gridmgmt.db.models import Role
from gridmgmt.errors import NotFoundError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.seasonal import stored as seasonal
from gridmgmt.seasonal.stored import CONFIDENCE, CategoryVerdict, Item, ListRun
from gridmgmt.web import strip, year_list
from gridmgmt.web.access import allow
from gridmgmt.web.areas import Territory, territory
from gridmgmt.web.databases import reader
from gridmgmt.web.evidence import shown_evidence
from gridmgmt.web.ruler import lanes, year_ruler
from gridmgmt.web.scope import listed_areas, own_area, own_staff
from gridmgmt.web.wheel import RINGS, year_wheel

pages = Blueprint("seasonal", __name__, url_prefix="/seasonal")

READERS = (Role.GRID_WORKER, Role.TOWN_OFFICER, Role.COMMAND, Role.PLANNER)
PAGE = 60
LANES = 14
FILTERS = ("town", "area", "category", "confidence", "when", "capacity", "q")
WHEN = {"": "全年", "coming": "还没过的", "month": "一个月内要动手"}
CAPACITY = {"": "全部", "within": "承载内", "beyond": "超出承载"}


@dataclass(frozen=True)
class ChosenList:
    """The list as an address asks for it, within the area of who is signed in.

    Attributes
    ----------
    year, run : of the list; None where no list stands
    items : all that fit the filters in the order of the page, those beyond the capacity included
    chosen : the filters, '' where one is not used
    title : the place whose list it is, such as 城关街道
    """

    year: int | None
    run: ListRun | None
    items: list[Item]
    chosen: dict[str, str]
    title: str


@dataclass(frozen=True)
class _Opened:
    """The chosen list, and what the page needs to show what else could be chosen."""

    chosen: ChosenList
    here: Territory
    years: list[int]
    everything: list[Item]


def chosen_list() -> ChosenList:
    """Return the list that this request's address asks for."""
    with reader().connect() as connection:
        return _opened(connection).chosen


def _opened(connection: Connection) -> _Opened:
    years = seasonal.years(connection)
    year = _year(years)
    here = territory(connection)
    everything = year_list.items(connection, year, listed_areas()) if year else []
    chosen = {name: request.args.get(name, "").strip()[:60] for name in FILTERS}
    chosen["area"] = _area(chosen, here)
    found = _current_first([item for item in everything if _fits(item, chosen, here)])
    place = chosen["area"] or chosen["town"]
    own = place if place.startswith(own_area()) and here.place(place) else own_area()
    title = here.name(own) if own else here.city
    run = _run(connection, year) if year else None
    return _Opened(ChosenList(year, run, found, chosen, title), here, years, everything)


def _run(connection: Connection, year: int) -> ListRun | None:
    try:
        return seasonal.run_of(connection, year)
    except NotFoundError:
        return None


def _area(chosen: dict[str, str], here: Territory) -> str:
    """Return the place that the address narrows the list to; one outside the own area or town is none."""
    area = chosen["area"]
    fits = area.startswith(own_area()) and area.startswith(chosen["town"])
    return area if fits and here.place(area) else ""


@pages.get("")
@allow(*READERS)
def calendar() -> Any:
    view = request.args.get("view", "lanes")
    view = view if view in VIEWS else "lanes"
    with reader().connect() as connection:
        opened = _opened(connection)
        picture = VIEWS[view].read(connection, opened) if opened.chosen.year else {}
    return render_template(
        "seasonal.html",
        view=view,
        views={key: each.name for key, each in VIEWS.items()},
        picture=VIEWS[view].template,
        link=_link,
        query=_query(),
        **_table(opened),
        **_choices(opened),
        **picture,
    )


def _table(opened: _Opened) -> dict[str, Any]:
    found = opened.chosen.items
    page = max(1, request.args.get("page", 1, int))
    within = [item for item in found if not item.cut]
    return {
        "here": opened.here,
        "year": opened.chosen.year,
        "run": opened.chosen.run,
        "title": opened.chosen.title,
        "found": found,
        "within": within,
        "beyond": len(found) - len(within),
        "rows": found[(page - 1) * PAGE : page * PAGE],
        "page": page,
        "pages": -(-len(found) // PAGE),
        "where": lambda item: _where(item, opened.here),
    }


def _choices(opened: _Opened) -> dict[str, Any]:
    chosen = opened.chosen.chosen
    return {
        "years": opened.years,
        "chosen": chosen,
        "towns": _towns(opened.everything, opened.here),
        "categories": sorted({(item.category, item.category_name) for item in opened.everything}),
        "confidences": [words for _, words in CONFIDENCE],
        "when": WHEN,
        "capacities": CAPACITY if any(item.cut for item in opened.everything) else {},
        "narrowed": opened.here.name(chosen["area"]) if chosen["area"] else "",
    }


def _query() -> dict[str, str]:
    """Return what of the address chooses the list: its year and filters, without empty ones."""
    known = {name: request.args[name] for name in ("year", *FILTERS) if request.args.get(name)}
    return {name: value for name, value in known.items() if name != "area" or value.startswith(own_area())}


def _link(**changes: Any) -> str:
    """Return this page's address with changes; what is empty, or what one view alone reads, is left out."""
    view = {"view": request.args["view"]} if request.args.get("view") else {}
    asked = {**_query(), **view, **changes}
    return url_for("seasonal.calendar", **{name: value for name, value in asked.items() if value})


# --- the four pictures above the table


def _lanes(_: Connection, opened: _Opened) -> dict[str, Any]:
    drawn = _drawn(opened)
    shown, left = lanes(drawn, LANES)
    year = opened.chosen.year or 0
    return {"ruler": year_ruler(year, opened.everything), "lanes": shown, "lanes_left": left}


def _wheel(_: Connection, opened: _Opened) -> dict[str, Any]:
    shown, left = lanes(_drawn(opened), RINGS)
    return {"wheel": year_wheel(opened.chosen.year or 0, shown, date.today()), "lanes_left": left}


def _strip(connection: Connection, opened: _Opened) -> dict[str, Any]:
    if opened.chosen.run is None:
        return {"strip": None}
    chosen = opened.chosen.chosen
    asked = strip.Asked(
        place=_place(chosen, opened.here),
        category=chosen["category"],
        grids=request.args.get("rows") == "grid",
        by_code=request.args.get("sort") == "code",
        page=max(1, request.args.get("at", 1, int)),
        own=own_staff(),
    )
    return {
        "strip": strip.read(connection, opened.chosen.run, opened.here, asked, own_area(), date.today()),
        "asked": asked,
        "xun": strip.NAMES,
    }


def _verdicts(connection: Connection, opened: _Opened) -> dict[str, Any]:
    run = opened.chosen.run
    found = seasonal.verdicts(connection, run) if run else []
    groups = [
        (key, title, advice, sorted((v for v in found if v.verdict == key), key=_nearest_season))
        for key, title, advice in NOT_LISTED
    ]
    # How much a whole city told is not for those who see a part of it.
    return {
        "groups": groups,
        "seasonal": sum(v.verdict == "seasonal" for v in found),
        "whole": not own_area(),
    }


def _nearest_season(each: CategoryVerdict) -> tuple[float, str]:
    """Those that came nearest to a season stand first."""
    return 1.0 if each.q_scan is None else each.q_scan, each.category


@dataclass(frozen=True)
class _View:
    name: str
    template: str
    read: Callable[[Connection, _Opened], dict[str, Any]]


VIEWS = {
    "lanes": _View("时间尺", "timeline.html", _lanes),
    "wheel": _View("年轮", "wheel.html", _wheel),
    "strip": _View("网格旬图", "strip.html", _strip),
    "verdicts": _View("没有列入的", "verdicts.html", _verdicts),
}
NOT_LISTED = (
    ("weak", "有起伏，不够突出", "检验看得出起伏，但没有哪一段突出到值得提前走访的程度。"),
    ("no_season", "没有时令规律", "数量够，查过，一年里没有哪一段年年偏多，提前治理没有合适的日子。"),
    ("not_enough", "数量不足，不下结论", "几年加起来也太少，看不出有没有规律；再有几年数据会重新检验。"),
    ("no_matters", "没有诉求", "这几年一件也没有。"),
)


def _drawn(opened: _Opened) -> list[Item]:
    """Return the items that the pictures show: what stands in the list, or else what was cut."""
    found = opened.chosen.items
    return [item for item in found if not item.cut] or found


def _place(chosen: dict[str, str], here: Territory) -> str:
    wanted = chosen["area"] or chosen["town"]
    return wanted if wanted.startswith(own_area()) and here.place(wanted) else own_area()


# --- one item


@pages.get("/items/<int:number>")
@allow(*READERS)
def evidence(number: int) -> Any:
    """The evidence of one item, for the drawer or as a page of its own."""
    with reader().connect() as connection:
        here = territory(connection)
        item = year_list.item(connection, number, listed_areas())
        if item is None:
            raise NotFoundError(f"no list item {number} in the area of {current_user.who.username}")
        shown = shown_evidence(connection, item, here)
    template = "evidence_drawer.html" if request.headers.get("HX-Request") else "evidence.html"
    return render_template(template, item=item, here=here, where=_where(item, here), **shown)


def _current_first(items: list[Item]) -> list[Item]:
    """Return items with those still to prepare first, then in season, then beyond the capacity, then over."""
    today = date.today()
    return sorted(items, key=lambda item: (item.end_on < today, item.cut, item.act_by < today))


def _year(years: list[int]) -> int | None:
    """Return the year asked for, else this year, else the latest there is."""
    asked = request.args.get("year", type=int)
    for wanted in (asked, date.today().year):
        if wanted in years:
            return wanted
    return years[0] if years else None


def _fits(item: Item, chosen: dict[str, str], here: Territory) -> bool:
    today = date.today()
    return (
        item.area.startswith(chosen["area"] or chosen["town"])
        and chosen["category"] in ("", item.category)
        and chosen["confidence"] in ("", item.confidence)
        and (chosen["when"] not in ("coming", "month") or item.end_on >= today)
        and (chosen["when"] != "month" or 0 <= (item.act_by - today).days <= 31)
        and (chosen["capacity"] not in ("within", "beyond") or item.cut == (chosen["capacity"] == "beyond"))
        and (not chosen["q"] or _says(item, chosen["q"], here))
    )


def _says(item: Item, asked: str, here: Territory) -> bool:
    words = (
        f"{item.area_name} {item.category_name} {item.action} {item.department or ''} {_where(item, here)}"
    )
    return all(word in words for word in asked.split())


def _towns(items: list[Item], here: Territory) -> list[tuple[str, str]]:
    codes = {item.area[: DIGITS["town"]] for item in items if len(item.area) >= DIGITS["town"]}
    return sorted((code, here.name(code)) for code in codes)


def _where(item: Item, here: Territory) -> str:
    """Return what the item's area lies in, such as 城关街道 · 东关社区."""
    place = here.place(item.area)
    return place.path if place else ""

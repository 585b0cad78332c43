"""The seasonal list: a ruler of the year, a lane a category, a row an item, and the evidence of each."""

from datetime import date
from typing import Any

from flask import Blueprint, render_template, request
from flask_login import current_user

from gridmgmt.db.models import Role
from gridmgmt.errors import NotFoundError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.seasonal import stored as seasonal
from gridmgmt.seasonal.stored import CONFIDENCE, Item
from gridmgmt.web.access import allow
from gridmgmt.web.areas import Territory, territory
from gridmgmt.web.databases import reader
from gridmgmt.web.ruler import lanes, year_ruler
from gridmgmt.web.scope import listed_areas

pages = Blueprint("seasonal", __name__, url_prefix="/seasonal")

READERS = (Role.GRID_WORKER, Role.TOWN_OFFICER, Role.COMMAND, Role.PLANNER)
PAGE = 60
LANES = 14
FILTERS = ("town", "category", "confidence", "when", "q")
WHEN = {"": "全年", "coming": "还没过的", "month": "一个月内要动手"}


@pages.get("")
@allow(*READERS)
def calendar() -> Any:
    chosen = {name: request.args.get(name, "").strip()[:60] for name in FILTERS}
    with reader().connect() as connection:
        years = seasonal.years(connection)
        year = _year(years)
        everything = seasonal.items(connection, year, listed_areas()) if year else []
        here = territory(connection)
    found = _current_first([item for item in everything if _fits(item, chosen, here)])
    shown, left = lanes(found, LANES)
    page = max(1, request.args.get("page", 1, int))
    return render_template(
        "seasonal.html",
        here=here,
        years=years,
        year=year,
        chosen=chosen,
        found=found,
        rows=found[(page - 1) * PAGE : page * PAGE],
        page=page,
        pages=-(-len(found) // PAGE),
        ruler=year_ruler(year, everything) if year else None,
        lanes=shown,
        lanes_left=left,
        towns=_towns(everything, here),
        categories=sorted({(item.category, item.category_name) for item in everything}),
        confidences=[words for _, words in CONFIDENCE],
        when=WHEN,
        where=lambda item: _where(item, here),
    )


@pages.get("/items/<int:number>")
@allow(*READERS)
def evidence(number: int) -> Any:
    """The evidence of one item, for the drawer or as a page of its own."""
    with reader().connect() as connection:
        here = territory(connection)
        item = _item(seasonal.years(connection), number, connection)
    template = "evidence_drawer.html" if request.headers.get("HX-Request") else "evidence.html"
    most = max([item.expected_high, *(year["inside"] for year in item.years), 1])
    return render_template(template, item=item, here=here, where=_where(item, here), most=most)


def _current_first(items: list[Item]) -> list[Item]:
    """Return items with those still to prepare first, then what is in season, then what is over."""
    today = date.today()
    return sorted(items, key=lambda item: (item.end_on < today, item.act_by < today))


def _item(years: list[int], number: int, connection: Any) -> Item:
    for year in years:
        for item in seasonal.items(connection, year, listed_areas()):
            if item.id == number:
                return item
    raise NotFoundError(f"no list item {number} in the area of {current_user.who.username}")


def _year(years: list[int]) -> int | None:
    """Return the year asked for, else this year, else the latest there is."""
    asked = request.args.get("year", type=int)
    for wanted in (asked, date.today().year):
        if wanted in years:
            return wanted
    return years[0] if years else None


def _fits(item: Item, chosen: dict[str, str], here: Territory) -> bool:
    today = date.today()
    words = (
        f"{item.area_name} {item.category_name} {item.action} {item.department or ''} {_where(item, here)}"
    )
    return (
        item.area.startswith(chosen["town"])
        and chosen["category"] in ("", item.category)
        and chosen["confidence"] in ("", item.confidence)
        and (chosen["when"] not in ("coming", "month") or item.end_on >= today)
        and (chosen["when"] != "month" or 0 <= (item.act_by - today).days <= 31)
        and all(word in words for word in chosen["q"].split())
    )


def _towns(items: list[Item], here: Territory) -> list[tuple[str, str]]:
    codes = {item.area[: DIGITS["town"]] for item in items if len(item.area) >= DIGITS["town"]}
    return sorted((code, here.name(code)) for code in codes)


def _where(item: Item, here: Territory) -> str:
    """Return what the item's area lies in, such as 城关街道 · 东关社区."""
    place = here.place(item.area)
    return place.path if place else ""

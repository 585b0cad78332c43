"""The map with its list beside it: the city's, a town's, and the planner's with counts only."""

from typing import Any

from flask import Blueprint, current_app, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import Connection

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.errors import NotFoundError
from gridmgmt.hotspots import explain, tables
from gridmgmt.hotspots.stored import ALL_NAME
from gridmgmt.seasonal import stored as seasonal
from gridmgmt.seasonal.stored import Item
from gridmgmt.web import leading, maps, ranking, table_book, tile_layers, times, year_list
from gridmgmt.web.access import allow
from gridmgmt.web.areas import LEVELS, Territory, territory
from gridmgmt.web.choice import MEASURES, OF_TODAY, Choice, period_key, period_name, read_choice
from gridmgmt.web.databases import reader
from gridmgmt.web.ranking import Line
from gridmgmt.web.scope import listed_areas, own_area, own_staff
from gridmgmt.web.sending import XLSX, attachment

pages = Blueprint("overview", __name__)

# Where the map's column leads: a tab's key, its name and its template.
TABS = {"hot": ("热点网格", "hot.html"), "seasonal": ("时令清单", "coming.html")}
CITY_TABS = {
    "fields": ("热点领域", "fields.html"),
    "hot": TABS["hot"],
    "peaks": ("频发时间", "peaks.html"),
    "recent": ("近期聚集", "recent.html"),
    "seasonal": TABS["seasonal"],
}
COMING = 30


@pages.get("/command")
@allow(Role.COMMAND, Role.PLANNER)
def command() -> Any:
    return _overview("指挥中心", tuple(LEVELS), CITY_TABS)


@pages.get("/office")
@allow(Role.TOWN_OFFICER)
def office() -> Any:
    return _overview("镇街总览", ("grid", "village"), TABS)


def _overview(title: str, levels: tuple[str, ...], tabs: dict[str, tuple[str, str]]) -> Any:
    tab = request.args.get("tab", "hot")
    tab = tab if tab in tabs else "hot"
    with reader().connect() as connection:
        here = territory(connection)
        choice = read_choice(request.args, connection, levels)
        found = ranking.of_choice(connection, choice, here, own_area())
        column = COLUMNS[tab](connection, choice, found) | {"leading": leading.of(connection, choice, found)}
    shown: dict[str, Any] = dict(choice.arguments())

    def category_url(category: str) -> str:
        view: dict[str, Any] = dict(choice.arguments(category=category))
        return url_for(request.endpoint or "", **view, tab="hot")

    return render_template(
        "overview.html",
        **_common(here, choice, found, levels, tuple(MEASURES)),
        **column,
        title=title,
        tabs={key: name for key, (name, _) in tabs.items()},
        tab=tab,
        tab_page=tabs[tab][1],
        tab_urls={key: url_for(request.endpoint or "", **shown, tab=key) for key in tabs},
        category_url=category_url,
        card_url=url_for("area_card.card", code="CODE", **shown),
        window=_window(),
        opened=_opened(here),
        table_url=_table_url(choice, tab),
    )


def _window() -> str:
    """Return the part of the period that the address asks for, '' for all of it."""
    asked = request.args.get("window", "")
    return asked if times.window(asked) else ""


def _opened(here: Territory) -> str:
    """Return the area whose card the address opens; '' for none, or for one that this person has not."""
    code = request.args.get("area", "")
    return code if code.startswith(own_area()) and here.place(code) else ""


def _table_url(choice: Choice, tab: str) -> str:
    """Return where the tab's list is handed out as a workbook, '' where there is nothing to hand out."""
    if choice.run is None and tab != "seasonal":
        return ""
    asked: dict[str, Any] = dict(choice.arguments())
    if tab == "hot":
        return url_for("map_export.view", form="xlsx", **asked)
    if tab == "seasonal":
        narrowed: dict[str, Any] = {"category": choice.category} if choice.category else {}
        return url_for("download.listed", form="xlsx", **narrowed)
    return url_for("overview.table", name=tab, **asked)


@pages.get("/command/<any(fields, peaks, recent):name>.xlsx")
@allow(Role.COMMAND, Role.PLANNER)
def table(name: str) -> Any:
    """The list beside the map, whole, as a workbook."""
    with reader().connect() as connection:
        here = territory(connection)
        choice = read_choice(request.args, connection)
        if choice.run is None and name != "recent":
            raise NotFoundError(f"nothing has been analysed of level {choice.level}")
        content = table_book.of(connection, name, choice)
    words = (here.city, CITY_TABS[name][0], choice.category_name, choice.period)
    title = "_".join(words).replace("/", "-") + ".xlsx"
    return attachment(content, title, XLSX, f"{name}.xlsx")


def _hot_column(_: Connection, choice: Choice, found: list[Line]) -> dict[str, Any]:
    hot = ranking.hot(found)
    rest = ranking.highest(found, max(0, ranking.SHOWN // 2 - len(hot)))
    most = max((line.rate or 0 for line in (*hot, *rest) if not line.weak), default=0)
    method = explain.method_text(choice.run).zh if choice.run else ""
    return {"hot": hot, "rest": rest, "most": most, "method": method}


def _fields_column(connection: Connection, choice: Choice, _: list[Line]) -> dict[str, Any]:
    rows = tables.ranked_fields(connection, choice.run, choice.category) if choice.run else []
    return {"fields": rows, "most_excess": max((row.result.excess for row in rows), default=0)}


def _peaks_column(connection: Connection, choice: Choice, _: list[Line]) -> dict[str, Any]:
    rows = tables.ranked_peaks(connection, choice.run, choice.category) if choice.run else []
    return {"peaks": rows, "window_name": lambda start, length: explain.peak_window(start, length).zh}


def _recent_column(connection: Connection, choice: Choice, _: list[Line]) -> dict[str, Any]:
    rows = tables.recent_clusters(connection, choice.category)
    return {"clusters": rows, "most_observed": max((row.result.observed for row in rows), default=0)}


def _seasonal_column(connection: Connection, choice: Choice, _: list[Line]) -> dict[str, Any]:
    return {"coming": _coming(connection, choice)}


COLUMNS = {
    "fields": _fields_column,
    "hot": _hot_column,
    "peaks": _peaks_column,
    "recent": _recent_column,
    "seasonal": _seasonal_column,
}


def _coming(connection: Connection, choice: Choice) -> list[Item]:
    """Return what is still to be done: the nearest day to act first, then what is in season now."""
    today = china_today()
    known = seasonal.years(connection)
    years = [year for year in sorted(known) if year >= today.year] or known[:1]
    category = choice.category or None
    found = [item for year in years for item in year_list.items(connection, year, listed_areas(), category)]
    standing = [item for item in found if item.end_on >= today]
    return sorted(standing, key=lambda item: item.act_by < today)[:COMING]


def _common(
    here: Territory, choice: Choice, found: list[Line], levels: tuple[str, ...], measures: tuple[str, ...]
) -> dict[str, Any]:
    values: dict[str, Any] = dict(choice.arguments(measure="rate"))
    return {
        "here": here,
        "area": own_area(),
        "choice": choice,
        "levels": {level: LEVELS[level] for level in levels},
        "measures": {measure: MEASURES[measure] for measure in measures},
        "periods": [(period_key(run), period_name(run)) for run in choice.runs],
        "period_name": period_name(choice.run) if choice.run else "",
        "all_categories": ALL_NAME,
        "total": sum(line.count for line in found),
        "classes": [sum(line.gi_class == step for line in found) for step in (3, 2, 1)],
        "lines": found,
        "limits": ranking.breaks([line.rate or 0 for line in found]),
        "class_of": ranking.class_of,
        "map": city_map(here, measures, choice.measure),
        "areas_url": url_for("data.shared_areas", level=choice.level),
        "values_url": url_for("data.hotspots", **values),
        "today_url": url_for("data.today", **values),
        "times_url": url_for("times.matrix", **values) if choice.run else "",
        "of_today": OF_TODAY,
        "shown": choice.arguments(),
        "tools": _tools(choice),
    }


# What can be done with the view that is shown, and how a button says it.
FILES = {"png": "图片 PNG", "xlsx": "表格 XLSX", "geojson": "地图 GeoJSON"}


def _tools(choice: Choice) -> list[tuple[str, str, bool]]:
    """Return address and words of what leads on from a view, and whether it is a file."""
    shown: dict[str, Any] = dict(choice.arguments())
    tools = []
    if current_user.role in (Role.COMMAND, Role.PLANNER) and len(choice.runs) > 1:
        tools.append((url_for("compare.periods", **shown), "对比", False))
    if current_user.role is Role.COMMAND:
        tools.append((url_for("wall.screen", **shown), "大屏", False))
    if choice.run is None:
        return tools
    return tools + [
        (url_for("map_export.view", form=form, **shown), name, True) for form, name in FILES.items()
    ]


def city_map(here: Territory, measures: tuple[str, ...], shown: str) -> maps.MapParts | None:
    """Return the map of what this person sees, or None where there is no grid."""
    bounds = here.bounds(own_area())
    if bounds is None:
        return None
    urls = {"layers": url_for("data.layers")}
    if not own_staff():  # somebody's own grid has no town lines in it
        urls["towns"] = url_for("data.shared_areas", level="town")
    layers = tile_layers.OFFERED.get(current_user.role, ()) if len(measures) > 1 else ()
    basemap = current_app.config["BASEMAP"]
    return maps.area_map(bounds, measures, shown, tuple(urls.items()), basemap, layers, here.context)

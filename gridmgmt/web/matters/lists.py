"""Lists of matters: the inbox, all of them, what is overdue; the filters stand in the address."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from flask import render_template, request, url_for
from flask_login import current_user

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.grids.codes import DIGITS
from gridmgmt.incidents.actor import on_matters
from gridmgmt.incidents.handling import ledgers, stored
from gridmgmt.incidents.handling.models import HAND_NAMES
from gridmgmt.incidents.handling.options import Options, options
from gridmgmt.incidents.handling.stored import Filter
from gridmgmt.incidents.terms import LEDGER_NAMES, TIER_NAMES
from gridmgmt.incidents.working_days import Light
from gridmgmt.web.access import allow
from gridmgmt.web.areas import Place, Territory, territory
from gridmgmt.web.databases import matters, reader
from gridmgmt.web.matters.blueprint import LISTERS, OFFICES, pages
from gridmgmt.web.scope import matter_actor, own_area

LIGHTS = {"": "全部", "red": "超期", "yellow": "临期", "green": "时限内", "none": "暂停"}
STATES = {
    "supervised": "督办中", "suspended": "已暂停", "reopened": "重办过", "along": "并入别件",
}  # fmt: skip
ALL_STATES = {"closed": "已办结", "open": "办理中", "reopened": "重办过", "history": "历史导入"}
SORTS = {"": "先到期的在前", "new": "新登记的在前", "longest": "停留久的在前"}
LONGEST_SEARCH = 60
# What the address may hold besides the page and the sort.
FIELDS = ("q", "light", "area", "category", "stage", "unit", "channel", "level", "ledger", "state", "month")
# How many months back the list of all can be asked for by month.
MONTHS = 36


@dataclass(frozen=True)
class Chip:
    """A filter in force: what it is in words, and the address of the list without it."""

    words: str
    without: str


@pages.get("")
@allow(*LISTERS)
def inbox() -> Any:
    """The open matters of the own area, the one due first on top; cards on the phone of a grid."""
    chosen = asked()
    with on_matters(matters(), matter_actor()) as connection:
        found = stored.inbox(connection, matter_actor(), chosen, datetime.now(UTC))
        known = options(connection)
    phone = current_user.role is Role.GRID_WORKER
    return _listed("matters_cards.html" if phone else "matters.html", found, known, chosen, STATES)


@pages.get("/all")
@allow(*LISTERS)
def everything() -> Any:
    """All matters of the own area, closed ones and imported history too."""
    chosen = replace(asked(), light="", sort="")
    with on_matters(matters(), matter_actor()) as connection:
        found = stored.all_matters(connection, matter_actor(), chosen, datetime.now(UTC))
        known = options(connection)
    return _listed("matters.html", found, known, chosen, ALL_STATES)


@pages.get("/overdue")
@allow(*OFFICES)
def overdue() -> Any:
    """What is overdue, by who has it: departments, town offices, the centre."""
    with reader().connect() as connection:
        here = territory(connection)
    with on_matters(matters(), matter_actor()) as connection:
        found = ledgers.overdue(connection, matter_actor(), datetime.now(UTC))
    return render_template(
        "matters_overdue.html", here=here, found=found, total=sum(each.count for each in found), where=where
    )


def asked() -> Filter:
    """Return the filter of the address; what is not known there asks for everything."""
    given = {name: request.args.get(name, "").strip()[:LONGEST_SEARCH] for name in FIELDS}
    month = _month(given.pop("month"))
    light = given["light"] if given["light"] in set(Light) else ""
    sort = request.args.get("sort", "")
    page = max(1, request.args.get("page", 1, int))
    return Filter(
        **given | {"light": light}, month=month, start=_day(request.args.get("from", "")),
        end=_day(request.args.get("to", "")), sort=sort if sort in SORTS else "", page=page,
    )  # fmt: skip


def _month(words: str) -> date | None:
    return _day(f"{words}-01") if words else None


def _day(words: str) -> date | None:
    try:
        return date.fromisoformat(words)
    except ValueError:
        return None


def address(chosen: Filter, **changed: Any) -> dict[str, Any]:
    """Return what stands in the address for a filter with some things changed; what is empty is left out."""
    values: dict[str, Any] = {name: getattr(chosen, name) for name in FIELDS} | {"sort": chosen.sort}
    values["month"] = f"{chosen.month:%Y-%m}" if chosen.month else ""
    values |= {"from": chosen.start and chosen.start.isoformat(), "to": chosen.end and chosen.end.isoformat()}
    return {name: value for name, value in (values | changed).items() if value}


def _listed(
    template: str, found: stored.Page, known: Options, chosen: Filter, states: Mapping[str, str]
) -> Any:
    with reader().connect() as connection:
        here = territory(connection)
    endpoint = str(request.endpoint)
    return render_template(
        template,
        here=here,
        found=found,
        chosen=chosen,
        chips=_chips(here, known, chosen, states, endpoint),
        options=known,
        places=[(place.code, place.name) for place in _places(here)],
        units=[(unit, unit) for unit in known.departments],
        lights=LIGHTS,
        states=states,
        sorts=SORTS,
        months=_months() if endpoint == "matters.everything" else [],
        levels={each.value: name for each, name in TIER_NAMES.items()},
        ledgers={each.value: name for each, name in LEDGER_NAMES.items()},
        hand_names=HAND_NAMES,
        to=lambda **changed: url_for(endpoint, **address(chosen, **changed)),
        export=lambda form: url_for("matters.export", form=form, **_exported(chosen, endpoint)),
        where=where,
        most=stored.NEWEST,
    )


def _exported(chosen: Filter, endpoint: str) -> dict[str, Any]:
    return address(chosen) | ({"list": "all"} if endpoint == "matters.everything" else {})


def _chips(
    here: Territory, known: Options, chosen: Filter, states: Mapping[str, str], endpoint: str
) -> list[Chip]:
    """Return the filters in force, but for the light, which has its own row."""
    names = dict(zip(known.categories.codes, known.categories.names, strict=True))
    levels = {each.value: name for each, name in TIER_NAMES.items()}
    kept = {each.value: name for each, name in LEDGER_NAMES.items()}
    words = {
        "q": f"“{chosen.q}”",
        "area": here.name(chosen.area) if chosen.area.startswith(own_area()) else chosen.area,
        "category": names.get(chosen.category, chosen.category),
        "stage": known.stages.get(chosen.stage, chosen.stage),
        "unit": chosen.unit,
        "channel": known.channels.get(chosen.channel, chosen.channel),
        "level": levels.get(chosen.level, chosen.level),
        "ledger": kept.get(chosen.ledger, chosen.ledger),
        "state": states.get(chosen.state, chosen.state),
        "month": f"{chosen.month:%Y年%-m月}" if chosen.month else "",
        "from": f"{chosen.start} 起",
        "to": f"到 {chosen.end}",
    }
    given = address(chosen)
    return [
        Chip(said, url_for(endpoint, **address(chosen, **{name: ""})))
        for name, said in words.items()
        if name in given
    ]


def _places(here: Territory) -> list[Place]:
    """Return what the list can be narrowed to: towns for the centre, villages for a town office."""
    if current_user.role is Role.GRID_WORKER:
        return []
    return here.inside("village" if own_area() else "town", own_area())


def _months() -> list[tuple[str, str]]:
    """Return the latest months as they stand in the address, and in words."""
    today = china_today()
    latest = today.year * 12 + today.month - 1
    months = [divmod(latest - back, 12) for back in range(MONTHS)]
    return [(f"{year}-{month + 1:02d}", f"{year}年{month + 1}月") for year, month in months]


def where(here: Territory, area: str) -> str:
    """Return the place of a code in words, from below the town on for a town office."""
    if not area:
        return "地点待查"
    place = here.place(area) or here.place(area[: DIGITS["village"]])
    if place is None:
        return area
    path = [each for each in (*place.path.split(" · "), place.name) if each]
    shown = path[1:] if own_area() and len(path) > 1 else path
    # A grid that is named after its village says the village itself.
    if len(shown) > 1 and shown[-1].startswith(shown[-2]):
        del shown[-2]
    return " · ".join(shown)

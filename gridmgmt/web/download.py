"""The seasonal list as files, with the filters of its page: what is seen is what is downloaded."""

from datetime import UTC, datetime

from flask import Blueprint, Response, abort
from flask_login import current_user

from gridmgmt.errors import NotFoundError
from gridmgmt.grids import service as grids
from gridmgmt.seasonal import stored as seasonal
from gridmgmt.seasonal.export import Form, Handout, export, file_name
from gridmgmt.web.access import allow
from gridmgmt.web.databases import reader
from gridmgmt.web.scope import own_area
from gridmgmt.web.seasonal import CAPACITY, READERS, WHEN, ChosenList, chosen_list
from gridmgmt.web.sending import attachment

pages = Blueprint("download", __name__, url_prefix="/seasonal")


@pages.get("/list.<form>")
@allow(*READERS)
def listed(form: str) -> Response:
    """The items that the page shows with the same address, as a file."""
    if form not in list(Form):
        abort(404)
    found = chosen_list()
    if found.year is None:
        raise NotFoundError("no list stands for any year")
    handout = _handout(found, found.year)
    return attachment(
        export(Form(form), handout),
        file_name(Form(form), handout),
        Form(form).mime_type,
        f"seasonal-list-{handout.year}.{form}",
    )


def _handout(found: ChosenList, year: int) -> Handout:
    with reader().connect() as connection:
        divisions = grids.division_names(connection)
        verdicts = seasonal.verdicts(connection, found.run) if found.run else []
    return Handout(
        year=year,
        title=found.title,
        area=found.chosen["area"] or found.chosen["town"] or own_area(),
        run=found.run,
        items=found.items,
        verdicts=verdicts,
        divisions=divisions,
        by=current_user.display_name,
        at=datetime.now(UTC),
        chosen=_in_words(found),
    )


def _in_words(found: ChosenList) -> str:
    """Return the filters in force in words; the place narrowed to is the list's title.

    A town elsewhere is named by nothing but the code that was asked for.
    """
    chosen, own = found.chosen, own_area()
    elsewhere = not (chosen["town"].startswith(own) or own.startswith(chosen["town"]))
    categories = {item.category: item.category_name for item in found.items}
    said = (
        ("镇街", chosen["town"] if elsewhere else ""),
        ("类别", categories.get(chosen["category"], chosen["category"])),
        ("把握", chosen["confidence"]),
        ("时间", WHEN.get(chosen["when"], "") if chosen["when"] else ""),
        ("承载", CAPACITY.get(chosen["capacity"], "") if chosen["capacity"] else ""),
        ("搜索", chosen["q"]),
    )
    return "；".join(f"{name}：{words}" for name, words in said if words)

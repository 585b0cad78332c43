"""How much of the city the signed-in person sees: all of it, one town, or one grid.

Codes nest, so an area is everything whose code begins with its own; nothing else has to be looked up, and a
page and its data route cannot disagree.
"""

from flask_login import current_user

from gridmgmt.db.models import Role
from gridmgmt.households.actor import Actor
from gridmgmt.incidents.actor import Actor as MatterActor
from gridmgmt.index.actor import NOWHERE
from gridmgmt.index.actor import Actor as IndexActor

WHOLE_CITY = ""
# Who sees the roster, each of the own area.
STAFF = (Role.GRID_WORKER, Role.TOWN_OFFICER)


def own_area() -> str:
    """Return the code that everything shown to this person must begin with; '' for the whole city."""
    if current_user.role in (Role.COMMAND, Role.PLANNER):
        return WHOLE_CITY
    return current_user.area or NOWHERE


def own_staff() -> bool:
    """Say whether small numbers of households may be shown: to a grid's own staff alone."""
    return bool(current_user.role == Role.GRID_WORKER)


def listed_areas() -> list[str] | None:
    """Return the areas whose list items concern this person; None for all."""
    return None if own_area() == WHOLE_CITY else [own_area()]


def actor() -> Actor:
    """Return the signed-in person as one who acts on the roster, in the own area."""
    return Actor(current_user.who.username, own_area())


def matter_actor() -> MatterActor:
    """Return the signed-in person as one who acts on matters: in the own area, or for the own department."""
    who = current_user.who
    area = WHOLE_CITY if who.role is Role.DEPARTMENT else own_area()
    return MatterActor(who.username, who.role, area, who.unit or "")


def is_centre() -> bool:
    """Say whether the signed-in person is of the command centre, which sees what was not issued yet."""
    return bool(current_user.role is Role.COMMAND)


def index_actor() -> IndexActor:
    """Return the signed-in person as one who acts on the index; one that lacks its unit has nothing."""
    who = current_user.who
    if who.role is Role.DEPARTMENT:
        return IndexActor(who.username, who.role, unit=who.unit or NOWHERE)
    return IndexActor(who.username, who.role, own_area())

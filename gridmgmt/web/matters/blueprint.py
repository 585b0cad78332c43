"""The blueprint of matters, and who may come to them."""

from flask import Blueprint

from gridmgmt.db.models import Role

pages = Blueprint("matters", __name__, url_prefix="/matters")

OFFICES = (Role.TOWN_OFFICER, Role.COMMAND)
LISTERS = (Role.GRID_WORKER, *OFFICES)
SEERS = (*LISTERS, Role.DEPARTMENT)

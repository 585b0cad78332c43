"""The command centre's wall: a dark screen that refreshes itself."""

from flask import Blueprint

pages = Blueprint("wall", __name__, url_prefix="/command/wall")

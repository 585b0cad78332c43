"""Two periods of the same view side by side."""

from flask import Blueprint

pages = Blueprint("compare", __name__, url_prefix="/command/compare")

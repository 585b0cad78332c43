"""The card of one area over the map's column: figures, years, list items, who is responsible."""

from flask import Blueprint

pages = Blueprint("area_card", __name__, url_prefix="/areas")

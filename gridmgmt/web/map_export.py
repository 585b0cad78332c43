"""What a map shows, as a picture, a table and GeoJSON."""

from flask import Blueprint

pages = Blueprint("map_export", __name__, url_prefix="/map")

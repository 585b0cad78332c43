"""Vector tiles of grids, buildings and matters, from PostGIS through one cache for all workers."""

from flask import Blueprint

pages = Blueprint("tiles", __name__, url_prefix="/tiles")

"""Matters by 旬 for the strip under the map, which is also its time slider."""

from flask import Blueprint

pages = Blueprint("times", __name__, url_prefix="/data")

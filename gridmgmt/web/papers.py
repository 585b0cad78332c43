"""Papers of matters and meetings."""

from flask import Blueprint

pages = Blueprint("papers", __name__)

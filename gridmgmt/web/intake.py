"""Taking in a matter, by staff."""

from flask import Blueprint

pages = Blueprint("intake", __name__)

"""The roster's pages: a grid's households by building and floor, one household, search, revealing a field."""

from flask import Blueprint

pages = Blueprint("roster", __name__)

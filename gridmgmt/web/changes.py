"""Requests for changes of the roster, and rows of files that may be somebody known: what the town office decides."""

from flask import Blueprint

pages = Blueprint("changes", __name__)

"""The office's inbox and the page of a matter."""

from flask import Blueprint

pages = Blueprint("matters", __name__)

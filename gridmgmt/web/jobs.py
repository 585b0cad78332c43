"""Long work asked for on a page: an upload, an analysis; how far it is, told as it happens."""

from flask import Blueprint

pages = Blueprint("jobs", __name__, url_prefix="/jobs")

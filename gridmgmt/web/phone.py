"""What makes the grid chief's pages an installed application: manifest, worker, what waits unsent."""

from flask import Blueprint

pages = Blueprint("phone", __name__, url_prefix="/grid")

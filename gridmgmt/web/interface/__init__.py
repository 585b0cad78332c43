"""The interface for programs: OpenAPI 3.1 and Open311 GeoReport v2."""

from flask import Blueprint

pages = Blueprint("interface", __name__)

"""How the system is, in words with what to do."""

from flask import Blueprint

pages = Blueprint("health", __name__, url_prefix="/admin/health")

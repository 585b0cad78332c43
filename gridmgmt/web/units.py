"""A department's ledger (民情台账)."""

from flask import Blueprint

pages = Blueprint("units", __name__)

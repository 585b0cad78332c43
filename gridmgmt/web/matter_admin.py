"""Flows and working days, for the administrator."""

from flask import Blueprint

pages = Blueprint("matter_admin", __name__)

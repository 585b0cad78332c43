"""Visits at the door, kept on a phone without signal, and the survey."""

from flask import Blueprint

pages = Blueprint("visits", __name__)

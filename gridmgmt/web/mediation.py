"""Mediation, deliberation and meetings."""

from flask import Blueprint

pages = Blueprint("mediation", __name__)

"""Figures of the handling of matters."""

from flask import Blueprint

pages = Blueprint("figures", __name__)

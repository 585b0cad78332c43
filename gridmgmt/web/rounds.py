"""Rounds of visits to households that need one (微服务)."""

from flask import Blueprint

pages = Blueprint("rounds", __name__)

"""Keys and webhooks of the interface, for the administrator."""

from flask import Blueprint

pages = Blueprint("keys", __name__)

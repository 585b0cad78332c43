"""The interface in Chinese or English."""

from flask import Blueprint

pages = Blueprint("language", __name__)

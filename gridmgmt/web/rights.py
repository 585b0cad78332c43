"""What a resident may ask for: a copy, restriction, erasure, who looked; and files of the roster."""

from flask import Blueprint

pages = Blueprint("rights", __name__)

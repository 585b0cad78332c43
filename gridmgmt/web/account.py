"""The own account: password, second factor, where one is signed in."""

from flask import Blueprint

pages = Blueprint("account", __name__, url_prefix="/account")

"""What residents see without signing in: the form, and the page that follows a matter."""

from flask import Blueprint

pages = Blueprint("say", __name__)

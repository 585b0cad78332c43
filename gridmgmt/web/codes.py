"""The administrator's code lists: categories, departments, channels."""

from flask import Blueprint

pages = Blueprint("codes", __name__, url_prefix="/admin/codes")

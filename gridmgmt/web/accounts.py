"""The administrator's accounts: who may sign in, as what, and which sign-ins stand."""

from flask import Blueprint

pages = Blueprint("accounts", __name__, url_prefix="/admin/accounts")

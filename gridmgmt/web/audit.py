"""The auditor's pages: who saw and changed what, and whether the log is whole."""

from flask import Blueprint

pages = Blueprint("audit", __name__)

"""Signing in through the city's identity provider (OpenID Connect)."""

from flask import Blueprint

pages = Blueprint("oidc", __name__, url_prefix="/oidc")

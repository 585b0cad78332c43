"""What every answer carries: a content policy with a nonce, cache rules, and compression."""

import gzip
import hashlib
import secrets

from flask import Flask, Request, Response, abort, g, request
from flask.sessions import SecureCookieSessionInterface

from gridmgmt.config import Settings
from gridmgmt.web.basemap import basemap_origin

COMPRESSIBLE = {
    "text/html", "text/css", "text/javascript", "application/json", "application/geo+json", "image/svg+xml",
}  # fmt: skip
SMALLEST_COMPRESSED = 1024

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def nonce() -> str:
    """Return this answer's nonce: scripts and style blocks without it do not run."""
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    return str(g.nonce)


def policy(nonce_value: str, tile_origin: str | None) -> str:
    """Return the content security policy; only a configured basemap adds a stranger, for pictures alone."""
    pictures = " ".join(filter(None, ("'self'", "data:", tile_origin)))
    rules = {
        "default-src": "'none'",
        "script-src": f"'nonce-{nonce_value}'",
        "style-src": f"'self' 'nonce-{nonce_value}'",
        "img-src": pictures,
        "font-src": "'self'",
        "connect-src": "'self'",
        "worker-src": "'self'",
        "manifest-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def host_only(name: str) -> str:
    """Return the name of a cookie that no other host and no plain http can plant, over https alone."""
    return f"__Host-{name}" if request.is_secure else name


class Sessions(SecureCookieSessionInterface):
    """Over https the cookie is `Secure` and its name binds it to this host, path and scheme (`host_only`); an
    intranet without certificates still works. What is in it is signed with SHA-256.
    """

    digest_method = staticmethod(hashlib.sha256)

    def get_cookie_name(self, app: Flask) -> str:
        return host_only(super().get_cookie_name(app))

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


def _compressed(asked: Request, response: Response) -> Response:
    if (
        response.status_code != 200
        or "gzip" not in asked.accept_encodings
        or "Content-Encoding" in response.headers
        or response.mimetype not in COMPRESSIBLE
    ):
        return response
    response.direct_passthrough = False
    body = response.get_data()
    if len(body) >= SMALLEST_COMPRESSED:
        response.set_data(gzip.compress(body, 5, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
        tag, weak = response.get_etag()
        if tag and not weak:  # other bytes than those the strong tag named
            response.set_etag(tag, weak=True)
    response.vary.add("Accept-Encoding")
    return response


def install(app: Flask, settings: Settings) -> None:
    """Hang the headers on every answer of an application."""
    tile_origin = basemap_origin(settings.basemap)
    app.session_interface = Sessions()
    app.context_processor(lambda: {"nonce": nonce()})

    @app.before_request
    def refuse_nul() -> None:
        if "\0" in request.path:  # no name of ours holds one, and the database takes none
            abort(404)

    @app.after_request
    def finish(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["Content-Security-Policy"] = policy(nonce(), tile_origin)
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        return _compressed(request, response)

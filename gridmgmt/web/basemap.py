"""The basemap under our own layers: none, or one tile server named by the settings."""

from urllib.parse import urlsplit

from gridmgmt.errors import InputError


def basemap_origin(pattern: str | None) -> str | None:
    """Return the origin that pictures may come from, or None for no basemap or one on this server.

    Raises InputError for a pattern that is no tile address.

    >>> basemap_origin("https://tiles.example/{z}/{x}/{y}.png")
    'https://tiles.example'
    """
    if pattern is None:
        return None
    parts = urlsplit(pattern)
    filled = all(f"{{{letter}}}" in pattern for letter in "zxy")
    if not filled or parts.scheme not in ("", "http", "https") or any(c in pattern for c in " ;,'\""):
        raise InputError("GRIDMGMT_BASEMAP", pattern, "a tile address with {z}, {x} and {y}")
    if not parts.netloc:
        return None
    # A policy knows a wildcard only as a whole first label.
    host = ".".join("*" if "{s}" in label else label for label in parts.netloc.split("."))
    return f"{parts.scheme or 'https'}://{host}"

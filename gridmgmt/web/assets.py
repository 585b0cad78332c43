"""Every file a browser loads stands here, on this server.

`MANIFEST` says for each address that folium or branca writes into a page which local file takes its place,
or that nothing does. An address it does not know raises, so that no page can begin to call a stranger.

`python -m gridmgmt.web.assets [NODE_MODULES]` copies the listed files out of what `npm ci` installed.
"""

import base64
import hashlib
import shutil
import sys
from functools import cache
from pathlib import Path

from gridmgmt.config import PACKAGE
from gridmgmt.errors import SetupError

STATIC = PACKAGE / "web" / "static"
VENDOR = STATIC / "vendor"

# Local name -> where npm puts it.
FILES = {
    "leaflet.js": "leaflet/dist/leaflet.js",
    "leaflet.css": "leaflet/dist/leaflet.css",
    "images/layers.png": "leaflet/dist/images/layers.png",
    "images/layers-2x.png": "leaflet/dist/images/layers-2x.png",
    "images/marker-icon.png": "leaflet/dist/images/marker-icon.png",
    "images/marker-icon-2x.png": "leaflet/dist/images/marker-icon-2x.png",
    "images/marker-shadow.png": "leaflet/dist/images/marker-shadow.png",
    "leaflet-geoman.js": "@geoman-io/leaflet-geoman-free/dist/leaflet-geoman.min.js",
    "leaflet-geoman.css": "@geoman-io/leaflet-geoman-free/dist/leaflet-geoman.css",
    "htmx.js": "htmx.org/dist/htmx.min.js",
    "protomaps-leaflet.js": "protomaps-leaflet/dist/protomaps-leaflet.js",
}

# What folium 0.20 emits -> our file, or None: dropped on purpose. jQuery serves folium's popups and
# `keep_in_front`, Bootstrap and the icon fonts its markers; our maps use none of these.
_FOLIUM = "https://cdn.jsdelivr.net/gh/python-visualization/folium/folium/templates"
MANIFEST: dict[str, str | None] = {
    "https://cdn.jsdelivr.net/npm/leaflet@1.9.3/dist/leaflet.js": "vendor/leaflet.js",
    "https://cdn.jsdelivr.net/npm/leaflet@1.9.3/dist/leaflet.css": "vendor/leaflet.css",
    "https://code.jquery.com/jquery-3.7.1.min.js": None,
    "https://cdn.jsdelivr.net/npm/bootstrap@5.2.2/dist/js/bootstrap.bundle.min.js": None,
    "https://cdnjs.cloudflare.com/ajax/libs/Leaflet.awesome-markers/2.0.2/leaflet.awesome-markers.js": None,
    "https://cdn.jsdelivr.net/npm/bootstrap@5.2.2/dist/css/bootstrap.min.css": None,
    "https://netdna.bootstrapcdn.com/bootstrap/3.0.0/css/bootstrap-glyphicons.css": None,
    "https://cdn.jsdelivr.net/npm/@fortawesome/fontawesome-free@6.2.0/css/all.min.css": None,
    "https://cdnjs.cloudflare.com/ajax/libs/Leaflet.awesome-markers/2.0.2/leaflet.awesome-markers.css": None,
    f"{_FOLIUM}/leaflet.awesome.rotate.min.css": None,
}


def local(address: str) -> str | None:
    """Return the static file that stands in for an address, or None where nothing is needed.

    Raises SetupError for an address the manifest does not know.
    """
    if address not in MANIFEST:
        raise SetupError(f"a map asks for {address}, which gridmgmt/web/assets.py does not list")
    return MANIFEST[address]


@cache
def fingerprint(name: str) -> str:
    """Return a short hash of a static file; in its address, it lets browsers keep the file for good."""
    path = STATIC / name
    if not path.is_file():
        raise SetupError(
            f"the browser file {name} is missing; fetch it with: "
            "npm ci --ignore-scripts && python -m gridmgmt.web.assets"
        )
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@cache
def integrity(name: str) -> str:
    """Return the hash by which a browser refuses a script or style that is not the file we hold."""
    fingerprint(name)  # says what to do when the file is missing
    digest = hashlib.sha384((STATIC / name).read_bytes()).digest()
    return f"sha384-{base64.b64encode(digest).decode()}"


def copy(node_modules: Path, target: Path = VENDOR) -> list[Path]:
    """Copy the listed files out of `node_modules`; SetupError names the first one that is missing."""
    copied = []
    for name, source in FILES.items():
        if not (node_modules / source).is_file():
            raise SetupError(f"{node_modules / source} is missing; run: npm ci --ignore-scripts")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        copied.append(Path(shutil.copyfile(node_modules / source, target / name)))
    return copied


if __name__ == "__main__":
    try:
        files = copy(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE.parent / "node_modules")
    except SetupError as missing:
        sys.exit(f"gridmgmt: {missing}")
    print(f"{len(files)} browser files in {VENDOR}")

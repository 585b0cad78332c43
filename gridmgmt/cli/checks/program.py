"""The program: its libraries and browser files are those that were tested."""

import base64
import hashlib
import os
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gridmgmt.cli.checks.finding import Finding, good
from gridmgmt.config import PACKAGE
from gridmgmt.health import State
from gridmgmt.web.assets import FILES, VENDOR


def libraries() -> Iterator[Finding]:
    """Find libraries that are not the locked ones, or, without a lock beside the program, too old."""
    lock = next((path for path in _locks() if path.is_file()), None)
    wanted = locked(lock.read_text()) if lock else [Requirement(each) for each in _required()]
    wrong = [f"{each.name} {found}, not {each.specifier}" for each in wanted if (found := _unlike(each))]
    if wrong:
        yield Finding(
            "libraries", State.BAD, "; ".join(wrong[:5]) + (f"; {len(wrong) - 5} more" if wrong[5:] else ""),
            "this version was tested with the locked ones",
            "./dev run gridmgmt doctor, or install the bundle anew",
        )  # fmt: skip
    else:
        yield good("libraries", f"{len(wanted)} libraries as {lock.name if lock else 'the program wants'}")


def locked(lock: str) -> list[Requirement]:
    """Return what a lock pins for this machine.

    >>> [str(each) for each in locked("numpy==2.4.0 --hash=sha256:00\\nx==1 ; python_version < '3'")]
    ['numpy==2.4.0']
    """
    lines = (line.split(" --hash")[0].rstrip(" \\") for line in lock.splitlines() if line[:1].isalpha())
    pinned = (Requirement(line) for line in lines)
    return [each for each in pinned if each.marker is None or each.marker.evaluate()]


def _locks() -> tuple[Path, ...]:
    release = Path(os.path.realpath(PACKAGE)).parents[4] if len(PACKAGE.parents) > 4 else PACKAGE
    return PACKAGE.parent / "requirements.lock", release / "requirements.txt"


def _required() -> list[str]:
    return [each for each in metadata.requires("gridmgmt") or () if "extra ==" not in each]


def _unlike(wanted: Requirement) -> str:
    """Return which version there is when it is not the wanted one, "" when it is."""
    try:
        found = metadata.version(canonicalize_name(wanted.name))
    except metadata.PackageNotFoundError:
        return "is missing"
    return "" if wanted.specifier.contains(found, prereleases=True) else found


def assets() -> Iterator[Finding]:
    """Find browser files that are missing or are not those that were installed."""

    missing = [name for name in FILES if not (VENDOR / name).is_file()]
    changed = []
    for file in metadata.files("gridmgmt") or ():  # an installed wheel knows the hash of every file
        path = Path(str(file.locate()))
        if file.hash and path.is_relative_to(VENDOR) and path.is_file():
            digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
            if file.hash.value != _base64(digest):
                changed.append(path.name)
    if missing or changed:
        says = ", ".join(
            [*(f"{each} is missing" for each in missing), *(f"{each} was changed" for each in changed)]
        )
        yield Finding(
            "assets", State.BAD, f"browser files: {says}", "maps do not open, or run what nobody checked",
            "npm ci --ignore-scripts && python -m gridmgmt.web.assets, or install the bundle anew",
        )  # fmt: skip
    else:
        yield good("assets", f"{len(FILES)} browser files")


def _base64(digest: bytes) -> str:

    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

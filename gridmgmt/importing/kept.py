"""Files that people send, kept in a folder by what they hold: the same bytes are one file."""

import os
import secrets
from pathlib import Path

from gridmgmt.errors import NotFoundError


def path_of(folder: Path, sha256: str, ending: str) -> Path:
    """Return where a file stands in its folder; `ending` begins with a dot."""
    return folder / sha256[:2] / f"{sha256}{ending}"


def keep(folder: Path, sha256: str, ending: str, data: bytes) -> None:
    """Put a file in place, whole or not at all, readable by the program's account alone."""
    path = path_of(folder, sha256, ending)
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_suffix(f".{secrets.token_hex(4)}.partial")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read(folder: Path, sha256: str, ending: str) -> bytes:
    """Return the bytes of a kept file; NotFoundError when it is gone."""
    path = path_of(folder, sha256, ending)
    if not path.is_file():
        raise NotFoundError(f"the file {sha256[:12]}{ending} is gone")
    return path.read_bytes()

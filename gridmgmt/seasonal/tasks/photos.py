"""Photos of tasks: what a phone sends becomes a plain picture, named by what it holds.

A photo tells where and with which phone it was taken. Only its pixels are kept: they are copied to a new
picture, at most 1600 px on a side, which is written as JPEG with nothing beside them.
"""

import hashlib
import io
import os
import secrets
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from gridmgmt.errors import InputError, NotFoundError

LARGEST_FILE = 8 << 20
# A phone's 48 megapixels, and no picture that unpacks to gigabytes.
MOST_PIXELS = 50_000_000
LONGEST_SIDE = 1600
FORMATS = ("JPEG", "PNG", "WEBP")
QUALITY = 82
ALLOWED = "a JPEG, PNG or WebP picture up to 8 MB and 50 megapixels"


@dataclass(frozen=True)
class Photo:
    """A picture ready to be kept: its JPEG bytes and their sha256."""

    sha256: str
    data: bytes


def prepare(data: bytes) -> Photo:
    """Return a picture without anything but its pixels, upright; nothing is written.

    Raises InputError when it is too large, of another kind, or damaged.
    """
    if len(data) > LARGEST_FILE:
        raise InputError("photo", f"{len(data) / (1 << 20):.1f} MB", ALLOWED)
    try:
        clean = _pixels(data)
    except InputError:
        raise
    except Exception as why:  # a damaged file makes the decoders raise whatever they happen to meet
        raise InputError("photo", type(why).__name__, ALLOWED) from why
    stream = io.BytesIO()
    clean.save(stream, "JPEG", quality=QUALITY, optimize=True)
    return Photo(hashlib.sha256(stream.getvalue()).hexdigest(), stream.getvalue())


def _pixels(data: bytes) -> Image.Image:
    """Return a new picture that shows what `data` shows, shrunk to fit and turned upright."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the count of pixels is checked here, and more strictly
        opened = Image.open(io.BytesIO(data), formats=FORMATS)
    if opened.width * opened.height > MOST_PIXELS:
        raise InputError("photo", f"{opened.width} x {opened.height} pixels", ALLOWED)
    opened.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))  # a JPEG is decoded at a fraction of its size
    picture = ImageOps.exif_transpose(opened).convert("RGBA")
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    clean = Image.new("RGB", picture.size, "white")
    clean.paste(picture, mask=picture.getchannel("A"))
    return clean


def path_of(folder: Path, sha256: str) -> Path:
    """Return where a picture stands in the folder of photos."""
    return folder / sha256[:2] / f"{sha256}.jpg"


def keep(folder: Path, photo: Photo) -> None:
    """Put a picture in place, whole or not at all, readable by the program's account alone."""
    path = path_of(folder, photo.sha256)
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_suffix(f".{secrets.token_hex(4)}.partial")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(photo.data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read(folder: Path, sha256: str) -> bytes:
    """Return the bytes of a kept picture; NotFoundError when its file is gone."""
    path = path_of(folder, sha256)
    if not path.is_file():
        raise NotFoundError("the file of this photo is gone")
    return path.read_bytes()

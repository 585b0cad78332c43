"""Photos: what a phone sends becomes a plain picture, named by what it holds.

A photo tells where and with which phone it was taken. Only its pixels are kept: they are copied to a new
picture, at most 1600 px on a side, which is written as JPEG with nothing beside them.
"""

import hashlib
import io
import warnings
from dataclasses import dataclass

from PIL import Image, ImageOps

from gridmgmt.errors import InputError

LARGEST_FILE = 8 << 20
# A phone's 48 megapixels, and no picture that unpacks to gigabytes.
MOST_PIXELS = 50_000_000
LONGEST_SIDE = 1600
FORMATS = ("JPEG", "PNG", "WEBP")
QUALITY = 82
ENDING = ".jpg"


@dataclass(frozen=True)
class Photo:
    """A picture ready to be kept: its JPEG bytes and their sha256."""

    sha256: str
    data: bytes


def prepare(data: bytes, largest: int = LARGEST_FILE) -> Photo:
    """Return a picture without anything but its pixels, upright; nothing is written.

    Raises InputError when it is larger than `largest` bytes, of another kind, or damaged.
    """
    allowed = f"a JPEG, PNG or WebP picture up to {largest >> 20} MB and 50 megapixels"
    if len(data) > largest:
        raise InputError("photo", f"{len(data) / (1 << 20):.1f} MB", allowed)
    try:
        clean = _pixels(data, allowed)
    except InputError:
        raise
    except Exception as why:  # a damaged file makes the decoders raise whatever they happen to meet
        raise InputError("photo", type(why).__name__, allowed) from why
    stream = io.BytesIO()
    clean.save(stream, "JPEG", quality=QUALITY, optimize=True)
    return Photo(hashlib.sha256(stream.getvalue()).hexdigest(), stream.getvalue())


def _pixels(data: bytes, allowed: str) -> Image.Image:
    """Return a new picture that shows what `data` shows, shrunk to fit and turned upright."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the count of pixels is checked here, and more strictly
        opened = Image.open(io.BytesIO(data), formats=FORMATS)
    if opened.width * opened.height > MOST_PIXELS:
        raise InputError("photo", f"{opened.width} x {opened.height} pixels", allowed)
    opened.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))  # a JPEG is decoded at a fraction of its size
    picture = ImageOps.exif_transpose(opened).convert("RGBA")
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    clean = Image.new("RGB", picture.size, "white")
    clean.paste(picture, mask=picture.getchannel("A"))
    return clean

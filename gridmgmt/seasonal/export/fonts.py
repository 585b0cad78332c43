"""A font of the machine that has Chinese characters; without one a picture would be full of boxes."""

import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from PIL import ImageFont

# The first that is found is taken; files that hold several faces give the simplified Chinese one.
NAMES = (
    "NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "NotoSansSC-Regular.otf",
    "NotoSansSC-Regular.ttf",
    "SourceHanSansSC-Regular.otf", "SourceHanSansCN-Regular.otf", "SourceHanSans.ttc", "msyh.ttc", "msyh.ttf",
    "PingFang.ttc", "Hiragino Sans GB.ttc", "STHeiti Light.ttc", "wqy-microhei.ttc", "wqy-zenhei.ttc",
    "simhei.ttf", "simsun.ttc", "DroidSansFallbackFull.ttf", "DroidSansFallback.ttf", "uming.ttc",
)  # fmt: skip
_FACES = 8  # of one file, at most
_TRIAL = "旬"
_NO_CHARACTER = "\U0010fffe"


def font(size: int) -> ImageFont.FreeTypeFont | None:
    """Return a font of a size in pixels that has Chinese characters, or None where the machine has none."""
    found = _face()
    return ImageFont.truetype(found[0], size, index=found[1]) if found else None


@cache
def _face() -> tuple[str, int] | None:
    files: dict[str, Path] = {}
    for folder in _folders():
        for path in folder.rglob("*"):
            if path.name in NAMES:
                files.setdefault(path.name, path)
    for name in NAMES:
        faces = list(_faces(files[name])) if name in files else []
        if faces:
            return str(files[name]), next((n for n, family in faces if "SC" in family.split()), faces[0][0])
    return None


def _folders() -> list[Path]:
    home = Path(os.path.expanduser("~"))  # Path.home() fails for a user without a home
    own = [home / ".fonts", home / ".local/share/fonts"]
    folders = [*own, Path("/usr/local/share/fonts"), Path("/usr/share/fonts")]
    if sys.platform == "win32":
        folders = [Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts"]
    elif sys.platform == "darwin":
        folders = [home / "Library/Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts")]
    return [folder for folder in folders if folder.is_dir()]


def _faces(path: Path) -> Iterator[tuple[int, str]]:
    """Give index and family of the faces of a file that have Chinese characters."""
    for index in range(_FACES):
        try:
            face = ImageFont.truetype(str(path), 24, index=index)
        except OSError:  # no such face, or no font at all
            return
        if bytes(face.getmask(_TRIAL)) != bytes(face.getmask(_NO_CHARACTER)):
            yield index, str(face.getname()[0])

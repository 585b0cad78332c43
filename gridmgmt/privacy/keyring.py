"""The key ring: the file, outside the database, without which no sealed value can be read.

One JSON file, for its owner alone (0600), replaced whole or not at all:

    {"version": 1, "active": 2, "keys": {"1": {"algorithm", "key", "made"}, "2": ...}, "index_key": ...}

Who holds the file and the database reads everything: back them up apart. Without the file the database's
sealed values are lost for ever.
"""

import base64
import binascii
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from stat import S_IMODE
from typing import Any

from gridmgmt.config import Settings
from gridmgmt.config import settings as settings_now
from gridmgmt.db.held import locked, settle
from gridmgmt.errors import ConflictError, InputError, NotFoundError, SetupError

VERSION = 1
KEY_BYTES = 32
LAST_KEY_ID = 255  # the key id is one byte of every sealed value


class Algorithm(StrEnum):
    """What a key seals with; the name stands beside the key, so both kinds open side by side."""

    AES_256_GCM = "aes-256-gcm"
    SM4_GCM = "sm4-gcm"


@dataclass(frozen=True)
class Key:
    """One key of the ring; its secret is 32 bytes whatever the algorithm, data keys are derived from it."""

    algorithm: Algorithm
    secret: bytes = field(repr=False)
    made: str


@dataclass(frozen=True)
class _Content:
    active: int
    keys: Mapping[int, Key]
    index_key: bytes = field(repr=False)


class KeyRing:
    """The keys as they were when the ring was opened; open it anew in every request and every job."""

    def __init__(self, path: Path, algorithm: str, content: _Content) -> None:
        self.path = path
        self._algorithm = algorithm
        self._content = content

    @staticmethod
    def opened(settings: Settings | None = None) -> "KeyRing":
        """Return the ring of these settings, made at first use; read again only when the file has changed.

        Two processes that make it at the same moment end with one ring. SetupError when the file cannot be
        read, is damaged, or may be read by others than its owner.
        """
        chosen = settings or settings_now()
        path = chosen.keyring_file()
        if not path.exists():
            _make(path, chosen.cipher)
        return KeyRing(path, chosen.cipher, _read(path))

    @property
    def active(self) -> int:
        """The id, 1 to 255, of the key that seals new values."""
        return self._content.active

    @property
    def active_key(self) -> Key:
        """The key that seals new values."""
        return self._content.keys[self._content.active]

    @property
    def kids(self) -> tuple[int, ...]:
        """The ids of all keys that still open values, oldest first."""
        return tuple(sorted(self._content.keys))

    @property
    def index_key(self) -> bytes:
        """The key of the blind index; it is never rotated, or every search would miss what was stored."""
        return self._content.index_key

    def key(self, kid: int) -> Key | None:
        """Return the key with this id, None when the ring has none."""
        return self._content.keys.get(kid)

    def add(self, algorithm: str | None = None) -> int:
        """Return the id of a new key that from now on seals new values; the old ones stay to open theirs.

        `algorithm` is "aes-256-gcm" or "sm4-gcm", by default what the settings say. SetupError when all 255
        ids are used up.
        """
        fresh = _new_key(algorithm or self._algorithm)
        with _locked(self.path):
            now = _read(self.path)
            kid = max(now.keys) + 1  # the active key is the newest and cannot be retired: no id comes twice
            if kid > LAST_KEY_ID:
                raise SetupError(f"{self.path}: all {LAST_KEY_ID} key ids are used")
            self._content = _write(self.path, replace(now, active=kid, keys={**now.keys, kid: fresh}))
        return kid

    def retire(self, kid: int) -> None:
        """Destroy a key: what is still sealed with it can never be opened again.

        Count the values with its id first (the first byte of each), and end every program that opened the
        ring before the newer key was added: it still seals with the old one. ConflictError for the active
        key, NotFoundError for one that is not there.
        """
        with _locked(self.path):
            now = _read(self.path)
            if kid not in now.keys:
                raise NotFoundError(f"key {kid} is not in the key ring {self.path}")
            if kid == now.active:
                raise ConflictError(f"key {kid} seals new values: add a new key first")
            rest = {other: key for other, key in now.keys.items() if other != kid}
            self._content = _write(self.path, replace(now, keys=rest))


def _new_key(algorithm: str) -> Key:
    if algorithm not in tuple(Algorithm):
        raise InputError("cipher", algorithm, " or ".join(Algorithm))
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return Key(Algorithm(algorithm), secrets.token_bytes(KEY_BYTES), made)


def _make(path: Path, algorithm: str) -> None:
    first = _Content(1, {1: _new_key(algorithm)}, secrets.token_bytes(KEY_BYTES))
    with _locked(path):
        if not path.exists():  # another process may have made it while this one waited
            _write(path, first)


def _read(path: Path) -> _Content:
    try:
        about = path.stat()
    except OSError as why:
        raise SetupError(f"key ring {path}: {why.strerror}") from why
    if S_IMODE(about.st_mode) & 0o077:
        raise SetupError(
            f"key ring {path}: mode {S_IMODE(about.st_mode):04o} lets others than its owner at the keys; "
            "chmod 600 it, and add a new key if anybody else may have read it"
        )
    return _parsed(path, (about.st_ino, about.st_mtime_ns, about.st_size))


@lru_cache(maxsize=16)
def _parsed(path: Path, stamp: tuple[int, int, int]) -> _Content:
    """Return what the file says; `stamp` tells one state of the file from the next."""
    try:
        return _content(json.loads(path.read_bytes()))
    except OSError as why:
        raise SetupError(f"key ring {path}: {why.strerror}") from why
    except (ValueError, KeyError, TypeError, AttributeError):
        # Neither the reason nor the cause is shown: both may quote the file.
        raise SetupError(f"key ring {path}: damaged; put the backup of this file in its place") from None


def _content(raw: Any) -> _Content:
    keys = {
        int(kid): Key(Algorithm(key["algorithm"]), _secret(key["key"]), str(key["made"]))
        for kid, key in raw["keys"].items()
    }
    active = raw["active"]
    if raw["version"] != VERSION or active != max(keys) or min(keys) < 1 or active > LAST_KEY_ID:
        raise ValueError("version or key ids")
    return _Content(active, keys, _secret(raw["index_key"]))


def _secret(text: str) -> bytes:
    try:
        secret = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("base64") from None
    if len(secret) != KEY_BYTES:
        raise ValueError("length")
    return secret


def _write(path: Path, content: _Content) -> _Content:
    """Write the file whole or not at all, so that a crash leaves the old keys or the new; call it locked."""
    text = {
        "version": VERSION,
        "active": content.active,
        "keys": {
            str(kid): {"algorithm": key.algorithm, "key": _text(key.secret), "made": key.made}
            for kid, key in content.keys.items()
        },
        "index_key": _text(content.index_key),
    }
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            json.dump(text, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
        settle(path.parent)  # values sealed with a key that a power cut took are lost
    except OSError as why:
        raise SetupError(f"key ring {path}: cannot be written: {why.strerror}") from why
    return content


def _text(secret: bytes) -> str:
    return base64.b64encode(secret).decode()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the ring against other processes."""
    with ExitStack() as held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(path.with_name(f"{path.name}.lock")))
        except OSError as why:
            raise SetupError(f"key ring {path}: cannot be written: {why.strerror}") from why
        yield

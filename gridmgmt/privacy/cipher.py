"""Sealing and opening single values: authenticated encryption under a key of one person's own.

    data key = HMAC-SHA256(ring key, the person's salt), cut to the algorithm's length
    sealed   = key id (1 byte) | nonce (12, random) | ciphertext | tag (16); the field's name is bound in

Nothing but ring, salt and sealed value together gives the text back, so erasing the salt erases every value
of that person (crypto-shredding). `docs/methods/encryption.md` says where that ends.
"""

import hmac
import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gridmgmt.errors import InputError, TamperedError
from gridmgmt.privacy.keyring import Algorithm, Key, KeyRing

SALT_BYTES = 16
NONCE_BYTES = 12
TAG_BYTES = 16
_HEAD = 1 + NONCE_BYTES


class _Box(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, aad: bytes, /) -> bytes: ...
    def decrypt(self, nonce: bytes, data: bytes, aad: bytes, /) -> bytes: ...


class Sm4Gcm:
    """SM4 in GCM (GB/T 32907, RFC 8998), with the face that AESGCM has; `key` is 16 bytes."""

    def __init__(self, key: bytes) -> None:
        self._sm4 = algorithms.SM4(key)

    def encrypt(self, nonce: bytes, data: bytes, aad: bytes) -> bytes:
        """Return ciphertext and tag in one."""
        sealing = Cipher(self._sm4, modes.GCM(nonce)).encryptor()
        sealing.authenticate_additional_data(aad)
        return sealing.update(data) + sealing.finalize() + sealing.tag

    def decrypt(self, nonce: bytes, data: bytes, aad: bytes) -> bytes:
        """Return the text of ciphertext and tag (at least 16 bytes); InvalidTag when anything differs."""
        opening = Cipher(self._sm4, modes.GCM(nonce, data[-TAG_BYTES:])).decryptor()
        opening.authenticate_additional_data(aad)
        return opening.update(data[:-TAG_BYTES]) + opening.finalize()


_BOXES: dict[Algorithm, tuple[int, type[AESGCM] | type[Sm4Gcm]]] = {
    Algorithm.AES_256_GCM: (32, AESGCM),
    Algorithm.SM4_GCM: (16, Sm4Gcm),
}


def new_salts(n: int) -> list[bytes]:
    """Return n random salts of 16 bytes, one a person."""
    drawn = secrets.token_bytes(n * SALT_BYTES)
    return [drawn[at : at + SALT_BYTES] for at in range(0, len(drawn), SALT_BYTES)]


def seal(ring: KeyRing, salt: bytes, field: str, clear: str) -> bytes:
    """Return one text sealed with the ring's active key for this person's salt and this field.

    Two calls never give the same bytes. The text's length in UTF-8 shows: sealed is 29 bytes longer.
    """
    _check_salts([salt])
    return _sealed(bytes([ring.active]), _box(ring.active_key, salt), field.encode(), clear)


def seal_many(
    ring: KeyRing, salts: Sequence[bytes], fields: Mapping[str, Sequence[str | None]]
) -> dict[str, list[bytes | None]]:
    """Return, for every field, the sealed text of every person; None stays None.

    Parameters
    ----------
    salts : n salts of 16 bytes, one a person
        The data key is derived once a person, whatever the number of fields.
    fields : name of the field -> n texts, in the order of the salts

    Raises
    ------
    InputError
        When lengths differ or a text is no valid Unicode; the text itself is not quoted.
    """
    _check_salts(salts)
    for field, texts in fields.items():
        if len(texts) != len(salts):
            raise InputError(field, f"{len(texts)} texts", f"one for each of {len(salts)} salts")
    sealed: dict[str, list[bytes | None]] = {field: [] for field in fields}
    columns = [(field.encode(), texts, sealed[field].append) for field, texts in fields.items()]
    head, key = bytes([ring.active]), ring.active_key
    for row, salt in enumerate(salts):
        box = _box(key, salt)
        for name, texts, put in columns:
            clear = texts[row]
            put(None if clear is None else _sealed(head, box, name, clear))
    return sealed


def unseal(ring: KeyRing, salt: bytes, field: str, sealed: bytes) -> str:
    """Return the text; TamperedError unless ring, salt, field and every bit are those of the sealing."""
    value = bytes(sealed)  # the database driver may hand out a memoryview
    if len(value) < _HEAD + TAG_BYTES:
        raise TamperedError(f"{field}: the sealed value is cut short")
    key = ring.key(value[0])
    if key is None:
        raise TamperedError(f"{field}: sealed with key {value[0]}, which the key ring does not hold")
    try:
        clear = _box(key, salt).decrypt(value[1:_HEAD], value[_HEAD:], field.encode())
    except InvalidTag:
        raise TamperedError(f"{field}: the sealed value was changed, or belongs to another person") from None
    return clear.decode()


def key_id(sealed: bytes) -> int:
    """Return the id of the key that a value is sealed with, 0 when there is no value to speak of."""
    return sealed[0] if len(sealed) else 0


def _check_salts(salts: Sequence[bytes]) -> None:
    if any(len(salt) != SALT_BYTES for salt in salts):
        raise InputError("salt", "another length", f"{SALT_BYTES} bytes")


def _sealed(head: bytes, box: _Box, name: bytes, clear: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    try:
        return head + nonce + box.encrypt(nonce, clear.encode(), name)
    except UnicodeEncodeError:
        raise InputError(name.decode(), "half a surrogate pair", "valid Unicode") from None


def _box(key: Key, salt: bytes) -> _Box:
    length, box = _BOXES[key.algorithm]
    return box(hmac.digest(key.secret, salt, "sha256")[:length])
